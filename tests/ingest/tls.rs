//! TLS of our own: what is served, what is renewed, what is reported before it is too late.

use std::net::SocketAddr;
use std::sync::Arc;

use fanfare::config::load;
use fanfare::config::substitute::RealEnvironment;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::PATH;
use crate::support::app::{App, ask, event, eventually, page_signature};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::process::{Process, command};
use crate::support::raw::post;
use crate::support::tls::{AUTHORITY, file};

/// A folder whose listener has this certificate.
async fn folder(certificate: &str) -> Folder {
    let peer = HttpPeer::start().await;
    let config = format!("{CONFIG}tls: {{cert: tls/chain.pem, key: tls/key.pem}}\n");
    let folder = Folder::new(&config, &peer.url("/ledger"), EVERYTHING);
    renew(&folder, certificate);
    folder
}

fn renew(folder: &Folder, certificate: &str) {
    for (name, ending) in [("tls/chain.pem", "pem"), ("tls/key.pem", "key")] {
        folder.write(name, &std::fs::read_to_string(file(certificate, ending)).unwrap());
    }
}

/// Posts an event to anyone who proves this name; the status line, or why there is none.
async fn send(webhooks: SocketAddr, name: &str, id: &str) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(webhooks).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let mut stream = connected.map_err(|error| error.to_string())?;
    let body = event(id, "release.live");
    let signed =
        [("Connection", "close".to_owned()), ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))];
    stream.write_all(&post(PATH, &signed, body.as_bytes())).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let folder = folder("localhost").await;
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "localhost", "evt_1").await, Ok("HTTP/1.1 200 OK".into()));
    assert!(send(process.webhooks, "elsewhere.example", "evt_2").await.is_err(), "it has no such name");
    renew(&folder, "elsewhere");
    eventually("the new certificate is served", async || {
        send(process.webhooks, "elsewhere.example", "evt_2").await.ok().filter(|line| line == "HTTP/1.1 200 OK")
    })
    .await;
    assert!(send(process.webhooks, "localhost", "evt_3").await.is_err(), "the old one is gone");
    let (status, log) = process.terminate().await;
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_renewal_that_is_broken_leaves_the_certificate_in_force() {
    let folder = folder("localhost").await;
    let process = Process::start(folder.path()).await;
    folder.write("tls/key.pem", &std::fs::read_to_string(file("elsewhere", "key")).unwrap());
    eventually("the reload is refused", async || process.log().contains("reload refused").then_some(())).await;
    assert_eq!(send(process.webhooks, "localhost", "evt_1").await, Ok("HTTP/1.1 200 OK".into()));
    assert!(process.log().contains("is not that of the certificate"), "{}", process.log());
    process.kill().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_key_or_certificate_that_tls_cannot_be_spoken_with_is_reported_by_check() {
    let read = |name: &str, ending: &str| std::fs::read_to_string(file(name, ending)).unwrap();
    let der = |folder: &Folder, name: &str, pem: &str| {
        let inner: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, inner).unwrap();
        std::fs::write(folder.file(name), bytes).unwrap();
    };
    type Break = Box<dyn Fn(&Folder)>;
    let rows: Vec<(&str, Break, &str, &str, &str)> = vec![
        (
            "no certificate",
            Box::new(|f| std::fs::remove_file(f.file("tls/chain.pem")).unwrap()),
            "`tls/chain.pem` can't be read",
            "check the path",
            ":12:13",
        ),
        (
            "no key",
            Box::new(|f| std::fs::remove_file(f.file("tls/key.pem")).unwrap()),
            "`tls/key.pem` can't be read",
            "its permissions",
            ":12:33",
        ),
        (
            "another's key",
            Box::new(move |f| f.write("tls/key.pem", &read("elsewhere", "key"))),
            "is not that of the certificate in `tls/chain.pem`",
            "matching files",
            ":12:33",
        ),
        (
            "an encrypted key",
            Box::new(|f| {
                f.write(
                    "tls/key.pem",
                    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                )
            }),
            "is encrypted",
            "openssl pkey -in tls/key.pem",
            ":12:33",
        ),
        (
            "a DER key",
            Box::new(move |f| der(f, "tls/key.pem", &read("localhost", "key"))),
            "binary form DER",
            "openssl pkey -inform der -in tls/key.pem",
            ":12:33",
        ),
        (
            "a DER certificate",
            Box::new(move |f| der(f, "tls/chain.pem", &read("localhost", "pem"))),
            "binary form DER",
            "openssl x509 -inform der",
            ":12:13",
        ),
        (
            "the two exchanged",
            Box::new(move |f| {
                f.write("tls/chain.pem", &read("localhost", "key"));
                f.write("tls/key.pem", &read("localhost", "pem"))
            }),
            "holds a key, and no certificate",
            "`cert` names the certificate's file",
            ":12:13",
        ),
        (
            "an empty certificate",
            Box::new(|f| f.write("tls/chain.pem", "")),
            "holds no certificate",
            "BEGIN CERTIFICATE",
            ":12:13",
        ),
        (
            "a cut certificate",
            Box::new(move |f| f.write("tls/chain.pem", &read("localhost", "pem")[..300])),
            "is not a whole PEM file",
            "copy it again",
            ":12:13",
        ),
        (
            "a cut key",
            Box::new(move |f| f.write("tls/key.pem", &read("localhost", "key")[..100])),
            "is not a whole PEM file",
            "copy it again",
            ":12:33",
        ),
    ];
    for (says, break_it, what, fix, place) in rows {
        let folder = folder("localhost").await;
        break_it(&folder);
        let (code, out, said) = command(folder.path(), &["check"]);
        let all = out + &said;
        assert_eq!(code, 1, "{says}: {all}");
        for part in [what, fix, &format!("fanfare.yaml{place}")] {
            assert!(all.contains(part), "{says}: `{part}` is missing in\n{all}");
        }
        let Err(log) = Process::try_start(folder.path(), "info", &[]).await else { panic!("{says}: it started") };
        assert!(log.contains(what), "{says}: {log}");
    }
}

#[tokio::test]
async fn a_certificate_that_expired_or_soon_will_is_warned_of() {
    let expired = folder("expired").await;
    let (code, out, said) = command(expired.path(), &["check"]);
    let all = out + &said;
    assert_eq!(code, 0, "{all}");
    assert!(
        all.contains("the certificate in `tls/chain.pem` expired on 2020-02-01") && all.contains("renew it"),
        "{all}"
    );
    let (_, out, said) = command(expired.path(), &["doctor"]);
    let all = out + &said;
    assert!(all.contains("expired on 2020-02-01"), "{all}");

    let good = folder("localhost").await;
    let warned_at = |now: &str| {
        let loaded = load::load(&good.file("fanfare.yaml"), &RealEnvironment, now.parse().unwrap());
        assert!(!loaded.problems.has_errors(), "{}", loaded.report());
        loaded.report().contains("expires on 2126-10-30, in 13 days")
    };
    assert!(warned_at("2126-10-16T15:00:00Z"), "13 days before");
    assert!(!warned_at("2126-10-16T13:00:00Z"), "a little more than 14 days before");
}

#[tokio::test]
async fn until_when_the_certificate_is_good_can_be_watched() {
    let app = App::start(folder("localhost").await).await;
    let metrics = ask(app.admin, "GET", "/metrics").await.text();
    assert!(
        metrics.contains("fanfare_tls_certificate_expires_timestamp_seconds{listener=\"webhooks\"} 4949042798"),
        "{metrics}"
    );
    app.end().await;
    let peer = HttpPeer::start().await;
    let app = App::start(super::folder(&peer)).await;
    let metrics = ask(app.admin, "GET", "/metrics").await.text();
    assert!(!metrics.contains("fanfare_tls_certificate_expires_timestamp_seconds{"), "{metrics}");
    app.end().await;
}
