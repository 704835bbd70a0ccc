//! What can be known of rules without any event: the paths, globs, destinations and messages that they name, with
//! their places, for `check` to hold against samples and the configuration.

use super::{Action, At, Condition, Globs, KeySpec, Name, Query, Rule, RuleSet};

impl Name {
    /// All paths that may count, whatever the source.
    pub fn all_queries(&self) -> impl Iterator<Item = &Query> {
        self.paths.iter().chain(self.by_source.iter().flat_map(|(_, queries)| queries))
    }
}

impl Rule {
    /// All actions, those at a close too.
    pub fn all_actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter().chain(&self.on_close)
    }

    /// Every path and name that the rule uses on the events it receives, as written, with places.
    pub fn names(&self) -> Vec<&Name> {
        let mut names = Vec::new();
        names.extend(self.when.iter().flat_map(Condition::names));
        names.extend(self.case.iter().flat_map(KeySpec::names));
        names.extend(self.threshold.iter().filter_map(|threshold| threshold.per.as_ref()).flat_map(KeySpec::names));
        if let Some(sum) = &self.sum {
            names.push(&sum.of);
            names.extend(sum.per.iter().flat_map(KeySpec::names));
        }
        for action in &self.actions {
            names.extend(action.names());
        }
        names
    }

    /// Every path and name that the rule uses on the events that it misses.
    pub fn missing_names(&self) -> Vec<&Name> {
        self.missing.iter().filter_map(|missing| missing.when.as_ref()).flat_map(Condition::names).collect()
    }

    /// All globs of the rule: of its events, closers and `missing`.
    pub fn globs(&self) -> impl Iterator<Item = &Globs> {
        let closers = self.closed_by.iter().map(|closer| &closer.events);
        [&self.events].into_iter().chain(closers).chain(self.missing.iter().map(|missing| &missing.events))
    }
}

impl Action {
    /// Every path and name that it uses.
    pub fn names(&self) -> Vec<&Name> {
        let throttle = self.throttle.as_ref().and_then(|throttle| throttle.per.as_ref());
        let digest = self.digest.as_ref().and_then(|digest| digest.per.as_ref());
        let mut names: Vec<&Name> = self.when.iter().flat_map(Condition::names).collect();
        names.extend(throttle.into_iter().chain(digest).flat_map(KeySpec::names));
        names.extend(self.at.as_ref().map(|at| &at.path));
        names.extend(self.attach.iter().flat_map(|attach| attach.columns.iter().map(|(_, name)| name)));
        names
    }
}

impl KeySpec {
    /// Its parts.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }
}

impl RuleSet {
    /// The rule with this name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.named(name).filter(|rule| rule.name.value == name)
    }

    /// All destinations that rules and mutes name, with places.
    pub fn destinations(&self) -> impl Iterator<Item = &At<String>> {
        let actions = self.rules.iter().flat_map(Rule::all_actions).flat_map(|action| &action.to);
        actions.chain(self.mutes.iter().filter_map(|mute| mute.destination.as_ref()))
    }
}
