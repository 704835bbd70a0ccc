//! Plays tests: each on a rehearsal of its own, side by side on all threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;

use crate::clock::plus;
use crate::config::DEFAULT_PRESET;
use crate::config::files::Files;
use crate::delivery::MessageOp;
use crate::event::Event;
use crate::message::plain;
use crate::problem::{File, Location, Problems};
use crate::rehearse::cover::Coverage;
use crate::rehearse::{Rehearsal, Sent, Stage, Stuck};
use crate::rules::trial::{Body, Failed, Fault, Known, ReadFile, Said, Test, Way, What, compare};
use crate::rules::{RuleSet, trial};
use crate::secret::Secret;
use crate::source;
use crate::source::{Outgoing, Request, Source, presets, samples};

/// What signs a test's events. Every scheme can use it, and it opens nothing.
const SECRET: &str = "whsec_dGhpcyBzaWducyBldmVudHMgdGhhdCBuZXZlciBsZWF2ZSBoZXJl";
/// Where all chance in tests comes from.
const SEED: u64 = 1;

/// How a test came out.
#[derive(Debug)]
pub struct Played {
    /// What did not go as it says; empty if all did.
    pub failed: Vec<Failed>,
    /// Everything that was sent, in its order.
    pub sent: Vec<Sent>,
    /// Messages whose template went wrong: what was sent was another, which says why.
    pub notes: Vec<String>,
    /// What it reached of the rules.
    pub coverage: Coverage,
}

/// Reads test files, for a stage with rules. `read` gives the bytes of a file that a test names: its path is relative to
/// the test file, whose path comes first.
pub fn read(
    stage: &Stage,
    files: &Files,
    tests: &[Arc<File>],
    read: &ReadFile<'_>,
    problems: &mut Problems,
) -> Vec<Test> {
    let Some(rules) = stage.snapshot().rules.clone() else { return Vec::new() };
    let samples = &stage.snapshot().samples;
    let known = Known {
        rules: &rules,
        files: &files.rules.iter().map(|file| file.path.clone()).collect(),
        destinations: &stage.destinations(),
        sources: &stage.snapshot().sources.keys().cloned().collect(),
        samples: &samples.names(),
        sample: &|name| samples.named(name).map(trial::Sample::from),
        read,
    };
    tests.iter().flat_map(|file| trial::parse(file, &known, problems)).collect()
}

/// Plays tests on as many threads as the machine has, and gives what came of each, in their order.
pub fn play_all(stage: &Stage, tests: &[&Test], keeps_coverage: bool) -> Vec<Played> {
    let sets = rule_sets(stage, tests);
    let next = AtomicUsize::new(0);
    let played: Mutex<BTreeMap<usize, Played>> = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(test) = tests.get(at) else { return };
            let rules = sets.get(&test.rules).cloned().unwrap_or_default();
            let outcome = play_alone(stage, test, rules, keeps_coverage);
            played.lock().unwrap_or_else(PoisonError::into_inner).insert(at, outcome);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(tests.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    played.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Every set of rules that a test sees, made once.
fn rule_sets(stage: &Stage, tests: &[&Test]) -> BTreeMap<BTreeSet<String>, Arc<RuleSet>> {
    let mut sets = BTreeMap::new();
    let Some(all) = &stage.snapshot().rules else { return sets };
    for test in tests {
        sets.entry(test.rules.clone()).or_insert_with(|| Arc::new(all.only(&test.rules)));
    }
    sets
}

/// Plays one test on this thread.
fn play_alone(stage: &Stage, test: &Test, rules: Arc<RuleSet>, keeps_coverage: bool) -> Played {
    let play = async {
        let mut player = Player {
            dice: fastrand::Rng::with_seed(SEED),
            rehearsal: stage.rehearse(rules.clone(), test.start, SEED).await?,
            stage,
            heard: 0,
            place: test.name.place.clone(),
            played: Played { failed: Vec::new(), sent: Vec::new(), notes: Vec::new(), coverage: Coverage::default() },
        };
        player.rehearsal.keeps_all = keeps_coverage;
        player.play(test).await;
        if keeps_coverage {
            player.cover(&rules).await?;
        }
        Ok::<Played, Stuck>(player.played)
    };
    // Time stands in the rehearsal's clock: a runtime is only here because the steps are async, and a store may be far.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let played = match runtime {
        Ok(runtime) => runtime.block_on(play).map_err(|stuck| stuck.to_string()),
        Err(error) => Err(error.to_string()),
    };
    played.unwrap_or_else(|why| Played {
        failed: vec![Failed { place: test.name.place.clone(), at: test.start, fault: Fault::Stuck(why) }],
        sent: Vec::new(),
        notes: Vec::new(),
        coverage: Coverage::default(),
    })
}

/// Plays one test.
struct Player<'s> {
    stage: &'s Stage,
    rehearsal: Rehearsal,
    dice: fastrand::Rng,
    /// How many of those that were sent an `expect` has covered.
    heard: usize,
    /// The step that is being played.
    place: Location,
    played: Played,
}

impl Player<'_> {
    async fn play(&mut self, test: &Test) {
        for step in &test.steps {
            self.place = step.place.first_line();
            if let Err(why) = self.step(&step.what).await {
                let fault = Fault::Stuck(why);
                return self.fail(self.place.clone(), fault);
            }
            self.listen();
        }
        for sent in self.unheard() {
            if sent.way == Way::Message {
                self.fail(test.name.place.clone(), Fault::Unnamed(Box::new(sent)));
            }
        }
    }

    async fn step(&mut self, what: &What) -> Result<(), String> {
        let now = self.rehearsal.now();
        match what {
            What::Send(send) => {
                let event = self.event(send, now)?;
                self.rehearsal.receive(event).await.map_err(|stuck| stuck.to_string())?;
            }
            What::Wait(span) => self.wait_until(plus(now, *span)).await?,
            What::At(at) => self.wait_until(*at).await?,
            What::Fail(names) => names.iter().for_each(|name| self.rehearsal.set_failing(name, true)),
            What::Heal(names) => names.iter().for_each(|name| self.rehearsal.set_failing(name, false)),
            What::Expect(expected) => {
                // What is due at the very start, before anything was sent.
                self.wait_until(now).await?;
                self.listen();
                self.expect(expected);
            }
        }
        Ok(())
    }

    async fn wait_until(&mut self, until: Timestamp) -> Result<(), String> {
        self.rehearsal.wait_until(until).await.map_err(|stuck| stuck.to_string())
    }

    fn listen(&mut self) {
        for sent in self.rehearsal.take_sent() {
            if let Some(problem) = &sent.rendered.problem {
                let note = format!("the message of `{}` to `{}`: {problem}", sent.rule, sent.destination);
                if !self.played.notes.contains(&note) {
                    self.played.notes.push(note);
                }
            }
            self.played.sent.push(sent);
        }
    }

    /// What was sent since this was last asked.
    fn unheard(&mut self) -> Vec<Said> {
        let unheard = self.played.sent.get(self.heard..).unwrap_or_default().iter().map(said).collect();
        self.heard = self.played.sent.len();
        unheard
    }

    fn fail(&mut self, place: Location, fault: Fault) {
        self.played.failed.push(Failed { place, at: self.rehearsal.now(), fault });
    }

    fn expect(&mut self, expected: &[trial::Expectation]) {
        let sent = self.unheard();
        let compared = compare(expected, &sent);
        for (wanted, came) in compared.missing {
            let Some(wanted) = expected.get(wanted) else { continue };
            let (place, wanted) = (wanted.place.clone(), Box::new(wanted.clone()));
            self.fail(
                place,
                match came.and_then(|came| sent.get(came)) {
                    Some(came) => Fault::Different(wanted, Box::new(came.clone())),
                    None => Fault::Missing(wanted),
                },
            );
        }
        for extra in compared.extra.into_iter().filter_map(|at| sent.get(at)) {
            self.fail(self.place.clone(), Fault::Extra(Box::new(extra.clone())));
        }
    }

    /// The event as its sender would post it and its source would take it.
    fn event(&mut self, send: &trial::Send, now: Timestamp) -> Result<Event, String> {
        let source = source_of(self.stage, send.source.as_deref())?;
        let instance = match &send.body {
            Body::Raw(bytes) => Outgoing { id: "", kind: &send.kind, body: bytes, at: now },
            Body::Json(body) => {
                let mut fresh = samples::fresh(body.clone(), &send.kind, &mut self.dice, now);
                send.set(&mut fresh.body).map_err(|problem| problem.message)?;
                let text = |key: &str| fresh.body.get(key).and_then(Value::as_str).map(str::to_owned);
                let (id, kind) = (text("id").unwrap_or_default(), text("type").unwrap_or(fresh.kind));
                let raw = fresh.body.to_string().into_bytes();
                return open(&source, &Outgoing { id: &id, kind: &kind, body: &raw, at: now });
            }
        };
        open(&source, &instance)
    }

    /// Records what the events that came reached of the rules.
    async fn cover(&mut self, rules: &RuleSet) -> Result<(), Stuck> {
        for event in self.rehearsal.events().await? {
            self.played.coverage.judge(rules, &event);
        }
        for delivery in self.rehearsal.deliveries().await? {
            self.played.coverage.act(&delivery.planned.rule, &delivery.planned.action);
        }
        Ok(())
    }
}

/// The source that an event comes from: the one that is named, else the sender whose samples are built in, else the
/// first.
fn source_of(stage: &Stage, name: Option<&str>) -> Result<Source, String> {
    let sources = &stage.snapshot().sources;
    let found = match name {
        Some(name) => sources.get(name),
        None => stage.snapshot().default_source(),
    };
    let secrets = vec![Secret::new(SECRET)];
    match (found, presets::named(DEFAULT_PRESET)) {
        (Some(source), _) => Ok(source.with_secrets(secrets)),
        (None, Some(preset)) => Ok(Source::of(DEFAULT_PRESET, preset, secrets)),
        (None, None) => Err("there is no source to send from".into()),
    }
}

/// Signs and verifies, so that a test's event is what the server would see.
fn open(source: &Source, outgoing: &Outgoing<'_>) -> Result<Event, String> {
    let signed = source.sign(None, outgoing).ok_or("the source's scheme can't sign this")?;
    let mut headers = HeaderMap::new();
    for (name, value) in signed {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        headers.append(name, HeaderValue::try_from(value).map_err(|error| error.to_string())?);
    }
    let request = Request { headers: &headers, body: outgoing.body };
    source::open(source, &request, outgoing.at).map_err(|refusal| refusal.to_string())
}

/// What was sent, as expectations see it.
fn said(sent: &Sent) -> Said {
    let (message, file) = (&sent.rendered.message, &sent.rendered.file);
    Said {
        at: sent.at,
        way: match sent.act {
            MessageOp::Open | MessageOp::Again => Way::Message,
            MessageOp::Update => Way::Change,
            MessageOp::Close => Way::Close,
        },
        rule: sent.rule.clone(),
        to: sent.destination.clone(),
        address: sent.to.as_ref().map(|to| to.address.clone()).unwrap_or_default(),
        title: message.title.clone(),
        text: plain::message(message),
        severity: message.severity.name().to_owned(),
        file: file.as_ref().map(|file| format!("{}\n{}", file.name, file.text.replace('\r', ""))).unwrap_or_default(),
    }
}
