//! A rule in sentences, for people who review it and don't read YAML: what it acts on, and what it sends when to whom.
//!
//! Pure: from compiled rules to text, the same wherever it is shown. What stands in a file is between backticks, and no
//! value has one, so that a page can set such pieces apart ([`pieces`]).

use super::calendar::Workdays;
use super::{Action, Closer, Condition, Expected, FileMute, IfFailed, KeySpec, Missing, Rule, RuleSet, Sum};
use crate::delivery::LinkOp;

mod action;
mod condition;
mod words;

use self::action::{Position, action};
use self::condition::{block, inline};
use self::words::{code, codes, list, ordinal, span};

/// A sentence, and what it says in more than one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The sentence. Pieces of files stand between backticks.
    pub text: String,
    /// What stands below it.
    pub parts: Vec<Sentence>,
}

impl Sentence {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), parts: Vec::new() }
    }

    /// The sentence and what stands below it, each with its depth, in order.
    pub fn lines(&self) -> Vec<(usize, &str)> {
        let mut lines = vec![(0, self.text.as_str())];
        for part in &self.parts {
            lines.extend(part.lines().into_iter().map(|(depth, text)| (depth + 1, text)));
        }
        lines
    }
}

/// The pieces of a sentence in order, each with whether it stands in a file: `to ` is not, `finance` is.
pub fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let pieces = text.split('`').enumerate().map(|(at, piece)| (at % 2 == 1, piece));
    pieces.filter(|(_, piece)| !piece.is_empty())
}

/// What a rule does, in the order in which it does it.
pub fn plain(rule: &Rule, rules: &RuleSet) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    if !rule.enabled {
        sentences.push(Sentence::new("The rule is switched off: it receives nothing."));
    }
    if rule.shadow {
        sentences.push(Sentence::new("The rule is in shadow: Fanfare plans and shows its messages, and sends none."));
    }
    match &rule.missing {
        Some(missing) => sentences.push(silence(missing)),
        None => sentences.push(receives(rule)),
    }
    if let Some(threshold) = &rule.threshold {
        let (nth, within, per) = (ordinal(threshold.count), span(threshold.within), apart(threshold.per.as_ref()));
        sentences.push(Sentence::new(format!("It acts at the {nth} match within {within}{per}, then counts anew.")));
    }
    sentences.extend(rule.sum.as_ref().map(|sum| Sentence::new(summed(sum))));
    sentences.extend(case(rule));
    let place = if rule.missing.is_some() {
        Position::Silence
    } else if rule.case.is_some() {
        Position::Case
    } else {
        Position::Match
    };
    sentences.extend(actions(&rule.actions, rules, place));
    sentences.extend(actions(&rule.on_close, rules, Position::Close));
    if let Some(flood) = &rule.flood {
        let (times, least) = (flood.times, flood.least);
        sentences.push(Sentence::new(format!(
            "Its messages wait for a person if it sends more than {times} times its usual in an hour, and more than {least}."
        )));
    }
    if let Some(links) = &rule.links {
        sentences.push(Sentence::new(links_of(&links.value, "Its messages")));
    }
    sentences.extend(rules.mutes.iter().filter(|mute| covers(mute, rule)).map(|mute| muted(mute, rules)));
    sentences
}

/// A condition as the end of a sentence, or below it.
fn with_condition(text: String, when: Option<&Condition>, if_failed: Option<IfFailed>) -> Sentence {
    let Some(when) = when else { return Sentence::new(format!("{text}.")) };
    let acts = if_failed == Some(IfFailed::Act);
    match inline(&when.tree) {
        Some(words) if acts => Sentence::new(format!("{text}, if {words}, or if Fanfare can't read that.")),
        Some(words) => Sentence::new(format!("{text}, if {words}.")),
        None => {
            let (holds, parts) = block(&when.tree);
            let unread = if acts { ", or can't be read" } else { "" };
            Sentence { text: format!("{text}, {holds}{unread}:"), parts }
        }
    }
}

fn receives(rule: &Rule) -> Sentence {
    let source = rule.source.as_ref().map(|source| format!(", from the source {}", code(source))).unwrap_or_default();
    with_condition(format!("It acts on {}{source}", events(&rule.events)), rule.when.as_ref(), rule.if_failed)
}

/// `events …, except …`.
fn events(globs: &super::Globs) -> String {
    let texts = globs.texts().iter().map(|glob| glob.text.as_str());
    let (except, only): (Vec<&str>, Vec<&str>) = texts.partition(|text| text.starts_with('!'));
    let except: Vec<&str> = except.into_iter().map(|text| text.trim_start_matches('!')).collect();
    let only = if only.is_empty() { "all events".to_owned() } else { format!("events {}", codes(&only, "and")) };
    if except.is_empty() { only } else { format!("{only} except {}", codes(&except, "and")) }
}

fn silence(missing: &Missing) -> Sentence {
    let when = match &missing.expected {
        Expected::For(time) => format!("for {}", span(*time)),
        Expected::Each(periods) => {
            let zone = periods.zone.iana_name().unwrap_or("UTC");
            format!("since the {} began, {} ({zone})", periods.each.name(), words::by(periods))
        }
    };
    let awaited: Vec<&str> = missing.events.texts().iter().map(|glob| glob.text.as_str()).collect();
    let text = format!("It acts when no event {} came {when}", codes(&awaited, "or"));
    match &missing.when {
        None => Sentence::new(format!("{text}.")),
        Some(only) => match inline(&only.tree) {
            Some(words) => Sentence::new(format!("{text}. An event counts if {words}.")),
            None => {
                let (holds, parts) = block(&only.tree);
                Sentence { text: format!("{text}. An event counts {holds}:"), parts }
            }
        },
    }
}

/// What a case is, and what ends it.
fn case(rule: &Rule) -> Option<Sentence> {
    let about = match (&rule.case, &rule.missing) {
        (Some(key), _) => format!("Events with the same {} are one case. ", key_words(key)),
        (None, Some(_)) => "That opens a case. The next such event closes it".to_owned(),
        (None, None) => return None,
    };
    let mut ends: Vec<&str> = Vec::new();
    let mut parts = Vec::new();
    for closer in &rule.closed_by {
        match (&closer.when, &closer.case) {
            (None, None) => ends.extend(closer.events.texts().iter().map(|glob| glob.text.as_str())),
            _ => parts.push(closes(closer)),
        }
    }
    let mut ways = Vec::new();
    if !ends.is_empty() {
        ways.push(format!("at {}", codes(&ends, "or")));
    }
    if let Some(after) = rule.closes_after {
        ways.push(format!("after {} without an event", span(after)));
    }
    if !parts.is_empty() {
        ways.push("at:".to_owned());
    }
    let ended = match (rule.case.is_some(), ways.as_slice()) {
        (true, []) => "No event closes a case".to_owned(),
        (true, ways) => format!("A case closes {}", ways.join(", or ")),
        (false, []) => String::new(),
        (false, ways) => format!(", or it closes {}", ways.join(", or ")),
    };
    let stop = if parts.is_empty() { "." } else { "" };
    Some(Sentence { text: format!("{about}{ended}{stop}"), parts })
}

fn closes(closer: &Closer) -> Sentence {
    let key = closer.case.as_ref().map(|key| format!(" whose key is {}", key_words(key))).unwrap_or_default();
    with_condition(format!("{}{key}", events(&closer.events)), closer.when.as_ref(), None)
}

/// The actions; those that differ only in their time are one sentence.
fn actions(actions: &[Action], rules: &RuleSet, place: Position) -> Vec<Sentence> {
    let same = |one: &Action, other: &Action| one.step.is_some() && other.step.is_some() && one.place == other.place;
    actions.chunk_by(same).map(|steps| action(steps, rules, place)).collect()
}

/// ` for each …`, where something is counted or collected apart.
fn apart(key: Option<&KeySpec>) -> String {
    key.map(|key| format!(" for each {}", key_words(key))).unwrap_or_default()
}

fn key_words(key: &KeySpec) -> String {
    let names: Vec<&str> = key.names().map(|name| name.text.as_str()).collect();
    codes(&names, "and")
}

/// When a sum makes the rule act.
fn summed(sum: &Sum) -> String {
    let of = format!("the sum of {} in a {}{}", code(&sum.of.text), sum.window.name(), apart(sum.per.as_ref()));
    let tests: Vec<String> = sum.tests.iter().map(|test| format!("{} {}", test.by.words(), test.text)).collect();
    match tests.is_empty() {
        true => format!("It adds up {of}, and acts at each match."),
        false => format!("It acts at the match that takes {of} {}.", list(&tests, "and")),
    }
}

fn business_days(days: &Workdays) -> String {
    let count = days.count.unsigned_abs();
    format!("{count} business {}", if count == 1 { "day" } else { "days" })
}

fn links_of(links: &[LinkOp], whose: &str) -> String {
    let words: Vec<String> = links.iter().map(|link| code(&link.word())).collect();
    if words.is_empty() {
        format!("{whose} carry no links.")
    } else {
        format!("{whose} carry links: {}.", list(&words, "and"))
    }
}

/// Whether a mute of the files can silence something of a rule.
fn covers(mute: &FileMute, rule: &Rule) -> bool {
    let of_rule = mute.mute.rule.as_ref().is_none_or(|name| *name == rule.name.value);
    let goes_to = |to: &String| rule.all_actions().any(|action| action.to.iter().any(|at| at.value == *to));
    // A type that the rule names is surely meant; what a glob of it reaches is not known here.
    let of_type = match (&mute.events, rule.events.exact()) {
        (Some(globs), Some(kinds)) if !kinds.is_empty() => kinds.iter().any(|kind| globs.accept(kind, false)),
        _ => true,
    };
    of_rule && of_type && mute.mute.destination.as_ref().is_none_or(goes_to)
}

fn muted(mute: &FileMute, rules: &RuleSet) -> Sentence {
    let zone = rules.zone.as_ref().unwrap_or(&mute.zone);
    let time = |at: jiff::Timestamp| zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string();
    let from = match mute.mute.from {
        from if from == jiff::Timestamp::UNIX_EPOCH => String::new(),
        from => format!("from {} ", time(from)),
    };
    let name = zone.iana_name().unwrap_or("UTC");
    let mut text = format!("A mute silences it {from}until {} ({name})", time(mute.mute.until));
    if let Some(globs) = &mute.events {
        text.push_str(&format!(" for {}", events(globs)));
    }
    if let Some(to) = &mute.mute.destination {
        text.push_str(&format!(" at {}", code(to)));
    }
    with_condition(format!("{text}: {}", words::plain_text(&mute.mute.reason)), mute.when.as_ref(), None)
}
