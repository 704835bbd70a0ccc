//! Why a rule missed an event is found again by the rules of then, however they were edited since.

use serde_json::Value;

use super::start;
use crate::support::app::{App, event, eventually};

fn rules(one: &str) -> String {
    format!("rules:\n{one}  - {{name: everything, events: '*', actions: [{{to: ledger, text: hello}}]}}\n")
}

async fn planned(app: &App, id: &str) -> Value {
    assert_eq!(app.send(&event(id, "release.live")).await.status, 200);
    eventually("planned", async || {
        let document = app.json(&format!("/api/v1/events/{id}")).await;
        (document["planned"] == true).then(|| document["rules"].clone())
    })
    .await
}

async fn reload(app: &App, rules: &str) {
    app.folder.write("rules/main.yaml", rules);
    let before = app.live.snapshot.load().hash.clone();
    let answer = app.ask("POST", "/-/reload").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    eventually("in force", async || (app.live.snapshot.load().hash != before).then_some(())).await;
}

#[tokio::test]
async fn an_event_says_why_rules_missed_it_then_after_edits_renames_and_removals() {
    let (_peer, app) = start().await;
    let versions = [
        rules("  - {name: warp, events: '*', when: {$.data.label: Ninja}, actions: [{to: ledger, text: x}]}\n"),
        rules("  - {name: warp, events: '*', when: {$.data.label: {ne: Warp}}, actions: [{to: ledger, text: x}]}\n"),
        rules(
            "  - {name: labels, formerly: warp, events: '*', when: {$.data.label: [A, B]}, actions: [{to: ledger, text: x}]}\n",
        ),
        rules(""),
    ];
    let mut said = Vec::new();
    for (at, version) in versions.iter().enumerate() {
        reload(&app, version).await;
        said.push(planned(&app, &format!("evt_{at}")).await);
    }
    let miss = |rows: &Value| rows[0]["note"].as_str().unwrap().to_owned();
    assert_eq!(miss(&said[0]), "does not hold: `$.data.label` is \"Ninja\" (\"Warp\")");
    assert_eq!(miss(&said[1]), "does not hold: `$.data.label` is not \"Warp\" (\"Warp\")");
    assert_eq!(said[2][0]["rule"], "labels");
    assert_eq!(said[3].as_array().unwrap().len(), 1, "the rule is gone");
    for (at, said) in said.iter().enumerate() {
        let rows = app.json(&format!("/api/v1/events/evt_{at}")).await["rules"].clone();
        assert_eq!(rows, *said, "evt_{at} says later what it said then");
        assert_eq!(rows.as_array().unwrap().last().unwrap()["outcome"], "matched");
    }
    // Nothing is kept of what missed.
    let kept = app.live.store.whys(app.head().await).await.unwrap();
    assert!(kept.iter().all(|why| why.outcome != "missed"), "{kept:?}");

    // After a restart too, when the rules of then are only in the store.
    let folder = app.end().await;
    let app = App::start(folder).await;
    for (at, said) in said.iter().enumerate() {
        assert_eq!(app.json(&format!("/api/v1/events/evt_{at}")).await["rules"], *said);
    }
    app.end().await;
}

#[tokio::test]
async fn rules_that_judged_no_event_that_is_kept_are_forgotten() {
    let (_peer, app) = start().await;
    let kept = async |app: &App, kind: &str| app.live.store.docs(kind, "", 100).await.unwrap().len();
    for at in 0..20 {
        reload(&app, &rules(&format!("  - {{name: r{at}, events: x, actions: [{{to: ledger, text: x}}]}}\n"))).await;
        eventually("recorded", async || {
            let id = app.live.snapshot.load().rules.clone().unwrap().version.id.clone();
            let newest = app.live.store.docs("judged-from", "", 1).await.unwrap();
            newest.first().is_some_and(|(_, newest)| *newest == format!("\"{id}\"")).then_some(())
        })
        .await;
    }
    assert!(kept(&app, "judged-from").await <= 2, "no event came: one of them counts");
    assert!(kept(&app, "rules-version").await <= 2);
    assert!(kept(&app, "rules-file").await <= 3);
    app.end().await;
}
