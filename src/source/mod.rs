//! Who speaks to us: verifies a request's signature over its raw bytes and makes an [`Event`] of it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::event::Event;
use crate::secret::Secret;

/// A sender, as configured.
#[derive(Debug)]
pub struct Source {
    /// Its name.
    pub name: Arc<str>,
    /// Where it posts to.
    pub path: String,
    /// Any of them verifies: rotation without loss.
    pub secrets: Vec<Secret>,
    /// How old a signed time may be.
    pub tolerance: SignedDuration,
    /// The largest body, in bytes.
    pub max_body: usize,
}

/// A request as it came, under size and time caps.
#[derive(Debug)]
pub struct Request<'a> {
    /// The headers.
    pub headers: &'a axum::http::HeaderMap,
    /// The raw body.
    pub body: &'a [u8],
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No signature, or none that verifies: 401.
    Signature,
}

/// Verifies and normalises.
pub fn open(source: &Source, request: &Request<'_>, now: Timestamp) -> Result<Event, Refusal> {
    todo!("{source:?} {request:?} {now}")
}
