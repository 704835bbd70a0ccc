//! Values that try to be more than text: whatever an event holds, the message has the structure that its template wrote.

use std::time::{Duration, Instant};

use fanfare::delivery::Say;
use fanfare::message::{Block, Inline, Message, Native, html, plain};
use proptest::prelude::*;
use serde_json::{Value, json};
use url::Url;

use super::{context, event, templates};

/// A value in every position that a message has.
const EVERYWHERE: &str = r#"---
title: "A {{ data.v }} B"
severity: info
link: "https://h.example/p-{{ data.v }}/e?q={{ data.v }}&r=1#f{{ data.v }}"
image: "https://h.example/{{ data.v }}.png"
fields:
  First: "{{ data.v }}."
  Second: "x {{ data.v }}"
---
# H {{ data.v }}

P **b {{ data.v }}** *i {{ data.v }}* ~~s {{ data.v }}~~ `c {{ data.v }}` [l {{ data.v }}](https://h.example/x) tail {{ data.v }}

{{ data.v }} at a line's start and **{{ data.v }}.** and _{{ data.v }}._
second line {{ data.v }}

[t](https://h.example/a-{{ data.v }}/e?q={{ data.v }}) and <https://h.example/z-{{ data.v }}>

- item {{ data.v }}
  - {{ data.v }} nested
- last

1. n {{ data.v }}
2. {{ data.v }} m

> q {{ data.v }}

| H {{ data.v }} | b |
|---|---|
| c {{ data.v }} | {{ data.v }}x |

```text
code {{ data.v }}
```

end {{ data.v }}
"#;

/// What artists, track titles and strangers write.
const HOSTILE: [&str; 62] = [
    "*evil*",
    "**evil**",
    "_evil_",
    "__evil__",
    "~~evil~~",
    "`evil`",
    "```\nevil\n```",
    "~~~",
    "# evil",
    "## evil ##",
    "evil\n====",
    "evil\n----",
    "- evil",
    "+ evil",
    "* evil",
    "1. evil",
    "> evil",
    ">>> evil",
    "---",
    "***",
    "    evil",
    "\tevil",
    "[evil](https://evil.example)",
    "![evil](https://evil.example/x.png)",
    "[evil]: https://evil.example",
    "[evil]",
    "<https://evil.example>",
    "https://evil.example",
    "<b>evil</b>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- evil -->",
    "&lt;evil&gt;",
    "&#42;evil&#42;",
    "\\*evil\\*",
    "| evil | evil |",
    "a | b",
    "|",
    "evil\n\nevil",
    "evil\r\nBcc: a@evil.example",
    "evil\rX",
    "evil\u{2028}evil",
    "evil\u{85}evil",
    "<!channel>",
    "<!here>",
    "<@U123>",
    "<https://evil.example|Invoice>",
    "@everyone",
    "@here",
    "<@&123>",
    "{{ 7*7 }}",
    "{% for x in y %}",
    "{# #}",
    "${env:SECRET}",
    "\u{202e}live\u{2066}",
    "a\u{0}b\u{1b}[31m\u{7f}",
    "\u{f0000}\u{f0001}\u{10ffff}",
    "\"}, \"evil\": {\"",
    "../../admin",
    "?a=b#c",
    "",
    "Beyonc\u{e9} \u{1f469}\u{200d}\u{1f3a4} \u{645}\u{631}\u{62d}\u{628}\u{627}",
];

fn message_with(value: &str) -> Message {
    let event = event("release.live", json!({"v": value}));
    let rendered = templates(&[("m.md", EVERYWHERE)]).render(&Say::Message("m".into()), &context(&event), None);
    assert_eq!(rendered.problem, None, "{value:?}");
    rendered.message
}

/// The structure of blocks: everything but what texts say, runs of text and line breaks being one.
fn shape(blocks: &[Block]) -> Vec<Value> {
    let items = |items: &[Vec<Block>]| items.iter().map(|item| json!(shape(item))).collect::<Vec<Value>>();
    let rows = |rows: &[Vec<Inline>]| rows.iter().map(|cell| json!(inline_shape(cell))).collect::<Vec<Value>>();
    blocks
        .iter()
        .map(|block| match block {
            Block::Heading(level, inner) => json!(["heading", level, inline_shape(inner)]),
            Block::Paragraph(inner) => json!(["paragraph", inline_shape(inner)]),
            Block::Bullets(inner) => json!(["bullets", items(inner)]),
            Block::Numbered(first, inner) => json!(["numbered", first, items(inner)]),
            Block::Quote(inner) => json!(["quote", shape(inner)]),
            Block::Code(language, _) => json!(["code", language]),
            Block::Table(head, body) => {
                json!(["table", rows(head), body.iter().map(|row| rows(row)).collect::<Vec<_>>()])
            }
            Block::Rule => json!("rule"),
        })
        .collect()
}

fn inline_shape(inlines: &[Inline]) -> Vec<Value> {
    let mut shapes: Vec<Value> = Vec::new();
    for inline in inlines {
        let next = match inline {
            Inline::Text(_) | Inline::Break => json!("text"),
            Inline::Emphasis(inner) => json!(["emphasis", inline_shape(inner)]),
            Inline::Strong(inner) => json!(["strong", inline_shape(inner)]),
            Inline::Strike(inner) => json!(["strike", inline_shape(inner)]),
            Inline::Code(_) => json!("code"),
            Inline::Link(target, inner) => json!(["link", url_shape(target), inline_shape(inner)]),
        };
        if next != json!("text") || shapes.last() != Some(&next) {
            shapes.push(next);
        }
    }
    shapes
}

/// What a value may not change of a URL: the origin, how many segments, the query's names.
fn url_shape(url: &str) -> Value {
    let url = Url::parse(url).expect("a link is a URL");
    let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let segments = url.path_segments().map_or(0, Iterator::count);
    json!([url.origin().ascii_serialization(), segments, names, url.fragment().is_some()])
}

fn assert_harmless(value: &str) {
    let (harmless, hostile) = (message_with("x"), message_with(value));
    assert_eq!(shape(&hostile.body), shape(&harmless.body), "{value:?}\n{:#?}", hostile.body);
    assert_eq!(
        hostile.link.as_deref().map(url_shape),
        harmless.link.as_deref().map(url_shape),
        "{value:?} {:?}",
        hostile.link
    );
    assert_eq!(hostile.fields.len(), harmless.fields.len(), "{value:?}");
    let lines = [&hostile.title, &hostile.fields[0].value, &hostile.fields[1].value];
    for line in lines {
        assert!(!line.contains(['\n', '\r']), "{value:?} {line:?}");
    }
    let mut all = plain::message(&hostile);
    all.retain(|c| c != '\n');
    let misleads = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!all.contains(misleads), "{value:?} {all:?}");
}

#[test]
fn a_hostile_value_is_text_wherever_it_stands() {
    for value in HOSTILE {
        assert_harmless(value);
    }
}

#[test]
fn a_hostile_value_still_says_what_it_says() {
    for value in
        ["*evil*", "[evil](https://evil.example)", "<b>evil</b>", "&lt;evil&gt;", "# evil", "<!channel>", "a | b"]
    {
        let message = message_with(value);
        assert_eq!(message.title, format!("A {value} B"));
        assert!(plain::blocks(&message.body).contains(&format!("tail {value}")), "{value}");
        assert!(plain::blocks(&message.body).contains(&format!("code {value}")), "{value}");
    }
}

#[test]
fn a_line_break_in_a_value_is_a_line_break_and_no_block() {
    let message = message_with("one\n\n\n\ntwo");
    let text = plain::blocks(&message.body);
    assert!(text.contains("tail one\n\ntwo"), "{text}");
    assert!(text.contains("H one two") || text.contains("H one  two") || text.contains("H one"), "{text}");
}

#[test]
fn a_value_in_html_is_escaped() {
    for value in HOSTILE {
        let text = html::blocks(&message_with(value).body);
        let tags = |text: &str| text.matches('<').count();
        let breaks = |text: &str| text.matches("<br>").count();
        let harmless = html::blocks(&message_with("x").body);
        assert_eq!(tags(&text) - breaks(&text), tags(&harmless) - breaks(&harmless), "{value:?}\n{text}");
    }
}

#[test]
fn a_rules_own_text_keeps_values_as_text_too() {
    for value in HOSTILE {
        let event = event("release.live", json!({"v": value}));
        let say = |value: &str| Say::Text(format!("Look\n\n**{value}** and {value}\n\n- {value}"));
        let hostile = templates(&[]).render(&say("a {{ data.v }}"), &context(&event), None).message;
        let harmless = templates(&[]).render(&say("a x"), &context(&event), None).message;
        assert_eq!(shape(&hostile.body), shape(&harmless.body), "{value:?}");
        assert!(!hostile.title.contains('\n'));
    }
}

#[test]
fn a_value_adds_nothing_to_a_channels_json() {
    let template = r#"{"text": "a {{ data.v }} b", "{{ data.v }}k": [{{ data.v }}, "x"], "n": {"url": "https://h.example/{{ data.v }}x"}}"#;
    for value in HOSTILE {
        let event = event("release.live", json!({"v": value}));
        for channel in ["slack", "discord", "http"] {
            let name = format!("m.{channel}.json");
            let templates = templates(&[("m.md", "x"), (&name, template)]);
            let rendered = templates.render(&Say::Message("m".into()), &context(&event), Some((channel, "json")));
            let Some(Native::Json(Value::Object(map))) = rendered.native else {
                panic!("{channel} {value:?}: {:?}", rendered.problem)
            };
            assert_eq!(map.len(), 3, "{value:?}");
            let list = map.values().nth(1).unwrap().as_array().unwrap();
            assert_eq!(list.len(), 2, "{value:?}");
            assert!(list[0].is_string(), "{value:?}");
            assert_eq!(map["n"].as_object().unwrap().len(), 1);
            if channel == "slack" {
                assert!(!map["text"].as_str().unwrap().contains(['<', '>']), "{value:?}");
            }
            if channel == "http" {
                assert_eq!(map["text"], format!("a {value} b"));
            }
        }
    }
}

#[test]
fn a_value_adds_nothing_to_an_emails_html() {
    let template = concat!(
        "<p title=\"t {{ data.v }}\">{{ data.v }}</p><a href=\"https://h.example/a-{{ data.v }}/\">l</a>",
        "<a href='{{ data.v }}'>m</a><p {{ data.v }}=x></p><script>var x = \"{{ data.v }}\"</script>",
        "<b onclick=\"f('{{ data.v }}')\" style=\"color:{{ data.v }}\">x</b><!-- {{ data.v }} --><{{ data.v }}>end"
    );
    let html = |value: &str| {
        let event = event("release.live", json!({"v": value}));
        let templates = templates(&[("m.md", "x"), ("m.email.html", template)]);
        match templates.render(&Say::Message("m".into()), &context(&event), Some(("email", "html"))).native {
            Some(Native::Html(html)) => html,
            other => panic!("{value:?}: {other:?}"),
        }
    };
    let harmless = html("x");
    assert!(
        harmless.contains("<p title=\"t x\">x</p><a href=\"https://h.example/a-x/\">l</a><a href=''>m</a>"),
        "{harmless}"
    );
    for value in HOSTILE {
        let html = html(value);
        let without_breaks = html.replace("<br>\n", "");
        for sign in ['<', '>', '"', '\''] {
            assert_eq!(
                without_breaks.matches(sign).count(),
                harmless.matches(sign).count(),
                "{value:?} {sign}\n{html}"
            );
        }
        assert!(!html.contains("javascript:"));
        assert!(html.contains("var x = \"\"") && html.contains("f('')") && html.contains("color:\""), "{html}");
    }
    assert!(html("javascript:alert(1)").contains("<a href=''>m</a>"));
    assert!(html("https://a.example/?a=b&c='").contains("<a href='https://a.example/?a=b&amp;c=%27'>m</a>"));
}

#[test]
fn bombs_are_stopped_within_a_second_each() {
    let bombs = [
        "{{ range(99999999) }}",
        "{{ 'x' * 1000000000 }}",
        "{{ range(90000)|list * 1000 }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ data.long }}{% endfor %}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% set ns = namespace(s='x') %}{% for a in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
        "{{ data.list|join(data.long) }}",
        "{{ data.long|replace('a', data.long) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ data.long|indent(100000000) }}",
        "{{ 2 ** 99999999 }}",
        "{% include '_loop.md' %}",
        "{% for a in range(3000) %}{% for b in range(60) %}> {% endfor %}{% endfor %}",
        "{% for a in range(60000) %}[{% endfor %}",
        "{% for a in range(60000) %}*a _b {% endfor %}",
        "{% for a in range(60000) %}{{ a }}{% endfor %}",
        "{% for a in range(9000) %}- - - {% endfor %}",
        "{{ events|total('$..*') }}",
        "{{ [1]|batch(99999999999, 'x') }}",
        "{{ [1]|slice(99999999999, 'x') }}",
        "{{ data.long|split('')|list }}",
        "{{ range(100000)|map('string')|join(data.long) }}",
        "{{ 'a,'|replace(',', data.long)|replace('a', data.long) }}",
        "{{ event.created|date('%0999999999d') }}",
        "{{ data.list|map('upper')|join(', ')|upper|lower|title|trim|length }}",
        "{{ data.list|sort|unique|list|groupby(0) }}",
        "{% for a in range(20000) %}[a](<b {% endfor %}",
        "{% for a in range(20000) %}![[{% endfor %}",
        "{% for a in range(20000) %}`a``b``` {% endfor %}",
        "{% for a in range(20000) %}<!-- <a {% endfor %}",
        "{% for a in range(20000) %}|a{% endfor %}\n{% for a in range(20000) %}|-{% endfor %}\n{% for a in range(30000) %}|\n{% endfor %}",
        "{% for a in range(3000) %}[a{{ a }}]: https://a.example\n\n{% endfor %}{% for a in range(3000) %}[a{{ a }}]{% endfor %}",
    ];
    let data = json!({"long": "a".repeat(200_000), "list": vec!["a"; 5000]});
    let event = event("release.live", data);
    let mut problems = fanfare::problem::Problems::new();
    for bomb in bombs {
        let files = super::files(&[("m.md", bomb), ("_loop.md", "{% if data %}{% include '_loop.md' %}{% endif %}")]);
        let templates = fanfare::message::Templates::load(&files, fanfare::channels::formats(), &mut problems);
        let started = Instant::now();
        let rendered = templates.render(&Say::Message("m".into()), &context(&event), None);
        let took = started.elapsed();
        println!("{took:?} {bomb}");
        // A debug build on a busy machine: ten times what is promised.
        assert!(took < Duration::from_secs(10), "{bomb} took {took:?}: {:?}", rendered.problem);
        assert!(!rendered.message.title.is_empty(), "{bomb}");
    }
}

#[test]
fn a_list_that_is_multiplied_is_refused_when_it_is_loaded() {
    for bomb in ["{{ [1]*50000000 }}", "{{ ([1] * 50000000)|join }}", "{{ 50000000 * [data] }}"] {
        let found = super::problems(&[("m.md", bomb)], &[]);
        assert!(found.contains("`*` could repeat a list here"), "{bomb}: {found}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_value_changes_the_structure(value in prop_oneof![
        "\\PC{0,40}",
        any::<String>(),
        r"[*_~`#>|\[\]()<>!\-+=\\/&;:@. \n\t1ab]{0,30}",
    ]) {
        assert_harmless(&value);
    }
}
