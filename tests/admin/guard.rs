//! Other sites' pages, and anyone who reaches the port.

use std::sync::Arc;

use fanfare::clock::VirtualClock;
use fanfare::steps::Bounds;
use jiff::SignedDuration;

use crate::support::app::App;
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::HttpPeer;
use crate::support::raw::{Answer, Connection, exchange};

const TOKEN: &str = "token-0123456789abcdef0123456789abcdef";

/// With this under `admin:`, beside the address.
async fn app(admin: &str) -> App {
    app_and_clock(admin).await.0
}

async fn app_and_clock(admin: &str) -> (App, VirtualClock) {
    let peer = HttpPeer::start().await;
    let config =
        CONFIG.replace(r#"admin: {listen: "127.0.0.1:0"}"#, &format!(r#"admin: {{listen: "127.0.0.1:0"{admin}}}"#));
    let folder = Folder::new(&config, &peer.url("/ledger"), EVERYTHING);
    let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
    (App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await, clock)
}

/// Sends this head, in which `HERE` stands for the address, with this body.
pub(super) async fn ask(app: &App, head: &str, body: &str) -> Answer {
    let head = head.replace("HERE", &app.admin.to_string()).replace('\n', "\r\n");
    let request = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    exchange(app.admin, request.as_bytes()).await
}

pub(super) async fn hold(app: &App, rows: &[(&str, &str, u16)]) {
    let mut wrong = Vec::new();
    for (says, head, status) in rows {
        let answer = ask(app, head, "").await;
        if answer.status != *status {
            wrong.push(format!("{says}: {} instead of {status}: {}", answer.status, answer.text()));
        }
        assert!(answer.header("access-control-allow-origin").is_none(), "{says}: no other site may read answers");
        if answer.status >= 400 {
            let kind = answer.header("content-type").unwrap_or_default();
            assert_eq!(kind, "application/problem+json", "{says}: {}", answer.text());
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn without_a_token_only_this_machine_and_its_own_page_get_in() {
    let app = app(r#", url: "https://fanfare.label.example""#).await;
    hold(&app, &[
        ("the address itself", "GET / HTTP/1.1\nHost: HERE", 200),
        ("localhost", "GET / HTTP/1.1\nHost: localhost:8081", 200),
        ("localhost in capitals", "GET / HTTP/1.1\nHost: LOCALHOST", 200),
        ("IPv6's loopback", "GET / HTTP/1.1\nHost: [::1]:8081", 200),
        ("the configured name", "GET / HTTP/1.1\nHost: fanfare.label.example", 200),
        ("a rebound name", "GET / HTTP/1.1\nHost: evil.example", 421),
        ("a rebound name with our port", "GET /api/v1/events HTTP/1.1\nHost: evil.example:8081", 421),
        ("a name that begins like us", "GET / HTTP/1.1\nHost: 127.0.0.1.evil.example", 421),
        ("a name that begins like localhost", "GET / HTTP/1.1\nHost: localhost.evil.example", 421),
        ("a user part that looks like us", "GET / HTTP/1.1\nHost: 127.0.0.1@evil.example", 421),
        ("another loopback address", "GET / HTTP/1.1\nHost: 127.0.0.2", 421),
        ("a port that is none", "GET / HTTP/1.1\nHost: localhost:evil.example", 421),
        ("the configured name with another port", "GET / HTTP/1.1\nHost: fanfare.label.example:81", 421),
        ("an empty Host", "GET / HTTP/1.1\nHost: ", 421),
        ("no Host", "GET / HTTP/1.0\nAccept: */*", 421),
        ("a rebound name asks for metrics", "GET /metrics HTTP/1.1\nHost: evil.example", 421),
        ("a rebound name changes something", "POST /-/reload HTTP/1.1\nHost: evil.example\nFanfare-Request: 1", 421),
        ("a rebound name of its own origin", "POST /-/reload HTTP/1.1\nHost: evil.example\nOrigin: http://evil.example", 421),
        ("a probe by any name", "GET /healthz HTTP/1.1\nHost: evil.example", 200),
        ("the other probe by any name", "GET /readyz HTTP/1.1\nHost: evil.example", 200),
        ("the command line changes something", "POST /-/reload HTTP/1.1\nHost: HERE\nFanfare-Request: 1", 200),
        ("our page changes something", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: http://HERE\nSec-Fetch-Site: same-origin", 200),
        ("our page by its configured name", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: https://fanfare.label.example", 200),
        ("a program on this machine, such as curl or a sidecar", "POST /-/reload HTTP/1.1\nHost: HERE\nUser-Agent: curl/8.5.0\nAccept: */*", 200),
        ("a program that looks like a browser", "POST /-/reload HTTP/1.1\nHost: HERE\nSec-Fetch-Site: cross-site", 403),
        ("a browser that hides its origin", "POST /-/reload HTTP/1.1\nHost: HERE\nReferer: https://evil.example/", 403),
        ("a browser with a cookie and no origin", "POST /-/reload HTTP/1.1\nHost: HERE\nCookie: a=b", 403),
        ("another site", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: https://evil.example", 403),
        ("another site with our header", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: https://evil.example\nFanfare-Request: 1", 403),
        ("another port of this machine", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: http://127.0.0.1:1", 403),
        ("a sandboxed page", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: null", 403),
        ("an origin that is none", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: evil", 403),
        ("a cross-site request that names us", "POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: http://HERE\nSec-Fetch-Site: cross-site", 403),
        ("a preflight", "OPTIONS /-/reload HTTP/1.1\nHost: HERE\nOrigin: https://evil.example\nAccess-Control-Request-Method: POST", 403),
        ("a change by GET", "GET /-/reload HTTP/1.1\nHost: HERE", 405),
        ("a change that does not exist", "DELETE /api/v1/events HTTP/1.1\nHost: HERE\nFanfare-Request: 1", 405),
        ("nothing there", "GET /admin HTTP/1.1\nHost: HERE", 404),
        ("nothing there in the API", "GET /api/v1/secrets HTTP/1.1\nHost: HERE", 404),
        ("the API's root", "GET /api/v1 HTTP/1.1\nHost: HERE", 404),
    ])
    .await;
    app.end().await;
}

#[tokio::test]
async fn with_a_token_it_is_what_counts() {
    let app = app(&format!(", token: {TOKEN}")).await;
    let session = log_in(&app, TOKEN).await;
    let cookie = session.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let row = |says: &'static str, head: String, status| (says, head, status);
    let rows = [
        row("the right token", format!("GET /api/v1/events HTTP/1.1\nHost: HERE\n{bearer}"), 200),
        row("the right token by any name", format!("GET /api/v1/events HTTP/1.1\nHost: proxy.example\n{bearer}"), 200),
        row(
            "a scheme in small letters",
            format!("GET /api/v1/events HTTP/1.1\nHost: HERE\nauthorization: bearer {TOKEN}"),
            200,
        ),
        row("a session", format!("GET /api/v1/events HTTP/1.1\nHost: HERE\nCookie: a=b; {cookie}"), 200),
        row("no token", "GET /api/v1/events HTTP/1.1\nHost: HERE".into(), 401),
        row("no token for metrics", "GET /metrics HTTP/1.1\nHost: HERE".into(), 401),
        row("no token where nothing is", "GET /nothing HTTP/1.1\nHost: HERE".into(), 401),
        row("a wrong token", "GET /api/v1/events HTTP/1.1\nHost: HERE\nAuthorization: Bearer wrong".into(), 401),
        row("a token that is cut", format!("GET / HTTP/1.1\nHost: HERE\nAuthorization: Bearer {}", &TOKEN[1..]), 401),
        row("another scheme", format!("GET / HTTP/1.1\nHost: HERE\nAuthorization: Basic {TOKEN}"), 401),
        row("the token in the address", format!("GET /api/v1/events?token={TOKEN} HTTP/1.1\nHost: HERE"), 401),
        row("the token as a cookie", format!("GET / HTTP/1.1\nHost: HERE\nCookie: fanfare_session={TOKEN}"), 401),
        row("an empty session", "GET / HTTP/1.1\nHost: HERE\nCookie: fanfare_session=".into(), 401),
        row("a probe", "GET /healthz HTTP/1.1\nHost: evil.example".into(), 200),
        row("the other probe", "GET /readyz HTTP/1.1\nHost: evil.example".into(), 200),
        row("the login page", "GET /login HTTP/1.1\nHost: HERE".into(), 200),
        row("its style", "GET /style.css HTTP/1.1\nHost: HERE".into(), 200),
        row("a change with the token", format!("POST /-/reload HTTP/1.1\nHost: HERE\n{bearer}"), 200),
        row(
            "a change by our page",
            format!("POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: http://HERE\nCookie: {cookie}"),
            200,
        ),
        row(
            "a session that another site uses",
            format!("POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: https://evil.example\nCookie: {cookie}"),
            403,
        ),
        row("a program on this machine without the token", "POST /-/reload HTTP/1.1\nHost: HERE".into(), 401),
        row("a session without an origin", format!("POST /-/reload HTTP/1.1\nHost: HERE\nCookie: {cookie}"), 403),
        row(
            "the token from another site",
            format!("POST /-/reload HTTP/1.1\nHost: HERE\nOrigin: https://evil.example\n{bearer}"),
            403,
        ),
        row("our header without the token", "POST /-/reload HTTP/1.1\nHost: HERE\nFanfare-Request: 1".into(), 401),
    ];
    let rows: Vec<_> = rows.iter().map(|(says, head, status)| (*says, head.as_str(), *status)).collect();
    hold(&app, &rows).await;
    let answer = ask(&app, "GET /?state=dead HTTP/1.1\nHost: HERE\nAccept: text/html", "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "a person is sent to log in");
    app.end().await;
}

async fn log_in(app: &App, token: &str) -> Answer {
    let head = "POST /login HTTP/1.1\nHost: HERE\nOrigin: http://HERE\nContent-Type: application/x-www-form-urlencoded";
    ask(app, head, &format!("token={token}")).await
}

#[tokio::test]
async fn logging_in_gives_a_cookie_that_no_script_and_no_other_site_gets() {
    let app = app(&format!(", token: {TOKEN}")).await;
    let answer = log_in(&app, TOKEN).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "{cookie}");
    for wrong in ["", "wrong", &TOKEN[1..]] {
        let answer = log_in(&app, wrong).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login?wrong=1")));
        assert!(answer.header("set-cookie").is_none());
    }
    let page = ask(&app, "GET /login?wrong=1 HTTP/1.1\nHost: HERE", "").await;
    assert!(page.text().contains("That is not the token"));
    let head = "POST /login HTTP/1.1\nHost: HERE\nOrigin: https://evil.example\nContent-Type: application/x-www-form-urlencoded";
    assert_eq!(ask(&app, head, &format!("token={TOKEN}")).await.status, 403, "another site logs nobody in");
    app.end().await;
}

#[tokio::test]
async fn behind_https_the_cookie_is_for_https_only() {
    let app = app(&format!(", token: {TOKEN}, url: \"https://fanfare.label.example\"")).await;
    let head = "POST /login HTTP/1.1\nHost: 127.0.0.1:8081\nOrigin: https://fanfare.label.example\nContent-Type: \
                application/x-www-form-urlencoded";
    let cookie = ask(&app, head, &format!("token={TOKEN}")).await.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; Secure"), "{cookie}");
    let cookie = log_in(&app, TOKEN).await.header("set-cookie").unwrap().to_owned();
    assert!(!cookie.contains("Secure"), "by plain http a secure cookie never comes back: {cookie}");
    app.end().await;
}

#[tokio::test]
async fn a_session_ends_after_a_day_and_cannot_be_prolonged() {
    let (app, clock) = app_and_clock(&format!(", token: {TOKEN}")).await;
    let cookie = log_in(&app, TOKEN).await.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let status =
        async |cookie: &str| ask(&app, &format!("GET / HTTP/1.1\nHost: HERE\nCookie: {cookie}"), "").await.status;
    clock.advance(SignedDuration::from_hours(23));
    assert_eq!(status(&cookie).await, 200);
    clock.advance(SignedDuration::from_hours(1));
    assert_eq!(status(&cookie).await, 401);
    let (until, code) = cookie.trim_start_matches("fanfare_session=").split_once('.').unwrap();
    let later: i64 = until.parse::<i64>().unwrap() + 3600;
    for forged in
        [format!("{later}.{code}"), format!("+{until}.{code}"), format!("{later}."), format!("{}.x", i64::MAX)]
    {
        assert_eq!(status(&format!("fanfare_session={forged}")).await, 401, "{forged}");
    }
    app.end().await;
}

#[tokio::test]
async fn wrong_tokens_are_limited_for_the_address_that_sends_them() {
    let (app, clock) = app_and_clock(&format!(", token: {TOKEN}")).await;
    let from = async |address: &str, token: &str| {
        let mut connection = Connection::open_from(address, app.admin).await;
        let head = format!("GET /api/v1/status HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        connection.send(head.as_bytes()).await;
        connection.answer().await.status
    };
    for number in 0..10 {
        assert_eq!(from("127.0.0.1", &format!("guess-{number}")).await, 401);
    }
    assert_eq!(from("127.0.0.1", "guess-11").await, 429);
    assert_eq!(log_in(&app, "guess-12").await.status, 429, "nor may it be guessed there");
    assert_eq!(from("127.0.0.1", TOKEN).await, 200, "the right one gets in, whatever came from behind the same proxy");
    assert_eq!(log_in(&app, TOKEN).await.header("location"), Some("/"));
    assert_eq!(from("127.0.0.1", "guess-13").await, 429, "and forgives no wrong one");
    assert_eq!(ask(&app, "GET /healthz HTTP/1.1\nHost: HERE", "").await.status, 200, "probes are not shut out");
    assert_eq!(from("127.0.0.2", TOKEN).await, 200, "nor is anybody else");
    clock.advance(SignedDuration::from_mins(1));
    assert_eq!(from("127.0.0.1", "guess-14").await, 401, "nor for long");
    app.end().await;
}

#[tokio::test]
async fn every_answer_forbids_framing_scripts_and_keeping() {
    let app = app(&format!(", token: {TOKEN}")).await;
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let paths =
        ["/", "/login", "/style.css", "/api/v1/status", "/metrics", "/healthz", "/readyz", "/nothing", "/events/none"];
    for path in paths {
        for head in [format!("GET {path} HTTP/1.1\nHost: HERE\n{bearer}"), format!("GET {path} HTTP/1.1\nHost: HERE")] {
            let answer = ask(&app, &head, "").await;
            let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{head}"));
            for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
                assert!(policy.contains(part), "{head}: {policy}");
            }
            assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{head}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{head}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{head}");
            // With `no-referrer` browsers send `Origin: null` with our own forms.
            assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{head}");
        }
    }
    app.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_for_people_of_the_house() {
    for (admin, house) in
        [(String::new(), String::new()), (format!(", token: {TOKEN}"), format!("\nAuthorization: Bearer {TOKEN}"))]
    {
        let app = app(&admin).await;
        app.live.stale.store(Arc::new(Some("rules/secret-plans.yaml:1:1".into())));
        let inside = ask(&app, &format!("GET /readyz HTTP/1.1\nHost: HERE{house}"), "").await;
        assert_eq!(inside.json()["rules"]["report"], "rules/secret-plans.yaml:1:1");
        let outside = ask(&app, "GET /readyz HTTP/1.1\nHost: evil.example", "").await;
        assert_eq!(outside.status, 200);
        assert_eq!(outside.json()["rules"]["stale"], true);
        assert!(!outside.text().contains("secret-plans"), "{}", outside.text());
        app.end().await;
    }
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let app = app("").await;
    let form = "Content-Type: application/x-www-form-urlencoded\nOrigin: http://HERE";
    let long = "a".repeat(70_000);
    let rows = [
        ("two Hosts", "GET / HTTP/1.1\nHost: HERE\nHost: HERE".to_owned(), "", 400),
        ("two Hosts for a probe", "GET /healthz HTTP/1.1\nHost: HERE\nHost: evil.example".into(), "", 400),
        ("a form that is none", "POST /login HTTP/1.1\nHost: HERE\nOrigin: http://HERE".into(), "token=a", 415),
        ("a form without its field", format!("POST /login HTTP/1.1\nHost: HERE\n{form}"), "a=b", 422),
        ("a form that is too long", format!("POST /login HTTP/1.1\nHost: HERE\n{form}"), &long, 413),
        (
            "a document that is too long",
            "POST /api/v1/mutes HTTP/1.1\nHost: HERE\nFanfare-Request: 1".into(),
            &long,
            413,
        ),
        ("a probe by POST", "POST /healthz HTTP/1.1\nHost: HERE".into(), "", 405),
        ("the style by POST", "POST /style.css HTTP/1.1\nHost: HERE\nFanfare-Request: 1".into(), "", 405),
        ("a page's query that is none", "GET /events?before=a HTTP/1.1\nHost: HERE".into(), "", 400),
        ("a list that is too long", "GET /api/v1/events?limit=1001 HTTP/1.1\nHost: HERE".into(), "", 400),
        ("other lists that are", "GET /api/v1/deliveries?limit=1001 HTTP/1.1\nHost: HERE".into(), "", 400),
        ("cases too", "GET /api/v1/cases?limit=99999999 HTTP/1.1\nHost: HERE".into(), "", 400),
        (
            "a replay of too many",
            "POST /api/v1/events/replay?type=a.b&limit=1001 HTTP/1.1\nHost: HERE\nFanfare-Request: 1".into(),
            "",
            400,
        ),
        (
            "a retry of too many",
            "POST /api/v1/deliveries/retry?limit=1001&state=dead HTTP/1.1\nHost: HERE\nFanfare-Request: 1".into(),
            "",
            400,
        ),
    ];
    for (says, head, body, status) in rows {
        let answer = ask(&app, &head, body).await;
        assert_eq!(answer.status, status, "{says}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{says}: {}", answer.text());
        assert_eq!(answer.json()["status"], status, "{says}");
        if head.contains("limit=") {
            assert!(answer.json()["detail"].as_str().unwrap().contains("at most 1000"), "{says}: {}", answer.text());
        }
    }
    app.end().await;
}

#[tokio::test]
async fn half_a_login_is_answered_408() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let bounds = Bounds { body: std::time::Duration::from_millis(300), ..Bounds::default() };
    let app = App::start_with(folder, bounds, Arc::new(fanfare::clock::RealClock)).await;
    let mut connection = Connection::open(app.admin).await;
    let head =
        "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 100\r\n\r\ntoken=";
    connection.send(head.as_bytes()).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 408, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    app.end().await;
}
