//! Which file of the templates folder is what, by its name. Pure.

use std::sync::Arc;

use super::start;
use crate::locale::{self, Locale};
use crate::message::template::native::Format;
use crate::problem::{File, Problem, Problems, nearest};

/// What a file is, by its name.
pub(super) enum Role<'a> {
    Message(&'a str),
    Partial(&'a str),
    Native(&'a str, &'a str, &'a str),
    Translation(&'a str, &'static Locale),
}

/// What a file is. Reports a name that is none.
pub(super) fn role<'a>(
    file: &Arc<File>,
    name: &'a str,
    formats: &[(&'static str, Format)],
    problems: &mut Problems,
) -> Option<Role<'a>> {
    let mut wrong = |code, message: String, hint: String| {
        problems.push(Problem::error(code, message).at(&start(file)).hint(hint));
        None
    };
    let parts: Vec<&str> = name.split('.').collect();
    let role = match parts.as_slice() {
        [stem, "md"] if stem.starts_with('_') => Role::Partial(stem),
        [stem, "md"] => Role::Message(stem),
        [stem, code, "md"] if !stem.starts_with('_') => match locale::named(code) {
            Some(locale) => Role::Translation(stem, locale),
            None => {
                let hint = nearest_of(code, locale::ALL.iter().map(|locale| locale.code));
                return wrong("template-name", format!("there is no locale `{code}`"), hint);
            }
        },
        [stem, channel, ending @ ("json" | "html")] => match formats.iter().find(|(known, _)| known == channel) {
            Some((_, format)) if format.ending() == *ending => Role::Native(stem, channel, ending),
            Some((_, format)) => {
                let hint = format!("name it `{stem}.{channel}.{}`", format.ending());
                return wrong("template-name", format!("`{channel}` takes no `.{ending}`"), hint);
            }
            None => {
                let hint = nearest_of(channel, formats.iter().map(|(name, _)| *name));
                return wrong("template-name", format!("no channel `{channel}` takes a template of its own"), hint);
            }
        },
        _ => {
            let hint = "a message is `NAME.md`, the same in another language `NAME.de.md`, a partial `_NAME.md`, a \
                        channel's own format `NAME.CHANNEL.json` or `.html`";
            return wrong("template-name", format!("`{name}` is not a template"), hint.into());
        }
    };
    let (Role::Message(stem) | Role::Partial(stem) | Role::Native(stem, ..) | Role::Translation(stem, _)) = role;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    if stem.trim_start_matches('_').is_empty() || !stem.chars().all(plain) {
        let hint = "use letters, digits, `-` and `_`".into();
        return wrong("template-name", format!("`{stem}` is not a name for a template"), hint);
    }
    Some(role)
}

/// The nearest of these names, or all of them.
fn nearest_of<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}
