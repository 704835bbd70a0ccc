//! Redaction: however a secret comes back, it is cut out.

use fanfare::channels::redact::redact;
use fanfare::secret::Secret;
use proptest::prelude::*;

const HOOK: &str = "https://hooks.slack.com/services/T0123/B0456/abcdefghijklmnopqrstuvwx";
const SERVER: &str = "smtps://label:p%40ss%2Fword@smtp.example.com:465";

#[test]
fn a_secret_is_cut_out_in_every_spelling() {
    let table = [
        (HOOK, "POST https://hooks.slack.com/services/T0123/B0456/abcdefghijklmnopqrstuvwx failed"),
        (HOOK, r#"{"url":"https:\/\/hooks.slack.com\/services\/T0123\/B0456\/abcdefghijklmnopqrstuvwx"}"#),
        (HOOK, "no route /services/T0123/B0456/abcdefghijklmnopqrstuvwx here"),
        (HOOK, "bad token abcdefghijklmnopqrstuvwx"),
        (HOOK, "?to=https%3A%2F%2Fhooks.slack.com%2Fservices%2FT0123%2FB0456%2Fabcdefghijklmnopqrstuvwx"),
        (SERVER, "535 p@ss/word is wrong"),
        (SERVER, "535 p%40ss%2Fword is wrong"),
        // AUTH PLAIN and Basic, as a server might echo them.
        (SERVER, "AUTH PLAIN AGxhYmVsAHBAc3Mvd29yZA=="),
        (SERVER, "Authorization: Basic bGFiZWw6cEBzcy93b3Jk"),
        ("xoxb-12-34-abc", "token xoxb-12-34-abc is revoked"),
        ("a \"quoted\" secret", r#"{"error":"a \"quoted\" secret"}"#),
        ("two words", "q=two+words&r=two%20words"),
    ];
    let tells = ["abcdefgh", "B0456", "p@ss", "p%40ss", "AGxhYmVs", "bGFiZWw6", "xoxb", "quoted", "two"];
    for (secret, said) in table {
        let clean = redact(said, &[Secret::new(secret)]);
        assert!(clean.contains("•••"), "{said}: {clean}");
        for tell in tells {
            assert!(!clean.contains(tell), "{said}: {clean}");
        }
    }
}

#[test]
fn what_is_no_secret_stays() {
    for said in ["", "404 no_service", "hooks.slack.com answered: channel_not_found", "smtp.example.com: 535 label"] {
        assert_eq!(redact(said, &[Secret::new(HOOK), Secret::new(SERVER), Secret::new(""), Secret::new("ok")]), said);
    }
}

#[test]
fn a_secret_within_a_longer_one_leaves_nothing_of_it() {
    let secrets = [Secret::new("abcd"), Secret::new("abcdefgh"), Secret::new("efghijkl")];
    assert_eq!(redact("abcdefgh and abcd and efghijkl", &secrets), "••• and ••• and •••");
}

proptest! {
    #[test]
    fn no_text_and_no_secret_make_it_panic_or_leak(text in ".{0,80}", secret in "[ -~]{4,40}", at in 0usize..80) {
        let at = text.floor_char_boundary(at.min(text.len()));
        let said = format!("{}{secret}{}", &text[..at], &text[at..]);
        prop_assert!(!redact(&said, &[Secret::new(secret.as_str())]).contains(&secret));
    }
}
