//! The only I/O of the channels: sends a [`Request`] within a deadline and always comes back with a [`Reply`].
//!
//! One deadline covers name, connection, TLS, sending, headers and body. No redirect is followed, no proxy is taken
//! from the environment, and no address that the [`Guard`] denies is connected to, whatever its spelling or name.
//! It keeps apart what was never sent ([`Reply::NotSent`]) from what may have been ([`Reply::NoAnswer`]). What it says
//! holds no URL, no header and no password.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;

use crate::channels::{Endpoint, Reply, Request};

mod connector;
mod dial;
mod greet;
pub mod guard;
mod http;
mod mail;
pub mod names;
mod own;
mod reach;
pub mod server;
mod stream;

pub use self::guard::Guard;
use self::names::{Names, Resolver, SystemNames};
use self::own::Own;

/// What we call ourselves.
const NAME: &str = concat!("fanfare/", env!("CARGO_PKG_VERSION"));

/// No attempt takes longer, whatever its destination allows: keeps the arithmetic of deadlines from overflowing.
const DEADLINE_MAX: Duration = Duration::from_secs(3600);

/// What sends. The real one is [`Wire`]; a rehearsal puts one in its place that records.
pub trait Transport: Send + Sync {
    /// Sends to `destination` (its name; the real wire has no use for it). Total: whatever happens is a reply, within
    /// `deadline`.
    fn send<'a>(
        &'a self,
        destination: &'a str,
        request: &'a Request,
        deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

    /// This process listens at `listener` from now on: nothing is sent there. Where nothing is really sent, it has no use.
    fn listens(&self, _listener: SocketAddr) {}
}

/// The real sender. Built once for a snapshot's egress policy; keeps connections open for reuse.
pub struct Wire {
    http: http::Http,
    mail: mail::Mail,
    reach: reach::Reach,
    own: Own,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// A wire under this egress policy, with the system's name look-up and Mozilla's certificate authorities.
    pub fn new(guard: Guard) -> Result<Self, String> {
        Self::with(guard, Arc::new(SystemNames), "")
    }

    /// The same with another name look-up and with further certificate authorities, as PEM text.
    /// `Err` when that text holds no certificate that can be trusted.
    pub fn with(guard: Guard, names: Arc<dyn Names>, authorities: &str) -> Result<Self, String> {
        let own = Own::default();
        let resolver = Resolver { names, guard: Arc::new(guard), own: own.clone() };
        let tls = tls(authorities)?;
        Ok(Self {
            http: http::Http::new(resolver.clone(), tls.clone()),
            reach: reach::Reach::new(resolver.clone(), tls.clone()),
            mail: mail::Mail::new(resolver, tls),
            own,
        })
    }

    /// Sends. Total: whatever happens is a reply, within `deadline`.
    pub async fn send(&self, request: &Request, deadline: Duration) -> Reply {
        let deadline = deadline.min(DEADLINE_MAX);
        let until = Instant::now() + deadline;
        match request {
            Request::Http(request) => self.http.send(request, until, deadline).await,
            Request::Mail(request) => self.mail.send(request, until, deadline).await,
            Request::Nothing => Reply::Nothing,
        }
    }

    /// Connects as for sending, certificate, greeting and login included, and sends nothing. Says whom it reached; an
    /// `Err` why it didn't.
    pub async fn reach(&self, endpoint: &Endpoint, deadline: Duration) -> Result<String, String> {
        let until = Instant::now() + deadline.min(DEADLINE_MAX);
        let reached = async {
            match endpoint {
                Endpoint::Web(server) => self.reach.web(server, until).await,
                Endpoint::Mail(server) => self.mail.reach(server, until).await,
            }
        };
        tokio::time::timeout_at(until, reached).await.unwrap_or_else(|_| Err(format!("no answer within {deadline:?}")))
    }
}

impl Transport for Wire {
    fn send<'a>(
        &'a self,
        _destination: &'a str,
        request: &'a Request,
        deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(self.send(request, deadline))
    }

    fn listens(&self, listener: SocketAddr) {
        self.own.add(listener);
    }
}

/// TLS that trusts Mozilla's certificate authorities, which the program contains, and those of this PEM text.
pub(crate) fn tls(authorities: &str) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("no certificate in PEM form: {error}"))?;
        roots.add(certificate).map_err(|error| format!("no certificate authority: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS can't be set up: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The bytes that a part of a URL stands for; a `%` that escapes nothing stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let pair = behind.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}

/// An I/O error as people say it. The system's own words only where they add something.
fn io_in_words(error: &io::Error) -> String {
    // Layers wrap each other's errors in further I/O errors, and hide them from `source`.
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return format!("TLS: {error}");
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return io_in_words(error);
        }
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "the connection was cut".into()
        }
        io::ErrorKind::UnexpectedEof => "the connection closed too early".into(),
        io::ErrorKind::TimedOut => "the connection timed out".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the address is unreachable".into(),
        io::ErrorKind::FileTooLarge => "the server's answer is too large".into(),
        kind => kind.to_string(),
    }
}
