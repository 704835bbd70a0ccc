//! The keys that the readers take, against the keys that the schemas allow.

use fanfare::config::settings::DESTINATION_KEYS;
use fanfare::config::substitute::NoEnvironment;
use fanfare::lint::load;
use fanfare::rules::keys::{self, MapDoc};
use fanfare::rules::operator::TABLE;
use fanfare::source::parse::{HMAC_KEYS, KEYS};

use super::*;

fn properties(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let at = schema.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
    at["properties"].as_object().unwrap_or_else(|| panic!("no mapping at {pointer}")).keys().cloned().collect()
}

fn set<'k>(keys: impl IntoIterator<Item = &'k str>) -> BTreeSet<String> {
    keys.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_schema_of_rules_has_the_keys_of_the_tables() {
    let schema = of(Of::Rules);
    let of_map = |map: &MapDoc| set(map.keys.iter().map(|key| key.name));
    let places = [
        "",
        "rule",
        "action",
        "closer",
        "missing",
        "threshold",
        "sum",
        "flood",
        "throttle",
        "digest",
        "attach",
        "window",
        "mute",
    ];
    assert_eq!(places.len(), keys::ALL.len());
    for (map, name) in keys::ALL.iter().zip(places) {
        let pointer = if name.is_empty() { String::new() } else { format!("/$defs/{name}") };
        assert_eq!(properties(&schema, &pointer), of_map(map), "{}", map.name);
    }
    let mut operators = set(TABLE.iter().map(|row| row.name));
    operators.insert("ignore_case".into());
    assert_eq!(properties(&schema, "/$defs/operators"), operators);
}

#[test]
fn the_schema_of_sources_and_destinations_has_the_keys_of_the_tables() {
    let schema = of(Of::Config);
    let source = set(KEYS.iter().map(|(key, _)| *key));
    assert_eq!(properties(&schema, "/$defs/source/else"), source);
    let hmac = set(KEYS.iter().chain(HMAC_KEYS).map(|(key, _)| *key));
    assert_eq!(properties(&schema, "/$defs/source/then"), hmac);
    for (nth, kind) in channels::ALL.iter().enumerate() {
        let keys = set(DESTINATION_KEYS.iter().map(|(key, _)| *key).chain(kind.keys.iter().map(|key| key.name)));
        assert_eq!(properties(&schema, &format!("/$defs/destination/allOf/{nth}/then")), keys, "{}", kind.name);
    }
}

/// The keys that a reader knows where `zzzzzzzzzzzz` stands: it lists them.
fn taken(report: &Problems) -> BTreeSet<String> {
    let unknown =
        // Of a configuration no word is shown that may be a secret.
        report.iter().find(|problem| problem.code == "unknown-key" && ["zzzzzzzzzzzz", "•••"].iter().any(|word| problem.message.contains(word)));
    let hint = unknown.unwrap_or_else(|| panic!("no unknown key")).hint.clone().unwrap();
    set(hint.trim_start_matches("known: ").split(", ").map(|key| key.trim_matches('`')))
}

#[test]
fn the_schema_of_the_configuration_has_the_keys_that_its_reader_takes() {
    let schema = of(Of::Config);
    for (text, pointer) in [
        ("zzzzzzzzzzzz: 1", ""),
        ("admin: {zzzzzzzzzzzz: 1}", "/properties/admin"),
        (
            "admin: {tokens: {a: {token: b, may: read, zzzzzzzzzzzz: 1}}}",
            "/properties/admin/properties/tokens/additionalProperties",
        ),
        ("admin: {proxy: {from: 10.0.0.1, zzzzzzzzzzzz: 1}}", "/properties/admin/properties/proxy"),
        ("tls: {cert: a, key: b, zzzzzzzzzzzz: 1}", "/properties/tls"),
        ("egress: {zzzzzzzzzzzz: 1}", "/properties/egress"),
        ("heartbeat: {url: https://a.example/, zzzzzzzzzzzz: 1}", "/properties/heartbeat"),
        (
            "destinations: {a: {type: http, url: https://a.example/, retry: {zzzzzzzzzzzz: 1}}}",
            "/$defs/destination/allOf/3/then/properties/retry",
        ),
        (
            "destinations: {a: {type: http, url: https://a.example/, sign: {secret: a, zzzzzzzzzzzz: 1}}}",
            "/$defs/destination/allOf/3/then/properties/sign",
        ),
        (
            "destinations: {a: {type: http, url: {by: $.a, map: {}, else: https://a.example/, zzzzzzzzzzzz: 1}}}",
            "/$defs/destination/allOf/3/then/properties/url/anyOf/1",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanfare.yaml");
        fs::write(&file, text).unwrap();
        let loaded = load(&file, &NoEnvironment, docs::loading::now());
        assert_eq!(properties(&schema, pointer), taken(&loaded.problems), "{text}");
    }
}

#[test]
fn the_schema_of_tests_has_the_keys_that_their_reader_takes() {
    let schema = of(Of::Tests);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    let rules = "rules: [{name: r, events: '*', actions: {to: t}}]";
    fs::write(folder.path().join("rules/r.yaml"), rules).unwrap();
    let step = |step: &str| format!("tests: [{{name: a, steps: [{step}]}}]");
    for (text, pointer, but) in [
        ("tests: []\nzzzzzzzzzzzz: 1".to_owned(), "", &["rules"][..]),
        ("tests: [{name: a, zzzzzzzzzzzz: 1, steps: [{wait: 1h}]}]".to_owned(), "/$defs/test", &[]),
        (step("{send: release.live, zzzzzzzzzzzz: 1}"), "/$defs/step", &[]),
        (step("{expect: [{to: t, zzzzzzzzzzzz: 1}]}"), "/$defs/expectation", &[]),
    ] {
        fs::write(folder.path().join("rules/r.test.yaml"), &text).unwrap();
        let loaded = fanfare::config::load::load_rules_only(&folder.path().join("fanfare.yaml"), docs::loading::now());
        let mut problems = Problems::new();
        let stage = fanfare::rehearse::Stage::new(loaded.snapshot.unwrap());
        let read = |_: &str, _: &str| Err("none".to_owned());
        fanfare::rehearse::play::read(&stage, &loaded.files, &loaded.files.tests, &read, &mut problems);
        let mut known = properties(&schema, pointer);
        if pointer == "/$defs/step" {
            // A step with `send` takes what goes with it.
            known.retain(|key| ["send", "set", "source"].contains(&key.as_str()));
        }
        let mut taken = taken(&problems);
        // Taken only to say that rules stand elsewhere.
        taken.retain(|key| !but.contains(&key.as_str()));
        assert_eq!(known, taken, "{text}");
    }
}
