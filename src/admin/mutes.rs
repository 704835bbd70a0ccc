//! Mutes: what is silent now or will be, by whom and why; asking for silence, and ending it.
//!
//! What is asked for is read by the rule language, as if it stood in a file, so that the same mistakes are found and told
//! with their places. Mutes of files are listed too; they can be ended, and stand in their file all the same.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::admin::answer::{Answer, By, Id, Refused, Shared, ask, json_answer, near};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::view::{MuteView, value};
use crate::clock::plus;
use crate::event::{Command, Mute};
use crate::planner::Muting;
use crate::problem::{Problem, Problems};
use crate::rules::value::coming_time;
use crate::rules::{FileMute, RuleSet};
use crate::steps::Live;
use crate::yaml::span_of_time;

/// The kind of the planner's documents.
const KIND: &str = "mute";
/// How many mutes are read; more than a team could ever mean.
const READ_MAX: usize = 1_000;
/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// A mute as people see it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    muting: Muting,
    /// Where it stands, if in a file.
    place: Option<String>,
}

impl Known {
    fn state(&self, now: Timestamp) -> &'static str {
        let mute = &self.muting.mute;
        match (self.muting.ended || mute.until <= now, mute.from > now) {
            (true, _) => "over",
            (false, true) => "planned",
            (false, false) => "active",
        }
    }

    /// Whether it silences something now.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.state(now) == "active"
    }

    /// As it is answered.
    pub fn view(&self, now: Timestamp) -> MuteView {
        let Muting { mute, counts, in_file, .. } = self.muting.clone();
        MuteView {
            id: mute.id,
            state: self.state(now),
            rule: mute.rule,
            destination: mute.destination,
            events: mute.events,
            when: mute.when.map(|when| value(&when)),
            // Since 1970 is what a file says that says nothing.
            from: (mute.from > Timestamp::UNIX_EPOCH).then(|| mute.from.to_string()),
            until: mute.until.to_string(),
            reason: mute.reason,
            by: mute.by,
            muted: counts.values().sum::<u64>(),
            rules: counts,
            in_file,
            place: self.place.clone(),
            note: None,
        }
    }
}

/// The mutes of run time and of files, by when they end.
pub(crate) async fn known(live: &Live) -> Result<Vec<Known>, Refused> {
    let docs = live.store.docs(KIND, "", READ_MAX).await?;
    let snapshot = live.snapshot.load_full();
    let now = live.clock.now();
    let files: &[FileMute] = snapshot.rules.as_ref().map_or(&[], |rules| rules.mutes.as_slice());
    let place = |id: &str| files.iter().find(|file| file.mute.id == id).map(|file| file.place.to_string());
    let mut all: Vec<Known> = docs
        .iter()
        .filter_map(|(_, text)| serde_json::from_str::<Muting>(text).ok())
        .map(|muting| Known { place: place(&muting.mute.id), muting })
        .collect();
    // Those that the planner has not taken up yet.
    for file in files.iter().filter(|file| file.mute.until > now) {
        if !all.iter().any(|known| known.muting.mute.id == file.mute.id) {
            let (mute, counts) = (file.mute.clone(), std::collections::BTreeMap::new());
            let muting = Muting { mute, in_file: true, ended: false, counts };
            all.push(Known { muting, place: Some(file.place.to_string()) });
        }
    }
    all.sort_by(|a, b| (a.muting.mute.until, &a.muting.mute.id).cmp(&(b.muting.mute.until, &b.muting.mute.id)));
    Ok(all)
}

/// Current and future mutes, those in files included
#[utoipa::path(get, path = "/mutes", responses((status = 200, description = "Mutes, by when they end", body = [MuteView])))]
pub(crate) async fn list(State(live): Shared) -> Answer {
    let now = live.clock.now();
    let list: Vec<MuteView> = known(&live).await?.iter().map(|known| known.view(now)).collect();
    Ok(json_answer(&list))
}

/// What is to be silent. All that is given must hold; one of `rule`, `destination`, `events` and `when` is needed, and one of
/// `for` and `until`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the rule language reads what is asked, and reports each mistake at its place")]
struct NewMute {
    /// Only messages of this rule.
    rule: Option<String>,
    /// Only messages to this destination.
    destination: Option<String>,
    /// Only events of these types: a glob, or a list of them.
    events: Option<Value>,
    /// A condition, as JSON or as the text that stands under `when:` in a rule.
    when: Option<Value>,
    /// From when: RFC 3339, or a date.
    from: Option<String>,
    /// Until when: RFC 3339, or a date.
    until: Option<String>,
    /// For how long, such as `2h`.
    #[schema(rename = "for")]
    span: Option<String>,
    /// Why.
    reason: String,
    /// Whose it is.
    by: String,
}

/// Mute a rule, a destination, types or a condition for a time
#[utoipa::path(post, path = "/mutes", 
    request_body(content = NewMute, example = json!({"rule": "cases", "for": "2h", "reason": "planned takedown", "by": "ana"})),
    responses((status = 200, description = "The mute", body = MuteView)))]
pub(crate) async fn add(State(live): Shared, caller: Caller, body: Bytes) -> Answer {
    let asked: Value = serde_json::from_slice(&body).map_err(|error| Refused::Bad(format!("no JSON: {error}")))?;
    let Value::Object(asked) = asked else { return Err(Refused::Bad("a mute is a JSON object".into())) };
    Ok(json_answer(&begin(&live, asked, &caller).await?))
}

/// Begins a mute: says what is silent from when to when, once it is sure to be.
pub(crate) async fn begin(
    live: &Arc<Live>,
    mut asked: Map<String, Value>,
    caller: &Caller,
) -> Result<MuteView, Refused> {
    let now = live.clock.now();
    let by = caller.person(asked.get("by").and_then(Value::as_str))?;
    let reason = reason(asked.get("reason"))?;
    let snapshot = live.snapshot.load_full();
    let Some(rules) = snapshot.rules.clone() else {
        return Err(Refused::Bad("no rules are in force, so a mute can't be read; fix them first".into()));
    };
    for key in ["from", "until"] {
        let text = asked.get(key).and_then(Value::as_str);
        if let Some(at) = text.and_then(|text| coming_time(text, now, &snapshot.settings.zone())) {
            asked.insert(key.into(), at.to_string().into());
        }
    }
    asked.insert("by".into(), by.into());
    asked.insert("reason".into(), reason.into());
    if let Some(span) = asked.remove("for").filter(|span| !span.is_null()) {
        asked.insert("until".into(), until(&asked, &span, now)?.to_string().into());
    } else if asked.get("until").is_none_or(Value::is_null) {
        return Err(Refused::Bad("say for how long: `for`, such as `2h`, or `until`".into()));
    }
    let read = rules.read_mute("mute", &composed(&asked)).map_err(|problems| Refused::Bad(report(&problems)))?;
    let places: Vec<&str> = snapshot.destinations.keys().map(String::as_str).collect();
    if let Some(to) = read.destination.as_ref().filter(|to| !places.contains(&to.value.as_str())) {
        let problem = Problem::error("unknown-destination", format!("there is no destination `{}`", to.value));
        let problem = problem.at(&to.place).suggest(&to.value, places);
        return Err(Refused::Bad(problem.render(false)));
    }
    let mute = Mute { from: read.mute.from.max(now), ..read.mute };
    if mute.until <= now {
        let ended = mute.until.to_zoned_datetime(snapshot.settings.zone()).strftime("%Y-%m-%d %H:%M %Z");
        return Err(Refused::Bad(format!("this mute would be over already: it ends {ended}")));
    }
    let mute = Mute { id: RuleSet::mute_id(&mute), ..mute };
    let until = mute.until.to_zoned_datetime(snapshot.settings.zone()).strftime("%Y-%m-%d %H:%M %Z");
    let note = format!("{} until {until}, by {}: {}", silenced(&mute), mute.by, mute.reason);
    let view = Known { muting: Muting::of(mute.clone()), place: None }.view(now);
    let asking = caller.asking(&mute.by, Some(&mute.reason));
    audit::record(live, asking, "muted", format!("{} until {until}", what(&mute))).await?;
    ask(live, Command::Mute(mute)).await?;
    Ok(MuteView { note: Some(note), ..view })
}

fn reason(given: Option<&Value>) -> Result<String, Refused> {
    let reason = given.and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if reason.is_empty() {
        return Err(Refused::Bad("say why: `reason`".into()));
    }
    if reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
        return Err(Refused::Bad(format!("`reason` is one line of at most {REASON_MAX} characters")));
    }
    Ok(reason.to_owned())
}

fn until(asked: &Map<String, Value>, span: &Value, now: Timestamp) -> Result<Timestamp, Refused> {
    if asked.get("until").is_some_and(|until| !until.is_null()) {
        return Err(Refused::Bad("`for` and `until` say the same in two ways: one of them is enough".into()));
    }
    let span = span.as_str().and_then(span_of_time).filter(|span| span.is_positive());
    let span = span.ok_or_else(|| Refused::Bad("`for` is a time span, such as `30m`, `2h` or `1h30m`".into()))?;
    Ok(plus(now, span))
}

/// What is asked as the text that would stand in a file, each part on lines of its own, so that a mistake is shown in
/// its line.
fn composed(asked: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (key, value) in asked.iter().filter(|(_, value)| !value.is_null()) {
        let is_word = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !key.is_empty();
        let key = if is_word { key.clone() } else { json!(key).to_string() };
        // Writing to a String never fails.
        let _ = match value {
            // A condition comes as somebody would write it under its key. Indented, it can't say anything beside it.
            Value::String(when) if key == "when" && !when.trim().is_empty() => {
                let lines: Vec<String> = when.lines().map(|line| format!("  {line}")).collect();
                writeln!(text, "{key}:\n{}", lines.join("\n"))
            }
            value => writeln!(text, "{key}: {value}"),
        };
    }
    text
}

/// Problems in full.
fn report(problems: &Problems) -> String {
    let all: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    all.join("\n\n")
}

fn silenced(mute: &Mute) -> String {
    format!("muted: {}", what(mute))
}

/// What a mute silences, in words.
fn what(mute: &Mute) -> String {
    let mut words = Vec::new();
    words.extend(mute.rule.as_ref().map(|rule| format!("rule `{rule}`")));
    words.extend(mute.destination.as_ref().map(|destination| format!("destination `{destination}`")));
    if !mute.events.is_empty() {
        words.push(format!("events `{}`", mute.events.join(", ")));
    }
    words.extend(mute.when.as_ref().map(|_| "events that its condition accepts".to_owned()));
    words.join(", ")
}

/// End a mute before its time
#[utoipa::path(post, path = "/mutes/{id}/end", params(Id, By), responses((status = 200, description = "The mute as it was", body = MuteView)))]
pub(crate) async fn end(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<By>, QueryRejection>,
) -> Answer {
    let Query(By { by }) = query?;
    Ok(json_answer(&finish(&live, &id, by.as_deref(), &caller).await?))
}

/// Ends a mute before its time: says what follows, once it is sure to be done.
pub(crate) async fn finish(
    live: &Arc<Live>,
    said: &str,
    by: Option<&str>,
    caller: &Caller,
) -> Result<MuteView, Refused> {
    let by = caller.person(by)?;
    let now = live.clock.now();
    let all = known(live).await?;
    let open: Vec<&Known> = all.iter().filter(|known| known.state(now) != "over").collect();
    let ids = || open.iter().map(|known| known.muting.mute.id.as_str());
    // The start of an id will do where it is one mute's alone.
    let found: Vec<&&Known> = match open.iter().find(|known| known.muting.mute.id == said) {
        Some(known) => vec![known],
        None if said.len() >= "mute_".len() + 2 => {
            open.iter().filter(|known| known.muting.mute.id.starts_with(said)).collect()
        }
        None => Vec::new(),
    };
    let known = match found.as_slice() {
        [known] => known,
        [] => {
            let hint = near(said, ids(), "; it may be over");
            return Err(Refused::NotFound(format!("there is no mute `{said}`{hint}")));
        }
        several => {
            let ids: Vec<String> = several.iter().map(|known| format!("`{}`", known.muting.mute.id)).collect();
            return Err(Refused::Bad(format!("several mutes begin so: {}", ids.join(", "))));
        }
    };
    let mute = &known.muting.mute;
    let held = known.muting.counts.values().sum::<u64>();
    let were = if held == 1 {
        "1 message was muted, and is".to_owned()
    } else {
        format!("{held} messages were muted, and are")
    };
    let mut note = format!("{by} ends mute `{}`; {were} not sent later", mute.id);
    if let Some(place) = &known.place {
        let _ = write!(note, "; it still stands in {place}: take it out there");
    }
    let asking = caller.asking(&by, None);
    audit::record(live, asking, "unmuted", format!("mute `{}`: {}", mute.id, what(mute))).await?;
    ask(live, Command::Unmute { id: mute.id.clone(), by }).await?;
    Ok(MuteView { note: Some(note), ..known.view(now) })
}
