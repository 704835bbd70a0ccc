//! The periods of `missing`, as they are written.
//!
//! Pure.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::super::Expected;
use super::super::calendar::{Each, Periods};
use super::times::{clock_time, day, month_day, near_day, zone};
use crate::problem::{Problem, Problems};
use crate::yaml::Fields;

/// `for`, or `each` with `by` and `timezone`, of `missing`.
pub(super) fn expected(
    fields: &mut Fields<'_>,
    default_zone: Option<&TimeZone>,
    problems: &mut Problems,
) -> Option<Expected> {
    let (span, each) = (fields.has("for"), fields.has("each"));
    if span && each {
        let problem = Problem::error("does-not-fit", "`missing` has `for` or `each`, not both");
        problems
            .push(problem.at(&fields.place.first_line()).hint("write `for: 35d`, or `each: month, by: \"15 12:00\"`"));
    }
    let is_misspelt = ["for", "each", "by"].into_iter().any(|key| fields.is_misspelt(key));
    if !span && !each && !fields.has("by") && !is_misspelt {
        let problem = Problem::error("missing-key", "`missing` has no `for`").at(&fields.place);
        problems.push(problem.hint("write `for: 35d`, or `each: month, by: \"15 12:00\"`"));
    }
    if !each && !fields.has("by") {
        let waits = fields.span("for", problems);
        forget(fields, ["each", "by", "timezone"], problems);
        return waits.filter(|span| !span.is_zero() || zero(fields, problems)).map(Expected::For);
    }
    fields.take("for");
    periods(fields, default_zone, problems).filter(|_| !span).map(|periods| Expected::Each(Arc::new(periods)))
}

/// Keys that go with `each` alone.
fn forget(fields: &mut Fields<'_>, keys: [&'static str; 3], problems: &mut Problems) {
    for key in keys {
        if let Some((key, _)) = fields.take(key) {
            let problem = Problem::error("does-not-fit", format!("`{}` goes with `each`, not with `for`", key.text));
            problems.push(problem.at(&key.place).hint("write `each: month, by: \"15 12:00\"`, or remove it"));
        }
    }
}

fn zero(fields: &Fields<'_>, problems: &mut Problems) -> bool {
    problems.push(Problem::error("wrong-span", "`missing` waits for no time at all").at(&fields.place));
    false
}

fn periods(fields: &mut Fields<'_>, default_zone: Option<&TimeZone>, problems: &mut Problems) -> Option<Periods> {
    let zone = zone(fields, "`each` needs", default_zone, problems);
    let each = fields.required("each", problems);
    let by = fields.required("by", problems);
    let (word, node) = each?;
    let hint = match word.as_str() {
        "day" => "write a time of day: `by: \"10:00\"`",
        "week" => "write a day of the week and a time: `by: \"fri 16:00\"`",
        "month" => "write a day of the month and a time: `by: \"15 12:00\"`, `by: \"last 18:00\"`",
        _ => {
            let problem = Problem::error("wrong-word", format!("`{word}` is not a period")).at(&node.place);
            problems.push(problem.suggest(&word, ["day", "week", "month"]));
            return None;
        }
    };
    let (text, node) = by?;
    let (on, time) = text.trim().rsplit_once(char::is_whitespace).unwrap_or(("", text.trim()));
    let on = on.trim();
    let each = match word.as_str() {
        "day" => on.is_empty().then_some(Each::Day),
        "week" => day(on).and_then(|day| i8::try_from(day).ok()).map(Each::Week),
        _ => month_day(on).map(Each::Month),
    };
    let (Some(each), Some(time)) = (each, clock_time(time)) else {
        let problem = Problem::error("wrong-time", format!("`by: {text}` is not a time of a {word}")).at(&node.place);
        let near = near_day(on).filter(|_| word == "week" && !on.is_empty() && day(on).is_none());
        problems.push(problem.hint(near.map_or_else(|| hint.to_owned(), |near| format!("did you mean `{near}`?"))));
        return None;
    };
    Some(Periods { each, time, zone: zone? })
}
