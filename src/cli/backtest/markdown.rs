//! The outcome as a comment on a pull request: what the change would have sent more and less, with the messages.

use std::fmt::Write;

use jiff::Timestamp;

use super::Played;
use super::compare::{Compared, Differs, Key, compared};
use crate::cli::term;
use crate::event::EventId;

/// The longest comment that GitHub takes is 65,536 characters; this leaves room for what a script adds.
const CHARS_MAX: usize = 60_000;

/// The comment, with at most `show` messages of each side.
pub(super) fn text(played: &Played, show: usize) -> String {
    let Compared { differs, .. } = compared(played);
    let (more, fewer): (Vec<_>, Vec<_>) = differs.into_iter().partition(|differs| differs.is_more);
    let day = |at: Timestamp| term::time_as(at, "%Y-%m-%d");
    let events = number(played.events);
    let days = format!("{} to {}", day(played.from), day(played.until));
    let mut text = match (played.was.is_some(), more.len(), fewer.len()) {
        (true, 0, 0) => {
            return format!("With the {events} events of {days}, this change sends the same people the same messages.");
        }
        (true, more, fewer) => format!(
            "With the {events} events of {days}, this change sends **{} more** and **{} fewer** messages.\n",
            number(more),
            number(fewer)
        ),
        (false, more, _) => {
            format!("With the {events} events of {days}, these rules send **{}** messages.\n", number(more))
        }
    };
    for (title, differs) in [("more", &more), ("fewer", &fewer)] {
        if !differs.is_empty() {
            section(&mut text, title, differs, show);
        }
    }
    text.trim_end().to_owned()
}

fn section(text: &mut String, title: &str, differs: &[Differs<'_>], show: usize) {
    let _ = write!(text, "\n<details><summary>{} {title}</summary>\n\n", number(differs.len()));
    text.push_str("| when | rule | to | message | event |\n|---|---|---|---|---|\n");
    let mut shown = 0;
    for one in differs.iter().take(show) {
        let Key { rule, destination, event } = &one.key;
        let at = term::time_as(one.at, "%Y-%m-%d %H:%M");
        let event = event.as_ref().map_or("none came", EventId::as_str);
        let cells = [rule, destination, one.title.unwrap_or_default(), event].map(cell);
        let row = format!("| {at} | {} |\n", cells.join(" | "));
        if text.chars().count() + row.chars().count() > CHARS_MAX {
            break;
        }
        text.push_str(&row);
        shown += 1;
    }
    if let Some(rest) = differs.len().checked_sub(shown).filter(|rest| *rest > 0) {
        let _ = write!(text, "\nand {} more\n", number(rest));
    }
    text.push_str("\n</details>\n");
}

/// A value as text of a cell: it forms no markup, no link and no mention.
fn cell(value: &str) -> String {
    let mut text = String::new();
    for c in term::one_line(value).chars() {
        match c {
            // A mention, a reference to an issue or a link would reach people or places.
            '@' | '#' | ':' => {
                let _ = write!(text, "{c}\u{200b}");
            }
            c if c.is_ascii_punctuation() && !"-.,'()/%?!;+=".contains(c) => {
                let _ = write!(text, "&#{};", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

/// With commas, as people write it.
fn number(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
