//! Tables of events, such as the file that goes with a digest: a row for each event, by the names that are in force.
//!
//! Pure.

use serde_json::Value;

use crate::delivery::Attach;
use crate::event::Event;
use crate::message::File;
use crate::message::csv::{self, Cell};
use crate::message::template::filters::minor_places;
use crate::path::{Path, STEPS};
use crate::rules::{Name, RuleSet};

/// The most bytes of a file: the oldest rows beyond that are left out.
const FILE_MAX: usize = 1 << 20;

/// The name whose values are amounts of money, and the name of their currency.
const MONEY: (&str, &str) = ("amount", "currency");

/// What selects the value of a column.
enum Column<'r> {
    Name(&'r Name),
    Path(Path),
    /// A name that no rules file has any more.
    Nothing,
}

impl<'r> Column<'r> {
    fn of(text: &str, rules: Option<&'r RuleSet>) -> Self {
        if text.starts_with('$') {
            return Path::parse(text).map_or(Self::Nothing, Self::Path);
        }
        rules.and_then(|rules| rules.names.get(text)).map_or(Self::Nothing, Self::Name)
    }

    fn select<'v>(&self, event: &Event, root: &'v Value) -> Option<&'v Value> {
        let first = |path: &Path| {
            let mut steps = STEPS;
            path.select(root, &mut steps).ok()?.first().copied()
        };
        match self {
            Self::Name(name) => name.queries(&event.source).iter().find_map(|query| first(&query.path)),
            Self::Path(path) => first(path),
            Self::Nothing => None,
        }
    }
}

/// The columns of a table of events.
pub struct Columns<'r> {
    all: Vec<(&'r str, &'r str, Column<'r>)>,
    currency: Column<'r>,
}

impl<'r> Columns<'r> {
    /// Columns of these names, each with the name or path that selects its value.
    pub fn of(columns: &'r [(String, String)], rules: Option<&'r RuleSet>) -> Self {
        let all = columns.iter().map(|(column, text)| (column.as_str(), text.as_str(), Column::of(text, rules)));
        Self { all: all.collect(), currency: Column::of(MONEY.1, rules) }
    }

    /// The first that selects by a name that no rules file has, or by a path that is none.
    pub fn unknown(&self) -> Option<&str> {
        self.all.iter().find(|(.., column)| matches!(column, Column::Nothing)).map(|(_, text, _)| *text)
    }

    /// The first line of the table.
    pub fn head(&self) -> String {
        csv::line(self.all.iter().map(|(column, ..)| Cell::Text((*column).to_owned())))
    }

    /// The line of an event.
    pub fn row(&self, event: &Event) -> String {
        let root = event.root();
        csv::line(self.all.iter().map(|(_, text, column)| {
            let Some(value) = column.select(event, &root) else { return Cell::Text(String::new()) };
            match self.currency.select(event, &root).and_then(Value::as_str).filter(|_| *text == MONEY.0) {
                Some(code) => Cell::money(value, minor_places(&code.trim().to_ascii_uppercase())),
                None => Cell::of(value),
            }
        }))
    }
}

/// The file of these events, oldest first, and how many of them it lacks.
pub(super) fn file(attach: &Attach, name: &str, rules: Option<&RuleSet>, events: &[Event]) -> (File, usize) {
    let columns = Columns::of(&attach.columns, rules);
    let head = columns.head();
    let (mut rows, mut bytes) = (Vec::new(), head.len());
    for event in events.iter().rev() {
        let row = columns.row(event);
        bytes += row.len();
        if bytes > FILE_MAX {
            break;
        }
        rows.push(row);
    }
    let left_out = events.len() - rows.len();
    let text = head + &rows.into_iter().rev().collect::<String>();
    (File { name: csv::file_name(name, ".csv"), text }, left_out)
}
