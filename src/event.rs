//! One verified, normalised request, and whatever else can stand in the inbox.
//!
//! An [`Event`] exists only after its signature was verified (or because Fanfare itself made it), so a function that
//! takes one need not ask. The raw bytes travel with it: they are what was signed, and what is stored.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::delivery::LinkOp;
use crate::json;

mod backfill;
pub mod own;

pub use self::backfill::{BackfillAsked, BackfillProgress, BackfillReport, Missed};

/// The source name of Fanfare's own events.
pub const OWN_SOURCE: &str = "fanfare";

/// The type of a signed body that is no JSON object with a type.
pub const UNPARSED: &str = "fanfare.unparsed";

/// The type of the own event that opens the case of a `missing` rule. Only that rule receives it.
pub const MISSING: &str = "fanfare.missing";

/// What stands in a proof before how often an event was sent on.
const HOP: &str = ", hop ";

/// The longest event type, in bytes, that globs are matched against; a longer one makes the event unparsed.
pub const TYPE_MAX: usize = 256;

/// The header that says how many times what is sent has been sent on by a Fanfare: it goes with every HTTP request.
pub const HOP_HEADER: &str = "x-fanfare-hop";

/// What was sent on more often is refused: it goes round in a circle.
pub const HOPS_MAX: u32 = 3;

/// A position in the inbox: grows by at least one with every entry, never used twice.
pub type Seq = i64;

/// The sender's id of an event, or `sha256:` and the hash of the body where the sender gave none. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Arc<str>);

impl EventId {
    /// The id of an event whose sender gave none: the same bytes have the same id.
    pub fn of_body(raw: &[u8]) -> Self {
        Self(format!("sha256:{}", hex::encode(Sha256::digest(raw))).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first eight bytes of the SHA-256 of a body.
pub fn body_hash(raw: &[u8]) -> u64 {
    let digest = Sha256::digest(raw);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// One verified, normalised request.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The name of the source in `fanfare.yaml`, or [`OWN_SOURCE`].
    pub source: Arc<str>,
    /// The sender's id; together with `source` it is what makes a duplicate.
    pub id: EventId,
    /// The event type, at most [`TYPE_MAX`] bytes.
    pub kind: Arc<str>,
    /// When it happened, by the sender's word; else the time of receipt.
    pub created: Timestamp,
    /// When it was received, by our clock.
    pub received: Timestamp,
    /// The body, parsed: numbers keep their text. Null for an unparsed event, and where it was not read yet.
    pub body: Value,
    /// The body as it came: the bytes that were signed.
    pub raw: Arc<[u8]>,
    /// How it was verified, for people: the scheme and which of the secrets, such as `jewelmusic:t,v1 secret 1`; and how
    /// often it was sent on, if it was: `…, hop 2`.
    pub proof: Arc<str>,
}

impl Event {
    /// The hash of the raw body: tells whether a known id came with another body.
    pub fn body_hash(&self) -> u64 {
        body_hash(&self.raw)
    }

    /// The same with its body read from the raw bytes: what is kept or exported has only these.
    #[must_use]
    pub fn read(mut self) -> Self {
        if self.body.is_null() && &*self.kind != UNPARSED {
            self.body = json::read(&self.raw).map_or(Value::Null, |document| document.value);
        }
        self
    }

    /// What rules and templates call `$`: the body with `id`, `type`, `created` (RFC 3339) and `source` as
    /// normalised. A body that is no object has only these four.
    pub fn root(&self) -> Value {
        let mut root = match &self.body {
            Value::Object(map) => map.clone(),
            _ => Map::new(),
        };
        root.insert("id".into(), self.id.as_str().into());
        root.insert("type".into(), (&*self.kind).into());
        root.insert("created".into(), self.created.to_string().into());
        root.insert("source".into(), (&*self.source).into());
        Value::Object(root)
    }

    /// What templates call `data`: `$.data` if it is an object, else the body.
    pub fn data(&self) -> &Value {
        match self.body.get("data") {
            Some(data @ Value::Object(_)) => data,
            _ => &self.body,
        }
    }

    /// The same, which has been sent on by a Fanfare so often before it came here.
    #[must_use]
    pub fn after(mut self, hops: u32) -> Self {
        if hops > 0 {
            self.proof = format!("{}{HOP}{hops}", self.proof).into();
        }
        self
    }

    /// How often it has been sent on by a Fanfare before it came here.
    pub fn hops(&self) -> u32 {
        self.proof.rsplit_once(HOP).and_then(|(_, hops)| hops.parse().ok()).unwrap_or(0)
    }

    /// Whether Fanfare itself made it.
    pub fn is_own(&self) -> bool {
        &*self.source == OWN_SOURCE
    }

    /// Whether it is Fanfare's word about itself: what such an event sets off never raises another, so that no loop can
    /// arise. The one that opens the case of a `missing` rule is not: its delivery may die, and that must be told.
    pub fn is_echo(&self) -> bool {
        self.is_own() && &*self.kind != MISSING
    }

    /// One of Fanfare's own events. `id` must be the same for the same happening, so that it is notified once.
    pub fn own(kind: &str, id: &str, at: Timestamp, data: Value) -> Self {
        let mut body = Map::new();
        body.insert("id".into(), id.into());
        body.insert("type".into(), kind.into());
        body.insert("created".into(), at.as_second().into());
        body.insert("data".into(), data);
        let body = Value::Object(body);
        let raw = body.to_string().into_bytes().into();
        Self {
            source: OWN_SOURCE.into(),
            id: EventId(id.into()),
            kind: kind.into(),
            created: at,
            received: at,
            body,
            raw,
            proof: "own".into(),
        }
    }
}

/// What stands in the inbox: everything that may change the planner's state comes through it, in one order.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An event of a sender, or Fanfare's own.
    Event(Box<Event>),
    /// What a person asked for.
    Command(Command),
    /// Something that Fanfare noticed about itself; the planner makes an own event of it, coalesced.
    Signal(Signal),
}

impl Item {
    /// The same with an event's body read ([`Event::read`]).
    #[must_use]
    pub fn read(self) -> Self {
        match self {
            Item::Event(event) => Item::Event(Box::new(event.read())),
            other => other,
        }
    }
}

/// One place of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its position.
    pub seq: Seq,
    /// What stands there.
    pub item: Item,
}

/// What a person (or the API on their behalf) asks of the planner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Close a case by hand.
    CloseCase {
        /// The rule that the case belongs to.
        rule: String,
        /// The case's key.
        key: String,
        /// Who asked.
        by: String,
        /// What they leave for those who look later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Someone acknowledges a case: `after` and `repeat` stop, the case stays open.
    AckCase {
        /// The rule that the case belongs to.
        rule: String,
        /// The case's key.
        key: String,
        /// Who asked.
        by: String,
        /// What they leave for those who look later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Mute something for a time.
    Mute(Mute),
    /// End a mute before its time.
    Unmute {
        /// The mute's id.
        id: String,
        /// Who asked.
        by: String,
    },
    /// Write down what a person asked for, this or something that goes other ways: for the audit list.
    Audit(Box<Audit>),
    /// Someone confirms what a link of a message does, for one opening only. What is done already, or over, stays as it is.
    ByLink {
        /// Which opening.
        of: Opening,
        /// What the link does.
        does: LinkOp,
        /// Who confirmed, by their own word, which nobody checks.
        by: String,
    },
    /// Send now, or cancel, what waits for its time. What was sent meanwhile, or waits for another time, stays as it is.
    Upcoming {
        /// What waits: the text of its timer.
        timer: String,
        /// When it was due, as the person saw it.
        due: Timestamp,
        /// What becomes of it.
        does: UpcomingOp,
        /// Who asked.
        by: String,
    },
    /// End all links: those that come after are made with another key.
    RotateLinks {
        /// Who asked.
        by: String,
    },
    /// What a rule that floods holds goes, or is dropped.
    Flood {
        /// The rule.
        rule: String,
        /// Who asked.
        by: String,
        /// Whether it is dropped.
        drop: bool,
    },
    /// Ask a sender to send again what failed.
    Backfill(Box<BackfillAsked>),
    /// A process reports how far that is.
    Backfilling(Box<BackfillReport>),
    /// Plan an event again with the rules in force.
    Replay {
        /// Its place in the inbox.
        event: Seq,
        /// Make deliveries anew, even those that exist: the number of this round, 0 for only what isn't there.
        again: u64,
        /// Only this rule, if one is named.
        rule: Option<String>,
    },
}

/// What a person does with something that waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpcomingOp {
    /// It is sent now.
    Send,
    /// It is not sent.
    Cancel,
}

/// One of the cases that had a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The rule that it belongs to.
    pub rule: String,
    /// The case's key.
    pub key: String,
    /// Which case with this key: the position of its opening event.
    pub nth: u64,
}

/// What another service says that became of something that Fanfare raised there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The service, for people.
    pub service: &'static str,
    /// The key under which Fanfare raised it: the lane of a case.
    pub raised: String,
    /// What the service calls it, for people.
    pub name: String,
    /// Who did it there.
    pub by: String,
    /// What was done.
    pub does: Reported,
}

/// What was done in another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// A person acknowledged it.
    Acknowledged,
    /// A person resolved it.
    Closed,
    /// It is no longer acknowledged.
    Unacknowledged,
    /// Something that changes nothing here: what, in words.
    Nothing(String),
}

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// Who, by their own word.
    pub by: String,
    /// What, in one word: `acknowledged`, `unacknowledged`, `closed`, `muted`, `unmuted`, `sent`, `retried`, `cancelled`,
    /// `replayed`, `reloaded`, `rotated`; `reported` where a service told something that changed nothing.
    pub act: String,
    /// To what, for people.
    pub on: String,
    /// What they left for those who look later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// From where: `page`, `command`, `api`, `link`, or the name of a service.
    pub from: String,
}

/// A mute made at run time. Those in files have the same fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mute {
    /// Names it.
    pub id: String,
    /// Why it was made.
    pub reason: String,
    /// Who made it.
    pub by: String,
    /// Only events of these types, as a glob or list of globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Only this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Only this destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Only events that this condition accepts: the text of a `when`, in YAML or JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Mute {
    /// Whether this silences the same as another from the same moment on, whatever their reasons, authors and ends.
    pub fn silences_as(&self, other: &Self) -> bool {
        (&self.rule, &self.destination, &self.events, &self.when, self.from)
            == (&other.rule, &other.destination, &other.events, &other.when, other.from)
    }
}

/// Something noticed that may become an own event: the first comes at once, more of the same kind, rule and
/// destination as one a minute with a count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The own event's type, such as `fanfare.delivery.dead`.
    pub kind: String,
    /// The rule it is about, if any.
    pub rule: Option<String>,
    /// The destination it is about, if any.
    pub destination: Option<String>,
    /// When it was noticed.
    pub at: Timestamp,
    /// The contents of the own event's `data`.
    pub data: Map<String, Value>,
    /// Whether an own event set this off: then nothing is made of it, so that no loop can arise.
    pub from_own: bool,
    /// The delivery that died, if this says so: its fallbacks are planned from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died: Option<Box<crate::delivery::NewDelivery>>,
}

impl Signal {
    /// About no rule and no destination; `data` is an object, of which what has no value is left out.
    pub fn new(kind: &str, data: Value, at: Timestamp) -> Self {
        let mut data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        data.retain(|_, value| !value.is_null());
        Self { kind: kind.into(), rule: None, destination: None, at, data, from_own: false, died: None }
    }
}
