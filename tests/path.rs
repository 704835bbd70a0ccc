//! JSONPath, by its compliance suite and by our own cases.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::{fs, path};

use fanfare::path::{Path, PathPart, STEPS, TEXT_MAX};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a path selects, with the whole budget.
fn select(text: &str, root: &Value) -> Vec<Value> {
    let path = Path::parse(text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
    let mut steps = STEPS;
    path.select(root, &mut steps).unwrap().into_iter().cloned().collect()
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// The public suite of the standard: `scripts/fetch-cts` brings the newest that a registry holds, and `FANFARE_CTS` names
/// another copy of it, such as one of today.
#[test]
fn the_compliance_suite_passes() {
    let brought = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cts/cts.json");
    let file = std::env::var_os("FANFARE_CTS").map_or(brought, path::PathBuf::from);
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}; run scripts/fetch-cts", file.display()));
    let suite: Value = serde_json::from_str(&text).unwrap();
    let tests = suite["tests"].as_array().unwrap();
    assert!(tests.len() >= 687, "the suite has only {} cases", tests.len());
    let mut failures = String::new();
    for test in tests {
        if let Err(failure) = comply(test) {
            writeln!(failures, "{}: `{}`: {failure}", test["name"], test["selector"]).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The registry's copy is older than the suite, which has 16 cases more by now. They ask for these things, here in our
/// own words: names that are literals elsewhere, long chains of `&&` and `||`, texts that only look like literals, and
/// `length()` of more than one node.
#[test]
fn what_the_suite_asks_for_since_its_last_release_holds_too() {
    let flags = json!({"true": "live", "false": "held", "null": "gone", "title": "Halo"});
    let parts = json!([{"a": 1, "b": 1}, {"c": 1}, {"a": 1, "b": 1, "c": 1}, {"d": 1, "e": 1}, {"e": 1}]);
    let all = json!([{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, {"a": 1, "b": 1, "c": 1, "d": 1}, {"f": 1}]);
    let words =
        json!([{"v": "True"}, {"v": true}, {"v": "False"}, {"v": false}, {"v": "Null"}, {"v": null}, {"v": "x"}]);
    for (path, root, found) in [
        ("$.true", &flags, json!(["live"])),
        ("$.false", &flags, json!(["held"])),
        ("$.null", &flags, json!(["gone"])),
        ("$[?@.a && @.b && @.c]", &parts, json!([parts[2]])),
        ("$[?@.a || @.c || @.d]", &parts, json!([parts[0], parts[1], parts[2], parts[3]])),
        ("$[?@.a && @.b && @.c && @.d && @.e]", &all, json!([all[0]])),
        ("$[?@.a || @.b || @.c || @.d || @.e]", &all, json!([all[0], all[1]])),
        ("$[?@.a && @.b && @.c || @.d || @.e]", &parts, json!([parts[2], parts[3], parts[4]])),
        ("$[?@.v=='True']", &words, json!([words[0]])),
        ("$[?@.v==\"True\"]", &words, json!([words[0]])),
        ("$[?@.v=='False']", &words, json!([words[2]])),
        ("$[?@.v==\"False\"]", &words, json!([words[2]])),
        ("$[?@.v=='Null']", &words, json!([words[4]])),
        ("$[?@.v==\"Null\"]", &words, json!([words[4]])),
    ] {
        assert_eq!(json!(select(path, root)), found, "{path}");
    }
    for path in ["$[?length(@[0, 3])>1]", "$[?length(@['title', 'artist'])>1]"] {
        assert!(Path::parse(path).is_err(), "{path}");
    }
}

/// Runs one case of the suite.
fn comply(test: &Value) -> Result<(), String> {
    let path = Path::parse_rfc9535(test["selector"].as_str().unwrap());
    if test["invalid_selector"] == true {
        return match path {
            Ok(_) => Err("accepted".into()),
            Err(_) => Ok(()),
        };
    }
    let path = path.map_err(|error| error.to_string())?;
    let nodes = path.select(&test["document"], &mut STEPS.clone()).map_err(|error| error.to_string())?;
    let found = json!(nodes);
    let right = match test.get("results") {
        Some(results) => results.as_array().unwrap().contains(&found),
        None => test["result"] == found,
    };
    if right { Ok(()) } else { Err(format!("found {found}")) }
}

/// What is said of a mistaken path: a caret below where it begins, and the hint.
fn report(text: &str) -> String {
    let error = match Path::parse(text) {
        Ok(_) => return "accepted\n".into(),
        Err(error) => error,
    };
    assert!(text.is_char_boundary(error.offset), "{text:?} at {}", error.offset);
    let column = text[..error.offset].chars().count();
    let mut report = format!("{:column$}^ {}\n", "", error.message);
    if let Some(hint) = error.hint {
        writeln!(report, "{:column$}= {hint}", "").unwrap();
    }
    report
}

/// Blocks of a path, on a line by itself, and what is said of it. `UPDATE=1` writes what is said now.
#[test]
fn every_common_mistake_is_met_with_the_way_to_fix_it() {
    let file = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/path/mistakes.txt");
    let golden = fs::read_to_string(&file).unwrap();
    let mut now = String::new();
    for block in golden.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let text = block.trim_start_matches('\n').lines().next().unwrap();
        writeln!(now, "{text}\n{}", report(text)).unwrap();
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &now).unwrap();
    }
    assert!(!now.contains("accepted"), "{now}");
    assert_eq!(golden.trim_end(), now.trim_end(), "\n{now}");
}

#[test]
fn a_blank_round_a_path_is_a_mistake() {
    assert_eq!(report(" $.data"), "^ a blank stands before the path\n= write `$.data`\n");
    assert_eq!(report("$.data "), "      ^ a blank stands behind the path\n      = write `$.data`\n");
    assert_eq!(report(" "), "^ a path is missing\n= begin with `$`: `$.data.title`\n");
}

#[test]
fn what_a_hint_proposes_is_a_path() {
    let file = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/path/mistakes.txt");
    let mut proposed = 0;
    for line in fs::read_to_string(file).unwrap().lines() {
        let Some((_, hint)) = line.split_once("= ") else { continue };
        for quoted in hint.split('`').skip(1).step_by(2).filter(|text| text.starts_with("$") && !text.contains(": ")) {
            Path::parse(quoted).unwrap_or_else(|error| panic!("{line}: {error}"));
            proposed += 1;
        }
    }
    assert!(proposed > 12, "only {proposed} hints propose a path");
}

#[test]
fn numbers_compare_exactly() {
    let root = parsed(
        r#"{"n": [9007199254740992, 9007199254740993, 9007199254740993.0, 1250.00, 12.5e2, 1e400, 1E400, 0.1, -0, 1e999999999999999999999999999999999999999999]}"#,
    );
    for (path, texts) in [
        ("$.n[?@ == 9007199254740993]", "[9007199254740993,9007199254740993.0]"),
        ("$.n[?@ >= 9007199254740993 && @ <= 9007199254740993.00]", "[9007199254740993,9007199254740993.0]"),
        ("$.n[?@ > 9007199254740992 && @ < 1e16]", "[9007199254740993,9007199254740993.0]"),
        ("$.n[?@ == 1250]", "[1250.00,12.5e2]"),
        ("$.n[?@ == 1e400]", "[1e400,1e400]"),
        ("$.n[?@ == 0.1000000000000000000000000000000001]", "[]"),
        ("$.n[?@ == 0.1]", "[0.1]"),
        ("$.n[?@ == 0]", "[-0]"),
        ("$.n[?@ == -0.00000000000000000000]", "[-0]"),
        ("$.n[?@ == $.n[9]]", "[1e999999999999999999999999999999999999999999]"),
        ("$.n[?@ > 123456789012345678901234567890]", "[1e400,1e400]"),
    ] {
        // As text: `serde_json` keeps what was written, which is the point.
        assert_eq!(serde_json::to_string(&select(path, &root)).unwrap().replace("e+", "e"), texts, "{path}");
    }
}

#[test]
fn a_literal_beyond_all_measure_is_refused_where_it_stands() {
    let text = format!("$.n[?@ == 1e{}]", "9".repeat(60));
    let error = Path::parse(&text).unwrap_err();
    assert_eq!((error.message.as_str(), error.offset), ("the exponent of this number is too large", 10));
}

#[test]
fn a_pattern_with_wide_classes_fits_and_a_monstrous_one_does_not() {
    assert!(Path::parse("$[?match(@, '[\\\\p{L}\\\\p{N}]{1,20}')]").is_ok());
    let error = Path::parse("$[?match(@, '(\\\\p{L}{99}){99}')]").unwrap_err();
    assert!(error.message.ends_with("the pattern is too large"), "{error}");
}

#[test]
fn structures_are_equal_whatever_the_order_of_members_and_the_writing_of_numbers() {
    let root = parsed(
        r#"{"a": {"x": 1.0, "y": [1, {"z": null}]}, "all": [{"y": [1e0, {"z": null}], "x": 1}, {"x": 1, "y": [1]}, [], {}]}"#,
    );
    assert_eq!(select("$.all[?@ == $.a]", &root).len(), 1);
    assert_eq!(select("$.all[?@ != $.a]", &root).len(), 3);
    assert_eq!(select("$.all[?@ <= $.a]", &root).len(), 1, "`<=` holds where both are equal");
}

#[test]
fn a_pattern_from_the_document_is_refused_but_where_the_whole_standard_was_asked_for() {
    let text = "$.values[?search(@, $.pattern)]";
    let refused = Path::parse(text).unwrap_err();
    assert_eq!(refused.message, "the pattern of `search(…)` must be written in the path");
    assert_eq!(refused.offset, text.find("search").unwrap());
    let path = Path::parse_rfc9535(text).unwrap();
    let long = "a".repeat(300);
    for (pattern, found) in [("^b+", 1), ("(", 0), ("[0-9]{9999}", 0), ("\\p{L}{500}", 0), (long.as_str(), 0)] {
        let root = json!({"pattern": pattern, "values": ["abb", "bba", long]});
        assert_eq!(path.select(&root, &mut STEPS.clone()).unwrap().len(), found, "{pattern}");
    }
}

#[test]
fn a_pattern_is_an_i_regexp() {
    let root = json!(["a\rb", "a\nb", "a\u{2028}b", "axb", "&", "b", "a]b", "a~b"]);
    for (pattern, found) in [
        ("a.b", json!(["a\u{2028}b", "axb", "a]b", "a~b"])),
        ("[a&&b]", json!(["&", "b"])),
        ("a[~~]b", json!(["a~b"])),
        ("a[\\\\]]b", json!(["a]b"])),
        ("a|b", json!(["b"])),
    ] {
        let text = format!("$[?match(@, '{pattern}')]");
        assert_eq!(json!(select(&text, &root)), found, "{pattern}");
    }
    assert!(Path::parse("$[?match(@, 'a)|(b')]").is_err(), "brackets must close within the pattern");
}

#[test]
fn a_member_chain_tells_its_parts() {
    let path = Path::parse("$.data['artist name'][-1].id").unwrap();
    let parts: Vec<PathPart<'_>> = path.parts().collect();
    assert_eq!(
        parts,
        [PathPart::Member("data"), PathPart::Member("artist name"), PathPart::Index(-1), PathPart::Member("id")]
    );
    assert!(path.is_singular());
    for text in ["$.a[*].b", "$..a", "$.a[0:1]", "$.a['b','c']", "$.a[?@.b]"] {
        let path = Path::parse(text).unwrap();
        assert!(!path.is_singular() && path.parts().any(|part| part == PathPart::Several), "{text}");
    }
    assert!(Path::parse("$").unwrap().is_singular());
}

#[test]
fn the_limits_are_kept() {
    let long = format!("$['{}']", "a".repeat(TEXT_MAX));
    assert!(Path::parse(&long).unwrap_err().message.contains("bytes long"));
    assert!(Path::parse(&format!("${}", ".a".repeat(20))).is_ok());
    assert_eq!(Path::parse(&format!("${}", ".a".repeat(21))).unwrap_err().message, "more than 20 segments");
    assert_eq!(Path::parse(&format!("$[?@{}]", "[0]".repeat(21))).unwrap_err().message, "more than 20 segments");
    for (open, close) in [("(", ")"), ("@[?", "]"), ("!(", ")")] {
        let deep = |depth: usize| format!("$[?{}@.a{}]", open.repeat(depth), close.repeat(depth));
        assert!(Path::parse(&deep(20)).is_ok(), "{open}");
        assert!(Path::parse(&deep(60)).unwrap_err().message.contains("nested deeper"), "{open}");
    }
    for inner in ["@.a", "@.a == ", ""] {
        let calls = |depth: usize| format!("$[?{}{inner}{} > 1]", "length(".repeat(depth), ")".repeat(depth));
        assert_eq!(Path::parse(&calls(4)).is_ok(), inner == "@.a", "{inner}");
        assert!(Path::parse(&calls(40)).unwrap_err().message.contains("functions within each other"));
    }
}

#[test]
fn no_path_and_no_document_runs_for_long() {
    let wide = json!((0..2000).map(|n| json!({"n": n})).collect::<Vec<_>>());
    let mut deep = Value::Null;
    for _ in 0..3000 {
        deep = Value::Array(vec![deep]);
    }
    let long = json!({"text": "x".repeat(1 << 20), "other": "x".repeat(1 << 20), "items": vec![1; 1000]});
    let digits = parsed(&format!("[{},{}]", "1".repeat(1 << 20), vec!["2"; 1000].join(",")));
    for (text, root) in [
        ("$..[?$..n]", &wide),
        ("$[?count($[*]) > 1 && count($..*) > 1]", &wide),
        ("$..*..*", &deep),
        ("$..[?$..*]", &deep),
        ("$.items[?search($.text, 'y$')]", &long),
        ("$.items[?length($.text) > 1]", &long),
        ("$.items[?$.text != $.other]", &long),
        ("$.items[?$.text < $.other]", &long),
        ("$[?@ < $[0]]", &digits),
    ] {
        let path = Path::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut steps = STEPS;
        assert!(path.select(root, &mut steps).is_err(), "{text} took {} steps", STEPS - steps);
        assert_eq!(steps, 0, "{text}");
    }
    // Deep documents are walked and compared without recursion.
    for text in ["$..[?@ == null]", "$[?@ == $[0]]"] {
        assert_eq!(Path::parse(text).unwrap().select(&deep, &mut STEPS.clone()).unwrap().len(), 1, "{text}");
    }
    // `serde_json` drops its values by recursion.
    std::thread::Builder::new().stack_size(64 << 20).spawn(move || drop(deep)).unwrap().join().unwrap();
}

#[test]
fn the_budget_is_shared_and_what_is_left_is_reported() {
    let root = json!({"data": {"amount": 1}});
    let path = Path::parse("$.data.amount").unwrap();
    let mut steps = 5;
    assert_eq!(path.select(&root, &mut steps).unwrap().len(), 1);
    assert_eq!(steps, 3);
    assert!(path.select(&root, &mut steps).is_ok());
    assert!(path.select(&root, &mut steps).is_err());
}

/// A document of names and values that the paths below can meet.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4i64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|members: BTreeMap<String, Value>| json!(members)),
        ]
    })
}

/// A valid path.
fn any_path() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just(".a".to_owned()),
        Just(".b".into()),
        Just("[*]".into()),
        Just(".*".into()),
        Just("..*".into()),
        Just("..a".into()),
        (-3..3i64).prop_map(|index| format!("[{index}]")),
        (prop::option::of(-4..4i64), prop::option::of(-4..4i64), prop::option::of(-2..3i64)).prop_map(|(a, b, c)| {
            let text = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
            format!("[{}:{}:{}]", text(a), text(b), text(c))
        }),
        Just("['a', \"b\"]".into()),
        Just("[?@ == 'a' || @ > 0 && !@.a]".into()),
        Just("[?length(@) >= 1]".into()),
        Just("[?@.a == $.a]".into()),
        Just("[?count(@.*) == 2, 0]".into()),
        Just("[?search(@.b, '^a')]".into()),
    ];
    prop::collection::vec(selector, 0..5).prop_map(|segments| format!("${}", segments.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The parser's own evaluator agrees, which is another implementation, except in the order: it takes several
    /// selectors one after the other over all nodes, and RFC 9535 (section 2.5.1.2) asks for all of them on each node.
    #[test]
    fn another_evaluator_selects_the_same(path in any_path(), root in document()) {
        use jsonpath_rust::JsonPath;
        let sorted = |mut texts: Vec<String>| { texts.sort(); texts };
        let ours = sorted(select(&path, &root).iter().map(Value::to_string).collect());
        let theirs = sorted(root.query(&path).unwrap().into_iter().map(Value::to_string).collect());
        prop_assert_eq!(ours, theirs, "{}", path);
    }

    #[test]
    fn a_singular_path_selects_at_most_one_node(path in any_path(), root in document()) {
        let compiled = Path::parse(&path).unwrap();
        if compiled.is_singular() {
            prop_assert!(select(&path, &root).len() <= 1);
        }
    }

    #[test]
    fn no_text_panics_and_every_error_lies_within_it(
        text in "\\$?[$@.\\[\\]()?*!=<>&|,:'\"\\\\a-c0-2 \\-eE\u{e9}]{0,40}|\\PC{0,30}|\\$\\[\\?(length|count|match|x)\\([@.a*'\"() ,=]{0,20}",
    ) {
        if let Err(error) = Path::parse(&text) {
            prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset));
            prop_assert!(!error.message.is_empty() && !error.message.ends_with('.'));
        }
    }
}

#[test]
fn a_hostile_path_is_read_or_refused_at_once() {
    let calls = |open: &str| format!("$[?{}", open.repeat(4));
    let texts = [
        calls("match(@[?length("),
        calls("length("),
        calls("count(@[?search("),
        format!("$[?{}]", vec!["match(@.a, 'x')"; 60].join(" && ")),
        format!("$[?{}", "(".repeat(31)),
        format!("${}", "[?@".repeat(31)),
        format!("$[{}]", vec!["?@.a"; 200].join(",")),
        format!("$[?match(@, '{}')]", "(a*)*".repeat(150)),
        format!("$[?match(@, '{}')]", "\\\\p{L}{999}".repeat(80)),
    ];
    for text in texts {
        let begun = std::time::Instant::now();
        let _ = Path::parse(&text);
        assert!(begun.elapsed().as_millis() < 1000, "{text} took {:?}", begun.elapsed());
    }
}
