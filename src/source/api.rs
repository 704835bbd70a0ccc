//! The API of a sender, where it can be asked to send again what failed: its keys in `fanfare.yaml`, and how to speak to it.
//!
//! What it answers is read where it is asked, in the steps.

use url::Url;

use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::source::presets::Preset;
use crate::yaml::Fields;

/// The keys of a source that are about its API.
const KEYS: [&str; 4] = ["api_key", "api_url", "webhook", "backfill"];

/// How to ask a sender to send again.
#[derive(Debug, Clone)]
pub struct Api {
    /// What the API knows us by.
    key: Secret,
    /// Where it is, without a slash at the end.
    pub url: String,
    /// Which of the account's webhooks is this source; by default the one whose URL leads to the source's path.
    pub webhook: Option<String>,
    /// Whether it is asked after each absence, without anyone's doing.
    pub auto: bool,
}

impl Api {
    /// The value of the `Authorization` header.
    pub fn authorization(&self) -> Secret {
        Secret::new(format!("Bearer {}", self.key.open()))
    }

    /// What must never be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        vec![self.key.clone()]
    }

    /// Reads the keys of a source. `None` where it has no API, or no key for it.
    pub(super) fn parse(
        (name, preset): (&str, &Preset),
        fields: &mut Fields<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(default) = preset.api else {
            no_api(preset, fields, problems);
            return None;
        };
        let has_key = fields.has("api_key");
        let key = fields.text("api_key", problems).map(|(text, node)| {
            if !node.place.text().contains("${") && !text.trim().is_empty() {
                let said = format!("the file itself contains the `api_key` of source `{name}`");
                problems.push(
                    Problem::warning("secret-in-file", said)
                        .at(&node.place)
                        .hint("use the environment or a file: \"${env:NAME}\""),
                );
            }
            text.trim().to_owned()
        });
        let url = url(default, fields, problems);
        let webhook = fields.text("webhook", problems).map(|(text, _)| text);
        let auto = auto(has_key, fields, problems);
        let key = key.filter(|key| !key.is_empty())?;
        Some(Self { key: Secret::new(key), url, webhook, auto })
    }
}

fn url(default: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> String {
    let Some((text, node)) = fields.text("api_url", problems) else { return default.to_owned() };
    let is_url = Url::parse(&text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none());
    if !is_url {
        problems.push(
            Problem::error("wrong-url", "`api_url` is not the http(s) address of an API".to_owned())
                .at(&node.place)
                .hint(format!("the default is `{default}`")),
        );
    }
    text.trim_end_matches('/').to_owned()
}

fn auto(has_key: bool, fields: &mut Fields<'_>, problems: &mut Problems) -> bool {
    let Some((text, node)) = fields.text("backfill", problems) else { return false };
    match text.as_str() {
        "auto" if has_key => {}
        "auto" => problems.push(
            Problem::error("no-api-key", "`backfill: auto` needs `api_key`")
                .at(&node.place)
                .hint("add `api_key: \"${env:NAME}\"`, the key of the sender's API"),
        ),
        "manual" => {}
        _ => problems.push(
            Problem::error("unknown-word", format!("`backfill` knows no `{text}`"))
                .at(&node.place)
                .suggest(&text, ["auto", "manual"]),
        ),
    }
    text == "auto"
}

/// A sender that can't be asked: said of each key, instead of calling it unknown.
fn no_api(preset: &Preset, fields: &mut Fields<'_>, problems: &mut Problems) {
    for key in KEYS {
        if fields.has(key)
            && let Some((found, _)) = fields.take(key)
        {
            let name = preset.name;
            problems.push(
                Problem::error("foreign-key", format!("`{key}` doesn't go with `preset: {name}`"))
                    .at(&found.place)
                    .hint("Fanfare can ask only JewelMusic to send again: remove it"),
            );
        }
    }
}
