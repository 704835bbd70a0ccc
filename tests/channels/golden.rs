//! Every destination × every message, as it goes on the wire: `golden/DESTINATION/MESSAGE.snap`.
//!
//! `UPDATE=1` writes them; then read each one that changed, and say in the commit why it did.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fanfare::channels::redact::redact;
use fanfare::channels::{Form, Request};
use fanfare::delivery::{AttemptOutcome, MessageOp};
use serde_json::Value;

use super::cases::{self, Case};
use super::destinations::{self, Destination};
use super::judges::{self, accept};

#[test]
fn every_channel_says_every_message_as_its_golden_file_does() {
    let mut wrong = Vec::new();
    for destination in destinations::all() {
        let mut written = BTreeSet::new();
        for case in cases::all() {
            let said = say(&destination, &case);
            written.insert(format!("{}.snap", case.name));
            wrong.extend(compare(&destination.name, &case.name, &said));
        }
        wrong.extend(strays(&destination.name, &written));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The request in words, after the service took it on the first try, pinged whom it should, and was understood.
fn say(destination: &Destination, case: &Case) -> String {
    let channel = &destination.channel;
    let mut judge = judges::of(destination.kind.name);
    let mut given = case.given(destination.kind.name);
    if given.act != MessageOp::Open {
        // What the case began with.
        let mut first = given.clone();
        (first.act, first.form, first.mentions) = (MessageOp::Open, Form::Rich, Vec::new());
        let request = channel.compose(&first.sending()).unwrap();
        let reply = accept(judge.as_mut(), &request).redacted(&channel.facts().secrets);
        given.receipt = channel.verdict(&reply).receipt.or_else(|| channel.remembers(&first.sending()));
    }
    let request = match channel.compose(&given.sending()) {
        Ok(request) => request,
        Err(why) => return format!("dead: {why}\n"),
    };
    let again = channel.compose(&given.sending()).unwrap();
    assert_eq!(describe(&request), describe(&again), "composing twice gives two requests");

    let reply = accept(judge.as_mut(), &request).redacted(&channel.facts().secrets);
    let verdict = channel.verdict(&reply);
    assert_eq!(verdict.outcome, AttemptOutcome::Delivered, "{} {}: {verdict:?}", destination.name, case.name);
    if destination.kind.mentions.is_some() {
        let expected = if given.act == MessageOp::Close { 0 } else { given.mentions.len() };
        assert_eq!(judge.pings().len(), expected, "{} {} pings {:?}", destination.name, case.name, judge.pings());
    }
    let receipt = verdict.receipt.map(|receipt| format!("receipt: {}\n", Value::Object(receipt))).unwrap_or_default();
    format!("{}\n{receipt}", redact(&describe(&request), &channel.facts().secrets))
}

fn describe(request: &Request) -> String {
    match request {
        Request::Nothing => "nothing is sent\n".to_owned(),
        Request::Mail(mail) => {
            let text = String::from_utf8_lossy(&mail.message).replace("\r\n", "\n");
            format!("from {}\nto {}\n\n{text}", mail.server.from, mail.envelope_to.join(", "))
        }
        Request::Http(request) => {
            let headers = request.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.open()));
            let body = match serde_json::from_slice::<Value>(&request.body) {
                Ok(json) => serde_json::to_string_pretty(&json).unwrap(),
                Err(_) => String::from_utf8_lossy(&request.body).into_owned(),
            };
            format!("{} {}\n{}\n{body}\n", request.method, request.url.open(), headers.collect::<String>())
        }
    }
}

fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty() && value != "0")
}

/// What is wrong with a golden file, after writing it if that was asked for.
fn compare(folder: &str, name: &str, said: &str) -> Option<String> {
    let path = destinations::folder("golden").join(folder).join(format!("{name}.snap"));
    if is_update() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, said).unwrap();
        return None;
    }
    let shown = format!("tests/channels/golden/{folder}/{name}.snap");
    let Ok(golden) = fs::read_to_string(&path) else {
        return Some(format!("{shown} is missing: run `UPDATE=1 cargo test channels::golden`, and read what it wrote"));
    };
    let (mut was, mut is) = (golden.lines(), said.lines());
    for line in 1.. {
        match (was.next(), is.next()) {
            (None, None) => break,
            (was, is) if was == is => {}
            (was, is) => {
                let (was, is) = (was.unwrap_or("(the end)"), is.unwrap_or("(the end)"));
                return Some(format!("{shown}:{line} says\n  {was}\nand now it is\n  {is}\n(`UPDATE=1` accepts it)"));
            }
        }
    }
    None
}

/// Golden files that no message has any more.
fn strays(folder: &str, written: &BTreeSet<String>) -> Vec<String> {
    let path = destinations::folder("golden").join(folder);
    let Ok(entries) = fs::read_dir(&path) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let strays: Vec<String> = names.filter(|name| name.ends_with(".snap") && !written.contains(name)).collect();
    let mut said = Vec::new();
    for name in strays {
        match is_update() {
            true => fs::remove_file(Path::new(&path).join(&name)).unwrap(),
            false => {
                said.push(format!("tests/channels/golden/{folder}/{name} belongs to no message (`UPDATE=1` drops it)"))
            }
        }
    }
    said
}
