//! YAML as we read it: what is a value, what is a mistake, and where it is said to be.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use fanfare::problem::{File, Location, Problem, Problems};
use fanfare::yaml::{self, DEPTH_MAX, Fields, NODES_MAX, Node, NodeKind, SIZE_MAX, is_json_number, span_of_time};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(text: &str) -> (Option<Node>, Problems) {
    let mut problems = Problems::new();
    let node = yaml::read(&File::new("rules/a.yaml", text), &mut problems);
    (node, problems)
}

/// The value of a text without mistakes.
fn value(text: &str) -> Value {
    let (node, problems) = read(text);
    assert!(problems.is_empty(), "{problems:?}");
    node.unwrap().to_json()
}

/// The only problem of a text.
fn problem(text: &str) -> Problem {
    let (_, problems) = read(text);
    let problems: Vec<Problem> = problems.into_iter().collect();
    assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
    problems.into_iter().next().unwrap()
}

/// Files of a text, a line `====`, and all that is said of it. `UPDATE=1` writes what is said now.
#[test]
fn every_typical_mistake_is_shown_at_its_line_with_the_way_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml");
    let mut cases = 0;
    let mut wrong = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let golden = fs::read_to_string(&file).unwrap();
        let (text, expected) = golden.split_once("====\n").unwrap();
        let (_, problems) = read(text);
        let said: String = problems.iter().map(|problem| format!("{}\n", problem.render(false))).collect();
        assert!(problems.has_errors(), "{} has no mistake", file.display());
        if env::var_os("UPDATE").is_some() {
            fs::write(&file, format!("{text}====\n{said}")).unwrap();
        }
        if said != expected {
            writeln!(wrong, "{}:\n{said}", file.display()).unwrap();
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases > 40, "only {cases} cases");
}

#[test]
fn only_the_plainest_forms_are_more_than_text() {
    for (text, expected) in [
        ("no", json!("no")),
        ("yes", json!("yes")),
        ("y", json!("y")),
        ("on", json!("on")),
        ("off", json!("off")),
        ("012", json!("012")),
        ("0x1f", json!("0x1f")),
        ("0o17", json!("0o17")),
        ("1_000", json!("1_000")),
        ("12:30:00", json!("12:30:00")),
        ("2026-01-05", json!("2026-01-05")),
        (".5", json!(".5")),
        ("5.", json!("5.")),
        ("+5", json!("+5")),
        (".inf", json!(".inf")),
        (".nan", json!(".nan")),
        ("\"5\"", json!("5")),
        ("'true'", json!("true")),
        ("''", json!("")),
        ("true", json!(true)),
        ("False", json!(false)),
        ("-5", json!(-5)),
        ("~", json!(null)),
        ("null", json!(null)),
        ("nULL", json!("nULL")),
        ("[a, 'b', 3]", json!(["a", "b", 3])),
        ("$.data.items[?@.a == 'b']", json!("$.data.items[?@.a == 'b']")),
        ("Hello {{ data.title }}", json!("Hello {{ data.title }}")),
        ("${env:PD_KEY}", json!("${env:PD_KEY}")),
        ("a#b", json!("a#b")),
        (">\n  a\n  b\n", json!("a b\n")),
        ("|-\n  a\n   b\n", json!("a\n b")),
    ] {
        assert_eq!(value(&format!("x: {text}\n"))["x"], expected, "{text}");
    }
}

#[test]
fn numbers_keep_their_text() {
    for text in ["1250.00", "9007199254740993", "-0", "0.10000000000000000000000001"] {
        let (node, _) = read(text);
        assert_eq!(node.unwrap().kind, NodeKind::Number(text.into()));
        assert_eq!(value(text).to_string(), text);
        assert!(is_json_number(text));
    }
}

#[test]
fn an_empty_file_is_neither_a_node_nor_a_mistake() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "\u{feff}"] {
        let (node, problems) = read(text);
        assert!(node.is_none_or(|node| node.kind == NodeKind::Null), "{text:?}");
        assert!(problems.is_empty(), "{text:?}: {problems:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_key() {
    assert_eq!(value("\u{feff}rules: []\n"), json!({"rules": []}));
}

#[test]
fn anchors_are_copied_to_where_their_alias_stands() {
    assert_eq!(value("a: &x {b: [1]}\nc: *x\n"), json!({"a": {"b": [1]}, "c": {"b": [1]}}));
    let (node, _) = read("a: &x 1\nb: *x # why\n");
    let Some(NodeKind::Map(entries)) = node.map(|node| node.kind) else { panic!("a mapping") };
    assert_eq!(entries[1].1.place.text(), "*x");
    assert_eq!(entries[1].1.cut_by_comment(), None, "an alias can't be cut");
}

#[test]
fn a_mistaken_entry_is_left_out_and_the_rest_is_read() {
    let (node, problems) = read("a: 1\na: 2\n<<: {x: 1}\n[k]: 3\nb: {c, d: 4}\n");
    assert_eq!(node.unwrap().to_json(), json!({"a": 1, "b": {"d": 4}}));
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["duplicate-key", "merge-key", "wrong-kind", "quote-it"]);
}

#[test]
fn a_glob_that_was_not_quoted_is_reported_and_read_as_text() {
    let (node, problems) = read("events: [*.live, !release.draft, a]\n");
    assert_eq!(node.unwrap().to_json(), json!({"events": ["*.live", "!release.draft", "a"]}));
    assert_eq!(problems.count(), (2, 0));
}

#[test]
fn a_mapping_or_list_ends_with_its_last_value() {
    let text = "a:\n  b:\n    - c: 1\n      d: |\n        text\n\n    # comment\n\n# more\ne: [1, [2] ]  # so\nf: {}\n";
    let (node, _) = read(text);
    let Some(node) = node else { panic!("a mapping") };
    assert_eq!(node.place.text(), text.trim_end());
    let NodeKind::Map(entries) = &node.kind else { panic!("a mapping") };
    let texts: Vec<&str> = entries.iter().map(|(_, node)| node.place.text()).collect();
    let block = "b:\n    - c: 1\n      d: |\n        text";
    assert_eq!(texts, [block, "[1, [2] ]", "{}"]);
}

#[test]
fn a_comment_that_cuts_a_text_is_known() {
    for (text, cut) in [
        ("x: Track #1\n", Some("#1")),
        ("x: Track  # a note  \n", Some("# a note")),
        ("x: #releases\n", Some("#releases")),
        ("x: # the rest\n", Some("# the rest")),
        ("x: Track\n", None),
        ("x: Track#1\n", None),
        ("x: \"Track\" # fine\n", None),
        ("x: 'Track' # fine\n", None),
        ("x: | # fine\n  Track\n", None),
        ("x: Track\n# below\n", None),
        ("x: \"Track #1\"\n", None),
        ("x:\n  # above\n", None),
        ("x: [a #b\n  ]\n", None),
        ("x:\n", None),
        ("x: ~ # nothing\n", Some("# nothing")),
    ] {
        let (node, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let Some(NodeKind::Map(entries)) = node.map(|node| node.kind) else { panic!("a mapping") };
        let found = entries[0].1.cut_by_comment();
        assert_eq!(found.as_ref().map(Location::text), cut, "{text:?}");
    }
    let (node, _) = read("- a #b\n- #c\n- d\n-\n# e\n- - #f\n");
    let Some(NodeKind::List(items)) = node.map(|node| node.kind) else { panic!("a list") };
    let cut: Vec<Option<String>> =
        items.iter().map(|item| item.cut_by_comment().map(|place| place.text().into())).collect();
    assert_eq!(cut, [Some("#b".into()), Some("#c".into()), None, None, None]);
}

/// What [`Fields`] says of a rule with every kind of key.
fn fields(text: &str) -> Problems {
    let (node, mut problems) = read(text);
    if let Some(mut fields) = node.as_ref().and_then(|node| Fields::of(node, "a rule", &mut problems)) {
        fields.required("name", &mut problems);
        fields.texts("events", &mut problems);
        fields.truth("once", &mut problems);
        fields.whole("max", 1, &mut problems);
        fields.span("after", &mut problems);
        fields.finish(&mut problems);
    }
    problems
}

#[test]
fn every_mistake_of_a_mapping_is_reported_at_once() {
    assert!(fields("{name: a, events: [b, 7], once: true, max: 3, after: 1h30m}").is_empty());
    let said: Vec<String> =
        fields("evnts: a\nonce: yes\nmax: 0\nafter: 5 minutes\n").iter().map(Problem::to_string).collect();
    assert_eq!(
        said,
        [
            "rules/a.yaml:1:1: error: a rule has no `name`",
            "rules/a.yaml:2:7: error: expected `true` or `false` for `once`, found text",
            "rules/a.yaml:3:6: error: expected a whole number of at least 1 for `max`, found a number",
            "rules/a.yaml:4:8: error: `5 minutes` is not a time span (did you mean `5m`?)",
            "rules/a.yaml:1:1: error: a rule has no key `evnts` (did you mean `events`?)",
        ]
    );
    let said: Vec<String> = fields("name: #3\nevents: [[a]]\n").iter().map(Problem::to_string).collect();
    assert_eq!(
        said,
        [
            "rules/a.yaml:1:7: error: `name` has no value (` #` begins a comment; if it belongs to the text, quote it: \"…\")",
            "rules/a.yaml:2:10: error: expected text in `events`, found a list",
        ]
    );
    assert_eq!(
        fields("- a").iter().map(Problem::to_string).collect::<Vec<_>>(),
        ["rules/a.yaml:1:1: error: expected a rule, a mapping, found a list"]
    );
}

#[test]
fn a_span_of_time_is_whole_numbers_with_units() {
    for (text, ms) in
        [("500ms", 500), ("10s", 10_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("1w", 604_800_000), ("0s", 0)]
    {
        assert_eq!(span_of_time(text).map(|span| span.as_millis()), Some(ms), "{text}");
    }
    for text in [
        "",
        "5",
        "h",
        "1.5h",
        "-1h",
        "1 h",
        "5M",
        "1y",
        "99999999999999999999s",
        "999999999999d",
        "4000d",
        "1h2",
        "é",
        "1é",
    ] {
        assert_eq!(span_of_time(text), None, "{text}");
    }
}

#[test]
fn a_hostile_file_is_refused_within_a_second() {
    let many = |part: &str| part.repeat(SIZE_MAX / part.len());
    let bomb: String = (0..20)
        .fold("a0: &a0 [x, x]\n".into(), |text, n| format!("{text}a{0}: &a{0} [*a{n}, *a{n}, *a{n}, *a{n}]\n", n + 1));
    // Each anchor alone is shallow, and deeper by its alias: together deeper than any stack.
    let tower: String = (0..500).fold("a0: &a0 x\n".into(), |text, n| {
        format!("{text}a{}: &a{} {}*a{n}{}\n", n + 1, n + 1, "[".repeat(50), "]".repeat(50))
    });
    let nested_anchors = format!("{}{}", (0..60).map(|n| format!("&a{n} [")).collect::<String>(), "x,".repeat(500_000));
    let cases = [
        ("10 MB", "a: b\n".repeat(2 << 20)),
        ("deep brackets", "[".repeat(10_000)),
        ("deep lists", "- ".repeat(10_000)),
        ("deep mappings", (0..1400).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("deep keys", "? ".repeat(10_000)),
        ("bomb", bomb),
        ("tower", tower),
        ("nested anchors", nested_anchors),
        ("many nodes", many("- a\n")),
        ("many anchors", many("- &a b\n")),
        ("many duplicates", many("a: b\n")),
        ("many keys", (0..100_000).map(|n| format!("k{n}: 1\n")).collect()),
        ("many commas", format!("[{}]", "a,".repeat(500_000))),
        ("one long line", "x".repeat(SIZE_MAX)),
        ("one long quote", format!("\"{}", "x".repeat(SIZE_MAX - 1))),
        ("many aliases", format!("a: &a b\nb: [{}]", "*a,".repeat(SIZE_MAX / 4))),
        ("many comments", many("#\n")),
        ("many colons", many(": ")),
        ("many keys that are none", many("[]: a\n")),
        ("many tags", many("!a ")),
        ("many quotes", many("'' ")),
        ("many braces", format!("{}{}", "{".repeat(60), "{},".repeat(300_000))),
        ("many question marks", many("? a\n")),
        ("many unknown aliases", many("- *a\n")),
        ("many bad tags", many("- !a\n")),
    ];
    for (name, text) in cases {
        let begun = Instant::now();
        let (node, problems) = read(&text);
        drop(node);
        let first = problems.iter().next().map(|problem| problem.render(false));
        let took = begun.elapsed();
        // A debug build on a busy machine has five times as long.
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
        assert!(
            problems.has_errors()
                || matches!(name, "many keys" | "one long line" | "many comments" | "many question marks"),
            "{name}: {first:?}"
        );
    }
}

#[test]
fn aliases_may_not_nest_deeper_than_text_may() {
    let deep = "[".repeat(40) + &"]".repeat(40);
    let problem = problem(&format!("a: &a {deep}\nb: {}*a{}\n", "[".repeat(40), "]".repeat(40)));
    assert_eq!(problem.message, format!("nested deeper than {DEPTH_MAX} levels"));
    assert_eq!(problem.place.unwrap().line(), 2);
    let wide: String = (0..NODES_MAX / 1000).map(|_| "*a, ").collect();
    let (_, problems) = read(&format!("a: &a [{}]\nb: [{wide}]\n", "x, ".repeat(1000)));
    assert_eq!(problems.iter().next().unwrap().code, "too-large");
}

#[test]
fn five_thousand_rules_are_read_in_no_time() {
    let rule = |n: usize| {
        format!(
            "  - name: rule-{n}\n    events: [release.*, royalty.payment.*]\n    when:\n      $.data.amount: {{gte: {n}}}\n    actions:\n      - to: finance\n"
        )
    };
    let text = format!("rules:\n{}", (0..5000).map(rule).collect::<String>());
    assert!(text.len() > 500_000);
    let begun = Instant::now();
    assert_eq!(value(&text)["rules"].as_array().unwrap().len(), 5000);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Every place of a tree.
fn places(node: &Node, found: &mut Vec<Location>) {
    found.push(node.place.clone());
    match &node.kind {
        NodeKind::List(items) => items.iter().for_each(|item| places(item, found)),
        NodeKind::Map(entries) => {
            for (key, node) in entries {
                found.push(key.place.clone());
                places(node, found);
            }
        }
        _ => {}
    }
}

/// Text that is YAML more often than not.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "  ",
        "    ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\"",
        "'",
        "#",
        " # c",
        "&x ",
        "*x",
        "!t ",
        "|\n",
        ">-\n",
        "? ",
        "---\n",
        "...\n",
        "%",
        "@",
        "`",
        "\t",
        "\r\n",
        "é",
        "\u{feff}",
        "\u{1f600}",
        "\\",
        "\\u00e9",
        "\\d",
        "<<: ",
        "{{ x }}",
        "~",
        "1.5",
        "true",
        "\u{85}",
        "\u{0}",
        "\u{2028}",
        "=",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_every_place_lies_within_it(text in prop_oneof![yamlish(), ".{0,60}"]) {
        let (node, problems) = read(&text);
        let mut found = Vec::new();
        if let Some(node) = &node {
            places(node, &mut found);
            node.to_json();
            node.cut_by_comment();
        }
        for problem in problems.iter() {
            found.extend(problem.place.clone());
            found.extend(problem.also.clone().map(|(place, _)| place));
            prop_assert!(!problem.message.is_empty() && !problem.message.ends_with('.'), "{}", problem.message);
            prop_assert!(problem.render(false).contains("rules/a.yaml:"), "{}", problem.render(false));
            problem.render(true);
        }
        for place in found {
            prop_assert!(text.get(place.span.clone()).is_some(), "{:?}", place.span);
            prop_assert!(place.line() <= text.matches('\n').count() + 1);
        }
        // Without a tree there must be a reason.
        let empty = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty();
        prop_assert!(node.is_some() || problems.has_errors() || empty || text.contains(['#', '-', '.']), "no reason");
    }

    #[test]
    fn json_reads_as_itself(texts in prop::collection::btree_map("[a-z]{1,5}", "\\PC{0,12}", 0..5), list in prop::collection::vec(any::<i64>(), 0..5)) {
        let json = json!({"texts": texts, "list": list, "null": null, "deep": {"truth": [true, {}]}});
        prop_assert_eq!(value(&serde_json::to_string(&json).unwrap()), json);
    }

    #[test]
    fn a_scalar_is_found_where_it_stands(text in "[a-zé]{1,12}", blanks in 0..5usize, other in "[a-zé]{1,5}") {
        let (node, _) = read(&format!("{other}: \"é\"\nlist:\n{}- {text}\n", " ".repeat(blanks)));
        let Some(NodeKind::Map(entries)) = node.map(|node| node.kind) else { return Ok(()) };
        let Some((_, Node { kind: NodeKind::List(items), .. })) = entries.last() else { return Ok(()) };
        prop_assert_eq!(items[0].place.text(), text);
        prop_assert_eq!((items[0].place.line(), items[0].place.column()), (3, blanks + 3));
        prop_assert!(Arc::ptr_eq(&items[0].place.file, &entries[0].0.place.file));
    }
}

/// A file as people write them, for slips of one character.
const PLAIN: &str = "\
rules:
  - name: fraud-needs-a-person # why
    description: Page trust and safety, it's urgent.
    events: fraud.action_required
    when:
      $.data.severity: [high, critical]
      $.data.streams: {gte: 1000, lt: 5}
    actions:
      - to: oncall
        message: \"fraud {{ data.id }} is here\"
      - to: [label-heads, finance]
        after: 2h
        text: 'so it is'
  - name: stuck
    events: release.submitted
    description: |
      Two lines
      of text: so
    closed_by:
      - release.live
      - release.rejected
";

/// Every text that one sign put into, or one character taken out of, this line makes.
fn slips(line: &str) -> Vec<String> {
    const SIGNS: [&str; 22] = [
        "\"", "'", "[", "]", "{", "}", ":", ": ", " ", "\t", "*", "&", "!", "#", " #", "%", "@", "`", ",", "|", "- ",
        "?",
    ];
    let put = (0..=line.len()).flat_map(|at| {
        SIGNS.map(|sign| {
            let mut slip = line.to_owned();
            slip.insert_str(at, sign);
            slip
        })
    });
    let taken = (0..line.len()).map(|at| {
        let mut slip = line.to_owned();
        slip.remove(at);
        slip
    });
    put.chain(taken).collect()
}

#[test]
fn a_slip_of_one_character_is_reported_where_it_was_made() {
    let (mut reported, mut elsewhere) = (0, Vec::new());
    for (number, line) in PLAIN.lines().enumerate() {
        for slip in slips(line) {
            let lines = PLAIN.lines().enumerate().map(|(n, line)| if n == number { slip.as_str() } else { line });
            let (_, problems) = read(&lines.collect::<Vec<_>>().join("\n"));
            let places = problems.iter().flat_map(|problem| {
                [problem.place.as_ref(), problem.also.as_ref().map(|(place, _)| place)].into_iter().flatten()
            });
            let mut lines = places.map(Location::line).peekable();
            if lines.peek().is_none() {
                continue;
            }
            reported += 1;
            if !lines.any(|line| line == number + 1) {
                elsewhere.push(format!("{}: {slip}", number + 1));
            }
        }
    }
    assert!(reported > 4000, "{reported}");
    // What is left are parents turned into comments, whose children fit nothing, and the like.
    assert!(elsewhere.len() * 100 <= 2 * reported, "{} of {reported}:\n{}", elsewhere.len(), elsewhere.join("\n"));
}
