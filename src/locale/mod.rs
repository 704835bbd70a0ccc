//! How a language writes numbers, amounts and dates, and the words that Fanfare itself puts into messages.
//!
//! Plain data and small decisions. Number and date forms are those of CLDR 49, as a table of the few languages that are
//! known: the data of all languages would make the program several times as large. Logs, commands and the page speak
//! English.

use std::fmt;

use jiff::ZonedDateTime;
use jiff::fmt::strtime;

mod table;

/// A language, and how it writes things.
pub struct Locale {
    /// Its code: `de`.
    pub code: &'static str,
    /// Its name in English.
    pub name: &'static str,
    /// What stands between groups of three digits.
    group: &'static str,
    /// What stands before decimals.
    point: char,
    /// How many digits must stand before the first group: with 2, `1234` has none.
    least: usize,
    /// Whether a currency stands before its amount.
    code_first: bool,
    /// From January.
    months: [&'static str; 12],
    /// The same, shortened.
    months_short: [&'static str; 12],
    /// From Sunday.
    days: [&'static str; 7],
    /// The same, shortened.
    days_short: [&'static str; 7],
    /// A date in numbers, with names, and with the day of the week, as strftime formats.
    dates: [&'static str; 3],
    /// Days, hours and minutes in the past: one and several.
    ago: [[&'static str; 2]; 3],
    /// The same in the future.
    ahead: [[&'static str; 2]; 3],
    /// What Fanfare says in messages.
    pub words: Words,
}

/// What Fanfare says in messages by itself. `{}` is filled in, in this order.
#[derive(Debug)]
pub struct Words {
    /// A title, and who made it.
    pub by: &'static str,
    /// A truth, first the true one.
    pub truth: [&'static str; 2],
    /// An event without a type.
    pub event: &'static str,
    /// A value without a name.
    pub value: &'static str,
    /// Before `more` at the end of a list.
    pub and: &'static str,
    /// How many are left out.
    pub more: &'static str,
    /// How many a throttle dropped: one and several.
    pub dropped: [&'static str; 2],
    /// How many events, for which rule.
    pub events_for: &'static str,
    /// How many messages waited: one and several.
    pub held: [&'static str; 2],
    /// Less than a minute ago.
    pub now: &'static str,
    /// Before the reason why this message is not the one that was written.
    pub replaces: &'static str,
    /// Before the reason why a message comes to a fallback.
    pub undelivered: &'static str,
    /// Before what could not be read.
    pub unread: &'static str,
    /// In place of what could not be read, where its values may not leave.
    pub see_page: &'static str,
    /// A file, and how many rows it would have.
    pub left_out: &'static str,
    /// A file, and how many events it lacks.
    pub lacks: &'static str,
    /// Before the title of a case that has closed.
    pub closed: &'static str,
    /// Where a link leads.
    pub open_on: &'static str,
    /// What a button does: acknowledge, close, mute for a span.
    pub buttons: [&'static str; 3],
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl PartialEq for Locale {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Locale {}

/// All that are known.
pub static ALL: [&Locale; 8] =
    [&table::EN, &table::DE, &table::ES, &table::FR, &table::IT, &table::NL, &table::PT, &table::SV];

/// What `date` takes in place of a format.
pub const STYLES: [&str; 3] = ["short", "long", "full"];

/// The one with this code.
pub fn named(code: &str) -> Option<&'static Locale> {
    ALL.into_iter().find(|locale| locale.code == code)
}

/// English, which is spoken unless something else is asked for.
pub fn english() -> &'static Locale {
    &table::EN
}

/// Puts values into a pattern, each where the next `{}` stands.
pub fn fill(pattern: &str, values: &[&str]) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut values = values.iter();
    for (nth, part) in pattern.split("{}").enumerate() {
        if nth > 0 {
            text.push_str(values.next().copied().unwrap_or_default());
        }
        text.push_str(part);
    }
    text
}

/// The form for a count, of one and several.
pub fn counted(forms: [&'static str; 2], count: u64) -> &'static str {
    let [one, several] = forms;
    if count == 1 { one } else { several }
}

impl Locale {
    /// A plain number, such as `-1234.50`, with its digits grouped. One with an exponent stays as it is. The minus is
    /// ASCII's in every language, so that spreadsheets read what people copy.
    pub fn number(&self, plain: &str) -> String {
        let (sign, digits) = match plain.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", plain),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return plain.to_owned();
        }
        let (whole, decimals) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
        let is_grouped = whole.len() >= 3 + self.least;
        let mut text = sign.to_owned();
        for (at, digit) in whole.chars().enumerate() {
            if is_grouped && at > 0 && (whole.len() - at).is_multiple_of(3) {
                text.push_str(self.group);
            }
            text.push(digit);
        }
        if let Some(decimals) = decimals {
            text.push(self.point);
            text.push_str(decimals);
        }
        text
    }

    /// A number that is written already, with its currency's code.
    pub fn money(&self, number: &str, currency: &str) -> String {
        match (currency.is_empty(), self.code_first) {
            (true, _) => number.to_owned(),
            (false, true) => format!("{currency} {number}"),
            (false, false) => format!("{number} {currency}"),
        }
    }

    /// A time in a strftime format, with this language's names of months and days; or in one of its own: `short`, `long`,
    /// `full`. Without a format: in numbers, with time and zone unless it is a date.
    ///
    /// # Errors
    /// What is wrong with the format.
    pub fn date(&self, at: &ZonedDateTime, format: Option<&str>, is_date: bool) -> Result<String, String> {
        let [short, long, full] = self.dates;
        let format = match format {
            None if is_date => short.to_owned(),
            None => format!("{short} %H:%M %Z"),
            Some("short") => short.to_owned(),
            Some("long") => long.to_owned(),
            Some("full") => full.to_owned(),
            Some(format) => format.to_owned(),
        };
        strtime::format(self.named_in(&format, at), at).map_err(|error| error.to_string())
    }

    /// A format with the names of this language in it.
    fn named_in(&self, format: &str, at: &ZonedDateTime) -> String {
        let mut text = String::with_capacity(format.len());
        let mut rest = format;
        while let Some(start) = rest.find('%') {
            let (before, directive) = rest.split_at(start);
            text.push_str(before);
            let flags = directive.get(1..).unwrap_or_default();
            let letters =
                flags.trim_start_matches(['-', '_', '^', '#', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
            let letter = letters.chars().next();
            let len = directive.len() - letters.len() + letter.map_or(0, char::len_utf8);
            let (whole, after) = directive.split_at(len);
            match letter.and_then(|letter| self.name_of(letter, at)) {
                Some(name) if whole.contains('^') => text.push_str(&name.to_uppercase()),
                Some(name) => text.push_str(name),
                None => text.push_str(whole),
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }

    fn name_of(&self, letter: char, at: &ZonedDateTime) -> Option<&'static str> {
        let month = usize::try_from(at.month()).ok()?.checked_sub(1)?;
        let day = usize::try_from(at.weekday().to_sunday_zero_offset()).ok()?;
        match letter {
            'A' => self.days.get(day).copied(),
            'a' => self.days_short.get(day).copied(),
            'B' => self.months.get(month).copied(),
            'b' | 'h' => self.months_short.get(month).copied(),
            _ => None,
        }
    }

    /// `3 hours ago`, `in 2 days`, `just now`: a distance in seconds, negative for what is to come.
    pub fn distance(&self, seconds: i64) -> String {
        const LENGTHS: [u64; 3] = [86_400, 3_600, 60];
        let size = seconds.unsigned_abs();
        let forms = if seconds > 0 { self.ago } else { self.ahead };
        let unit = LENGTHS.into_iter().zip(forms).find(|(length, _)| size >= *length);
        let Some((length, forms)) = unit else { return self.words.now.to_owned() };
        let count = size / length;
        fill(counted(forms, count), &[&count.to_string()])
    }

    /// `and 3 more`.
    pub fn and_more(&self, count: u64) -> String {
        format!("{} {}", self.words.and, fill(self.words.more, &[&count.to_string()]))
    }
}
