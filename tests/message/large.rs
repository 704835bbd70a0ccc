//! Events as large as a sender may make them, and templates that walk through them: a rendering ends soon, and says why.

use std::time::{Duration, Instant};

use fanfare::channels;
use fanfare::delivery::{DeliveryId, MessageOp, Say};
use fanfare::event::Event;
use fanfare::message::{Block, Rendered, plain};
use serde_json::{Map, Value, json};

use super::{context, event, templates};

/// A debug build on a busy machine: many times what is promised.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it, and says how long it took.
fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    let took = started.elapsed();
    println!("{took:?} {what}");
    assert!(took < PATIENCE, "{what} took {took:?}");
    done
}

fn many_keys() -> Value {
    let keys = (0..60_000).map(|nth| (format!("key_{nth}"), json!("the same")));
    Value::Object(keys.collect::<Map<String, Value>>())
}

/// A mapping within a mapping, as deep as a body may be.
fn deep() -> Value {
    (0..120).fold(json!("end"), |inner, _| json!({"in": inner}))
}

/// Events that a sender with a mind to it might send.
fn large() -> Vec<(&'static str, Event)> {
    let rows: Vec<Value> = (0..11_000).map(|nth| json!({"title": format!("Track {nth}"), "amount": "1.25"})).collect();
    let mut same = many_keys();
    same["title"] = json!("the same");
    vec![
        ("60,000 keys", event("release.live", many_keys())),
        ("60,000 keys that say what the title says", event("release.live", same)),
        ("a mapping of 60,000 keys", event("release.live", json!({"m": many_keys()}))),
        ("a text of 1 MB", event("release.live", json!({"title": "a b ".repeat(250_000)}))),
        ("a text of 1 MB without spaces", event("release.live", json!({"title": "*".repeat(1_000_000)}))),
        ("a text of 500,000 lines", event("release.live", json!({"title": "a\n".repeat(500_000)}))),
        ("a deep document", event("release.live", json!({"title": deep()}))),
        ("11,000 rows", event("royalty.statement", json!({"title": "May", "rows": rows}))),
        ("a list of 200,000 numbers", event("release.live", json!({"list": vec![1; 200_000]}))),
    ]
}

fn composed(what: &str, rendered: &Rendered, event: &Event) {
    for kind in channels::ALL {
        let channel = channels::example(kind).unwrap();
        soon(&format!("{} of {what}", kind.name), || {
            let sending = channels::Sending {
                id: &DeliveryId("dlv_1".into()),
                at: event.created,
                planned: event.created,
                act: MessageOp::Open,
                form: channels::Form::Rich,
                rendered,
                rule: "the-rule",
                event: &json!({"body": event.body}),
                root: &event.root(),
                context: &Map::new(),
                to: None,
                overrides: &Map::new(),
                mentions: &[],
                lane: None,
                receipt: None,
                footer: &fanfare::channels::Footer::Usual,
                settled: &[],
                links: &[],
                locale: fanfare::locale::english(),
                outside: false,
            };
            drop(channel.compose(&sending));
        });
    }
}

#[test]
fn the_default_message_of_a_large_event_is_made_soon() {
    for (what, event) in large() {
        let rendered = soon(what, || templates(&[]).render(&Say::Default, &context(&event), Some(("slack", "json"))));
        assert!(!rendered.message.title.is_empty(), "{what}");
        composed(what, &rendered, &event);
        let mut several = context(&event);
        several.events = vec![&event; 5];
        soon(&format!("a summary of {what}"), || templates(&[]).render(&Say::Summary, &several, None));
    }
}

#[test]
fn a_message_that_prints_a_large_event_is_composed_soon_for_each_channel() {
    let printed = [
        "{{ data }}",
        "{% for key in data %}- {{ key }}: {{ data[key] }}\n{% endfor %}",
        "{{ data.title }}",
        "> {{ data.title }}",
        "| a |\n|---|\n{% for row in data.rows %}| {{ row.title }} |\n{% endfor %}",
        "{% for row in data.rows %}{{ row.title }} *{{ row.amount }}*\n{% endfor %}",
    ];
    for (what, mut event) in large() {
        // What is printed has a bound of its own.
        if let Some(title) = event.body["data"]["title"].as_str() {
            event.body["data"]["title"] = title.chars().take(200_000).collect::<String>().into();
        }
        for template in printed {
            let what = format!("{template:?} for {what}");
            let templates = templates(&[("m.md", template)]);
            let rendered = soon(&what, || templates.render(&Say::Message("m".into()), &context(&event), None));
            composed(&what, &rendered, &event);
        }
    }
}

#[test]
fn a_template_that_walks_a_large_value_again_and_again_is_replaced_by_the_default_message() {
    let walks = [
        "{% for a in range(90000) %}{% if data.m is startingwith('b') %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.m in 'b' %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.m == data.n %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if [data.m] == [data.n] %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if {data.m: 1} %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.n in data.list %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.list == data.same %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.list|first < data.same|first %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.m[data.long] %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.long == data.other %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.long is upper %}x{% endif %}{% endfor %}",
        "{% set long = data.long %}{% for a in range(90000) %}{% if long is upper %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.list|join %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.m|string %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.m|tojson %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.m|dictsort|length %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if data.list|unique|length %}x{% endif %}{% endfor %}",
        "{% for a in range(90000) %}{% if events|total('$..*') %}x{% endif %}{% endfor %}",
        "{% for a in data.m %}{% for b in data.m %}{% if a == b %}x{% endif %}{% endfor %}{% endfor %}",
    ];
    let list: Vec<Value> = (0..20_000).map(|nth| json!({"nth": nth})).collect();
    let mut last = list.clone();
    last.push(json!(0));
    let data = json!({
        "m": many_keys(), "n": many_keys(), "list": list, "same": last.split_off(1),
        "long": "A".repeat(500_000), "other": format!("{}B", "A".repeat(499_999)),
    });
    let event = event("release.live", data);
    for walk in walks {
        let rendered = soon(walk, || {
            let mut context = context(&event);
            context.events = vec![&event];
            templates(&[("m.md", walk)]).render(&Say::Message("m".into()), &context, None)
        });
        let problem = rendered.problem.unwrap_or_else(|| panic!("{walk} was rendered to its end"));
        let told = problem.starts_with("templates/m.md:1:") || problem == "more than 256 KiB are printed";
        assert!(told, "{walk}: {problem}");
        let said = plain::blocks(&rendered.message.body);
        assert!(said.contains("This replaces a message that could not be rendered"), "{said}");
        assert!(matches!(rendered.message.body.last(), Some(Block::Paragraph(_))));
    }
}

#[test]
fn a_large_statement_is_reported_in_full() {
    let rows: Vec<Value> = (0..8_000).map(|nth| json!({"t": format!("T{nth}"), "a": "1.25"})).collect();
    let event = event("royalty.statement", json!({"rows": rows}));
    let template = "---\ntitle: T\n---\n{% for row in data.rows %}{{ row.t }}: {{ row.a|decimal }}\n{% endfor %}";
    let rendered = templates(&[("m.md", template)]).render(&Say::Message("m".into()), &context(&event), None);
    assert_eq!(rendered.problem, None);
    assert!(plain::blocks(&rendered.message.body).ends_with("T7999: 1.25"));
}
