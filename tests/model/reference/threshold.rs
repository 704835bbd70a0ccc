//! `docs/RULES.md`, "threshold: act at the third".

use fanfare::event::{Event, Seq};
use fanfare::rules::Judgement;

use super::super::{DAY, Ms, ms};
use super::cases::span_ms;
use super::{Now, Reference};

/// A match that was counted.
#[derive(Debug, Clone)]
pub struct Counted {
    line: String,
    /// The value of `per`; nothing for all that lack one, or where there is no `per`.
    group: Option<String>,
    created: Ms,
    seq: Seq,
    /// When the count is forgotten, if nothing more comes, and the latest that a clock has shown since.
    until: Ms,
    seen: Ms,
}

impl Counted {
    pub(super) fn seen(&mut self, now: Ms) {
        self.seen = self.seen.max(now);
    }
}

impl Reference {
    /// "The rule acts at the third match within an hour, for each release; then the count begins anew. Matches are counted by
    /// their `created`." "Matches that lack the value of `per` are counted together." "Fanfare forgets a count a day after its
    /// span is over." Gives those that count together, oldest first, if there are enough.
    pub(super) fn count_up(
        &mut self,
        now: &Now<'_>,
        judgement: &Judgement<'_>,
        line: &str,
        seq: Seq,
        event: &Event,
    ) -> Option<Vec<Seq>> {
        let Some(threshold) = &judgement.rule.threshold else { return Some(Vec::new()) };
        let group = judgement.threshold.clone().and_then(Result::ok);
        let (within, created) = (span_ms(threshold.within), ms(event.created));
        let is_of = |one: &Counted| one.line == line && one.group == group;
        let last = self.counted.iter().filter(|one| is_of(one)).max_by_key(|one| one.seq).cloned();
        if last.is_some_and(|last| last.until <= last.seen.max(now.ms)) {
            self.counted.retain(|one| !is_of(one));
        }
        let until = now.ms + within + DAY;
        self.counted.push(Counted { line: line.to_owned(), group: group.clone(), created, seq, until, seen: now.ms });
        let newest = self.counted.iter().filter(|one| is_of(one)).map(|one| one.created).max()?;
        self.counted.retain(|one| !is_of(one) || one.created + within > newest);
        let mut all: Vec<(Ms, Seq)> =
            self.counted.iter().filter(|one| is_of(one)).map(|one| (one.created, one.seq)).collect();
        if (all.len() as u64) < threshold.count {
            return None;
        }
        self.counted.retain(|one| !is_of(one));
        all.sort_unstable();
        Some(all.into_iter().map(|(_, seq)| seq).collect())
    }
}
