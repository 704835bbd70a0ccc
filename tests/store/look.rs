//! What people look for, and what is counted for them.

use fanfare::delivery::DeliveryId;
use fanfare::event::Event;
use fanfare::planner::why::Decision;
use fanfare::planner::{Plan, Timer};
use fanfare::store::look::{DecisionFilter, Words};
use fanfare::store::{DeliveryFilter, EventFilter};
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
    // What is not planned yet is not counted yet.
    bench.event("6").await;
    let tally = bench.tally(at(1800)).await.unwrap();
    let hours = |at: Timestamp| at.duration_since(start()).as_hours();
    let came: Vec<_> =
        tally.events.iter().map(|c| (hours(c.hour), c.source.as_str(), c.kind.as_str(), c.count)).collect();
    assert_eq!(came, [(0, "s", "a", 2), (1, "s", "b", 1), (1, "t", "b", 1)]);
    let did: Vec<_> = tally.decisions.iter().map(|d| (hours(d.hour), d.outcome.as_str(), d.count, d.last)).collect();
    assert_eq!(did, [(0, "muted", 2, at(3599)), (1, "matched", 1, at(3600))]);
    let sent: Vec<_> = tally.messages.iter().map(|sent| (hours(sent.hour), sent.count)).collect();
    assert_eq!(sent, [(0, 2)]);
    assert_eq!(bench.tally(at(3600)).await.unwrap().decisions.len(), 1, "of that hour on");
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

pub async fn the_counts_of_an_hour_grow_with_what_is_planned(bench: Bench) {
    for (id, rule) in [("1", "a"), ("2", "a"), ("3", "b")] {
        let seq = bench.event(id).await;
        let (whys, deliveries) = (vec![decision(seq, rule, "matched")], vec![delivery("d0"), delivery(id)]);
        bench.plan(Plan { whys, deliveries, upto: Some(seq), ..Plan::default() }).await;
    }
    // Planned again: there is one event more of nothing.
    bench.plan(Plan { whys: vec![decision(1, "a", "matched")], upto: Some(1), ..Plan::default() }).await;
    let tally = bench.tally(start()).await.unwrap();
    assert_eq!(tally.events.iter().map(|came| came.count).collect::<Vec<_>>(), [3]);
    assert_eq!(
        tally.decisions.iter().map(|did| (did.rule.as_str(), did.count)).collect::<Vec<_>>(),
        [("a", 3), ("b", 1)]
    );
    assert_eq!(
        tally.messages.iter().map(|sent| sent.count).collect::<Vec<_>>(),
        [4],
        "what was there is not made again"
    );
}

pub async fn what_became_of_many_events_is_answered_at_once(bench: Bench) {
    for n in 1..=4 {
        bench.event(&n.to_string()).await;
    }
    let whys = vec![decision(1, "a", "muted"), decision(1, "b", "muted"), decision(1, "c", "digest")];
    let of = |id: &str, event: i64| {
        let mut one = delivery(id);
        (one.event, one.assignment.event) = (event, event);
        one
    };
    let mut digest = of("digest", 3);
    digest.assignment.events = vec![1, 3];
    let deliveries = vec![of("x", 2), of("y", 2), of("z", 2), digest];
    bench.plan(Plan { whys, deliveries, upto: Some(4), ..Plan::default() }).await;
    let became = bench.became(&[4, 2, 1, 99], 2).await.unwrap();
    let said: Vec<String> = became
        .iter()
        .map(|(seq, became)| {
            let sent: String = became.deliveries.iter().map(|chip| format!("{} {} ", chip.id, chip.state)).collect();
            format!("{seq}: {sent}{:?}", became.outcomes)
        })
        .collect();
    assert_eq!(
        said,
        ["1: digest due {\"digest\", \"muted\"}", "2: z due y due {}", "4: {}", "99: {}"],
        "the newest, and a digest under each of its events"
    );
    assert!(bench.became(&[], 2).await.unwrap().is_empty());
}

pub async fn events_are_looked_up_by_place_and_end_early_where_they_are_large(bench: Bench) {
    const LARGE: usize = 3 << 20;
    for n in 1..=5 {
        bench.receive(written(&n.to_string(), &"x".repeat(if n == 1 { 10 } else { LARGE }))).await;
    }
    let places = async |seqs: &[i64]| {
        let found = bench.list_places(seqs).await.unwrap();
        found.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>()
    };
    assert_eq!(places(&[1, 99, 4]).await, [1, 4], "in the order asked for");
    assert_eq!(places(&[5, 4, 3, 2, 1]).await, [5, 4, 3]);
    assert_eq!(places(&[]).await, [0; 0]);
}

pub async fn deliveries_are_looked_for_among_the_newest_and_further_back(bench: Bench) {
    bench.event("1").await;
    let of = |n: usize| {
        let mut one = delivery(&n.to_string());
        one.rule = if n == 2 { "rare" } else { "often" }.into();
        one
    };
    bench.deliveries((0..7).map(of).collect()).await;
    let rare = DeliveryFilter { rule: Some("rare".into()), within: Some(3), ..DeliveryFilter::default() };
    let (mut before, mut looks) = (None, Vec::new());
    loop {
        let found = bench.ids(DeliveryFilter { before: before.clone(), ..rare.clone() }).await;
        before = bench.beyond(before.as_ref(), 3).await.unwrap();
        looks.push((found.concat(), before.as_ref().map(ToString::to_string).unwrap_or_default()));
        if before.is_none() {
            break;
        }
    }
    let looks: Vec<(&str, &str)> = looks.iter().map(|(found, next)| (found.as_str(), next.as_str())).collect();
    assert_eq!(looks, [("", "4"), ("2", "1"), ("", "")]);
    let none = DeliveryId("none".into());
    assert_eq!(bench.beyond(Some(&none), 3).await.unwrap(), None);
    assert!(bench.ids(DeliveryFilter { before: Some(none), within: Some(3), ..rare }).await.is_empty());
}
