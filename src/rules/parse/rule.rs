//! One rule: its keys, and which of them fit together.
//!
//! Pure. A rule with a mistake is left out of the set, after all of it has been read.

use std::collections::BTreeMap;

use super::super::{At, Closer, IfFailed, KeySpec, Missing, Rule};
use super::defaults::Belongs;
use super::{IF_FAILED_ALONE, Reader, calendar, entry_of, key_hints, not_cut, not_cut_within};
use crate::problem::{Location, Problem};
use crate::yaml::{Fields, Node, NodeKind};

/// The longest name of a rule or action, in characters.
const NAME_MAX: usize = 100;

/// Which keys another one was surely meant to be: the reader has said so.
#[derive(Debug, Clone, Copy)]
struct Meant {
    events: bool,
    actions: bool,
}

impl Reader<'_> {
    /// One of `rules:`, as far as it can be read: it is whole if nothing was added to the problems.
    pub(super) fn rule(&mut self, node: &Node) -> Option<Rule> {
        let what = match super::text_of(node, "name") {
            Some(name) => format!("the rule `{name}`"),
            None => "a rule".into(),
        };
        let mut fields = Fields::of(node, what, self.problems)?.with_key_hints(key_hints::RULE);
        let name = fields.required("name", self.problems).and_then(|(name, node)| self.plain_name(name, node));
        self.rule_names.extend(name.clone());
        let formerly = fields.texts("formerly", self.problems);
        let description = fields.text("description", self.problems);
        let description = description.inspect(|(_, node)| not_cut(node, self.problems)).map(|(text, _)| text);
        let enabled = fields.truth("enabled", self.problems).unwrap_or(true);
        let shadow = fields.truth("shadow", self.problems).unwrap_or(false);
        let events = self.some_texts(&mut fields, node, "events", "event type");
        let source = fields.text("source", self.problems);
        let when = fields.node("when", self.problems).and_then(|when| self.condition(when));
        let if_failed = self.if_failed(&mut fields);
        let (threshold, sum, flood) = self.counting(&mut fields);
        let case = fields.node("case", self.problems).and_then(|case| self.key_spec(case, "case"));
        let closed_by = fields.node("closed_by", self.problems).map(|closed_by| self.closers(closed_by));
        let closes_after = fields.span("closes_after", self.problems);
        let missing = fields.node("missing", self.problems).and_then(|missing| self.missing(missing));

        let belongs = Belongs { case: entry_of(node, "case").is_some(), missing: entry_of(node, "missing").is_some() };
        let defaults = self.defaults(&mut fields, belongs);
        let links = self.links(&mut fields);
        let meant = Meant { events: fields.is_misspelt("events"), actions: fields.is_misspelt("actions") };
        let actions = fields.take("actions").map(|(_, node)| node);
        let on_close = fields.node("on_close", self.problems);
        self.some_actions(&fields.place, meant, actions);
        let (actions, on_close) = self.actions(actions, on_close, &defaults, belongs);
        fields.finish(self.problems);

        for (old, node) in &formerly {
            let now = name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
            self.former.push((At { value: old.clone(), place: node.place.clone() }, now));
        }
        let source = source.map(|(value, node)| At { value, place: node.place.clone() });
        let rule = Rule {
            name: name?,
            formerly: formerly.into_iter().map(|(text, _)| text).collect(),
            description,
            enabled,
            shadow,
            events: self.globs(&events),
            source: source.as_ref().map(|source| source.value.clone()),
            source_place: source.map(|source| source.place),
            when,
            if_failed,
            threshold,
            sum,
            case,
            closed_by: closed_by.unwrap_or_default(),
            closes_after,
            missing,
            flood,
            actions,
            on_close,
            links,
        };
        self.fits_together(node, &rule, meant);
        Some(rule)
    }

    /// `if_failed`, of a rule or an action.
    pub(super) fn if_failed(&mut self, fields: &mut Fields<'_>) -> Option<IfFailed> {
        let (word, node) = fields.text("if_failed", self.problems)?;
        match word.as_str() {
            "skip" => Some(IfFailed::Skip),
            "act" => Some(IfFailed::Act),
            _ => {
                let problem = Problem::error("wrong-value", format!("`if_failed` has no value `{word}`"));
                self.problems.push(problem.at(&node.place).hint("write `if_failed: act` or `if_failed: skip`"));
                None
            }
        }
    }

    /// A name as it may stand in a log line, a URL or a metric.
    pub(super) fn plain_name(&mut self, name: String, node: &Node) -> Option<At<String>> {
        let problem = if name.trim().is_empty() {
            "an empty name".to_owned()
        } else if name.chars().count() > NAME_MAX {
            format!("a name longer than {NAME_MAX} characters")
        } else if name.chars().any(char::is_control) || name.trim() != name {
            "a name with line breaks, control characters, or spaces around it".to_owned()
        } else {
            return Some(At { value: name, place: node.place.clone() });
        };
        self.problems.push(Problem::error("wrong-name", problem).at(&node.place).hint("write `fraud-needs-a-person`"));
        None
    }

    /// A path that selects at most one node, a name, or a list of them.
    pub(super) fn key_spec(&mut self, node: &Node, key: &str) -> Option<KeySpec> {
        let items = node.one_or_more();
        if items.is_empty() {
            self.problems.push(Problem::error("empty", format!("`{key}` has no path")).at(&node.place));
        }
        let mut names = Vec::new();
        for item in items {
            let NodeKind::Text(text) = &item.kind else {
                self.problems.push(item.expected(&format!("a path or name for `{key}`")));
                continue;
            };
            if text.starts_with('$') {
                not_cut_within(item, self.problems);
            }
            names.extend(self.singular(text, &item.place, key));
        }
        (!names.is_empty() && names.len() == items.len()).then_some(KeySpec(names))
    }

    /// A path or name that selects at most one node.
    pub(super) fn singular(&mut self, text: &str, place: &Location, key: &str) -> Option<super::Name> {
        let name = self.name(text, place)?;
        let several = name.all_queries().find(|query| !query.path.is_singular());
        let Some(several) = several else { return Some(name) };
        let message = match several.path.text() == text {
            true => format!("`{text}` may select several values, and `{key}` needs one"),
            false => format!(
                "`{text}` stands for `{}`, which may select several values; `{key}` needs one",
                several.path.text()
            ),
        };
        self.problems.push(
            Problem::error("not-singular", message)
                .at(place)
                .hint("write member names and indexes only, such as `$.data.tracks[0].id`"),
        );
        None
    }

    /// A glob, a list of globs and mappings, or a mapping.
    fn closers(&mut self, node: &Node) -> Vec<Closer> {
        let (mappings, globs): (Vec<&Node>, Vec<&Node>) =
            node.one_or_more().iter().partition(|item| matches!(item.kind, NodeKind::Map(_)));
        let mut texts = Vec::new();
        for item in globs {
            match item.scalar() {
                Some(text) => texts.push((text.to_owned(), item)),
                None => self.problems.push(item.expected("a glob, or `{events, when, case}`, in `closed_by`")),
            }
        }
        let mut closers = Vec::new();
        if !texts.is_empty() {
            closers.push(Closer { events: self.globs(&texts), when: None, case: None });
        }
        closers.extend(mappings.into_iter().filter_map(|mapping| self.closer(mapping)));
        if closers.is_empty() && node.one_or_more().is_empty() {
            self.problems.push(Problem::error("empty", "`closed_by` has no glob").at(&node.place));
        }
        closers
    }

    fn closer(&mut self, node: &Node) -> Option<Closer> {
        let mut fields = Fields::of(node, "`closed_by`", self.problems)?;
        if !fields.has("events") {
            fields.missing("events", self.problems);
        }
        let events = self.some_texts(&mut fields, node, "events", "event type");
        let when = fields.node("when", self.problems).and_then(|when| self.condition(when));
        let case = fields.node("case", self.problems).and_then(|case| self.key_spec(case, "case"));
        fields.finish(self.problems);
        Some(Closer { events: self.globs(&events), when, case })
    }

    fn missing(&mut self, node: &Node) -> Option<Missing> {
        let mut fields = Fields::of(node, "`missing`", self.problems)?;
        if !fields.has("events") {
            fields.missing("events", self.problems);
        }
        let events = self.some_texts(&mut fields, node, "events", "event type");
        let when = fields.node("when", self.problems).and_then(|when| self.condition(when));
        let expected = calendar::expected(&mut fields, self.shared.zone.as_ref(), self.problems);
        fields.finish(self.problems);
        Some(Missing { events: self.globs(&events), when, expected: expected? })
    }

    /// What can be read and still makes no sense together.
    fn fits_together(&mut self, node: &Node, rule: &Rule, meant: Meant) {
        let has = |key: &str| entry_of(node, key).map(|(key, _)| key.place.clone());
        let mut wrong = |place: &Location, message: String, hint: &str| {
            self.problems.push(Problem::error("does-not-fit", message).at(place).hint(hint));
        };
        let (case, missing) = (has("case"), has("missing"));
        if let (Some(place), None) = (has("if_failed"), has("when")) {
            wrong(&place, IF_FAILED_ALONE.into(), "remove it: the rule always holds");
        }
        match (has("events"), &missing) {
            (Some(place), Some(_)) => wrong(
                &place,
                "`events` and `missing` don't go together".into(),
                "put what should come into `missing: {events: …, for: …}`, and remove `events`",
            ),
            (None, None) if !meant.events => {
                wrong(
                    &node.place.first_line(),
                    format!("the rule `{}` has no `events`", rule.name.value),
                    "name the event types: `events: release.live`, or `events: \"*\"` for all",
                );
            }
            _ => {}
        }
        if missing.is_some() {
            for key in ["when", "case", "closed_by", "threshold", "sum"] {
                let Some(place) = has(key) else { continue };
                let hint = match key {
                    "when" => "put it into `missing`: it says what counts as having come",
                    "case" => "remove it: the case of a `missing` rule opens when none came",
                    "threshold" => "remove it: it counts matches, and `missing` acts when none came",
                    "sum" => "remove it: it sums up matches, and `missing` acts when none came",
                    _ => "remove it: the case closes when one comes",
                };
                wrong(&place, format!("`{key}` and `missing` don't go together"), hint);
            }
        } else if case.is_none() {
            for key in ["closed_by", "closes_after", "on_close"] {
                let Some(place) = has(key) else { continue };
                let hint = "say what an event is about: `case: $.data.release_id`";
                wrong(&place, format!("`{key}` needs a `case` to close"), hint);
            }
            if let Some(place) = has("links") {
                wrong(&place, "`links` needs a `case`".into(), "say what an event is about: `case: $.data.release_id`");
            }
        }
        if let (Some(place), Some(_)) = (has("sum"), has("threshold")) {
            wrong(&place, "`sum` and `threshold` don't go together".into(), "make two rules of it");
        }
        if let (Some(place), Some(span)) = (has("closes_after"), rule.closes_after)
            && span.is_zero()
        {
            wrong(&place, "`closes_after` no time at all".into(), "write how long a case may stay open: `90d`");
        }
        if let (Some(place), true) = (has("on_close"), rule.actions.is_empty()) {
            wrong(&place, "`on_close` without `actions`".into(), "what was never announced is not closed aloud");
        }
        self.closer_keys(rule);
        self.reachable(rule);
    }

    fn closer_keys(&mut self, rule: &Rule) {
        let Some(case) = &rule.case else { return };
        for key in rule.closed_by.iter().filter_map(|closer| closer.case.as_ref()) {
            let (Some(first), true) = (key.0.first(), key.0.len() != case.0.len()) else { continue };
            let Some(place) = &first.place else { continue };
            let message = format!("this key has {}, the rule's `case` {}", parts(key), parts(case));
            self.problems
                .push(Problem::error("does-not-fit", message).at(place).hint("name the same things in the same order"));
        }
    }

    fn reachable(&mut self, rule: &Rule) {
        let own = rule.source.as_deref() == Some(crate::event::OWN_SOURCE);
        if let (true, false, Some(place)) = (own, rule.events.reaches_own(), &rule.source_place)
            && !rule.events.is_empty()
        {
            self.problems.push(
                Problem::warning(
                    "never-reached",
                    "Fanfare's own events are reached only by a glob that begins with `fanfare.`",
                )
                .at(place)
                .hint("write `events: fanfare.*`"),
            );
        }
    }

    /// Reports rules that share a name, and former names that are not former.
    pub(super) fn unique_names(&mut self) {
        let mut first: BTreeMap<&str, &Location> = BTreeMap::new();
        for name in &self.rule_names {
            match first.get(name.value.as_str()) {
                Some(place) => self.problems.push(
                    Problem::error("defined-twice", format!("two rules have the name `{}`", name.value))
                        .at(&name.place)
                        .also(place, "first here")
                        .hint("a rule's state belongs to its name: give each its own"),
                ),
                None => {
                    first.insert(&name.value, &name.place);
                }
            }
        }
        let mut former: BTreeMap<&str, &Location> = BTreeMap::new();
        for (old, now) in &self.former {
            let name = &old.value;
            let problem = if let Some(place) = first.get(name.as_str()) {
                let message = format!("`{name}` is a rule's name still, so `{now}` can't take over its state");
                Problem::error("still-there", message).also(place, "here")
            } else if let Some(place) = former.insert(name, &old.place) {
                Problem::error("defined-twice", format!("`{name}` was formerly one rule, not two"))
                    .also(place, "first here")
            } else {
                continue;
            };
            self.problems.push(problem.at(&old.place));
        }
    }

    /// Reports a rule that has no actions.
    fn some_actions(&mut self, rule: &Location, meant: Meant, actions: Option<&Node>) {
        if actions.map_or(!meant.actions, |actions| actions.one_or_more().is_empty()) {
            self.problems.push(
                Problem::error("missing-key", "a rule without `actions` notifies nobody")
                    .at(&rule.first_line())
                    .hint("write `actions: {to: DESTINATION, text: \"…\"}`"),
            );
        }
    }
}

fn parts(key: &KeySpec) -> String {
    match key.0.len() {
        1 => "1 part".into(),
        more => format!("{more} parts"),
    }
}
