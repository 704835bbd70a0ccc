//! What would have been sent beside what was, and how that is shown.
//!
//! Messages are compared by rule, destination and event, not by their ids: an action that says something else is another
//! one, and yet the same people get messages about the same thing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Played;
use crate::cli::term;
use crate::event::EventId;
use crate::rehearse::past::Would;

/// How many columns a course over time has.
const COLUMNS: usize = 30;
/// From none to the most.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Who gets which message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub rule: String,
    pub destination: String,
    /// The event; `None` where it is that none came.
    pub event: Option<EventId>,
}

/// A message that was sent.
#[derive(Debug)]
struct Sent {
    at: Timestamp,
    /// What it said, where that is known.
    title: Option<String>,
}

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Was {
    sent: BTreeMap<Key, Vec<Sent>>,
    /// What was planned and called off before it was sent, with the reasons.
    called_off: BTreeMap<Key, Vec<String>>,
    /// What was sent in place of what died.
    fell_back: Vec<(Key, Timestamp)>,
    /// Of how many messages the event is from before, or Fanfare's own.
    pub earlier: usize,
}

impl Was {
    /// What other rules would have sent because of the same events.
    pub fn of(would: Vec<Would>) -> Self {
        let mut was = Self::default();
        for one in would {
            let sent = Sent { at: one.at, title: Some(one.title.clone()) };
            was.sent.entry(one.key()).or_default().push(sent);
        }
        was
    }

    pub fn add(&mut self, key: Key, at: Timestamp) {
        self.sent.entry(key).or_default().push(Sent { at, title: None });
    }

    pub fn called_off(&mut self, key: Key, why: String) {
        self.called_off.entry(key).or_default().push(why);
    }

    pub fn fell_back(&mut self, key: Key, at: Timestamp) {
        self.fell_back.push((key, at));
    }
}

/// A rule's messages to a destination.
#[derive(Debug, Default)]
struct Row {
    would: Vec<Timestamp>,
    was: usize,
}

/// A message that only one side has.
#[derive(Debug)]
pub(super) struct Differs<'p> {
    pub at: Timestamp,
    pub key: Key,
    /// Whether it would be sent, and was not.
    pub is_more: bool,
    /// What it says, where that is known.
    pub title: Option<&'p str>,
}

/// The two sides beside each other.
#[derive(Debug, Default)]
pub(super) struct Compared<'p> {
    /// What is compared, by rule and destination.
    rows: BTreeMap<(String, String), Row>,
    /// What only one side has, in order of time. With nothing to compare with: all that would have been sent.
    pub differs: Vec<Differs<'p>>,
    /// What only one side has because of something that can't be played again, with the reason.
    apart: Vec<(Differs<'p>, String)>,
}

impl Would {
    fn key(&self) -> Key {
        Key { rule: self.rule.clone(), destination: self.destination.clone(), event: self.event.clone() }
    }
}

impl<'p> Compared<'p> {
    /// A message that only one side has; it is set apart where there is a reason.
    fn differ(&mut self, differs: Differs<'p>, why: Option<String>) {
        match why {
            Some(why) => self.apart.push((differs, why)),
            None => {
                let row = self.row(&differs.key);
                if differs.is_more {
                    row.would.push(differs.at);
                } else {
                    row.was += 1;
                }
                self.differs.push(differs);
            }
        }
    }

    fn row(&mut self, key: &Key) -> &mut Row {
        self.rows.entry((key.rule.clone(), key.destination.clone())).or_default()
    }
}

/// Holds what would have been sent against what was.
pub(super) fn compared(played: &Played) -> Compared<'_> {
    let mut compared = Compared::default();
    let was = played.was.as_ref();
    let sent = was.into_iter().flat_map(|was| &was.sent);
    let mut left: BTreeMap<&Key, Vec<&Sent>> = sent.map(|(key, sent)| (key, sent.iter().collect())).collect();
    let mut called_off = was.map(|was| was.called_off.clone()).unwrap_or_default();
    // The newest last, so that of several the first is met first.
    left.values_mut().for_each(|sent| sent.sort_by_key(|sent| std::cmp::Reverse(sent.at)));
    for would in &played.would {
        let key = would.key();
        if left.get_mut(&key).and_then(Vec::pop).is_some() {
            let row = compared.row(&key);
            row.would.push(would.at);
            row.was += 1;
            continue;
        }
        let why = called_off.get_mut(&key).and_then(Vec::pop).map(|why| format!("called off: {why}"));
        let why = why.or_else(|| played.apart.of(&key).map(str::to_owned));
        compared.differ(Differs { at: would.at, key, is_more: true, title: Some(&would.title) }, why);
    }
    for (key, sent) in left {
        let why = played.apart.of(key).map(str::to_owned);
        for Sent { at, title } in sent {
            let differs = Differs { at: *at, key: key.clone(), is_more: false, title: title.as_deref() };
            compared.differ(differs, why.clone());
        }
    }
    for (key, at) in was.into_iter().flat_map(|was| &was.fell_back) {
        let why = "in place of a message that could not be delivered".to_owned();
        compared.differ(Differs { at: *at, key: key.clone(), is_more: false, title: None }, Some(why));
    }
    compared.differs.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
    compared.apart.sort_by(|(a, _), (b, _)| (a.at, &a.key).cmp(&(b.at, &b.key)));
    compared
}

/// It all, for programs.
pub(super) fn document(played: &Played) -> Value {
    let is_compared = played.was.is_some();
    let rule = |((rule, destination), row): (&(String, String), &Row)| json!({"rule": rule, "destination": destination, "would": row.would.len(), "was": is_compared.then_some(row.was)});
    let message = |differs: &Differs<'_>| {
        json!({
            "at": differs.at.to_string(), "rule": differs.key.rule, "destination": differs.key.destination,
            "event": differs.key.event, "title": differs.title,
        })
    };
    let apart = |(differs, why): &(Differs<'_>, String)| {
        let mut document = message(differs);
        document["why"] = why.as_str().into();
        document
    };
    let Compared { rows, differs, apart: set_apart } = compared(played);
    let (more, fewer): (Vec<_>, Vec<_>) = differs.into_iter().partition(|differs| differs.is_more);
    json!({
        "events": played.events,
        "from": played.from.to_string(),
        "until": played.until.to_string(),
        "rules": rows.iter().map(rule).collect::<Vec<_>>(),
        "more": more.iter().map(message).collect::<Vec<_>>(),
        "fewer": is_compared.then(|| fewer.iter().map(message).collect::<Vec<_>>()),
        "not_comparable": is_compared.then(|| set_apart.iter().map(apart).collect::<Vec<_>>()),
        "not_compared": played.was.as_ref().map(|was| was.earlier),
    })
}

/// It all, for people.
pub(super) fn text(played: &Played, show: usize) -> String {
    let day = |at: Timestamp| term::time_as(at, "%Y-%m-%d");
    let events = term::count(played.events, "event", "events");
    let mut lines = vec![
        format!("{events}, {} to {}", day(played.from), term::time_as(played.until, "%Y-%m-%d %Z")),
        String::new(),
    ];
    let Compared { rows, differs, apart } = compared(played);
    if rows.is_empty() && apart.is_empty() {
        lines.push("nothing would have been sent".into());
        return lines.join("\n");
    }
    lines.push(table(played, &rows));
    match (played.was.is_some(), differs.is_empty()) {
        (true, true) => lines.extend([String::new(), term::good("the same people get messages about the same events")]),
        _ => lines.push(String::new()),
    }
    for one in differs.iter().take(show) {
        lines.push(line(one, played.was.is_some()));
    }
    if let Some(rest) = differs.len().checked_sub(show).filter(|rest| *rest > 0) {
        lines.push(term::dim(&format!("and {rest} more; `--show {}` lists all", differs.len())));
    }
    lines.extend(apart_lines(&apart, show));
    if let Some(was) = played.was.as_ref().filter(|was| was.earlier > 0) {
        let count = term::count(was.earlier, "message was", "messages were");
        lines.push(term::dim(&format!("{count} about events from before, or about Fanfare itself: not compared")));
    }
    lines.join("\n")
}

/// What is not comparable: how many, and each with its reason.
fn apart_lines(apart: &[(Differs<'_>, String)], show: usize) -> Vec<String> {
    if apart.is_empty() {
        return Vec::new();
    }
    let count = term::count(apart.len(), "message is", "messages are");
    let mut lines =
        vec![String::new(), format!("{count} not comparable: what people did, and failures, are not played again")];
    lines.extend(apart.iter().take(show).map(|(one, why)| {
        let Key { rule, destination, event } = &one.key;
        let at = term::time_as(one.at, "%Y-%m-%d %H:%M");
        let event = event.as_ref().map_or("none came", EventId::as_str);
        term::dim(&term::one_line(&format!("~ {at}  {rule} to {destination}  ({event}): {why}")))
    }));
    if let Some(rest) = apart.len().checked_sub(show).filter(|rest| *rest > 0) {
        lines.push(term::dim(&format!("and {rest} more; `--show {}` lists all", apart.len())));
    }
    lines
}

fn table(played: &Played, rows: &BTreeMap<(String, String), Row>) -> String {
    let most = rows.values().map(|row| row.would.len().max(row.was)).sum::<usize>().to_string().len();
    let number = |n: usize| format!("{n:>width$}", width = most.max(5));
    let is_compared = played.was.is_some();
    let cells = |names: [&str; 2], would: usize, was: usize, course: String| {
        let mut cells: Vec<String> = names.iter().map(|name| term::safe(name)).collect();
        cells.push(number(would));
        if is_compared {
            let text = number(was);
            cells.push(if was == would { text } else { term::warn(&text) });
        }
        cells.push(course);
        cells
    };
    let span = (played.from, played.until);
    let mut table: Vec<Vec<String>> = rows
        .iter()
        .map(|((rule, to), row)| cells([rule, to], row.would.len(), row.was, course(&row.would, span)))
        .collect();
    if rows.len() > 1 {
        let all: Vec<Timestamp> = rows.values().flat_map(|row| row.would.iter().copied()).collect();
        let was = rows.values().map(|row| row.was).sum();
        table.push(cells(["in all", ""], all.len(), was, course(&all, span)));
    }
    let heads: &[&str] = if is_compared {
        &["rule", "to", "would", "  was", "over time"]
    } else {
        &["rule", "to", "would", "over time"]
    };
    term::table(heads, &table)
}

fn line(one: &Differs<'_>, is_compared: bool) -> String {
    let Key { rule, destination, event } = &one.key;
    let at = term::time_as(one.at, "%Y-%m-%d %H:%M");
    let event = event.as_ref().map_or("none came", EventId::as_str);
    let says = one.title.map(|title| format!(": {title}")).unwrap_or_default();
    let text = term::one_line(&format!("{at}  {rule} to {destination}{says}  ({event})"));
    match (is_compared, one.is_more) {
        (true, true) => term::good(&format!("+ {text}")),
        (true, false) => term::bad(&format!("- {text}")),
        (false, _) => text,
    }
}

/// How many came when, as a row of bars from the first moment to the last.
fn course(times: &[Timestamp], (from, until): (Timestamp, Timestamp)) -> String {
    let span = until.as_millisecond() - from.as_millisecond();
    let mut counts = [0usize; COLUMNS];
    for at in times {
        let passed = (at.as_millisecond() - from.as_millisecond()).max(0);
        let column = usize::try_from(i128::from(passed) * COLUMNS as i128 / i128::from(span.max(1))).unwrap_or(0);
        if let Some(count) = counts.get_mut(column.min(COLUMNS - 1)) {
            *count += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    // Whatever is there is seen: the lowest bar is for one.
    let bar = |count: usize| BARS.get((count * (BARS.len() - 1)).div_ceil(most)).copied().unwrap_or(' ');
    counts.iter().map(|count| bar(*count)).collect()
}
