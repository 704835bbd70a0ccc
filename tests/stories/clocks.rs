//! Reminders over restarts, reloads, new names and clocks that jump: each once, none early.

use fanfare::clock::Clock;
use serde_json::json;

use super::stage::{FRAUD, Story, hours, minutes, start};

/// How often the services were notified of anything in the case's one incident.
fn told(story: &Story) -> u32 {
    let incidents = story.services.pagerduty.pagerduty().incidents;
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    incidents[0].triggers
}

#[tokio::test]
async fn what_came_due_while_it_was_down_is_said_once_at_the_start_and_then_goes_on_in_time() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    // Due at 2, 6 and 10 hours.
    let story = story.restart(|_| {}, hours(11)).await;
    assert_eq!(told(&story), 2);
    let story = story.restart(|_| {}, hours(0)).await;
    assert_eq!(told(&story), 2, "once");
    story.wait(minutes(179)).await;
    assert_eq!(told(&story), 2, "the next keeps its time");
    story.wait(minutes(1)).await;
    assert_eq!(told(&story), 3);
    story.services.assert_clean();
    story.end().await;
}

#[tokio::test]
async fn a_reminder_of_a_case_that_closed_before_the_restart_does_not_come() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    story.wait(hours(1)).await;
    story.send("fraud.resolved", "C1").await;
    let asked = story.services.asked();
    let story = story.restart(|_| {}, hours(30)).await;
    assert_eq!((told(&story), story.services.asked()), (1, asked));
    story.end().await;
}

#[tokio::test]
async fn a_reminder_survives_a_reload_and_a_new_name_and_stays_in_its_place() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    story.wait(hours(1)).await;
    story.reload(&format!("{FRAUD}\n  - {{name: other, events: x, actions: [{{to: desk}}]}}\n")).await;
    let renamed = FRAUD.replace("name: fraud\n", "name: fraud-needs-a-person\n    formerly: fraud\n");
    let story = story.restart(|folder| folder.write("rules/main.yaml", &renamed), minutes(30)).await;
    assert_eq!(told(&story), 1);
    story.wait(minutes(30)).await;
    assert_eq!(told(&story), 2, "in the same incident");
    assert_eq!(story.services.slack.slack().threads().len(), 1);
    assert_eq!(story.services.mail.conversations().len(), 1);
    let mut story = story;
    story.send("fraud.resolved", "C1").await;
    assert_eq!(story.services.pagerduty.pagerduty().open(), Vec::<&str>::new());
    assert_eq!(story.services.slack.slack().posts[0].updates, 1);
    assert_eq!(story.cases().await, []);
    story.end().await;
}

#[tokio::test]
async fn an_after_that_is_edited_to_a_time_already_past_fires_once() {
    for restarts in [false, true] {
        let mut story = Story::begin(FRAUD).await;
        story.send("fraud.action_required", "C1").await;
        story.wait(hours(1)).await;
        let edited = FRAUD.replace("after: 2h", "after: 30m");
        let story = if restarts {
            story.restart(|folder| folder.write("rules/main.yaml", &edited), minutes(0)).await
        } else {
            story.reload(&edited).await;
            story
        };
        assert_eq!(told(&story), 2, "{restarts}");
        // The same files again, and the time at which it was due before.
        let story = story.restart(|_| {}, minutes(90)).await;
        assert_eq!(told(&story), 2, "{restarts}");
        story.wait(hours(2)).await;
        assert_eq!(told(&story), 3, "four hours after the first: {restarts}");
        story.end().await;
    }
}

#[tokio::test]
async fn an_after_that_is_edited_to_a_later_time_does_not_fire_at_the_earlier_one() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    // It is due in the very moment in which the new rules come into force.
    let edited = FRAUD.replace("after: 2h", "after: 3h");
    let story = story.restart(|folder| folder.write("rules/main.yaml", &edited), hours(2)).await;
    assert_eq!(told(&story), 1);
    story.wait(hours(1)).await;
    assert_eq!(told(&story), 2);
    story.end().await;
}

#[tokio::test]
async fn a_closes_after_that_is_edited_to_a_later_time_does_not_end_the_case_at_the_earlier_one() {
    let ending = |after: &str| FRAUD.replace("    closed_by", &format!("    closes_after: {after}\n    closed_by"));
    let mut story = Story::begin(&ending("90m")).await;
    story.send("fraud.action_required", "C1").await;
    let edited = ending("3h");
    let story = story.restart(|folder| folder.write("rules/main.yaml", &edited), minutes(90)).await;
    assert_eq!(story.cases().await.len(), 1);
    story.wait_in_steps(minutes(90), minutes(30)).await;
    assert_eq!((story.cases().await.len(), told(&story)), (0, 2), "with the reminder of the meantime");
    story.end().await;
}

#[tokio::test]
async fn an_at_that_is_edited_to_look_elsewhere_goes_by_the_date_that_stands_there() {
    const DATED: &str = "rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {name: tell, to: oncall, message: opened}
      - {name: remind, to: oncall, message: reminder, at: 1h before $.data.due}
";
    let edited = DATED.replace("$.data.due", "$.data.deadline");
    for (restarts, moved) in [(false, false), (false, true), (true, true)] {
        let mut story = Story::begin(DATED).await;
        let dates = |due, deadline| {
            let at = |hour| start().checked_add(hours(hour)).unwrap().to_string();
            json!({"case_id": "C1", "due": at(due), "deadline": at(deadline)})
        };
        // The second match moves the date: what it says counts, wherever that stands.
        let matches = if moved { vec![dates(5, 20), dates(6, 10)] } else { vec![dates(6, 10)] };
        for data in &matches {
            story.post("fraud.action_required", data.clone(), start()).await;
            story.calm().await;
        }
        let before = u32::try_from(matches.len()).unwrap();
        let story = if restarts {
            story.restart(|folder| folder.write("rules/main.yaml", &edited), minutes(0)).await
        } else {
            story.reload(&edited).await;
            story
        };
        story.wait(hours(8)).await;
        assert_eq!(told(&story), before, "{restarts} {moved}: not by the date where it stood");
        story.wait(hours(1)).await;
        assert_eq!(told(&story), before + 1, "{restarts} {moved}");
        // The same files again.
        let story = story.restart(|_| {}, hours(12)).await;
        assert_eq!(told(&story), before + 1, "{restarts} {moved}: once");
        story.end().await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_day_fires_nothing_early_or_twice_and_stops_nothing() {
    let mut story = Story::begin(FRAUD).await;
    story.send("fraud.action_required", "C1").await;
    story.wait(minutes(90)).await;
    story.clock.set(start().checked_sub(hours(24)).unwrap());
    story.calm().await;
    assert_eq!(told(&story), 1);
    // What comes now is planned and told now, and reminds in its own time.
    story.send("fraud.action_required", "C2").await;
    assert_eq!(story.services.pagerduty.pagerduty().open().len(), 2);
    story.wait(minutes(119)).await;
    story.wait(minutes(1)).await;
    let triggers: Vec<u32> = story.services.pagerduty.pagerduty().incidents.iter().map(|it| it.triggers).collect();
    assert_eq!(triggers, [1, 2]);
    story.send("fraud.resolved", "C2").await;
    // Over a restart too.
    let mut story = story.restart(|_| {}, hours(1)).await;
    let until = start().checked_add(minutes(119)).unwrap();
    story.wait_in_steps(until.duration_since(story.clock.now()), hours(1)).await;
    let triggers: Vec<u32> = story.services.pagerduty.pagerduty().incidents.iter().map(|it| it.triggers).collect();
    assert_eq!(triggers, [1, 2], "not early");
    story.wait(minutes(1)).await;
    story.clock.set(start().checked_sub(hours(24)).unwrap());
    story.calm().await;
    story.wait_in_steps(hours(26), hours(1)).await;
    let triggers: Vec<u32> = story.services.pagerduty.pagerduty().incidents.iter().map(|it| it.triggers).collect();
    assert_eq!(triggers, [2, 2], "once, although the clock came by twice");
    story.send("fraud.resolved", "C1").await;
    assert_eq!(story.services.pagerduty.pagerduty().open(), Vec::<&str>::new());
    story.services.assert_clean();
    story.end().await;
}

#[tokio::test]
async fn messages_held_over_night_come_as_one_summary_in_the_morning_also_when_it_starts_only_then() {
    let rules = "hours:
  awake: {days: mon-sun, from: \"08:00\", to: \"22:00\", timezone: UTC}
rules:
  - {name: night, events: fraud.action_required, hours: awake, actions: [{to: desk, text: \"submitted {{ data.case_id }}\"}]}
";
    for restarts in [false, true] {
        let mut story = Story::begin(rules).await;
        story.wait(hours(13)).await;
        for case in ["C1", "C2", "C3"] {
            story.send("fraud.action_required", case).await;
        }
        assert_eq!(story.services.asked(), 0, "it is eleven at night");
        let story = match restarts {
            true => story.restart(|_| {}, hours(10)).await,
            false => {
                story.wait_in_steps(hours(10), hours(1)).await;
                story
            }
        };
        let posts = story.services.slack.slack().posts;
        assert_eq!(posts.len(), 1, "{restarts}: {posts:?}");
        let names_all = ["C1", "C2", "C3"].iter().all(|case| posts[0].text.contains(case));
        assert!(names_all, "{}", posts[0].text);
        story.services.assert_clean();
        story.end().await;
    }
}

#[tokio::test]
async fn the_end_of_a_mute_is_reported_with_counts_also_when_it_ended_while_it_was_down() {
    let rules = "mutes:
  - {reason: a takedown, by: ops, events: release.*, until: 2026-01-05T12:00:00Z}
rules:
  - {name: submitted, events: release.submitted, actions: [{to: desk, text: submitted}]}
  - name: quiet-is-over
    events: fanfare.mute.ended
    actions: [{to: desk, text: \"{{ data.reason }} by {{ data.by }}: {{ data.muted }} kept quiet\"}]
";
    for restarts in [false, true] {
        let mut story = Story::begin(rules).await;
        for case in ["C1", "C2"] {
            story.send("release.submitted", case).await;
        }
        let story = match restarts {
            true => story.restart(|_| {}, hours(5)).await,
            false => {
                story.wait_in_steps(hours(5), hours(1)).await;
                story
            }
        };
        let posts = story.services.slack.slack().posts;
        let said: Vec<bool> = posts.iter().map(|post| post.text.contains("a takedown by ops: 2 kept quiet")).collect();
        assert_eq!(said, [true], "{restarts}: {posts:?}");
        let story = story.restart(|_| {}, hours(1)).await;
        assert_eq!(story.services.slack.slack().posts.len(), 1, "{restarts}");
        story.end().await;
    }
}
