//! Secrets that stand in `fanfare.yaml` itself, in every slot that takes one, and the file broken in every way that a slip
//! of a finger can break it: nothing that is said of it holds a piece of one.

use std::path::Path;
use std::process::Command;

use fanfare::channels::redact::redact;
use fanfare::config::guard;
use fanfare::config::load::Loaded;
use fanfare::config::settings::DESTINATION_KEYS;
use fanfare::config::substitute::RealEnvironment;
use fanfare::lint::load;
use fanfare::source::parse::{HMAC_KEYS, KEYS};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::app::eventually;
use crate::support::process::{BINARY, Process};

/// What is looked for, in each secret of both files.
const CANARIES: &[&str] = &[
    "q7ZkT4mW9sB2",
    "xN6vC1pL8dQ3",
    "hR5yJ0uGfA7e",
    "bM2tK9wS4zXo",
    "eV8iD3nYc6Pj",
    "oL1rU5gHaT9k",
    "wF4sE7xZ2mCq",
    "aP6dI0vNbK3y",
    "zG9jR2uWhX5t",
    "kY3cO8lMfS6e",
    "tB7nQ1iVpD4w",
    "mJ5xA9eUgL2r",
    "UTdaa1Q0bVc5c0Iy",
    "yT6hN4oEvR8b",
];

/// As many people write it: a line each.
const BLOCK: &str = r##"# the old hook was hooks.example/q7ZkT4mW9sB2
store: postgres://fanfare:xN6vC1pL8dQ3@db.example/fanfare
admin:
  token: hR5yJ0uGfA7e-hR5yJ0uGfA7e
heartbeat: {url: "https://watch.example/ping/bM2tK9wS4zXo"}
sources:
  jewelmusic:
    preset: jewelmusic
    secrets:
      - eV8iD3nYc6Pj-eV8iD3nYc6Pj
      - "oL1rU5gHaT9k-oL1rU5gHaT9k"
destinations:
  hook:
    type: slack
    webhook_url: https://hooks.slack.com/services/T0/B0/wF4sE7xZ2mCq
  mail:
    type: email
    smtp: smtps://fanfare:aP6dI0vNbK3y@mail.example
    from: a@label.example
    to: b@label.example
  ledger:
    type: http
    url: "https://ledger.example/in/zG9jR2uWhX5t?key=kY3cO8lMfS6e"
    headers:
      Authorization: Bearer tB7nQ1iVpD4w
"##;

/// As others do: in brackets.
const FLOW: &str = r##"admin: {listen: "127.0.0.1:0", token: 'hR5yJ0uGfA7e-hR5yJ0uGfA7e'}
sources:
  money: {preset: stripe, path: /in/money, secrets: ["eV8iD3nYc6Pj-eV8iD3nYc6Pj", oL1rU5gHaT9k-oL1rU5gHaT9k]}
destinations:
  bot: {type: slack, token: "xoxb-wF4sE7xZ2mCq", channel: "#a", mentions: {team: S0123}}
  news: {type: discord, webhook_url: "https://discord.com/api/webhooks/123456789012345678/aP6dI0vNbK3y", rate: 1/s}
  pager: {type: pagerduty, routing_key: mJ5xA9eUgL2rmJ5xA9eUgL2r12345678, fallback: [bot]}
  ledger: {type: http, url: "https://l.example/zG9jR2uWhX5t", headers: {X-Key: "tB7nQ1iVpD4w"}, sign: {secret: whsec_UTdaa1Q0bVc5c0IyUTdaa1Q0bVc5c0IyUTdaa1Q0}}
"##;

/// What is put before a character, or in its place.
const SIGNS: &str = "\"':{}[],# \n\t&*!|>%@`\\-?$x\u{a0}";

/// How many letters of a canary in a row count as a piece of it.
const PIECE: usize = 6;

fn assert_clean(what: &str, said: &str) {
    let lower = said.to_lowercase();
    for canary in CANARIES {
        let canary = canary.to_lowercase();
        for at in 0..=canary.len() - PIECE {
            let piece = &canary[at..at + PIECE];
            assert!(!lower.contains(piece), "`{piece}` is seen, after {what}:\n{said}");
        }
    }
}

/// All that any command, log line, page or answer could say of what was loaded.
fn said(loaded: &Loaded) -> String {
    let mut said = loaded.report();
    for problem in loaded.problems.iter() {
        said += &format!("\n{problem}\n{}\n{:?}\n", problem.render(true), problem.hint);
        said.extend(problem.also.iter().map(|(_, label)| label.as_str()));
    }
    said += &format!("\n{:?}", loaded.snapshot.as_ref().map(|snapshot| &snapshot.settings));
    for destination in loaded.snapshot.iter().flat_map(|snapshot| snapshot.destinations.values()) {
        let secrets = &destination.channel.facts().secrets;
        said += &format!("\n{}", destination.channel.facts().address);
        for endpoint in &destination.channel.facts().endpoints {
            // As an attempt's account would name it.
            said += &format!("\n{}", redact(&format!("`{endpoint:?}` has no address"), secrets));
        }
    }
    said
}

fn loaded(folder: &Path, text: &str) -> Loaded {
    std::fs::write(folder.join("fanfare.yaml"), text).unwrap();
    load(&folder.join("fanfare.yaml"), &RealEnvironment, Timestamp::UNIX_EPOCH)
}

/// The text with one character left out, and with signs before each and in its place: each with what was done. `turn` tells
/// which signs, so that all have their turn somewhere.
fn broken(text: &str) -> impl Iterator<Item = (String, String)> {
    let signs: Vec<char> = SIGNS.chars().collect();
    text.char_indices().enumerate().flat_map(move |(nth, (at, c))| {
        let (before, after) = (&text[..at], &text[at + c.len_utf8()..]);
        let mut all = vec![(format!("{at} left out"), format!("{before}{after}"))];
        for step in 0..2 {
            let sign = signs[(nth * 2 + step) % signs.len()];
            all.push((format!("{sign:?} before {at}"), format!("{before}{sign}{c}{after}")));
            let sign = signs[(nth * 2 + step + 7) % signs.len()];
            all.push((format!("{sign:?} for {at}"), format!("{before}{sign}{after}")));
        }
        all
    })
}

fn no_slip_shows_a_secret(text: &'static str) {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    let whole = loaded(folder.path(), text);
    assert!(!whole.problems.has_errors(), "{}", whole.report());
    assert_clean("nothing", &said(&whole));
    let (mut tried, mut wrong) = (0, 0);
    for (what, text) in broken(text) {
        let loaded = loaded(folder.path(), &text);
        assert_clean(&format!("{what} in\n{text}"), &said(&loaded));
        tried += 1;
        wrong += usize::from(loaded.problems.has_errors());
    }
    assert!(tried > 3_000 && wrong > tried / 4 && wrong < tried, "{wrong} mistakes of {tried}");
}

#[test]
fn no_slip_in_a_file_of_lines_shows_a_piece_of_a_secret_that_stands_in_it() {
    no_slip_shows_a_secret(BLOCK);
}

#[test]
fn no_slip_in_a_file_of_brackets_shows_a_piece_of_a_secret_that_stands_in_it() {
    no_slip_shows_a_secret(FLOW);
}

#[test]
fn every_key_of_sources_and_destinations_is_known_as_one_to_show_or_not() {
    let own = fanfare::channels::ALL.iter().flat_map(|kind| kind.keys).map(|key| key.name);
    let keys = own.chain(DESTINATION_KEYS.iter().chain(KEYS).chain(HMAC_KEYS).map(|(key, _)| *key));
    for key in keys {
        assert!(guard::is_decided(key), "say in `config/guard.rs` whether the value of `{key}` may be shown");
    }
}

#[test]
fn a_mistake_beside_a_secret_is_still_told_with_its_line() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    let text = FLOW.replace("rate: 1/s", "rate: often").replace("routing_key:", "routing_kye:");
    let report = loaded(folder.path(), &text).report();
    for part in [
        "`often` is not a rate",
        "news: {type: discord, webhook_url: \"•••\", rate: often}",
        "destination `pager` has no key `routing_kye`",
        "pager: {type: pagerduty, routing_kye: •••, fallback: [bot]}",
        "did you mean `routing_key`?",
    ] {
        assert!(report.contains(part), "`{part}` is missing from\n{report}");
    }
    let broken = FLOW.replace("sources:", "sources");
    let report = loaded(folder.path(), &broken).report();
    assert!(report.contains("fanfare.yaml:2:1") && report.contains("a `:` and a space are missing"), "{report}");
}

#[tokio::test]
async fn no_command_no_page_and_no_log_shows_a_secret_of_a_broken_file() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    let good =
        FLOW.replace("admin:", "listen: 127.0.0.1:0\nadmin:").replace(", token: 'hR5yJ0uGfA7e-hR5yJ0uGfA7e'", "");
    std::fs::write(folder.path().join("fanfare.yaml"), &good).unwrap();
    let process = Process::start_with(folder.path(), "trace", &[]).await;
    let ask = async |path: &str| crate::support::app::ask(process.admin, "GET", path).await.text();
    for (from, to) in [
        ("\"xoxb-wF4s", "'xoxb-wF4s"),
        ("secrets: [", "secrets: {"),
        ("token: \"", "token, \""),
        ("headers: {X-Key: ", "headers: {X-Key:"),
    ] {
        let broken = good.replacen(from, to, 1);
        std::fs::write(folder.path().join("fanfare.yaml"), &broken).unwrap();
        let place = eventually("another report", async || {
            let report = ask("/readyz").await;
            let said = crate::support::app::ask(process.admin, "POST", "/-/reload").await;
            assert_clean("a reload", &said.text());
            (said.status == 422 && report.contains("fanfare.yaml")).then_some(report)
        })
        .await;
        assert_clean(to, &place);
        for path in ["/", "/api/v1/status", "/metrics"] {
            assert_clean(path, &ask(path).await);
        }
        for arguments in [
            &["check"][..],
            &["check", "--format", "json"],
            &["check", "--format", "github"],
            &["check", "--format", "sarif"],
            &["doctor"],
            &["events", "list"],
        ] {
            let output = Command::new(BINARY)
                .current_dir(folder.path())
                .args(arguments)
                .env_remove("FANFARE_CONFIG")
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert_clean(&format!("{arguments:?} of {to}"), &String::from_utf8_lossy(&said));
        }
    }
    assert_clean("serving", &process.kill().await);
}
