//! Links that are none: guesses, pieces, other keys. And where no token may stand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare::clock::VirtualClock;
use fanfare::steps::Bounds;

use super::desk::{Desk, RULES};
use crate::support::app::{App, live};
use crate::support::cli::fanfare;
use crate::support::flawed::{Fate, Flawed};
use crate::support::raw::Connection;

/// The same bytes with one of them changed.
fn altered(link: &str, at: usize) -> String {
    let token = link.strip_prefix("/act/").unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    bytes[at] ^= 1;
    format!("/act/{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test]
async fn what_is_no_link_of_this_store_does_nothing_and_says_nothing() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let one = desk.link("close");
    desk.send("evt_2", "fraud.opened", "C2").await;
    let two = desk.link("close");
    let bytes = |link: &str| URL_SAFE_NO_PAD.decode(link.strip_prefix("/act/").unwrap()).unwrap();
    // The id of one case under the code of another.
    let spliced = [&bytes(&one)[..20], &bytes(&two)[20..]].concat();
    let wrong = [
        one[..one.len() - 1].to_owned(),
        format!("{one}A"),
        format!("{one}/"),
        altered(&one, 0),
        altered(&one, 19),
        altered(&one, 35),
        format!("/act/{}", URL_SAFE_NO_PAD.encode(spliced)),
        format!("/act/{}", URL_SAFE_NO_PAD.encode([0; 36])),
        "/act/x".to_owned(),
        "/act/%00".to_owned(),
    ];
    let mut pages = Vec::new();
    for link in &wrong {
        for page in [desk.look(link).await, desk.confirm(link, "Eve").await] {
            assert_eq!(page.status, 404, "{link}: {}", page.text());
            pages.push(page.text());
        }
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "one page for all of them");
    assert!(pages[0].contains("This link does not work") && !pages[0].contains("C1"), "{}", pages[0]);
    desk.planned().await;
    assert_eq!((desk.open().await.len(), desk.audit().await.len()), (2, 0));
    desk.app.end().await;
}

#[tokio::test]
async fn ten_thousand_guesses_cost_no_look_into_the_store() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let real = desk.link("acknowledge");
    let folder = desk.app.end().await;
    let looks = Arc::new(AtomicUsize::new(0));
    let seen = looks.clone();
    let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
    let mut second = Arc::into_inner(live(&folder, Bounds::default(), Arc::new(clock)).await).unwrap();
    second.store = Arc::new(Flawed::loading(&second.store, move |keys| {
        seen.fetch_add(usize::from(keys.one.iter().any(|key| key.kind.starts_with("link"))), Ordering::SeqCst);
        Fate::Well
    }));
    let app = App::start_live(folder, Arc::new(second)).await;
    let mut connection = Connection::open(app.webhooks).await;
    for guess in 0..10_000u32 {
        let mut bytes = [7; 36];
        bytes[16..20].copy_from_slice(&1u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&guess.to_be_bytes());
        let request = format!("GET /act/{} HTTP/1.1\r\nHost: x\r\n\r\n", URL_SAFE_NO_PAD.encode(bytes));
        assert!(connection.send(request.as_bytes()).await);
        assert_eq!(connection.answer().await.status, 404);
    }
    let looks_of_guesses = looks.load(Ordering::SeqCst);
    assert!(looks_of_guesses <= 2, "{looks_of_guesses} looks");
    assert!(connection.send(format!("GET {real} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await);
    assert_eq!(connection.answer().await.status, 200, "the real one works meanwhile");
    assert!(looks.load(Ordering::SeqCst) > looks_of_guesses);
    app.end().await;
}

#[tokio::test]
async fn rotating_ends_all_links_at_once_and_new_messages_carry_new_ones() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let old = desk.link("acknowledge");
    assert_eq!(desk.look(&old).await.status, 200);
    fanfare(&desk.app, &["links", "rotate", "--by", "ana"]).await.good_with("all links are ended");
    desk.planned().await;
    assert_eq!(desk.look(&old).await.status, 404);
    assert_eq!(desk.confirm(&old, "Nadia").await.status, 404);
    desk.passes(2).await;
    let new = desk.link("acknowledge");
    assert_ne!(new, old);
    assert_eq!(desk.look(&new).await.status, 200);
    let expected = ["ana", "rotated", "the key of all links", "command"].map(str::to_owned);
    assert_eq!(desk.audit().await, [expected]);
    desk.app.end().await;
}

#[tokio::test]
async fn a_key_gives_way_after_a_month_and_its_links_work_on_until_they_expire() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    desk.passes(30 * 24 - 2).await;
    let old = desk.link("acknowledge");
    desk.passes(4).await;
    let new = desk.link("acknowledge");
    assert_ne!(new, old, "made with another key");
    for link in [&old, &new] {
        assert_eq!(desk.look(link).await.status, 200);
    }
    desk.passes(7 * 24).await;
    assert_eq!(desk.look(&old).await.status, 404);
    assert_eq!(desk.look(&new).await.status, 200, "the reminders since then carry the same");
    desk.app.end().await;
}

#[tokio::test]
async fn no_token_stands_where_people_look() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let tokens: Vec<String> = ["acknowledge", "close", "mute 1h"]
        .map(|does| desk.link(does).strip_prefix("/act/").unwrap().to_owned())
        .into();
    let list = desk.app.json("/api/v1/deliveries").await;
    let id = list[0]["id"].as_str().unwrap();
    let mut seen = vec![list.to_string()];
    for path in ["/api/v1/events/evt_1", "/api/v1/cases/fraud%2FC1", "/api/v1/audit", "/api/v1/status"] {
        seen.push(desk.app.json(path).await.to_string());
    }
    let delivery = desk.app.json(&format!("/api/v1/deliveries/{id}")).await.to_string();
    assert!(delivery.contains("/act/•••"), "{delivery}");
    seen.push(delivery);
    for path in
        [format!("/deliveries/{id}"), "/events/1".into(), "/cases/fraud%2FC1".into(), "/".into(), "/metrics".into()]
    {
        seen.push(desk.app.ask("GET", &path).await.text());
    }
    seen.push(fanfare(&desk.app, &["events", "export"]).await.good());
    let preview = fanfare(&desk.app, &["deliveries", "show", id]).await.good();
    seen.push(preview);
    let folder = desk.app.end().await;
    for entry in std::fs::read_dir(folder.file("data")).unwrap() {
        seen.push(String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned());
    }
    for (token, text) in tokens.iter().flat_map(|token| seen.iter().map(move |text| (token, text))) {
        assert!(!text.contains(token.as_str()), "{token} stands in {text}");
    }
}
