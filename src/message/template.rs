//! Front matter, MiniJinja and Markdown: from a template and an event to a message.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::delivery::{CaseFacts, Say, Severity};
use crate::event::Event;
use crate::message::Rendered;
use crate::problem::{File, Place, Problems};

/// All that a message may speak of.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The event, or a digest's newest.
    pub event: &'a Event,
    /// A digest's or summary's events, oldest first.
    pub events: Vec<&'a Event>,
    /// How many more there were.
    pub more: u64,
    /// How many were held back.
    pub suppressed: u64,
    /// What each of the rules' `names:` selects in the event.
    pub names: Map<String, Value>,
    /// The case.
    pub case: Option<CaseFacts>,
    /// The rule's name.
    pub rule: &'a str,
    /// The rule's description.
    pub rule_description: Option<&'a str>,
    /// The action's constants.
    pub with: Map<String, Value>,
    /// The action's severity, which wins.
    pub severity: Option<Severity>,
    /// Why the delivery whose fallback this is died.
    pub died: Option<&'a str>,
    /// For `ago`.
    pub now: Timestamp,
    /// For `date` where no zone is named.
    pub zone: TimeZone,
    /// The admin page's URL, for links.
    pub admin_url: Option<&'a str>,
}

/// The templates folder, compiled.
#[derive(Debug, Default)]
pub struct Templates {}

impl Templates {
    /// Compiles all files of the folder (`NAME.md`, `_NAME.md`, `NAME.CHANNEL.json|html`), by their file names.
    pub fn load(files: &[Arc<File>], problems: &mut Problems) -> Self {
        todo!("{files:?} {problems:?}")
    }

    /// The names of the messages, partials left out.
    pub fn names(&self) -> Vec<&str> {
        todo!()
    }

    /// Renders what `say` names. Total: where a template fails, or isn't there, the default message says so.
    /// `native` is the channel's name and the ending of its override, if it takes one.
    pub fn render(&self, say: &Say, context: &Context<'_>, native: Option<(&str, &str)>) -> Rendered {
        todo!("{say:?} {context:?} {native:?}")
    }

    /// What can be seen to be wrong with a `text:` that stands in a rule, at its place.
    pub fn check_text(&self, text: &str, place: &Place, contexts: &[Context<'_>], problems: &mut Problems) {
        todo!("{text} {place} {contexts:?} {problems:?}")
    }
}
