//! In which language a message is, and the links that it carries, which speak it. Pure.

use std::sync::Arc;

use super::Job;
use crate::channels::Button;
use crate::delivery::{Assignment, LinkOp, span};
use crate::links::{HIDDEN, Token, url};
use crate::locale::{Locale, fill};
use crate::planner::links::LinkKeys;
use crate::secret::Secret;
/// What the links of a message are made with.
#[derive(Debug, Clone)]
pub enum Tokens {
    /// With nothing: people look at what would be sent, and see that there is a link.
    Hidden,
    /// There are no keys: the message has no links.
    None,
    /// With the key in use of these.
    By(Arc<LinkKeys>),
}

impl Tokens {
    /// The token of the link with this id.
    fn of(&self, id: &str) -> Option<String> {
        match self {
            Tokens::Hidden => Some(HIDDEN.to_owned()),
            Tokens::None => None,
            Tokens::By(keys) => Token::make(id, keys.current()?),
        }
    }
}

impl Job {
    /// The language of a message: the person's, the destination's, or the configured one.
    pub(super) fn locale(&self, assignment: &Assignment) -> &'static Locale {
        let people = self.snapshot.rules.as_deref().map(|rules| &rules.people);
        let person = assignment.to.as_ref().and_then(|to| people?.get(to.person.as_ref()?));
        let own = person.and_then(|person| person.locale).or(self.destination.locale);
        own.unwrap_or(self.snapshot.settings.locale)
    }

    /// The links of its message, and the tokens in them.
    pub(super) fn links(&self) -> (Vec<Button>, Vec<Secret>) {
        let Some(links) = &self.snapshot.settings.links else { return (Vec::new(), Vec::new()) };
        let made = self.assignment().links.iter().filter_map(|link| {
            let token = self.tokens.of(&link.id)?;
            let label = label(self.locale(self.assignment()), link.does);
            let button = Button { does: link.does, label, url: url(&links.url, &token) };
            Some((button, Secret::new(token)))
        });
        let (buttons, tokens): (Vec<Button>, Vec<Secret>) = made.unzip();
        (buttons, if matches!(self.tokens, Tokens::Hidden) { Vec::new() } else { tokens })
    }
}

/// What a button says.
fn label(locale: &Locale, does: LinkOp) -> String {
    let [acknowledge, close, mute] = locale.words.buttons;
    match does {
        LinkOp::Acknowledge => acknowledge.into(),
        LinkOp::Close => close.into(),
        LinkOp::Mute(seconds) => fill(mute, &[&span(seconds)]),
    }
}
