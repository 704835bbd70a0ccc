//! `/playground`: try another wording of a rule and its message on an event, without saving anything. The files on disk are
//! read with what was typed in their place, by the way that a reload takes, and the event is judged and rehearsed by that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::rules::{near, sentences};
use super::{filled, likeness, page, why, with_frame};
use crate::admin::answer::{Refused, Shared};
use crate::admin::caller::Caller;
use crate::admin::events::find_event;
use crate::config::files::Files;
use crate::config::load::{Loaded, load_edited};
use crate::config::{Destination, Snapshot};
use crate::delivery::Say;
use crate::event::Event;
use crate::problem::{File, Gravity, Problem};
use crate::rehearse::show::{self, Wanted};
use crate::rules::{Action, Judgement, Rule, RuleSet};
use crate::steps::Live;

/// One is tried at a time: it may keep a core busy for a moment.
static TURN: Semaphore = Semaphore::const_new(1);
/// How long one waits for the others.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many messages are shown.
const SHOWN: usize = 8;
/// How many problems are reported.
const PROBLEMS: usize = 10;
/// The event that is tried where none is named.
const EVENT: &str = "release.live";

/// What is tried.
#[derive(Deserialize, Default, Clone)]
pub(crate) struct Try {
    rule: Option<String>,
    event: Option<String>,
    /// The rule as somebody wrote it; as it stands on disk, if they wrote nothing.
    text: Option<String>,
    /// The message's file, likewise.
    words: Option<String>,
}

/// `/playground`, as it stands.
pub(crate) async fn look(State(live): Shared, caller: Caller, Query(query): Query<Try>) -> Response {
    page(tried(&live, &caller, query).await, "playground.html")
}

/// The form: what was typed. Nothing of it is kept.
pub(crate) async fn attempt(State(live): Shared, caller: Caller, Form(form): Form<Try>) -> Response {
    page(tried(&live, &caller, form).await, "playground.html")
}

/// Waits until nobody else tries something.
pub(super) async fn turn() -> Result<SemaphorePermit<'static>, Refused> {
    let busy = || Refused::Bad("others are trying rules; ask again in a moment".into());
    tokio::time::timeout(PATIENCE, TURN.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())
}

async fn tried(live: &Arc<Live>, caller: &Caller, asked: Try) -> Result<Value, Refused> {
    let _turn = turn().await?;
    let stored = match filled(asked.event.clone()) {
        Some(id) => match find_event(live, &id).await {
            Ok(seq) => live.store.events(&[seq]).await?.pop().map(|(_, event)| event.read()),
            Err(Refused::NotFound(_)) => None,
            Err(refusal) => return Err(refusal),
        },
        None => None,
    };
    let (on, runtime) = (live.clone(), Handle::current());
    let found = tokio::task::spawn_blocking(move || runtime.block_on(found(&on, asked, stored))).await;
    let values = found.map_err(|_| Refused::Bad("this could not be tried; the log says why".into()))??;
    Ok(with_frame(live, caller, values))
}

/// Where a rule stands, and its lines there.
struct Written {
    file: Arc<File>,
    /// The first line, from 0, and the one after the last.
    lines: (usize, usize),
}

impl Written {
    /// The rule's own lines: from its dash to whatever is no further in.
    fn of(rule: &Rule) -> Self {
        let file = rule.name.place.file.clone();
        let lines: Vec<&str> = file.text.lines().collect();
        let inset = |line: &str| line.len() - line.trim_start().len();
        let named = rule.name.place.line().saturating_sub(1);
        let at = |n: usize| lines.get(n).copied().unwrap_or_default();
        let is_dash = |n: usize| at(n).trim_start().starts_with('-');
        let begins = |n: &usize| is_dash(*n) && (*n == named || inset(at(*n)) < inset(at(named)));
        let first = (0..=named).rev().find(begins).unwrap_or(named);
        let ends = |n: &usize| !at(*n).trim().is_empty() && inset(at(*n)) <= inset(at(first));
        let last = (first + 1..lines.len()).find(ends).unwrap_or(lines.len());
        Self { file, lines: (first, last) }
    }

    fn text(&self) -> String {
        let lines = self.file.text.lines().skip(self.lines.0).take(self.lines.1 - self.lines.0);
        lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// The file with other lines in their place.
    fn with(&self, text: &str) -> String {
        let before = self.file.text.lines().take(self.lines.0);
        let after = self.file.text.lines().skip(self.lines.1);
        let mut all: Vec<&str> = before.collect();
        all.extend(text.lines());
        all.extend(after);
        all.join("\n") + "\n"
    }
}

fn put(files: &mut [Arc<File>], path: &str, text: String) {
    if let Some(file) = files.iter_mut().find(|file| file.path == path) {
        *file = File::new(path, text);
    }
}

/// The name of the first message that a rule says.
fn message_of(rule: &Rule) -> Option<String> {
    rule.all_actions().find_map(|action| match &action.say.value {
        Say::Message(name) => Some(name.clone()),
        Say::Text(_) | Say::Default | Say::Summary => None,
    })
}

fn is_of(file: &File, message: &str) -> bool {
    file.path.rsplit('/').next() == Some(&format!("{message}.md"))
}

/// The rule that is named, or the first.
fn meant<'r>(rules: &'r RuleSet, name: Option<&str>) -> Result<&'r Rule, Refused> {
    let rule = match name.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => {
            crate::admin::cases::known_rule(rules, name)?;
            rules.named(name)
        }
        None => rules.rules.iter().min_by_key(|rule| (rule.name.place.file.path.clone(), rule.name.place.line())),
    };
    rule.ok_or_else(|| Refused::Bad("there is no rule to try".into()))
}

async fn found(live: &Live, asked: Try, stored: Option<Event>) -> Result<Value, Refused> {
    let snapshot = live.snapshot.load_full();
    let Some(rules) = snapshot.rules.as_deref() else {
        return Err(Refused::Bad("no rules are in force; fix them first".into()));
    };
    let rule = meant(rules, asked.rule.as_deref())?;
    let written = Written::of(rule);
    let text = asked.text.as_deref().map(|text| text.replace("\r\n", "\n"));
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| written.text());
    let typed =
        asked.words.as_deref().map(|words| words.replace("\r\n", "\n")).filter(|words| !words.trim().is_empty());
    let message = message_of(rule);
    let (now, mut words) = (live.clock.now(), None);
    let edit = |files: &mut Files| {
        put(&mut files.rules, &written.file.path, written.with(&text));
        let Some(message) = &message else { return };
        let Some(path) = files.templates.iter().find(|file| is_of(file, message)).map(|file| file.path.clone()) else {
            return;
        };
        if let Some(typed) = &typed {
            put(&mut files.templates, &path, typed.clone());
        }
        words = files.templates.iter().find(|file| file.path == path).map(|file| file.text.clone());
    };
    let loaded = load_edited(&snapshot.settings.file, live.environment.as_ref(), now, edit);
    let events = events(&loaded, asked.event.as_deref());
    let event = stored.or_else(|| events.1.clone());
    let mut values = json!({
        "rule": rule.name.value,
        "place": near(&snapshot.settings.file, &rule.name.place.to_string()),
        "rules": rules.rules.iter().map(|rule| &rule.name.value).collect::<Vec<_>>(),
        "text": text,
        "message": message,
        "words": words,
        "event": filled(asked.event).unwrap_or_else(|| EVENT.to_owned()),
        "samples": events.0,
        "problems": problems(&loaded, &written.file.path, message.as_deref()),
        "broken": loaded.problems.has_errors(),
    });
    let last = written.lines.0 + text.lines().count();
    let Some(event) = event else {
        values["unknown"] = true.into();
        return Ok(values);
    };
    if let Some(snapshot) = loaded.snapshot.map(Arc::new)
        && let Some(rules) = &snapshot.rules
        && let Some(rule) = rules.rules.iter().find(|rule| {
            let line = rule.name.place.line().saturating_sub(1);
            rule.name.place.file.path == written.file.path && (written.lines.0..last).contains(&line)
        })
    {
        values["explained"] = explained(rules, rule, &event);
        values["previews"] = previews(&snapshot, rule, &event, now).await.into();
    }
    Ok(values)
}

/// What is wrong, and what is warned of in what is tried.
fn problems(loaded: &Loaded, rule: &str, message: Option<&str>) -> Vec<String> {
    let is_tried = |file: &File| file.path == rule || message.is_some_and(|message| is_of(file, message));
    let told = |problem: &&Problem| {
        problem.gravity == Gravity::Error || problem.place.as_ref().is_some_and(|place| is_tried(&place.file))
    };
    loaded.problems.iter().filter(told).take(PROBLEMS).map(|problem| problem.render(false)).collect()
}

/// The names of the samples, and the one that is meant.
fn events(loaded: &Loaded, meant: Option<&str>) -> (BTreeSet<String>, Option<Event>) {
    let meant = meant.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(EVENT);
    let known = || loaded.whole.evidence.iter();
    let event = known().find(|seen| seen.name == meant).map(|seen| seen.event.clone());
    (known().map(|seen| seen.name.clone()).collect(), event)
}

fn explained(rules: &RuleSet, rule: &Rule, event: &Event) -> Value {
    let accepts = rule.globs().any(|globs| globs.accept(&event.kind, event.is_own()));
    let judged: Judgement<'_> = rules.judge_rule(rule, event);
    let tree = judged.why.as_ref().and_then(|why| serde_json::to_value(why).ok());
    let case = match &judged.case {
        Some(Ok(key)) => json!(key),
        Some(Err(absent)) => json!(format!("none: {absent}")),
        None => Value::Null,
    };
    let held = judged.held.and_then(|held| serde_json::to_value(held).ok());
    let actions: Vec<Value> = judged
        .actions
        .iter()
        .map(|acted| {
            let tree = acted.why.as_ref().and_then(|why| serde_json::to_value(why).ok());
            json!({
                "to": acted.action.to.iter().map(|to| &to.value).collect::<Vec<_>>(),
                "held": acted.held,
                "tree": why::tree(tree.as_ref()),
                "after": acted.action.after.map(|after| format!("{after:#}")),
                "repeat": acted.action.repeat.map(|repeat| format!("{repeat:#}")),
            })
        })
        .collect();
    json!({
        "name": rule.name.value, "sentences": sentences(rule, rules), "type": &*event.kind, "accepts": accepts, "held": held, "tree": why::tree(tree.as_ref()),
        "case": case, "actions": actions,
    })
}

/// What would be sent, to each destination of each action.
async fn previews(snapshot: &Arc<Snapshot>, rule: &Rule, event: &Event, now: Timestamp) -> Vec<Value> {
    let pairs = rule.all_actions().flat_map(|action| action.to.iter().map(move |to| (action, to)));
    let known = pairs.filter_map(|(action, to)| Some((action, snapshot.destinations.get(&to.value)?.clone())));
    let known: Vec<(&Action, Arc<Destination>)> = known.take(SHOWN).collect();
    let mut all = Vec::new();
    for (action, destination) in known {
        let (name, channel) = (destination.name.clone(), destination.kind.name);
        let wanted =
            Wanted { say: &action.say.value, action: Some((rule, action)), destination, before: &[], event, now };
        all.push(match show::show(snapshot, &wanted).await {
            Ok(shown) => json!({
                "destination": name, "channel": channel, "at": shown.at.map(|at| at.to_string()),
                "picture": likeness::of_request(&wanted.destination, &shown.request), "problem": shown.rendered.problem,
            }),
            Err(reason) => json!({"destination": name, "channel": channel, "reason": reason}),
        });
    }
    all
}
