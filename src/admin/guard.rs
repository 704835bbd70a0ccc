//! Who may ask the admin surface for what.
//!
//! The threats are another site's page in an operator's browser (rebinding, cross-site requests, framing) and anyone who
//! reaches the port. Without a token only loopback names are answered; with one, it is what counts. Whom a proxy signed in
//! counts at the page's own address. Everyone has a right, and a change needs more than reading does. A change that a browser
//! sends needs the browser's word that this very page sent it. One that no browser sends (it names no origin) needs the token,
//! a header that other sites' pages can't send, or to come from this machine where no token is set.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN,
    REFERER, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::admin::answer::problem;
use crate::admin::caller::{Caller, OWN_HEADER};
use crate::admin::session::{Admitted, Asking, Failures, admitted, too_many};
use crate::config::access::Right;
use crate::server::body::{self, Budget, Unread};
use crate::steps::Live;

/// The header in which a browser says how the page that asks is related to this one.
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// The longest body of a request, in bytes: a form, or the document of a mute.
const BODY_MAX: usize = 64 * 1024;
/// The bytes of bodies in flight on the admin's listener.
const BODIES_MAX: usize = 4 << 20;
/// What is answered to a change that another site's page may have sent.
const NOT_FROM_HERE: &str = "a change must come from this page, from the command line, or from a program that sends the \
                             admin token (`Authorization: Bearer …`); without a token, from this machine";
/// The right that a request needs. A change that this does not name needs `act`.
fn needed(method: &Method, path: &str) -> Right {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Right::Read;
    }
    match path {
        // Nothing is written there.
        "/login" | "/playground" => Right::Read,
        "/-/reload" | "/api/v1/links/rotate" => Right::Admin,
        _ => Right::Act,
    }
}

/// Lets a request through, or answers why not.
pub async fn guard(
    State(live): State<Arc<Live>>,
    Extension(failures): Extension<Arc<Failures>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let asking = Asking { failures: &failures, from: from.ip(), at: live.clock.now() };
    let snapshot = live.snapshot.load_full();
    let (access, url) = (&snapshot.settings.access, snapshot.settings.admin_url.as_deref());
    let headers = request.headers();
    let host = host(headers);
    let is_public = matches!(request.uri().path(), "/login" | "/style.css" | "/app.js");
    let identity = match admitted(headers, access, &asking) {
        Admitted::Yes(identity) => Some(identity),
        Admitted::TooMany if !is_public => return too_many(),
        _ => None,
    };
    let by_proxy = identity.as_ref().is_some_and(|identity| identity.user.is_some());
    // A token is shown by nobody but its holder. A proxy's header, or nothing, any page may send that reaches this address.
    if (access.is_open() || by_proxy) && !is_known_host(host, url) {
        return problem(StatusCode::MISDIRECTED_REQUEST, "this Host is not known here");
    }
    if identity.is_none() && !is_public {
        if !access.tokens.is_empty() && wants_page(headers) && request.method() == Method::GET {
            return (StatusCode::SEE_OTHER, [(LOCATION, "/login")]).into_response();
        }
        return problem(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong");
    }
    let needed = needed(request.method(), request.uri().path());
    let proof =
        Proof { is_local: access.is_open() && from.ip().to_canonical().is_loopback(), counts_authorization: !by_proxy };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !is_from_here(headers, host, url, proof) {
        return problem(StatusCode::FORBIDDEN, NOT_FROM_HERE);
    }
    if let Some(identity) = identity {
        let caller = Caller::of(identity, &request);
        if !caller.may(needed) {
            return problem(StatusCode::FORBIDDEN, &caller.lacks(needed));
        }
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
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
    let access = &snapshot.settings.access;
    match admitted(headers, access, asking) {
        Admitted::Yes(identity) if access.is_open() || identity.user.is_some() => {
            is_known_host(host(headers), snapshot.settings.admin_url.as_deref())
        }
        Admitted::Yes(_) => true,
        _ => false,
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
        // The demo shows a mail in a frame, under a policy of its own.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
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

/// What besides the page's origin proves that no other site's page sent a change.
#[derive(Debug, Clone, Copy)]
struct Proof {
    /// It comes from this machine, where nobody is asked who they are.
    is_local: bool,
    /// `Authorization` does, unless a proxy may have added it.
    counts_authorization: bool,
}

/// Whether a change was sent by a page of this very origin, by the command line, or by another program that may: one on this
/// machine where `is_local`, which a browser never looks like. Every browser names the origin of a POST; a cookie, or a word
/// on where the page came from, is a browser's too.
fn is_from_here(headers: &HeaderMap, host: &str, url: Option<&str>, proof: Proof) -> bool {
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
    headers.contains_key(OWN_HEADER)
        || (proof.counts_authorization && headers.contains_key(AUTHORIZATION))
        || (proof.is_local && !is_browser)
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers.get("accept").and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}
