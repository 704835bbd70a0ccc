//! What a template may not build, and what it may.

use serde_json::json;

use super::{body, problems};

#[test]
fn what_could_grow_without_end_is_refused_when_it_is_loaded() {
    let rows = [
        ("{{ data.a ~ data.b }}", "`~` is not supported"),
        ("{{ data.a + data.b }}", "`+` could join lists"),
        ("{% set a = data.list %}{% set b = a + a %}", "`+` could join lists"),
        ("{% set b = data.x|default([]) + data.y %}", "`+` could join lists"),
        ("{{ (data.a) + (data.b) }}", "`+` could join lists"),
        ("{{ data.a * data.b }}", "`*` could repeat a list"),
        ("{{ data.a * 100000 }}", "`*` could repeat a list"),
        ("{{ data.a * 100 * 100 }}", "`*` could repeat a list"),
        ("{% set a = [1, 2] %}{{ a * 9 }}", "`*` could repeat a list"),
        ("{% set a = [1] %}{% set b = [a, a] %}", "`a` may be a list"),
        ("{% set a = [1] %}{% set b = {'x': a, 'y': a} %}", "`a` may be a list"),
        ("{% set a = [1] %}{% set b = (a, a) %}", "`a` may be a list"),
        ("{% set a = [1] %}{% set b = dict(x=a) %}", "`a` may be a list"),
        ("{% set a = [1] %}{% set b = a %}{% set c = [b] %}", "`b` may be a list"),
        (
            "{% set ns = namespace(a=1) %}{% for i in range(9) %}{% set ns.a = [ns.a] %}{% endfor %}",
            "`ns` may be a list",
        ),
        ("{% set ns = namespace() %}{% set b = [1] %}{% set ns.a = b %}", "`b` may be a list"),
        ("{% macro f(a) %}{% set b = [a, a] %}{{ b }}{% endmacro %}{{ f(1) }}", "`a` may be a list"),
        ("{% for x in [data.a] %}{% set y = [x, x] %}{% endfor %}", "`x` may be a list"),
        ("{% for x in data.t recursive %}{{ loop([x, x]) }}{% endfor %}", "`x` may be a list"),
        ("{% for x in data.a|zip(data.a) %}{% set y = [x, x] %}{% endfor %}", "`x` may be a list"),
        ("{{ data.a|chain(data.b) }}", "unknown filter `chain`"),
    ];
    for (template, said) in rows {
        let found = problems(&[("m.md", template)], &[]);
        assert!(found.contains(said), "{template}\n{found}");
        assert!(found.starts_with("templates/m.md:1:"), "{template}\n{found}");
    }
}

#[test]
fn what_people_reckon_and_list_is_taken() {
    let data = json!({"n": 3, "m": 1.5, "title": "A", "artist": "B", "list": ["x", "y"], "score": 0.4,
        "rows": [{"n": 1, "name": "a"}, {"n": 2, "name": "b"}]});
    let rows = [
        ("{{ data.n + 1 }} {{ 1 + data.n }} {{ data.list|length + data.n }}", "4 4 5"),
        ("{{ data.n|float + data.m }} {{ data.n + data.m|float + data.n }}", "4.5 7.5"),
        ("{{ data.title|string + ' by ' + data.artist }}", "A by B"),
        ("{{ 'a' + data.title }}", "aA"),
        ("{{ [data.title, data.artist]|join(' by ') }}", "A by B"),
        ("{% set t = data.title %}{{ [t, data.artist]|join('/') }}", "A/B"),
        ("{% set t = data.title|upper %}{% set both = [t, data.artist] %}{{ both|join('/') }}", "A/B"),
        ("{{ data.score * 100 }} {{ 100 * data.score }}", "40.0 40.0"),
        ("{{ data.n|int * data.m|float }}", "4.5"),
        ("{{ (data.list|length) + (data.rows|length) }}", "4"),
        ("{{ 2 * 3 + 4 * 5 }} {{ 2 ** 3 }} {{ -1 + 1 }}", "26 8 0"),
        ("{% if data.title in ['A', data.artist] %}yes{% endif %}", "yes"),
        ("{% set a = ['A'] %}{% if data.title in a %}yes{% endif %}", "yes"),
        (
            "{% set ns = namespace(sum=0) %}{% for r in data.rows %}{% set ns.sum = ns.sum + r.n|float %}{% endfor %}{{ ns.sum|int }}",
            "3",
        ),
        (
            "{% set ns = namespace(last='') %}{% for r in data.rows %}{% set ns.last = r.name %}{% endfor %}{{ ns.last }}",
            "b",
        ),
        (
            "{% set ns = namespace(found=false) %}{% for r in data.rows %}{% set ns.found = ns.found or r.n == 2 %}{% endfor %}{{ ns.found }}",
            "true",
        ),
        ("{% macro row(a, b) %}{{ a }}={{ b }}{% endmacro %}{{ row(data.title, 1) }}", "A=1"),
        ("{% for r in data.rows %}{{ loop.index + 10 }}{{ '' if loop.last else ',' }}{% endfor %}", "11,12"),
        ("{% for i in range(2) %}{{ i + 1 }}{% endfor %}", "12"),
        ("{{ data.list[0] }}{{ data.list[data.n - 2] }}", "xy"),
        ("{{ {'a': data.n}.a }}", "3"),
    ];
    for (template, expected) in rows {
        assert_eq!(problems(&[("m.md", template)], &[]), "", "{template}");
        assert_eq!(body(template, data.clone()), expected, "{template}");
    }
}

#[test]
fn a_text_filter_takes_no_list() {
    let event = super::event("release.live", json!({"list": ["a"], "map": {"a": 1}}));
    for filter in ["upper", "lower", "title", "capitalize", "trim", "split", "lines", "indent"] {
        let found = problems(&[("m.md", &format!("{{{{ data.list|{filter} }}}}"))], &[super::context(&event)]);
        assert!(found.contains(&format!("`{filter}` needs a text")), "{filter}: {found}");
    }
}
