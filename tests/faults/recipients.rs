//! A mail to several people: each gets it once, and who doesn't is seen.

use serde_json::Value;

use crate::support::app::{App, event, eventually, json};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::raw::{exchange, post};
use crate::support::smtp_peer::{Act, Kept, Moment, Setup, SmtpPeer};

const BOB: Moment = Moment::Rcpt("bob@label.example");

/// `ledger` is a mail to Ann and Bob, whose fallback is `chat`.
fn folder(mail: &SmtpPeer, chat: &HttpPeer) -> Folder {
    let destinations = format!(
        "destinations:
  ledger: {{type: email, smtp: \"{}\", from: a@label.example, to: [ann@label.example, bob@label.example],
           retry: {{first: 1s, max: 1s}}, fallback: [chat]}}
  chat: {{type: http, url: \"{}\"}}
",
        mail.url(),
        chat.url("/")
    );
    let (head, _) = CONFIG.split_once("destinations:").unwrap();
    Folder::new(&format!("{head}{destinations}"), "", EVERYTHING)
}

/// The delivery to `ledger`, once it has been tried so often.
async fn tried(admin: std::net::SocketAddr, attempts: u64) -> Value {
    eventually("it was tried", async || {
        let all = json(admin, "/api/v1/deliveries").await;
        let one = all.as_array().unwrap().iter().find(|one| one["destination"] == "ledger")?.clone();
        (one["attempts"].as_u64()? >= attempts && one["state"] != "sending").then_some(one)
    })
    .await
}

async fn over(app: &App, state: &str) -> Value {
    eventually(state, async || {
        let one = tried(app.admin, 1).await;
        (one["state"] == state).then_some(one)
    })
    .await
}

fn recipients(mails: &[Kept]) -> Vec<Vec<&str>> {
    mails.iter().map(|mail| mail.to.iter().map(String::as_str).collect()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_put_off_is_tried_again_alone_under_the_same_delivery() {
    let (mail, chat) = (SmtpPeer::start(Setup::default()).await, HttpPeer::start().await);
    mail.on(BOB, Act::Say("450 4.7.1 come again"));
    let app = App::start(folder(&mail, &chat)).await;
    app.send(&event("evt_1", "release.live")).await;
    let waiting = tried(app.admin, 2).await;
    assert_eq!(waiting["state"], "retrying", "{waiting}");
    mail.behave();
    let delivered = over(&app, "delivered").await;
    let mails = mail.received(2).await;
    assert_eq!(recipients(&mails), [["ann@label.example"], ["bob@label.example"]], "each once");
    assert_eq!(mails[0].content, mails[1].content, "the same mail");
    let id = delivered["id"].as_str().unwrap();
    let first = app.json(&format!("/api/v1/deliveries/{id}")).await["attempts_made"][0].clone();
    assert_eq!(first["outcome"], "partial");
    assert_eq!(first["answer"], "250 2.0.0 kept; refused for b…@label.example (450 4.7.1 come again)");
    assert!(!first["sent"].as_str().unwrap().contains('\r'), "lines end as people's do: {first}");
    assert_eq!(chat.requests().len(), 0);
    mail.assert_clean();
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_will_have_it_is_reported_and_the_fallback_gets_it() {
    let (mail, chat) = (SmtpPeer::start(Setup::default()).await, HttpPeer::start().await);
    mail.on(BOB, Act::Say("550 5.1.1 no such user"));
    let app = App::start(folder(&mail, &chat)).await;
    app.send(&event("evt_1", "release.live")).await;
    over(&app, "delivered").await;
    let said = chat.received(1).await[0].text();
    assert!(said.contains("refused for b…@label.example (550 5.1.1 no such user)"), "{said}");
    eventually("an own event", async || {
        let events = app.json("/api/v1/events").await;
        let own = |one: &&Value| one["type"] == "fanfare.delivery.dead";
        events.as_array().unwrap().iter().find(own).map(|_| ())
    })
    .await;
    assert_eq!(recipients(&mail.mails())[0], ["ann@label.example"]);
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_nobody_gets_it_twice() {
    let (mail, chat) = (SmtpPeer::start(Setup::default()).await, HttpPeer::start().await);
    mail.on(BOB, Act::Say("450 4.7.1 come again"));
    let folder = folder(&mail, &chat);
    let process = Process::start(folder.path()).await;
    let body = event("evt_1", "release.live");
    let signature = crate::support::app::page_signature(crate::support::folder::SECRET, body.as_bytes());
    let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
    assert_eq!(exchange(process.webhooks, &request).await.status, 200);
    tried(process.admin, 1).await;
    process.kill().await;
    mail.behave();
    let process = Process::start(folder.path()).await;
    let mails = mail.received(2).await;
    assert_eq!(recipients(&mails), [["ann@label.example"], ["bob@label.example"]]);
    // A person who wants it again wants it for those who have missed it.
    process.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_revived_by_hand_goes_to_those_who_missed_it() {
    let (mail, chat) = (SmtpPeer::start(Setup::default()).await, HttpPeer::start().await);
    mail.on(BOB, Act::Say("450 4.7.1 come again"));
    let folder = folder(&mail, &chat);
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    folder.write("fanfare.yaml", &config.replace("max: 1s}", "max: 1s, give_up: 2s}"));
    let app = App::start(folder).await;
    app.send(&event("evt_1", "release.live")).await;
    let dead = over(&app, "dead").await;
    let why = dead["last_error"].as_str().unwrap();
    assert!(why.contains("refused for b…@label.example") && why.contains("given up 2s after it became due"), "{why}");
    mail.behave();
    let id = dead["id"].as_str().unwrap();
    app.ask("POST", &format!("/api/v1/deliveries/{id}/retry")).await;
    let mails = mail.received(2).await;
    assert_eq!(recipients(&mails), [["ann@label.example"], ["bob@label.example"]]);
    app.end().await;
}
