//! Which addresses may be connected to. Pure: it judges addresses and looks nothing up.
//!
//! It is asked about the address that a connection is made to, after names were looked up and spellings were read, so
//! neither a name that changes its mind nor `0xa9fea9fe` gets round it. Loopback and private networks are allowed,
//! since every destination's host stands literally in `fanfare.yaml`; what is never a receiver of messages (link-local,
//! cloud metadata, multicast, unspecified, broadcast) is denied, also inside the IPv6 forms that carry an IPv4 address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The always denied networks, and what each is.
const NEVER: [(IpNet, &str); 13] = [
    (v4([0, 0, 0, 0], 8), "an unspecified address"),
    (v4([169, 254, 0, 0], 16), "a link-local address"),
    (v4([224, 0, 0, 0], 4), "a multicast address"),
    (v4([255, 255, 255, 255], 32), "the broadcast address"),
    // Alibaba Cloud, Azure, Oracle Cloud; the others are link-local.
    (v4([100, 100, 100, 200], 32), "a cloud metadata address"),
    (v4([168, 63, 129, 16], 32), "a cloud metadata address"),
    (v4([192, 0, 0, 192], 32), "a cloud metadata address"),
    (v6([0, 0, 0], 128), "an unspecified address"),
    (v6([0xfe80, 0, 0], 10), "a link-local address"),
    (v6([0xfec0, 0, 0], 10), "a link-local address"),
    (v6([0xff00, 0, 0], 8), "a multicast address"),
    // AWS, Google Cloud.
    (v6([0xfd00, 0x0ec2, 0], 32), "a cloud metadata address"),
    (v6([0xfd20, 0x00ce, 0], 32), "a cloud metadata address"),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6([a, b, c]: [u16; 3], length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length))
}

/// The egress policy.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    deny: Vec<IpNet>,
    allow: Vec<IpNet>,
}

/// Why an address is not connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied(String);

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Denied {}

impl Guard {
    /// Beyond what is always denied: everything in `deny`, and if `allow` names anything, everything outside it.
    pub fn new(deny: Vec<IpNet>, allow: Vec<IpNet>) -> Self {
        Self { deny, allow }
    }

    /// Whether `address` may be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let outer = address.to_canonical();
        for seen in std::iter::once(outer).chain(embedded(outer).map(IpAddr::V4)) {
            if let Some(what) = never(seen) {
                return Err(Denied(format!("`{address}` is {what}, which no destination may have")));
            }
            if self.deny.iter().any(|net| net.contains(&seen)) {
                return Err(Denied(format!("`{address}` is in a network that `egress` denies")));
            }
        }
        if !self.allow.is_empty() && !self.allow.iter().any(|net| net.contains(&outer)) {
            return Err(Denied(format!("`{address}` is in no network that `egress` allows")));
        }
        Ok(())
    }

    /// The allowed ones of the addresses that `name` has, or why there is none.
    pub fn filter(&self, name: &str, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Denied> {
        let mut allowed = Vec::new();
        let mut denied = Denied(format!("`{name}` has no address"));
        for address in addresses {
            match self.check(*address) {
                Ok(()) => allowed.push(*address),
                Err(why) => denied = Denied(format!("`{name}` has a denied address: {why}")),
            }
        }
        if allowed.is_empty() { Err(denied) } else { Ok(allowed) }
    }
}

fn never(address: IpAddr) -> Option<&'static str> {
    NEVER.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what)
}

/// The IPv4 address that an IPv6 address leads to: IPv4-compatible (RFC 4291, 2.5.5.1), NAT64 (RFC 6052, RFC 8215),
/// 6to4 (RFC 3056), Teredo (RFC 4380), ISATAP (RFC 5214). IPv4-mapped ones have become IPv4 before.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        _ if address == Ipv6Addr::LOCALHOST || address == Ipv6Addr::UNSPECIFIED => None,
        [0, 0, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 1, _, _, _, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)),
        _ => None,
    }
}
