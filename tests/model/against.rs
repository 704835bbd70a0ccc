//! A planner held against the reference: each plan that is committed must say what the reference says, and no more.

use fanfare::delivery::{MessageOp, NewDelivery, Say, Severity};
use fanfare::event::{Entry, Item, MISSING, Seq};
use fanfare::planner::loaded::{DueTimer, Timer};
use fanfare::planner::{Keys, Plan, arm_keys};
use fanfare::rules::RuleSet;
use fanfare::store::Waiting;
use jiff::Timestamp;
use serde_json::Value;

use super::reference::{Expected, Reference, Said, came};
use super::{Ms, ms};

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Other rules, or another planner.
    Arms,
    /// Open cases under other rules.
    Sweeps,
    /// Entries and timers.
    Plans,
}

impl Doing {
    /// What a planner is about, by what it asks its store for first.
    pub fn of_keys(keys: &Keys) -> Self {
        if *keys == arm_keys() { Self::Arms } else { Self::Plans }
    }
}

/// A plan that was committed.
pub struct Planned<'a> {
    pub rules: &'a RuleSet,
    pub doing: Doing,
    pub now: Timestamp,
    /// What waited when it was committed.
    pub waiting: &'a Waiting,
    pub plan: &'a Plan,
    /// Whether it may be a part of a round only: after a death a planner goes on thing by thing.
    pub may_be_part: bool,
}

/// The reference beside a planner.
#[derive(Default)]
pub struct Against {
    pub reference: Reference,
    /// Planned up to here.
    pub upto: Seq,
}

impl Against {
    /// Beside a planner that has these rules, one after another.
    pub fn new<'r>(versions: impl IntoIterator<Item = &'r RuleSet>, updating: &str) -> Self {
        let mut reference = Reference::new(versions);
        reference.updating.insert(updating.into());
        Self { reference, upto: 0 }
    }

    /// A plan was committed. Gives what is wrong with it.
    pub fn planned(&mut self, planned: &Planned<'_>) -> Vec<String> {
        let Planned { rules, doing, now, waiting, plan, .. } = *planned;
        if is_mark(plan) {
            return Vec::new();
        }
        if std::env::var_os("FANFARE_SHOW").is_some() {
            show(planned);
        }
        self.reference.latest = Default::default();
        let mut wrong: Vec<String> = plan
            .whys
            .iter()
            .filter(|why| why.outcome == "parked" || why.outcome == "failed")
            .map(|why| format!("{}: {}: {}", why.rule, why.outcome, why.note))
            .collect();
        if doing != Doing::Plans {
            match doing {
                Doing::Arms => self.reference.load(rules, ms(now)),
                _ => self.reference.reach(ms(now)),
            }
            if !plan.deliveries.is_empty() {
                wrong.push(format!("new rules alone made {} deliveries", plan.deliveries.len()));
            }
            return wrong;
        }
        if let Some(upto) = plan.upto {
            if upto <= self.upto {
                wrong.push(format!("planned up to {upto} again, after {}", self.upto));
                return wrong;
            }
            self.upto = upto;
        }
        let entries = waiting.entries.iter().filter(|entry| plan.upto.is_some_and(|upto| entry.seq <= upto));
        let entries: Vec<&Entry> = entries.collect();
        // What came due after the last of them came waits for what may stand behind it.
        let by = match entries.iter().rev().find_map(|entry| came(&entry.item)) {
            Some(last) => last,
            None if entries.is_empty() => Ms::MAX,
            None => Ms::MIN,
        };
        // What falls back follows from what happens and not from the rules; but what is said there later joins it.
        let fell = plan.deliveries.iter().filter(|planned| planned.assignment.died.is_some());
        for planned in fell.filter(|planned| planned.act == MessageOp::Open && planned.lane.is_some()) {
            let of = (&*self.reference.line(&planned.rule), planned.event);
            self.reference.fell(of, &planned.action, &planned.destination);
        }
        let said = plan.deliveries.iter().filter(|planned| planned.assignment.died.is_none());
        let said = said.map(|planned| format!("{:?}", self.said(planned)));
        let absences = plan.events.iter().filter(|event| &*event.kind == MISSING);
        let missed = absences.map(|event| format!("{:?}", self.reference.absence(event)));
        let made: Vec<String> = said.chain(missed).collect();
        let (more, less) = self.compare(planned, &entries, by, &made);
        if !more.is_empty() || !less.is_empty() {
            let read: Vec<String> = entries.iter().map(|entry| read(entry)).collect();
            wrong.push(format!(
                "planned at {now} of:\n    {}\n  planned, and not in the rules:\n    {}\n  in the rules, and not planned:\n    {}",
                read.join("\n    "),
                more.join("\n    "),
                less.join("\n    ")
            ));
        }
        wrong
    }

    /// What a plan has that the reference has not, and the other way about; and the reference goes on as the plan does.
    fn compare(
        &mut self,
        planned: &Planned<'_>,
        entries: &[&Entry],
        by: Ms,
        made: &[String],
    ) -> (Vec<String>, Vec<String>) {
        let (rules, now) = (planned.rules, ms(planned.now));
        let due = self.reference.count_due(rules, now, by);
        if due == 0 || !planned.may_be_part {
            return differ(made, &strings(self.reference.plan(rules, now, entries, by)));
        }
        let is_due = |due: &&DueTimer| ms(due.timer.due) <= by;
        let is_changed = |due: &&DueTimer| planned.plan.timers.iter().any(|(id, _)| *id == due.id);
        let is_whole = planned.waiting.timers.iter().filter(is_due).all(|due| is_changed(&due));
        let fired = planned.waiting.timers.iter().filter(is_changed);
        let meanings: Vec<Value> = fired.filter_map(|due| serde_json::from_str(&due.timer.text).ok()).collect();
        // Of all that is due; of the entries alone; or of them with the timers that the plan changed, as there was room for.
        let alone = (!entries.is_empty()).then_some(Some(&[][..]));
        let mut parts: Vec<_> = [None].into_iter().chain(alone).chain([Some(&meanings[..])]).collect();
        if !is_whole {
            parts.reverse();
        }
        let mut difference = None;
        for part in parts {
            let mut after = self.reference.clone();
            let expected = match part {
                None => after.plan(rules, now, entries, by),
                Some(meanings) => after.plan_parts(rules, now, entries, (meanings, by)),
            };
            let differs = differ(made, &strings(expected));
            if differs == <_>::default() {
                self.reference = after;
                return differs;
            }
            if part.is_none() {
                difference = Some(differs);
            }
        }
        difference.unwrap_or_default()
    }

    /// Whether the reference would keep quiet at this time about whatever the rule has to say there.
    pub fn is_muted(&self, rule: &str, to: &str, at: Timestamp) -> bool {
        self.reference.is_muted(&self.reference.line(rule), to, ms(at))
    }

    /// A delivery as the reference says it.
    fn said(&self, planned: &NewDelivery) -> Said {
        let told = &planned.assignment;
        let case = told.case.as_ref();
        Said {
            line: self.reference.line(&planned.rule),
            action: planned.action.clone(),
            to: planned.destination.clone(),
            act: planned.act,
            summary: told.say == Say::Summary,
            events: if told.events.is_empty() { vec![told.event] } else { told.events.clone() },
            more: told.more,
            suppressed: told.suppressed,
            sum: told.sum.clone(),
            address: told.to.as_ref().map(|to| to.address.clone()),
            // How severe a summary is follows from what it says.
            critical: told.say != Say::Summary && told.severity == Some(Severity::Critical),
            case: case.map(|case| (case.key.clone(), ms(case.opened), case.count, ms(case.last), case.closed)),
            overdue: case.is_some_and(|case| case.overdue),
        }
    }
}

/// Whether it only says what is planned next, for anyone who comes after a death.
fn is_mark(plan: &Plan) -> bool {
    let marks = plan.docs.iter().all(|change| change.key.kind == "planning");
    !plan.docs.is_empty() && marks && *plan == Plan { docs: plan.docs.clone(), ..Plan::default() }
}

/// Prints a plan, to look for a mistake.
fn show(planned: &Planned<'_>) {
    let Planned { doing, now, waiting, plan, .. } = *planned;
    let entries: Vec<String> = waiting.entries.iter().map(read).collect();
    let whys = plan.whys.iter().map(|why| format!("{} {}: {}", why.rule, why.outcome, why.note));
    let due = |timer: &Option<Timer>| timer.as_ref().map_or("none".into(), |timer| timer.due.to_string());
    let timers = plan.timers.iter().map(|(id, timer)| format!("{id}: {}", due(timer)));
    let (whys, timers): (Vec<_>, Vec<_>) = (whys.collect(), timers.collect());
    eprintln!("{doing:?} at {now}: {entries:?}\n  {whys:#?}\n  {timers:#?}");
}

/// An entry in short.
fn read(entry: &Entry) -> String {
    match &entry.item {
        Item::Event(event) => format!("{}: {} {}", entry.seq, event.kind, event.data()),
        item => format!("{}: {item:?}", entry.seq),
    }
}

/// What a plan must make, as text.
fn strings(expected: Expected) -> Vec<String> {
    let said = expected.said.iter().map(|said| format!("{said:?}"));
    let missed = expected.missed.iter().map(|missed| format!("{missed:?}"));
    said.chain(missed).collect()
}

/// What only the first has, and what only the second.
fn differ(first: &[String], second: &[String]) -> (Vec<String>, Vec<String>) {
    let mut left = second.to_vec();
    let mut more = Vec::new();
    for one in first {
        match left.iter().position(|other| other == one) {
            Some(at) => _ = left.swap_remove(at),
            None => more.push(one.clone()),
        }
    }
    (more, left)
}
