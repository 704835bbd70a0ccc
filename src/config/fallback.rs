//! `fallback:` of a destination: where a message goes that could not be delivered, and how long that is waited for.
//!
//! Reads values only; whether its destinations are there is for `check`.

use jiff::SignedDuration;

use crate::problem::{Location, Problem, Problems};
use crate::yaml::{Fields, Node, NodeKind};

/// How long after it became due a message goes to the fallback of a channel that pages people, unless it says otherwise.
const AFTER: SignedDuration = SignedDuration::from_mins(5);
/// And how soon it may.
const AFTER_MIN: SignedDuration = SignedDuration::from_secs(1);

/// The destinations, with their places, and how long after it became due a message goes there; `None`: once its delivery is
/// dead.
type Fallback = (Vec<(String, Location)>, Option<SignedDuration>);

/// Where to go instead, and after how long: `[finance]`, or `{to: [finance], after: 5m}`.
/// `pages`: the channel is
/// there to wake people, and its fallback is notified before its deliveries die.
pub fn read(fields: &mut Fields<'_>, pages: bool, problems: &mut Problems) -> Fallback {
    let is_mapping = fields.peek("fallback").is_some_and(|node| matches!(node.kind, NodeKind::Map(_)));
    let placed =
        |texts: Vec<(String, &Node)>| texts.into_iter().map(|(text, node)| (text, node.place.clone())).collect();
    if !is_mapping {
        let to: Vec<_> = placed(fields.texts("fallback", problems));
        let after = (pages && !to.is_empty()).then_some(AFTER);
        return (to, after);
    }
    let node = fields.node("fallback", problems);
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "`fallback`", problems)) else {
        return (Vec::new(), None);
    };
    if !fields.has("to") {
        fields.missing("to", problems);
    }
    let to = placed(fields.texts("to", problems));
    let after = fields.span("after", problems);
    if after.is_some_and(|after| after < AFTER_MIN) {
        let problem = Problem::error("fallback", "`after` of `fallback` is shorter than 1s");
        problems.push(problem.at(&fields.place).hint("`5m` gives the destination time for a few attempts"));
    }
    fields.finish(problems);
    (to, after.or(pages.then_some(AFTER)))
}
