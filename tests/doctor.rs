//! `backup` and `doctor` beside a running server and without one: what they say, and which code they end with.

use std::net::TcpListener;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use fanfare::channels::{self, Endpoint};
use serde_json::Value;

use crate::support::app::{eventually, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::load::{send, until_done};
use crate::support::process::{Process, command};
use crate::support::smtp_peer::{Setup, SmtpPeer};

/// A folder whose server listens where its configuration says, as in real life.
fn folder(peer: &str, more: &str) -> Folder {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = CONFIG.replacen("127.0.0.1:0", &free(), 1).replacen("127.0.0.1:0", &free(), 1);
    Folder::new(&format!("{config}{more}"), peer, EVERYTHING)
}

/// Runs the doctor; its exit code, and its findings by what was looked at.
async fn doctor(folder: &Path, arguments: &[&str]) -> (i32, Vec<Value>) {
    let folder = folder.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    // Peers of this test answer meanwhile.
    let ran = tokio::task::spawn_blocking(move || {
        let all: Vec<&str> =
            ["doctor", "--format", "json"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        command(&folder, &all)
    });
    let (code, out, err) = ran.await.unwrap();
    let findings: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"));
    for finding in &findings {
        assert_eq!(finding["state"] == "good", finding["fix"].is_null(), "each finding says how to fix it: {finding}");
    }
    (code, findings)
}

fn found<'f>(findings: &'f [Value], look: &str) -> &'f Value {
    findings.iter().find(|finding| finding["look"] == look).unwrap_or_else(|| panic!("no `{look}` in {findings:#?}"))
}

fn wrong(findings: &[Value]) -> Vec<&str> {
    findings
        .iter()
        .filter(|finding| finding["state"] == "wrong")
        .map(|finding| finding["look"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_healthy_server_the_doctor_finds_nothing_wrong() {
    let peer = HttpPeer::start().await;
    let mail = SmtpPeer::start(Setup::default()).await;
    let more = format!(
        "  letters: {{type: email, smtp: \"{}\", from: a@label.example, to: b@label.example}}\nheartbeat: {{url: \"{}\"}}\n\
         timezone: Africa/Nairobi\n",
        mail.url(),
        peer.url("/alive/token-4711"),
    );
    let folder = folder(&peer.url("/ledger"), &more);
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
    let before = soon("the delivery", peer.received(1)).await.len();
    let (code, findings) = doctor(folder.path(), &[]).await;
    assert_eq!((code, wrong(&findings)), (0, vec![]), "{findings:#?}");
    for look in [
        "store",
        "schema",
        "permissions",
        "server",
        "rules",
        "webhooks jewelmusic",
        "destination ledger",
        "heartbeat",
        "clock",
    ] {
        assert_eq!(found(&findings, look)["state"], "good", "{look}");
    }
    assert!(found(&findings, "store")["says"].as_str().unwrap().contains("SQLite 3."));
    let rules = found(&findings, "rules")["says"].as_str().unwrap();
    assert!(rules.ends_with(" EAT"), "times are local, with their zone: {rules}");
    assert!(found(&findings, "destination letters")["says"].as_str().unwrap().contains("answers"));
    assert!(!format!("{findings:?}").contains("token-4711"), "the heartbeat's URL is a secret");
    // Nobody was sent anything.
    let ledger = peer.requests().iter().filter(|request| request.target == "/ledger").count();
    assert!(ledger <= before && mail.mails().is_empty());
    assert_eq!(
        std::fs::read_dir(folder.file("data"))
            .unwrap()
            .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("doctor"))
            .count(),
        0
    );

    // From elsewhere it is the same configuration, with the same hash.
    let config = folder.file("fanfare.yaml");
    let (code, findings) = doctor(Path::new("/"), &["--config", config.to_str().unwrap()]).await;
    assert_eq!((code, wrong(&findings)), (0, vec![]), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_what_is_wrong_and_ends_with_one() {
    let peer = HttpPeer::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!(
        "  gone: {{type: http, url: \"http://{gone}/x?token=hush-hush\"}}\n  denied: {{type: http, url: \"http://127.0.0.9/x\"}}\n\
         egress: {{deny: [127.0.0.9/32]}}\n"
    );
    let folder = folder(&peer.url("/ledger"), &more);
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    let listen = config.lines().find_map(|line| line.strip_prefix("listen: ")).unwrap();
    let port = listen.rsplit(':').next().unwrap();
    // By its address `check` knows it; by a name nobody does before it is looked up.
    let circle = format!("destinations:\n  circle: {{type: http, url: \"http://localhost:{port}/\"}}\n");
    folder.write("fanfare.yaml", &config.replace("destinations:\n", &circle));
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
    let database = folder.file("data/fanfare.db");
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, findings) = doctor(folder.path(), &["--url", &peer.url("")]).await;
    assert_eq!(code, 1);
    assert_eq!(
        wrong(&findings),
        ["permissions", "webhooks jewelmusic", "destination circle", "destination denied", "destination gone"]
    );
    assert!(found(&findings, "destination circle")["says"].as_str().unwrap().contains("is this Fanfare itself"));
    assert!(found(&findings, "destination gone")["says"].as_str().unwrap().contains("the connection was refused"));
    assert!(found(&findings, "destination denied")["says"].as_str().unwrap().contains("`egress` denies"));
    assert!(found(&findings, "permissions")["fix"].as_str().unwrap().starts_with("chmod 600 "));
    assert!(!format!("{findings:?}").contains("hush-hush"));

    // Broken rules: older ones are in force, or none.
    folder.write("rules/main.yaml", "rules: [{name: x, evens: '*'}]\n");
    let (code, findings) = doctor(folder.path(), &[]).await;
    assert_eq!(code, 1);
    assert!(found(&findings, "configuration")["says"].as_str().unwrap().contains("evens"));
    assert_eq!(found(&findings, "rules")["state"], "wrong");
    process.kill().await;

    // A body that was changed on disk.
    let conn = rusqlite::Connection::open(&database).unwrap();
    conn.execute("UPDATE inbox SET raw = x'00' WHERE what = 0", []).unwrap();
    drop(conn);
    let (code, findings) = doctor(folder.path(), &[]).await;
    assert_eq!(code, 1);
    assert!(found(&findings, "store")["says"].as_str().unwrap().contains("was changed on disk"));
    assert!(
        found(&findings, "server")["says"].as_str().unwrap().contains("one was there at"),
        "it was alive a moment ago"
    );

    // A time of the store's that is still to come.
    let conn = rusqlite::Connection::open(&database).unwrap();
    conn.execute("UPDATE meta SET value = value + 3600000 WHERE name = 'alive'", []).unwrap();
    drop(conn);
    let (_, findings) = doctor(folder.path(), &[]).await;
    assert!(found(&findings, "clock")["says"].as_str().unwrap().contains("ahead of it"), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_reports_dead_deliveries_and_of_what_the_destination_answered() {
    let (peer, busy) = (HttpPeer::start().await, HttpPeer::start().await);
    peer.always(Answer::status(410));
    busy.always(Answer::status(403));
    let more = format!("  busy: {{type: http, url: \"{}\", retry: {{first: 1s, max: 1s}}}}\n", busy.url("/busy"));
    let folder = folder(&peer.url("/ledger"), &more);
    folder.write("rules/main.yaml", &EVERYTHING.replace("to: ledger", "to: [ledger, busy]"));
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
    eventually("a dead delivery", async || {
        let status = crate::support::app::json(process.admin, "/api/v1/status").await;
        status["deliveries"]["dead"].as_u64().filter(|dead| *dead > 0)
    })
    .await;
    // Somebody's endpoint that refuses is tried again for a day, and nobody should have to wait for its end.
    eventually("the other is known not to be well", async || {
        let metrics = crate::support::app::ask(process.admin, "GET", "/metrics").await.text();
        metrics.contains("fanfare_destination_failing{destination=\"busy\"} 1").then_some(())
    })
    .await;
    for is_running in [true, false] {
        let (code, findings) = doctor(folder.path(), &[]).await;
        let says = found(&findings, "deliveries ledger")["says"].as_str().unwrap().to_owned();
        assert!(code == 1 && says.contains("dead") && says.contains("410"), "{is_running}: {says}");
        let busy = found(&findings, "deliveries busy");
        assert_eq!(busy["state"], "wrong", "{is_running}: {busy}");
        let says = busy["says"].as_str().unwrap();
        assert!(says.contains("nothing gets through") && says.contains("403"), "{is_running}: {says}");
        if is_running {
            process.signal("TERM");
        }
    }
    let (_, _) = process.ended().await;
    // A page that is whole as a page, and holds what nobody wrote.
    let conn = rusqlite::Connection::open(folder.file("data/fanfare.db")).unwrap();
    conn.execute("UPDATE paces SET pace = 'xxxx'", []).unwrap();
    drop(conn);
    let (code, findings) = doctor(folder.path(), &[]).await;
    let says = found(&findings, "store")["says"].as_str().unwrap();
    assert!(code == 1 && says.contains("never written there"), "{says}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_reports_a_page_of_a_table_in_use_that_is_damaged_beside_a_server_and_without_one() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer.url("/ledger"), "");
    let process = Process::start(folder.path()).await;
    for number in 0..200 {
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
    }
    until_done(process.admin).await;
    process.terminate().await;
    let database = folder.file("data/fanfare.db");
    let whole = std::fs::read(&database).unwrap();
    let conn = rusqlite::Connection::open(&database).unwrap();
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    let page = number("PRAGMA page_size");
    let pages = ["inbox", "deliveries", "attempts", "whys"].map(|table| {
        let root = number(&format!("SELECT rootpage FROM sqlite_master WHERE name = '{table}'"));
        // A table of several pages has the number of one in the middle in its root's first cell.
        let cell = usize::from(u16::from_be_bytes([whole[(root - 1) * page + 12], whole[(root - 1) * page + 13]]));
        let child = &whole[(root - 1) * page + cell..][..4];
        assert!(matches!(whole[(root - 1) * page], 2 | 5), "`{table}` has several pages");
        (table, u32::from_be_bytes(child.try_into().unwrap()) as usize)
    });
    drop(conn);
    for (table, nth) in pages {
        for is_running in [false, true] {
            std::fs::write(&database, &whole).unwrap();
            let process = if is_running { Some(Process::start(folder.path()).await) } else { None };
            let file = std::fs::OpenOptions::new().write(true).open(&database).unwrap();
            file.write_all_at(&vec![0xa5; page / 2], ((nth - 1) * page) as u64).unwrap();
            let (code, findings) = doctor(folder.path(), &[]).await;
            let store = found(&findings, "store");
            assert!(code == 1 && store["state"] == "wrong", "`{table}`, {is_running}: {store}");
            if let Some(process) = process {
                process.kill().await;
            }
            for beside in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.file(&format!("data/fanfare.db{beside}")));
            }
        }
    }
}

#[tokio::test]
async fn before_the_first_start_the_doctor_misses_nothing_but_the_server() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer.url("/ledger"), "");
    let (code, findings) = doctor(folder.path(), &[]).await;
    assert_eq!((code, wrong(&findings)), (0, vec![]), "{findings:#?}");
    assert_eq!(found(&findings, "store")["state"], "note");
    assert_eq!(found(&findings, "server")["fix"], "start it: `fanfare serve`");
    assert!(!folder.file("data").exists(), "it makes nothing");
    let missing = CONFIG.replace("now-secret-0123456789abcdef0123456789", "\"${env:FANFARE_TEST_NOWHERE}\"");
    folder.write("fanfare.yaml", &missing.replace("PEER", &peer.url("/ledger")));
    let (code, findings) = doctor(folder.path(), &[]).await;
    assert_eq!(code, 1);
    assert!(found(&findings, "configuration")["says"].as_str().unwrap().contains("FANFARE_TEST_NOWHERE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_busy_server_is_a_store_by_itself() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer.url("/ledger"), "");
    let process = Process::start(folder.path()).await;
    for number in 0..20 {
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
    }
    let (at, busy) = (folder.path().to_owned(), folder.path().to_owned());
    let copying = tokio::task::spawn_blocking(move || command(&at, &["backup", "copy/../copy.db"]));
    for number in 20..40 {
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
    }
    let (code, _, said) = copying.await.unwrap();
    assert_eq!(code, 1, "there is no folder `copy`: {said}");
    let (code, out, said) = tokio::task::spawn_blocking(move || command(&busy, &["backup", "copy.db"])).await.unwrap();
    assert_eq!(code, 0, "{said}");
    let copy = folder.file("copy.db");
    assert!(out.starts_with("copy.db: ") && out.trim_end().ends_with("KiB"), "{out}");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (code, _, said) = command(folder.path(), &["backup", "copy.db"]);
    assert!(code == 1 && said.contains("exists"), "{said}");
    process.kill().await;

    // Put in the store's place, as the documentation says.
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.file(&format!("data/fanfare.db{ending}")));
    }
    std::fs::rename(&copy, folder.file("data/fanfare.db")).unwrap();
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_39").await.json()["status"], "duplicate");
}

#[test]
fn a_backup_of_postgresql_names_the_tool_for_it() {
    let folder = Folder::new("store: postgres://fanfare:hush-hush@db.example/fanfare\nsources: {}\n", "", EVERYTHING);
    let (code, _, said) = command(folder.path(), &["backup", "copy.db"]);
    assert!(code == 1 && said.contains("pg_dump") && !said.contains("hush-hush"), "{said}");
}

#[test]
fn every_kind_of_channel_says_where_it_connects_to() {
    for kind in channels::ALL {
        let channel = channels::example(kind).unwrap();
        let endpoints = &channel.facts().endpoints;
        assert!(!endpoints.is_empty(), "{}", kind.name);
        for endpoint in endpoints {
            let shown = match endpoint {
                Endpoint::Web(server) => server.host.to_string(),
                Endpoint::Mail(_) => continue,
            };
            assert!(channel.facts().address.contains(&shown), "{}: {shown}", kind.name);
        }
    }
}
