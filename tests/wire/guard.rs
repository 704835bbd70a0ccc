//! The guard: no spelling and no name gets round it.

use fanfare::channels::wire::Guard;
use fanfare::channels::{MailRequest, Reply, Request};
use ipnet::IpNet;

use super::{AMPLE, denied, not_sent, post, server_at, wire, wire_under};
use crate::support::http_peer::HttpPeer;
use crate::support::parsing::try_channel;

/// Hosts that are never connected to, in every spelling that a URL may have.
const NEVER: &str = "
169.254.169.254
169.254.1.1
169.254.170.2
0xa9fea9fe
0xA9.0xFE.0xA9.0xFE
0251.0376.0251.0376
025177524776
2852039166
169.16689662
169.254.43518
0xa9.254.0251.254
１６９.２５４.１６９.２５４
169.254.169.254.
169。254。169。254
%31%36%39.254.169.254
[::ffff:169.254.169.254]
[::ffff:a9fe:a9fe]
[0:0:0:0:0:FFFF:A9FE:A9FE]
[::169.254.169.254]
[64:ff9b::a9fe:a9fe]
[64:ff9b::169.254.169.254]
[64:ff9b:1::a9fe:a9fe]
[2002:a9fe:a9fe::]
[2002:a9fe:a9fe::1]
[2001:0:1234::5601:5601]
[2001:db8::5efe:a9fe:a9fe]
[2001:db8::200:5efe:169.254.169.254]
[fd00:ec2::254]
[fd20:ce::254]
[fe80::1]
[febf::1]
[fec0::1]
0
0.0.0.0
0x0
[::]
[::ffff:0.0.0.0]
255.255.255.255
4294967295
224.0.0.1
239.255.255.250
[ff02::1]
[::ffff:224.0.0.1]
100.100.100.200
168.63.129.16
192.0.0.192
";

/// Hosts that are loopback, in every spelling, and so are allowed until they are denied.
const LOOPBACK: &str = "
127.0.0.1
127.1
0x7f.1
0x7f000001
017700000001
2130706433
127.0.0.1.
１２７.0.0.1
[::ffff:127.0.0.1]
[::ffff:7f00:1]
localhost
LOCALHOST
";

fn hosts(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.is_empty())
}

fn nets(nets: &[&str]) -> Vec<IpNet> {
    nets.iter().map(|net| net.parse().unwrap()).collect()
}

#[tokio::test]
async fn what_is_never_a_receiver_is_denied_in_every_spelling() {
    let wire = wire();
    for host in hosts(NEVER) {
        let why = denied(wire.send(&post(&format!("http://{host}:9/")), AMPLE).await);
        assert!(why.ends_with("which no destination may have"), "{host}: {why}");
    }
}

#[tokio::test]
async fn a_mail_server_is_guarded_as_well() {
    let wire = wire();
    for host in hosts(NEVER).filter(|host| host.is_ascii()) {
        let mail = MailRequest {
            server: server_at(&format!("smtp://{host}:9")),
            envelope_to: vec!["b@label.example".into()],
            message: b"Subject: x\r\n\r\nx".to_vec(),
        };
        let why = denied(wire.send(&Request::Mail(Box::new(mail)), AMPLE).await);
        assert!(why.ends_with("which no destination may have"), "{host}: {why}");
    }
}

#[test]
fn an_address_that_is_never_a_receivers_is_wrong_as_it_stands_in_the_file() {
    for (destination, line) in [
        ("type: http\nurl: http://169.254.169.254/latest\n", "2:6"),
        ("type: http\nurl: \"http://0xa9fea9fe/{{ data.id }}\"\n", "2:6"),
        ("type: slack\nwebhook_url: http://[fe80::1]/x\n", "2:14"),
        ("type: slack\ntoken: xoxb-1\nchannel: a\nurl: http://[::ffff:169.254.169.254]/\n", "4:6"),
        ("type: discord\nwebhook_url: http://169.254.169.254/api/webhooks/1/abc\n", "2:14"),
        ("type: email\nsmtp: smtp://169.254.169.254\nfrom: a@b.example\nto: c@d.example\n", "2:7"),
    ] {
        let (_, said) = try_channel(destination);
        let [said] = &said[..] else { panic!("{destination}: {said:?}") };
        assert!(said.starts_with(&format!("fanfare.yaml:{line}: error: `")), "{said}");
        assert!(said.contains("link-local address, which no destination may have"), "{said}");
    }
}

#[tokio::test]
async fn a_name_at_a_denied_address_is_denied() {
    for address in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "0.0.0.0", "::"] {
        let wire = wire_under(Guard::default(), &[("rebound.example", &[address])]);
        let why = not_sent(wire.send(&post("http://rebound.example:9/"), AMPLE).await);
        assert!(why.starts_with("`rebound.example` has a denied address: "), "{why}");
    }
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_are_dialled() {
    let peer = HttpPeer::start().await;
    let names: &[(&str, &[&str])] = &[("mixed.example", &["169.254.169.254", "::ffff:0.0.0.0", "127.0.0.1"])];
    let url = format!("http://mixed.example:{}/", peer.address.port());
    let reply = wire_under(Guard::default(), names).send(&post(&url), AMPLE).await;
    assert!(matches!(reply, Reply::Http { status: 200, .. }), "{reply:?}");
    assert_eq!(peer.requests()[0].header("host"), Some(format!("mixed.example:{}", peer.address.port()).as_str()));
}

#[tokio::test]
async fn loopback_is_allowed_in_every_spelling() {
    let peer = HttpPeer::start().await;
    for host in hosts(LOOPBACK) {
        let reply = wire().send(&post(&format!("http://{host}:{}/", peer.address.port())), AMPLE).await;
        assert!(matches!(reply, Reply::Http { status: 200, .. }), "{host}: {reply:?}");
    }
}

#[tokio::test]
async fn what_egress_denies_is_denied_in_every_spelling() {
    let peer = HttpPeer::start().await;
    let wire = wire_under(Guard::new(nets(&["127.0.0.0/8"]), vec![]), &[]);
    for host in hosts(LOOPBACK) {
        let reply = wire.send(&post(&format!("http://{host}:{}/", peer.address.port())), AMPLE).await;
        // A name may have another address tomorrow.
        let why = if host.eq_ignore_ascii_case("localhost") { not_sent(reply) } else { denied(reply) };
        assert!(why.ends_with("is in a network that `egress` denies"), "{host}: {why}");
    }
    assert_eq!(peer.connections(), 0);
}

#[test]
fn egress_allows_what_it_names_and_nothing_else() {
    let guard = Guard::new(nets(&["10.1.0.0/16"]), nets(&["10.0.0.0/8", "2001:db8::/32", "169.254.0.0/16"]));
    let table = [
        ("10.2.3.4", true),
        ("::ffff:10.2.3.4", true),
        ("2001:db8::1", true),
        ("10.1.2.3", false),
        ("::ffff:10.1.2.3", false),
        ("64:ff9b::10.2.3.4", false),
        ("127.0.0.1", false),
        ("93.184.216.34", false),
        // What is never allowed can't be allowed.
        ("169.254.169.254", false),
    ];
    for (address, expected) in table {
        assert_eq!(guard.check(address.parse().unwrap()).is_ok(), expected, "{address}");
    }
}

#[test]
fn by_default_public_private_and_loopback_addresses_are_allowed() {
    let guard = Guard::default();
    for address in [
        "93.184.216.34",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "::1",
        "fd12::1",
        "2606:2800:220:1::1",
        "64:ff9b::5db8:d822",
    ] {
        assert_eq!(guard.check(address.parse().unwrap()), Ok(()), "{address}");
    }
}
