//! Chat servers that teams run themselves, Mattermost and Rocket.Chat: by an incoming webhook, which can only post, or by a
//! bot's token with the server's `url` and a `channel`. Here is what both read from `fanfare.yaml` in the same way.
//!
//! Pure.

use url::Url;

use crate::channels::{Address, Can, Choice, Facts, endpoint};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

/// What each server's own words are, as hints.
pub struct Hints {
    /// What its webhook's URL looks like, and where people find one.
    pub webhook: &'static str,
    /// Why `token` needs no `webhook_url` beside it.
    pub both: &'static str,
}

/// What is given.
pub enum Given<'n> {
    Webhook(Choice<Secret>),
    Bot(Bot<'n>),
}

/// The keys of a bot; only the token's text is read so far.
pub struct Bot<'n> {
    pub token: (String, &'n Node),
    pub channel: Option<&'n Node>,
    pub url: Option<&'n Node>,
}

/// Reads `webhook_url`, or `token` with `channel` and `url`.
pub fn read<'n>(fields: &mut Fields<'n>, hints: &Hints, problems: &mut Problems) -> Option<Given<'n>> {
    let webhook = fields.node("webhook_url", problems);
    let token = fields.text("token", problems);
    let (channel, url) = (fields.node("channel", problems), fields.node("url", problems));
    match (webhook, token) {
        (Some(node), None) => {
            if let Some(node) = channel.or(url) {
                problems.push(
                    Problem::error("wrong-key", "`channel` and `url` need `token`")
                        .at(&node.place)
                        .hint("a webhook posts to its own channel; remove this, or use a bot's `token`"),
                );
            }
            let webhook = Choice::parse(node, problems, &mut |node, problems| hook(node, hints.webhook, problems))?;
            Some(Given::Webhook(webhook))
        }
        (None, Some(token)) => Some(Given::Bot(Bot { token, channel, url })),
        (Some(node), Some(_)) => {
            problems.push(
                Problem::error("wrong-key", "`webhook_url` and `token` exclude each other")
                    .at(&node.place)
                    .hint(hints.both),
            );
            None
        }
        (None, None) => {
            fields.missing("webhook_url", problems);
            None
        }
    }
}

fn hook(node: &Node, hint: &str, problems: &mut Problems) -> Option<Secret> {
    let url = endpoint::read(node, problems)?;
    if url.path_segments().into_iter().flatten().any(|part| part == "hooks") {
        return Some(Secret::new(url.as_str()));
    }
    problems.push(Problem::error("wrong-url", "this is not the URL of a webhook").at(&node.place).hint(hint));
    None
}

impl Bot<'_> {
    /// Reports which of its keys are not there.
    pub fn lacks(&self, keys: &[(&str, bool)], hint: &str, problems: &mut Problems) {
        for (key, _) in keys.iter().filter(|(_, is_there)| !is_there) {
            let problem = Problem::error("missing-key", format!("a bot has no `{key}`"));
            problems.push(problem.at(&self.token.1.place).hint(hint));
        }
    }
}

/// The address of the server's API, without a slash at its end.
pub fn api(url: &Url) -> Secret {
    Secret::new(url.as_str().trim_end_matches('/'))
}

/// What is known of a bot; `address` is shown to people.
pub fn facts(can: Can, token: &Secret, url: &Url, channel: &Address<String>, address: String) -> Facts {
    let api = api(url);
    Facts {
        can,
        secrets: std::iter::once(token).chain(endpoint::holds_secret(url).then_some(&api)).cloned().collect(),
        address,
        endpoints: endpoint::endpoints([&api]),
        names: channel.name().into_iter().collect(),
        mapped: channel.mapped(),
        by_event: channel.is_by_event(),
    }
}
