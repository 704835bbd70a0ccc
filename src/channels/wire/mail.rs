//! SMTP: one mail to all of its recipients, over connections that are kept for the next one.
//!
//! lettre speaks the protocol; the order of the commands is kept here, because one recipient that is refused must not
//! keep the others from the mail, and because a loss before the content is another thing than a loss after it.

use std::collections::HashMap;
use std::error::Error as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::channels::wire::dial::{dial, protect};
use crate::channels::wire::greet::{AnyCertificate, hello, starttls};
use crate::channels::wire::names::{NoWay, Resolver};
use crate::channels::wire::server::{Server, Tls};
use crate::channels::wire::stream::Tame;
use crate::channels::{MailRequest, MailServer, Reply};

/// Idle connections kept for each server.
const IDLE_MAX: usize = 2;
/// For how long. Servers wait for minutes (RFC 5321, section 4.5.3.2.7); firewalls between may not.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Mails over one connection, after which a new one is made: many servers count them.
const MAILS_MAX: u32 = 50;

/// The SMTP side of the wire.
pub(super) struct Mail {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    /// The same for who takes any certificate.
    tls_with_any: Arc<ClientConfig>,
    /// By the hash of the server's URL and of how it is greeted, so that no password is kept here.
    idle: Mutex<HashMap<[u8; 32], Vec<Connection>>>,
}

struct Connection {
    smtp: AsyncSmtpConnection,
    /// Whether it is protected.
    tls: bool,
    mails: u32,
    since: Instant,
}

/// Why a mail got no further, before anything of it was sent.
pub(super) enum Stop {
    /// The server said so.
    Said(u16, String),
    /// No usable connection.
    NotSent(String),
    /// And there never will be one.
    Denied(String),
}

impl Mail {
    pub(super) fn new(resolver: Resolver, tls: ClientConfig) -> Self {
        let mut with_any = tls.clone();
        let any = AnyCertificate(tls.crypto_provider().clone());
        with_any.dangerous().set_certificate_verifier(Arc::new(any));
        Self { resolver, tls: Arc::new(tls), tls_with_any: Arc::new(with_any), idle: Mutex::default() }
    }

    pub(super) async fn send(&self, mail: &MailRequest, until: Instant, deadline: Duration) -> Reply {
        // Whether the content has begun to leave: from then on a loss is ambiguous.
        let begun = AtomicBool::new(false);
        match timeout_at(until, self.attempt(mail, &begun, until)).await {
            Ok(reply) => reply,
            Err(_) if begun.load(Ordering::SeqCst) => {
                Reply::NoAnswer(format!("the mail server did not confirm the mail within {deadline:?}"))
            }
            Err(_) => Reply::NotSent(format!("the mail server was not ready within {deadline:?}")),
        }
    }

    /// Greets and logs in, and hands over nothing. Says whom it reached; an `Err` why it didn't.
    pub(super) async fn reach(&self, at: &MailServer, until: Instant) -> Result<String, String> {
        let server = Server::parse(at.url.open())?;
        let mut connection = self.connect(&server, at, until).await.map_err(|stop| match stop {
            Stop::Said(code, text) => format!("the mail server said {code} {text}"),
            Stop::NotSent(why) | Stop::Denied(why) => why,
        })?;
        let ready = connection.smtp.test_connected().await;
        let protected = if connection.tls { "TLS" } else { "without TLS" };
        connection.smtp.abort().await;
        let login = if server.login.is_some() { ", and accepts the login" } else { "" };
        if ready {
            Ok(format!("{server} answers, {protected}{login}"))
        } else {
            Err("the mail server closed the connection".into())
        }
    }

    async fn attempt(&self, mail: &MailRequest, begun: &AtomicBool, until: Instant) -> Reply {
        let server = match Server::parse(mail.server.url.open()) {
            Ok(server) => server,
            Err(why) => return Reply::NotSent(why),
        };
        let key = key(&mail.server);
        let connection = match self.kept(&key).await {
            Some(connection) => Ok(connection),
            None => self.connect(&server, &mail.server, until).await,
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(stop) => return stop.into_reply(),
        };
        let reply = hand_over(&mut connection.smtp, mail, begun).await;
        // A server that says 421 closes (RFC 5321, section 3.8); after a loss there is nothing to keep.
        if matches!(reply, Reply::Mail { code, .. } if code != Some(421)) {
            self.keep(key, connection);
        }
        reply
    }

    /// A kept connection that still answers.
    async fn kept(&self, key: &[u8; 32]) -> Option<Connection> {
        loop {
            let mut connection = self.take(key)?;
            if let Ok(response) = connection.smtp.command(Rset).await
                && is_done(&response)
            {
                return Some(connection);
            }
        }
    }

    fn take(&self, key: &[u8; 32]) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        for connections in idle.values_mut() {
            connections.retain(|connection| connection.since.elapsed() < IDLE_FOR);
        }
        idle.retain(|_, connections| !connections.is_empty());
        idle.get_mut(key)?.pop()
    }

    fn keep(&self, key: [u8; 32], mut connection: Connection) {
        connection.mails += 1;
        connection.since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = idle.entry(key).or_default();
        if connections.len() < IDLE_MAX && connection.mails < MAILS_MAX {
            connections.push(connection);
        }
    }

    /// Connects, protects and logs in.
    async fn connect(&self, server: &Server, at: &MailServer, until: Instant) -> Result<Connection, Stop> {
        let tcp = dial(&self.resolver, &server.host, server.port, until).await.map_err(Stop::from)?;
        let local = tcp.local_addr().map_err(|error| Stop::NotSent(super::io_in_words(&error)))?;
        let hello = hello(at.helo.as_deref(), &at.from, local.ip());
        let (mut smtp, tls) = self.greet(server, tcp, &hello).await?;
        if let Some((user, password)) = &server.login {
            if server.tls == Tls::Opportunistic && !tls {
                return Err(Stop::NotSent(
                    "the mail server offers no TLS, and the password is not sent without".into(),
                ));
            }
            let credentials = Credentials::new(user.clone(), password.open().to_owned());
            smtp.auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .await
                .map_err(|error| Stop::of(&error, "log in to the mail server"))?;
        }
        Ok(Connection { smtp, tls, mails: 0, since: Instant::now() })
    }

    /// Gives also whether the connection is protected.
    async fn greet(
        &self,
        server: &Server,
        mut tcp: TcpStream,
        hello: &ClientId,
    ) -> Result<(AsyncSmtpConnection, bool), Stop> {
        let peer = tcp.peer_addr().map_err(|error| Stop::NotSent(super::io_in_words(&error)))?;
        let asks = matches!(server.tls, Tls::Required | Tls::Opportunistic);
        let starts = asks && starttls(&mut tcp, hello).await?;
        if server.tls == Tls::Required && !starts {
            return Err(Stop::NotSent("the mail server offers no STARTTLS, and nothing is sent without".into()));
        }
        if !starts && server.tls != Tls::Implicit {
            let tame = if asks { Tame::greeted(tcp, peer) } else { Tame::new(tcp, peer) };
            return Ok((open(Box::new(tame), hello).await?, false));
        }
        // Where a password is at stake, an unknown certificate is a stranger's.
        let takes_any = server.tls == Tls::Opportunistic && server.login.is_none();
        let tls = if takes_any { &self.tls_with_any } else { &self.tls };
        let stream = protect(tls, &server.host, tcp).await.map_err(Stop::NotSent)?;
        let tame = if starts { Tame::greeted(stream, peer) } else { Tame::new(stream, peer) };
        Ok((open(Box::new(tame), hello).await?, true))
    }
}

async fn open(stream: Box<dyn AsyncTokioStream>, hello: &ClientId) -> Result<AsyncSmtpConnection, Stop> {
    let opened = AsyncSmtpConnection::connect_with_transport(stream, hello).await;
    opened.map_err(|error| Stop::of(&error, "greet the mail server"))
}

/// What connections are kept under.
fn key(server: &MailServer) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [server.url.open(), &server.from, server.helo.as_deref().unwrap_or_default()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// One mail transaction (RFC 5321, section 3.3).
async fn hand_over(smtp: &mut AsyncSmtpConnection, mail: &MailRequest, begun: &AtomicBool) -> Reply {
    let Ok(from) = Address::from_str(&mail.server.from) else {
        return Reply::NotSent("the sender's address can't be read".into());
    };
    let content = crlf(&mail.message);
    let options = options(smtp, mail, &content);
    if let Err(stop) = said(smtp.command(MailFrom::new(Some(from), options)).await) {
        return stop.into_reply();
    }
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for to in &mail.envelope_to {
        let answer = match Address::from_str(to) {
            Ok(address) => said(smtp.command(Rcpt::new(address, Vec::new())).await),
            Err(_) => Err(Stop::Said(553, "the address can't be read".into())),
        };
        match answer {
            Ok(_) => accepted.push(to.clone()),
            Err(Stop::Said(421, text)) => return Stop::Said(421, text).into_reply(),
            Err(Stop::Said(code, text)) => refused.push((to.clone(), code, text)),
            Err(stop) => return stop.into_reply(),
        }
    }
    if accepted.is_empty() {
        return Reply::Mail { accepted, refused, code: None, text: String::new() };
    }
    match smtp.command(Data).await {
        Ok(response) if response.has_code(354) => {}
        Ok(_) => return Reply::NotSent("the mail server answered DATA in no known way".into()),
        Err(error) => return Stop::of(&error, "hand over the mail").into_reply_with(refused),
    }
    begun.store(true, Ordering::SeqCst);
    match said(smtp.message(&content).await) {
        Ok(response) => {
            let code = Some(code_of(&response));
            Reply::Mail { accepted, refused, code, text: text_of(&response) }
        }
        Err(stop @ Stop::Said(..)) => stop.into_reply_with(refused),
        Err(Stop::NotSent(why) | Stop::Denied(why)) => {
            Reply::NoAnswer(format!("the mail server did not confirm the mail: {why}"))
        }
    }
}

fn options(smtp: &AsyncSmtpConnection, mail: &MailRequest, content: &[u8]) -> Vec<MailParameter> {
    let addresses_are_ascii = mail.server.from.is_ascii() && mail.envelope_to.iter().all(|to| to.is_ascii());
    let mut options = Vec::new();
    if !addresses_are_ascii && smtp.server_info().supports_feature(Extension::SmtpUtfEight) {
        options.push(MailParameter::SmtpUtfEight);
    }
    if !content.is_ascii() && smtp.server_info().supports_feature(Extension::EightBitMime) {
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    options
}

/// Every line ended by CRLF, none left over at the end (the end of the data brings one): a bare CR or LF is what
/// smuggling is made of (RFC 5321, section 2.3.8).
fn crlf(message: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(message.len());
    let mut bytes = message.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                clean.extend_from_slice(b"\r\n");
            }
            b'\n' => clean.extend_from_slice(b"\r\n"),
            byte => clean.push(*byte),
        }
    }
    while clean.ends_with(b"\r\n") {
        clean.truncate(clean.len() - 2);
    }
    clean
}

fn is_done(response: &Response) -> bool {
    response.code().severity == Severity::PositiveCompletion
}

/// A 2yz answer, or what stands in its place.
fn said(result: Result<Response, lettre::transport::smtp::Error>) -> Result<Response, Stop> {
    match result {
        Ok(response) if is_done(&response) => Ok(response),
        Ok(_) => Err(Stop::NotSent("the mail server's answers don't fit the commands".into())),
        Err(error) => Err(Stop::of(&error, "talk to the mail server")),
    }
}

fn code_of(response: &Response) -> u16 {
    response.code().into()
}

fn text_of(response: &Response) -> String {
    response.message().collect::<Vec<_>>().join(" ")
}

impl From<NoWay> for Stop {
    fn from(no_way: NoWay) -> Self {
        match no_way {
            NoWay::ForNow(why) => Self::NotSent(why),
            NoWay::ForGood(why) => Self::Denied(why),
        }
    }
}

impl Stop {
    fn of(error: &lettre::transport::smtp::Error, doing: &str) -> Self {
        let cause = error.source();
        if let Some(code) = error.status() {
            return Self::Said(code.into(), cause.map(ToString::to_string).unwrap_or_default());
        }
        let why = match cause.map(|cause| (cause, cause.downcast_ref::<std::io::Error>())) {
            Some((_, Some(error))) => super::io_in_words(error),
            Some((cause, None)) if error.is_client() || error.is_response() => cause.to_string(),
            _ => nested_io(error).unwrap_or_else(|| "the connection failed".into()),
        };
        Self::NotSent(format!("could not {doing}: {why}"))
    }

    fn into_reply(self) -> Reply {
        self.into_reply_with(Vec::new())
    }

    fn into_reply_with(self, refused: Vec<(String, u16, String)>) -> Reply {
        match self {
            Self::Said(code, text) => Reply::Mail { accepted: Vec::new(), refused, code: Some(code), text },
            Self::NotSent(why) => Reply::NotSent(why),
            Self::Denied(why) => Reply::Denied(why),
        }
    }
}

/// lettre wraps what TLS says more than once.
fn nested_io(error: &lettre::transport::smtp::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(super::io_in_words(error));
        }
        cause = error.source();
    }
    None
}
