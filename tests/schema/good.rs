//! Good files, all of the repository's: rules, tests, configurations; and what is written in the documentation.

use super::*;

/// Good documents by where they stand.
type Good = Vec<(String, String)>;

fn of_pages(wanted: &[Kind]) -> Good {
    let mut good = Good::new();
    for page in docs::pages() {
        for block in blocks(&page.text) {
            let kind = block.kind(&page);
            if wanted.contains(&kind) {
                let text = if kind == Kind::Rule { docs::loading::whole(&block.text) } else { block.text.clone() };
                good.push((format!("{}:{}", page.path.display(), block.line), text));
            }
        }
    }
    good
}

fn of_folders(folders: &[&str], wanted: fn(&Path) -> bool) -> Good {
    let all = folders.iter().flat_map(|folder| files(folder));
    let wanted = all.filter(|(path, _)| wanted(path));
    wanted.map(|(path, text)| (path.display().to_string(), text)).collect()
}

/// The rules within the planner's cases.
fn of_the_planner() -> Good {
    let mut good = Good::new();
    for (path, text) in files("tests/planner") {
        for case in document(&text).unwrap().as_array().unwrap() {
            let texts = [&case["rules"], &case["then"]].into_iter().filter_map(Value::as_str);
            // One line is the path of a file.
            for rules in texts.filter(|text| text.lines().count() > 1) {
                good.push((format!("{}: {}", path.display(), case["name"]), rules.to_owned()));
            }
        }
    }
    good
}

/// The conditions of the judge's cases, each as a rule's.
fn of_the_judge() -> Good {
    let mut good = Good::new();
    for (path, text) in files("tests/rules/judge") {
        let document = document(&text).unwrap();
        for case in document["cases"].as_array().unwrap() {
            let rule = json!({"name": "r", "events": "*", "when": case["when"], "actions": {"to": "t"}});
            let file = json!({"names": document["names"], "lists": document["lists"], "rules": [rule]});
            good.push((format!("{}: {}", path.display(), case["name"]), file.to_string()));
        }
    }
    good
}

/// The examples of every operator.
fn of_the_operators() -> Good {
    let examples = fanfare::rules::operator::TABLE.iter().flat_map(|row| row.examples);
    let rule =
        |test: &str| format!("rules: [{{name: r, events: '*', when: {{\"$.x[*]\": {test}}}, actions: {{to: t}}}}]\n");
    examples.map(|example| (example.test.to_owned(), rule(example.test))).collect()
}

fn configurations() -> Good {
    let is_config =
        |path: &Path| path.ends_with("fanfare.yaml") && path.parent().is_none_or(|at| !at.ends_with("rules"));
    let mut good = of_folders(&["examples", "docs/cookbook", "tests"], is_config);
    good.extend(of_pages(&[Kind::Config]));
    let kinds = channels::ALL.iter().map(|kind| (kind.name.to_owned(), kind.example.to_owned()));
    let more = files("tests/channels/destinations").into_iter().map(|(path, text)| (path.display().to_string(), text));
    for (name, destination) in kinds.chain(more) {
        let indented: String = destination.lines().map(|line| format!("    {line}\n")).collect();
        good.push((name, format!("destinations:\n  example:\n{indented}")));
    }
    let address = "127.0.0.1:9".parse().unwrap();
    good.push(("the demo's".into(), fanfare::cli::starter::demo_config(address, address, 8090)));
    good
}

fn accepted(of: Of, good: Good, at_least: usize) {
    let validator = validator(of);
    let mut wrong = Vec::new();
    for (place, text) in &good {
        let document = document(text).unwrap_or_else(|| panic!("{place}: the YAML is wrong\n{text}"));
        wrong.extend(said(&validator, &document).into_iter().map(|error| format!("{place}: {error}\n{text}\n")));
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), good.len(), wrong.join("\n"));
    assert!(good.len() >= at_least, "only {}", good.len());
}

#[test]
fn every_good_rules_file_is_accepted() {
    let is_rules = |path: &Path| {
        !is_test(path) && (path.starts_with("rules") || path.parent().is_some_and(|at| at.ends_with("rules")))
    };
    let mut good = of_folders(&["rules", "examples", "docs/cookbook", "tests/trial/house"], is_rules);
    good.extend(of_folders(&["tests/rules/ok"], |_| true));
    good.extend(of_pages(&[Kind::Rules, Kind::Shared, Kind::Rule]));
    good.extend(of_the_planner());
    good.extend(of_the_judge());
    good.extend(of_the_operators());
    accepted(Of::Rules, good, 400);
}

#[test]
fn every_good_test_file_is_accepted() {
    let mut good = of_folders(&["rules", "examples", "docs/cookbook", "tests/trial/house"], is_test);
    good.extend(of_folders(&["tests/trial/fails"], |_| true));
    accepted(Of::Tests, good, 10);
}

#[test]
fn every_good_configuration_is_accepted() {
    accepted(Of::Config, configurations(), 20);
}
