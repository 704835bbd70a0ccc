//! The inbox in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::ByEvent;
use crate::event::{Entry, Event, EventId, Item, Seq};
use crate::json::weight_read;
use crate::store::transitions::whole;
use crate::store::{Appended, CONFLICTS_MAX, Conflict, EventFilter, PAGE_BYTES_MAX, WAITING_BYTES_MAX};

/// What is known of an event for longer than the event itself is kept.
#[derive(Debug)]
pub(super) struct Known {
    pub seq: Seq,
    pub received: Timestamp,
    /// The hash of its body, once the body is gone.
    pub body: Option<u64>,
}

/// Everything that came in.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// With when it came.
    pub items: BTreeMap<Seq, (Timestamp, Item)>,
    /// By id, then by source: an id is looked for without its source, too.
    pub ids: HashMap<EventId, Vec<(Arc<str>, Known)>>,
    pub conflicts: ByEvent<Conflict>,
    head: Seq,
}

impl Inbox {
    /// The newest place.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// One more.
    pub fn push(&mut self, item: Item, received: Timestamp) -> Seq {
        self.head += 1;
        self.items.insert(self.head, (whole(received), item));
        self.head
    }

    /// Appends an event, unless it is known.
    pub fn append(&mut self, mut event: Event) -> Appended {
        let known = self.ids.get(&event.id).and_then(|known| known.iter().find(|(source, _)| *source == event.source));
        if let Some((_, known)) = known {
            let seq = known.seq;
            let first = match self.items.get(&seq) {
                Some((_, Item::Event(first))) if first.raw == event.raw => {
                    return Appended::Duplicate { seq, conflict: false };
                }
                Some(_) => None,
                None => known.body,
            };
            let conflict = first != Some(event.body_hash());
            if conflict {
                self.keep_conflict(seq, &event);
            }
            return Appended::Duplicate { seq, conflict };
        }
        if event.body.is_null() {
            event = event.read();
        }
        event.created = whole(event.created);
        event.received = whole(event.received);
        let (id, source, received) = (event.id.clone(), event.source.clone(), event.received);
        let seq = self.push(Item::Event(Box::new(event)), received);
        self.ids.entry(id).or_default().push((source, Known { seq, received, body: None }));
        Appended::Fresh(seq)
    }

    fn keep_conflict(&mut self, of: Seq, event: &Event) {
        let kept = self.conflicts.entry(of).or_default();
        if kept.len() < CONFLICTS_MAX && kept.iter().all(|conflict| *conflict.raw != *event.raw) {
            kept.push(Conflict { of, received: whole(event.received), raw: event.raw.to_vec() });
        }
    }

    /// The entries after a place.
    pub fn after(&self, seq: Seq, limit: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (seq, (_, item)) in self.items.range(seq.saturating_add(1)..).take(limit) {
            bytes += size(item);
            if bytes > WAITING_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(Entry { seq: *seq, item: item.clone() });
        }
        entries
    }

    /// The event at a place.
    pub fn event(&self, seq: Seq) -> Option<&Event> {
        match self.items.get(&seq) {
            Some((_, Item::Event(event))) => Some(event),
            _ => None,
        }
    }

    /// Events by place.
    pub fn events(&self, seqs: &[Seq]) -> Vec<(Seq, Event)> {
        seqs.iter().filter_map(|seq| Some((*seq, self.event(*seq)?.clone()))).collect()
    }

    /// Whether the event at this place is Fanfare's word about itself, which raises no further one.
    pub fn is_echo(&self, seq: Seq) -> bool {
        self.event(seq).is_some_and(Event::is_echo)
    }

    /// Lists events.
    pub fn list(&self, filter: &EventFilter) -> Vec<(Seq, Event)> {
        let from = filter.after.map_or(Seq::MIN, |after| after.saturating_add(1));
        let between = self.items.range(from..filter.before.unwrap_or(Seq::MAX).max(from));
        match filter.after {
            Some(_) => page(between, filter),
            None => page(between.rev(), filter),
        }
    }

    /// Events by place, for people.
    pub fn list_places(&self, seqs: &[Seq]) -> Vec<(Seq, Event)> {
        let all = EventFilter { limit: usize::MAX, ..EventFilter::default() };
        page(seqs.iter().filter_map(|seq| self.items.get_key_value(seq)), &all)
    }

    /// The places of an event id, newest first.
    pub fn find(&self, id: &str) -> Vec<Seq> {
        let known = self.ids.get(&EventId(id.into())).map(Vec::as_slice).unwrap_or_default();
        let mut seqs: Vec<Seq> =
            known.iter().map(|(_, known)| known.seq).filter(|seq| self.items.contains_key(seq)).collect();
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        seqs
    }

    /// Takes an event out; its id stays known.
    pub fn remove(&mut self, seq: Seq) {
        let Some((_, Item::Event(event))) = self.items.remove(&seq) else { return };
        let known = self.ids.get_mut(&event.id).into_iter().flatten().find(|(_, known)| known.seq == seq);
        if let Some((_, known)) = known {
            known.body = Some(event.body_hash());
        }
    }
}

/// The first events that the filter accepts, in the order given.
fn page<'i, T: 'i>(items: impl Iterator<Item = (&'i Seq, &'i (T, Item))>, filter: &EventFilter) -> Vec<(Seq, Event)> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for (seq, (_, item)) in items {
        if found.len() >= filter.limit || bytes >= PAGE_BYTES_MAX {
            break;
        }
        if let Item::Event(event) = item
            && accepts(filter, event)
        {
            bytes += event.raw.len();
            found.push((*seq, unread(event)));
        }
    }
    found
}

/// An event as a list has it: as if it were kept as bytes alone.
pub(super) fn unread(event: &Event) -> Event {
    Event {
        source: event.source.clone(),
        id: event.id.clone(),
        kind: event.kind.clone(),
        created: event.created,
        received: event.received,
        body: Value::Null,
        raw: event.raw.clone(),
        proof: event.proof.clone(),
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Event(event) => weight_read(&event.raw),
        Item::Command(_) | Item::Signal(_) => 256,
    }
}

pub(super) fn accepts(filter: &EventFilter, event: &Event) -> bool {
    let kind = match filter.kind.as_deref() {
        None => true,
        Some(kind) => match kind.strip_suffix('*') {
            Some(prefix) => event.kind.starts_with(prefix),
            None => *event.kind == *kind,
        },
    };
    kind && filter.source.as_deref().is_none_or(|source| *event.source == *source)
        && filter.since.is_none_or(|since| event.received >= since)
        && filter.until.is_none_or(|until| event.received < until)
}
