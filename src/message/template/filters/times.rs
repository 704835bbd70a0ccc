//! `date` and `ago`, and what counts as a time.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use minijinja::value::Value;
use minijinja::{Error, State};

use super::{is_missing, short, wrong};
use crate::message::template::engine::Facts;

/// A time that a value is: RFC 3339, a time without offset (in `zone`), a date (its midnight in `zone`), unix seconds. The
/// flag tells whether it was a date alone.
fn time(facts: &Facts, value: &Value, zone: &TimeZone, filter: &str) -> Result<(Timestamp, bool), Error> {
    let (text, _) = facts.printed(value)?;
    let found = parse_time(text.trim(), zone);
    found.ok_or_else(|| wrong(format!("`{filter}` needs a time, and `{}` is none", short(&text))))
}

fn parse_time(text: &str, zone: &TimeZone) -> Option<(Timestamp, bool)> {
    let local = |time: DateTime| time.to_zoned_datetime(zone.clone()).map(|zoned| zoned.timestamp()).ok();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some((at, false));
    }
    if text.len() == 10
        && let Ok(date) = text.parse::<Date>()
    {
        return local(date.to_datetime(jiff::civil::Time::midnight())).map(|at| (at, true));
    }
    if text.contains(':')
        && let Ok(time) = text.parse::<DateTime>()
    {
        return local(time).map(|at| (at, false));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Timestamp::from_second(whole.parse().ok()?).ok().map(|at| (at, false))
}

pub(super) fn date(
    state: &State<'_, '_>,
    value: &Value,
    format: Option<&str>,
    zone: Option<&str>,
) -> Result<Value, Error> {
    if is_missing(value) {
        return Ok(value.clone());
    }
    let facts = Facts::of(state)?;
    let zone = match zone {
        None => facts.zone.clone(),
        Some(name) => TimeZone::get(name).map_err(|_| wrong(format!("there is no time zone `{}`", short(name))))?,
    };
    let (at, date_only) = time(&facts, value, &zone, "date")?;
    // A width of many digits would be filled with as many zeros.
    let wide = |format: &str| format.as_bytes().windows(4).any(|four| four.iter().all(u8::is_ascii_digit));
    let wrong_format =
        |why: &str| wrong(format!("`{}` is not a format for a date{why}", short(format.unwrap_or_default())));
    if format.is_some_and(|format| wide(format) || format.len() > 200) {
        return Err(wrong_format(""));
    }
    let zoned: ZonedDateTime = at.to_zoned_datetime(zone);
    let text = facts.locale.date(&zoned, format, date_only);
    text.map(Value::from).map_err(|why| wrong_format(&format!(": {why}")))
}

pub(super) fn ago(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if is_missing(value) {
        return Ok(value.clone());
    }
    let facts = Facts::of(state)?;
    let zone = facts.zone.clone();
    let (at, _) = time(&facts, value, &zone, "ago")?;
    Ok(Value::from(facts.locale.distance(facts.now.duration_since(at).as_secs())))
}
