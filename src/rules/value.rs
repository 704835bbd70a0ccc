//! The one comparison of what a rule says with what an event holds: exact numbers, times, texts in NFC.
//!
//! Pure. A rule's value is read once into a [`Literal`]; an event's stays the JSON value it is. Numbers are decimals
//! of any length and never floats; a number in a rule also meets a text that plainly is one; a time in a rule meets
//! texts and unix seconds.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::decimal::Decimal;

/// A value that stands in a rule.
#[derive(Debug, Clone)]
pub enum Literal {
    /// `null`, written out.
    Null,
    /// `true` or `false`.
    Truth(bool),
    /// A number, with the text it was written as.
    Number(Decimal, String),
    /// A text; with the time it is, if it is one in RFC 3339's form, or a date alone.
    Text(Text, Option<Timestamp>),
    /// A list.
    List(Vec<Literal>),
    /// A mapping.
    Map(Vec<(Text, Literal)>),
}

/// A text of a rule, ready to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// As it is compared: in NFC, and folded where case is ignored.
    pub form: String,
    /// Whether case is ignored.
    pub folded: bool,
}

impl Text {
    /// Ready to be compared, with or without regard to case.
    pub fn new(text: &str, folded: bool) -> Self {
        Self { form: comparable(text, folded).into_owned(), folded }
    }

    /// Whether an event's text is the same.
    pub fn same(&self, other: &str) -> bool {
        self.form == self.alike(other)
    }

    /// An event's text in the form that this one has.
    pub fn alike<'t>(&self, other: &'t str) -> Cow<'t, str> {
        comparable(other, self.folded)
    }
}

/// A text in NFC, and folded where case is ignored.
pub fn comparable(text: &str, folded: bool) -> Cow<'_, str> {
    if folded && text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    if folded {
        // Up, then down, character by character: so `ß` meets `SS`, and a final sigma any other.
        let up: String = text.nfc().flat_map(char::to_uppercase).collect();
        let down: String = up.chars().flat_map(char::to_lowercase).collect();
        return Cow::Owned(down.nfc().collect());
    }
    if text.is_ascii() || is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

impl Literal {
    /// A text, and the time it is, if it is one.
    pub fn text(text: &str, folded: bool, zone: &TimeZone) -> Self {
        Literal::Text(Text::new(text, folded), time_of_text(text, zone).ok())
    }

    /// Whether an event's value equals it; `Err` says why not, where that may surprise.
    pub fn equals(&self, value: &Value, zone: &TimeZone) -> Result<(), Option<String>> {
        if self.is(value, zone) { Ok(()) } else { Err(self.surprise(value)) }
    }

    /// Whether an event's value equals it.
    pub fn is(&self, value: &Value, zone: &TimeZone) -> bool {
        match (self, value) {
            (Literal::Null, Value::Null) => true,
            (Literal::Truth(truth), Value::Bool(other)) => truth == other,
            (Literal::Number(number, _), Value::Number(_) | Value::String(_)) => {
                number_of(value).is_some_and(|(other, _)| *number == other)
            }
            (Literal::Text(text, time), Value::String(other)) => {
                text.same(other) || (time.is_some() && time_of_text(other, zone).ok() == *time)
            }
            (Literal::Text(_, Some(time)), Value::Number(_)) => time_of(value, zone) == Ok(*time),
            (Literal::List(list), Value::Array(others)) => {
                list.len() == others.len() && list.iter().zip(others).all(|(literal, other)| literal.is(other, zone))
            }
            (Literal::Map(map), Value::Object(others)) => {
                map.len() == others.len()
                    && map.iter().all(|(key, literal)| {
                        let other = others.iter().find(|(other, _)| key.same(other));
                        other.is_some_and(|(_, other)| literal.is(other, zone))
                    })
            }
            _ => false,
        }
    }

    /// Whether it takes upper and lower case for the same.
    pub(super) fn folds(&self) -> bool {
        match self {
            Literal::Text(text, _) => text.folded,
            Literal::List(list) => list.iter().any(Literal::folds),
            Literal::Map(map) => map.iter().any(|(key, literal)| key.folded || literal.folds()),
            Literal::Null | Literal::Truth(_) | Literal::Number(..) => false,
        }
    }

    /// What may surprise in a value that is not equal.
    fn surprise(&self, value: &Value) -> Option<String> {
        match (self, value) {
            (Literal::List(_), _) | (Literal::Map(_), _) => None,
            (Literal::Number(..), Value::Number(_) | Value::String(_)) => {
                number_of(value).is_none().then(|| format!("{} is not a number", shown(value)))
            }
            (_, Value::Array(_)) => Some(LIST_HINT.into()),
            (_, Value::Object(_)) => Some("a mapping: name one of its members".into()),
            // What is far longer differs by more.
            (Literal::Text(text, _), Value::String(other)) if other.len() <= 2 * text.form.len() + 16 => {
                let trimmed = comparable(other.trim(), text.folded);
                if !text.folded && Text::new(&text.form, true).same(other) {
                    Some("only upper and lower case differ: `ignore_case: true` takes both".into())
                } else {
                    (trimmed == text.form).then(|| "differs only by spaces around it".to_owned())
                }
            }
            (Literal::Text(text, None), Value::Number(number)) if text.form == number.as_str() => {
                Some("a number, and the rule says text: remove the quotes".into())
            }
            (Literal::Text(text, _), Value::Bool(truth)) if text.form == truth.to_string() => {
                Some(format!("a truth value, and the rule says text: write {truth} without quotes"))
            }
            (Literal::Truth(truth), Value::String(other)) if *other == truth.to_string() => {
                Some("text, and the rule says a truth value: put it in quotes".into())
            }
            _ => None,
        }
    }
}

/// What is said of a list where one value was expected.
pub const LIST_HINT: &str = "a list: did you mean `[*]`?";

/// An event's number, with its text; a text that plainly is a number is one.
pub fn number_of(value: &Value) -> Option<(Decimal, &str)> {
    match value {
        Value::Number(number) => Some((Decimal::parse(number.as_str())?, number.as_str())),
        Value::String(text) => Some((Decimal::parse_grouped(text)?, text)),
        _ => None,
    }
}

/// The text that text operators read: a text's, or a number's own.
pub fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.as_str()),
        _ => None,
    }
}

/// What kind of value it is, in words.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// A short form of a value, for notes.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().nth(40).is_none() => format!("{value}"),
        Value::String(text) => format!("\"{}…\"", text.chars().take(40).collect::<String>()),
        Value::Array(_) | Value::Object(_) => kind_of(value).into(),
        _ => value.to_string(),
    }
}

/// The time that an event's value is: RFC 3339, a date alone (midnight in `zone`), or unix seconds.
pub fn time_of(value: &Value, zone: &TimeZone) -> Result<Timestamp, String> {
    match value {
        Value::String(text) => time_of_text(text, zone),
        Value::Number(number) => unix_seconds(number.as_str())
            .ok_or_else(|| format!("{number} is not a time in unix seconds (perhaps milliseconds?)")),
        Value::Array(_) => Err(LIST_HINT.into()),
        _ => Err(format!("{}, not a time", kind_of(value))),
    }
}

/// The time that somebody wrote in a file: as [`time_of_text`]; without a zone it is local to `zone`, `2026-02-03 18:00`.
pub fn written_time(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let shape: String = text.chars().take(20).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let is_local = matches!(shape.replace(['T', 't'], " ").as_str(), "0000-00-00 00:00" | "0000-00-00 00:00:00");
    let local = is_local.then(|| text.replace(' ', "T").parse::<DateTime>().ok()).flatten();
    match local.and_then(|local| zone.to_timestamp(local).ok()) {
        Some(at) => Ok(at),
        None => time_of_text(text, zone),
    }
}

/// The next moment after `now` that somebody means by `18:00`, `fri 09:00`, `friday 09:00` or `tomorrow 09:00`, local to
/// `zone`. Nothing where it is none of these.
pub fn coming_time(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let (day, clock) = text.trim().rsplit_once(char::is_whitespace).unwrap_or(("", text.trim()));
    let day = day.trim().to_lowercase();
    let shape: String = clock.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let time: Time = matches!(shape.as_str(), "00:00" | "0:00").then(|| format!("{clock:0>5}").parse().ok())??;
    let today = zone.to_datetime(now).date();
    let is_meant = |date: Date| {
        let name = date.strftime("%A").to_string().to_lowercase();
        day.is_empty()
            || (day.len() >= 3 && name.starts_with(&day))
            || (day == "tomorrow" && Some(date) == today.tomorrow().ok())
    };
    // Eight days: the same day of next week, where today's time is past.
    let dates = (0..=7).filter_map(|days| today.checked_add(Span::new().days(days)).ok());
    let moments =
        dates.filter(|date| is_meant(*date)).filter_map(|date| zone.to_timestamp(date.to_datetime(time)).ok());
    moments.into_iter().find(|at| *at > now)
}

/// The time that a text is: RFC 3339, or a date alone, midnight in `zone`.
pub fn time_of_text(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let shape: String = text.chars().take(40).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    // As much of it as is shown.
    let no_time = || format!("{} is not a time", shown(&text.chars().take(41).collect::<String>().into()));
    if shape == "0000-00-00" {
        let date: Date = text.parse().map_err(|_| no_time())?;
        return zone.to_timestamp(date.at(0, 0, 0, 0)).map_err(|_| no_time());
    }
    let Some(rest) = shape.strip_prefix("0000-00-00") else { return Err(no_time()) };
    let clock = rest.strip_prefix(['T', 't', ' ']).and_then(|rest| rest.strip_prefix("00:00:00"));
    let Some(clock) = clock else { return Err(no_time()) };
    let zone = match clock.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return Err(no_time()),
        None => clock,
    };
    match zone {
        "Z" | "z" | "+00:00" | "-00:00" => text.parse().map_err(|_| no_time()),
        "" => Err(format!("{text} has no zone: a `Z` or an offset such as `+02:00`")),
        _ => Err(no_time()),
    }
}

/// Unix seconds, with or without a fraction, as a moment that a calendar can show.
fn unix_seconds(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_second(seconds).ok();
    }
    let fixed = Decimal::parse(text)?.fixed(9)?;
    let (seconds, nanos) = fixed.split_once('.')?;
    let negative = seconds.starts_with('-');
    let (seconds, nanos): (i64, i32) = (seconds.parse().ok()?, nanos.parse().ok()?);
    Timestamp::new(seconds, if negative { -nanos } else { nanos }).ok()
}

/// How far `value` is from `bound`: `1.20 is 998.80 short`, `1500 is 500 too much`. `None` where they are equal.
pub fn distance(bound: (&Decimal, &str), value: (&Decimal, &str)) -> Option<String> {
    let words = match value.0.cmp(bound.0) {
        Ordering::Less => "short",
        Ordering::Greater => "too much",
        Ordering::Equal => return None,
    };
    let difference = bound.0.plus(&minus(value.0)?)?;
    let places = places(bound.1).max(places(value.1));
    let written = match places {
        0 => difference.to_string(),
        places => difference.fixed(places)?,
    };
    Some(format!("{} is {} {words}", value.1, written.trim_start_matches('-')))
}

fn minus(number: &Decimal) -> Option<Decimal> {
    let text = number.to_string();
    Decimal::parse(&match text.strip_prefix('-') {
        Some(positive) => positive.to_owned(),
        None => format!("-{text}"),
    })
}

/// The decimal places that a number was written with; none for exponents and groups, which are shown plainly.
fn places(text: &str) -> usize {
    match text.split_once('.') {
        Some((_, places)) if places.len() <= 20 && places.bytes().all(|b| b.is_ascii_digit()) => places.len(),
        _ => 0,
    }
}

/// A span in the largest two units that it fills: `3d 2h`, `1m 30s`.
pub fn span_words(span: SignedDuration) -> String {
    let span = span.abs();
    let seconds = span.as_secs();
    let unit = |size: i64, name: &str, next: i64, next_name: &str| match (seconds % size) / next {
        0 => format!("{}{name}", seconds / size),
        rest => format!("{}{name} {rest}{next_name}", seconds / size),
    };
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3_600 => unit(60, "m", 1, "s"),
        3_600..86_400 => unit(3_600, "h", 60, "m"),
        _ => unit(86_400, "d", 3_600, "h"),
    }
}
