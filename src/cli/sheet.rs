//! `fanfare events export --columns`: events as a table for spreadsheets.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::cli::backtest::Exported;
use crate::cli::load_without_secrets;
use crate::config::attach::Columns;
use crate::rules::RuleSet;

/// The columns of a table, `Artist=artist`, each with the name or path that selects its value.
pub(super) fn columns(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let column = |part: &str| {
        let (name, of) = part.split_once('=').unwrap_or((part, part));
        let (name, of) = (name.trim(), of.trim());
        if name.is_empty() || of.is_empty() {
            bail!("`{part}` is no column: write `Artist=artist` or `Artist=$.data.artist`");
        }
        Ok((name.to_owned(), of.to_owned()))
    };
    text.split(',').map(column).collect()
}

/// Writes a table, a row an event.
pub(super) struct Sheet<'c, W> {
    columns: Columns<'c>,
    out: W,
}

impl<'c, W: Write> Sheet<'c, W> {
    /// A table with its first line.
    pub fn begin(columns: &'c [(String, String)], rules: Option<&'c RuleSet>, mut out: W) -> anyhow::Result<Self> {
        let columns = Columns::of(columns, rules);
        if let Some(unknown) = columns.unknown() {
            bail!("there is no name `{unknown}`, and it is no path: write a name of `names:`, or `$.data.…`");
        }
        out.write_all(columns.head().as_bytes())?;
        Ok(Self { columns, out })
    }

    /// An event as the API shows it.
    pub fn add(&mut self, item: &Value) -> anyhow::Result<()> {
        let exported: Exported = serde_json::from_value(item.clone()).context("the server answered no event")?;
        let (_, event) = exported.event()?;
        Ok(self.out.write_all(self.columns.row(&event).as_bytes())?)
    }

    /// All is written.
    pub fn end(mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// The rules of the folder at hand, for their names.
pub(super) fn rules(config: &Path) -> Option<std::sync::Arc<RuleSet>> {
    load_without_secrets(config).snapshot.and_then(|snapshot| snapshot.rules)
}
