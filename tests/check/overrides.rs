//! What an action says otherwise than its destinations, held against what those take.

use super::{folder, loaded, report};

const CONFIG: &str = r##"
sources:
  jewelmusic: {preset: jewelmusic, secrets: "${env:S}"}
destinations:
  phones: {type: ntfy, topic: label-oncall}
  group: {type: telegram, token: "${env:TELEGRAM}", chat: "-1001234567890"}
  rooms: {type: slack, token: "${env:SLACK}", channel: "#releases"}
"##;

fn said(action: &str) -> String {
    let rules = format!("rules:\n  - {{name: r, events: release.rejected, actions: [{{{action}}}]}}\n");
    let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", &rules)]);
    let loaded = loaded(&folder);
    report(&folder, &loaded, &["unheard", "no-fallback", "unused-destination"])
}

#[test]
fn what_a_destination_takes_has_no_problem() {
    assert_eq!(said("to: phones, override: {priority: 5}"), "");
    assert_eq!(said("to: group, override: {topic: 5, silent: true}"), "");
}

#[test]
fn what_it_does_not_take_is_said_with_the_nearest_that_it_does() {
    for (action, wanted) in [
        ("to: phones, override: {priorty: 5}", "an action can't override `priorty` of `phones`, of the type `ntfy`"),
        ("to: phones, override: {priorty: 5}", "did you mean `priority`?"),
        (
            "to: [phones, group], override: {priority: 5}",
            "can't override `priority` of `group`, of the type `telegram`",
        ),
        ("to: phones, override: {priority: loud}", "`priority` of `phones` takes a number from 1 to 5"),
        ("to: group, override: {chat: \"1\"}", "that is decided in `fanfare.yaml`"),
        ("to: rooms, override: {channel: \"#all\"}", "that is decided in `fanfare.yaml`"),
        ("to: rooms, override: {sound: no}", "nothing can be overridden at the type `slack`"),
        ("to: rooms, override: loud", "expected a mapping for `override`"),
    ] {
        let said = said(action);
        assert!(said.contains(wanted), "{action} gives\n{said}");
        assert!(said.contains("--> rules/r.yaml:2:"), "{said}");
    }
}
