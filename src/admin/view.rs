//! What the API answers, as types: from them come its JSON, that of `--format json`, and the schemas of its document. The page
//! draws the same values.
//!
//! A time is RFC 3339, in UTC. A field without a value is `null`; one that a list leaves out is not there.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use crate::delivery::{AttemptOutcome, MessageOp, State};

mod backfill;
mod of;
mod origin;
mod upcoming;

pub(crate) use self::backfill::BackfillView;
pub(crate) use self::origin::Origin;
pub(crate) use self::upcoming::{UpcomingAct, UpcomingView};

/// As JSON.
pub(crate) fn value(view: &impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

/// The schema of a word from a list.
fn words<const N: usize>(names: [&'static str; N]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

fn states() -> Object {
    words(State::ALL.map(State::name))
}

fn outcomes() -> Object {
    words(AttemptOutcome::ALL.map(AttemptOutcome::name))
}

fn acts() -> Object {
    words(["open", "again", "close"])
}

fn origins() -> Object {
    words(Origin::ALL.map(Origin::name))
}

/// What went wrong: RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says what kind of thing went wrong.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    /// The sender's id, or `sha256:` and the hash of the body.
    pub id: String,
    /// Its place in the inbox.
    pub seq: i64,
    /// The source.
    pub source: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the sender made it, as far as it says.
    #[schema(format = DateTime)]
    pub created: String,
    /// When it was received.
    #[schema(format = DateTime)]
    pub received: String,
    /// What verified it.
    pub proof: String,
    /// The body, where it is JSON and was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub body: Option<Value>,
    /// The body as it came, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The body as it came, in base64, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
}

/// An event with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventWhole)]
pub(crate) struct EventWhole {
    #[serde(flatten)]
    pub event: EventView,
    /// Whether the planner has come to it.
    pub planned: bool,
    /// What each rule did about it.
    pub rules: Vec<DecisionView>,
    /// The deliveries that it led to.
    pub deliveries: Vec<DeliveryView>,
    /// The backfill that it came by: the sender was asked for what failed at the time when it was created.
    pub backfill: Option<BackfillView>,
    /// Other bodies that came under the same id, and were not acted on.
    pub conflicts: Vec<ConflictView>,
}

/// What one rule did about an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionView {
    /// The rule; empty for what concerns none.
    pub rule: String,
    /// In one word.
    pub outcome: String,
    /// In a sentence.
    pub note: String,
    /// The whole reasons: `when` and `closes` (the conditions' trees), `case`, `closed`, `actions`, `failed`, `by_hand`.
    pub why: Value,
}

/// Another body under an id that was known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conflict)]
pub(crate) struct ConflictView {
    /// When it was received.
    #[schema(format = DateTime)]
    pub received: String,
    /// As text.
    pub raw: String,
}

/// A delivery: one message for one destination.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    /// Its id.
    pub id: String,
    #[schema(schema_with = states)]
    pub state: State,
    /// The rule.
    pub rule: String,
    /// The action, by its identity within the rule.
    pub action: String,
    /// The destination.
    pub destination: String,
    /// The place of its event in the inbox.
    pub event: i64,
    #[schema(schema_with = acts)]
    pub act: MessageOp,
    /// Whether another destination could not be reached.
    pub fallback: bool,
    /// The key of its case.
    pub case: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// What the last failed attempt said.
    pub last_error: Option<String>,
    /// When it was planned.
    #[schema(format = DateTime)]
    pub created: String,
    /// When the next attempt is due, or the lease of this one ends.
    #[schema(format = DateTime)]
    pub next: Option<String>,
    /// When it came to its end.
    #[schema(format = DateTime)]
    pub finished: Option<String>,
}

/// A delivery with its message and attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryWhole)]
pub(crate) struct DeliveryWhole {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// The message as it was rendered; `null` before the first attempt.
    pub message: Value,
    /// The attempts, oldest first.
    pub attempts_made: Vec<AttemptView>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(crate) struct AttemptView {
    /// Which one, from 1.
    pub number: u32,
    /// When it began.
    #[schema(format = DateTime)]
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    #[schema(schema_with = outcomes)]
    pub outcome: AttemptOutcome,
    /// What was sent, shortened and without secrets.
    pub sent: String,
    /// What came back, or went wrong.
    pub answer: String,
}

/// Something that a case does by the clock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timer)]
pub(crate) struct TimerView {
    /// The action, by its identity within the rule.
    pub action: String,
    /// Where it goes by the rules in force.
    pub to: Vec<String>,
    /// When it is due.
    #[schema(format = DateTime)]
    pub next: String,
    /// How often it has come due.
    pub fired: u64,
    /// Whether it came due while its rule or action took no part.
    pub waits: bool,
}

/// What the rules in force no longer have of a case.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Orphaned)]
pub(crate) struct OrphanedView {
    /// Whether the whole rule is gone.
    pub rule: bool,
    /// The timed actions that are gone.
    pub actions: Vec<String>,
}

/// An open case.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Case)]
pub(crate) struct CaseView {
    /// Its id.
    pub id: String,
    /// `open`, or `acknowledged`.
    pub state: &'static str,
    /// Whether it waits for a person.
    pub waiting: bool,
    /// The rule.
    pub rule: String,
    /// Its key.
    pub key: String,
    /// The place of the event that opened it.
    pub event: i64,
    /// When it was opened.
    #[schema(format = DateTime)]
    pub opened: String,
    /// How many events matched.
    pub count: u64,
    /// When the last did.
    #[schema(format = DateTime)]
    pub last: String,
    /// Who acknowledged it.
    pub acked_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub acked_at: Option<String>,
    /// Since when it waits for a person; `null` while it does not.
    #[schema(format = DateTime)]
    pub waits_since: Option<String>,
    /// What the person who acknowledged it left for others.
    pub note: Option<String>,
    /// Whether it was opened in shadow.
    pub shadow: bool,
    /// Where it was announced.
    pub destinations: Vec<String>,
    /// When it closes, if nothing more comes.
    #[schema(format = DateTime)]
    pub ends: Option<String>,
    /// What it does by the clock.
    pub timers: Vec<TimerView>,
    pub orphaned: Option<OrphanedView>,
}

/// An open case with the event that opened it and what was sent where.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CaseWhole)]
pub(crate) struct CaseWhole {
    #[serde(flatten)]
    pub case: CaseView,
    pub opening: Option<EventView>,
    /// The newest deliveries.
    pub deliveries: Vec<DeliveryView>,
}

/// What was asked of which cases.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CaseActs {
    /// Who asked.
    pub by: String,
    /// What they left for others.
    pub note: Option<String>,
    pub cases: Vec<CaseAct>,
}

/// What acknowledging or closing does to one case.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct CaseAct {
    /// Its id.
    pub id: String,
    /// Its rule.
    pub rule: String,
    /// Its key.
    pub key: String,
    /// In a sentence.
    pub told: String,
    /// Who had acknowledged it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_before: Option<String>,
    /// What no longer comes.
    pub stops: Vec<TimerView>,
    /// What comes all the same, when a case is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<Vec<TimerView>>,
    /// Where what was shown is changed, when a case is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<Vec<String>>,
    /// Where `on_close` goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<Vec<String>>,
}

/// A mute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mute)]
pub(crate) struct MuteView {
    /// Its id.
    pub id: String,
    /// `planned`, `active` or `over`.
    pub state: &'static str,
    /// Only messages of this rule.
    pub rule: Option<String>,
    /// Only messages to this destination.
    pub destination: Option<String>,
    /// Only events of these types.
    pub events: Vec<String>,
    /// Only events that this condition accepts.
    #[schema(value_type = Option<Value>)]
    pub when: Option<Value>,
    /// From when.
    #[schema(format = DateTime)]
    pub from: Option<String>,
    /// Until when.
    #[schema(format = DateTime)]
    pub until: String,
    /// Why.
    pub reason: String,
    /// Whose it is.
    pub by: String,
    /// How many messages it held back.
    pub muted: u64,
    /// The same by rule.
    pub rules: BTreeMap<String, u64>,
    /// Whether it stands in a rules file.
    pub in_file: bool,
    /// Where.
    pub place: Option<String>,
    /// What was done, in a sentence, where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a person did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Act {
    /// Its place in the list.
    pub id: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who.
    pub by: String,
    /// What, in one word.
    pub act: String,
    /// To what.
    pub on: String,
    /// What they left for others.
    pub note: Option<String>,
    #[schema(schema_with = origins)]
    pub from: String,
}

/// A destination and its status.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub(crate) struct DestinationView {
    /// Its name.
    pub id: String,
    /// The channel.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where it is, without secrets.
    pub address: String,
    /// Whether it refuses everything at present.
    pub failing: bool,
    /// How many attempts failed in a row.
    pub failures: u32,
}

/// What a destination made of a test message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drilled)]
pub(crate) struct DrilledView {
    /// The destination.
    pub destination: String,
    /// The channel.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where it is, without secrets.
    pub address: String,
    /// The rule whose message was sent; `null` where none sends there.
    pub rule: Option<String>,
    /// The type of the sample event.
    pub event: String,
    #[schema(schema_with = outcomes)]
    pub outcome: AttemptOutcome,
    /// What it answered.
    pub answer: String,
    /// What became of what it raised, where that is closed at once.
    #[schema(schema_with = closings)]
    pub closed: Option<AttemptOutcome>,
    /// Where to look whether it arrived, where the service only queues it.
    pub confirm: Option<&'static str>,
}

fn closings() -> Object {
    let words = AttemptOutcome::ALL.map(|outcome| Value::from(outcome.name())).into_iter().chain([Value::Null]);
    let types = SchemaType::Array(vec![Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(words.collect::<Vec<_>>())).build()
}
