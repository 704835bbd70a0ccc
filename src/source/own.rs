//! One of each of Fanfare's own events, as the running parts make them: for `explain`, `preview` and `check`, which ask
//! what rules would make of one before it happens. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::plus;
use crate::event::Event;

/// The types, with what such an event says. `fanfare.missing` is made for one rule, and isn't among them.
fn all(now: Timestamp) -> Vec<(&'static str, Value)> {
    let soon = plus(now, jiff::SignedDuration::from_mins(1)).to_string();
    let earlier = plus(now, jiff::SignedDuration::from_hours(-24)).to_string();
    vec![
        (
            "fanfare.delivery.dead",
            json!({"delivery": "dlv_sample", "attempts": 12, "reason": "404 no_service", "rule": "a-rule",
                "destination": "a-destination", "count": 1}),
        ),
        (
            "fanfare.destination.failing",
            json!({"destination": "a-destination", "reason": "404 no_service", "failures": 5, "paused_until": soon,
                "count": 1}),
        ),
        ("fanfare.destination.recovered", json!({"destination": "a-destination", "count": 1})),
        (
            "fanfare.rule.failed",
            json!({"event": "evt_sample", "type": "release.live", "reasons": ["no case: no key was selected"],
                "rule": "a-rule", "count": 1}),
        ),
        (
            "fanfare.reload.failed",
            json!({"errors": 1, "reason": "rules/a.yaml:3:5: the rule `a-rule` has no key `event`", "count": 1}),
        ),
        (
            "fanfare.mute.ended",
            json!({"mute": "mute_sample", "reason": "a planned silence", "by": "a person", "ended": "its time has ended",
                "from": earlier, "until": now.to_string(), "muted": 7, "rules": {"a-rule": 7}, "count": 1}),
        ),
        (
            "fanfare.absence",
            json!({"from": earlier, "until": now.to_string(), "length": "3h", "advice": "ask the sender to send again",
                "count": 1}),
        ),
        (
            "fanfare.task.failed",
            json!({"task": "plan", "reason": "it panicked: no message", "then": "started anew", "count": 1}),
        ),
        (
            "fanfare.event.unmatched",
            json!({"type": "vinyl.pressed", "source": "jewelmusic", "event": "evt_sample", "count": 1}),
        ),
    ]
}

/// The names of all of them.
pub fn names() -> Vec<&'static str> {
    all(Timestamp::UNIX_EPOCH).into_iter().map(|(name, _)| name).collect()
}

/// The one with this name.
pub fn named(name: &str, now: Timestamp) -> Option<Event> {
    let (kind, data) = all(now).into_iter().find(|(kind, _)| *kind == name)?;
    Some(Event::own(kind, &format!("{kind}/sample"), now, data))
}

/// All of them, by name.
pub fn events(now: Timestamp) -> Vec<(&'static str, Event)> {
    let event = |(kind, data)| (kind, Event::own(kind, &format!("{kind}/sample"), now, data));
    all(now).into_iter().map(event).collect()
}
