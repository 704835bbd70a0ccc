//! What people look for in the inbox: words in what came, whatever the case or accents, and how much of what came when.
//!
//! Pure. A look reads no more than a bounded part of the inbox, so that it takes about as long however much is kept; it says
//! where the next one goes on.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::bytes::{Regex, RegexBuilder};
use unicode_normalization::UnicodeNormalization as _;

use crate::clock::from_ms;
use crate::delivery::{DeliveryId, State};
use crate::event::{Event, Seq};
use crate::planner::why::Decision;

/// How many places of the inbox one look reads.
pub const PLACES_MAX: i64 = 20_000;
/// How many bytes of bodies one look reads, about.
pub const BYTES_MAX: usize = 32 << 20;
/// How many counts of an hour one look reads, the newest first.
pub const TALLIES_MAX: i64 = 50_000;
/// Up to how many are counted one by one of what may be very many; of more it is said about how many there are.
pub const COUNTED_MAX: i64 = 10_000;
/// The milliseconds of what is counted together: an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// How many words are looked for at most.
const WORDS_MAX: usize = 8;
/// The longest of them, in characters; what is longer is cut.
const WORD_MAX: usize = 64;
/// The size of a compiled word, in bytes.
const COMPILED_MAX: usize = 8 << 20;

/// Words to look for. All must be found, each anywhere in an event's id, its type or its body.
#[derive(Debug, Clone)]
pub struct Words(Vec<Regex>);

impl Words {
    /// Reads what somebody typed; `None` if that holds no word.
    pub fn read(typed: &str) -> Option<Self> {
        let words = typed.split_whitespace().take(WORDS_MAX).filter_map(|word| {
            let pattern: String = word.chars().take(WORD_MAX).map(pattern).collect();
            RegexBuilder::new(&pattern).case_insensitive(true).size_limit(COMPILED_MAX).build().ok()
        });
        let words: Vec<Regex> = words.collect();
        (!words.is_empty()).then_some(Self(words))
    }

    /// Whether all are found.
    pub fn are_in(&self, id: &str, kind: &str, raw: &[u8]) -> bool {
        self.0.iter().all(|word| word.is_match(raw) || word.is_match(id.as_bytes()) || word.is_match(kind.as_bytes()))
    }

    /// Whether all are found in an event.
    pub fn are_in_event(&self, event: &Event) -> bool {
        self.are_in(event.id.as_str(), &event.kind, &event.raw)
    }
}

/// A character as a body may write it: as itself, with or without an accent, or escaped as JSON does.
fn pattern(c: char) -> String {
    let base = c.nfd().next().unwrap_or(c).to_ascii_lowercase();
    let mut meant: Vec<char> = match ACCENTED.binary_search_by_key(&base, |(base, _)| *base) {
        Ok(at) => ACCENTED.get(at).map(|(_, all)| all.clone()).unwrap_or_default(),
        Err(_) => c.to_lowercase().chain(c.to_uppercase()).collect(),
    };
    meant.push(c);
    meant.sort_unstable();
    meant.dedup();
    let mut pattern = String::from("(?:");
    for c in &meant {
        let _ = write!(pattern, "{}|", regex::escape(&c.to_string()));
    }
    if matches!(c, '"' | '\\' | '/') {
        let _ = write!(pattern, "{}|", regex::escape(&format!("\\{c}")));
    }
    // Letters and digits of ASCII are never escaped by anybody.
    for c in meant.iter().filter(|c| !c.is_ascii_alphanumeric()) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(pattern, "\\\\u{unit:04x}");
        }
        pattern.push('|');
    }
    pattern.pop();
    pattern.push(')');
    if base.is_ascii_alphabetic() {
        // A letter may be followed by its accent.
        pattern.push_str("[\u{300}-\u{36f}]?");
    }
    pattern
}

/// The letters of ASCII, each with itself and the accented letters that it is found for, sorted.
static ACCENTED: LazyLock<Vec<(char, Vec<char>)>> = LazyLock::new(|| {
    let latin = ('\u{c0}'..='\u{24f}').chain('\u{1e00}'..='\u{1eff}');
    let based: Vec<(char, char)> = latin.filter_map(|c| Some((c.nfd().next()?.to_ascii_lowercase(), c))).collect();
    ('a'..='z')
        .map(|base| {
            let like = based.iter().filter(|(of, _)| *of == base).map(|(_, c)| *c);
            (base, [base, base.to_ascii_uppercase()].into_iter().chain(like).collect())
        })
        .collect()
});

/// What a look found.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Found {
    /// Events, newest first, their bodies not read.
    pub events: Vec<(Seq, Event)>,
    /// Where the next look goes on: before this place; `None` when all has been looked at.
    pub next: Option<Seq>,
}

/// What became of an event, in short.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Became {
    /// Its newest deliveries, as many as were asked for.
    pub deliveries: Vec<Chip>,
    /// Each outcome that a rule came to, once.
    pub outcomes: BTreeSet<String>,
}

/// A delivery, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Chip {
    /// Which it is.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: String,
    /// How it stands.
    pub state: State,
}

/// What came, what rules did about it and what was planned to be sent, counted by hours.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Tally {
    /// Events, by hour, source and type.
    pub events: Vec<Came>,
    /// What rules did, by hour of the event, rule and outcome.
    pub decisions: Vec<Decided>,
    /// Deliveries, by hour of planning and rule.
    pub messages: Vec<Sent>,
}

/// How many events of a type came in one hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Came {
    /// When the hour began.
    pub hour: Timestamp,
    /// Their source.
    pub source: String,
    /// Their type.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// How often a rule came to one outcome on the events of one hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decided {
    /// When the hour began.
    pub hour: Timestamp,
    /// The rule.
    pub rule: String,
    /// The outcome's word.
    pub outcome: String,
    /// How often.
    pub count: u64,
    /// When the last of the events came.
    pub last: Timestamp,
}

/// One count of one hour, as a database keeps it.
#[derive(Debug)]
pub(super) struct Counted {
    pub hour: i64,
    /// 0 events, 1 decisions, 2 deliveries.
    pub what: i64,
    /// The source of events, else the rule.
    pub name: String,
    /// The type of events, the outcome of decisions.
    pub kind: String,
    pub count: i64,
    /// When the newest of them came.
    pub last: i64,
}

impl Tally {
    /// What these counts say, in order.
    pub(super) fn of(counts: impl IntoIterator<Item = Counted>) -> Self {
        let mut tally = Self::default();
        for Counted { hour, what, name, kind, count, last } in counts {
            let (hour, last, count) = (from_ms(hour), from_ms(last), count.max(0).cast_unsigned());
            match what {
                0 => tally.events.push(Came { hour, source: name, kind, count }),
                1 => tally.decisions.push(Decided { hour, rule: name, outcome: kind, count, last }),
                _ => tally.messages.push(Sent { hour, rule: name, count }),
            }
        }
        // Whatever the database's collation, the order is the program's.
        tally.events.sort();
        tally.decisions.sort();
        tally.messages.sort();
        tally
    }
}

/// When the hour began, in ms since 1970.
pub(super) fn hour_ms(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(HOUR_MS) * HOUR_MS
}

/// How many deliveries a rule made in one hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    /// When the hour began.
    pub hour: Timestamp,
    /// The rule.
    pub rule: String,
    /// How many.
    pub count: u64,
}

/// Which decisions to list. All that is given must hold.
#[derive(Debug, Default, Clone)]
pub struct DecisionFilter {
    /// Of this rule.
    pub rule: Option<String>,
    /// With one of these outcomes; any if empty.
    pub outcomes: Vec<String>,
    /// On events before this place.
    pub before: Option<Seq>,
    /// At most this many.
    pub limit: usize,
}

/// What a look at decisions found.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Decisions {
    /// Decisions, those on the newest events first.
    pub list: Vec<Decision>,
    /// Where the next look goes on: on events before this place; `None` when all have been looked at.
    pub next: Option<Seq>,
}

impl Decisions {
    /// What a look down to `last` came to that asked for one more than the limit: all decisions on one event are reported
    /// together, so that the next look neither skips nor repeats one.
    pub(crate) fn of(mut list: Vec<Decision>, limit: usize, last: Seq, oldest: Seq) -> Self {
        let mut next = (last > oldest).then_some(last);
        if list.len() > limit {
            let cut = list.get(limit).map_or(0, |decision| decision.event);
            let whole = list.iter().take_while(|decision| decision.event > cut).count();
            // Where one event fills the page, what is notified of it is cut.
            list.truncate(if whole == 0 { limit } else { whole });
            next = list.last().map(|decision| decision.event);
        }
        Self { list, next }
    }
}
