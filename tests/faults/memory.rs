//! What strangers and large bodies may cost in memory, seen from outside: the most that the process ever held.

use std::net::SocketAddr;

use tokio::task::JoinSet;

use crate::support::app::{event, json, page_signature, soon};
use crate::support::folder::{CONFIG, Folder, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::raw::{Answer, Connection, exchange, post};

const PATH: &str = "/webhooks/jewelmusic";

/// A process that receives and plans nothing: its rules are broken.
async fn receiving() -> (Folder, Process) {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), "rules: 17\n");
    let process = Process::start_with(folder.path(), "error,fanfare::cli::serve=info", &[]).await;
    (folder, process)
}

/// A line of `/proc/PID/status`, in MiB.
fn mib(process: &Process, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let found = status.lines().find(|found| found.starts_with(line)).unwrap();
    found.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Sends all of each request but its last byte, then, once all have, that byte, and gives the answers.
async fn together(address: SocketAddr, requests: Vec<Vec<u8>>) -> Vec<Answer> {
    let mut sending = JoinSet::new();
    for request in requests {
        sending.spawn(async move {
            let mut connection = Connection::open(address).await;
            let (most, last) = request.split_at(request.len() - 1);
            connection.send(most).await;
            (connection, last.to_vec())
        });
    }
    let held = sending.join_all().await;
    let mut answers = Vec::new();
    for (mut connection, last) in held {
        connection.send(&last).await;
        answers.push(connection.answer().await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_large_bodies_of_strangers_cost_little() {
    let (_folder, process) = receiving().await;
    let before = mib(&process, "VmRSS");
    let body = vec![b'a'; 1_000_000];
    let forged = post(PATH, &[("X-JewelMusic-Signature", page_signature("no secret of ours", &body))], &body);
    let unsigned = post::<&str>(PATH, &[], &body);
    let refused = post(PATH, &[("X-JewelMusic-Signature", "sha256=00")], &body);
    let flood = (0..1_000).map(|number| [&forged, &unsigned, &refused][number % 3].clone()).collect();
    let answers = together(process.webhooks, flood).await;
    let (most, after) = (mib(&process, "VmHWM"), mib(&process, "VmRSS"));
    println!("{before} MiB before, {most} MiB at most, {after} MiB after");
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert!(count(503) > 0 && count(401) > 300, "503: {}, 401: {}, 408: {}", count(503), count(401), count(408));
    assert!(most - before < 128, "{before} MiB before, {most} MiB at most");
    assert_eq!(json(process.admin, "/api/v1/status").await["inbox"]["head"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_large_bodies_of_small_objects_at_once_cost_little_more_than_their_bytes() {
    let (_folder, process) = receiving().await;
    let before = mib(&process, "VmRSS");
    let large = |number: usize| {
        let small = vec![r#"{"a":1}"#; 130_000].join(",");
        let body = format!(r#"{{"id":"evt_{number}","type":"royalty.reported","data":[{small}]}}"#);
        assert!(body.len() > 1_000_000 && body.len() <= 1 << 20);
        post(PATH, &[("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))], body.as_bytes())
    };
    let answers = together(process.webhooks, (0..64).map(large).collect()).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(200), 64, "503: {}", count(503));
    let most = mib(&process, "VmHWM");
    println!("{before} MiB before, {most} MiB at most");
    assert!(most - before < 256, "{before} MiB before, {most} MiB at most");

    let page = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", process.admin);
    assert_eq!(exchange(process.admin, page.as_bytes()).await.status, 200);
    assert_eq!(json(process.admin, "/api/v1/events?limit=1000").await[0]["type"], "royalty.reported");
    println!("{} MiB at most with lists", mib(&process, "VmHWM"));
    assert!(mib(&process, "VmHWM") - before < 256, "lists read no bodies");

    // It is given back: within a minute, and here by a reload.
    let reload =
        format!("POST /-/reload HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", process.admin);
    assert_eq!(exchange(process.admin, reload.as_bytes()).await.status, 422, "its rules are broken");
    let after = mib(&process, "VmRSS");
    println!("{after} MiB after");
    assert!(after - before < 48, "{before} MiB before, {after} MiB after");

    let small = event("evt_small", "release.live");
    let request = post(PATH, &[("X-JewelMusic-Signature", page_signature(SECRET, small.as_bytes()))], small.as_bytes());
    assert_eq!(exchange(process.webhooks, &request).await.status, 200);
}

/// An event of many keys.
fn many_keys(id: &str, kind: &str) -> String {
    let keys: Vec<String> = (0..20_000).map(|number| format!(r#""k{number:05}":"b""#)).collect();
    format!(r#"{{"id":"{id}","type":"{kind}","data":{{{}}}}}"#, keys.join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_are_rendered_one_at_a_time_and_a_digest_shows_those_for_which_there_is_room() {
    let peer = HttpPeer::start().await;
    let rules = "rules:
  - {name: each, events: release.live, actions: [{to: ledger}]}
  - {name: all, events: release.updated, actions: [{to: ledger, digest: {every: 10s}, text: '{{ events|length }} and {{ more }} more'}]}
";
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), rules);
    let process = Process::start_with(folder.path(), "error,fanfare::cli::serve=info", &[]).await;
    let send = async |id: String, kind: &str| {
        let body = many_keys(&id, kind);
        let signed = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
        assert_eq!(exchange(process.webhooks, &post(PATH, &[signed], body.as_bytes())).await.status, 200);
    };
    let before = mib(&process, "VmRSS");
    for number in 0..6 {
        send(format!("evt_{number}"), "release.live").await;
    }
    soon("each is reported", peer.received(6)).await;
    let each = mib(&process, "VmHWM");
    for number in 0..16 {
        send(format!("evt_digest_{number}"), "release.updated").await;
    }
    let told = soon("they are notified together", peer.received(7)).await.pop().unwrap().text();
    let all = mib(&process, "VmHWM");
    println!("{before} MiB before, {each} MiB at most for each, {all} MiB with all");
    assert!(
        told.contains("\"11 and ") && !told.contains("11 and 0 more"),
        "{}",
        told.chars().take(400).collect::<String>()
    );
    assert!(each - before < 160 && all - before < 256, "{before} MiB before, {each} for each, {all} with all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_royalty_report_of_eleven_thousand_rows_costs_little_more_than_its_text() {
    let peer = HttpPeer::start().await;
    let rules = "rules:
  - name: report
    events: royalty.reported
    when: {'$.data.rows[*].streams': {gte: 1}}
    actions: [{to: ledger, text: '{{ data.rows|length }} rows, {{ data.rows|first }}'}]
";
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), rules);
    let process = Process::start_with(folder.path(), "error,fanfare::cli::serve=info", &[]).await;
    let before = mib(&process, "VmRSS");
    let row =
        |nth: u32| format!(r#"{{"isrc":"DEA{nth:07}","title":"Track {nth}","streams":{nth},"amount":"{nth}.25"}}"#);
    let rows: Vec<String> = (0..11_000).map(row).collect();
    let body = format!(r#"{{"id":"evt_report","type":"royalty.reported","data":{{"rows":[{}]}}}}"#, rows.join(","));
    let signed = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
    assert_eq!(exchange(process.webhooks, &post(PATH, &[signed], body.as_bytes())).await.status, 200);
    let told = soon("it is reported", peer.received(1)).await.pop().unwrap().text();
    assert!(told.contains("11000 rows"), "{}", told.chars().take(400).collect::<String>());
    let most = mib(&process, "VmHWM");
    println!("{before} MiB before, {most} MiB at most, for {} KiB", body.len() >> 10);
    assert!(most - before < 100, "{before} MiB before, {most} MiB at most");
}
