//! Random histories of events, people, reloads, restarts and clocks, through planner and store, beside the reference.
//!
//! A seed makes rules and a history; where they differ from the reference, the history is cut down as far as it still does,
//! and the seed is named. `FANFARE_HISTORIES` sets how many are tried, `FANFARE_HISTORY` one of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use fanfare::channels::wire::{Guard, Wire};
use fanfare::clock::{VirtualClock, from_ms};
use fanfare::config::substitute::NoEnvironment;
use fanfare::config::{Snapshot, load};
use fanfare::delivery::{Attempt, AttemptOutcome, State};
use fanfare::event::{Command, Event, EventId, Item, Mute, UpcomingOp};
use fanfare::pace::{Limits, Next};
use fanfare::planner::loaded::DueTimer;
use fanfare::problem::{File, Problems};
use fanfare::rules::{RuleSet, parse};
use fanfare::secret::Secret;
use fanfare::steps::{Live, plan};
use fanfare::store;
use fanfare::store::{Room, Settlement, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::against::Against;
use super::scripts::{EDITING, MAPPED, PLACES, PRESS, ROOMS, Script, Step, UPDATING, script};
use super::watched::Watch;
use super::words;
use super::{DAY, HOUR, MINUTE, Ms};
use crate::support::folder::Folder;
use crate::support::wrapped::Wrapped;

/// The first moment of every history, in ms: a Monday.
const START_MS: Ms = 1_767_607_200_000;

/// Where the planner's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Memory,
    Sqlite,
}

/// The destinations of all histories; `pager` can resolve what it showed, `board` can change it.
const CONFIG: &str = r#"
listen: 127.0.0.1:8080
admin: {listen: "127.0.0.1:8081"}
store: "memory:"
sources:
  jewelmusic: {preset: jewelmusic, path: /webhooks/jewelmusic, secrets: [whsec-of-the-histories-0123456789]}
destinations:
  chat: {type: http, url: "https://chat.example/"}
  pager: {type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef}
  mail: {type: email, smtp: "smtps://u:p@mail.example", from: f@label.example, to: {map: rooms, allow: "*"}}
  night: {type: http, url: "https://night.example/"}
  press: {type: http, url: "https://press.example/", external: true, embargo: "until $.data.date"}
  board: {type: discord, webhook_url: "https://discord.example/api/webhooks/123456789012345678/abc"}
"#;

/// What is the same in all snapshots.
fn base() -> &'static Snapshot {
    static BASE: OnceLock<Snapshot> = OnceLock::new();
    BASE.get_or_init(|| {
        let to = PLACES.map(String::from).into_iter().chain([EDITING.into()]).collect::<Vec<_>>().join(", ");
        let folder = Folder::new(CONFIG, "", &format!("maps: {{{ROOMS}: {{by: $.id, else: all@label.example}}}}\nrules: [{{name: x, events: '*', actions: [{{to: [{to}]}}]}}]"));
        let loaded = load::load(&folder.file("fanfare.yaml"), &NoEnvironment, from_ms(0));
        assert!(!loaded.problems.has_errors(), "{}", loaded.report());
        loaded.snapshot.unwrap()
    })
}

/// What is in force under these rules, which `hash` tells from others.
fn snapshot(version: &Value, hash: String) -> Arc<Snapshot> {
    let base = base();
    Arc::new(Snapshot {
        settings: base.settings.clone(),
        sources: base.sources.clone(),
        destinations: base.destinations.clone(),
        rules: Some(Arc::new(rules(version))),
        templates: base.templates.clone(),
        samples: base.samples.clone(),
        hash,
        since: base.since,
        seen: base.seen.clone(),
    })
}

fn rules(version: &Value) -> RuleSet {
    let mut problems = Problems::new();
    let mut version = version.clone();
    if version.get("maps").is_none() {
        version["maps"] = json!({ROOMS: words::rooms(0, 1)[0]});
    }
    let rules = parse(&[File::new("rules.yaml", version.to_string())], &BTreeMap::new(), None, &mut problems);
    let said: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(!problems.has_errors(), "{}", said.join("\n"));
    rules
}

/// A history while it is played.
struct Player {
    kind: Kind,
    folder: tempfile::TempDir,
    snapshots: Vec<Arc<Snapshot>>,
    version: usize,
    live: Live,
    watch: Arc<Watch>,
    now_ms: Ms,
    starts: u64,
    sent: BTreeMap<String, Event>,
}

/// A process that starts on these files.
async fn start(kind: Kind, folder: &Path, watch: &Arc<Watch>, snapshot: &Arc<Snapshot>, number: u64) -> Live {
    let address = match kind {
        Kind::Memory => "memory:",
        Kind::Sqlite => "sqlite:history.db",
    };
    let store = store::open(&Secret::new(address), folder).await.unwrap();
    live(Arc::new(Wrapped { store, way: watch.clone() }), snapshot, number)
}

fn live(store: Arc<dyn Store>, snapshot: &Arc<Snapshot>, number: u64) -> Live {
    // Nothing is sent through it: what is due is settled by hand.
    let wire = Arc::new(Wire::new(Guard::new(Vec::new(), Vec::new())).unwrap());
    let mut live = Live::new(store, snapshot.clone(), Arc::new(VirtualClock::new(from_ms(START_MS))), wire, 1);
    live.holder = format!("start-{number}");
    live
}

impl Player {
    async fn new(kind: Kind, script: &Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let versions = script.versions.iter().enumerate();
        let snapshots: Vec<_> = versions.map(|(n, version)| snapshot(version, format!("version-{n}"))).collect();
        let all: Vec<Arc<RuleSet>> = snapshots.iter().filter_map(|snapshot| snapshot.rules.clone()).collect();
        let mut against = Against::new(all.iter().map(|rules| &**rules), UPDATING);
        against.reference.mapped.insert(MAPPED.into(), ROOMS.into());
        against.reference.updating.insert(EDITING.into());
        against.reference.embargoed.insert(PRESS.into());
        against.reference.editing.insert(EDITING.into());
        let watch = Watch::new(against, all[0].clone());
        let live = start(kind, folder.path(), &watch, &snapshots[0], 1).await;
        Self { kind, folder, snapshots, version: 0, live, watch, now_ms: START_MS, starts: 1, sent: BTreeMap::new() }
    }

    fn store(&self) -> &dyn Store {
        &*self.live.store
    }

    fn wrong(&self, what: &str) {
        self.watch.wrong.lock().unwrap().push(what.into());
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Send { number, kind, key, late, date } => {
                let created = from_ms((self.now_ms - late).div_euclid(1000) * 1000);
                let date = from_ms((self.now_ms + date).div_euclid(1000) * 1000);
                let id = format!("evt_{number}");
                // Of some the same amount as of others, and of some less than nothing.
                let amount = format!("{}.{}", date.as_second() % 7 - 2, date.as_second() % 10);
                let data = json!({"key": key, "date": date.to_string(), "amount": amount});
                let body = json!({"id": id, "type": kind, "data": data});
                let event = Event {
                    source: "jewelmusic".into(),
                    id: EventId(id.as_str().into()),
                    kind: (*kind).into(),
                    created,
                    received: from_ms(self.now_ms),
                    raw: Arc::from(body.to_string().into_bytes()),
                    body,
                    proof: "test".into(),
                };
                self.store().append(event.clone()).await.unwrap();
                self.sent.insert(id, event);
            }
            Step::Again(number) => {
                if let Some(event) = self.sent.get(&format!("evt_{number}")) {
                    self.store().append(event.clone()).await.unwrap();
                }
            }
            Step::Wait(span) => self.wait(*span).await,
            Step::Jump(by) => self.now_ms += by,
            Step::Reload(version) => {
                self.version = *version;
                *self.watch.rules.lock().unwrap() = self.snapshots[*version].rules.clone().unwrap();
                self.live.snapshot.store(self.snapshots[*version].clone());
            }
            Step::Restart => self.restart().await,
            Step::Lose => {
                self.watch.loses.store(true, Ordering::Relaxed);
                let _ = plan::step(&self.live, from_ms(self.now_ms)).await;
                self.watch.loses.store(false, Ordering::Relaxed);
            }
            Step::Plan => _ = plan::step(&self.live, from_ms(self.now_ms)).await.unwrap(),
            Step::Hand { nth, does } => self.hand(*nth, *does).await,
            Step::Person(command) => self.ask(command.clone()).await,
            Step::Hush { id, rule, to, span } => {
                let (from, until) = (from_ms(self.now_ms), from_ms(self.now_ms + span));
                let mute = Mute {
                    id: id.clone(),
                    reason: "quiet".into(),
                    by: "ana".into(),
                    events: Vec::new(),
                    rule: rule.map(str::to_owned),
                    destination: to.map(str::to_owned),
                    when: None,
                    from,
                    until,
                };
                self.ask(Command::Mute(mute)).await;
            }
        }
    }

    /// Somebody looks at what waits for its time, and sends one of it now or cancels it.
    async fn hand(&mut self, nth: usize, does: UpcomingOp) {
        let mut waiting = self.store().timers((Timestamp::MIN, ""), 500).await.unwrap();
        waiting
            .retain(|due| ["{\"act\"", "{\"digest\"", "{\"hold\""].iter().any(|what| due.timer.text.starts_with(what)));
        if let Some(DueTimer { timer, .. }) = waiting.get(nth % waiting.len().max(1)) {
            let (timer, due) = (timer.text.clone(), timer.due);
            self.ask(Command::Upcoming { timer, due, does, by: "eva".into() }).await;
        }
    }

    async fn ask(&mut self, command: Command) {
        self.store().tell(Item::Command(command), from_ms(self.now_ms)).await.unwrap();
    }

    /// The process ends, and another begins on what it left.
    async fn restart(&mut self) {
        self.starts += 1;
        let in_force = &self.snapshots[self.version];
        self.live = match self.kind {
            Kind::Memory => live(self.live.store.clone(), in_force, self.starts),
            Kind::Sqlite => {
                self.live.store.close().await.unwrap();
                start(self.kind, self.folder.path(), &self.watch, in_force, self.starts).await
            }
        };
    }

    /// Moves the clock on, and does everything on the way at its moment.
    async fn wait(&mut self, span: Ms) {
        let until = self.now_ms + span;
        loop {
            let next = self.settle().await.filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.now_ms = self.now_ms.max(next);
        }
        self.now_ms = self.now_ms.max(until);
        self.settle().await;
        // Ids are remembered for longer than a case stays open, as they are by default: an event that was forgotten while
        // what it led to still stands would be planned to no avail.
        let (before, before_dead) = (from_ms(until - DAY), from_ms(until - 90 * DAY));
        while self.store().prune(before, before_dead, 500).await.unwrap() > 0 {}
    }

    /// Plans and sends all that there is to do now. Gives when there will be more.
    async fn settle(&mut self) -> Option<Ms> {
        for _ in 0..1000 {
            let now = from_ms(self.now_ms);
            if plan::step(&self.live, now).await.unwrap().has_worked() {
                continue;
            }
            let waiting = self.store().waiting(now, 1).await.unwrap();
            if waiting.entries.is_empty() && waiting.timers.is_empty() {
                self.send().await;
                return waiting.next_timer.map(|next| next.as_millisecond());
            }
            // The lease of the process before this one lasts for a moment yet.
            self.now_ms += 1_000;
        }
        self.wrong("planning never ends");
        None
    }

    /// Sends all that is due; everything is taken.
    async fn send(&mut self) {
        let now = from_ms(self.now_ms);
        let room = |name: &&str| Room {
            destination: (*name).to_owned(),
            limits: Limits { spacing: None, burst: 1, concurrency: 50 },
            lease: SignedDuration::from_mins(1),
            give_up: SignedDuration::from_hours(24),
            wanted: 50,
        };
        let rooms: Vec<Room> = PLACES.iter().chain([&EDITING, &PRESS]).map(room).collect();
        for _ in 0..1000 {
            let claimed = self.store().claim(now, &rooms).await.unwrap();
            if claimed.claims.is_empty() {
                return;
            }
            for claim in claimed.claims {
                let attempt = Attempt {
                    number: claim.delivery.attempts,
                    at: now,
                    took_ms: 1,
                    outcome: AttemptOutcome::Delivered,
                    sent: String::new(),
                    answer: "ok".into(),
                };
                let next = Next { state: State::Delivered, at: now, plain: false };
                let settlement =
                    Settlement { attempt, next, receipt: None, wait: None, failing: false, signals: Vec::new() };
                self.store().settle(&claim, settlement, now).await.unwrap();
            }
        }
        self.wrong("sending never ends");
    }

    /// What must hold in the end.
    async fn close(&mut self) {
        let counts = self.watch.against.lock().unwrap().reference.counts();
        for (kind, expected) in counts {
            let found = self.store().docs(kind, "", usize::MAX).await.unwrap().len();
            if found != expected {
                self.wrong(&format!("{found} documents of kind {kind} in the end, and not {expected}"));
            }
        }
        let census = self.store().census().await.unwrap();
        if census.planned != census.head {
            self.wrong(&format!("planned up to {} of {}", census.planned, census.head));
        }
    }

    fn found(&self) -> (Vec<String>, u64) {
        (self.watch.wrong.lock().unwrap().clone(), *self.watch.said.lock().unwrap())
    }
}

/// Plays a history. Gives what is wrong with it.
pub(super) fn play(kind: Kind, script: &Script) -> (Vec<String>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut player = Player::new(kind, script).await;
        for step in &script.steps {
            player.step(step).await;
            if !player.found().0.is_empty() {
                return player.found();
            }
        }
        player.wait(60 * DAY).await;
        player.close().await;
        player.found()
    })
}

/// Cuts a history that goes wrong down as far as it still does.
fn shrink(kind: Kind, mut script: Script) -> Script {
    let mut size = script.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < script.steps.len() {
            let mut shorter = script.clone();
            shorter.steps.drain(at..(at + size).min(script.steps.len()));
            if play(kind, &shorter).0.is_empty() {
                at += size;
            } else {
                script = shorter;
            }
        }
        size /= 2;
    }
    script
}

fn report(kind: Kind, seed: u64, script: Script) -> String {
    let script = shrink(kind, script);
    let (wrong, _) = play(kind, &script);
    let steps: Vec<String> = script.steps.iter().map(|step| format!("  {step:?}")).collect();
    let rules: Vec<String> = script.versions.iter().map(Value::to_string).collect();
    format!(
        "history {seed} on {kind:?}:\n{}\n{}\n{}\nto see it again: FANFARE_HISTORY={seed} cargo test --test it model::, and with FANFARE_SHOW=1 each plan of it",
        rules.join("\n"),
        steps.join("\n"),
        wrong.join("\n")
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Plays this many histories on all cores. Gives how many deliveries they made.
fn play_all(kind: Kind, first: u64, count: u64) -> u64 {
    let (next, said) = (AtomicU64::new(first), AtomicU64::new(0));
    let failed = std::sync::Mutex::new(None::<u64>);
    let work = || {
        while failed.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let (wrong, made) = play(kind, &script(seed));
            said.fetch_add(made, Ordering::Relaxed);
            if !wrong.is_empty() {
                *failed.lock().unwrap() = Some(seed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
        work();
    });
    if let Some(seed) = failed.into_inner().unwrap() {
        panic!("{}", report(kind, seed, script(seed)));
    }
    said.into_inner()
}

#[test]
fn whatever_comes_in_whatever_order_what_is_planned_is_what_the_rules_say() {
    let (first, count) = match number("FANFARE_HISTORY") {
        Some(one) => (one, 1),
        None => (1, number("FANFARE_HISTORIES").unwrap_or(400)),
    };
    let began = std::time::Instant::now();
    let said = play_all(Kind::Memory, first, count);
    println!("{count} histories with {said} deliveries in {:?}", began.elapsed());
    assert!(count < 100 || said > 10 * count, "{said} deliveries are too few to say anything");
}

#[test]
fn on_a_disk_with_restarts_it_is_the_same() {
    play_all(Kind::Sqlite, 1_000_000, 20);
}

#[test]
fn an_escalation_that_comes_an_hour_early_is_noticed() {
    let mut script = script(3);
    let late = |after: &str| json!({"rules": [{"name": "lane", "events": "opened", "case": "$.data.key", "actions": {"name": "late", "to": "chat", "after": after}}]});
    script.versions = vec![late("3h")];
    script.steps.retain(|step| !matches!(step, Step::Reload(_)));
    let opened = Step::Send { number: 900, kind: "opened", key: "K9", late: 0, date: DAY };
    script.steps.extend([opened, Step::Wait(5 * HOUR + 10 * MINUTE)]);
    assert_eq!(play(Kind::Memory, &script).0, Vec::<String>::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wrong = runtime.block_on(async {
        let mut player = Player::new(Kind::Memory, &script).await;
        *player.watch.rules.lock().unwrap() = Arc::new(rules(&late("4h")));
        for step in &script.steps {
            player.step(step).await;
        }
        player.found().0
    });
    assert!(wrong.iter().any(|wrong| wrong.contains("not in the rules")), "{wrong:?}");
}
