//! `fanfare preview`: what would be sent, byte for byte, and how it looks; or all messages in all channels, as a page.
//!
//! The event goes through the rule that says the message, on a rehearsal of what a server does, so that case, digest,
//! mentions and ids are in it as they would be. Nothing is sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::channels::redact::Redactor;
use crate::channels::{self, Channel, ChannelKind, Footer, Picture, Request};
use crate::cli::{CommandOutcome, load_without_secrets, pick, rule_named, runtime, stops, term};
use crate::clock::{Clock, RealClock, plus};
use crate::config::substitute::PLACEHOLDER_HOST;
use crate::config::{Destination, Snapshot, reach};
use crate::delivery::Say;
use crate::event::Event;
use crate::pace::{Limits, Retry};
use crate::problem::{File, Location, nearest};
use crate::rehearse::sample::{self, Spoken, acts};
use crate::rehearse::show::{self, Shown, Wanted};
use crate::rules::{Action, Rule};

mod page;

/// Needs no server and no secrets.
#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// A message, by its file's name; a rule, for its text or default message; or `default`
    #[arg(required_unless_present = "all", value_name = "NAME")]
    name: Option<String>,
    /// A sample, a file with a body, a body in JSON, `-`, or an own event; by default the first sample on which the rule acts
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// What came before it, in its order: what opened the case, say. May stand several times; for an event that closes a
    /// case, by default the first sample that opens it
    #[arg(long, value_name = "EVENT")]
    after: Vec<String>,
    /// A channel, or a destination of fanfare.yaml
    #[arg(long = "as", value_name = "CHANNEL", required_unless_present = "all")]
    place: Option<String>,
    /// As in this rule; by default the first that would send it
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only the bytes
    #[arg(long, conflicts_with = "all")]
    raw: bool,
    /// Write a page that shows every message in every channel
    #[arg(long, conflicts_with_all = ["name", "event", "after", "place", "rule"])]
    all: bool,
    /// The output file of the page; `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "preview.html", requires = "all")]
    out: PathBuf,
}

impl Preview {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let loaded = load_without_secrets(config);
        if stops(&loaded.problems) {
            return Ok(CommandOutcome::Wrong);
        }
        let snapshot = Arc::new(loaded.snapshot.context("nothing could be loaded")?);
        if self.all {
            return page::write(&snapshot, &self.out);
        }
        let (name, place) = self.name.as_deref().zip(self.place.as_deref()).context("a name and a channel")?;
        self.one(&snapshot, name, place)
    }

    fn one(&self, snapshot: &Arc<Snapshot>, name: &str, place: &str) -> anyhow::Result<CommandOutcome> {
        let now = RealClock.now();
        let spoken = self.spoken(snapshot, name)?;
        let event = match &self.event {
            Some(event) => pick::named(snapshot, event, None, now)?,
            None => fitting(snapshot, &spoken, now)?,
        };
        let action = best(snapshot, &spoken, &event, place);
        let destination = destination(snapshot, action, place)?;
        let say = action.map_or_else(|| say_of(name), |(_, action)| action.say.value.clone());
        let before = match self.after.as_slice() {
            [] => opening(snapshot, action, &event, now)?,
            names => before(snapshot, names, now)?,
        };
        let wanted = Wanted { say: &say, action, destination, before: &before, event: &event, now };
        let shown = runtime(false)?.block_on(show::show(snapshot, &wanted)).map_err(anyhow::Error::msg)?;
        if self.raw {
            print_raw(&shown.request)?;
        } else {
            print(name, &wanted, snapshot, &shown);
        }
        if let Some(problem) = &shown.rendered.problem {
            eprintln!("{} {problem}", term::bad("the template failed; the default message is sent instead:"));
            return Ok(CommandOutcome::Wrong);
        }
        Ok(CommandOutcome::Good)
    }

    /// Who says what `name` names: none where it is a message that no rule says.
    fn spoken<'s>(&self, snapshot: &'s Snapshot, name: &str) -> anyhow::Result<Vec<Spoken<'s>>> {
        let rules = snapshot.rules.as_deref().context("no rules could be loaded")?;
        let messages = snapshot.templates.names();
        let is_rule = rules.rule(name).is_some();
        if name != "default" && !messages.contains(&name) && !is_rule {
            let known = messages.into_iter().chain(rules.rules.iter().map(|rule| rule.name.value.as_str()));
            match nearest(name, known.chain(["default"])) {
                Some(near) => bail!("there is no message or rule `{name}`; did you mean `{near}`?"),
                None => bail!("there is no message or rule `{name}`"),
            }
        }
        if let Some(only) = &self.rule {
            rule_named(rules, only)?;
        }
        let as_rule = is_rule && !messages.contains(&name);
        let says = |rule: &Rule, action: &Action| match as_rule {
            true => rule.name.value == name,
            false => action.say.value == say_of(name),
        };
        let wanted = rules.rules.iter().filter(|rule| self.rule.as_ref().is_none_or(|only| *only == rule.name.value));
        let spoken: Vec<Spoken<'s>> = wanted
            .flat_map(|rule| rule.all_actions().map(move |action| (rule, action)))
            .filter(|(rule, action)| says(rule, action))
            .collect();
        if let (true, Some(only)) = (spoken.is_empty(), &self.rule) {
            bail!("the rule `{only}` doesn't use `{name}`");
        }
        Ok(spoken)
    }
}

fn say_of(name: &str) -> Say {
    if name == "default" { Say::Default } else { Say::Message(name.to_owned()) }
}

// --- which event, which action, which destination ---

/// The first event at hand that suits one of these.
pub(crate) fn fitting(snapshot: &Snapshot, spoken: &[Spoken<'_>], now: Timestamp) -> anyhow::Result<Event> {
    sample::fitting(snapshot, spoken, now).map_err(anyhow::Error::msg)
}

/// The events of these names, a minute apart, the last a minute ago.
fn before(snapshot: &Snapshot, names: &[String], now: Timestamp) -> anyhow::Result<Vec<Event>> {
    let minutes = (1..=i64::try_from(names.len()).unwrap_or(1)).rev();
    let at = |minutes| plus(now, SignedDuration::ZERO - SignedDuration::from_mins(minutes));
    names.iter().zip(minutes).map(|(name, minutes)| pick::named(snapshot, name, None, at(minutes))).collect()
}

/// What opened the case that this event closes: the first sample that the rule takes for that.
fn opening(
    snapshot: &Snapshot,
    spoken: Option<Spoken<'_>>,
    event: &Event,
    now: Timestamp,
) -> anyhow::Result<Vec<Event>> {
    let (Some((rule, _)), Some(rules)) = (spoken, &snapshot.rules) else { return Ok(Vec::new()) };
    let mut judged = rules.judge(event).into_iter().filter(|judgement| std::ptr::eq(judgement.rule, rule));
    let Some(Ok(key)) = judged.find_map(|judgement| judgement.closes) else { return Ok(Vec::new()) };
    let earlier = plus(now, SignedDuration::ZERO - SignedDuration::from_mins(1));
    let opens = |event: &Event| {
        let mut judged = rules.judge(event).into_iter().filter(|judgement| std::ptr::eq(judgement.rule, rule));
        judged.any(|judged| judged.accepts() && judged.case == Some(Ok(key.clone())))
    };
    let events = sample::all(snapshot, earlier).map_err(anyhow::Error::msg)?;
    Ok(events.into_iter().find(opens).into_iter().collect())
}

/// Of those that say it, the one that acts on the event and speaks to the place, as far as there is one.
fn best<'s>(snapshot: &Snapshot, spoken: &[Spoken<'s>], event: &Event, place: &str) -> Option<Spoken<'s>> {
    let speaks_to = |action: &Action| {
        action.to.iter().any(|to| to.value == place || kind_of(snapshot, &to.value).is_some_and(|kind| kind == place))
    };
    let worth = |(rule, action): &Spoken<'_>| (acts(snapshot, rule, action, event), speaks_to(action));
    let best = spoken.iter().map(worth).max()?;
    spoken.iter().find(|spoken| worth(spoken) == best).copied()
}

fn kind_of<'s>(snapshot: &'s Snapshot, destination: &str) -> Option<&'s str> {
    snapshot.destinations.get(destination).map(|destination| destination.kind.name)
}

/// The configured destination that is meant, or one as the channel's example has it.
fn destination(snapshot: &Snapshot, spoken: Option<Spoken<'_>>, place: &str) -> anyhow::Result<Arc<Destination>> {
    if let Some(named) = snapshot.destinations.get(place) {
        return Ok(named.clone());
    }
    let Some(kind) = channels::named(place) else {
        let kinds = channels::ALL.iter().map(|kind| kind.name);
        let known: Vec<&str> = kinds.chain(snapshot.destinations.keys().map(String::as_str)).collect();
        match nearest(place, known.iter().copied()) {
            Some(near) => bail!("there is no channel or destination `{place}`; did you mean `{near}`?"),
            None => bail!("there is no channel or destination `{place}`; known: {}", known.join(", ")),
        }
    };
    let to = spoken.map_or(&[][..], |(_, action)| action.to.as_slice());
    match to.iter().filter_map(|to| snapshot.destinations.get(&to.value)).find(|known| known.kind.name == kind.name) {
        Some(known) => Ok(known.clone()),
        None => example(kind, to.first().map_or(kind.name, |to| &to.value)),
    }
}

/// A destination of this name as the channel's example has it.
fn example(kind: &'static ChannelKind, name: &str) -> anyhow::Result<Arc<Destination>> {
    let channel: Arc<dyn Channel> = channels::example(kind).context("the channel's example can't be read")?.into();
    Ok(Arc::new(Destination {
        name: name.to_owned(),
        kind,
        redactor: Redactor::new(&channel.facts().secrets),
        channel,
        retry: Retry::default(),
        limits: Limits { spacing: None, burst: 1, concurrency: 1 },
        timeout: SignedDuration::from_secs(10),
        hours: None,
        locale: None,
        fallback: Vec::new(),
        fallback_after: None,
        reach: None,
        footer: Footer::Usual,
        mentions: std::collections::BTreeMap::new(),
        external: false,
        audience: None,
        place: Location::new(&File::new("example", ""), 0..0),
    }))
}

// --- printing ---

fn print(name: &str, wanted: &Wanted<'_>, snapshot: &Snapshot, shown: &Shown) {
    let destination = &wanted.destination;
    println!("{}", term::bold(&format!("{name} as {}", destination.kind.name)));
    println!("{}\n", term::dim(&origin(wanted, shown)));
    match destination.kind.picture(&shown.request) {
        Some(picture) => likeness(&picture),
        None => println!("nothing needs sending"),
    }
    if let Some(file) = &shown.rendered.file {
        println!("\n{}\n{}", term::dim(&format!("with the file {}:", file.name)), term::safe(&file.text));
    }
    println!("\n{}", term::dim(&format!("the bytes, for {}:", address(wanted, snapshot))));
    let text = destination.redactor.redact(&body(&shown.request));
    println!("{}", term::safe(&text));
}

/// Where it goes, as far as that is known without the environment; with what a choice chose.
fn address(wanted: &Wanted<'_>, snapshot: &Snapshot) -> String {
    let channel = &wanted.destination.channel;
    let address = match channel.facts().address.as_str() {
        address if address.contains(PLACEHOLDER_HOST) => "an address from the environment",
        address => address,
    };
    let rules = snapshot.rules.as_deref();
    match rules.and_then(|rules| reach::chosen(&wanted.destination, rules, wanted.event)) {
        Some(chosen) => format!("{address}, {}", term::one_line(&chosen)),
        None => address.to_owned(),
    }
}

/// Who says it, to whom, of what, and when.
fn origin(wanted: &Wanted<'_>, shown: &Shown) -> String {
    let kind = &*wanted.event.kind;
    match (wanted.action, shown.at) {
        (None, _) => format!("no rule uses it; shown with {kind}"),
        (Some((rule, _)), None) => {
            format!("the rule {} does not use it for {kind}; shown as if it did", rule.name.value)
        }
        (Some((rule, _)), Some(at)) => {
            let later = at.duration_since(wanted.now);
            let when = if later.is_zero() { String::new() } else { format!(", {} later", rounded(later)) };
            let after = wanted.before.iter().map(|event| format!(", after {}", event.kind)).collect::<String>();
            format!("rule {}, to {}, of {kind}{after}{when}", rule.name.value, wanted.destination.name)
        }
    }
}

/// A span as people say it.
fn rounded(span: SignedDuration) -> String {
    let minutes = (span.as_secs() + 59) / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", (minutes + 30) / 60),
        _ => format!("{} days", (minutes + 720) / 1440),
    }
}

/// The picture, for a terminal.
fn likeness(picture: &Picture) {
    println!("  ┃ {}", term::bold(&term::safe(&picture.title)));
    for line in picture.text.iter().filter(|line| !line.trim().is_empty()) {
        println!("  ┃ {}", term::safe(line));
    }
}

/// A request's body for people: JSON indented.
fn body(request: &Request) -> String {
    let bytes = match request {
        Request::Http(http) => &http.body,
        Request::Mail(mail) => &mail.message,
        Request::Nothing => return String::new(),
    };
    match serde_json::from_slice::<Value>(bytes) {
        Ok(document) => format!("{document:#}"),
        Err(_) => String::from_utf8_lossy(bytes).replace('\r', ""),
    }
}

fn print_raw(request: &Request) -> std::io::Result<()> {
    use std::io::Write;

    let bytes = match request {
        Request::Http(http) => &http.body,
        Request::Mail(mail) => &mail.message,
        Request::Nothing => return Ok(()),
    };
    match std::io::stdout().write_all(bytes) {
        // Anyone who read it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
