//! The way of one announcement: mute, throttle, digest, hours, and then a delivery. Each may end it, and says why.

use jiff::Timestamp;

use crate::delivery::{Act, Assignment, CaseFacts, DeliveryId, NewDelivery};
use crate::event::{Event, Seq};
use crate::planner::case::Case;
use crate::planner::round::Round;
use crate::planner::why::{Outcome, Trace};
use crate::rules::{Action, ActionJudgement, HoursChoice, Rule};

/// What sets an announcement off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A match.
    Match,
    /// A timer of a case.
    Reminder,
    /// The close of a case.
    Close,
    /// A match that is planned again.
    Replay,
}

/// Something that an action has to say.
#[derive(Debug)]
pub(crate) struct Announcement<'a> {
    pub rule: &'a Rule,
    pub acted: &'a ActionJudgement<'a>,
    /// The event that it tells of.
    pub seq: Seq,
    pub event: &'a Event,
    /// What delivery ids are made from: the event, or a timer's firing.
    pub origin: String,
    /// The round of a replay; else 0.
    pub again: u64,
    pub occasion: Occasion,
    /// What to say of the case where none is open: a replay opens none.
    pub facts: Option<CaseFacts>,
}

/// A delivery on its last stretch: hours, shadow, lane.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub rule: &'a Rule,
    pub action: &'a Action,
    pub occasion: Occasion,
    pub delivery: NewDelivery,
}

/// Whether a destination may be spoken to now.
pub(crate) enum Window {
    /// It may.
    Open,
    /// Not before then.
    Until(Timestamp),
    /// Not now, and it isn't to be told later either.
    Drop,
    /// The window never opens.
    Never,
}

impl Announcement<'_> {
    /// When what it tells of came to us: mutes go by that.
    fn at(&self, now: Timestamp) -> Timestamp {
        match self.occasion {
            Occasion::Match => self.event.received,
            Occasion::Reminder | Occasion::Close | Occasion::Replay => now,
        }
    }
}

/// What an action says about one event.
pub fn assignment(action: &Action, event: Seq, case: Option<CaseFacts>) -> Assignment {
    Assignment {
        say: action.say.value.clone(),
        severity: action.severity,
        with: action.with.clone(),
        mention: action.mention.iter().map(|name| name.value.clone()).collect(),
        event,
        events: Vec::new(),
        more: 0,
        suppressed: 0,
        parts: Vec::new(),
        case,
        died: None,
    }
}

/// Whether the rule's actions speak to a destination, and none of them has in this case: it waited for hours, was
/// muted, or did not come to it. What went into a digest may have been told.
pub(crate) fn unheard(rule: &Rule, case: &Case, destination: &str) -> bool {
    let mut speaking =
        rule.actions.iter().filter(|action| action.to.iter().any(|to| to.value == destination)).peekable();
    speaking.peek().is_some()
        && !case.told(destination)
        && speaking.all(|action| action.digest.is_none() && !rests_in_digest(action))
}

/// Whether this tells a destination of the end of what it was told of before: that passes mutes and hours, or people would
/// go on with what is over.
fn tells_the_end(occasion: Occasion, case: Option<&Case>, destination: &str) -> bool {
    occasion == Occasion::Close && case.is_some_and(|case| case.told(destination))
}

/// Whether what a throttle holds back comes as one message.
fn rests_in_digest(action: &Action) -> bool {
    action.throttle.as_ref().is_some_and(|throttle| throttle.rest_digest)
}

impl Round<'_> {
    /// Takes an announcement through mute, throttle, digest and hours. `case` is the case that it belongs to; for one
    /// that has just closed, as it stood.
    pub fn announce(&mut self, said: &Announcement<'_>, mut case: Option<&mut Case>, trace: &mut Trace) {
        let to = self.audible(said, case.as_deref(), trace);
        if to.is_empty() {
            return;
        }
        let Some(suppressed) = self.admit(said, case.as_deref(), &to, trace) else { return };
        for destination in to {
            if self.collect(said, case.as_deref(), destination, suppressed, trace) {
                continue;
            }
            let action = said.acted.action;
            let closed = said.occasion == Occasion::Close;
            let facts = case.as_ref().map(|case| case.facts(closed)).or_else(|| said.facts.clone());
            let mut assignment = assignment(action, said.seq, facts);
            assignment.suppressed = suppressed;
            let delivery = NewDelivery {
                id: DeliveryId::of(&said.origin, self.identity(said.rule), &action.id, destination, said.again),
                event: said.seq,
                rule: said.rule.name.value.clone(),
                action: action.id.clone(),
                destination: destination.into(),
                act: Act::Open,
                lane: None,
                due: self.now,
                assignment,
            };
            let draft = Draft { rule: said.rule, action, occasion: said.occasion, delivery };
            self.deliver(draft, case.as_deref_mut(), trace);
        }
    }

    /// The destinations of an announcement that are configured and that no mute covers; of a close's, those that know
    /// what has closed.
    fn audible<'s>(&mut self, said: &Announcement<'s>, case: Option<&Case>, trace: &mut Trace) -> Vec<&'s str> {
        let action = said.acted.action;
        let at = said.at(self.now);
        let mut audible = Vec::new();
        for destination in action.to.iter().map(|to| to.value.as_str()) {
            if self.place(destination).is_none() {
                trace.fail(format!("destination `{destination}` is not configured"));
            } else if !tells_the_end(said.occasion, case, destination)
                && let Some(note) = self.muted(said.rule, destination, Some(said.event), at)
            {
                trace.action(Outcome::Muted, &action.id, Some(destination), note);
            } else if said.occasion == Occasion::Close
                && !self.quiet(said.rule, said.occasion, case)
                && case.is_some_and(|case| unheard(said.rule, case, destination))
            {
                let note = format!("not said to `{destination}`, which never heard of the case");
                trace.action(Outcome::Cancelled, &action.id, Some(destination), note);
            } else {
                audible.push(destination);
            }
        }
        audible
    }

    /// When a message of this action may go to this destination: the action's hours (its own, else the rule's), else
    /// the destination's.
    pub fn window(&self, action: &Action, destination: &str) -> Window {
        let own = self.place(destination).and_then(|place| place.hours.as_ref());
        let Some(HoursChoice::Within(hours)) = action.hours.as_ref().or(own) else { return Window::Open };
        match hours.closed_until(self.now) {
            None => Window::Open,
            Some(_) if hours.drop => Window::Drop,
            Some(until) if until == Timestamp::MAX => Window::Never,
            Some(until) => Window::Until(until),
        }
    }

    /// Whether what a rule says is planned, counted and shown, but not sent.
    pub fn quiet(&self, rule: &Rule, occasion: Occasion, case: Option<&Case>) -> bool {
        let opened_in_shadow = occasion == Occasion::Reminder && case.is_some_and(|case| case.shadow);
        self.places.shadow || rule.shadow || opened_in_shadow
    }

    /// The last stretch: waits for hours, or becomes a delivery.
    pub fn deliver(&mut self, draft: Draft<'_>, case: Option<&mut Case>, trace: &mut Trace) {
        let quiet = self.quiet(draft.rule, draft.occasion, case.as_deref());
        let (action, to) = (draft.action.id.clone(), draft.delivery.destination.clone());
        let passes = tells_the_end(draft.occasion, case.as_deref(), &to);
        match if passes { Window::Open } else { self.window(draft.action, &to) } {
            Window::Open => {}
            Window::Never => trace.fail(format!("the hours for `{to}` never begin, so they are not kept")),
            Window::Drop => {
                let note = format!("dropped for `{to}`: outside hours");
                return trace.action(Outcome::Dropped, &action, Some(&to), note);
            }
            Window::Until(opens) if quiet => {
                let note = format!("in shadow: would be held for `{to}` until {}", self.moment(opens));
                return trace.action(Outcome::Shadow, &action, Some(&to), note);
            }
            Window::Until(opens) => {
                let note = format!("held until {} (hours of `{to}`)", self.moment(opens));
                trace.action(Outcome::Held, &action, Some(&to), note);
                return self.hold(draft, case.as_deref(), opens);
            }
        }
        if quiet {
            return trace.action(Outcome::Shadow, &action, Some(&to), format!("in shadow: would go to `{to}`"));
        }
        self.send(draft, case);
        trace.action(Outcome::Matched, &action, Some(&to), format!("goes to `{to}`"));
    }

    /// Makes the delivery, in its case's lane. A newer reminder takes the place of an untried one.
    pub fn send(&mut self, draft: Draft<'_>, case: Option<&mut Case>) {
        let Draft { occasion, mut delivery, .. } = draft;
        if let Some(case) = case {
            // What is said at a close joins the lane of what was shown, and begins none.
            let known = case.lanes.contains_key(&delivery.destination);
            if occasion != Occasion::Close || known {
                let (lane, act) = case.announce(&delivery.destination, &delivery.action, delivery.event);
                if occasion == Occasion::Reminder && act == Act::Again {
                    self.cancel(&lane, Some(&delivery.action), "a newer reminder took its place");
                }
                (delivery.lane, delivery.act) = (Some(lane), act);
            }
        }
        self.plan.deliveries.push(delivery);
    }
}
