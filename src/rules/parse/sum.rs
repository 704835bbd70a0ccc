//! `sum`: what is summed, and at which sums a rule acts. Pure.

use super::super::{Compare, FloodBrake, Sum, SumTest, Threshold, Window};
use super::{Reader, key_hints, times};
use crate::decimal::Decimal;
use crate::problem::Problem;
use crate::yaml::{Fields, Node, NodeKind};

impl Reader<'_> {
    /// What a rule counts or sums up before it acts, and how much it may send.
    pub(super) fn counting(&mut self, fields: &mut Fields<'_>) -> (Option<Threshold>, Option<Sum>, Option<FloodBrake>) {
        let threshold = fields.node("threshold", self.problems).and_then(|node| self.threshold(node));
        let sum = fields.node("sum", self.problems).and_then(|node| self.sum(node));
        (threshold, sum, fields.node("flood", self.problems).and_then(|node| self.flood(node)))
    }

    /// `{of, per, window, timezone, gt, gte, lt, lte}`
    fn sum(&mut self, node: &Node) -> Option<Sum> {
        if node.scalar().is_some() {
            let problem = node.expected("`sum`, a mapping");
            self.problems.push(problem.hint("write `sum: {of: amount, per: currency, window: month, gt: 100}`"));
            return None;
        }
        let mut fields = Fields::of(node, "`sum`", self.problems)?.with_key_hints(key_hints::SUM);
        for key in ["of", "window"] {
            if !fields.has(key) {
                fields.missing(key, self.problems);
            }
        }
        let of = fields.text("of", self.problems);
        let of = of.and_then(|(text, node)| self.singular(&text, &node.place, "of"));
        let per = fields.node("per", self.problems);
        let window = self.window(&mut fields);
        let zone = times::zone(&mut fields, "`sum` needs", self.shared.zone.as_ref(), self.problems);
        let tests = Compare::ALL.into_iter().filter_map(|by| self.test_of_sum(&mut fields, by)).collect();
        fields.finish(self.problems);
        let per = per.map(|per| self.key_spec(per, "per"));
        Some(Sum { of: of?, per: per.map_or(Some(None), |per| per.map(Some))?, window: window?, zone: zone?, tests })
    }

    fn window(&mut self, fields: &mut Fields<'_>) -> Option<Window> {
        let (word, node) = fields.text("window", self.problems)?;
        let window = Window::ALL.into_iter().find(|window| window.name() == word);
        if window.is_none() {
            let problem = Problem::error("wrong-word", format!("`{word}` is not a window of the calendar"));
            self.problems.push(problem.at(&node.place).suggest(&word, Window::ALL.map(Window::name)));
        }
        window
    }

    fn test_of_sum(&mut self, fields: &mut Fields<'_>, by: Compare) -> Option<SumTest> {
        let node = fields.node(by.name(), self.problems)?;
        let bound = match &node.kind {
            NodeKind::Number(text) => Decimal::parse(text).map(|bound| SumTest { by, bound, text: text.clone() }),
            _ => None,
        };
        if bound.is_none() {
            let problem = node.expected(&format!("a number for `{}`", by.name()));
            self.problems.push(problem.hint("write a plain number: `gt: 100`, `lte: 12.5`"));
        }
        bound
    }
}
