//! A message that does not arrive reaches somebody else in time, whatever keeps its destination from taking it. On a real
//! clock.

use std::sync::Arc;

use fanfare::clock::RealClock;
use fanfare::delivery::State;
use fanfare::steps::Bounds;
use fanfare::store::DeliveryFilter;

use crate::support::app::{App, soon};
use crate::support::folder::Folder;
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::pagerduty_peer::ROUTING_KEY;
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

fn folder(pager: &str, mail: &SmtpPeer) -> Folder {
    Folder::new(&CONFIG.replace("KEY", ROUTING_KEY).replace("SMTP", &mail.url()), pager, RULES)
}

fn assert_tells(mails: &[Kept]) {
    let [mail] = mails else { panic!("{} mails", mails.len()) };
    let mime = mail.mime();
    let text = &mime.part("text/plain").unwrap().text;
    for said in ["could not be delivered", "`oncall`, case `C7`", "still trying", "needs you"] {
        assert!(text.contains(said), "no {said:?} in {text}");
    }
}

/// Finance hears of a page that this pager doesn't take, once; the page is tried on.
async fn falls_back(pager: &str) {
    let mail = SmtpPeer::start(Setup::default()).await;
    let app = App::start(folder(pager, &mail)).await;
    assert_eq!(app.send(FRAUD).await.status, 200);
    assert_tells(&soon("the fallback", mail.received(1)).await);
    let deliveries = app.live.store.list_deliveries(&DeliveryFilter { limit: 10, ..DeliveryFilter::default() });
    let deliveries = deliveries.await.unwrap();
    let page = deliveries.iter().find(|delivery| delivery.planned.destination == "oncall").unwrap();
    assert!(matches!(page.state, State::Due | State::Retrying | State::Sending), "{page:?}");
    app.end().await;
    assert_eq!(mail.mails().len(), 1, "once");
}

#[tokio::test]
async fn a_pager_that_refuses_connections_is_told_of_while_it_is_tried() {
    // Nobody listens there any more.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    falls_back(&format!("http://{address}/")).await;
}

#[tokio::test]
async fn a_pager_that_answers_with_errors_is_told_of_while_its_breaker_is_open() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(500));
    falls_back(&peer.url("/")).await;
}

#[tokio::test]
async fn a_pager_that_hangs_is_told_of_before_its_attempt_ends() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::hang());
    falls_back(&peer.url("/")).await;
}

#[tokio::test]
async fn a_pager_that_asks_for_an_hour_is_told_of_meanwhile() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(429).header("Retry-After", "3600"));
    falls_back(&peer.url("/")).await;
}

#[tokio::test]
async fn a_page_that_was_late_while_nobody_ran_is_told_of_after_the_start() {
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
