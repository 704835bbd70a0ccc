//! What holds for every sequence: batches don't matter, nothing panics, nothing is asked for twice.

use std::collections::BTreeMap;

use fanfare::delivery::LinkOp;
use fanfare::event::{Command, Entry, Event, Item, Seq};
use fanfare::planner::links::{Linking, Unguessable};
use fanfare::planner::loaded::DueTimer;
use fanfare::planner::{
    Case, DestinationFacts, Destinations, Entered, Fired, Inputs, Key, LoadedState, Orphan, Timer, arm, arm_keys, keys,
    orphans, plan,
};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::world::{Fate, World, rules, span, start};

/// A bit of everything.
const RULES: &str = r#"
hours:
  day: {days: mon-sun, from: "09:00", to: "18:00", timezone: UTC}
rules:
  - name: case
    events: [opened, both]
    case: $.data.id
    closed_by: [closed, both]
    closes_after: 3d
    actions:
      - {to: [chat, pager], text: new}
      - {to: mail, once: true}
      - {name: late, to: chat, after: 2h, repeat: 3h}
    on_close: [{to: mail, text: over}]
  - name: limited
    events: [opened, plain]
    throttle: {per: $.data.id, max: 2, every: 1h, rest: digest}
    actions: [{to: chat}, {to: night, throttle: {max: 3, every: 2h}}]
  - name: collected
    events: "*"
    digest: {per: $.data.id, every: 90m, limit: 3}
    actions: [{to: mail}, {to: night, when: {$.data.n: {gte: 3}}}, {to: pager, otherwise: true, digest: {every: 1h}}]
  - name: awaited
    missing: {events: plain, for: 1d}
    actions: [{to: mail}]
  - name: ops
    events: fanfare.*
    actions: [{to: chat, text: ops}]
"#;

fn places_of(text: &str) -> Destinations {
    let rules = rules(text);
    let facts = |closes: bool, hours: Option<&str>, fallback: &[&str]| DestinationFacts {
        edits: closes,
        hours: hours.and_then(|name| rules.hours.get(name)).cloned().map(fanfare::rules::HoursChoice::Within),
        closes,
        goes_alone: closes,
        shows_links: true,
        reports: closes,
        reach: None,
        embargo: None,
        fallback: fallback.iter().map(|name| (*name).to_owned()).collect(),
        fallback_after: closes.then(|| SignedDuration::from_mins(5)),
    };
    let (seed, fresh) = (Unguessable([1; 32]), Unguessable([2; 32]));
    let links = Some(Linking { seed, expires: SignedDuration::from_hours(48), fresh });
    let mut places = Destinations { links, ..Destinations::default() };
    places.named.insert("chat".into(), facts(false, None, &["mail"]));
    places.named.insert("pager".into(), facts(true, None, &["chat", "mail"]));
    places.named.insert("mail".into(), facts(false, None, &[]));
    places.named.insert("night".into(), facts(false, Some("day"), &[]));
    places
}

#[derive(Debug, Clone)]
enum Step {
    Send { kind: &'static str, id: Option<u8>, n: u8, ago: i64 },
    Close(u8),
    Ack(u8),
    Mute(u8, &'static str),
    Unmute(u8),
    Die(&'static str),
    Stick(&'static str),
    Unstick(&'static str),
    Link(u8, LinkOp),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = prop::sample::select(vec!["opened", "closed", "both", "plain", "odd"]);
    let places = || prop::sample::select(vec!["chat", "pager", "mail", "night"]);
    let does = prop::sample::select(vec![LinkOp::Acknowledge, LinkOp::Close, LinkOp::Mute(5400)]);
    prop_oneof![
        8 => (kinds, prop::option::weighted(0.9, 1..4u8), 0..6u8, 0..3i64)
            .prop_map(|(kind, id, n, ago)| Step::Send { kind, id, n, ago }),
        1 => (1..4u8).prop_map(Step::Close),
        1 => (1..4u8).prop_map(Step::Ack),
        1 => (0..3u8, places()).prop_map(|(id, to)| Step::Mute(id, to)),
        1 => (0..3u8).prop_map(Step::Unmute),
        1 => places().prop_map(Step::Die),
        1 => places().prop_map(Step::Stick),
        1 => places().prop_map(Step::Unstick),
        1 => (1..4u8, does).prop_map(|(key, does)| Step::Link(key, does)),
        3 => (1..400i64).prop_map(Step::Wait),
    ]
}

/// Puts a step into the inbox without planning, or, for a wait, plans all and moves on.
fn take(world: &mut World, step: &Step, number: usize) {
    let command = |world: &mut World, command| _ = world.put(Item::Command(command));
    let (rule, by) = ("case".to_owned(), "ana".to_owned());
    match step {
        Step::Send { kind, id, n, ago } => {
            let created = world.now - SignedDuration::from_mins(*ago);
            let data = id.map_or(json!({"n": n}), |id| json!({"n": n, "id": id}));
            let event = world.event(kind, &format!("e{number}"), created, data);
            world.put(Item::Event(Box::new(event)));
        }
        Step::Close(key) => command(world, Command::CloseCase { rule, key: key.to_string(), by, note: None }),
        Step::Ack(key) => command(world, Command::AckCase { rule, key: key.to_string(), by, note: None }),
        Step::Mute(id, to) => {
            let mute = json!({"id": format!("m{id}"), "reason": "x", "by": "ana", "destination": to, "for": "3h"});
            let mute = world.mute(&mute);
            command(world, Command::Mute(mute));
        }
        Step::Unmute(id) => command(world, Command::Unmute { id: format!("m{id}"), by }),
        Step::Die(to) => {
            world.drain();
            if world.sent.iter().any(|delivery| delivery.destination == **to) {
                world.die(to, "gone");
            }
        }
        Step::Stick(to) => {
            world.drain();
            world.stuck.insert((*to).to_owned());
        }
        Step::Unstick(to) => {
            world.drain();
            world.stuck.remove(*to);
        }
        Step::Link(key, does) => {
            // Anyone who follows a link has had its message.
            world.drain();
            let case = world.cases().into_iter().find(|case| case.rule == rule && case.key == key.to_string());
            if let Some(case) = case {
                command(world, Command::ByLink { of: case.opening(), does: *does, by });
            }
        }
        Step::Wait(minutes) => world.wait(SignedDuration::from_mins(*minutes)),
    }
}

/// Everything that is to come, and everything that was reported, in an order that says nothing of batches.
fn state(world: &World) -> impl PartialEq + std::fmt::Debug {
    let live = world.deliveries.values().filter(|(_, fate)| *fate != Fate::Cancelled);
    let mut live: Vec<String> = live.map(|(delivery, fate)| format!("{fate:?} {delivery:?}")).collect();
    live.sort();
    let mut whys: Vec<String> = world.whys.iter().map(|row| format!("{row:?}")).collect();
    whys.sort();
    // One that looks at a delivery which was called off does nothing: what is called off in the plan that makes it has none.
    let looks_at = |id: &str| Some(id.strip_prefix("late/")?.split('/').next()?.to_owned());
    let lives = |id: &String| {
        looks_at(id).is_none_or(|delivery| {
            let known = world.deliveries.iter().find(|(id, _)| id.as_str() == delivery);
            known.is_some_and(|(_, (_, fate))| *fate != Fate::Cancelled)
        })
    };
    let timers = world.timers.iter().filter(|(id, _)| lives(id));
    let timers: Vec<_> = timers.map(|(id, timer)| (id.clone(), timer.clone())).collect();
    (world.docs.clone(), timers, live, whys, world.own.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn planning_one_by_one_has_the_same_result_as_planning_in_batches(steps in prop::collection::vec(step(), 1..40)) {
        let mut worlds = [1, 3, 100].map(|batch| {
            let mut world = World::new(RULES, places_of(RULES));
            world.batch = batch;
            world
        });
        for (number, step) in steps.iter().enumerate() {
            worlds.iter_mut().for_each(|world| take(world, step, number));
            if matches!(step, Step::Wait(_)) {
                prop_assert_eq!(state(&worlds[0]), state(&worlds[2]));
            }
        }
        worlds.iter_mut().for_each(|world| world.wait(span("9d")));
        prop_assert_eq!(state(&worlds[0]), state(&worlds[1]));
        prop_assert_eq!(state(&worlds[0]), state(&worlds[2]));
    }

    #[test]
    fn documents_and_timers_that_make_no_sense_are_lived_with(
        texts in prop::collection::vec("[ -~]{0,40}", 8),
        kind in prop::sample::select(vec!["case", "throttle", "digest", "hold", "mute", "missing", "closed", "signal"]),
        known in prop::sample::select(vec![
            r#"{"act":{"rule":"case","key":"1","nth":1,"action":"late"}}"#,
            r#"{"digest":{"rule":"collected","action":"x","key":"1","destination":"mail","rest":false}}"#,
            r#"{"missing":{"rule":"awaited"}}"#, r#"{"mute":{"id":"m"}}"#, r#"{"to_come":{}}"#, "{", "",
        ]),
    ) {
        let (rules, places) = (rules(RULES), places_of(RULES));
        let world = World::new(RULES, places.clone());
        let event = world.event("opened", "e", world.now, json!({"id": 1, "n": 3}));
        let entry = Entry { seq: 7, item: Item::Event(Box::new(event.clone())) };
        let timer = Timer { due: world.now, event: Some(7), text: known.to_owned() };
        let due = DueTimer { id: "t".into(), timer };
        let inputs = Inputs {
            now: world.now,
            rules: &rules,
            destinations: &places,
            entries: vec![Entered::new(&rules, &entry, None)],
            timers: vec![Fired::new(&rules, &due, Some(&event))],
        };
        let wanted = keys(&inputs);
        let nonsense: BTreeMap<Key, String> = wanted.one.iter().cloned().zip(texts.iter().cycle().cloned()).collect();
        let made = plan(&inputs, LoadedState { docs: nonsense, ..LoadedState::default() });
        prop_assert!(made.deliveries.iter().any(|delivery| delivery.destination == "chat"));
        prop_assert!(made.timers.iter().any(|(id, set)| id == "t" && set.is_none()));
        let docs = texts.into_iter().enumerate().map(|(n, text)| (Key { kind: kind.into(), id: n.to_string() }, text));
        let armed = arm(&rules, &places, LoadedState { docs: docs.collect(), ..LoadedState::default() }, world.now);
        prop_assert_eq!(armed.deliveries.len(), 0);
    }
}

fn case_text(more: &str) -> String {
    format!(
        r#"{{"rule":"case","root":"case","key":"1","nth":1,"event":1,"opened":"2026-01-05T09:00:00Z",
            "newest":"2026-01-05T09:00:00Z","last":"2026-01-05T09:00:00Z"{more}}}"#
    )
}

#[test]
fn a_document_of_a_newer_program_is_read_as_far_as_it_is_known() {
    let mut world = World::new(RULES, places_of(RULES));
    let key = Key { kind: "case".into(), id: "case/1".into() };
    world.docs.insert(key, (case_text(r#","colour":"red","count":4"#), vec![]));
    let event = world.event("opened", "e", world.now, json!({"id": 1}));
    world.put(Item::Event(Box::new(event)));
    world.drain();
    let told = world.sent.iter().find(|delivery| delivery.rule == "case").expect("the case speaks");
    assert_eq!(told.assignment.case.as_ref().map(|case| case.count), Some(5));
}

#[test]
fn open_cases_whose_rule_or_timed_action_is_gone_are_named() {
    let timer = r#","timers":{"late":{"event":1,"first":"2026-01-05T11:00:00Z","due":"2026-01-05T11:00:00Z"}}"#;
    let case: Case = serde_json::from_str(&case_text(timer)).unwrap();
    assert_eq!(orphans(&rules(RULES), [&case]), []);
    let orphan = |actions: Vec<String>| Orphan { rule: "case".into(), key: "1".into(), actions };
    let other = rules("rules: [{name: case, events: x, case: $.data.id, actions: [{to: a}]}]");
    assert_eq!(orphans(&other, [&case]), [orphan(vec!["late".into()])]);
    let gone = rules("rules: [{name: other, events: x, actions: [{to: a}]}]");
    assert_eq!(orphans(&gone, [&case]), [orphan(vec![])]);
    let renamed = RULES.replace("name: case\n", "name: cases\n    formerly: case\n");
    assert_eq!(orphans(&rules(&renamed), [&case]), []);
}

/// Plans one entry and one timer that could not be planned.
fn parked(event: Event, event_seq: Option<Seq>) -> fanfare::planner::Plan {
    let (rules, places) = (rules(RULES), places_of(RULES));
    let entry = Entry { seq: 7, item: Item::Event(Box::new(event)) };
    let text = r#"{"missing":{"rule":"awaited"}}"#.to_owned();
    let due = DueTimer { id: "t".into(), timer: Timer { due: start(), event: event_seq, text } };
    let inputs = Inputs {
        now: start(),
        rules: &rules,
        destinations: &places,
        entries: vec![Entered::parked(&entry, "it broke")],
        timers: vec![Fired::parked(&due, "it broke too")],
    };
    plan(&inputs, LoadedState::default())
}

#[test]
fn what_can_not_be_planned_is_passed_recorded_and_told() {
    let world = World::new(RULES, places_of(RULES));
    let made = parked(world.event("opened", "e", start(), json!({"id": 1})), Some(5));
    assert_eq!(made.upto, Some(7));
    assert_eq!(made.deliveries, []);
    assert!(made.timers.contains(&("t".to_owned(), None)));
    let rows: Vec<(Seq, &str, &str)> =
        made.whys.iter().map(|row| (row.event, row.rule.as_str(), row.outcome.as_str())).collect();
    assert_eq!(rows, [(7, "", "parked"), (5, "awaited", "parked")]);
    let told: Vec<&str> = made.events.iter().map(|event| &*event.kind).collect();
    assert_eq!(told, ["fanfare.rule.failed", "fanfare.rule.failed"]);
}

#[test]
fn an_own_event_that_can_not_be_planned_raises_none() {
    let own = Event::own("fanfare.delivery.dead", "x", start(), json!({}));
    let made = parked(own, None);
    let told: Vec<bool> = made.events.iter().map(|event| event.data().get("timer").is_some()).collect();
    assert_eq!(told, [true], "only the timer is reported");
}

#[test]
fn rules_and_keys_of_any_length_and_letters_have_state_of_their_own() {
    let long = "n".repeat(99);
    let text =
        |name: &str| format!("{{name: \"{name}\", events: x, case: $.data.id, closed_by: z, actions: [{{to: chat}}]}}");
    let (a, b) = (format!("{long}a"), format!("{long}b"));
    let all: Vec<String> = ["r/s", "r", &a, &b].iter().map(|name| text(name)).collect();
    let mut world = World::new(&format!("rules: [{}]", all.join(", ")), places_of(RULES));
    let keys = ["s/C1".to_owned(), "C1".to_owned(), "%2F".to_owned(), "k".repeat(250), "k".repeat(251)];
    for (number, id) in keys.iter().enumerate() {
        let event = world.event("x", &format!("e{number}"), world.now, json!({"id": id}));
        world.put(Item::Event(Box::new(event)));
    }
    world.drain();
    assert_eq!(world.cases().len(), 20);
    assert_eq!(world.sent.len(), 20);
}

#[test]
fn neither_arming_nor_planning_asks_for_all_cases() {
    let rules = rules("rules: [{name: r, events: x, case: $.data.id, closed_by: y, actions: [{to: a, after: 1h}]}]");
    let places = Destinations::default();
    let world = World::new("rules: [{name: r, events: x, actions: [{to: a}]}]", Destinations::default());
    let event = world.event("x", "e", world.now, json!({"id": "C1"}));
    let entry = Entry { seq: 1, item: Item::Event(Box::new(event)) };
    let entries = vec![Entered::new(&rules, &entry, None)];
    let inputs = Inputs { now: world.now, rules: &rules, destinations: &places, entries, timers: Vec::new() };
    let asked = keys(&inputs);
    for all in [&asked.all, &arm_keys().all] {
        assert!(all.is_disjoint(&["case", "closed", "throttle", "digest"].map(str::to_owned).into()), "{all:?}");
    }
    let ids: Vec<&str> = asked.one.iter().map(|key| key.id.as_str()).collect();
    assert!(ids.len() < 8 && ids.contains(&"r/C1"), "{ids:?}");
}
