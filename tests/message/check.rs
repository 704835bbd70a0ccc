//! What is reported before a template is needed, rendered with samples.

use fanfare::message::template::check::Heard;
use fanfare::message::{Context, Templates};
use fanfare::problem::{File, Location, Problems};
use serde_json::{Map, Value, json};

use super::{context, event, files, problems, shown};

fn names(names: Value) -> Map<String, Value> {
    names.as_object().unwrap().clone()
}

#[test]
fn an_undefined_value_is_an_error_at_its_place_with_the_nearest_name() {
    let event = event("release.live", json!({"title": "A", "release": {"label": "Warp"}, "list": [1]}));
    let context = Context { names: names(json!({"artist": "X", "amount": null})), ..context(&event) };
    let rows = [
        ("{{ data.titel }}", "1:4: warning: `data.titel` is undefined (did you mean `title`?)"),
        (
            "a\n{{ data.release.lable|upper }}",
            "2:4: warning: `data.release.lable` is undefined (did you mean `label`?)",
        ),
        ("{{ evnt.id }}", "1:4: error: `evnt` is undefined (did you mean `event`?)"),
        ("{{ event.typ }}", "1:4: error: `event.typ` is undefined (did you mean `type`?)"),
        ("{{ artst }}", "1:4: error: `artst` is undefined (did you mean `artist`?)"),
        ("{% if false %}{{ artst }}{% endif %}", "1:18: error: `artst` is undefined (did you mean `artist`?)"),
        ("{% for x in data.lst %}{{ x }}{% endfor %}", "1:13: warning: `data.lst` is undefined (did you mean `list`?)"),
        ("{{ data.nothing.at.all }}", "1:4: warning: `data.nothing.at.all` is undefined"),
        ("{{ case.key }}", "1:4: error: `case.key` is undefined"),
        ("{{ amount }}", "1:4: warning: `amount` is undefined"),
        (
            "---\ntitle: \"T {{ data.titel }}\"\n---\n",
            "2:14: warning: `data.titel` is undefined (did you mean `title`?)",
        ),
        (
            "---\nfields: {a: \"{{ data.titel }}\"}\n---\n",
            "2:17: warning: `data.titel` is undefined (did you mean `title`?)",
        ),
        ("---\nlink: \"{{ data.urll }}\"\n---\n", "2:11: warning: `data.urll` is undefined"),
        ("---\nseverity: \"{{ data.sev }}\"\n---\n", "2:15: warning: `data.sev` is undefined"),
    ];
    for (template, expected) in rows {
        let found = problems(&[("m.md", template)], std::slice::from_ref(&context));
        assert!(found.starts_with(&format!("templates/m.md:{expected}")), "{template}\n{found}");
        assert_eq!(found.lines().count(), 1, "{template}\n{found}");
    }
}

#[test]
fn what_may_be_absent_can_be_asked_for() {
    let event = event("release.live", json!({"title": "A"}));
    let rows = [
        "{% if data.reason %}{{ data.reason }}{% endif %}",
        "{{ data.reason|default('none given') }}",
        "{{ data.reason or 'none' }}",
        "{% if data.reason is defined %}{{ data.reason }}{% endif %}",
        "{% if case %}{{ case.key }}{% endif %}",
        "{{ died|default('') }}",
        "{% if not data.reason %}x{% endif %}",
        "{{ data.title|default(data.name) }}",
        "{{ suppressed }} {{ more }} {{ rule.name }} {{ rule.description }} {{ with }} {{ events|length }}",
    ];
    for template in rows {
        assert_eq!(problems(&[("m.md", template)], &[context(&event)]), "", "{template}");
    }
}

#[test]
fn several_undefined_values_are_all_reported() {
    let event = event("release.live", json!({"title": "A"}));
    let found = problems(
        &[
            (
                "m.md",
                "---\ntitle: \"{{ data.a1 }}\"\n---\n{{ data.b1 }} {{ data.c1|money('EUR') }}\n{% include '_p.md' %}",
            ),
            ("_p.md", "x {{ data.d1 }}"),
        ],
        &[context(&event)],
    );
    let starts: Vec<&str> = found.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        starts,
        ["templates/_p.md:1:6:", "templates/m.md:2:12:", "templates/m.md:4:4:", "templates/m.md:4:18:"],
        "{found}"
    );
}

#[test]
fn what_only_some_samples_have_is_a_warning_where_the_samples_fit() {
    let (a, b) = (event("release.live", json!({"title": "A"})), event("track.failed", json!({"reason": "x"})));
    let contexts = [context(&a), context(&b)];
    let mut found = Problems::new();
    let templates = Templates::load(
        &files(&[("m.md", "{{ data.title }} {{ data.none }}")]),
        fanfare::channels::formats(),
        &mut found,
    );
    templates.check_message("m", Heard::of(&contexts), &mut found);
    let expected = "templates/m.md:1:4: warning: `data.title` is undefined in an event `track.failed` (known: `reason`)\n\
        templates/m.md:1:21: warning: `data.none` is undefined (known: `title`)\n";
    assert_eq!(shown(&found), expected);

    let mut found = Problems::new();
    templates.check(&contexts, &mut found);
    assert_eq!(shown(&found), "templates/m.md:1:21: warning: `data.none` is undefined (known: `title`)\n");
}

#[test]
fn a_link_that_can_never_work_is_an_error_and_one_that_a_value_spoils_a_warning() {
    let event = event("release.live", json!({"title": "A", "url": "https://a.example", "path": "javascript:x"}));
    let rows = [
        (
            "x\n[t](ftp://a.example)",
            "2:1: error: the link is dropped: its target begins with neither `http://` nor `https://`",
        ),
        ("a [t](/releases/1) b", "1:3: error: the link is dropped"),
        ("a [t]({{ data.path }}) b", "1:3: warning: the link is dropped"),
        ("---\nlink: \"releases/{{ data.title }}\"\n---\n", "2:8: error: the link is dropped"),
        ("---\nimage: \"{{ data.title }}\"\n---\n", "2:12: warning: the link is dropped"),
    ];
    for (template, expected) in rows {
        let found = problems(&[("m.md", template)], &[context(&event)]);
        assert!(found.starts_with(&format!("templates/m.md:{expected}")), "{template}\n{found}");
    }
    for template in
        ["[t]({{ data.url }})", "[t](https://a.example/{{ data.title }})", "---\nlink: \"{{ data.url }}\"\n---\nx"]
    {
        assert_eq!(problems(&[("m.md", template)], &[context(&event)]), "", "{template}");
    }
}

#[test]
fn a_wrong_severity_and_a_failing_filter_are_reported() {
    let event = event("release.live", json!({"title": "A"}));
    let rows = [
        ("---\nseverity: critcal\n---\n", "2:11: error: `critcal` is not a severity (did you mean `critical`?)"),
        ("{{ data.title|money('EUR') }}", "1:15: warning: `money` needs a number, and `A` is none"),
        (
            "{{ data.title.upper() }}",
            "1:14: error: string has no method named upper (values have no methods; use a filter: `…|upper`)",
        ),
        ("{{ data.title|date('%Y') }}", "1:15: warning: `date` needs a time, and `A` is none"),
    ];
    for (template, expected) in rows {
        let found = problems(&[("m.md", template)], &[context(&event)]);
        assert!(found.starts_with(&format!("templates/m.md:{expected}")), "{template}\n{found}");
        assert_eq!(found.lines().count(), 1, "{template}\n{found}");
    }
}

#[test]
fn a_channels_own_format_is_parsed_with_the_samples() {
    let event = event("release.live", json!({"title": "A\"B", "n": 5}));
    let rows = [
        ("m.slack.json", "{\"text\": \"{{ data.title }}\", \"n\": {{ data.n }}}", ""),
        ("m.slack.json", "{\n  \"text\": \"x\"\n  \"b\": 1}", "3:3: error: this is not JSON: expected `,` or `}`"),
        ("m.slack.json", "{\"n\": {{ data.n }}{{ data.n }}}", "1:"),
        (
            "m.slack.json",
            "{\"n\": \"{{ data.titel }}\"}",
            "1:11: warning: `data.titel` is undefined (did you mean `title`?)",
        ),
        ("m.email.html", "<p>{{ data.title }}</p>", ""),
        (
            "m.email.html",
            "<p>\n<style>{{ data.title }}</style>",
            "2:11: error: a value can't appear here, and would be dropped",
        ),
    ];
    for (name, template, expected) in rows {
        let found = problems(&[("m.md", "x"), (name, template)], &[context(&event)]);
        if expected.is_empty() {
            assert_eq!(found, "", "{template}");
        } else {
            assert!(found.starts_with(&format!("templates/{name}:{expected}")), "{template}\n{found}");
        }
    }
}

#[test]
fn a_rules_text_is_checked_at_its_place_in_the_rules_file() {
    let event = event("release.live", json!({"title": "A"}));
    let contexts = [context(&event)];
    let check = |yaml: &str, text: &str| {
        let file = File::new("rules/a.yaml", yaml);
        let scalar = yaml.find("text: ").unwrap() + 6;
        let end = yaml.find("\nend").unwrap_or(yaml.len());
        let mut found = Problems::new();
        super::templates(&[("_p.md", "x")]).check_text(
            text,
            &Location::new(&file, scalar..end),
            Heard::of(&contexts),
            &mut found,
        );
        shown(&found)
    };
    let undefined = "`data.titel` is undefined (did you mean `title`?)";
    assert_eq!(
        check("- text: a {{ data.titel }}", "a {{ data.titel }}"),
        format!("rules/a.yaml:1:14: warning: {undefined}\n")
    );
    assert_eq!(
        check("- text: \"{{ data.titel }}\"", "{{ data.titel }}"),
        format!("rules/a.yaml:1:13: warning: {undefined}\n")
    );
    let block = "x:\n  - text: |\n      one\n      **{{ data.titel }}** {{ x|mony }}\nend: 1";
    let text = "one\n**{{ data.titel }}** {{ x|mony }}\n";
    let said = check(block, text);
    let at = |line: &str| said.lines().filter(|said| said.starts_with(line)).count();
    assert_eq!(
        (said.lines().count(), at("rules/a.yaml:4:33: error: unknown filter `mony` (did you mean `money`?)")),
        (3, 1)
    );
    assert_eq!(
        (at("rules/a.yaml:4:31: error: `x` is undefined"), at("rules/a.yaml:4:12: warning: `data.titel`")),
        (1, 1)
    );
    let block = "x:\n  - text: |\n      one\n      **{{ data.titel }}**\nend: 1";
    assert_eq!(check(block, "one\n**{{ data.titel }}**\n"), format!("rules/a.yaml:4:12: warning: {undefined}\n"));
    assert_eq!(check("- text: '{{ data.title'", "{{ data.title").lines().count(), 1);
    assert!(check("- text: '[x](ftp://y)'", "[x](ftp://y)").contains("the link is dropped"));
    assert_eq!(check("- text: '{% include \"_p\" %}'", "{% include \"_p\" %}"), "");
}

#[test]
fn the_variables_of_a_message_can_be_asked_for() {
    let templates = super::templates(&[(
        "m.md",
        "---\ntitle: \"{{ data.title }}\"\n---\n{% if false %}{{ case.key }}{% endif %}{% for x in data.list %}{{ x }}{% endfor %}",
    )]);
    assert_eq!(templates.reads(&fanfare::delivery::Say::Message("m".into())), ["case.key", "data.list", "data.title"]);
}

#[test]
fn without_a_sample_no_name_is_called_unknown() {
    let mut found = Problems::new();
    let templates = Templates::load(
        &files(&[("m.md", "{{ artist }} {{ data.anything }}")]),
        fanfare::channels::formats(),
        &mut found,
    );
    templates.check_message("m", Heard::default(), &mut found);
    templates.check(&[], &mut found);
    assert_eq!(shown(&found), "");
}
