//! `throttle`, `digest` and `hours`: what a rule says for its actions, and each action for itself. Pure.

use jiff::SignedDuration;

use super::super::{Digest, DigestTime, HoursChoice, Throttle};
use super::{Reader, entry_of, times};
use crate::problem::Problem;
use crate::yaml::{Fields, Node, NodeKind, span_hint, span_of_time};

/// The shortest `repeat`: people are no faster.
pub(super) const REPEAT_MIN: SignedDuration = SignedDuration::from_mins(1);
/// The most events a digest shows if it doesn't say.
const DIGEST_LIMIT: usize = 50;
/// The most events a digest may show.
const DIGEST_LIMIT_MAX: u64 = 1000;

/// What an action belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belongs {
    /// A rule with `case`.
    pub case: bool,
    /// A rule with `missing`.
    pub missing: bool,
}

/// What the rule says for actions that don't say it themselves.
#[derive(Debug)]
pub(super) struct Defaults {
    pub throttle: Option<Throttle>,
    pub digest: Option<Digest>,
    pub hours: Option<HoursChoice>,
}

impl Reader<'_> {
    pub(super) fn defaults(&mut self, fields: &mut Fields<'_>, belongs: Belongs) -> Defaults {
        Defaults {
            throttle: fields.node("throttle", self.problems).and_then(|node| self.throttle(node, belongs)),
            digest: fields.node("digest", self.problems).and_then(|node| self.digest(node, belongs)),
            hours: fields.node("hours", self.problems).and_then(|node| self.hours(node)),
        }
    }

    fn hours(&mut self, node: &Node) -> Option<HoursChoice> {
        if let NodeKind::Text(word) = &node.kind {
            self.used.insert(("hours", word.clone()));
        }
        // Hours that could not be read have been reported.
        if let NodeKind::Text(word) = &node.kind
            && self.shared.places.contains_key(&("hours", word.clone()))
            && !self.shared.hours.contains_key(word)
        {
            return None;
        }
        times::hours_choice(node, &self.shared.hours, self.shared.zone.as_ref(), self.problems)
    }

    fn throttle(&mut self, node: &Node, belongs: Belongs) -> Option<Throttle> {
        if let Some(span) = node.scalar().filter(|text| span_of_time(text).is_some()) {
            self.problems
                .push(node.expected("`throttle`, a mapping").hint(format!("write `throttle: {{every: {span}}}`")));
            return None;
        }
        let rate = node.scalar().and_then(|text| text.split_once('/'));
        if let Some((max, unit)) = rate
            && max.parse::<u32>().is_ok()
        {
            let every =
                if unit.starts_with(|c: char| c.is_ascii_digit()) { unit.to_owned() } else { format!("1{unit}") };
            let write = match span_of_time(&every) {
                Some(_) => format!("write `throttle: {{max: {max}, every: {every}}}`"),
                None => format!("write `throttle: {{max: {max}, every: 1h}}`"),
            };
            self.problems.push(node.expected("`throttle`, a mapping").hint(write));
            return None;
        }
        let mut fields = Fields::of(node, "`throttle`", self.problems)?;
        let per = fields.node("per", self.problems);
        self.per_fits(node, belongs);
        let per = per.and_then(|per| self.key_spec(per, "per"));
        let max = fields.whole("max", 1, self.problems).unwrap_or(1);
        if !fields.has("every") {
            fields.missing("every", self.problems);
        }
        let every = self.positive_span(&mut fields, "every", SignedDuration::from_secs(1));
        let rest = fields.text("rest", self.problems);
        fields.finish(self.problems);
        if let Some((word, node)) = &rest
            && !["drop", "digest"].contains(&word.as_str())
        {
            let problem = Problem::error("wrong-word", format!("`{word}` is not what can be done with the rest"));
            self.problems.push(problem.at(&node.place).suggest(word, ["drop", "digest"]));
        }
        Some(Throttle { per, max, every: every?, rest_digest: rest.is_some_and(|(word, _)| word == "digest") })
    }

    fn digest(&mut self, node: &Node, belongs: Belongs) -> Option<Digest> {
        if node.scalar().is_some() {
            let problem = node.expected("`digest`, a mapping");
            self.problems.push(problem.hint("write `digest: {every: 1h}`, or `digest: {at: \"16:00\", days: fri}`"));
            return None;
        }
        let mut fields = Fields::of(node, "`digest`", self.problems)?;
        let per = fields.node("per", self.problems);
        self.per_fits(node, belongs);
        let per = per.and_then(|per| self.key_spec(per, "per"));
        let limit = fields.whole("limit", 1, self.problems);
        if let (Some(limit), Some((_, node))) = (limit, entry_of(node, "limit"))
            && limit > DIGEST_LIMIT_MAX
        {
            let message = format!("a digest shows at most {DIGEST_LIMIT_MAX} events");
            self.problems.push(Problem::error("too-many", message).at(&node.place));
        }
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DIGEST_LIMIT);
        let when = match (fields.has("every"), fields.has("at")) {
            (true, false) => {
                self.days_without_time(node);
                self.positive_span(&mut fields, "every", SignedDuration::from_secs(1)).map(DigestTime::Every)
            }
            (false, true) => times::day_times(&mut fields, self.shared.zone.as_ref(), self.problems),
            (both, _) => {
                let message = match both {
                    true => "a digest has `every` or `at`, not both",
                    false => "a digest needs a time",
                };
                self.problems.push(
                    Problem::error("does-not-fit", message)
                        .at(&node.place.first_line())
                        .hint("write `every: 1h`, or `at: \"16:00\", days: fri`"),
                );
                None
            }
        };
        // Known keys, though they don't fit here.
        let others: &[&'static str] = match when {
            Some(DigestTime::Every(_)) => &["at", "days", "month_days", "timezone"],
            Some(DigestTime::At(_)) => &["every"],
            None => &["every", "at", "days", "month_days", "timezone"],
        };
        for key in others {
            fields.take(key);
        }
        fields.finish(self.problems);
        Some(Digest { per, when: when?, limit })
    }

    fn days_without_time(&mut self, node: &Node) {
        for key in ["days", "month_days", "timezone"] {
            if let Some((key, _)) = entry_of(node, key) {
                self.problems.push(
                    Problem::error("does-not-fit", format!("`{}` goes with `at`, not with `every`", key.text))
                        .at(&key.place)
                        .hint("write `at: \"16:00\", days: fri`"),
                );
            }
        }
    }

    fn per_fits(&mut self, node: &Node, belongs: Belongs) {
        if let (true, Some((key, _))) = (belongs.missing, entry_of(node, "per")) {
            self.problems.push(
                Problem::error("does-not-fit", "`per` needs an event, and `missing` acts when none came")
                    .at(&key.place)
                    .hint("remove it"),
            );
        }
    }

    pub(super) fn positive_span(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        least: SignedDuration,
    ) -> Option<SignedDuration> {
        let (text, node) = fields.text(key, self.problems)?;
        let problem = match span_of_time(&text) {
            Some(span) if span >= least => return Some(span),
            Some(_) => {
                let least = if least < REPEAT_MIN { "1s" } else { "1m" };
                Problem::error("wrong-span", format!("`{key}: {text}` is too short"))
                    .hint(format!("at least `{least}`"))
            }
            None => Problem::error("wrong-span", format!("`{text}` is not a time span")).hint(span_hint(&text)),
        };
        self.problems.push(problem.at(&node.place));
        None
    }
}
