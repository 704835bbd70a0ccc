//! `attach`: the file that goes with a digest. Pure.

use super::super::{At, Attach};
use super::{Reader, not_cut, not_cut_within};
use crate::problem::Problem;
use crate::yaml::{Fields, Node, NodeKind};

/// The most columns.
const COLUMNS_MAX: usize = 50;

impl Reader<'_> {
    /// `{csv: NAME, columns: {COLUMN: PATH}}`
    pub(super) fn attach(&mut self, node: &Node) -> Option<Attach> {
        if node.scalar().is_some() {
            let problem = node.expected("`attach`, a mapping");
            self.problems.push(problem.hint("write `attach: {csv: \"payments.csv\", columns: {Artist: artist}}`"));
            return None;
        }
        let mut fields = Fields::of(node, "`attach`", self.problems)?;
        let csv = fields.required("csv", self.problems).map(|(value, node)| {
            not_cut(node, self.problems);
            At { value, place: node.place.clone() }
        });
        let columns = fields.required_node("columns", self.problems);
        fields.finish(self.problems);
        let columns = columns.map(|columns| self.columns(columns)).unwrap_or_default();
        Some(Attach { csv: csv?, columns })
    }

    fn columns(&mut self, node: &Node) -> Vec<(String, super::Name)> {
        let NodeKind::Map(entries) = &node.kind else {
            self.problems.push(node.expected("a mapping from column names to paths or names for `columns`"));
            return Vec::new();
        };
        if entries.is_empty() || entries.len() > COLUMNS_MAX {
            let problem = Problem::error("wrong-columns", format!("a file has 1 to {COLUMNS_MAX} columns"));
            self.problems.push(problem.at(&node.place.first_line()));
        }
        let mut columns = Vec::new();
        for (key, item) in entries {
            let NodeKind::Text(text) = &item.kind else {
                self.problems.push(item.expected(&format!("a path or name for the column `{}`", key.text)));
                continue;
            };
            if text.starts_with('$') {
                not_cut_within(item, self.problems);
            }
            columns.extend(self.singular(text, &item.place, "columns").map(|name| (key.text.clone(), name)));
        }
        columns
    }
}
