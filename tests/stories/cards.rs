//! One message a release: sent at first, changed as the stores follow, and one whatever becomes of the process.

use std::net::SocketAddr;

use fanfare::clock::Clock;
use fanfare::delivery::MessageOp;
use jiff::SignedDuration;
use serde_json::json;

use super::stage::{Services, Story, config};
use crate::support::app::{eventually, json as ask, now_s, page_signature};
use crate::support::folder::{Folder, SECRET};
use crate::support::process::Process;
use crate::support::raw::{exchange, post};

const CARD: &str = r#"rules:
  - name: card
    events: [release.submitted, store.live]
    case: $.data.release
    closed_by: release.live
    actions:
      - to: [desk, fans, group]
        update: true
        text: "{{ case.key }} is live on {{ events|length - 1 }} of 11:{% for one in events %} {{ one.data.store }}{% endfor %}"
"#;

const STORES: [&str; 11] =
    ["spotify", "apple", "deezer", "tidal", "amazon", "beatport", "juno", "youtube", "qobuz", "boomplay", "anghami"];

/// What stands at each of the three services: how many messages, how often the first was changed, what it says.
fn standing(services: &Services) -> [(usize, u32, String); 3] {
    let (slack, discord, telegram) = (services.slack.slack(), services.discord.discord(), services.telegram.service());
    let slack = (slack.posts.len(), slack.posts[0].updates, slack.posts[0].text.clone());
    let discord = (discord.messages.len(), discord.messages[0].edits, discord.messages[0].title());
    let telegram = (telegram.messages.len(), telegram.messages[0].edits, telegram.messages[0].text.clone());
    [slack, discord, telegram]
}

#[tokio::test]
async fn a_release_on_eleven_stores_is_one_message_that_changes_eleven_times_at_most_once_a_second() {
    let mut story = Story::begin(CARD).await;
    let now = story.clock.now();
    story.post("release.submitted", json!({"release": "R1", "store": ""}), now).await;
    story.calm().await;
    for store in STORES {
        story.wait(SignedDuration::from_millis(1500)).await;
        let now = story.clock.now();
        story.post("store.live", json!({"release": "R1", "store": store}), now).await;
        story.calm().await;
    }
    for (messages, edits, said) in standing(&story.services) {
        assert_eq!((messages, edits), (1, 11), "{said}");
        assert!(said.contains("is live on 11 of 11: ") && STORES.iter().all(|store| said.contains(store)), "{said}");
    }
    // All at once: one change, a second after the message.
    let now = story.clock.now();
    story.post("release.submitted", json!({"release": "R2", "store": ""}), now).await;
    for store in STORES {
        story.post("store.live", json!({"release": "R2", "store": store}), now).await;
    }
    story.calm().await;
    story.wait(SignedDuration::from_secs(1)).await;
    let posts = story.services.slack.slack().posts;
    assert_eq!((posts.len(), posts[1].updates), (2, 1), "{posts:?}");
    assert!(posts[1].text.contains("R2 is live on 11 of 11"), "{posts:?}");
    let mut changes: Vec<_> = story.deliveries(&[]).await;
    changes.retain(|one| one.planned.act == MessageOp::Update && one.planned.destination == "desk");
    changes.sort_by_key(|one| one.planned.due);
    let apart = changes.windows(2).map(|two| two[1].planned.due.duration_since(two[0].planned.due));
    let of_one = changes.windows(2).map(|two| two[0].planned.lane == two[1].planned.lane);
    let sent = |at: usize| changes[at].attempts > 0 && changes[at + 1].attempts > 0;
    for (at, (apart, of_one)) in apart.zip(of_one).enumerate() {
        assert!(!of_one || !sent(at) || apart >= SignedDuration::from_secs(1), "{apart}");
    }
    // The close says the last of it.
    let now = story.clock.now();
    story.post("release.live", json!({"release": "R1", "store": "the end"}), now).await;
    story.calm().await;
    for (_, edits, said) in standing(&story.services) {
        assert!(edits == 12 && said.contains("the end"), "{edits} {said}");
    }
    story.services.assert_clean();
    story.end().await;
}

async fn send(address: SocketAddr, kind: &str, store: &str) {
    let body = json!({"id": format!("evt_{kind}_{store}"), "type": kind, "created": now_s(), "data": {"release": "R1", "store": store}});
    let body = body.to_string();
    let signature = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
    let answer = exchange(address, &post("/webhooks/jewelmusic", &[signature], body.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Waits until nothing waits to be planned or sent.
async fn until_done(process: &Process) {
    eventually("all is delivered", async || {
        let status = ask(process.admin, "/api/v1/status").await;
        let waits = |state: &str| status["deliveries"][state].as_u64().unwrap_or_default();
        let waiting = waits("due") + waits("sending") + waits("retrying");
        (status["inbox"]["head"] == status["inbox"]["planned"] && waiting == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_its_changes_it_is_still_one_message() {
    let services = Services::start().await;
    let folder = Folder::new(&config(&services), "", CARD);
    let process = Process::start(folder.path()).await;
    send(process.webhooks, "release.submitted", "").await;
    until_done(&process).await;
    send(process.webhooks, "store.live", STORES[0]).await;
    process.kill().await;

    // It was planned, and its second is not over yet.
    let process = Process::start(folder.path()).await;
    for store in &STORES[1..6] {
        send(process.webhooks, "store.live", store).await;
    }
    process.kill().await;
    let process = Process::start(folder.path()).await;
    until_done(&process).await;
    for store in &STORES[6..] {
        send(process.webhooks, "store.live", store).await;
    }
    until_done(&process).await;
    process.kill().await;
    for (messages, edits, said) in standing(&services) {
        assert_eq!(messages, 1, "{said}");
        assert!((1..=11).contains(&edits) && said.contains("is live on 11 of 11: "), "{edits} {said}");
    }
    services.assert_clean();
}
