//! Following links: looking changes nothing, confirming acts once.

use super::desk::{Desk, RULES};
use crate::support::raw::exchange;

#[tokio::test]
async fn a_link_names_the_case_and_looking_at_it_changes_nothing() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let link = desk.link("acknowledge");
    let before = desk.case("C1").await;
    for _ in 0..3 {
        let page = desk.look(&link).await;
        assert_eq!(page.status, 200, "{}", page.text());
        for part in ["Acknowledge this case?", "Fraud on C1", ">C1<", ">fraud<", "2026-01-05 10:00 UTC", "Your name"] {
            assert!(page.text().contains(part), "{part} is not on the page: {}", page.text());
        }
        let head = reqwest::Client::new().head(format!("http://{}{link}", desk.app.webhooks)).send().await.unwrap();
        assert_eq!(head.status(), 200);
    }
    desk.planned().await;
    assert_eq!(desk.case("C1").await, before, "chat programs look at links too");
    assert!(desk.audit().await.is_empty());
    let other = format!("DELETE {link} HTTP/1.1\r\nHost: hooks.label.example\r\nConnection: close\r\n\r\n");
    assert_eq!(exchange(desk.app.webhooks, other.as_bytes()).await.status, 405);
    desk.app.end().await;
}

#[tokio::test]
async fn the_page_of_a_link_keeps_to_itself() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let page = desk.look(&desk.link("acknowledge")).await;
    let header = |name: &str| page.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("x-robots-tag"), "noindex, nofollow");
    assert_eq!(header("cache-control"), "no-store");
    assert!(page.header("set-cookie").is_none() && !page.text().contains("<script"), "{}", page.text());
    desk.app.end().await;
}

#[tokio::test]
async fn confirming_acknowledges_once_and_ends_the_reminders() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    desk.passes(2).await;
    assert_eq!(desk.sent("/ledger").len(), 2, "the first reminder");
    let link = desk.link("acknowledge");
    let page = desk.confirm(&link, "Nadia+%C3%96st").await;
    assert_eq!((page.status, page.text().contains("<h1>Acknowledged</h1>")), (200, true), "{}", page.text());
    desk.planned().await;
    let case = desk.case("C1").await;
    assert_eq!(
        (&case["state"], &case["acked_by"]),
        (&"acknowledged".into(), &"Nadia Öst (unverified), by link".into())
    );
    desk.passes(48).await;
    assert_eq!(desk.sent("/ledger").len(), 2, "no more reminders");
    for _ in 0..2 {
        let again = desk.confirm(&link, "Sam").await;
        let said = "Already acknowledged by Nadia Öst (unverified), by link at 2026-01-05 12:00 UTC.";
        assert!(again.text().contains(said), "{}", again.text());
        assert!(!again.text().contains("C1") && !again.text().contains("fraud"), "{}", again.text());
    }
    desk.planned().await;
    let expected = ["Nadia Öst (unverified), by link", "acknowledged", "case `C1` of rule `fraud`", "link"];
    assert_eq!(desk.audit().await, [expected.map(str::to_owned)]);
    desk.app.end().await;
}

#[tokio::test]
async fn a_person_who_leaves_no_name_acts_as_someone() {
    let desk = Desk::start(RULES).await;
    for (key, form) in [("C1", ""), ("C2", "%20%00"), ("C3", "%E2%80%AE")] {
        desk.send(&format!("evt_{key}"), "fraud.opened", key).await;
        assert_eq!(desk.confirm(&desk.link("acknowledge"), form).await.status, 200);
        desk.planned().await;
        assert_eq!(desk.case(key).await["acked_by"], "someone, by link", "{form}");
    }
    // As a program posts that shows a button of its own: no form at all.
    desk.send("evt_4", "fraud.opened", "C4").await;
    let bare = format!("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", desk.link("acknowledge"));
    assert_eq!(exchange(desk.app.webhooks, bare.as_bytes()).await.status, 200);
    desk.planned().await;
    assert_eq!(desk.case("C4").await["acked_by"], "someone, by link");
    desk.app.end().await;
}

#[tokio::test]
async fn a_case_is_closed_by_its_link_and_only_that_opening() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let link = desk.link("close");
    assert!(desk.look(&link).await.text().contains("Close this case?"));
    assert_eq!(desk.confirm(&link, "Nadia").await.status, 200);
    desk.planned().await;
    assert!(desk.open().await.is_empty());
    desk.passes(0).await;
    assert_eq!(desk.sent("/ledger").last().unwrap()["message"]["title"], "over", "the rule says it at a close");
    assert_eq!(desk.audit().await[0][1..], ["closed", "case `C1` of rule `fraud`", "link"].map(str::to_owned));
    // Opened again, it is another case, which the old links don't reach.
    desk.passes(1).await;
    desk.send("evt_2", "fraud.opened", "C1").await;
    for page in [desk.look(&link).await, desk.confirm(&link, "Sam").await] {
        assert!(page.text().contains("It is closed already."), "{}", page.text());
    }
    desk.planned().await;
    assert_eq!(desk.open().await, ["C1"]);
    assert_ne!(desk.link("close"), link);
    desk.app.end().await;
}

#[tokio::test]
async fn muting_silences_one_opening_for_its_time_and_nothing_else() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let link = desk.link("mute 1h");
    desk.send("evt_2", "fraud.opened", "C2").await;
    assert_eq!(desk.confirm(&link, "Nadia").await.status, 200);
    desk.planned().await;
    let before = desk.sent("/ledger").len();
    desk.send("evt_3", "fraud.opened", "C1").await;
    assert_eq!(desk.sent("/ledger").len(), before, "the case is muted");
    desk.send("evt_4", "fraud.opened", "C2").await;
    assert_eq!(desk.sent("/ledger").len(), before + 1, "the other is not");
    let again = desk.confirm(&link, "Sam").await.text();
    assert!(again.contains("Already muted by Nadia (unverified), by link until 2026-01-05 11:00 UTC."), "{again}");
    desk.passes(1).await;
    desk.send("evt_5", "fraud.opened", "C1").await;
    assert_eq!(desk.sent("/ledger").len(), before + 2, "its time has ended");
    let why = desk.app.json("/api/v1/events/evt_3").await.to_string();
    assert!(why.contains("muted until 11:00 UTC by Nadia (unverified), by link: only this case"), "{why}");
    assert_eq!(desk.audit().await.len(), 1);
    desk.app.end().await;
}

#[tokio::test]
async fn links_expire_and_say_nothing_then() {
    let desk = Desk::start(&RULES.replace("repeat: 4h, ", "")).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let link = desk.link("close");
    desk.passes(7 * 24 - 1).await;
    assert_eq!(desk.look(&link).await.status, 200);
    desk.passes(1).await;
    for page in [desk.look(&link).await, desk.confirm(&link, "Nadia").await] {
        assert_eq!(page.status, 410, "{}", page.text());
        assert!(page.text().contains("This link has expired") && !page.text().contains("C1"), "{}", page.text());
    }
    desk.planned().await;
    assert_eq!(desk.open().await, ["C1"]);
    desk.app.end().await;
}
