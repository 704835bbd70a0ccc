//! Signature schemes: one row each in [`SCHEMES`], one way to verify and one to sign, both driven by the row.
//!
//! Every scheme here is an HMAC over a few pieces, of which the raw body is one; they differ in where the parts stand
//! and how they are written. Works on the bytes as they came. Opens secrets, and shows none: neither a secret nor a
//! computed code leaves this folder except for [`sign()`]'s headers.

use std::borrow::Cow;

use axum::http::HeaderMap;
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use crate::json;
use crate::secret::Secret;
use crate::source::{Refusal, Request, normalise};

mod code;
mod rows;
mod sign;

pub use self::code::{Algorithm, Encoding, Key};
pub use self::rows::{
    GITHUB, HMAC, JEWELMUSIC_BODY, JEWELMUSIC_TIMED, LABELGRID, PAGERDUTY, ROYALTI, SCHEMES, STANDARD_WEBHOOKS, STRIPE,
};
pub use self::sign::{Outgoing, sign};

/// The longest value of a header that takes part, in bytes.
pub const HEADER_MAX: usize = 8 * 1024;
/// The most signatures in one request: a sender that rotates its secret sends two.
pub const SIGNATURES_MAX: usize = 8;

/// How a sender signs. A row says everything; there are no defaults.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// Its name: what an event's proof says, and what `send --scheme` takes.
    pub name: &'static str,
    /// One sentence for docs.
    pub doc: &'static str,
    /// The headers that carry the signature, in lower case. Any of them; the first is what [`sign()`] writes.
    pub headers: Names,
    /// How its value is written.
    pub form: Form,
    /// The hash.
    pub algorithm: Algorithm,
    /// How the bytes of a code are written.
    pub encoding: Encoding,
    /// What is signed, in order.
    pub signed: Cow<'static, [Piece]>,
    /// How a secret becomes a key.
    pub key: Key,
    /// The headers with the id, where it is signed.
    pub id: Names,
    /// The headers with the time, where it is signed and stands in a header.
    pub time: Names,
    /// What the sender's requests carry beside the signature, unsigned: for [`sign()`] only.
    pub beside: &'static [(&'static str, Beside)],
}

/// Header names, in lower case.
pub type Names = Cow<'static, [Cow<'static, str>]>;

/// How the value of a signature header is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A prefix and the code: `sha256=5f3a…`.
    Prefixed(Cow<'static, str>),
    /// Codes, and the time where it is signed: `t=1693526400,v1=5f3a…`. Other keys are left alone.
    Pairs,
    /// Codes of version 1, separated by blanks: `v1,K5oZ… v1,iN3t…`. Other versions are left alone.
    Listed,
}

/// A piece of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The raw body.
    Body,
    /// The id, as it stands in its header.
    Id,
    /// The time, as it stands in the signature or in its header.
    Time,
    /// Literal text.
    Text(Cow<'static, str>),
}

/// A header that a sender adds and doesn't sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The event type.
    Kind,
    /// The event type up to its first dot.
    KindHead,
    /// The event's id.
    Id,
    /// The time in unix seconds.
    Seconds,
}

/// The scheme with this name.
pub fn named(name: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().copied().find(|scheme| scheme.name == name)
}

/// What a signature that verifies proves.
#[derive(Debug)]
pub struct Proven<'a> {
    /// By which scheme.
    pub scheme: &'static str,
    /// With which secret, from 0.
    pub secret: usize,
    /// The bytes that were signed: the body as it came, or its re-serialisation where only that verified. Whatever
    /// else stood in the request is not believed.
    pub body: Cow<'a, [u8]>,
    /// Whether it was the re-serialisation.
    pub stringified: bool,
    /// The signed id, if the scheme signs one in a header.
    pub id: Option<&'a str>,
    /// The signed time, if the scheme signs one.
    pub at: Option<Timestamp>,
}

/// What the proof of an event says that nobody signed.
pub const UNSIGNED: &str = "unsigned";

impl<'a> Proven<'a> {
    /// What no signature proves: the body is taken as it came.
    pub(super) fn nothing(body: &'a [u8]) -> Self {
        Self { scheme: UNSIGNED, secret: 0, body: Cow::Borrowed(body), stringified: false, id: None, at: None }
    }
}

/// Finds the scheme that the request is signed by, and verifies it with each of the secrets.
///
/// The age of a signed time is not judged here. With `stringify`, a body whose bytes don't verify is verified as
/// `JSON.stringify(JSON.parse(body))` too.
pub fn verify<'a>(
    schemes: &[Scheme],
    secrets: &[Secret],
    stringify: bool,
    request: &Request<'a>,
) -> Result<Proven<'a>, Refusal> {
    let mut refusal = Refusal::Unsigned;
    for scheme in schemes {
        let Some(value) = carried(request.headers, &scheme.headers)? else { continue };
        refusal = Refusal::Signature;
        if !scheme.form.recognises(value) {
            continue;
        }
        let claim = scheme.claim(value, request.headers)?;
        if let Some(secret) = scheme.check(secrets, &claim, request.body) {
            return Ok(scheme.proven(secret, claim, Cow::Borrowed(request.body), false));
        }
        if let Some(body) = stringify.then(|| json::read(request.body)).flatten() {
            let body = json::stringify(&body.value).into_bytes();
            if let Some(secret) = scheme.check(secrets, &claim, &body) {
                return Ok(scheme.proven(secret, claim, Cow::Owned(body), true));
            }
        }
        return Err(Refusal::Signature);
    }
    Err(refusal)
}

/// The one value of these headers, blanks around it left out. Several that say the same are one; several that differ
/// are refused, since anyone who reads the first and anyone who reads the last would disagree.
fn carried<'h>(headers: &'h HeaderMap, names: &Names) -> Result<Option<&'h str>, Refusal> {
    let mut found: Option<&[u8]> = None;
    for value in names.iter().flat_map(|name| headers.get_all(name.as_ref())) {
        let value = value.as_bytes().trim_ascii();
        if value.len() > HEADER_MAX {
            return Err(Refusal::TooLong);
        }
        if found.is_some_and(|first| first != value) {
            return Err(Refusal::Differing);
        }
        found = Some(value);
    }
    match found {
        None => Ok(None),
        Some(value) => std::str::from_utf8(value).map(Some).map_err(|_| Refusal::Signature),
    }
}

/// What a request claims, before anything is verified.
#[derive(Debug, Default)]
struct Claim<'a> {
    codes: Vec<Vec<u8>>,
    id: Option<&'a str>,
    time: Option<&'a str>,
    at: Option<Timestamp>,
}

impl Form {
    fn recognises(&self, value: &str) -> bool {
        match self {
            Form::Prefixed(prefix) => value.starts_with(prefix.as_ref()),
            Form::Pairs => pairs(value).any(|(key, _)| key == "t" || key == "v1"),
            Form::Listed => true,
        }
    }
}

fn pairs(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split(',').filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
}

impl Scheme {
    /// Whether it signs this piece.
    pub fn signs(&self, piece: &Piece) -> bool {
        self.signed.contains(piece)
    }

    /// Reads the codes, and whatever else is signed from its header.
    fn claim<'a>(&self, value: &'a str, headers: &'a HeaderMap) -> Result<Claim<'a>, Refusal> {
        let mut claim = Claim::default();
        let mut texts: Vec<&str> = Vec::new();
        match &self.form {
            Form::Prefixed(prefix) => texts.push(one_of_joined(value, prefix)?),
            Form::Pairs => {
                for (key, text) in pairs(value) {
                    match key {
                        "t" if claim.time.replace(text).is_some() => return Err(Refusal::Malformed),
                        "v1" => texts.push(text),
                        _ => {}
                    }
                }
            }
            Form::Listed => {
                // A proxy that joins equal headers puts a comma between them.
                let listed = value.split(' ').map(|text| text.trim_end_matches(','));
                texts.extend(listed.filter_map(|text| text.strip_prefix("v1,")));
            }
        }
        if texts.len() > SIGNATURES_MAX {
            return Err(Refusal::Malformed);
        }
        claim.codes = texts.into_iter().filter_map(|text| self.encoding.read(text)).collect();
        if self.signs(&Piece::Id) {
            claim.id = Some(self.signed_id(carried(headers, &self.id)?)?);
        }
        if self.signs(&Piece::Time) {
            if self.form != Form::Pairs {
                claim.time = carried(headers, &self.time)?;
            }
            claim.at = claim.time.and_then(|text| self.moment(text));
            if claim.at.is_none() {
                return Err(Refusal::Signature);
            }
        }
        Ok(claim)
    }

    /// An id must not contain the text that stands after it in what is signed: `a.b` with time 1 and `a` with time
    /// `b.1` would have the same signature.
    fn signed_id<'a>(&self, id: Option<&'a str>) -> Result<&'a str, Refusal> {
        let id = id.filter(|id| !id.is_empty()).ok_or(Refusal::Signature)?;
        let after = self.signed.iter().skip_while(|piece| **piece != Piece::Id).nth(1);
        match after {
            Some(Piece::Text(text)) if id.contains(text.as_ref()) => Err(Refusal::Signature),
            _ => Ok(id),
        }
    }

    /// A signed time: unix seconds where the scheme says so; any form that a body may have where a user told us of it.
    fn moment(&self, text: &str) -> Option<Timestamp> {
        match self.form {
            Form::Prefixed(_) => normalise::moment(text),
            Form::Pairs | Form::Listed => unix_seconds(text),
        }
    }

    /// Which secret verifies one of the codes over this body. Every secret is tried on every code, whatever came
    /// before, so that the time it takes tells nothing.
    fn check(&self, secrets: &[Secret], claim: &Claim<'_>, body: &[u8]) -> Option<usize> {
        let mut verified = None;
        let parts = self.parts(claim.id, claim.time, body);
        for (nth, secret) in secrets.iter().enumerate() {
            let Some(key) = self.key.bytes(secret) else { continue };
            let expected = self.algorithm.code(&key, &parts);
            for code in &claim.codes {
                if bool::from(code.as_slice().ct_eq(&expected)) && !expected.is_empty() {
                    verified = verified.or(Some(nth));
                }
            }
        }
        verified
    }

    fn parts<'p>(&'p self, id: Option<&'p str>, time: Option<&'p str>, body: &'p [u8]) -> Vec<&'p [u8]> {
        let part = |piece: &'p Piece| match piece {
            Piece::Body => body,
            Piece::Id => id.unwrap_or_default().as_bytes(),
            Piece::Time => time.unwrap_or_default().as_bytes(),
            Piece::Text(text) => text.as_bytes(),
        };
        self.signed.iter().map(part).collect()
    }

    fn proven<'a>(&self, secret: usize, claim: Claim<'a>, body: Cow<'a, [u8]>, stringified: bool) -> Proven<'a> {
        Proven { scheme: self.name, secret, body, stringified, id: claim.id, at: claim.at }
    }
}

/// The code after the prefix. Proxies join headers of one name with a comma: equal ones are one, others differ.
fn one_of_joined<'a>(value: &'a str, prefix: &str) -> Result<&'a str, Refusal> {
    let joined = !prefix.contains(',');
    let (first, others) = match value.split_once(',') {
        Some((first, others)) if joined => (first.trim_matches([' ', '\t']), Some(others)),
        _ => (value, None),
    };
    if others.is_some_and(|others| others.split(',').any(|other| other.trim_matches([' ', '\t']) != first)) {
        return Err(Refusal::Differing);
    }
    first.strip_prefix(prefix).ok_or(Refusal::Signature)
}

/// Digits only, at most twelve: no sign, no exponent, no blank.
fn unix_seconds(text: &str) -> Option<Timestamp> {
    let plain = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { Timestamp::from_second(text.parse().ok()?).ok() } else { None }
}
