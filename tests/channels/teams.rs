//! What is wrong with a destination in Teams, and who can be mentioned there.

use super::destinations;

const URL: &str = "https://0123.00.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/01/triggers/manual/paths/invoke?api-version=1";

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    for (url, expected) in [
        ("", "the destination has no `webhook_url`"),
        (
            "https://label.webhook.office.com/webhookb2/0123@4567/IncomingWebhook/89/ab",
            "an Office 365 connector, and Microsoft has switched those off",
        ),
        ("https://teams.microsoft.com/l/channel/19%3a0123/General?groupId=01", "a link to a place in Teams"),
        (URL, "this URL is incomplete: it has no `sig`"),
        ("label.example/hook", "this URL can't be posted to"),
        ("xoxb-1-FAKE", "the token of a Slack bot"),
        (
            "https://prod-01.westeurope.logic.azure.com/workflows/01/triggers/manual/paths/invoke?sig=x",
            "Microsoft switched off workflows at addresses of this form",
        ),
    ] {
        let url = if url.is_empty() { String::new() } else { format!("webhook_url: \"{url}\"\n") };
        let said = destinations::problems(&format!("type: teams\n{url}"));
        assert!(said.len() == 1 && said[0].contains(expected), "{url} gives {said:#?}");
    }
    let said = destinations::problems(&format!("type: slack\nwebhook_url: \"{URL}&sig=x\"\n"));
    assert!(said[0].contains("`webhook_url` is the URL of a Microsoft workflow"), "{said:?}");
}

#[test]
fn only_a_sign_in_name_or_an_object_id_can_be_mentioned() {
    let teams = destinations::one("teams");
    for id in ["ann@label.example", "01234567-89ab-cdef-0123-456789abcdef"] {
        assert_eq!(teams.kind.mention(id), Ok(()), "{id}");
    }
    for id in ["", "ann", "everyone", "U024BE7LH", "ann@label.example</at>", "a b@label.example"] {
        assert!(teams.kind.mention(id).is_err(), "{id}");
    }
}
