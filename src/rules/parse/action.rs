//! Actions: whom to tell what and when, their defaults from the rule, and how each is known.
//!
//! Pure. An action is known by its `name`, else by a digest of what it says and when, never by its place: moving it
//! or its rule, or reformatting the file, changes nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Action, At};
use super::defaults::{Belongs, Defaults, REPEAT_MIN};
use super::timing::{self, Timing};
use super::{IF_FAILED_ALONE, Reader, entry_of, key_hints, not_cut};
use crate::delivery::{Say, Severity};
use crate::problem::{Location, Problem};
use crate::yaml::{Fields, Key, Node, NodeKind};

/// An action that has no id yet.
struct Nameless {
    action: Action,
    /// Its `name`.
    name: Option<At<String>>,
    /// What it says and when.
    said: Value,
}

impl Reader<'_> {
    /// The actions of a rule, each with its id, and those of its `on_close`.
    pub(super) fn actions(
        &mut self,
        actions: Option<&Node>,
        on_close: Option<&Node>,
        defaults: &Defaults,
        belongs: Belongs,
    ) -> (Vec<Action>, Vec<Action>) {
        let read = |node: Option<&Node>, reader: &mut Self, defaults: Option<&Defaults>| -> Vec<Nameless> {
            let items = node.map_or(&[][..], Node::one_or_more);
            items.iter().flat_map(|item| reader.action(item, defaults, belongs)).collect()
        };
        let mut acting = read(actions, self, Some(defaults));
        let closing = read(on_close, self, None);
        self.otherwise_of_something(actions);
        self.otherwise_of_something(on_close);
        let count = acting.len();
        acting.extend(closing);
        let mut all = self.with_ids(acting);
        self.one_update_each(all.get(..count).unwrap_or_default());
        let closing = all.split_off(count.min(all.len()));
        (all, closing)
    }

    /// `otherwise` needs another action with a `when`.
    fn otherwise_of_something(&mut self, actions: Option<&Node>) {
        let items = actions.map_or(&[][..], Node::one_or_more);
        if items.iter().any(|item| entry_of(item, "when").is_some()) {
            return;
        }
        for (key, node) in items.iter().filter_map(|item| entry_of(item, "otherwise")) {
            if node.kind == NodeKind::Bool(true) {
                self.problems.push(
                    Problem::error("does-not-fit", "`otherwise` needs another action with a `when`")
                        .at(&key.place)
                        .hint("without one it would always act: remove it"),
                );
            }
        }
    }

    /// One action, or one for each of its times; without defaults it belongs to `on_close`.
    fn action(&mut self, node: &Node, defaults: Option<&Defaults>, belongs: Belongs) -> Vec<Nameless> {
        if let Some(text) = node.scalar() {
            self.problems.push(node.expected("an action, a mapping").hint(format!("write `to: {text}`")));
            return Vec::new();
        }
        let Some(fields) = Fields::of(node, "an action", self.problems) else { return Vec::new() };
        let mut fields = fields.with_key_hints(key_hints::ACTION);
        let name = fields.text("name", self.problems).and_then(|(name, node)| self.plain_name(name, node));
        let (to, say) = (self.destinations(&mut fields, node), self.say(&mut fields, node));
        let severity = self.severity(&mut fields);
        let (with, overrides) = (self.constants(&mut fields), self.overrides(&mut fields));
        let mention = self.mentions(&mut fields);
        let when_node = fields.node("when", self.problems);
        let when = when_node.and_then(|when| self.condition(when));
        let if_failed = self.if_failed(&mut fields);
        let mut truth = |key| fields.truth(key, self.problems).unwrap_or(false);
        let (otherwise, once, update) = (truth("otherwise"), truth("once"), truth("update"));
        let timings = self.all_timings(&mut fields);
        let repeat = self.positive_span(&mut fields, "repeat", REPEAT_MIN);
        let own = self.defaults(&mut fields, belongs);
        let links = self.links(&mut fields);
        let attach_node = fields.node("attach", self.problems);
        let attach = attach_node.and_then(|attach| self.attach(attach));
        fields.finish(self.problems);
        self.keys_fit(node, defaults.is_none(), belongs);

        let action = Action {
            id: String::new(),
            place: node.place.clone(),
            to,
            say,
            severity,
            with,
            overrides,
            mention,
            when,
            if_failed,
            otherwise,
            once,
            update,
            deadline: false,
            after: None,
            after_days: None,
            step: None,
            repeat,
            at: None,
            throttle: own.throttle.or_else(|| defaults?.throttle.clone()),
            digest: own.digest.or_else(|| defaults?.digest.clone()),
            hours: own.hours.or_else(|| defaults?.hours.clone()),
            links,
            attach,
        };
        self.rest_and_digest(&action);
        self.file_of_a_digest(&action);
        self.alone_with_update(node, &action);
        let one = |timing: Timing| {
            let (mut action, name) = (action.clone(), timing.name(name.clone()));
            timing.put_into(&mut action);
            let said = said(&action, when_node, attach_node, defaults.is_none());
            Nameless { action, name, said }
        };
        timings.into_iter().map(one).collect()
    }

    fn destinations<'n>(&mut self, fields: &mut Fields<'n>, node: &'n Node) -> Vec<At<String>> {
        if !fields.has("to") {
            fields.missing("to", self.problems);
        }
        let mut to: Vec<At<String>> = Vec::new();
        for (value, node) in self.some_texts(fields, node, "to", "destination") {
            match to.iter().find(|other| other.value == value) {
                Some(first) => self.problems.push(
                    Problem::error("defined-twice", format!("`{value}` appears twice in `to`"))
                        .at(&node.place)
                        .also(&first.place, "first here"),
                ),
                None => to.push(At { value, place: node.place.clone() }),
            }
        }
        to
    }

    fn say(&mut self, fields: &mut Fields<'_>, node: &Node) -> At<Say> {
        let message = fields.text("message", self.problems);
        let text = fields.text("text", self.problems);
        if let (Some(_), Some((_, text))) = (&message, &text) {
            self.problems.push(
                Problem::error("does-not-fit", "an action has a `message` or a `text`, not both")
                    .at(&text.place)
                    .hint("put the text into the template, or remove `message`"),
            );
        }
        match (message, text) {
            (Some((name, node)), _) => At { value: Say::Message(name), place: node.place.clone() },
            (None, Some((text, node))) => {
                not_cut(node, self.problems);
                At { value: Say::Text(text), place: node.place.clone() }
            }
            (None, None) => At { value: Say::Default, place: node.place.clone() },
        }
    }

    fn severity(&mut self, fields: &mut Fields<'_>) -> Option<Severity> {
        let (word, node) = fields.text("severity", self.problems)?;
        let severity = Severity::named(&word);
        if severity.is_none() {
            let problem = Problem::error("wrong-word", format!("`{word}` is not a severity")).at(&node.place);
            self.problems.push(problem.suggest(&word, Severity::ALL.map(Severity::name)));
        }
        severity
    }

    fn constants(&mut self, fields: &mut Fields<'_>) -> Map<String, Value> {
        let Some(node) = fields.node("with", self.problems) else { return Map::new() };
        match node.to_json() {
            Value::Object(with) => with,
            _ => {
                self.problems.push(node.expected("a mapping of constants for `with`"));
                Map::new()
            }
        }
    }

    /// What is said otherwise than by the destinations; they are asked later.
    fn overrides(&mut self, fields: &mut Fields<'_>) -> Vec<(At<String>, At<Value>)> {
        let Some(node) = fields.node("override", self.problems) else { return Vec::new() };
        let NodeKind::Map(entries) = &node.kind else {
            self.problems.push(node.expected("a mapping for `override`, such as `{priority: 5}`"));
            return Vec::new();
        };
        let one = |(key, node): &(Key, Node)| {
            let key = At { value: key.text.clone(), place: key.place.clone() };
            (key, At { value: node.to_json(), place: node.place.clone() })
        };
        entries.iter().map(one).collect()
    }

    /// Which keys an action may have where it stands.
    fn keys_fit(&mut self, node: &Node, on_close: bool, belongs: Belongs) {
        let mut wrong = |key: &str, message: String, hint: &str| {
            if let Some((key, value)) = entry_of(node, key)
                && value.kind != NodeKind::Bool(false)
            {
                self.problems.push(Problem::error("does-not-fit", message).at(&key.place).hint(hint));
            }
        };
        let has = |key: &str| entry_of(node, key).is_some();
        if on_close {
            let keys = [
                "once", "update", "deadline", "after", "repeat", "at", "throttle", "digest", "hours", "links", "attach",
            ];
            for key in keys {
                wrong(key, format!("`{key}` has no place in `on_close`"), "what is said at a close goes at once");
            }
        } else if !belongs.case && !belongs.missing {
            for key in ["once", "update", "deadline", "after", "repeat", "at", "links"] {
                wrong(key, format!("`{key}` needs a `case`"), "say what an event is about: `case: $.data.release_id`");
            }
        }
        if belongs.missing && !on_close {
            for key in ["when", "otherwise", "update", "at", "attach"] {
                wrong(key, format!("`{key}` needs an event, and `missing` acts when none came"), "remove it");
            }
        }
        if has("when") {
            wrong("otherwise", "an action has a `when` or `otherwise`, not both".into(), "remove one of them");
        }
        if !has("when") {
            wrong("if_failed", IF_FAILED_ALONE.into(), "remove it: the action always acts");
        }
        if entry_of(node, "update").is_some_and(|(_, update)| update.kind == NodeKind::Bool(true)) {
            for key in ["once", "after", "repeat", "at"] {
                wrong(key, format!("`{key}` and `update` don't go together"), "make two actions of it, or remove one");
            }
        } else {
            wrong(
                "deadline",
                "`deadline` needs `update: true`: it changes the message".into(),
                "for a message, write `at`",
            );
        }
        for key in ["after", "repeat"] {
            if has("at") {
                wrong(key, format!("`{key}` and `at` don't go together"), "make two actions of it");
            }
        }
    }

    fn rest_and_digest(&mut self, action: &Action) {
        if action.digest.is_some() && action.throttle.as_ref().is_some_and(|throttle| throttle.rest_digest) {
            self.problems.push(
                Problem::error("does-not-fit", "`rest: digest` and a `digest` don't go together")
                    .at(&action.place.first_line())
                    .hint("with a digest, everything that the throttle lets through goes into it: write `rest: drop`"),
            );
        }
    }

    /// What changes is one message: it is neither limited nor collected.
    fn alone_with_update(&mut self, node: &Node, action: &Action) {
        let also = [("throttle", action.throttle.is_some()), ("digest", action.digest.is_some())];
        for (key, _) in also.into_iter().filter(|(_, is_there)| action.update && *is_there) {
            let (place, hint) = match entry_of(node, key) {
                Some((key, _)) => (key.place.clone(), "remove it: later matches change the one message"),
                None => (action.place.first_line(), "the rule's is meant as well: move it to the other actions"),
            };
            let problem = Problem::error("does-not-fit", format!("`{key}` and `update` don't go together"));
            self.problems.push(problem.at(&place).hint(hint));
        }
    }

    /// At a destination, one message of a case changes.
    fn one_update_each(&mut self, actions: &[Action]) {
        let mut first: BTreeMap<&str, &Location> = BTreeMap::new();
        for to in actions.iter().filter(|action| action.update && !action.deadline).flat_map(|action| &action.to) {
            match first.get(to.value.as_str()) {
                Some(other) => self.problems.push(
                    Problem::error(
                        "does-not-fit",
                        format!("two actions with `update` have the destination `{}`", to.value),
                    )
                    .at(&to.place)
                    .also(other, "first here")
                    .hint("a case has one message that changes at a destination: make one action of them"),
                ),
                None => _ = first.insert(&to.value, &to.place),
            }
        }
    }

    fn file_of_a_digest(&mut self, action: &Action) {
        if let (Some(attach), None) = (&action.attach, &action.digest) {
            let problem = Problem::error("does-not-fit", "`attach` needs a `digest`: its events are the rows");
            let problem = problem.at(&attach.csv.place);
            self.problems.push(problem.hint("write `digest: {at: \"09:00\", month_days: last}` beside it"));
        }
    }

    /// Gives each action its id: its name, else a digest of what it says and when; where several say the same, of
    /// whom they tell too.
    fn with_ids(&mut self, actions: Vec<Nameless>) -> Vec<Action> {
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        for one in actions.iter().filter(|one| one.name.is_none()) {
            *alike.entry(one.said.to_string()).or_default() += 1;
        }
        let mut first: BTreeMap<String, Location> = BTreeMap::new();
        let mut named = Vec::with_capacity(actions.len());
        for Nameless { mut action, name, said } in actions {
            let said = said.to_string();
            let mut to: Vec<&str> = action.to.iter().map(|to| to.value.as_str()).collect();
            to.sort_unstable();
            action.id = match &name {
                Some(name) => name.value.clone(),
                None if alike.get(&said).is_some_and(|count| *count > 1) => digest_of(&json!([said, to]).to_string()),
                None => digest_of(&said),
            };
            let place = name.as_ref().map_or(&action.place, |name| &name.place);
            match first.get(&action.id) {
                Some(other) => self.problems.push(twice(name.as_ref(), place).also(other, "first here")),
                None => {
                    first.insert(action.id.clone(), place.clone());
                }
            }
            named.push(action);
        }
        named
    }
}

/// What an action says and when, by which it is known where it has no name.
fn said(action: &Action, when: Option<&Node>, attach: Option<&Node>, on_close: bool) -> Value {
    let (after, at) = timing::said(action);
    let mut said = json!({
        "say": action.say.value,
        "severity": action.severity,
        "with": action.with,
        "mention": action.mention.iter().map(|name| &name.value).collect::<Vec<_>>(),
        "when": when.map(Node::to_json),
        "otherwise": action.otherwise,
        "once": action.once,
        "after_ms": after,
        "repeat_ms": action.repeat.map(|span| span.as_millis().to_string()),
        "at": at,
        "on_close": on_close,
    });
    // What came later is absent where nothing is said of it, so that actions stay known.
    if let Some(said) = said.as_object_mut() {
        said.extend(attach.map(|attach| ("attach".to_owned(), attach.to_json())));
        let overrides: Map<String, Value> =
            action.overrides.iter().map(|(key, value)| (key.value.clone(), value.value.clone())).collect();
        said.extend((!overrides.is_empty()).then(|| ("override".to_owned(), overrides.into())));
        said.extend(action.update.then(|| ("update".to_owned(), true.into())));
        said.extend(action.deadline.then(|| ("deadline".to_owned(), true.into())));
    }
    said
}

fn digest_of(said: &str) -> String {
    let hash = hex::encode(Sha256::digest(said));
    format!("a{}", hash.get(..12).unwrap_or_default())
}

fn twice(name: Option<&At<String>>, place: &Location) -> Problem {
    match name {
        Some(name) => Problem::error("defined-twice", format!("two actions have the name `{}`", name.value)),
        None => Problem::error("defined-twice", "two actions say the same, at the same time, to the same destinations"),
    }
    .at(&place.first_line())
    .hint("give each a `name`, or remove one")
}
