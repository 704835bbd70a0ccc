//! At rest it costs nothing, and it is ready at once.

use std::time::Duration;

use crate::support::app::{event, eventually, json, page_signature, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::process::Process;
use crate::support::raw::{exchange, post};

/// User and system time so far.
fn cpu(process: &Process) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    // The name may hold blanks: what follows its bracket does not.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts in hundredths of a second, whatever the kernel's own clock.
    Duration::from_millis(ticks * 10)
}

/// Resident memory, in KiB.
fn memory_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The share of a core that it takes, in percent, over some seconds in which nobody asks anything of it.
async fn idle_percent(process: &Process) -> f64 {
    let mut ticks = tokio::time::interval(Duration::from_secs(3));
    ticks.tick().await;
    let (began, before) = (std::time::Instant::now(), cpu(process));
    ticks.tick().await;
    100.0 * (cpu(process) - before).as_secs_f64() / began.elapsed().as_secs_f64()
}

#[tokio::test]
async fn at_rest_it_takes_no_processor() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    let percent = idle_percent(&process).await;
    println!("{percent:.1} % of a core at rest, {} KiB", memory_kib(&process));
    assert!(percent < 2.0, "{percent} % of a core");
}

#[tokio::test]
async fn waiting_for_a_retry_it_takes_no_processor_either() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(503));
    let config = CONFIG.replace("{first: 1s, max: 1s}", "{first: 1h, max: 1h}");
    let folder = Folder::new(&config, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    for number in 0..20 {
        let body = event(&format!("evt_{number}"), "release.live");
        let signature = page_signature(SECRET, body.as_bytes());
        let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
        assert_eq!(exchange(process.webhooks, &request).await.status, 200);
    }
    soon("the first attempts", peer.received(1)).await;
    eventually("nothing is under way", async || {
        let status = json(process.admin, "/api/v1/status").await;
        (status["inbox"]["head"] == status["inbox"]["planned"] && status["deliveries"]["sending"] == 0).then_some(())
    })
    .await;
    let percent = idle_percent(&process).await;
    println!("{percent:.1} % of a core while waiting");
    assert!(percent < 4.0, "{percent} % of a core");
}

#[tokio::test]
async fn with_a_hundred_rules_it_is_ready_at_once() {
    let peer = HttpPeer::start().await;
    let rule = |number: usize| {
        format!(
            "  - name: rule-{number}\n    events: [release.*, track.*]\n    when:\n      $.data.label: [Warp, \"Label {number}\"]\n      \
             $.data.tracks[*].streams: {{gte: {number}}}\n    actions: [{{to: ledger, message: hello}}]\n"
        )
    };
    let rules: String = std::iter::once("rules:\n".to_owned()).chain((0..100).map(rule)).collect();
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules);
    folder.write("templates/hello.md", "---\ntitle: \"{{ event.type }}\"\n---\nIt happened to **{{ event.id }}**.\n");
    let process = Process::start(folder.path()).await;
    let ready = json(process.admin, "/readyz").await;
    assert_eq!((&ready["ready"], &ready["rules"]["count"]), (&true.into(), &100.into()), "{}", process.log());
    println!("ready after {} ms with 100 rules, {} KiB", process.took.as_millis(), memory_kib(&process));
    assert!(process.took < Duration::from_secs(10), "{:?}", process.took);
}
