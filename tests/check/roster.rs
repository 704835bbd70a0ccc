//! People and maps, held against the destinations that they reach.

use super::{codes, folder, loaded, report};

const CONFIG: &str = r##"
sources:
  jewelmusic: {preset: jewelmusic, secrets: "${env:S}"}
destinations:
  managers: {type: email, smtp: "${env:SMTP}", from: f@label.example, to: {map: managers, allow: "*@label.example"}}
  rooms: {type: slack, token: "${env:SLACK}", channel: {map: rooms, allow: ["#*", "U*"]}, mentions: {lead: U024BE7LH}}
"##;

fn said(config: &str, rules: &str) -> String {
    let folder = folder(&[("fanfare.yaml", config), ("rules/r.yaml", rules)]);
    let loaded = loaded(&folder);
    report(&folder, &loaded, &["unheard", "no-fallback", "unused-destination"])
}

const RULES: &str = r##"
people:
  nadia: {email: nadia@label.example, slack: U024BE7LH}
maps:
  managers: {by: artist, Mira: nadia, Low Tide: sam@label.example, else: desk@label.example}
  rooms: {by: $.data.label, Halide: "#halide", Kreide: nadia, else: "#releases"}
rules:
  - {name: r, events: release.rejected, actions: [{to: managers}, {to: rooms, mention: [lead, nadia, {map: people-of}]}]}
"##;

#[test]
fn people_and_maps_that_fit_have_no_problem() {
    let rules = RULES.replace("{map: people-of}", "{map: leads}");
    let rules = rules.replace("maps:\n", "maps:\n  leads: {by: artist, Mira: nadia, else: lead}\n");
    assert_eq!(said(CONFIG, &rules), "");
}

#[test]
fn a_map_that_does_not_exist_is_named_with_the_nearest_in_rules_and_in_the_configuration() {
    let said = said(&CONFIG.replace("map: managers", "map: manager"), RULES);
    assert!(said.contains("there is no map `people-of` in `maps:`"), "{said}");
    // What rules files could not be read may have had it.
    assert!(!said.contains("no map `manager`"), "{said}");
    let rules = RULES.replace(", {map: people-of}", "");
    let said = self::said(&CONFIG.replace("map: managers", "map: manager"), &rules);
    assert!(said.contains("error[no-map]: there is no map `manager` in `maps:`\n --> fanfare.yaml:5:81"), "{said}");
    assert!(said.contains("did you mean `managers`?"), "{said}");
}

#[test]
fn a_language_that_is_not_known_is_refused_with_the_nearest_wherever_it_stands() {
    let config = CONFIG.replace("sources:", "locale: en-GB\nsources:").replace("rooms: {", "rooms: {locale: svv, ");
    let rules = RULES.replace(", {map: people-of}", "").replace("slack: U024BE7LH}", "slack: U024BE7LH, locale: xx}");
    let said = self::said(&config, &rules);
    for wanted in [
        "error[unknown-locale]: there is no locale `en-GB`\n --> fanfare.yaml:2:9",
        "write the language alone: `en`",
        "there is no locale `svv`\n --> fanfare.yaml:7:19",
        "did you mean `sv`?",
        "there is no locale `xx`\n --> rules/r.yaml:3:",
        "`de`, `es`, `fr`",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let rules = rules.replace("locale: xx", "locale: fr");
    let config = config.replace("en-GB", "de").replace("svv", "sv");
    assert_eq!(self::said(&config, &rules), "");
}

#[test]
fn a_person_that_a_map_cannot_reach_is_named_where_the_map_says_so() {
    let rules = RULES.replace(", {map: people-of}", ", {map: managers}");
    let rules = rules.replace("Mira: nadia,", "Mira: nadai, Us: sam@elsewhere.example, Kim: kim,");
    let rules = rules.replace("people:\n", "people:\n  kim: {slak: U1, phone: \"030 123\"}\n");
    let said = said(CONFIG, &rules);
    for wanted in [
        "`nadai` reaches nobody at `managers`: `nadai` is not an address for it",
        "did you mean `nadia`?",
        "`sam@elsewhere.example` reaches nobody at `managers`: `sam@elsewhere.example` is outside of what `allow`",
        "`kim` reaches nobody at `managers`: `kim` has no `email` in `people:`",
        "the person `kim` has no key `slak`",
        "did you mean `slack`?",
        "`030 123` is not what `phone` of a person looks like",
        "none of this action's destinations can mention `sam@label.example`",
    ] {
        assert!(said.contains(wanted), "{wanted}\n\n{said}");
    }
}

#[test]
fn a_map_without_else_needs_a_fallback_and_no_fallback_may_be_by_a_map() {
    let rules = RULES.replace(", {map: people-of}", "").replace(", else: desk@label.example", "");
    let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", &rules)]);
    assert!(codes(&loaded(&folder)).contains(&"no-else"));
    let config = CONFIG.replace("allow: \"*@label.example\"}", "allow: \"*@label.example\"}, fallback: rooms");
    let said = said(&config, &rules);
    assert!(!said.contains("no-else"), "{said}");
    assert!(said.contains("the fallback `rooms` leaves its address to a map, which may have none"), "{said}");
}

#[test]
fn no_url_host_or_key_may_be_left_to_a_map() {
    for (config, code) in [
        ("{type: http, url: {map: rooms, allow: \"*\"}}", "wrong-choice"),
        ("{type: pagerduty, routing_key: {map: rooms, allow: \"*\"}}", "wrong-choice"),
        ("{type: slack, webhook_url: {map: rooms, allow: \"*\"}}", "wrong-choice"),
        ("{type: ntfy, topic: {map: rooms, allow: \"*\"}}", "wrong-choice"),
        ("{type: slack, token: \"${env:SLACK}\", channel: {map: rooms}}", "missing-key"),
    ] {
        let config = format!("destinations:\n  a: {config}\n");
        let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", "rules: []\n")]);
        assert!(codes(&loaded(&folder)).contains(&code), "{config}: {:?}", codes(&loaded(&folder)));
    }
}

#[test]
fn an_address_is_one_bare_address_of_its_kind() {
    for to in [
        "a@label.example,b@evil.example",
        "Ann <a@label.example>",
        "\"a b\"@label.example",
        "a@b@label.example",
        "@label.example",
    ] {
        let rules =
            format!("maps: {{managers: {{by: artist, else: {to:?}}}, rooms: {{by: artist, else: '#a'}}}}\nrules: []\n");
        let said = said(&CONFIG.replace("*@label.example", "*"), &rules);
        assert!(said.contains("is not an address for it"), "{to}: {said}");
    }
    for to in ["#a b", "#", "https://a.example", "U1", "@here", "#a,#b"] {
        let rules = format!(
            "maps: {{managers: {{by: artist, else: a@label.example}}, rooms: {{by: artist, else: {to:?}}}}}\nrules: []\n"
        );
        let said = said(&CONFIG.replace("[\"#*\", \"U*\"]", "\"*\""), &rules);
        assert!(said.contains("is not an address for it"), "{to}: {said}");
    }
}
