//! How things look in JSON: one shape for the API, the command line's `--format json` and the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::delivery::{Attempt, Delivery};
use crate::event::{Event, Seq};
use crate::planner::why::Decision;

/// An event, without its body.
pub fn event(seq: Seq, event: &Event) -> Value {
    json!({
        "id": event.id,
        "seq": seq,
        "source": &*event.source,
        "type": &*event.kind,
        "created": event.created.to_string(),
        "received": event.received.to_string(),
        "proof": &*event.proof,
    })
}

/// An event with its body: parsed, or as text where it is no JSON.
pub fn event_whole(seq: Seq, whole: &Event) -> Value {
    let mut view = event(seq, whole);
    if whole.body.is_null() {
        view["raw"] = String::from_utf8_lossy(&whole.raw).into();
    } else {
        view["body"] = whole.body.clone();
    }
    view
}

/// An event with its body as it came: as text, or in base64 where it is none. What `events export` writes, one a line.
pub fn event_raw(seq: Seq, whole: &Event) -> Value {
    let mut view = event(seq, whole);
    match std::str::from_utf8(&whole.raw) {
        Ok(text) => view["raw"] = text.into(),
        Err(_) => view["raw_base64"] = STANDARD.encode(&whole.raw).into(),
    }
    view
}

/// A delivery, without its message.
pub fn delivery(delivery: &Delivery) -> Value {
    let planned = &delivery.planned;
    json!({
        "id": planned.id,
        "state": delivery.state,
        "rule": planned.rule,
        "action": planned.action,
        "destination": planned.destination,
        "event": planned.event,
        "act": planned.act,
        "fallback": planned.assignment.died.is_some(),
        "case": planned.assignment.case.as_ref().map(|case| &case.key),
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
        "created": delivery.created.to_string(),
        "next": (!delivery.state.is_final()).then(|| delivery.next.to_string()),
        "finished": delivery.finished.map(|at| at.to_string()),
    })
}

/// A delivery with its message and attempts.
pub fn delivery_whole(whole: &Delivery, attempts: &[Attempt]) -> Value {
    let mut view = delivery(whole);
    view["message"] = whole.message.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    view["attempts_made"] = serde_json::to_value(attempts).unwrap_or_default();
    view
}

/// What one rule did about an event.
pub fn why(row: &Decision) -> Value {
    json!({"rule": row.rule, "outcome": row.outcome, "note": row.note, "why": row.detail})
}
