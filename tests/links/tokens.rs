//! The token of a link is for whom it was sent to: what a process logs, keeps and shows never holds it, by whatever way a
//! link comes back.

use std::collections::BTreeSet;

use crate::support::app::{ask, event, eventually, json, page_signature};
use crate::support::cli::run;
use crate::support::folder::{CONFIG, Folder, SECRET};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::process::{Process, command};
use crate::support::raw::{exchange, post};
use crate::support::smtp_peer::{Setup, SmtpPeer};

const RULES: &str = r#"
rules:
  - name: fraud
    events: release.live
    case: $.data.release_id
    closes_after: 90d
    links: [acknowledge, close, mute 1h]
    actions:
      - {name: tell, to: [chat, room, pager, post], message: alarm}
      - {name: call, to: ledger, message: alarm, links: [acknowledge, close, mute 1h]}
      - {name: remind, to: ledger, text: "still open", after: 2h, repeat: 4h}
"#;

const MORE: &str = r#"
  chat: {type: slack, webhook_url: "PEER/slack", retry: {first: 1s, max: 1s}}
  room: {type: discord, webhook_url: "PEER/discord/api/webhooks/123456789012345678/tokentokentokentokentokentoken"}
  pager: {type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef, url: "PEER/pager", fallback: [chat]}
  post: {type: email, smtp: "SMTP", from: a@label.example, to: b@label.example}
links: {url: "https://hooks.label.example"}
"#;

fn folder(peer: &HttpPeer, mail: &SmtpPeer) -> Folder {
    let config = format!("{CONFIG}{}", MORE.trim_start_matches('\n')).replace("PEER\"", "PEER/ledger\"");
    let folder = Folder::new(&config.replace("SMTP", &mail.url()), &peer.url(""), RULES);
    folder.write("templates/alarm.md", "---\ntitle: Look at {{ data.release_id }}\nseverity: critical\n---\nNow.\n");
    folder
}

/// The tokens of all links in a text.
fn tokens(text: &str) -> BTreeSet<String> {
    let is_of_token = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let after = text.split("/act/").skip(1);
    after
        .map(|rest| rest.chars().take_while(is_of_token).collect::<String>())
        .filter(|token| token.len() > 40)
        .collect()
}

/// What a link becomes on ways that nobody meant, and on the right one.
fn ways(token: &str) -> Vec<String> {
    let cut = &token[..token.len() - 3];
    vec![
        format!("/act/{token}"),
        format!("/act/{token}/"),
        format!("/act/{cut}"),
        format!("//act/{token}"),
        format!("/fanfare/act/{token}"),
        format!("/fanfare/act/{cut}"),
        format!("/hooks/{token}"),
        format!("/act%2F{token}"),
        format!("/ACT/{token}?by=me"),
        format!("/webhooks/jewelmusic/{token}"),
        format!("/?u=https://hooks.label.example/act/{token}"),
    ]
}

/// Follows a link on all these ways, at both listeners.
async fn follow(process: &Process, token: &str) {
    for path in ways(token) {
        for address in [process.webhooks, process.admin] {
            for method in ["GET", "POST", "DELETE"] {
                ask(address, method, &path).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_stands_in_a_log_a_file_or_an_answer_by_whatever_way_a_link_comes_back() {
    let mail = SmtpPeer::start(Setup::default()).await;
    // They refuse each message, and quote all of it.
    let peer = HttpPeer::serving(|request| Answer::status(400).body(request.text())).await;
    let folder = folder(&peer, &mail);
    let process = Process::start_with(folder.path(), "trace", &[]).await;
    let body = event("evt_1", "release.live");
    let signature = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
    let sent = exchange(process.webhooks, &post("/webhooks/jewelmusic", &[signature], body.as_bytes())).await;
    assert_eq!(sent.status, 200);
    let letter = format!("{:?}", mail.received(1).await[0].mime());
    let has = |path: &str| peer.requests().iter().any(|request| request.target.starts_with(path));
    for path in ["/slack", "/discord", "/pager", "/ledger"] {
        eventually(path, async || has(path).then_some(())).await;
    }
    eventually("each was refused", async || {
        let dead = json(process.admin, "/api/v1/deliveries?state=dead").await;
        (dead.as_array().unwrap().len() >= 4).then_some(())
    })
    .await;
    let all: String = peer.requests().iter().map(|request| request.text()).chain([letter]).collect();
    let tokens = tokens(&all);
    assert!(tokens.len() >= 3 * 5, "three links at each of five destinations: {tokens:?}");
    for token in &tokens {
        follow(&process, token).await;
    }

    let mut seen = Vec::new();
    for list in ["deliveries", "events", "cases", "audit", "destinations", "status"] {
        seen.push(json(process.admin, &format!("/api/v1/{list}")).await.to_string());
    }
    for delivery in json(process.admin, "/api/v1/deliveries").await.as_array().unwrap() {
        let id = delivery["id"].as_str().unwrap();
        seen.push(json(process.admin, &format!("/api/v1/deliveries/{id}")).await.to_string());
        seen.push(ask(process.admin, "GET", &format!("/deliveries/{id}")).await.text());
    }
    for page in ["/", "/cases", "/events/1", "/api/v1/events/1", "/metrics"] {
        seen.push(ask(process.admin, "GET", page).await.text());
    }
    let url = format!("http://{}", process.admin);
    for asked in [&["events", "export"][..], &["events", "show", "evt_1"], &["cases", "show", "rel_1"], &["audit"]] {
        let ran = run(&[("FANFARE_ADMIN_URL", &url)], asked).await;
        seen.extend([ran.out, ran.err]);
    }
    let log = process.kill().await;
    assert!(log.contains("/act/•••") && log.contains("a link that is none of this store"), "{log}");
    seen.push(log);
    for entry in std::fs::read_dir(folder.file("data")).unwrap() {
        seen.push(String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned());
    }
    for token in &tokens {
        // Without its last characters it could be guessed.
        let most = &token[..token.len() - 4];
        let found = seen.iter().find_map(|text| text.find(most).map(|at| (text, at)));
        if let Some((text, at)) = found {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            panic!("a token stands in …{}…", &text[from..text.ceil_char_boundary(at + 60)]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_a_test_and_a_drill_show_that_there_is_a_link_and_none_that_works() {
    let mail = SmtpPeer::start(Setup::default()).await;
    let peer = HttpPeer::serving(|_| Answer::status(200)).await;
    let folder = folder(&peer, &mail);
    folder.write(
        "rules/main.test.yaml",
        "tests:\n  - name: t\n    steps:\n      - send: release.live\n      - expect: [{to: nobody}]\n",
    );
    let at = |arguments: &'static [&'static str]| {
        let folder = folder.path().to_owned();
        tokio::task::spawn_blocking(move || command(&folder, arguments))
    };
    for (name, is_drill) in
        [("chat", false), ("room", false), ("pager", false), ("post", false), ("ledger", false), ("", true)]
    {
        let said = if is_drill {
            at(&["drill", "fraud", "--yes"]).await.unwrap()
        } else {
            let arguments: &'static [&'static str] = Box::leak(
                vec!["preview", "alarm", "--event", "release.live", "--as", name, "--raw"].into_boxed_slice(),
            );
            at(arguments).await.unwrap()
        };
        let all = format!("{}{}", said.1, said.2);
        assert_eq!(tokens(&all), BTreeSet::new(), "{name}: {all}");
        if !is_drill {
            assert_eq!(said.0, 0, "{all}");
            assert!(all.contains("/act/"), "{name} shows that there is a link: {all}");
        }
    }
    let said = at(&["test"]).await.unwrap();
    assert_eq!(tokens(&format!("{}{}", said.1, said.2)), BTreeSet::new());
    assert_eq!(tokens(&peer.requests().iter().map(|request| request.text()).collect::<String>()), BTreeSet::new());
}
