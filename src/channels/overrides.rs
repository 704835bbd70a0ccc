//! What an action may say otherwise than the destination: how a message comes there, and never to whom.
//!
//! Pure. Each channel lists the keys that it takes; `check` holds the rules against that, and a channel reads what a sending
//! carries of them. What it doesn't know, because the destination is another one by now, is left out.

use serde_json::Value;

use crate::channels::Sending;

/// One key of an action's `override`.
#[derive(Debug, Clone, Copy)]
pub struct Override {
    /// Its name; that of the destination's own key, where there is one.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Whether it takes this value.
    pub is: fn(&Value) -> bool,
    /// What it takes, in words.
    pub takes: &'static str,
}

/// What a sending carries under one of these keys, as a text.
pub fn text(sending: &Sending<'_>, key: &Override) -> Option<String> {
    let value = sending.overrides.get(key.name).filter(|value| (key.is)(value))?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
