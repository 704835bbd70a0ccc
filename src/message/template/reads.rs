//! What a message reads, as far as that can be seen without running it: variables, and paths that stand as texts. Pure.

use std::collections::BTreeSet;

use crate::delivery::Say;
use crate::message::template::{TEXT, Templates};

impl Templates {
    /// The variables that a message reads, such as `data.title`, and the paths that it hands to filters, such as
    /// `$.data.amount`; those of its partials too. Nothing for a message that is not the author's.
    pub fn reads(&self, say: &Say) -> Vec<String> {
        let mut env = self.folder.env.clone();
        let mut waiting: Vec<String> = match say {
            Say::Message(name) => {
                let written = self.folder.messages.get(name);
                written.map(|written| written.templates().into_iter().map(str::to_owned).collect()).unwrap_or_default()
            }
            Say::Text(text) if env.add_template_owned(TEXT, text.clone()).is_ok() => vec![TEXT.to_owned()],
            Say::Text(_) | Say::Default | Say::Summary => Vec::new(),
        };
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        while let Some(name) = waiting.pop() {
            let Ok(template) = env.get_template(&name) else { continue };
            found.extend(template.undeclared_variables(true));
            found.extend(paths_in(template.source()));
            let included = self.folder.partials.iter().filter(|partial| template.source().contains(partial.as_str()));
            for partial in included {
                if seen.insert(partial.clone()) {
                    waiting.push(partial.clone());
                }
            }
        }
        found.into_iter().collect()
    }
}

/// The texts in quotes that begin as paths do.
fn paths_in(source: &str) -> impl Iterator<Item = String> + '_ {
    source.match_indices(['"', '\'']).filter_map(|(at, quote)| {
        let rest = source.get(at + quote.len()..)?;
        let text = rest.get(..rest.find(quote)?)?;
        text.starts_with("$.").then(|| text.to_owned())
    })
}
