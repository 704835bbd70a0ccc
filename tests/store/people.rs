//! What people, the page and probes ask.

use fanfare::clock::plus;
use fanfare::delivery::{Attempt, DeliveryId, Lane, State};
use fanfare::event::{Audit, Command, Event, Item};
use fanfare::planner::{Audited, DocChange, Key, Plan, Timer};
use fanfare::store::{Appended, DeliveryFilter, EventFilter, Settlement};
use jiff::SignedDuration;
use serde_json::json;

use super::bench::{Bench, at, day, dead, delivered, delivery, due, event_of, received, retry, room, start, to};

async fn listed(bench: &Bench, filter: EventFilter) -> Vec<String> {
    let filter = EventFilter { limit: 100, ..filter };
    bench.list_events(&filter).await.unwrap().into_iter().map(|(_, event)| event.id.to_string()).collect()
}

pub async fn events_are_listed_newest_first_in_pages(bench: Bench) {
    for n in 0..7 {
        bench.event(&n.to_string()).await;
    }
    let mut filter = EventFilter { limit: 3, ..EventFilter::default() };
    let mut pages = Vec::new();
    loop {
        let page = bench.list_events(&filter).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        filter.before = Some(*last);
        pages.push(page.iter().map(|(_, event)| event.id.to_string()).collect::<String>());
    }
    assert_eq!(pages, ["654", "321", "0"]);
}

pub async fn who_reads_on_from_a_place_gets_the_oldest_first(bench: Bench) {
    for n in 0..7 {
        bench.event(&n.to_string()).await;
    }
    let mut filter = EventFilter { after: Some(1), before: Some(7), limit: 3, ..EventFilter::default() };
    let mut pages = Vec::new();
    loop {
        let page = bench.list_events(&filter).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        filter.after = Some(*last);
        pages.push(page.iter().map(|(_, event)| event.id.to_string()).collect::<String>());
    }
    assert_eq!(pages, ["123", "45"]);
    for (after, before) in [(7, None), (3, Some(3)), (5, Some(2)), (i64::MAX, None)] {
        let filter = EventFilter { after: Some(after), before, ..EventFilter::default() };
        assert!(listed(&bench, filter).await.is_empty(), "{after} {before:?}");
    }
    let all = EventFilter { after: Some(-1), ..EventFilter::default() };
    assert_eq!(listed(&bench, all).await.concat(), "0123456");
}

pub async fn events_are_filtered_by_source_type_and_time(bench: Bench) {
    let of = |source: &str, id: &str, kind: &str, seconds: i64| Event {
        received: at(seconds),
        ..event_of(source, id, json!({"type": kind}))
    };
    bench.receive(of("shop", "a", "order.paid", 0)).await;
    bench.receive(of("jewelmusic", "b", "track.live", 10)).await;
    bench.receive(of("jewelmusic", "c", "track.live.eu", 20)).await;
    bench.receive(of("jewelmusic", "d", "tracks", 30)).await;
    let none = EventFilter::default;
    let table = [
        (EventFilter { source: Some("jewelmusic".into()), ..none() }, vec!["d", "c", "b"]),
        (EventFilter { kind: Some("track.live".into()), ..none() }, vec!["b"]),
        (EventFilter { kind: Some("track.*".into()), ..none() }, vec!["c", "b"]),
        (EventFilter { kind: Some("*".into()), ..none() }, vec!["d", "c", "b", "a"]),
        (EventFilter { kind: Some("Track.*".into()), ..none() }, vec![]),
        (EventFilter { since: Some(at(10)), until: Some(at(30)), ..none() }, vec!["c", "b"]),
        (EventFilter { source: Some("shop".into()), since: Some(at(1)), ..none() }, vec![]),
    ];
    for (filter, expected) in table {
        assert_eq!(listed(&bench, filter.clone()).await, expected, "{filter:?}");
    }
}

pub async fn an_id_is_found_in_every_source(bench: Bench) {
    let first = bench.event("evt_1").await;
    let second = bench.receive(event_of("shop", "evt_1", json!({}))).await;
    bench.event("evt_2").await;
    assert!(matches!(bench.append(event_of("shop", "evt_1", json!({}))).await.unwrap(), Appended::Duplicate { .. }));
    assert_eq!(bench.find_event("evt_1").await.unwrap(), [second, first]);
    assert!(bench.find_event("evt_").await.unwrap().is_empty());
}

pub async fn deliveries_are_listed_newest_first_in_pages(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries((0..5).map(|n| delivery(&n.to_string())).collect()).await;
    let page = async |skip| {
        let filter = DeliveryFilter { skip, limit: 2, ..DeliveryFilter::default() };
        let found = bench.list_deliveries(&filter).await.unwrap();
        found.into_iter().map(|delivery| delivery.planned.id.0).collect::<String>()
    };
    assert_eq!([page(0).await, page(2).await, page(4).await, page(6).await], ["43", "21", "0", ""]);
}

pub async fn a_page_begins_before_a_delivery_whatever_changes_meanwhile(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries((0..5).map(|n| due(&n.to_string(), at(9000))).collect()).await;
    let page = async |before: &str| {
        let before = Some(DeliveryId(before.into()));
        let filter = DeliveryFilter { states: vec![State::Due], before, limit: 2, ..DeliveryFilter::default() };
        let found = bench.list_deliveries(&filter).await.unwrap();
        found.into_iter().map(|delivery| delivery.planned.id.0).collect::<String>()
    };
    assert_eq!(page("4").await, "32");
    for id in ["2", "3", "4"] {
        bench.cancel(&[DeliveryId(id.into())], "", at(1)).await.unwrap();
    }
    bench.plan_at(Plan { deliveries: vec![due("5", at(9000))], ..Plan::default() }, at(2)).await;
    assert_eq!(page("2").await, "10", "what is skipped or counted would be off by those that left");
    assert_eq!([page("0").await, page("none").await], ["", ""]);
}

pub async fn deliveries_are_filtered_by_every_field(bench: Bench) {
    bench.event("evt_1").await;
    bench.event("evt_2").await;
    let mut other = delivery("other");
    (other.rule, other.event, other.assignment.event) = ("fraud".into(), 2, 2);
    other.lane = Some(Lane("slack/C1".into()));
    bench.deliveries(vec![delivery("dead"), delivery("done"), delivery("later"), to("pager", "pager"), other]).await;
    let claims = bench.claim(start()).await.claims;
    bench.end(&claims[0], dead(), at(1)).await;
    bench.end(&claims[1], delivered(), at(1)).await;
    bench.end(&claims[2], retry(at(90)), at(1)).await;
    bench.plan_at(Plan { deliveries: vec![due("new", at(3000))], ..Plan::default() }, at(100)).await;
    let none = DeliveryFilter::default;
    let table = [
        (DeliveryFilter { states: vec![State::Dead], ..none() }, vec!["dead"]),
        (DeliveryFilter { states: vec![State::Retrying, State::Delivered], ..none() }, vec!["later", "done"]),
        (DeliveryFilter { destination: Some("pager".into()), ..none() }, vec!["pager"]),
        (DeliveryFilter { rule: Some("fraud".into()), ..none() }, vec!["other"]),
        (DeliveryFilter { events: vec![2], ..none() }, vec!["other"]),
        (DeliveryFilter { events: vec![9, 2], ..none() }, vec!["other"]),
        (DeliveryFilter { lanes: vec![Lane("slack/C1".into()), Lane("no".into())], ..none() }, vec!["other"]),
        (DeliveryFilter { lanes: vec![Lane("no".into())], ..none() }, vec![]),
        (DeliveryFilter { since: Some(at(100)), ..none() }, vec!["new"]),
        (DeliveryFilter { since: Some(at(100)), rule: Some("fraud".into()), ..none() }, vec![]),
    ];
    for (filter, expected) in table {
        assert_eq!(bench.ids(filter.clone()).await, expected, "{filter:?}");
    }
}

pub async fn a_digest_is_listed_under_each_of_its_events(bench: Bench) {
    for n in 1..=3 {
        bench.event(&n.to_string()).await;
    }
    let mut digest = delivery("digest");
    (digest.event, digest.assignment.event, digest.assignment.events) = (3, 3, vec![1, 2, 3]);
    bench.deliveries(vec![digest]).await;
    for event in 1..=3 {
        assert_eq!(bench.ids(DeliveryFilter { events: vec![event], ..DeliveryFilter::default() }).await, ["digest"]);
    }
}

pub async fn a_census_counts_what_there_is(bench: Bench) {
    bench.event("evt_1").await;
    let head = bench.event("evt_2").await;
    let all = vec![due("a", at(5)), due("b", at(7)), due("c", at(8)), due("d", at(9000))];
    let timers = vec![("t".to_owned(), Some(Timer { due: at(1), event: None, text: String::new() }))];
    bench.plan(Plan { upto: Some(1), deliveries: all, timers, ..Plan::default() }).await;
    let claims = bench.claim(at(10)).await.claims;
    bench.end(&claims[0], delivered(), at(11)).await;
    bench.end(&claims[1], retry(at(60)), at(11)).await;
    let census = bench.census().await.unwrap();
    assert_eq!((census.head, census.planned, census.timers), (head, 1, 1));
    let expected = [(State::Due, 1), (State::Sending, 1), (State::Retrying, 1), (State::Delivered, 1)];
    for (state, count) in expected.into_iter().chain([(State::Dead, 0), (State::Cancelled, 0)]) {
        assert!(census.deliveries.contains(&(state, count)), "{state}: {:?}", census.deliveries);
    }
    assert_eq!(census.oldest_due, Some(at(60)));
}

pub async fn documents_are_paged_by_id(bench: Bench) {
    let doc = |kind: &str, id: &str| DocChange {
        key: Key { kind: kind.into(), id: id.into() },
        text: Some(format!("{kind}/{id}")),
        events: Vec::new(),
    };
    let docs = vec![doc("case", "b"), doc("case", "a"), doc("case", "c"), doc("mute", "a"), doc("cas", "z")];
    bench.plan(Plan { docs, ..Plan::default() }).await;
    let page = bench.docs("case", "", 2).await.unwrap();
    assert_eq!(page, [("a".to_owned(), "case/a".to_owned()), ("b".to_owned(), "case/b".to_owned())]);
    let page = bench.docs("case", "b", 2).await.unwrap();
    assert_eq!(page, [("c".to_owned(), "case/c".to_owned())]);
    assert!(bench.docs("case", "c", 2).await.unwrap().is_empty());
}

pub async fn what_people_did_is_kept_whole_and_listed_newest_first(bench: Bench) {
    let act = |seconds: i64| Audit {
        at: at(seconds),
        by: "Ana Bé".into(),
        act: "closed".into(),
        on: "case `C/1` of rule `fraud`".into(),
        note: Some("\"live\"".into()),
        from: "page".into(),
    };
    for seconds in [0, 3600] {
        let item = Item::Command(Command::Audit(Box::new(act(seconds))));
        bench.tell(item.clone(), at(seconds)).await.unwrap();
        assert_eq!(bench.waits().await.entries.last().unwrap().item, item);
    }
    let doc = |seconds: i64| DocChange {
        key: Key { kind: "audit".into(), id: Audited::id(at(seconds)) },
        text: Some(serde_json::to_string(&Audited { acts: vec![act(seconds)], more: 0 }).unwrap()),
        events: Vec::new(),
    };
    bench.plan(Plan { docs: vec![doc(0), doc(3600), doc(600)], ..Plan::default() }).await;
    let mut found = Vec::new();
    let mut after = String::new();
    while let [(id, text)] = bench.docs("audit", &after, 1).await.unwrap().as_slice() {
        found.extend(serde_json::from_str::<Audited>(text).unwrap().acts);
        after.clone_from(id);
    }
    assert_eq!(found, [act(3600), act(600), act(0)]);
}

pub async fn destinations_wait_as_long_as_a_delivery_to_them_is_not_final(bench: Bench) {
    bench.event("evt_1").await;
    assert!(bench.waiting_destinations().await.unwrap().is_empty());
    let later = due("dlv_4", at(9000));
    bench.deliveries(vec![to("b", "dlv_1"), to("a", "dlv_2"), to("a", "dlv_3"), later]).await;
    assert_eq!(bench.waiting_destinations().await.unwrap(), ["a", "b", "slack"]);
    let claims = bench.claim_in(start(), &[room("a"), room("b")]).await.claims;
    assert_eq!(bench.waiting_destinations().await.unwrap(), ["a", "b", "slack"], "what is under way may be lost");
    bench.end(&claims[0], delivered(), at(1)).await;
    bench.end(&claims[2], dead(), at(1)).await;
    bench.cancel(&[DeliveryId("dlv_4".into())], "", at(1)).await.unwrap();
    assert_eq!(bench.waiting_destinations().await.unwrap(), ["a"]);
}

pub async fn a_mark_of_life_gives_the_one_before(bench: Bench) {
    assert_eq!(bench.alive(at(0)).await.unwrap(), None);
    assert_eq!(bench.alive(at(60)).await.unwrap(), Some(at(0)));
    // A clock that was set back is noted as it is.
    assert_eq!(bench.alive(at(30)).await.unwrap(), Some(at(60)));
    assert_eq!(bench.alive(at(90)).await.unwrap(), Some(at(30)));
}

pub async fn a_clock_that_was_set_back_keeps_no_retry_waiting(bench: Bench) {
    let event = bench.event("a").await;
    let deliveries = vec![delivery("dlv"), due("later", day(3))];
    bench.plan(Plan { upto: Some(event), deliveries, ..Plan::default() }).await;
    bench.alive(day(2)).await.unwrap();
    let claims = bench.store.claim(day(2), &[room("slack")]).await.unwrap().claims;
    let again = plus(day(2), SignedDuration::from_mins(5));
    let settlement = retry(again);
    let attempt = Attempt { at: day(2), ..settlement.attempt.clone() };
    bench.settle(&claims[0], Settlement { attempt, ..settlement }, day(2)).await.unwrap();
    let claimed = bench.store.claim(day(1), &[room("slack")]).await.unwrap();
    assert!(claimed.claims.is_empty());
    assert_eq!(bench.alive(day(1)).await.unwrap(), Some(day(2)));
    let claims = bench.store.claim(day(1), &[room("slack")]).await.unwrap().claims;
    assert_eq!(claims.len(), 1, "and what was planned for later stays");
    assert_eq!(claims[0].delivery.planned.id.as_str(), "dlv");
}

pub async fn a_clock_that_was_set_back_keeps_nothing_waiting_that_was_due(bench: Bench) {
    let event = bench.event("a").await;
    let deliveries = ["untried", "under way", "wanted"].map(|id| due(id, day(2)));
    let plan = Plan { upto: Some(event), deliveries: deliveries.into(), ..Plan::default() };
    bench.plan_at(plan, day(2)).await;
    bench.plan_at(Plan { deliveries: vec![due("later", day(3))], ..Plan::default() }, start()).await;
    bench.alive(day(2)).await.unwrap();
    let wanted = [DeliveryId("wanted".into())];
    assert_eq!(bench.cancel(&wanted, "not yet", day(2)).await.unwrap(), 1);
    assert_eq!(bench.revive(&wanted, plus(day(2), SignedDuration::from_secs(1))).await.unwrap(), 1);
    let claims = bench.claim(day(2)).await.claims;
    bench.release(&claims[0], State::Due, "held up", day(2)).await.unwrap();
    assert!(bench.claimed_ids(day(1)).await.is_empty());
    assert_eq!(bench.alive(day(1)).await.unwrap(), Some(day(2)));
    let mut ids = bench.claimed_ids(day(1)).await;
    ids.sort();
    assert_eq!(ids, ["untried", "wanted"], "not what is under way, nor what was planned for later");
    bench.settle(&claims[1], delivered(), day(1)).await.unwrap();
}

pub async fn a_probe_commits(bench: Bench) {
    bench.probe().await.unwrap();
    bench.close().await.unwrap();
    assert!(bench.probe().await.is_err());
}

pub async fn what_is_not_there_is_answered_as_nothing(bench: Bench) {
    assert_eq!(bench.delivery(&DeliveryId("dlv_none".into())).await.unwrap(), None);
    assert!(bench.whys(7).await.unwrap().is_empty());
    assert!(bench.conflicts(7).await.unwrap().is_empty());
    assert!(bench.events(&[7]).await.unwrap().is_empty());
    assert!(bench.standings().await.unwrap().is_empty());
    assert!(listed(&bench, EventFilter::default()).await.is_empty());
    let census = bench.census().await.unwrap();
    assert_eq!((census.head, census.planned, census.oldest_due), (0, 0, None));
    bench.receive(received("evt_1", at(5))).await;
    assert_eq!(bench.census().await.unwrap().head, 1);
}
