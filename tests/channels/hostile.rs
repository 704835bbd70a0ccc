//! Every hostile value (`hostile.txt`), at every place of a message, through every channel: the service takes it on the
//! first try, nobody is pinged, and the message has the same structure as with a harmless value of the same length.

use std::fs;

use fanfare::channels::{Form, Request};
use fanfare::message::pieces::{Kind, Piece};
use fanfare::message::text::{clean, one_line};
use fanfare::message::{Field, Message, markdown};
use serde_json::{Map, Value, json};

use super::destinations::{self, Destination, Judge, folder};
use crate::support::mime::Mime;
use crate::support::sending::{Given, message};
use crate::support::slack_peer::units;

/// Longer values may be cut at another place than their harmless twins.
const STRUCTURE_MAX: usize = 100;

/// Where a value may stand.
const PLACES: [&str; 8] = ["title", "field name", "field value", "text", "markup", "blocks", "code", "link"];

/// The values, as they are in an event.
fn corpus() -> Vec<String> {
    let text = fs::read_to_string(folder("hostile.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (count, json) = line.split_at(line.find('"').unwrap());
            let value: String = serde_json::from_str(json).unwrap_or_else(|error| panic!("{line}: {error}"));
            value.repeat(if count.is_empty() { 1 } else { count.trim().parse().unwrap() })
        })
        .collect()
}

/// The same with nothing but letters where there was anything but white space: what hostile text should look like.
fn harmless(value: &str) -> String {
    let letter = |c: char| if c.is_whitespace() { c.to_string() } else { "x".repeat(c.len_utf16()) };
    clean(value).chars().map(letter).collect()
}

/// A message with the value at a place; the way that templates put it there.
fn with(place: &str, value: &str) -> Message {
    let mut message = Message { link: None, image: None, ..message() };
    let value = value.to_owned();
    match place {
        "title" => message.title = one_line(&value),
        "field name" => message.fields = vec![Field { name: clean(&value), value: "value".into() }],
        "field value" => message.fields = vec![Field { name: "Name".into(), value: clean(&value) }],
        "link" => {
            let mut link = url::Url::parse("https://label.example/find").unwrap();
            link.query_pairs_mut().append_pair("q", &value);
            message.link = Some(link.to_string());
            message.image = Some(link.to_string());
            message.body = body("[text](https://label.example/find?q={}) and [{}](https://label.example/)", &value);
        }
        "text" => message.body = body("{}\n\n{} begins, then {} goes on, and the end is {}\n\n1{}", &value),
        "markup" => message.body = body("**{}** and *{}* and ~~{}~~ and ***{}***: {}", &value),
        "blocks" => {
            message.body =
                body("## {}\n\n- {}\n- more {}\n\n1. {}\n\n> {}\n\n| head | {} |\n|---|---|\n| {} | x |", &value);
        }
        "code" => message.body = body("`{}` and `a {} b`\n\n```\n{}\n```\n", &value),
        _ => unreachable!(),
    }
    message
}

fn body(template: &str, value: &str) -> Vec<fanfare::message::Block> {
    let mut pieces = Vec::new();
    for (nth, raw) in template.split("{}").enumerate() {
        if nth > 0 {
            pieces.push(Piece::Value(value.to_owned(), Kind::Text));
        }
        pieces.push(Piece::Raw(raw.to_owned()));
    }
    markdown::blocks(&pieces).unwrap()
}

fn compose(destination: &Destination, place: &str, value: &str, form: Form) -> Request {
    let given = Given { form, ..Given::message(with(place, value)) };
    destination.channel.compose(&given.sending()).unwrap()
}

#[test]
fn no_value_is_refused_or_pings_anybody_or_changes_the_structure_of_a_message() {
    let corpus = corpus();
    assert!(corpus.len() >= 60, "only {} values", corpus.len());
    std::thread::scope(|scope| {
        for destination in destinations::kinds() {
            let corpus = &corpus;
            let try_all = move |value: &String| PLACES.iter().for_each(|place| try_value(&destination, place, value));
            scope.spawn(move || corpus.iter().for_each(try_all));
        }
    });
}

fn try_value(destination: &Destination, place: &str, value: &str) {
    let (name, kind) = (&destination.name, destination.kind.name);
    let start: String = value.chars().take(60).collect();
    for form in [Form::Rich, Form::Plain] {
        let request = compose(destination, place, value, form);
        let mut judge = Judge::of(kind);
        judge.answer(&request);
        assert!(judge.pings().is_empty(), "{name} pings {:?} for {start:?} as {place}", judge.pings());
        if units(value) > STRUCTURE_MAX {
            continue;
        }
        let twin = compose(destination, place, &harmless(value), form);
        let (is, should) = (structure(kind, &request), structure(kind, &twin));
        assert!(is == should, "{name}, {form:?}: {start:?} as {place} makes\n{is:#}\nand a harmless value\n{should:#}");
    }
}

#[test]
fn a_value_that_looks_like_markup_is_shown_to_people_as_it_was() {
    let value = "*NSYNC_ <@U024BE7LH> & `code` [a](b) ~x~ | # -";
    for destination in destinations::all() {
        for place in ["title", "field value", "text"] {
            let Request::Http(request) = compose(&destination, place, value, Form::Rich) else { continue };
            let shown = shown(destination.kind.name, &serde_json::from_slice(&request.body).unwrap());
            assert!(shown.contains(value), "{} shows as {place}:\n{shown}", destination.name);
        }
    }
}

/// All that people would read, as the service would show it.
fn shown(kind: &str, value: &Value) -> String {
    match value {
        Value::String(text) if kind == "discord" => unescaped(text).iter().map(|(c, _)| *c).collect(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(|item| shown(kind, item)).collect::<Vec<_>>().join("\n"),
        // Beside the blocks, Slack shows `text` nowhere but in notifications.
        Value::Object(map) => {
            let parts = map.iter().filter(|(key, value)| {
                !(*key == "text" && kind == "slack" && map.contains_key("blocks") && value.is_string())
            });
            parts.map(|(_, value)| shown(kind, value)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// What of a request may not depend on a value.
fn structure(kind: &str, request: &Request) -> Value {
    match request {
        Request::Nothing => Value::Null,
        Request::Mail(mail) => {
            fn parts(mime: &Mime) -> Value {
                let names: Vec<&str> = mime.headers.iter().map(|(name, _)| name.as_str()).collect();
                json!({"headers": names, "parts": mime.parts.iter().map(parts).collect::<Vec<_>>()})
            }
            json!({"to": mail.envelope_to, "from": mail.server.from, "mime": parts(&Mime::parse(&mail.message))})
        }
        Request::Http(request) => {
            let headers: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
            let body = match serde_json::from_slice(&request.body) {
                Ok(body) => skeleton(kind, "", &body),
                Err(_) => Value::Null,
            };
            json!({"method": request.method, "url": request.url.open(), "headers": headers, "body": body})
        }
    }
}

fn skeleton(kind: &str, key: &str, value: &Value) -> Value {
    /// Keys whose values are ours, not text for people.
    const OURS: [&str; 14] = [
        "type",
        "style",
        "channel",
        "event_action",
        "severity",
        "routing_key",
        "dedup_key",
        "source",
        "class",
        "group",
        "timestamp",
        "username",
        "client",
        "rule",
    ];
    match value {
        Value::Object(map) => {
            // A field's name is a key of PagerDuty's details.
            let is_named = key == "custom_details";
            // Slack interprets `text` beside the blocks, and where it is called mrkdwn.
            let is_mrkdwn = kind == "slack" && map.get("type").is_none_or(|kind| kind == "mrkdwn");
            let entries = map.iter().filter(|(key, _)| *key != "inline").enumerate();
            let entry = |(nth, (key, value)): (usize, (&String, &Value))| {
                let name = if is_named { nth.to_string() } else { key.clone() };
                match value {
                    Value::String(text) if key == "text" && is_mrkdwn => (name, markup_of_slack(text).into()),
                    _ => (name, skeleton(kind, key, value)),
                }
            };
            Value::Object(entries.map(entry).collect::<Map<String, Value>>())
        }
        Value::Array(items) => items.iter().map(|item| skeleton(kind, key, item)).collect(),
        Value::String(text) if OURS.contains(&key) => text.as_str().into(),
        Value::String(text) if matches!(key, "url" | "href" | "src" | "image_url" | "client_url") => {
            text.split('?').next().unwrap_or_default().into()
        }
        Value::String(text) if kind == "discord" => markup_of_discord(text).into(),
        Value::String(_) => "text".into(),
        other => other.clone(),
    }
}

/// The signs that Discord would take for markup: those that no backslash stands before, outside of code.
fn markup_of_discord(text: &str) -> String {
    let mut signs = String::new();
    let mut line = String::new();
    for (c, escaped) in unescaped(text) {
        let opens_list = line.trim().is_empty() && "-+".contains(c)
            || c == '.' && !line.trim().is_empty() && line.trim_start().chars().all(|c| c.is_ascii_digit());
        if !escaped && ("*_~`|<>[]()#:@".contains(c) || opens_list) {
            signs.push(c);
        }
        if c == '\n' { line.clear() } else { line.push(c) }
    }
    signs
}

/// Characters, and whether a backslash made them text. In code, nothing is markup: what stands there is skipped but for
/// its fences.
fn unescaped(text: &str) -> Vec<(char, bool)> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let fence = &rest[..ticks];
        if ticks > 0
            && let Some(end) = rest[ticks..].find(fence)
        {
            out.push(('`', false));
            out.extend(rest[ticks..ticks + end].chars().map(|c| (c, true)));
            out.push(('`', false));
            rest = rest[ticks + end..].trim_start_matches('`');
            continue;
        }
        // A link's target is taken as it is, up to its parenthesis or angle bracket.
        let link = [("](", ')'), ("<https://", '>')].into_iter().find_map(|(start, end)| {
            let (target, after) = rest.strip_prefix(start)?.split_once(end)?;
            Some((start, target, end, after))
        });
        if let Some((start, target, end, after)) = link {
            out.extend(start.chars().map(|c| (c, false)));
            out.extend(target.chars().map(|c| (c, true)));
            out.push((end, false));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match rest.chars().next() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => {
                out.push((next, true));
                rest = &rest[next.len_utf8()..];
            }
            _ => out.push((c, false)),
        }
    }
    out
}

/// The angle brackets that no entity stands for: of links and mentions.
fn markup_of_slack(text: &str) -> String {
    text.chars().filter(|c| "<>".contains(*c)).collect()
}
