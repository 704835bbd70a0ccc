//! Throttles: at most this many within a sliding window, counted apart by a key.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{from_ms, plus};
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::planner::why::RuleOutcome;
use crate::rules::{ActionJudgement, Throttle};

/// How many moments are kept; beyond that two neighbours become one, counted at the later, so that a large `max` stays
/// small and never lets more through.
const MOMENTS_MAX: usize = 256;

/// How long it is known how many were held back, for the next message to say.
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
    /// Forgets what the window has left behind, and what lies further ahead than it is long: the clock was set back, and
    /// would keep people waiting until it is there again.
    fn slide(&mut self, every: SignedDuration, now: Timestamp) {
        self.every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        let (now_ms, every_ms) = (now.as_millisecond(), self.every_ms);
        let counts = |at_ms: i64| at_ms.saturating_add(every_ms) > now_ms && at_ms <= now_ms.saturating_add(every_ms);
        self.acted.retain(|(at_ms, _)| counts(*at_ms));
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

/// Which throttle counts: that of a rule's action, apart by a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThrottleId<'a> {
    pub rule: &'a str,
    pub action: &'a str,
    pub key: &'a str,
}

impl<'a> ThrottleId<'a> {
    /// The throttle that an action passes, if it has one. `Err` says why its key is not known.
    pub fn of(rule: &'a str, acted: &'a ActionJudgement<'_>) -> Option<(Result<Self, &'a str>, &'a Throttle)> {
        let throttle = acted.action.throttle.as_ref()?;
        let key = match &acted.throttle {
            None => Ok(""),
            Some(key) => key.as_deref().map_err(String::as_str),
        };
        Some((key.map(|key| Self { rule, action: &acted.action.id, key }), throttle))
    }

    /// Where its window is kept, of the rule with these names.
    pub fn slot(&self, names: &[String]) -> Slot<Window> {
        Slot::under(names, &[self.action, self.key])
    }

    fn looks_again(&self, due: Timestamp) -> Effect {
        let (rule, action, key) = (self.rule.into(), self.action.into(), self.key.into());
        let timer = id(&["throttle", self.rule, self.action, self.key]);
        Effect::set_timer(timer, due, None, &Meaning::Throttle { rule, action, key })
    }
}

/// What a throttle says.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It lets this through; how many it held back before.
    Passes(u64),
    /// It holds this back until then.
    HoldsBack(Timestamp),
}

impl Window {
    /// Whether an announcement passes. What is held back is counted for the next message to say, unless it goes into a
    /// digest of its own.
    pub fn admit(
        known: Option<Self>,
        throttle: &Throttle,
        of: &ThrottleId<'_>,
        now: Now<'_>,
    ) -> (Admission, Next<Self>) {
        let is_new = known.is_none();
        let mut effects: Vec<Effect> =
            is_new.then(|| of.looks_again(plus(now.at, throttle.every))).into_iter().collect();
        let mut window = known.unwrap_or_default();
        window.slide(throttle.every, now.at);
        if window.count() < throttle.max {
            window.record(now.at);
            let held_back = std::mem::take(&mut window.held_back);
            return (Admission::Passes(held_back), (Some(window), effects));
        }
        if !throttle.rest_digest {
            window.held_back = window.held_back.saturating_add(1);
        }
        let frees = window.frees(throttle.max, now.at);
        let note = format!("more than {} within the throttle's window, until {}", throttle.max, now.said(frees));
        effects.push(Effect::action(RuleOutcome::Throttled, of.action, None, note));
        (Admission::HoldsBack(frees), (Some(window), effects))
    }

    /// The rest went out as a digest: that is one message within the window, to however many destinations.
    pub fn rest_told(mut self, now: Timestamp) -> Next<Self> {
        self.slide(SignedDuration::from_millis(self.every_ms), now);
        if self.rest_told != Some(now.as_millisecond()) {
            self.record(now);
        }
        self.rest_told = Some(now.as_millisecond());
        (Some(self), Vec::new())
    }

    /// A window may be empty by now: then nothing of it is kept.
    pub fn due(mut self, of: &ThrottleId<'_>, now: Now<'_>) -> Next<Self> {
        let every = SignedDuration::from_millis(self.every_ms);
        let last = from_ms(self.acted.last().map_or(i64::MIN, |(at_ms, _)| *at_ms));
        let mut until = plus(last, every);
        // What has left the window stays out of it, should the clock be set back.
        self.slide(every, now.at);
        if self.held_back > 0 {
            until = until.max(plus(last, HELD_BACK_KEPT));
        }
        if until > now.at { (Some(self), vec![of.looks_again(until)]) } else { (None, Vec::new()) }
    }
}
