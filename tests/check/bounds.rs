//! Whatever stands in a file or an event, `check`, reload and running end soon: it is refused, or bounded by steps, fuel and
//! size. Times are only a net below: generous, since these are debug builds on busy machines.

use std::fmt::Write;
use std::time::{Duration, Instant};

use fanfare::delivery::Say;
use fanfare::message::Templates;
use fanfare::problem::Problems;
use serde_json::{Value, json};

use super::{CONFIG, codes, folder, loaded, report};
use crate::message;
use crate::support::app::{App, eventually, soon};
use crate::support::folder::{CONFIG as SERVER, Folder};
use crate::support::http_peer::HttpPeer;

/// Many times what is promised of a release build, for a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A rules file with one rule, and this `when`.
fn when(condition: &str) -> String {
    format!("rules:\n  - name: r\n    events: \"*\"\n    when: {condition}\n    actions: {{to: ledger, text: x}}\n")
}

/// A rules file with one rule that says this.
fn text(text: &str) -> String {
    format!("rules:\n  - name: r\n    events: \"*\"\n    actions:\n      - to: ledger\n        text: {}\n", json!(text))
}

/// As many lines.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|nth| line(nth) + "\n").collect()
}

/// As many rules, each with these further keys.
fn rules(count: usize, keys: impl Fn(usize) -> String) -> String {
    let rule = |nth| format!("  - {{name: r{nth}, {}, actions: {{to: ledger, text: x}}}}", keys(nth));
    format!("rules:\n{}", lines(count, rule))
}

/// Files that are refused: what they are, the rules file, and the code of the problem.
#[expect(clippy::too_many_lines, reason = "a table")]
fn refused() -> Vec<(&'static str, String, &'static str)> {
    let mut bomb = String::from("lists:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        let nine = vec![before; 9].join(", ");
        writeln!(bomb, "  a{level}: &a{level} [{nine}]").unwrap();
    }
    let deep = |open: &str, close: &str| format!("lists:\n  a: {}x{}\n", open.repeat(10_000), close.repeat(10_000));
    let blocks: String = (0..10_000).map(|depth| format!("{}- \n", " ".repeat(depth % 5_000))).collect();
    let nots = format!("{}$.data.x: 1{}", "{not: ".repeat(10_000), "}".repeat(10_000));
    vec![
        ("an alias bomb", bomb, "too-large"),
        ("a file of 10 MB", format!("lists:\n  a: [{}x]\n", "x, ".repeat(3_500_000)), "too-large"),
        ("10,000 lists within each other", deep("[", "]"), "too-deep"),
        ("10,000 mappings within each other", deep("{a: ", "}"), "too-deep"),
        ("10,000 lists that never end", format!("lists:\n  a: {}\n", "[".repeat(10_000)), ""),
        ("10,000 steps of indentation", format!("lists:\n  a:\n{blocks}"), ""),
        ("10,000 times not", when(&nots), "too-deep"),
        ("a pattern that is large once compiled", when("{$.data.x: {matches: '((a{100}){100}){100}'}}"), "wrong-regex"),
        ("a pattern of classes", when("{$.data.x: {matches: '(\\p{L}{50}){50}'}}"), "wrong-regex"),
        ("a long pattern", when(&format!("{{$.data.x: {{matches: '{}'}}}}", "(a|b)*".repeat(1_000))), "wrong-regex"),
        ("a pattern within a path", when("\"$.data[?match(@.x, '((a{100}){100}){100}')]\""), "wrong-path"),
        ("a path of 10,000 steps", when(&format!("\"${}\"", ".a".repeat(10_000))), "wrong-path"),
        (
            "10,000 brackets in a path",
            when(&format!("\"$[?{}@.a{}]\"", "(".repeat(10_000), ")".repeat(10_000))),
            "wrong-path",
        ),
        (
            "braces within braces",
            when(&format!("{{$.data.x: {{glob: '{}a{}'}}}}", "{a,".repeat(2_000), "}".repeat(2_000))),
            "wrong-glob",
        ),
        (
            "a loop within a loop within a loop",
            text("{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}"),
            "endless-template",
        ),
        ("a macro that calls itself", text("{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}"), "template"),
        (
            "a text that is doubled",
            text(
                "{% set ns = namespace(s='x') %}{% for a in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
            ),
            "unbounded",
        ),
        (
            "a list that is doubled",
            text(
                "{% set ns = namespace(a=[1]) %}{% for i in range(64) %}{% set ns.a = ns.a + ns.a %}{% endfor %}{{ ns.a ~ '' }}",
            ),
            "unbounded",
        ),
        ("a text that is indented beyond sight", text("{{ 'a\nb'|indent(99999999) }}"), "template"),
        (
            "each letter indented beyond sight",
            text("{{ ['a\nb', 'b\nc']|map('indent', 99999999)|list|length }}"),
            "template",
        ),
        (
            "600 patterns that are large once compiled",
            rules(600, |nth| format!("when: {{$.data.t: {{matches: '(\\w{{20}}){{9}}{nth}'}}}}, events: x")),
            "too-many",
        ),
        ("1,500 names", format!("names:\n{}", lines(1_500, |nth| format!("  n{nth}: $.a.b{nth}"))), "too-many"),
        ("3,000 rules with two mistakes", rules(3_000, |_| "evnts: a".into()), "unknown-key"),
        ("4,000 filters that are none", text(&"{{ title|xx }} ".repeat(4_000)), "unknown-filter"),
        (
            "a list that is put into itself",
            text("{% set ns = namespace(a=[1]) %}{% for i in range(90000) %}{% set ns.a = [ns.a] %}{% endfor %}"),
            "unbounded",
        ),
    ]
}

/// Files that are right, and what they ask for is a lot.
fn costly() -> Vec<(&'static str, String)> {
    vec![
        ("everything below everything", when("\"$..*..*..*..*\"")),
        ("filters below everything", when("\"$..[?@..[?@.a == 1]]\"")),
        ("quantifiers within quantifiers", when("{\"$.data.long\": {matches: '(((a+)+)+)+$'}}")),
        ("a glob of stars", when("{\"$.data.long\": {glob: '*a*a*a*a*a*a*a*a*a*a*b'}}")),
        ("quantifiers in a path", when("\"$.data.list[?search(@, '(((a+)+)+)+b')]\"")),
    ]
}

/// Files that are right, and of which there is a lot to check.
fn wide() -> Vec<(&'static str, String)> {
    vec![
        ("4,000 values that no event has", text(&"{{ data.x }} ".repeat(4_000))),
        ("3,000 rules of the same words", rules(3_000, |nth| format!("events: a.b{nth}"))),
        ("2,000 globs that are alike", rules(2_000, |nth| format!("events: [\"*a*b*c*{nth}\", \"!*d*e*\"]"))),
        ("4,000 conditions in one", when(&format!("{{any: [{}]}}", vec!["{$.data.x: 1}"; 4_000].join(", ")))),
        (
            "1,000 patterns below everything",
            when(&format!("[{}]", vec!["{$..*: {matches: '(a+)+$'}}"; 1_000].join(", "))),
        ),
        ("10,000 links to one place", text(&format!("[a]: https://b.example\n\n{}", "[a]".repeat(10_000)))),
    ]
}

/// An event that is wide, long and deep.
fn heavy() -> Value {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "a": deep, "b": [1, 2, 3] });
    }
    json!({"id": "evt_heavy", "type": "release.live", "created": 1_767_607_200,
        "data": {"long": "a".repeat(300_000), "list": vec!["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; 2_000], "deep": deep}})
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    assert!(began.elapsed() < SOON, "{what} took {:?}", began.elapsed());
    done
}

#[test]
fn check_refuses_what_has_no_bounds_and_reads_what_has() {
    let config = CONFIG.replace("destinations:\n", "destinations:\n  ledger: {type: http, url: https://l.example}\n");
    for (what, rules, code) in refused() {
        let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", &rules)]);
        let loaded = timed(what, || loaded(&folder));
        assert!(loaded.problems.has_errors(), "{what} is taken");
        let report = report(&folder, &loaded, &[]);
        assert!(report.len() < 100_000, "{what}: a report of {} bytes", report.len());
        if !code.is_empty() {
            assert!(codes(&loaded).contains(code), "{what}: {}", report);
        }
    }
    for (what, rules) in costly().into_iter().chain(wide()) {
        let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", &rules)]);
        let loaded = timed(what, || loaded(&folder));
        assert!(!loaded.problems.has_errors(), "{what}: {}", report(&folder, &loaded, &[]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_refuses_the_same_and_what_was_in_force_stays() {
    let peer = HttpPeer::start().await;
    let good = text("fine");
    let app = App::start(Folder::new(SERVER, &peer.url("/ledger"), &good)).await;
    let hash = app.json("/readyz").await["rules"]["hash"].clone();
    for (what, rules, _) in refused() {
        app.folder.write("rules/main.yaml", &rules);
        let began = Instant::now();
        let answer = app.ask("POST", "/-/reload").await;
        assert!(began.elapsed() < SOON, "{what} took {:?}", began.elapsed());
        assert_eq!(answer.status, 422, "{what}: {}", answer.text());
        assert_eq!(app.json("/readyz").await["rules"]["hash"], hash, "{what}");
    }
    app.folder.write("rules/main.yaml", &good);
    app.ask("POST", "/-/reload").await;
    app.send(&crate::support::app::event("evt_1", "release.live")).await;
    soon("the delivery", peer.received(1)).await;
    app.end().await;
}

/// In a running server: each rule is judged within its steps, and the others act.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_run_time_what_costs_much_fails_its_own_rule_or_ends() {
    let peer = HttpPeer::start().await;
    let mut rules = String::from("rules:\n  - {name: sane, events: \"*\", actions: {to: ledger, text: sane}}\n");
    for (nth, (_, text)) in costly().iter().enumerate() {
        rules.push_str(&text.replace("rules:\n", "").replace("name: r", &format!("name: costly-{nth}")));
    }
    let app = App::start(Folder::new(SERVER, &peer.url("/ledger"), &rules)).await;
    assert!(app.live.stale.load().is_none(), "{:?}", app.live.stale.load());
    let began = Instant::now();
    assert_eq!(app.send(&heavy().to_string()).await.status, 200);
    eventually("the delivery of the other rule", async || {
        peer.requests().iter().any(|request| request.json()["rule"] == "sane").then_some(())
    })
    .await;
    assert!(began.elapsed() < SOON, "planning took {:?}", began.elapsed());
    let event = app.json("/api/v1/events/evt_heavy").await;
    let outcome = |rule: &str| {
        let rules = event["rules"].as_array().unwrap();
        let why = rules.iter().find(|why| why["rule"] == rule).unwrap_or_else(|| panic!("no why of {rule}: {event}"));
        why["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(outcome("costly-0"), "failed", "its steps are used up");
    let began = Instant::now();
    let deep =
        format!(r#"{{"id":"evt_deep","type":"release.live","data":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(app.send(&deep).await.status, 200, "it was signed: it is kept");
    assert_eq!(app.send(&format!(r#"{{"data":"{}"}}"#, "x".repeat(10 << 20))).await.status, 413);
    assert!(began.elapsed() < SOON, "large events took {:?}", began.elapsed());
    // Linear in the text: such a pattern is found at once.
    assert_eq!(outcome("costly-2"), "matched");
    app.end().await;
}

/// At run time a template meets data that no sample has: what is not refused when it is loaded ends by its fuel.
#[test]
fn at_run_time_a_template_ends_by_its_fuel_or_is_not_run() {
    let event = message::event("release.live", heavy()["data"].clone());
    let templates_of = |text: &str| {
        let mut problems = Problems::new();
        Templates::load(&message::files(&[("m.md", text)]), fanfare::channels::formats(), &mut problems)
    };
    let bombs = [
        "{% for a in data.list %}{% for b in data.list %}{% for c in data.list %}{{ a }}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in data.list %}{{ data.long }}{% endfor %}",
        "{{ data.list|join(data.long) }}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(64) %}{% set ns.a = ns.a + ns.a %}{% endfor %}{{ ns.a ~ '' }}",
        "{% set ns = namespace(a=data.list) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a|string }}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(90000) %}{% set ns.a = [ns.a] %}{% endfor %}",
        "{{ [1]|batch(30000, data.long)|string|length }}",
        "{{ [1]|batch(30000, data.long)|upper }}",
        "{{ range(30000)|map('default', data.long)|list|lower }}",
        "{{ 'q' in data.list * 1000 * 1000 * 1000 }}",
        "{% macro f(a, n) %}{% if n %}{{ f(a + a, n - 1) }}{% else %}{{ a|string }}{% endif %}{% endmacro %}{{ f([1], 36) }}",
        "{% macro f(a, n) %}{% if n %}{{ f([a, a], n - 1) }}{% else %}{{ a|string }}{% endif %}{% endmacro %}{{ f(1, 36) }}",
        "{% set ns = namespace(a=[1]) %}{% for i in range(40) %}{% set ns.a = ns.a|chain(ns.a) %}{% endfor %}{{ ns.a }}",
    ];
    for bomb in bombs {
        let templates = templates_of(bomb);
        let rendered = timed(bomb, || templates.render(&Say::Message("m".into()), &message::context(&event), None));
        assert!(rendered.problem.is_some() || !rendered.message.title.is_empty(), "{bomb}");
    }
}
