//! From a host to the addresses that may be connected to.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use url::Host;

use crate::channels::Reply;
use crate::channels::wire::guard::Guard;
use crate::channels::wire::own::Own;

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

/// Why there is no connection, in words that are safe to show.
#[derive(Debug, Clone)]
pub(super) enum NoWay {
    /// There may be one later.
    ForNow(String),
    /// There never will be, as the destination stands in the configuration.
    ForGood(String),
}

impl NoWay {
    pub(super) fn into_reply(self) -> Reply {
        match self {
            Self::ForNow(why) => Reply::NotSent(why),
            Self::ForGood(why) => Reply::Denied(why),
        }
    }

    pub(super) fn into_words(self) -> String {
        let (Self::ForNow(why) | Self::ForGood(why)) = self;
        why
    }
}

impl std::fmt::Display for NoWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::ForNow(why) | Self::ForGood(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for NoWay {}

/// Looks up and filters: what it gives is what is dialled, so a name can't change between the two.
#[derive(Clone)]
pub(super) struct Resolver {
    pub(super) names: Arc<dyn Names>,
    pub(super) guard: Arc<Guard>,
    pub(super) own: Own,
}

impl Resolver {
    /// The addresses of a host that may be connected to at this port. A name may get another address tomorrow; a literal
    /// one is what it is, and so is what leads back to ourselves.
    pub(super) async fn addresses(&self, host: &Host<String>, port: u16) -> Result<Vec<IpAddr>, NoWay> {
        let allowed = match host {
            Host::Domain(name) => self.named(name).await?,
            Host::Ipv4(address) => vec![self.literal(IpAddr::V4(*address))?],
            Host::Ipv6(address) => vec![self.literal(IpAddr::V6(*address))?],
        };
        let others: Vec<IpAddr> = allowed.into_iter().filter(|address| !self.own.is_reached(*address, port)).collect();
        if others.is_empty() {
            return Err(NoWay::ForGood(format!(
                "`{host}:{port}` is this Fanfare itself: a message there would come back as an event"
            )));
        }
        Ok(others)
    }

    async fn named(&self, name: &str) -> Result<Vec<IpAddr>, NoWay> {
        let found = self.names.look_up(name.to_owned()).await;
        let found = found.map_err(|_| NoWay::ForNow(format!("the name `{name}` could not be looked up")))?;
        self.guard.filter(name, &found).map_err(|denied| NoWay::ForNow(denied.to_string()))
    }

    fn literal(&self, address: IpAddr) -> Result<IpAddr, NoWay> {
        self.guard.check(address).map(|()| address).map_err(|denied| NoWay::ForGood(denied.to_string()))
    }
}
