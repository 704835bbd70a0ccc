//! Rendering beside everything else: a template that works hard holds up nobody, and one that works too long is given up.

use std::sync::Arc;
use std::time::Duration;

use fanfare::delivery::State;
use fanfare::steps::reload;
use fanfare::store::DeliveryFilter;
use serde_json::{Value, json};

use crate::support::app::{App, event, eventually, soon};
use crate::support::by_hand::ByHand;
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::HttpPeer;

const RULES: &str = "rules:
  - name: statement
    events: royalty.reported
    actions: {to: ledger, message: heavy}
";

/// About as hard as a template can work.
const HEAVY: &str = "---\ntitle: T\n---\n{% if data.list %}{% for a in range(90000) %}{% if data.list|join == a %}x{% endif %}{% endfor %}{% endif %}";

fn folder(peer: &str) -> Folder {
    let config = CONFIG.replace("concurrency: 4", "concurrency: 64, rate: 1000/s, burst: 1000");
    let folder = Folder::new(&config, peer, RULES);
    folder.write("templates/heavy.md", HEAVY);
    folder
}

fn statement() -> Value {
    json!({"list": (0..20_000).map(|nth| format!("row {nth}")).collect::<Vec<_>>()})
}

// One thread receives and answers: whatever kept it would be seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn webhooks_and_health_are_answered_while_the_hardest_templates_render() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer.url("/ledger"))).await;
    let body = json!({"id": "evt_heavy", "type": "royalty.reported", "created": 1_767_607_200, "data": statement()});
    assert_eq!(app.send(&body.to_string()).await.status, 200);
    let sending = DeliveryFilter { states: vec![State::Sending], limit: 100, ..DeliveryFilter::default() };
    let is_rendered = async || {
        let under_way = app.live.store.list_deliveries(&sending).await.unwrap();
        under_way.iter().any(|delivery| delivery.planned.rule == "statement" && delivery.message.is_none())
    };
    eventually("the rendering begins", async || is_rendered().await.then_some(())).await;
    let mut meanwhile = 0;
    while meanwhile < 100 && is_rendered().await {
        let body = event(&format!("evt_{meanwhile}"), "release.live");
        assert_eq!(soon("a webhook", app.send(&body)).await.status, 200);
        assert_eq!(soon("health", app.ask("GET", "/healthz")).await.status, 200);
        meanwhile += 1;
    }
    // On the one thread that answers it would be one, or none.
    assert!(meanwhile >= 2, "only {meanwhile} webhooks were answered while the statement was rendered");
    let sent = peer.received(1).await;
    assert!(String::from_utf8_lossy(&sent[0].body).contains("This replaces a message that could not be rendered"));
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_takes_too_long_three_times_is_left_alone_until_a_reload() {
    let folder = folder("http://127.0.0.1:9/ledger");
    let mut app = ByHand::start(folder.path(), "2026-01-05T10:00:00Z".parse().unwrap(), 30).await;
    Arc::get_mut(&mut app.live).unwrap().renderer.limit = Duration::from_millis(1);
    let mut said = Vec::new();
    for nth in 0..5 {
        app.receive(&format!("evt_{nth}"), "royalty.reported", statement()).await;
        app.turn().await;
        let [(_, sent)] = app.take_sent().try_into().unwrap();
        assert_eq!(sent["message"]["title"], "Royalty reported");
        said.push(sent["message"]["text"].as_str().unwrap().to_owned());
    }
    for said in &said[..3] {
        assert!(said.ends_with("could not be rendered: rendering `heavy.md` took longer than 1ms"), "{said}");
    }
    for said in &said[3..] {
        assert!(
            said.ends_with("rendering `heavy.md` took longer than 1ms 3 times: it is tried again after a reload"),
            "{said}"
        );
    }
    // What was given up may still be at it, so the fixed template may take its time.
    Arc::get_mut(&mut app.live).unwrap().renderer.limit = Duration::from_secs(60);
    app.clock.advance(jiff::SignedDuration::from_secs(1));
    folder.write("templates/heavy.md", "---\ntitle: \"{{ (data.list or [])|length }} rows\"\n---\nSee there.\n");
    reload::reload(&app.live).await;
    app.receive("evt_last", "royalty.reported", statement()).await;
    app.turn().await;
    assert_eq!(app.take_sent()[0].1["message"]["title"], "20000 rows");
}
