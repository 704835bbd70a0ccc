//! Whether an HTTP server can be reached: a connection and its TLS, and not a byte of HTTP.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::time::Instant;

use crate::channels::WebServer;
use crate::channels::wire::dial::{dial, protect};
use crate::channels::wire::names::{NoWay, Resolver};

/// Knocks, and goes away.
pub(super) struct Reach {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
}

impl Reach {
    pub(super) fn new(resolver: Resolver, tls: ClientConfig) -> Self {
        Self { resolver, tls: Arc::new(tls) }
    }

    /// Connects, with TLS where it is spoken, to the first allowed address that answers.
    pub(super) async fn web(&self, server: &WebServer, until: Instant) -> Result<String, String> {
        let tcp = dial(&self.resolver, &server.host, server.port, until).await.map_err(NoWay::into_words)?;
        let at = tcp.peer_addr().map_err(|error| super::io_in_words(&error))?;
        if !server.tls {
            return Ok(format!("{at} answers, without TLS"));
        }
        let stream = protect(&self.tls, &server.host, tcp).await?;
        let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
        Ok(format!("{at} answers, {}", version.unwrap_or("TLS").replace("TLSv", "TLS ").replace('_', ".")))
    }
}
