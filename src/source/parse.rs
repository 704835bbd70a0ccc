//! A source in `fanfare.yaml`: its keys, and everything that can be wrong with them.
//!
//! Gets texts in which `${…}` is substituted already. A secret is wrapped at once, and no problem quotes one; where it
//! stands in the file itself, that file is guarded.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::HeaderName;
use jiff::SignedDuration;

use crate::event::OWN_SOURCE;
use crate::path::Path;
use crate::problem::{Location, Problem, Problems};
use crate::source::Source;
use crate::source::api::Api;
use crate::source::normalise::FieldLocation;
use crate::source::presets::{self, PRESETS, Preset};
use crate::source::scheme::{Algorithm, Encoding, Form, Names, Piece};
use crate::yaml::{Fields, Node, span_hint, span_of_time};

mod secrets;

use self::secrets::secrets;

/// The keys of a source, with a description each, for docs and schema.
pub const KEYS: &[(&str, &str)] = &[
    (
        "preset",
        "the sender: `jewelmusic`, `standard-webhooks`, `github`, `stripe`, `pagerduty`, `labelgrid`, `royalti`, or `hmac` for any other",
    ),
    ("path", "the path that receives its requests; by default `/webhooks/` and the source's name"),
    ("secrets", "one secret or several; any of them verifies, empty ones are ignored"),
    ("tolerance", "the maximum age of a signed time, 3h by default; 5m ahead are always allowed"),
    ("accept", "`raw` (the default), and `json_stringify` if the sender signs a re-serialised body"),
    ("max_body", "the largest body, 1MiB by default"),
    ("unsigned", "event types that the sender leaves unsigned: anyone who knows the address can send them"),
    ("api_key", "JewelMusic only: the key of its API, which `fanfare backfill` asks for what failed"),
    ("api_url", "where that API is, `https://api.jewelmusic.art/v1` by default"),
    ("webhook", "the id of this webhook there; by default the one whose URL leads to `path`"),
    ("backfill", "`auto` to ask by itself after each absence, `manual` (the default) to wait for `fanfare backfill`"),
];

/// The further keys of a source with `preset: hmac`.
pub const HMAC_KEYS: &[(&str, &str)] = &[
    ("header", "the header with the signature, `X-Signature` by default"),
    ("algorithm", "`sha256` (the default), `sha512` or `sha1`"),
    ("encoding", "`hex` (the default) or `base64`"),
    ("prefix", "the text before the signature in its header, such as `sha256=`"),
    ("signed", "`body` (the default), or the signed text with `{body}`, `{id}` and `{timestamp}`"),
    ("id", "the location of the event's id: a path, or a header"),
    ("type", "the location of the event type: a path, or a header"),
    ("time", "the location of the time: a path, or a header"),
];

/// What no path begins with: links lead there.
const RESERVED: &str = "/act/";
/// The longest tolerance: ids must be remembered for longer, or an old request could be sent again.
pub const TOLERANCE_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long JewelMusic goes on sending again.
pub const RETRIES_LAST: SignedDuration = SignedDuration::from_mins(156);
/// Bounds of `max_body`, in bytes.
const BODY_MIN: usize = 1 << 10;
const BODY_MAX: usize = 16 << 20;

impl Source {
    /// Reads a source's mapping. Whatever is wrong goes to the problems; `None` if it can't be used. The caller calls
    /// [`Fields::finish`].
    pub fn parse(name: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let before = problems.count().0;
        check_name(name, &fields.place.first_line(), problems);
        let Some(preset) = preset(fields, problems) else {
            // What its keys are depends on the preset: none is called unknown.
            for (key, _) in KEYS.iter().chain(HMAC_KEYS) {
                fields.take(key);
            }
            return None;
        };
        let (secrets, excused) = secrets(name, preset, fields, problems);
        let mut source = Source::of(name, preset, secrets);
        path(&mut source, fields, problems);
        tolerance(&mut source, fields, problems);
        accept(&mut source, fields, problems);
        max_body(&mut source, fields, problems);
        unsigned(&mut source, fields, problems);
        source.api = Api::parse((name, preset), fields, problems);
        if preset.name == "hmac" {
            hmac(&mut source, fields, problems);
        } else {
            foreign_keys(preset, fields, problems);
        }
        (problems.count().0 == before + excused).then_some(source)
    }
}

fn check_name(name: &str, place: &Location, problems: &mut Problems) {
    let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if name == OWN_SOURCE {
        problems.push(
            Problem::error(
                "reserved-name",
                "a source cannot be called `fanfare`: Fanfare's own events have that source",
            )
            .at(place)
            .hint("name it after the sender"),
        );
    } else if !plain || name.len() > 64 {
        problems.push(
            Problem::error("wrong-name", format!("`{name}` cannot be the name of a source"))
                .at(place)
                .hint("letters, digits, `-` and `_`, at most 64"),
        );
    }
}

fn preset(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<&'static Preset> {
    let (text, node) = fields.required("preset", problems)?;
    let preset = presets::named(&text);
    if preset.is_none() {
        problems.push(
            Problem::error("unknown-preset", format!("there is no preset `{text}`"))
                .at(&node.place)
                .suggest(&text, PRESETS.iter().map(|preset| preset.name)),
        );
    }
    preset
}

fn path(source: &mut Source, fields: &mut Fields<'_>, problems: &mut Problems) {
    let Some((text, node)) = fields.text("path", problems) else { return };
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
    };
    if format!("{text}/").starts_with(RESERVED) {
        problems.push(
            Problem::error("wrong-path", format!("`{text}` begins with `/act`, where the links of messages lead"))
                .at(&node.place)
                .hint("write another path, such as `/webhooks/NAME`"),
        );
        return;
    }
    match text.strip_prefix('/') {
        Some(rest) if rest.split('/').all(segment) => source.path = text,
        _ => problems.push(
            Problem::error("wrong-path", format!("`{text}` is not a path to receive at"))
                .at(&node.place)
                .hint("begin with `/`; letters, digits, `-`, `.`, `_` and `~` between slashes, none at the end"),
        ),
    }
}

fn tolerance(source: &mut Source, fields: &mut Fields<'_>, problems: &mut Problems) {
    let Some((text, node)) = fields.text("tolerance", problems) else { return };
    match span_of_time(&text) {
        None => problems.push(
            Problem::error("wrong-span", format!("`{text}` is not a time span")).at(&node.place).hint(span_hint(&text)),
        ),
        Some(span) if span.is_zero() || span > TOLERANCE_MAX => problems.push(
            Problem::error("wrong-tolerance", format!("a tolerance of `{text}` is out of bounds"))
                .at(&node.place)
                .hint("write more than zero, at most `30d`: Fanfare must remember ids for longer than that"),
        ),
        Some(span) => {
            if span < RETRIES_LAST && source.preset.name == "jewelmusic" {
                problems.push(
                    Problem::warning("short-tolerance", format!("with a tolerance of `{text}` events can be lost"))
                        .at(&node.place)
                        .hint("JewelMusic retries for 2h36m, possibly with the first time: use more than that"),
                );
            }
            source.tolerance = span;
        }
    }
}

fn accept(source: &mut Source, fields: &mut Fields<'_>, problems: &mut Problems) {
    for (text, node) in fields.texts("accept", problems) {
        match text.as_str() {
            "raw" => {}
            "json_stringify" => source.stringify = true,
            _ => problems.push(
                Problem::error("unknown-word", format!("`accept` knows no `{text}`"))
                    .at(&node.place)
                    .suggest(&text, ["raw", "json_stringify"]),
            ),
        }
    }
}

fn max_body(source: &mut Source, fields: &mut Fields<'_>, problems: &mut Problems) {
    let Some((text, node)) = fields.text("max_body", problems) else { return };
    match size(&text) {
        Some(bytes) if (BODY_MIN..=BODY_MAX).contains(&bytes) => source.max_body = bytes,
        Some(_) => problems.push(
            Problem::error("wrong-size", format!("a `max_body` of `{text}` is out of bounds"))
                .at(&node.place)
                .hint("from `1KiB` to `16MiB`"),
        ),
        None => problems.push(
            Problem::error("wrong-size", format!("`{text}` is not a size"))
                .at(&node.place)
                .hint("write a number and a unit: `500KiB`, `1MiB`"),
        ),
    }
}

/// The types that are taken without a signature: whole types, so that nothing more comes in than was meant.
fn unsigned(source: &mut Source, fields: &mut Fields<'_>, problems: &mut Problems) {
    for (kind, node) in fields.texts("unsigned", problems) {
        let problem = if kind.contains(['*', '?', '{', '!']) {
            Problem::error("wrong-word", format!("`{kind}` is not one event type, and `unsigned` takes no globs"))
                .hint("list each type that the sender leaves unsigned: the list is what anyone can send")
        } else if source.preset.reports.is_some() {
            let name = source.preset.name;
            Problem::error("does-not-fit", format!("`unsigned` doesn't go with `preset: {name}`"))
                .hint("its events acknowledge and close cases: remove it")
        } else {
            source.unsigned.push(kind);
            continue;
        };
        problems.push(problem.at(&node.place));
    }
}

/// A size in bytes: a whole number and `B`, `KB`, `KiB`, `MB` or `MiB`; bytes without a unit.
pub fn size(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit: usize = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

/// Keys that only `preset: hmac` has, with another preset: said as such instead of as unknown.
fn foreign_keys(preset: &Preset, fields: &mut Fields<'_>, problems: &mut Problems) {
    for (key, _) in HMAC_KEYS {
        if fields.has(key)
            && let Some((found, _)) = fields.take(key)
        {
            problems.push(
                Problem::error("foreign-key", format!("`{key}` is a key of `preset: hmac`, not of `{}`", preset.name))
                    .at(&found.place)
                    .hint("remove it: the preset defines it"),
            );
        }
    }
}

/// `preset: hmac`: how it signs, and where things stand.
fn hmac(source: &mut Source, fields: &mut Fields<'_>, problems: &mut Problems) {
    let Some(scheme) = source.schemes.first_mut() else { return };
    if let Some((text, node)) = fields.text("header", problems)
        && let Some(header) = header(&text, node, problems)
    {
        scheme.headers = Cow::Owned(vec![header.into()]);
    }
    if let Some(algorithm) = word("algorithm", &Algorithm::ALL, fields, problems) {
        scheme.algorithm = algorithm;
    }
    if let Some(encoding) = word("encoding", &Encoding::ALL, fields, problems) {
        scheme.encoding = encoding;
    }
    if let Some((text, _)) = fields.text("prefix", problems) {
        scheme.form = Form::Prefixed(text.into());
    }
    let signed = fields.text("signed", problems);
    if let Some(pieces) = signed.as_ref().and_then(|(text, node)| pieces(text, node, problems)) {
        scheme.signed = Cow::Owned(pieces);
    }
    let template = signed.map(|(_, node)| node);
    let id = location("id", fields, problems);
    let kind = location("type", fields, problems);
    let time = location("time", fields, problems);
    scheme.id = Cow::Borrowed(&[]);
    scheme.time = Cow::Borrowed(&[]);
    if scheme.signs(&Piece::Id) {
        scheme.id = signed_header("id", &id, template, problems);
    }
    if scheme.signs(&Piece::Time) {
        scheme.time = signed_header("time", &time, template, problems);
    }
    if let Some((FieldLocation::Header(_), node)) = &id
        && !scheme.signs(&Piece::Id)
    {
        problems.push(
            Problem::warning(
                "unsigned-id",
                "this header is not signed, so anyone could change it: Fanfare uses no id from it",
            )
            .at(&node.place)
            .hint("take the id from the body, or remove `id`: the body's hash identifies duplicates"),
        );
    }
    let unsigned =
        |problem: Problem| problem.hint("take it from the body, with a path such as `$.type` or `$.created`");
    // A header of the type is never signed; one of the time is where `signed` has it.
    if let Some((FieldLocation::Header(_), node)) = &kind {
        let said = "this header is not signed: anyone who has a signed body can send it as another type";
        problems.push(unsigned(Problem::warning("unsigned-type", said).at(&node.place)));
    }
    if let Some((FieldLocation::Header(_), node)) = &time
        && !scheme.signs(&Piece::Time)
    {
        let said = "this header is not signed: anyone who has a signed body can send it with another time";
        problems.push(unsigned(Problem::warning("unsigned-time", said).at(&node.place)));
    }
    for (place, found) in [(&mut source.id, id), (&mut source.kind, kind), (&mut source.time, time)] {
        if let Some((location, _)) = found {
            *place = location;
        }
    }
}

fn header(text: &str, node: &Node, problems: &mut Problems) -> Option<String> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(_) => {
            problems.push(
                Problem::error("wrong-header", format!("`{text}` cannot be the name of a header"))
                    .at(&node.place)
                    .hint("such as `X-Signature`"),
            );
            None
        }
    }
}

fn word<T: Copy>(
    key: &'static str,
    known: &[(&'static str, T)],
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<T> {
    let (text, node) = fields.text(key, problems)?;
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        problems.push(
            Problem::error("unknown-word", format!("`{key}` knows no `{text}`"))
                .at(&node.place)
                .suggest(&text, known.iter().map(|(word, _)| *word)),
        );
    }
    found
}

/// `body`, or a text with `{body}`, `{id}` and `{timestamp}` in it, each at most once and the body exactly once.
fn pieces(text: &str, node: &Node, problems: &mut Problems) -> Option<Vec<Piece>> {
    if text == "body" {
        return Some(vec![Piece::Body]);
    }
    let mut wrong = |message: String| {
        let problem = Problem::error("wrong-template", message).at(&node.place);
        problems.push(problem.hint("such as `body`, \"{timestamp}.{body}\" or \"{id}.{timestamp}.{body}\""));
    };
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned().into()));
        }
        let Some((name, after)) = after.split_once('}') else {
            wrong("a `{` has no `}`".to_owned());
            return None;
        };
        let piece = match name {
            "body" => Piece::Body,
            "id" => Piece::Id,
            "timestamp" => Piece::Time,
            _ => {
                wrong(format!("`signed` knows no `{{{name}}}`"));
                return None;
            }
        };
        if pieces.contains(&piece) {
            wrong(format!("`signed` has `{{{name}}}` twice"));
            return None;
        }
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned().into()));
    }
    if !pieces.contains(&Piece::Body) {
        wrong("`signed` has no `{body}`: a signature that doesn't cover the body proves nothing".to_owned());
        return None;
    }
    Some(pieces)
}

/// A path (it begins with `$`) or a header.
fn location<'n>(
    key: &'static str,
    fields: &mut Fields<'n>,
    problems: &mut Problems,
) -> Option<(FieldLocation, &'n Node)> {
    let (text, node) = fields.text(key, problems)?;
    if !text.starts_with('$') {
        return Some((FieldLocation::Header(header(&text, node, problems)?.into()), node));
    }
    match Path::parse(&text) {
        Ok(path) => Some((FieldLocation::Path(Arc::new(path)), node)),
        Err(error) => {
            let problem = Problem::error("wrong-path", error.message).at(&node.place);
            problems.push(match error.hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
            None
        }
    }
}

/// The header of a piece that is signed; an error where no header is named for it.
fn signed_header(
    key: &str,
    location: &Option<(FieldLocation, &Node)>,
    template: Option<&Node>,
    problems: &mut Problems,
) -> Names {
    if let Some((FieldLocation::Header(name), _)) = location {
        return Cow::Owned(vec![name.to_string().into()]);
    }
    if let Some(template) = template {
        problems.push(
            Problem::error("missing-key", format!("`signed` uses `{key}`, so `{key}` must name a header"))
                .at(&template.place)
                .hint(format!("add `{key}: X-…`")),
        );
    }
    Cow::Borrowed(&[])
}
