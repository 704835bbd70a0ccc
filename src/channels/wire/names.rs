//! From a host name to the addresses that may be connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::channels::wire::guard::Guard;

/// What looks names up. The real one is [`SystemNames`]; a test puts one in its place that lies.
pub trait Names: Send + Sync {
    /// All addresses of `name`, in the order to try them.
    fn look_up(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The system's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn look_up(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Looks up and filters: what it gives is what is dialled, so a name can't change between the two.
#[derive(Clone)]
pub(super) struct Resolver {
    pub(super) names: Arc<dyn Names>,
    pub(super) guard: Arc<Guard>,
}

impl Resolver {
    /// The allowed addresses of a name, or why there is none, in words.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = match self.names.look_up(name.to_owned()).await {
            Ok(found) => found,
            Err(_) => return Err(format!("the name `{name}` could not be looked up")),
        };
        self.guard.filter(name, &found).map_err(|denied| denied.to_string())
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let found = this.addresses(name.as_str()).await.map_err(NoAddress)?;
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// Why there is no address to connect to: safe to show.
#[derive(Debug)]
pub(super) struct NoAddress(pub(super) String);

impl std::fmt::Display for NoAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAddress {}
