//! What Slack's URLs and tokens look like, those that can't post among them. Pure.

use crate::channels::Credential;

/// What to do with other tokens of Slack.
const TAKE_BOT: &str = "take the bot's token, which begins with `xoxb-`";

pub const ALL: &[Credential] = &[
    Credential {
        is: |text| text.starts_with("https://hooks.slack"),
        what: "the URL of a Slack webhook",
        key: Some("webhook_url"),
        hint: "`type: slack` takes it as `webhook_url`",
    },
    Credential {
        is: |text| text.starts_with("xoxb-"),
        what: "the token of a Slack bot",
        key: Some("token"),
        hint: "`type: slack` takes it as `token`, with a `channel`",
    },
    Credential {
        is: |text| text.starts_with("xapp-"),
        what: "the app-level token of a Slack app, which can't post",
        key: None,
        hint: TAKE_BOT,
    },
    Credential {
        is: |text| text.starts_with("xoxp-") || text.starts_with("xoxe"),
        what: "the token of a person in Slack, or one that only renews others",
        key: None,
        hint: TAKE_BOT,
    },
    Credential {
        is: |text| {
            text.starts_with("https://app.slack.com/client/")
                || (text.starts_with("https://") && text.contains(".slack.com/archives/"))
        },
        what: "a link to a place in Slack, which nothing can be posted to",
        key: None,
        hint: "make an incoming webhook for the channel, or write its #name as `channel`, beside a bot's `token`",
    },
];
