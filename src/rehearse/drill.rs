//! A drill: one marked message of an action, really sent to one destination, once.
//!
//! No store knows of it: it waits for no hours, no rate and no mute, is never sent again, and mentions nobody. What it
//! raised where things are closed (an incident, a thread) is closed at once.

use std::sync::Arc;
use std::time::Duration;

use crate::channels::wire::Transport;
use crate::channels::{Reply, Request, Verdict, mark};
use crate::config::prepare::{Job, Prepared, prepare, prepare_with};
use crate::config::{Destination, Snapshot};
use crate::delivery::{AttemptOutcome, Lane, MessageOp};
use crate::event::{Event, EventId};
use crate::message::{Block, Inline, Rendered};
use crate::rehearse::show::{self, Wanted};
use crate::rules::{Action, Rule};

/// What a destination made of it.
#[derive(Debug)]
pub struct Drilled {
    /// How the attempt ended.
    pub outcome: AttemptOutcome,
    /// What it answered, without secrets.
    pub answer: String,
    /// What asks what became of it, where its service only queued it and can be asked.
    pub question: Option<Request>,
    /// What became of it, by [`became`]; `None` as long as that is not decided, or nobody asked.
    pub became: Option<Result<String, String>>,
    /// What became of what it raised, where that is closed.
    pub closed: Option<Verdict>,
}

impl Drilled {
    /// Nothing could be sent.
    fn impossible(answer: String) -> Self {
        Self { outcome: AttemptOutcome::Permanent, answer, question: None, became: None, closed: None }
    }

    /// Whether it was taken, and nobody says that it failed after that.
    pub fn is_good(&self) -> bool {
        self.outcome == AttemptOutcome::Delivered && !matches!(self.became, Some(Err(_)))
    }
}

/// A destination, and the first action that speaks to it.
#[derive(Debug)]
pub struct Stop<'s> {
    /// The action.
    pub action: &'s Action,
    /// The destination.
    pub destination: Arc<Destination>,
}

impl Stop<'_> {
    /// Where to look whether a message arrived, where nobody says that.
    pub fn unconfirmed(&self, drilled: &Drilled) -> Option<&'static str> {
        let is_open = drilled.outcome == AttemptOutcome::Delivered && drilled.became.is_none();
        self.destination.kind.queues.filter(|_| is_open)
    }
}

/// The destinations of a rule, in the order in which its actions name them.
pub fn stops<'s>(snapshot: &Snapshot, rule: &'s Rule) -> Vec<Stop<'s>> {
    let mut stops: Vec<Stop<'s>> = Vec::new();
    for action in rule.all_actions() {
        for to in &action.to {
            let is_known = stops.iter().any(|stop| stop.destination.name == to.value);
            if let Some(destination) = snapshot.destinations.get(&to.value).filter(|_| !is_known) {
                stops.push(Stop { action, destination: destination.clone() });
            }
        }
    }
    stops
}

/// An event for one drill: each is one of its own, since an incident that was resolved is not found again.
pub fn fresh(event: Event) -> Event {
    Event { id: EventId(format!("drill-{:016x}", fastrand::u64(..)).into()), ..event }
}

/// Sends it. `wanted.event` should have an id of its own: what is raised is known by it.
pub async fn drill(base: &Arc<Snapshot>, wanted: &Wanted<'_>, wire: &dyn Transport) -> Drilled {
    let mut job = match show::at_once(base, wanted) {
        Ok(job) => job,
        Err(answer) => return Drilled::impossible(answer),
    };
    let planned = &mut job.claim.delivery.planned;
    planned.assignment.mention.clear();
    planned.lane = Some(Lane(format!("drill_{}", wanted.event.id)));
    let (mut sent, mut question, mut rendered);
    loop {
        let prepared = prepare_with(&job, |rendered| marked(rendered, wanted));
        rendered = serde_json::to_string(&prepared.rendered).unwrap_or_default();
        let recipients = prepared.recipients.clone();
        (sent, question) = attempt(&job, prepared, wire).await;
        match recipients.as_slice() {
            [first, _, ..] if sent.outcome == AttemptOutcome::Delivered => {
                job.settled.push(mark(&job.claim.delivery.planned.id, first));
            }
            _ => break,
        }
    }
    let closes = sent.outcome == AttemptOutcome::Delivered && job.destination.channel.facts().can.closes();
    let mut closed = None;
    if closes {
        job.claim.receipt = sent.receipt;
        job.claim.delivery.message = Some(rendered);
        job.claim.delivery.planned.act = MessageOp::Close;
        closed = Some(attempt(&job, prepare(&job), wire).await.0);
    }
    Drilled { outcome: sent.outcome, answer: sent.reason, question, became: None, closed }
}

/// The message, with words that nobody can overlook, and without a format of the channel's own, which wouldn't have them.
fn marked(rendered: Rendered, wanted: &Wanted<'_>) -> Rendered {
    let mut message = rendered.message;
    message.title = format!("[drill] {}", message.title);
    let of = wanted.action.map(|(rule, _)| format!(" of the rule {}", rule.name.value)).unwrap_or_default();
    let note = format!(": nothing happened, and nobody needs to act. It shows that messages{of} arrive here");
    let mark = vec![Inline::Strong(vec![Inline::Text("This is a drill".into())]), Inline::Text(note)];
    message.body.insert(0, Block::Paragraph(mark));
    Rendered { message, native: None, ..rendered }
}

/// How it ended, and what asks what became of it.
async fn attempt(job: &Job, prepared: Prepared, wire: &dyn Transport) -> (Verdict, Option<Request>) {
    let request = match prepared.request {
        Ok(Request::Nothing) => return (Verdict::new(AttemptOutcome::Delivered, "nothing needs sending"), None),
        Ok(request) => request,
        Err(reason) => return (Verdict::new(AttemptOutcome::Permanent, reason), None),
    };
    let destination = &job.destination;
    let reply = ask(destination, &request, wire).await;
    let verdict = destination.channel.verdict(&reply);
    let is_taken = verdict.outcome == AttemptOutcome::Delivered;
    (verdict, destination.channel.asks_after(&request, &reply).filter(|_| is_taken))
}

/// Asks what became of what a service queued; `None` as long as that is not decided.
pub async fn became(
    destination: &Destination,
    question: &Request,
    wire: &dyn Transport,
) -> Option<Result<String, String>> {
    destination.channel.became(&ask(destination, question, wire).await)
}

async fn ask(destination: &Destination, request: &Request, wire: &dyn Transport) -> Reply {
    let deadline = Duration::try_from(destination.timeout).unwrap_or(Duration::from_secs(10));
    let reply = wire.send(&destination.name, request, deadline).await;
    reply.redacted_by(&destination.redactor)
}
