//! What a server did that no replay of its events can do: what a person asked for at the time.
//!
//! Of each event about which the two sides differ, the server says what its rules did: muted at run time, acknowledged,
//! closed or planned again by hand. Such a difference says nothing about the rules, so it is set apart, with its reason.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::Played;
use super::compare::{Key, compared};
use crate::cli::client::Client;
use crate::event::{EventId, Seq};

/// About this many events the server is asked; what differs beyond them is shown as a difference.
const EVENTS_MAX: usize = 2_000;

/// Why messages of a rule about an event are not compared: to one destination, or to all of them.
#[derive(Debug, Default)]
pub(super) struct Reasons(BTreeMap<(EventId, String), Vec<Reason>>);

/// Of one destination, or of all; and why.
type Reason = (Option<String>, String);

impl Reasons {
    /// Why a message is not compared, if it isn't.
    pub fn of(&self, key: &Key) -> Option<&str> {
        let all = self.0.get(&(key.event.clone()?, key.rule.clone()))?;
        let here = |(to, _): &&Reason| to.as_ref().is_none_or(|to| *to == key.destination);
        all.iter().find(here).map(|(_, why)| why.as_str())
    }

    fn read(&mut self, event: &EventId, row: &Value) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let Some(rule) = text(&row["rule"]) else { return };
        let why = &row["why"];
        let mut reasons: Vec<Reason> = text(&why["by_hand"]).map(|said| (None, said)).into_iter().collect();
        for action in why["actions"].as_array().into_iter().flatten().filter(|action| action["outcome"] == "muted") {
            reasons.push((text(&action["to"]), text(&action["note"]).unwrap_or_else(|| "muted".to_owned())));
        }
        if !reasons.is_empty() {
            self.0.entry((event.clone(), rule)).or_default().extend(reasons);
        }
    }
}

/// Asks the server about the events on which the two sides differ.
pub(super) async fn reasons(
    client: &Client,
    played: &Played,
    places: &HashMap<Seq, Option<EventId>>,
) -> anyhow::Result<Reasons> {
    let differing: BTreeSet<EventId> = compared(played).differs.into_iter().filter_map(|one| one.key.event).collect();
    let found = places.iter().filter_map(|(seq, id)| Some((*seq, id.as_ref().filter(|id| differing.contains(id))?)));
    let mut reasons = Reasons::default();
    for (seq, id) in found.take(EVENTS_MAX) {
        let event = client.get(&["api", "v1", "events", &seq.to_string()], &[]).await?;
        event["rules"].as_array().into_iter().flatten().for_each(|row| reasons.read(id, row));
    }
    Ok(reasons)
}
