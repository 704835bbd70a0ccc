//! Signatures and normalising: every scheme verifies what it signs, and refuses all else.
//!
//! `sources/*.txt` hold the signature cases, one a paragraph. The codes in them are computed here, apart from the code
//! under test; what providers published stands written out.

mod body;
mod config;
mod json;
mod published;
mod samples;
mod signatures;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use fanfare::problem::{File, Problems};
use fanfare::secret::Secret;
use fanfare::source::scheme::Outgoing;
use fanfare::source::{Source, presets};
use fanfare::yaml::{self, Fields};
use jiff::Timestamp;

/// 2026-01-05T10:00:00Z
const NOW: i64 = 1_767_607_200;
const NEW: &str = "new-secret-0123456789abcdef";
const OLD: &str = "old-secret-0123456789abcdef";

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn source(preset: &str) -> Source {
    Source::of("them", presets::named(preset).unwrap(), secrets(preset, &[NEW, OLD]))
}

/// The texts as secrets; in the form that Standard Webhooks has them in, where the preset wants that.
fn secrets(preset: &str, texts: &[&str]) -> Vec<Secret> {
    use base64::Engine;
    let whsec = |text: &str| format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(text));
    let whole = |text: &&str| if preset == "standard-webhooks" { whsec(text) } else { (*text).to_owned() };
    texts.iter().map(|text| Secret::new(whole(text))).collect()
}

fn headers<N: AsRef<str>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.as_ref().parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
    }
    map
}

fn open(source: &Source, headers: &HeaderMap, body: &[u8]) -> Result<fanfare::event::Event, fanfare::source::Refusal> {
    fanfare::source::open(source, &fanfare::source::Request { headers, body }, now())
}

/// What the source makes of a body that is signed as it should be.
fn signed(source: &Source, body: &[u8]) -> fanfare::event::Event {
    let outgoing = Outgoing { id: "msg_1", kind: "release.published", body, at: now() };
    let headers = headers(&source.sign(None, &outgoing).unwrap());
    open(source, &headers, body).unwrap()
}

/// A source from YAML, and what is wrong with it, a line each.
fn parsed(yaml: &str) -> (Option<Source>, Vec<String>) {
    let mut problems = Problems::new();
    let node = yaml::read(&File::new("fanfare.yaml", yaml), &mut problems).unwrap();
    let mut fields = Fields::of(&node, "source `them`", &mut problems).unwrap();
    let source = Source::parse("them", &mut fields, &mut problems);
    fields.finish(&mut problems);
    (source, problems.iter().map(ToString::to_string).collect())
}
