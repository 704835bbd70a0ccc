//! Values as a table for spreadsheets: RFC 4180, and no cell that a spreadsheet takes for a formula.
//!
//! Pure. A number keeps the text in which it was sent, so nothing is rounded. A text is always in quotes, since some
//! spreadsheets also split at semicolons, and gets an apostrophe before it if it could begin a formula.

use serde_json::Value;

use crate::decimal::Decimal;
use crate::message::template::filters::places_needed;

/// What begins a formula somewhere, in the full-width forms too that some spreadsheets take for the same.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// A number, as it was written.
    Number(String),
    /// A text; empty for nothing.
    Text(String),
}

impl Cell {
    /// What a value is in a table. A text that is a number is one; a list or mapping is its JSON.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Text(String::new()),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) if Decimal::parse(text).is_some() => Self::Number(text.clone()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Self::Text(value.to_string()),
        }
    }

    /// An amount of money with at least this many decimals, and no more than it needs: 1500.00 yen are `1500`.
    pub fn money(value: &Value, places: usize) -> Self {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_owned(),
            _ => return Self::of(value),
        };
        match Decimal::parse_grouped(&text).and_then(|number| number.fixed(places.max(places_needed(&number)))) {
            Some(fixed) => Self::Number(fixed),
            None => Self::of(value),
        }
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Number(number) => to.push_str(number),
            Self::Text(text) if text.is_empty() => {}
            Self::Text(text) => {
                to.push('"');
                let begins = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
                if begins.starts_with(FORMULA) || text.starts_with(['\t', '\r', '\n']) {
                    to.push('\'');
                }
                for c in text.chars() {
                    match c {
                        '"' => to.push_str("\"\""),
                        '\n' | '\t' => to.push(c),
                        c if c.is_control() => {}
                        c => to.push(c),
                    }
                }
                to.push('"');
            }
        }
    }
}

/// One line, with its end.
pub fn line(cells: impl IntoIterator<Item = Cell>) -> String {
    let mut line = String::new();
    for (nth, cell) in cells.into_iter().enumerate() {
        if nth > 0 {
            line.push(',');
        }
        cell.write(&mut line);
    }
    line.push_str("\r\n");
    line
}

/// A file's name of a text: one line, without what some system takes for more than a name, and with this ending.
pub fn file_name(text: &str, ending: &str) -> String {
    let name: String = crate::message::text::one_line(text)
        .chars()
        .map(|c| if matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|') { '-' } else { c })
        .take(100)
        .collect();
    let stem = name.strip_suffix(ending).unwrap_or(&name).trim_matches(|c: char| c == '.' || c.is_whitespace());
    if stem.is_empty() { format!("events{ending}") } else { format!("{stem}{ending}") }
}
