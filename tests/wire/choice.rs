//! Address choices: parsed with their mistakes, picked by what the event holds.

use std::sync::Arc;

use fanfare::channels::Choice;
use fanfare::problem::{File, Problems};
use fanfare::yaml::{self, Node};
use serde_json::{Value, json};

use crate::support::sending::Given;

fn parse(text: &str) -> (Option<Choice<String>>, Vec<String>) {
    let file: Arc<File> = File::new("fanfare.yaml", text);
    let mut problems = Problems::new();
    let node = yaml::read(&file, &mut problems).expect("YAML");
    let mut read = |node: &Node, problems: &mut Problems| match node.scalar() {
        Some(text) => Some(text.to_owned()),
        None => {
            problems.push(node.expected("an address"));
            None
        }
    };
    let choice = Choice::parse(&node, &mut problems, &mut read);
    (choice, problems.iter().map(ToString::to_string).collect())
}

fn pick(text: &str, root: Value, names: Value) -> String {
    let (choice, problems) = parse(text);
    assert_eq!(problems, Vec::<String>::new(), "{text}");
    let given = Given { root, context: names.as_object().unwrap().clone(), ..Given::default() };
    choice.unwrap().pick(&given.sending()).unwrap().clone()
}

#[test]
fn an_address_without_a_choice_is_always_the_same() {
    assert_eq!(pick("'#releases'", json!({}), json!({})), "#releases");
}

#[test]
fn a_path_picks_the_address() {
    const CHOICE: &str =
        "{by: $.data.label, map: {Warp: '#warp', 7: '#seven', true: '#yes', Beyoncé: '#bey'}, else: '#all'}";
    let table = [
        (json!("Warp"), "#warp"),
        (json!(7), "#seven"),
        (json!("7"), "#seven"),
        (json!(true), "#yes"),
        // Another spelling of the same letters.
        (json!("Beyonce\u{301}"), "#bey"),
        (json!("warp"), "#all"),
        (json!(null), "#all"),
        (json!({"Warp": 1}), "#all"),
        (json!(["Warp"]), "#all"),
    ];
    for (label, expected) in table {
        assert_eq!(pick(CHOICE, json!({"data": {"label": label}}), json!({})), expected, "{label}");
    }
    assert_eq!(pick(CHOICE, json!({}), json!({})), "#all");
}

#[test]
fn of_several_values_the_first_that_is_named_decides() {
    const CHOICE: &str = "{by: '$.data.labels[*]', map: {Warp: '#warp', Ninja: '#ninja'}, else: '#all'}";
    let labels = json!({"data": {"labels": ["Else", "Ninja", "Warp"]}});
    assert_eq!(pick(CHOICE, labels, json!({})), "#ninja");
}

#[test]
fn a_name_picks_the_address() {
    const CHOICE: &str = "{by: label, map: {Warp: '#warp'}, else: '#all'}";
    assert_eq!(pick(CHOICE, json!({"label": "Ninja"}), json!({"label": "Warp"})), "#warp");
    assert_eq!(pick(CHOICE, json!({"label": "Warp"}), json!({})), "#all");
    let (choice, _) = parse(CHOICE);
    let (name, place) = choice.unwrap().name().unwrap();
    assert_eq!((name.as_str(), place.text()), ("label", "label"));
}

#[test]
fn every_address_of_a_choice_is_known() {
    let (choice, _) = parse("{by: label, map: {a: one, b: two}, else: three}");
    assert_eq!(choice.unwrap().all(), ["one", "two", "three"]);
}

#[test]
fn a_wrong_choice_says_what_is_wrong() {
    let table: [(&str, &[&str]); 6] = [
        (
            "{by: label, map: {a: b}}",
            &[
                "fanfare.yaml:1:1: error: a choice has no `else` (name the address for all values that `map` does not name)",
            ],
        ),
        ("{by: label, else: b}", &["fanfare.yaml:1:1: error: a choice has no `map`"]),
        ("{by: label, map: {a: [b]}, else: b}", &["fanfare.yaml:1:22: error: expected an address, found a list"]),
        (
            "{by: label, map: b, else: b}",
            &["fanfare.yaml:1:18: error: expected a choice's `map`, a mapping, found text"],
        ),
        (
            "{by: data.label, map: {a: b}, else: b}",
            &["fanfare.yaml:1:6: error: `data.label` is neither a path nor a name (a path begins with `$`, such as \
               `$.data.label`; a name is one of the rules' `names:`)"],
        ),
        (
            "{by: label, map: {a: b}, else: b, otherwise: c}",
            &["fanfare.yaml:1:35: error: a choice has no key `otherwise` (known: `by`, `map`, `else`)"],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).1, expected, "{text}");
    }
    let (choice, problems) = parse("{by: '$.data[', map: {a: b}, else: b}");
    assert!(choice.is_none() && problems.len() == 1, "{problems:?}");
}
