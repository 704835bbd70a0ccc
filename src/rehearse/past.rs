//! Past: events that came once, through rules that were not in force then.
//!
//! What `backtest` believes in. The events come in their order and at the moments at which they were received, and
//! between them everything is done at its moment, as in a test: reminders, digests, held messages. Nothing is known of
//! what was before the first: a case that was open already is none here.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Rehearsal, Stage, Stuck};
use crate::event::{Event, EventId, MISSING, Seq};
use crate::rules::RuleSet;
use crate::store::Appended;

/// The turns that a month of rules may take without an event: a reminder a minute for ten cases, and some.
const TURNS_MAX: u64 = 1_000_000;
/// The turns that each event adds to it.
const TURNS_EACH: u64 = 20;
/// All chance in it comes from here; nothing of a message depends on it.
const SEED: u64 = 1;

/// A message that would have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Would {
    /// When.
    pub at: Timestamp,
    /// The rule.
    pub rule: String,
    /// The destination.
    pub destination: String,
    /// The event that set it off; `None` where it was that none came.
    pub event: Option<EventId>,
    /// The title, else what it says.
    pub title: String,
}

/// Events of the past while they are played.
#[derive(Debug)]
pub struct Past {
    rehearsal: Rehearsal,
    /// The events that were played, by their places here.
    came: HashMap<Seq, EventId>,
    would: Vec<Would>,
}

impl Past {
    /// Begins at `start`. What would be in shadow, or is for the time being, is played as if it were not: to see what it
    /// would send is what this is for.
    ///
    /// # Errors
    /// The store in memory failed.
    pub async fn begin(stage: &Stage, mut rules: RuleSet, start: Timestamp) -> Result<Self, Stuck> {
        rules.rules.iter_mut().for_each(|rule| rule.shadow = false);
        let mut rehearsal = stage.rehearse(Arc::new(rules), start, SEED).await?;
        rehearsal.turns_max = TURNS_MAX;
        Ok(Self { rehearsal, came: HashMap::new(), would: Vec::new() })
    }

    /// An event, and everything that was due before it. Fanfare's own are left out: the rehearsal makes its own of them.
    ///
    /// # Errors
    /// More happens than can be waited for, or the store in memory failed.
    pub async fn receive(&mut self, event: Event) -> Result<(), Stuck> {
        if event.is_own() {
            return Ok(());
        }
        self.rehearsal.turns_max += TURNS_EACH;
        self.wait_until(event.received).await?;
        let id = event.id.clone();
        if let Appended::Fresh(seq) = self.rehearsal.receive(event).await? {
            self.came.insert(seq, id);
        }
        self.listen().await
    }

    /// What would have been sent until then, in the order of sending.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn end(mut self, until: Timestamp) -> Result<Vec<Would>, Stuck> {
        self.wait_until(until).await?;
        Ok(self.would)
    }

    async fn wait_until(&mut self, until: Timestamp) -> Result<(), Stuck> {
        self.rehearsal.wait_until(until).await?;
        self.listen().await
    }

    /// Records what was sent. What Fanfare says of itself and updates of what was said are no messages of the rules.
    async fn listen(&mut self) -> Result<(), Stuck> {
        for sent in self.rehearsal.take_sent() {
            let event = self.came.get(&sent.event).cloned();
            if sent.act.changes() || (event.is_none() && !self.is_absence(sent.event).await?) {
                continue;
            }
            let message = &sent.rendered.message;
            let title =
                if message.title.is_empty() { crate::message::plain::message(message) } else { message.title.clone() };
            self.would.push(Would { at: sent.at, rule: sent.rule, destination: sent.destination, event, title });
        }
        Ok(())
    }

    /// Whether what stands there is that no event came.
    async fn is_absence(&self, seq: Seq) -> Result<bool, Stuck> {
        let found = self.rehearsal.live.store.events(&[seq]).await?;
        Ok(found.first().is_some_and(|(_, event)| &*event.kind == MISSING))
    }
}
