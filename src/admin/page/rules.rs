//! `/rules`: what the team asked for, where it stands, when it last matched, and how much it says a day.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{chart, link, page, with_frame};
use crate::admin::answer::{Refused, Shared};
use crate::admin::caller::Caller;
use crate::admin::page::people::path;
use crate::clock::plus;
use crate::config::evidence::{of_tests, sample_source};
use crate::config::{Snapshot, files};
use crate::problem::Problems;
use crate::rules::plain::{Sentence, plain};
use crate::rules::{Rule, RuleSet};
use crate::steps::Live;
use crate::store::look::Tally;

/// How many days the lines show.
const DAYS: i64 = 14;
/// The most events of tests that are judged to find out which rules they reach.
const JUDGED_MAX: usize = 2_000;
/// The outcomes of a rule that accepted an event.
const ACCEPTED: [&str; 8] = ["matched", "fallback", "held", "digest", "shadow", "throttled", "muted", "dropped"];
/// Those of which nobody was notified.
const SILENCED: [&str; 3] = ["throttled", "muted", "dropped"];

/// `/rules`.
pub(crate) async fn list(State(live): Shared, caller: Caller) -> Response {
    page(values(&live, &caller).await, "rules.html")
}

async fn values(live: &Arc<Live>, caller: &Caller) -> Result<Value, Refused> {
    let now = live.clock.now();
    let snapshot = live.snapshot.load_full();
    let tally = live.store.tally(plus(now, SignedDuration::from_hours(-24 * DAYS))).await?;
    let mut rules: Vec<&Rule> = snapshot.rules.iter().flat_map(|rules| &rules.rules).collect();
    rules.sort_by_key(|rule| (rule.name.place.file.path.clone(), rule.name.place.line()));
    let folder = &snapshot.settings.file;
    let tested = tested(&snapshot, now).await?;
    let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for rule in rules {
        let mut row = row(rule, &tally, now);
        // Tests send no events of Fanfare's own.
        row["untested"] = (rule.enabled && !tested.contains(&rule.name.value) && names_senders(rule)).into();
        let known = snapshot.rules.as_deref();
        row["sentences"] = known.map(|rules| sentences(rule, rules)).unwrap_or_default();
        row["place"] = near(folder, &rule.name.place.to_string()).into();
        files.entry(near(folder, &rule.name.place.file.path)).or_default().push(row);
    }
    let files: Vec<Value> = files.into_iter().map(|(file, rules)| json!({"file": file, "rules": rules})).collect();
    Ok(with_frame(live, caller, json!({"files": files, "days": DAYS})))
}

/// What a rule does, in sentences.
pub(super) fn sentences(rule: &Rule, rules: &RuleSet) -> Value {
    fn view(one: &Sentence) -> Value {
        json!({"text": one.text, "parts": one.parts.iter().map(view).collect::<Vec<_>>()})
    }
    plain(rule, rules).iter().map(view).collect()
}

/// The rules that act on an event which a test sends, or that such an event closes a case of.
async fn tested(snapshot: &Arc<Snapshot>, now: Timestamp) -> Result<BTreeSet<String>, Refused> {
    let snapshot = snapshot.clone();
    let read = tokio::task::spawn_blocking(move || {
        let Some(rules) = &snapshot.rules else { return BTreeSet::new() };
        // What is wrong with them is reported elsewhere.
        let mut unheard = Problems::new();
        let tests = files::tests(&snapshot.settings.rules, &mut unheard);
        let source = sample_source(&snapshot.sources);
        let events = of_tests(&tests, rules, &snapshot.samples, &source, now);
        let judged = events.iter().take(JUDGED_MAX).flat_map(|event| rules.judge(event));
        let acts = judged.filter(|judged| judged.accepts() || judged.closes.is_some());
        acts.map(|judged| judged.rule.name.value.clone()).collect()
    });
    read.await.map_err(|_| Refused::Bad("the tests could not be read; the log says why".into()))
}

/// Whether a rule names events that senders write, and not Fanfare's own alone.
fn names_senders(rule: &Rule) -> bool {
    rule.globs().flat_map(|globs| globs.texts()).any(|glob| !glob.text.starts_with("fanfare."))
}

/// A place as people say it: seen from the folder of `fanfare.yaml`.
pub(super) fn near(config: &Path, place: &str) -> String {
    let folder = config.parent().map(|folder| folder.to_string_lossy()).unwrap_or_default();
    let within = place.strip_prefix(&*folder).map(|rest| rest.trim_start_matches('/'));
    within.unwrap_or(place).to_owned()
}

fn row(rule: &Rule, tally: &Tally, now: Timestamp) -> Value {
    let name = rule.name.value.as_str();
    let did = || tally.decisions.iter().filter(|did| did.rule == name);
    let accepted = || did().filter(|did| ACCEPTED.contains(&did.outcome.as_str()));
    let messages = || tally.messages.iter().filter(|sent| sent.rule == name);
    let mut to: Vec<&str> = rule.all_actions().flat_map(|action| &action.to).map(|to| to.value.as_str()).collect();
    to.sort_unstable();
    to.dedup();
    let events: Vec<&str> = rule.globs().flat_map(|globs| globs.texts()).map(|glob| glob.text.as_str()).collect();
    let days = |hour: Timestamp| usize::try_from(now.duration_since(hour).as_hours() / 24).ok();
    let by_day = |counts: &mut dyn Iterator<Item = (Timestamp, u64)>| {
        let mut line = vec![0; usize::try_from(DAYS).unwrap_or_default()];
        for (hour, count) in counts {
            let at = days(hour).and_then(|ago| line.len().checked_sub(ago + 1));
            if let Some(day) = at.and_then(|at| line.get_mut(at)) {
                *day += count;
            }
        }
        chart::line(&line)
    };
    let silenced = did().filter(|did| SILENCED.contains(&did.outcome.as_str())).map(|did| did.count).sum::<u64>();
    json!({
        "name": name,
        "description": rule.description,
        "enabled": rule.enabled,
        "shadow": rule.shadow,
        "missing": rule.missing.as_ref().map(|missing| missing.expected.to_string()),
        "events": events,
        "to": to,
        "matches": accepted().map(|did| did.count).sum::<u64>(),
        "messages": messages().map(|sent| sent.count).sum::<u64>(),
        "silenced": silenced,
        "last": accepted().map(|did| did.last).max().map(|last| last.to_string()),
        "matches_line": by_day(&mut accepted().map(|did| (did.hour, did.count))),
        "messages_line": by_day(&mut messages().map(|sent| (sent.hour, sent.count))),
        "path": link("/events", &[("rule", Some(name))]),
        "try": link("/playground", &[("rule", Some(name))]),
        "mute": link("/mutes", &[("rule", Some(name))]),
        "cases": rule.case.is_some().then(|| link("/cases", &[("rule", Some(name))])),
        "id": path("rules", name),
    })
}
