//! What a terminal shows: colour where it wants it, tables, counts with the right plural.

use std::io::IsTerminal;
use std::sync::{LazyLock, OnceLock};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::clock::{Clock, RealClock, plus};
use crate::rules::value::written_time;
use crate::yaml::span_of_time;

static STDOUT: LazyLock<bool> = LazyLock::new(|| wants_colour(std::io::stdout().is_terminal()));
static STDERR: LazyLock<bool> = LazyLock::new(|| wants_colour(std::io::stderr().is_terminal()));

/// `NO_COLOR` (no-color.org) and a dumb terminal say no; `CLICOLOR_FORCE` says yes.
fn wants_colour(is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") {
        return false;
    }
    set("CLICOLOR_FORCE") || (is_terminal && std::env::var("TERM").as_deref() != Ok("dumb"))
}

/// Whether standard output shows colour.
pub(crate) fn colour_on_stdout() -> bool {
    *STDOUT
}

/// Whether standard error shows colour.
pub(crate) fn colour_on_stderr() -> bool {
    *STDERR
}

fn painted(text: &str, code: &str) -> String {
    if colour_on_stdout() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Something to look at first.
pub(crate) fn bold(text: &str) -> String {
    painted(text, "1")
}

/// Something that may be passed over.
pub(crate) fn dim(text: &str) -> String {
    painted(text, "2")
}

/// The same, on standard error.
pub(crate) fn dim_on_stderr(text: &str) -> String {
    if colour_on_stderr() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
}

/// A number of bytes: `812 B`, `3.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Something that is well.
pub(crate) fn good(text: &str) -> String {
    painted(text, "32")
}

/// Something to keep an eye on.
pub(crate) fn warn(text: &str) -> String {
    painted(text, "33")
}

/// Something wrong.
pub(crate) fn bad(text: &str) -> String {
    painted(text, "31")
}

/// A state or outcome in its colour.
pub(crate) fn state(word: &str) -> String {
    match word {
        "delivered" | "matched" | "acknowledged" => good(word),
        "dead" | "failed" | "permanent" | "refused" | "parked" => bad(word),
        "retrying" | "limited" | "temporary" | "ambiguous" | "throttled" | "muted" | "held" | "late" | "open"
        | "active" | "waiting" => warn(word),
        _ => word.to_owned(),
    }
}

/// Text from a sender, made safe for a terminal: no control characters but line breaks and tabs, and none of those by
/// which text is shown in another order than it has.
pub(crate) fn safe(text: &str) -> String {
    let is_safe = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || turns(c));
    text.chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }).collect()
}

/// The same where it stands in a line with others: it can't begin another line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || turns(c) || breaks(c) { '\u{fffd}' } else { c }).collect()
}

/// Unicode's controls of direction (its property `Bidi_Control`).
fn turns(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What ends a line, or a column.
fn breaks(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t' | '\u{000b}' | '\u{000c}' | '\u{0085}' | '\u{2028}' | '\u{2029}')
}

/// `1 rule`, `2 rules`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// A time that somebody gives: `2026-01-05T10:00:00Z`; `2026-01-05 11:00` or a date alone, in the zone of the server or the
/// files; or a span such as `2h`, that long ago.
#[derive(Debug, Clone)]
pub(crate) struct Moment(String);

/// Reads it.
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    if let Some(span) = span_of_time(text) {
        return Ok(Moment(plus(RealClock.now(), SignedDuration::ZERO - span).to_string()));
    }
    let hint = "write `2026-12-24T18:00:00Z`, `2026-12-24 18:00`, a date alone, or a span such as `2h`";
    match written_time(text, &TimeZone::UTC) {
        Ok(_) => Ok(Moment(text.to_owned())),
        Err(note) => Err(format!("{note}; {hint}")),
    }
}

impl Moment {
    /// As a server takes it: what has no zone is local to its own.
    pub(crate) fn text(self) -> String {
        self.0
    }

    /// The moment, what has no zone being local to this one.
    pub(crate) fn at(&self, zone: &TimeZone) -> Timestamp {
        // It was read once already; a time that this zone leaves out is taken as one of UTC.
        written_time(&self.0, zone).or_else(|_| written_time(&self.0, &TimeZone::UTC)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The zone that times are shown in: that of the server that is spoken to, or of the files.
static ZONE: OnceLock<TimeZone> = OnceLock::new();

/// Says in which zone times are shown. The first to say so is heard.
pub(crate) fn show_times_in(zone: TimeZone) {
    let _ = ZONE.set(zone);
}

/// A moment as people read it, with its zone: `2026-01-05 11:00:00 CET`.
pub(crate) fn time(at: Timestamp) -> String {
    time_as(at, "%Y-%m-%d %H:%M:%S %Z")
}

/// The same in a format of strftime.
pub(crate) fn time_as(at: Timestamp, format: &str) -> String {
    at.to_zoned_datetime(ZONE.get().cloned().unwrap_or(TimeZone::UTC)).strftime(format).to_string()
}

/// The same of an RFC 3339 text; another text as it is.
pub(crate) fn time_of(text: &str) -> String {
    text.parse().map_or_else(|_| one_line(text), time)
}

/// Columns under their heads, each as wide as its widest cell. Cells may be painted, so text from a sender must have been
/// made safe before; whatever stands in one, it stays in its row.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let in_row = |cell: &String| cell.replace(|c| breaks(c) || turns(c), "\u{fffd}");
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(in_row).collect()).collect();
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(visible(cell));
        }
    }
    let line = |cells: Vec<String>| {
        let mut line = String::new();
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            line.push_str(cell);
            if at + 1 < cells.len() {
                line.push_str(&" ".repeat(width.saturating_sub(visible(cell)) + 2));
            }
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(heads.iter().map(|head| dim(head)).collect())];
    lines.extend(rows.iter().map(|row| line(row.clone())));
    lines.join("\n")
}

/// How many characters of a painted cell are seen.
fn visible(cell: &str) -> usize {
    let mut count = 0;
    let mut in_code = false;
    for c in cell.chars() {
        match c {
            '\x1b' => in_code = true,
            'm' if in_code => in_code = false,
            _ if !in_code => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{one_line, safe, table};

    const FORGED: &str = "C1\r\nopen\u{2028}ben\tC2\u{202e}dekat\u{2066}\u{200f}\x1b[2J";

    #[test]
    fn a_key_can_neither_begin_a_row_nor_turn_what_follows_it() {
        let rows = [vec![one_line(FORGED), "x".to_owned()], vec!["a\nb".to_owned(), "y".to_owned()]];
        let shown = table(&["key", "id"], &rows);
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(!shown.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{2028}', '\r', '\t']), "{shown:?}");
        assert!(one_line(FORGED).chars().all(|c| !c.is_control()));
    }

    #[test]
    fn text_of_several_lines_keeps_them_and_loses_what_turns_it() {
        assert_eq!(safe("one\n\ttwo \u{202e}eerht\x07"), "one\n\ttwo \u{fffd}eerht\u{fffd}");
        assert_eq!(safe("שלום, مرحبا"), "שלום, مرحبا");
    }
}
