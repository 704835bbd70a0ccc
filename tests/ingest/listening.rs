//! Where it listens: addresses as people write them.

use std::net::SocketAddr;

use super::{PATH, folder};
use crate::support::app::{App, event, page_signature};
use crate::support::folder::{CONFIG, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::process::command;
use crate::support::raw::{exchange, post};

#[tokio::test]
async fn a_port_alone_is_listened_on_by_ipv4_and_ipv6() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let config = CONFIG.replace("PEER", &peer.url("/ledger")).replace("listen: 127.0.0.1:0\n", "listen: \":0\"\n");
    folder.write("fanfare.yaml", &config);
    let app = App::start(folder).await;
    for (number, ip) in ["127.0.0.1", "::1"].into_iter().enumerate() {
        let body = event(&format!("evt_{number}"), "release.live");
        let signed = [("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))];
        let address = SocketAddr::new(ip.parse().unwrap(), app.webhooks.port());
        assert_eq!(exchange(address, &post(PATH, &signed, body.as_bytes())).await.status, 200, "{address}");
    }
    app.end().await;
}

#[tokio::test]
async fn an_address_that_is_none_is_reported_with_what_was_meant() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    for (written, meant) in [
        ("*:8080", "`0.0.0.0:8080`"),
        ("::1:8080", "`[::1]:8080`"),
        ("2001:db8::5:8080", "`[2001:db8::5]:8080`"),
        ("8080", "`:8080`"),
        ("0.0.0.0", "`0.0.0.0:8080`"),
        ("fanfare.example:8080", "`127.0.0.1:8081`"),
        (":99999", "`0.0.0.0:8080`"),
    ] {
        let config = CONFIG.replace("PEER", &peer.url("/ledger"));
        folder.write("fanfare.yaml", &config.replace("listen: 127.0.0.1:0\n", &format!("listen: \"{written}\"\n")));
        let (code, out, said) = command(folder.path(), &["check"]);
        let all = out + &said;
        assert_eq!(code, 1, "{written}: {all}");
        assert!(all.contains(&format!("`{written}` is not an address")) && all.contains(meant), "{written}: {all}");
        assert!(all.contains("fanfare.yaml:2:9"), "{written}: {all}");
    }
}
