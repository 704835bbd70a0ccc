//! Who asks: a person whom the proxy signed in, the holder of a token, or a browser in which one was given.
//!
//! The header of the proxy counts from its own addresses alone, and there before any token: a proxy may pass on an
//! `Authorization` of its own. Wrong tokens are counted by address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Form};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::admin::answer::{cookies, person, problem};
use crate::clock::plus;
use crate::config::access::{Access, Proxy, Right, Token};
use crate::secret::Secret;
use crate::steps::Live;

/// The cookie that holds a session after logging in.
const COOKIE_NAME: &str = "fanfare_session";
/// After this many wrong tokens in a minute from one address, the next are asked to wait.
const FAILURES_MAX: u32 = 10;
/// This many addresses are distinguished in a minute.
const GUESSERS_MAX: usize = 10_000;
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

/// Who asks, as far as they showed it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// What they may do.
    pub may: Right,
    /// The person, by the proxy's word.
    pub user: Option<String>,
    /// The name of the token.
    pub token: Option<String>,
}

impl Identity {
    /// Who asks where nobody is asked who they are: somebody on this machine.
    const HERE: Self = Self { may: Right::Admin, user: None, token: None };

    fn holder(token: &Token) -> Self {
        Self { may: token.may, user: None, token: token.name.clone() }
    }
}

/// What becomes of someone who asks.
pub enum Admitted {
    /// They get in.
    Yes(Identity),
    /// They show nothing, or nothing right.
    No,
    /// They guess.
    TooMany,
}

/// Who asks.
pub fn admitted(headers: &HeaderMap, access: &Access, asking: &Asking<'_>) -> Admitted {
    if access.is_open() {
        return Admitted::Yes(Identity::HERE);
    }
    if let Some(proxy) = access.proxy.as_ref().filter(|proxy| proxy.trusts(asking.from))
        && let Some(signed_in) = signed_in(headers, proxy)
    {
        return signed_in;
    }
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token));
    let session = cookies(headers, COOKIE_NAME).next();
    if bearer.is_none() && session.is_none() {
        return Admitted::No;
    }
    let by_bearer = bearer.and_then(|given| holder(access, |token| same(given, token.open())));
    let by_session = || session.and_then(|given| holder(access, |token| is_session(given, token, asking.at)));
    match by_bearer.or_else(by_session) {
        Some(token) => Admitted::Yes(Identity::holder(token)),
        None if asking.failed() => Admitted::TooMany,
        None => Admitted::No,
    }
}

/// The person whom the proxy names; nothing if it names nobody. A name that is none, or two, is nobody's.
fn signed_in(headers: &HeaderMap, proxy: &Proxy) -> Option<Admitted> {
    let mut named = headers.get_all(proxy.header.as_str()).iter();
    let first = named.next().filter(|name| !name.is_empty())?;
    let name = std::str::from_utf8(first.as_bytes()).ok().and_then(|name| person(Some(name)).ok());
    Some(match name.filter(|_| named.next().is_none()) {
        Some(name) => Admitted::Yes(Identity { may: proxy.right_of(&name), user: Some(name), token: None }),
        None => Admitted::No,
    })
}

/// The token that is shown; of two that are the same, the one that may less. Each is compared, so that the time it takes
/// says nothing.
fn holder(access: &Access, is_shown: impl Fn(&Secret) -> bool) -> Option<&Token> {
    access.tokens.iter().filter(|token| is_shown(&token.secret)).min_by_key(|token| token.may)
}

/// What is answered to someone who guesses.
pub fn too_many() -> Response {
    problem(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait a minute, or send the right one")
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
    let access = &snapshot.settings.access;
    if access.is_open() {
        return (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response();
    }
    let Some(token) = holder(access, |token| same(&login.token, token.open())) else {
        if asking.failed() {
            return too_many();
        }
        return (StatusCode::SEE_OTHER, [(LOCATION, "/login?wrong=1")]).into_response();
    };
    // A page that came by https has its cookie sent by https only. By plain http there would be no session at all.
    let secure = if headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https:")) {
        "; Secure"
    } else {
        ""
    };
    let session = session_of(&token.secret, plus(asking.at, SESSION));
    let cookie =
        format!("{COOKIE_NAME}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", SESSION.as_secs());
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}
