//! What people look for, and what is counted for them.

use fanfare::event::Event;
use fanfare::planner::why::Decision;
use fanfare::planner::{Plan, Timer};
use fanfare::store::EventFilter;
use fanfare::store::look::{DecisionFilter, Words};
use jiff::Timestamp;
use serde_json::json;

use super::bench::{Bench, at, delivery, event, event_of, start};

/// The ids of what is found, and where the next look goes on.
async fn found(bench: &Bench, typed: &str) -> String {
    let words = Words::read(typed).unwrap();
    let filter = EventFilter { limit: 10, ..EventFilter::default() };
    let found = bench.search(&filter, Some(&words)).await.unwrap();
    assert_eq!(found.next, None, "all of it was looked at");
    found.events.iter().map(|(_, event)| event.id.as_str()).collect()
}

fn written(id: &str, raw: &str) -> Event {
    Event { raw: raw.as_bytes().into(), ..event(id) }
}

pub async fn words_are_found_whatever_their_case_accents_and_escapes(bench: Bench) {
    bench.receive(written("a", r#"{"type":"release.live","artist":"Ólöf Brim","title":"Lanterns"}"#)).await;
    bench
        .receive(written("b", r#"{"type":"release.live","artist":"\u00d3l\u00f6f Brim","title":"AC\/DC \"live\""}"#))
        .await;
    bench.receive(written("c", "no JSON: \u{1f980} O\u{301}lo\u{308}f, \u{416}")).await;
    for (typed, expected) in [
        ("ólöf", "cba"),
        ("OLOF", "cba"),
        ("olof lanterns", "a"),
        ("LANTERNS\tbrim", "a"),
        ("ac/dc", "b"),
        ("\"live\"", "b"),
        ("\u{1f980}", "c"),
        ("\u{436}", "c"),
        ("release.live", "ba"),
        ("release_live", ""),
        (".*", ""),
        ("nothing", ""),
    ] {
        assert_eq!(found(&bench, typed).await, expected, "{typed}");
    }
    assert!(Words::read("  \n ").is_none());
}

pub async fn looking_page_by_page_neither_skips_nor_repeats_while_events_arrive(bench: Bench) {
    for n in 0..7 {
        bench.event(&n.to_string()).await;
    }
    let mut filter = EventFilter { limit: 3, ..EventFilter::default() };
    let mut pages = Vec::new();
    for late in ["x", "y", "z"] {
        let page = bench.search(&filter, None).await.unwrap();
        pages.push(page.events.iter().map(|(_, event)| event.id.to_string()).collect::<String>());
        bench.event(late).await;
        filter.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["654", "321", "0"]);
    let filter = EventFilter { kind: Some("no.*".into()), limit: 3, ..EventFilter::default() };
    assert_eq!(bench.search(&filter, None).await.unwrap().events, []);
    let since = EventFilter { since: Some(at(1)), limit: 3, ..EventFilter::default() };
    assert_eq!(bench.search(&since, None).await.unwrap().events, []);
}

fn decision(event: i64, rule: &str, outcome: &str) -> Decision {
    Decision { event, rule: rule.into(), outcome: outcome.into(), note: "so".into(), detail: json!({"n": 1}) }
}

pub async fn what_rules_did_is_listed_by_rule_and_outcome_in_pages(bench: Bench) {
    for n in 0..3 {
        bench.event(&n.to_string()).await;
    }
    let whys = vec![
        decision(1, "a", "muted"),
        decision(1, "b", "matched"),
        decision(2, "a", "matched"),
        decision(2, "b", "muted"),
        decision(3, "a", "muted"),
    ];
    bench.plan(Plan { whys, upto: Some(3), ..Plan::default() }).await;
    let list = async |rule: Option<&str>, outcomes: &[&str], before, limit| {
        let outcomes = outcomes.iter().map(|outcome| (*outcome).to_owned()).collect();
        let filter = DecisionFilter { rule: rule.map(str::to_owned), outcomes, before, limit };
        let found = bench.decisions(&filter).await.unwrap();
        let said: String = found.list.iter().map(|one| format!("{}{} ", one.event, one.rule)).collect();
        (said, found.next)
    };
    assert_eq!(list(None, &[], None, 10).await, ("3a 2b 2a 1b 1a ".into(), None));
    assert_eq!(list(Some("a"), &[], None, 10).await, ("3a 2a 1a ".into(), None));
    assert_eq!(list(None, &["muted", "late"], None, 10).await, ("3a 2b 1a ".into(), None));
    assert_eq!(list(None, &["mute"], None, 10).await, (String::new(), None));
    assert_eq!(list(None, &[], None, 2).await, ("3a ".into(), Some(3)), "what is notified of one event stays together");
    assert_eq!(list(None, &[], Some(3), 2).await, ("2b 2a ".into(), Some(2)));
    assert_eq!(list(None, &[], Some(2), 2).await, ("1b 1a ".into(), None));
}

pub async fn what_came_is_counted_by_the_hour(bench: Bench) {
    for (id, source, kind, seconds) in
        [("1", "s", "a", -1), ("2", "s", "a", 0), ("3", "s", "a", 3599), ("4", "s", "b", 3600), ("5", "t", "b", 3600)]
    {
        let event = event_of(source, id, json!({"type": kind}));
        bench.receive(Event { received: at(seconds), ..event }).await;
    }
    let whys = vec![decision(2, "r", "muted"), decision(3, "r", "muted"), decision(4, "r", "matched")];
    let deliveries = vec![delivery("d1"), delivery("d2")];
    bench.plan(Plan { whys, deliveries, upto: Some(5), ..Plan::default() }).await;
    let tally = bench.tally(start()).await.unwrap();
    let hours = |at: Timestamp| at.duration_since(start()).as_hours();
    let came: Vec<_> =
        tally.events.iter().map(|c| (hours(c.hour), c.source.as_str(), c.kind.as_str(), c.count)).collect();
    assert_eq!(came, [(0, "s", "a", 2), (1, "s", "b", 1), (1, "t", "b", 1)]);
    let did: Vec<_> = tally.decisions.iter().map(|d| (hours(d.hour), d.outcome.as_str(), d.count, d.last)).collect();
    assert_eq!(did, [(0, "muted", 2, at(3599)), (1, "matched", 1, at(3600))]);
    let sent: Vec<_> = tally.messages.iter().map(|sent| (hours(sent.hour), sent.count)).collect();
    assert_eq!(sent, [(0, 2)]);
    assert_eq!(tally.from, 1);
    assert!(bench.tally(at(7200)).await.unwrap().events.is_empty());
}

pub async fn timers_are_listed_by_time_in_pages(bench: Bench) {
    let timer = |seconds| Timer { due: at(seconds), event: None, text: "{}".into() };
    let timers = [("b", 20), ("a", 20), ("c", 10)].map(|(id, due)| (id.to_owned(), Some(timer(due)))).to_vec();
    bench.plan(Plan { timers, ..Plan::default() }).await;
    let mut after = (Timestamp::MIN, String::new());
    let mut pages = Vec::new();
    loop {
        let page = bench.timers((after.0, &after.1), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = (last.timer.due, last.id.clone());
        pages.push(page.iter().map(|timer| timer.id.as_str()).collect::<String>());
    }
    assert_eq!(pages, ["ca", "b"]);
}
