//! `flood`: how much more than its usual makes a rule wait. Pure.

use super::super::FloodBrake;
use super::Reader;
use crate::problem::Problem;
use crate::yaml::{Fields, Node};

/// How many times its usual a rule may send.
const TIMES: u64 = 10;
/// How many messages in an hour are no flood, whatever is usual.
const LEAST: u64 = 20;
/// The most of either.
const MAX: u64 = 100_000;

impl Reader<'_> {
    /// `{times, least}`
    pub(super) fn flood(&mut self, node: &Node) -> Option<FloodBrake> {
        if node.scalar().is_some() {
            let problem = node.expected("`flood`, a mapping");
            self.problems.push(problem.hint("write `flood: {times: 10, least: 20}`"));
            return None;
        }
        let mut fields = Fields::of(node, "`flood`", self.problems)?;
        let mut whole = |key, least, default| {
            let place = fields.peek(key).map(|node| node.place.clone());
            let number = fields.whole(key, least, self.problems).unwrap_or(default);
            if let Some(place) = place.filter(|_| number > MAX) {
                let message = format!("`{key}` is at most {MAX}");
                self.problems.push(Problem::error("too-many", message).at(&place));
            }
            number
        };
        let (times, least) = (whole("times", 2, TIMES), whole("least", 1, LEAST));
        fields.finish(self.problems);
        Some(FloodBrake { times, least })
    }
}
