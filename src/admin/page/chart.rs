//! Charts as numbers that a template draws: events of a day by hour and type, and a rule's days as a line of bars.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::from_ms;
use crate::event::OWN_SOURCE;
use crate::store::look::{HOUR_MS, Tally};

/// How many hours the chart shows.
pub(super) const HOURS: i64 = 24;
/// How many types have a colour of their own.
const TYPES: usize = 5;
/// The width of an hour, its gap included, and the height of the chart.
const WIDTH: i64 = 20;
const GAP: i64 = 3;
const HEIGHT: u64 = 120;
/// The width of a day in a rule's line, and its height.
const DAY: i64 = 8;
const LINE: u64 = 28;

/// The events of the last day: a column an hour, a colour a type. Fanfare's own are left out.
pub(super) fn hours(tally: &Tally, now: Timestamp) -> Value {
    let first = (now.as_millisecond().div_euclid(HOUR_MS) - HOURS + 1) * HOUR_MS;
    let mut of_type: BTreeMap<&str, u64> = BTreeMap::new();
    let came = || tally.events.iter().filter(|came| came.source != OWN_SOURCE && came.hour.as_millisecond() >= first);
    came().for_each(|came| *of_type.entry(&came.kind).or_default() += came.count);
    let mut types: Vec<(&str, u64)> = of_type.into_iter().collect();
    types.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), *kind));
    let rank = |kind: &str| types.iter().position(|(of, _)| *of == kind).unwrap_or(TYPES).min(TYPES);
    let mut columns = BTreeMap::<i64, BTreeMap<usize, u64>>::new();
    for came in came() {
        let hour = (came.hour.as_millisecond() - first) / HOUR_MS;
        *columns.entry(hour).or_default().entry(rank(&came.kind)).or_default() += came.count;
    }
    let top = columns.values().map(|parts| parts.values().sum::<u64>()).max().unwrap_or(0).max(1);
    let mut bars = Vec::new();
    for (hour, parts) in &columns {
        let mut below = 0;
        for (rank, count) in parts {
            let height = (count * HEIGHT).div_ceil(top).max(1);
            below += height;
            bars.push(json!({
                "x": hour * WIDTH, "y": HEIGHT.saturating_sub(below), "width": WIDTH - GAP, "height": height,
                "rank": rank, "count": count, "type": types.get(*rank).filter(|_| *rank < TYPES).map(|(kind, _)| *kind),
                "at": from_ms(first + hour * HOUR_MS).to_string(),
            }));
        }
    }
    let rest: u64 = types.iter().skip(TYPES).map(|(_, count)| count).sum();
    let named = types.iter().take(TYPES).enumerate();
    let mut legend: Vec<Value> =
        named.map(|(rank, (kind, count))| json!({"rank": rank, "type": kind, "count": count})).collect();
    if rest > 0 {
        legend.push(json!({"rank": TYPES, "type": null, "count": rest}));
    }
    json!({
        "bars": bars, "legend": legend, "top": top, "width": HOURS * WIDTH, "height": HEIGHT,
        "from": from_ms(first).to_string(), "total": came().map(|came| came.count).sum::<u64>(),
    })
}

/// Counts by day, the oldest first, as a line of bars with the largest for its height.
pub(super) fn line(days: &[u64]) -> Value {
    let top = days.iter().copied().max().unwrap_or(0).max(1);
    let bar = |(day, count): (i64, &u64)| {
        let height = (count * LINE).div_ceil(top);
        json!({"x": day * DAY, "y": LINE - height.min(LINE), "width": DAY - 2, "height": height})
    };
    let bars: Vec<Value> = (0..).zip(days).filter(|(_, count)| **count > 0).map(bar).collect();
    let days = i64::try_from(days.len()).unwrap_or_default();
    json!({"bars": bars, "width": days * DAY, "height": LINE})
}
