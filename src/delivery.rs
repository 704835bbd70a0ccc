//! The life of a delivery: its states, the legal ways between them, its attempts and their outcomes.
//!
//! Plain data and small decisions. Who may change what is guarded by the store: a row is settled only with the token
//! of its claim.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use self::addressed::{Addressed, Mention};
pub use self::attach::Attach;
pub use self::link::{Link, LinkOp, span};
use crate::event::Seq;

mod addressed;
mod attach;
mod link;

/// How much something matters; a message carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To know.
    #[default]
    Info,
    /// Good news.
    Success,
    /// To look at.
    Warning,
    /// To act on.
    Critical,
}

impl Severity {
    /// All of them, from least to most.
    pub const ALL: [Severity; 4] = [Severity::Info, Severity::Success, Severity::Warning, Severity::Critical];

    /// Its word in files.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Success => "success",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The one with this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A delivery's id. It follows from what makes the delivery, so planning twice makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub String);

impl DeliveryId {
    /// The id of what `origin` (an event or a timer's firing), `rule`, `action` and `destination` make together.
    /// `again` is 0 except for a replay that was asked to make it anew.
    pub fn of(origin: &str, rule: &str, action: &str, destination: &str, again: u64) -> Self {
        let mut hash = Sha256::new();
        for part in [origin, rule, action, destination] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(again.to_be_bytes());
        // No dot: the Standard Webhooks specification keeps it out of ids.
        Self(format!("dlv_{}", &hex::encode(hash.finalize())[..26]))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a delivery is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for its first attempt.
    Due,
    /// Claimed: an attempt is under way, or was when its process died.
    Sending,
    /// Waits for its next attempt.
    Retrying,
    /// Accepted by the other side.
    Delivered,
    /// Given up, with a reason; a person should look.
    Dead,
    /// Called off before it was delivered.
    Cancelled,
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [State; 6] =
        [State::Due, State::Sending, State::Retrying, State::Delivered, State::Dead, State::Cancelled];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            State::Due => "due",
            State::Sending => "sending",
            State::Retrying => "retrying",
            State::Delivered => "delivered",
            State::Dead => "dead",
            State::Cancelled => "cancelled",
        }
    }

    /// The one with this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_final(self) -> bool {
        matches!(self, State::Delivered | State::Dead | State::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptOutcome {
    /// Accepted.
    Delivered,
    /// The other side asked us to slow down.
    Limited,
    /// It may work later.
    Temporary,
    /// Accepted for some of its recipients; the others may be served later.
    Partial,
    /// It was sent and no answer came: perhaps it arrived. Sent again, with the same key.
    Ambiguous,
    /// It will never work.
    Permanent,
    /// Refused for its form: once more as plain text, then permanent.
    Refused,
}

impl AttemptOutcome {
    /// All of them.
    pub const ALL: [AttemptOutcome; 7] = [
        AttemptOutcome::Delivered,
        AttemptOutcome::Limited,
        AttemptOutcome::Temporary,
        AttemptOutcome::Partial,
        AttemptOutcome::Ambiguous,
        AttemptOutcome::Permanent,
        AttemptOutcome::Refused,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            AttemptOutcome::Delivered => "delivered",
            AttemptOutcome::Limited => "limited",
            AttemptOutcome::Temporary => "temporary",
            AttemptOutcome::Partial => "partial",
            AttemptOutcome::Ambiguous => "ambiguous",
            AttemptOutcome::Permanent => "permanent",
            AttemptOutcome::Refused => "refused",
        }
    }
}

/// What a delivery does to what stands at its destination already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageOp {
    /// The first message of a case, or a message that belongs to none.
    Open,
    /// A further message of the same case: in the thread, in the incident.
    Again,
    /// The first message of the case says something else from now on; where none stands, it is sent as the first.
    Update,
    /// The case closed: what was announced is marked so. An update, not a message, unless `on_close` says one.
    Close,
}

impl MessageOp {
    /// Whether it changes what stands there, which notifies nobody.
    pub fn changes(self) -> bool {
        matches!(self, MessageOp::Update | MessageOp::Close)
    }
}

/// What a delivery is to say: everything that rendering needs, decided at planning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Where the words come from.
    pub say: Say,
    /// The action's severity, which wins over the message's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The action's constants for the template.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// What the action says otherwise than the destination.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub overrides: Map<String, Value>,
    /// Who is to be mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mention: Vec<Mention>,
    /// Where it goes at a destination whose address a map gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Addressed>,
    /// The event it renders: a digest's newest, a timer's opening.
    pub event: Seq,
    /// A digest's or summary's events, or the matches of a case that its message says, oldest first, `event` among them;
    /// empty for a message about one event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Seq>,
    /// How many more a digest's `limit` left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
    /// How many a throttle held back since the last.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suppressed: u64,
    /// The sum with its event, where its rule has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    /// The held messages that a summary reports, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<MessagePart>,
    /// The case as it stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseFacts>,
    /// Why the delivery whose fallback this is died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died: Option<String>,
    /// What its rule could not read, and acts on all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// What people can do about its case from the message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// The file of a digest's events that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<Attach>,
    /// Whether later matches of its case change it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub update: bool,
}

impl Assignment {
    /// Words about one event, and nothing else.
    pub fn saying(say: Say, event: Seq) -> Self {
        Self {
            say,
            severity: None,
            with: Map::new(),
            overrides: Map::new(),
            mention: Vec::new(),
            to: None,
            event,
            events: Vec::new(),
            more: 0,
            suppressed: 0,
            sum: None,
            parts: Vec::new(),
            case: None,
            died: None,
            unread: None,
            links: Vec::new(),
            attach: None,
            update: false,
        }
    }
}

/// A held message that a summary reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessagePart {
    /// Its rule.
    pub rule: String,
    /// Whether a timer of its case asked for it.
    #[serde(default)]
    pub reminder: bool,
    /// What it would have said by itself.
    pub assignment: Assignment,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_no_step(step: &u32) -> bool {
    *step == 0
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Where a message's words come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    /// A message of the templates folder.
    Message(String),
    /// Text that stands in the rule.
    Text(String),
    /// Nothing was said: a message that reads well for any event.
    Default,
    /// Several held messages: one summary of titles and links.
    Summary,
}

impl Say {
    /// What it is counted under: the message's name, else in one word what goes in its place.
    pub fn name(&self) -> &str {
        match self {
            Say::Message(name) => name,
            Say::Text(_) => "text",
            Say::Default => "default",
            Say::Summary => "summary",
        }
    }
}

/// What templates may know of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseFacts {
    /// Its key, as text.
    pub key: String,
    /// When it opened.
    pub opened: Timestamp,
    /// How many matches it has had, the opening among them.
    pub count: u64,
    /// When the last of them came.
    pub last: Timestamp,
    /// Whether it is closed now.
    pub closed: bool,
    /// Which of the times in its action's list a reminder is, from 1; else 0.
    #[serde(default, skip_serializing_if = "is_no_step")]
    pub step: u32,
    /// Whether the `deadline` of the message has passed while the case is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
}

/// What makes deliveries follow each other: one case at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lane(pub String);

impl Lane {
    /// The lane of the `nth` case (1 for the first) with this key, of `rule`, at `destination`.
    pub fn of(rule: &str, key: &str, nth: u64, destination: &str) -> Self {
        let DeliveryId(id) = DeliveryId::of(rule, key, destination, "lane", nth);
        Self(id.replacen("dlv_", "case_", 1))
    }
}

/// A delivery as the planner makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewDelivery {
    /// Follows from what makes it.
    pub id: DeliveryId,
    /// The event that set it off.
    pub event: Seq,
    /// The rule.
    pub rule: String,
    /// The action, by its identity within the rule.
    pub action: String,
    /// The destination's name.
    pub destination: String,
    /// What it does to what stands there.
    pub act: MessageOp,
    /// The case at this destination, if it belongs to one: deliveries of a lane go in order.
    pub lane: Option<Lane>,
    /// Not before.
    pub due: Timestamp,
    /// What to say.
    pub assignment: Assignment,
}

/// A delivery as it stands in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// As planned.
    pub planned: NewDelivery,
    /// Where it is in its life.
    pub state: State,
    /// When the next attempt is, or when the lease of the present one ends.
    pub next: Timestamp,
    /// How many attempts were begun.
    pub attempts: u32,
    /// When the first began.
    pub first_attempt: Option<Timestamp>,
    /// From when on `give_up` counts, as of its last attempt: when it became due, moved on by what it waited for its
    /// destination's rate and concurrency, or for a process to run. `None` before the first.
    pub counts_from: Option<Timestamp>,
    /// The rendered message, as JSON, kept from the first attempt on so that every attempt says the same.
    pub message: Option<String>,
    /// Whether the other side refused the rich form, so that plain text goes from now on.
    pub plain: bool,
    /// What the last attempt that failed said.
    pub last_error: Option<String>,
    /// When it was planned.
    pub created: Timestamp,
    /// When it became final.
    pub finished: Option<Timestamp>,
}

/// One try at a delivery: what was sent and what came back, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which one, from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What was sent, shortened.
    pub sent: String,
    /// What came back, shortened: a status and the start of the body, or what went wrong.
    pub answer: String,
}

/// How a channel finds what it sent: a Slack `ts`, a Discord message id, a PagerDuty key.
pub type Receipt = Map<String, Value>;
