//! What is in force: a [`Snapshot`] of `fanfare.yaml`, the rules and the templates, made whole or not at all.
//!
//! Immutable, behind one `Arc`: anyone who works on something keeps the snapshot it began with. `load` makes one and
//! reports every mistake at once; starting and reloading use the same way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::channels::redact::Redactor;
use crate::channels::{Channel, ChannelKind, Footer};
use crate::config::access::Access;
use crate::config::audience::Audience;
use crate::config::certificate::Tls;
use crate::config::files::{Folders, Seen};
use crate::config::samples::Samples;
use crate::locale::Locale;
use crate::message::Templates;
use crate::pace::{Limits, Retry};
use crate::problem::Location;
use crate::rules::{HoursChoice, Reach, RuleSet};
use crate::secret::Secret;
use crate::source::Source;
use crate::yaml::Node;

pub mod access;
pub mod attach;
pub mod audience;
pub mod certificate;
pub mod check;
pub mod evidence;
mod external;
mod fallback;
mod links;
pub mod files;
pub mod guard;
pub mod load;
pub mod open;
pub mod samples;
pub mod schema;
pub mod settings;
mod placeholder;
pub mod prepare;
pub mod reach;
mod overrides;
mod roster;
pub mod substitute;

/// Everything in force at a time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `fanfare.yaml` except for sources and destinations.
    pub settings: Settings,
    /// By name.
    pub sources: BTreeMap<String, Arc<Source>>,
    /// By name.
    pub destinations: BTreeMap<String, Arc<Destination>>,
    /// The rules; `None` while they are broken: then nothing is planned.
    pub rules: Option<Arc<RuleSet>>,
    /// The templates.
    pub templates: Arc<Templates>,
    /// The team's own samples.
    pub samples: Arc<Samples>,
    /// SHA-256 over all files that it was made from, in hex, the first 12 characters.
    pub hash: String,
    /// When it was loaded.
    pub since: Timestamp,
    /// What it was made from, files of secrets included.
    pub seen: Seen,
}

/// The settings of `fanfare.yaml`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where `fanfare.yaml` is; relative paths are relative to its folder.
    pub file: PathBuf,
    /// Where webhooks are received.
    pub listen: SocketAddr,
    /// Certificate chain and key for `listen`.
    pub tls: Option<Tls>,
    /// Where page, API, metrics and health are.
    pub admin: SocketAddr,
    /// Who may use it, and for what.
    pub access: Access,
    /// How people reach the page; for links, and an allowed Host.
    pub admin_url: Option<String>,
    /// `sqlite:PATH`, `memory:`. May hold a password.
    pub store: Secret,
    /// The rules folder.
    pub rules: PathBuf,
    /// The templates folder.
    pub templates: PathBuf,
    /// The folder of the team's own samples.
    pub samples: PathBuf,
    /// The default zone, if one is set.
    pub timezone: Option<TimeZone>,
    /// The language of messages, unless their destination or person has another.
    pub locale: &'static Locale,
    /// How long finished events and deliveries are kept.
    pub retention: SignedDuration,
    /// How long dead deliveries and ids are kept.
    pub retention_dead: SignedDuration,
    /// Networks that no destination may be in.
    pub egress_deny: Vec<ipnet::IpNet>,
    /// If any: the only networks a destination may be in.
    pub egress_allow: Vec<ipnet::IpNet>,
    /// Who watches Fanfare, if anybody does.
    pub heartbeat: Option<Heartbeat>,
    /// Where links of messages lead, if they carry any.
    pub links: Option<Links>,
}

impl Settings {
    /// The folders that are read.
    pub fn folders(&self) -> Folders {
        Folders { rules: self.rules.clone(), templates: self.templates.clone(), samples: self.samples.clone() }
    }
}

/// What is called while all is well; silence is the alarm.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The URL: it may hold a token.
    pub url: Secret,
    /// How often.
    pub every: SignedDuration,
}

/// Links in messages, by which people act on a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// How people reach the webhooks' listener, without a slash at its end.
    pub url: String,
    /// How long a link works after its message.
    pub expires: SignedDuration,
}

/// A configured place.
#[derive(Debug)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// Its kind of channel.
    pub kind: &'static ChannelKind,
    /// The channel with its address and secrets.
    pub channel: Arc<dyn Channel>,
    /// Cuts its secrets out of what comes back.
    pub redactor: Redactor,
    /// When to try again.
    pub retry: Retry,
    /// How fast.
    pub limits: Limits,
    /// One deadline for all of an attempt.
    pub timeout: SignedDuration,
    /// When it may be spoken to, unless an action says otherwise.
    pub hours: Option<HoursChoice>,
    /// The language of its messages, if it has one of its own.
    pub locale: Option<&'static Locale>,
    /// Where a message goes that could not be delivered.
    pub fallback: Vec<(String, Location)>,
    /// So long after it became due, if it was not delivered by then; `None`: only once its delivery is dead.
    pub fallback_after: Option<SignedDuration>,
    /// How it is addressed, where a map of the rules gives its addresses.
    pub reach: Option<Reach>,
    /// The ids of people and groups, by the names that rules use.
    pub mentions: BTreeMap<String, String>,
    /// Whether people outside the team read it: links by which they could act are not for them.
    pub external: bool,
    /// What may leave to them, and from when on, where that is bounded.
    pub audience: Option<Audience>,
    /// What stands below its messages.
    pub footer: Footer,
    /// Where it stands in the file.
    pub place: Location,
}

/// What a destination says that is read once the rules' words are known.
#[derive(Debug, Clone, Default)]
pub struct Late {
    /// `hours`, as it stands in the file.
    pub hours: Option<Node>,
    /// `fields`.
    pub fields: Option<Node>,
    /// `embargo`.
    pub embargo: Option<Node>,
}

/// The sender that Fanfare is made for: meant where several could be, and where none is configured.
pub const DEFAULT_PRESET: &str = "jewelmusic";

impl Settings {
    /// The zone in which people see times, and in which a time without a zone is meant.
    pub fn zone(&self) -> TimeZone {
        self.timezone.clone().unwrap_or(TimeZone::UTC)
    }
}

impl Snapshot {
    /// The source that an event comes from where nobody says which: the sender whose samples are built in, else the first.
    pub fn default_source(&self) -> Option<&Arc<Source>> {
        let is_default = |source: &&Arc<Source>| source.preset.name == DEFAULT_PRESET;
        self.sources.values().find(is_default).or_else(|| self.sources.values().next())
    }

    /// How many rules are in force.
    pub fn rule_count(&self) -> usize {
        self.rules.as_ref().map_or(0, |rules| rules.rules.len())
    }
}
