//! Who speaks to us: verifies a request's signature over its raw bytes and makes an [`Event`] of it.
//!
//! [`open`] and [`open_unread`] are the only ways from a request to an event. What is refused here is refused for its signature, its age or
//! its form, and costs no more than hashing the body; what is signed always becomes an event, whatever it says. Pure:
//! the request, the configured [`Source`] and the time go in.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::event::Event;
use crate::secret::Secret;
use crate::source::api::Api;
use crate::source::normalise::FieldLocation;
use crate::source::presets::Preset;
pub use crate::source::scheme::Outgoing;
use crate::source::scheme::Scheme;

pub mod api;
pub mod normalise;
mod pagerduty;
pub mod parse;
pub mod presets;
pub mod samples;
pub mod schema;
pub mod scheme;

/// How far ahead of our clock a signed time may be.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// How old a signed time may be by default: the whole time over which JewelMusic sends again (2 h 36 min), and more,
/// since a retry may carry the time of the first attempt.
pub const TOLERANCE: SignedDuration = SignedDuration::from_hours(3);
/// The largest body by default, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// A sender, as configured.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: Arc<str>,
    /// What it was made from.
    pub preset: &'static Preset,
    /// Where it posts to.
    pub path: String,
    /// Any of them verifies: rotation without loss.
    pub secrets: Vec<Secret>,
    /// How old a signed time may be.
    pub tolerance: SignedDuration,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// Whether a body whose bytes don't verify may verify as `JSON.stringify` prints it.
    pub stringify: bool,
    /// The event types that it leaves unsigned, and that are taken all the same.
    pub unsigned: Vec<String>,
    /// How it signs; the scheme whose form a request has is taken.
    pub schemes: Vec<Scheme>,
    /// Where the event type stands.
    pub kind: FieldLocation,
    /// Where the event's id stands.
    pub id: FieldLocation,
    /// Where the time of the event stands.
    pub time: FieldLocation,
    /// Its API, which can be asked to send again what failed.
    pub api: Option<Api>,
}

/// A request as it came, under size and time caps.
#[derive(Debug)]
pub struct Request<'a> {
    /// The headers.
    pub headers: &'a axum::http::HeaderMap,
    /// The raw body.
    pub body: &'a [u8],
}

/// Why a request is refused. Says nothing that would help to forge one: no code, no secret, no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Two headers that should be one, and differ: 400.
    Differing,
    /// A signature that no sender writes: two times, or more than eight codes: 400.
    Malformed,
    /// A signature header of more than 8 KiB: 431.
    TooLong,
    /// No signature header at all: 401.
    Unsigned,
    /// A signature that doesn't verify: 401.
    Signature,
    /// The signature verifies, and its time is further back than the tolerance: 401. Most often a wrong clock, or a
    /// tolerance shorter than the sender's retries.
    TooOld {
        /// How far back.
        age: SignedDuration,
    },
    /// The signature verifies, and its time is more than five minutes ahead: 401. Most often a wrong clock.
    TooNew {
        /// How far ahead.
        ahead: SignedDuration,
    },
}

impl Refusal {
    /// The HTTP status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Refusal::Differing | Refusal::Malformed => 400,
            Refusal::TooLong => 431,
            Refusal::Unsigned | Refusal::Signature | Refusal::TooOld { .. } | Refusal::TooNew { .. } => 401,
        }
    }

    /// A short, stable word to count it by.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::Differing => "differing",
            Refusal::Malformed => "malformed",
            Refusal::TooLong => "too_long",
            Refusal::Unsigned => "unsigned",
            Refusal::Signature => "signature",
            Refusal::TooOld { .. } => "too_old",
            Refusal::TooNew { .. } => "too_new",
        }
    }
}

impl fmt::Display for Refusal {
    /// For our own log. What the other side gets is the status and its name, no more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Differing => {
                f.write_str("a header that belongs to the signature came twice, with different values")
            }
            Refusal::Malformed => f.write_str("the signature header holds two times, or more than eight signatures"),
            Refusal::TooLong => f.write_str("a header that belongs to the signature is longer than 8 KiB"),
            Refusal::Unsigned => f.write_str("no signature header"),
            Refusal::Signature => f.write_str("the signature is not one of this body by any of the source's secrets"),
            Refusal::TooOld { age } => {
                write!(f, "the signature is good, but was made {age:#} ago, longer than `tolerance` allows")
            }
            Refusal::TooNew { ahead } => {
                write!(f, "the signature is good, but was made {ahead:#} from now: one of the two clocks is wrong")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// Verifies and normalises, and reads the body.
///
/// # Errors
///
/// A [`Refusal`] where the request is not signed, not signed well, too old or too far ahead. A signed request is never
/// refused for what its body says.
pub fn open(source: &Source, request: &Request<'_>, now: Timestamp) -> Result<Event, Refusal> {
    open_unread(source, request, now).map(Event::read)
}

/// The same, and of the body only what says which event it is: what is kept are its bytes, and read it takes many times
/// the room.
///
/// # Errors
///
/// As [`open`].
pub fn open_unread(source: &Source, request: &Request<'_>, now: Timestamp) -> Result<Event, Refusal> {
    let proven = match scheme::verify(&source.schemes, &source.secrets, source.stringify, request) {
        Err(Refusal::Unsigned) if !source.unsigned.is_empty() => return unsigned(source, request, now),
        proven => proven?,
    };
    if let Some(at) = proven.at {
        fresh(at, source.tolerance, now)?;
    }
    Ok(normalise::event(source, request.headers, &proven, now))
}

/// An event that nobody signed, of a type that the source says is left unsigned. It is known by its body: with an id of its own
/// it could take the place of an event that is signed.
fn unsigned(source: &Source, request: &Request<'_>, now: Timestamp) -> Result<Event, Refusal> {
    let event = normalise::event(source, request.headers, &scheme::Proven::nothing(request.body), now);
    let is_listed = source.unsigned.iter().any(|kind| **kind == *event.kind);
    let id = crate::event::EventId::of_body(&event.raw);
    if is_listed { Ok(Event { id, ..event }) } else { Err(Refusal::Unsigned) }
}

fn fresh(at: Timestamp, tolerance: SignedDuration, now: Timestamp) -> Result<(), Refusal> {
    let age = now.duration_since(at);
    if age > tolerance {
        return Err(Refusal::TooOld { age });
    }
    if age < -AHEAD {
        return Err(Refusal::TooNew { ahead: -age });
    }
    Ok(())
}

impl Source {
    /// A source of a preset with everything else as it is by default, at `/webhooks/NAME`.
    pub fn of(name: &str, preset: &'static Preset, secrets: Vec<Secret>) -> Self {
        Self {
            name: name.into(),
            preset,
            path: format!("/webhooks/{name}"),
            secrets,
            tolerance: TOLERANCE,
            max_body: MAX_BODY,
            stringify: false,
            unsigned: Vec::new(),
            schemes: preset.schemes.iter().copied().cloned().collect(),
            kind: preset.kind.clone(),
            id: preset.id.clone(),
            time: preset.time.clone(),
            api: None,
        }
    }

    /// Whether a request may be taken, as far as its headers say: it carries a signature, of whatever worth, or some types need
    /// none. Any other is refused before its body is read.
    pub fn may_be_taken(&self, headers: &axum::http::HeaderMap) -> bool {
        if !self.unsigned.is_empty() {
            return true;
        }
        let mut names = self.schemes.iter().flat_map(|scheme| scheme.headers.iter());
        names.any(|name| headers.contains_key(name.as_ref()))
    }

    /// The same source while it sends again what failed since then: what it signed at that time is not too old.
    #[must_use]
    pub fn sending_again_since(&self, since: Timestamp, now: Timestamp) -> Self {
        Self {
            tolerance: self.tolerance.saturating_add(now.duration_since(since)).min(parse::TOLERANCE_MAX),
            ..self.clone()
        }
    }

    /// The same source with other secrets.
    #[must_use]
    pub fn with_secrets(&self, secrets: Vec<Secret>) -> Self {
        Self { secrets, ..self.clone() }
    }

    /// The headers that this sender would send with a body, signed with its first secret: by the scheme of that name,
    /// or the first. `None` where there is no such scheme, or no secret that it can use.
    pub fn sign(&self, scheme: Option<&str>, outgoing: &Outgoing<'_>) -> Option<Vec<(String, String)>> {
        let scheme = self.schemes.iter().find(|row| scheme.is_none_or(|name| row.name == name))?;
        let mut headers = scheme::sign(scheme, self.secrets.first()?, outgoing)?;
        for (location, value) in [(&self.kind, outgoing.kind), (&self.id, outgoing.id)] {
            if let FieldLocation::Header(name) = location
                && headers.iter().all(|(there, _)| there.as_str() != &**name)
            {
                headers.push((name.to_string(), value.to_owned()));
            }
        }
        Some(headers)
    }
}
