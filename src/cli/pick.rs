//! Picks an event for commands that need one: a sample by its name, a file, or standard input.
//!
//! The event goes the way of every event: it is signed with a throw-away secret, verified, and normalised by the
//! configured source, so that what authors see is what the server would see.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::cli::term::size;
use crate::config::samples::{Sample, Samples};
use crate::config::{DEFAULT_PRESET, Snapshot};
use crate::event::{Event, own};
use crate::problem::nearest;
use crate::secret::Secret;
use crate::source::{self, Outgoing, Request, Source, presets, samples};

/// What signs an event that never leaves this process. Every scheme can use it.
const THROW_AWAY: &str = "whsec_Zm9yIG9uZSBldmVudCB0aGF0IG5ldmVyIGxlYXZlcw==";

/// How much of a file is read: more than any source takes.
const READ_MAX: u64 = 1 << 28;

/// The body of an event, and its type as far as it is known.
pub(crate) struct Picked {
    /// The raw body.
    pub body: Vec<u8>,
    /// The type, for senders that put it into a header.
    pub kind: String,
    /// The id, for senders that put it into a header.
    pub id: String,
    /// Its source, if it says one.
    pub source: Option<String>,
}

/// Finds what `name` means.
pub(crate) fn pick(samples: &Samples, name: &str, now: Timestamp) -> anyhow::Result<Picked> {
    if let Some(sample) = samples.named(name) {
        return Ok(of_sample(sample, now));
    }
    let body = if name == "-" {
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
            None => bail!("`{name}` is neither a file nor a sample; `fanfare send --list` names the samples"),
        }
    };
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| document.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let (kind, id) = (text("type"), text("id"));
    // Some senders put the id into a header and sign it: it is never empty there.
    let id = if id.is_empty() { samples::fresh(document, &kind, &mut fastrand::Rng::new(), now).id } else { id };
    Ok(Picked { kind, id, body, source: None })
}

/// A sample as it would be sent now.
pub(crate) fn of_sample(sample: Sample, now: Timestamp) -> Picked {
    let fresh = samples::fresh(sample.body, &sample.kind, &mut fastrand::Rng::new(), now);
    Picked { body: fresh.raw(), kind: sample.kind, id: fresh.id, source: sample.source }
}

/// The source that an event is taken to come from: the named one, or the one of the sender that Fanfare is made for, or
/// the first.
pub(crate) fn source_of(snapshot: &Snapshot, name: Option<&str>) -> anyhow::Result<Arc<Source>> {
    let sources = &snapshot.sources;
    match name {
        Some(name) => sources.get(name).cloned().with_context(|| {
            let known: Vec<&str> = sources.keys().map(String::as_str).collect();
            format!("there is no source `{name}`; known: {}", known.join(", "))
        }),
        None => match snapshot.default_source() {
            Some(source) => Ok(source.clone()),
            None => {
                let preset = presets::named(DEFAULT_PRESET).context("the preset `jewelmusic` is missing")?;
                Ok(Arc::new(Source::of(DEFAULT_PRESET, preset, Vec::new())))
            }
        },
    }
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
    event(&picked, &source, now)
}

/// The event as the server would see it.
pub(crate) fn event(picked: &Picked, source: &Source, now: Timestamp) -> anyhow::Result<Event> {
    let throw_away = source.with_secrets(vec![Secret::new(THROW_AWAY)]);
    let outgoing = Outgoing { id: &picked.id, kind: &picked.kind, body: &picked.body, at: now };
    let signed = throw_away.sign(None, &outgoing).context("this source's scheme can't be signed here")?;
    let mut headers = HeaderMap::new();
    for (name, value) in signed {
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    source::open(&throw_away, &Request { headers: &headers, body: &picked.body }, now).map_err(anyhow::Error::from)
}
