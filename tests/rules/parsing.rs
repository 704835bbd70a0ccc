//! What is read of files: shared words, ids of actions, defaults, facts, and that no text makes the reader fall.

use fanfare::delivery::{Say, Severity};
use fanfare::rules::keys;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

#[test]
fn five_mistakes_are_five_problems() {
    let path = cases("error").into_iter().find(|path| path.ends_with("five-mistakes.yaml")).unwrap();
    let (_, problems) = read(&[&fs::read_to_string(path).unwrap()], None);
    assert_eq!(problems.count(), (5, 0), "{}", report(&problems));
}

#[test]
fn all_files_are_read_whatever_is_wrong_with_one() {
    let (rules, problems) = read(
        &[
            "rules: [{name: good, events: a, actions: {to: t}}]",
            "rules: [{name: bad, events: a, actons: {to: t}}]",
            "rules: [\n",
            "",
            "# nothing yet\n",
        ],
        None,
    );
    assert_eq!(rules.rules.len(), 1);
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    assert!(codes.contains(&"unknown-key") && codes.contains(&"syntax"), "{codes:?}");
}

#[test]
fn words_are_shared_over_files_and_defined_once() {
    let shared = "names: {who: $.data.artist}\nlists: {vip: [A]}\nhours: {awake: {from: '08:00', to: '22:00'}}";
    let using = "rules: [{name: r, events: '*', when: {who: {in: vip}}, hours: awake, actions: {to: t}}]";
    let (_, problems) = read(&[using, shared], Some("UTC"));
    assert!(problems.is_empty(), "{}", report(&problems));
    let (_, problems) = read(&[using, shared, shared], Some("UTC"));
    let twice: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert_eq!(twice.len(), 3, "{twice:?}");
    for problem in twice {
        assert!(problem.contains("rules/1.yaml") && problem.contains("rules/2.yaml"), "both places: {problem}");
    }
    let (_, problems) = read(&[using, shared, using], Some("UTC"));
    assert!(report(&problems).contains("two rules have the name `r`"), "{}", report(&problems));
}

#[test]
fn what_a_broken_word_breaks_is_not_reported_again() {
    let text = "names: {who: '$.data['}\nlists: {vip: x}\nhours: {awake: {from: '8', to: '22:00'}}
rules: [{name: r, events: '*', when: {who: {in: vip}}, hours: awake, case: who, actions: {to: t}}]";
    let (_, problems) = read(&[text], Some("UTC"));
    assert_eq!(problems.count().0, 3, "{}", report(&problems));
}

fn ids(rules: &RuleSet) -> Vec<String> {
    rules.rules[0].all_actions().map(|action| action.id.clone()).collect()
}

#[test]
fn an_action_is_known_by_what_it_says_and_when_not_by_its_place() {
    let one = "{to: a, text: Hello, after: 2h}";
    let two = "{to: b, message: m, when: {$.x: {gte: 1, lt: 2}}}";
    let set = |actions: &str| rules(&format!("rules: [{{name: r, events: '*', case: $.x, actions: [{actions}]}}]"));
    let before = ids(&set(&format!("{one}, {two}")));
    let moved = ids(&set(&format!("{two}, {{name: new, to: c}}, {one}")));
    assert_eq!([&before[0], &before[1]], [&moved[2], &moved[0]]);
    assert_eq!(moved[1], "new");
    let rewritten = ids(&set(
        "{after: 120m, text: \"Hello\", to: [a, d]}, {to: b, message: m, when: {'$.x': {\"gte\": 1, lt: 2}}}",
    ));
    assert_eq!(before, rewritten, "formatting and destinations make no other action");
    for other in ["{to: a, text: Hallo, after: 2h}", "{to: a, text: Hello, after: 3h}", "{to: a, text: Hello}"] {
        assert_ne!(ids(&set(other))[0], before[0], "{other}");
    }
    let alike = ids(&set("{to: a, message: m}, {to: b, message: m}"));
    let swapped = ids(&set("{to: b, message: m}, {to: a, message: m}"));
    assert_eq!([&alike[0], &alike[1]], [&swapped[1], &swapped[0]]);
    assert_ne!(alike[0], alike[1]);
}

#[test]
fn a_rule_gives_its_actions_what_they_don_t_say() {
    let rules = rules(
        "hours: {awake: {from: '08:00', to: '22:00'}}
rules:
  - name: r
    events: '*'
    case: $.x
    throttle: {per: $.x, max: 3, every: 10m, rest: digest}
    hours: awake
    on_close: {to: t, text: Bye}
    actions:
      - {to: a}
      - {to: b, throttle: {every: 1h}, hours: always, severity: critical, text: x}",
    );
    let [first, second] = &rules.rules[0].actions[..] else { panic!() };
    let throttle = first.throttle.as_ref().unwrap();
    assert_eq!((throttle.max, throttle.every, throttle.rest_digest), (3, SignedDuration::from_mins(10), true));
    assert!(matches!(first.hours, Some(HoursChoice::Within(_))) && first.say.value == Say::Default);
    let throttle = second.throttle.as_ref().unwrap();
    assert_eq!((throttle.max, throttle.rest_digest), (1, false));
    assert!(matches!(second.hours, Some(HoursChoice::Always)) && second.severity == Some(Severity::Critical));
    let close = &rules.rules[0].on_close[0];
    assert!(close.throttle.is_none() && close.hours.is_none(), "a close goes at once");
}

#[test]
fn facts_for_check_have_their_places() {
    let rules = rules(
        "names: {who: $.data.artist}
rules:
  - name: r
    events: [a.*, '!a.b']
    when: {who: A, $.data.n: {gt: 1}}
    case: $.data.id
    closed_by: {events: c, when: $.data.final}
    throttle: {per: who, every: 1h}
    actions: {to: [t, u]}
mutes: [{destination: v, until: 2026-12-24}]",
    );
    let rule = rules.rule("r").unwrap();
    let at = |place: &fanfare::problem::Location| format!("{}:{}", place.line(), place.column());
    let names: Vec<String> =
        rule.names().iter().map(|name| format!("{} {}", name.text, at(name.place.as_ref().unwrap()))).collect();
    assert_eq!(names, ["who 5:12", "$.data.n 5:20", "$.data.id 6:11", "who 8:21"]);
    let to: Vec<&str> = rules.destinations().map(|to| to.value.as_str()).collect();
    assert_eq!(to, ["t", "u", "v"]);
}

/// A file in which the mapping of this name has one key more.
fn with_an_unknown_key(mapping: &str) -> String {
    let rule = |body: &str| format!("rules: [{{name: r, {body}}}]");
    let actions = "actions: {to: t}";
    match mapping {
        "file" => format!("{}\nzzzzzzzzzzzz: 1", rule(&format!("events: a, {actions}"))),
        "rule" => rule(&format!("events: a, {actions}, zzzzzzzzzzzz: 1")),
        "action" => rule("events: a, actions: {to: t, zzzzzzzzzzzz: 1}"),
        "closed_by" => rule(&format!("events: a, case: $.x, closed_by: {{events: b, zzzzzzzzzzzz: 1}}, {actions}")),
        "missing" => rule(&format!("missing: {{events: b, for: 1d, zzzzzzzzzzzz: 1}}, {actions}")),
        "threshold" => rule(&format!("events: a, threshold: {{count: 2, within: 1d, zzzzzzzzzzzz: 1}}, {actions}")),
        "sum" => rule(&format!("events: a, sum: {{of: $.a, window: day, zzzzzzzzzzzz: 1}}, {actions}")),
        "flood" => rule(&format!("events: a, flood: {{times: 10, zzzzzzzzzzzz: 1}}, {actions}")),
        "throttle" => rule(&format!("events: a, throttle: {{every: 1d, zzzzzzzzzzzz: 1}}, {actions}")),
        "digest" => rule(&format!("events: a, digest: {{every: 1d, zzzzzzzzzzzz: 1}}, {actions}")),
        "attach" => rule(
            "events: a, digest: {every: 1d}, actions: {to: t, attach: {csv: a.csv, columns: {A: $.a}, zzzzzzzzzzzz: 1}}",
        ),
        "hours" => rule(&format!("events: a, hours: {{days: mon, zzzzzzzzzzzz: 1}}, {actions}")),
        "mute" => format!(
            "{}\nmutes: [{{rule: r, until: 2026-12-24, zzzzzzzzzzzz: 1}}]",
            rule(&format!("events: a, {actions}"))
        ),
        other => panic!("no example of {other}"),
    }
}

#[test]
fn the_tables_of_keys_are_what_the_reader_takes() {
    for mapping in keys::ALL {
        let (_, problems) = read(&[&with_an_unknown_key(mapping.name)], Some("UTC"));
        let unknown: Vec<_> = problems.iter().collect();
        let [problem] = unknown[..] else { panic!("{}: {}", mapping.name, report(&problems)) };
        let hint = problem.hint.clone().unwrap();
        let mut taken: Vec<&str> =
            hint.trim_start_matches("known: ").split(", ").map(|key| key.trim_matches('`')).collect();
        let mut listed: Vec<&str> = mapping.keys.iter().map(|key| key.name).collect();
        // Taken only to say that tests stand elsewhere.
        taken.retain(|key| *key != "tests");
        taken.sort_unstable();
        listed.sort_unstable();
        assert_eq!(taken, listed, "{}", mapping.name);
        assert!(mapping.keys.iter().all(|key| !key.doc.ends_with('.') && !key.takes.words().is_empty()));
    }
}

#[test]
fn a_mute_in_a_file_has_an_id_of_what_it_says() {
    let text = |until: &str| {
        format!("rules: [{{name: r, events: '*', actions: {{to: t}}}}]\nmutes: [{{rule: r, until: {until}}}]")
    };
    let mute = |until: &str| rules(&text(until)).mutes.pop().unwrap().mute;
    assert_eq!(mute("2026-12-24").id, mute("2026-12-24").id);
    assert_ne!(mute("2026-12-24").id, mute("2026-12-25").id);
    // Midnight in Berlin.
    assert_eq!(mute("2026-12-24").until, "2026-12-23T23:00:00Z".parse().unwrap());
}

/// Pieces that rules are made of, so that random files come near to being right.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "rules:",
        "names:",
        "- ",
        "name: r",
        "events: a.*",
        "when:",
        "any:",
        "not:",
        "$.data.x",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "gte: 1",
        "\n",
        "\n  ",
        "\n    ",
        "actions:",
        "to: t",
        "case: $.x",
        "throttle:",
        "every: 1h",
        "hours:",
        "'",
        "\"",
        " #",
        "null",
        "ignore_case: true",
        "matches: '('",
        "count: 0",
        "at: 3d before $.x",
        "é",
        "\t",
        ",",
        "*",
        "!x",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_file_makes_the_reader_fall(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        let (rules, problems) = read(&[&text, "rules: [{name: r, events: '*', actions: {to: t}}]"], None);
        for problem in problems.iter() {
            problem.render(false);
        }
        rules.judge(&live(json!({"x": text})));
    }

    #[test]
    fn no_condition_makes_the_reader_fall(
        key in prop::sample::select(vec!["any", "not", "all", "$.data", "$..*", "$.data[*]", "title"]),
        test in "[\\[\\]{}:,a-z0-9 '\"$.*_-]{0,30}",
        data in "\\PC{0,20}",
    ) {
        let rules = rules("rules: [{name: r, events: '*', actions: {to: t}}]");
        if let Ok(condition) = fanfare::rules::Condition::parse_text(&format!("{key}: {test}"), &rules, None) {
            rules.holds(&condition, &live(json!([data])));
        }
    }

    #[test]
    fn hours_are_never_wrong_about_the_next_opening(
        days in 1u8..128, from in 0i32..1440, to in 0i32..1440, at in 1_700_000_000i64..1_900_000_000,
    ) {
        let time = |minutes: i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        prop_assume!(from != to);
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let days: Vec<&str> = (0..7).filter(|day| days & (1 << day) != 0).map(|day| names[day]).collect();
        let file = json!({"rules": [{"name": "r", "events": "*", "actions": {"to": "t"},
            "hours": {"days": days, "from": time(from), "to": time(to)}}]});
        let (set, problems) = read(&[&file.to_string()], Some("America/New_York"));
        prop_assert!(problems.is_empty());
        let Some(HoursChoice::Within(hours)) = &set.rules[0].actions[0].hours else { panic!() };
        let at = Timestamp::from_second(at).unwrap();
        if let Some(opens) = hours.closed_until(at) {
            prop_assert!(opens > at);
            // In the gap a window of a few minutes may be lost with its day, but not two days of a week.
            prop_assert!(opens.duration_since(at) < SignedDuration::from_hours(15 * 24));
            prop_assert_eq!(hours.closed_until(opens), None);
            let mut before = at;
            while before < opens {
                prop_assert!(hours.closed_until(before).is_some(), "open already at {}", before);
                before += SignedDuration::from_mins(97);
            }
        }
    }
}
