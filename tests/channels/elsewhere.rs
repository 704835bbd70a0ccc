//! A URL or a token that belongs elsewhere, or that nothing can be sent with: `check` says what it is, and doesn't quote it.

use fanfare::channels::{ALL, ChannelKind, Takes};
use fanfare::problem::{File, Problems};
use fanfare::yaml::{self, Fields};

use super::destinations;

#[test]
fn a_url_or_token_that_belongs_elsewhere_is_called_what_it_is() {
    let dead = "type: slack\nwebhook_url: xapp-1-A0FAKE\n";
    let hook = "https://hooks.slack.com/services/T0000FAKE/B0000FAKE/x";
    let discord = "https://discord.com/api/webhooks/123456789012345678/FAKE";
    for (yaml, said) in [
        ("type: slack\nwebhook_url: xoxb-1-FAKE\n".to_owned(), "`webhook_url` is the token of a Slack bot"),
        (dead.to_owned(), "the app-level token of a Slack app, which can't post"),
        (format!("type: slack\ntoken: {hook}\nchannel: a\n"), "`token` is the URL of a Slack webhook"),
        (format!("type: slack\nwebhook_url: {discord}\n"), "`webhook_url` is the URL of a Discord webhook"),
        (
            format!("type: discord\nwebhook_url: {{by: label, map: {{a: {discord}}}, else: {hook}}}\n"),
            "a Slack webhook",
        ),
        (format!("type: pagerduty\nrouting_key: {hook}\n"), "`routing_key` is the URL of a Slack webhook"),
    ] {
        let found = destinations::problems(&yaml);
        assert!(found.len() == 1 && found[0].contains(said), "{yaml}: {found:#?}");
        assert!(!found[0].contains("FAKE"), "{found:?}");
    }
    // Anybody's endpoint may be theirs; and Discord speaks Slack's language at an address of its own.
    for yaml in [format!("type: http\nurl: {hook}\n"), format!("type: slack\nwebhook_url: {discord}/slack\n")] {
        assert_eq!(destinations::problems(&yaml), Vec::<String>::new(), "{yaml}");
    }
}

/// The values of a kind's example that it knows by their looks, with what each is.
fn known(kind: &ChannelKind) -> Vec<(String, &'static str)> {
    let file = File::new("example.yaml", kind.example);
    let tree = yaml::read(&file, &mut Problems::new()).unwrap();
    let fields = Fields::of(&tree, "the example", &mut Problems::new()).unwrap();
    let values = kind.keys.iter().filter_map(|key| Some(fields.peek(key.name)?.scalar()?.to_owned()));
    let commented = kind.example.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(": "));
    let values = values.chain(commented.map(|(_, value)| value.to_owned()));
    let look = |value: String| {
        let found = kind.credentials.iter().find(|credential| (credential.is)(&value))?;
        Some((value, found.what))
    };
    values.filter_map(look).collect()
}

#[test]
fn what_a_kind_is_reached_by_is_named_in_every_other_kinds_keys() {
    for of in ALL.iter().filter(|kind| kind.name != "http") {
        let known = known(of);
        assert!(!known.is_empty(), "nothing of {} is known by its looks", of.name);
        for (value, what) in known {
            let others = ALL.iter().filter(|kind| kind.name != of.name && kind.name != "http");
            let keys = others.flat_map(|kind| kind.keys.iter().map(move |key| (kind, key)));
            for (kind, key) in keys.filter(|(_, key)| matches!(key.takes, Takes::Text | Takes::Choice)) {
                let yaml = format!("type: {}\n{}: \"{value}\"\n", kind.name, key.name);
                let found = destinations::problems(&yaml);
                let expected = format!("`{}` is {what}", key.name);
                assert!(found.len() == 1 && found[0].contains(&expected), "{yaml} gives {found:#?}");
                assert!(!found[0].contains("FAKE"), "{found:?}");
            }
        }
    }
}

#[test]
fn what_nothing_can_be_sent_with_is_called_what_it_is() {
    let site = "type: jsm\napi_key: 01234567-89ab-cdef-0123-456789abcdef\nurl: https://label.atlassian.net/FAKE\n";
    for (yaml, said) in [
        ("type: slack\ntoken: xoxp-1-FAKE\nchannel: a\n", "the token of a person in Slack"),
        ("type: slack\ntoken: xoxe.xoxp-1-FAKE\nchannel: a\n", "the token of a person in Slack"),
        ("type: slack\nwebhook_url: https://label.slack.com/archives/C0FAKE\n", "a link to a place in Slack"),
        ("type: slack\nwebhook_url: https://app.slack.com/client/T0/C0FAKE\n", "a link to a place in Slack"),
        ("type: discord\nwebhook_url: https://discord.com/channels/1/FAKE\n", "a link to a place in Discord"),
        ("type: pagerduty\nrouting_key: https://label.pagerduty.com/services/FAKE\n", "a page of PagerDuty"),
        ("type: incident_io\nurl: https://app.incident.io/FAKE\ntoken: t\n", "a page of incident.io"),
        ("type: incident_io\nurl: https://api.incident.io/v2/FAKE\ntoken: t\n", "takes no alerts"),
        ("type: jsm\napi_key: ATATT3xFAKE0123456789\n", "a person's API token of Atlassian"),
        (site, "the address of a site of Atlassian"),
    ] {
        let found = destinations::problems(yaml);
        assert!(found.len() == 1 && found[0].contains(said), "{yaml}: {found:#?}");
        assert!(!found[0].contains("FAKE"), "{found:?}");
    }
    // Other requests than ours may go to these.
    for url in ["https://api.pagerduty.com/services", "https://api.incident.io/v2/incidents"] {
        assert_eq!(destinations::problems(&format!("type: http\nurl: {url}\n")), Vec::<String>::new());
    }
}
