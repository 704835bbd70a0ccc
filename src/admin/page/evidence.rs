//! `/events/SEQ/evidence`: a sample and a rule test that were made of an event, to copy into the rules' folder. What the test
//! expects is what the rules in force send of the event at once; a rehearsal says what that is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{page, playground, refused, row, with_frame};
use crate::admin::answer::{Id, Refused, Shared};
use crate::admin::caller::Caller;
use crate::admin::events::find_event;
use crate::config::Snapshot;
use crate::config::evidence::sample_source;
use crate::config::samples::{stem, written};
use crate::event::{Event, Seq};
use crate::rehearse::{Sent, Stage};
use crate::rules::RuleSet;
use crate::steps::Live;

/// The most turns that a rehearsal takes here.
const TURNS_MAX: u64 = 1_000;
/// All chance in it comes from here.
const SEED: u64 = 1;

/// What was made of an event.
struct Made {
    seq: Seq,
    event: Event,
    rules: Vec<String>,
    sample: String,
    test: String,
}

/// The page.
pub(crate) async fn look(State(live): Shared, caller: Caller, Id(id): Id) -> Response {
    page(values(&live, &caller, &id).await, "evidence.html")
}

/// The sample as a file.
pub(crate) async fn sample(State(live): Shared, Id(id): Id) -> Response {
    match made(&live, &id).await {
        Ok(made) => ([(CONTENT_TYPE, "application/json")], made.sample).into_response(),
        Err(refusal) => refused(refusal),
    }
}

/// The test as a file.
pub(crate) async fn test(State(live): Shared, Id(id): Id) -> Response {
    match made(&live, &id).await {
        Ok(made) => ([(CONTENT_TYPE, "application/yaml")], made.test).into_response(),
        Err(refusal) => refused(refusal),
    }
}

async fn values(live: &Arc<Live>, caller: &Caller, id: &str) -> Result<Value, Refused> {
    let Made { seq, event, rules, sample, test } = made(live, id).await?;
    let snapshot = live.snapshot.load_full();
    let stem = stem(&event.kind);
    let about = row::event(snapshot.rules.as_deref(), seq, event);
    Ok(with_frame(live, caller, json!({"about": about, "stem": stem, "rules": rules, "sample": sample, "test": test})))
}

async fn made(live: &Arc<Live>, id: &str) -> Result<Made, Refused> {
    let seq = find_event(live, id).await?;
    let found = live.store.events(&[seq]).await?.pop();
    let Some((_, event)) = found else { return Err(Refused::NotFound(format!("there is no event `{id}`"))) };
    let event = event.read();
    if event.is_own() || !event.body.is_object() {
        return Err(Refused::Bad("only an event that a sender wrote as a JSON object makes a sample".into()));
    }
    let _turn = playground::turn().await?;
    let (snapshot, runtime) = (live.snapshot.load_full(), Handle::current());
    let made = tokio::task::spawn_blocking(move || runtime.block_on(make(&snapshot, seq, event)));
    made.await.map_err(|_| Refused::Bad("this could not be made; the log says why".into()))?
}

async fn make(snapshot: &Snapshot, seq: Seq, event: Event) -> Result<Made, Refused> {
    let default = sample_source(&snapshot.sources);
    let sample = written(&event.body, (&event.source, &event.kind), &default);
    let rules = snapshot.rules.as_deref().map(|rules| concerned(rules, &event)).unwrap_or_default();
    let second = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
    let at = event.received.round(second).unwrap_or(event.received);
    let sent = expected(snapshot, &rules, &event, at).await?;
    let source = (*event.source != *default).then_some(&*event.source);
    let test = test_of(&event, at, (source, &rules), &sent);
    Ok(Made { seq, event, rules, sample, test })
}

/// The rules that act on the event, or where none does, those that name its type.
fn concerned(rules: &RuleSet, event: &Event) -> Vec<String> {
    let judged = rules.judge(event);
    let names = |acts: bool| -> Vec<String> {
        let wanted = judged.iter().filter(|judged| !acts || judged.accepts() || judged.closes.is_some());
        wanted.map(|judged| judged.rule.name.value.clone()).collect()
    };
    let acting = names(true);
    if acting.is_empty() { names(false) } else { acting }
}

/// What these rules send at once of the event, if it is the first.
async fn expected(snapshot: &Snapshot, names: &[String], event: &Event, at: Timestamp) -> Result<Vec<Sent>, Refused> {
    let Some(rules) = &snapshot.rules else { return Ok(Vec::new()) };
    let only = rules.only(&names.iter().cloned().collect::<BTreeSet<String>>());
    let failed = |why: String| Refused::Bad(format!("the event could not be rehearsed: {why}"));
    let stage = Stage::new(snapshot.clone());
    let mut rehearsal = stage.rehearse(Arc::new(only), at, SEED).await?;
    rehearsal.turns_max = TURNS_MAX;
    let event = Event { received: at, ..event.clone() };
    rehearsal.receive(event).await.map_err(|stuck| failed(stuck.to_string()))?;
    Ok(rehearsal.take_sent())
}

/// The test file. Texts are written as JSON, which is YAML too.
fn test_of(event: &Event, at: Timestamp, (source, rules): (Option<&str>, &[String]), sent: &[Sent]) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let plain = |text: &str| {
        let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "null");
        if is_plain { text.to_owned() } else { quoted(text) }
    };
    let list = |names: &[String]| names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    let mut text = format!("tests:\n  - name: {}\n", quoted(&format!("{}, as it came in {}", event.kind, event.id)));
    // Writing to a String never fails.
    if !rules.is_empty() {
        let _ = writeln!(text, "    rules: [{}]", list(rules));
    }
    let _ = writeln!(text, "    steps:\n      - at: {at}\n      - send:");
    for line in format!("{:#}", event.body).lines() {
        let _ = writeln!(text, "          {line}");
    }
    if let Some(source) = source {
        let _ = writeln!(text, "        source: {}", plain(source));
    }
    let told: Vec<&Sent> = sent.iter().filter(|sent| !sent.act.changes()).collect();
    if told.is_empty() {
        text.push_str("      - expect: []\n");
        return text;
    }
    text.push_str("      - expect:\n");
    for one in told {
        let _ = write!(text, "          - {{rule: {}, to: {}", plain(&one.rule), plain(&one.destination));
        let title = &one.rendered.message.title;
        // In a glob, a star would stand for anything.
        if !title.is_empty() && !title.contains(['*', '\\']) {
            let _ = write!(text, ", title: {}", quoted(title));
        }
        text.push_str("}\n");
    }
    text
}
