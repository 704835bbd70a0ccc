//! From a host to an open connection: its name is looked up, its addresses are judged, and the first that answers is used.
//!
//! Addresses are tried with a head start each, alternating between IPv6 and IPv4 (RFC 8305, sections 4 and 5), so that one
//! that is silent costs a moment and not the message.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::channels::wire::io_in_words;
use crate::channels::wire::names::{NoWay, Resolver};

/// The head start of each address (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 16;

/// Connects to the first address of a host that answers, and that may be connected to.
pub(super) async fn dial(
    resolver: &Resolver,
    host: &Host<String>,
    port: u16,
    until: Instant,
) -> Result<TcpStream, NoWay> {
    let addresses = resolver.addresses(host, port).await?;
    let tcp = race(alternating(addresses), port, until).await.map_err(NoWay::ForNow)?;
    // Requests are short and wait for their answers. If it can't be set, they are only slower.
    let _ = tcp.set_nodelay(true);
    Ok(tcp)
}

/// Protects a connection; the certificate must be the host's.
pub(super) async fn protect(
    tls: &Arc<ClientConfig>,
    host: &Host<String>,
    tcp: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(bare_host(host))
        .map_err(|_| "the host is not a name that a certificate can have".to_owned())?;
    TlsConnector::from(tls.clone()).connect(name, tcp).await.map_err(|error| io_in_words(&error))
}

/// A host as a certificate names it.
pub(super) fn bare_host(host: &Host<String>) -> String {
    match host {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

/// The addresses with their families taking turns, the first one's first.
fn alternating(addresses: Vec<IpAddr>) -> VecDeque<IpAddr> {
    let is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut firsts, mut seconds): (VecDeque<IpAddr>, VecDeque<IpAddr>) =
        addresses.into_iter().take(ADDRESSES_MAX).partition(|address| address.is_ipv6() == is_v6);
    let mut all = VecDeque::new();
    while !firsts.is_empty() || !seconds.is_empty() {
        all.extend(firsts.pop_front());
        all.extend(seconds.pop_front());
    }
    all
}

async fn race(mut waiting: VecDeque<IpAddr>, port: u16, until: Instant) -> Result<TcpStream, String> {
    let mut why = "there is no address to connect to".to_owned();
    // Those that lose are given up with the set.
    let mut under_way: JoinSet<io::Result<TcpStream>> = JoinSet::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            under_way.spawn(TcpStream::connect(SocketAddr::new(address, port)));
        }
        let next = if waiting.is_empty() { until } else { until.min(Instant::now() + HEAD_START) };
        tokio::select! {
            done = under_way.join_next() => match done {
                Some(Ok(Ok(tcp))) => return Ok(tcp),
                Some(Ok(Err(error))) => why = io_in_words(&error),
                Some(Err(_)) => {}
                None if waiting.is_empty() => return Err(why),
                None => {}
            },
            () = sleep_until(next) => {
                if Instant::now() >= until {
                    return Err("the connection timed out".into());
                }
            }
        }
    }
}
