//! What people see of a case: one incident, one thread, one message that is edited, one conversation of mails.

use fanfare::delivery::State;

use super::stage::{FRAUD, Services, Story, hours, minutes};

/// What stands at the services, in a few words each.
fn seen(services: &Services) -> (Vec<String>, Vec<String>, Vec<String>, Vec<String>) {
    let pagerduty = services.pagerduty.pagerduty();
    let incidents = pagerduty.incidents.iter().map(|incident| {
        let state = if incident.is_open { "open" } else { "resolved" };
        format!("{} x{}, {state}", incident.summary, incident.triggers)
    });
    let slack = services.slack.slack();
    let title = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let threads = slack.threads().into_iter().map(|(first, answers)| {
        let edited = if first.updates > 0 { format!(", edited x{}", first.updates) } else { String::new() };
        assert!(answers.iter().all(|answer| answer.updates == 0), "an answer was edited");
        format!("{} +{}{edited}", title(&first.text), answers.len())
    });
    let discord = services.discord.discord();
    let messages = discord.messages.iter().map(|message| format!("{} edited x{}", message.title(), message.edits));
    let conversations = services.mail.conversations().into_iter().map(|conversation| {
        let subjects = conversation.mails.iter().skip(1).map(|mail| mail.header("Subject").unwrap_or_default());
        let answer = format!("Re: {}", conversation.subject);
        assert!(subjects.clone().all(|subject| subject == answer), "{:?}", subjects.collect::<Vec<_>>());
        format!("{} x{}", conversation.subject, conversation.mails.len())
    });
    (incidents.collect(), threads.collect(), messages.collect(), conversations.collect())
}

#[track_caller]
fn assert_seen(services: &Services, incidents: &[&str], threads: &[&str], messages: &[&str], mails: &[&str]) {
    let (a, b, c, d) = seen(services);
    assert_eq!(a, incidents, "PagerDuty's incidents");
    assert_eq!(b, threads, "Slack's threads");
    assert_eq!(c, messages, "Discord's messages");
    assert_eq!(d, mails, "conversations of mails");
}

#[tokio::test]
async fn a_case_is_one_incident_one_thread_one_edited_message_and_one_conversation() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    story.wait(minutes(30)).await;
    story.send("fraud.action_required", "C1").await;
    story.wait_in_steps(hours(7), minutes(30)).await;
    assert_seen(
        &story.services,
        &["Fraud case C1 x4, open"],
        &["🚨 Fraud case C1 +3"],
        &["Fraud case C1 edited x0", "Fraud case C1 edited x0", "Nobody took C1 edited x0", "Nobody took C1 edited x0"],
        &["Fraud case C1 x4"],
    );
    story.send("fraud.resolved", "C1").await;
    story.wait_in_steps(hours(48), hours(4)).await;
    assert_seen(
        &story.services,
        &["Fraud case C1 x4, resolved"],
        &["☑️ Closed: Fraud case C1 +3, edited x1"],
        &[
            "Closed: Fraud case C1 edited x1",
            "Fraud case C1 edited x0",
            "Nobody took C1 edited x0",
            "Nobody took C1 edited x0",
        ],
        &["Fraud case C1 x5"],
    );
    let last = story.services.mail.conversations().remove(0).mails.pop().unwrap();
    assert!(last.part("text/plain").unwrap().text.starts_with("It is over with C1\n"), "its own title is in the text");
    assert_eq!(story.services.pagerduty.pagerduty().dropped, 0, "it was resolved once");
    story.services.assert_clean();
    assert_eq!(story.cases().await, []);
    story.end().await;
}

#[tokio::test]
async fn a_case_that_opens_again_is_a_new_one_everywhere() {
    let mut story = Story::begin(FRAUD).await;
    for _ in 0..2 {
        story.send("fraud.action_required", "C1").await;
        story.wait(minutes(10)).await;
        story.send("fraud.resolved", "C1").await;
        story.wait(minutes(10)).await;
    }
    let pagerduty = story.services.pagerduty.pagerduty();
    assert_ne!(pagerduty.incidents[0].dedup_key, pagerduty.incidents[1].dedup_key);
    assert_seen(
        &story.services,
        &["Fraud case C1 x1, resolved", "Fraud case C1 x1, resolved"],
        &["☑️ Closed: Fraud case C1 +0, edited x1", "☑️ Closed: Fraud case C1 +0, edited x1"],
        &["Closed: Fraud case C1 edited x1", "Closed: Fraud case C1 edited x1"],
        &["Fraud case C1 x2", "Fraud case C1 x2"],
    );
    story.services.assert_clean();
    story.end().await;
}

#[tokio::test]
async fn a_close_that_comes_before_its_opening_leaves_everybody_in_peace() {
    let mut story = Story::begin(FRAUD).await;
    let created = fanfare::clock::Clock::now(&story.clock);
    story.wait(minutes(5)).await;
    story.send("fraud.resolved", "C1").await;
    // A retry of the sender's: it happened before the close.
    story.send_created("fraud.action_required", "C1", created).await;
    story.wait_in_steps(hours(12), hours(2)).await;
    assert_eq!(story.services.asked(), 0);
    assert_eq!(story.cases().await, []);
    let whys = story.app.live.store.whys(2).await.unwrap();
    assert_eq!(whys.iter().map(|why| why.outcome.as_str()).collect::<Vec<_>>(), ["late"]);
    story.end().await;
}

#[tokio::test]
async fn who_takes_a_case_is_not_reminded_and_its_close_is_shown() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    story.wait_in_steps(hours(3), minutes(30)).await;
    story.ack("fraud", "C1").await;
    story.wait_in_steps(hours(24), hours(2)).await;
    let reminded: &[&str] = &["Fraud case C1 edited x0", "Nobody took C1 edited x0"];
    assert_seen(
        &story.services,
        &["Fraud case C1 x2, open"],
        &["🚨 Fraud case C1 +1"],
        reminded,
        &["Fraud case C1 x2"],
    );
    story.send("fraud.resolved", "C1").await;
    assert_seen(
        &story.services,
        &["Fraud case C1 x2, resolved"],
        &["☑️ Closed: Fraud case C1 +1, edited x1"],
        &["Closed: Fraud case C1 edited x1", "Nobody took C1 edited x0"],
        &["Fraud case C1 x3"],
    );
    story.end().await;
}

#[tokio::test]
async fn a_case_that_was_muted_when_it_opened_says_nothing_at_its_close() {
    let muted = "mutes:
  - {reason: a planned test, by: ops, rule: fraud, from: 2026-01-05T09:00:00Z, until: 2026-01-05T11:00:00Z}
";
    let mut story = Story::begin(&format!("{muted}{}", FRAUD.split("    on_close").next().unwrap())).await;
    story.send("fraud.action_required", "C1").await;
    story.send("fraud.action_required", "C2").await;
    assert_eq!((story.services.asked(), story.cases().await.len()), (0, 2), "it opens all the same");
    story.wait(minutes(30)).await;
    story.send("fraud.resolved", "C1").await;
    assert_eq!(story.services.asked(), 0);
    // What follows after the mute is the first message that people get about it.
    story.wait_in_steps(hours(3), minutes(30)).await;
    story.send("fraud.resolved", "C2").await;
    assert_seen(
        &story.services,
        &["Nobody took C2 x1, resolved"],
        &["☑️ Closed: Nobody took C2 +0, edited x1"],
        &["Closed: Nobody took C2 edited x1"],
        &["Nobody took C2 x1"],
    );
    assert!(story.deliveries(&[State::Dead, State::Cancelled]).await.is_empty());
    story.end().await;
}
