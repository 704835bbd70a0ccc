//! What judging may take: no test, and no number of rules, holds up what comes behind.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fanfare::rules::check::EXCEEDED;
use serde_json::{Value, json};

use super::*;

/// Far more than any machine takes; without budgets some of these take minutes.
const BEARABLE: Duration = Duration::from_secs(30);

/// The largest event: long texts, and lists of many values.
fn large() -> Event {
    let mut dice = fastrand::Rng::with_seed(1);
    let digits: String = (0..300_000).map(|_| if dice.bool() { '0' } else { '1' }).collect();
    let accents = "ÉÀ".repeat(50_000);
    let names: Vec<String> = (0..20_000).map(|n| format!("Artist {n}")).collect();
    let deep = (0..100).fold(json!([1, 2, 3]), |inner, _| json!([inner, 1]));
    live(json!({"digits": digits, "accents": accents, "names": names, "long": [accents], "deep": deep}))
}

/// A rule with this many times the same test.
fn rule(on: &str, test: &str, times: usize) -> String {
    let mut all = String::new();
    for _ in 0..times {
        write!(all, "{{{on}: {test}}}, ").unwrap();
    }
    format!("rules: [{{name: r, events: '*', when: {{any: [{all}]}}, actions: {{to: t}}}}]")
}

fn many(of: impl Fn(usize) -> String) -> String {
    let all: Vec<String> = (0..50).map(of).collect();
    format!("[{}]", all.join(", "))
}

#[test]
fn the_dearest_tests_on_the_largest_event_fail_within_bearable_time() {
    let event = large();
    let near = many(|n| format!("'artist {n}x'"));
    let times = many(|n| format!("'2026-01-{:02}'", n % 28 + 1));
    let cases = [
        ("$.data.digits", "{matches: '(?:[01]{1,40}){1,40}x'}".to_owned()),
        ("$.data.digits", "{matches: '[01]*1[01]{200}x'}".into()),
        ("$.data.digits", "{glob: '*0*1*0*1*0*1*0*1*0*1*x'}".into()),
        ("$.data.accents", "{contains: é!, ignore_case: true}".into()),
        ("$.data.accents", "{length: 1}".into()),
        ("$.data.long", "{contains: é!, ignore_case: true}".into()),
        ("$.data.long", "{eq: [é]}".into()),
        ("'$.data.names[*]'", format!("{{in: {near}}}")),
        ("'$.data.names[*]'", format!("{{in: {times}}}")),
        ("'$.data.names[*]'", "{every: {ends_with: x}}".into()),
        ("'$..*'", "{matches: 'x{50}'}".into()),
        ("\"$..[?search(@, '(?:[01]{1,20}){1,20}x')]\"", "1".into()),
    ];
    for (on, test) in cases {
        let rules = rules(&rule(on, &test, 100));
        let began = Instant::now();
        let judgement = rules.judge(&event).pop().unwrap();
        let took = began.elapsed();
        assert_eq!(judgement.held, Some(Held::Failed), "{on} {test}");
        assert!(json!(judgement.why).to_string().contains(EXCEEDED), "{on} {test}");
        assert!(took < BEARABLE, "{on} {test}: {took:?}");
    }
}

#[test]
fn a_light_pattern_reads_a_long_text_to_its_end() {
    let mut event = large();
    event.body["data"]["digits"] = (event.body["data"]["digits"].as_str().unwrap().to_owned() + " (Remix)").into();
    for test in ["{matches: '\\bremix\\b', ignore_case: true}", "{matches: 'R[a-e]mix'}", "{contains: Remix}"] {
        let rules = rules(&rule("$.data.digits", test, 1));
        assert_eq!(rules.judge(&event)[0].held, Some(Held::Held), "{test}");
    }
}

#[test]
fn all_rules_together_have_a_budget_and_those_that_ask_little_still_come_out() {
    let mut text = String::from("rules:\n");
    for number in 0..300 {
        let when = format!("{{$.data.digits: {{matches: '{}'}}}}", "y".repeat(60));
        writeln!(text, "  - {{name: r{number}, events: '*', when: {when}, actions: {{to: t}}}}").unwrap();
    }
    text.push_str("  - {name: last, events: '*', actions: {to: t}}\n");
    let (rules, event) = (rules(&text), large());
    let began = Instant::now();
    let judged = rules.judge(&event);
    assert!(began.elapsed() < 2 * BEARABLE, "{:?}", began.elapsed());
    assert_eq!(judged.len(), 301);
    super::assert_matches_agree(&rules, &event);
    assert_eq!(judged.last().unwrap().held, Some(Held::Held));
    assert_eq!((judged[0].held, judged[299].held), (Some(Held::Missed), Some(Held::Failed)));
}

#[test]
fn reasons_stay_small_whatever_stands_in_the_event() {
    let wide: Value = (0..50).map(|n| (format!("{n}{}", "k".repeat(200)), json!(vec!["v".repeat(500); 30]))).collect();
    let event = live(json!({"wide": [wide], "number": 1}));
    let rules = rules(&rule("$.data", "{contains: x}", 1));
    let why = json!(rules.judge(&event)[0].why).to_string();
    assert!(why.len() < 8_000, "{} bytes", why.len());
    let mut event = event;
    event.body["data"]["number"] = serde_json::from_str(&"7".repeat(100_000)).unwrap();
    let rules = super::rules(&rule("$.data.number", "{lt: 5}", 1));
    let why = json!(rules.judge(&event)[0].why).to_string();
    assert!(why.len() < 2_000, "{} bytes", why.len());
}
