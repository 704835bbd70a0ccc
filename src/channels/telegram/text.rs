//! A message as Telegram's text and entities, which say by their place where it is bold, code or a link.
//!
//! Pure. Telegram looks for names, addresses, tags and commands in every text by itself, and makes mentions and links of
//! them; a joiner of no width keeps it from finding any in a value. Offsets and lengths are counted in UTF-16 units.

use serde_json::{Map, Value, json};

use crate::channels::runs::{self, Line, Run, Style};
use crate::channels::telegram::Mention;
use crate::channels::{Form, Limit, Sending, words};
use crate::message::{Block, Field, fit};

pub const TEXT: Limit = Limit::characters("the text of a message, its entities aside", 4096);
/// No sign of any script, and none that an address or a name can have in it.
pub const JOINER: char = '\u{2060}';
/// Telegram reads no more.
pub const ENTITIES: Limit = Limit::items("`entities`", 100);
/// Ours: of a title, of all fields, of a field's name and value, of a footer, of a URL.
const TITLE_MAX: usize = 400;
const FIELDS_MAX: usize = 1200;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 400;
const FOOTER_MAX: usize = 300;
const URL_MAX: usize = 1024;

/// All that doesn't say where it goes.
pub fn content(sending: &Sending<'_>) -> Map<String, Value> {
    let mut content = Map::new();
    let written = if sending.form == Form::Plain { plain(sending) } else { rich(sending) };
    content.insert("text".into(), written.text.into());
    if !written.entities.is_empty() {
        content.insert("entities".into(), written.entities.into());
    }
    let image = sending
        .rendered
        .message
        .image
        .as_deref()
        .and_then(|url| words::within(url, URL_MAX))
        .filter(|_| sending.form == Form::Rich);
    let preview = match image {
        Some(image) => json!({"url": image, "prefer_large_media": true}),
        None => json!({"is_disabled": true}),
    };
    content.insert("link_preview_options".into(), preview);
    let keyboard = keyboard(sending);
    if sending.form == Form::Rich && !keyboard.is_empty() {
        content.insert("reply_markup".into(), json!({"inline_keyboard": keyboard}));
    }
    content
}

/// A row for each, as their names are of any length.
fn keyboard(sending: &Sending<'_>) -> Vec<Value> {
    words::buttons(sending, URL_MAX).map(|(text, url)| json!([{"text": text, "url": url}])).collect()
}

fn rich(sending: &Sending<'_>) -> Written {
    let message = &sending.rendered.message;
    let mut written = mentions(sending);
    let title = format!("{} {}", words::sign(sending), words::title(sending));
    written.run(&Run::new(short(&title, TITLE_MAX), Style::BOLD));
    let mut tail = Written::default();
    fields(&message.fields).iter().for_each(|line| tail.line(line));
    if let Some(footer) = words::footer(sending, true) {
        let style = Style { italic: true, ..Style::default() };
        let runs = vec![Run::new(short(&footer, FOOTER_MAX), style)];
        tail.line(&Line { runs, begins: true, is_code: false });
    }
    // Two line breaks go before each part.
    let room = TEXT.max.saturating_sub(written.units + tail.units + 4);
    written.lines(&runs::lines(&fit::blocks(&message.body, room, &|blocks| body(blocks).units).blocks));
    written.append(tail);
    written
}

fn body(blocks: &[Block]) -> Written {
    let mut written = Written::default();
    written.lines(&runs::lines(blocks));
    written
}

fn plain(sending: &Sending<'_>) -> Written {
    let mut written = mentions(sending);
    let link = sending
        .rendered
        .message
        .link
        .as_deref()
        .and_then(|url| words::within(url, URL_MAX))
        .map(|link| format!("\n{link}"));
    let tail: String = link.into_iter().chain(words::links(sending).map(|line| format!("\n{line}"))).collect();
    let room = TEXT.max.saturating_sub(written.units + fit::utf16(&tail));
    written.say(&short(&words::plain(sending), room));
    written.say(&tail);
    written
}

fn fields(fields: &[Field]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut taken = 0;
    for (nth, field) in fields.iter().enumerate() {
        let name = format!("{}: ", short(&words::or_dash(&field.name), NAME_MAX));
        let value = short(&words::or_dash(&field.value), VALUE_MAX);
        taken += fit::utf16(&name) + fit::utf16(&value) + 1;
        let begins = lines.is_empty();
        if taken > FIELDS_MAX {
            let more = format!("… and {} more", fields.len() - nth);
            lines.push(Line { runs: vec![Run::new(more, Style::default())], begins, is_code: false });
            break;
        }
        let runs = vec![Run::new(name, Style::BOLD), Run::new(value, Style::default())];
        lines.push(Line { runs, begins, is_code: false });
    }
    lines
}

/// The action's people, in a line of their own. An edit notifies nobody.
fn mentions(sending: &Sending<'_>) -> Written {
    let mut written = Written::default();
    for mention in sending.pinged().iter().filter_map(|id| Mention::of(id)) {
        match mention {
            Mention::Name(name) => written.say(name),
            // Their name is not known here.
            Mention::User(id) => {
                let user = json!({"id": id, "is_bot": false, "first_name": "👤"});
                written.entity("👤", json!({"type": "text_mention", "user": user}));
            }
        }
        written.say(" ");
    }
    if written.units > 0 {
        written.say("\n");
    }
    written
}

/// The text with a joiner wherever Telegram would find a mention, a tag, a command or an address.
fn quiet(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before: Option<char> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str().chars().next();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        // What may be a part of one, as accents that stand alone may: a joiner too many harms nobody.
        let wordlike = |c: char| word(c) || !c.is_ascii() && !c.is_whitespace();
        out.push(c);
        let is_found = match c {
            '@' => after.is_some_and(wordlike),
            '#' | '$' | '/' => !before.is_some_and(word) && after.is_some_and(wordlike),
            '.' => before.is_some_and(wordlike) && after.is_some_and(char::is_alphabetic),
            ':' => rest.as_str().starts_with("//"),
            _ => false,
        };
        if is_found {
            out.push(JOINER);
        }
        before = Some(c);
    }
    out
}

/// At most `max` units of the text, its joiners among them.
fn short(text: &str, max: usize) -> String {
    let quiet = quiet(text);
    if fit::utf16(&quiet) <= max {
        return quiet;
    }
    fit::text(&quiet, max, fit::utf16)
}

/// A text with its entities.
#[derive(Default)]
struct Written {
    text: String,
    units: usize,
    entities: Vec<Value>,
}

impl Written {
    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.units += fit::utf16(text);
    }

    fn entity(&mut self, text: &str, entity: Value) {
        let mut entity = entity;
        entity["offset"] = self.units.into();
        self.say(text);
        entity["length"] = fit::utf16(text).into();
        if self.entities.len() < ENTITIES.max {
            self.entities.push(entity);
        }
    }

    fn run(&mut self, run: &Run) {
        let Style { bold, italic, strike, code } = run.style;
        let link = run.link.as_deref().and_then(|url| words::within(url, URL_MAX));
        let (start, is_code) = (self.units, code && link.is_none());
        self.say(&run.text);
        let length = self.units - start;
        // Nothing else can be said of code.
        let marks = [
            (bold && !is_code, "bold"),
            (italic && !is_code, "italic"),
            (strike && !is_code, "strikethrough"),
            (is_code, "code"),
        ];
        let marks = marks.into_iter().filter(|(is, _)| *is).map(|(_, kind)| json!({"type": kind}));
        let link = link.map(|link| json!({"type": "text_link", "url": link}));
        for mut entity in marks.chain(link) {
            entity["offset"] = start.into();
            entity["length"] = length.into();
            if self.entities.len() < ENTITIES.max {
                self.entities.push(entity);
            }
        }
    }

    fn line(&mut self, line: &Line) {
        if self.units > 0 {
            self.say(if line.begins { "\n\n" } else { "\n" });
        }
        line.runs.iter().for_each(|run| self.run(run));
    }

    /// Lines of values; those of code that follow each other are one block.
    fn lines(&mut self, lines: &[Line]) {
        let mut rest = lines;
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|line| line.is_code).count();
            let (code, others) = rest.split_at(count);
            if count == 0 {
                let runs = first.runs.iter().map(|run| Run { text: quiet(&run.text), ..run.clone() }).collect();
                self.line(&Line { runs, ..first.clone() });
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let code: Vec<String> = code.iter().flat_map(|line| &line.runs).map(|run| quiet(&run.text)).collect();
            if self.units > 0 {
                self.say("\n\n");
            }
            self.entity(&code.join("\n"), json!({"type": "pre"}));
            rest = others;
        }
    }

    /// Adds another text as a paragraph.
    fn append(&mut self, other: Self) {
        if other.units == 0 {
            return;
        }
        if self.units > 0 {
            self.say("\n\n");
        }
        for mut entity in other.entities {
            entity["offset"] = (self.units + entity["offset"].as_u64().unwrap_or_default() as usize).into();
            if self.entities.len() < ENTITIES.max {
                self.entities.push(entity);
            }
        }
        self.say(&other.text);
    }
}
