//! A message in another language: `NAME.de.md` beside `NAME.md`. Pure.
//!
//! It says the same of the same event in other words. What decides how much the message matters, and what has no words,
//! stands once, in `NAME.md`.

use std::sync::Arc;

use super::{Folder, Written, start};
use crate::locale::Locale;
use crate::problem::{File, Problem, Problems};

impl Folder {
    pub(super) fn translation(
        &mut self,
        file: &Arc<File>,
        name: &str,
        locale: &'static Locale,
        problems: &mut Problems,
    ) {
        if !self.messages.contains_key(name) {
            let message = format!("there is no message `{name}.md` for this to say in {}", locale.name);
            let known = self.messages.keys().map(String::as_str);
            problems.push(Problem::error("no-original", message).at(&start(file)).suggest(name, known));
            return;
        }
        let mut written = self.written(file, &format!("{name}.{}", locale.code), problems);
        if let Some(source) = written.severity.as_ref().and_then(|template| self.sources.get(template)) {
            let message = "the severity of a message is the same in every language";
            let place = source.place(0..source.text.len());
            let hint = format!("remove it: the severity of `{name}.md` holds");
            problems.push(Problem::error("severity", message).at(&place).hint(hint));
        }
        if let Some(original) = self.messages.get_mut(name) {
            written.severity.clone_from(&original.severity);
            written.link = written.link.or_else(|| original.link.clone());
            written.image = written.image.or_else(|| original.image.clone());
            original.translations.insert(locale.code, written);
        }
    }
}

impl Written {
    /// The message in a language: its translation if there is one, else as it was written first.
    pub(crate) fn said_in(&self, locale: &Locale) -> &Written {
        self.translations.get(locale.code).unwrap_or(self)
    }
}
