//! The label of the simulation: its configuration, in versions that are reloaded, and what each of them means.

use std::sync::{Arc, OnceLock};

use fanfare::clock::from_ms;
use fanfare::config::Snapshot;
use fanfare::config::load;
use fanfare::config::substitute::NoEnvironment;

use crate::support::folder::Folder;

/// What the sender signs with.
pub const SECRET: &str = "whsec-of-the-simulation-0123456789";

/// Every destination, with the most that may be under way.
pub const DESTINATIONS: [(&str, u32); 5] = [("pager", 2), ("chat", 2), ("mail", 4), ("archive", 3), ("ops", 4)];

/// The destination that can change what it showed: it is notified of closes.
pub const UPDATING: &str = "pager";

/// Where the messages go that died on the way to `pager`.
pub const FALLBACK: &str = "mail";

/// How long after its message was due the fallback is notified of it: what channels have that page people.
pub const FALLBACK_AFTER_MS: i64 = 5 * 60_000;

/// The first wait of every destination's schedule, in ms.
pub const RETRY_FIRST_MS: i64 = 20_000;
/// How long after it became due a delivery is given up.
pub const GIVE_UP_MS: i64 = 24 * 3_600_000;

/// The least time between two sends to `chat`, in ms; a burst of one.
pub const CHAT_SPACING_MS: i64 = 2000;

const CONFIG: &str = r#"
listen: 127.0.0.1:8080
admin: {listen: "127.0.0.1:8081"}
store: "memory:"
retention: 30d
links: {url: "https://hooks.label.example"}
sources:
  jewelmusic: {preset: jewelmusic, path: /webhooks/jewelmusic, secrets: [whsec-of-the-simulation-0123456789]}
destinations:
  pager: {type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef, concurrency: 2, retry: RETRY, fallback: [mail]}
  chat: {type: http, url: "https://chat.example/", concurrency: 2, rate: 30/m, retry: RETRY}
  mail: {type: http, url: "https://mail.example/", concurrency: 4, retry: RETRY}
  archive: {type: http, url: "https://archive.example/", concurrency: 3, retry: RETRY}
  ops: {type: http, url: "https://ops.example/", concurrency: 4, retry: RETRY}
"#;

/// The rules, except for `stuck`; what stands in capitals varies.
const RULES: &str = r#"
rules:
  - {name: plain, events: track.uploaded, actions: {name: note, to: archive}}
  - name: NAME
    formerly: FORMERLY
    events: fraud.action_required
    case: $.data.key
    closed_by: fraud.resolved
    closes_after: 12d
    actions:
      - {name: page, to: pager}
      - {name: open, to: chat, once: true, links: [acknowledge, close]}
      - {name: heads, to: mail, after: AFTER, repeat: 3d, links: [close]}
    on_close: {name: over, to: chat}
  - name: bots
    events: fraud.bot_detection
    actions:
      - {name: some, to: chat, throttle: {per: $.data.key, max: 1, every: 1h}}
      - {name: rest, to: mail, throttle: {per: $.data.key, max: 2, every: 6h, rest: digest}}
  - name: royal
    events: royalty.reported
    actions: {name: sum, to: mail, digest: {per: $.data.key, every: 6h, limit: 3}}
  - name: night
    events: release.rejected
    actions:
      - {name: day, to: chat, hours: {from: "09:00", to: "18:00", timezone: UTC}}
      - {name: now, to: archive, hours: {from: "09:00", to: "18:00", timezone: UTC, outside: drop}}
  - name: silent
    missing: {events: royalty.reported, for: 15d}
    closes_after: 20d
    actions: {name: ask, to: mail}
  - name: ops
    events: [fanfare.delivery.dead, fanfare.destination.*, fanfare.mute.ended, fanfare.rule.failed]
    actions: {name: tell, to: ops}
"#;

/// The rule that one version has not.
const STUCK: &str = r#"
  - name: stuck
    events: release.submitted
    case: $.data.key
    closed_by: [release.live, release.rejected]
    closes_after: 20d
    actions: {name: late, to: chat, after: 7d}
"#;

/// All versions, loaded once for all seeds.
pub fn versions() -> &'static [Arc<Snapshot>] {
    static VERSIONS: OnceLock<Vec<Arc<Snapshot>>> = OnceLock::new();
    VERSIONS.get_or_init(|| (0..3).map(version).collect())
}

/// The first version; one in which a rule has another name and an escalation another time; one without a rule that has
/// open cases.
fn version(number: usize) -> Arc<Snapshot> {
    let (name, formerly, after) =
        if number == 1 { ("fraud-ladder", "ladder", "3h") } else { ("ladder", "fraud-ladder", "2h") };
    let rules = RULES.replace("FORMERLY", formerly).replace("NAME", name).replace("AFTER", after);
    let rules = format!("{}{}", rules.trim_end(), if number == 2 { "" } else { STUCK });
    let config = CONFIG.replace("RETRY", "{first: 20s, max: 2h, give_up: 24h}");
    let folder = Folder::new(&config, "", &rules);
    let loaded = load::load(&folder.file("fanfare.yaml"), &NoEnvironment, from_ms(0));
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    let snapshot = loaded.snapshot.expect("a snapshot without errors");
    assert!(snapshot.rules.is_some(), "rules without errors are in force");
    Arc::new(snapshot)
}
