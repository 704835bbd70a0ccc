//! Times of day, days, windows of hours and zones, as they are written.
//!
//! Pure. Also read for destinations, which have `hours` too: see [`hours_choice`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::super::calendar::{DAYS, MonthDay};
use super::super::hours::{DayTimes, Hours};
use super::super::{DigestTime, HoursChoice};
use crate::locale::{self, Locale};
use crate::problem::{Problem, Problems, nearest};
use crate::yaml::{Fields, Node, NodeKind};

/// The most dates that a window may except.
const EXCEPT_MAX: usize = 1000;

/// `hours:` of a rule, an action or a destination: `always`, a name from `hours:`, or a window.
pub fn hours_choice(
    node: &Node,
    named: &BTreeMap<String, Arc<Hours>>,
    zone: Option<&TimeZone>,
    problems: &mut Problems,
) -> Option<HoursChoice> {
    match &node.kind {
        NodeKind::Text(word) if word == "always" => Some(HoursChoice::Always),
        NodeKind::Text(word) => match named.get(word) {
            Some(hours) => Some(HoursChoice::Within(hours.clone())),
            None => {
                let problem = Problem::error("unknown-hours", format!("there are no hours `{word}` in `hours:`"));
                let known = named.keys().map(String::as_str).chain(["always"]);
                let problem = problem.at(&node.place);
                problems.push(match crate::problem::nearest(word, known.clone()) {
                    None if named.is_empty() => problem.hint(format!(
                        "put them into a rules file: `hours: {{{word}: {{days: mon-fri, from: \"09:00\", to: \"18:00\"}}}}`"
                    )),
                    _ => problem.suggest(word, known),
                });
                None
            }
        },
        NodeKind::Map(_) => {
            window(node, "the hours", zone, problems).map(|window| HoursChoice::Within(Arc::new(window)))
        }
        _ => {
            problems.push(node.expected("hours: a name from `hours:`, `always`, or `{days, from, to}`"));
            None
        }
    }
}

/// `{days, from, to, except, timezone, outside}`.
pub(super) fn window(
    node: &Node,
    what: &str,
    default_zone: Option<&TimeZone>,
    problems: &mut Problems,
) -> Option<Hours> {
    let mut fields = Fields::of(node, what, problems)?;
    let days = days(&mut fields, problems);
    let from = time_of_day(&mut fields, "from", problems);
    let to = time_of_day(&mut fields, "to", problems);
    let except = dates(&mut fields, "except", problems);
    let zone = zone(&mut fields, &format!("{what} need"), default_zone, problems);
    let drop = outside(&mut fields, problems);
    fields.finish(problems);
    let (from, to) = match (from, to) {
        (Given::Absent, Given::Absent) => (Time::midnight(), Time::midnight()),
        (Given::Read(from, _), Given::Read(to, end_of_day)) if from != to || end_of_day => (from, to),
        (Given::Read(..), Given::Read(..)) => {
            problems.push(
                Problem::error("no-hours", "this window begins when it ends")
                    .at(&node.place)
                    .hint("leave `from` and `to` out for whole days"),
            );
            return None;
        }
        (Given::Wrong, _) | (_, Given::Wrong) => return None,
        (from, _) => {
            let lacking = if matches!(from, Given::Absent) { "from" } else { "to" };
            problems.push(
                Problem::error("missing-key", format!("{what} have no `{lacking}`"))
                    .at(&node.place)
                    .hint("give both `from` and `to`, or neither for whole days"),
            );
            return None;
        }
    };
    Some(Hours { days: days?, from, to, except, zone: zone?, drop, place: node.place.clone() })
}

/// `{at, days, month_days, timezone}` of a digest; the other keys are the digest's.
pub(super) fn day_times(
    fields: &mut Fields<'_>,
    default_zone: Option<&TimeZone>,
    problems: &mut Problems,
) -> Option<DigestTime> {
    let at = time_of_day(fields, "at", problems);
    if fields.has("days") && fields.has("month_days") {
        let problem = Problem::error("does-not-fit", "`days` and `month_days` don't go together");
        problems.push(problem.at(&fields.place.first_line()).hint("make two actions of it"));
    }
    let days = days(fields, problems);
    let month_days = month_days(fields, problems);
    let zone = zone(fields, "`at` needs", default_zone, problems);
    let Given::Read(at, _) = at else { return None };
    Some(DigestTime::At(Arc::new(DayTimes { days: days?, month_days: month_days?, at, zone: zone? })))
}

/// What became of a key that may be absent.
enum Given {
    Absent,
    Wrong,
    /// The time, and whether it was `24:00`.
    Read(Time, bool),
}

fn time_of_day(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Given {
    let there = fields.has(key);
    let Some((text, node)) = fields.text(key, problems) else {
        return if there { Given::Wrong } else { Given::Absent };
    };
    let read = match text.as_str() {
        "24:00" if key == "to" => Some((Time::midnight(), true)),
        text => clock_time(text).map(|time| (time, false)),
    };
    match read {
        Some((time, end_of_day)) => Given::Read(time, end_of_day),
        None => {
            problems.push(
                Problem::error("wrong-time", format!("`{text}` is not a time of day"))
                    .at(&node.place)
                    .hint("write hours and minutes: \"09:00\", \"18:30\""),
            );
            Given::Wrong
        }
    }
}

/// `09:00`, `9:30`.
pub(super) fn clock_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    (digits(hour) && digits(minute) && minute.len() == 2).then_some(())?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// `mon-fri`, `fri`, `[mon, wed-fri]`; all of them if none is named.
fn days(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<[bool; 7]> {
    let there = fields.has("days");
    let texts = fields.texts("days", problems);
    if !there {
        return Some([true; 7]);
    }
    if texts.is_empty() {
        problems.push(Problem::error("empty", "`days` names no day").at(&fields.place.first_line()));
        return None;
    }
    let mut days = [false; 7];
    let mut whole = true;
    for (text, node) in texts {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (day(first), day(last)) {
            (Some(first), Some(last)) => {
                // `sat-mon` goes on over the end of the week.
                let count = (last + 7 - first) % 7;
                (0..=count).filter_map(|step| days.get_mut((first + step) % 7).map(|day| *day = true)).count();
            }
            (first_day, _) => {
                let wrong = if first_day.is_none() { first.trim() } else { last.trim() };
                let near = near_day(wrong);
                // `Mo-Fr`: both at once.
                let range = near_day(first).zip(near_day(last)).filter(|_| day(first).is_none() && day(last).is_none());
                if let Some((first, last)) = range.filter(|_| text.contains('-')) {
                    let problem = Problem::error("wrong-day", format!("`{text}` are not days")).at(&node.place);
                    problems.push(problem.hint(format!("did you mean `{first}-{last}`?")));
                    whole = false;
                    continue;
                }
                let problem = Problem::error("wrong-day", format!("`{wrong}` is not a day")).at(&node.place);
                problems.push(match near {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.hint("write `mon-fri`, or a list: `[mon, wed, sat-sun]`"),
                });
                whole = false;
            }
        }
    }
    whole.then_some(days)
}

/// `[1, 15, last]`; empty if the key is absent.
fn month_days(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Vec<MonthDay>> {
    let there = fields.has("month_days");
    let texts = fields.texts("month_days", problems);
    if there && texts.is_empty() {
        problems.push(Problem::error("empty", "`month_days` names no day").at(&fields.place.first_line()));
        return None;
    }
    let read = |(text, node): &(String, &Node)| {
        let day = month_day(text);
        if day.is_none() {
            problems.push(wrong_month_day(text, node));
        }
        day
    };
    let days: Vec<Option<MonthDay>> = texts.iter().map(read).collect();
    days.into_iter().collect()
}

pub(super) fn month_day(text: &str) -> Option<MonthDay> {
    let text = text.trim();
    if text == "last" {
        return Some(MonthDay::Last);
    }
    let is_plain = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|day| is_plain && (1..=31).contains(day)).map(MonthDay::Day)
}

fn wrong_month_day(text: &str, node: &Node) -> Problem {
    let problem = Problem::error("wrong-day", format!("`{text}` is not a day of the month")).at(&node.place);
    match nearest(text, ["last"]) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("write a number from 1 to 31, or `last`; a day that a month lacks is its last day"),
    }
}

/// The day that was probably meant: a longer or shorter form, a slip, or the German short form.
pub(super) fn near_day(word: &str) -> Option<&'static str> {
    let word = word.trim().to_lowercase();
    let german =
        ["mo", "di", "mi", "do", "fr", "sa", "so"].into_iter().position(|day| day == word.trim_end_matches('.'));
    let start: String = word.chars().take(3).collect();
    let german = german.and_then(|at| DAYS.get(at).copied());
    german.or_else(|| nearest(&word, DAYS)).or_else(|| DAYS.into_iter().find(|day| *day == start))
}

pub(super) fn day(word: &str) -> Option<usize> {
    let word = word.trim().to_lowercase();
    DAYS.into_iter().position(|day| day == word)
}

pub(super) fn dates(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Vec<Date> {
    let texts = fields.texts(key, problems);
    if let Some((_, node)) = texts.get(EXCEPT_MAX) {
        problems.push(Problem::error("too-many", format!("more than {EXCEPT_MAX} dates")).at(&node.place));
    }
    let mut dates = Vec::new();
    for (text, node) in texts.iter().take(EXCEPT_MAX) {
        let plain = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-');
        match text.parse().ok().filter(|_| plain) {
            Some(date) => dates.push(date),
            None => problems.push(
                Problem::error("wrong-date", format!("`{text}` is not a date"))
                    .at(&node.place)
                    .hint("write year, month and day: 2026-12-25"),
            ),
        }
    }
    dates
}

pub(super) fn zone(
    fields: &mut Fields<'_>,
    needs: &str,
    default: Option<&TimeZone>,
    problems: &mut Problems,
) -> Option<TimeZone> {
    let there = fields.has("timezone");
    let given = fields.text("timezone", problems);
    if !there {
        if default.is_none() {
            problems.push(
                Problem::error("no-zone", format!("{needs} a zone"))
                    .at(&fields.place.first_line())
                    .hint("write `timezone: Europe/Berlin` here, or set the default `timezone:` in fanfare.yaml"),
            );
        }
        return default.cloned();
    }
    let (name, node) = given?;
    match TimeZone::get(&name) {
        Ok(zone) => Some(zone),
        Err(_) => {
            let problem = Problem::error("unknown-zone", format!("there is no zone `{name}`")).at(&node.place);
            problems.push(problem.hint(zone_hint(&name)));
            None
        }
    }
}

/// A zone that need not be there.
pub(super) fn zone_of(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<TimeZone> {
    fields.has("timezone").then(|| zone(fields, "", None, problems)).flatten()
}

/// A language that need not be there.
pub fn locale_of(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<&'static Locale> {
    let (code, node) = fields.text("locale", problems)?;
    let found = locale::named(&code);
    if found.is_none() {
        let problem = Problem::error("unknown-locale", format!("there is no locale `{code}`")).at(&node.place);
        // `de-CH` and `fr_FR` mean the language.
        let language = code.split(['-', '_']).next().unwrap_or_default().to_lowercase();
        problems.push(match locale::named(&language) {
            Some(near) => problem.hint(format!("write the language alone: `{}`", near.code)),
            None => problem.suggest(&code, locale::ALL.map(|locale| locale.code)),
        });
    }
    found
}

/// How to write what is no zone: `Berlin` is `Europe/Berlin`.
pub fn zone_hint(name: &str) -> String {
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let place = format!("/{}", name.trim().replace(' ', "_")).to_lowercase();
    let there = known.iter().find(|zone| zone.to_lowercase().ends_with(&place)).map(String::as_str);
    match there.or_else(|| nearest(name, known.iter().map(String::as_str))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write a name of the IANA database: `Europe/Berlin`, `America/New_York`, `UTC`".into(),
    }
}

fn outside(fields: &mut Fields<'_>, problems: &mut Problems) -> bool {
    let Some((word, node)) = fields.text("outside", problems) else { return false };
    if !["hold", "drop"].contains(&word.as_str()) {
        let problem = Problem::error("wrong-word", format!("`{word}` is not what can be done outside hours"));
        problems.push(problem.at(&node.place).suggest(&word, ["hold", "drop"]));
    }
    word == "drop"
}
