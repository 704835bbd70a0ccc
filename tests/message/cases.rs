//! Cases in text files: templates, events, and the message or the problems that come of them.
//!
//! A file begins with a sentence and has sections that `=== NAME` begins: `=== FILE` for each template, `=== event TYPE`
//! with its data, `=== context` with what else is known, `=== as CHANNEL ENDING`; and as its last one `=== message`, with
//! what is expected, or `=== problems`. `UPDATE=1` writes the last section anew.

use std::fs;
use std::path::{Path, PathBuf};

use fanfare::delivery::{CaseFacts, Say};
use fanfare::event::Event;
use fanfare::message::template::check::Heard;
use fanfare::message::{Block, Context, Inline, Native, Rendered, Templates};
use fanfare::problem::Problems;
use serde_json::{Map, Value, json};

use super::{context, event_of, files};

struct Case {
    path: PathBuf,
    text: String,
    sections: Vec<(String, String)>,
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/message/cases").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Case {
    let text = fs::read_to_string(&path).unwrap();
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix("=== "), sections.last_mut()) {
            (Some(name), _) => sections.push((name.trim().to_owned(), String::new())),
            (None, Some((_, section))) => section.push_str(line),
            (None, None) => {}
        }
    }
    Case { path, text, sections }
}

impl Case {
    fn expect(&self, found: &str) {
        let (name, expected) = self.sections.last().unwrap();
        if std::env::var_os("UPDATE").is_some() {
            let start = self.text.rfind(&format!("=== {name}\n")).unwrap();
            let text = format!("{}=== {name}\n{found}", &self.text[..start]);
            fs::write(&self.path, text).unwrap();
            return;
        }
        assert_eq!(found, expected, "{} (UPDATE=1 rewrites it)", self.path.display());
    }

    fn run(&self) -> String {
        let templates: Vec<(&str, &str)> = self
            .sections
            .iter()
            .filter(|(name, _)| name.contains('.') && !name.contains(' '))
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let events: Vec<Event> = self
            .sections
            .iter()
            .filter_map(|(name, text)| {
                let kind = name.strip_prefix("event ")?;
                Some(event_of(kind, &format!("{{\"id\": \"evt_1\", \"data\": {text}}}")))
            })
            .collect();
        let section =
            |wanted: &str| self.sections.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.as_str());
        let extra: Value = section("context").map_or(json!({}), |text| serde_json::from_str(text).unwrap());
        let newest = events.last().expect("a case has an event");
        let map = |key: &str| extra[key].as_object().cloned().unwrap_or_default();
        let context = Context {
            events: if events.len() > 1 { events.iter().collect() } else { Vec::new() },
            more: extra["more"].as_u64().unwrap_or(0),
            suppressed: extra["suppressed"].as_u64().unwrap_or(0),
            sum: None,
            names: map("names"),
            with: map("with"),
            case: extra["case"].as_object().map(case_facts),
            died: extra["died"].as_str(),
            ..context(newest)
        };
        let mut problems = Problems::new();
        let loaded = Templates::load(&files(&templates), fanfare::channels::formats(), &mut problems);
        if self.sections.last().is_some_and(|(name, _)| name == "problems") {
            loaded.check_message("m", Heard::of(&[context]), &mut problems);
            let shown: Vec<String> = problems.iter().map(|problem| problem.render(false) + "\n").collect();
            return shown.join("\n");
        }
        let native = self.sections.iter().find_map(|(name, _)| name.strip_prefix("as ")?.split_once(' '));
        let say = match section("text") {
            Some(text) => Say::Text(text.to_owned()),
            None => Say::Message("m".into()),
        };
        dump(&loaded.render(&say, &context, native))
    }
}

fn case_facts(case: &Map<String, Value>) -> CaseFacts {
    CaseFacts {
        key: case["key"].as_str().unwrap().into(),
        opened: case["opened"].as_str().unwrap().parse().unwrap(),
        count: case["count"].as_u64().unwrap(),
        last: case["opened"].as_str().unwrap().parse().unwrap(),
        closed: false,
        step: 0,
        overdue: false,
    }
}

fn dump(rendered: &Rendered) -> String {
    let message = &rendered.message;
    let mut lines = vec![format!("title: {}", message.title), format!("severity: {}", message.severity)];
    lines.extend(message.link.iter().map(|link| format!("link: {link}")));
    lines.extend(message.image.iter().map(|image| format!("image: {image}")));
    lines.extend(message.fields.iter().map(|field| format!("field {}: {}", field.name, field.value)));
    if rendered.undefined > 0 {
        lines.push(format!("undefined: {}", rendered.undefined));
    }
    lines.extend(rendered.problem.iter().map(|problem| format!("problem: {problem}")));
    match &rendered.native {
        Some(Native::Json(json)) => lines.push(format!("native: {}", serde_json::to_string_pretty(json).unwrap())),
        Some(Native::Html(html)) => lines.push(format!("native: {html}")),
        None => {}
    }
    blocks(&message.body, "", &mut lines);
    lines.join("\n") + "\n"
}

fn blocks(all: &[Block], indent: &str, lines: &mut Vec<String>) {
    let deeper = format!("{indent}  ");
    for block in all {
        match block {
            Block::Heading(level, inner) => lines.push(format!("{indent}heading {level}: {}", inlines(inner))),
            Block::Paragraph(inner) => lines.push(format!("{indent}paragraph: {}", inlines(inner))),
            Block::Bullets(items) => items.iter().for_each(|item| {
                lines.push(format!("{indent}bullet"));
                blocks(item, &deeper, lines);
            }),
            Block::Numbered(first, items) => items.iter().zip(*first..).for_each(|(item, nth)| {
                lines.push(format!("{indent}number {nth}"));
                blocks(item, &deeper, lines);
            }),
            Block::Quote(inner) => {
                lines.push(format!("{indent}quote"));
                blocks(inner, &deeper, lines);
            }
            Block::Code(language, code) => lines.push(format!("{indent}code {language:?}: {code:?}")),
            Block::Table(head, rows) => {
                let row = |row: &[Vec<Inline>]| row.iter().map(|cell| inlines(cell)).collect::<Vec<_>>().join(" | ");
                lines.push(format!("{indent}table: {}", row(head)));
                lines.extend(rows.iter().map(|cells| format!("{deeper}row: {}", row(cells))));
            }
            Block::Rule => lines.push(format!("{indent}rule")),
        }
    }
}

fn inlines(all: &[Inline]) -> String {
    let one = |inline: &Inline| match inline {
        Inline::Text(text) => format!("{text:?}"),
        Inline::Emphasis(inner) => format!("emphasis({})", inlines(inner)),
        Inline::Strong(inner) => format!("strong({})", inlines(inner)),
        Inline::Strike(inner) => format!("strike({})", inlines(inner)),
        Inline::Code(code) => format!("code({code:?})"),
        Inline::Link(target, inner) => format!("link({target} {})", inlines(inner)),
        Inline::Break => "break".to_owned(),
    };
    all.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn messages_are_as_their_case_files_say() {
    let cases = cases("ok");
    assert!(cases.len() >= 12);
    for case in cases {
        case.expect(&case.run());
    }
}

#[test]
fn what_fails_says_so_as_its_case_file_has_it() {
    let cases = cases("error");
    assert!(cases.len() >= 8);
    for case in cases {
        case.expect(&case.run());
    }
}
