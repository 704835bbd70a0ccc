//! Goes through every page: writes it as it should be, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use fanfare::channels;

use crate::docs::block::{Block, Kind, blocks};
use crate::docs::journey::Journey;
use crate::docs::loading::{config_report, rules_report, whole};
use crate::docs::message::{Written, render, shown};
use crate::docs::{Page, cookbook, generated, pages, root};

#[test]
fn every_page_says_what_is_so() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for page in pages() {
        let with_tables = tables(&page.text);
        let wanted = outputs(&Page { path: page.path.clone(), text: with_tables }, &mut wrong);
        if update && wanted != page.text {
            fs::write(root().join(&page.path), &wanted).unwrap();
        } else if wanted != page.text {
            let (line, is, should) = first_difference(&page.text, &wanted);
            let path = page.path.display();
            wrong.push(format!("{path}:{line}: not so any more\n  is:     {is}\n  should: {should}"));
        }
    }
    let hint = "`UPDATE=1 cargo test docs` writes outputs and tables anew";
    assert!(wrong.is_empty(), "{hint}\n\n{}", wrong.join("\n\n"));
}

fn first_difference<'t>(is: &'t str, should: &'t str) -> (usize, &'t str, &'t str) {
    let (mut is_lines, mut should_lines) = (is.lines(), should.lines());
    for line in 1.. {
        match (is_lines.next(), should_lines.next()) {
            (Some(is), Some(should)) if is == should => {}
            (is, should) => return (line, is.unwrap_or("(the end)"), should.unwrap_or("(the end)")),
        }
    }
    unreachable!("two texts that differ have a line that does")
}

/// The text with every table as the program has it.
fn tables(text: &str) -> String {
    let (begin, end) = ("<!-- generated: ", "<!-- end -->");
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(begin) {
        let (name, after) = after.split_once(" -->\n").expect("a table's mark ends its line");
        let (_, after) = after.split_once(end).unwrap_or_else(|| panic!("the table `{name}` has no end"));
        out.push_str(&format!("{before}{begin}{name} -->\n{}{end}", generated::section(name)));
        rest = after;
    }
    out + rest
}

/// The text with every example's output as it comes; examples that have none are tried.
#[expect(clippy::too_many_lines, reason = "an arm for each kind of block")]
fn outputs(page: &Page, wrong: &mut Vec<String>) -> String {
    let all = blocks(&page.text);
    let of = |kind: Kind| all.iter().filter(move |block| block.kind(page) == kind);
    let shared: String = of(Kind::Shared).map(|block| block.text.as_str()).collect();
    let partials: Vec<(String, String)> = of(Kind::Partial)
        .map(|block| (block.info.rsplit(' ').next().unwrap().to_owned(), block.text.clone()))
        .collect();
    let mut out = page.text.clone();
    let mut last_message: Option<&Block> = None;
    let mut journey = (page.path == Path::new("docs/TUTORIAL.md")).then(Journey::begin);
    // From the end, so that the places before stay where they are; messages are looked up forwards.
    let mut changes: Vec<(&Block, String)> = Vec::new();
    for (at, block) in all.iter().enumerate() {
        let place = format!("{}:{}", page.path.display(), block.line);
        let mut output = |text: String| {
            let next = all.get(at + 1).filter(|next| next.kind(page) == Kind::Output);
            changes.push((next.unwrap_or_else(|| panic!("{place}: no block with the output behind it")), text));
        };
        match block.kind(page) {
            Kind::Rules => wrong.extend(good(&place, &rules_report(&[("example.yaml", &block.text)]))),
            Kind::Shared => wrong.extend(good(&place, &rules_report(&[("shared.yaml", &block.text)]))),
            Kind::Rule => {
                let rule = whole(&block.text);
                wrong.extend(good(&place, &rules_report(&[("shared.yaml", &shared), ("example.yaml", &rule)])));
            }
            Kind::Config => wrong.extend(good(&place, &config_report(&block.text))),
            Kind::WrongRules => output(bad(&place, rules_report(&[("example.yaml", &block.text)]))),
            Kind::WrongConfig => output(bad(&place, config_report(&block.text))),
            Kind::Message => {
                last_message = Some(block);
                output(rendered(block, None, &partials));
            }
            Kind::Native => {
                output(rendered(last_message.expect("a message before its own format"), Some(block), &partials));
            }
            Kind::Whole => {
                let path = root().join(block.info.rsplit(' ').next().unwrap());
                changes.push((block, fs::read_to_string(path).unwrap()));
            }
            Kind::Sent => changes.push((block, cookbook::sent(block.info.rsplit(' ').next().unwrap()))),
            Kind::Console | Kind::ConsoleFails => changes.push((
                block,
                match &mut journey {
                    Some(journey) => journey.console(block, block.kind(page) == Kind::ConsoleFails),
                    None => console(page, block),
                },
            )),
            Kind::File => {
                let journey = journey.as_mut().unwrap_or_else(|| panic!("{place}: only a tutorial writes files"));
                journey.write(block.info.rsplit(' ').next().unwrap(), &block.text);
            }
            Kind::Part => {
                let path = block.info.rsplit(' ').next().unwrap();
                let whole = fs::read_to_string(root().join(path)).unwrap();
                if !whole.contains(&block.text) {
                    wrong.push(format!("{place}: this does not stand in `{path}`"));
                }
            }
            Kind::Shell => shell(&place, &block.text),
            Kind::Partial | Kind::Output | Kind::Other => {}
        }
    }
    let changed: BTreeSet<usize> = changes.iter().map(|(block, _)| block.line).collect();
    for block in of(Kind::Output) {
        assert!(changed.contains(&block.line), "{}:{}: an output of nothing", page.path.display(), block.line);
    }
    for (block, text) in changes.iter().rev() {
        out.replace_range(block.span.clone(), text);
    }
    out
}

/// What is wrong with an example that should be right.
fn good(place: &str, report: &str) -> Option<String> {
    (!report.is_empty()).then(|| format!("{place}\n{report}"))
}

fn bad(place: &str, report: String) -> String {
    assert!(!report.is_empty(), "{place}: nothing is wrong with it");
    report + "\n"
}

fn rendered(message: &Block, native: Option<&Block>, partials: &[(String, String)]) -> String {
    let samples = native.unwrap_or(message).info.split(' ').skip(if native.is_some() { 3 } else { 2 }).collect();
    let channel = native.and_then(|native| native.info.split(' ').nth(2));
    let ending = channel.and_then(channels::named).and_then(|kind| kind.native).map(|own| own.ending());
    let native = match (channel, ending, native) {
        (Some(channel), Some(ending), Some(native)) => Some((channel, ending, native.text.as_str())),
        _ => None,
    };
    shown(&render(&Written { text: &message.text, partials, native, samples }))
}

// --- commands ---

/// The commands of a block with what they print: at the page's folder if it has a configuration, or at the repository's.
fn console(page: &Page, block: &Block) -> String {
    let has_config = page.path.parent().filter(|folder| root().join(folder).join("fanfare.yaml").exists());
    let folder = has_config.unwrap_or(Path::new(""));
    let mut out = String::new();
    for line in block.text.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let arguments = line.strip_prefix("fanfare ").unwrap_or_else(|| panic!("`{line}` is not a command of ours"));
        let output = Command::new(env!("CARGO_BIN_EXE_fanfare"))
            .args(words(arguments))
            .current_dir(root().join(folder))
            .env_remove("FANFARE_CONFIG")
            .output()
            .unwrap();
        let is_verdict = arguments.starts_with("check") || arguments.starts_with("test");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() || !is_verdict, "`{line}`: {}", String::from_utf8_lossy(&said));
        let said = without_times(&without_ids(&String::from_utf8(said).unwrap()));
        out.push_str(&format!("$ {line}\n{}\n", said.trim_end()));
    }
    out
}

/// The words of a command, quotes read as a shell does.
pub fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, ' ') => words.push(String::new()),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Samples have a fresh id each time.
pub fn without_ids(text: &str) -> String {
    let mut parts = text.split("evt_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
        out.push_str(if part.len() - rest.len() == 20 { "evt_…" } else { "evt_" });
        out.push_str(if part.len() - rest.len() == 20 { rest } else { part });
    }
    out
}

/// How long tests took, at the end of their report, is never the same.
pub fn without_times(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(" (") {
        Some((said, took)) if took.ends_with(" s)") => format!("{said} (… s)"),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Looks at the commands of ours in a block for a shell: each is one that the command line takes.
fn shell(place: &str, text: &str) {
    for line in text.replace("\\\n", " ").lines() {
        let line = line.split(" #").next().unwrap_or_default();
        for command in line.split(['|', ';']).flat_map(|command| command.split("&&")) {
            let mut words = words(command);
            while words.first().is_some_and(|word| word.contains('=')) {
                words.remove(0);
            }
            if words.iter().take(2).map(String::as_str).eq(["cargo", "run"]) {
                let from = words.iter().position(|word| word == "--").expect("arguments behind `--`");
                words.drain(..from);
            }
            let is_ours = words.first().is_some_and(|word| word == "--" || word.ends_with("fanfare"));
            if !is_ours || words.first().is_some_and(|word| word.starts_with('/')) {
                continue;
            }
            words.retain(|word| word != "&");
            if let Err(error) = fanfare::cli::command().try_get_matches_from(&words) {
                let is_help = !error.use_stderr();
                assert!(is_help, "{place}: `{}`\n{error}", command.trim());
            }
        }
    }
}

// --- completeness and links ---

#[test]
fn every_channel_has_a_part_of_its_own() {
    let text = fs::read_to_string(root().join("docs/CHANNELS.md")).unwrap();
    for kind in channels::ALL {
        assert!(
            text.contains(&format!("## {}\n\n<!-- generated: channel {} -->", kind.name, kind.name)),
            "{}",
            kind.name
        );
    }
}

#[test]
fn every_metric_that_a_page_names_is_there() {
    let known: BTreeSet<String> = generated::metric_names().into_iter().collect();
    for page in pages() {
        for rest in page.text.split("`fanfare_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let name = format!("fanfare_{name}");
            assert!(known.contains(&name), "{}: there is no metric `{name}`", page.path.display());
        }
    }
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let mut anchors: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for page in pages() {
        let mut text = page.text.clone();
        blocks(&page.text).iter().rev().for_each(|block| text.replace_range(block.span.clone(), ""));
        let headings =
            text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
        anchors.insert(page.path.clone(), headings.map(anchor).collect());
    }
    for page in pages() {
        for target in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.contains("{{") || target.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.path.clone() } else { plain(&page.path.parent().unwrap().join(file)) };
            let wrong = format!("{}: the link `{target}` leads nowhere", page.path.display());
            assert!(root().join(&path).exists(), "{wrong}");
            if !fragment.is_empty() {
                assert!(anchors.get(&path).is_some_and(|anchors| anchors.contains(fragment)), "{wrong}");
            }
        }
    }
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn the_picture_shows_what_people_get() {
    let picture = fs::read_to_string(root().join("docs/picture.svg")).unwrap();
    let groups: Vec<&str> = picture.split("data-preview=\"").skip(1).collect();
    assert!(!groups.is_empty());
    for group in groups {
        let (preview, group) = group.split_once('"').unwrap();
        let [name, event, channel] = words(preview).try_into().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_fanfare"))
            .args(["preview", &name, "--event", &event, "--as", &channel])
            .current_dir(root())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        for text in group.split("<text class=\"said\"").skip(1) {
            let text = text.split_once('>').unwrap().1.split_once('<').unwrap().0.replace("&amp;", "&");
            assert!(said.contains(&text), "{preview} doesn't say `{text}`:\n{said}");
        }
    }
}

#[test]
fn the_documentation_names_nothing_of_the_workshop() {
    for page in pages() {
        assert!(!page.text.contains("TODO"), "{}", page.path.display());
    }
}
