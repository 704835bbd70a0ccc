//! Which version of the rules judged an event, and what the rules that missed it make of it.
//!
//! What a rule that misses makes of an event is not kept with it. From which position of the inbox on which version of
//! the rules was in force is, and each version once: so the reasons of then are found whenever somebody asks.

use crate::event::{Event, Seq};
use crate::planner::loaded::{DocChange, Key};
use crate::planner::why::{Decision, RuleOutcome};
use crate::planner::{self, Keys};
use crate::rules::{RuleSet, Version};
use crate::steps::Live;
use crate::store;

/// Which version was in force from a position of the inbox on.
const FROM: &str = "judged-from";
/// What a version consists of.
const VERSION: &str = "rules-version";
/// The text of a file of rules.
const FILE: &str = "rules-file";
/// How many changes of rules are looked through for ones that no event needs any more, at each change.
const FORGOTTEN_AT_ONCE: usize = 64;

/// Ids that sort the newest first, since documents are listed in the order of their ids.
fn from_id(seq: Seq) -> String {
    format!("{:020}", i64::MAX - seq)
}

fn seq_of(id: &str) -> Option<Seq> {
    id.parse::<i64>().ok().map(|inverted| i64::MAX - inverted)
}

fn change(kind: &str, id: &str, text: Option<String>) -> DocChange {
    DocChange { key: Key { kind: kind.to_owned(), id: id.to_owned() }, text, events: Vec::new() }
}

/// A text as a document: those are JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text of such a document; empty if it is none.
fn unquoted(document: &str) -> String {
    serde_json::from_str(document).unwrap_or_default()
}

/// From which positions on which versions judged, the newest first; at most `limit` that began before `id`.
async fn judges(live: &Live, id: &str, limit: usize) -> Result<Vec<(String, String)>, store::Error> {
    let known = live.store.docs(FROM, id, limit).await?;
    Ok(known.into_iter().map(|(from, version)| (from, unquoted(&version))).collect())
}

/// What is to be kept before `next` is planned by these rules: nothing, if they were in force for the entry before it.
pub(super) async fn record(live: &Live, rules: &RuleSet, next: Seq) -> Result<Vec<DocChange>, store::Error> {
    let version = &rules.version;
    let known = judges(live, "", FORGOTTEN_AT_ONCE).await?;
    if known.first().is_some_and(|(_, id)| *id == version.id) {
        return Ok(Vec::new());
    }
    let mut changes = vec![change(FROM, &from_id(next), Some(quoted(&version.id)))];
    if text(live, VERSION, &version.id).await?.is_none() {
        changes.push(change(VERSION, &version.id, Some(version.head.clone())));
        changes.extend(version.files().map(|(hash, text)| change(FILE, hash, Some(quoted(text)))));
    }
    changes.extend(forgotten(live, version, next, &known).await?);
    Ok(changes)
}

/// The versions that judged no event that is still kept, with the files that only they have.
async fn forgotten(
    live: &Live,
    now: &Version,
    next: Seq,
    known: &[(String, String)],
) -> Result<Vec<DocChange>, store::Error> {
    let filter = store::EventFilter { after: Some(0), limit: 1, ..store::EventFilter::default() };
    let oldest = live.store.list_events(&filter).await?.first().map_or(next, |(seq, _)| *seq);
    // A version judged until the next one began, and `known` is newest first.
    let mut until = next;
    let (kept, gone): (Vec<_>, Vec<_>) = known.iter().partition(|(id, _)| {
        let from = seq_of(id).unwrap_or(0);
        let is_needed = from < until && until > oldest;
        until = from;
        is_needed
    });
    let gone_from = gone.iter().map(|(id, _)| id).filter(|id| **id != from_id(next));
    let mut changes: Vec<DocChange> = gone_from.map(|id| change(FROM, id, None)).collect();
    let is_kept = |id: &String| *id == now.id || kept.iter().any(|(_, kept)| kept == id);
    let mut dead: Vec<&String> = gone.iter().map(|(_, version)| version).filter(|id| !is_kept(id)).collect();
    dead.sort_unstable();
    dead.dedup();
    let mut used: Vec<String> = now.files().map(|(hash, _)| hash.to_owned()).collect();
    for (_, id) in kept.iter().filter(|_| !dead.is_empty()) {
        used.extend(text(live, VERSION, id).await?.iter().flat_map(|head| Version::files_of(head)));
    }
    for id in dead {
        let files = text(live, VERSION, id).await?.map(|head| Version::files_of(&head)).unwrap_or_default();
        changes.push(change(VERSION, id, None));
        changes.extend(files.iter().filter(|hash| !used.contains(hash)).map(|hash| change(FILE, hash, None)));
    }
    Ok(changes)
}

async fn text(live: &Live, kind: &str, id: &str) -> Result<Option<String>, store::Error> {
    let key = Key { kind: kind.to_owned(), id: id.to_owned() };
    let mut keys = Keys::default();
    keys.one.insert(key.clone());
    Ok(live.store.load(&keys).await?.docs.remove(&key))
}

/// What every rule made of an event, in their order: what was kept when it was planned and since, and why the others
/// missed, by the rules that judged it then.
///
/// # Errors
/// As the store's.
pub async fn decisions(live: &Live, seq: Seq, event: &Event) -> Result<Vec<Decision>, store::Error> {
    // In this order: what is planned meanwhile is not taken for judged, and missed by all.
    let is_planned = live.store.census().await?.planned >= seq;
    let kept = live.store.whys(seq).await?;
    let was_parked = kept.iter().any(|row| row.outcome == RuleOutcome::Parked.name() && row.rule.is_empty());
    if was_parked || !is_planned {
        return Ok(kept);
    }
    let before = from_id(seq.saturating_add(1));
    let Some((_, id)) = judges(live, &before, 1).await?.pop() else { return Ok(kept) };
    let in_force = live.snapshot.load().rules.clone().filter(|rules| rules.version.id == id);
    let judged = match in_force {
        Some(rules) => Ok(planner::misses(&rules, seq, event)),
        None => then(live, &id).await?.map(|rules| planner::misses(&rules, seq, event)),
    };
    Ok(match judged {
        Ok(misses) => merged(kept, misses),
        Err(reason) => {
            let note = format!("why rules missed it can't be said any more: {reason}");
            let outcome = RuleOutcome::Missed.name().to_owned();
            let unknown = Decision { event: seq, rule: String::new(), outcome, note, detail: serde_json::json!({}) };
            kept.into_iter().chain([unknown]).collect()
        }
    })
}

/// The rules of a version that is in force no more; or why they can't be read.
async fn then(live: &Live, id: &str) -> Result<Result<RuleSet, String>, store::Error> {
    let Some(head) = text(live, VERSION, id).await? else { return Ok(Err("the rules of then are gone".into())) };
    let mut texts = std::collections::BTreeMap::new();
    for hash in Version::files_of(&head) {
        if let Some(text) = text(live, FILE, &hash).await? {
            texts.insert(hash, unquoted(&text));
        }
    }
    Ok(Version::read(&head, |hash| texts.get(hash).cloned()))
}

/// Puts misses where they stand among what was kept: by the order of the rules, and what came later stays behind.
fn merged(kept: Vec<Decision>, misses: Vec<(String, Option<Decision>)>) -> Vec<Decision> {
    let mut kept: Vec<Option<Decision>> = kept.into_iter().map(Some).collect();
    let mut rows = Vec::new();
    // That no rule names the type is said of no rule, and first.
    rows.extend(
        kept.iter_mut().filter(|row| row.as_ref().is_some_and(|row| row.rule.is_empty())).filter_map(Option::take),
    );
    for (rule, missed) in misses {
        let is_first = |row: &Decision| row.rule == rule && row.detail.get("by_hand").is_none();
        let first = kept.iter_mut().find(|row| row.as_ref().is_some_and(is_first));
        rows.extend(missed.or_else(|| first?.take()));
    }
    rows.extend(kept.into_iter().flatten());
    rows
}
