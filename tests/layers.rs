//! Who may use whom: the table, held against the text of `src/`.

use std::path::{Path, PathBuf};

mod circles;

/// What `words` stands for below.
const WORDS: &[&str] =
    &["clock", "secret", "problem", "yaml", "decimal", "locale", "codes", "json", "path", "event", "delivery", "pace"];

/// Each module with what it may `use crate::`; a module may always use itself.
const ALLOWED: &[(&str, &str)] = &[
    ("clock", ""),
    ("secret", ""),
    ("problem", ""),
    ("yaml", "problem"),
    ("decimal", ""),
    ("locale", ""),
    ("codes", ""),
    ("json", ""),
    ("path", "decimal problem"),
    ("event", "delivery json"),
    ("delivery", "event"),
    ("pace", "clock delivery"),
    ("telemetry", "event delivery"),
    ("source", "words"),
    ("rules", "words"),
    ("message", "words"),
    ("planner", "words rules"),
    ("links", "words planner"),
    ("store", "words planner"),
    ("channels", "words message"),
    ("config", "words telemetry source rules message planner links store channels"),
    ("lint", "words source rules message planner channels config"),
    ("server", ""),
    ("steps", "words telemetry source rules message planner links store channels config lint server"),
    ("rehearse", "words telemetry source rules message planner links store channels config steps"),
    ("admin", "words telemetry source rules message planner store channels config lint server steps rehearse"),
    ("cli", "words telemetry source rules message planner store channels config lint server steps rehearse admin"),
];

/// The modules that one may use.
fn known(module: &str) -> Vec<&'static str> {
    let row = ALLOWED.iter().find(|(name, _)| *name == module);
    let (_, known) = row.unwrap_or_else(|| panic!("`{module}` stands in no layer: add it"));
    known.split(' ').flat_map(|name| if name == "words" { WORDS.to_vec() } else { vec![name] }).collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    walk(Path::new("src"), &mut files);
    files
}

/// The module of a file: the first name below `src/`.
fn module_of(path: &Path) -> String {
    let first = path.strip_prefix("src").unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Every `crate::NAME`, or `crate::{NAME, …}`, in a line of code; comments and strings with it do not occur.
fn uses(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let name = |text: &'_ str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                found.extend(
                    list.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| &part[..name(part)]),
                );
            }
            None => found.push(&rest[..name(rest)]),
        }
    }
    found
}

#[test]
fn no_module_uses_one_that_its_layer_does_not_know() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        let known = known(&module);
        for (number, line) in text.lines().enumerate() {
            assert!(!line.trim_end().ends_with("use crate::{"), "{}: name the modules in one line", path.display());
            for used in uses(line).into_iter().filter(|used| *used != module && !known.contains(used)) {
                wrong.push(format!("{}:{}: {module} may not use {used}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The steps that know others, with the others: `run` starts them all and drains them, `plan` notes who judged and keeps the
/// keys of links, which `dispatch` makes tokens with and `act` checks them by; `receive` has one listener with `act`; `run`
/// and `reload` give memory back.
const STEPS_OF: &[(&str, &[&str])] = &[
    ("dispatch", &["links"]),
    ("plan", &["apart", "judged", "links"]),
    ("receive", &["act"]),
    ("reload", &["memory"]),
    ("render", &["apart"]),
    (
        "run",
        &[
            "alive",
            "backfill",
            "dispatch",
            "memory",
            "plan",
            "progress",
            "receive",
            "reload",
            "render",
            "retain",
            "supervisor",
            "watch",
        ],
    ),
];

#[test]
fn a_step_uses_no_other_step() {
    let names = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let is_file = path.extension().is_some_and(|ending| ending == "rs");
        is_file.then(|| path.file_stem().unwrap().to_str().unwrap().to_owned())
    };
    let steps: Vec<String> =
        std::fs::read_dir("src/steps").unwrap().filter_map(names).filter(|name| name != "mod").collect();
    assert!(steps.len() > 8, "{steps:?}");
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("src/steps")) {
        let step = path.strip_prefix("src/steps").unwrap().components().next().unwrap().as_os_str().to_str().unwrap();
        let step = step.trim_end_matches(".rs");
        let known = STEPS_OF.iter().find(|(name, _)| *name == step).map_or(&[][..], |(_, known)| known);
        let paths = text.split("crate::steps::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap().split(',').map(str::trim).collect::<Vec<_>>(),
            None => vec![rest],
        });
        let used = paths.map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
        let others = used.filter(|used| *used != step && step != "mod" && steps.iter().any(|other| other == used));
        wrong.extend(others.filter(|used| !known.contains(used)).map(|used| format!("{step} uses {used}")));
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_pure_layers_neither_await_nor_touch_the_world() {
    let pure = [
        "event", "delivery", "problem", "yaml", "decimal", "json", "path", "pace", "source", "rules", "message",
        "planner",
    ];
    let forbidden = [
        "async ",
        ".await;",
        ".await?",
        ".await.",
        "std::fs",
        "std::net",
        "std::env",
        "tokio::",
        "Timestamp::now",
        "SystemTime",
        "Instant::now",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| pure.contains(&module_of(path).as_str())) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in forbidden.iter().filter(|word| code.contains(**word)) {
                wrong.push(format!("{}:{}: `{}` in a pure layer", path.display(), number + 1, word.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_the_wire_sends() {
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| module_of(path) == "channels") {
        if path.starts_with("src/channels/wire") || path == Path::new("src/channels/wire.rs") {
            continue;
        }
        for word in ["reqwest::Client", "reqwest::Request", "tokio::", "async ", ".await", "AsyncSmtp"] {
            if text.contains(word) {
                wrong.push(format!("{}: `{word}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn secrets_are_opened_in_few_places() {
    let known = [
        "src/secret.rs",
        "src/source/",
        "src/channels/",
        "src/store/address.rs",
        "src/admin/session.rs",
        "src/cli/client.rs",
        "src/steps/reload.rs",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let opens = text.lines().any(|line| line.split("//").next().unwrap_or_default().contains(".open()"));
        if opens && !known.iter().any(|known| path.starts_with(known) || path == Path::new(known)) {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "a secret is opened in {wrong:?}");
}

/// Where a channel may be named outside of its folder, and why.
const NAMES_CHANNELS: [(&str, &str); 4] = [
    ("src/source/", "a service may also be a sender: its preset has the service's name"),
    ("src/rules/", "fields and values of events, such as an artist's email, are named in samples and hints"),
    ("src/cli/starter.rs", "the starter set's own configuration"),
    ("src/cli/init", "a new folder's configuration, and what to try with it"),
];

#[test]
fn nothing_outside_of_the_channels_names_one() {
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| module_of(path) != "channels") {
        if NAMES_CHANNELS.iter().any(|(known, _)| path.to_str().unwrap().starts_with(known)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in fanfare::channels::ALL.iter().map(|kind| kind.name) {
                // A scheme of URLs is no channel.
                let quoted = name != "http" && code.contains(&format!("\"{name}\""));
                if quoted || code.contains(&format!("channels::{name}")) || code.contains(&format!("of_{name}")) {
                    wrong.push(format!(
                        "{}:{}: `{name}`: read `channels::ChannelKind` instead",
                        path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
