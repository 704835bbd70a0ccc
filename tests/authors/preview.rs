//! `fanfare preview`: one message, and the page of all of them.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

const CONFIG: &str = "sources: {jewelmusic: {preset: jewelmusic, secrets: \"${env:S}\"}}
destinations:
  team: {type: slack, webhook_url: \"${env:HOOK}\", mentions: {lead: U024BE7LH}}
  desk: {type: email, smtp: \"${env:SMTP}\", from: a@label.example, to: b@label.example}
  ledger: {type: http, url: \"https://ledger.example/{{ data.release_id }}\"}
";

const RULES: &str = "rules:
  - name: strange
    events: release.live
    when: {$.data.title: {contains: '<'}}
    actions: {to: team, message: live, mention: lead}
  - name: weekly
    events: royalty.reported
    digest: {every: 2h}
    actions: {to: desk, text: '**{{ events|length }}** statements'}
  - name: stuck
    events: release.submitted
    case: release
    closed_by: release.live
    on_close: {to: team, text: 'It is done: {{ case.key }}'}
    actions: {to: team, after: 7d, text: '{{ case.key }} was submitted {{ case.opened|ago }}'}
  - name: trouble
    events: [fanfare.delivery.dead, fanfare.rule.failed]
    actions: {to: desk}
  - {name: booked, events: release.created, actions: {to: ledger}}
";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    fs::write(folder.path().join("fanfare.yaml"), CONFIG).unwrap();
    fs::write(folder.path().join("rules/r.yaml"), RULES).unwrap();
    let live = "---\ntitle: \"{{ title }} is live\"\nimage: https://images.example/a.png\n---\nBy {{ artist }}, with <b>care</b>\n";
    fs::write(folder.path().join("templates/live.md"), live).unwrap();
    folder
}

#[test]
fn a_message_is_shown_as_its_rule_would_send_it() {
    let folder = folder();
    // The first sample that the rule acts on; the destination's own mention.
    let out = said(folder.path(), &["preview", "live", "--as", "slack"]);
    assert!(out.contains("rule strange, to team, of release.live"), "{out}");
    assert!(out.contains("<@U024BE7LH>"), "{out}");
    let out = said(folder.path(), &["preview", "live", "--as", "slack", "--event", "release.live"]);
    assert!(out.contains("the rule strange does not use it for release.live; shown as if it did"), "{out}");
    // A rule by its name, its digest and its reminder at their time.
    let out = said(folder.path(), &["preview", "weekly", "--as", "desk"]);
    assert!(out.contains("to desk, of royalty.reported, 2 h later") && out.contains("1 statements"), "{out}");
    let out = said(folder.path(), &["preview", "stuck", "--as", "team", "--event", "release.submitted"]);
    assert!(out.contains("7 days later") && out.contains("was submitted 7 days ago"), "{out}");
    // What is said at a close, and of Fanfare itself.
    let out = said(folder.path(), &["preview", "stuck", "--as", "discord", "--event", "release.live"]);
    assert!(out.contains("It is done: rel_"), "{out}");
    let out = said(folder.path(), &["preview", "default", "--as", "email", "--rule", "trouble"]);
    assert!(out.contains("rule trouble, to desk, of fanfare.delivery.dead"), "{out}");
}

#[test]
fn a_later_message_of_a_case_is_shown_as_what_came_before_makes_it() {
    let folder = folder();
    let config = format!("{CONFIG}  bot: {{type: slack, token: xoxb-1-FAKE, channel: \"#fraud\"}}\n");
    let rules = "rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    actions: {to: [bot, desk], text: 'Fraud case {{ case.key }}, for the {{ case.count }}. time'}
";
    fs::write(folder.path().join("fanfare.yaml"), config).unwrap();
    fs::write(folder.path().join("rules/r.yaml"), rules).unwrap();
    let shown = |to: &str, more: &[&str]| said(folder.path(), &[&["preview", "fraud", "--as", to], more].concat());
    let again = ["--event", "fraud.action_required", "--after", "fraud.action_required"];
    let out = shown("desk", &again);
    assert!(out.contains("to desk, of fraud.action_required, after fraud.action_required"), "{out}");
    assert!(out.contains("Re: Fraud case frc_7Kd2wQx8, for the 1. time"), "{out}");
    assert!(shown("bot", &again).contains("\"thread_ts\""));
    // What opened the case is found.
    let out = shown("bot", &["--event", "fraud.resolved"]);
    assert!(out.contains("of fraud.resolved, after fraud.action_required") && out.contains("Closed"), "{out}");
    assert!(out.contains("\"ts\"") && !out.contains("thread_ts"), "{out}");
}

#[test]
fn a_footer_is_shown_as_the_destination_says() {
    let folder = folder();
    let more = "  quiet: {type: slack, webhook_url: \"${env:HOOK}\", footer: none}
  fans: {type: slack, webhook_url: \"${env:HOOK}\", footer: Halide Records}
";
    fs::write(folder.path().join("fanfare.yaml"), format!("{CONFIG}{more}")).unwrap();
    for (to, shown) in [("team", " · strange · release.live"), ("fans", "Halide Records")] {
        let out = said(folder.path(), &["preview", "live", "--as", to]);
        assert!(out.contains(shown), "{to}: {out}");
    }
    assert!(!said(folder.path(), &["preview", "live", "--as", "quiet"]).contains("· strange ·"));
}

#[test]
fn raw_is_nothing_but_the_bytes() {
    let folder = folder();
    let raw = said(folder.path(), &["preview", "booked", "--as", "ledger", "--raw"]);
    let document: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!((&document["rule"], document.to_string()), (&"booked".into(), raw));
    let mail = said(folder.path(), &["preview", "weekly", "--as", "email", "--raw"]);
    assert!(mail.contains("\r\n\r\n") && mail.contains("Subject: "), "{mail}");
}

#[test]
fn what_is_not_there_is_reported_with_the_nearest_name() {
    let folder = folder();
    for (arguments, hint) in [
        (&["preview", "liv", "--as", "slack"][..], "did you mean `live`?"),
        (&["preview", "live", "--as", "slak"], "did you mean `slack`?"),
        (&["preview", "live", "--as", "teem"], "did you mean `team`?"),
        (&["preview", "live", "--as", "team", "--rule", "strang"], "did you mean `strange`?"),
        (&["preview", "live", "--as", "team", "--rule", "weekly"], "the rule `weekly` doesn't use `live`"),
        (&["preview", "live", "--as", "team", "--event", "release.liv"], "did you mean `release.live`?"),
    ] {
        let output = fanfare(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(hint), "{}", text(&output.stderr));
    }
}

#[test]
fn the_page_shows_every_message_in_every_channel_and_fetches_nothing() {
    let folder = folder();
    let out = said(folder.path(), &["preview", "--all"]);
    let channels = fanfare::channels::ALL.len();
    assert_eq!(out, format!("wrote preview.html: 6 messages in {channels} channels\n"));
    let page = fs::read_to_string(folder.path().join("preview.html")).unwrap();
    assert_eq!(page.matches("<section id=").count(), 6);
    assert_eq!(page.matches("<article ").count(), 6 * channels, "each in each channel");
    // Each message is meant for one of them.
    assert_eq!(page.matches("<article class=\"meant\">").count(), 6);
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
    for fetched in ["<script", "<img", "<link", " src=\"", "url(", "@import", "href=\"http"] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    // Values of the event stay text, in the page and in the mail's frame.
    assert!(page.contains("&lt;script&gt;") || page.contains("&lt;b&gt;"), "the hostile sample is among them");
    assert_eq!(page.matches("<iframe sandbox srcdoc=").count(), 6);
    assert_eq!(said(folder.path(), &["preview", "--all", "--out", "-"]).matches("<section id=").count(), 6);
}
