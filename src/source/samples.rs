//! Sample events: what `send`, `demo`, `preview`, `check` and rule tests use where no real event is at hand.
//!
//! The sixteen events of the webhook page from a label's year, each named by its type, and a few more: the SDKs'
//! shapes, and one whose title and artist try everything that a title can try. All artists and labels are invented, and
//! so are the fields of all but `release.live`, which the page shows.
//! The files are the bodies as JewelMusic would send them.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::json;

/// A sample event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its name: the event type, or the type, a dash and what is special about it.
    pub name: &'static str,
    /// What happened, in a few words, for lists.
    pub about: &'static str,
    /// The body as it stands in its file.
    pub text: &'static str,
    /// How much it says of real events.
    pub basis: Basis,
}

/// How much a built-in sample says of real events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// It has the form of the one event that JewelMusic's page shows.
    Page,
    /// Its type stands on the page; its fields are invented.
    Invented,
    /// It has a form that only the SDKs know: no evidence of what is posted.
    Sdk,
}

macro_rules! sample {
    ($basis:ident, $name:literal, $about:literal) => {
        Sample {
            name: $name,
            about: $about,
            text: include_str!(concat!("samples/", $name, ".json")),
            basis: Basis::$basis,
        }
    };
}

/// How many of [`ALL`] are the webhook page's: the first sixteen, one for each of its types.
pub const PAGE: usize = 16;

/// All samples: those of the page's types in the page's order, then the others.
pub static ALL: &[Sample] = &[
    sample!(Invented, "track.uploaded", "a master arrives"),
    sample!(Invented, "track.processed", "encoded, with a warning about its true peak"),
    sample!(Invented, "track.transcribed", "lyrics in Spanish, explicit"),
    sample!(Invented, "track.analyzed", "tempo, key and mood of a techno track"),
    sample!(Invented, "release.created", "an album is drafted"),
    sample!(Invented, "release.submitted", "a single goes to four platforms"),
    sample!(Page, "release.live", "live on three platforms, the fourth to come"),
    sample!(Invented, "release.rejected", "rejected for its cover"),
    sample!(Invented, "royalty.reported", "a month's royalties, by platform"),
    sample!(Invented, "royalty.payment.pending", "a payment is on its way"),
    sample!(Invented, "royalty.payment.completed", "a payment arrived"),
    sample!(Invented, "royalty.threshold.reached", "an artist passed half a million yen"),
    sample!(Invented, "fraud.suspicious_activity", "plays from one city jump"),
    sample!(Invented, "fraud.bot_detection", "bots are found behind them"),
    sample!(Invented, "fraud.action_required", "a person must confirm or dispute"),
    sample!(Invented, "fraud.resolved", "the case is closed"),
    sample!(Page, "release.live-two", "live on two platforms"),
    sample!(Sdk, "release.live-sdk", "nested, camelCase, with a timestamp, as the SDKs read it"),
    sample!(Sdk, "release.live-typescript", "`event`, `created` as text and `livemode`, as the TypeScript types say"),
    sample!(Page, "release.live-hostile", "a title and an artist that try everything"),
    sample!(Sdk, "track.failed", "a broken file"),
    sample!(Sdk, "analysis.completed", "the SDKs' analysis, nested"),
    sample!(Sdk, "transcription.completed", "the SDKs' transcription, nested"),
    sample!(Sdk, "distribution.live", "live on one platform, as the SDKs say it"),
    sample!(Sdk, "distribution.failed", "a platform refused"),
    sample!(Sdk, "royalty.payment", "a payment, nested"),
    sample!(Sdk, "webhook.test", "what JewelMusic's test button sends"),
];

/// The sample with this name.
pub fn named(name: &str) -> Option<&'static Sample> {
    ALL.iter().find(|sample| sample.name == name)
}

/// A sample, ready to be sent: with an id of its own and its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// The event's id.
    pub id: String,
    /// The event type.
    pub kind: String,
    /// The body, numbers with their text.
    pub body: Value,
}

impl Instance {
    /// The body as it would be sent: compact.
    pub fn raw(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }
}

impl Sample {
    /// The event type.
    pub fn kind(&self) -> &'static str {
        self.name.split('-').next().unwrap_or(self.name)
    }

    /// The body, numbers with their text.
    pub fn body(&self) -> Value {
        json::read(self.text.as_bytes()).map_or(Value::Null, |document| document.value)
    }

    /// A fresh instance: an id from `dice`, and `created` as its time, in the form that the sample has its time in.
    pub fn instance(&self, dice: &mut fastrand::Rng, created: Timestamp) -> Instance {
        fresh(self.body(), self.kind(), dice, created)
    }
}

/// Gives any body in a sender's shape an id of its own and a time: `id` and the one of `created` and `timestamp` that
/// it has (else `created`), as a number of seconds or as text as it was. `kind` is what it is called where it doesn't
/// say itself.
pub fn fresh(body: Value, kind: &str, dice: &mut fastrand::Rng, created: Timestamp) -> Instance {
    let mut map = match body {
        Value::Object(map) => map,
        data => Map::from_iter([("data".to_owned(), data)]),
    };
    let id = format!("evt_{}", token(dice));
    map.insert("id".into(), id.as_str().into());
    let key = if map.contains_key("timestamp") && !map.contains_key("created") { "timestamp" } else { "created" };
    let time = match map.get(key) {
        Some(Value::String(_)) => created.to_string().into(),
        _ => created.as_second().into(),
    };
    map.insert(key.into(), time);
    let named = ["type", "event"].into_iter().find_map(|key| map.get(key)?.as_str().map(str::to_owned));
    let kind = named.unwrap_or_else(|| {
        map.insert("type".into(), kind.into());
        kind.to_owned()
    });
    Instance { id, kind, body: Value::Object(map) }
}

/// Twenty letters and digits that nobody mistakes for each other (Crockford's alphabet).
fn token(dice: &mut fastrand::Rng) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    (0..20).map(|_| char::from(*dice.choice(LETTERS).unwrap_or(&b'0'))).collect()
}
