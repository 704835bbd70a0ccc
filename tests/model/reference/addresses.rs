//! `docs/RULES.md`, people and maps: where a message goes at a destination that leaves its address to a map.

use fanfare::event::Seq;
use serde_json::Value;

use super::{Now, Reference};

impl Reference {
    /// "A case keeps the address that it began with." "`else` is for all other values, and for an event without the value".
    pub(super) fn address(&self, now: &Now<'_>, case: Option<usize>, event: Seq, to: &str) -> Option<String> {
        let map = now.rules.maps.get(self.mapped.get(to)?)?;
        if let Some(kept) = case.and_then(|case| self.cases[case].addresses.get(to)) {
            return Some(kept.clone());
        }
        // What all maps of the histories go by.
        let value = self.events.get(&event).and_then(|event| event.data().get("key").and_then(Value::as_str));
        let found = value.and_then(|value| map.values.get(value));
        found.or(map.otherwise.as_ref()).map(|found| found.value.clone())
    }

    /// "A digest or a summary goes separately to each address."
    pub(super) fn apart(&self, messages: &[usize]) -> Vec<Vec<usize>> {
        let mut apart: Vec<Vec<usize>> = Vec::new();
        for at in messages.iter().copied() {
            let address = &self.messages[at].address;
            match apart.iter_mut().find(|of| self.messages[of[0]].address == *address) {
                Some(of) => of.push(at),
                None => apart.push(vec![at]),
            }
        }
        apart
    }
}
