//! No destination's secret is ever said.

use super::destinations;
use crate::support::leak::assert_no_leak;
use crate::support::sending::Given;

#[test]
fn no_secret_of_any_destination_is_in_a_debug_an_account_a_verdict_or_an_address() {
    for destination in destinations::all() {
        let channel = &destination.channel;
        let request = channel.compose(&Given::default().sending()).unwrap();
        // In the examples, what is secret has `FAKE` in it.
        let canaries: Vec<&str> = destination
            .yaml
            .split(|c: char| c.is_whitespace() || "\"',{}".contains(c))
            .filter(|word| word.contains("FAKE"))
            .collect();
        assert_no_leak(channel.as_ref(), &request, &canaries);
    }
}

#[test]
fn a_problem_with_a_destination_does_not_quote_its_url_or_token() {
    for yaml in [
        "type: slack\nwebhook_url: hooks.slack.com/services/T0/B0/FAKE\n",
        "type: slack\nwebhook_url: https://hooks.slack.com/FAKE\ntoken: xoxb-FAKE\nchannel: a\n",
        "type: slack\ntoken: xoxb-FAKE with a space\nchannel: a\n",
        "type: slack\ntoken: xoxb-FAKE\n",
        "type: discord\nwebhook_url: https://discord.com/api/webhooks/123456789012345678/FAKE/slack\n",
        "type: discord\nwebhook_url: ftp://discord.com/api/webhooks/123456789012345678/FAKE\n",
        "type: pagerduty\nrouting_key: FAKE\n",
        "type: pagerduty\nrouting_key: 0123456789abcdef0123456789abcdef\nurl: //FAKE\n",
    ] {
        let said = destinations::problems(yaml);
        assert!(!said.is_empty(), "nothing is wrong with {yaml}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}
