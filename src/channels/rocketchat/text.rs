//! A message as a text of Rocket.Chat, in its Markdown.
//!
//! Pure. A backslash makes few signs text, and none within emphasis, so what has such a sign goes without emphasis; all
//! else is kept apart by a joiner of no width: links and names, which it finds by itself, lists, quotes and emojis.
//! After the server's own parser, `@rocket.chat/message-parser`.

use serde_json::{Map, Value, json};

use crate::channels::markdown::LineStart;
use crate::channels::picture::{self, Picture, items, text_of};
use crate::channels::runs::{self, Line, Run};
use crate::channels::{Form, Limit, Request, Sending, words};
use crate::locale;
use crate::message::{Field, fit};

/// A server takes no longer one, unless its administrator allows more.
pub const TEXT: Limit = Limit::characters("`text`", 5000);
/// Ours: of a title, of all fields, of a field's name and value, of a URL, of a footer.
const TITLE_MAX: usize = 400;
const FIELDS_MAX: usize = 1500;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 400;
const URL_MAX: usize = 600;
const FOOTER_MAX: usize = 200;
/// No sign of any script, and none that an address or a name can have in it.
const JOINER: char = '\u{2060}';

/// The mention of a person or team by name, or of everybody.
pub fn mention(id: &str) -> Option<String> {
    let name = id.strip_prefix('@').unwrap_or(id);
    let is_all = matches!(name, "here" | "all");
    let is_name = id.starts_with('@')
        && (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (is_all || is_name).then(|| format!("@{name}"))
}

/// All that doesn't say where it goes.
pub fn content(sending: &Sending<'_>) -> Map<String, Value> {
    let image = sending.rendered.message.image.as_deref().and_then(|url| words::within(url, URL_MAX));
    let image = image.filter(|_| sending.form == Form::Rich).map(|image| json!({"image_url": image}));
    // With attachments, and be there none, the server shows no previews of links.
    Map::from_iter([
        ("text".to_owned(), text(sending).into()),
        ("attachments".to_owned(), image.into_iter().collect::<Vec<_>>().into()),
    ])
}

fn text(sending: &Sending<'_>) -> String {
    // An edit notifies nobody.
    let mut text: String = sending.pinged().iter().filter_map(|id| mention(id)).map(|mention| mention + " ").collect();
    let links: String = links(sending).iter().map(|link| format!("\n{link}")).collect();
    if sending.form == Form::Plain {
        let room = TEXT.max.saturating_sub(fit::utf16(&text) + fit::utf16(&links));
        text.push_str(&within(&words::plain(sending), room));
        return text + &links;
    }
    let title = emphasized("**", &short(&words::title(sending), TITLE_MAX));
    text.push_str(&format!("{} {title}", words::sign(sending)));
    let mut tail = fields(&sending.rendered.message.fields);
    if let Some(footer) = words::footer(sending, true) {
        tail.push_str(&format!("\n\n{}", emphasized("_", &short(&footer, FOOTER_MAX))));
    }
    if !links.is_empty() {
        tail.push_str(&format!("\n{links}"));
    }
    let room = TEXT.max.saturating_sub(fit::utf16(&text) + fit::utf16(&tail));
    let blocks = fit::blocks(&sending.rendered.message.body, room, &|blocks| fit::utf16(&lines(&runs::lines(blocks))));
    text + &lines(&runs::lines(&blocks.blocks)) + &tail
}

/// What people can do about the case, and where to look further.
fn links(sending: &Sending<'_>) -> Vec<String> {
    words::buttons(sending, URL_MAX).map(|(text, url)| link(url, &text)).collect()
}

fn fields(fields: &[Field]) -> String {
    let mut said = String::new();
    for (nth, field) in fields.iter().enumerate() {
        let name = format!("{}:", within(&words::or_dash(&field.name), NAME_MAX));
        let name = if is_plain(&field.name) { format!("**{name}**") } else { name };
        let line = format!("{name} {}", within(&words::or_dash(&field.value), VALUE_MAX));
        said.push_str(if nth == 0 { "\n\n" } else { "\n" });
        if fit::utf16(&said) + fit::utf16(&line) > FIELDS_MAX {
            said.push_str(&format!("… and {} more", fields.len() - nth));
            break;
        }
        said.push_str(&line);
    }
    said
}

/// Lines, each after its break; those of code that follow each other are one block.
fn lines(lines: &[Line]) -> String {
    let mut said = String::new();
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let (code, others) = rest.split_at(rest.iter().take_while(|line| line.is_code).count());
        if code.is_empty() {
            said.push_str(if first.begins { "\n\n" } else { "\n" });
            said.push_str(&line(first));
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let code: Vec<String> = code.iter().flat_map(|line| &line.runs).map(|run| in_code(&run.text)).collect();
        said.push_str(&format!("\n```\n{}\n```", code.join("\n")));
        rest = others;
    }
    said
}

fn line(line: &Line) -> String {
    let mut said = String::new();
    for (nth, run) in line.runs.iter().enumerate() {
        let after = line.runs.get(nth + 1).and_then(|run| run.text.chars().next());
        let run = styled(run, &said, after);
        said.push_str(&run);
    }
    said
}

/// A piece in its style, where nothing in it or at its ends keeps the server from reading that.
fn styled(run: &Run, before: &str, after: Option<char>) -> String {
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let begins = before.is_empty();
    let text = run.text.as_str();
    let is_apart = !word(before.chars().last()) && !word(after);
    match &run.link {
        Some(url) => link(url, text),
        None if run.style.code && !text.contains('`') && !text.trim().is_empty() => format!("`{}`", in_code(text)),
        None if run.style.bold => emphasized("**", text),
        None if run.style.strike => emphasized("~~", text),
        None if run.style.italic && is_apart => emphasized("_", text),
        None => escape(text, begins),
    }
}

/// `<url|text>`, whose text the server reads as it is; before it goes a text that would end it. In `[text](url)`, a bracket
/// of a value anywhere before it would begin the link.
fn link(url: &str, text: &str) -> String {
    let ends = [('|', "%7C"), ('<', "%3C"), ('>', "%3E"), ('(', "%28"), (')', "%29")];
    let target = ends.iter().fold(url.to_owned(), |url, (sign, encoded)| url.replace(*sign, encoded));
    if words::within(&target, URL_MAX).is_none() {
        return escape(text, true);
    }
    match text.trim() {
        text if text.is_empty() || text.contains(['<', '>', '|', '\n']) => {
            format!("{} <{target}|{}>", escape(text, true), words::link_text(locale::english(), url))
                .trim_start()
                .to_owned()
        }
        text => format!("<{target}|{}>", quiet(text)),
    }
}

/// Marks take no white space on their inner side, so that goes outside.
fn emphasized(mark: &str, text: &str) -> String {
    let inner = text.trim();
    match text.split_once(inner) {
        Some((before, after)) if !inner.is_empty() && is_plain(inner) => {
            format!("{before}{mark}{}{mark}{after}", escape(inner, true))
        }
        _ => escape(text, true),
    }
}

/// Whether nothing in it would need a backslash.
fn is_plain(text: &str) -> bool {
    !text.contains(['*', '_', '~', '`', '\\', '\n'])
}

fn in_code(text: &str) -> String {
    let quiet = quiet(text).replace("``", "`\u{2060}`\u{2060}");
    // The server reads no empty code.
    if quiet.trim().is_empty() { JOINER.into() } else { quiet }
}

/// The text, where the server reads no markup: but it finds names there, and the end of a link that a bracket before it
/// began.
fn quiet(text: &str) -> String {
    text.replace('@', "@\u{2060}").replace("](", "]\u{2060}(")
}

/// At most `max` units of the text, as they are when they are escaped.
fn within(text: &str, max: usize) -> String {
    escape(&short(text, max), true)
}

/// Each sign is counted with all that may stand round it, though it does in some places only.
fn short(text: &str, max: usize) -> String {
    let cost = |c: char| c.len_utf16() + if c.is_ascii_punctuation() { 2 } else { 0 };
    fit::text(text, max, |part| part.chars().map(cost).sum())
}

/// The text with nothing left that is markup, a name or a link.
fn escape(text: &str, begins: bool) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let mut line = LineStart::new(begins);
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let after = rest.chars().next();
        if (line.is_start && "#>-+|=".contains(c)) || (line.is_number && !line.is_start && c == '.') {
            escaped.push(JOINER);
        }
        if matches!(c, '*' | '~' | '`') || (c == '_' && !(is_word(before) && is_word(after))) {
            escaped.push('\\');
        }
        escaped.push(c);
        if is_found(c, rest, before) {
            escaped.push(JOINER);
        }
        line.goes_on(c);
        before = Some(c);
    }
    escaped
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}

/// Whether the server would find something that begins with this sign, or goes on after it.
fn is_found(c: char, rest: &str, before: Option<char>) -> bool {
    let after = rest.chars().next();
    let follows = |is: fn(char) -> bool| after.is_some_and(is);
    match c {
        '@' | '<' | '\\' => true,
        // At the end a mark of emphasis may follow, which can be of a name.
        '#' => after.is_none_or(|c| c.is_alphanumeric() || "-_.".contains(c)),
        ']' => follows(|c| c == '('),
        '|' => follows(|c| c == '|'),
        '+' => follows(|c| c.is_ascii_digit() || c == '('),
        '.' if follows(char::is_alphabetic) => is_word(before),
        // Of an address in numbers.
        '.' => is_word(before) && rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('.'),
        ':' => rest.starts_with("//") || is_emoji(rest),
        _ => false,
    }
}

/// Whether a name and another colon follow, which is none of a time.
fn is_emoji(rest: &str) -> bool {
    let name = rest.split(':').next().unwrap_or_default();
    name.len() < rest.len()
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte))
        && !name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The text and the image; a line that is a link is a button.
pub fn draw(request: &Request) -> Picture {
    let document = picture::document(request);
    let mut lines = text_of(&document, "text").lines();
    let mut drawn = Picture { title: read(lines.next().unwrap_or_default()), ..Picture::default() };
    let mut paragraph = Vec::new();
    for line in lines.chain([""]) {
        let button = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')?.split_once('|'));
        if line.is_empty() || button.is_some() {
            drawn.plain(&std::mem::take(&mut paragraph).join("\n"));
        } else if line != "```" {
            paragraph.push(read(line));
        }
        if let Some((url, text)) = button {
            drawn.link(text, url);
        }
    }
    for attachment in items(&document, "attachments") {
        drawn.fact("image", text_of(attachment, "image_url"));
    }
    drawn
}

/// A line without its signs: near enough for a likeness.
fn read(line: &str) -> String {
    let mut read = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (shown, taken) = match c {
            '\\' if rest.get(1..).is_some_and(|rest| rest.starts_with(['*', '_', '~', '`'])) => (rest.get(1..2), 2),
            '*' if rest.starts_with("**") => (None, 2),
            '~' if rest.starts_with("~~") => (None, 2),
            JOINER => (None, JOINER.len_utf8()),
            '<' if rest.starts_with("<http") => (None, rest.find('|').map_or(1, |end| end + 1)),
            c => (rest.get(..c.len_utf8()), c.len_utf8()),
        };
        read.push_str(shown.unwrap_or_default());
        rest = rest.get(taken..).unwrap_or_default();
    }
    read
}
