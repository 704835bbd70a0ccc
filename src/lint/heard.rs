//! Which of the known events a rule, a closer or a mute listens to.
//!
//! Built-in samples stand for what a rule receives only where every sender that it may receive from is known by its preset; for
//! any other, only events that were really seen count, and the team's samples.

use std::sync::Arc;

use crate::config::evidence::{DEFAULT_SOURCE, Origin, Seen};
use crate::lint::{Hearing, Whole};
use crate::source::{Source, presets};

impl Whole<'_> {
    /// Whether every sender that this may receive from is one whose types are known, so that samples stand for them.
    pub(super) fn knows_senders(&self, hearing: &Hearing<'_>) -> bool {
        let heard = |source: &&Arc<Source>| hearing.source.is_none_or(|name| name == &*source.name);
        self.sources.values().filter(heard).all(|source| !source.preset.types.is_empty())
    }

    /// The types that the configured senders are known to send; `None` where one may send anything.
    pub(super) fn known_types(&self) -> Option<Vec<&'static str>> {
        let presets: Vec<_> = self.sources.values().map(|source| source.preset).collect();
        if presets.is_empty() {
            return presets::named(DEFAULT_SOURCE).map(|preset| preset.types.to_vec());
        }
        let known = presets.iter().all(|preset| !preset.types.is_empty());
        known.then(|| presets.iter().flat_map(|preset| preset.types.iter().copied()).collect())
    }

    /// The known events that this receives.
    pub(super) fn heard(&self, hearing: &Hearing<'_>) -> Vec<&Seen> {
        let knows = self.knows_senders(hearing);
        let stands = |seen: &&Seen| match seen.from {
            Origin::Past | Origin::Own => hearing.source.is_none_or(|name| name == &*seen.event.source),
            Origin::Sample(_) | Origin::Fanfare | Origin::Test => knows || seen.event.is_own(),
        };
        let heard = |seen: &&Seen| hearing.accepts(&seen.event.kind, seen.event.is_own());
        let all: Vec<&Seen> = self.evidence.iter().filter(stands).filter(heard).collect();
        // A shape that only the SDKs know may be the right one: alone it says nothing of what is wrong.
        if all.iter().any(|seen| seen.is_evidence()) { all } else { Vec::new() }
    }

    /// Whether there is a known event for each type that this receives, as far as types are known.
    pub(super) fn knows_all(&self, hearing: &Hearing<'_>, heard: &[&Seen]) -> bool {
        let Some(types) = self.known_types() else { return false };
        let accepted = types.iter().filter(|kind| hearing.accepts(kind, false));
        accepted.into_iter().all(|kind| heard.iter().any(|seen| seen.is_evidence() && &*seen.event.kind == *kind))
    }
}
