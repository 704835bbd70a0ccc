//! The message that nobody wrote: good for any event.

use fanfare::delivery::{Say, Severity};
use fanfare::event::Event;
use fanfare::message::{Context, Message, Templates, plain};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{context, event};

fn default(event: &Event) -> Message {
    let rendered = Templates::default().render(&Say::Default, &context(event), None);
    assert_eq!(rendered.problem, None);
    rendered.message
}

#[test]
fn the_title_tells_the_type_and_what_it_is_about() {
    let rows = [
        ("release.live", json!({"title": "My Album", "artist": "X"}), "Release live: My Album by X"),
        ("track.failed", json!({"track": {"title": "Song"}, "error": "no audio"}), "Track failed: Song, no audio"),
        (
            "royalty.payment.completed",
            json!({"amount": 1234.5, "currency": "EUR"}),
            "Royalty payment completed: 1,234.50 EUR",
        ),
        ("fraud.action_required", json!({"case_id": "C1"}), "Fraud action required: C1"),
        ("copilot.generation_completed", json!({}), "Copilot generation completed"),
        ("releaseLive", json!({"name": "A"}), "Release live: A"),
        ("fanfare.delivery.dead", json!({"destination": "oncall"}), "Fanfare: delivery dead"),
        ("", json!({}), "Event"),
    ];
    for (kind, data, title) in rows {
        assert_eq!(default(&event(kind, data)).title, title, "{kind}");
    }
}

#[test]
fn names_find_what_each_sender_calls_otherwise() {
    let event = event("royalty.payment", json!({"payment": {"sum": "12.500,00"}, "cur": "USD"}));
    let names = json!({"amount": "12.500,00", "currency": "USD", "artist": "Y"}).as_object().unwrap().clone();
    let context = Context { names, ..context(&event) };
    let message = Templates::default().render(&Say::Default, &context, None).message;
    assert_eq!(message.title, "Royalty payment: Y, 12,500.00 USD");
}

#[test]
fn fields_are_short_facts_with_human_names() {
    let data = json!({
        "release_id": "rel_1", "title": "A", "status": "live", "explicit": false, "nothing": null, "note": "",
        "platforms": [{"name": "spotify", "status": "live", "url": "https://x.example"}, {"name": "apple_music"}],
        "genres": ["pop", "folk"], "metadata": {"isrc": "USJML2500001", "releaseDate": "2025-09-01", "deep": {"x": 1}},
        "url": "https://a.example/1", "odd": [[1]],
    });
    let message = default(&event("release.live", data));
    let fields: Vec<String> = message.fields.iter().map(|field| format!("{}={}", field.name, field.value)).collect();
    let expected = [
        "Release ID=rel_1",
        "Status=live",
        "Explicit=no",
        "Platforms=spotify (live), apple_music",
        "Genres=pop, folk",
        "ISRC=USJML2500001",
        "Release date=2025-09-01",
    ];
    assert_eq!(fields, expected);
    assert_eq!(message.link.as_deref(), Some("https://a.example/1"));
    assert!(message.body.is_empty());
}

#[test]
fn a_picture_is_the_image_and_never_the_link() {
    let rows = [
        (json!({"artwork_url": "https://i.example/a"}), None, Some("https://i.example/a")),
        (json!({"file": "https://i.example/a.JPG?w=1"}), None, Some("https://i.example/a.JPG?w=1")),
        (
            json!({"coverUrl": "https://i.example/1", "image": "https://i.example/2", "url": "https://a.example/3"}),
            Some("https://a.example/3"),
            Some("https://i.example/1"),
        ),
        (json!({"url": "https://a.example/jpg"}), Some("https://a.example/jpg"), None),
    ];
    for (data, link, image) in rows {
        let message = default(&event("release.live", data.clone()));
        assert_eq!((message.link.as_deref(), message.image.as_deref()), (link, image), "{data}");
    }
}

#[test]
fn a_sum_of_another_name_is_not_what_the_event_is_about() {
    let data = json!({"case_id": "C1", "withheld": {"amount": 162.35, "currency": "EUR"}});
    let message = default(&event("fraud.action_required", data));
    assert_eq!(message.title, "Fraud action required: C1");
    assert!(message.fields.iter().any(|field| field.name == "Withheld" && field.value == "162.35 EUR"), "{message:?}");
    let data = json!({"amount": {"amount": 12.5, "currency": "EUR"}});
    assert_eq!(default(&event("payment.processed", data)).title, "Payment processed: 12.50 EUR");
}

#[test]
fn there_are_at_most_eight_fields_and_none_is_long() {
    let data: Map<String, Value> = (0..40).map(|n| (format!("key_{n}"), json!("x".repeat(5000)))).collect();
    let message = default(&event("x", Value::Object(data)));
    assert_eq!(message.fields.len(), 8);
    assert!(message.fields.iter().all(|field| field.value.chars().count() <= 120 && field.value.ends_with('…')));
}

#[test]
fn severity_is_guessed_from_well_known_words_only() {
    let rows = [
        ("fraud.action_required", json!({"severity": "critical"}), Severity::Critical),
        ("fraud.action_required", json!({"severity": "high"}), Severity::Warning),
        ("fraud.action_required", json!({"severity": "purple"}), Severity::Warning),
        ("fraud.resolved", json!({}), Severity::Success),
        ("release.live", json!({}), Severity::Success),
        ("release.rejected", json!({}), Severity::Warning),
        ("track.uploaded", json!({}), Severity::Info),
        ("livemode.changed", json!({}), Severity::Info),
    ];
    for (kind, data, severity) in rows {
        assert_eq!(default(&event(kind, data)).severity, severity, "{kind}");
    }
}

#[test]
fn the_raw_body_shows_only_where_nothing_else_does() {
    assert!(plain::message(&default(&event("x", json!({"a": {"b": {"c": 1}}})))).contains("\"c\": 1"));
    assert_eq!(plain::message(&default(&event("webhook.test", json!({})))), "Webhook test");
    let mut unparsed = event("fanfare.unparsed", json!({}));
    unparsed.body = Value::Null;
    unparsed.raw = b"not json \xff\x1b[31m".as_slice().into();
    assert_eq!(plain::message(&default(&unparsed)), "Fanfare unparsed\n\n    not json \u{fffd}[31m");
}

#[test]
fn what_was_held_back_is_said() {
    let event = event("release.live", json!({"title": "A"}));
    let message =
        Templates::default().render(&Say::Default, &Context { suppressed: 3, ..context(&event) }, None).message;
    assert_eq!(plain::blocks(&message.body), "3 more were dropped");
}

#[test]
fn a_summary_lists_titles_and_links() {
    let a = event("release.live", json!({"title": "A", "url": "https://a.example/"}));
    let b = event("release.live", json!({"title": "B"}));
    let c = event("track.failed", json!({"title": "C"}));
    let templates = Templates::default();
    let same = Context { events: vec![&a, &b], more: 37, ..context(&b) };
    let message = templates.render(&Say::Summary, &same, None).message;
    assert_eq!(message.title, "39 × Release live");
    assert_eq!(
        plain::blocks(&message.body),
        "- Release live: A (https://a.example/)\n- Release live: B\n- and 37 more"
    );
    let mixed = Context { events: vec![&a, &c], ..context(&c) };
    let message = templates.render(&Say::Default, &mixed, None).message;
    assert_eq!(message.title, "2 events for the-rule");
    assert_eq!(message.severity, Severity::Warning);
    let none = templates.render(&Say::Summary, &context(&a), None).message;
    assert_eq!(none.title, "Release live: A");
}

#[test]
fn a_failed_template_sends_the_default_with_the_reason() {
    let event = event("release.live", json!({"title": "My Album", "amount": "soon"}));
    let rendered = super::render("---\ntitle: T\n---\n\nx {{ data.amount|money('EUR') }}", &event);
    assert_eq!(rendered.message.title, "Release live: My Album");
    let reason = "templates/m.md:5:18: `money` needs a number, and `soon` is none";
    assert_eq!(rendered.problem.as_deref(), Some(reason));
    let said = plain::blocks(&rendered.message.body);
    assert_eq!(said, format!("This replaces a message that could not be rendered: {reason}"));
    let missing = Templates::default().render(&Say::Message("nope".into()), &context(&event), None);
    assert_eq!(missing.problem.as_deref(), Some("there is no template `nope.md`"));
}

#[test]
fn the_actions_severity_wins_everywhere() {
    let event = event("release.live", json!({"title": "A"}));
    let context = Context { severity: Some(Severity::Critical), ..context(&event) };
    let templates = super::templates(&[("m.md", "---\nseverity: info\n---\nx")]);
    for say in
        [Say::Message("m".into()), Say::Message("none".into()), Say::Text("x".into()), Say::Default, Say::Summary]
    {
        assert_eq!(templates.render(&say, &context, None).message.severity, Severity::Critical, "{say:?}");
    }
}

#[test]
fn a_link_to_the_admin_page_stands_in_where_the_event_has_none() {
    let event = event("release.live", json!({"title": "A"}));
    let context = Context { admin_url: Some("https://fanfare.example/"), ..context(&event) };
    let message = Templates::default().render(&Say::Default, &context, None).message;
    assert_eq!(message.link.as_deref(), Some("https://fanfare.example/events/evt_1"));
}

#[test]
fn a_text_without_a_title_takes_its_first_line() {
    let event = event("release.live", json!({"title": "My Album"}));
    let say = |text: &str| {
        let message = Templates::default().render(&Say::Text(text.into()), &context(&event), None).message;
        (message.title, plain::blocks(&message.body))
    };
    let pair = |title: &str, body: &str| (title.to_owned(), body.to_owned());
    assert_eq!(say("**{{ data.title }}** was submitted."), pair("My Album was submitted.", ""));
    assert_eq!(say("# One\n\ntwo"), pair("One", "two"));
    assert_eq!(say("one\ntwo"), pair("one", "one\ntwo"));
    assert_eq!(say("see [here](https://a.example/)"), pair("see here", "see here (https://a.example/)"));
    assert_eq!(say("- a list"), pair("Release live: My Album", "- a list"));
    let long = "word ".repeat(60);
    let (title, body) = say(&long);
    assert!(title.ends_with('…') && title.chars().count() <= 120);
    assert_eq!(body, long.trim());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        any::<String>().prop_map(Value::from),
        "https?://[a-z]{1,5}\\PC{0,8}".prop_map(Value::from),
    ];
    let key = prop_oneof!["(title|name|amount|currency|reason|severity|url|id|status|artist)", any::<String>()];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<String, Value>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_event_makes_a_message(kind in "\\PC{0,30}", data in any_json()) {
        let event = event(&kind, data);
        let message = default(&event);
        prop_assert!(!message.title.is_empty());
        prop_assert!(!message.title.contains('\n'));
        prop_assert!(message.fields.len() <= 8);
        if let Some(link) = &message.link {
            prop_assert!(link.starts_with("http://") || link.starts_with("https://"));
        }
    }
}
