//! The case files, and what must hold for every scheme: it verifies what it signs, and nothing that differs by a bit.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fanfare::problem::{File, Problems};
use fanfare::source::scheme::{self, Outgoing};
use fanfare::source::{Refusal, Source, presets};
use fanfare::yaml::{self, Fields};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha2::Sha256;

use super::{NEW, OLD, headers, now, open, secrets, source};

const BODY: &str = r#"{"id":"evt_1","type":"release.live","created":1767600000,"data":{}}"#;

#[derive(Debug, Default)]
struct Case {
    says: String,
    settings: String,
    body: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    expected: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut case = Case::default();
        for line in paragraph.lines().filter(|line| !line.starts_with('#')) {
            match line.split_at_checked(2).unwrap_or((line, "")) {
                ("! ", settings) => case.settings = settings.to_owned(),
                ("b " | "b", body) => case.body = Some(body.to_owned()),
                ("> ", header) => {
                    let (name, value) = header.split_once(':').unwrap();
                    case.headers.push((name.to_owned(), value.strip_prefix(' ').unwrap_or(value).into()));
                }
                ("= ", expected) => case.expected = expected.to_owned(),
                _ => case.says = line.to_owned(),
            }
        }
        if case != Case::default() {
            cases.push(case);
        }
    }
    cases
}

impl PartialEq for Case {
    fn eq(&self, other: &Self) -> bool {
        self.says == other.says && self.expected == other.expected
    }
}

fn code(secret: &str, signed: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Replaces `{…}` in a header: `{page}`, `{page old}`, `{PAGE}`, `{page -1}`, `{page base64}`, `{page of TEXT}`,
/// `{timed T}`, `{timed old T of TEXT}`, `{std ID T}`, `{wrong v1 N}`, `{sp}`, `{tab}`, `{ff}`.
fn filled(value: &[u8], body: &str) -> Vec<u8> {
    let text = std::str::from_utf8(value).unwrap();
    let Some((before, rest)) = text.split_once('{') else { return value.to_vec() };
    // A body in a placeholder has braces of its own: the last one closes.
    let (inside, after) = if rest.contains(" of ") { rest.rsplit_once('}') } else { rest.split_once('}') }.unwrap();
    let mut out = before.as_bytes().to_vec();
    let (head, body) = inside.split_once(" of ").unwrap_or((inside, body));
    let (verb, rest) = head.split_once(' ').unwrap_or((head, ""));
    let secret = |rest: &'static str| match rest {
        "old" => OLD,
        "third" => "third-secret-0123456789abcdef",
        _ => NEW,
    };
    let (who, rest) = ["old", "third"]
        .into_iter()
        .find_map(|who| Some((who, rest.strip_prefix(who)?.trim_start_matches(' '))))
        .unwrap_or(("", rest));
    let key = secret(who);
    match verb {
        "sp" => out.push(b' '),
        "tab" => out.push(b'\t'),
        "ff" => out.push(0xff),
        "page" | "PAGE" => {
            let code = code(key, body);
            let hex = hex::encode(&code);
            out.extend(
                match rest {
                    "-1" => hex[..63].to_owned(),
                    "-2" => hex[..62].to_owned(),
                    "base64" => STANDARD.encode(&code),
                    _ if verb == "PAGE" => hex.to_uppercase(),
                    _ => hex,
                }
                .into_bytes(),
            );
        }
        "timed" | "TIMED" => {
            let hex = hex::encode(code(key, &format!("{rest}.{body}")));
            out.extend(if verb == "TIMED" { hex.to_uppercase() } else { hex }.into_bytes());
        }
        "std" => {
            let (id, time) = rest.split_once(' ').unwrap();
            out.extend(STANDARD.encode(code(key, &format!("{id}.{time}.{body}"))).into_bytes());
        }
        "wrong" => {
            let count: usize = rest.strip_prefix("v1 ").unwrap().parse().unwrap();
            out.extend(format!("v1={},", "0".repeat(64)).repeat(count).into_bytes());
        }
        _ => panic!("no placeholder {inside}"),
    }
    out.extend(filled(after.as_bytes(), body));
    out
}

/// The source of a case: the preset is the first word, unless all are settings of `jewelmusic`.
fn configured(settings: &str) -> Source {
    let mut words = settings.split(' ').filter(|word| !word.is_empty()).peekable();
    let preset = words.next_if(|word| presets::named(word).is_some()).unwrap_or("jewelmusic");
    let mut yaml = format!("preset: {preset}\nsecrets: [s]\n");
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => yaml.push_str(&format!("{key}: \"{value}\"\n")),
            None => yaml.push_str(&format!("accept: [raw, {word}]\n")),
        }
    }
    let yaml = yaml.replace("[s]", &format!("[{}]", secrets(preset, &[NEW])[0].open()));
    let mut problems = Problems::new();
    let node = yaml::read(&File::new("fanfare.yaml", yaml), &mut problems).unwrap();
    let mut fields = Fields::of(&node, "source `them`", &mut problems).unwrap();
    let source = Source::parse("them", &mut fields, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    Source { secrets: secrets(preset, &[NEW, OLD]), ..source }
}

fn run(text: &str, least: usize) {
    let cases = cases(text);
    assert!(cases.len() >= least, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let source = configured(&case.settings);
        let body = case.body.as_deref().unwrap_or(BODY);
        let filled: Vec<_> = case.headers.iter().map(|(name, value)| (name, filled(value, body))).collect();
        let found = match open(&source, &headers(&filled), body.as_bytes()) {
            Ok(event) => event.proof.to_string(),
            Err(refusal) => format!("{} {}", refusal.status(), refusal.reason()),
        };
        if found != case.expected {
            wrong.push(format!("{}: expected {}, found {found}", case.says, case.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn jewelmusic_signatures_come_out_as_the_cases_say() {
    run(include_str!("jewelmusic.txt"), 70);
}

#[test]
fn other_signatures_come_out_as_the_cases_say() {
    run(include_str!("others.txt"), 20);
}

fn outgoing(body: &[u8]) -> Outgoing<'_> {
    Outgoing { id: "msg_2Lh9", kind: "release.live", body, at: now() }
}

/// Every preset with every one of its schemes.
fn all() -> Vec<(Source, &'static str)> {
    let mut all = Vec::new();
    for preset in presets::PRESETS {
        all.extend(preset.schemes.iter().map(|scheme| (source(preset.name), scheme.name)));
    }
    all
}

#[test]
fn every_scheme_belongs_to_a_preset() {
    for scheme in scheme::SCHEMES {
        assert!(all().iter().any(|(_, name)| *name == scheme.name), "{}", scheme.name);
        assert_eq!(scheme::named(scheme.name).unwrap().name, scheme.name);
    }
}

#[test]
fn every_scheme_verifies_what_it_signs_and_names_itself() {
    for (source, scheme) in all() {
        let headers = headers(&source.sign(Some(scheme), &outgoing(BODY.as_bytes())).unwrap());
        let event = open(&source, &headers, BODY.as_bytes()).unwrap();
        assert_eq!(&*event.proof, format!("{scheme} secret 1"));
        assert_eq!(&*event.raw, BODY.as_bytes());
    }
}

#[test]
fn no_scheme_takes_a_secret_of_another_source() {
    for (mut source, scheme) in all() {
        let headers = headers(&source.sign(Some(scheme), &outgoing(BODY.as_bytes())).unwrap());
        source.secrets = secrets(source.preset.name, &["somebody else's secret"]);
        assert_eq!(open(&source, &headers, BODY.as_bytes()), Err(Refusal::Signature), "{scheme}");
    }
}

#[test]
fn a_source_without_secrets_takes_nothing() {
    for (mut source, scheme) in all() {
        let headers = headers(&source.sign(Some(scheme), &outgoing(BODY.as_bytes())).unwrap());
        source.secrets.clear();
        assert_eq!(open(&source, &headers, BODY.as_bytes()), Err(Refusal::Signature), "{scheme}");
        assert!(source.sign(Some(scheme), &outgoing(BODY.as_bytes())).is_none());
    }
}

#[test]
fn a_refusal_and_a_source_show_no_secret() {
    let source = source("jewelmusic");
    let refusal = open(&source, &headers(&[("x-jewelmusic-signature", "sha256=00")]), b"{}").unwrap_err();
    for text in [format!("{source:?}"), refusal.to_string(), format!("{refusal:?}")] {
        assert!(!text.contains(NEW) && !text.contains(OLD), "{text}");
        assert!(!text.contains(&hex::encode(code(NEW, "{}"))), "{text}");
    }
}

#[test]
fn an_age_is_reported_in_words() {
    let old = Outgoing { at: now() - jiff::SignedDuration::from_hours(26), ..outgoing(b"{}") };
    let source = source("stripe");
    let refusal = open(&source, &headers(&source.sign(None, &old).unwrap()), b"{}").unwrap_err();
    assert_eq!(refusal, Refusal::TooOld { age: jiff::SignedDuration::from_hours(26) });
    assert!(refusal.to_string().contains("26h ago"), "{refusal}");
}

proptest! {
    #[test]
    fn every_scheme_verifies_any_body_that_it_signs(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (source, scheme) in all() {
            let headers = headers(&source.sign(Some(scheme), &outgoing(&body)).unwrap());
            prop_assert!(open(&source, &headers, &body).is_ok(), "{}", scheme);
        }
    }

    #[test]
    fn one_flipped_bit_of_a_body_is_refused(body in proptest::collection::vec(any::<u8>(), 1..200), bit in any::<prop::sample::Index>()) {
        for (source, scheme) in all() {
            let headers = headers(&source.sign(Some(scheme), &outgoing(&body)).unwrap());
            let mut other = body.clone();
            let bit = bit.index(body.len() * 8);
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&source, &headers, &other), Err(Refusal::Signature), "{}", scheme);
        }
    }

    #[test]
    fn one_changed_character_of_what_is_signed_is_refused(nth in any::<prop::sample::Index>(), to in "[0-9a-zA-Z+/=,. ]") {
        for (source, scheme) in all() {
            let pairs = source.sign(Some(scheme), &outgoing(BODY.as_bytes())).unwrap();
            let genuine = open(&source, &headers(&pairs), BODY.as_bytes());
            let mut forged = pairs.clone();
            let value = &mut forged[0].1;
            let at = nth.index(value.len());
            value.replace_range(at..=at, &to);
            // What reads as the same bytes (hex in capitals, a blank at the end, padding) may pass, as the same event.
            if let Ok(event) = open(&source, &headers(&forged), BODY.as_bytes()) {
                let same = |text: &str| text.trim_matches([' ', ',', '=']).to_lowercase();
                prop_assert_eq!(same(&pairs[0].1), same(&forged[0].1), "{}", scheme);
                prop_assert_eq!(Ok(event), genuine);
            }
        }
    }

    #[test]
    fn no_header_and_no_body_panics(value in proptest::collection::vec(any::<u8>(), 0..120), body in proptest::collection::vec(any::<u8>(), 0..120)) {
        let value: Vec<u8> = value.into_iter().filter(|byte| *byte >= 32 && *byte != 127).collect();
        for (source, scheme) in all() {
            let mut map = HeaderMap::new();
            for (name, _) in source.sign(Some(scheme), &outgoing(&body)).unwrap() {
                map.extend(headers(&[(name, value.clone())]));
            }
            prop_assert!(open(&source, &map, &body).is_err());
        }
    }

    #[test]
    fn no_text_in_the_shape_of_a_signature_panics(value in "(sha256=|t=|v1=|v1,|[0-9a-f]{0,70}|,| |=|-|é){0,12}") {
        for (mut source, _) in all() {
            source.stringify = true;
            let pairs = source.preset.schemes.iter().flat_map(|scheme| scheme.headers.iter());
            let pairs: Vec<_> = pairs.map(|name| (name.to_string(), value.clone())).collect();
            prop_assert!(open(&source, &headers(&pairs), BODY.as_bytes()).is_err());
        }
    }
}
