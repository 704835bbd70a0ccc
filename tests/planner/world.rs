//! A store of maps and a virtual clock: plans, keeps, sends and forgets, so that sequences can be played.
//!
//! It forgets every event that nothing pins as soon as it may, plans everything twice, and once with only the documents
//! that were asked for: what comes out must be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fanfare::clock::from_ms;
use fanfare::delivery::{Delivery, DeliveryId, MessageOp, NewDelivery, Say, State};
use fanfare::event::{Command, Entry, Event, EventId, Item, Mute, Seq, Signal};
use fanfare::planner::loaded::DueTimer;
use fanfare::planner::why::Decision;
use fanfare::planner::{
    Case, DestinationFacts, Destinations, Entered, Fired, Inputs, Key, Keys, LoadedState, Plan, Sweep, Timer, arm,
    arm_keys, keys, orphans, plan,
};
use fanfare::problem::{File, Problems};
use fanfare::rules::glob::Glob;
use fanfare::rules::{AtDate, Reach, RuleSet, parse};
use fanfare::source::presets::preset_names;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Where a delivery has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Due,
    Tried,
    Dead,
    Cancelled,
}

pub struct World {
    pub now: Timestamp,
    /// The default zone.
    pub zone: Option<String>,
    pub rules: RuleSet,
    pub places: Destinations,
    pub docs: BTreeMap<Key, (String, Vec<Seq>)>,
    pub timers: BTreeMap<String, Timer>,
    /// What retention has left.
    pub events: BTreeMap<Seq, Event>,
    /// All that ever came.
    pub archive: BTreeMap<Seq, Event>,
    pub inbox: Vec<Entry>,
    pub deliveries: BTreeMap<DeliveryId, (NewDelivery, Fate)>,
    /// What was sent and not yet asked for.
    pub sent: Vec<NewDelivery>,
    /// Own events not yet asked for.
    pub own: Vec<Event>,
    pub whys: Vec<Decision>,
    /// The keys of the cases that the last reload left behind.
    pub left: Vec<String>,
    pub stuck: BTreeSet<String>,
    /// Nothing is planned while this holds.
    pub held_back: bool,
    /// How many entries are planned together.
    pub batch: usize,
    seq: Seq,
}

/// The clock of all sequences: a Monday.
pub fn start() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

/// `90s`, `10m`, `2h`, `7d`, also negative.
pub fn span(text: &str) -> SignedDuration {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => panic!("no span: {text}"),
    };
    SignedDuration::from_secs(number.parse::<i64>().unwrap() * seconds)
}

/// Rules without a default zone.
pub fn rules(text: &str) -> RuleSet {
    rules_in(text, None)
}

/// Rules from their text, or from a file and the `shared.yaml` beside it, with the names that the preset brings.
pub fn rules_in(text: &str, zone: Option<&str>) -> RuleSet {
    let mut problems = Problems::new();
    let files = match text.strip_suffix(".yaml").and_then(|_| text.rsplit_once('/')) {
        Some((folder, _)) => [text.to_owned(), format!("{folder}/shared.yaml")]
            .map(|path| File::new(path.as_str(), std::fs::read_to_string(&path).unwrap()))
            .to_vec(),
        None => vec![File::new("rules.yaml", text)],
    };
    let names = preset_names("jewelmusic").iter();
    let names = names.map(|(name, paths)| ((*name).to_owned(), paths.iter().map(|path| (*path).to_owned()).collect()));
    let presets = [("jewelmusic".to_owned(), names.collect())].into();
    let zone = zone.map(|zone| TimeZone::get(zone).unwrap());
    let rules = parse(&files, &presets, zone, &mut problems);
    let said: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(!problems.has_errors(), "{}", said.join("\n"));
    rules
}

impl World {
    pub fn new(text: &str, places: Destinations) -> Self {
        Self::in_zone(text, places, None)
    }

    /// A world whose default zone is this.
    pub fn in_zone(text: &str, places: Destinations, zone: Option<&str>) -> Self {
        let mut world = Self {
            now: start(),
            zone: zone.map(str::to_owned),
            rules: rules_in(text, zone),
            places,
            docs: BTreeMap::new(),
            timers: BTreeMap::new(),
            events: BTreeMap::new(),
            archive: BTreeMap::new(),
            inbox: Vec::new(),
            deliveries: BTreeMap::new(),
            sent: Vec::new(),
            own: Vec::new(),
            whys: Vec::new(),
            left: Vec::new(),
            stuck: BTreeSet::new(),
            held_back: false,
            batch: 100,
            seq: 0,
        };
        world.load(text);
        world
    }

    /// Other rules come into force.
    pub fn reload(&mut self, text: &str) {
        self.rules = rules_in(text, self.zone.as_deref());
        self.left = orphans(&self.rules, &self.cases()).into_iter().map(|orphan| orphan.key).collect();
        self.load(text);
    }

    fn load(&mut self, text: &str) {
        let loaded = self.loaded(&arm_keys());
        let first = arm(&self.rules, &self.places, loaded.clone(), self.now);
        assert_eq!(first, arm(&self.rules, &self.places, loaded, self.now), "arming is not the same twice");
        self.commit(first);
        let again = arm(&self.rules, &self.places, self.loaded(&arm_keys()), self.now);
        assert!(again.docs.is_empty() && again.events.is_empty(), "arming again changes something: {again:?}");
        let mut left = Sweep::left(&self.loaded(&arm_keys()), text);
        while let Some(sweep) = left {
            // Small pages, so that most sequences have several.
            let after = Key { kind: Sweep::CASES.into(), id: sweep.after().into() };
            let of_kind =
                self.docs.range(after.clone()..).filter(|(key, _)| key.kind == Sweep::CASES && **key != after);
            let page: Vec<(String, String)> =
                of_kind.take(2).map(|(key, doc)| (key.id.clone(), doc.0.clone())).collect();
            let is_last = page.len() < 2;
            let (plan, more) = sweep.page(&self.rules, &self.places, &page, is_last, self.now);
            self.commit(plan);
            left = more;
        }
        assert_eq!(Sweep::left(&self.loaded(&arm_keys()), text), None, "the same rules leave nothing to do");
    }

    pub fn put(&mut self, item: Item) -> Seq {
        self.seq += 1;
        if let Item::Event(event) = &item {
            self.events.insert(self.seq, (**event).clone());
            self.archive.insert(self.seq, (**event).clone());
        }
        self.inbox.push(Entry { seq: self.seq, item });
        self.seq
    }

    pub fn event(&self, kind: &str, id: &str, created: Timestamp, data: Value) -> Event {
        let body = json!({"id": id, "type": kind, "data": data});
        Event {
            source: "jewelmusic".into(),
            id: EventId(id.into()),
            kind: kind.into(),
            created,
            received: self.now,
            raw: Arc::from(body.to_string().into_bytes()),
            body,
            proof: "test".into(),
        }
    }

    fn loaded(&self, keys: &Keys) -> LoadedState {
        let wanted = self.docs.iter().filter(|(key, _)| keys.one.contains(key) || keys.all.contains(&key.kind));
        let docs = wanted.map(|(key, (text, _))| (key.clone(), text.clone())).collect();
        let stand = keys.deliveries.iter().filter_map(|id| Some((id.clone(), self.standing(id)?)));
        LoadedState { docs, deliveries: stand.collect() }
    }

    /// How a delivery stands. What was sent has arrived.
    fn standing(&self, id: &DeliveryId) -> Option<Delivery> {
        let (planned, fate) = self.deliveries.get(id)?;
        let state = match fate {
            Fate::Due => State::Due,
            Fate::Tried => State::Delivered,
            Fate::Dead => State::Dead,
            Fate::Cancelled => State::Cancelled,
        };
        let (planned, next, created) = (planned.clone(), planned.due, planned.due);
        let (attempts, first_attempt, counts_from, finished) = (0, None, None, None);
        let (message, plain, last_error) = (None, false, None);
        Some(Delivery {
            planned,
            state,
            next,
            attempts,
            first_attempt,
            counts_from,
            message,
            plain,
            last_error,
            created,
            finished,
        })
    }

    fn due(&self) -> Vec<DueTimer> {
        let due = self.timers.iter().filter(|(_, timer)| timer.due <= self.now);
        let mut due: Vec<DueTimer> = due.map(|(id, timer)| DueTimer { id: id.clone(), timer: timer.clone() }).collect();
        due.sort_by(|a, b| (a.timer.due, &a.id).cmp(&(b.timer.due, &b.id)));
        due
    }

    /// Plans one batch: entries while there are any, and what is due with the last of them.
    fn step(&mut self) -> bool {
        let entries: Vec<Entry> = self.inbox.iter().take(self.batch).cloned().collect();
        let due = if entries.len() == self.inbox.len() { self.due() } else { Vec::new() };
        if entries.is_empty() && due.is_empty() {
            return false;
        }
        let mut pinned = due.iter().filter_map(|due| due.timer.event);
        assert!(pinned.all(|event| self.events.contains_key(&event)), "a timer's event is gone");
        let inputs = Inputs {
            now: self.now,
            rules: &self.rules,
            destinations: &self.places,
            entries: entries.iter().map(|entry| self.entered(entry)).collect(),
            timers: due.iter().map(|due| self.fired(due)).collect(),
        };
        let wanted = keys(&inputs);
        let made = plan(&inputs, self.loaded(&wanted));
        assert_eq!(made, plan(&inputs, self.loaded(&wanted)), "planning is not the same twice");
        let docs = self.docs.iter().map(|(key, (text, _))| (key.clone(), text.clone())).collect();
        let stand = self.deliveries.keys().filter_map(|id| Some((id.clone(), self.standing(id)?)));
        let all = LoadedState { docs, deliveries: stand.collect() };
        assert_eq!(made, plan(&inputs, all), "the keys don't name all that planning touches");
        assert_eq!(made.upto, entries.last().map(|entry| entry.seq));
        for due in &due {
            assert!(made.timers.iter().any(|(id, _)| *id == due.id), "timer {} is never spent", due.id);
        }
        self.inbox.drain(..entries.len());
        self.commit(made);
        true
    }

    fn entered<'a>(&'a self, entry: &'a Entry) -> Entered<'a> {
        let replayed = match &entry.item {
            Item::Command(Command::Replay { event, .. }) => self.archive.get_key_value(event),
            _ => None,
        };
        Entered::new(&self.rules, entry, replayed.map(|(seq, event)| (*seq, event)))
    }

    fn fired<'a>(&'a self, due: &'a DueTimer) -> Fired<'a> {
        Fired::new(&self.rules, due, due.timer.event.and_then(|event| self.events.get(&event)))
    }

    fn commit(&mut self, plan: Plan) {
        for cancel in plan.cancel {
            for (delivery, fate) in self.deliveries.values_mut() {
                let meant = delivery.lane.as_ref() == Some(&cancel.lane)
                    && cancel.action.as_ref().is_none_or(|action| *action == delivery.action)
                    && cancel.act.is_none_or(|act| act == delivery.act);
                if meant && *fate == Fate::Due {
                    *fate = Fate::Cancelled;
                }
            }
        }
        for delivery in plan.deliveries {
            self.deliveries.entry(delivery.id.clone()).or_insert((delivery, Fate::Due));
        }
        for change in plan.docs {
            match change.text {
                Some(text) => self.docs.insert(change.key, (text, change.events)),
                None => self.docs.remove(&change.key),
            };
        }
        for (id, timer) in plan.timers {
            match timer {
                // As stores keep them: to the millisecond.
                Some(timer) => self.timers.insert(id, Timer { due: from_ms(timer.due.as_millisecond()), ..timer }),
                None => self.timers.remove(&id),
            };
        }
        self.whys.extend(plan.whys);
        for event in plan.events {
            self.own.push(event.clone());
            self.put(Item::Event(Box::new(event)));
        }
    }

    /// Sends what may go; an update of what was never shown goes nowhere.
    fn dispatch(&mut self) {
        let tried: BTreeSet<_> =
            self.deliveries.values().filter(|(_, fate)| matches!(fate, Fate::Tried | Fate::Dead)).collect_lanes();
        let mut due: Vec<&mut (NewDelivery, Fate)> =
            self.deliveries.values_mut().filter(|(_, fate)| *fate == Fate::Due).collect();
        due.sort_by_key(|(delivery, _)| (delivery.event, delivery.act == MessageOp::Close));
        for (delivery, fate) in due {
            if self.stuck.contains(&delivery.destination) {
                continue;
            }
            let shown =
                delivery.act != MessageOp::Close || delivery.lane.as_ref().is_some_and(|lane| tried.contains(lane));
            *fate = if shown { Fate::Tried } else { Fate::Cancelled };
            if shown {
                self.sent.push(delivery.clone());
            }
        }
    }

    /// Forgets every event that nothing needs.
    fn prune(&mut self) {
        let mut pinned: BTreeSet<Seq> = self.docs.values().flat_map(|(_, events)| events).copied().collect();
        pinned.extend(self.timers.values().filter_map(|timer| timer.event));
        for entry in &self.inbox {
            pinned.insert(entry.seq);
            if let Item::Signal(Signal { died: Some(died), .. }) = &entry.item {
                pinned.extend([died.event, died.assignment.event]);
                pinned.extend(&died.assignment.events);
            }
        }
        for (delivery, fate) in self.deliveries.values() {
            if *fate == Fate::Due {
                pinned.extend([delivery.event, delivery.assignment.event]);
                pinned.extend(&delivery.assignment.events);
            }
        }
        self.events.retain(|seq, _| pinned.contains(seq));
    }

    /// Plans and sends until there is nothing more to do now.
    pub fn drain(&mut self) {
        if self.held_back {
            return;
        }
        for round in 0.. {
            assert!(round < 500, "planning never ends");
            if !self.step() {
                break;
            }
            for (delivery, fate) in self.deliveries.values().filter(|(_, fate)| *fate == Fate::Due) {
                let told = delivery.assignment.events.iter().chain([&delivery.assignment.event]);
                for event in told {
                    assert!(self.events.contains_key(event), "{fate:?} {delivery:?} reports an event that is gone");
                }
            }
            self.prune();
        }
        self.dispatch();
        self.prune();
    }

    /// Moves the clock on, and does what is due on the way.
    pub fn wait_until(&mut self, until: Timestamp) {
        loop {
            self.drain();
            let next = self.timers.values().map(|timer| timer.due).min().filter(|next| *next <= until);
            match next {
                Some(next) => self.now = self.now.max(next),
                None => break,
            }
        }
        self.now = until;
        self.drain();
    }

    pub fn wait(&mut self, by: SignedDuration) {
        self.wait_until(self.now.checked_add(by).unwrap());
    }

    /// Events that are pinned by something that these maps don't play: a dead delivery, a person's wish.
    pub fn recall(&mut self, events: &[Seq]) {
        for seq in events {
            self.events.insert(*seq, self.archive[seq].clone());
        }
    }

    /// A delivery died for good.
    pub fn die(&mut self, destination: &str, reason: &str) {
        let newest = |delivery: &&NewDelivery| delivery.destination == destination;
        let all = self.sent.iter().rev().find(newest).cloned();
        let planned = all.or_else(|| {
            let due = self.deliveries.values().find(|(delivery, _)| delivery.destination == destination);
            due.map(|(delivery, _)| delivery.clone())
        });
        let died = planned.unwrap_or_else(|| panic!("nothing was sent to {destination}"));
        self.sent.retain(|delivery| delivery.id != died.id);
        self.recall(&[&[died.event, died.assignment.event], &died.assignment.events[..]].concat());
        if let Some((_, fate)) = self.deliveries.get_mut(&died.id) {
            *fate = Fate::Dead;
        }
        let from_own = self.archive.get(&died.event).is_some_and(Event::is_echo);
        let data = json!({"reason": reason});
        self.put(Item::Signal(Signal {
            kind: "fanfare.delivery.dead".into(),
            rule: Some(died.rule.clone()),
            destination: Some(destination.into()),
            at: self.now,
            data: data.as_object().cloned().unwrap(),
            from_own,
            died: Some(Box::new(died)),
        }));
    }

    pub fn mute(&self, value: &Value) -> Mute {
        let mut value = value.clone();
        let map = value.as_object_mut().unwrap();
        let length = map.remove("for").map(|text| span(text.as_str().unwrap()));
        map.entry("from").or_insert(json!(self.now));
        if let Some(length) = length {
            map.insert("until".into(), json!(self.now.checked_add(length).unwrap()));
        }
        serde_json::from_value(value).unwrap()
    }

    /// The event with this id.
    pub fn seq_of(&self, id: &str) -> Seq {
        let found = self.archive.iter().rev().find(|(_, event)| event.id.as_str() == id);
        *found.unwrap_or_else(|| panic!("no event {id}")).0
    }

    /// The keys of the open cases.
    pub fn cases(&self) -> Vec<Case> {
        let cases = self.docs.iter().filter(|(key, _)| key.kind == "case");
        cases.map(|(_, (text, _))| serde_json::from_str(text).unwrap()).collect()
    }

    /// A delivery in the words that sequences use.
    pub fn shown(&self, delivery: &NewDelivery) -> Value {
        let id = |seq: &Seq| self.archive.get(seq).map_or("?".to_owned(), |event| event.id.to_string());
        let said = &delivery.assignment;
        let mut shown = json!({
            "rule": delivery.rule,
            "action": delivery.action,
            "to": delivery.destination,
            "act": delivery.act,
            "event": id(&said.event),
            "events": said.events.iter().map(id).collect::<Vec<_>>(),
            "more": said.more,
            "suppressed": said.suppressed,
            "sum": said.sum,
            "severity": said.severity,
            "mention": said.mention,
            "address": said.to.as_ref().map(|to| &to.address),
            "with": said.with,
            "died": said.died,
            "unread": said.unread,
            "lane": delivery.lane.is_some(),
        });
        let map = shown.as_object_mut().unwrap();
        match &said.say {
            Say::Message(name) => map.insert("message".into(), json!(name)),
            Say::Text(text) => map.insert("text".into(), json!(text)),
            Say::Default => map.insert("default".into(), json!(true)),
            Say::Summary => map.insert("summary".into(), json!(true)),
        };
        if let Some(case) = &said.case {
            map.insert("case".into(), json!(case.key));
            map.insert("count".into(), json!(case.count));
            map.insert("closed".into(), json!(case.closed));
            map.insert("overdue".into(), json!(case.overdue));
        }
        shown
    }
}

/// The lanes of some deliveries.
trait Lanes {
    fn collect_lanes(self) -> BTreeSet<fanfare::delivery::Lane>;
}

impl<'a, I: Iterator<Item = &'a (NewDelivery, Fate)>> Lanes for I {
    fn collect_lanes(self) -> BTreeSet<fanfare::delivery::Lane> {
        self.filter_map(|(delivery, _)| delivery.lane.clone()).collect()
    }
}

/// `until PATH`.
fn embargo(until: &str, rules: &RuleSet) -> AtDate {
    let mut problems = Problems::new();
    let node = fanfare::yaml::read(&File::new("embargo", format!("{until:?}")), &mut problems).unwrap();
    rules.read_until(&node, &mut problems).unwrap_or_else(|| panic!("no date: {until}"))
}

/// How a destination is addressed whose address a map gives: `map`, with `allow`.
fn reach(map: &Value, value: &Value) -> Reach {
    let allow = value["allow"].as_str().unwrap_or("*");
    Reach {
        map: map.as_str().unwrap().to_owned(),
        field: Some("email"),
        is: |text| !text.is_empty(),
        allow: vec![Glob::parse(allow).unwrap()],
    }
}

/// The destinations of a sequence: a name each, with `closes`, `edits`, `alone`, `fallback`, `hours` (the name of a window in the
/// rules' `hours:`) `map` (the map that gives its addresses, of
/// which `allow` accepts some) and `embargo` (`until PATH`).
pub fn places(value: &Value, rules: &RuleSet) -> Destinations {
    let mut places = Destinations::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        let hours = value.get("hours").and_then(Value::as_str);
        let texts = |value: &Value| value.as_str().unwrap().to_owned();
        let facts = DestinationFacts {
            hours: hours.map(|name| {
                let hours = rules.hours.get(name).unwrap_or_else(|| panic!("no hours {name}"));
                fanfare::rules::HoursChoice::Within(hours.clone())
            }),
            closes: value.get("closes").and_then(Value::as_bool).unwrap_or_default(),
            edits: value.get("edits").and_then(Value::as_bool).unwrap_or_default(),
            goes_alone: value.get("alone").and_then(Value::as_bool).unwrap_or_default(),
            shows_links: false,
            reports: false,
            embargo: value.get("embargo").and_then(Value::as_str).map(|until| embargo(until, rules)),
            reach: value.get("map").map(|map| reach(map, value)),
            fallback: value.get("fallback").and_then(Value::as_array).into_iter().flatten().map(texts).collect(),
            fallback_after: value.get("fallback_after").and_then(Value::as_str).map(span),
        };
        places.named.insert(name.clone(), facts);
    }
    places
}
