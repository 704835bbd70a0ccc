//! Which messages carry which links.

use serde_json::Value;

use super::desk::{Desk, RULES};
use crate::support::raw::exchange;

/// The links of each message that was sent, oldest first.
fn links(desk: &Desk, path: &str) -> Vec<Vec<String>> {
    let of = |sent: Value| {
        let links = sent["links"].as_array().cloned().unwrap_or_default();
        links.iter().map(|link| link["does"].as_str().unwrap_or_default().to_owned()).collect()
    };
    desk.sent(path).into_iter().map(of).collect()
}

#[tokio::test]
async fn a_destination_that_people_do_not_read_shows_links_only_where_an_action_asks() {
    let rules = "
rules:
  - name: quiet
    events: fraud.opened
    case: $.data.case_id
    links: [acknowledge, close]
    actions:
      - {name: a, to: ledger, text: one}
      - {name: b, to: ledger, text: two, links: [close, acknowledge]}
      - {name: c, to: ledger, text: three, links: none}
      - {name: d, to: ledger, text: four, after: 1h}
";
    let desk = Desk::start(rules).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    desk.passes(1).await;
    let none: Vec<String> = Vec::new();
    let mut sent = links(&desk, "/ledger");
    sent.sort();
    assert_eq!(sent, [none.clone(), none.clone(), none, vec!["close".into(), "acknowledge".into()]]);
    desk.app.end().await;
}

#[tokio::test]
async fn an_acknowledged_case_offers_no_acknowledging() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    assert_eq!(desk.app.ask("POST", "/api/v1/cases/fraud%2FC1/ack?by=ana").await.status, 200);
    desk.send("evt_2", "fraud.opened", "C1").await;
    assert_eq!(links(&desk, "/ledger"), [vec!["acknowledge", "close", "mute 1h"], vec!["close", "mute 1h"]]);
    desk.app.end().await;
}

#[tokio::test]
async fn without_a_place_for_links_there_are_none_and_nothing_answers_there() {
    let desk = Desk::start(RULES).await;
    let folder = desk.app.end().await;
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    let without: Vec<&str> = config.lines().filter(|line| !line.starts_with("links:")).collect();
    folder.write("fanfare.yaml", &without.join("\n"));
    let app =
        crate::support::app::App::start_with(folder, Default::default(), std::sync::Arc::new(desk.clock.clone())).await;
    let desk = Desk { app, clock: desk.clock, peer: desk.peer };
    desk.send("evt_1", "fraud.opened", "C1").await;
    assert_eq!(links(&desk, "/ledger"), [Vec::<String>::new()]);
    for method in ["GET", "POST"] {
        let request =
            format!("{method} /act/abc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let answer = exchange(desk.app.webhooks, request.as_bytes()).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/problem+json")));
    }
    let refused = desk.app.ask("POST", "/api/v1/links/rotate?by=ana").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    desk.app.end().await;
}
