//! Who may ask the admin surface for what.
//!
//! The threats are another site's page in an operator's browser (rebinding, cross-site requests, framing) and anyone who
//! reaches the port. Without a token only loopback names are answered; with one, it is what counts. A change that a browser
//! sends needs the browser's word that this very page sent it. One that no browser sends (it names no origin) needs the token,
//! a header that other sites' pages can't send, or to come from this machine where no token is set.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN,
    REFERER, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Form};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::admin::api::problem;
use crate::clock::plus;
use crate::secret::Secret;
use crate::server::body::{self, Budget, Unread};
use crate::steps::Live;

/// The header that Fanfare's own command line sends with every change.
pub const OWN_HEADER: &str = "fanfare-request";
/// The header in which a browser says how the page that asks is related to this one.
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// The cookie that holds a session after logging in.
const COOKIE_NAME: &str = "fanfare_session";
/// After this many wrong tokens in a minute from one address, the next are asked to wait.
const FAILURES_MAX: u32 = 10;
/// This many addresses are distinguished in a minute.
const GUESSERS_MAX: usize = 10_000;
/// The longest body of a request, in bytes: a form, or the document of a mute.
const BODY_MAX: usize = 64 * 1024;
/// The bytes of bodies in flight on the admin's listener.
const BODIES_MAX: usize = 4 << 20;
/// What is answered to a change that another site's page may have sent.
const NOT_FROM_HERE: &str = "a change must come from this page, from the command line, or from a program that sends the \
                             admin token (`Authorization: Bearer …`); without a token, from this machine";
/// How long a session lasts.
const SESSION: SignedDuration = SignedDuration::from_hours(24);

/// Wrong tokens in the present minute, by anyone who sent them. Only they are counted, and only they are asked to wait: the
/// right token gets in whatever came before, also from behind a proxy that all share.
#[derive(Debug, Default)]
pub struct Failures(Mutex<(i64, HashMap<IpAddr, u32>)>);

impl Failures {
    /// The wrong tokens of this minute from there, one more among them.
    fn count(&self, minute: i64, from: IpAddr) -> u32 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != minute {
            *state = (minute, HashMap::new());
        }
        let from = network(from);
        // More than this many guess together: then every further one waits for the rest of the minute.
        if state.1.len() >= GUESSERS_MAX && !state.1.contains_key(&from) {
            return u32::MAX;
        }
        let count = state.1.entry(from).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

/// An address, or in IPv6 the network that one subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Who asks, and when: what a wrong token is counted by.
pub struct Asking<'a> {
    /// The wrong tokens so far.
    pub failures: &'a Failures,
    /// The other end of the connection.
    pub from: IpAddr,
    /// Now.
    pub at: Timestamp,
}

impl Asking<'_> {
    /// Counts a wrong token. Whether it is one too many.
    fn failed(&self) -> bool {
        self.failures.count(self.at.as_second().div_euclid(60), self.from) > FAILURES_MAX
    }
}

/// Lets a request through, or answers why not.
pub async fn guard(
    State(live): State<Arc<Live>>,
    Extension(failures): Extension<Arc<Failures>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let asking = Asking { failures: &failures, from: from.ip(), at: live.clock.now() };
    let snapshot = live.snapshot.load_full();
    let token = snapshot.settings.admin_token.clone();
    let headers = request.headers();
    let host = host(headers);
    if token.is_none() && !is_known_host(host, snapshot.settings.admin_url.as_deref()) {
        return problem(StatusCode::MISDIRECTED_REQUEST, "this Host is not known here");
    }
    let is_public = matches!(request.uri().path(), "/login" | "/style.css" | "/app.js");
    if let Some(token) = token.filter(|_| !is_public) {
        match admitted(headers, &token, &asking) {
            Admitted::Yes => {}
            Admitted::TooMany => return too_many(),
            Admitted::No if wants_page(headers) && request.method() == Method::GET => {
                return (StatusCode::SEE_OTHER, [(LOCATION, "/login")]).into_response();
            }
            Admitted::No => return problem(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong"),
        }
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let is_local = snapshot.settings.admin_token.is_none() && from.ip().to_canonical().is_loopback();
    if changes && !is_from_here(headers, host, snapshot.settings.admin_url.as_deref(), is_local) {
        return problem(StatusCode::FORBIDDEN, NOT_FROM_HERE);
    }
    next.run(request).await
}

fn too_many() -> Response {
    problem(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait a minute, or send the right one")
}

/// Reads a request's body before anything is done about it, within a deadline: anyone who sends half of one holds nothing.
pub async fn whole(
    State(live): State<Arc<Live>>,
    Extension(budget): Extension<Budget>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let held = match body::read(body, BODY_MAX, live.bounds.body, &budget).await {
        Ok(held) => held,
        Err(Unread::TooLarge) => return problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 64 KiB"),
        Err(Unread::TooSlow) => return problem(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        Err(Unread::Broken) => return problem(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(Unread::NoRoom) => {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "too many bodies are under way; ask again");
        }
    };
    next.run(Request::from_parts(parts, Body::from(held.bytes))).await
}

/// The bytes of bodies that may be in flight on the admin's listener.
pub fn budget() -> Budget {
    Budget::new(BODIES_MAX)
}

/// Makes a document of each refusal that came as plain text, or as nothing: from whatever read the request.
pub async fn documents(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_plain = kind.is_none_or(|kind| kind.starts_with("text/plain"));
    if !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let detail = if said.trim().is_empty() { status.canonical_reason().unwrap_or_default() } else { said.trim() };
    let mut document = problem(status, detail);
    if let Some(allow) = parts.headers.get(ALLOW) {
        document.headers_mut().insert(ALLOW, allow.clone());
    }
    document
}

/// Whether a probe may be told more than a stranger: it has the token, or there is none and it knows us by name.
pub fn may_see(live: &Live, headers: &HeaderMap, asking: &Asking<'_>) -> bool {
    let snapshot = live.snapshot.load_full();
    match &snapshot.settings.admin_token {
        None => is_known_host(host(headers), snapshot.settings.admin_url.as_deref()),
        Some(token) => matches!(admitted(headers, token, asking), Admitted::Yes),
    }
}

/// What every answer carries.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let all: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, policy),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with that, browsers send `Origin: null` with this very page's own forms.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in all {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Loopback names with any port, and the configured URL's own.
fn is_known_host(host: &str, url: Option<&str>) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if ["127.0.0.1", "localhost", "[::1]"].contains(&name.to_ascii_lowercase().as_str()) {
        return true;
    }
    url.and_then(|url| url::Url::parse(url).ok()).is_some_and(|url| authority(&url).eq_ignore_ascii_case(host))
}

fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a change was sent by a page of this very origin, by the command line, or by another program that may: one on this
/// machine where `is_local`, which a browser never looks like. Every browser names the origin of a POST; a cookie, or a word
/// on where the page came from, is a browser's too.
fn is_from_here(headers: &HeaderMap, host: &str, url: Option<&str>, is_local: bool) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(origin) = text(ORIGIN) {
        let Ok(origin) = url::Url::parse(origin) else { return false };
        let here = authority(&origin).eq_ignore_ascii_case(host);
        let there = url.and_then(|url| url::Url::parse(url).ok()).is_some_and(|url| url.origin() == origin.origin());
        let fetched = text(HeaderName::from_static(SEC_FETCH_SITE));
        return (here || there) && fetched.is_none_or(|site| site == "same-origin" || site == "none");
    }
    let is_browser =
        headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(COOKIE) || headers.contains_key(REFERER);
    headers.contains_key(OWN_HEADER) || headers.contains_key(AUTHORIZATION) || (is_local && !is_browser)
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers.get("accept").and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

enum Admitted {
    Yes,
    No,
    TooMany,
}

fn admitted(headers: &HeaderMap, token: &Secret, asking: &Asking<'_>) -> Admitted {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token));
    let session = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).find_map(|cookies| {
        cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
    });
    if bearer.is_none() && session.is_none() {
        return Admitted::No;
    }
    let right = bearer.is_some_and(|bearer| same(bearer, token.open()))
        || session.is_some_and(|given| is_session(given, token, asking.at));
    if right {
        return Admitted::Yes;
    }
    if asking.failed() { Admitted::TooMany } else { Admitted::No }
}

/// Compares in constant time; hashed first, so that the length doesn't show either.
fn same(given: &str, right: &str) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(right)).into()
}

/// What the cookie holds: when it ends, and a code over that. It follows from the token, so that a new token ends all
/// sessions.
fn session_of(token: &Secret, until: Timestamp) -> String {
    let until = until.as_second();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(token.open().as_bytes()) else { return String::new() };
    mac.update(format!("fanfare admin session until {until}").as_bytes());
    format!("{until}.{}", hex::encode(mac.finalize().into_bytes()))
}

fn is_session(given: &str, token: &Secret, now: Timestamp) -> bool {
    let until = given.split_once('.').and_then(|(until, _)| Timestamp::from_second(until.parse().ok()?).ok());
    until.is_some_and(|until| until > now && same(given, &session_of(token, until)))
}

/// The login form.
#[derive(Deserialize)]
pub struct Login {
    token: String,
}

/// Sets the session's cookie if the token is right.
pub async fn log_in(
    State(live): State<Arc<Live>>,
    Extension(failures): Extension<Arc<Failures>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Response {
    let asking = Asking { failures: &failures, from: from.ip(), at: live.clock.now() };
    let snapshot = live.snapshot.load_full();
    let Some(token) = &snapshot.settings.admin_token else {
        return (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response();
    };
    if !same(&login.token, token.open()) {
        if asking.failed() {
            return too_many();
        }
        return (StatusCode::SEE_OTHER, [(LOCATION, "/login?wrong=1")]).into_response();
    }
    // A page that came by https has its cookie sent by https only. By plain http there would be no session at all.
    let secure = if headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https:")) {
        "; Secure"
    } else {
        ""
    };
    let session = session_of(token, plus(asking.at, SESSION));
    let cookie =
        format!("{COOKIE_NAME}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", SESSION.as_secs());
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}
