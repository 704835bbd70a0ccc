//! What a step of a test expects.

use super::{EXPECTED, Reader};
use crate::delivery::Severity;
use crate::problem::Problem;
use crate::rules::glob::{Glob, inner};
use crate::rules::parse::not_cut;
use crate::rules::trial::{Expectation, Field, Pattern, Way, What};
use crate::yaml::{Fields, Node, NodeKind};

impl Reader<'_> {
    pub(super) fn expect(&mut self, fields: &mut Fields<'_>) -> Option<What> {
        let node = fields.node("expect", self.problems)?;
        if node.scalar().is_some() {
            let problem = node.expected("a list of expectations");
            self.problems.push(problem.hint("`[]` expects nothing; `[{to: oncall}]` one message"));
            return None;
        }
        Some(What::Expect(node.one_or_more().iter().filter_map(|item| self.expectation(item)).collect()))
    }

    fn expectation(&mut self, node: &Node) -> Option<Expectation> {
        if let Some(text) = node.scalar() {
            self.problems.push(node.expected("an expectation, a mapping").hint(format!("write `{{to: {text}}}`")));
            return None;
        }
        let mut fields = Fields::of(node, "an expectation", self.problems)?.with_key_hints(EXPECTED);
        let ways: Vec<Way> = Way::ALL.into_iter().filter(|way| fields.has(way.key())).collect();
        let way = ways.last().copied().unwrap_or(Way::Message);
        let mut expectation = Expectation { place: node.place.clone(), way, fields: Vec::new() };
        if ways.len() > 1 {
            let message = "an expectation has `to` for a message, or `changes` or `closes` for an update";
            self.problems.push(Problem::error("to-and-closes", message).at(&fields.place.first_line()));
        }
        let updates = [Way::Change, Way::Close].map(|way| (way.key(), Field::To));
        let keys = Field::ALL.into_iter().map(|field| (field.name(), field)).chain(updates);
        for (key, field) in keys {
            if let Some(pattern) = self.pattern(&mut fields, key, field) {
                expectation.fields.push((field, pattern));
            }
        }
        if matches!(&node.kind, NodeKind::Map(entries) if entries.is_empty()) {
            self.problems.push(
                Problem::error("empty", "an expectation says nothing")
                    .at(&fields.place.first_line())
                    .hint("`{to: \"*\"}` is any one message"),
            );
        }
        fields.finish(self.problems);
        Some(expectation)
    }

    fn pattern(&mut self, fields: &mut Fields<'_>, key: &'static str, field: Field) -> Option<Pattern> {
        let (text, node) = fields.text(key, self.problems)?;
        not_cut(node, self.problems);
        // A block's last line break is not meant.
        let text = text.trim_end_matches('\n').to_owned();
        let glob = match Glob::parse(&text) {
            Ok(glob) => glob,
            Err(error) => {
                let mut problem =
                    Problem::error("wrong-glob", error.message).at(&inner(&node.place, &text, error.offset));
                problem.hint = error.hint;
                self.problems.push(problem);
                return None;
            }
        };
        self.can_match(field, &text, &glob, node);
        Some(Pattern { text, glob })
    }

    /// Reports a glob that nothing can ever match.
    fn can_match(&mut self, field: Field, text: &str, glob: &Glob, node: &Node) {
        let (code, names): (_, Vec<&str>) = match field {
            Field::Rule => ("no-rule", self.sees.iter().map(String::as_str).collect()),
            Field::To => ("no-destination", self.known.destinations.iter().map(String::as_str).collect()),
            Field::Severity => ("no-severity", Severity::ALL.iter().map(|severity| severity.name()).collect()),
            Field::Title | Field::Text | Field::Address | Field::File => return,
        };
        if names.iter().any(|name| glob.matches(name)) {
            return;
        }
        let what = match field {
            Field::Rule if self.known.rules.rule(text).is_some() => {
                let problem = Problem::error(code, format!("this test doesn't see the rule `{text}`"));
                self.problems.push(problem.at(&node.place).hint("name it in the test's `rules:`"));
                return;
            }
            Field::Rule => "rule that this test sees",
            Field::To => "destination",
            _ => "severity",
        };
        let problem = Problem::error(code, format!("no {what} is called `{text}`")).at(&node.place);
        self.problems.push(problem.suggest(text, names));
    }
}
