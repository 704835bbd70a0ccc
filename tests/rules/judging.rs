//! What rules make of events: matches, cases, closers, keys, actions, and what they say of themselves.

use std::time::Instant;

use fanfare::event::{MISSING, Mute};
use fanfare::rules::operator::TABLE;

use super::*;

fn judged<'r>(rules: &'r RuleSet, event: &Event) -> Vec<Judgement<'r>> {
    assert_matches_agree(rules, event);
    rules.judge(event)
}

#[test]
fn every_example_of_every_operator_comes_out_as_its_row_says() {
    for row in TABLE {
        assert!(!row.examples.is_empty() && row.phrase.contains("{}") && !row.doc.ends_with('.'), "{}", row.name);
        for example in row.examples {
            let rules = rules(&format!(
                "rules: [{{name: r, events: '*', when: {{'$.v[*]': {}}}, actions: {{to: t}}}}]",
                example.test
            ));
            let nodes: Value = serde_json::from_str(example.nodes).unwrap();
            let judged = judged(&rules, &event("x", "s", json!({ "v": nodes })))[0].held;
            assert_eq!(judged, Some(example.held), "{}: {} on {}", row.name, example.test, example.nodes);
        }
        // One that does not hold, so that the row can't be vacuous.
        assert!(row.examples.iter().any(|example| example.held != Held::Held), "{}", row.name);
    }
}

#[test]
fn reasons_are_a_tree_that_shows_every_value() {
    let rules = rules(
        "rules:
  - name: r
    events: release.*
    when:
      $.data.severity: [high, critical]
      any:
        - $.data.streams: {gte: 1000}
        - not: $.data.checked
    actions: {to: t}",
    );
    let data = r#"{"severity": "low", "streams": 1.20, "checked": true}"#;
    let event = live(serde_json::from_str(data).unwrap());
    let judgements = judged(&rules, &event);
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        serde_json::to_value(why(&judgements[0])).unwrap(),
        json!({"all": [
            {"path": "$.data.severity", "test": "is one of \"high\", \"critical\"", "values": ["low"], "held": "missed"},
            {"any": [
                {"path": "$.data.streams", "test": "is at least 1000", "values": [number("1.20")],
                 "held": "missed", "note": "1.20 is 998.80 short"},
                {"not": {"path": "$.data.checked", "test": "is there", "values": [true], "held": "held"},
                 "held": "missed"},
            ], "held": "missed"},
        ], "held": "missed"})
    );
    let decisive: Vec<String> = why(&judgements[0]).decisive().iter().map(|why| format!("{why:?}")).collect();
    assert_eq!(decisive.len(), 3, "{decisive:?}");
}

#[test]
fn reasons_shorten_what_is_long() {
    let rules = rules("rules: [{name: r, events: '*', when: {'$.data.x[*]': none}, actions: {to: t}}]");
    let event = live(json!({"x": vec!["y".repeat(10_000); 1000]}));
    let shown = serde_json::to_string(why(&judged(&rules, &event)[0])).unwrap();
    assert!(shown.len() < 4000, "{}", shown.len());
    assert!(shown.contains("… 992 more"), "{shown}");
}

#[test]
fn a_case_is_one_key_whatever_its_kind() {
    let rules = rules(
        "rules:
  - {name: one, events: '*', case: $.data.id, actions: {to: t}}
  - {name: two, events: '*', case: [$.data.id, $.data.part], actions: {to: t}}",
    );
    let keys = |data: Value| -> Vec<Result<String, String>> {
        judged(&rules, &live(data)).into_iter().map(|judgement| judgement.case.unwrap()).collect()
    };
    let ok = |key: &str| Ok::<_, String>(key.to_string());
    assert_eq!(keys(json!({"id": 7, "part": "x"})), [ok("7"), ok("7 / x")]);
    assert_eq!(keys(json!({"id": "7", "part": true})), [ok("7"), ok("7 / true")]);
    assert_eq!(keys(json!({"id": "e\u{301}", "part": 1}))[0], ok("\u{e9}"));
    assert_ne!(
        keys(json!({"id": "a / b", "part": "c"}))[1],
        keys(json!({"id": "a", "part": "b / c"}))[1],
        "what is joined stays apart"
    );
    let absent = |why: &str| Err::<String, _>(why.to_string());
    assert_eq!(
        keys(json!({"part": 1})),
        [absent("`$.data.id` selects nothing"), absent("`$.data.id` selects nothing")]
    );
    assert_eq!(keys(json!({"id": null}))[0], absent("`$.data.id` is null"));
    assert_eq!(keys(json!({"id": " "}))[0], absent("`$.data.id` is empty"));
    assert_eq!(keys(json!({"id": [7]}))[0], absent("`$.data.id` is a list"));
    let long = keys(json!({"id": "é".repeat(1000)}))[0].clone().unwrap();
    assert!(long.len() < 300);
    assert_ne!(long, keys(json!({"id": format!("{}a", "é".repeat(999))}))[0].clone().unwrap(), "told apart by a hash");
}

#[test]
fn an_event_opens_and_closes_by_the_globs_that_accept_it() {
    let rules = rules(
        "rules:
  - name: r
    events: [release.submitted, release.live]
    when: {$.data.ok: true}
    case: $.data.id
    closed_by:
      - release.live
      - {events: takedown, when: {$.data.final: true}, case: $.data.release}
    on_close: {to: t, text: Bye}
    actions: {to: t}",
    );
    let one = |kind: &str, data: Value| {
        let event = event(kind, "jewelmusic", json!({ "data": data }));
        let judgement = rules.judge(&event).pop().unwrap();
        (judgement.held, judgement.case, judgement.closes, judgement.actions.len(), judgement.on_close.len())
    };
    let key = || Some(Ok("1".to_string()));
    assert_eq!(one("release.submitted", json!({"ok": true, "id": 1})), (Some(Held::Held), key(), None, 1, 0));
    assert_eq!(one("release.submitted", json!({"ok": false, "id": 1})), (Some(Held::Missed), None, None, 0, 0));
    assert_eq!(one("release.live", json!({"ok": true, "id": 1})), (Some(Held::Held), key(), key(), 1, 1), "both");
    assert_eq!(one("takedown", json!({"final": true, "release": 1, "id": 2})), (None, None, key(), 0, 1));
    assert_eq!(one("takedown", json!({"final": false, "release": 1})), (None, None, None, 0, 0));
    let (.., closes, _, on_close) = one("takedown", json!({"final": true}));
    assert_eq!((closes, on_close), (Some(Err("`$.data.release` selects nothing".into())), 0));
    assert!(judged(&rules, &event("release.rejected", "jewelmusic", json!({}))).is_empty(), "heard by nobody");
}

#[test]
fn a_closer_that_misses_leaves_its_reasons() {
    let rules = rules(
        "rules: [{name: r, events: a, case: $.x, closed_by: {events: b, when: {$.y: {gt: 1}}}, actions: {to: t}}]",
    );
    let judgement = judged(&rules, &event("b", "s", json!({"x": 1, "y": "z"}))).pop().unwrap();
    assert_eq!(judgement.closes, None);
    assert_eq!(judgement.closes_why.unwrap().held(), Held::Failed);
}

#[test]
fn otherwise_acts_when_no_other_did() {
    let rules = rules(
        "rules:
  - name: r
    events: '*'
    actions:
      - {to: always, text: a}
      - {to: many, text: b, when: {$.data.n: {gt: 10}}}
      - {to: some, text: c, when: {$.data.n: {gt: 5}}}
      - {to: few, text: d, otherwise: true}",
    );
    let acted = |n: Value| -> Vec<Held> {
        judged(&rules, &live(json!({ "n": n })))[0].actions.iter().map(|action| action.held).collect()
    };
    use Held::{Failed, Held as Acts, Missed};
    assert_eq!(acted(json!(20)), [Acts, Acts, Acts, Missed]);
    assert_eq!(acted(json!(7)), [Acts, Missed, Acts, Missed]);
    assert_eq!(acted(json!(1)), [Acts, Missed, Missed, Acts]);
    assert_eq!(acted(json!("x")), [Acts, Failed, Failed, Acts], "silence would be worse");
}

#[test]
fn keys_and_dates_of_actions_are_judged_with_them() {
    let rules = rules(
        "names: {day: $.data.day}
rules:
  - name: r
    events: '*'
    case: $.data.id
    throttle: {per: title, every: 1h}
    actions:
      - {to: a, digest: {per: $.data.artist, every: 1h}, at: 3d before day}
      - {to: b, at: 36h after $.data.day, throttle: {every: 1m}}",
    );
    let judgement = |data: Value| rules.judge(&live(data)).pop().unwrap();
    let full = judgement(json!({"id": 1, "title": "T", "artist": 5, "day": "2026-03-31"}));
    assert_eq!(full.actions[0].throttle, Some(Ok("T".into())));
    assert_eq!(full.actions[0].digest, Some(Ok("5".into())));
    assert_eq!(full.actions[1].throttle, None, "the action's own has no `per`");
    // Midnight in Berlin; 72 hours before, the clocks had not been put ahead.
    assert_eq!(full.actions[0].at, Some(Ok("2026-03-27T22:00:00Z".parse().unwrap())));
    assert_eq!(full.actions[1].at, Some(Ok("2026-04-01T10:00:00Z".parse().unwrap())));
    let empty = judgement(json!({"id": 1, "day": "soon"}));
    assert_eq!(empty.actions[0].throttle, Some(Err("`title` selects nothing".into())));
    assert_eq!(empty.actions[0].at, Some(Err("`day`: \"soon\" is not a time".into())));
}

#[test]
fn a_source_narrows_a_rule_and_a_disabled_rule_receives_nothing() {
    let rules = rules(
        "rules:
  - {name: shop, events: '*', source: shop, actions: {to: t}}
  - {name: all, events: '*', actions: {to: t}}
  - {name: off, events: '*', enabled: false, actions: {to: t}}
  - {name: own, events: fanfare.*, source: fanfare, actions: {to: t}}",
    );
    let heard = |source: &str, kind: &str| -> Vec<String> {
        let event = event(kind, source, json!({}));
        rules.judge(&event).iter().map(|judgement| judgement.rule.name.value.clone()).collect()
    };
    assert_eq!(heard("shop", "x"), ["shop", "all"]);
    assert_eq!(heard("jewelmusic", "x"), ["all"]);
    assert_eq!(heard("jewelmusic", "fanfare.unparsed"), ["all"], "and not `own`, whose source is another");
    assert_eq!(heard("fanfare", "fanfare.delivery.dead"), ["own"]);
    assert!(heard("fanfare", MISSING).is_empty(), "only its own rule receives it");
}

#[test]
fn names_are_those_of_the_files_and_else_of_the_events_source() {
    let rules = rules(
        "names: {artist: $.who, many: '$.data.x[*]'}\nrules: [{name: r, events: '*', when: title, actions: {to: t}}]",
    );
    let names = |source: &str, body: Value| Value::Object(rules.names_in(&event("x", source, body)));
    let body = json!({"who": "W", "data": {"title": "T", "artist": "A", "x": [1]}, "product": {"name": "P"}});
    assert_eq!(names("jewelmusic", body.clone()), json!({"artist": "W", "many": [1], "title": "T"}));
    assert_eq!(names("shop", body.clone()), json!({"artist": "W", "many": [1], "title": "P"}));
    assert_eq!(names("other", body.clone()), json!({"artist": "W", "many": [1], "title": null}));
    assert_eq!(
        names("other", json!({})),
        json!({"artist": null, "many": null, "title": null}),
        "known, without a value"
    );
    let held = |source: &str| rules.judge(&event("x", source, body.clone()))[0].held;
    assert_eq!((held("shop"), held("other")), (Some(Held::Held), Some(Held::Missed)));
}

#[test]
fn what_a_missing_rule_waits_for_is_reported() {
    let rules = rules(
        "rules: [{name: r, missing: {events: royalty.*, when: {$.data.final: true}, for: 35d}, on_close: {to: t, text: b},
          actions: {to: t}}]",
    );
    let one = |data: Value| rules.judge(&event("royalty.reported", "s", json!({ "data": data }))).pop().unwrap();
    assert!(one(json!({"final": true})).arrived);
    let not = one(json!({"final": false}));
    assert!(!not.arrived && not.held.is_none() && not.why.unwrap().held() == Held::Missed);
    let opening = Event::own(MISSING, "m1", NOW.parse().unwrap(), json!({}));
    let judgement = rules.judge_rule(&rules.rules[0], &opening);
    assert_eq!((judgement.held, judgement.actions.len(), judgement.on_close.len()), (Some(Held::Held), 1, 1));
    assert!(!judgement.arrived && judgement.closes.is_none());
}

#[test]
fn a_number_of_any_size_is_judged_at_once() {
    let rules =
        rules("rules: [{name: r, events: '*', when: {$.data.n: {lt: 5, gte: -1e999999999}}, actions: {to: t}}]");
    let begun = Instant::now();
    for (number, held) in [
        ("1e999999999", Held::Missed),
        ("-1e999999999", Held::Held),
        ("1e-999999999", Held::Held),
        ("4.9e0", Held::Held),
    ] {
        let data: Value = serde_json::from_str(&format!("{{\"n\": {number}}}")).unwrap();
        assert_eq!(judged(&rules, &live(data))[0].held, Some(held), "{number}");
    }
    let long: Value = serde_json::from_str(&format!("{{\"n\": {}}}", "9".repeat(900_000))).unwrap();
    assert_eq!(judged(&rules, &live(long))[0].held, Some(Held::Missed));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn an_event_that_takes_too_many_steps_fails_the_rule_that_asks_and_no_other() {
    let rules = rules(
        "rules:
  - {name: greedy, events: '*', when: {'$..*': x}, actions: {to: t}}
  - {name: modest, events: '*', when: {$.data.n: 1}, actions: {to: t}}
  - {name: often, events: '*', when: {any: [{'$.data.x[*]': a}, {'$.data.x[*]': b}, {'$.data.x[*]': c}]}, actions: {to: t}}",
    );
    let begun = Instant::now();
    let judgements_of = |data: Value| -> Vec<Option<Held>> {
        rules.judge(&live(data)).iter().map(|judgement| judgement.held).collect()
    };
    let held = judgements_of(json!({"n": 1, "x": vec![0; 60_000], "y": vec![0; 60_000]}));
    assert_eq!(held, [Some(Held::Failed), Some(Held::Held), Some(Held::Failed)]);
    assert_eq!(judgements_of(json!({"n": 1, "x": [0]}))[2], Some(Held::Missed));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn ten_thousand_rules_find_their_candidates_once_a_type() {
    let mut text = String::from("rules:\n");
    for at in 0..10_000 {
        let events = if at % 10 == 0 { "release.*".to_string() } else { format!("kind{}.x", at % 40) };
        text.push_str(&format!(
            "- {{name: r{at}, events: {events}, when: {{$.data.amount: {{gte: {at}}}}}, actions: {{to: t}}}}\n"
        ));
    }
    let rules = rules(&text);
    let event = live(json!({"amount": 500}));
    let first = rules.judge(&event);
    assert_eq!(first.len(), 1000);
    assert_eq!(first.iter().filter(|judgement| judgement.held == Some(Held::Held)).count(), 51);
    for kind in 0..5_000 {
        let mut other = event.clone();
        other.kind = format!("invented.{kind}").into();
        assert!(rules.judge(&other).is_empty(), "a sender that invents types fills no memory and misleads no rule");
    }
    assert_eq!(rules.judge(&event).len(), 1000);
}

#[test]
fn a_mute_means_the_events_it_names() {
    let rules = rules("lists: {vip: [A, B]}\nrules: [{name: r, events: '*', actions: {to: t}}]");
    let mute = |events: &[&str], when: Option<&str>| Mute {
        id: "m".into(),
        reason: "r".into(),
        by: "b".into(),
        events: events.iter().map(|event| event.to_string()).collect(),
        rule: None,
        destination: Some("t".into()),
        when: when.map(str::to_owned),
        from: NOW.parse().unwrap(),
        until: "2026-01-06T00:00:00Z".parse().unwrap(),
    };
    let accepts = |mute: &Mute, data: Value| rules.mute(mute).unwrap().accepts(&live(data));
    assert_eq!(accepts(&mute(&[], None), json!({})), Held::Held);
    assert_eq!(accepts(&mute(&["release.*", "!*.live"], None), json!({})), Held::Missed);
    let vip = mute(&["release.*"], Some("{artist: {in: vip}, $.data.n: {gt: 1}}"));
    assert_eq!(accepts(&vip, json!({"artist": "A", "n": 2})), Held::Held);
    assert_eq!(accepts(&vip, json!({"artist": "C", "n": 2})), Held::Missed);
    assert_eq!(accepts(&vip, json!({"artist": "A", "n": "x"})), Held::Failed);
    let wrong = rules.mute(&mute(&[], Some("{artst: A}"))).unwrap_err();
    assert!(wrong.contains("did you mean `artist`?"), "{wrong}");
    assert!(rules.mute(&mute(&["a,b"], None)).unwrap_err().contains("comma"));
    assert!(rules.mute(&mute(&[], Some(""))).is_err());
}

#[test]
fn a_condition_can_be_read_and_held_by_itself() {
    let rules = rules("names: {who: $.data.artist}\nrules: [{name: r, events: '*', actions: {to: t}}]");
    let condition =
        fanfare::rules::Condition::parse_text(r#"{"who": ["A", "B"], "$.data.n": 1}"#, &rules, None).unwrap();
    let (held, why) = rules.holds(&condition, &live(json!({"artist": "B", "n": 1.0})));
    assert_eq!(held, Held::Held, "{why:?}");
    assert_eq!(rules.holds(&condition, &live(json!({"artist": "B"}))).0, Held::Missed);
    let problems = fanfare::rules::Condition::parse_text("{$.data[: 1}", &rules, None).unwrap_err();
    assert!(problems.has_errors());
}
