//! Services that fail, answer late or lose what they were given, while a case closes: in the end nothing is open.

use fanfare::delivery::State;
use jiff::SignedDuration;

use super::stage::{FRAUD, Story, hours, minutes};
use crate::support::http_peer::Answer;
use crate::support::smtp_peer::{Act, Moment};

/// How a first attempt goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Refused for now: nobody saw anything.
    Busy,
    /// Taken, and the answer lost: perhaps somebody saw it.
    Lost,
}

impl Trouble {
    /// From now on, at all four, for one attempt each (mail: until it ends).
    fn begin(self, story: &Story) {
        let services = &story.services;
        for http in [&services.pagerduty.http, &services.slack.http, &services.discord.http] {
            match self {
                Trouble::Busy => http.answer(Answer::status(503)),
                Trouble::Lost => http.lose_answers(1),
            };
        }
        services.mail.on(
            Moment::Content,
            match self {
                Trouble::Busy => Act::Say("451 4.3.0 later"),
                Trouble::Lost => Act::Drop,
            },
        );
    }

    fn end(story: &Story) {
        story.services.mail.behave();
    }
}

/// Nothing is open anywhere, and what says so was the last to come; and nothing more ever comes.
async fn assert_over(story: &Story) {
    let services = &story.services;
    let pagerduty = services.pagerduty.pagerduty();
    assert_eq!(pagerduty.incidents.len(), 1, "{:?}", pagerduty.incidents);
    assert_eq!(pagerduty.open(), Vec::<&str>::new());
    let last = services.pagerduty.http.requests().pop().unwrap();
    assert_eq!(last.json()["event_action"], "resolve");
    let last = services.slack.http.requests().pop().unwrap();
    assert_eq!(last.target, "/api/chat.update");
    let last = services.discord.http.requests().pop().unwrap();
    assert_eq!(last.method, "PATCH");
    let conversations = services.mail.conversations();
    assert_eq!(conversations.len(), 1, "{conversations:?}");
    let last = conversations[0].mails.last().unwrap();
    assert!(last.part("text/plain").unwrap().text.starts_with("It is over with C1\n"));
    let asked = services.asked();
    story.wait_in_steps(hours(72), hours(6)).await;
    assert_eq!(services.asked(), asked, "nothing comes after the end");
    assert_eq!(story.deliveries(&[State::Due, State::Sending, State::Retrying, State::Dead]).await, []);
    services.assert_clean();
}

#[tokio::test]
async fn an_opening_that_is_tried_again_after_the_close_opens_nothing_for_good() {
    for trouble in [Trouble::Busy, Trouble::Lost] {
        let mut story = Story::begin(FRAUD).await;
        trouble.begin(&story);
        story.send("fraud.action_required", "C1").await;
        Trouble::end(&story);
        assert_eq!(story.deliveries(&[State::Retrying]).await.len(), 4, "{trouble:?}");
        story.send("fraud.resolved", "C1").await;
        assert!(story.deliveries(&[State::Delivered]).await.is_empty(), "the close waits for what came before it");
        story.wait(minutes(1)).await;
        assert_over(&story).await;
        let slack = story.services.slack.slack();
        // Slack can't tell a repetition from a second post: the one whose answer was lost stays without a mark.
        let posts = if trouble == Trouble::Lost { 2 } else { 1 };
        assert_eq!((slack.posts.len(), slack.posts.last().unwrap().updates), (posts, 1), "{trouble:?}");
        let discord = story.services.discord.discord();
        assert_eq!((discord.messages.len(), discord.messages.last().unwrap().edits), (posts, 1), "{trouble:?}");
        story.end().await;
    }
}

#[tokio::test]
async fn a_reminder_that_is_tried_again_after_the_close_opens_nothing_again() {
    for trouble in [Trouble::Busy, Trouble::Lost] {
        let mut story = Story::begin(FRAUD).await;
        story.send("fraud.action_required", "C1").await;
        trouble.begin(&story);
        story.wait(hours(2)).await;
        Trouble::end(&story);
        assert_eq!(story.deliveries(&[State::Retrying]).await.len(), 4, "{trouble:?}");
        story.send("fraud.resolved", "C1").await;
        story.wait(minutes(1)).await;
        assert_over(&story).await;
        assert_eq!(story.services.slack.slack().threads().len(), 1, "{trouble:?}: it stands in the thread");
        assert_eq!(story.services.discord.discord().messages[0].edits, 1, "{trouble:?}");
        story.end().await;
    }
}

#[tokio::test]
async fn a_close_that_is_tried_again_closes_once_and_for_all() {
    for trouble in [Trouble::Busy, Trouble::Lost] {
        let mut story = Story::begin(FRAUD).await;
        story.send("fraud.action_required", "C1").await;
        trouble.begin(&story);
        story.send("fraud.resolved", "C1").await;
        Trouble::end(&story);
        // The case opens again before that is through: a new one, which the late close is not about.
        story.wait(SignedDuration::from_secs(1)).await;
        story.send("fraud.action_required", "C1").await;
        story.wait(minutes(1)).await;
        let pagerduty = story.services.pagerduty.pagerduty();
        let states: Vec<bool> = pagerduty.incidents.iter().map(|incident| incident.is_open).collect();
        assert_eq!(states, [false, true], "{trouble:?}");
        let slack = story.services.slack.slack();
        let closed: Vec<bool> = slack.posts.iter().map(|post| post.text.contains("Closed: ")).collect();
        assert_eq!(closed, [true, false], "{trouble:?}");
        let discord = story.services.discord.discord();
        let closed: Vec<bool> =
            discord.messages.iter().map(|message| message.title().starts_with("Closed: ")).collect();
        assert_eq!(closed, [true, false], "{trouble:?}");
        assert_eq!(story.services.mail.conversations().len(), 2, "{trouble:?}");
        story.services.assert_clean();
        story.end().await;
    }
}

#[tokio::test]
async fn of_an_opening_that_nobody_got_no_close_is_sent() {
    let mut story = Story::begin(FRAUD.split("    on_close").next().unwrap()).await;
    let services = &story.services;
    for http in [&services.pagerduty.http, &services.slack.http, &services.discord.http] {
        http.answer(Answer::status(404));
    }
    services.mail.on(Moment::Content, Act::Say("550 5.7.1 not from you"));
    story.send("fraud.action_required", "C1").await;
    story.services.mail.behave();
    assert_eq!(story.deliveries(&[State::Dead]).await.len(), 4);
    let asked = story.services.asked();
    story.send("fraud.resolved", "C1").await;
    story.wait_in_steps(hours(24), hours(6)).await;
    assert_eq!(story.services.asked(), asked, "nobody is notified of the end of what nobody knew");
    let called_off = story.deliveries(&[State::Cancelled]).await;
    let reasons: Vec<&str> = called_off.iter().filter_map(|delivery| delivery.last_error.as_deref()).collect();
    assert_eq!(reasons, ["nothing of the case was shown here"; 3], "mail has no update to send");
    story.end().await;
}

#[tokio::test]
async fn a_reminder_of_what_never_arrived_is_the_first_that_stands_there() {
    let mut story = Story::begin(FRAUD).await;
    let services = &story.services;
    for http in [&services.pagerduty.http, &services.slack.http, &services.discord.http] {
        http.answer(Answer::status(400).body("no"));
        http.answer(Answer::status(400).body("no"));
    }
    services.mail.on(Moment::Content, Act::Say("550 5.7.1 not from you"));
    story.send("fraud.action_required", "C1").await;
    story.services.mail.behave();
    assert_eq!(story.deliveries(&[State::Dead]).await.len(), 4);
    story.wait(hours(2)).await;
    story.send("fraud.resolved", "C1").await;
    let slack = story.services.slack.slack();
    assert_eq!((slack.threads().len(), slack.posts[0].updates), (1, 1));
    assert_eq!(story.services.discord.discord().messages[0].edits, 1);
    let conversations = story.services.mail.conversations();
    assert_eq!((conversations.len(), conversations[0].subject.as_str()), (1, "Nobody took C1"));
    assert_eq!(conversations[0].mails.len(), 2);
    assert_eq!(story.services.pagerduty.pagerduty().open(), Vec::<&str>::new());
    story.end().await;
}

#[tokio::test]
async fn what_a_person_deleted_needs_no_mark_and_harms_nothing() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    story.services.slack.forget();
    story.services.discord.forget();
    // The case goes on: anyone who deleted the first message is reminded all the same.
    story.wait(hours(2)).await;
    assert_eq!(story.services.slack.slack().posts.len(), 1);
    assert_eq!(story.services.discord.discord().messages.len(), 1);
    story.send("fraud.resolved", "C1").await;
    assert_eq!(story.deliveries(&[State::Dead, State::Retrying]).await, []);
    assert_eq!(story.failing().await, Vec::<String>::new(), "the place is well, only the message is gone");
    let closes = story.deliveries(&[State::Delivered]).await;
    let closes = closes.iter().filter(|delivery| delivery.planned.act == fanfare::delivery::MessageOp::Close);
    assert_eq!(closes.count(), 3, "as done as it can be");
    story.end().await;
}
