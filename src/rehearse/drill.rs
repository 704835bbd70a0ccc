//! A drill: one marked message of an action, really sent to one destination, once.
//!
//! No store knows of it: it waits for no hours, no rate and no mute, is never sent again, and mentions nobody. What it
//! raised where things are closed (an incident, a thread) is closed at once.

use std::time::Duration;

use super::show::{self, How, Wanted};
use crate::channels::wire::Transport;
use crate::channels::{Request, Verdict};
use crate::config::Snapshot;
use crate::delivery::{Act, Outcome, Receipt};
use crate::message::{Block, Inline, Rendered};

/// What a destination made of it.
#[derive(Debug)]
pub struct Drilled {
    /// How the attempt ended.
    pub outcome: Outcome,
    /// What it answered, without secrets.
    pub answer: String,
    /// What became of what it raised, where that is closed.
    pub closed: Option<Verdict>,
}

/// Sends it. `wanted.event` should have an id of its own: what is raised is known by it.
pub async fn drill(base: &Snapshot, wanted: &Wanted<'_>, wire: &dyn Transport) -> Drilled {
    let rendered = marked(show::rendered(base, wanted), wanted);
    let sent = attempt(base, wanted, &rendered, wire, Act::Open, None).await;
    let closes = sent.outcome == Outcome::Delivered && wanted.destination.channel.closes();
    let closed = match (closes, &sent.receipt) {
        (true, receipt) => Some(attempt(base, wanted, &rendered, wire, Act::Close, receipt.as_ref()).await),
        (false, _) => None,
    };
    Drilled { outcome: sent.outcome, answer: sent.reason, closed }
}

/// The message, with words that nobody can overlook, and without a format of the channel's own, which wouldn't have them.
fn marked(rendered: Rendered, wanted: &Wanted<'_>) -> Rendered {
    let mut message = rendered.message;
    message.title = format!("[drill] {}", message.title);
    let rule = wanted.action.map_or("", |(rule, _)| &rule.name.value);
    let note =
        format!(": nothing happened, and nobody needs to act. It shows that messages of the rule {rule} arrive here");
    let mark = vec![Inline::Strong(vec![Inline::Text("This is a drill".into())]), Inline::Text(note)];
    message.body.insert(0, Block::Paragraph(mark));
    Rendered { message, native: None, ..rendered }
}

async fn attempt(
    base: &Snapshot,
    wanted: &Wanted<'_>,
    rendered: &Rendered,
    wire: &dyn Transport,
    act: Act,
    receipt: Option<&Receipt>,
) -> Verdict {
    let destination = &wanted.destination;
    let lane = format!("drill_{}", wanted.event.id);
    let how = How { act, mentions: &[], lane: Some(&lane), receipt };
    let request = match show::compose(base, wanted, rendered, &how) {
        Ok(Request::Nothing) => return Verdict::new(Outcome::Delivered, "nothing needs sending"),
        Ok(request) => request,
        Err(reason) => return Verdict::new(Outcome::Permanent, reason),
    };
    let deadline = Duration::try_from(destination.timeout).unwrap_or(Duration::from_secs(10));
    let reply = wire.send(&destination.name, &request, deadline).await;
    destination.channel.verdict(&reply.redacted(&destination.channel.secrets()))
}
