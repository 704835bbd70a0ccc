//! The ids in a mail's head. Pure.

use sha2::{Digest, Sha256};

/// `<id@domain>`; in place of an id that could not stand there, its hash.
pub(super) fn message_id(id: &str, domain: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=100).contains(&id.len()) && id.chars().all(is_plain) {
        format!("<{id}@{domain}>")
    } else {
        format!("<{}@{domain}>", hex::encode(Sha256::digest(id)))
    }
}

/// The rule's name as a label of a domain name.
pub(super) fn label(rule: &str) -> String {
    let label: String =
        rule.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(60).collect();
    match label.trim_matches('-') {
        "" => "rule".to_owned(),
        label => label.to_owned(),
    }
}
