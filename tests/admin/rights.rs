//! Who may do what: tokens with rights, and a proxy that signs people in.

use std::sync::Arc;

use fanfare::steps::Bounds;
use serde_json::Value;

use crate::admin::guard::{ask, hold};
use crate::support::app::{App, event, eventually};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::HttpPeer;

/// A rule whose case waits for a person.
const RULES: &str = r#"
rules:
  - name: releases
    events: release.live
    case: $.data.release_id
    closes_after: 30d
    actions:
      - to: ledger
      - {to: ledger, after: 2h, repeat: 4h}
"#;

const LOOK: &str = "look-0123456789abcdef0123456789";
const DO: &str = "do-0123456789abcdef0123456789ab";
const ALL: &str = "all-0123456789abcdef0123456789a";

/// A server whose proxy connects from 127.0.0.2.
async fn app(peer: &HttpPeer) -> App {
    let admin = format!(
        "admin: {{listen: \"127.0.0.1:0\", token: {ALL}, url: \"https://fanfare.label.example\",\n  tokens: {{wall: \
         {{token: {LOOK}, may: read}}, bot: {{token: {DO}, may: act}}}},\n  proxy: {{from: 127.0.0.2, may: act, users: \
         {{ana@label.example: admin, guest@label.example: read}}}}}}"
    );
    let config = CONFIG.replace(r#"admin: {listen: "127.0.0.1:0"}"#, &admin);
    let folder = Folder::new(&config, &peer.url("/ledger"), RULES);
    App::start_with(folder, Bounds::default(), Arc::new(fanfare::clock::RealClock)).await
}

/// The calls that change something: each of the document, and the forms of the page.
async fn changes(app: &App) -> Vec<String> {
    let bearer = format!("Authorization: Bearer {LOOK}");
    let document = ask(app, &format!("GET /api/v1/openapi.json HTTP/1.1\nHost: HERE\n{bearer}"), "").await.json();
    let paths = document["paths"].as_object().unwrap();
    let posts = paths.iter().filter(|(_, item)| item.get("post").is_some());
    let mut all: Vec<String> = posts.map(|(path, _)| format!("/api/v1{}", path.replace("{id}", "some"))).collect();
    let forms = [
        "/events/1/replay",
        "/deliveries/retry",
        "/deliveries/some/retry",
        "/deliveries/some/cancel",
        "/destinations",
        "/cases/some/ack",
        "/cases/some/close",
        "/upcoming/some/send",
        "/upcoming/some/cancel",
        "/mutes",
        "/mutes/some/end",
        "/-/reload",
    ];
    all.extend(forms.map(str::to_owned));
    all
}

#[tokio::test]
async fn someone_who_may_read_sees_everything_and_changes_nothing() {
    let peer = HttpPeer::start().await;
    let app = app(&peer).await;
    let all = changes(&app).await;
    assert!(all.len() > 20, "{all:?}");
    for path in &all {
        let answer = ask(&app, &format!("POST {path} HTTP/1.1\nHost: HERE\nAuthorization: Bearer {LOOK}"), "").await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("token `wall` has `read`"), "{path}: {detail}");
        let answer = ask(&app, &format!("POST {path} HTTP/1.1\nHost: HERE\nAuthorization: Bearer {DO}"), "").await;
        let is_admins = path.ends_with("/reload") || path.ends_with("/links/rotate");
        assert_eq!(answer.status == 403, is_admins, "{path}: {}", answer.text());
    }
    for path in ["/", "/events", "/cases", "/mutes", "/deliveries", "/destinations", "/upcoming", "/metrics"] {
        let answer = ask(&app, &format!("GET {path} HTTP/1.1\nHost: HERE\nAuthorization: Bearer {LOOK}"), "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("method=\"post\""), "a button stands on {path} that would be refused");
    }
    app.end().await;
}

#[tokio::test]
async fn a_table_of_who_gets_in_and_what_they_may() {
    let peer = HttpPeer::start().await;
    let app = app(&peer).await;
    let page = "Host: HERE\nOrigin: http://HERE";
    let rows = [
        ("a reader looks", format!("GET / HTTP/1.1\nHost: HERE\nAuthorization: Bearer {LOOK}"), 200),
        (
            "a reader tries a rule, which writes nothing",
            format!(
                "POST /playground HTTP/1.1\n{page}\nAuthorization: Bearer {LOOK}\nContent-Type: \
                 application/x-www-form-urlencoded"
            ),
            200,
        ),
        ("a reader acts", format!("POST /api/v1/mutes HTTP/1.1\nHost: HERE\nAuthorization: Bearer {LOOK}"), 403),
        ("an actor reloads", format!("POST /-/reload HTTP/1.1\nHost: HERE\nAuthorization: Bearer {DO}"), 403),
        ("an admin reloads", format!("POST /-/reload HTTP/1.1\nHost: HERE\nAuthorization: Bearer {ALL}"), 200),
        ("two tokens joined", format!("GET / HTTP/1.1\nHost: HERE\nAuthorization: Bearer {LOOK}{DO}"), 401),
        ("a token's name", "GET / HTTP/1.1\nHost: HERE\nAuthorization: Bearer wall".into(), 401),
        (
            "the proxy's header from elsewhere",
            "GET /api/v1/events HTTP/1.1\nHost: HERE\nX-Forwarded-User: ana@label.example".into(),
            401,
        ),
        (
            "the proxy's header from elsewhere, with a token that may less",
            format!(
                "POST /-/reload HTTP/1.1\nHost: HERE\nX-Forwarded-User: ana@label.example\nAuthorization: Bearer {LOOK}"
            ),
            403,
        ),
    ];
    let rows: Vec<_> = rows.iter().map(|(says, head, status)| (*says, head.as_str(), *status)).collect();
    hold(&app, &rows).await;
    app.end().await;
}

#[tokio::test]
async fn one_token_under_two_names_may_the_lesser_as_a_header_and_in_a_browser_that_logged_in() {
    let peer = HttpPeer::start().await;
    let admin =
        format!("admin: {{listen: \"127.0.0.1:0\", token: {ALL}, tokens: {{wall: {{token: {ALL}, may: read}}}}}}");
    let config = CONFIG.replace(r#"admin: {listen: "127.0.0.1:0"}"#, &admin);
    let app = App::start(Folder::new(&config, &peer.url("/ledger"), RULES)).await;
    let page = "Host: HERE\nOrigin: http://HERE\nContent-Type: application/x-www-form-urlencoded";
    let answer = ask(&app, &format!("POST /login HTTP/1.1\n{page}"), &format!("token={ALL}")).await;
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let rows = [
        ("as a header", format!("POST /-/reload HTTP/1.1\nHost: HERE\nAuthorization: Bearer {ALL}"), 403),
        ("a browser looks", format!("GET / HTTP/1.1\nHost: HERE\nCookie: {cookie}"), 200),
        ("a browser reloads", format!("POST /-/reload HTTP/1.1\n{page}\nCookie: {cookie}"), 403),
    ];
    let rows: Vec<_> = rows.iter().map(|(says, head, status)| (*says, head.as_str(), *status)).collect();
    hold(&app, &rows).await;
    app.end().await;
}

#[tokio::test]
async fn a_table_of_whom_the_proxy_signs_in() {
    let peer = HttpPeer::start().await;
    let app = app(&peer).await;
    let signed = "Host: fanfare.label.example\nX-Forwarded-User: ana@label.example";
    let guest = "Host: fanfare.label.example\nX-Forwarded-User: guest@label.example";
    let staff = "Host: fanfare.label.example\nX-Forwarded-User: bo@label.example";
    let here = "Origin: https://fanfare.label.example\nSec-Fetch-Site: same-origin";
    let rows = [
        ("signed in", format!("GET / HTTP/1.1\n{signed}"), 200),
        ("nobody is signed in", "GET / HTTP/1.1\nHost: fanfare.label.example".into(), 401),
        ("an empty name", "GET / HTTP/1.1\nHost: fanfare.label.example\nX-Forwarded-User: ".into(), 401),
        ("two names", format!("GET / HTTP/1.1\n{signed}\nX-Forwarded-User: bo@label.example"), 401),
        (
            "a name that is too long",
            format!("GET / HTTP/1.1\nHost: fanfare.label.example\nX-Forwarded-User: {}", "a".repeat(101)),
            401,
        ),
        (
            "signed in at a rebound name",
            "GET / HTTP/1.1\nHost: evil.example\nX-Forwarded-User: ana@label.example".into(),
            421,
        ),
        ("a token through the proxy", format!("GET / HTTP/1.1\nHost: any\nAuthorization: Bearer {LOOK}"), 200),
        ("our page changes something", format!("POST /-/reload HTTP/1.1\n{signed}\n{here}"), 200),
        ("another site does", format!("POST /-/reload HTTP/1.1\n{signed}\nOrigin: https://evil.example"), 403),
        (
            "no page at all, with what the proxy adds",
            format!("POST /-/reload HTTP/1.1\n{signed}\nAuthorization: Bearer what-the-proxy-got"),
            403,
        ),
        ("a guest acts", format!("POST /cases/a/ack HTTP/1.1\n{guest}\n{here}"), 403),
        (
            "everyone else acts",
            format!(
                "POST /deliveries/a/retry HTTP/1.1\n{staff}\n{here}\nContent-Type: application/x-www-form-urlencoded"
            ),
            404,
        ),
        ("everyone else reloads", format!("POST /-/reload HTTP/1.1\n{staff}\n{here}"), 403),
    ];
    let mut wrong = Vec::new();
    for (says, head, status) in rows {
        let answer = by_proxy(&app, &head, "").await;
        if answer.status != status {
            wrong.push(format!("{says}: {} instead of {status}: {}", answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    app.end().await;
}

async fn by_proxy(app: &App, head: &str, body: &str) -> crate::support::raw::Answer {
    let mut connection = crate::support::raw::Connection::open_from("127.0.0.2", app.admin).await;
    let head = head.replace("HERE", &app.admin.to_string()).replace('\n', "\r\n");
    let request = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    connection.send(request.as_bytes()).await;
    connection.answer().await
}

#[tokio::test]
async fn a_person_whom_the_proxy_signed_in_acknowledges_under_that_name_and_no_other() {
    let peer = HttpPeer::start().await;
    let app = app(&peer).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    let bearer = format!("Authorization: Bearer {LOOK}");
    let cases = async || ask(&app, &format!("GET /api/v1/cases HTTP/1.1\nHost: HERE\n{bearer}"), "").await.json();
    eventually("a case is open", async || cases().await[0]["id"].as_str().map(str::to_owned)).await;
    let signed = "Host: fanfare.label.example\nX-Forwarded-User: Ana Lind";
    let id = "releases%2Frel_1";
    let shown = by_proxy(&app, &format!("GET /cases/{id} HTTP/1.1\n{signed}"), "").await.text();
    assert!(shown.contains("as <b>Ana Lind</b>") && !shown.contains("name=\"by\""), "{shown}");
    let head = format!(
        "POST /cases/{id}/ack HTTP/1.1\n{signed}\nOrigin: https://fanfare.label.example\nContent-Type: \
         application/x-www-form-urlencoded"
    );
    let answer = by_proxy(&app, &head, "by=Somebody+Else&note=calling+the+label").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let acked =
        eventually("it is acknowledged", async || cases().await[0]["acked_by"].as_str().map(str::to_owned)).await;
    assert_eq!(acked, "Ana Lind");
    // A program that names nobody acts under its token's name.
    let close = format!("POST /api/v1/cases/{id}/close HTTP/1.1\nHost: HERE\nAuthorization: Bearer {DO}");
    assert_eq!(ask(&app, &close, "").await.status, 200);
    let acts = eventually("both stand in the audit list", async || {
        let acts = ask(&app, &format!("GET /api/v1/audit HTTP/1.1\nHost: HERE\n{bearer}"), "").await.json();
        (acts.as_array()?.len() == 2).then_some(acts)
    })
    .await;
    let who: Vec<(&Value, &Value)> = acts.as_array().unwrap().iter().map(|act| (&act["by"], &act["act"])).collect();
    assert_eq!(who, [(&"bot".into(), &"closed".into()), (&"Ana Lind".into(), &"acknowledged".into())], "{acts}");
    app.end().await;
}

/// What oauth2-proxy sends on, with `--pass-user-headers`, `--pass-basic-auth` and `--pass-host-header`, its defaults.
const OAUTH2_PROXY: &str = "Host: fanfare.label.example\nX-Forwarded-For: 203.0.113.7\nX-Forwarded-Host: \
                            fanfare.label.example\nX-Forwarded-Proto: https\nX-Real-Ip: 203.0.113.7\nX-Forwarded-User: \
                            108204268033311374519\nX-Forwarded-Email: USER\nX-Forwarded-Preferred-Username: Some \
                            Body\nX-Forwarded-Groups: staff,labels\nAuthorization: Basic \
                            MTA4MjA0MjY4MDMzMzExMzc0NTE5Og==\nCookie: _oauth2_proxy=djIuWDI5aGRYUm9NbDl3Y205NGVR";

#[tokio::test]
async fn the_documented_proxy_signs_people_in_with_what_oauth2_proxy_sends() {
    let docs = std::fs::read_to_string("docs/OPERATING.md").unwrap();
    let section = docs.split_once("### Sign in through a proxy").unwrap().1;
    let block = section.split_once("```yaml config\n").unwrap().1.split_once("\nsources:").unwrap().0;
    let admin = block.replace("127.0.0.1:8081", "127.0.0.1:0").replace("${env:FANFARE_ADMIN_TOKEN}", ALL);
    let peer = HttpPeer::start().await;
    let config = CONFIG.replace(r#"admin: {listen: "127.0.0.1:0"}"#, &admin);
    let app = App::start(Folder::new(&config, &peer.url("/ledger"), RULES)).await;
    let here = "Origin: https://fanfare.label.example\nSec-Fetch-Site: same-origin";
    for (user, looks, mutes, reloads) in [
        ("ana@label.example", 200, 303, 200),
        ("bo@label.example", 200, 303, 403),
        ("guest@label.example", 200, 403, 403),
        ("", 401, 401, 401),
    ] {
        let sent = OAUTH2_PROXY.replace("USER", user);
        assert_eq!(ask(&app, &format!("GET /events HTTP/1.1\n{sent}"), "").await.status, looks, "{user} looks");
        let form = format!("POST /mutes HTTP/1.1\n{sent}\n{here}\nContent-Type: application/x-www-form-urlencoded");
        let muted = ask(&app, &form, "rule=releases&for=2h&reason=planned").await;
        assert_eq!(muted.status, mutes, "{user} mutes: {}", muted.text());
        let reload = format!("POST /-/reload HTTP/1.1\n{sent}\n{here}");
        assert_eq!(ask(&app, &reload, "").await.status, reloads, "{user} reloads");
        let elsewhere = format!("POST /-/reload HTTP/1.1\n{sent}\nOrigin: https://evil.example");
        assert!(ask(&app, &elsewhere, "").await.status >= 401, "another site reloads with the session of {user}");
    }
    app.end().await;
}
