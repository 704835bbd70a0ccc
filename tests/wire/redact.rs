//! Redaction: however a secret comes back, it is cut out.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fanfare::channels::redact::{Redactor, redact};
use fanfare::channels::{HttpRequest, Request, account};
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
fn a_token_that_became_part_of_the_host_for_want_of_a_slash_is_cut_out_and_other_hosts_stay() {
    let hidden = [
        ("https://l.exampleZG9jR2uWhX5t", "l.•••"),
        ("https://hc-ping.com5f0e6a1c-77aa-4b5e-9d2c-0a1b2c3d4e5f/start", "hc-ping.•••"),
        ("http://localhostZG9jR2uWhX5t", "•••"),
        ("https://l.exampleabcdefghijklmnopqrst", "l.•••"),
    ];
    for (url, shown) in hidden {
        let host = url::Url::parse(url).unwrap().host_str().unwrap().to_owned();
        assert_eq!(
            redact(&format!("`{host}` has no address"), &[Secret::new(url)]),
            format!("`{shown}` has no address")
        );
    }
    for url in [
        "https://ledger.example/hook",
        "https://a.travelersinsurance/",
        "https://a.xn--vermgensberatung-pwb/",
        "http://ledger-1:8080/",
        "http://release-desk-12:8080/hook",
        "http://192.168.100.200/",
        "http://[fd00::1:2:3:4]/",
        "http://alerts.team-2.svc.cluster.local/",
    ] {
        let said = format!("`{}` has no address", url::Url::parse(url).unwrap().host_str().unwrap());
        assert_eq!(redact(&said, &[Secret::new(url)]), said);
    }
}

#[test]
fn the_account_of_a_large_request_shows_no_piece_of_a_secret_wherever_its_reading_ends() {
    let secret = "tB7nQ1iVpD4w-kY3cO8lMfS6e-mJ5xA9eUgL2r";
    for shift in 0..secret.len() {
        let body = format!("{}{}", "x".repeat(shift), secret.repeat(5_000)).into_bytes();
        let url = Secret::new("https://ledger.example/");
        let request = Request::Http(HttpRequest { method: "POST", url, headers: Vec::new(), body });
        let account = account(&request, &Redactor::new(&[Secret::new(secret)]));
        assert!(account.chars().all(|c| "x•".contains(c)), "{shift}: {account}");
    }
    let long = format!("{}{secret}", "text ".repeat(100_000)).into_bytes();
    let url = Secret::new("https://ledger.example/");
    let request = Request::Http(HttpRequest { method: "POST", url, headers: Vec::new(), body: long });
    assert_eq!(account(&request, &Redactor::new(&[Secret::new(secret)])).chars().count(), 2048);
}

/// Each says the token, in the encodings that pages, logs and headers use.
fn disguises(token: &str) -> Vec<String> {
    let percent: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let decimal: String = token.chars().map(|c| format!("&#{};", u32::from(c))).collect();
    let hex: String = token.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect();
    let json: String = token.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let mixed = format!("{}%{:02X}{}", &token[..3], token.as_bytes()[3], &token[4..]);
    let mut all = vec![
        token.to_ascii_uppercase(),
        token.to_ascii_lowercase(),
        percent.replace('%', "%25"),
        percent,
        decimal,
        hex,
        json,
        mixed,
        hex::encode(token),
        hex::encode_upper(token),
    ];
    for before in ["", "a", "ab", "abc"] {
        for after in ["", "z", "zy"] {
            let within = format!("{before}{token}{after}");
            all.push(URL_SAFE_NO_PAD.encode(&within));
            all.push(STANDARD.encode(within));
        }
    }
    all
}

#[test]
fn no_encoding_disguises_a_secret() {
    for token in ["k7/Qx+9Z", "xoxb-12-34-abcDEF", "p&ss<w\"rd>'", "müller-geheim"] {
        for disguise in disguises(token) {
            let clean = redact(&format!("<p>said {disguise} here</p>"), &[Secret::new(token)]);
            assert!(clean.contains("•••"), "{token} as {disguise}: {clean}");
            assert!(clean.starts_with("<p>said ") && clean.ends_with(" here</p>"), "{clean}");
            // At the ends of base64 a few bits are shared with what stands beside it, and that is what is left.
            assert!(clean.len() <= "<p>said  here</p>".len() + "•••".len() + 10, "{token} as {disguise}: {clean}");
        }
    }
}

#[test]
fn escapes_of_something_else_stay_as_they_are() {
    for said in ["100% of %41%42 &amp; &#65; \\u0041 \\", "%", "&#", "\\u12", "&#99999999;", "\\ud800\\u0041"] {
        assert_eq!(redact(said, &[Secret::new("k7/Qx+9Z")]), said);
    }
}

#[test]
fn a_page_of_escapes_costs_no_more_than_any_other() {
    let page = "&#x6B;%6b\\u006b".repeat(4096);
    let clean = redact(&page, &[Secret::new("kkkkkkkkkkkk")]);
    assert!(!clean.contains("6b"), "{} bytes", clean.len());
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
