//! A message that does not arrive reaches somebody else in time, whatever keeps its destination from taking it. On a real
//! clock.

use std::sync::Arc;

use fanfare::clock::{RealClock, VirtualClock};
use fanfare::delivery::{Delivery, MessageOp, State};
use fanfare::steps::Bounds;
use fanfare::store::DeliveryFilter;
use jiff::SignedDuration;

use crate::support::app::{App, eventually, soon};
use crate::support::folder::Folder;
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::pagerduty_peer::ROUTING_KEY;
use crate::support::postgres;
use crate::support::smtp_peer::{Kept, Setup, SmtpPeer};

const CONFIG: &str = r#"
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
store: sqlite:data/fanfare.db
sources:
  jewelmusic:
    preset: jewelmusic
    path: /webhooks/jewelmusic
    secrets: [now-secret-0123456789abcdef0123456789]
destinations:
  oncall:
    type: pagerduty
    routing_key: KEY
    url: PEER
    retry: {first: 100ms, max: 1s, give_up: 1d}
    fallback: {to: [finance], after: 2s}
  finance: {type: email, smtp: "SMTP", from: fanfare@label.example, to: finance@label.example}
"#;

const RULES: &str = r#"rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    actions: [{to: oncall, text: "Case **{{ case.key }}** needs you."}]
"#;

const FRAUD: &str = r#"{"id":"evt_1","type":"fraud.action_required","created":1767607200,"data":{"case_id":"C7"}}"#;

/// A store of each kind, empty.
fn stores() -> [String; 3] {
    ["\"memory:\"".to_owned(), "sqlite:data/fanfare.db".to_owned(), postgres::fresh()]
}

fn folder(pager: &str, mail: &SmtpPeer) -> Folder {
    folder_on("sqlite:data/fanfare.db", pager, mail)
}

fn folder_on(store: &str, pager: &str, mail: &SmtpPeer) -> Folder {
    let config = CONFIG.replace("sqlite:data/fanfare.db", store).replace("KEY", ROUTING_KEY);
    Folder::new(&config.replace("SMTP", &mail.url()), pager, RULES)
}

fn assert_tells(mails: &[Kept]) {
    let [mail] = mails else { panic!("{} mails", mails.len()) };
    let mime = mail.mime();
    let text = &mime.part("text/plain").unwrap().text;
    for said in ["could not be delivered", "`oncall`, case `C7`", "still trying", "needs you"] {
        assert!(text.contains(said), "no {said:?} in {text}");
    }
}

async fn page(app: &App) -> Delivery {
    let filter = DeliveryFilter { destination: Some("oncall".into()), limit: 10, ..DeliveryFilter::default() };
    let mut pages = app.live.store.list_deliveries(&filter).await.unwrap();
    pages.retain(|page| page.planned.act != MessageOp::Close);
    assert_eq!(pages.len(), 1, "{pages:?}");
    pages.remove(0)
}

/// Finance is notified of a page that this pager doesn't take, once, on every store; the page is tried on. What heals is
/// delivered, and nobody is notified again.
async fn falls_back(pager: &str, heals: Option<&HttpPeer>) {
    for store in stores() {
        let mail = SmtpPeer::start(Setup::default()).await;
        let app = App::start(folder_on(&store, pager, &mail)).await;
        assert_eq!(app.send(FRAUD).await.status, 200);
        assert_tells(&soon("the fallback", mail.received(1)).await);
        let state = page(&app).await.state;
        assert!(matches!(state, State::Due | State::Retrying | State::Sending), "{store}: {state:?}");
        if let Some(peer) = heals {
            let ill = peer.requests().len();
            peer.always(Answer::status(202).json(&serde_json::json!({"status": "success", "dedup_key": "a"})));
            eventually("the page", async || (page(&app).await.state == State::Delivered).then_some(())).await;
            assert!(peer.requests().len() > ill, "{store}");
            peer.always(Answer::status(500));
        }
        app.end().await;
        assert_eq!(mail.mails().len(), 1, "{store}: once");
    }
}

#[tokio::test]
async fn a_pager_that_refuses_connections_is_reported_while_it_is_tried() {
    // Nobody listens there any more.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    falls_back(&format!("http://{address}/"), None).await;
}

#[tokio::test]
async fn a_pager_that_answers_with_errors_is_reported_while_its_breaker_is_open_and_pages_when_it_is_well() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(500));
    falls_back(&peer.url("/"), Some(&peer)).await;
}

#[tokio::test]
async fn a_pager_that_hangs_is_reported_before_its_attempt_ends() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::hang());
    falls_back(&peer.url("/"), None).await;
}

#[tokio::test]
async fn a_pager_that_asks_for_an_hour_is_reported_meanwhile() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(429).header("Retry-After", "3600"));
    falls_back(&peer.url("/"), None).await;
}

#[tokio::test]
async fn without_a_word_in_the_configuration_a_page_falls_back_five_minutes_after_it_was_due_and_once() {
    let asks = || Answer::status(429).header("Retry-After", "3600");
    let ways = [("500", Answer::status(500)), ("hangs", Answer::hang()), ("429", asks())];
    for (store, (way, answer)) in ["\"memory:\"", "sqlite:data/fanfare.db"].into_iter().cycle().zip(ways) {
        let (mail, peer) = (SmtpPeer::start(Setup::default()).await, HttpPeer::start().await);
        peer.always(answer);
        let folder = folder_on(store, &peer.url("/"), &mail);
        let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
        folder.write("fanfare.yaml", &config.replace("{to: [finance], after: 2s}", "[finance]\n    timeout: 1s"));
        let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
        let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
        assert_eq!(app.send(FRAUD).await.status, 200);
        soon("an attempt", peer.received(1)).await;
        let passes = |span: SignedDuration| {
            clock.advance(span);
            app.live.to_plan.notify_one();
        };
        passes(SignedDuration::from_secs(299));
        // What is planned in answer to a question shows that the round before it is over.
        assert_eq!(
            app.send(&FRAUD.replace("evt_1", "evt_2").replace("C7", "C8").replace("action_required", "none"))
                .await
                .status,
            200
        );
        eventually("planned", async || {
            let status = app.json("/api/v1/status").await;
            (status["inbox"]["head"] == status["inbox"]["planned"]).then_some(())
        })
        .await;
        assert!(mail.mails().is_empty(), "{store}, {way}: too soon");
        passes(SignedDuration::from_secs(1));
        assert_tells(&soon("the fallback", mail.received(1)).await);
        peer.always(Answer::status(202).json(&serde_json::json!({"status": "success", "dedup_key": "a"})));
        passes(SignedDuration::from_hours(2));
        eventually("the page", async || {
            passes(SignedDuration::from_mins(1));
            (page(&app).await.state == State::Delivered).then_some(())
        })
        .await;
        passes(SignedDuration::from_hours(48));
        app.end().await;
        assert_eq!(mail.mails().len(), 1, "{store}, {way}: once");
    }
}

#[tokio::test]
async fn a_page_that_was_late_while_nobody_ran_is_reported_after_the_start() {
    let (mail, peer) = (SmtpPeer::start(Setup::default()).await, HttpPeer::start().await);
    peer.always(Answer::status(429).header("Retry-After", "3600"));
    let app = App::start(folder(&peer.url("/"), &mail)).await;
    assert_eq!(app.send(FRAUD).await.status, 200);
    soon("the first attempt", peer.received(1)).await;
    let folder = app.end().await;
    let app = App::start_with(folder, Bounds::default(), Arc::new(RealClock)).await;
    assert_tells(&soon("the fallback", mail.received(1)).await);
    app.end().await;
}
