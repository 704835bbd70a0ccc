//! Judging: from an event to what each rule that receives it makes of it.
//!
//! Pure, and total: an odd value is a reason, never an error.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::index::Candidate;
use super::reading::{Budget, Reading};
use super::sum::summand;
use super::value::{comparable, kind_of, text_of, time_of};
use super::{
    Action, ActionJudgement, AtDate, Condition, FileMute, Held, IfFailed, Judgement, KeySpec, Matches, Rule, RuleSet,
    Sum, Why,
};
use crate::decimal::Decimal;
use crate::event::{Event, MISSING};

/// The longest key of a case, throttle or digest, in bytes; a longer one is cut and told apart by a hash.
const KEY_MAX: usize = 256;
/// About what planning one message takes, in bytes.
const MESSAGE_BYTES: usize = 512;

impl RuleSet {
    /// What each rule that listens to this event makes of it; rules whose globs don't accept it are left out.
    pub fn judge(&self, event: &Event) -> Vec<Judgement<'_>> {
        let mut judgements = Vec::new();
        self.each(event, |rule, candidate, reading| {
            judgements.push(rule.judge(candidate, reading, reading.budget()));
        });
        judgements
    }

    /// What comes of this event: the judgements of [`RuleSet::judge`], except for the rules that just missed, which are named
    /// only. Most rules miss most events, and nobody asks why but now and then: [`RuleSet::judge`] says it then.
    pub fn matches(&self, event: &Event) -> Matches<'_> {
        let mut matches = Matches::default();
        self.each(event, |rule, candidate, reading| {
            let mut budget = reading.budget();
            if rule.misses(candidate, reading, &mut budget) {
                matches.missed.push(rule);
                matches.steps += reading.done(&budget);
            } else {
                matches.judgements.push(rule.judge(candidate, reading, budget.anew()));
            }
        });
        matches
    }

    /// Puts an event before each rule whose globs accept it.
    fn each<'r>(&'r self, event: &Event, mut judge: impl FnMut(&'r Rule, &Candidate, &mut Reading<'_>)) {
        // It opens the case of one rule, which the planner puts it before.
        if event.is_own() && &*event.kind == MISSING {
            return;
        }
        let candidates = self.index.of(&self.rules, &event.kind, event.is_own());
        if candidates.is_empty() {
            return;
        }
        let (root, zone) = (event.root(), self.zone());
        let mut reading = Reading::new(event, &root, &zone);
        for candidate in candidates.iter() {
            let rule = self.rules.get(candidate.rule);
            if let Some(rule) = rule.filter(|rule| rule.source.as_ref().is_none_or(|source| **source == *event.source))
            {
                judge(rule, candidate, &mut reading);
            }
        }
    }

    /// The rule with this name, else the one that had it before.
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.rules.get(self.index.named(&self.rules, name)?)
    }

    /// What one rule makes of an event that is put before it whatever its globs say: of the own event that opens a
    /// `missing` case, of the opening event of a case whose timer came due or that was closed by hand. `held` and
    /// `actions` as if the globs had accepted it, `on_close` always filled, `closes` and `arrived` left out.
    pub fn judge_rule<'r>(&'r self, rule: &'r Rule, event: &Event) -> Judgement<'r> {
        let (root, zone) = (event.root(), self.zone());
        let mut reading = Reading::new(event, &root, &zone);
        let mut budget = reading.budget();
        let mut judgement = Judgement::of(rule);
        rule.judge_event(&mut reading, &mut budget, &mut judgement);
        judgement.on_close = judge_actions(&rule.on_close, &mut reading, &mut budget);
        judgement.steps = reading.done(&budget);
        judgement
    }

    /// What each of `names:` selects in the event; what selects nothing is null: known, and without a value. A path
    /// that can select several nodes gives a list.
    pub fn names_in(&self, event: &Event) -> Map<String, Value> {
        if self.names.is_empty() {
            return Map::new();
        }
        let (root, zone) = (event.root(), self.zone());
        let mut reading = Reading::new(event, &root, &zone);
        let mut found = Map::new();
        for (word, name) in &self.names {
            let one = name.queries(&event.source).iter().all(|query| query.path.is_singular());
            let mut budget = reading.budget();
            let nodes = reading.select(name, &mut budget).unwrap_or_default();
            reading.done(&budget);
            let value = match (&*nodes, one) {
                ([], _) => Value::Null,
                ([node], true) => (*node).clone(),
                (nodes, _) => nodes.iter().copied().cloned().collect(),
            };
            found.insert(word.clone(), value);
        }
        found
    }

    /// How a condition comes out for an event, and why.
    pub fn holds(&self, condition: &Condition, event: &Event) -> (Held, Why) {
        let (root, zone) = (event.root(), self.zone());
        let mut reading = Reading::new(event, &root, &zone);
        let mut budget = reading.budget();
        let why = condition.judge(&mut reading, &mut budget);
        (why.held(), why)
    }

    /// The zone of dates without one.
    fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }
}

impl Rule {
    /// Whether nothing comes of it: each of its conditions that counts for this event misses.
    fn misses(&self, candidate: &Candidate, reading: &mut Reading<'_>, budget: &mut Budget) -> bool {
        let mut miss = |when: Option<&Condition>| when.is_some_and(|when| when.held(reading, budget) == Held::Missed);
        let missing = self.missing.as_ref().filter(|_| candidate.missing);
        let mut closers = candidate.closers.iter().filter_map(|at| self.closed_by.get(*at));
        (!candidate.events || miss(self.when.as_ref()))
            && missing.is_none_or(|missing| miss(missing.when.as_ref()))
            && closers.all(|closer| miss(closer.when.as_ref()))
    }

    fn judge(&self, candidate: &Candidate, reading: &mut Reading<'_>, mut budget: Budget) -> Judgement<'_> {
        let mut judgement = Judgement::of(self);
        if candidate.events {
            self.judge_event(reading, &mut budget, &mut judgement);
        }
        if let Some(missing) = self.missing.as_ref().filter(|_| candidate.missing) {
            let why = missing.when.as_ref().map(|when| when.judge(reading, &mut budget));
            judgement.arrived = why.as_ref().is_none_or(|why| why.held() == Held::Held);
            judgement.why = why;
        }
        self.judge_closers(candidate, reading, &mut budget, &mut judgement);
        judgement.steps = reading.done(&budget);
        judgement
    }

    fn judge_event<'r>(&'r self, reading: &mut Reading<'_>, budget: &mut Budget, judgement: &mut Judgement<'r>) {
        let why = self.when.as_ref().map(|when| when.judge(reading, budget));
        let held = why.as_ref().map_or(Held::Held, Why::held);
        (judgement.held, judgement.why) = (Some(held), why);
        if !judgement.accepts() {
            return;
        }
        let mut anew = renewed(held, reading, budget);
        let budget = anew.as_mut().unwrap_or(budget);
        let per = self.threshold.as_ref().and_then(|threshold| threshold.per.as_ref());
        judgement.threshold = per.map(|per| per.key(reading, budget));
        judgement.sum = self.sum.as_ref().map(|sum| sum.read(reading, budget));
        if let Some(case) = &self.case {
            let (key, written) = split(case.keyed(reading, budget));
            (judgement.case, judgement.case_written) = (Some(key), written);
        }
        judgement.actions = judge_actions(&self.actions, reading, budget);
    }

    /// The first closer that accepts the event counts; where none does, the reasons are the first's.
    fn judge_closers<'r>(
        &'r self,
        candidate: &Candidate,
        reading: &mut Reading<'_>,
        budget: &mut Budget,
        judgement: &mut Judgement<'r>,
    ) {
        for closer in candidate.closers.iter().filter_map(|at| self.closed_by.get(*at)) {
            let why = closer.when.as_ref().map(|when| when.judge(reading, budget));
            let held = why.as_ref().is_none_or(|why| why.held() == Held::Held);
            if held || judgement.closes_why.is_none() {
                judgement.closes_why = why;
            }
            if held && let Some(case) = closer.case.as_ref().or(self.case.as_ref()) {
                let (key, written) = split(case.keyed(reading, budget));
                judgement.closes_written = written;
                if key.is_ok() {
                    judgement.on_close = judge_actions(&self.on_close, reading, budget);
                }
                judgement.closes = Some(key);
                return;
            }
        }
    }
}

impl<'r> Judgement<'r> {
    /// Whether the rule acts on the event: its condition held, or failed and the rule says `if_failed: act`.
    pub fn accepts(&self) -> bool {
        self.held.is_some_and(|held| accepts(held, self.rule.if_failed))
    }

    /// About how many bytes it takes, with the messages that it asks for.
    pub fn weight(&self) -> usize {
        let whys = self.why.iter().chain(&self.closes_why).map(Why::weight).sum::<usize>();
        let actions = self.actions.iter().chain(&self.on_close).map(ActionJudgement::weight).sum::<usize>();
        size_of::<Self>() + whys + actions
    }

    /// Nothing judged as yet.
    fn of(rule: &'r Rule) -> Self {
        Self {
            rule,
            held: None,
            why: None,
            threshold: None,
            sum: None,
            case: None,
            actions: Vec::new(),
            case_written: None,
            closes: None,
            closes_written: None,
            closes_why: None,
            on_close: Vec::new(),
            arrived: false,
            steps: 0,
        }
    }
}

impl FileMute {
    /// Whether its `events` and `when` mean this event. Its rule, destination and times are the planner's business.
    pub fn accepts(&self, event: &Event) -> Held {
        if self.events.as_ref().is_some_and(|events| !events.accept(&event.kind, event.is_own())) {
            return Held::Missed;
        }
        let Some(when) = &self.when else { return Held::Held };
        let root = event.root();
        let mut reading = Reading::new(event, &root, &self.zone);
        let mut budget = reading.budget();
        when.judge(&mut reading, &mut budget).held()
    }
}

fn accepts(held: Held, if_failed: Option<IfFailed>) -> bool {
    match held {
        Held::Held => true,
        Held::Failed => if_failed == Some(IfFailed::Act),
        Held::Missed => false,
    }
}

/// A condition that failed may have used up all of its steps: what is done all the same has its own.
fn renewed(held: Held, reading: &mut Reading<'_>, budget: &Budget) -> Option<Budget> {
    (held == Held::Failed).then(|| {
        reading.done(budget);
        reading.budget()
    })
}

fn judge_actions<'r>(
    actions: &'r [Action],
    reading: &mut Reading<'_>,
    budget: &mut Budget,
) -> Vec<ActionJudgement<'r>> {
    let mut judged: Vec<ActionJudgement<'r>> = actions.iter().map(|action| action.judge(reading, budget)).collect();
    let acted = judged.iter().any(|one| one.action.when.is_some() && one.accepts());
    for one in judged.iter_mut().filter(|one| one.action.otherwise && acted) {
        one.held = Held::Missed;
    }
    judged
}

impl ActionJudgement<'_> {
    /// Whether the action acts on the event: its condition held, or failed and the action says `if_failed: act`.
    pub fn accepts(&self) -> bool {
        accepts(self.held, self.action.if_failed)
    }

    fn weight(&self) -> usize {
        let asked = if self.accepts() { self.action.to.len() * MESSAGE_BYTES } else { 0 };
        size_of::<Self>() + self.why.as_ref().map_or(0, Why::weight) + asked
    }
}

impl Action {
    fn judge(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> ActionJudgement<'_> {
        let why = self.when.as_ref().map(|when| when.judge(reading, budget));
        let held = why.as_ref().map_or(Held::Held, Why::held);
        let mut anew = renewed(held, reading, budget);
        let budget = anew.as_mut().unwrap_or(budget);
        let throttle = self.throttle.as_ref().and_then(|throttle| throttle.per.as_ref());
        let digest = self.digest.as_ref().and_then(|digest| digest.per.as_ref());
        let at = self.at.as_ref().map(|at| (at, at.read(reading, budget)));
        ActionJudgement {
            action: self,
            held,
            why,
            throttle: throttle.map(|per| per.key(reading, budget)),
            digest: digest.map(|per| per.key(reading, budget)),
            date: at.as_ref().and_then(|(_, date)| date.as_ref().ok().copied()),
            at: at.map(|(at, date)| date.map(|date| at.falls(date))),
        }
    }
}

impl AtDate {
    /// The date in an event.
    pub(super) fn read(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Result<Timestamp, String> {
        let path = &self.path.text;
        let nodes = reading.select(&self.path, budget).map_err(|_| format!("`{path}` takes too many steps"))?;
        let Some(value) = nodes.first() else { return Err(format!("`{path}` selects nothing")) };
        let time = time_of(value, reading.zone()).map_err(|note| format!("`{path}`: {note}"))?;
        Ok(self.date(time, reading.zone()))
    }
}

impl Sum {
    /// Which sum an event belongs to, and what it adds.
    fn read(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Result<(String, Decimal), String> {
        let key = self.per.as_ref().map_or(Ok(String::new()), |per| per.key(reading, budget))?;
        let path = &self.of.text;
        let nodes = reading.select(&self.of, budget).map_err(|_| format!("`{path}` takes too many steps"))?;
        let Some(value) = nodes.first() else { return Err(format!("`{path}` selects nothing")) };
        Ok((key, summand(value).map_err(|note| format!("`{path}` is {note}"))?))
    }
}

/// A key, and how earlier versions wrote it where that differs.
type Keyed = (String, Option<String>);

fn split(keyed: Result<Keyed, String>) -> (Result<String, String>, Option<String>) {
    match keyed {
        Ok((key, written)) => (Ok(key), written),
        Err(reason) => (Err(reason), None),
    }
}

impl KeySpec {
    /// The key in an event; `Err` says what is absent.
    fn key(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Result<String, String> {
        Ok(self.keyed(reading, budget)?.0)
    }

    /// The key in an event, and the numbers of it as they are written there, where that is another. Numbers of one value
    /// are one key, and 7 and "7" are; two texts are one only if they are the same.
    fn keyed(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Result<Keyed, String> {
        let (mut parts, mut written) = (Vec::with_capacity(self.0.len()), Vec::with_capacity(self.0.len()));
        for name in &self.0 {
            let path = &name.text;
            let nodes = reading.select(name, budget).map_err(|_| format!("`{path}` takes too many steps"))?;
            let part = match &*nodes {
                [] => return Err(format!("`{path}` selects nothing")),
                [Value::Bool(truth)] => (truth.to_string(), None),
                [value] => match text_of(value) {
                    Some(text) if budget.read(text).is_err() => return Err(format!("`{path}` is too long for a key")),
                    Some(text) if text.trim().is_empty() => return Err(format!("`{path}` is empty")),
                    Some(text) if value.is_number() => (number_key(text), Some(text.to_owned())),
                    Some(text) => (comparable(text, false).into_owned(), None),
                    None => return Err(format!("`{path}` is {}", kind_of(value))),
                },
                _ => return Err(format!("`{path}` selects {} values", nodes.len())),
            };
            let (part, as_written) = part;
            written.push(as_written.unwrap_or_else(|| part.clone()));
            parts.push(part);
        }
        let written = (written != parts).then(|| joined(written));
        Ok((joined(parts), written))
    }
}

/// A number as a key: of one value, one text.
pub(crate) fn number_key(text: &str) -> String {
    Decimal::parse(text).map_or_else(|| text.to_owned(), |number| number.to_string())
}

fn joined(parts: Vec<String>) -> String {
    cut(match <[String; 1]>::try_from(parts) {
        Ok([part]) => part,
        Err(parts) => parts.iter().map(|part| escaped(part)).collect::<Vec<_>>().join(" / "),
    })
}

/// Two parts joined are never the same as two others.
fn escaped(part: &str) -> String {
    part.replace('\\', r"\\").replace('/', r"\/")
}

fn cut(key: String) -> String {
    if key.len() <= KEY_MAX {
        return key;
    }
    let hash = hex::encode(Sha256::digest(&key));
    let start = key.get(..key.floor_char_boundary(KEY_MAX - 20)).unwrap_or_default();
    format!("{start}…{}", hash.get(..16).unwrap_or_default())
}
