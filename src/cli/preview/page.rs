//! The page of `preview --all`: every message in every channel, as it will look.
//!
//! One file that needs nothing else: no script, no picture, no font from anywhere, and a policy in it that keeps a browser
//! from fetching any. Whatever came from an event is escaped; a mail's HTML stands in a frame of its own that may do
//! nothing.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;

use super::{Spoken, body, destination, fitting, opening, rounded, say_of};
use crate::channels::{self, ChannelKind};
use crate::cli::{CommandOutcome, runtime, term};
use crate::clock::{Clock, RealClock};
use crate::config::Snapshot;
use crate::delivery::Say;
use crate::event::Event;
use crate::message::html::escape;
use crate::rehearse::show::{self, Shown, Wanted};
use crate::rules::{Action, Rule};

/// Something that is said: a section of the page.
struct Said<'s> {
    /// Its heading: the message's name, or the rule's and where its words stand.
    name: String,
    say: Say,
    spoken: Option<Spoken<'s>>,
    before: Vec<Event>,
    event: Event,
}

/// Writes the page.
pub(super) fn write(snapshot: &Arc<Snapshot>, out: &Path) -> anyhow::Result<CommandOutcome> {
    let now = RealClock.now();
    let said = all(snapshot, now)?;
    let page = runtime(false)?.block_on(page(snapshot, &said, now))?;
    if out == Path::new("-") {
        print!("{page}");
        return Ok(CommandOutcome::Good);
    }
    std::fs::write(out, page).with_context(|| format!("`{}` can't be written", out.display()))?;
    let what = term::count(said.len(), "message", "messages");
    println!("{} {}: {what} in {} channels", term::good("wrote"), out.display(), channels::ALL.len());
    Ok(CommandOutcome::Good)
}

/// Everything that the rules say, each message once for each rule, and the messages that none says. What is said of
/// Fanfare itself comes last.
fn all(snapshot: &Snapshot, now: Timestamp) -> anyhow::Result<Vec<Said<'_>>> {
    let rules = snapshot.rules.as_deref().context("no rules could be loaded")?;
    let mut said: Vec<Said<'_>> = Vec::new();
    for rule in &rules.rules {
        for (nth, action) in rule.all_actions().enumerate() {
            // The same words for others are the same message; with other constants they are not.
            let same = |(of, known): Spoken<'_>| {
                std::ptr::eq(of, rule) && known.say.value == action.say.value && known.with == action.with
            };
            if said.iter().filter_map(|known| known.spoken).any(same) {
                continue;
            }
            let event = fitting(snapshot, &[(rule, action)], now)?;
            let name = heading(rule, action, nth);
            let spoken = Some((rule, action));
            let before = opening(snapshot, spoken, &event, now)?;
            said.push(Said { name, say: action.say.value.clone(), spoken, before, event });
        }
    }
    for name in snapshot.templates.names() {
        if !said.iter().any(|known| known.say == say_of(name)) {
            let event = fitting(snapshot, &[], now)?;
            said.push(Said { name: name.to_owned(), say: say_of(name), spoken: None, before: Vec::new(), event });
        }
    }
    said.sort_by_key(|one| one.event.is_own() && one.spoken.is_some_and(|(rule, _)| rule.missing.is_none()));
    Ok(said)
}

fn heading(rule: &Rule, action: &Action, nth: usize) -> String {
    let rule_name = &rule.name.value;
    match (&action.say.value, action.after) {
        (Say::Message(name), None) => format!("{rule_name}: {name}"),
        (Say::Message(name), Some(after)) => format!("{rule_name}: {name} after {after:#}"),
        (Say::Text(_), _) => format!("{rule_name}: text of action {}", nth + 1),
        (Say::Default | Say::Summary, _) => format!("{rule_name}: the default message"),
    }
}

async fn page(snapshot: &Arc<Snapshot>, said: &[Said<'_>], now: Timestamp) -> anyhow::Result<String> {
    let mut page = String::from(HEAD);
    page.push_str("<nav><h1>Fanfare</h1><p>What people get</p><ul>");
    for (nth, one) in said.iter().enumerate() {
        let _ = write!(page, "<li><a href=\"#m{nth}\">{}</a></li>", escape(&one.name));
    }
    page.push_str("</ul></nav><main>");
    for (nth, one) in said.iter().enumerate() {
        section(snapshot, one, nth, now, &mut page).await?;
    }
    page.push_str("</main></body></html>\n");
    Ok(page)
}

async fn section(
    snapshot: &Arc<Snapshot>,
    one: &Said<'_>,
    nth: usize,
    now: Timestamp,
    page: &mut String,
) -> anyhow::Result<()> {
    let mut cards = String::new();
    let mut later = None;
    for kind in channels::ALL {
        let destination = destination(snapshot, one.spoken, kind.name)?;
        let wanted =
            Wanted { say: &one.say, action: one.spoken, destination, before: &one.before, event: &one.event, now };
        let mut configured = snapshot.destinations.values();
        // Where no destination is configured, any may be meant.
        let meant = match configured.any(|known| Arc::ptr_eq(known, &wanted.destination)) {
            _ if snapshot.destinations.is_empty() => Meant::Perhaps,
            true => Meant::Yes,
            false => Meant::No,
        };
        match show::show(snapshot, &wanted).await {
            Ok(shown) => {
                later = later.or(shown.at);
                card(kind, &wanted, &shown, meant, &mut cards);
            }
            Err(reason) => {
                let _ = write!(
                    cards,
                    "<article class=\"wrong\"><header>{}</header><p>{}</p></article>",
                    kind.name,
                    escape(&reason)
                );
            }
        }
    }
    let about = match one.spoken {
        Some((rule, _)) => format!("rule <b>{}</b>", escape(&rule.name.value)),
        None => "no rule uses it".to_owned(),
    };
    let when = match later.map(|at| at.duration_since(now)).filter(|later| !later.is_zero()) {
        Some(later) => format!(", {} later", rounded(later)),
        None => String::new(),
    };
    let _ = write!(
        page,
        "<section id=\"m{nth}\"><h2>{}</h2><p class=\"about\">{about}, of <code>{}</code>{when}</p>\
         <div class=\"cards\">{cards}</div></section>",
        escape(&one.name),
        escape(&one.event.kind),
    );
    Ok(())
}

/// Whether the rule sends it to such a channel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meant {
    Yes,
    No,
    Perhaps,
}

fn card(kind: &ChannelKind, wanted: &Wanted<'_>, shown: &Shown, meant: Meant, page: &mut String) {
    let Some(picture) = kind.picture(&shown.request) else { return };
    let (class, to) = match meant {
        Meant::Yes => ("meant", format!("<b>{}</b>", escape(&wanted.destination.name))),
        Meant::No => ("other", "not sent here".into()),
        Meant::Perhaps => ("", String::new()),
    };
    let raw = wanted.destination.redactor.redact(&body(&shown.request));
    let note = shown.rendered.problem.as_ref().map(|problem| {
        format!(
            "<p class=\"problem\">the template failed, and the default message goes instead: {}</p>",
            escape(problem)
        )
    });
    let _ = write!(
        page,
        "<article class=\"{class}\"><header><span>{}</span>{to}</header>{}{}<details><summary>the bytes</summary>\
         <pre>{}</pre></details></article>",
        kind.name,
        note.unwrap_or_default(),
        kind.dressed(&picture),
        escape(&raw),
    );
}

const HEAD: &str = include_str!("head.html");
