//! Binding: from an address in the configuration to a listening socket. Touches the network only.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// How many connections the system holds ready until they are accepted: a burst should wait, not be refused.
const BACKLOG: u32 = 1024;

/// How many bytes of answers the system holds for a connection (it doubles them): anyone who takes none must not have it hold
/// megabytes.
const SEND_BUFFER: u32 = 64 * 1024;

/// A listening socket. Every address of IPv6 (`[::]`) means those of IPv4 too where the system joins them, and only those
/// where it has no IPv6.
///
/// # Errors
///
/// Where the address can't be had; the error names it.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("can't listen on {address}: {error}"));
    match bind_exactly(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_ipv6(&error) => {
            bind_exactly(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))).map_err(named)
        }
        bound => bound.map_err(named),
    }
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A listener that was just closed leaves connections behind that would keep the next from starting.
    socket.set_reuseaddr(true)?;
    // Accepted connections have it from their listener.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_without_ipv6(error: &io::Error) -> bool {
    // No such family of addresses, or none of its addresses here.
    error.raw_os_error() == Some(97) || error.kind() == io::ErrorKind::AddrNotAvailable
}
