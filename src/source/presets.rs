//! The senders that are known by name: one row each in [`PRESETS`].
//!
//! A row says by which schemes the sender signs, where type, id and time stand in its requests, what its fields are
//! called in rules and templates, and which event types it is known to send. Data only.

use crate::event::{Event, Report};
use crate::source::normalise::FieldLocation;
use crate::source::pagerduty;
use crate::source::scheme::{self, Scheme};

/// A known sender.
#[derive(Debug)]
pub struct Preset {
    /// Its word in `preset:`.
    pub name: &'static str,
    /// One sentence for docs.
    pub doc: &'static str,
    /// Its schemes; the one whose form a request has is taken.
    pub schemes: &'static [&'static Scheme],
    /// Where the event type stands.
    pub kind: FieldLocation,
    /// Where the event's id stands.
    pub id: FieldLocation,
    /// Where the time of the event stands.
    pub time: FieldLocation,
    /// What rules and templates may call its fields: a word, and the paths of which the first that selects something
    /// wins.
    pub names: &'static [(&'static str, &'static [&'static str])],
    /// The event types it is known to send; others are events like any other.
    pub types: &'static [&'static str],
    /// What its events report of what Fanfare raised there, where it is such a service.
    pub reports: Option<fn(&Event) -> Option<Report>>,
    /// Where its API is, if that can be asked to send again what failed.
    pub api: Option<&'static str>,
}

const TYPE: FieldLocation = FieldLocation::Keys(&["type", "event"]);
const ID: FieldLocation = FieldLocation::Keys(&["id"]);
const TIME: FieldLocation = FieldLocation::Keys(&["created", "timestamp"]);

/// Every preset there is. To add one: its row.
pub static PRESETS: &[Preset] = &[
    Preset {
        name: "jewelmusic",
        doc: "JewelMusic, in the form of its webhook page or of its SDKs; Fanfare detects which",
        schemes: &[&scheme::JEWELMUSIC_BODY, &scheme::JEWELMUSIC_TIMED],
        kind: TYPE,
        id: ID,
        time: TIME,
        names: JEWELMUSIC_NAMES,
        types: JEWELMUSIC_TYPES,
        reports: None,
        api: Some("https://api.jewelmusic.art/v1"),
    },
    Preset {
        name: "standard-webhooks",
        doc: "any sender that follows the Standard Webhooks specification, such as Svix",
        schemes: &[&scheme::STANDARD_WEBHOOKS],
        kind: TYPE,
        id: FieldLocation::Signed,
        time: FieldLocation::Keys(&["timestamp", "created"]),
        names: &[],
        types: &[],
        reports: None,
        api: None,
    },
    Preset {
        name: "github",
        doc: "GitHub with `application/json` bodies; the type is `X-GitHub-Event` and the body's `action`: \
              `release.published`, `push`; its delivery id is not signed, so the body's hash identifies duplicates",
        schemes: &[&scheme::GITHUB],
        kind: FieldLocation::Refined("x-github-event", "action"),
        id: FieldLocation::Keys(&[]),
        time: FieldLocation::Keys(&[]),
        names: &[],
        types: &[],
        reports: None,
        api: None,
    },
    Preset {
        name: "stripe",
        doc: "Stripe",
        schemes: &[&scheme::STRIPE],
        kind: FieldLocation::Keys(&["type"]),
        id: ID,
        time: FieldLocation::Keys(&["created"]),
        names: &[],
        types: &[],
        reports: None,
        api: None,
    },
    Preset {
        name: "pagerduty",
        doc: "PagerDuty (webhooks v3): what a person acknowledges or resolves there is acknowledged or closed here",
        schemes: &[&scheme::PAGERDUTY],
        kind: FieldLocation::Within("event", "event_type"),
        id: FieldLocation::Within("event", "id"),
        time: FieldLocation::Within("event", "occurred_at"),
        names: &[],
        types: PAGERDUTY_TYPES,
        reports: Some(pagerduty::report),
        api: None,
    },
    Preset {
        name: "labelgrid",
        doc: "LabelGrid, a distributor; it sends no id, so the body's hash identifies duplicates",
        schemes: &[&scheme::LABELGRID],
        kind: FieldLocation::Keys(&["event"]),
        id: FieldLocation::Keys(&[]),
        time: FieldLocation::Keys(&["timestamp"]),
        names: LABELGRID_NAMES,
        types: LABELGRID_TYPES,
        reports: None,
        api: None,
    },
    Preset {
        name: "royalti",
        doc: "Royalti.io, royalties and payments; it signs only some types, so list the others in `unsigned` to take them; \
              the body's hash identifies duplicates",
        schemes: &[&scheme::ROYALTI],
        kind: FieldLocation::Keys(&["event"]),
        id: FieldLocation::Keys(&[]),
        time: FieldLocation::Keys(&["timestamp"]),
        names: ROYALTI_NAMES,
        types: ROYALTI_TYPES,
        reports: None,
        api: None,
    },
    Preset {
        name: "hmac",
        doc: "any other sender of an HMAC; `header`, `algorithm`, `encoding`, `prefix`, `signed`, `id`, `type` and \
              `time` say how it signs and where things stand",
        schemes: &[&scheme::HMAC],
        kind: TYPE,
        id: ID,
        time: TIME,
        names: &[],
        types: &[],
        reports: None,
        api: None,
    },
];

/// The preset with this name.
pub fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// What a preset calls the fields of its events; nothing for a preset that isn't there.
pub fn preset_names(preset: &str) -> &'static [(&'static str, &'static [&'static str])] {
    named(preset).map_or(&[], |preset| preset.names)
}

/// The event types that a preset is known to send; nothing for a preset that isn't there.
pub fn known_types(preset: &str) -> &'static [&'static str] {
    named(preset).map_or(&[], |preset| preset.types)
}

/// The page writes `data.release_id`; the SDKs nest (`data.release.id`), in camelCase or snake_case. A name of an
/// object (`data.artist.name`) stands before the object's own path, which would select the whole of it.
const JEWELMUSIC_NAMES: &[(&str, &[&str])] = &[
    (
        "release",
        &[
            "$.data.release_id",
            "$.data.releaseId",
            "$.data.release.id",
            "$.data.release.release_id",
            "$.data.release.releaseId",
            "$.data.submission.release_id",
            "$.data.submission.releaseId",
            "$.data.distribution.release_id",
            "$.data.distribution.releaseId",
        ],
    ),
    (
        "track",
        &[
            "$.data.track_id",
            "$.data.trackId",
            "$.data.track.id",
            "$.data.track.track_id",
            "$.data.track.trackId",
            "$.data.analysis.track_id",
            "$.data.analysis.trackId",
            "$.data.transcription.track_id",
            "$.data.transcription.trackId",
        ],
    ),
    (
        "artist",
        &[
            "$.data.artist.name",
            "$.data.artist",
            "$.data.artist_name",
            "$.data.artistName",
            "$.data.release.artist.name",
            "$.data.release.artist",
            "$.data.release.artist_name",
            "$.data.release.artistName",
            "$.data.track.artist.name",
            "$.data.track.artist",
            "$.data.track.artist_name",
            "$.data.track.artistName",
            "$.data.payment.artist",
            "$.data.royalty.artist",
        ],
    ),
    (
        "title",
        &[
            "$.data.title",
            "$.data.release.title",
            "$.data.track.title",
            "$.data.release_title",
            "$.data.releaseTitle",
            "$.data.track_title",
            "$.data.trackTitle",
            "$.data.generation.title",
        ],
    ),
    (
        "amount",
        &[
            "$.data.amount.value",
            "$.data.amount",
            "$.data.payment.amount",
            "$.data.royalty.amount",
            "$.data.report.amount",
            "$.data.total_amount",
            "$.data.totalAmount",
        ],
    ),
    (
        "currency",
        &[
            "$.data.amount.currency",
            "$.data.currency",
            "$.data.payment.currency",
            "$.data.royalty.currency",
            "$.data.report.currency",
        ],
    ),
    (
        "fraud_case",
        &[
            "$.data.case_id",
            "$.data.caseId",
            "$.data.case.id",
            "$.data.fraud_case_id",
            "$.data.fraudCaseId",
            "$.data.fraud.case_id",
            "$.data.fraud.caseId",
        ],
    ),
    ("livemode", &["$.livemode", "$.data.livemode"]),
];

/// First the sixteen of the webhook page, then what only the SDKs name.
const JEWELMUSIC_TYPES: &[&str] = &[
    "track.uploaded",
    "track.processed",
    "track.transcribed",
    "track.analyzed",
    "release.created",
    "release.submitted",
    "release.live",
    "release.rejected",
    "royalty.reported",
    "royalty.payment.pending",
    "royalty.payment.completed",
    "royalty.threshold.reached",
    "fraud.suspicious_activity",
    "fraud.bot_detection",
    "fraud.action_required",
    "fraud.resolved",
    "track.failed",
    "analysis.started",
    "analysis.completed",
    "analysis.failed",
    "transcription.started",
    "transcription.completed",
    "distribution.submitted",
    "distribution.approved",
    "distribution.rejected",
    "distribution.live",
    "distribution.released",
    "distribution.failed",
    "release.failed",
    "royalty.payment",
    "payment.processed",
    "copilot.generation_completed",
    "copilot.generation.completed",
    "user.subscription.updated",
    "user.quota.exceeded",
    "analytics.milestone",
    "webhook.test",
];

/// With the words of [`JEWELMUSIC_NAMES`] where both have the thing, so that one rule serves both.
const LABELGRID_NAMES: &[(&str, &[&str])] =
    &[("release", &["$.data.release_id"]), ("title", &["$.data.release_title"]), ("store", &["$.data.outlet_name"])];

const LABELGRID_TYPES: &[&str] = &[
    "delivery.completed",
    "delivery.failed",
    "takedown.completed",
    "release.review.status_changed",
    "release.distributed",
    "payment.statement_ready",
];

const ROYALTI_NAMES: &[(&str, &[&str])] =
    &[("amount", &["$.data.amount"]), ("currency", &["$.data.currency"]), ("title", &["$.data.title"])];

const ROYALTI_TYPES: &[&str] = &[
    "PAYMENT_COMPLETED",
    "PAYMENT_PROCESSING",
    "PAYMENT_MADE_FAILED",
    "PAYMENT_REQUEST_SENT",
    "PAYMENT_REQUEST_APPROVED",
    "PAYMENT_REQUEST_REJECTED",
    "PAYMENT_DELETED",
    "REVENUE_CREATED",
    "REVENUE_UPDATED",
    "ROYALTY_FILE_PROCESSED",
    "ASSET_CREATED",
];

const PAGERDUTY_TYPES: &[&str] = &[
    "incident.acknowledged",
    "incident.annotated",
    "incident.delegated",
    "incident.escalated",
    "incident.priority_updated",
    "incident.reassigned",
    "incident.reopened",
    "incident.resolved",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.status_update_published",
    "incident.triggered",
    "incident.unacknowledged",
];
