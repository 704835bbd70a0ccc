//! The page in a real browser: on a desk and on a phone, light and dark, with and without JavaScript.

use std::path::PathBuf;
use std::sync::Arc;

use fanfare::clock::VirtualClock;
use fanfare::source::samples;
use fanfare::steps::Bounds;
use serde_json::{Value, json};

use super::desk::Desk;
use super::{delivery, start};
use crate::support::app::{App, event, eventually};
use crate::support::browser::{Browser, Page, Screen};
use crate::support::folder::{Folder, SECRET};
use crate::support::http_peer::{Answer, HttpPeer};

/// A case that pages until somebody acknowledges it, and a rule that wants much.
const RULES: &str = "rules:
  - name: fraud
    events: fraud.opened
    case: $.data.id
    actions:
      - {to: ledger, text: '{{ data.title }}'}
      - {to: heads, text: 'still open', after: 2h}
  - name: large
    events: royalty.*
    when: {$.data.amount: {gte: 1000}}
    actions: [{to: ledger, text: 'much'}]
";

/// What every view is looked at on.
pub const SCREENS: [(&str, Screen); 4] = [
    ("phone", Screen::PHONE),
    ("phone-dark", Screen::PHONE.dark()),
    ("desk", Screen::DESKTOP),
    ("desk-dark", Screen::DESKTOP.dark()),
];

async fn open(app: &App, page: &Page<'_>, path: &str) {
    page.go(&format!("http://{}{path}", app.admin)).await;
}

/// Nothing was complained of, and nobody else was asked for anything.
fn assert_calm(app: &App, page: &Page<'_>) {
    assert_eq!(page.complaints(), Vec::<Value>::new());
    let home = format!("http://{}/", app.admin);
    let elsewhere: Vec<String> = page
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&home) && !url.starts_with("data:image/svg"))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_appears_without_reload_and_a_case_is_acknowledged_with_a_thumb() {
    let desk = Desk::start(RULES).await;
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE).await;
    open(&desk.app, &page, "/").await;
    page.sees("Nothing waits for a person").await;
    page.wait("!document.getElementById('live').hidden").await;
    page.eval("window.isTheSame = true").await;
    desk.send("evt_1", "fraud.opened", json!({"id": "C1", "title": "Lanterns", "artist": "Ólöf Brim"})).await;
    page.sees("Waits for a person").await;
    page.sees("Lanterns by Ólöf Brim").await;
    page.sees("nobody").await;
    assert_eq!(page.eval("window.isTheSame").await, true, "it was not loaded anew");
    page.fill(".case [name=by]", "Nadia").await;
    page.click(".case button[formaction$='/ack']").await;
    page.sees("Somebody has it").await;
    page.sees("Nadia").await;
    assert_eq!(desk.app.json("/api/v1/cases").await[0]["acked_by"], "Nadia");
    let left = page.eval("document.querySelector('.case [name=by]').value").await;
    assert_eq!(left, "Nadia", "the name is asked for once");
    assert_calm(&desk.app, &page);
    desk.app.end().await;
}

#[tokio::test]
async fn a_missed_rule_is_explained_with_the_value_and_without_scripts() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "royalty.reported", json!({"amount": 12.5, "title": "Lanterns"})).await;
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE.without_scripts()).await;
    open(&desk.app, &page, "/events/evt_1").await;
    page.sees("missed").await;
    page.sees("is at least 1000").await;
    page.sees("12.5").await;
    let marks = page.eval("[...document.querySelectorAll('.tree li')].map(li => li.className)").await;
    assert!(marks.as_array().unwrap().contains(&"missed".into()), "{marks}");
    desk.app.end().await;
}

#[tokio::test]
async fn a_dead_delivery_is_sent_again_from_the_page_and_arrives() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    delivery(&app, &peer, "evt_1", "dead").await;
    delivery(&app, &peer, "evt_2", "dead").await;
    peer.answer(Answer::status(200));
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE).await;
    open(&app, &page, "/deliveries").await;
    page.sees("Send all 2 again").await;
    page.fill("form[action='/deliveries/retry'] [name=by]", "Ben").await;
    page.click("form[action='/deliveries/retry'] button").await;
    page.sees("2 deliveries will be sent again").await;
    page.wait("document.querySelectorAll('#deliveries .line .state.delivered').length === 2").await;
    let acts = app.json("/api/v1/audit").await;
    assert_eq!((&acts[0]["by"], &acts[0]["act"], &acts[0]["from"]), (&"Ben".into(), &"retried".into(), &"page".into()));
    assert_calm(&app, &page);
    app.end().await;
}

#[tokio::test]
async fn a_search_finds_an_artist_by_keyboard_alone() {
    let desk = Desk::start(RULES).await;
    for n in 0..60 {
        desk.app.send(&event(&format!("evt_{n}"), "release.live")).await;
    }
    desk.send("evt_brim", "release.live", json!({"title": "Lanterns", "artist": "Ólöf Brim"})).await;
    for n in 60..120 {
        desk.app.send(&event(&format!("evt_{n}"), "release.live")).await;
    }
    desk.planned().await;
    let browser = Browser::start();
    let page = browser.page(Screen::DESKTOP).await;
    open(&desk.app, &page, "/events").await;
    page.fill("#q", "olof BRIM").await;
    page.press("Enter").await;
    page.wait("location.search.includes('olof')").await;
    page.sees("Lanterns by Ólöf Brim").await;
    assert_eq!(page.eval("document.querySelectorAll('.line').length").await, 1);
    let all = desk.app.json("/api/v1/events?limit=1000").await;
    let expected: Vec<String> =
        all.as_array().unwrap().iter().map(|event| format!("/events/{}", event["seq"])).collect();
    open(&desk.app, &page, "/events").await;
    let mut seen = Vec::new();
    loop {
        let links = page.eval("[...document.querySelectorAll('.line > a')].map(a => a.getAttribute('href'))").await;
        seen.extend(links.as_array().unwrap().iter().map(|link| link.as_str().unwrap().to_owned()));
        let next = page.eval("document.querySelector('.more a:not([href=\"/events\"])')?.getAttribute('href')").await;
        // What comes meanwhile is on no later page.
        desk.app.send(&event(&format!("late_{}", seen.len()), "release.live")).await;
        let Some(next) = next.as_str() else { break };
        open(&desk.app, &page, next).await;
    }
    assert_eq!(seen, expected, "page by page, none is skipped and none comes twice");
    open(&desk.app, &page, "/events?q=evt_7").await;
    assert_eq!(page.eval("location.search").await, "", "an id leads to its event");
    page.sees("evt_7").await;
    assert_calm(&desk.app, &page);
    desk.app.end().await;
}

#[tokio::test]
async fn a_mute_shows_what_it_would_silence_is_made_and_holds() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "royalty.paid", json!({"amount": 5000, "title": "Lanterns"})).await;
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE).await;
    open(&desk.app, &page, "/mutes?rule=large").await;
    page.sees("it would have silenced 1 message").await;
    page.sees("Lanterns").await;
    page.fill("[name=reason]", "planned takedown").await;
    page.fill(".fields [name=by]", "Nadia").await;
    page.click(".fields button:not(.quiet)").await;
    page.sees("active").await;
    page.sees("planned takedown").await;
    let before = desk.peer.requests().len();
    desk.send("evt_2", "royalty.paid", json!({"amount": 6000, "title": "Nightfall"})).await;
    open(&desk.app, &page, "/events?outcome=muted").await;
    page.sees("Nightfall").await;
    assert_eq!(desk.peer.requests().len(), before, "nothing was sent");
    assert_calm(&desk.app, &page);
    desk.app.end().await;
}

#[tokio::test]
async fn a_digest_that_waits_is_sent_now_with_a_thumb() {
    let rules = "rules: [{name: paid, events: royalty.*, actions: {to: ledger, text: paid, digest: {every: 8h}}}]\n";
    let desk = Desk::start(rules).await;
    desk.send("evt_1", "royalty.paid", json!({"title": "Lanterns", "artist": "Ólöf Brim"})).await;
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE).await;
    open(&desk.app, &page, "/upcoming").await;
    page.sees("Digest of 1 event").await;
    page.sees("Lanterns by Ólöf Brim").await;
    page.fill("#clock [name=by]", "Nadia").await;
    page.click("button[formaction$='/send']").await;
    page.sees("Nothing has a time").await;
    let sent = desk.peer.received(1).await;
    assert!(sent[0].text().contains("paid"), "{}", sent[0].text());
    assert_eq!(desk.each("/api/v1/audit", "by").await, ["Nadia"]);
    assert_calm(&desk.app, &page);
    desk.app.end().await;
}

#[tokio::test]
async fn the_playground_explains_an_edited_rule_and_writes_nothing() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "royalty.paid", json!({"amount": 500, "title": "Lanterns"})).await;
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE).await;
    open(&desk.app, &page, "/playground?rule=large&event=evt_1").await;
    page.sees("It does not act on this event").await;
    page.sees("is at least 1000").await;
    let text = page.eval("document.querySelector('[name=text]').value").await;
    assert!(text.as_str().unwrap().starts_with("  - name: large\n"), "{text}");
    let edited = text.as_str().unwrap().replace("1000", "400").replace("'much'", "'{{ data.title }} pays'");
    page.fill("[name=text]", &edited).await;
    page.click(".play button").await;
    page.sees("It acts on this event").await;
    page.sees("is at least 400").await;
    page.sees("Lanterns pays").await;
    page.fill("[name=text]", &edited.replace("gte", "gtr")).await;
    page.click(".play button").await;
    page.sees("This has mistakes").await;
    page.sees("did you mean").await;
    assert!(std::fs::read_to_string(desk.app.folder.file("rules/main.yaml")).unwrap().contains("1000"));
    assert_eq!(desk.app.head().await, 1, "nothing was asked of anybody");
    assert_calm(&desk.app, &page);
    desk.app.end().await;
}

#[tokio::test]
async fn a_test_message_is_sent_from_the_page_and_what_came_back_is_shown() {
    let desk = Desk::start(RULES).await;
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE).await;
    open(&desk.app, &page, "/destinations").await;
    page.click("#test-2 summary").await;
    page.fill("#test-2 [name=by]", "Nadia").await;
    page.click("#test-2 button").await;
    page.sees("ledger took the test message").await;
    page.sees("200 OK").await;
    let sent = desk.peer.requests();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].json()["message"]["title"].as_str().unwrap().starts_with("[drill] "), "{:?}", sent[0]);
    desk.peer.answer(Answer::status(410).body("no such key"));
    page.click("#test-2 summary").await;
    assert_eq!(page.eval("document.querySelector('#test-2 [name=by]').value").await, "Nadia");
    page.click("#test-2 button").await;
    page.sees("ledger did not take the test message").await;
    page.sees("410").await;
    desk.planned().await;
    assert_eq!(desk.each("/api/v1/audit", "act").await, ["drilled", "drilled"]);
    assert_eq!(desk.app.json("/api/v1/deliveries").await, json!([]), "no store knows of it");
    assert_calm(&desk.app, &page);
    desk.app.end().await;
}

#[tokio::test]
async fn whatever_senders_write_makes_no_element_and_runs_no_script() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let corpus = [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(2)>",
        "<svg onload=alert(3)>",
        "javascript:alert(4)",
        "</title></pre></textarea><iframe src=//evil.example></iframe>",
        "{{ 7 * 7 }}{% include 'base.html' %}",
        "<a href=javascript:alert(5)>x</a>",
        "\u{202e}<b>\u{0}bold</b>&lt;i&gt;",
        "<style>*{display:none}</style><link rel=stylesheet href=//evil.example>",
        "<meta http-equiv=refresh content='0;url=//evil.example'>",
    ];
    peer.always(Answer::status(400).body(corpus.join(" ")));
    for (n, hostile) in corpus.iter().enumerate() {
        let body = json!({
            "id": format!("{hostile}{n}"), "type": format!("release.{hostile}"), "created": 1_767_607_200,
            "data": {"title": hostile, "artist": hostile, "deadline": hostile, hostile.to_owned(): hostile, "link": "javascript:alert(6)"},
        });
        assert_eq!(app.send(&body.to_string()).await.status, 200);
    }
    eventually("all are dead", async || {
        let dead = app.json("/api/v1/deliveries?state=dead").await;
        (dead.as_array().unwrap().len() == corpus.len()).then_some(())
    })
    .await;
    let browser = Browser::start();
    let page = browser.page(Screen::DESKTOP).await;
    let id = app.json("/api/v1/deliveries?state=dead").await[0]["id"].as_str().unwrap().to_owned();
    let events = app.json("/api/v1/events?source=jewelmusic").await;
    let mut paths: Vec<String> =
        events.as_array().unwrap().iter().map(|event| format!("/events/{}", event["seq"])).collect();
    assert_eq!(paths.len(), corpus.len());
    paths.extend(
        ["/", "/events", "/events?q=script", "/deliveries", "/destinations", "/rules", "/upcoming"].map(str::to_owned),
    );
    paths.push(format!("/deliveries/{id}"));
    for path in &paths {
        open(&app, &page, path).await;
        let made = "document.querySelectorAll('main script, main img, main iframe, main style, main link, main meta, main b b, \
                    [onload], [onerror], a[href^=javascript]').length";
        assert_eq!(page.eval(made).await, 0, "{path}");
        assert!(!page.text().await.contains("49{%"), "{path}");
        assert_eq!(page.eval("document.querySelectorAll('script').length").await, 1, "{path}");
    }
    assert_calm(&app, &page);
    app.end().await;
}

/// The starter's rules after a label's year, with something of everything.
async fn label() -> (App, HttpPeer) {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(200).body("ok"));
    let folder = Folder::new(&config(), &peer.url(""), "");
    std::fs::remove_file(folder.file("rules/main.yaml")).unwrap();
    for kind in ["rules", "templates"] {
        for file in std::fs::read_dir(kind).unwrap() {
            let path = file.unwrap().path();
            folder.write(path.to_str().unwrap(), &std::fs::read_to_string(&path).unwrap());
        }
    }
    let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
    let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
    let mut dice = fastrand::Rng::with_seed(7);
    for hours in [9, 5, 2, 0] {
        for sample in &samples::ALL[..samples::PAGE] {
            let instance = sample.instance(&mut dice, "2026-01-05T09:59:00Z".parse().unwrap());
            if hours == 0 || sample.name.starts_with("release") {
                assert_eq!(app.send(std::str::from_utf8(&instance.raw()).unwrap()).await.status, 200);
            }
        }
        clock.advance(jiff::SignedDuration::from_mins(if hours == 0 { 0 } else { 50 }));
    }
    let hostile = samples::named("release.live-hostile").unwrap();
    let instance = hostile.instance(&mut dice, "2026-01-05T09:59:00Z".parse().unwrap());
    assert_eq!(app.send(std::str::from_utf8(&instance.raw()).unwrap()).await.status, 200);
    let fraud =
        samples::named("fraud.action_required").unwrap().instance(&mut dice, "2026-01-05T11:00:00Z".parse().unwrap());
    let fraud =
        String::from_utf8(fraud.raw().to_vec()).unwrap().replace("frc_", "frd_").replace("Lanterns", "Harbour Lights");
    assert_eq!(app.send(&fraud).await.status, 200);
    eventually("all is planned and tried", async || {
        let status = app.json("/api/v1/status").await;
        let count = |state: &str| status["deliveries"][state].as_u64().unwrap_or(0);
        let (due, sending) = (count("due"), count("sending"));
        if due > 0 && sending == 0 {
            // Rates go by the clock. While something is sent it stands still, or the claim would run out.
            clock.advance(jiff::SignedDuration::from_secs(1));
            app.live.to_dispatch.notify_one();
        }
        (status["inbox"]["head"] == status["inbox"]["planned"] && due + sending == 0).then_some(())
    })
    .await;
    (app, peer)
}

fn config() -> String {
    format!(
        "listen: 127.0.0.1:0
admin: {{listen: \"127.0.0.1:0\"}}
store: sqlite:data/fanfare.db
timezone: Europe/Berlin
sources:
  jewelmusic: {{preset: jewelmusic, path: /webhooks/jewelmusic, secrets: [{SECRET}]}}
destinations:
  release-team: {{type: slack, webhook_url: \"PEER/slack/release-team\", mentions: {{lead: U024BE7LH}}}}
  fans: {{type: discord, webhook_url: \"PEER/discord/api/webhooks/1199887766554433221/fans\", retry: {{first: 1h, max: 1h}}}}
  label-heads: {{type: http, url: \"PEER/heads\", rate: 60/m}}
  finance: {{type: http, url: \"PEER/finance\"}}
  oncall: {{type: pagerduty, routing_key: R0123456789ABCDEF0123456789ABCDE, url: \"PEER/pagerduty\", fallback: [label-heads]}}
  ledger: {{type: http, url: \"PEER/ledger\", method: PUT}}
"
    )
}

/// The source of axe-core, where `scripts/fetch-tools` brought it; servers that build have it.
pub fn axe() -> Option<String> {
    let found = std::fs::read_to_string("target/tools/page/axe-4.14.1.js").ok();
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "axe-core is missing: run scripts/fetch-tools");
        eprintln!("skipped: axe-core is missing; scripts/fetch-tools brings it");
    }
    found
}

/// What keeps the open page from being used.
pub async fn faults(page: &Page<'_>, axe: Option<&str>) -> Vec<Value> {
    let mut found = page.eval(include_str!("fits.js")).await.as_array().cloned().unwrap();
    if let Some(axe) = axe {
        // The evaluation passes by the page's policy, which would refuse a foreign script.
        page.eval(axe).await;
        assert_eq!(page.eval("axe.version").await, "4.14.1");
        found.extend(page.eval(include_str!("axe.js")).await.as_array().cloned().unwrap());
    }
    found
}

#[tokio::test]
async fn every_view_fits_a_phone_and_a_desk_in_light_and_dark() {
    let (app, _peer) = label().await;
    let pictures = std::env::var_os("FANFARE_PICTURES").map(PathBuf::from);
    let case = app.json("/api/v1/cases").await[0]["id"].as_str().unwrap().replace('/', "%2F");
    let fraud = app.json("/api/v1/events?type=fraud.action_required").await[0]["seq"].clone();
    let sent = app.json("/api/v1/deliveries?destination=oncall").await[0]["id"].as_str().unwrap().to_owned();
    let views = [
        ("now", "/".to_owned()),
        ("events", "/events".into()),
        ("search", "/events?q=brim".into()),
        ("event", format!("/events/{fraud}")),
        ("evidence", format!("/events/{fraud}/evidence")),
        ("cases", "/cases".into()),
        ("case", format!("/cases/{case}")),
        ("closed", "/cases?show=closed".into()),
        ("upcoming", "/upcoming".into()),
        ("deliveries", "/deliveries".into()),
        ("delivery", format!("/deliveries/{sent}")),
        ("rules", "/rules".into()),
        ("playground", "/playground?rule=fraud-case&event=fraud.action_required".into()),
        ("destinations", "/destinations".into()),
        ("mutes", "/mutes?destination=release-team".into()),
        ("audit", "/audit".into()),
        ("login", "/login".into()),
        ("missing", "/events/none".into()),
    ];
    let browser = Browser::start();
    let axe = axe();
    let mut wrong = Vec::new();
    for (screen, size) in SCREENS {
        let page = browser.page(size).await;
        for (view, path) in &views {
            open(&app, &page, path).await;
            let faults = faults(&page, axe.as_deref()).await;
            wrong.extend(faults.iter().map(|fault| format!("{view} on {screen}: {fault}")));
            if let Some(folder) = &pictures {
                page.picture(&folder.join(format!("{view}-{screen}.png"))).await;
            }
        }
        if size.width < 600 {
            open(&app, &page, "/").await;
            page.click(".menu summary").await;
            page.sees("Destinations").await;
        }
        // The page of what is not there is the one that answers so.
        let complaints: Vec<Value> = page
            .complaints()
            .into_iter()
            .filter(|told| !told["entry"]["url"].as_str().is_some_and(|url| url.ends_with("/none")))
            .collect();
        assert_eq!(complaints, Vec::<Value>::new());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    app.end().await;
}
