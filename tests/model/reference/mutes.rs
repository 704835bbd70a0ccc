//! `docs/RULES.md`, "mutes: silence messages for a time".

use fanfare::event::Mute;

use super::super::{Ms, ms};
use super::Reference;

impl Reference {
    pub(super) fn mute(&mut self, mute: &Mute) {
        self.unmute(&mute.id);
        self.mutes.push(mute.clone());
    }

    pub(super) fn unmute(&mut self, id: &str) {
        self.mutes.retain(|mute| mute.id != id);
    }

    /// "A mute covers messages that match all of its `events`, `rule`, `destination` and `when`."
    pub fn is_muted(&self, line: &str, to: &str, at: Ms) -> bool {
        self.mutes.iter().any(|mute| {
            let rule = mute.rule.as_ref().is_none_or(|rule| self.line(rule) == line);
            let destination = mute.destination.as_ref().is_none_or(|destination| destination == to);
            rule && destination && ms(mute.from) <= at && at < ms(mute.until)
        })
    }
}
