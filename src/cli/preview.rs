//! `fanfare preview NAME --event E --as CHANNEL`: what would be sent, byte for byte, and how it reads.

use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::channels::{self, Form, Request, Sending};
use crate::cli::{Outcome, load_without_secrets, pick, report, term};
use crate::clock::{Clock, RealClock};
use crate::config::Snapshot;
use crate::delivery::{Act, DeliveryId, Say};
use crate::event::Event;
use crate::message::{Context, Rendered, plain};
use crate::problem::nearest;
use crate::rules::{Action, Rule};
use crate::steps::dispatch::event_json;

/// Needs no server and no secrets.
#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// The message, by its file's name; `default` for the one that an action without a message sends
    name: String,
    /// A sample, a file with a body, or `-`
    #[arg(long, value_name = "EVENT")]
    event: String,
    /// The channel
    #[arg(long = "as", value_name = "CHANNEL")]
    channel: String,
    /// Only the bytes
    #[arg(long)]
    raw: bool,
}

impl Preview {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<Outcome> {
        let loaded = load_without_secrets(config);
        if report(&loaded.problems) {
            return Ok(Outcome::Wrong);
        }
        let snapshot = loaded.snapshot.context("nothing could be loaded")?;
        let now = RealClock.now();
        let source = pick::source_of(&snapshot, None)?;
        let event = pick::event(&pick::pick(&self.event, now)?, &source, now)?;
        let Some(kind) = channels::named(&self.channel) else {
            let known: Vec<&str> = channels::ALL.iter().map(|kind| kind.name).collect();
            bail!("there is no channel `{}`; known: {}", self.channel, known.join(", "));
        };
        let say = self.say(&snapshot)?;
        let rendered = render(&snapshot, &say, &event, kind.native.map(|ending| (kind.name, ending)))?;
        let channel = channels::example(kind).context("the channel's example can't be read")?;
        let request = channel.compose(&Sending {
            id: &DeliveryId::of(event.id.as_str(), "preview", "preview", kind.name, 0),
            at: now,
            planned: now,
            act: Act::Open,
            form: Form::Rich,
            rendered: &rendered,
            rule: "preview",
            event: &event_json(&event),
            root: &event.root(),
            context: &snapshot.rules.as_ref().map(|rules| rules.names_in(&event)).unwrap_or_default(),
            mentions: &[],
            lane: None,
            receipt: None,
        });
        let request = request.map_err(anyhow::Error::msg)?;
        if !self.raw {
            println!("{}\n", term::bold(&format!("{} as {}", self.name, kind.name)));
            println!("{}\n", term::safe(&plain::message(&rendered.message)));
            println!("{}", term::dim("the bytes:"));
        }
        print_bytes(&request);
        if let Some(problem) = &rendered.problem {
            eprintln!("{} {problem}", term::bad("the template failed, the default message goes instead:"));
            return Ok(Outcome::Wrong);
        }
        Ok(Outcome::Good)
    }

    fn say(&self, snapshot: &Snapshot) -> anyhow::Result<Say> {
        if self.name == "default" {
            return Ok(Say::Default);
        }
        let known = snapshot.templates.names();
        if !known.contains(&self.name.as_str()) {
            match nearest(&self.name, known) {
                Some(near) => bail!("there is no message `{}`; did you mean `{near}`?", self.name),
                None => bail!("there is no message `{}`", self.name),
            }
        }
        Ok(Say::Message(self.name.clone()))
    }
}

/// Renders as the first action that says this message would.
fn render(snapshot: &Snapshot, say: &Say, event: &Event, native: Option<(&str, &str)>) -> anyhow::Result<Rendered> {
    let rules = snapshot.rules.as_deref().context("no rules could be loaded")?;
    let says = |rule: &'_ Rule| rule.actions.iter().chain(&rule.on_close).position(|action| &action.say.value == say);
    let spoken: Option<(&Rule, &Action)> = rules.rules.iter().find_map(|rule| {
        let at = says(rule)?;
        Some((rule, rule.actions.iter().chain(&rule.on_close).nth(at)?))
    });
    let now = RealClock.now();
    let context = Context {
        event,
        events: vec![event],
        more: 0,
        suppressed: 0,
        names: rules.names_in(event),
        case: None,
        rule: spoken.map_or("preview", |(rule, _)| &rule.name.value),
        rule_description: spoken.and_then(|(rule, _)| rule.description.as_deref()),
        with: spoken.map(|(_, action)| action.with.clone()).unwrap_or_default(),
        severity: spoken.and_then(|(_, action)| action.severity),
        died: None,
        now,
        zone: snapshot.settings.timezone.clone().unwrap_or(TimeZone::UTC),
        admin_url: snapshot.settings.admin_url.as_deref(),
    };
    Ok(snapshot.templates.render(say, &context, native))
}

/// Prints a request's body, JSON indented.
fn print_bytes(request: &Request) {
    let bytes = match request {
        Request::Http(http) => &http.body,
        Request::Mail(mail) => &mail.message,
        Request::Nothing => return,
    };
    match serde_json::from_slice::<Value>(bytes) {
        Ok(document) => println!("{document:#}"),
        Err(_) => println!("{}", term::safe(&String::from_utf8_lossy(bytes).replace('\r', ""))),
    }
}
