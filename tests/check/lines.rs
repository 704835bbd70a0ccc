//! No mistake is reported without its line: one is put into a line of a shipped file at random, and the report names it.

use std::fs;
use std::path::{Path, PathBuf};

use fanfare::problem::Location;

use super::{CONFIG, folder, loaded, report};

/// How many mistakes are made in rules, and how many in templates.
const MISTAKES: u64 = 240;

/// A mistake in a line: what it makes of it, or nothing where the line has no room for it. A further line is one that
/// comes behind it.
type Mistake = (&'static str, fn(&str) -> Option<String>);

/// In rules files.
const IN_RULES: &[Mistake] = &[
    ("a key that is none", |line| {
        let (key, rest) = line.split_once(": ")?;
        let bare = key.trim_start_matches([' ', '-']);
        let known =
            ["events", "when", "case", "closed_by", "closes_after", "actions", "description", "throttle", "digest"];
        known.contains(&bare).then(|| format!("{}qq: {rest}", key))
    }),
    ("a path that is broken", |line| line.contains("$.data.").then(|| line.replacen("$.data.", "$.data[.", 1))),
    ("an operator that is none", |line| {
        let at = ["{gte:", "{lt:", "{exists:", "{length:"].into_iter().find(|op| line.contains(op))?;
        Some(line.replacen(at, "{gets:", 1))
    }),
    ("a pattern that is broken", |line| {
        let indent = line.len() - line.trim_start().len();
        let is_when = line.trim_start() == "when:";
        // On the next line: what is reported must stand there.
        is_when.then(|| format!("{line} # here\n{}$.data.qq: {{matches: '('}}", " ".repeat(indent + 2)))
    }),
    ("a filter that is none", |line| {
        let is_text = line.contains("text: ") && line.contains(" }}");
        is_text.then(|| line.replacen(" }}", "|uper }}", 1))
    }),
    ("an expression that never ends", |line| {
        let is_text = line.contains("text: ") && line.contains(" }}") && line.matches("}}").count() == 1;
        is_text.then(|| line.replacen(" }}", " ", 1))
    }),
    ("a bracket that is never closed", |line| {
        let is_flow = line.trim_end().ends_with('}') && line.matches('{').count() == 1 && !line.contains(['"', '%']);
        is_flow.then(|| line.trim_end().trim_end_matches('}').to_owned())
    }),
    ("a quote that is never closed", |line| {
        let is_quoted = line.matches('"').count() == 2 && line.trim_end().ends_with('"');
        is_quoted.then(|| line.trim_end().trim_end_matches('"').to_owned())
    }),
    ("a tab", |line| (line.starts_with("    ") && line.contains(": ")).then(|| format!("\t{}", line.trim_start()))),
    ("an alias that was a glob", |line| {
        let (key, _) = line.split_once("events: ")?;
        Some(format!("{key}events: *live"))
    }),
    ("a span that is none", |line| {
        let (key, _) = line.split_once("closes_after: ")?;
        Some(format!("{key}closes_after: soon"))
    }),
    ("a destination that is none", |line| {
        line.contains("to: release-team").then(|| line.replacen("release-team", "relaese-taem", 1))
    }),
];

/// In templates.
const IN_TEMPLATES: &[Mistake] = &[
    ("a filter that is none", |line| line.contains(" }}").then(|| line.replacen(" }}", "|uper }}", 1))),
    ("an expression that never ends", |line| {
        let is_last = line.matches("}}").count() == 1 && line.trim_end().ends_with("}}") && !line.contains(": ");
        is_last.then(|| line.replacen(" }}", " }", 1))
    }),
    ("a tag that is none", |line| line.contains("{% if ").then(|| line.replacen("{% if ", "{% fi ", 1))),
    ("a test that is none", |line| {
        let at = line.find("{% if ")?;
        let end = at + line[at..].find(" %}")?;
        Some(format!("{} is defned{}", &line[..end], &line[end..]))
    }),
    ("a comment that never ends", |line| {
        (!line.contains(['{', '"', ':']) && !line.starts_with("---")).then(|| format!("{{# {line}"))
    }),
    ("a name that nobody gives", |line| {
        (!line.starts_with("---") && !line.contains([':', '{'])).then(|| format!("{line} {{{{ nobodys_name }}}}"))
    }),
    ("a sign that is not taken", |line| line.contains(" }}").then(|| line.replacen(" }}", " ~ event }}", 1))),
];

fn yaml_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["rules", "docs/cookbook/rules", "examples/01-first-rule/rules", "examples/02-a-fraud-case/rules"] {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.retain(|file| file.to_str().unwrap().ends_with(".yaml") && !file.to_str().unwrap().ends_with(".test.yaml"));
    files.sort();
    files
}

fn templates() -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    // A translation stands beside its original.
    files.retain(|file| !file.file_stem().unwrap().to_str().unwrap().contains('.'));
    files.sort();
    files
}

/// Puts mistakes into lines at random, and hands each file over with the number of its mistaken line.
fn mistaken(files: &[PathBuf], mistakes: &[Mistake], mut try_one: impl FnMut(&Path, &str, &str, usize)) {
    let mut dice = fastrand::Rng::with_seed(4);
    let mut made = vec![0usize; mistakes.len()];
    let mut tries = 0;
    while made.iter().sum::<usize>() < usize::try_from(MISTAKES).unwrap() && tries < 100_000 {
        tries += 1;
        let file = dice.choice(files).unwrap();
        let nth = dice.usize(..mistakes.len());
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let at = dice.usize(..lines.len());
        let (what, make) = mistakes[nth];
        let line = lines[at];
        // A comment behind a line would take the mistake in.
        if line.trim_start().starts_with('#') || line.contains(" #") {
            continue;
        }
        let Some(wrong) = make(line) else { continue };
        let further = wrong.matches('\n').count();
        let mut with: Vec<&str> = lines.clone();
        with[at] = &wrong;
        made[nth] += 1;
        try_one(file, &(with.join("\n") + "\n"), what, at + 1 + further);
    }
    for (nth, count) in made.iter().enumerate() {
        assert!(*count > 0, "no line has room for {}", mistakes[nth].0);
    }
}

fn names(place: &Location, file: &str, line: usize) -> bool {
    place.file.path.ends_with(file) && place.line() == line
}

#[test]
fn a_mistake_in_any_line_of_a_rules_file_is_reported_with_that_line() {
    let shared = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/shared.yaml")).unwrap();
    let mut wrong = String::new();
    mistaken(&yaml_files(), IN_RULES, |path, text, what, line| {
        let mut files = vec![("fanfare.yaml", CONFIG), ("rules/mistaken.yaml", text)];
        if !path.ends_with("rules/shared.yaml") {
            files.push(("rules/shared.yaml", &shared));
        }
        let folder = folder(&files);
        let loaded = loaded(&folder);
        let is_sent = loaded.problems.iter().any(|problem| {
            problem.place.as_ref().is_some_and(|place| names(place, "mistaken.yaml", line))
                || problem.also.as_ref().is_some_and(|(place, _)| names(place, "mistaken.yaml", line))
        });
        if !is_sent {
            let shown = report(&folder, &loaded, &["no-message", "unused-destination", "no-destination"]);
            wrong.push_str(&format!("{}:{line}: {what}: {:?}\n{shown}\n", path.display(), text.lines().nth(line - 1)));
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_mistake_in_any_line_of_a_template_is_reported_with_that_line() {
    let partials: Vec<(String, String)> = templates()
        .iter()
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('_'))
        .map(|path| {
            (format!("templates/{}", path.file_name().unwrap().to_str().unwrap()), fs::read_to_string(path).unwrap())
        })
        .collect();
    let rules = "rules:\n  - {name: r, events: \"*\", actions: {to: oncall, message: mistaken}}\n";
    let messages: Vec<PathBuf> =
        templates().into_iter().filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('_')).collect();
    let mut wrong = String::new();
    mistaken(&messages, IN_TEMPLATES, |path, text, what, line| {
        let mut files = vec![("fanfare.yaml", CONFIG), ("rules/r.yaml", rules), ("templates/mistaken.md", text)];
        files.extend(partials.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let folder = folder(&files);
        let loaded = loaded(&folder);
        let is_sent = loaded
            .problems
            .iter()
            .any(|problem| problem.place.as_ref().is_some_and(|place| names(place, "mistaken.md", line)));
        if !is_sent {
            let shown = report(&folder, &loaded, &["unused-destination"]);
            wrong.push_str(&format!("{}:{line}: {what}: {:?}\n{shown}\n", path.display(), text.lines().nth(line - 1)));
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}
