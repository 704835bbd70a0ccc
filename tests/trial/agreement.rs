//! A rehearsal and a server agree: the same events on the store in memory with recording destinations, and on SQLite
//! with real channels, send the same messages at the same moments.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use fanfare::channels::wire::Transport;
use fanfare::channels::{Reply, Request};
use fanfare::clock::{Clock, VirtualClock};
use fanfare::config::substitute::NoEnvironment;
use fanfare::config::{Snapshot, load};
use fanfare::delivery::State;
use fanfare::event::Event;
use fanfare::rehearse::Stage;
use fanfare::secret::Secret;
use fanfare::source::{self, Outgoing, Source, presets, samples};
use fanfare::steps::{Live, StepResult, dispatch, plan};
use fanfare::store;
use fanfare::store::DeliveryFilter;
use jiff::{SignedDuration, Timestamp};

const SEED: u64 = 7;

/// When, which rule, whom, and what, as JSON.
type Told = BTreeSet<(Timestamp, String, String, String)>;

/// What happens to both.
enum Happening {
    Comes(Box<Event>),
    Waits(SignedDuration),
    Breaks(bool),
}

/// An HTTP receiver that takes everything, unless it is down.
#[derive(Default)]
struct Receiver {
    down: AtomicBool,
}

/// The destination that breaks.
const BREAKS: &str = "release-team";

impl Transport for Receiver {
    fn send<'a>(
        &'a self,
        destination: &'a str,
        _: &'a Request,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        let down = destination == BREAKS && self.down.load(Ordering::SeqCst);
        let reply = if down { Reply::NotSent("told to fail".into()) } else { Reply::http(200, "") };
        Box::pin(std::future::ready(reply))
    }
}

fn start() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

/// The shipped rules, and every destination that they name as an HTTP receiver.
fn snapshot(folder: &Path) -> Snapshot {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["release-team", "label-heads", "finance", "oncall", "fans", "ledger"];
    let urls: String =
        names.iter().map(|name| format!("  {name}: {{type: http, url: \"https://example.com/{name}\"}}\n")).collect();
    let text = format!(
        "rules: {}\ntemplates: {}\nsources:\n  jewelmusic: {{preset: jewelmusic, path: /j, secrets: [one-secret]}}\n\
         destinations:\n{urls}",
        here.join("rules").display(),
        here.join("templates").display(),
    );
    let file = folder.join("fanfare.yaml");
    std::fs::write(&file, text).unwrap();
    let loaded = load::load(&file, &NoEnvironment, start());
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    loaded.snapshot.unwrap()
}

/// Every sample, one after the other with hours between them, twice; one destination is down for two days.
fn happenings() -> Vec<Happening> {
    let source = Source::of("jewelmusic", presets::named("jewelmusic").unwrap(), vec![Secret::new("one-secret")]);
    let mut dice = fastrand::Rng::with_seed(SEED);
    let mut now = start();
    let mut happenings = Vec::new();
    for round in 0..2 {
        for (nth, sample) in samples::ALL.iter().enumerate() {
            let instance = sample.instance(&mut dice, now);
            let raw = instance.raw();
            let outgoing = Outgoing { id: &instance.id, kind: &instance.kind, body: &raw, at: now };
            let mut headers = HeaderMap::new();
            for (name, value) in source.sign(None, &outgoing).unwrap() {
                headers.insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
            }
            let event = source::open(&source, &source::Request { headers: &headers, body: &raw }, now).unwrap();
            happenings.push(Happening::Comes(Box::new(event)));
            let wait = SignedDuration::from_mins(47 * (1 + (nth as i64 * 5) % 11));
            happenings.push(Happening::Waits(wait));
            now = now.checked_add(wait).unwrap();
            if round == 0 && (nth == 3 || nth == 20) {
                happenings.push(Happening::Breaks(nth == 3));
            }
        }
    }
    happenings.push(Happening::Waits(SignedDuration::from_hours(40 * 24)));
    happenings
}

async fn rehearsed(snapshot: Snapshot) -> Told {
    let rules = snapshot.rules.clone().unwrap();
    let stage = Stage::new(snapshot);
    let mut rehearsal = stage.rehearse(rules, start(), SEED).await.unwrap();
    for happening in happenings() {
        match happening {
            Happening::Comes(event) => {
                rehearsal.receive(*event).await.unwrap();
            }
            Happening::Waits(span) => {
                rehearsal.wait_until(rehearsal.now().checked_add(span).unwrap()).await.unwrap();
            }
            Happening::Breaks(down) => rehearsal.set_failing(BREAKS, down),
        }
    }
    let told = rehearsal.take_sent().into_iter();
    told.map(|sent| (sent.at, sent.rule, sent.destination, serde_json::to_string(&sent.rendered).unwrap())).collect()
}

/// What the loops of a server do at one moment. Gives when they would wake up.
async fn turn(live: &Live) -> Option<Timestamp> {
    loop {
        let now = live.clock.now();
        let planned = plan::step(live, now).await.unwrap();
        let claimed = dispatch::claim(live, &HashMap::new(), now).await.unwrap();
        for claim in &claimed.claims {
            dispatch::carry_out(live, claim.clone()).await.unwrap();
        }
        if let (StepResult::Idle(until), true) = (planned, claimed.claims.is_empty() && !claimed.told) {
            return [until, claimed.next].into_iter().flatten().min();
        }
    }
}

async fn served(snapshot: Snapshot, folder: &Path) -> Told {
    let store = store::open(&Secret::new("sqlite:fanfare.db"), folder).await.unwrap();
    let (clock, receiver) = (VirtualClock::new(start()), Arc::new(Receiver::default()));
    let live = Live::new(store, Arc::new(snapshot), Arc::new(clock.clone()), receiver.clone(), SEED);
    for happening in happenings() {
        match happening {
            Happening::Comes(event) => {
                live.store.append(*event).await.unwrap();
                turn(&live).await;
            }
            Happening::Waits(span) => {
                let until = clock.now().checked_add(span).unwrap();
                while let Some(next) = turn(&live).await.filter(|next| *next <= until) {
                    assert!(next > clock.now(), "nothing is left for a moment that has passed");
                    clock.set(next);
                }
                clock.set(until);
                turn(&live).await;
            }
            Happening::Breaks(down) => receiver.down.store(down, Ordering::SeqCst),
        }
    }
    let all = DeliveryFilter { states: vec![State::Delivered], limit: 100_000, ..DeliveryFilter::default() };
    let delivered = live.store.list_deliveries(&all).await.unwrap();
    live.store.close().await.unwrap();
    let told = delivered.into_iter().map(|delivery| {
        let planned = delivery.planned;
        (delivery.finished.unwrap(), planned.rule, planned.destination, delivery.message.unwrap())
    });
    told.collect()
}

#[tokio::test]
async fn a_rehearsal_sends_what_a_server_sends_and_when() {
    let folder = tempfile::tempdir().unwrap();
    let rehearsed = rehearsed(snapshot(folder.path())).await;
    let served = served(snapshot(folder.path()), folder.path()).await;
    let differ: Vec<_> = rehearsed.symmetric_difference(&served).collect();
    assert!(differ.is_empty(), "{} of {}: {differ:#?}", differ.len(), served.len());
    assert!(served.len() > 70, "only {} messages", served.len());
    let rules: BTreeSet<&str> = served.iter().map(|(_, rule, ..)| rule.as_str()).collect();
    assert!(rules.contains("own-destination-failing") && rules.contains("royalty-missing"), "{rules:?}");
}
