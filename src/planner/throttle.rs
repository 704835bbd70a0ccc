//! Throttles: at most so many within a sliding window, counted apart by a key.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{from_ms, plus};
use crate::planner::announce::{Announcement, Occasion};
use crate::planner::book::{Doc, id};
use crate::planner::case::Case;
use crate::planner::inputs::names_for;
use crate::planner::round::Round;
use crate::planner::timer::Meaning;
use crate::planner::why::{Outcome, Trace};

/// So many moments are kept; beyond that two neighbours become one, counted at the later, so that a large `max` stays
/// small and never lets more through.
const MOMENTS_MAX: usize = 256;

/// For so long it is known how many were held back, for the next message to say.
const HELD_BACK_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A throttle's window for one key, under the rule, action and key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// When it let something through, in ms, and how many then; oldest first.
    #[serde(default)]
    pub acted: Vec<(i64, u64)>,
    /// How many it held back since.
    #[serde(default)]
    pub held_back: u64,
    /// When a digest of the rest was last counted, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_told: Option<i64>,
    /// When the window's end was last planned for, in ms.
    #[serde(default)]
    pub every_ms: i64,
}

impl Doc for Window {
    const KIND: &'static str = "throttle";
}

impl Window {
    /// Forgets what the window has left behind.
    fn slide(&mut self, every: SignedDuration, now: Timestamp) {
        self.every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        let (now_ms, every_ms) = (now.as_millisecond(), self.every_ms);
        self.acted.retain(|(at_ms, _)| at_ms.saturating_add(every_ms) > now_ms);
    }

    fn count(&self) -> u64 {
        self.acted.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// Lets something through.
    fn record(&mut self, now: Timestamp) {
        let now_ms = now.as_millisecond();
        match self.acted.last_mut() {
            Some((at_ms, n)) if *at_ms >= now_ms => *n = n.saturating_add(1),
            _ => self.acted.push((now_ms, 1)),
        }
        if self.acted.len() > MOMENTS_MAX {
            let merge = |pair: &[(i64, u64)]| match pair {
                [(_, a), (at_ms, b)] => (*at_ms, a.saturating_add(*b)),
                [one] => *one,
                _ => (now_ms, 0),
            };
            self.acted = self.acted.chunks(2).map(merge).collect();
        }
    }

    /// When it will let something through again, if `max` is reached.
    fn frees(&self, max: u64, now: Timestamp) -> Timestamp {
        let mut left = self.count();
        for (at_ms, n) in &self.acted {
            left = left.saturating_sub(*n);
            if left < max {
                return from_ms(at_ms.saturating_add(self.every_ms));
            }
        }
        plus(now, SignedDuration::from_millis(self.every_ms))
    }
}

impl Round<'_> {
    /// Whether the action's throttle lets an announcement through; if so, how many it held back before. The rest goes
    /// nowhere, or into a digest at the window's end. What a person plans again is not counted.
    pub fn admit(
        &mut self,
        said: &Announcement<'_>,
        case: Option<&Case>,
        to: &[&str],
        trace: &mut Trace,
    ) -> Option<u64> {
        let action = said.acted.action;
        let Some(throttle) = action.throttle.as_ref().filter(|_| said.occasion != Occasion::Replay) else {
            return Some(0);
        };
        let key = match &said.acted.throttle {
            Some(Ok(key)) => key.as_str(),
            None => "",
            Some(Err(reason)) => {
                trace.fail(format!("not throttled: {reason}"));
                return Some(0);
            }
        };
        let names = self.names(said.rule);
        let name = said.rule.name.value.as_str();
        let parts = [name, action.id.as_str(), key];
        let known = self.book.adopt::<Window>(&names, &[&action.id, key]);
        let is_new = known.is_none();
        let mut window = known.unwrap_or_default();
        window.slide(throttle.every, self.now);
        let free = window.count() < throttle.max;
        let mut suppressed = 0;
        if free {
            window.record(self.now);
            suppressed = std::mem::take(&mut window.held_back);
        } else {
            let frees = window.frees(throttle.max, self.now);
            let note = format!("more than {} within the throttle's window, until {}", throttle.max, self.moment(frees));
            if throttle.rest_digest {
                for destination in to {
                    self.collect_rest(said, case, destination, (key, frees), trace);
                }
            } else {
                window.held_back = window.held_back.saturating_add(1);
            }
            trace.action(Outcome::Throttled, &action.id, None, note);
        }
        self.book.put(&parts, &window);
        if is_new {
            self.set_throttle_end(&parts, plus(self.now, throttle.every));
        }
        free.then_some(suppressed)
    }

    fn set_throttle_end(&mut self, parts: &[&str; 3], due: Timestamp) {
        let [rule, action, key] = *parts;
        let meaning = Meaning::Throttle { rule: rule.into(), action: action.into(), key: key.into() };
        self.set_timer(id(&["throttle", rule, action, key]), due, None, &meaning);
    }

    /// The rest went out as a digest: that is one message within the window, to however many destinations.
    pub fn rest_told(&mut self, names: &[String], action: &str, key: &str) {
        let Some(name) = names.first() else { return };
        let Some(mut window) = self.book.adopt::<Window>(names, &[action, key]) else { return };
        window.slide(SignedDuration::from_millis(window.every_ms), self.now);
        if window.rest_told != Some(self.now.as_millisecond()) {
            window.record(self.now);
        }
        window.rest_told = Some(self.now.as_millisecond());
        self.book.put(&[name, action, key], &window);
    }

    /// A window may be empty by now: then nothing of it is kept.
    pub fn throttle_due(&mut self, rule: &str, action: &str, key: &str) {
        let names = names_for(self.rules, rule);
        let Some(name) = names.first() else { return };
        let Some(window) = self.book.adopt::<Window>(&names, &[action, key]) else { return };
        let last = from_ms(window.acted.last().map_or(i64::MIN, |(at_ms, _)| *at_ms));
        let mut until = plus(last, SignedDuration::from_millis(window.every_ms));
        if window.held_back > 0 {
            until = until.max(plus(last, HELD_BACK_KEPT));
        }
        let parts = [name.as_str(), action, key];
        if until > self.now {
            self.set_throttle_end(&parts, until);
        } else {
            self.book.delete::<Window>(&parts);
        }
    }
}
