//! A failure for people: what was expected and what was sent, side by side, with where it stands.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Expectation, Field, Said, Way};
use crate::problem::Location;

/// The widest column of what was expected, in characters.
const EXPECTED_MAX: usize = 40;
/// The widest column of what was sent.
const SENT_MAX: usize = 72;
/// The most lines of one value.
const LINES_MAX: usize = 6;

/// Something that did not go as a test says.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Where the test says so.
    pub place: Location,
    /// What the test's clock showed.
    pub at: Timestamp,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It was expected and not sent; something like it was.
    Different(Box<Expectation>, Box<Said>),
    /// It was expected and not sent.
    Missing(Box<Expectation>),
    /// It was sent, and the `expect` doesn't name it.
    Extra(Box<Said>),
    /// It was sent after the last `expect`.
    Unnamed(Box<Said>),
    /// The test could not be played to its end.
    Stuck(String),
}

/// How a piece of a report is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Wrong.
    Bad,
    /// May be passed over.
    Dim,
}

/// Shows a piece of text in its tone.
type Paint<'p> = &'p dyn Fn(Tone, &str) -> String;

/// One field, as it was expected and as it was sent.
struct Row<'r> {
    name: &'static str,
    field: Field,
    expected: Option<&'r str>,
    sent: Option<&'r str>,
    good: bool,
}

impl Fault {
    /// What is wrong, in a few words.
    pub fn words(&self) -> &str {
        match self {
            Fault::Different(wanted, _) if wanted.way != Way::Message => "an update was expected, and another was sent",
            Fault::Different(..) => "not as expected",
            Fault::Missing(wanted) if wanted.way != Way::Message => "an update was expected, and not sent",
            Fault::Missing(_) => "expected, and not sent",
            Fault::Extra(_) => "sent, and not expected",
            Fault::Unnamed(_) => "sent, and never named",
            Fault::Stuck(why) => why,
        }
    }

    /// The key of a field: an update's destination is what it `changes` or `closes`.
    fn key(&self, field: Field) -> &'static str {
        let way = self.expected().map(|wanted| wanted.way).or(self.sent().map(|sent| sent.way));
        way.filter(|_| field == Field::To).map_or(field.name(), Way::key)
    }

    /// What was expected.
    pub fn expected(&self) -> Option<&Expectation> {
        match self {
            Fault::Different(expected, _) | Fault::Missing(expected) => Some(expected),
            Fault::Extra(_) | Fault::Unnamed(_) | Fault::Stuck(_) => None,
        }
    }

    /// What was sent.
    pub fn sent(&self) -> Option<&Said> {
        match self {
            Fault::Different(_, sent) | Fault::Extra(sent) | Fault::Unnamed(sent) => Some(sent),
            Fault::Missing(_) | Fault::Stuck(_) => None,
        }
    }
}

impl Failed {
    /// The failure for people, its times in this zone, each line indented by four; ends with a line break.
    pub fn render(&self, zone: &TimeZone, paint: Paint<'_>) -> String {
        let mut out = String::new();
        let place = format!("{}:{}:{}", self.place.file.path, self.place.line(), self.place.column());
        let clock = |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string();
        let at = match self.fault.sent().filter(|sent| sent.at != self.at) {
            Some(sent) => format!("{}; sent {}", clock(self.at), clock(sent.at)),
            None => clock(self.at),
        };
        // Writing to a String can't fail.
        let _ = writeln!(out, "    {place}: {} {}", self.fault.words(), paint(Tone::Dim, &format!("({at})")));
        let rows = self.rows();
        if rows.is_empty() {
            return out;
        }
        let (expected, sent) = (self.fault.expected().is_some(), self.fault.sent().is_some());
        let widest = rows.iter().filter_map(|row| row.expected).map(|text| text.chars().count()).max().unwrap_or(0);
        let width = widest.clamp("expected".len(), EXPECTED_MAX);
        if expected && sent {
            let head = format!("      {:<8}  {:<width$}  {}", "", "expected", "sent");
            let _ = writeln!(out, "{}", paint(Tone::Dim, &head));
        }
        for row in &rows {
            row.write(expected.then_some(width), sent, paint, &mut out);
        }
        // A part of it was written, where a glob is held against all of it.
        let part = rows.iter().find_map(|row| match (row.expected, row.sent) {
            (Some(part), Some(all)) if !row.good && !part.contains('*') && all.contains(part) => Some(part),
            _ => None,
        });
        if let Some(part) = part {
            let _ = writeln!(
                out,
                "      {}",
                paint(Tone::Dim, &format!("a part of it is written with stars: \"*{part}*\""))
            );
        }
        out
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let (expected, sent) = (self.fault.expected(), self.fault.sent());
        let rows = Field::ALL.into_iter().map(|field| {
            let wanted = expected.and_then(|expected| expected.fields.iter().find(|(of, _)| *of == field));
            let came = sent.map(|sent| sent.get(field));
            Row {
                name: self.fault.key(field),
                field,
                expected: wanted.map(|(_, pattern)| pattern.text.as_str()),
                sent: came,
                good: wanted.zip(came).is_none_or(|((_, pattern), came)| pattern.glob.matches(came)),
            }
        });
        // Beside an expectation, the text is shown only where it was asked for: it repeats the title, and is long.
        let wanted = |row: &Row<'_>| match (row.expected, row.sent) {
            (None, None) => false,
            (None, Some("")) if matches!(row.field, Field::Address | Field::File) => false,
            (None, Some(_)) => expected.is_none() || !matches!(row.field, Field::Text | Field::File),
            (Some(_), _) => true,
        };
        rows.filter(wanted).collect()
    }
}

impl Row<'_> {
    fn write(&self, expected: Option<usize>, sent: bool, paint: Paint<'_>, out: &mut String) {
        let left = expected.map(|width| wrapped(self.expected.unwrap_or_default(), width)).unwrap_or_default();
        let right = if sent { wrapped(self.sent.unwrap_or_default(), SENT_MAX) } else { Vec::new() };
        for at in 0..left.len().max(right.len()).max(1) {
            let name = if at == 0 { self.name } else { "" };
            let mark = if self.good || at > 0 { " " } else { "≠" };
            let mut line = format!("    {mark} {name:<8}");
            if let Some(width) = expected {
                let cell = left.get(at).map(String::as_str).unwrap_or_default();
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                let tone = if self.good { Tone::Dim } else { Tone::Good };
                let _ = write!(line, "  {}{gap}", if cell.is_empty() { String::new() } else { paint(tone, cell) });
            }
            if let Some(cell) = right.get(at).filter(|cell| !cell.is_empty()) {
                let tone = if self.good { Tone::Dim } else { Tone::Bad };
                let _ = write!(line, "  {}", paint(tone, cell));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

/// The text in lines of at most `width` characters, broken at blanks where it can be, and no more than a few of them.
/// Control characters are shown and not sent.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let mut word: Vec<char> = word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            if !line.is_empty() && line.chars().count() + 1 + word.len() > width {
                lines.push(std::mem::take(&mut line));
            }
            while word.len() > width {
                let rest = word.split_off(width);
                lines.push(word.into_iter().collect());
                word = rest;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.extend(word);
        }
        lines.push(line);
    }
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        lines.push("…".into());
    }
    lines
}
