//! Every hostile value (`hostile.txt`), at every place of a message, through every channel: the service takes it on the
//! first try, nobody is pinged, and the message has the same structure as with a harmless value of the same length.

use std::fs;

use fanfare::channels::{Form, Request};
use fanfare::event::TYPE_MAX;
use fanfare::message::pieces::{Piece, PieceKind};
use fanfare::message::text::{clean, one_line};
use fanfare::message::{Field, Message, markdown};

use super::destinations::{self, Destination, folder};
use super::judges::{self, accept, units};
use crate::support::sending::{Given, message};

/// Longer values may be cut at another place than their harmless twins.
const STRUCTURE_MAX: usize = 100;

/// Where a value may stand.
const PLACES: [&str; 9] = ["title", "field name", "field value", "text", "markup", "blocks", "code", "link", "event"];

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
        // Its type and id stand beside the message.
        "event" => {}
        "code" => message.body = body("`{}` and `a {} b`\n\n```\n{}\n```\n", &value),
        _ => unreachable!(),
    }
    message
}

fn body(template: &str, value: &str) -> Vec<fanfare::message::Block> {
    let mut pieces = Vec::new();
    for (nth, raw) in template.split("{}").enumerate() {
        if nth > 0 {
            pieces.push(Piece::Value(value.to_owned(), PieceKind::Text));
        }
        pieces.push(Piece::Raw(raw.to_owned()));
    }
    markdown::blocks(&pieces).unwrap()
}

fn compose(destination: &Destination, place: &str, value: &str, form: Form) -> Request {
    let mut given = Given { form, ..Given::message(with(place, value)) };
    // As they are received: bounded, and without control characters.
    let word: String = value.chars().filter(|c| !c.is_control()).collect();
    let word = &word[..word.floor_char_boundary(TYPE_MAX)];
    if place == "event" && !word.is_empty() {
        given.event["type"] = word.into();
        given.event["id"] = word.into();
    }
    destination.channel.compose(&given.sending()).unwrap()
}

#[test]
fn no_value_is_refused_or_pings_anybody_or_changes_the_structure_of_a_message() {
    let corpus = corpus();
    assert!(corpus.len() >= 200, "only {} values", corpus.len());
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
        let mut judge = judges::of(kind);
        accept(judge.as_mut(), &request);
        assert!(judge.pings().is_empty(), "{name} pings {:?} for {start:?} as {place}", judge.pings());
        // Some hand an event's type on as it is, for programs.
        let is_data = place == "event" && ["http", "incident_io", "pagerduty"].contains(&kind);
        if is_data || units(value) > STRUCTURE_MAX {
            continue;
        }
        let twin = compose(destination, place, &harmless(value), form);
        let (is, should) = (judge.form(&request), judge.form(&twin));
        assert!(is == should, "{name}, {form:?}: {start:?} as {place} makes\n{is:#}\nand a harmless value\n{should:#}");
    }
}

#[test]
fn a_value_that_looks_like_markup_is_shown_to_people_as_it_was() {
    let value = "*NSYNC_ <@U024BE7LH> & `code` [a](b) ~x~ | # -";
    for destination in destinations::all() {
        for place in ["title", "field value", "text"] {
            let request = compose(&destination, place, value, Form::Rich);
            let shown = judges::of(destination.kind.name).shown(&request);
            assert!(shown.contains(value), "{} shows as {place}:\n{shown}", destination.name);
        }
    }
}
