//! The label of the simulation: its configuration, in versions that are reloaded, and what each of them means.

use std::sync::{Arc, OnceLock};

use fanfare::clock::from_ms;
use fanfare::config::Snapshot;
use fanfare::config::load;
use fanfare::config::substitute::NoEnvironment;

use crate::model::spec::{Action, DAY, Digest, HOUR, Hours, Spec, Throttle, yaml};
use crate::support::folder::Folder;

/// What the sender signs with.
pub const SECRET: &str = "whsec-of-the-simulation-0123456789";

/// Every destination, with the most that may be under way.
pub const DESTINATIONS: [(&str, u32); 5] = [("pager", 2), ("chat", 2), ("mail", 4), ("archive", 3), ("ops", 4)];

/// The destination that can change what it showed: it is notified of closes.
pub const UPDATING: &str = "pager";

/// Where the messages go that died on the way to `pager`.
pub const FALLBACK: &str = "mail";

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
sources:
  jewelmusic: {preset: jewelmusic, path: /webhooks/jewelmusic, secrets: [whsec-of-the-simulation-0123456789]}
destinations:
  pager: {type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef, concurrency: 2, retry: RETRY, fallback: [mail]}
  chat: {type: http, url: "https://chat.example/", concurrency: 2, rate: 30/m, retry: RETRY}
  mail: {type: http, url: "https://mail.example/", concurrency: 4, retry: RETRY}
  archive: {type: http, url: "https://archive.example/", concurrency: 3, retry: RETRY}
  ops: {type: http, url: "https://ops.example/", concurrency: 4, retry: RETRY}
"#;

/// One version of the files.
pub struct Version {
    pub specs: Vec<Spec>,
    pub snapshot: Arc<Snapshot>,
}

/// All versions, loaded once for all seeds.
pub fn versions() -> &'static [Version] {
    static VERSIONS: OnceLock<Vec<Version>> = OnceLock::new();
    VERSIONS.get_or_init(|| (0..3).map(version).collect())
}

fn version(number: usize) -> Version {
    let specs = specs(number);
    let config = CONFIG.replace("RETRY", "{first: 20s, max: 2h, give_up: 24h}");
    let folder = Folder::new(&config, "", &yaml(&specs));
    let loaded = load::load(&folder.file("fanfare.yaml"), &NoEnvironment, from_ms(0));
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    let snapshot = loaded.snapshot.expect("a snapshot without errors");
    assert!(snapshot.rules.is_some(), "rules without errors are in force");
    Version { specs, snapshot: Arc::new(snapshot) }
}

/// The first version; one in which a rule has another name and an escalation another time; one without a rule that has
/// open cases.
fn specs(number: usize) -> Vec<Spec> {
    let renamed = number == 1;
    let heads = Action {
        after: Some(if renamed { 3 * HOUR } else { 2 * HOUR }),
        repeat: Some(3 * DAY),
        ..Action::new("heads", &["mail"])
    };
    let ladder = Spec {
        line: "ladder",
        name: if renamed { "fraud-ladder" } else { "ladder" },
        formerly: vec![if renamed { "ladder" } else { "fraud-ladder" }],
        events: vec!["fraud.action_required"],
        case: true,
        closed_by: vec!["fraud.resolved"],
        closes_after: Some(12 * DAY),
        actions: vec![Action::new("page", &["pager"]), Action { once: true, ..Action::new("open", &["chat"]) }, heads],
        on_close: vec![Action::new("over", &["chat"])],
        ..Spec::default()
    };
    let stuck = Spec {
        case: true,
        closed_by: vec!["release.live", "release.rejected"],
        closes_after: Some(20 * DAY),
        actions: vec![Action { after: Some(7 * DAY), ..Action::new("late", &["chat"]) }],
        ..plain("stuck", "release.submitted", Vec::new())
    };
    let often = |max, every, rest_digest| Some(Throttle { max, every, rest_digest });
    let hours = |drop| Some(Hours { from: 9, to: 18, drop });
    let all = [
        plain("plain", "track.uploaded", vec![Action::new("note", &["archive"])]),
        ladder,
        stuck,
        plain(
            "bots",
            "fraud.bot_detection",
            vec![
                Action { throttle: often(1, HOUR, false), ..Action::new("some", &["chat"]) },
                Action { throttle: often(2, 6 * HOUR, true), ..Action::new("rest", &["mail"]) },
            ],
        ),
        plain(
            "royal",
            "royalty.reported",
            vec![Action { digest: Some(Digest { every: 6 * HOUR, limit: 3 }), ..Action::new("sum", &["mail"]) }],
        ),
        plain(
            "night",
            "release.rejected",
            vec![
                Action { hours: hours(false), ..Action::new("day", &["chat"]) },
                Action { hours: hours(true), ..Action::new("now", &["archive"]) },
            ],
        ),
        Spec {
            missing: Some(15 * DAY),
            closes_after: Some(20 * DAY),
            ..plain("silent", "royalty.reported", vec![Action::new("ask", &["mail"])])
        },
        Spec {
            events: vec![
                "fanfare.delivery.dead",
                "fanfare.destination.failing",
                "fanfare.destination.recovered",
                "fanfare.mute.ended",
                "fanfare.rule.failed",
            ],
            ..plain("ops", "", vec![Action::new("tell", &["ops"])])
        },
    ];
    all.into_iter().filter(|spec| number != 2 || spec.line != "stuck").collect()
}

fn plain(name: &'static str, event: &'static str, actions: Vec<Action>) -> Spec {
    Spec { line: name, name, events: vec![event], actions, ..Spec::default() }
}
