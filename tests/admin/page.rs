//! The page: whatever senders and receivers say stays text.

use super::desk::Desk;
use super::{delivery, start};
use crate::support::app::{App, eventually};
use crate::support::cli::run;
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::raw::exchange;
use serde_json::json;

/// Markup that would show itself in a browser, in every place where a sender writes.
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}{% raw %}&lt;\u{202e}";

fn assert_harmless(page: &str) {
    for markup in ["<script>", "<img", "onerror=alert(2)>", "49{%"] {
        assert!(!page.contains(markup), "`{markup}` in:\n{page}");
    }
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "{page}");
}

async fn page(app: &App, path: &str) -> String {
    let answer = app.ask("GET", path).await;
    assert!(matches!(answer.status, 200 | 400 | 404), "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    answer.text()
}

#[tokio::test]
async fn hostile_values_stay_text_on_every_page() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    peer.always(Answer::status(400).body(format!("<h1>{HOSTILE}</h1>")));
    let mut body = serde_json::json!({"id": HOSTILE, "type": HOSTILE, "data": {"title": HOSTILE}});
    body["data"][HOSTILE] = HOSTILE.into();
    assert_eq!(app.send(&body.to_string()).await.status, 200);
    // The same id with another body is shown too.
    body["data"]["title"] = format!("{HOSTILE} again").into();
    assert_eq!(app.send(&body.to_string()).await.status, 200);
    assert_eq!(app.send(HOSTILE).await.status, 200, "and a body that is not JSON");
    let id = eventually("dead", async || {
        let dead = app.json("/api/v1/deliveries?state=dead").await;
        dead[1]["id"].as_str().map(str::to_owned)
    })
    .await;
    app.live.stale.store(std::sync::Arc::new(Some(HOSTILE.into())));
    let event = page(&app, "/events/1").await;
    assert!(event.contains("&lt;script&gt;alert(1)"), "it is shown, escaped: {event}");
    for path in [
        "/",
        "/events",
        "/deliveries?state=dead",
        "/events/1",
        "/events/2",
        &format!("/deliveries/{id}"),
        "/rules",
        "/upcoming",
        "/destinations",
        "/cases",
        "/mutes",
        "/audit",
        "/login",
    ] {
        assert_harmless(&page(&app, path).await);
    }
    let encoded = "%22%27%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%3Cimg%20src=x%20onerror=alert(2)%3E";
    for path in [
        "/deliveries?state=",
        "/deliveries?rule=",
        "/events?type=",
        "/events?q=",
        "/events?rule=",
        "/events?since=",
        "/events/",
        "/deliveries/",
        "/mutes?events=",
        "/mutes?rule=",
        "/cases?rule=",
        "/login?wrong=",
    ] {
        assert_harmless(&page(&app, &format!("{path}{encoded}")).await);
    }
    app.end().await;
}

#[tokio::test]
async fn what_needs_a_person_stands_first() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    assert!(!page(&app, "/").await.contains("Needs a person"));
    delivery(&app, &peer, "evt_1", "delivered").await;
    let dead = delivery(&app, &peer, "evt_2", "dead").await;
    let home = page(&app, "/").await;
    let (needs, all) = (home.find("Needs a person").unwrap(), home.find("<h2>What came").unwrap());
    assert!(needs < all && home[needs..all].contains(&dead), "{home}");
    app.end().await;
}

/// Presses a button of the page, as somebody who gave no name.
async fn press(app: &App, path: &str) -> crate::support::raw::Answer {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 3\r\nConnection: close\r\n\r\nby=",
        app.admin
    );
    exchange(app.admin, request.as_bytes()).await
}

#[tokio::test]
async fn the_button_retries() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let dead = delivery(&app, &peer, "evt_1", "dead").await;
    assert!(
        page(&app, &format!("/deliveries/{dead}")).await.contains(&format!(r#"formaction="/deliveries/{dead}/retry""#))
    );
    let answer = press(&app, &format!("/deliveries/{dead}/retry")).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(format!("/deliveries/{dead}").as_str())));
    eventually("delivered", async || {
        page(&app, &format!("/deliveries/{dead}")).await.contains("state delivered").then_some(())
    })
    .await;
    assert!(!page(&app, &format!("/deliveries/{dead}")).await.contains("/retry\""), "what is delivered is not retried");
    app.end().await;
}

#[tokio::test]
async fn every_link_on_the_page_leads_somewhere() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    delivery(&app, &peer, "evt_1", "delivered").await;
    delivery(&app, &peer, "evt_2", "dead").await;
    let mut seen = std::collections::BTreeSet::from(["/".to_owned()]);
    let mut waiting = vec!["/".to_owned()];
    while let Some(path) = waiting.pop() {
        let answer = app.ask("GET", &path).await;
        assert_eq!(answer.status, 200, "{path}");
        for link in answer.text().split("href=\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(link, _)| link)
        {
            let link = link.replace("&amp;", "&").replace("&#x2f;", "/");
            // The icon stands in the page itself.
            assert!(
                link.starts_with('/') || link.starts_with("data:image/") || link == "#main",
                "{path} links to {link}"
            );
            if link.starts_with('/') && seen.insert(link.clone()) {
                waiting.push(link);
            }
        }
    }
    assert!(seen.len() > 6, "{seen:?}");
    app.end().await;
}

#[tokio::test]
async fn an_event_makes_a_sample_and_a_test_that_passes() {
    let rules = "rules:
  - {name: large, events: 'royalty.*', when: {$.data.amount: {gte: 1000}}, actions: {to: ledger, text: '{{ data.title }} pays'}}
  - {name: small, events: 'royalty.*', when: {$.data.amount: {lt: 1000}}, actions: {to: heads}}
  - {name: never, events: 'track.*', actions: {to: heads}}
";
    let desk = Desk::start(rules).await;
    let shown = page(&desk.app, "/rules").await;
    assert_eq!(shown.matches("no test").count(), 3);
    assert!(shown.contains("It acts on events <code>track.*</code>."), "{shown}");
    let data = json!({"amount": 5000.10, "title": "\"Lanterns\": 'a' * {{ b }} #1"});
    desk.send("evt_1", "royalty.paid", data.clone()).await;
    desk.send("evt_2", "track.x", data).await;
    desk.send("evt_3", "release.live", json!({})).await;
    let shown = page(&desk.app, "/events/evt_1/evidence").await;
    assert!(shown.contains("samples/royalty.paid.json") && shown.contains("rules: [large]"), "{shown}");
    assert!(page(&desk.app, "/events/evt_1").await.contains("/events/1/evidence"));
    for (event, kind) in [("evt_1", "royalty.paid"), ("evt_2", "track.x"), ("evt_3", "release.live")] {
        let sample = desk.app.ask("GET", &format!("/events/{event}/sample.json")).await.text();
        assert_eq!(sample, format!("{:#}\n", desk.app.json(&format!("/api/v1/events/{event}")).await["body"]));
        desk.app.folder.write(&format!("samples/{kind}.json"), &sample);
        let test = desk.app.ask("GET", &format!("/events/{event}/test.yaml")).await.text();
        desk.app.folder.write(&format!("rules/{kind}.test.yaml"), &test);
    }
    let config = desk.app.folder.file("fanfare.yaml");
    let config = config.to_str().unwrap();
    let tested = run(&[], &["--config", config, "test"]).await;
    assert!(tested.code == 0 && tested.out.contains("3 tests"), "{tested:?}");
    let explained = run(&[], &["--config", config, "explain", "royalty.paid", "--rule", "large"]).await;
    assert!(explained.code == 0 && explained.out.contains("5000.1"), "{explained:?}");
    assert_eq!(page(&desk.app, "/rules").await.matches("no test").count(), 1, "only `small` is in no test");
    desk.app.folder.write("rules/main.yaml", &rules.replace("gte: 1000", "gte: 9000"));
    let tested = run(&[], &["--config", config, "test"]).await;
    assert!(tested.code == 1 && tested.out.contains("expected, and not sent"), "the test can fail: {tested:?}");
    let own = page(&desk.app, "/events/none/evidence").await;
    assert!(own.contains("there is no event"), "{own}");
    desk.app.end().await;
}

#[tokio::test]
async fn the_closed_cases_are_those_that_closed_whatever_their_notes_say() {
    let rules = "rules:
  - name: fraud
    events: opened
    case: $.data.key
    closed_by: closed
    actions: {to: ledger, text: open}
  - {name: quiet, missing: {events: beat, for: 90d}, actions: {to: ledger, text: quiet}}
";
    let desk = Desk::start(rules).await;
    for (id, kind, key) in [("o1", "opened", "C1"), ("o2", "opened", "C2"), ("o3", "opened", "C3")] {
        desk.send(id, kind, json!({"key": key})).await;
    }
    let note = "asked about C9, which was not open";
    assert_eq!(desk.run(&["cases", "close", "C1", "--note", note]).await.code, 0);
    desk.planned().await;
    desk.passes(0);
    eventually("closed by hand", async || {
        desk.app.ask("GET", "/cases?show=closed").await.text().contains("asked about C9").then_some(())
    })
    .await;
    desk.send("c2", "closed", json!({"key": "C2"})).await;
    // These close nothing.
    desk.send("c9", "closed", json!({"key": "C9"})).await;
    desk.send("b1", "beat", json!({})).await;
    let early = desk.app.live.clock.now().as_second() - 3600;
    desk.send_as(json!({"id": "c3", "type": "closed", "created": early, "data": {"key": "C3"}})).await;
    let shown = desk.app.ask("GET", "/cases?show=closed").await.text();
    assert_eq!(shown.matches("<li class=\"line\">").count(), 2, "{shown}");
    for (said, is_there) in [
        ("closed by ana (asked about C9", true),
        ("closed case <code>C2</code>", true),
        ("C3", false),
        ("it came", false),
    ] {
        assert_eq!(shown.contains(said), is_there, "{said}: {shown}");
    }
    desk.app.end().await;
}
