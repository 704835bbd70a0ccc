//! TLS: the certificate that is in force now, asked for at each handshake, so that a renewed one needs no restart.

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Where the certificate comes from.
type Current = dyn Fn() -> Option<Arc<CertifiedKey>> + Send + Sync;

/// What a listener needs to speak TLS, with whatever certificate `current` gives at each handshake. Where it gives none
/// any more, the last one stays.
///
/// # Errors
///
/// Where the library has no version of TLS that its own ciphers can do.
pub fn config(current: Box<Current>) -> io::Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver { current, last: ArcSwapOption::empty() }));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

struct Resolver {
    current: Box<Current>,
    last: ArcSwapOption<CertifiedKey>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(current) = (self.current)() {
            self.last.store(Some(current.clone()));
            return Some(current);
        }
        self.last.load_full()
    }
}
