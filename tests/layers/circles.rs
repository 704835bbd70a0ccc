//! Which files use each other in a circle: none but those that are named here, each with the reason.
//!
//! A file may always use what the file above it gives (`wire::dial` uses `wire`), so these steps up are not counted.

use std::collections::{BTreeMap, BTreeSet};

use super::sources;

/// The circles that are left on purpose.
const CIRCLES: &[(&[&str], &str)] = &[
    (
        &["admin::bulk", "admin::cases", "admin::events"],
        "each acts on one thing and on many, and says what it did to which rule, case or event",
    ),
    (&["admin::page::deliveries", "admin::page::events"], "an event shows its deliveries, and a delivery its event"),
    (
        &["admin::page::now", "admin::page::people", "admin::page::upcoming"],
        "the first view shows a part of the others, which link to what it links to",
    ),
    (&["channels::wire::greet", "channels::wire::mail"], "a greeting is a conversation of the same kind as a mail's"),
    (&["cli::deliveries", "cli::events", "cli::many"], "what acts on many is asked for by both, and names both"),
    (&["delivery", "event"], "a delivery is about an event; a signal that one died carries the delivery"),
    (
        &[
            "message::template::bounded",
            "message::template::context",
            "message::template::engine",
            "message::template::filters",
            "message::template::filters::times",
        ],
        "the engine is built with the filters, which print values and pay for them as it does",
    ),
    (&["message::template::growth", "message::template::scan"], "what grows is one of the things that a scan finds"),
    (
        &["rules::check", "rules::operand", "rules::operator", "rules::operator::holds"],
        "a test holds operators and operands, and an operand may be a test",
    ),
    (&["rules::parse::check", "rules::parse::operand"], "the same, as they are read"),
    (&["source::normalise", "source::scheme"], "a scheme says where an id stands, and what is normalised is signed"),
    (&["steps::plan::batch", "steps::plan::size"], "a batch is cut by its size, and the size is that of a batch"),
    (
        &[
            "store::sqlite::ids",
            "store::sqlite::inbox",
            "store::sqlite::maintenance",
            "store::sqlite::writer",
            "store::sqlite::writer::job",
        ],
        "the writer's state is what its jobs work on, and its jobs are what it does",
    ),
];

/// A file as a path, `steps::plan::size`.
fn name_of(path: &std::path::Path) -> String {
    let name = path.strip_prefix("src").unwrap().with_extension("");
    let name = name.to_str().unwrap().replace('/', "::");
    name.strip_suffix("::mod").unwrap_or(&name).to_owned()
}

/// The paths that a text names, relative ones made whole, and lists in braces apart.
fn paths(file: &str, text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            // The first word of a path only: `super::super::x` is one.
            if code[..at].ends_with(is_path) {
                continue;
            }
            let rest = &code[at..];
            let path = &rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())];
            let group = rest[path.len()..].strip_prefix('{').and_then(|list| list.split('}').next());
            let ends = group.map_or(vec![""], |list| list.split(',').map(str::trim).collect());
            found.extend(ends.iter().map(|end| whole(file, &format!("{path}{end}"))));
        }
    }
    found
}

/// A path from the root on.
fn whole(file: &str, path: &str) -> String {
    let mut whole: Vec<&str> = file.split("::").collect();
    for word in path.split("::").filter(|word| !word.is_empty()) {
        match word {
            "crate" => whole.clear(),
            "self" => {}
            "super" => drop(whole.pop()),
            word => whole.push(word),
        }
    }
    whole.join("::")
}

/// Each file with those that it uses, except for the files above it.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let texts: BTreeMap<String, String> = sources().into_iter().map(|(path, text)| (name_of(&path), text)).collect();
    let file_of = |path: &String| {
        let ends = path.match_indices("::").map(|(at, _)| at).chain([path.len()]);
        ends.map(|end| &path[..end]).filter(|part| texts.contains_key(*part)).last().map(str::to_owned)
    };
    let used = |file: &str, text: &str| -> BTreeSet<String> {
        let used = paths(file, text).iter().filter_map(file_of).collect::<BTreeSet<_>>();
        used.into_iter().filter(|used| used != file && !file.starts_with(&format!("{used}::"))).collect()
    };
    texts.iter().map(|(file, text)| (file.clone(), used(file, text))).collect()
}

/// All that can be reached from each file.
fn reached(uses: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<&str, BTreeSet<&str>> {
    let from = |file: &str| {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&str> = uses[file].iter().map(String::as_str).collect();
        while let Some(next) = left.pop() {
            if reached.insert(next) {
                left.extend(uses[next].iter().map(String::as_str));
            }
        }
        reached
    };
    uses.keys().map(|file| (file.as_str(), from(file))).collect()
}

#[test]
fn files_use_each_other_in_a_circle_only_where_that_is_meant() {
    let uses = uses();
    let reached = reached(&uses);
    let circle = |file: &&str| -> BTreeSet<&str> {
        reached[*file].iter().copied().filter(|other| reached[*other].contains(*file)).collect()
    };
    let found: BTreeSet<BTreeSet<&str>> =
        uses.keys().map(String::as_str).map(|file| circle(&file)).filter(|circle| circle.len() > 1).collect();
    let meant: BTreeSet<BTreeSet<&str>> = CIRCLES.iter().map(|(files, _)| files.iter().copied().collect()).collect();
    let new: Vec<_> = found.difference(&meant).collect();
    assert!(new.is_empty(), "a circle that nobody meant: {new:?}");
    let gone: Vec<_> = meant.difference(&found).collect();
    assert!(gone.is_empty(), "no circle any more, so take it out here: {gone:?}");
    assert!(CIRCLES.iter().all(|(_, reason)| !reason.is_empty()));
}
