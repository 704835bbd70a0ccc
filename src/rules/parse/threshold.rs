//! `threshold`: how many matches make a rule act. Pure.

use jiff::SignedDuration;

use super::super::Threshold;
use super::Reader;
use crate::problem::Problem;
use crate::yaml::{Fields, Node};

/// The most matches that are counted: each is kept until then.
const COUNT_MAX: u64 = 1000;

impl Reader<'_> {
    /// `{count, within, per}`
    pub(super) fn threshold(&mut self, node: &Node) -> Option<Threshold> {
        if node.scalar().is_some() {
            let problem = node.expected("`threshold`, a mapping");
            self.problems.push(problem.hint("write `threshold: {count: 3, within: 1h}`"));
            return None;
        }
        let mut fields = Fields::of(node, "`threshold`", self.problems)?;
        for key in ["count", "within"] {
            if !fields.has(key) {
                fields.missing(key, self.problems);
            }
        }
        let place = fields.peek("count").map(|node| node.place.clone());
        let count = fields.whole("count", 2, self.problems);
        if let (Some(count), Some(place)) = (count, place)
            && count > COUNT_MAX
        {
            let message = format!("a threshold counts at most {COUNT_MAX} matches");
            self.problems.push(Problem::error("too-many", message).at(&place));
        }
        let within = self.positive_span(&mut fields, "within", SignedDuration::from_secs(1));
        let per = fields.node("per", self.problems);
        fields.finish(self.problems);
        let per = per.and_then(|per| self.key_spec(per, "per"));
        Some(Threshold { count: count?, within: within?, per })
    }
}
