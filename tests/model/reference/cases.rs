//! `docs/RULES.md`, from "case: follow a problem until it closes" to "Late events and wrong order".

use std::collections::{BTreeMap, BTreeSet};

use fanfare::delivery::{LinkOp, MessageOp};
use fanfare::event::{Event, Opening, Seq};
use fanfare::rules::{ActionJudgement, Held, Judgement, Rule};
use jiff::SignedDuration;

use super::super::{DAY, Ms, ms};
use super::cards::card_at;
use super::messages::{Asked, Fate, Passes};
use super::reminders::{FromDate, Steps, Times, date, times};
use super::{Due, Now, Reference, Said};

/// A match of a case.
#[derive(Clone)]
pub struct Match {
    pub seq: Seq,
    /// When it was planned.
    pub at: Ms,
    pub created: Ms,
}

/// A case, open or closed.
#[derive(Clone)]
pub struct Case {
    pub line: String,
    /// Nothing for a case of its own: no other event has part in it.
    pub key: Option<String>,
    /// The opening and all after it, in the order of planning.
    pub matches: Vec<Match>,
    /// When people could first be notified of the opening.
    pub told: Ms,
    pub acknowledged: bool,
    pub closed: bool,
    /// Since when its end waits to be said.
    pub ends: Option<Ms>,
    /// The rule by which its timers were set last, and when.
    pub set_by: Option<Rule>,
    pub set_at: Ms,
    /// When other rules reached it.
    pub reached: Option<Ms>,
    /// Where a message that did not arrive was reported instead, first of all that was said there: by which action, of which
    /// event.
    pub fell: BTreeMap<String, (String, Seq)>,
    /// The addresses that it began with, by destination.
    pub addresses: BTreeMap<String, String>,
    /// Where a message stands that later matches change, and whether it was the first there.
    pub cards: BTreeMap<String, bool>,
    /// The deadlines of messages that acted: of which action, and for which moment.
    pub overdue: Vec<(String, Ms)>,
    /// The reminders that came due while their rule or action was gone.
    pub passed: BTreeSet<String>,
    /// The steps of lists that were set.
    pub steps: BTreeSet<String>,
    /// When each action that it went by acts, as it was last.
    times: BTreeMap<String, Times>,
    /// At which date each acts, and since when.
    pub dates: BTreeMap<String, (Option<FromDate>, Ms)>,
    /// Each reminder that acted, with its moment and when it acted.
    pub reminded: Vec<(String, Ms, Ms)>,
    /// The reminders that a person has sent now, and since when.
    pub early: BTreeMap<String, Ms>,
    /// Whether it is that of a period in which nothing came.
    pub of_period: bool,
    /// When something came that closes it, and what, until that is said.
    pub came: Option<(Ms, Seq)>,
}

/// A case's key, opening, number of matches, last match, and whether it is closed.
pub type Facts = (String, Ms, u64, Ms, bool);

/// A close by an event.
#[derive(Clone)]
pub struct Close {
    line: String,
    key: String,
    created: Ms,
    at: Ms,
}

impl Case {
    pub(super) fn opening(&self) -> &Match {
        &self.matches[0]
    }

    /// When something about it came last; a clock that is set back doesn't change that.
    pub(super) fn last(&self) -> Ms {
        self.matches.iter().map(|one| one.at).max().unwrap_or_default()
    }

    /// Its timers go by this rule from now on. A reminder that has acted, and has other times now, goes on from here. "A
    /// reminder that you remove and bring back is not new: if its time has passed meanwhile, it acts once."
    fn go_by(&mut self, rule: &Rule, now: Ms) {
        for (id, then) in &mut self.times {
            let Some(action) = rule.actions.iter().find(|action| action.id == *id) else { continue };
            let acted = self.reminded.iter().any(|(acted, ..)| acted == id);
            if std::mem::replace(then, times(action)) != times(action) && acted {
                self.reminded.push((id.clone(), now, now));
            }
        }
        for action in &rule.actions {
            self.times.entry(action.id.clone()).or_insert_with(|| times(action));
            let (then, since) = self.dates.entry(action.id.clone()).or_insert_with(|| (date(action), Ms::MIN));
            if std::mem::replace(then, date(action)) != date(action) {
                *since = now;
            }
        }
        self.set_by = Some(rule.clone());
        self.set_at = now;
    }

    /// Something came that closes it: from now on it is over, and the next plan says so.
    pub(super) fn comes(&mut self, now: Ms, seq: Seq) {
        if !std::mem::replace(&mut self.closed, true) {
            self.came = Some((now, seq));
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let count = self.matches.len() as u64;
        (self.key.clone().unwrap_or_default(), self.opening().at, count, self.last(), self.closed)
    }
}

impl Reference {
    /// The open case of a rule with a key.
    pub(super) fn open_case(&self, line: &str, key: &str) -> Option<usize> {
        self.cases.iter().position(|case| !case.closed && case.line == line && case.key.as_deref() == Some(key))
    }

    /// The open cases, by rule and key.
    pub fn open(&self) -> Vec<(String, String)> {
        let open = self.cases.iter().filter(|case| !case.closed);
        let mut open: Vec<_> = open.filter_map(|case| Some((case.line.clone(), case.key.clone()?))).collect();
        open.sort();
        open
    }

    /// A message of an event went to a fallback, where it joins the case.
    pub fn fell(&mut self, (line, event): (&str, Seq), action: &str, to: &str) {
        let mut open = self.cases.iter_mut().filter(|case| !case.closed && case.line == line);
        if let Some(case) = open.find(|case| case.matches.iter().any(|one| one.seq == event)) {
            case.fell.insert(to.to_owned(), (action.to_owned(), event));
        }
    }

    /// Whether the open case that an event belongs to still waits for somebody; so does what belongs to none.
    pub fn waits(&self, line: &str, seq: Seq) -> bool {
        let mut of = self.cases.iter().filter(|case| case.line == line);
        let case = of.find(|case| case.matches.iter().any(|one| one.seq == seq));
        case.is_none_or(|case| !case.closed && !case.acknowledged)
    }

    /// "The first match **opens** the case. Later matches belong to it and appear in the same place".
    pub(super) fn matched(&mut self, now: &mut Now<'_>, seq: Seq, event: &Event, judgement: &Judgement<'_>) {
        if !judgement.accepts() {
            return;
        }
        let line = self.line(&judgement.rule.name.value);
        let Some(counted) = self.count_up(now, judgement, &line, seq, event) else { return };
        let Some(sum) = self.sum_up_to(judgement, &line, event) else { return };
        let key = judgement.case.as_ref().map(|key| key.clone().ok());
        if let Some(Some(key)) = &key
            && self.is_late(now, &line, key, event)
        {
            return;
        }
        let case = key.map(|key| self.join(now, judgement.rule, &line, key, seq, event));
        let opens = case.is_none_or(|case| self.cases[case].matches.len() == 1);
        let first = self.messages.len();
        let acting = judgement.actions.iter().filter(|one| one.held == Held::Held && (opens || !one.action.once));
        // "it goes before the rule's other messages"
        let (cards, others): (Vec<_>, Vec<_>) = acting.partition(|one| one.action.update);
        for one in cards.into_iter().chain(others) {
            // A reminder comes at its time.
            if one.action.after.is_none() && one.action.at.is_none() {
                self.say(
                    now,
                    &Asked {
                        line: line.clone(),
                        one,
                        event: seq,
                        case,
                        reminder: false,
                        counted: counted.clone(),
                        sum: sum.clone(),
                    },
                );
            }
        }
        if let Some(case) = case.filter(|_| opens) {
            self.opened(now, case, first);
        }
        if let Some(case) = case {
            self.learn_steps(now, judgement.rule, case, Steps::Match);
        }
    }

    /// "People can first be notified when the first message of the opening may go: at once, when its hours begin, or when its
    /// digest goes." "If the opening sends nothing (muted, throttled, or only reminders), the time counts from the opening
    /// itself." Its messages begin at `first`.
    pub(super) fn opened(&mut self, now: &Now<'_>, case: usize, first: usize) {
        let goes = self.messages[first..].iter().filter_map(|message| match message.fate {
            Fate::Sent => Some(now.ms),
            Fate::Held { until, .. } | Fate::Collected { until, rest: false } => Some(until),
            _ => None,
        });
        let earliest = goes.min().unwrap_or(now.ms);
        // A digest whose time is past, as after a jump of the clock, goes at once.
        self.cases[case].told = earliest.max(now.ms);
    }

    pub(super) fn join(
        &mut self,
        now: &Now<'_>,
        rule: &Rule,
        line: &str,
        key: Option<String>,
        seq: Seq,
        event: &Event,
    ) -> usize {
        let open = key.as_ref().and_then(|key| self.open_case(line, key));
        let case = open.unwrap_or_else(|| {
            self.cases.push(Case {
                line: line.to_owned(),
                key,
                matches: Vec::new(),
                told: now.ms,
                acknowledged: false,
                closed: false,
                ends: None,
                set_by: None,
                set_at: now.ms,
                reached: None,
                passed: BTreeSet::new(),
                fell: BTreeMap::new(),
                addresses: BTreeMap::new(),
                cards: BTreeMap::new(),
                overdue: Vec::new(),
                steps: BTreeSet::new(),
                times: BTreeMap::new(),
                dates: BTreeMap::new(),
                reminded: Vec::new(),
                early: BTreeMap::new(),
                of_period: false,
                came: None,
            });
            self.cases.len() - 1
        });
        self.cases[case].matches.push(Match { seq, at: now.ms, created: ms(event.created) });
        self.cases[case].go_by(rule, now.ms);
        case
    }

    /// "An opening is *late* if it arrives within 90 days after its close and was created before it, even if the case has opened
    /// again. A late opening sends nothing … An opening with the same `created` as the close … does open a case."
    fn is_late(&self, now: &Now<'_>, line: &str, key: &str, event: &Event) -> bool {
        let closes = self.closes.iter().filter(|close| close.line == line && close.key == key);
        closes.into_iter().any(|close| now.ms - close.at < 90 * DAY && ms(event.created) < close.created)
    }

    /// A close counts for 90 days.
    pub(super) fn forget_closes(&mut self, now: Ms) {
        self.closes.retain(|close| now < close.at + 90 * DAY);
    }

    /// "An event closes a case only if the case's events were created no later than the closing event."
    pub(super) fn close_by_event(
        &mut self,
        now: &mut Now<'_>,
        seq: Seq,
        event: &Event,
        judgement: &Judgement<'_>,
        key: &str,
    ) {
        let line = self.line(&judgement.rule.name.value);
        let created = ms(event.created);
        self.closes.push(Close { line: line.clone(), key: key.to_owned(), created, at: now.ms });
        let open = self.open_case(&line, key);
        if let Some(case) = open.filter(|case| self.cases[*case].matches.iter().all(|one| one.created <= created)) {
            self.close(now, Some(judgement.rule), case, seq, &judgement.on_close);
        }
    }

    /// `cases close`: a person closes it.
    pub(super) fn close_by_hand(&mut self, now: &mut Now<'_>, line: &str, key: &str) {
        if let Some(case) = self.open_case(line, key) {
            self.cases[case].closed = true;
            self.cases[case].ends = Some(now.ms);
            self.starts_anew(now, line);
            self.call_off(now, case, |_| true);
        }
    }

    /// What is said at a close by hand is said by the next plan.
    pub(super) fn ending(&self) -> Vec<(Ms, Due)> {
        let cases = self.cases.iter().enumerate();
        cases.filter_map(|(at, case)| Some((case.ends?, Due::Ending(at)))).collect()
    }

    /// `cases ack`: `after` and `repeat` stop, the case stays open. "An acknowledgement also cancels unsent messages of actions
    /// with `after` or `repeat`."
    pub(super) fn acknowledge(&mut self, now: &mut Now<'_>, line: &str, key: &str) {
        if let Some(case) = self.open_case(line, key) {
            self.cases[case].acknowledged = true;
            let actions = self.rule(now.rules, line).map(|rule| &rule.actions[..]).unwrap_or_default();
            let stops = |id: &str| {
                actions.iter().any(|action| action.id == id && (action.after.is_some() || action.repeat.is_some()))
            };
            self.call_off(now, case, stops);
        }
    }

    /// A link acts once, for the opening that its message was about: `acknowledge` "acknowledges the case: its reminders stop",
    /// `close` "closes the case".
    pub(super) fn by_link(&mut self, now: &mut Now<'_>, of: &Opening, does: LinkOp) {
        let line = self.line(&of.rule);
        let open = self
            .open_case(&line, &of.key)
            .filter(|case| u64::try_from(self.cases[*case].opening().seq).is_ok_and(|opening| opening == of.nth));
        match (open, does) {
            (Some(case), LinkOp::Acknowledge) if !self.cases[case].acknowledged => {
                self.acknowledge(now, &line, &of.key)
            }
            (Some(_), LinkOp::Close) => self.close_by_hand(now, &line, &of.key),
            // No history has a link that mutes.
            _ => {}
        }
    }

    /// "`closes_after` closes a case after that long without an event."
    pub(super) fn forgotten(&self, now: &Now<'_>) -> Vec<(Ms, Due)> {
        let span = |rule: &Rule| rule.closes_after.map(span_ms);
        let due = |(at, case): (usize, &Case)| {
            let old = span(case.set_by.as_ref()?)?;
            // Where the rule is gone, what it has shown comes to its end all the same.
            let new = self.rule(now.rules, &case.line).map_or(Some(old), span)?;
            Some((case.last() + old.max(new), Due::Forgotten(at)))
        };
        self.cases.iter().enumerate().filter(|(_, case)| !case.closed).filter_map(due).collect()
    }

    pub(super) fn forget(&mut self, now: &mut Now<'_>, case: usize) {
        self.close_by_itself(now, case);
    }

    pub(super) fn end(&mut self, now: &mut Now<'_>, case: usize) {
        self.cases[case].ends = None;
        self.close_by_itself(now, case);
    }

    /// No event closes it: what is said at its close speaks of its opening.
    fn close_by_itself(&mut self, now: &mut Now<'_>, case: usize) {
        let seq = self.cases[case].opening().seq;
        let event = self.events[&seq].clone();
        match self.rule(now.rules, &self.cases[case].line) {
            Some(rule) => {
                let judgement = now.rules.judge_rule(rule, &event);
                self.close(now, Some(rule), case, seq, &judgement.on_close);
            }
            None => self.close(now, None, case, seq, &[]),
        }
    }

    /// "At a close, channels update what they sent". "`on_close` sends an additional message, also to destinations that the
    /// rule's `actions` don't use. It goes at any hour and in spite of mutes to every destination that received the case … A
    /// destination of `actions` that received nothing of the case, because of a mute or its hours, gets nothing at the close.
    /// A destination that received the case only in a digest gets the additional message within its hours and mutes."
    pub(super) fn close(
        &mut self,
        now: &mut Now<'_>,
        rule: Option<&Rule>,
        case: usize,
        seq: Seq,
        on_close: &[ActionJudgement<'_>],
    ) {
        let line = self.cases[case].line.clone();
        if !std::mem::replace(&mut self.cases[case].closed, true) && !self.cases[case].of_period {
            self.starts_anew(now, &line);
        }
        let told = self.told(case);
        self.call_off(now, case, |_| true);
        for one in on_close.iter().filter(|one| one.held == Held::Held) {
            for to in one.action.to.iter().map(|to| &to.value) {
                if told.contains_key(to) {
                    self.say_end(now, (case, (vec![seq], 0)), &one.action.id, to, MessageOp::Again);
                } else if self.is_summed(case, to) {
                    self.say_end(now, (case, (vec![seq], 0)), &one.action.id, to, MessageOp::Open);
                } else if self.is_collected(case, to) || rule.is_none_or(|rule| !speaks_to(rule, to)) {
                    let (line, counted) = (line.clone(), Vec::new());
                    let asked = Asked { line, one, event: seq, case: Some(case), reminder: false, counted, sum: None };
                    self.say_to(now, &asked, to, Passes::Yes { suppressed: 0 });
                }
            }
        }
        for (to, (action, shown)) in told.iter().filter(|(to, _)| self.updating.contains(*to)) {
            let is_card = self.cases[case].cards.get(to) == Some(&true) && card_at(rule, to).is_some();
            let events = if is_card { self.all_at_the_end(case, seq) } else { (vec![*shown], 0) };
            self.say_end(now, (case, events), action, to, MessageOp::Close);
        }
        self.last_of_cards(now, (rule, case), seq, on_close);
    }

    pub(super) fn say_end(
        &self,
        now: &mut Now<'_>,
        (case, (events, more)): (usize, (Vec<Seq>, u64)),
        action: &str,
        to: &str,
        act: MessageOp,
    ) {
        let address = self.address(now, Some(case), events[0], to);
        now.said.push((
            None,
            Said {
                line: self.cases[case].line.clone(),
                action: action.to_owned(),
                to: to.to_owned(),
                act,
                summary: false,
                events,
                more,
                suppressed: 0,
                sum: None,
                address: if act == MessageOp::Close { None } else { address },
                // "Later changes stay critical until the case closes".
                critical: false,
                case: Some(self.cases[case].facts()),
                overdue: false,
            },
        ));
    }

    /// Other rules reach the open cases; the next plan goes by them.
    pub fn reach(&mut self, now: Ms) {
        let open = self.cases.iter_mut().filter(|case| !case.closed);
        open.for_each(|case| case.reached = Some(now));
    }

    pub(super) fn reaching(&self) -> Vec<(Ms, Due)> {
        let cases = self.cases.iter().enumerate();
        cases.filter_map(|(at, case)| Some((case.reached?, Due::Reach(at)))).collect()
    }

    pub(super) fn reached(&mut self, now: &Now<'_>, case: usize) {
        self.cases[case].reached = None;
        if let Some(rule) = self.rule(now.rules, &self.cases[case].line) {
            self.cases[case].go_by(rule, now.ms);
            self.cases[case].passed.clear();
            self.learn_steps(now, rule, case, Steps::Rules);
        }
    }
}

/// Whether a rule's actions speak to a place.
fn speaks_to(rule: &Rule, to: &str) -> bool {
    rule.actions.iter().any(|action| action.to.iter().any(|other| other.value == to))
}

pub(super) fn span_ms(span: SignedDuration) -> Ms {
    Ms::try_from(span.as_millis()).unwrap()
}
