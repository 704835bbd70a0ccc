//! Plain words: no page, comment, message or name uses a refused word, and no sentence that users read has more than
//! thirty words.
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
    ("whence, whither, be they", "from where, to where, whether"),
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

/// Files that may use refused words, and why.
const EXCEPTED: &[(&str, &str)] = &[("tests/tidy/words.rs", "it lists them")];

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

/// A piece of Rust, with the line on which it begins.
enum Piece<'t> {
    Comment(&'t str),
    Literal(&'t str),
    Code(&'t str),
}

/// The comments, literals and other code of a Rust file, in order.
fn pieces(text: &str) -> Vec<(usize, Piece<'_>)> {
    let mut pieces = Vec::new();
    let (mut at, mut code) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let (length, is_comment) = match literal(rest, &text[..at]) {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), true),
            Some(length) => (length, false),
            None => {
                at += character(rest);
                continue;
            }
        };
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        pieces.push((line(code), Piece::Code(&text[code..at])));
        let piece = &rest[..length];
        pieces.push((line(at), if is_comment { Piece::Comment(piece) } else { Piece::Literal(piece) }));
        at += length;
        code = at;
    }
    pieces.push((text.lines().count(), Piece::Code(&text[code..])));
    pieces
}

/// The length of the string literal that a text begins with.
fn literal(text: &str, before: &str) -> Option<usize> {
    let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let hashes = text.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
    if let Some(hashes) = hashes.filter(|hashes| !is_word && text[1 + hashes..].starts_with('"')) {
        let (start, end) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
        return Some(start + text[start..].find(&end)? + end.len());
    }
    let mut is_escaped = false;
    let inside = text.strip_prefix('"')?;
    let end = inside.find(|c| {
        let was_escaped = is_escaped;
        is_escaped = c == '\\' && !was_escaped;
        c == '"' && !was_escaped
    })?;
    Some(end + 2)
}

/// The length of the character, or character literal, that a text begins with.
fn character(text: &str) -> usize {
    let quoted = ["'\"'", "'\\\"'", "'\\''", "'/'"].iter().find(|quoted| text.starts_with(**quoted));
    quoted.map_or_else(|| text.chars().next().map_or(1, char::len_utf8), |quoted| quoted.len())
}

/// The words of a name: `was_told`, `WasTold`.
fn words_of_name(name: &str) -> Vec<String> {
    let mut apart = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            apart.push(' ');
        }
        apart.push(c);
    }
    words(&apart.replace('_', " "))
}

/// Every Rust file of ours whose words are not excepted.
fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = files("src", ".rs");
    sources.extend(files("tests", ".rs"));
    sources.retain(|(path, _)| !EXCEPTED.iter().any(|(except, _)| path.starts_with(except)));
    sources
}

/// What teams read and copy: rules and their tests, templates, examples, what is deployed, and pages with their code.
fn shipped() -> Vec<(PathBuf, String)> {
    let mut shipped: Vec<(PathBuf, String)> = pages().into_iter().map(|page| (page.path, page.text)).collect();
    for folder in ["rules", "templates", "examples", "docs", "deploy", "src/cli/init", "src/cli/demo", "tests/planner"]
    {
        shipped.extend([".yaml", ".md"].into_iter().flat_map(|ending| files(folder, ending)));
    }
    shipped.retain(|(path, _)| !path.ends_with("STYLE.md"));
    shipped
}

#[test]
fn nothing_that_teams_read_or_copy_uses_a_refused_word() {
    let mut wrong = String::new();
    for (path, text) in shipped() {
        for (nth, line) in text.lines().enumerate() {
            if let Some((phrase, instead)) = refused(&words(line)) {
                wrong.push_str(&format!("{}:{}: `{phrase}`, write: {instead}\n    {line}\n", path.display(), nth + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_comment_message_or_name_uses_a_refused_word() {
    let mut wrong = String::new();
    for (path, text) in sources() {
        let mut comment: Option<(usize, usize, String)> = None;
        let mut look = |line: usize, words: &[String], text: &str| {
            if let Some((phrase, instead)) = refused(words) {
                wrong.push_str(&format!("{}:{line}: `{phrase}`, write: {instead}\n    {text}\n", path.display()));
            }
        };
        for (line, piece) in pieces(&text) {
            match piece {
                Piece::Comment(one) => {
                    let one = one.trim_start_matches(['/', '!']);
                    comment = match comment.take() {
                        Some((first, last, text)) if last + 1 == line => Some((first, line, text + " " + one)),
                        before => {
                            before.into_iter().for_each(|(first, _, text)| look(first, &words(&text), &text));
                            Some((line, line, one.to_owned()))
                        }
                    };
                }
                Piece::Literal(text) => look(line, &words(text), text),
                Piece::Code(code) => {
                    for name in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
                        look(line, &words_of_name(name), name);
                    }
                }
            }
        }
        comment.into_iter().for_each(|(first, _, text)| look(first, &words(&text), &text));
    }
    assert!(wrong.is_empty(), "{STYLE} says how we write\n{wrong}");
}

#[test]
fn no_sentence_of_a_message_is_longer_than_thirty_words() {
    let mut wrong = String::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("src")) {
        for (line, piece) in pieces(&text) {
            let Piece::Literal(message) = piece else { continue };
            let is_sql = ["SELECT ", "INSERT ", " = "].iter().any(|sql| message.contains(sql));
            let is_prose = !is_sql && !message.contains('<');
            for sentence in message.split("\\n").flat_map(|line| sentences(&plain(line))).filter(|_| is_prose) {
                let count = sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
                if count > WORDS_MAX {
                    wrong.push_str(&format!("{}:{line}: {count} words: {sentence}\n", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{STYLE} says how we write\n{wrong}");
}

#[test]
fn words_are_found_in_comments_literals_and_names() {
    let text = "let a = '\"'; // mended\n/// told\n/// of\nlet was_told = \"so \\\" many\"; r#\"shall\"#;";
    let found: Vec<String> = pieces(text)
        .into_iter()
        .filter_map(|(line, piece)| match piece {
            Piece::Comment(text) | Piece::Literal(text) => Some(format!("{line} {text}")),
            Piece::Code(_) => None,
        })
        .collect();
    assert_eq!(found, ["1 // mended", "2 /// told", "3 /// of", "4 \"so \\\" many\"", "4 r#\"shall\"#"]);
    assert!(refused(&words_of_name("WasTold")).is_some() && refused(&words_of_name("so_many")).is_some());
    assert!(refused(&words("It is for everyone.")).is_none());
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
