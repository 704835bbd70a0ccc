//! The ledger: what was promised, what was planned, what was tried and what arrived; and what of it should not be.

use std::collections::{BTreeMap, BTreeSet};

use fanfare::delivery::{AttemptOutcome, DeliveryId, Lane, MessageOp, NewDelivery, State};
use fanfare::event::{Command, Event, Item, Opening, Seq};
use fanfare::planner::Plan;
use fanfare::store::{Claim, Settlement};
use jiff::Timestamp;

pub use self::counts::Counts;
use self::late::{Disturbed, Times, falls_back};
use super::label::{CHAT_SPACING_MS, DESTINATIONS, FALLBACK, GIVE_UP_MS, RETRY_FIRST_MS, UPDATING, versions};
use crate::model::against::{Against, Doing, Planned};
use crate::model::{DAY, HOUR, Ms, ms};

mod counts;
mod late;

/// By so much clocks of replicas may differ, and a little more.
const SKEW_MS: i64 = 500;
/// By so much one claim may be overtaken by another that was asked for later.
const OVERTAKEN_MS: i64 = 9_000;
/// How late a timer may fire while nothing is wrong, in ms.
const LATE_MS: i64 = 5_000;

/// What an attempt puts on the wire.
pub struct Post {
    pub id: DeliveryId,
    pub token: u64,
    pub destination: String,
    pub key: String,
    pub body: u64,
    /// The paths of the links that it carries.
    pub links: Vec<String>,
}

/// A claim, which is an attempt.
struct Tried {
    token: u64,
    replica: i64,
    until_ms: i64,
    /// Whether its message came there.
    arrived: bool,
    /// Whether it ended, by its own word.
    over: bool,
    /// Whether it was given back before anything was sent.
    given_back: bool,
    /// Whether the clocks jumped while it was under way: it began by another time than it ended.
    jumped: bool,
    /// Why the message may come again.
    excuse: Option<&'static str>,
}

/// A delivery.
struct Record {
    planned: NewDelivery,
    tried: Vec<Tried>,
    ended: Option<(State, String)>,
    called_off: bool,
    times: Times,
    /// By the clocks: not tried again before this. `None` after they jumped.
    next_ms: Option<i64>,
    /// For so long its destination wants to be left alone, in ms.
    asked_ms: i64,
    key: Option<String>,
    body: Option<u64>,
}

/// Everything that was seen.
pub struct Ledger {
    pub violations: Vec<String>,
    against: Against,
    /// The ids of events that were answered 2xx.
    accepted: BTreeSet<String>,
    /// The sender's ids in the inbox.
    inbox: BTreeMap<String, Seq>,
    deliveries: BTreeMap<DeliveryId, Record>,
    lanes: BTreeMap<Lane, Vec<DeliveryId>>,
    /// How far each lane has come, by the order of planning.
    reached: BTreeMap<Lane, usize>,
    /// Claims that are not over.
    open: BTreeSet<(DeliveryId, u64)>,
    chat_free_ms: Option<i64>,
    /// The newest time that anybody claimed at.
    claimed_ms: i64,
    calm_since: Option<Ms>,
    disturbed: Disturbed,
    pub counts: Counts,
}

impl Record {
    /// Whether it waits, and nobody has tried it.
    fn is_untouched(&self) -> bool {
        self.ended.is_none() && self.tried.iter().all(|tried| tried.given_back)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            violations: Vec::new(),
            against: Against::new(versions().iter().filter_map(|version| version.rules.as_deref()), UPDATING),
            accepted: BTreeSet::new(),
            inbox: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            lanes: BTreeMap::new(),
            reached: BTreeMap::new(),
            open: BTreeSet::new(),
            chat_free_ms: None,
            claimed_ms: i64::MIN,
            calm_since: None,
            disturbed: Disturbed::default(),
            counts: Counts::default(),
        }
    }
}

impl Ledger {
    pub fn violate(&mut self, what: String) {
        // One is enough to fail; a flood would say no more.
        if self.violations.len() < 20 {
            self.violations.push(what);
        }
    }

    /// An event was answered 2xx.
    pub fn accepted(&mut self, id: &str) {
        self.counts.accepted += u64::from(self.accepted.insert(id.to_owned()));
    }

    /// An event stands in the inbox.
    pub fn appended(&mut self, event: &Event, seq: Seq) {
        let id = event.clone().read().body["id"].as_str().unwrap_or_default().to_owned();
        if let Some(first) = self.inbox.insert(id.clone(), seq) {
            self.violate(format!("event {id} stands in the inbox twice, at {first} and {seq}"));
        }
    }

    /// A plan was committed: it is what the reference says.
    pub fn planned(&mut self, planned: &Planned<'_>, true_ms: Ms, calm: bool) {
        let Planned { doing, now, waiting, plan, .. } = *planned;
        self.follow(plan, now, true_ms);
        self.falls(plan, true_ms);
        let entries = || waiting.entries.iter().filter(|entry| plan.upto.is_some_and(|upto| entry.seq <= upto));
        for entry in entries() {
            if let Item::Command(Command::ByLink { of, by, .. }) = &entry.item {
                self.by_link(of, by);
            }
        }
        let own = |item: &Item| match item {
            Item::Event(event) => event.is_echo(),
            // That something is well again is reported where its failing was, whatever found out.
            Item::Signal(signal) => signal.from_own && signal.kind != "fanfare.destination.recovered",
            Item::Command(_) => false,
        };
        let timers = doing != Doing::Plans || !waiting.timers.is_empty();
        if !timers && entries().all(|entry| own(&entry.item)) && !plan.events.is_empty() {
            self.violate("what an own event set off raised another".into());
        }
        let calm_since = calm.then(|| *self.calm_since.get_or_insert(true_ms));
        let may_be_part = calm_since.is_none_or(|since| true_ms < since + HOUR);
        let wrong = self.against.planned(&Planned { may_be_part, ..*planned });
        wrong.into_iter().for_each(|wrong| self.violate(wrong));
        self.hush(planned);
        let (late_ms, which) = &self.against.reference.latest;
        if calm_since.is_some_and(|since| true_ms > since + 2 * DAY) && *late_ms > LATE_MS {
            self.violate(format!("{which} was {late_ms} ms late at {now}, and nothing was wrong"));
        }
    }

    /// Someone confirmed a link: it acts on the opening that its message was about. People leave the id of the message.
    fn by_link(&mut self, of: &Opening, by: &str) {
        self.counts.links += 1;
        let line = |rule: &str| self.against.reference.line(rule);
        let read = self.deliveries.values().find(|record| by.starts_with(&record.planned.id.to_string()));
        let case = read.and_then(|record| record.planned.assignment.case.as_ref().map(|case| (record, case)));
        let is_same = case.is_some_and(|(record, case)| {
            line(&record.planned.rule) == line(&of.rule)
                && case.key == of.key
                && record.planned.event >= of.nth.cast_signed()
        });
        if !is_same {
            self.violate(format!("a link of a message of {by} acted on {of:?}"));
        }
    }

    /// Keeps what a plan makes and calls off.
    fn follow(&mut self, plan: &Plan, now: Timestamp, true_ms: Ms) {
        for cancel in &plan.cancel {
            for id in self.lanes.get(&cancel.lane).cloned().unwrap_or_default() {
                if let Some(record) = self.deliveries.get_mut(&id) {
                    let meant = cancel.action.as_ref().is_none_or(|action| *action == record.planned.action);
                    record.called_off |= meant && record.is_untouched();
                }
            }
        }
        for planned in &plan.deliveries {
            let id = planned.id.clone();
            if planned.due < now {
                self.violate(format!("{id} is due before it was planned"));
            }
            let mut times = Times::of(planned, ms(now), true_ms);
            if let Some(lane) = &planned.lane {
                let lane = self.lanes.entry(lane.clone()).or_default();
                let before = lane.iter().filter_map(|id| self.deliveries.get(id));
                times.behind(before.filter(|record| record.ended.is_none()).map(|record| &record.times));
                lane.push(id.clone());
            }
            self.counts.deliveries += 1;
            let (planned, tried) = (planned.clone(), Vec::new());
            let next_ms = Some(planned.due.as_millisecond());
            let record = Record {
                planned,
                tried,
                ended: None,
                called_off: false,
                times,
                next_ms,
                asked_ms: 0,
                key: None,
                body: None,
            };
            if self.deliveries.insert(id.clone(), record).is_some() {
                self.violate(format!("{id} was planned twice"));
            }
        }
    }

    /// The deliveries of the same lane that were planned before this one and are not known to be final.
    pub fn ahead_in_lane(&self, id: &DeliveryId) -> Vec<DeliveryId> {
        let lane = self.deliveries.get(id).and_then(|record| record.planned.lane.as_ref());
        let all = lane.and_then(|lane| self.lanes.get(lane)).into_iter().flatten();
        let ahead = all.take_while(|other| *other != id);
        ahead.filter(|other| self.deliveries[*other].ended.is_none()).cloned().collect()
    }

    pub fn newest_token(&self, id: &DeliveryId) -> Option<u64> {
        self.deliveries.get(id)?.tried.last().map(|tried| tried.token)
    }

    /// Somebody claims, by a time that may be long past where a process was held up: that looks like a clock that was set
    /// back, and rates begin anew.
    pub fn claims(&mut self, now: Timestamp) {
        let now_ms = now.as_millisecond();
        if now_ms < self.claimed_ms.saturating_sub(OVERTAKEN_MS) {
            self.chat_free_ms = None;
        }
        self.claimed_ms = self.claimed_ms.max(now_ms);
    }

    /// A delivery was claimed. `ahead` are those before it in its lane that are not final.
    #[expect(clippy::too_many_arguments, reason = "what is known of a claim")]
    pub fn claimed(&mut self, claim: &Claim, replica: i64, now: Timestamp, true_ms: Ms, ahead: &[DeliveryId]) {
        let id = claim.delivery.planned.id.clone();
        let destination = claim.delivery.planned.destination.clone();
        let now_ms = now.as_millisecond();
        self.counts.attempts += 1;
        let Some(record) = self.deliveries.get_mut(&id) else {
            return self.violate(format!("{id} was claimed, and never planned"));
        };
        let called_off = record.called_off;
        let early = record.next_ms.filter(|next_ms| now_ms < *next_ms);
        let until_ms = claim.until.as_millisecond();
        // Nobody else may have it before its lease is over.
        record.next_ms = Some(until_ms);
        let tried = Tried {
            token: claim.token,
            replica,
            until_ms,
            arrived: false,
            over: false,
            given_back: false,
            jumped: false,
            excuse: None,
        };
        record.tried.push(tried);
        self.open.insert((id.clone(), claim.token));
        if called_off {
            self.violate(format!("{id} was claimed, and had been called off"));
        }
        if let Some(next_ms) = early {
            self.violate(format!("{id} was claimed {} ms before its time", next_ms - now_ms));
        }
        if !ahead.is_empty() {
            self.violate(format!("{id} was claimed before {ahead:?} of its lane had ended"));
        }
        let under_way = self.open.iter().filter(|(id, token)| {
            let record = &self.deliveries[id];
            // What was claimed by another time has a lease that says nothing.
            let alive = |tried: &Tried| tried.token == *token && tried.until_ms > now_ms && !tried.jumped;
            record.planned.destination == destination && record.tried.last().is_some_and(alive)
        });
        let (under_way, most) = (under_way.count(), DESTINATIONS.iter().find(|(name, _)| *name == destination));
        if most.is_some_and(|(_, most)| under_way > *most as usize) {
            self.violate(format!("{under_way} are under way to {destination} at {true_ms}"));
        }
        if destination == "chat" {
            let free_ms = self.chat_free_ms.replace(now_ms + CHAT_SPACING_MS - SKEW_MS);
            if free_ms.is_some_and(|free_ms| now_ms < free_ms) {
                self.violate(format!("chat was spoken to at {now}, too soon after the last time"));
            }
        }
    }

    fn tried(&mut self, id: &DeliveryId, token: u64) -> Option<&mut Tried> {
        self.deliveries.get_mut(id)?.tried.iter_mut().find(|tried| tried.token == token)
    }

    /// An attempt begins to send.
    pub fn sends(&mut self, post: &Post, replica: i64) {
        let Some(record) = self.deliveries.get_mut(&post.id) else {
            return self.violate(format!("{} is sent, and nobody asked for it", post.id));
        };
        let (asked, planned) = (post.destination.clone(), record.planned.destination.clone());
        let (key, body) = (record.key.get_or_insert(post.key.clone()).clone(), *record.body.get_or_insert(post.body));
        let mine = record.tried.iter().any(|tried| tried.token == post.token && tried.replica == replica);
        if !mine || asked != planned {
            self.violate(format!("{} is sent to {asked} by replica {replica} without a claim", post.id));
        }
        if key != post.key || post.key.is_empty() {
            self.violate(format!("{} is sent under the key {:?}, and was under {key:?}", post.id, post.key));
        }
        if body != post.body {
            self.violate(format!("{} is sent with another body than before", post.id));
        }
    }

    /// A message was refused for its form, and may come in another.
    pub fn refused(&mut self, id: &DeliveryId) {
        if let Some(record) = self.deliveries.get_mut(id) {
            record.body = None;
        }
    }

    /// A destination answers that it wants to be left alone for this many seconds, of which an hour is believed.
    pub fn asked(&mut self, id: &DeliveryId, seconds: &str) {
        if let Some(record) = self.deliveries.get_mut(id) {
            record.asked_ms = seconds.parse::<i64>().unwrap_or(0).clamp(0, 3600) * 1000;
        }
    }

    /// A message arrives, perhaps not for the first time. Gives what is wrong with that.
    pub fn arrives(&mut self, post: &Post, replica: i64) -> Option<String> {
        let record = self.deliveries.get_mut(&post.id)?;
        let mut wrong = None;
        let mut repeats = 0;
        // What was held up while it was sent may come after another has sent it.
        let held_up = record.tried.iter().any(|tried| tried.token == post.token && tried.excuse.is_some());
        for tried in &mut record.tried {
            if tried.arrived {
                repeats = 1;
                if tried.excuse.is_none() && !held_up {
                    wrong = Some(format!(
                        "{} came to {} again, by replica {replica}, and nothing was wrong with attempt {} by replica {}",
                        post.id, post.destination, tried.token, tried.replica
                    ));
                }
            }
            if tried.token == post.token {
                tried.arrived = true;
            }
        }
        self.counts.repeats += repeats;
        if let Some(lane) = &record.planned.lane {
            let place = self.lanes[lane].iter().position(|id| *id == post.id).unwrap_or_default();
            let reached = self.reached.entry(lane.clone()).or_default();
            if place < *reached && !held_up {
                wrong = Some(format!("{} came to {} after what followed it", post.id, post.destination));
            }
            *reached = place.max(*reached);
        }
        wrong
    }

    /// An attempt ended, or would have.
    #[expect(clippy::too_many_arguments, reason = "what is known of an end")]
    pub fn settled(
        &mut self,
        claim: &Claim,
        by: i64,
        settlement: &Settlement,
        done: bool,
        (now_ms, true_ms): (Ms, Ms),
    ) {
        let (id, token) = (claim.delivery.planned.id.clone(), claim.token);
        let newest = self.newest_token(&id);
        if done {
            self.open.remove(&(id.clone(), token));
            let outcome = settlement.attempt.outcome;
            self.reached(&id, outcome, true_ms);
            if let Some(record) = self.deliveries.get_mut(&id) {
                // What the destination asked for, or the schedule, of which chance takes half at most.
                let first = if outcome == AttemptOutcome::Refused { 0 } else { RETRY_FIRST_MS / 2 };
                let wait = std::mem::take(&mut record.asked_ms).max(first);
                let ended = settlement.attempt.at.as_millisecond() + i64::try_from(settlement.attempt.took_ms).unwrap();
                // The last attempt is when patience ends, however soon that is.
                let from = claim.delivery.counts_from.unwrap_or(claim.delivery.planned.due);
                let next_ms = (ended + wait).min(from.as_millisecond() + GIVE_UP_MS);
                let has_jumped = record.tried.iter().any(|tried| tried.token == token && tried.jumped);
                record.next_ms = (!has_jumped).then_some(next_ms);
            }
            if let Some(tried) = self.tried(&id, token) {
                tried.over = true;
                if outcome == AttemptOutcome::Delivered && !tried.arrived {
                    self.violate(format!("{id} was recorded as delivered by an attempt that never arrived"));
                }
            }
            let holder = self.tried(&id, token).map(|tried| tried.replica);
            if newest != Some(token) || holder != Some(by) {
                self.violate(format!(
                    "replica {by} recorded the outcome of {id}, and replica {holder:?} had the claim"
                ));
            }
            return;
        }
        // Refused: another must have taken it, or it was settled by the same claim, whose answer was lost.
        let Some(tried) = self.tried(&id, token) else { return };
        let live = !tried.over && tried.until_ms > now_ms + SKEW_MS;
        if newest == Some(token) && live {
            self.violate(format!("the outcome of {id} was refused, though its claim was alive"));
        }
    }

    pub fn released(&mut self, claim: &Claim) {
        let id = claim.delivery.planned.id.clone();
        self.open.remove(&(id.clone(), claim.token));
        if let Some(record) = self.deliveries.get_mut(&id) {
            record.next_ms = None;
        }
        if let Some(tried) = self.tried(&id, claim.token) {
            (tried.over, tried.given_back) = (true, true);
        }
    }

    /// Why a message that one attempt sent may come again.
    pub fn excuse_one(&mut self, id: &DeliveryId, token: u64, why: &'static str) {
        if let Some(tried) = self.tried(id, token) {
            tried.excuse.get_or_insert(why);
        }
    }

    fn excuse(&mut self, why: &'static str, which: impl Fn(&Tried) -> bool) {
        for (id, token) in self.open.clone() {
            if self.tried(&id, token).is_some_and(|tried| which(tried)) {
                self.excuse_one(&id, token, why);
            }
        }
    }

    pub fn died(&mut self, replica: i64, true_ms: Ms, away_ms: Ms) {
        self.counts.deaths += 1;
        self.disturbed(true_ms, away_ms);
        self.excuse("its process died", |tried| tried.replica == replica);
    }

    pub fn paused(&mut self, replica: i64, true_ms: Ms, span: Ms) {
        self.counts.pauses += 1;
        self.disturbed(true_ms, span);
        self.excuse("its process was held up", |tried| tried.replica == replica);
    }

    /// The clocks jumped: leases may have run out, and rates begin anew.
    pub fn jumped(&mut self, by_ms: i64) {
        self.counts.jumps += 1;
        self.chat_free_ms = None;
        self.claimed_ms = i64::MIN;
        self.deliveries.values_mut().for_each(|record| record.next_ms = None);
        let open = self.deliveries.values_mut().filter(|record| by_ms != 0 && record.ended.is_none());
        open.for_each(|record| record.times.jumped());
        self.excuse("the clocks jumped", |_| true);
        for (id, token) in self.open.clone() {
            self.tried(&id, token).into_iter().for_each(|tried| tried.jumped = true);
        }
    }

    /// The deliveries that a plan calls off, as far as is known here.
    pub fn meant(&self, plan: &Plan) -> Vec<DeliveryId> {
        let all = plan.cancel.iter().filter_map(|cancel| self.lanes.get(&cancel.lane)).flatten();
        all.filter(|id| self.deliveries.get(*id).is_some_and(Record::is_untouched)).cloned().collect()
    }

    /// The deliveries whose end is not known.
    pub fn unended(&self) -> Vec<DeliveryId> {
        let open = self.deliveries.iter().filter(|(_, record)| record.ended.is_none());
        open.map(|(id, _)| id.clone()).collect()
    }

    /// A delivery is final.
    pub fn ended(&mut self, id: &DeliveryId, state: State, reason: Option<String>) {
        if let Some(record) = self.deliveries.get_mut(id) {
            record.ended = Some((state, reason.unwrap_or_default()));
        }
    }

    /// What must hold in the end.
    pub fn close(&mut self) {
        let lost: Vec<String> = self.accepted.iter().filter(|id| !self.inbox.contains_key(*id)).cloned().collect();
        for id in lost {
            self.violate(format!("event {id} was answered 2xx and is lost"));
        }
        let unplanned: Vec<Seq> = self.inbox.values().copied().filter(|seq| *seq > self.against.upto).collect();
        for seq in unplanned {
            self.violate(format!("the event at {seq} was never planned"));
        }
        let mut wrong = Vec::new();
        for (id, record) in &self.deliveries {
            let arrived = record.tried.iter().any(|tried| tried.arrived);
            let (state, reason) = record.ended.clone().unwrap_or((State::Due, String::new()));
            match state {
                State::Delivered if !arrived => wrong.push(format!("{id} is delivered, and nothing came")),
                State::Delivered => {}
                State::Dead => {
                    self.counts.dead += 1;
                    // What comes due while its destination is down may never be tried.
                    let untried = record.tried.is_empty() && !reason.contains("known to be down");
                    if reason.is_empty() || untried {
                        wrong.push(format!("{id} is dead without a reason or an attempt"));
                    }
                }
                State::Cancelled => {
                    self.counts.cancelled += 1;
                    let update = record.planned.act == MessageOp::Close;
                    if reason.is_empty() || arrived || !(record.called_off || update) {
                        wrong.push(format!("{id} was cancelled for {reason:?}, and should not have been"));
                    }
                }
                _ => wrong.push(format!("{id} never came to an end: {:?}", record.planned)),
            }
            if record.called_off && state != State::Cancelled {
                wrong.push(format!("{id} was called off, and is {state:?}"));
            }
            wrong.extend(self.no_fallback(id, record, state));
            wrong.extend(self.late(id, record, state));
        }
        wrong.into_iter().for_each(|wrong| self.violate(wrong));
    }

    /// A dead message goes to its destination's fallbacks.
    fn no_fallback(&self, id: &DeliveryId, dead: &Record, state: State) -> Option<String> {
        let planned = &dead.planned;
        if state != State::Dead || !falls_back(planned) || dead.times.hushed {
            return None;
        }
        let told = self.deliveries.values().any(|record| {
            let said = &record.planned.assignment;
            let same = said.event == planned.assignment.event || said.events.contains(&planned.assignment.event);
            record.planned.destination == FALLBACK && said.died.is_some() && same
        });
        (!told).then(|| format!("{id} died, and no fallback was notified"))
    }

    /// How many documents of each kind there must be.
    pub fn documents(&self) -> Vec<(&'static str, usize)> {
        self.against.reference.counts()
    }

    /// The open cases, by rule and key.
    pub fn open_cases(&self) -> Vec<(String, String)> {
        self.against.reference.open()
    }
}
