//! Whole alerts at incident.io, over the wire, and what is wrong with a destination.

use fanfare::delivery::{AttemptOutcome, MessageOp};

use super::destinations::{self, Destination, build};
use super::judges::incident_io::{IncidentIoPeer, PATH, TOKEN};
use super::slack::{deliver, of_case};
use crate::support::sending::Given;

fn source(peer: &IncidentIoPeer) -> Destination {
    build("incident_io", &format!("type: incident_io\nurl: {}\ntoken: {TOKEN}\n", peer.http.url(PATH)))
}

#[tokio::test]
async fn a_case_is_one_alert_however_often_it_is_reported_and_is_resolved() {
    let peer = IncidentIoPeer::start().await;
    let source = source(&peer);
    for act in [MessageOp::Open, MessageOp::Again, MessageOp::Close] {
        assert_eq!(deliver(&source, &of_case(act)).await.outcome, AttemptOutcome::Delivered);
    }
    assert_eq!(peer.service().alerts, [("case_1".to_owned(), 2, false)]);
    peer.assert_clean();
}

#[tokio::test]
async fn an_alert_without_an_answer_is_sent_again_and_stays_one() {
    let peer = IncidentIoPeer::start().await;
    let source = source(&peer);
    peer.http.lose_answers(1);
    assert_eq!(deliver(&source, &Given::default()).await.outcome, AttemptOutcome::Ambiguous);
    assert_eq!(deliver(&source, &Given::default()).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.service().alerts.len(), 1);
    peer.assert_clean();
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    let url = "https://api.incident.io/v2/alert_events/http/01HX";
    for (yaml, expected) in [
        ("type: incident_io\ntoken: t\n".to_owned(), "the destination has no `url`"),
        (format!("type: incident_io\nurl: {url}\n"), "the destination has no `token`"),
        (format!("type: incident_io\nurl: {url}\ntoken: Bearer FAKE\n"), "this is not a token"),
        (format!("type: slack\nwebhook_url: {url}\n"), "the address of an alert source of incident.io"),
    ] {
        let said = destinations::problems(&yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}
