//! Two rules that tell one place the same.

use std::collections::BTreeMap;

use crate::config::load::Whole;
use crate::delivery::Say;
use crate::problem::{Problem, Problems};
use crate::rules::{Action, Condition, Rule};

/// The most pairs of actions that are compared, so that no file keeps `check` busy: far more than a team's rules have.
const PAIRS_MAX: usize = 100_000;

/// A rule, and what of it is compared with every other.
struct Side<'a> {
    rule: &'a Rule,
    when: Option<String>,
    /// For each known type, whether it receives it.
    known: Vec<bool>,
    globs: Vec<&'a str>,
}

/// An action, and the rule that asks for it.
type Said<'a> = (&'a Side<'a>, &'a Action);

/// Actions of two rules that say the same to one destination, of the same events, under the same condition.
pub(super) fn said_twice(whole: &Whole, problems: &mut Problems) {
    let types = whole.known_types().unwrap_or_default();
    let rules = whole.rules.rules.iter();
    let rules = rules.filter(|rule| rule.enabled && !rule.shadow && rule.missing.is_none());
    let sides: Vec<Side<'_>> = rules.map(|rule| Side::of(rule, &types)).collect();
    // Only what is said to one destination can be the same.
    let mut by_place: BTreeMap<(&str, Option<&str>), Vec<Said<'_>>> = BTreeMap::new();
    let mut pairs = 0;
    for side in &sides {
        for action in &side.rule.actions {
            let mut twin = None;
            for to in &action.to {
                let before = by_place.entry((&to.value, side.when.as_deref())).or_default();
                twin = twin.or_else(|| {
                    let room = PAIRS_MAX.saturating_sub(pairs);
                    pairs += before.len().min(room);
                    let mut before = before.iter().take(room);
                    before.find(|(first, twin)| same(twin, action) && first.overlaps(side)).map(|found| (*found, to))
                });
            }
            if let Some(((first, twin), to)) = twin {
                let message = format!(
                    "`{}` and `{}` send `{}` the same message about the same events",
                    first.rule.name.value, side.rule.name.value, to.value
                );
                problems.push(
                    Problem::warning("said-twice", message)
                        .at(&action.say.place.first_line())
                        .also(&twin.say.place.first_line(), "said here too")
                        .hint("remove one, or make their `events` or `when` differ"),
                );
            }
        }
        for action in &side.rule.actions {
            for to in &action.to {
                by_place.entry((&to.value, side.when.as_deref())).or_default().push((side, action));
            }
        }
    }
}

impl<'a> Side<'a> {
    fn of(rule: &'a Rule, types: &[&str]) -> Self {
        Self {
            rule,
            when: signature(rule.when.as_ref()),
            known: types.iter().map(|kind| rule.events.accept(kind, false)).collect(),
            globs: rule.events.texts().iter().map(|glob| glob.text.as_str()).collect(),
        }
    }

    /// Whether an event can match both, as far as its source and type go.
    fn overlaps(&self, other: &Self) -> bool {
        let (one, two) = (&self.rule.source, &other.rule.source);
        if one != two && one.is_some() && two.is_some() {
            return false;
        }
        let both = |kind: &str, own: bool| self.rule.events.accept(kind, own) && other.rule.events.accept(kind, own);
        // Types that one of them names are known to that one.
        let mut named = self.globs.iter().chain(&other.globs).filter(|glob| !glob.contains(['*', '?', '{', '!']));
        self.globs == other.globs
            || self.known.iter().zip(&other.known).any(|(one, two)| *one && *two)
            || named.any(|kind| both(kind, false) || both(kind, true))
    }
}

fn signature(condition: Option<&Condition>) -> Option<String> {
    condition.map(|condition| condition.tree.signature())
}

/// Whether two actions say the same at the same time.
fn same(one: &Action, other: &Action) -> bool {
    let at = |action: &Action| action.at.as_ref().map(|at| (at.offset, at.path.text.clone()));
    let says_something = !matches!(one.say.value, Say::Summary);
    says_something
        && one.say.value == other.say.value
        && one.with == other.with
        && (one.after, one.repeat, one.once, one.update, one.deadline, one.otherwise)
            == (other.after, other.repeat, other.once, other.update, other.deadline, other.otherwise)
        && at(one) == at(other)
        && signature(one.when.as_ref()) == signature(other.when.as_ref())
}
