//! What was sent, held against what was expected: one to one, in any order.

use jiff::Timestamp;

use super::{Expectation, Field, Way};

/// What was sent: a message, or an update of what was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When it was sent.
    pub at: Timestamp,
    /// What it is.
    pub way: Way,
    /// The rule.
    pub rule: String,
    /// The destination.
    pub to: String,
    /// The title.
    pub title: String,
    /// The whole message as plain text.
    pub text: String,
    /// The severity.
    pub severity: String,
    /// The address that a map gave; empty where none did.
    pub address: String,
    /// The name of the file that goes with it, and its text below that; empty where there is none.
    pub file: String,
}

impl Said {
    /// What it says for a field.
    pub fn get(&self, field: Field) -> &str {
        match field {
            Field::Rule => &self.rule,
            Field::To => &self.to,
            Field::Title => &self.title,
            Field::Text => &self.text,
            Field::Severity => &self.severity,
            Field::Address => &self.address,
            Field::File => &self.file,
        }
    }
}

impl Expectation {
    /// Whether this is what it asks for.
    pub fn accepts(&self, said: &Said) -> bool {
        self.way == said.way && self.fields.iter().all(|(field, pattern)| pattern.glob.matches(said.get(*field)))
    }

    /// How much of what it asks for this is, for showing what came nearest. An update is nothing like a message.
    fn likeness(&self, said: &Said) -> usize {
        if self.way != said.way {
            return 0;
        }
        let weight = |field| if matches!(field, Field::To | Field::Rule) { 2 } else { 1 };
        let like = self.fields.iter().filter(|(field, pattern)| pattern.glob.matches(said.get(*field)));
        like.map(|(field, _)| weight(*field)).sum()
    }
}

/// What is wrong between what was expected and what was sent, by their places in the two lists.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Expected, and not sent; beside it what was sent in its place, where something came near.
    pub missing: Vec<(usize, Option<usize>)>,
    /// Sent, and not expected, nor near to anything that was.
    pub extra: Vec<usize>,
}

impl Compared {
    /// Whether all is as expected.
    pub fn is_good(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

/// Holds what was sent against what was expected. As many as can be are matched, whatever their order; updates that
/// nobody asks for are no fault.
pub fn compare(expected: &[Expectation], sent: &[Said]) -> Compared {
    let taken = matched(expected, sent);
    let is_matched = |at: usize| taken.contains(&Some(at));
    let mut missing: Vec<usize> = (0..expected.len()).filter(|at| !is_matched(*at)).collect();
    let mut extra: Vec<usize> = (0..sent.len()).filter(|at| taken.get(*at) == Some(&None)).collect();
    let mut compared = Compared::default();
    // The likest pairs first, so that each is shown beside what it was surely meant to be.
    while let Some((wanted, came)) = likest(expected, sent, &missing, &extra) {
        compared.missing.push((wanted, Some(came)));
        missing.retain(|at| *at != wanted);
        extra.retain(|at| *at != came);
    }
    compared.missing.extend(missing.into_iter().map(|at| (at, None)));
    compared.missing.sort_unstable();
    compared.extra =
        extra.into_iter().filter(|at| sent.get(*at).is_some_and(|said| said.way == Way::Message)).collect();
    compared
}

fn likest(expected: &[Expectation], sent: &[Said], missing: &[usize], extra: &[usize]) -> Option<(usize, usize)> {
    let mut best: Option<(usize, usize, usize)> = None;
    for wanted in missing {
        for came in extra {
            let likeness = expected.get(*wanted).zip(sent.get(*came)).map_or(0, |(wanted, said)| wanted.likeness(said));
            if likeness > best.map_or(0, |(likeness, ..)| likeness) {
                best = Some((likeness, *wanted, *came));
            }
        }
    }
    best.map(|(_, wanted, came)| (wanted, came))
}

/// For each sent one the expectation that it is matched with: a largest matching, found by augmenting paths.
fn matched(expected: &[Expectation], sent: &[Said]) -> Vec<Option<usize>> {
    let mut taken = vec![None; sent.len()];
    for wanted in 0..expected.len() {
        let mut seen = vec![false; sent.len()];
        augment(wanted, expected, sent, &mut taken, &mut seen);
    }
    taken
}

/// Finds a place for one expectation, moving others to where they fit as well.
fn augment(
    wanted: usize,
    expected: &[Expectation],
    sent: &[Said],
    taken: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    let Some(expectation) = expected.get(wanted) else { return false };
    for (at, said) in sent.iter().enumerate() {
        if seen.get(at) != Some(&false) || !expectation.accepts(said) {
            continue;
        }
        if let Some(seen) = seen.get_mut(at) {
            *seen = true;
        }
        let holder = taken.get(at).copied().flatten();
        if holder.is_none_or(|holder| augment(holder, expected, sent, taken, seen)) {
            if let Some(taken) = taken.get_mut(at) {
                *taken = Some(wanted);
            }
            return true;
        }
    }
    false
}
