//! Picks an event for commands that need one: a sample by its name, a body in JSON, a file, or standard input.
//!
//! The event goes the way of every event: it is signed with a throw-away secret, verified, and normalised by the
//! configured source, so that what authors see is what the server would see.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::Timestamp;

use crate::cli::term::size;
use crate::config::Snapshot;
use crate::config::samples::Samples;
use crate::event::{Event, own};
use crate::problem::nearest;
pub(crate) use crate::rehearse::sample::Picked;
use crate::rehearse::sample::{self, of_sample};
use crate::source::{Source, samples};

/// How much of a file is read: more than any source takes.
const READ_MAX: u64 = 1 << 28;

/// Finds what `name` means.
pub(crate) fn pick(samples: &Samples, name: &str, now: Timestamp) -> anyhow::Result<Picked> {
    if let Some(sample) = samples.named(name) {
        return Ok(of_sample(sample, now));
    }
    let body = if name.trim_start().starts_with('{') {
        name.as_bytes().to_vec()
    } else if name == "-" {
        let mut body = Vec::new();
        std::io::stdin().take(READ_MAX).read_to_end(&mut body).context("standard input can't be read")?;
        body
    } else if Path::new(name).exists() {
        let file = std::fs::File::open(name).with_context(|| format!("`{name}` can't be read"))?;
        let mut body = Vec::new();
        file.take(READ_MAX).read_to_end(&mut body).with_context(|| format!("`{name}` can't be read"))?;
        body
    } else if name.starts_with("evt_") {
        bail!("`{name}` is not a file; for an event that a server received, use `fanfare events show {name}`");
    } else {
        match nearest(name, samples.names().into_iter().chain(own::names())) {
            Some(near) => bail!("`{name}` is neither a file nor a sample; did you mean `{near}`?"),
            None => bail!(
                "`{name}` is neither a file nor a sample; `fanfare send --list` names the samples, and an event of your \
                 own is given as JSON: `{{\"type\": \"{name}\", \"data\": {{…}}}}`"
            ),
        }
    };
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| document.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let (kind, id) = (text("type"), text("id"));
    // Some senders put the id into a header and sign it: it is never empty there.
    let id = if id.is_empty() { samples::fresh(document, &kind, &mut fastrand::Rng::new(), now).id } else { id };
    Ok(Picked { kind, id, body, source: None })
}

/// The source that an event is taken to come from: the named one, or the one that samples come from.
pub(crate) fn source_of(snapshot: &Snapshot, name: Option<&str>) -> anyhow::Result<Arc<Source>> {
    sample::source_of(snapshot, name).map_err(anyhow::Error::msg)
}

/// The event that `name` means, as the server would see it: one of Fanfare's own by its type, or what [`pick`] finds, as
/// its source takes it.
pub(crate) fn named(snapshot: &Snapshot, name: &str, source: Option<&str>, now: Timestamp) -> anyhow::Result<Event> {
    if let Some(own) = own::ALL.iter().find(|own| own.kind == name) {
        return Ok(own.event(now));
    }
    let picked = pick(&snapshot.samples, name, now)?;
    let source = source_of(snapshot, source.or(picked.source.as_deref()))?;
    if picked.body.len() > source.max_body {
        bail!(
            "`{name}` is longer than the {} that the source `{}` accepts: a server refuses it (`max_body`)",
            size(source.max_body as u64),
            source.name
        );
    }
    sample::event(&picked, &source, now).map_err(anyhow::Error::msg)
}
