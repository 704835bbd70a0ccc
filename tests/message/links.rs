//! Link targets, and URLs with values.

use fanfare::message::Inline;
use fanfare::message::inline::UrlTemplate;
use fanfare::problem::{File, Location, Problems};
use serde_json::{Map, Value, json};

use super::{event, render, shown};

/// The target of the first link of a body about `v`, if it wasn't dropped.
fn target(markdown: &str, value: &str) -> Option<String> {
    let event = event("x", json!({"v": value}));
    let rendered = render(&format!("---\ntitle: T\nlink: \"\"\n---\n{markdown}"), &event);
    assert_eq!(rendered.problem, None);
    let fanfare::message::Block::Paragraph(inlines) = rendered.message.body.first()? else { return None };
    inlines.iter().find_map(|inline| match inline {
        Inline::Link(target, _) => Some(target.clone()),
        _ => None,
    })
}

#[test]
fn a_link_target_is_http_or_dropped() {
    let rows = [
        ("https://a.example/x?y=1#z", Some("https://a.example/x?y=1#z")),
        ("HTTP://A.example", Some("http://a.example/")),
        (" https://a.example/ ", Some("https://a.example/")),
        ("https://a.example/a b\"<>|`", Some("https://a.example/a%20b%22%3C%3E%7C%60")),
        ("https://a.example/)[x](https://evil.example", Some("https://a.example/)[x](https://evil.example")),
        ("https://b\u{fc}cher.example/", Some("https://xn--bcher-kva.example/")),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("https:\n//a.example", None),
        ("https://a.exa\nmple/", None),
        ("https://label.example@evil.example/", None),
        ("https://user:secret@a.example/", None),
        ("data:text/html,x", None),
        ("mailto:a@b.example", None),
        ("//a.example", None),
        ("a.example", None),
        ("https://", None),
        ("", None),
    ];
    for (value, expected) in rows {
        assert_eq!(target("[t]({{ data.v }}) x", value).as_deref(), expected, "{value:?}");
    }
}

#[test]
fn a_value_stays_in_the_segment_or_query_value_it_was_put_into() {
    let rows = [
        ("a b/c", Some("https://h.example/r/a%20b%2Fc/e?q=a%20b%2Fc")),
        ("?x=1&y#z", Some("https://h.example/r/%3Fx%3D1%26y%23z/e?q=%3Fx%3D1%26y%23z")),
        ("@evil.example", Some("https://h.example/r/%40evil.example/e?q=%40evil.example")),
        ("a..b", Some("https://h.example/r/a..b/e?q=a..b")),
        ("%2e%2e", Some("https://h.example/r/%252e%252e/e?q=%252e%252e")),
        ("\\evil", Some("https://h.example/r/%5Cevil/e?q=%5Cevil")),
        ("..", None),
        (".", None),
        ("", None),
    ];
    for (value, expected) in rows {
        let found = target("[t](https://h.example/r/{{ data.v }}/e?q={{ data.v }}) x", value);
        assert_eq!(found.as_deref(), expected, "{value:?}");
    }
}

#[test]
fn a_value_in_a_host_may_only_be_a_name() {
    for (value, expected) in [
        ("bjork", Some("https://bjork.h.example/")),
        ("evil.example/", None),
        ("evil.example#", None),
        ("a@b", None),
        ("a:b", None),
    ] {
        assert_eq!(target("[t](https://{{ data.v }}.h.example/) x", value).as_deref(), expected, "{value:?}");
    }
    assert_eq!(target("[t]({{ data.v }}://h.example/) x", "javascript"), None);
    assert_eq!(target("[t](java{{ data.v }}) x", "script:alert(1)"), None);
}

#[test]
fn the_text_of_a_dropped_link_stays() {
    let event = event("x", json!({"v": "javascript:alert(1)"}));
    let rendered = render("---\ntitle: T\n---\na [**text**]({{ data.v }}) b", &event);
    assert_eq!(fanfare::message::plain::blocks(&rendered.message.body), "a text b");
}

fn url(text: &str) -> Result<UrlTemplate, String> {
    let file = File::new("fanfare.yaml", "the url");
    let mut problems = Problems::new();
    let url = UrlTemplate::parse(text, &Location::new(&file, 0..7), &mut problems);
    assert_eq!(url.is_none(), problems.has_errors());
    url.ok_or_else(|| shown(&problems))
}

fn rendered(text: &str, value: Value) -> Result<String, String> {
    let root = json!({"id": "evt_1", "type": "release.live", "data": {"v": value}});
    let mut context = Map::new();
    context.insert("case".into(), json!({"key": "C1"}));
    context.insert("release".into(), json!("rel/1"));
    url(text).unwrap().render(&root, &context)
}

#[test]
fn a_url_template_encodes_each_value_where_it_stands() {
    assert_eq!(
        rendered(
            "https://h.example:8443/r/{{ data.v }}/{{ release }}?c={{ case.key }}&t={{ event.type }}",
            json!("a/b c?")
        ),
        Ok("https://h.example:8443/r/a%2Fb%20c%3F/rel%2F1?c=C1&t=release.live".into())
    );
    assert_eq!(
        rendered("https://h.example/{{ data.v }}", json!(9_007_199_254_740_993_i64)),
        Ok("https://h.example/9007199254740993".into())
    );
    assert_eq!(rendered("https://h.example/hook?x={{ data.none }}", json!(1)), Ok("https://h.example/hook?x=".into()));
    assert_eq!(
        rendered("https://user:pass@h.example/literal", json!(1)),
        Ok("https://user:pass@h.example/literal".into())
    );
    assert_eq!(
        rendered("https://h.example/{% if data.v %}a{% else %}b{% endif %}/c", json!(false)),
        Ok("https://h.example/b/c".into())
    );
}

#[test]
fn a_segment_that_leads_elsewhere_fails_with_a_reason() {
    for value in [json!(""), json!("."), json!(".."), json!(null)] {
        let found = rendered("https://h.example/releases/{{ data.v }}/x", value.clone());
        assert_eq!(found, Err("a part of the URL's path is empty, or `.` or `..`".into()), "{value}");
        assert!(rendered("https://h.example/releases/{{ data.v }}", value).is_err());
    }
    // Beside other text it is no step, and in a query it is only a value.
    assert_eq!(rendered("https://h.example/a{{ data.v }}b/", json!("..")), Ok("https://h.example/a..b/".into()));
    assert_eq!(rendered("https://h.example/?q={{ data.v }}", json!("..")), Ok("https://h.example/?q=..".into()));
    assert!(rendered("https://h.example/.{{ data.v }}/x", json!(".")).is_err());
    assert!(rendered("https://h.example/%2e{{ data.v }}/x", json!(".")).is_err());
}

#[test]
fn scheme_host_port_and_user_are_literal() {
    for text in [
        "https://{{ data.v }}/x",
        "https://h.example{{ data.v }}/x",
        "https://{{ data.v }}@h.example/x",
        "https://h.example:{{ data.v }}/x",
        "{{ data.v }}",
        "{{ data.v }}://h.example/",
        "https://h.example{% if data.v %}.evil.example{% endif %}/",
        "ftp://h.example/{{ data.v }}",
        "h.example/{{ data.v }}",
        "https:///{{ data.v }}",
        "https://h.example\\@evil.example/{{ data.v }}",
        "https://h.exa\tmple/{{ data.v }}",
    ] {
        let found = url(text).expect_err(text);
        assert!(found.starts_with("fanfare.yaml:1:1: error: "), "{found}");
    }
}

#[test]
fn a_mistake_in_a_url_template_is_reported_without_the_url() {
    let found = url("https://h.example/SECRET/{{ data.v|mony }}").unwrap_err();
    assert_eq!(found, "fanfare.yaml:1:1: error: unknown filter `mony` (did you mean `money`?)\n");
    let found = url("https://h.example/SECRET/{{ data.v").unwrap_err();
    assert!(found.contains("the template in this URL has a mistake") && !found.contains("SECRET"), "{found}");
    let debug = format!("{:?}", url("https://user:SECRET@h.example/SECRET/{{ data.v }}").unwrap());
    assert_eq!(debug, "UrlTemplate(https://h.example)");
}

#[test]
fn a_value_never_changes_the_origin() {
    for value in
        ["//evil.example", "@evil.example", "#", "?", "\\\\evil", "\t", "\n", "%00", "..;/", "/../../x", "%2f..%2f"]
    {
        let found = rendered("https://h.example/a/{{ data.v }}/b?c={{ data.v }}#{{ data.v }}", json!(value)).unwrap();
        let found = url::Url::parse(&found).unwrap();
        assert_eq!(found.host_str(), Some("h.example"));
        assert_eq!(found.path_segments().unwrap().count(), 3, "{value:?}");
        assert_eq!(found.path_segments().unwrap().next_back(), Some("b"));
        assert_eq!(found.query_pairs().count(), 1);
    }
}
