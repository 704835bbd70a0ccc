//! Fanfare's own events: one row each, with what it is called, when it comes, and how it looks. Pure.
//!
//! Anyone who makes one takes its name from here; `check`, `explain`, `preview` and the documentation read the rows, to say
//! what rules would make of one before it happens.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::event::Event;

/// A delivery is dead.
pub const DEAD: &str = "fanfare.delivery.dead";
/// A destination is marked failing, or its breaker has opened.
pub const FAILING: &str = "fanfare.destination.failing";
/// A destination that was failing has accepted something.
pub const RECOVERED: &str = "fanfare.destination.recovered";
/// A rule could not be applied to an event.
pub const RULE_FAILED: &str = "fanfare.rule.failed";
/// A rule sends many times its usual, and is held.
pub const FLOODING: &str = "fanfare.rule.flooding";
/// Files are broken, and what was in force stays.
pub const RELOAD_FAILED: &str = "fanfare.reload.failed";
/// Nobody was there to receive.
pub const ABSENCE: &str = "fanfare.absence";
/// A sender was asked to send again what failed.
pub const BACKFILL_ENDED: &str = "fanfare.backfill.ended";
/// A main task ended by itself.
pub const TASK_FAILED: &str = "fanfare.task.failed";
/// A mute came to its end.
pub const MUTE_ENDED: &str = "fanfare.mute.ended";
/// No rule names the type of an event.
pub const UNMATCHED: &str = "fanfare.event.unmatched";

/// One of Fanfare's own events.
#[derive(Debug)]
pub struct Own {
    /// Its type.
    pub kind: &'static str,
    /// When it comes, in a sentence without a full stop.
    pub doc: &'static str,
    /// Who needs it, likewise.
    pub reader: &'static str,
    data: fn(Timestamp) -> Value,
}

/// All of them, in the order of the documentation. `fanfare.missing` is made for one rule, and isn't among them.
pub static ALL: &[Own] = &[
    Own {
        kind: DEAD,
        doc: "Fanfare gave up a message",
        reader: "the team, on two channels: one of them may be the failed one",
        data: |_| {
            json!({"delivery": "dlv_sample", "attempts": 12, "reason": "404 no_service", "rule": "a-rule",
                "destination": "a-destination", "count": 1})
        },
    },
    Own {
        kind: FAILING,
        doc: "a destination refuses everything",
        reader: "the team, until it works again",
        data: |now| {
            json!({"destination": "a-destination", "reason": "404 no_service", "failures": 5,
                "paused_until": after(now, SignedDuration::from_mins(1)), "count": 1})
        },
    },
    Own {
        kind: RECOVERED,
        doc: "a destination that refused everything works again",
        reader: "the team",
        data: |_| json!({"destination": "a-destination", "count": 1}),
    },
    Own {
        kind: RULE_FAILED,
        doc: "a rule could not read a value, or lacked one",
        reader: "the authors of rules",
        data: |_| {
            json!({"event": "evt_sample", "type": "release.live", "reasons": ["no case: no key was selected"],
                "rule": "a-rule", "count": 1})
        },
    },
    Own {
        kind: FLOODING,
        doc: "a rule with `flood` sends many times its usual, and is held",
        reader: "the team: let it go or drop it",
        data: |now| {
            json!({"rule": "a-rule", "sent": 200, "usual": 20, "since": now.to_string(),
                "ends": after(now, SignedDuration::from_hours(24)), "count": 1})
        },
    },
    Own {
        kind: RELOAD_FAILED,
        doc: "files on disk are broken; older rules stay in force",
        reader: "the authors of rules",
        data: |_| json!({"errors": 1, "reason": "rules/a.yaml:3:5: the rule `a-rule` has no key `event`", "count": 1}),
    },
    Own {
        kind: ABSENCE,
        doc: "no process received events for longer than the sender retries",
        reader: "the team: the sender must resend what failed",
        data: |now| {
            json!({"from": yesterday(now), "until": now.to_string(), "length": "3h",
                "advice": "ask the sender to send again", "count": 1})
        },
    },
    Own {
        kind: BACKFILL_ENDED,
        doc: "a sender was asked to send again what failed; reports what can't be had",
        reader: "the team: what can't be had must be looked up at the sender",
        data: |now| {
            json!({"source": "jewelmusic", "since": yesterday(now), "until": now.to_string(), "by": "fanfare",
                "asked": 12, "missing": 1, "not_had": ["release.live (del_sample): it is gone"],
                "account": "asked the sender for 12 events; 1 event can't be had", "count": 1})
        },
    },
    Own {
        kind: TASK_FAILED,
        doc: "a main task of Fanfare ended",
        reader: "the operators",
        data: |_| json!({"task": "plan", "reason": "it panicked: no message", "then": "started anew", "count": 1}),
    },
    Own {
        kind: MUTE_ENDED,
        doc: "a mute ended; reports what it silenced",
        reader: "the person who muted, in office hours",
        data: |now| {
            json!({"mute": "mute_sample", "reason": "a planned silence", "by": "a person", "ended": "its time has ended",
                "from": yesterday(now), "until": now.to_string(), "muted": 7, "rules": {"a-rule": 7}, "count": 1})
        },
    },
    Own {
        kind: UNMATCHED,
        doc: "a type that no rule names, once a day",
        reader: "the authors of rules, in office hours",
        data: |_| json!({"type": "vinyl.pressed", "source": "jewelmusic", "event": "evt_sample", "count": 1}),
    },
];

fn after(now: Timestamp, span: SignedDuration) -> String {
    now.saturating_add(span).unwrap_or(now).to_string()
}

fn yesterday(now: Timestamp) -> String {
    after(now, SignedDuration::from_hours(-24))
}

impl Own {
    /// One as it looks.
    pub fn event(&self, now: Timestamp) -> Event {
        Event::own(self.kind, &format!("{}/sample", self.kind), now, (self.data)(now))
    }
}

/// The names of all of them.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|own| own.kind).collect()
}
