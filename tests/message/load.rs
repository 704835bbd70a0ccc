//! The templates folder: what is reported when it is read, and where.

use fanfare::message::Templates;
use fanfare::problem::Problems;

use super::{files, shown};

/// The problems that loading reports, a line each.
fn found(of: &[(&str, &str)]) -> String {
    let mut problems = Problems::new();
    Templates::load(&files(of), fanfare::channels::formats(), &mut problems);
    shown(&problems)
}

#[test]
fn a_mistake_is_reported_at_its_line_and_column() {
    let rows: [(&str, &str); 19] = [
        ("---\ntitel: x\n---\n", "2:1: error: the front matter has no key `titel` (did you mean `title`?)"),
        ("---\ntitle: a {{ b|uper }}\n---\n", "2:15: error: unknown filter `uper` (did you mean `upper`?)"),
        ("---\ntitle: \"a {{ b|uper }}\"\n---\n", "2:16: error: unknown filter `uper` (did you mean `upper`?)"),
        ("---\ntitle: 'it''s {{ b|uper }}'\n---\n", "2:20: error: unknown filter `uper` (did you mean `upper`?)"),
        ("---\ntitle: \"\\u00e9 {{ b|uper }}\"\n---\n", "2:21: error: unknown filter `uper` (did you mean `upper`?)"),
        ("---\ntitle: >\n  a\n  {{ b|uper }}\n---\n", "4:8: error: unknown filter `uper` (did you mean `upper`?)"),
        ("---\nfields:\n  Ä: \"{{ b|mony }}\"\n---\n", "3:12: error: unknown filter `mony` (did you mean `money`?)"),
        ("---\ntitle: x\n---\n\nÄ {{ data.x|mony }}\n", "5:13: error: unknown filter `mony` (did you mean `money`?)"),
        ("{{ a }}\n{% if b is defned %}{% endif %}", "2:12: error: unknown test `defned` (did you mean `defined`?)"),
        ("{{ rnge(3) }}", "1:4: error: unknown function `rnge` (did you mean `range`?)"),
        ("{{ x|uppercase }}", "1:6: error: unknown filter `uppercase` (did you mean `upper`?)"),
        ("{{ x|number_format }}", "1:6: error: unknown filter `number_format` (did you mean `decimal`?)"),
        ("{{ x|safe }}", "1:6: error: unknown filter `safe` (remove it: a value is always text)"),
        ("{% if false %}{{ x|e }}{% endif %}", "1:20: error: unknown filter `e` (remove it: a value is always text)"),
        ("{% include \"_foter.md\" %}", "1:13: error: there is no partial `_foter.md` (did you mean `_footer.md`?)"),
        ("a\nb {{ data.x }\n", "2:13: error: a syntax error"),
        ("---\nseverity: [x]\n---\n", "2:11: error: expected text for `severity`, found a list"),
        ("---\nfields: x\n---\n", "2:9: error: expected a mapping of names and values for `fields`, found text"),
        ("a \u{f0001} b", "1:3: error: this is a character of the private-use planes (remove it: nothing can show it)"),
    ];
    for (text, expected) in rows {
        let found = found(&[("m.md", text), ("_footer.md", "bye")]);
        let line = found.lines().next().unwrap_or_default();
        assert!(line.starts_with(&format!("templates/m.md:{expected}")), "{text:?}\n{found}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = found(&[
        ("a.md", "---\ntitle: \"{{ x|mony }}\"\nlonk: y\n---\n{{ x|uper }}\n{% include \"_b\" %}\n"),
        ("_b.md", "{{ y|dat }}\n"),
        ("c.slck.json", "{}"),
        ("d.txt", ""),
    ]);
    let mut starts: Vec<&str> = found.lines().map(|line| line.split(" error").next().unwrap()).collect();
    starts.sort_unstable();
    let expected = [
        "templates/_b.md:1:6:",
        "templates/a.md:2:14:",
        "templates/a.md:3:1:",
        "templates/a.md:5:6:",
        "templates/c.slck.json:1:1:",
        "templates/d.txt:1:1:",
    ];
    assert_eq!(starts, expected, "{found}");
}

#[test]
fn file_names_say_what_a_file_is() {
    let rows = [
        ("m.slck.json", "no channel `slck` takes a template of its own (did you mean `slack`?)"),
        ("m.slack.html", "`slack` takes no `.html` (name it `m.slack.json`)"),
        ("m.txt", "`m.txt` is not a template"),
        ("m", "`m` is not a template"),
        ("a b.md", "`a b` is not a name for a template"),
        ("_.md", "`_` is not a name for a template"),
        ("other.slack.json", "there is no message `other.md` for this to replace"),
        ("M.md", "there are two templates `M.md`"),
    ];
    for (name, expected) in rows {
        let found = found(&[("m.md", "x"), (name, "{}")]);
        assert!(found.contains(expected), "{name}: {found}");
    }
    assert_eq!(
        found(&[("m.md", "x"), ("m.slack.json", "{}"), ("m.email.html", ""), ("_p.md", ""), (".hidden", "")]),
        ""
    );
}

#[test]
fn names_are_those_of_the_messages() {
    let templates = super::templates(&[("b.md", "x"), ("a.md", "x"), ("_p.md", "x"), ("a.slack.json", "{}")]);
    assert_eq!(templates.names(), ["a", "b"]);
    assert!(templates.has("a") && !templates.has("_p"));
}

#[test]
fn partials_are_included_by_either_name_and_may_not_include_themselves() {
    let templates = super::templates(&[
        ("m.md", "---\ntitle: T\n---\n{% include \"_p.md\" %} {% include \"_p\" %}"),
        ("_p.md", "**{{ data.x }}**"),
    ]);
    let event = super::event("x", serde_json::json!({"x": "*y*"}));
    let say = fanfare::delivery::Say::Message("m".into());
    let rendered = templates.render(&say, &super::context(&event), None);
    assert_eq!(fanfare::message::plain::blocks(&rendered.message.body), "*y* *y*");
    let strong = |inline: &&fanfare::message::Inline| matches!(inline, fanfare::message::Inline::Strong(_));
    let fanfare::message::Block::Paragraph(inlines) = &rendered.message.body[0] else { panic!() };
    assert_eq!(inlines.iter().filter(strong).count(), 2);

    let found = found(&[
        ("_a.md", "{% include \"_b.md\" %}"),
        ("_b.md", "x {% include \"_a\" %}"),
        ("_c.md", "---\nx: 1\n---\n"),
    ]);
    assert!(found.contains("templates/_b.md:1:15: error: `_a.md` includes itself"), "{found}");
    assert!(found.contains("templates/_c.md:1:1: error: a partial has no front matter"), "{found}");
}

#[test]
fn what_a_template_gives_a_name_to_is_known_to_it() {
    let template = "{% macro row(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{% set x = 1 %}{% set y %}z{% endset %}\
        {% for k, v in data|items %}{{ row(k) }}{{ v }}{{ loop.index }}{% endfor %}{{ x }}{{ y }}{% with q = 2 %}{{ q }}{% endwith %}\
        {% raw %}{{ nothing|here }}{% endraw %}{# {{ nor|there }} #}{{ \"}} {{ a|b }}\" }}{{ {\"a\": {\"b\": 1}}.a.b }}\
        {% from \"_m.md\" import hello %}{{ hello() }}{% import \"_m.md\" as m %}{{ m.hello() }}{{ data.x is not none }}";
    assert_eq!(found(&[("m.md", template), ("_m.md", "{% macro hello() %}hi{% endmacro %}")]), "");
    let event = super::event("x", serde_json::json!({"x": 1}));
    let found = super::problems(
        &[("m.md", template), ("_m.md", "{% macro hello() %}hi{% endmacro %}")],
        &[super::context(&event)],
    );
    assert_eq!(found, "");
}

#[test]
fn a_template_with_a_mistake_sends_the_default_message() {
    let mut problems = Problems::new();
    let templates =
        Templates::load(&files(&[("m.md", "{{ data.x|mony }}")]), fanfare::channels::formats(), &mut problems);
    let event = super::event("release.live", serde_json::json!({"title": "My Album"}));
    let rendered = templates.render(&fanfare::delivery::Say::Message("m".into()), &super::context(&event), None);
    assert_eq!(rendered.message.title, "Release live: My Album");
    assert!(rendered.problem.unwrap().contains("`m.md` has a mistake"));
}

#[test]
fn every_filter_test_and_function_that_is_known_is_there() {
    use fanfare::message::template::filters::FILTERS;
    use fanfare::message::template::names::{BUILTIN_FILTERS, TESTS};
    let mut template = String::from("---\ntitle: T\n---\n");
    for filter in FILTERS.iter().map(|filter| filter.name).chain(BUILTIN_FILTERS) {
        template.push_str(&format!("{{{{ '' if \"{filter}\" is filter else '{filter}' }}}}"));
    }
    for test in TESTS {
        template.push_str(&format!("{{{{ '' if \"{test}\" is test else '{test}' }}}}"));
    }
    let event = super::event("x", serde_json::json!({}));
    let rendered = super::render(&template, &event);
    assert_eq!(rendered.problem, None);
    assert_eq!(fanfare::message::plain::blocks(&rendered.message.body), "");
}

#[test]
fn the_examples_of_the_filters_are_right() {
    for filter in fanfare::message::template::filters::FILTERS {
        assert_eq!(found(&[("m.md", filter.example)]), "", "{}", filter.name);
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_make_no_difference() {
    let template = "---\ntitle: \"{{ data.v }}\"\nfields:\n  A: \"{{ data.v }}\"\n---\n**{{ data.v }}**\n\n{% for x in data.l %}\n- {{ x }}\n{% endfor %}\n";
    let event = super::event("x", serde_json::json!({"v": "V", "l": [1, 2]}));
    let unix = super::render(template, &event);
    assert_eq!(super::render(&template.replace('\n', "\r\n"), &event), unix);
    assert_eq!(super::render(&format!("\u{feff}{template}"), &event), unix);
    assert_eq!(super::render("\u{feff}x", &event).message.title, "x");
    let found = found(&[("m.md", &template.replace("{{ x }}", "{{ x|uper }}").replace('\n', "\r\n"))]);
    assert!(found.starts_with("templates/m.md:9:8: error: unknown filter `uper`"), "{found}");
}

#[test]
fn front_matter_is_read_after_empty_lines_and_a_byte_order_mark() {
    for before in ["\n", "\n  \n\n", "\u{feff}", "\u{feff}\r\n", "\r\n"] {
        let text = format!("{before}---\ntitle: Seen\nseverity: critical\n---\nBody.\n");
        let event = super::event("release.live", serde_json::json!({}));
        let rendered = super::render(&text, &event);
        assert_eq!(rendered.message.title, "Seen", "{text:?}");
        assert_eq!(rendered.message.severity.name(), "critical", "{text:?}");
    }
    let found = found(&[("m.md", "\n---\ntitel: x\n---\n")]);
    assert!(found.starts_with("templates/m.md:3:1: error: the front matter has no key `titel`"), "{found}");
}

#[test]
fn what_would_stand_in_a_message_as_it_is_written_is_a_warning() {
    let top = "put front matter between two lines of `---` at the top of the file";
    let rows = [
        (
            "Hello\n\n---\ntitle: x\nseverity: critical\n---\n",
            "3:1: warning: this looks like front matter, and would appear in the message",
            top,
        ),
        (
            "{# ours #}\n---\ntitle: x\n---\nBody",
            "2:1: warning: this looks like front matter, and would appear in the message",
            top,
        ),
        ("---\ntitle: x\n---\nBody\n\n---\nseverity: info\n---\n", "6:1: warning: this looks like front matter", top),
        (
            "title: x\nseverity: critical\n\nBody",
            "1:1: warning: `title:` looks like front matter, and would appear in the message",
            top,
        ),
        ("a <b>{{ data.x }}</b>", "1:3: warning: `<b>` would appear in the message as text", "write `**…**`"),
        (
            "{% if false %}<a href=\"{{ data.x }}\">x</a>{% endif %}",
            "1:15: warning: `<a>` would appear",
            "write `[text](https://…)`",
        ),
        ("<ul>\n<li>x</li></ul>", "1:1: warning: `<ul>` would appear", "write `- …`, one a line"),
        (
            "a ${title} b",
            "1:3: warning: `${title}` would appear in the message as text",
            "a value is written `{{ title }}`",
        ),
        (
            "---\ntitle: \"x ${data.title}\"\n---\n",
            "2:11: warning: `${data.title}` would appear",
            "a value is written `{{ data.title }}`",
        ),
        ("${env:TOKEN}", "1:1: warning: `${env:TOKEN}` would appear", "a message can't read the environment"),
    ];
    for (text, said, hint) in rows {
        let found = found(&[("m.md", text)]);
        assert!(found.starts_with(&format!("templates/m.md:{said}")) && found.contains(hint), "{text}\n{found}");
    }
    let quiet = [
        "costs ${{ data.x }}, or $5",
        "`<b>` and\n\n```\n<ul>${x}\n```\n",
        "a <https://a.example> <{{ data.x }}> a < b",
        "Title: it begins so\n",
        "one\n\n---\n\ntwo\n\n---\n",
        "---\ntitle: x\n---\nHead\n---\ntext",
    ];
    for text in quiet {
        assert_eq!(found(&[("m.md", text)]), "", "{text}");
    }
}
