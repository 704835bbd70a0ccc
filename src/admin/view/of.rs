//! What the API answers, made of what the store holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{AttemptView, ConflictView, DecisionView, DeliveryView, DeliveryWhole, EventView, TimerView};
use crate::delivery::{Attempt, Delivery};
use crate::event::{Event, Seq};
use crate::planner::Pending;
use crate::planner::why::Decision;
use crate::store::Conflict;

impl EventView {
    /// An event without its body.
    pub fn of(seq: Seq, event: &Event) -> Self {
        Self {
            id: event.id.to_string(),
            seq,
            source: event.source.to_string(),
            kind: event.kind.to_string(),
            created: event.created.to_string(),
            received: event.received.to_string(),
            proof: event.proof.to_string(),
            body: None,
            raw: None,
            raw_base64: None,
        }
    }

    /// An event with its body: parsed, or as text where it is no JSON.
    pub fn read(seq: Seq, event: &Event) -> Self {
        let is_json = !event.body.is_null();
        let raw = (!is_json).then(|| String::from_utf8_lossy(&event.raw).into_owned());
        Self { body: is_json.then(|| event.body.clone()), raw, ..Self::of(seq, event) }
    }

    /// An event with its body as it came: what `events export` writes, one a line.
    pub fn raw(seq: Seq, event: &Event) -> Self {
        let (raw, raw_base64) = match std::str::from_utf8(&event.raw) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(&event.raw))),
        };
        Self { raw, raw_base64, ..Self::of(seq, event) }
    }
}

impl From<&Decision> for DecisionView {
    fn from(row: &Decision) -> Self {
        Self { rule: row.rule.clone(), outcome: row.outcome.clone(), note: row.note.clone(), why: row.detail.clone() }
    }
}

impl From<&Conflict> for ConflictView {
    fn from(conflict: &Conflict) -> Self {
        Self { received: conflict.received.to_string(), raw: String::from_utf8_lossy(&conflict.raw).into_owned() }
    }
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        let planned = &delivery.planned;
        Self {
            id: planned.id.to_string(),
            state: delivery.state,
            rule: planned.rule.clone(),
            action: planned.action.clone(),
            destination: planned.destination.clone(),
            event: planned.event,
            act: planned.act,
            fallback: planned.assignment.died.is_some(),
            case: planned.assignment.case.as_ref().map(|case| case.key.clone()),
            attempts: delivery.attempts,
            last_error: delivery.last_error.clone(),
            created: delivery.created.to_string(),
            next: (!delivery.state.is_final()).then(|| delivery.next.to_string()),
            finished: delivery.finished.map(|at| at.to_string()),
        }
    }
}

impl DeliveryWhole {
    /// A delivery with its message and attempts.
    pub fn of(whole: &Delivery, attempts: &[Attempt]) -> Self {
        let message = whole.message.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Self {
            delivery: whole.into(),
            message: message.unwrap_or_default(),
            attempts_made: attempts.iter().map(AttemptView::from).collect(),
        }
    }
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        let Attempt { number, at, took_ms, outcome, sent, answer } = attempt.clone();
        Self { number, at: at.to_string(), took_ms, outcome, sent, answer }
    }
}

impl From<&Pending> for TimerView {
    fn from(pending: &Pending) -> Self {
        Self {
            action: pending.action.clone(),
            to: pending.to.clone(),
            next: pending.next.to_string(),
            fired: pending.fired,
            waits: pending.waits,
        }
    }
}
