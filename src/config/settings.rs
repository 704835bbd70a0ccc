//! `fanfare.yaml`: from its tree to settings, sources and destinations.
//!
//! Reads values only; whether names fit together is for `check`. Keys that a channel or a source owns are read there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::channels;
use crate::channels::Footer;
use crate::channels::redact::Redactor;
use crate::config::access::Access;
use crate::config::{Destination, Late, Settings, fallback, links, placeholder, reach};
use crate::locale;
use crate::pace::{Limits, Retry};
use crate::problem::{Problem, Problems};
use crate::rules::parse::times::{locale_of, zone_hint};
use crate::secret::Secret;
use crate::source::Source;
use crate::store;
use crate::yaml::{Fields, Key, Node, NodeKind, named};

mod server;

use self::server::{address, admin, egress, heartbeat, retention, tls};

/// How many sends to one destination may be under way, unless it says otherwise.
const CONCURRENCY: u32 = 4;
/// The most that a destination may ask for.
const CONCURRENCY_MAX: u64 = 64;
/// The deadline of an attempt, unless the destination says otherwise.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

/// What `fanfare.yaml` says.
#[derive(Debug)]
pub struct Configured {
    /// Its settings.
    pub settings: Settings,
    /// Its sources.
    pub sources: BTreeMap<String, Arc<Source>>,
    /// Its destinations, and what each says that needs the rules.
    pub destinations: Vec<(Destination, Late)>,
    /// The names of those sources and destinations that could not be read: they are no unknown names.
    pub broken: Broken,
}

/// Names of what is there and could not be read.
#[derive(Debug, Default)]
pub struct Broken {
    /// Of sources.
    pub sources: BTreeSet<String>,
    /// Of destinations.
    pub destinations: BTreeSet<String>,
}

/// What every destination may say, whatever its channel: for docs, schema and nearest names.
pub const DESTINATION_KEYS: &[(&str, &str)] = &[
    ("type", "the kind of channel"),
    ("retry", "the retry schedule: {first: 5s, max: 15m, give_up: 24h}"),
    ("rate", "the maximum average rate: 1/s, 30/m"),
    ("burst", "the number of messages that may go at once, before `rate` applies"),
    ("concurrency", "the maximum number of sends in progress"),
    ("timeout", "the deadline of an attempt: connect, send, answer"),
    ("hours", "when messages may go to it"),
    ("locale", "the language of its messages; by default the configured one"),
    (
        "fallback",
        "the destinations of a message that can't be delivered here: [finance], or {to: [finance], after: 5m}",
    ),
    ("mentions", "people and groups, by the names that rules use"),
    ("external", "`true` if people outside the team read it: its messages carry links only if an action asks for them"),
    ("fields", "with `external`: the names and paths of what may leave of an event; all by default"),
    ("embargo", "with `external`: `until PATH`; nothing about an event goes before that date in it"),
    ("footer", "the text below each message, or `none`; by default severity, rule and type, where a team reads them"),
];

/// The settings of a folder without `fanfare.yaml`: what `check --rules-only` and the like go by.
pub fn defaults(file: &Path) -> Settings {
    let base = file.parent().unwrap_or(Path::new("")).to_owned();
    Settings {
        file: file.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        tls: None,
        admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
        access: Access::default(),
        admin_url: None,
        store: Secret::new("sqlite:data/fanfare.db"),
        rules: base.join("rules"),
        templates: base.join("templates"),
        samples: base.join("samples"),
        timezone: None,
        locale: locale::english(),
        retention: SignedDuration::from_hours(24 * 30),
        retention_dead: SignedDuration::from_hours(24 * 90),
        egress_deny: Vec::new(),
        egress_allow: Vec::new(),
        heartbeat: None,
        links: None,
    }
}

/// Reads the tree. `None` if it is no mapping at all.
pub fn configured(root: &Node, file: &Path, problems: &mut Problems) -> Option<Configured> {
    let mut fields = Fields::of(root, "fanfare.yaml", problems)?;
    let mut settings = defaults(file);
    let base = file.parent().unwrap_or(Path::new("")).to_owned();

    if let Some(address) = address(&mut fields, "listen", problems) {
        settings.listen = address;
    }
    if let Some(node) = fields.node("tls", problems) {
        settings.tls = tls(node, &base, problems);
    }
    if let Some(node) = fields.node("admin", problems) {
        admin(node, &mut settings, problems);
    }
    if let Some((text, node)) = fields.text("store", problems) {
        settings.store = Secret::new(text);
        if let Err(why) = store::check(&settings.store, &base) {
            problems.push(
                Problem::error("store", why.to_string())
                    .at(&node.place)
                    .hint("the default is `sqlite:data/fanfare.db`"),
            );
        }
    }
    let folders =
        [("rules", &mut settings.rules), ("templates", &mut settings.templates), ("samples", &mut settings.samples)];
    for (key, folder) in folders {
        if let Some((text, _)) = fields.text(key, problems) {
            *folder = base.join(text);
        }
    }
    if let Some((name, node)) = fields.text("timezone", problems) {
        settings.timezone = zone(&name, node, problems);
    }
    if let Some(locale) = locale_of(&mut fields, problems) {
        settings.locale = locale;
    }
    if let Some(node) = fields.node("retention", problems) {
        retention(node, &mut settings, problems);
    }
    if let Some(node) = fields.node("egress", problems) {
        egress(node, &mut settings, problems);
    }
    if let Some(node) = fields.node("heartbeat", problems) {
        settings.heartbeat = heartbeat(node, problems);
    }
    if let Some(node) = fields.node("links", problems) {
        settings.links = links::read(node, problems);
    }
    let mut broken = Broken::default();
    let sources = sources(&mut fields, &mut broken, problems);
    let destinations = destinations(&mut fields, &mut broken, problems);
    fields.finish(problems);
    Some(Configured { settings, sources, destinations, broken })
}

/// A zone by its name in the IANA database.
pub fn zone(name: &str, node: &Node, problems: &mut Problems) -> Option<TimeZone> {
    match TimeZone::get(name) {
        Ok(zone) => Some(zone),
        Err(_) => {
            problems.push(
                Problem::error("timezone", format!("`{name}` is not a time zone"))
                    .at(&node.place)
                    .hint(zone_hint(name)),
            );
            None
        }
    }
}

fn sources(fields: &mut Fields<'_>, broken: &mut Broken, problems: &mut Problems) -> BTreeMap<String, Arc<Source>> {
    let mut sources: BTreeMap<String, Arc<Source>> = BTreeMap::new();
    let Some(node) = fields.node("sources", problems) else { return sources };
    for (key, node) in named(node, "`sources`", problems) {
        let name = key.text.as_str();
        let source = Fields::of(node, format!("source `{name}`"), problems).and_then(|mut fields| {
            let source = Source::parse(name, &mut fields, problems);
            fields.finish(problems);
            source.or_else(|| placeholder::source(name, node))
        });
        let Some(source) = source else {
            broken.sources.insert(name.to_owned());
            continue;
        };
        if let Some(other) = sources.values().find(|other| other.path == source.path) {
            problems.push(
                Problem::error(
                    "same-path",
                    format!("sources `{}` and `{name}` have the same path `{}`", other.name, source.path),
                )
                .at(&node.place),
            );
        }
        sources.insert(name.to_owned(), Arc::new(source));
    }
    sources
}

fn destinations(fields: &mut Fields<'_>, broken: &mut Broken, problems: &mut Problems) -> Vec<(Destination, Late)> {
    let Some(node) = fields.node("destinations", problems) else { return Vec::new() };
    let mut destinations = Vec::new();
    for (key, node) in named(node, "`destinations`", problems) {
        match destination(key, node, problems) {
            Some(destination) => destinations.push(destination),
            None => drop(broken.destinations.insert(key.text.clone())),
        }
    }
    destinations
}

fn destination(key: &Key, node: &Node, problems: &mut Problems) -> Option<(Destination, Late)> {
    let name = key.text.as_str();
    let mut fields = Fields::of(node, format!("destination `{name}`"), problems)?;
    let (kind, at) = fields.required("type", problems)?;
    let Some(kind) = channels::named(&kind) else {
        let known = channels::ALL.iter().map(|kind| kind.name);
        problems.push(
            Problem::error("channel", format!("there is no channel `{kind}`")).at(&at.place).suggest(&kind, known),
        );
        return None;
    };
    let retry = match fields.node("retry", problems) {
        Some(node) => retry(node, problems),
        None => Retry::default(),
    };
    let limits = limits(&mut fields, kind, problems);
    let timeout = fields.span("timeout", problems).unwrap_or(TIMEOUT);
    if timeout < SignedDuration::from_secs(1) || timeout > SignedDuration::from_mins(5) {
        problems.push(
            Problem::error("timeout", format!("the `timeout` of `{name}` is not between 1s and 5m")).at(&fields.place),
        );
    }
    let late = late(&mut fields, problems);
    let locale = locale_of(&mut fields, problems);
    let (fallback, fallback_after) = fallback::read(&mut fields, kind.pages, problems);
    let external = fields.truth("external", problems).unwrap_or(false);
    let people = fields.node("mentions", problems);
    let footer = match fields.text("footer", problems) {
        None if external => Footer::None,
        None => Footer::Usual,
        Some((text, _)) if text == "none" => Footer::None,
        Some((text, _)) => Footer::Text(text),
    };
    let channel = kind.read(&mut fields, problems).or_else(|| placeholder::channel(kind, node));
    let mentions = people.map(|node| mentions(node, kind, problems)).unwrap_or_default();
    fields.finish(problems);
    let place = key.place.clone();
    let name = name.to_owned();
    let channel: Arc<dyn channels::Channel> = Arc::from(channel?);
    let reach = channel.facts().mapped.as_ref().map(|by| reach::reach(by, problems));
    let redactor = Redactor::new(&channel.facts().secrets);
    let destination = Destination {
        name,
        kind,
        channel,
        redactor,
        retry,
        limits,
        timeout,
        hours: None,
        locale,
        fallback,
        fallback_after,
        reach,
        footer,
        mentions,
        external,
        audience: None,
        place,
    };
    Some((destination, late))
}

fn late(fields: &mut Fields<'_>, problems: &mut Problems) -> Late {
    let mut node = |key| fields.node(key, problems).cloned();
    Late { hours: node("hours"), fields: node("fields"), embargo: node("embargo") }
}

fn limits(fields: &mut Fields<'_>, kind: &channels::ChannelKind, problems: &mut Problems) -> Limits {
    let rate = fields.text("rate", problems).and_then(|(text, node)| rate(&text, node, problems));
    let burst = fields.whole("burst", 1, problems);
    let concurrency = fields.whole("concurrency", 1, problems).unwrap_or(u64::from(CONCURRENCY));
    Limits {
        spacing: rate.or(kind.spacing),
        // A rate of one's own comes without the service's burst.
        burst: burst.and_then(|burst| u32::try_from(burst).ok()).unwrap_or(if rate.is_some() { 1 } else { kind.burst }),
        concurrency: u32::try_from(concurrency.min(CONCURRENCY_MAX)).unwrap_or(CONCURRENCY),
    }
}

fn retry(node: &Node, problems: &mut Problems) -> Retry {
    let mut retry = Retry::default();
    let Some(mut fields) = Fields::of(node, "`retry`", problems) else { return retry };
    for (key, span) in [("first", &mut retry.first), ("max", &mut retry.max), ("give_up", &mut retry.give_up)] {
        if let Some(given) = fields.span(key, problems) {
            *span = given;
        }
    }
    if retry.first > retry.max {
        problems.push(Problem::error("retry", "`retry` has a `first` longer than its `max`").at(&fields.place));
    }
    fields.finish(problems);
    retry
}

/// `1/s`, `30/m`, `100/h`: the least time between two sends.
fn rate(text: &str, node: &Node, problems: &mut Problems) -> Option<SignedDuration> {
    let spacing = text.split_once('/').and_then(|(count, unit)| {
        let count: i64 = count.trim().parse().ok().filter(|count| *count > 0)?;
        let unit_ms = match unit.trim() {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(SignedDuration::from_millis((unit_ms / count).max(1)))
    });
    if spacing.is_none() {
        problems.push(
            Problem::error("rate", format!("`{text}` is not a rate"))
                .at(&node.place)
                .hint("write a number per time: `1/s`, `30/m`, `100/h`"),
        );
    }
    spacing
}

/// Ids by name. One that the service doesn't know would be left out of every message without a word.
fn mentions(node: &Node, of: &channels::ChannelKind, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut mentions = BTreeMap::new();
    let Some(mut fields) = Fields::of(node, "`mentions`", problems) else { return mentions };
    for (key, node) in fields.rest() {
        match (&node.kind, node.scalar()) {
            (NodeKind::Text(_) | NodeKind::Number(_), Some(id)) => {
                if let Err(why) = of.mention(id) {
                    problems.push(Problem::error("mention", why).at(&node.place));
                }
                mentions.insert(key.text.clone(), id.to_owned());
            }
            _ => problems.push(node.expected(&format!("the id of `{}` as text", key.text))),
        }
    }
    mentions
}
