//! `after` and `at` of an action: one time, or several, each of which makes an action of its own. Pure.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::{Action, At, AtDate, Workdays};
use super::times::zone_hint;
use super::{Reader, not_cut_within};
use crate::delivery::Severity;
use crate::problem::Problem;
use crate::yaml::{Fields, Node, span_hint, span_of_time};

/// The most times in one list.
const STEPS_MAX: usize = 20;
/// The most business days.
const DAYS_MAX: i32 = 999;
/// A day.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// When an action acts, as far as it isn't at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Timing {
    pub after: Option<SignedDuration>,
    pub after_days: Option<Workdays>,
    pub at: Option<AtDate>,
    /// Which of several it is.
    pub step: Option<u32>,
    /// Whether it is a deadline.
    is_deadline: bool,
    /// As it is written, if it is one of several.
    text: String,
}

impl Timing {
    /// The name of one of several actions: theirs, and its time.
    pub fn name(&self, name: Option<At<String>>) -> Option<At<String>> {
        match self.step {
            Some(_) => name.map(|name| At { value: format!("{} @ {}", name.value, self.text), place: name.place }),
            None if self.is_deadline => name.map(|name| At { value: format!("{} @ deadline", name.value), ..name }),
            None => name,
        }
    }

    /// Puts it into an action.
    pub fn put_into(self, action: &mut Action) {
        (action.after, action.after_days, action.at, action.step) = (self.after, self.after_days, self.at, self.step);
        if self.is_deadline {
            (action.deadline, action.severity) = (true, Some(Severity::Critical));
        }
    }
}

/// When an action acts, as it is known by: nothing where it says nothing.
pub(super) fn said(action: &Action) -> (Value, Value) {
    let ms = |span: SignedDuration| json!(span.as_millis().to_string());
    let days = |days: &Workdays| json!(format!("{}bd", days.count));
    let after = action.after_days.as_ref().map(days).or_else(|| action.after.map(ms));
    let at = action.at.as_ref().map(|at| {
        let offset = at.days.as_ref().map_or_else(|| ms(at.offset), days);
        json!((offset, at.place()))
    });
    (after.unwrap_or_default(), at.unwrap_or_default())
}

impl Reader<'_> {
    /// The times of an action, one of nothing if it says none.
    fn timings(&mut self, fields: &mut Fields<'_>) -> Vec<Timing> {
        let after = fields.node("after", self.problems);
        let at = fields.node("at", self.problems);
        let several = [after, at].into_iter().flatten().any(|node| matches!(node.kind, crate::yaml::NodeKind::List(_)));
        let mut timings = Vec::new();
        for (node, is_at) in [(after, false), (at, true)] {
            let items = node.map_or(&[][..], Node::one_or_more);
            if let (Some(node), true) = (node, items.is_empty() || items.len() > STEPS_MAX) {
                let problem = Problem::error("wrong-list", format!("a list has 1 to {STEPS_MAX} times"));
                self.problems.push(problem.at(&node.place.first_line()));
            }
            for item in items.iter().take(STEPS_MAX) {
                let Some(text) = item.scalar() else {
                    self.problems.push(item.expected(if is_at { "a date in the event" } else { "a time span" }));
                    continue;
                };
                let mut timing = Timing { text: text.trim().to_owned(), ..Timing::default() };
                if is_at {
                    timing.at = self.at_date(text, item);
                } else {
                    (timing.after, timing.after_days) = self.after(text, item);
                }
                timings.push(timing);
            }
        }
        if timings.is_empty() {
            timings.push(Timing::default());
        }
        if several {
            timings.iter_mut().zip(1..).for_each(|(timing, step)| timing.step = Some(step));
        }
        timings
    }

    /// The times of an action, and its deadline, if it has one.
    pub(super) fn all_timings(&mut self, fields: &mut Fields<'_>) -> Vec<Timing> {
        let mut timings = self.timings(fields);
        timings.extend(self.deadline(fields));
        timings
    }

    /// The deadline of a message that changes: an action of its own.
    fn deadline(&mut self, fields: &mut Fields<'_>) -> Option<Timing> {
        let (text, node) = fields.text("deadline", self.problems)?;
        let at = self.at_date(&text, node)?;
        Some(Timing { at: Some(at), is_deadline: true, text: "deadline".into(), ..Timing::default() })
    }

    fn after(&mut self, text: &str, node: &Node) -> (Option<SignedDuration>, Option<Workdays>) {
        let days = self.workdays(text, 1);
        let span = days.as_ref().map(|days| DAY * days.count).or_else(|| span_of_time(text));
        if span.is_none_or(|span| span.is_zero()) {
            let message = match span {
                Some(_) => format!("`after: {text}` is too short"),
                None => format!("`{text}` is not a time span"),
            };
            let hint = if span.is_some() { "at least `1s`".to_owned() } else { span_hint(text) };
            self.problems.push(Problem::error("wrong-span", message).at(&node.place).hint(hint));
        }
        (span, days)
    }

    /// `5bd`.
    fn workdays(&self, text: &str, sign: i32) -> Option<Workdays> {
        let count: i32 = text.trim().strip_suffix("bd")?.parse().ok().filter(|count| (1..=DAYS_MAX).contains(count))?;
        let zone = self.shared.zone.clone().unwrap_or(TimeZone::UTC);
        Some(Workdays { count: count * sign, holidays: self.shared.holidays.clone(), zone })
    }

    /// `3d before $.data.metadata.release_date`
    pub(super) fn at_date(&mut self, text: &str, node: &Node) -> Option<AtDate> {
        not_cut_within(node, self.problems);
        let mut words = text.splitn(3, char::is_whitespace);
        let read = match (words.next(), words.next(), words.next()) {
            (Some(span), Some(word @ ("before" | "after")), Some(rest)) => {
                let sign = if word == "before" { -1 } else { 1 };
                let days = self.workdays(span, sign);
                let offset = match &days {
                    Some(days) => Some(DAY * days.count),
                    None => span_of_time(span).and_then(|span| span.checked_mul(sign)),
                };
                offset.map(|offset| (offset, days, rest.trim()))
            }
            (Some("midnight"), Some("of"), Some(_)) => Some((SignedDuration::ZERO, None, text)),
            _ if text.starts_with('$') => Some((SignedDuration::ZERO, None, text)),
            (Some(name), None, None) if self.shared.names.contains_key(name) => {
                Some((SignedDuration::ZERO, None, name))
            }
            _ => None,
        };
        let Some((offset, days, rest)) = read else {
            self.problems.push(
                Problem::error("wrong-date", format!("`{text}` says no date"))
                    .at(&node.place)
                    .hint("write `3d before $.data.metadata.release_date`, `1d after …`, or the path alone"),
            );
            return None;
        };
        let (path, midnight) = match rest.strip_prefix("midnight of ") {
            None => (rest, None),
            Some(rest) => {
                let (path, zone) = self.midnight(rest, node)?;
                (path, Some(zone))
            }
        };
        let place = super::super::glob::inner(&node.place, path, 0);
        self.singular(path, &place, "at").map(|path| AtDate { offset, days, midnight, path })
    }

    /// `release_date in Pacific/Auckland`
    fn midnight<'t>(&mut self, text: &'t str, node: &Node) -> Option<(&'t str, TimeZone)> {
        let Some((path, name)) = text.rsplit_once(" in ") else {
            let problem = Problem::error("no-zone", "`midnight of` a date needs a zone").at(&node.place);
            self.problems.push(problem.hint("write `1h after midnight of release_date in Pacific/Auckland`"));
            return None;
        };
        match TimeZone::get(name.trim()) {
            Ok(zone) => Some((path.trim(), zone)),
            Err(_) => {
                let problem = Problem::error("unknown-zone", format!("there is no zone `{}`", name.trim()));
                self.problems.push(problem.at(&node.place).hint(zone_hint(name.trim())));
                None
            }
        }
    }
}
