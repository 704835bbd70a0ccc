//! What listens to events: rules, closers, `missing`, mutes; and which of the known events each receives.
//!
//! Built-in samples stand for what a rule receives only where every sender that it may receive from is known by its preset; for
//! any other, only events that were really seen count, and the team's samples.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::config::evidence::{DEFAULT_SOURCE, Origin, Seen};
use crate::config::load::Whole;
use crate::rules::{Condition, Globs, Name};
use crate::source::{Source, presets};

/// What listens to some events, and what it asks of them.
pub(super) struct Hearing<'a> {
    /// Which types.
    pub(super) globs: Vec<&'a Globs>,
    /// Only of this source.
    pub(super) source: Option<&'a str>,
    /// Every path and name that it uses.
    pub(super) names: Vec<&'a Name>,
    /// Its conditions, each with the one that must hold before it.
    pub(super) conditions: Vec<(&'a Condition, Option<&'a Condition>)>,
}

impl Whole {
    /// The zone of dates without one.
    pub(super) fn zone(&self) -> TimeZone {
        self.rules.zone.clone().unwrap_or(TimeZone::UTC)
    }

    /// Everything in force that listens: each rule's opening and closing, what `missing` waits for, mutes.
    pub(super) fn hearings(&self) -> Vec<Hearing<'_>> {
        let mut all = Vec::new();
        for rule in self.rules.rules.iter().filter(|rule| rule.enabled) {
            let source = rule.source.as_deref();
            let under = rule.when.as_ref();
            let of_actions = rule.actions.iter().filter_map(|action| Some((action.when.as_ref()?, under)));
            all.push(Hearing {
                globs: vec![&rule.events],
                source,
                names: rule.names(),
                conditions: under.map(|when| (when, None)).into_iter().chain(of_actions).collect(),
            });
            for closer in &rule.closed_by {
                let when = closer.when.as_ref();
                let case = closer.case.as_ref().or(rule.case.as_ref());
                let names = when.into_iter().flat_map(Condition::names);
                all.push(Hearing {
                    globs: vec![&closer.events],
                    source,
                    names: names.chain(case.into_iter().flat_map(|case| case.names())).collect(),
                    conditions: when.map(|when| (when, None)).into_iter().collect(),
                });
            }
            all.push(Hearing {
                globs: rule.closed_by.iter().map(|closer| &closer.events).collect(),
                source,
                names: rule.on_close.iter().flat_map(|action| action.names()).collect(),
                conditions: rule.on_close.iter().filter_map(|action| Some((action.when.as_ref()?, None))).collect(),
            });
            all.extend(rule.missing.as_ref().map(|missing| Hearing {
                globs: vec![&missing.events],
                source,
                names: rule.missing_names(),
                conditions: missing.when.iter().map(|when| (when, None)).collect(),
            }));
        }
        for mute in &self.rules.mutes {
            all.push(Hearing {
                globs: mute.events.iter().collect(),
                source: None,
                names: mute.when.iter().flat_map(Condition::names).collect(),
                conditions: mute.when.iter().map(|when| (when, None)).collect(),
            });
        }
        all
    }

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

impl Hearing<'_> {
    /// Whether it receives this type.
    pub(super) fn accepts(&self, kind: &str, own: bool) -> bool {
        self.globs.iter().any(|globs| globs.accept(kind, own))
    }

    /// Its types as they were written, for a sentence.
    pub(super) fn types(&self) -> String {
        let mut texts: Vec<String> =
            self.globs.iter().flat_map(|globs| globs.texts()).map(|glob| format!("`{}`", glob.text)).collect();
        texts.dedup();
        match texts.as_slice() {
            [first, second, third, _, ..] => format!("{first}, {second}, {third}, …"),
            _ => texts.join(", "),
        }
    }
}
