//! Whether an HTTP server can be reached: a connection and its TLS, and not a byte of HTTP.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::channels::WebServer;
use crate::channels::wire::mail::{bare_host, dial};
use crate::channels::wire::names::Resolver;

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
        let addresses = self.resolver.addresses_of(&server.host).await?;
        let tcp = dial(&addresses, server.port, until).await?;
        let at = tcp.peer_addr().map_err(|error| super::io_in_words(&error))?;
        if !server.tls {
            return Ok(format!("{at} answers, without TLS"));
        }
        let name = ServerName::try_from(bare_host(&server.host))
            .map_err(|_| "the host is no name that a certificate can have")?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, tcp).await;
        let stream = stream.map_err(|error| super::io_in_words(&error))?;
        let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
        Ok(format!("{at} answers, {}", version.unwrap_or("TLS").replace("TLSv", "TLS ").replace('_', ".")))
    }
}

impl Resolver {
    /// The allowed addresses of a host, or why there is none, in words.
    pub(super) async fn addresses_of(&self, host: &Host<String>) -> Result<Vec<IpAddr>, String> {
        let checked = |address: IpAddr| match self.guard.check(address) {
            Ok(()) => Ok(vec![address]),
            Err(denied) => Err(denied.to_string()),
        };
        match host {
            Host::Domain(name) => self.addresses(name).await,
            Host::Ipv4(address) => checked(IpAddr::V4(*address)),
            Host::Ipv6(address) => checked(IpAddr::V6(*address)),
        }
    }
}
