//! What an action sends, when and to whom, in words. Pure.

use jiff::SignedDuration;

use super::condition::{block, inline};
use super::words::{code, codes, days, list, month_day, span, window};
use super::{Sentence, apart, business_days, links_of, with_condition};
use crate::delivery::{Mention, Say};
use crate::rules::{Action, AtDate, Digest, DigestTime, Hours, HoursChoice, IfFailed, RuleSet, Throttle};

/// Where an action stands in its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// In a rule without a case.
    Match,
    /// In a rule with one.
    Case,
    /// In a rule that notices silence.
    Silence,
    /// In `on_close`.
    Close,
}

/// One action; several where it has several times.
pub(super) fn action(steps: &[Action], rules: &RuleSet, place: Position) -> Sentence {
    let Some(action) = steps.first() else { return Sentence::new("") };
    let to: Vec<&str> = action.to.iter().map(|to| to.value.as_str()).collect();
    let mut text = format!("{}, it sends {} to {}", when(steps, place), what(action), codes(&to, "and"));
    if action.deadline {
        let date = capital(&action.at.as_ref().map(date).unwrap_or_default());
        text = format!("{date}, while the case is open, {} at {} changes", what(action), codes(&to, "and"));
    }
    if let Some(severity) = action.severity {
        text.push_str(&format!(" as {}", severity.name()));
    }
    if !action.mention.is_empty() {
        let names: Vec<String> = action.mention.iter().map(|name| mentioned(&name.value)).collect();
        text.push_str(&format!(", mentioning {}", list(&names, "and")));
    }
    if action.otherwise {
        text.push_str(", if no action with a condition acted");
    }
    let mut sentence = match &action.when {
        Some(when) if inline(&when.tree).is_none() => {
            let (holds, parts) = block(&when.tree);
            let unread = if action.if_failed == Some(IfFailed::Act) { ", or can't be read" } else { "" };
            let only = Sentence { text: format!("Only {holds}{unread}:"), parts };
            Sentence { text: format!("{text}."), parts: vec![only] }
        }
        when => with_condition(text, when.as_ref(), action.if_failed),
    };
    sentence.parts.extend(beside(action, rules).into_iter().map(Sentence::new));
    sentence
}

fn mentioned(mention: &Mention) -> String {
    match mention {
        Mention::Named(name) => code(name),
        Mention::Mapped { map } => format!("whom the map {} gives", code(map)),
    }
}

/// What limits, collects or delays its messages, and what goes with them.
fn beside(action: &Action, rules: &RuleSet) -> Vec<String> {
    let mut lines = Vec::new();
    if action.deadline {
        lines.push("Where it can't change, it is sent again.".into());
    } else if action.update {
        lines.push("It is one message: later matches change it, or at the close the last one is sent.".into());
    }
    lines.extend(action.throttle.as_ref().map(throttle));
    lines.extend(action.digest.as_ref().map(digest));
    if let Some(attach) = &action.attach {
        let columns: Vec<&str> = attach.columns.iter().map(|(column, _)| column.as_str()).collect();
        let file = code(&attach.csv.value);
        lines.push(format!("The file {file} goes with it: a row for each event, with {}.", codes(&columns, "and")));
    }
    lines.extend(action.hours.as_ref().map(|hours| self::hours(hours, rules)));
    if !action.with.is_empty() {
        let constants: Vec<String> = action.with.iter().map(|(key, value)| code(&format!("{key}: {value}"))).collect();
        lines.push(format!("The message gets {}.", list(&constants, "and")));
    }
    lines.extend(action.links.as_ref().map(|links| links_of(&links.value, "Its messages")));
    lines
}

fn what(action: &Action) -> String {
    match &action.say.value {
        Say::Message(name) => format!("the message {}", code(name)),
        Say::Text(text) => format!("the text {}", code(text)),
        Say::Default | Say::Summary => "the default message".into(),
    }
}

fn when(steps: &[Action], place: Position) -> String {
    let Some(action) = steps.first() else { return String::new() };
    if steps.iter().any(|step| step.at.is_some()) {
        let dates: Vec<String> = steps.iter().filter_map(|step| step.at.as_ref()).map(date).collect();
        let open = if place == Position::Match { "" } else { ", while the case is open and nobody acknowledged it" };
        return format!("{}{open}", capital(&list(&dates, "and")));
    }
    let again = action.repeat.map(|repeat| format!(", and again every {}", bare(repeat))).unwrap_or_default();
    if steps.iter().any(|step| step.after.is_some()) {
        let times: Vec<String> = steps.iter().filter_map(after).collect();
        let times = list(&times, "and");
        return format!("{times} after the opening{again}, while the case is open and nobody acknowledged it");
    }
    if !again.is_empty() {
        return format!("At the opening{again}, while the case is open and nobody acknowledged it");
    }
    match place {
        Position::Case if action.once => "When a case opens".into(),
        Position::Case if action.update => "At the first match of a case".into(),
        Position::Match | Position::Case => "At each match".into(),
        Position::Silence => "Then".into(),
        Position::Close => "When the case closes".into(),
    }
}

fn after(action: &Action) -> Option<String> {
    match &action.after_days {
        Some(days) => Some(business_days(days)),
        None => action.after.map(span),
    }
}

/// `2 days before …`.
fn date(at: &AtDate) -> String {
    let path = match at.midnight.as_ref().and_then(jiff::tz::TimeZone::iana_name) {
        Some(zone) => format!("midnight of {} in {zone}", code(&at.path.text)),
        None => code(&at.path.text),
    };
    let (amount, before) = match &at.days {
        Some(days) => (business_days(days), days.count < 0),
        None if at.offset.is_zero() => return format!("at {path}"),
        None => (span(at.offset), at.offset.is_negative()),
    };
    format!("{amount} {} {path}", if before { "before" } else { "after" })
}

fn throttle(throttle: &Throttle) -> String {
    let Throttle { per, max, every, rest_digest } = throttle;
    let messages = if *max == 1 { "message" } else { "messages" };
    let rest = if *rest_digest { "The rest comes as one message at the end" } else { "Fanfare drops the rest" };
    format!("At most {max} {messages} in {}{}. {rest}.", span(*every), apart(per.as_ref()))
}

fn digest(digest: &Digest) -> String {
    let per = apart(digest.per.as_ref());
    let goes = match &digest.when {
        DigestTime::Every(every) => format!("sends it {} after the first", span(*every)),
        DigestTime::At(times) => {
            let on = match times.month_days.as_slice() {
                [] if times.days == [true; 7] => days(&times.days),
                [] => format!("on {}", days(&times.days)),
                some => {
                    let some: Vec<String> = some.iter().map(|day| month_day(*day)).collect();
                    format!("on {} of the month", list(&some, "and"))
                }
            };
            format!("sends it at {} {on} ({})", times.at.strftime("%H:%M"), times.zone.iana_name().unwrap_or("UTC"))
        }
    };
    format!("Fanfare collects events into one message{per} and {goes}, with at most {} of them.", digest.limit)
}

fn hours(hours: &HoursChoice, rules: &RuleSet) -> String {
    let HoursChoice::Within(hours) = hours else { return "It goes at any hour.".into() };
    let name = rules.hours.iter().find(|(_, named)| std::ptr::eq::<Hours>(&***named, &**hours));
    let within = match name {
        Some((name, _)) => format!("{} ({})", code(name), window(hours)),
        None => window(hours),
    };
    let outside = if hours.drop { "outside, Fanfare drops it" } else { "outside, it waits" };
    format!("It goes within the hours {within}; {outside}.")
}

/// A span after `every`: `hour`, `4 hours`.
fn bare(repeat: SignedDuration) -> String {
    let words = span(repeat);
    words.strip_prefix("1 ").map_or_else(|| words.clone(), str::to_owned)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
