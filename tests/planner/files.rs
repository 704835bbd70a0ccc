//! How the planner's files stand to each other: no circle, and no machine that knows another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The files that hold a state machine each.
const MACHINES: &[&str] = &[
    "audit",
    "closes",
    "digest",
    "fallback",
    "flood",
    "held",
    "missing",
    "mute",
    "own",
    "reminders",
    "sums",
    "threshold",
    "throttle",
];

/// Each file of the planner, as `flow::event`, with those that it uses. `mod.rs` of the planner itself only names them.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new("src/planner");
    let in_folder =
        |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let files = [in_folder(root), in_folder(&root.join("flow"))].concat();
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let texts: BTreeMap<String, String> = files
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('/', "::").replace("::mod", "");
            (name, fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| name != "mod")
        .collect();
    let used = |text: &str| {
        let paths =
            text.split("crate::planner::").skip(1).map(|rest| rest.split([';', '{', ' ', '(', ')']).next().unwrap());
        let named = |path: &str| {
            let of = |name: &&String| path == *name || path.starts_with(&format!("{name}::"));
            texts.keys().filter(of).max_by_key(|name| name.len()).cloned()
        };
        paths.filter_map(named).collect::<BTreeSet<_>>()
    };
    texts.iter().map(|(name, text)| (name.clone(), used(text))).collect()
}

#[test]
fn no_file_of_the_planner_leads_back_to_itself() {
    let mut left = uses();
    left.values_mut().for_each(|used| used.retain(|name| !name.is_empty()));
    while let Some(free) = left.iter().find(|(_, used)| used.is_empty()).map(|(name, _)| name.clone()) {
        left.remove(&free);
        left.values_mut().for_each(|used| _ = used.remove(&free));
    }
    assert!(left.is_empty(), "these use each other in a circle: {left:?}");
}

#[test]
fn only_the_flow_knows_more_than_one_machine() {
    let uses = uses();
    for machine in MACHINES {
        let known: Vec<&String> = uses[*machine].iter().filter(|used| MACHINES.contains(&used.as_str())).collect();
        assert!(known.is_empty(), "{machine} knows {known:?}");
        assert!(uses[*machine].iter().all(|used| !used.starts_with("flow")), "{machine} knows the flow");
    }
    assert!(
        MACHINES
            .iter()
            .all(|machine| uses.iter().any(|(name, used)| name.starts_with("flow") && used.contains(*machine)))
    );
}
