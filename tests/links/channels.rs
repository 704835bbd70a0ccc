//! Links as each channel shows them, followed in a real browser.

use std::path::Path;

use serde_json::Value;

use super::desk::Desk;
use crate::support::browser::{Browser, Screen};
use crate::support::raw::{exchange, post};
use crate::support::smtp_peer::{Setup, SmtpPeer};

/// The paths of all links in a text.
fn links(text: &str) -> Vec<String> {
    let after = text.split("https://hooks.label.example/act/").skip(1);
    let token = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
    };
    after.map(|rest| format!("/act/{}", token(rest))).collect()
}

const RULES: &str = r#"
rules:
  - name: fraud
    events: fraud.opened
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {name: tell, to: [oncall, chat, room, post, guests, office, group, phone, team, den, space, alerts, ops, sms], text: "**Fraud** on {{ data.case_id }}", severity: critical}
      - {name: remind, to: ledger, text: "still open", after: 2h, repeat: 4h}
"#;

/// The program with every channel, and the mail server.
async fn start() -> (Desk, SmtpPeer) {
    let mail = SmtpPeer::start(Setup::default()).await;
    let more = format!(
        "  chat: {{type: slack, webhook_url: \"PEER/slack\", rate: 99/s}}\n\
         \x20 room: {{type: discord, webhook_url: \"PEER/discord/api/webhooks/123456789012345678/tokentokentokentokentokentoken\", rate: 99/s}}\n\
         \x20 office: {{type: teams, webhook_url: \"PEER/teams?sig=x\"}}\n\
         \x20 group: {{type: telegram, token: \"1234567890:FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaa\", chat: \"1\", url: \"PEER/telegram\"}}\n\
         \x20 phone: {{type: ntfy, topic: oncall, url: PEER}}\n\
         \x20 team: {{type: mattermost, webhook_url: \"PEER/hooks/fakeq7zkt4mw9sb2xn6vc1fake\"}}\n\
         \x20 den: {{type: rocketchat, webhook_url: \"PEER/hooks/65f1c0ffee0123456789abcd/FAKEq7ZkT4mW9sB2xN6vC1aaaaaa\"}}\n\
         \x20 space: {{type: google_chat, webhook_url: \"PEER/v1/spaces/AAAA/messages?key=k&token=t\"}}\n\
         \x20 alerts: {{type: incident_io, url: \"PEER/v2/alert_events/http/a\", token: t}}\n\
         \x20 ops: {{type: jsm, api_key: 01234567, url: \"PEER/jsm\"}}\n\
         \x20 sms: {{type: twilio, account_sid: AC0123456789abcdef0123456789abcdef, auth_token: t, from: \"+1500\", to: \"+4930123456789\", url: \"PEER/twilio\"}}\n\
         \x20 guests: {{type: slack, webhook_url: \"PEER/guests\", rate: 99/s, external: true}}\n\
         \x20 post: {{type: email, smtp: \"{}\", from: a@label.example, to: b@label.example}}\n",
        mail.url()
    );
    (Desk::start_with(RULES, &more).await, mail)
}

#[tokio::test]
async fn every_channel_that_people_read_shows_the_link_and_guests_see_none() {
    let (desk, mail) = start().await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let body = |path: &str| {
        let requests = desk.peer.requests().into_iter();
        let found =
            requests.filter(|request| request.target.split('?').next() == Some(path)).map(|request| request.text());
        found.collect::<Vec<_>>().concat()
    };
    let letter = mail.received(1).await[0].mime();
    let letter = format!("{letter:?}");
    for (channel, text) in [
        ("slack", body("/slack")),
        ("discord", body("/discord/api/webhooks/123456789012345678/tokentokentokentokentokentoken")),
        ("pagerduty", body("/pager")),
        ("teams", body("/teams")),
        ("telegram", body("/telegram/bot1234567890:FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaa/sendMessage")),
        ("ntfy", body("/")),
        ("mattermost", body("/hooks/fakeq7zkt4mw9sb2xn6vc1fake")),
        ("rocketchat", body("/hooks/65f1c0ffee0123456789abcd/FAKEq7ZkT4mW9sB2xN6vC1aaaaaa")),
        ("google_chat", body("/v1/spaces/AAAA/messages")),
        ("incident_io", body("/v2/alert_events/http/a")),
        ("jsm", body("/jsm/alerts")),
        ("twilio", unescaped(&body("/twilio/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json"))),
        ("mail", letter),
    ] {
        let found = links(&text);
        assert!(!found.is_empty(), "{channel} shows no link: {text}");
        assert!(text.contains("Acknowledge"), "{channel}: {text}");
        assert_eq!(desk.look(&found[0]).await.status, 200, "{channel}: {}", found[0]);
    }
    assert!(body("/guests").contains("Fraud") && links(&body("/guests")).is_empty(), "{}", body("/guests"));
    assert_eq!(desk.sent("/pager")[0]["links"][0]["text"], "Acknowledge");
    desk.app.end().await;
}

/// A form's text.
fn unescaped(form: &str) -> String {
    let pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs.map(|(_, value)| value.into_owned()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_tap_on_a_notification_acknowledges_the_case_without_a_page() {
    let (desk, _mail) = start().await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let tap = desk.sent("/")[0]["actions"][0].clone();
    assert_eq!(
        (&tap["action"], &tap["method"], &tap["label"]),
        (&"http".into(), &"POST".into(), &"Acknowledge".into())
    );
    let path = tap["url"].as_str().unwrap().strip_prefix("https://hooks.label.example").unwrap();
    let kind = tap["headers"]["Content-Type"].as_str().unwrap();
    let headers = [("Content-Type", kind), ("Connection", "close")];
    let request = post(path, &headers, tap["body"].as_str().unwrap().as_bytes());
    assert_eq!(exchange(desk.app.webhooks, &request).await.status, 200);
    desk.planned().await;
    assert_eq!(desk.case("C1").await["acked_by"], "ntfy (unverified), by link");
    desk.app.end().await;
}

#[tokio::test]
async fn a_person_acknowledges_from_a_phone_and_the_next_one_sees_who() {
    let (desk, mail) = start().await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let slack = desk.peer.requests().into_iter().find(|request| request.target == "/slack").unwrap().text();
    let page_of = |link: &str| format!("http://{}{link}", desk.app.webhooks);
    let browser = Browser::start();
    // Without JavaScript, on a phone, in the dark.
    let phone = browser.page(Screen::PHONE.dark()).await;
    phone.go(&page_of(&links(&slack)[0])).await;
    phone.sees("Acknowledge this case?").await;
    phone.sees("C1").await;
    let small =
        "[...document.querySelectorAll('input,button')].filter(e => e.getBoundingClientRect().height < 44).length";
    assert_eq!(phone.eval(small).await, 0, "a finger hits everything");
    let wide = "document.documentElement.scrollWidth <= window.innerWidth";
    assert_eq!(phone.eval(wide).await, true, "nothing is cut off");
    if let Ok(folder) = std::env::var("PICTURES") {
        phone.picture(&Path::new(&folder).join("link-dark.png")).await;
        let desk_page = browser.page(Screen::DESKTOP).await;
        desk_page.go(&page_of(&links(&slack)[0])).await;
        desk_page.picture(&Path::new(&folder).join("link-light.png")).await;
    }
    // Who was paged has the incident's link open on a desk meanwhile.
    let incident = desk.sent("/pager")[0]["links"][0].clone();
    assert_eq!(incident["text"], "Acknowledge");
    let of_incident = page_of(&links(incident["href"].as_str().unwrap())[0]);
    let pager = browser.page(Screen::DESKTOP).await;
    pager.go(&of_incident).await;
    pager.sees("Acknowledge this case?").await;
    pager.sees("C1").await;
    phone.fill("#by", "Nadia").await;
    phone.click("button").await;
    phone.sees("You have it.").await;
    desk.planned().await;
    assert_eq!(desk.case("C1").await["acked_by"], "Nadia (unverified), by link");
    pager.go(&of_incident).await;
    pager.sees("Already acknowledged by Nadia (unverified), by link").await;
    let second = browser.page(Screen::PHONE.without_scripts()).await;
    let letter = format!("{:?}", mail.received(1).await[0].mime());
    second.go(&page_of(&links(&letter)[0])).await;
    let answer = desk.look(&links(&letter)[0]).await.text();
    assert!(answer.contains("Already acknowledged by Nadia (unverified), by link"), "{answer}");
    for page in [&phone, &pager, &second] {
        assert_eq!(page.complaints(), Vec::<Value>::new());
        assert!(page.requests().iter().all(|url| url.starts_with("http://127.0.0.1")), "{:?}", page.requests());
    }
    desk.passes(8).await;
    assert!(desk.sent("/ledger").is_empty(), "no reminder");
    desk.app.end().await;
}
