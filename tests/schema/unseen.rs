//! Mistakes: what a schema can see it refuses, and what it can't see stands here with the reason.

use super::*;

/// Mistakes that no schema of one file sees, by why.
const UNSEEN: &[(&str, &[&str])] = &[
    (
        "it needs the rest of the file, or other files: names that nobody defines, or that two define",
        &[
            "action-name-twice",
            "case-by-a-name-of-several",
            "closer-with-another-key",
            "formerly-still-there",
            "formerly-twice",
            "hours-misspelt",
            "hours-without-a-zone",
            "list-misspelt",
            "list-that-is-a-text",
            "mute-of-an-unknown-rule",
            "name-misspelt",
            "otherwise-of-nothing",
            "same-action-twice",
            "two-rules-of-one-name",
        ],
    ),
    (
        "a comment is not in the document that a schema looks at",
        &[
            "docs/RULES.md: charts",
            "glob-cut-by-comment",
            "path-cut-by-comment",
            "text-cut-by-a-number-sign",
            "text-cut-by-comment",
        ],
    ),
    (
        "nothing at all and a null that is written out are the same document",
        &["docs/RULES.md: without-a-reason", "empty-test"],
    ),
    ("two times are compared", &["hours-that-never-are", "mute-that-ends-first"]),
    ("zones are a database", &["hours-in-an-unknown-place"]),
    ("a filter within a path has a grammar of its own", &["path-compares-several", "path-with-two-equals"]),
    ("a regular expression has a grammar of its own", &["regex-broken", "regex-looks-around", "regex-too-large"]),
    ("a template needs an event", &["docs/RULES.md: live"]),
];

/// Every file with a mistake that people have a golden report of, by its name.
fn mistakes() -> Vec<(Of, String, String)> {
    let mut mistakes = Vec::new();
    for (folder, of) in [("tests/rules/error", Of::Rules), ("tests/trial/wrong", Of::Tests)] {
        for (path, text) in files(folder) {
            let report = fs::read_to_string(path.with_extension("report")).unwrap();
            // What is legal and surely wrong is not for a schema.
            let is_error = report.lines().any(|line| line.starts_with(Gravity::Error.name()));
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            mistakes.extend(is_error.then_some((of, name, text)));
        }
    }
    for page in docs::pages() {
        for block in blocks(&page.text) {
            let of = match block.kind(&page) {
                Kind::WrongRules => Of::Rules,
                Kind::WrongConfig => Of::Config,
                _ => continue,
            };
            let first = block.text.lines().find_map(|line| line.trim().strip_prefix("- name: ")).unwrap_or_default();
            mistakes.push((of, format!("{}: {first}", page.path.display()), block.text));
        }
    }
    mistakes
}

#[test]
fn every_mistake_that_a_schema_can_see_is_refused() {
    let validators: BTreeMap<&str, Validator> = Of::ALL.into_iter().map(|of| (of.name(), validator(of))).collect();
    let listed: BTreeSet<&str> = UNSEEN.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let (mut wrong, mut all) = (Vec::new(), BTreeSet::new());
    for (of, name, text) in mistakes() {
        let refused = document(&text).is_none_or(|document| !said(&validators[of.name()], &document).is_empty());
        match (refused, listed.contains(name.as_str())) {
            (true, true) => wrong.push(format!("`{name}` is refused: take it off the list")),
            (false, false) => wrong.push(format!("`{name}` is accepted: refuse it, or list it here with the reason")),
            _ => {}
        }
        all.insert(name);
    }
    let gone =
        listed.iter().filter(|name| !all.contains(**name)).map(|name| format!("`{name}` is not a mistake any more"));
    wrong.extend(gone);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all.len() > 100, "only {} mistakes", all.len());
}

#[test]
fn typical_mistakes_of_a_configuration_are_refused() {
    let validator = validator(Of::Config);
    let source = |keys: &str| format!("sources: {{a: {{preset: jewelmusic, secrets: \"${{env:S}}\", {keys}}}}}");
    let destination = |keys: &str| format!("destinations: {{a: {{{keys}}}}}");
    for text in [
        "destination: {}".to_owned(),
        "listen: everywhere".into(),
        "store: mysql://a".into(),
        "admin: {tokn: a}".into(),
        "tls: {cert: a.pem}".into(),
        "retention: 30 days".into(),
        "egress: {deny: {a: b}}".into(),
        "sources: {a: {preset: jewelmusik, secrets: a}}".into(),
        "sources: {a: {preset: jewelmusic}}".into(),
        source("header: X-Signature"),
        source("path: webhooks/a"),
        source("accept: [raw, cooked]"),
        source("max_body: 1 gigabyte"),
        source("tolerance: long"),
        "destinations: {a b: {type: http, url: https://a.example/}}".into(),
        destination("webhook_url: https://a.example/"),
        destination("type: slak, webhook_url: https://a.example/"),
        destination("type: discord, webhok_url: https://a.example/"),
        destination("type: discord"),
        destination("type: email, smtp: smtps://a.example, from: a@a.example"),
        destination("type: http, url: https://a.example/, method: GET"),
        destination("type: http, url: https://a.example/, rate: 1 per second"),
        destination("type: http, url: https://a.example/, rate: 0/s"),
        destination("type: http, url: https://a.example/, retry: {fist: 5s}"),
        destination("type: http, url: https://a.example/, burst: 0"),
        destination("type: http, url: https://a.example/, hours: {from: 8am, to: 10pm}"),
        destination("type: slack, token: a, channel: {by: $.data.label, map: {A: '#a'}}"),
        destination("type: slack, token: a, channel: '#a', broadcast: sometimes"),
    ] {
        assert!(!said(&validator, &document(&text).unwrap()).is_empty(), "accepted: {text}");
    }
}
