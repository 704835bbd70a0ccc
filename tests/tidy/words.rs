//! Plain words: no page uses a refused word, and no sentence has more than thirty words.
//!
//! `docs/STYLE.md` shows the table of refused words; `UPDATE=1 cargo test docs` writes it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::docs::{pages, root};
use crate::tidy::files;

/// Refused words and phrases, separated by commas, and what to write instead.
pub const REFUSED: &[(&str, &str)] = &[
    ("mend, mends, mended, mending", "fix"),
    ("hears, hears of, heard of, hear of", "receives, is notified of"),
    ("tells of, told of, tell of", "reports, announces"),
    ("is told, are told, was told, were told", "is notified, is sent, is announced"),
    ("so many", "the number, or name it"),
    ("for ever", "indefinitely; better: say when it ends"),
    ("whoever, whomever", "the person who, anyone who"),
    ("whence, whither, be they, be it", "from where, to where, whether"),
    ("in vain", "without result"),
    ("its last word, the last word", "the final answer"),
    ("bears with, bear with", "waits for, tolerates"),
    ("but for", "except"),
    ("unless given", "by default"),
    ("comes to the same, come to the same", "has the same result"),
    ("nought, lest, thereby, thereof, whereof", "plain English"),
    ("shall", "must, will, should"),
];

/// The most words of a sentence.
const WORDS_MAX: usize = 30;

/// The page that shows the refused words.
const STYLE: &str = "docs/STYLE.md";

/// A stretch of prose: a paragraph, an item of a list, a cell of a table, a heading.
struct Prose {
    path: PathBuf,
    line: usize,
    text: String,
}

/// The prose of every page, without code and without the table of refused words.
fn prose() -> Vec<Prose> {
    let mut texts: Vec<(PathBuf, String)> = pages().into_iter().map(|page| (page.path, page.text)).collect();
    texts.extend(files(".github", ".md"));
    for more in ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md", "src/cli/init/README.md"] {
        texts.push((more.into(), fs::read_to_string(root().join(more)).unwrap()));
    }
    texts.iter().flat_map(|(path, text)| stretches(path, text)).collect()
}

fn stretches(path: &Path, text: &str) -> Vec<Prose> {
    let mut found: Vec<Prose> = Vec::new();
    let (mut fence, mut refused, mut goes_on) = (None, false, false);
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let ticks = &trimmed[..trimmed.len() - trimmed.trim_start_matches('`').len()];
        match fence {
            Some(open) if ticks == open && trimmed.trim_end() == open => fence = None,
            None if ticks.len() >= 3 => fence = Some(ticks),
            _ => {}
        }
        refused = (refused || line.starts_with("<!-- generated: refused")) && !line.starts_with("<!-- end");
        let mut add = |text: &str| found.push(Prose { path: path.to_owned(), line: number + 1, text: plain(text) });
        let is_item =
            ["- ", "* ", "1. ", "2. ", "3. ", "4. ", "5. "].iter().find_map(|mark| trimmed.strip_prefix(mark));
        if fence.is_some() || ticks.len() >= 3 || refused || line.starts_with("    ") || trimmed.is_empty() {
            goes_on = false;
        } else if line.starts_with('|') {
            line.trim_matches('|').replace("\\|", "/").split(" | ").for_each(&mut add);
            goes_on = false;
        } else if line.starts_with(['#', '<']) {
            add(line.trim_start_matches('#'));
            goes_on = false;
        } else if let Some(item) = is_item {
            add(item);
            goes_on = true;
        } else if goes_on {
            let before = &mut found.last_mut().unwrap().text;
            *before = plain(&format!("{before} {trimmed}"));
        } else {
            add(trimmed);
            goes_on = true;
        }
    }
    found
}

/// The text without links' targets, with one word for each piece of code.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for (at, piece) in text.split('`').enumerate() {
        out.push_str(if at % 2 == 0 { piece } else { "CODE" });
    }
    let mut parts = out.split("](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    plain.replace(['*', '[', '“', '”'], "")
}

/// The words of a text, in lower case.
fn words(text: &str) -> Vec<String> {
    let is_apart = |c: char| !c.is_alphanumeric() && c != '\'';
    text.split(is_apart).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The first refused phrase in these words, with what to write instead.
fn refused(words: &[String]) -> Option<(&'static str, &'static str)> {
    let phrases =
        REFUSED.iter().flat_map(|(phrases, instead)| phrases.split(", ").map(move |phrase| (phrase, *instead)));
    phrases.into_iter().find(|(phrase, _)| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|window| window.iter().eq(phrase.iter()))
    })
}

/// The sentences of a text: each ends with a mark and a space, or at a dot between the links of a list.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    for word in text.split_whitespace() {
        let sentence = sentences.last_mut().unwrap();
        sentence.push_str(word);
        sentence.push(' ');
        if word == "·" || word.trim_end_matches([')', '"', '\'']).ends_with(['.', '!', '?']) {
            sentences.push(String::new());
        }
    }
    sentences
}

#[test]
fn no_page_uses_a_refused_word() {
    let mut wrong = String::new();
    for Prose { path, line, text } in prose() {
        if let Some((phrase, instead)) = refused(&words(&text)) {
            wrong.push_str(&format!("{}:{line}: `{phrase}`, write: {instead}\n    {text}\n", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{STYLE} says how we write\n{wrong}");
}

#[test]
fn no_sentence_of_a_page_is_longer_than_thirty_words() {
    let mut wrong = String::new();
    for Prose { path, line, text } in prose() {
        for sentence in sentences(&text) {
            let count = sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
            if count > WORDS_MAX {
                wrong.push_str(&format!("{}:{line}: {count} words: {sentence}\n", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{STYLE} says how we write\n{wrong}");
}
