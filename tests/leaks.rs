//! Secrets stay where they belong: the program runs as a process at its most talkative, everything that it speaks to
//! fails in every way and echoes what it was sent, and then everything that can be read is searched.

mod inline;

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::app::{event, eventually, page_signature};
use crate::support::folder::Folder;
use crate::support::http_peer::{Answer, HttpPeer, Recorded};
use crate::support::process::{BINARY, Process};
use crate::support::raw::{exchange, post};
use crate::support::smtp_peer::{Act, Moment, Setup, SmtpPeer};

/// Every slot that takes a secret: its variable in the environment, and what stands there. `KEY` is the part to look
/// for where the whole has a form of its own.
const SLOTS: &[(&str, &str)] = &[
    ("JEWELMUSIC", "CANARY-01-q7ZkT4mW9sB2xN6vC1"),
    ("JEWELMUSIC_OLD", "CANARY-02-q7ZkT4mW9sB2xN6vC1"),
    ("GITHUB", "CANARY-03-q7ZkT4mW9sB2xN6vC1"),
    ("STRIPE", "whsec_CANARY-04-q7ZkT4mW9sB2xN6vC1"),
    ("STANDARD", "whsec_Q0FOQVJZLTA1LXE3WmtUNG1XOXNCMnhONnZDMQ=="),
    ("PARTNER", "CANARY-06-q7ZkT4mW9sB2xN6vC1"),
    ("ADMIN", "CANARY-07-q7ZkT4mW9sB2xN6vC1"),
    ("SLACK_HOOK", "CANARY-08-q7ZkT4mW9sB2xN6vC1"),
    ("SLACK_TOKEN", "xoxb-CANARY-09-q7ZkT4mW9sB2xN6vC1"),
    ("DISCORD", "CANARY-10-q7ZkT4mW9sB2xN6vC1"),
    ("SMTP", "CANARY-11@:/#q7ZkT4mW9sB2xN6vC1"),
    ("PAGERDUTY", "CANARY12q7ZkT4mW9sB2xN6vC1aaaaaa"),
    ("HTTP_URL", "CANARY-13-q7ZkT4mW9sB2xN6vC1"),
    ("HTTP_HEADER", "CANARY-14-q7ZkT4mW9sB2xN6vC1"),
    ("HTTP_SIGN", "whsec_Q0FOQVJZLTE1LXE3WmtUNG1XOXNCMnhONnZDMQ=="),
];

const CONFIG: &str = r##"
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0", token: "${env:ADMIN}"}
sources:
  jewelmusic: {preset: jewelmusic, path: /webhooks/jewelmusic, secrets: ["${env:JEWELMUSIC}", "${env:JEWELMUSIC_OLD}"]}
  code: {preset: github, path: /webhooks/code, secrets: ["${env:GITHUB}"]}
  money: {preset: stripe, path: /webhooks/money, secrets: ["${env:STRIPE}"]}
  standard: {preset: standard-webhooks, path: /webhooks/standard, secrets: ["${env:STANDARD}"]}
  partner:
    {preset: hmac, path: /webhooks/partner, secrets: ["${env:PARTNER}"], header: X-Signature, algorithm: sha256, encoding: hex,
     signed: body, id: $.id, type: $.type}
destinations:
  slack-hook: {type: slack, webhook_url: "PEER/services/T0/B0/${env:SLACK_HOOK}", RETRY}
  slack-bot: {type: slack, token: "${env:SLACK_TOKEN}", channel: "#a", url: PEER/api, RETRY}
  discord: {type: discord, webhook_url: "PEER/api/webhooks/123456789012345678/${env:DISCORD}", RETRY}
  mail: {type: email, smtp: "smtp://fanfare:${env:SMTP}@MAIL?tls=none", from: a@label.example, to: b@label.example, RETRY}
  pager: {type: pagerduty, routing_key: "${env:PAGERDUTY}", url: PEER/v2/enqueue, RETRY}
  ledger:
    {type: http, url: "PEER/hook/${env:HTTP_URL}?key=${env:HTTP_URL}", headers: {Authorization: "Bearer ${env:HTTP_HEADER}"},
     sign: {secret: "${env:HTTP_SIGN}"}, RETRY}
"##;

const RULES: &str = "rules:
  - name: everything
    events: '*'
    actions: [{to: [slack-hook, slack-bot, discord, mail, pager, ledger], text: '{{ event.id }}'}]
";

/// Answers in every bad way in turn, and repeats all that it was sent.
fn echo(request: &Recorded, turn: usize) -> Answer {
    let said = request.text();
    let line = said.replace(['\r', '\n'], " ");
    let json = serde_json::json!({"ok": false, "error": said, "message": said, "errors": [said], "warning": line});
    match turn % 10 {
        0 => Answer::status(500).body(said),
        1 => Answer::status(400).json(&json),
        2 => Answer::status(302).header("Location", &format!("http://127.0.0.1:1{}", request.target)),
        3 => Answer::status(401).header("WWW-Authenticate", &line).body(said),
        4 => Answer::status(200).json(&json),
        5 => Answer::raw(format!("HTTP/1.1 999 {line}\r\nX: {line}\r\n\r\n{said}")),
        6 => Answer::status(429).header("Retry-After", &line).json(&json),
        7 => Answer::close(),
        8 => Answer::raw(format!("{line} is not HTTP\r\n\r\n")),
        _ => Answer::status(404).json(&json),
    }
}

/// Each secret, its parts, and every spelling in which it could stand somewhere.
static SPELLINGS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (slot, secret) in SLOTS {
        let bare = secret.trim_start_matches("whsec_").trim_start_matches("xoxb-");
        let mut texts = vec![bare.to_owned(), hex::encode(bare), hex::encode_upper(bare)];
        texts.push(url::form_urlencoded::byte_serialize(bare.as_bytes()).collect());
        texts.extend(STANDARD.decode(bare).ok().and_then(|decoded| String::from_utf8(decoded).ok()));
        // In base64 a text may begin at each of three places; what it shares with its neighbours is left out.
        for shift in 0..3 {
            let shifted = format!("{}{bare}", &"xx"[..shift]);
            for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
                texts.push(encoded[4..encoded.len() - 4].to_owned());
            }
        }
        all.extend(texts.into_iter().map(|text| (*slot, text)));
    }
    all
});

fn assert_clean(what: &str, bytes: &[u8]) {
    // All spellings are ASCII, so nothing is lost by reading whatever it is as text.
    let text = String::from_utf8_lossy(bytes);
    for (slot, spelling) in SPELLINGS.iter() {
        if let Some(at) = text.find(spelling.as_str()) {
            let around =
                text.floor_char_boundary(at.saturating_sub(200))..text.ceil_char_boundary(at + spelling.len() + 100);
            panic!("the secret of {slot} is in {what}:\n…{}…", &text[around]);
        }
    }
}

fn folder(peer: &HttpPeer, mail: &SmtpPeer) -> Folder {
    let address = mail.url().rsplit('@').next().unwrap().split(['/', '?']).next().unwrap().to_owned();
    let address = address.trim_start_matches("smtp:").trim_start_matches('/').to_owned();
    let config = CONFIG.replace("MAIL", &address).replace("RETRY", "retry: {first: 1s, max: 1s}, concurrency: 8");
    Folder::new(&config, &peer.url(""), RULES)
}

async fn get(process: &Process, path: &str) -> Vec<u8> {
    let token = SLOTS.iter().find(|(slot, _)| *slot == "ADMIN").unwrap().1;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    let answer = exchange(process.admin, head.as_bytes()).await;
    assert!(matches!(answer.status, 200 | 404), "{path}: {} {}", answer.status, answer.text());
    let headers: Vec<String> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let body = answer.body;
    [headers.concat().into_bytes(), b"\n".to_vec(), body].concat()
}

async fn get_json(process: &Process, path: &str) -> Value {
    let whole = get(process, path).await;
    let start = whole.windows(2).position(|two| two == b"\n\n").unwrap() + 2;
    serde_json::from_slice(&whole[start..]).unwrap()
}

async fn send(process: &Process, id: &str) {
    let body = event(id, "release.live");
    let signature = page_signature(SLOTS[0].1, body.as_bytes());
    let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
    assert_eq!(exchange(process.webhooks, &request).await.status, 200);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn whatever_goes_wrong_no_secret_is_said_kept_or_shown() {
    let turn = AtomicUsize::new(0);
    let peer = HttpPeer::serving(move |request| echo(request, turn.fetch_add(1, Ordering::SeqCst))).await;
    let mail = SmtpPeer::start(Setup { login: Some(("fanfare", "another")), ..Setup::default() }).await;
    let password = SLOTS.iter().find(|(slot, _)| *slot == "SMTP").unwrap().1;
    let refusal = format!("535 5.7.8 no: fanfare {password} {}", STANDARD.encode(format!("\0fanfare\0{password}")));
    mail.on(Moment::Auth, Act::Say(Box::leak(refusal.into_boxed_str())));
    let folder = folder(&peer, &mail);
    let process = Process::start_with(folder.path(), "trace", SLOTS).await;
    for number in 0..12 {
        send(&process, &format!("evt_{number}")).await;
    }
    for destination in ["slack-hook", "slack-bot", "discord", "mail", "pager", "ledger"] {
        eventually(destination, async || {
            let list = get_json(&process, &format!("/api/v1/deliveries?destination={destination}")).await;
            let tried = list.as_array().unwrap().iter().filter(|delivery| !delivery["last_error"].is_null()).count();
            (tried >= 1).then_some(())
        })
        .await;
    }
    // Every bad answer was given: a destination that is reported that it isn't there waits long for its next try.
    eventually("ten requests", async || (peer.requests().len() >= 10).then_some(())).await;
    // Others at the door, with wrong signatures and tokens.
    for path in ["jewelmusic", "code", "money", "standard", "partner"] {
        let path = format!("/webhooks/{path}");
        for name in
            ["X-JewelMusic-Signature", "X-Hub-Signature-256", "Stripe-Signature", "webhook-signature", "X-Signature"]
        {
            exchange(process.webhooks, &post(&path, &[(name, "sha256=00")], b"{}")).await;
        }
    }
    let mut paths = vec!["/", "/metrics", "/readyz", "/healthz", "/login", "/api/v1/status", "/api/v1/destinations"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let deliveries = get_json(&process, "/api/v1/deliveries?limit=1000").await;
    for id in deliveries.as_array().unwrap().iter().map(|delivery| delivery["id"].as_str().unwrap()) {
        paths.extend([format!("/deliveries/{id}"), format!("/api/v1/deliveries/{id}")]);
    }
    let events = get_json(&process, "/api/v1/events?limit=1000").await;
    for seq in events.as_array().unwrap().iter().map(|event| event["seq"].to_string()) {
        paths.extend([format!("/events/{seq}"), format!("/api/v1/events/{seq}")]);
    }
    assert!(paths.len() > 100, "{} pages are few", paths.len());
    for path in &paths {
        assert_clean(path, &get(&process, path).await);
    }
    let echoed: String = peer.requests().iter().map(Recorded::text).collect();
    for slot in ["SLACK_HOOK", "SLACK_TOKEN", "DISCORD", "PAGERDUTY", "HTTP_URL", "HTTP_HEADER"] {
        let secret = SLOTS.iter().find(|(known, _)| *known == slot).unwrap().1;
        assert!(echoed.contains(secret), "{slot} was used, and echoed");
    }
    let log = process.kill().await;
    assert!(log.contains("TRACE") && log.contains("an attempt failed"), "it is as talkative as can be");
    assert_clean("the log", log.as_bytes());
    for file in files(&folder.file("data")) {
        assert_clean(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

#[tokio::test]
async fn nothing_that_is_wrong_with_a_secret_quotes_it() {
    let peer = HttpPeer::start().await;
    let mail = SmtpPeer::start(Setup { login: Some(("fanfare", "another")), ..Setup::default() }).await;
    let folder = folder(&peer, &mail);
    let broken = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    // Each secret stands where nothing of its form belongs.
    let broken = broken.replace(&format!("{}/services/T0/B0/", peer.url("")), "").replace("xoxb-", "");
    let broken = broken.replace(&format!("{}/api/webhooks/123456789012345678/", peer.url("")), "ftp://");
    let broken = broken.replace("smtp://fanfare:", "smpt:/").replace("\"${env:PAGERDUTY}\"", "\"${env:PAGERDUTY} x\"");
    let broken =
        broken.replace("\"${env:HTTP_SIGN}\"", "\"whsec_${env:HTTP_HEADER}\"").replace("Bearer $", "\\u0001 $");
    let broken = broken.replace(
        "secrets: [\"${env:STANDARD}\"]",
        "secrets: [\"whsec_${env:HTTP_URL}\"], tolerance: \"${env:GITHUB}\"",
    );
    folder.write("broken.yaml", &broken);
    for file in ["fanfare.yaml", "broken.yaml"] {
        for arguments in [
            &["check"][..],
            &["check", "--format", "json"],
            &["check", "--format", "github"],
            &["check", "--format", "sarif"],
            &["serve", "--log", "trace"],
            &["send", "release.live", "--url", "http://127.0.0.1:1/"],
            &["events", "list"],
        ] {
            if file == "fanfare.yaml" && arguments[0] == "serve" {
                continue;
            }
            let mut command = Command::new(BINARY);
            command.current_dir(folder.path()).args(["--config", file]).args(arguments).envs(SLOTS.iter().copied());
            let output = command.output().unwrap();
            let what = format!("{file} {arguments:?}");
            assert_clean(&what, &[output.stdout.clone(), output.stderr.clone()].concat());
            if file == "broken.yaml" && arguments[0] == "check" {
                let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                assert!(said.matches("error").count() >= 4, "{what} finds mistakes: {said}");
            }
        }
    }
    // The same where a running program reloads it.
    let process = Process::start_with(folder.path(), "trace", SLOTS).await;
    folder.write("fanfare.yaml", &broken);
    eventually("the report", async || {
        (get_json(&process, "/readyz").await["rules"]["report"].is_string()).then_some(())
    })
    .await;
    for path in ["/", "/readyz", "/api/v1/status"] {
        assert_clean(path, &get(&process, path).await);
    }
    assert_clean("the log", process.kill().await.as_bytes());
}
