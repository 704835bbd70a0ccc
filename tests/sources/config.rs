//! A source in `fanfare.yaml`.

use fanfare::source::parse::{HMAC_KEYS, KEYS, size};
use fanfare::source::{AHEAD, presets};
use jiff::SignedDuration;

use super::parsed;

const SECRETS: &str = "secrets: [\"${env:SECRET_OF_SIXTEEN}\"]";

#[test]
fn a_source_needs_a_preset_and_a_secret_and_the_rest_has_defaults() {
    let (source, problems) = parsed(&format!("preset: jewelmusic\n{SECRETS}"));
    assert_eq!(problems, Vec::<String>::new());
    let source = source.unwrap();
    assert_eq!((&*source.path, source.max_body, source.stringify), ("/webhooks/them", 1 << 20, false));
    assert_eq!((source.tolerance, AHEAD), (SignedDuration::from_hours(3), SignedDuration::from_mins(5)));
}

#[test]
fn every_key_is_read() {
    let yaml = format!(
        "preset: jewelmusic\npath: /in/jewel-music_1\n{SECRETS}\ntolerance: 4h\naccept: [raw, json_stringify]\nmax_body: 500KiB\nunsigned: [track.uploaded]\n\
         api_key: \"${{env:KEY}}\"\napi_url: https://api.example/v1/\nwebhook: wh_1\nbackfill: auto"
    );
    let (source, problems) = parsed(&yaml);
    assert_eq!(problems, Vec::<String>::new());
    let source = source.unwrap();
    assert_eq!((&*source.path, source.max_body, source.stringify), ("/in/jewel-music_1", 500 << 10, true));
    assert_eq!(source.tolerance, SignedDuration::from_hours(4));
    assert_eq!(source.unsigned, ["track.uploaded"]);
    let api = source.api.unwrap();
    assert_eq!((api.url.as_str(), api.webhook.as_deref(), api.auto), ("https://api.example/v1", Some("wh_1"), true));
    for (key, _) in KEYS {
        assert!(yaml.contains(&format!("{key}:")), "{key}");
    }
}

#[test]
fn every_key_of_hmac_is_read() {
    let yaml = format!(
        "preset: hmac\n{SECRETS}\nheader: X-Sum\nalgorithm: sha512\nencoding: base64\nprefix: \"v0=\"\n\
         signed: \"v0:{{id}}:{{timestamp}}:{{body}}\"\nid: X-Id\ntime: X-Time\ntype: X-Type"
    );
    let (source, problems) = parsed(&yaml);
    // The type's header is read, though nothing can sign it.
    assert!(problems.len() == 1 && problems[0].contains("this header is not signed"), "{problems:?}");
    for (key, _) in HMAC_KEYS {
        assert!(yaml.contains(&format!("{key}:")), "{key}");
    }
    let event = super::signed(&source.unwrap(), b"{}");
    assert_eq!((event.id.as_str(), &*event.kind), ("msg_1", "release.published"));
}

/// Left what stands beside `preset: jewelmusic` and the secrets, right what the problem must say.
#[test]
fn mistakes_are_reported_with_the_way_out() {
    for (yaml, said) in [
        ("paht: /x", "source `them` has no key `paht` (did you mean `path`?)"),
        ("path: webhooks", "`webhooks` is not a path"),
        ("path: /a/../b", "is not a path"),
        ("path: /a/{b}", "is not a path"),
        ("path: /", "is not a path"),
        ("path: /a?b", "is not a path"),
        ("path:", "`path` has no value"),
        ("tolerance: 3", "`3` is not a time span"),
        ("tolerance: 0s", "is out of bounds"),
        ("tolerance: 60d", "at most `30d`"),
        ("tolerance: 5m", "warning: with a tolerance of `5m` events can be lost"),
        ("accept: [json]", "`accept` knows no `json`"),
        ("accept: json_stringfy", "did you mean `json_stringify`?"),
        ("max_body: lots", "`lots` is not a size"),
        ("max_body: 1GiB", "`1GiB` is not a size"),
        ("max_body: 10B", "out of bounds"),
        ("max_body: 100MiB", "out of bounds"),
        ("unsigned: [\"*\"]", "`unsigned` takes no globs"),
        ("header: X-Sum", "`header` is a key of `preset: hmac`, not of `jewelmusic`"),
        ("type: $.kind", "`type` is a key of `preset: hmac`"),
    ] {
        let (_, problems) = parsed(&format!("preset: jewelmusic\n{SECRETS}\n{yaml}"));
        assert!(problems.len() == 1 && problems[0].contains(said), "{yaml}: {problems:?}");
        assert!(problems[0].starts_with("fanfare.yaml:3:"), "{problems:?}");
    }
}

#[test]
fn mistakes_of_hmac_are_reported_with_the_way_out() {
    for (yaml, said) in [
        ("header: \"X Sum\"", "cannot be the name of a header"),
        ("algorithm: md5", "`algorithm` knows no `md5` (known: `sha256`, `sha1`, `sha512`)"),
        ("encoding: base46", "did you mean `base64`?"),
        ("signed: \"{time}.{body}\"", "`signed` knows no `{time}`"),
        ("signed: \"{timestamp}\"", "proves nothing"),
        ("signed: \"{body}{body}\"", "has `{body}` twice"),
        ("signed: \"{body\"", "a `{` has no `}`"),
        ("signed: \"{timestamp}.{body}\"", "`time` must name a header (add `time: X-…`)"),
        ("signed: \"{id}.{body}\"\nid: $.id", "`id` must name a header"),
        ("id: X-Id", "warning: this header is not signed"),
        ("type: a b", "cannot be the name of a header"),
    ] {
        let (_, problems) = parsed(&format!("preset: hmac\n{SECRETS}\n{yaml}"));
        assert!(problems.len() == 1 && problems[0].contains(said), "{yaml}: {problems:?}");
    }
}

#[test]
fn presets_are_found_by_name_or_by_nearness() {
    for preset in presets::PRESETS {
        let secret = if preset.name == "standard-webhooks" { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } else { "x2" };
        let (source, problems) = parsed(&format!("preset: {}\nsecrets: {secret}", preset.name));
        assert!(source.is_some_and(|source| source.preset.name == preset.name), "{problems:?}");
    }
    let (source, problems) = parsed(&format!("preset: jewel-music\n{SECRETS}"));
    assert!(source.is_none() && problems[0].contains("did you mean `jewelmusic`?"), "{problems:?}");
    assert!(parsed(SECRETS).1[0].contains("has no `preset`"));
}

#[test]
fn empty_secrets_are_left_out_and_none_at_all_is_an_error() {
    let (source, problems) = parsed("preset: stripe\nsecrets: [\"${env:SECRET_OF_SIXTEEN}\", \"\", \" \"]");
    assert_eq!((source.unwrap().secrets.len(), problems.len()), (1, 0));
    for yaml in ["secrets: []", "secrets: [\"\", \"\"]", "secrets: \"\"", "secrets:"] {
        let (source, problems) = parsed(&format!("preset: stripe\n{yaml}"));
        assert!(source.is_none() && problems.len() == 1, "{problems:?}");
        assert!(problems[0].contains("source `them` has no secret"), "{problems:?}");
    }
    assert!(parsed("preset: stripe").1.iter().any(|problem| problem.contains("has no `secrets`")));
}

#[test]
fn exactly_one_newline_at_a_secret_s_end_is_taken_away() {
    for (written, secret) in [
        ("\"a secret of more than 16\\n\"", "a secret of more than 16"),
        ("\"a secret of more than 16\\r\\n\"", "a secret of more than 16"),
        ("\"a secret of more than 16\\n\\n\"", "a secret of more than 16\n"),
    ] {
        let (source, _) = parsed(&format!("preset: stripe\nsecrets: {written}"));
        assert_eq!(source.unwrap().secrets[0].open(), secret);
    }
}

#[test]
fn weak_secrets_are_warned_of_and_never_quoted() {
    for (secret, said) in [
        ("Tr0ub4dor", "shorter than 16 bytes"),
        ("please-change-me-0123456789", "looks like a placeholder"),
        ("your_webhook_secret", "looks like a placeholder"),
        ("XXXXXXXXXXXXXXXXXXXX", "looks like a placeholder"),
        ("\" 0123456789abcdefgh\"", "whitespace"),
        ("0123456789abcdefgh", "the file itself contains"),
    ] {
        let yaml = format!("{{preset: stripe, secrets: [{secret}]}}");
        let mut problems = fanfare::problem::Problems::new();
        let node = fanfare::yaml::read(&fanfare::problem::File::guarded("f.yaml", yaml), &mut problems).unwrap();
        let mut fields = fanfare::yaml::Fields::of(&node, "a source", &mut problems).unwrap();
        let source = fanfare::source::Source::parse("them", &mut fields, &mut problems);
        assert!(source.is_some() && !problems.has_errors(), "{problems:?}");
        let said_all: String = problems.iter().map(|problem| problem.render(false)).collect();
        assert!(said_all.contains(said), "{said_all}");
        assert!(!said_all.contains(secret.trim_matches(['"', ' '])), "{said_all}");
    }
}

#[test]
fn a_problem_with_a_source_never_shows_a_secret() {
    let secret = "hunter2hunter2hunter2";
    for yaml in [
        format!("{{preset: standard-webhooks, secrets: [\"{secret}!\"]}}"),
        format!("{{preset: stripe, secrets: [{{a: {secret}}}]}}"),
        format!("{{preset: stripe, secrets: [{}]}}", [secret; 9].join(", ")),
    ] {
        let mut problems = fanfare::problem::Problems::new();
        let node = fanfare::yaml::read(&fanfare::problem::File::guarded("f.yaml", &*yaml), &mut problems).unwrap();
        let mut fields = fanfare::yaml::Fields::of(&node, "a source", &mut problems).unwrap();
        assert!(fanfare::source::Source::parse("them", &mut fields, &mut problems).is_none());
        assert!(problems.has_errors());
        for problem in problems {
            let shown = problem.render(false);
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_source_cannot_be_called_fanfare() {
    let yaml = format!("preset: jewelmusic\n{SECRETS}");
    for (name, said) in
        [("fanfare", "cannot be called `fanfare`"), ("a b", "cannot be the name"), ("", "cannot be the name")]
    {
        let mut problems = fanfare::problem::Problems::new();
        let node = fanfare::yaml::read(&fanfare::problem::File::new("f.yaml", &*yaml), &mut problems).unwrap();
        let mut fields = fanfare::yaml::Fields::of(&node, "a source", &mut problems).unwrap();
        assert!(fanfare::source::Source::parse(name, &mut fields, &mut problems).is_none());
        assert!(problems.iter().any(|problem| problem.message.contains(said)), "{problems:?}");
    }
}

#[test]
fn sizes_are_read_with_their_units() {
    for (text, bytes) in [
        ("1MiB", Some(1 << 20)),
        ("500KiB", Some(500 << 10)),
        ("2 mb", Some(2_000_000)),
        ("3kB", Some(3000)),
        ("1024", Some(1024)),
        ("7B", Some(7)),
        ("", None),
        ("MiB", None),
        ("-1", None),
        ("1.5MiB", None),
        ("99999999999999999999MiB", None),
        ("18446744073709551615MiB", None),
    ] {
        assert_eq!(size(text), bytes, "{text}");
    }
}

#[test]
fn the_names_and_types_of_a_preset_can_be_asked_for() {
    let names: Vec<&str> = presets::preset_names("jewelmusic").iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["release", "track", "artist", "title", "amount", "currency", "fraud_case", "livemode"]);
    assert!(presets::known_types("jewelmusic").contains(&"copilot.generation.completed"));
    assert!(presets::preset_names("nobody").is_empty() && presets::known_types("hmac").is_empty());
}
