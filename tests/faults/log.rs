//! A log that can't be written: its reader is gone, it is full, or nobody reads it. Lines are lost and counted, and nothing
//! else comes of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, PipeReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfare::telemetry::log::{Log, WAITING_MAX, log_panics};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::support::app::{App, ask, event, eventually, json, page_signature, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::load::{deliveries, request, send, until_done};
use crate::support::process::{BINARY, Process};
use crate::support::raw::{Connection, exchange, post};

/// What became of standard error once the process listens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sink {
    /// Anyone who read it has gone, as with `serve 2>&1 | head -1`.
    Gone,
    /// It is `/dev/full` from the start.
    Full,
    /// Nobody reads on, and the pipe fills up.
    Unread,
}

/// A running `fanfare serve`, killed when dropped.
struct Serving {
    child: Child,
    _unread: Option<BufReader<PipeReader>>,
    webhooks: SocketAddr,
    admin: SocketAddr,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address at which nobody listens.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn serve(folder: &Folder, sink: Sink) -> Serving {
    let (webhooks, admin) = (free(), free());
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    let config =
        config.replacen("127.0.0.1:0", &webhooks.to_string(), 1).replacen("127.0.0.1:0", &admin.to_string(), 1);
    folder.write("fanfare.yaml", &config);
    let (stderr, reader) = match sink {
        Sink::Full => (Stdio::from(File::options().write(true).open("/dev/full").unwrap()), None),
        Sink::Gone | Sink::Unread => {
            let (reader, writer) = std::io::pipe().unwrap();
            (Stdio::from(writer), Some(BufReader::new(reader)))
        }
    };
    let level = if sink == Sink::Unread { "trace" } else { "info" };
    let mut command = Command::new(BINARY);
    command.current_dir(folder.path()).args(["serve", "--log", level, "--log-format", "json"]);
    command.env_remove("FANFARE_CONFIG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let child = command.spawn().unwrap();
    // The pipe's other end stands in the command: only the process may hold it.
    drop(command);
    let unread = reader.map(|mut reader| {
        let mut line = String::new();
        while !line.contains("\"listening\"") {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "it did not start");
        }
        reader
    });
    let unread = unread.filter(|_| sink == Sink::Unread);
    eventually("it listens", async || {
        let connection = Connection::try_open(admin).await;
        (connection.is_some() && ask(admin, "GET", "/healthz").await.status == 200).then_some(())
    })
    .await;
    Serving { child, _unread: unread, webhooks, admin }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_closed_full_or_read_by_nobody_holds_up_no_event() {
    for sink in [Sink::Gone, Sink::Full, Sink::Unread] {
        let peer = HttpPeer::start().await;
        let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
        let mut serving = serve(&folder, sink).await;
        // On a pipe that nobody reads: more than it and the queue hold.
        let count = if sink == Sink::Unread { 300 } else { 10 };
        for number in 0..count {
            let answer = soon("an answer", send(serving.webhooks, &format!("evt_{number}"))).await;
            assert_eq!(answer.status, 200, "{sink:?}");
        }
        let wrong = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", "sha256=00")], b"{}");
        assert_eq!(exchange(serving.webhooks, &wrong).await.status, 401, "{sink:?}");
        until_done(serving.admin).await;
        assert_eq!(deliveries(&peer.requests()).len(), count, "{sink:?}");
        assert_eq!(ask(serving.admin, "GET", "/readyz").await.status, 200, "{sink:?}");
        let dropped = eventually("lost lines are counted", async || {
            let metrics = ask(serving.admin, "GET", "/metrics").await.text();
            let line = metrics.lines().find_map(|line| line.strip_prefix("fanfare_log_lines_dropped_total "));
            line.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count > 0)
        })
        .await;
        println!("{sink:?}: {dropped} lines were lost");
        assert!(Command::new("kill").args(["-TERM", &serving.child.id().to_string()]).status().unwrap().success());
        let ended = tokio::task::spawn_blocking(move || serving.child.wait().unwrap().code());
        assert_eq!(soon("its end", ended).await.unwrap(), Some(0), "{sink:?}");
    }
}

/// A sink that does with each write what it is set to do.
struct Told {
    does: Receiver<Does>,
    kept: Arc<Mutex<Vec<u8>>>,
}

enum Does {
    Takes,
    /// Takes this many bytes.
    Part(usize),
    Fails,
    Panics,
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = match self.does.recv() {
            Ok(Does::Takes) => bytes.len(),
            Ok(Does::Part(count)) => count,
            Ok(Does::Fails) | Err(_) => return Err(ErrorKind::StorageFull.into()),
            Ok(Does::Panics) => panic!("the sink panics"),
        };
        self.kept.lock().unwrap().extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn told() -> (Log, Sender<Does>, Arc<Mutex<Vec<u8>>>) {
    let (tell, does) = channel();
    let kept = Arc::new(Mutex::new(Vec::new()));
    (Log::start(Told { does, kept: kept.clone() }).unwrap(), tell, kept)
}

#[test]
fn a_line_that_the_sink_does_not_take_is_counted_and_the_next_begins_a_line_of_its_own() {
    let (log, tell, kept) = told();
    let turns = [Does::Takes, Does::Fails, Does::Panics, Does::Part(2), Does::Fails, Does::Takes, Does::Takes];
    turns.into_iter().for_each(|turn| tell.send(turn).unwrap());
    for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
        log.line(line.as_bytes());
    }
    log.flush(Duration::from_secs(30));
    assert_eq!(String::from_utf8(kept.lock().unwrap().clone()).unwrap(), "one\nfo\nfive\n");
    assert_eq!(log.dropped().get(), 3);
}

#[test]
fn nobody_waits_for_a_sink_that_hangs_and_what_waits_for_it_is_bounded() {
    let (log, tell, kept) = told();
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    let count = 3 * WAITING_MAX / line.len();
    for _ in 0..count {
        log.line(&line);
    }
    let fit = WAITING_MAX / line.len();
    assert_eq!(log.dropped().get(), u64::try_from(count - fit).unwrap());
    log.flush(Duration::from_millis(1));
    assert!(kept.lock().unwrap().is_empty(), "the sink has taken nothing");
    (0..fit).for_each(|_| tell.send(Does::Takes).unwrap());
    log.flush(Duration::from_secs(30));
    assert_eq!(kept.lock().unwrap().len(), WAITING_MAX, "what waited is written once it can be");
}

/// The keys of a JSON object, if none of them stands there twice.
struct Keys(BTreeSet<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Keys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = BTreeSet::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
                    if let Some(key) = keys.replace(key) {
                        return Err(serde::de::Error::custom(format!("`{key}` stands there twice")));
                    }
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_line_has_each_key_once_and_those_of_deliveries_name_rule_event_and_type() {
    let peer = HttpPeer::start().await;
    let rules = "rules:\n  - {name: broken, events: 'x.*', actions: [{to: ledger, message: wanting}]}\n";
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), rules);
    folder.write("templates/wanting.md", "---\ntitle: \"{{ data.absent }}\"\n---\n{{ data.absent | decimal }}\n");
    let process = Process::start_with(folder.path(), "debug", &[]).await;
    peer.answer(Answer::status(410));
    for id in ["evt_dead", "evt_well", "evt_well"] {
        let body = event(id, "x.one");
        let signature = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
        let answer = exchange(process.webhooks, &post("/webhooks/jewelmusic", &[signature], body.as_bytes())).await;
        assert_eq!(answer.status, 200);
        until_done(process.admin).await;
    }
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{log}");
    let mut seen = BTreeSet::new();
    for line in log.lines() {
        let Keys(keys) = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let message = line["message"].as_str().unwrap_or_default();
        let is_of_a_delivery = ["delivered", "an attempt failed", "dead: a person should look"].contains(&message);
        if is_of_a_delivery {
            assert!(["delivery", "destination"].iter().all(|key| keys.contains(*key)), "{line}");
            let event = if message == "delivered" { "evt_well" } else { "evt_dead" };
            if line["event"] == event {
                assert_eq!((&line["rule"], &line["type"]), (&"broken".into(), &"x.one".into()), "{line}");
                seen.insert(message.to_owned());
            }
        }
        if message.starts_with("a template") {
            assert_eq!(line["template"], "wanting", "{line}");
            seen.insert("template".to_owned());
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_signatures_is_counted_whole_and_logged_a_line_a_second() {
    const COUNT: u64 = 400;
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    let began = std::time::Instant::now();
    let mut connection = Connection::open(process.webhooks).await;
    for _ in 0..COUNT {
        connection.send(&post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", "sha256=00")], b"{}")).await;
        assert_eq!(connection.answer().await.status, 401);
    }
    let metrics = ask(process.admin, "GET", "/metrics").await.text();
    assert!(metrics.contains(&format!("source=\"jewelmusic\",outcome=\"signature\"}} {COUNT}")), "{metrics}");
    let told = eventually("each is notified of in the end", async || {
        let log = process.log();
        let lines = log.lines().filter(|line| line.contains("refused"));
        let lines: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let more = |line: &serde_json::Value| line["more"].as_u64().unwrap_or(0);
        let itself = |line: &serde_json::Value| u64::from(line["detail"].is_string());
        let told: u64 = lines.iter().map(|line| more(line) + itself(line)).sum();
        (told == COUNT).then_some(lines.len())
    })
    .await;
    let most = began.elapsed().as_secs() + 1;
    assert!(u64::try_from(told).unwrap() <= most, "{told} lines in {most} seconds");
    // What else is asked is answered as ever.
    assert_eq!(json(process.admin, "/readyz").await["ready"], true);
    exchange(process.webhooks, &request("evt_1")).await;
    soon("the delivery", peer.received(1)).await;
}

/// The commands that need no server, each with something to print.
const COMMANDS: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["check"],
    &["check", "--format", "json"],
    &["explain", "release.live"],
    &["schema", "rules"],
    &["man"],
    &["completions", "bash"],
    &["test"],
    &["preview", "hello", "--event", "release.live", "--as", "slack"],
    &["preview", "hello", "--event", "release.live", "--as", "slack", "--raw"],
];

fn author() -> Folder {
    let folder = Folder::new(
        CONFIG,
        "http://127.0.0.1:9/ledger",
        "rules:\n  - {name: one, events: release.live, actions: [{to: ledger, message: hello}]}\n",
    );
    folder.write("templates/hello.md", "---\ntitle: Hello\n---\nIt is live.\n");
    folder.write(
        "rules/one.test.yaml",
        "tests:\n  - name: live\n    steps:\n      - send: release.live\n      - expect: [{to: ledger}]\n",
    );
    folder
}

#[test]
fn a_full_standard_output_is_one_line_and_exit_code_1() {
    let folder = author();
    for arguments in COMMANDS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(BINARY);
        command.current_dir(folder.path()).args(*arguments).env("NO_COLOR", "1").env_remove("FANFARE_CONFIG");
        let output = command.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(last.starts_with("error: ") && last.contains("No space left"), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_with_the_commands_that_ask_a_server() {
    let peer = HttpPeer::start().await;
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)).await;
    app.send(&event("evt_1", "release.live")).await;
    soon("the delivery", peer.received(1)).await;
    let url = format!("http://{}", app.admin);
    for arguments in [
        &["events", "list"][..],
        &["events", "show", "evt_1"],
        &["events", "export"],
        &["events", "follow", "--last", "1"],
        &["deliveries", "list"],
        &["cases", "list"],
        &["mute", "list"],
        &["reload"],
    ] {
        for (sink, code) in [(Sink::Full, 1), (Sink::Gone, 0)] {
            let stdout = match sink {
                Sink::Full => Stdio::from(File::options().write(true).open("/dev/full").unwrap()),
                _ => Stdio::from(std::io::pipe().unwrap().1),
            };
            let mut command = Command::new(BINARY);
            command.args(arguments).env("NO_COLOR", "1").env("FANFARE_ADMIN_URL", &url).env_remove("FANFARE_CONFIG");
            command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
            let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?} {sink:?}: {said}");
            assert_eq!(said.lines().count(), usize::from(sink == Sink::Full), "{arguments:?} {sink:?}: {said}");
        }
    }
    app.end().await;
}

#[test]
fn a_panic_is_logged_by_the_same_way() {
    let (log, tell, kept) = told();
    tell.send(Does::Takes).unwrap();
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
    tracing::subscriber::with_default(lines, || {
        let usual = std::panic::take_hook();
        log_panics();
        let panicked = std::panic::catch_unwind(|| panic!("nobody thought of {}", "this"));
        std::panic::set_hook(usual);
        assert!(panicked.is_err());
    });
    log.flush(Duration::from_secs(30));
    let text = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["message"], &line["said"]), (&"panicked".into(), &"nobody thought of this".into()), "{text}");
    assert!(line["at"].as_str().unwrap().contains("tests/faults/log.rs"), "{text}");
}

#[test]
fn a_reader_of_standard_output_that_has_enough_ends_a_command_quietly() {
    let folder = author();
    for arguments in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(BINARY);
        command.current_dir(folder.path()).args(*arguments).env("NO_COLOR", "1").env_remove("FANFARE_CONFIG");
        let output = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.contains("error")), (Some(0), false), "{arguments:?}: {said}");
    }
}

#[test]
fn a_standard_error_that_is_gone_changes_nothing_about_a_command() {
    let folder = author();
    folder.write("rules/main.yaml", "rules: [{name: x, evens: '*'}]\n");
    for full in [false, true] {
        let stderr = if full {
            Stdio::from(File::options().write(true).open("/dev/full").unwrap())
        } else {
            let (_, writer) = std::io::pipe().unwrap();
            Stdio::from(writer)
        };
        let mut command = Command::new(BINARY);
        command.current_dir(folder.path()).args(["explain", "release.live"]).env_remove("FANFARE_CONFIG");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{out}");
    }
}
