//! Links of messages, and what was raised in other services: which opening is meant, and the keys that links are made with.
//!
//! A link holds an id that says nothing; what it is for stands here, until it expires. One link serves all messages of a
//! case at one destination, so however often people are reminded, there is one document.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

use crate::clock::plus;
use crate::delivery::{DeliveryId, Lane, LinkOp};
use crate::event::Opening;
use crate::planner::effect::Effect;
use crate::planner::loaded::Key;
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;

/// A key is used for so long by itself; then the next one takes its place.
const KEY_USED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How many bytes of an id are enough that no two meet.
const ID_BYTES: usize = 16;

/// What a link is for, kept under its id until it expires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// Which opening it acts on.
    pub of: Opening,
    /// What it does.
    pub does: LinkOp,
    /// Where its messages went.
    pub destination: String,
    /// The newest of them.
    pub delivery: DeliveryId,
    /// When it expires.
    pub until: Timestamp,
}

impl Doc for Linked {
    const KIND: &'static str = "link";
}

impl Linked {
    /// Where it is kept.
    pub fn key(id: &str) -> Key {
        Key { kind: Self::KIND.into(), id: id.into() }
    }

    pub(crate) fn slot(id: &str) -> Slot<Self> {
        Slot::one(&[id])
    }

    /// The timer that ends it.
    pub(crate) fn expires(&self, link: &str) -> Effect {
        Effect::set_timer(id(&["link", link]), self.until, None, &Meaning::Link { id: link.into() })
    }

    /// It has expired, unless a message was sent since.
    pub(crate) fn due(self, link: &str, now: Timestamp) -> (Option<Self>, Vec<Effect>) {
        if self.until > now {
            let timer = self.expires(link);
            return (Some(self), vec![timer]);
        }
        (None, Vec::new())
    }
}

/// Which opening Fanfare raised in another service, kept under the lane by which the service speaks of it, while it is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raised {
    /// Which opening.
    pub of: Opening,
}

impl Doc for Raised {
    const KIND: &'static str = "raised";
}

impl Raised {
    /// Where it is kept.
    pub fn key(lane: &str) -> Key {
        Key { kind: Self::KIND.into(), id: lane.into() }
    }

    pub(crate) fn slot(lane: &Lane) -> Slot<Self> {
        Slot::one(&[&lane.0])
    }
}

/// Bytes that nobody can guess, and nobody is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Unguessable(pub [u8; 32]);

impl fmt::Debug for Unguessable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl Serialize for Unguessable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Unguessable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(|_| serde::de::Error::custom("no key"))?;
        Ok(Self(bytes))
    }
}

/// What planning needs to give messages links.
#[derive(Debug, Clone)]
pub struct Linking {
    /// What ids are made from, so that planning again gives the same.
    pub seed: Unguessable,
    /// How long a link works after its message.
    pub expires: SignedDuration,
    /// The next key, should somebody ask for one.
    pub fresh: Unguessable,
}

impl Linking {
    /// The id of what can be done about the case at one destination: it tells nothing to who doesn't have the seed.
    pub(crate) fn id(&self, lane: &Lane, does: LinkOp) -> String {
        let mut id = keyed(&self.seed, &[lane.0.as_bytes(), &[0], does.word().as_bytes()]);
        id.truncate(ID_BYTES);
        hex::encode(id)
    }
}

/// HMAC-SHA256.
pub fn keyed(key: &Unguessable, parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of every length; were that to change, an empty code matches nothing.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&key.0) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// A key that links are made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkKey {
    /// Which one, from 1.
    pub nth: u32,
    /// The key itself.
    pub secret: Unguessable,
    /// Since when it is used.
    pub since: Timestamp,
    /// Until when links that were made with it work; `None` while it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The keys of a store: one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkKeys {
    /// What ids are made from.
    pub seed: Unguessable,
    /// The one in use, then the one before it.
    pub keys: Vec<LinkKey>,
}

impl Doc for LinkKeys {
    const KIND: &'static str = "link_keys";
}

impl LinkKeys {
    /// Where they are kept.
    pub fn key() -> Key {
        Key { kind: Self::KIND.into(), id: "keys".into() }
    }

    pub(crate) fn slot() -> Slot<Self> {
        Slot::one(&["keys"])
    }

    /// The first key of a store.
    pub fn begin(seed: Unguessable, fresh: Unguessable, now: Timestamp) -> Self {
        Self { seed, keys: vec![LinkKey { nth: 1, secret: fresh, since: now, until: None }] }
    }

    /// The key in use.
    pub fn current(&self) -> Option<&LinkKey> {
        self.keys.first()
    }

    /// The key of that number, if links that were made with it still work.
    pub fn find(&self, nth: u32, now: Timestamp) -> Option<&LinkKey> {
        self.keys.iter().find(|key| key.nth == nth && key.until.is_none_or(|until| until > now))
    }

    /// Whether the key in use has been used for a month.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.current().is_some_and(|key| plus(key.since, KEY_USED) <= now)
    }

    /// The next key in place of the one in use: links made before work on for `expires`.
    pub fn renewed(&self, fresh: Unguessable, expires: SignedDuration, now: Timestamp) -> Self {
        let before = self.current().map(|key| LinkKey { until: Some(plus(now, expires)), ..key.clone() });
        Self { seed: self.seed, keys: [self.next(fresh, now)].into_iter().chain(before).collect() }
    }

    /// The next key, and none before it: all links that were sent are ended.
    pub(crate) fn rotated(&self, fresh: Unguessable, now: Timestamp) -> Self {
        Self { seed: self.seed, keys: vec![self.next(fresh, now)] }
    }

    fn next(&self, fresh: Unguessable, now: Timestamp) -> LinkKey {
        let nth = self.current().map_or(0, |key| key.nth).saturating_add(1);
        LinkKey { nth, secret: fresh, since: now, until: None }
    }
}
