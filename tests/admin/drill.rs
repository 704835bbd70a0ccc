//! A drill: what really arrives, marked so that nobody takes it for the thing itself, and what is said of each answer.

use serde_json::json;

use crate::channels::judges::jsm::{JsmPeer, KEY};
use crate::support::cli::{Ran, run};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::pagerduty_peer::PagerDutyPeer;

const RULES: &str = r#"
rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {to: [oncall, ledger], text: "{{ data.case_id }} needs a person"}
      - {to: ledger, after: 2h, text: still}
  - {name: other, events: release.live, actions: {to: ledger}}
"#;

struct Location {
    folder: Folder,
    ledger: HttpPeer,
    pager: PagerDutyPeer,
}

async fn place() -> Location {
    let (ledger, pager) = (HttpPeer::start().await, PagerDutyPeer::start().await);
    let more = format!(
        "  oncall: {{type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef, url: \"{}\"}}\n",
        pager.url()
    );
    Location { folder: Folder::new(&format!("{CONFIG}{more}"), &ledger.url("/ledger"), RULES), ledger, pager }
}

async fn drill(place: &Location, arguments: &[&str]) -> Ran {
    let config = place.folder.file("fanfare.yaml");
    run(&[], &[&["--config", config.to_str().unwrap(), "drill"], arguments].concat()).await
}

#[tokio::test]
async fn where_it_would_go_is_said_first_and_nothing_is_sent() {
    let place = place().await;
    let text = drill(&place, &["fraud"]).await.good();
    assert!(text.starts_with("a test message of fraud would go to 2 destinations:\n"), "{text}");
    assert!(
        text.contains("\noncall") && text.contains("\nledger") && text.ends_with("add `--yes` to send it\n"),
        "{text}"
    );
    assert!(place.ledger.requests().is_empty() && place.pager.pagerduty().incidents.is_empty());
}

#[tokio::test]
async fn what_arrives_is_marked_and_what_it_raised_is_closed_again() {
    let place = place().await;
    let ran = drill(&place, &["fraud", "--yes", "--format", "json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let answers = ran.json();
    assert_eq!((&answers[0]["destination"], &answers[0]["outcome"]), (&json!("oncall"), &json!("delivered")));
    assert_eq!((&answers[0]["closed"], &answers[1]["closed"]), (&json!("delivered"), &json!(null)), "{answers:#}");
    let requests = place.ledger.requests();
    assert_eq!(requests.len(), 1);
    let title = requests[0].json()["message"]["title"].as_str().unwrap().to_owned();
    assert!(title.starts_with("[drill] ") && title.ends_with(" needs a person"), "{title}");
    let pagerduty = place.pager.pagerduty();
    assert_eq!((pagerduty.incidents.len(), pagerduty.open()), (1, vec![]));
    place.pager.assert_clean();
}

#[tokio::test]
async fn where_a_service_only_queues_a_message_the_answer_says_where_to_look() {
    let workflow = HttpPeer::start().await;
    workflow.always(Answer::status(202));
    let more = format!("  oncall: {{type: teams, webhook_url: \"{}\"}}\n", workflow.url("/flow?sig=x"));
    let folder = Folder::new(&format!("{CONFIG}{more}"), &workflow.url("/ledger"), RULES);
    let config = folder.file("fanfare.yaml");
    let drill = ["--config", config.to_str().unwrap(), "drill", "fraud", "--to", "oncall", "--yes"];
    let ran = run(&[], &drill).await;
    assert!(
        ran.code == 0 && ran.out.contains("only queued: look in Teams, or in the workflow's run history"),
        "{ran:?}"
    );
    let json = run(&[], &[&drill[..], &["--format", "json"]].concat()).await.json();
    assert_eq!(json[0]["confirm"], "look in Teams, or in the workflow's run history", "{json:#}");
}

#[tokio::test]
async fn a_service_that_queues_and_can_be_asked_says_what_became_of_the_message() {
    let ops = JsmPeer::start().await;
    let more =
        format!("  oncall: {{type: jsm, api_key: \"{KEY}\", url: \"{}\"}}\n", ops.http.url("/jsm/ops/integration/v2"));
    let folder = Folder::new(&format!("{CONFIG}{more}"), &ops.http.url("/ledger"), RULES);
    let config = folder.file("fanfare.yaml");
    let drill = ["--config", config.to_str().unwrap(), "drill", "fraud", "--to", "oncall", "--yes"];
    let ran = run(&[], &drill).await;
    assert!(ran.code == 0 && ran.out.contains("then: Created alert; closed again"), "{ran:?}");
    ops.change(|ops| ops.failure = "No such team".into());
    let ran = run(&[], &[&drill[..], &["--format", "json"]].concat()).await;
    assert_eq!((ran.code, &ran.json()[0]["became"]), (1, &json!("No such team")), "{ran:?}");
}

#[tokio::test]
async fn a_destination_that_refuses_is_named_with_its_answer() {
    let place = place().await;
    place.ledger.answer(Answer::status(410).body("no such key"));
    let ran = drill(&place, &["fraud", "--to", "ledger", "--yes"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("ledger") && ran.out.contains("410"), "{ran:?}");
    assert!(place.pager.pagerduty().incidents.is_empty());
}

#[tokio::test]
async fn mistakes_are_named_before_anything_is_sent() {
    let place = place().await;
    for (arguments, said) in [
        (&["fruad", "--yes"][..], "error: there is no rule `fruad`; did you mean `fraud`?\n"),
        (&["other", "--to", "oncall", "--yes"], "error: `other` does not send to `oncall`, but to ledger\n"),
        (&["fraud", "--event", "fraud.action", "--yes"], "error: `fraud.action` is neither a file nor a sample"),
    ] {
        let ran = drill(&place, arguments).await;
        assert!(ran.code == 1 && ran.err.starts_with(said), "{ran:?}");
    }
    assert!(place.ledger.requests().is_empty());
}
