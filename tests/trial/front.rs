//! What authors see is what the running server does: `explain`, `preview` and `test` are held against a server with
//! real listeners, a store on disk and every channel's bytes on a socket, for every sample of the webhook page and the
//! shipped rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use fanfare::channels::Request;
use fanfare::clock::{Clock, VirtualClock};
use fanfare::delivery::State;
use fanfare::problem::File;
use fanfare::rehearse::show::{Wanted, show};
use fanfare::rules::Held;
use fanfare::source::samples::{self, Sample};
use fanfare::source::{self, Outgoing};
use fanfare::steps::Bounds;
use fanfare::store::DeliveryFilter;
use serde_json::{Value, json};

use super::*;
use crate::support::app::{App, eventually};
use crate::support::cli;
use crate::support::folder::Folder;
use crate::support::http_peer::{Answer, HttpPeer, Recorded};
use crate::support::smtp_peer::{Setup, SmtpPeer};

/// A Monday at noon, UTC: nobody sleeps.
const NOON: &str = "2026-01-05T12:00:00Z";

/// The peers that stand for every service.
struct Peers {
    http: HttpPeer,
    mail: SmtpPeer,
}

/// What one of them got: the destination, and the bytes.
type Got = (String, Vec<u8>);

impl Peers {
    async fn start() -> Self {
        let answer = |request: &Recorded| match request.target.split('/').nth(1) {
            Some("slack") => Answer::status(200).body("ok"),
            Some("api") => {
                Answer::status(200).json(&json!({"id": "1199887766554433221", "channel_id": "1199887766554433220"}))
            }
            Some("pager") => Answer::status(202).json(&json!({"status": "success", "dedup_key": "a"})),
            _ => Answer::status(200),
        };
        Self { http: HttpPeer::serving(answer).await, mail: SmtpPeer::start(Setup::default()).await }
    }

    /// The shipped rules, and a destination of every channel for them.
    fn folder(&self) -> Folder {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mail = |to: &str| {
            format!(
                "{{type: email, smtp: \"{}\", from: fanfare@label.example, to: {to}@label.example}}",
                self.mail.url()
            )
        };
        let config = format!(
            "listen: 127.0.0.1:0
admin: {{listen: \"127.0.0.1:0\"}}
store: sqlite:fanfare.db
rules: {}
templates: {}
timezone: Europe/Berlin
sources: {{jewelmusic: {{preset: jewelmusic, secrets: [{}]}}}}
destinations:
  release-team: {{type: slack, webhook_url: \"{}\", mentions: {{lead: U024BE7LH}}, burst: 50}}
  fans: {{type: discord, webhook_url: \"{}\", burst: 50}}
  oncall: {{type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef, url: \"{}\", burst: 50}}
  ledger: {{type: http, url: \"{}\"}}
  label-heads: {}
  finance: {}
",
            here.join("rules").display(),
            here.join("templates").display(),
            crate::support::folder::SECRET,
            self.http.url("/slack/release-team"),
            self.http.url("/api/webhooks/123456789012345678/fans-FAKE-xJ3vQ0yT8wRkN5bZ1cL7dM2pS4aG6hUe"),
            self.http.url("/pager/oncall"),
            self.http.url("/ledger"),
            mail("heads"),
            mail("royalties"),
        );
        Folder::new(&config, "", "rules: []\n")
    }

    /// Everything that came so far.
    fn got(&self) -> Vec<Got> {
        let name = |request: &Recorded| match request.target.split('/').nth(1) {
            Some("slack") => "release-team",
            Some("api") => "fans",
            Some("pager") => "oncall",
            _ => "ledger",
        };
        let requests = self.http.requests();
        let mut got: Vec<Got> =
            requests.iter().map(|request| (name(request).to_owned(), request.body.clone())).collect();
        for mail in self.mail.mails() {
            let to = if mail.to.iter().any(|to| to.contains("heads")) { "label-heads" } else { "finance" };
            got.push((to.to_owned(), mail.content.clone()));
        }
        got.sort();
        got
    }
}

/// One sample through a server of its own.
struct Played {
    app: App,
    peers: Peers,
    clock: VirtualClock,
    body: Vec<u8>,
}

impl Played {
    async fn of(sample: &Sample) -> Self {
        let clock = VirtualClock::new(NOON.parse().unwrap());
        let peers = Peers::start().await;
        let app = App::start_with(peers.folder(), Bounds::default(), Arc::new(clock.clone())).await;
        let body = sample.instance(&mut fastrand::Rng::with_seed(1), clock.now()).raw();
        assert_eq!(app.send(std::str::from_utf8(&body).unwrap()).await.status, 200, "{}", sample.name);
        let what = format!("all of {} is sent", sample.name);
        eventually(&what, async || {
            let census = app.live.store.census().await.unwrap();
            let states = vec![State::Due, State::Sending, State::Retrying];
            let filter = DeliveryFilter { states, limit: 100, ..DeliveryFilter::default() };
            let waiting = app.live.store.list_deliveries(&filter).await.unwrap();
            (census.planned >= census.head && census.head > 0 && waiting.is_empty()).then_some(())
        })
        .await;
        Self { app, peers, clock, body }
    }

    fn id(&self) -> String {
        serde_json::from_slice::<Value>(&self.body).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The event as the server took it.
    fn event(&self) -> Event {
        let snapshot = self.app.live.snapshot.load_full();
        let source = snapshot.default_source().unwrap();
        let outgoing = Outgoing { id: "", kind: "", body: &self.body, at: self.clock.now() };
        let mut headers = axum::http::HeaderMap::new();
        for (name, value) in source.sign(None, &outgoing).unwrap() {
            headers.insert(axum::http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        source::open(source, &source::Request { headers: &headers, body: &self.body }, self.clock.now()).unwrap()
    }

    /// What `preview` shows of every action that speaks of the event at once: the bytes, and by what command.
    async fn previewed(&self) -> Vec<(Got, Vec<String>)> {
        let snapshot = self.app.live.snapshot.load_full();
        let (event, now) = (self.event(), self.clock.now());
        let mut shown = Vec::new();
        for judgement in snapshot.rules.as_ref().unwrap().judge(&event) {
            let acts = judgement.actions.iter().filter(|acted| acted.held == Held::Held);
            for action in acts.filter(|_| judgement.held == Some(Held::Held)).map(|acted| acted.action) {
                for to in &action.to {
                    let destination = snapshot.destinations[&to.value].clone();
                    let spoken = Some((judgement.rule, action));
                    let say = &action.say.value;
                    let wanted = Wanted { say, action: spoken, destination, before: &[], event: &event, now };
                    let one = show(&snapshot, &wanted).await.unwrap();
                    if one.at != Some(now) {
                        continue;
                    }
                    let bytes = match one.request {
                        Request::Http(http) => http.body,
                        Request::Mail(mail) => mail.message,
                        Request::Nothing => continue,
                    };
                    let command = ["--rule", &judgement.rule.name.value, "--as", &to.value];
                    shown.push(((to.value.clone(), bytes), command.map(str::to_owned).to_vec()));
                }
            }
        }
        shown.sort();
        shown
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_preview_and_test_say_what_the_server_does() {
    let mut sent = 0;
    for sample in &samples::ALL[..samples::PAGE] {
        let played = Played::of(sample).await;
        let got = played.peers.got();
        let previewed = played.previewed().await;
        let bytes: Vec<Got> = previewed.iter().map(|(got, _)| got.clone()).collect();
        assert_eq!(texts(&bytes), texts(&got), "{}: preview, and what was received", sample.name);
        explained(&played, sample).await;
        tested(&played, sample).await;
        if sample.name == "fraud.action_required" {
            commanded(&played, &previewed).await;
        }
        sent += got.len();
        played.app.end().await;
    }
    assert!(sent >= 15, "only {sent} messages");
}

fn texts(got: &[Got]) -> Vec<(String, String)> {
    got.iter().map(|(to, bytes)| (to.clone(), String::from_utf8(bytes.clone()).unwrap())).collect()
}

/// `explain` says of each rule what the server's own record says.
async fn explained(played: &Played, sample: &Sample) {
    let file = played.app.folder.file("event.json");
    std::fs::write(&file, &played.body).unwrap();
    let config = played.app.folder.file("fanfare.yaml");
    let arguments = ["--config", config.to_str().unwrap(), "explain", file.to_str().unwrap(), "--format", "json"];
    let explained = cli::run(&[], &arguments).await.json();
    let heard = |rule: &&Value| rule["why"]["path"] != "$.type" || rule["why"]["held"] == "held";
    let said: BTreeMap<String, String> = explained["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(heard)
        .map(|rule| (rule["rule"].as_str().unwrap().to_owned(), rule["outcome"].as_str().unwrap().to_owned()))
        .collect();
    let event = played.app.json(&format!("/api/v1/events/{}", played.id())).await;
    let did: BTreeMap<String, String> = event["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let outcome = match row["outcome"].as_str().unwrap() {
                "closed" => "closes",
                "digest" | "held" | "throttled" => "matched",
                other => other,
            };
            (row["rule"].as_str().unwrap().to_owned(), outcome.to_owned())
        })
        .collect();
    assert_eq!(said, did, "{}: explain, and what the server recorded", sample.name);
}

/// A test that expects what the server sent passes, and one that expects less fails.
async fn tested(played: &Played, sample: &Sample) {
    let all = DeliveryFilter { states: vec![State::Delivered], limit: 100, ..DeliveryFilter::default() };
    let delivered = played.app.live.store.list_deliveries(&all).await.unwrap();
    let expectations: Vec<Value> = delivered
        .iter()
        .map(|delivery| {
            let rendered: Value = serde_json::from_str(delivery.message.as_deref().unwrap()).unwrap();
            // What a glob would read as a sign stands for itself.
            let title = rendered["message"]["title"].as_str().unwrap().replace(['*', '{', '}', ','], "?");
            json!({"rule": delivery.planned.rule, "to": delivery.planned.destination, "title": title})
        })
        .collect();
    let steps = |expected: &[Value]| json!([{"at": NOON}, {"send": sample.name}, {"expect": expected}]);
    let document = json!({"tests": [
        {"name": "what it sent", "steps": steps(&expectations)},
        {"name": "and no less", "steps": steps(expectations.get(1..).unwrap_or_default())},
    ]});
    let config = played.app.folder.file("fanfare.yaml");
    // Tests are played on runtimes of their own, which can't begin within this one.
    let play = std::thread::spawn(move || {
        let set = set(load::load(&config, &NoEnvironment, RealClock.now()));
        let tests = set.tests(&[File::new("front.test.yaml", document.to_string())]);
        let outcomes = play(&set, &tests);
        let failed: Vec<bool> = outcomes.iter().map(|outcome| !outcome.failed.is_empty()).collect();
        (failed, report(&tests, &outcomes))
    });
    let (failed, report) = play.join().unwrap();
    assert_eq!(failed, [false, !expectations.is_empty()], "{}:\n{report}", sample.name);
}

/// The command prints the very bytes, where they don't say when they were sent.
async fn commanded(played: &Played, previewed: &[(Got, Vec<String>)]) {
    let file = played.app.folder.file("event.json");
    let config = played.app.folder.file("fanfare.yaml");
    let mut channels = BTreeSet::new();
    for ((to, bytes), command) in
        previewed.iter().filter(|((to, _), _)| ["oncall", "release-team"].contains(&to.as_str()))
    {
        let rule = command[1].as_str();
        let mut arguments = vec!["--config", config.to_str().unwrap(), "preview", rule, "--raw", "--event"];
        arguments.push(file.to_str().unwrap());
        arguments.extend(command.iter().map(String::as_str));
        let ran = cli::run(&[], &arguments).await;
        assert_eq!(ran.out, String::from_utf8_lossy(bytes), "{command:?}: {}", ran.err);
        channels.insert(to.as_str());
    }
    assert!(!channels.is_empty());
}
