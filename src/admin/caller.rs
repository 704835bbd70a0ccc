//! Who asks for something, from where, and what they may do. [`guard`](super::guard) finds it out; whatever asks for a
//! name, writes one down or offers a button goes by it.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::admin::answer::{Refused, cookies, person, problem};
use crate::admin::session::Identity;
use crate::admin::view::Origin;
use crate::config::access::Right;

/// The header that Fanfare's own command line sends with every change.
pub(crate) const OWN_HEADER: &str = "fanfare-request";
/// Remembers a person's name from one form to the next, in their browser alone.
const NAME_COOKIE: &str = "fanfare_by";
/// Who did what nobody put a name to.
pub(crate) const NOBODY: &str = "somebody";

/// Who asks for something, from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub by: &'a str,
    pub from: Origin,
    /// What they leave for those who look later.
    pub note: Option<&'a str>,
}

/// Goes with every request in the demo: its pages link to the inboxes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InDemo;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    in_demo: bool,
    from: Origin,
    identity: Identity,
    /// The name that was given last in this browser.
    remembered: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| problem(StatusCode::UNAUTHORIZED, "nobody knows who asks"))
    }
}

impl Caller {
    /// The caller who shows this, and asks so.
    pub(super) fn of(identity: Identity, request: &Request) -> Self {
        let (path, headers) = (request.uri().path(), request.headers());
        let in_demo = request.extensions().get::<InDemo>().is_some();
        Self { in_demo, from: origin(path, headers), identity, remembered: remembered(headers) }
    }

    /// Whether they may do what needs this right.
    pub(crate) fn may(&self, needed: Right) -> bool {
        self.identity.may >= needed
    }

    /// Why they may not.
    pub(super) fn lacks(&self, needed: Right) -> String {
        let who = match (&self.identity.user, &self.identity.token) {
            (Some(user), _) => format!("`{user}`"),
            (None, Some(token)) => format!("token `{token}`"),
            (None, None) => "this token".to_owned(),
        };
        format!("this needs the right `{}`; {who} has `{}`", needed.name(), self.identity.may.name())
    }

    /// Who asks, where a name must be there: the person whom the proxy signed in, else by their own word, else the token.
    pub(crate) fn person(&self, given: Option<&str>) -> Result<String, Refused> {
        match &self.identity.user {
            Some(user) => Ok(user.clone()),
            None => person(self.own_word(given)),
        }
    }

    /// Who asks, where a name may be left out.
    pub(crate) fn by(&self, given: Option<&str>) -> Result<String, Refused> {
        match (&self.identity.user, self.own_word(given)) {
            (Some(user), _) => Ok(user.clone()),
            (None, Some(by)) => person(Some(by)),
            (None, None) => Ok(NOBODY.to_owned()),
        }
    }

    fn own_word<'a>(&'a self, given: Option<&'a str>) -> Option<&'a str> {
        let remembered = (self.from == Origin::Page).then_some(self.remembered.as_str());
        [given, remembered, self.identity.token.as_deref()].into_iter().flatten().find(|by| !by.trim().is_empty())
    }

    /// What the audit list says of them, under this name.
    pub(crate) fn asking<'a>(&self, by: &'a str, note: Option<&'a str>) -> Asking<'a> {
        Asking { by, from: self.from, note }
    }

    /// The same, who just gave this name.
    pub(crate) fn named(mut self, by: &str) -> Self {
        by.trim().clone_into(&mut self.remembered);
        self
    }

    /// The cookie in which this browser keeps the name that was given, to be asked for it once.
    pub(crate) fn remembering(by: &str) -> String {
        let name: String = form_urlencoded::byte_serialize(by.trim().as_bytes()).collect();
        format!("{NAME_COOKIE}={name}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000")
    }

    /// What a page goes by: who is signed in, the name to suggest, which buttons there are.
    pub(super) fn frame(&self) -> Value {
        json!({"user": self.identity.user, "by": self.remembered, "act": self.may(Right::Act), "demo": self.in_demo})
    }
}

/// Where a request comes from: by its path, and of the API by its own word.
fn origin(path: &str, headers: &HeaderMap) -> Origin {
    match path.starts_with("/api/") || path.starts_with("/-/") {
        false => Origin::Page,
        true if headers.contains_key(OWN_HEADER) => Origin::Command,
        true => Origin::Api,
    }
}

/// The name that was given last in this browser.
fn remembered(headers: &HeaderMap) -> String {
    let mut named = cookies(headers, NAME_COOKIE).filter_map(|value| form_urlencoded::parse(value.as_bytes()).next());
    named.next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
