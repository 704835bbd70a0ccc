//! What a template may hold and is surely not meant: it would stand in the message as it is written.
//!
//! Looks at the text alone, so that it is found in branches that no sample takes, too.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use pulldown_cmark::{Event, Options, Parser};

use crate::message::template::source::Source;
use crate::problem::{File, Location, Problem, Problems};

const AT_THE_TOP: &str = "put front matter between two lines of `---` at the top of the file";

/// What HTML is in Markdown: its tags, and what to write.
const TAGS: [(&[&str], &str); 14] = [
    (&["b", "strong"], "write `**…**`"),
    (&["i", "em"], "write `*…*`"),
    (&["s", "del", "strike"], "write `~~…~~`"),
    (&["code", "tt", "kbd"], "write it between backticks"),
    (&["pre"], "write it between two lines of three backticks"),
    (&["a"], "write `[text](https://…)`"),
    (&["img"], "name the picture in the front matter: `image: https://…`"),
    (&["h1", "h2", "h3", "h4", "h5", "h6"], "write `# …`"),
    (&["ul", "ol", "li"], "write `- …`, one a line"),
    (&["p", "div", "section"], "leave an empty line between paragraphs"),
    (&["br"], "begin a new line: it is one in the message too"),
    (&["blockquote"], "write `> …`"),
    (&["table", "tr", "td", "th"], "write the cells between `|`, with a line `|---|` below the first"),
    (&["u", "span", "font", "center", "small", "big", "mark", "sub", "sup", "script", "style"], "remove it"),
];

/// HTML tags and `${…}` in a body.
pub(super) fn body(source: &Source, problems: &mut Problems) {
    let masked = masked(&source.text);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut told = BTreeSet::new();
    let mut code: Vec<Range<usize>> = Vec::new();
    for (event, range) in Parser::new_ext(&masked, options).into_offset_iter() {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => tags(&masked, range, &mut |name, hint, at| {
                if told.insert(name.to_owned()) {
                    let message = format!("`<{name}>` would appear in the message as text");
                    problems.push(Problem::warning("html-tag", message).at(&source.place(at)).hint(hint));
                }
            }),
            Event::Code(_) | Event::Start(pulldown_cmark::Tag::CodeBlock(_)) => code.push(range),
            _ => {}
        }
    }
    found_dollars(source, &masked, &code, problems);
    calls(source, &masked, &code, problems);
}

/// `@channel` and its like, which mention nobody.
fn calls(source: &Source, masked: &str, code: &[Range<usize>], problems: &mut Problems) {
    for (at, _) in masked.match_indices('@') {
        let word = masked.get(at + 1..).unwrap_or_default();
        let word = word.get(..word.find(|c: char| !c.is_alphanumeric()).unwrap_or(word.len())).unwrap_or_default();
        let begins = masked.get(..at).is_none_or(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '.'));
        if begins && ["channel", "here", "everyone"].contains(&word) && !code.iter().any(|code| code.contains(&at)) {
            let message = format!("`@{word}` would appear in the message as text, and mentions nobody");
            problems.push(
                Problem::warning("not-a-mention", message)
                    .at(&source.place(at..at + word.len() + 1))
                    .hint("put it beside the text: `mention: [NAME]`, a name of the destination's `mentions`"),
            );
        }
    }
}

/// `${…}` in a line of the front matter.
pub(super) fn dollars(source: &Source, problems: &mut Problems) {
    found_dollars(source, &masked(&source.text), &[], problems);
}

fn found_dollars(source: &Source, masked: &str, code: &[Range<usize>], problems: &mut Problems) {
    for (at, _) in masked.match_indices("${") {
        let inner = masked.get(at + 2..).and_then(|rest| rest.split_once('}')).map_or("", |(inner, _)| inner);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':' | '$' | '/');
        if inner.is_empty() || !inner.chars().all(is_name) || code.iter().any(|code| code.contains(&at)) {
            continue;
        }
        let hint = match inner.split_once(':') {
            Some(("env" | "file", _)) => "a message can't read the environment or a file".to_owned(),
            _ => format!("a value is written `{{{{ {} }}}}`", inner.trim_start_matches("$.")),
        };
        let message = format!("`${{{inner}}}` would appear in the message as text");
        let place = source.place(at..at + inner.len() + 3);
        problems.push(Problem::warning("not-a-value", message).at(&place).hint(hint));
    }
}

/// The opening tags of HTML in a range of the text that have a form in Markdown.
fn tags(text: &str, range: Range<usize>, found: &mut dyn FnMut(&str, &str, Range<usize>)) {
    let Some(html) = text.get(range.clone()) else { return };
    for (at, _) in html.match_indices('<') {
        let rest = html.get(at + 1..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default().to_ascii_lowercase();
        if let Some((_, hint)) = TAGS.iter().find(|(names, _)| names.contains(&name.as_str())) {
            let start = range.start + at;
            let len = rest.find('>').map_or(end + 1, |close| close + 2);
            found(&name, hint, start..start + len);
        }
    }
}

/// The text with every tag, expression and comment of the template as the same number of letters: what is left is what the author
/// wrote for readers.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(open) = rest.find('{') else {
            masked.push_str(rest);
            break;
        };
        let close = match rest.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                masked.push_str(rest.get(..=open).unwrap_or_default());
                at += open + 1;
                continue;
            }
        };
        let inner = rest.get(open..).unwrap_or_default();
        let len = inner.find(close).map_or(inner.len(), |end| end + close.len());
        masked.push_str(rest.get(..open).unwrap_or_default());
        let letters = inner.get(..len).unwrap_or_default().bytes().map(|byte| if byte == b'\n' { '\n' } else { 'x' });
        masked.extend(letters);
        at += open + len;
    }
    masked
}

/// A first line that is a key of the front matter, in a file that has none.
pub(super) fn first_line(file: &Arc<File>, keys: &[&str], problems: &mut Problems) {
    let text = file.text.trim_start_matches('\u{feff}').trim_start();
    let Some(key) = keys.iter().find(|key| is_key(text, key)) else { return };
    let at = file.text.len() - text.len();
    problems.push(
        Problem::warning(
            "misplaced-front-matter",
            format!("`{key}:` looks like front matter, and would appear in the message"),
        )
        .at(&Location::new(file, at..at + key.len() + 1))
        .hint(AT_THE_TOP),
    );
}

/// Whether a line begins with this key.
fn is_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key)
        .and_then(|rest| rest.strip_prefix(':'))
        .is_some_and(|rest| rest.starts_with([' ', '\n', '\r']))
}

/// Lines between two `---` in the body that would be front matter at the top of the file.
pub(super) fn fences(source: &Source, keys: &[&str], problems: &mut Problems) {
    let mut open: Option<usize> = None;
    let mut has_key = false;
    let mut at = 0;
    for line in source.text.split_inclusive('\n') {
        let is_fence = line.trim_end() == "---";
        match open {
            Some(start) if is_fence && has_key => {
                problems.push(
                    Problem::warning(
                        "misplaced-front-matter",
                        "this looks like front matter, and would appear in the message",
                    )
                    .at(&source.place(start..start + 3))
                    .hint(AT_THE_TOP),
                );
                open = None;
            }
            _ if is_fence => (open, has_key) = (Some(at), false),
            // A key, or what belongs to the one above it.
            Some(_) if keys.iter().any(|key| is_key(line, key)) => has_key = true,
            Some(_) if has_key && line.starts_with([' ', '-']) => {}
            _ => open = None,
        }
        at += line.len();
    }
}
