//! `links` of `fanfare.yaml`: where the links of messages lead, and for how long they work.

use jiff::SignedDuration;

use crate::config::Links;
use crate::problem::{Problem, Problems};
use crate::yaml::{Fields, Node, span_of_time};

/// The default of `expires`, and its bounds.
const EXPIRES: SignedDuration = SignedDuration::from_hours(7 * 24);
const EXPIRES_MIN: SignedDuration = SignedDuration::from_hours(1);
const EXPIRES_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Reads the mapping.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Links> {
    let mut fields = Fields::of(node, "`links`", problems)?;
    let url = fields.required("url", problems).and_then(|(text, node)| {
        let url = url(&text);
        if url.is_none() {
            problems.push(
                Problem::error("url", format!("`{text}` is not an http(s) URL without user, query and fragment"))
                    .at(&node.place)
                    .hint("write how people reach the address of `listen`: `https://hooks.label.example`"),
            );
        }
        url
    });
    let mut expires = EXPIRES;
    if let Some((text, node)) = fields.text("expires", problems) {
        match span_of_time(&text).filter(|span| (EXPIRES_MIN..=EXPIRES_MAX).contains(span)) {
            Some(span) => expires = span,
            None => problems.push(
                Problem::error("wrong-span", format!("`{text}` is not a span from 1h to 90d"))
                    .at(&node.place)
                    .hint("the default is `7d`"),
            ),
        }
    }
    fields.finish(problems);
    Some(Links { url: url?, expires })
}

fn url(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}
