//! Appending, and reading back in order.

use fanfare::clock::from_ms;
use fanfare::event::{Command, Entry, Event, EventId, Item, Signal, UNPARSED};
use fanfare::store::{Appended, CONFLICTS_MAX, Error};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::bench::{Bench, at, event, event_of, start};

pub async fn a_fresh_event_waits_for_the_planner_as_it_came(bench: Bench) {
    let sent = event("evt_1");
    let seq = bench.receive(sent.clone()).await;
    assert_eq!(bench.waits().await.entries, [Entry { seq, item: Item::Event(Box::new(sent)) }]);
}

pub async fn an_event_sent_twice_has_one_place(bench: Bench) {
    let seq = bench.event("evt_1").await;
    let again = bench.append(event("evt_1")).await.unwrap();
    assert_eq!(again, Appended::Duplicate { seq, conflict: false });
    assert_eq!(bench.waits().await.entries.len(), 1);
    assert!(bench.conflicts(seq).await.unwrap().is_empty());
}

pub async fn the_same_id_from_another_source_is_another_event(bench: Bench) {
    let first = bench.event("evt_1").await;
    let second = bench.receive(event_of("shop", "evt_1", json!({"type": "order.paid"}))).await;
    assert_ne!(first, second);
    for (source, seq) in [("jewelmusic", first), ("shop", second)] {
        let again = bench.append(event_of(source, "evt_1", json!({"n": 2}))).await.unwrap();
        assert_eq!(again, Appended::Duplicate { seq, conflict: true }, "{source}");
    }
}

pub async fn another_body_under_a_known_id_is_kept_and_flagged(bench: Bench) {
    let seq = bench.event("evt_1").await;
    let other = Event { received: at(9), ..event_of("jewelmusic", "evt_1", json!({"type": "track.live", "n": 2})) };
    let again = bench.append(other.clone()).await.unwrap();
    assert_eq!(again, Appended::Duplicate { seq, conflict: true });
    let kept = bench.conflicts(seq).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].of, kept[0].received, &*kept[0].raw), (seq, at(9), &*other.raw));
    assert_eq!(bench.waits().await.entries.len(), 1, "nothing acts on it");
}

pub async fn the_same_other_body_is_kept_once_and_not_without_end(bench: Bench) {
    let seq = bench.event("evt_1").await;
    let other = |n: usize| event_of("jewelmusic", "evt_1", json!({"n": n}));
    bench.append(other(0)).await.unwrap();
    bench.append(other(0)).await.unwrap();
    assert_eq!(bench.conflicts(seq).await.unwrap().len(), 1);
    for n in 1..2 * CONFLICTS_MAX {
        let again = bench.append(other(n)).await.unwrap();
        assert_eq!(again, Appended::Duplicate { seq, conflict: true }, "{n}");
    }
    assert_eq!(bench.conflicts(seq).await.unwrap().len(), CONFLICTS_MAX);
}

pub async fn a_batch_of_equal_ids_keeps_one(bench: Bench) {
    let waiting: Vec<_> = (0..40)
        .map(|n| {
            let store = bench.store.clone();
            tokio::spawn(async move { store.append(event(if n % 2 == 0 { "evt_a" } else { "evt_b" })).await.unwrap() })
        })
        .collect();
    let mut fresh = 0;
    for task in waiting {
        match task.await.unwrap() {
            Appended::Fresh(_) => fresh += 1,
            Appended::Duplicate { conflict, .. } => assert!(!conflict),
        }
    }
    assert_eq!(fresh, 2);
    assert_eq!(bench.waits().await.entries.len(), 2);
}

pub async fn places_grow_in_the_order_of_arrival(bench: Bench) {
    let mut places = Vec::new();
    for n in 0..20 {
        places.push(bench.event(&format!("evt_{n}")).await);
    }
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    let waiting: Vec<_> = bench.waits().await.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(waiting, places);
    let page = bench.waiting(start(), 7).await.unwrap().entries;
    assert_eq!(page.iter().map(|entry| entry.seq).collect::<Vec<_>>(), places[..7]);
}

pub async fn strange_ids_and_bodies_come_back_as_they_were(bench: Bench) {
    let long = "x".repeat(10_000);
    let ids = ["", "../..", "a\0b", "a\0c", "🎺", "'; DROP TABLE inbox; --", "%_*?[a-z]", &long, "A", "a"];
    for (n, id) in (0..).zip(ids) {
        let sent = event_of("jewelmusic", id, json!({"type": "t", "n": n, "text": "\u{0}\u{202e}'\"\\"}));
        let seq = bench.receive(sent.clone()).await;
        assert_eq!(bench.events(&[seq]).await.unwrap(), [(seq, sent.clone())], "{id:?}");
        assert_eq!(bench.append(sent).await.unwrap(), Appended::Duplicate { seq, conflict: false }, "{id:?}");
    }
}

pub async fn a_body_that_is_no_json_comes_back_without_value(bench: Bench) {
    for (id, raw) in [("1", &b"\xff\x00not json"[..]), ("2", b""), ("3", b"[1, 2]"), ("4", b"{\"a\": 1}")] {
        let sent = Event { kind: UNPARSED.into(), body: Value::Null, raw: raw.into(), ..event(id) };
        let seq = bench.receive(sent.clone()).await;
        assert_eq!(bench.events(&[seq]).await.unwrap(), [(seq, sent)]);
    }
}

pub async fn times_are_kept_to_the_millisecond(bench: Bench) {
    let fine: Timestamp = "2026-01-05T10:00:00.123456789Z".parse().unwrap();
    let seq = bench.receive(Event { created: fine, received: fine, ..event("evt_1") }).await;
    let found = &bench.events(&[seq]).await.unwrap()[0].1;
    assert_eq!(found.created, from_ms(fine.as_millisecond()));
    assert_eq!(found.received, from_ms(fine.as_millisecond()));
    let long_ago = Event { created: Timestamp::MIN, received: Timestamp::MAX, ..event("evt_2") };
    let seq = bench.receive(long_ago).await;
    let found = &bench.events(&[seq]).await.unwrap()[0].1;
    assert_eq!(found.created, Timestamp::MIN);
    assert_eq!(found.received, from_ms(Timestamp::MAX.as_millisecond()));
}

pub async fn numbers_keep_their_text(bench: Bench) {
    let raw = br#"{"type": "royalty.paid", "a": 1250.00, "b": 9007199254740993, "c": 1e999}"#;
    let sent = Event { raw: (*raw).into(), body: serde_json::from_slice(raw).unwrap(), ..event("evt_1") };
    let seq = bench.receive(sent).await;
    let found = &bench.events(&[seq]).await.unwrap()[0].1;
    let texts = ["a", "b", "c"].map(|name| found.body[name].to_string());
    // serde_json writes the exponent's sign out; the digits are the sender's.
    assert_eq!(texts, ["1250.00", "9007199254740993", "1e+999"]);
    assert_eq!(&*found.raw, raw);
}

pub async fn commands_and_signals_stand_in_the_same_order(bench: Bench) {
    let command =
        Item::Command(Command::CloseCase { rule: "r".into(), key: "C1".into(), by: "mia".into(), note: None });
    let signal = Item::Signal(Signal {
        kind: "fanfare.reload.failed".into(),
        rule: None,
        destination: None,
        at: at(1),
        data: Map::from_iter([("n".to_owned(), json!(1.50))]),
        from_own: false,
        died: None,
    });
    let first = bench.event("evt_1").await;
    let second = bench.tell(command.clone(), at(1)).await.unwrap();
    let third = bench.tell(signal.clone(), at(1)).await.unwrap();
    assert!(first < second && second < third);
    let entries = bench.waits().await.entries;
    assert_eq!(entries[1..], [Entry { seq: second, item: command }, Entry { seq: third, item: signal }]);
    assert!(bench.events(&[second, third]).await.unwrap().is_empty(), "they are no events");
}

pub async fn an_event_that_is_reported_has_one_place_too(bench: Bench) {
    let own = Event::own("fanfare.mute.ended", "mute-1", start(), json!({"count": 3}));
    let first = bench.tell(Item::Event(Box::new(own.clone())), start()).await.unwrap();
    let second = bench.tell(Item::Event(Box::new(own.clone())), start()).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(bench.waits().await.entries, [Entry { seq: first, item: Item::Event(Box::new(own)) }]);
}

pub async fn a_page_ends_when_its_bodies_are_large(bench: Bench) {
    let text = "x".repeat(1 << 20);
    for n in 0..12 {
        bench.receive(event_of("jewelmusic", &n.to_string(), json!({"type": "t", "text": text}))).await;
    }
    let page = bench.waits().await.entries.len();
    assert!((8..12).contains(&page), "{page}");
}

pub async fn events_are_found_by_place_and_missing_ones_left_out(bench: Bench) {
    let first = bench.event("evt_1").await;
    let second = bench.event("evt_2").await;
    let found = bench.events(&[second, 999, first]).await.unwrap();
    assert_eq!(found, [(second, event("evt_2")), (first, event("evt_1"))]);
}

pub async fn a_closed_store_answers_unavailable(bench: Bench) {
    bench.event("evt_1").await;
    bench.close().await.unwrap();
    bench.close().await.unwrap();
    assert!(matches!(bench.append(event("evt_2")).await, Err(Error::Unavailable(_))));
    assert!(matches!(bench.waiting(start(), 1).await, Err(Error::Unavailable(_))));
    assert!(matches!(bench.find_event(EventId("evt_1".into()).as_str()).await, Err(Error::Unavailable(_))));
}

pub async fn it_closes_while_those_who_read_and_write_share_its_thread(bench: Bench) {
    let read = async { while bench.waiting(start(), 1).await.is_ok() {} };
    let look = async { while bench.find_event("evt_1").await.is_ok() {} };
    let write = async { while bench.append(event("evt_1")).await.is_ok() {} };
    let ((), (), (), closed) = tokio::join!(read, look, write, bench.close());
    closed.unwrap();
}
