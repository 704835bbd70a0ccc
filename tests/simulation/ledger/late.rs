//! What the ledger knows of lateness: a message for the pager that is late goes to the fallback, once, within its time; and
//! none is tried for longer than `give_up`. Both count by the clock on the wall: only what disturbed the program itself may
//! have held them up.

use fanfare::delivery::{AttemptOutcome, DeliveryId, MessageOp, NewDelivery, State};
use fanfare::planner::Plan;

use super::{Ledger, Planned, Record};
use crate::model::{HOUR, MINUTE, Ms, ms};
use crate::simulation::label::{FALLBACK, FALLBACK_AFTER_MS, GIVE_UP_MS};

/// How much later than it should something may be while nothing disturbs the program: an attempt, a few waits after
/// failures, and for `chat` its rate.
const SLACK_MS: Ms = 15 * MINUTE;

/// When a process was away or held up, or the store no good, by true time.
#[derive(Default)]
pub struct Disturbed(Vec<(Ms, Ms)>);

impl Disturbed {
    /// For how long that was, at most, between two moments.
    fn within(&self, from: Ms, until: Ms) -> Ms {
        self.0.iter().map(|(begins, ends)| (until.min(*ends) - from.max(*begins)).max(0)).sum()
    }
}

/// What is known of a delivery's time, by true time.
#[derive(Default)]
pub struct Times {
    due: Ms,
    /// When it arrived, as far as is recorded.
    delivered: Option<Ms>,
    /// When its fallback was notified, and how often it was by a message of its own.
    told: Option<Ms>,
    alone: u32,
    /// Its fallback was muted, or not wanted any more.
    pub hushed: bool,
    /// The clocks jumped while it was on its way: nothing can be said of its time.
    jumped: bool,
}

impl Times {
    /// Of a delivery that is planned, by a clock that may be wrong.
    pub fn of(planned: &NewDelivery, now: Ms, true_ms: Ms) -> Self {
        Self { due: true_ms + ms(planned.due) - now, ..Self::default() }
    }

    /// It waits in its lane for these: where nothing can be said of their time, nothing can be said of its own.
    pub fn behind<'a>(&mut self, mut others: impl Iterator<Item = &'a Self>) {
        self.jumped |= others.any(|other| other.jumped);
    }

    pub fn jumped(&mut self) {
        self.jumped |= self.delivered.is_none();
    }
}

/// Whether its fallback is notified should it be late: an update of what was shown is no message, and nobody wants to receive its
/// end elsewhere.
pub fn falls_back(planned: &NewDelivery) -> bool {
    planned.destination == "pager" && planned.act != MessageOp::Close && planned.assignment.died.is_none()
}

impl Ledger {
    /// The program is disturbed for so long from now on.
    pub fn disturbed(&mut self, true_ms: Ms, span: Ms) {
        // After a failure it looks again within minutes.
        self.disturbed.0.push((true_ms, true_ms + span + 5 * MINUTE));
    }

    /// What a plan says to the fallback is said of these.
    pub fn falls(&mut self, plan: &Plan, true_ms: Ms) {
        for said in plan.deliveries.iter().filter(|planned| planned.assignment.died.is_some()) {
            let told = &said.assignment;
            let is_alone = told.events.is_empty();
            let mut twice = None;
            for (id, record) in self.deliveries.iter_mut().filter(|(_, record)| falls_back(&record.planned)) {
                let of = &record.planned;
                let same = (&of.rule, &of.action, of.event) == (&said.rule, &said.action, said.event);
                if is_alone && same || told.events.contains(&of.assignment.event) {
                    record.times.told.get_or_insert(true_ms);
                    record.times.alone += u32::from(is_alone);
                    twice = twice.or((record.times.alone > 1).then(|| id.clone()));
                }
            }
            if let Some(id) = twice {
                self.violate(format!("the fallback was notified of {id} twice"));
            }
        }
    }

    /// Records whose fallback was muted, or not wanted any more, when it was to be told.
    pub fn hush(&mut self, planned: &Planned<'_>) {
        for row in &planned.plan.whys {
            if !row.note.contains("fallback") {
                continue;
            }
            let reference = &self.against.reference;
            let waits = reference.waits(&reference.line(&row.rule), row.event);
            let is_muted = self.against.is_muted(&row.rule, FALLBACK, planned.now);
            if row.note.contains("goes to no fallback") && waits || row.outcome == "muted" && !is_muted {
                let what = (row.event, &row.rule, &row.note);
                self.violate(format!("the fallback was not told: {what:?}"));
            }
            // One that went to the fallback is called off where its case closes in the same plan.
            if waits && !is_muted {
                continue;
            }
            let of_row = |record: &&mut Record| record.planned.event == row.event && record.planned.rule == row.rule;
            self.deliveries.values_mut().filter(of_row).for_each(|record| record.times.hushed = true);
        }
    }

    /// An attempt ended.
    pub fn reached(&mut self, id: &DeliveryId, outcome: AttemptOutcome, true_ms: Ms) {
        if let Some(record) = self.deliveries.get_mut(id).filter(|_| outcome == AttemptOutcome::Delivered) {
            record.times.delivered = Some(true_ms);
        }
    }

    /// The deliveries that should have come to an end by now, one way or another.
    pub fn overdue(&self, true_ms: Ms) -> Vec<DeliveryId> {
        let is_over = |record: &&Record| {
            let Times { due, jumped, .. } = record.times;
            let most = GIVE_UP_MS + SLACK_MS;
            !jumped && true_ms > due + most && true_ms > due + most + self.disturbed.within(due, true_ms)
        };
        let open = self.deliveries.iter().filter(|(_, record)| record.ended.is_none());
        open.filter(|(_, record)| is_over(record)).map(|(id, _)| id.clone()).collect()
    }

    /// What is wrong with the time of a delivery that has ended.
    pub(super) fn late(&self, id: &DeliveryId, record: &Record, state: State) -> Option<String> {
        let Times { due, delivered, told, hushed, jumped, .. } = record.times;
        if jumped || hushed || !falls_back(&record.planned) {
            return None;
        }
        let deadline = due + FALLBACK_AFTER_MS;
        let is_late = |at: Ms| at > deadline + SLACK_MS + self.disturbed.within(due, at);
        match (told, state) {
            (Some(told), _) => is_late(told).then(|| {
                format!("the fallback was notified of {id} {} minutes after its deadline", (told - deadline) / MINUTE)
            }),
            (None, State::Delivered) => delivered.filter(|at| is_late(*at)).map(|at| {
                format!(
                    "{id} was delivered {} hours after its deadline, and no fallback was notified",
                    (at - deadline) / HOUR
                )
            }),
            (None, _) => None,
        }
    }
}
