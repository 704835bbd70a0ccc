//! Links in messages: the token that one holds, and the pages that it leads to. Pure: who follows links, and what becomes of
//! that, is for the steps.
//!
//! A token holds the link's id, the number of the key that it was made with, and a code under that key; nothing else. What
//! the link is for is in the store, under the id. So nobody who lacks the key can make one, and anyone who has one learns
//! nothing from it.

mod page;
mod token;

pub use self::page::{About, Page};
pub use self::token::Token;

/// The path below which links lead, on the listener of the webhooks.
pub const PATH: &str = "/act/";

/// What stands in place of a token wherever people look at what was sent.
pub const HIDDEN: &str = "•••";

/// This many letters and digits in a row may be a token, or most of one.
const TOKEN_LIKE: usize = 40;

/// The longest name that a person may leave, in characters.
const NAME_MAX: usize = 60;

/// The URL of a link below the configured address.
pub fn url(base: &str, token: &str) -> String {
    format!("{base}{PATH}{token}")
}

/// A path as people may see it: a proxy that prefixes or encodes paths may bring a link to where none is expected.
pub fn without_token(path: &str) -> String {
    if let Some((before, _)) = path.split_once(PATH) {
        return format!("{}{PATH}{HIDDEN}", without_token(before));
    }
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut plain = String::new();
    for piece in path.split_inclusive(|c| !is_of_token(c)) {
        let run = piece.trim_end_matches(|c| !is_of_token(c));
        let rest = piece.get(run.len()..).unwrap_or_default();
        plain.push_str(if run.len() < TOKEN_LIKE { run } else { HIDDEN });
        plain.push_str(rest);
    }
    plain
}

/// Who confirms: by the name that they gave, which nobody checks.
pub fn person(given: Option<&str>) -> String {
    let is_shown = |c: &char| {
        !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    let plain: String =
        given.unwrap_or_default().chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(is_shown).collect();
    let name: String = plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(NAME_MAX).collect();
    if name.is_empty() { "someone, by link".into() } else { format!("{name} (unverified), by link") }
}
