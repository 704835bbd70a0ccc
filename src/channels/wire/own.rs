//! Our own listeners: anyone who sends there sends to themselves, and each message becomes another event.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

/// Where this process listens, as far as it has begun to.
#[derive(Debug, Clone, Default)]
pub(super) struct Own(Arc<RwLock<Vec<SocketAddr>>>);

impl Own {
    /// This process listens there.
    pub(super) fn add(&self, listener: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Whether who connects there reaches one of our own listeners.
    pub(super) fn is_reached(&self, address: IpAddr, port: u16) -> bool {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let address = as_connected(address);
        own.iter().filter(|listener| listener.port() == port).any(|listener| {
            let ip = listener.ip().to_canonical();
            ip == address || (ip.is_unspecified() && is_here(address))
        })
    }
}

/// The address that a connection to this one is made to: the system takes an unspecified one for this host.
fn as_connected(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    }
}

/// Whether this host has that address: only then can a socket be bound to it. Nothing is sent.
fn is_here(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}
