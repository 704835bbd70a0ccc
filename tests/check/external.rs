//! External destinations: what may leave to them, and from when on.

use std::sync::Arc;

use fanfare::channels::Request;
use fanfare::event::Event;
use fanfare::rehearse::{Sent, Stage};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::message::event_of;

use super::{codes, folder, loaded, now, report};

const CONFIG: &str = r##"
timezone: UTC
sources:
  jewelmusic: {preset: jewelmusic, secrets: "${env:S}"}
destinations:
  team: {type: slack, token: "${env:SLACK}", channel: "#releases"}
  partner:
    type: email
    smtp: "${env:SMTP}"
    from: f@label.example
    to: press@partner.example
    external: true
    fields: [title, artist, $.data.metadata.release_date, "$.data.platforms[0].name"]
  feed: {type: http, url: https://feed.example/, external: true, fields: [title]}
  press: {type: slack, token: "${env:SLACK}", channel: "#press", external: true, embargo: until release_date}
"##;

const NAMES: &str = "names: {release_date: $.data.metadata.release_date}\n";

fn said(config: &str, rules: &str) -> String {
    let folder = folder(&[("fanfare.yaml", config), ("rules/r.yaml", &format!("{NAMES}{rules}"))]);
    let loaded = loaded(&folder);
    report(&folder, &loaded, &["unheard", "no-fallback", "unused-destination", "no-file", "cannot-thread"])
}

fn rule(action: &str) -> String {
    format!(
        "rules: [{{name: r, events: release.live, case: release, closed_by: release.rejected, closes_after: 90d, actions: [{action}]}}]\n"
    )
}

#[test]
fn what_may_leave_is_sent_without_a_problem() {
    let text = "{to: partner, text: \"{{ title }} by {{ artist }}, {{ release_date|date('%-d %B') }}, {{ event.type }} {{ with.note }}\", with: {note: new}}";
    assert_eq!(said(CONFIG, &rule(text)), "");
    assert_eq!(said(CONFIG, &rule("{to: [partner, feed]}, {to: press, at: 1d after release_date, text: Out}")), "");
}

#[test]
fn an_action_that_could_send_a_withheld_field_is_refused_and_the_field_is_named() {
    for (text, field) in [
        ("{{ amount }}", "amount"),
        ("{{ data.label }}", "data.label"),
        ("{{ title }} {{ data.upc }}", "data.upc"),
        ("{% for p in data.platforms %}{{ p.name }}{% endfor %}", "data.platforms"),
        ("{{ event.raw }}", "event.raw"),
        ("{{ event }}", "event"),
        ("{{ event.body.data.label }}", "event.body.data.label"),
        ("{{ data }}", "data"),
        ("{{ case.key }}", "case.key"),
        ("{{ [event]|total('$.data.amount') }}", "$.data.amount"),
    ] {
        let said = said(CONFIG, &rule(&format!("{{to: [team, partner], text: \"{text}\"}}")));
        let wanted = format!("error[withheld]: `{field}` may not leave to `partner`: it is none of its `fields`");
        assert!(said.contains(&wanted), "{text}\n{said}");
        assert!(said.contains(" --> rules/r.yaml:2:"), "{said}");
    }
    let attach = "rules: [{name: r, events: release.live, digest: {every: 1d}, actions: [{to: partner, attach: {csv: a.csv, columns: {Label: $.data.label, Title: title}}}]}]\n";
    let said = said(CONFIG, attach);
    assert!(said.contains("`$.data.label` may not leave to `partner`") && !said.contains("`title` may not"), "{said}");
}

#[test]
fn an_action_that_could_break_an_embargo_is_refused_and_named() {
    for (rules, why) in [
        (rule("{to: press, at: 2d before release_date, text: Soon}"), "it acts before that date"),
        (rule("{to: press, digest: {every: 1d}}"), "a digest has events with other dates"),
        (rule("{to: press, throttle: {every: 1h, rest: digest}}"), "a digest has events with other dates"),
        (
            "rules: [{name: r, missing: {events: release.live, for: 7d}, actions: [{to: press, text: Nothing}]}]\n"
                .into(),
            "has no event",
        ),
    ] {
        let said = said(CONFIG, &rules);
        assert!(
            said.contains("error[embargo]: an action of `r` could break the embargo of `press`"),
            "{rules}\n{said}"
        );
        assert!(said.contains(why), "{why}\n{said}");
    }
}

#[test]
fn bounds_of_an_audience_need_an_external_destination_that_is_no_fallback() {
    let config =
        CONFIG.replace("channel: \"#releases\"}", "channel: \"#releases\", fallback: partner, fields: [title]}");
    let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", NAMES)]);
    let codes = codes(&loaded(&folder));
    assert!(codes.contains(&"does-not-fit") && codes.contains(&"external-fallback"), "{codes:?}");
    for (from, to, wanted) in [
        ("fields: [title]}", "fields: [titel]}", "did you mean `title`?"),
        ("fields: [title]}", "fields: []}", "`fields` names nothing that may leave"),
        ("fields: [title]}", "fields: [\"$.data.platforms[*].name\"]}", "may select several values"),
        ("until release_date", "release_date", "an embargo lasts until a date in the event"),
        ("until release_date", "until release_dat", "says no date"),
    ] {
        let said = said(&CONFIG.replace(from, to), "rules: []\n");
        assert!(said.contains(wanted) && said.contains("fanfare.yaml:"), "{to}\n{said}");
    }
}

fn event(data: Value) -> Event {
    let body = json!({"id": "evt_secret_id", "type": "release.live", "extra": "WITHHELD", "data": data});
    Event { created: now(), received: now(), ..event_of("release.live", &body.to_string()) }
}

/// Everything that is sent of one event, until then.
fn sent(rules: &str, data: Value, until: &str) -> Vec<Sent> {
    sent_by(CONFIG, rules, data, until)
}

/// The same under this configuration.
fn sent_by(config: &str, rules: &str, data: Value, until: &str) -> Vec<Sent> {
    let folder = folder(&[("fanfare.yaml", config), ("rules/r.yaml", &format!("{NAMES}{rules}"))]);
    let snapshot = loaded(&folder).snapshot.unwrap();
    let rules = snapshot.rules.clone().expect("rules without a mistake");
    let until: Timestamp = until.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut rehearsal = Stage::new(snapshot).rehearse(Arc::clone(&rules), now(), 1).await.unwrap();
        rehearsal.receive(event(data)).await.unwrap();
        rehearsal.wait_until(until).await.unwrap();
        rehearsal.take_sent()
    })
}

fn bytes(sent: &Sent) -> String {
    match sent.request.as_ref().unwrap() {
        Request::Http(request) => String::from_utf8_lossy(&request.body).into_owned(),
        Request::Mail(mail) => String::from_utf8_lossy(&mail.message).into_owned(),
        Request::Nothing => String::new(),
    }
}

#[test]
fn no_byte_of_what_is_withheld_leaves_whatever_the_message_is() {
    let data = json!({
        "title": "Salt", "artist": "Mira", "release_id": "WITHHELD", "label": "WITHHELD", "amount": "WITHHELD",
        "platforms": [{"name": "spotify", "url": "https://WITHHELD.example"}, {"name": "WITHHELD"}],
        "metadata": {"release_date": "2026-02-01", "upc": "WITHHELD"},
    });
    let loop_over = "{to: partner, digest: {every: 1h}, text: \"{% for e in events %}{{ e.raw }} {{ e.data }} {{ e.body.extra }}{% endfor %}\"}";
    for action in ["{to: [partner, feed]}", "{to: [partner, feed], digest: {every: 1h}}", loop_over] {
        let sent = sent(&rule(action), data.clone(), "2026-01-06T12:00:00Z");
        assert!(!sent.is_empty());
        for one in &sent {
            let bytes = bytes(one);
            assert!(bytes.contains("Salt"), "{bytes}");
            assert!(!bytes.contains("WITHHELD") && !bytes.contains("evt_secret_id"), "{action}\n{bytes}");
        }
    }
}

#[test]
fn no_message_to_people_outside_links_to_the_admin_page() {
    let config = CONFIG.replace("timezone: UTC", "timezone: UTC\nadmin: {url: https://fanfare.label.example}");
    let rules = rule("{to: [team, partner, feed]}");
    let data = json!({"title": "Salt", "release_id": "R1"});
    let sent = sent_by(&config, &rules, data, "2026-01-06T12:00:00Z");
    let links: Vec<(&str, bool)> = sent
        .iter()
        .map(|one| (one.destination.as_str(), bytes(one).contains("https://fanfare.label.example")))
        .collect();
    assert_eq!(links.iter().filter(|(_, links)| *links).collect::<Vec<_>>(), [&("team", true)]);
    assert_eq!(links.len(), 3, "{links:?}");
}

#[test]
fn no_message_to_people_outside_names_a_rule_or_a_host() {
    let rules = |action: &str| rule(action).replace("name: r,", "name: hush-hush,");
    let data = json!({"title": "Salt", "release_id": "R1"});
    // A template that fails says so to a team, and where; a digest without a message of its own names its rule.
    let actions = [
        "{to: [team, partner, feed], text: \"{{ title }}\"}",
        "{to: [team, partner, feed], text: \"{{ title|date }}\"}",
        "{to: [team, partner, feed], digest: {every: 1h}}",
    ];
    for action in actions {
        for one in sent_by(CONFIG, &rules(action), data.clone(), "2026-01-06T12:00:00Z") {
            let (bytes, is_team) = (bytes(&one), one.destination == "team");
            let names = ["hush-hush", "could not be rendered", "List-Id"].iter().any(|inner| bytes.contains(inner));
            assert!(is_team || !names, "{action}\n{bytes}");
            if let Request::Mail(mail) = one.request.as_ref().unwrap() {
                assert_eq!(mail.server.helo.as_deref(), Some("label.example"));
            }
        }
    }
    let config = CONFIG
        .replace("external: true", "external: false")
        .replace("    fields: [title, artist, $.data.metadata.release_date, \"$.data.platforms[0].name\"]\n", "");
    let config = config.replace(", fields: [title]", "").replace(", embargo: until release_date", "");
    let inside = sent_by(&config, &rules("{to: [partner, feed]}"), data, "2026-01-06T12:00:00Z");
    assert!(inside.iter().all(|one| bytes(one).contains("hush-hush")), "{inside:?}");
}

#[test]
fn what_waited_for_hours_goes_to_the_address_that_each_event_chooses() {
    let config = CONFIG.replace(
        "channel: \"#releases\"}",
        "channel: {by: $.data.label, map: {Warp: \"#warp\"}, else: \"#releases\"}, hours: day}",
    );
    let rules = "names: {release_date: $.data.metadata.release_date}\nhours: {day: {days: mon-sun, from: \"13:00\", to: \"18:00\"}}\nrules: [{name: r, events: release.live, actions: [{to: team, text: \"{{ data.title }}\"}]}]\n";
    let all = [json!({"title": "Salt", "label": "Warp"}), json!({"title": "Tide", "label": "Other"})];
    let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", rules)]);
    let snapshot = loaded(&folder).snapshot.unwrap();
    let rules = snapshot.rules.clone().expect("rules without a mistake");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = runtime.block_on(async {
        let mut rehearsal = Stage::new(snapshot).rehearse(Arc::clone(&rules), now(), 1).await.unwrap();
        for (nth, data) in all.into_iter().enumerate() {
            let mut event = event(data);
            event.id = fanfare::event::EventId(format!("evt_{nth}").into());
            rehearsal.receive(event).await.unwrap();
        }
        rehearsal.wait_until("2026-01-06T12:00:00Z".parse().unwrap()).await.unwrap();
        rehearsal.take_sent()
    });
    let to: Vec<(bool, bool)> =
        sent.iter().map(|one| (bytes(one).contains("#warp"), bytes(one).contains("Salt"))).collect();
    assert!(to.len() == 2 && to.iter().all(|(is_warp, is_salt)| is_warp == is_salt), "{to:?}");
}

#[test]
fn nothing_goes_before_the_date_of_an_embargo_and_nothing_at_all_without_one() {
    let rules = rule("{to: [team, press], text: Live}, {to: [team, press], after: 2h, text: Still}");
    let until = |until, data| -> Vec<String> {
        let sent = sent(&rules, data, until);
        sent.iter().map(|one| format!("{} {} {}", one.destination, one.rendered.message.title, one.at)).collect()
    };
    let data = json!({"release_id": "R1", "metadata": {"release_date": "2026-01-20"}});
    let team = ["team Live 2026-01-05T12:00:00Z", "team Still 2026-01-05T14:00:00Z"];
    assert_eq!(until("2026-01-19T23:59:59Z", data.clone()), team);
    let after = until("2026-01-20T00:00:00Z", data);
    assert_eq!(after[..2], team);
    assert!(
        after.len() == 3 && after[2].starts_with("press ") && after[2].ends_with("2026-01-20T00:00:00Z"),
        "{after:?}"
    );
    assert_eq!(until("2026-03-01T00:00:00Z", json!({"release_id": "R1"})), team);
}
