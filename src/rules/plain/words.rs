//! The small words of sentences: spans, lists, times of day. Pure.

use jiff::SignedDuration;

use crate::rules::calendar::{DAYS, Each, MonthDay, Periods};
use crate::rules::hours::Hours;

/// The longest piece of a file that a sentence quotes, in characters.
const QUOTED_MAX: usize = 120;

/// On one line, shortened, without backticks.
pub(super) fn plain_text(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'");
    match line.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// A piece of a file.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", plain_text(text))
}

/// `a, b and c`.
pub(super) fn list<T: AsRef<str>>(items: &[T], and: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} {and} {}", first.join(", "), last.as_ref())
        }
    }
}

/// Pieces of a file as a list.
pub(super) fn codes(texts: &[&str], and: &str) -> String {
    list(&texts.iter().map(|text| code(text)).collect::<Vec<_>>(), and)
}

/// `2 hours`, `1h30m`: in words where one unit says it.
pub(super) fn span(span: SignedDuration) -> String {
    let seconds = span.unsigned_abs().as_secs();
    let units = [(604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    // Weeks only where people say them: 14 days are two weeks, 35 days are not five.
    let fits = |(length, unit): &(u64, &str)| {
        seconds >= *length && seconds.is_multiple_of(*length) && (*unit != "week" || seconds / length <= 4)
    };
    match units.into_iter().find(fits) {
        Some((length, unit)) if seconds / length == 1 => format!("1 {unit}"),
        Some((length, unit)) => format!("{} {unit}s", seconds / length),
        None => format!("{:#}", span.abs()),
    }
}

/// `3rd`.
pub(super) fn ordinal(n: u64) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// `every day`, `mon-fri`, `sat and sun`.
pub(super) fn days(days: &[bool; 7]) -> String {
    let on: Vec<usize> = days.iter().enumerate().filter(|(_, on)| **on).map(|(day, _)| day).collect();
    let name = |day: usize| DAYS.get(day).copied().unwrap_or_default();
    match (on.first(), on.last()) {
        _ if on.len() == 7 => "every day".into(),
        (Some(first), Some(last)) if on.len() > 2 && last - first + 1 == on.len() => {
            format!("{}-{}", name(*first), name(*last))
        }
        _ => list(&on.into_iter().map(name).collect::<Vec<_>>(), "and"),
    }
}

/// `every day 08:00 to 22:00, Europe/Berlin`.
pub(super) fn window(hours: &Hours) -> String {
    let time = |at: jiff::civil::Time| at.strftime("%H:%M").to_string();
    let to = if hours.to == jiff::civil::Time::midnight() { "24:00".into() } else { time(hours.to) };
    let zone = hours.zone.iana_name().unwrap_or("UTC");
    let except: Vec<String> = hours.except.iter().map(ToString::to_string).collect();
    let except = if except.is_empty() { String::new() } else { format!(", except {}", list(&except, "and")) };
    format!("{} {} to {to}{except}, {zone}", days(&hours.days), time(hours.from))
}

/// `the last day`, `day 15`.
pub(super) fn month_day(day: MonthDay) -> String {
    match day {
        MonthDay::Day(day) => format!("day {day}"),
        MonthDay::Last => "the last day".into(),
    }
}

/// `by 12:00 on day 15`.
pub(super) fn by(periods: &Periods) -> String {
    let time = periods.time.strftime("%H:%M");
    match periods.each {
        Each::Day => format!("by {time}"),
        Each::Week(day) => {
            let day = usize::try_from(day).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"mon");
            format!("by {time} on {day}")
        }
        Each::Month(day) => format!("by {time} on {}", month_day(day)),
    }
}
