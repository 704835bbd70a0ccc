//! The keys of rules files, for documentation, schema and completion. A test holds these tables to what the reader
//! takes; operators have a table of their own, [`super::operator::TABLE`].

/// A key of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct KeyDoc {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it is for, in a sentence without a full stop.
    pub doc: &'static str,
}

/// What a key takes. In words, for people, here; as a schema, for editors, in [`super::schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Takes {
    /// `rules:`.
    Rules,
    /// `names:`.
    Words,
    /// `lists:`.
    Lists,
    /// `hours:` of a file.
    Windows,
    /// `mutes:`.
    Mutes,
    /// `people:`.
    People,
    /// `maps:`.
    Maps,
    /// Who is to be mentioned.
    Mentions,
    /// The name of a rule or action.
    Name,
    /// A text.
    Text,
    /// Names.
    Names,
    /// A truth value.
    Truth,
    /// Event globs.
    Globs,
    /// The name of a source.
    Source,
    /// The name of a rule.
    Rule,
    /// The name of a destination.
    Destination,
    /// The names of destinations.
    Destinations,
    /// The name of a message.
    Message,
    /// A severity.
    Severity,
    /// `skip` or `act`.
    IfFailed,
    /// What people can do from a message.
    Links,
    /// Constants for templates.
    Constants,
    /// A condition.
    Condition,
    /// What makes a key: of a case, a throttle, a digest.
    CaseKey,
    /// What closes a case.
    Closers,
    /// A time span.
    Span,
    /// How often something is said again.
    Repeat,
    /// A date in the event, or several.
    Date,
    /// A date in the event.
    OneDate,
    /// Actions.
    Actions,
    /// Actions at a close.
    Closing,
    /// `missing`.
    Missing,
    /// `throttle`.
    Throttle,
    /// `digest`.
    Digest,
    /// `hours` of a rule or an action.
    Hours,
    /// How many.
    Max,
    /// How many events.
    Limit,
    /// What becomes of the rest.
    Rest,
    /// What becomes of messages outside a window.
    Outside,
    /// A time of day.
    TimeOfDay,
    /// A time of day, its last moment too.
    EndOfDay,
    /// Days of the week.
    Days,
    /// Dates.
    Dates,
    /// A time zone.
    Zone,
    /// A date, or a moment with its zone.
    Moment,
    /// Days of the month.
    MonthDays,
    /// A day, a week or a month.
    Each,
    /// A moment of a period.
    By,
    /// `threshold`.
    Threshold,
    /// `flood`.
    Flood,
    /// How many times.
    Times,
    /// How many messages.
    Least,
    /// `sum`.
    Sum,
    /// A path or name.
    Path,
    /// A window of the calendar.
    Window,
    /// A number.
    Number,
    /// How many matches.
    Count,
    /// Spans after an opening.
    After,
    /// `attach`.
    Attach,
    /// The columns of a file.
    Columns,
}

impl Takes {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Takes::Rules => "a list of rules",
            Takes::Words => "a mapping from words to paths",
            Takes::Lists => "a mapping from words to lists",
            Takes::Windows => "a mapping from words to hours",
            Takes::Mutes => "a list of mutes",
            Takes::People => "a mapping from names to people",
            Takes::Maps => "a mapping from words to maps",
            Takes::Mentions => "one name, or `{map: NAME}`, or a list",
            Takes::Name | Takes::Text => "a text",
            Takes::Names => "one name or a list",
            Takes::Truth => "`true` or `false`",
            Takes::Globs => "one glob or a list",
            Takes::Source => "a source",
            Takes::Rule => "a rule's name",
            Takes::Destination => "a destination",
            Takes::Destinations => "one destination or a list",
            Takes::Message => "a message's name",
            Takes::Severity => "`info`, `success`, `warning` or `critical`",
            Takes::IfFailed => "`skip` or `act`",
            Takes::Links => "`none`, or a list of `acknowledge`, `close` and `mute SPAN`",
            Takes::Constants
            | Takes::Missing
            | Takes::Throttle
            | Takes::Digest
            | Takes::Attach
            | Takes::Threshold
            | Takes::Flood
            | Takes::Sum => "a mapping",
            Takes::Times => "a whole number, by default 10",
            Takes::Least => "a whole number, by default 20",
            Takes::Path => "a path or name",
            Takes::Window => "`day`, `week`, `month`, `quarter` or `year`",
            Takes::Number => "a number",
            Takes::Condition => "a condition",
            Takes::CaseKey => "a path or name, or a list",
            Takes::Closers => "one glob or closer, or a list",
            Takes::Span => "a time span",
            Takes::Repeat => "a time span, at least `1m`",
            Takes::Date => "`SPAN before PATH`, `SPAN after PATH`, a path, or a list",
            Takes::OneDate => "`SPAN before PATH`, `SPAN after PATH`, or a path",
            Takes::After => "a time span, business days such as `2bd`, or a list",
            Takes::Count => "a whole number, at least 2",
            Takes::Actions | Takes::Closing => "one action or a list",
            Takes::Hours => "hours",
            Takes::Max => "a whole number, by default 1",
            Takes::Limit => "a whole number, by default 50",
            Takes::Rest => "`drop` or `digest`",
            Takes::Outside => "`hold` or `drop`",
            Takes::TimeOfDay | Takes::EndOfDay => "a time of day",
            Takes::Days => "days: `mon-fri`, `sat`, or a list",
            Takes::Dates => "one date or a list",
            Takes::Zone => "a time zone",
            Takes::Moment => "a time or date",
            Takes::MonthDays => "one day of the month or a list: `1` to `31`, `last`",
            Takes::Columns => "a mapping from column names to paths or names",
            Takes::Each => "`day`, `week` or `month`",
            Takes::By => "`10:00`, `fri 16:00` or `15 12:00`",
        }
    }
}

/// A mapping with its keys.
#[derive(Debug, Clone, Copy)]
pub struct MapDoc {
    /// What it is called.
    pub name: &'static str,
    /// Its keys, in the order of the documentation.
    pub keys: &'static [KeyDoc],
}

const fn key(name: &'static str, takes: Takes, doc: &'static str) -> KeyDoc {
    KeyDoc { name, takes, doc }
}

/// A rules file.
pub const FILE: MapDoc = MapDoc {
    name: "file",
    keys: &[
        key("rules", Takes::Rules, "The rules"),
        key("names", Takes::Words, "Words for paths; the first path that selects something wins"),
        key("lists", Takes::Lists, "Lists of values for `in: WORD`"),
        key("hours", Takes::Windows, "Windows that rules, actions and destinations refer to"),
        key("mutes", Takes::Mutes, "Planned silence"),
        key("holidays", Takes::Dates, "Dates that are no business days"),
        key("people", Takes::People, "Whom maps and mentions name, with their addresses"),
        key("maps", Takes::Maps, "From what an event says to people or addresses"),
    ],
};

/// A rule.
pub const RULE: MapDoc = MapDoc {
    name: "rule",
    keys: &[
        key("name", Takes::Name, "Unique; the rule's state belongs to it"),
        key("formerly", Takes::Names, "Earlier names of the rule; it takes over their state"),
        key("description", Takes::Text, "A description for people"),
        key("enabled", Takes::Truth, "`false` switches the rule off"),
        key("shadow", Takes::Truth, "`true` plans, counts and shows its messages, but sends nothing"),
        key("events", Takes::Globs, "The event types that it receives"),
        key("source", Takes::Source, "Only events of this source"),
        key("when", Takes::Condition, "The condition that must hold"),
        key("if_failed", Takes::IfFailed, "What to do if `when` can't read the event; `skip` by default"),
        key("threshold", Takes::Threshold, "Acts only when enough matches came within a span"),
        key("sum", Takes::Sum, "Acts only at the match that takes a sum somewhere"),
        key("case", Takes::CaseKey, "What an event is about"),
        key("closed_by", Takes::Closers, "The events that close a case"),
        key("closes_after", Takes::Span, "Closes a case after this long without an event"),
        key("on_close", Takes::Closing, "What to send when a case closes"),
        key("missing", Takes::Missing, "In place of `events`: opens a case if no such event came for a time"),
        key("throttle", Takes::Throttle, "Limits the messages per time, for actions without their own"),
        key("digest", Takes::Digest, "Collects events into one message, for actions without their own"),
        key("hours", Takes::Hours, "When messages may go, for actions without their own"),
        key("flood", Takes::Flood, "Holds its messages if it suddenly sends many times its usual"),
        key("links", Takes::Links, "The links in its messages; by default `acknowledge`, if a reminder is pending"),
        key("actions", Takes::Actions, "The messages to send"),
    ],
};

/// An action.
pub const ACTION: MapDoc = MapDoc {
    name: "action",
    keys: &[
        key("name", Takes::Name, "Identifies the action, so that you can change its other keys"),
        key("to", Takes::Destinations, "The destinations"),
        key("message", Takes::Message, "A template of the templates folder"),
        key("text", Takes::Text, "A short message in Markdown; without `text` and `message`, a default message"),
        key("severity", Takes::Severity, "The severity; overrides the template's"),
        key("with", Takes::Constants, "Constants for the template"),
        key("override", Takes::Constants, "How its messages come: keys that its destinations let an action override"),
        key(
            "mention",
            Takes::Mentions,
            "Whom to mention: a name of the destination's `mentions` or of `people`, or whom a map says",
        ),
        key("when", Takes::Condition, "The action's own condition"),
        key("if_failed", Takes::IfFailed, "What becomes of an event that the action's `when` can't read, else `skip`"),
        key("otherwise", Takes::Truth, "Acts when no action of the rule with a `when` acted"),
        key("once", Takes::Truth, "Acts only when a case opens"),
        key("update", Takes::Truth, "Later matches of the case change the message"),
        key("deadline", Takes::OneDate, "With `update`: the message becomes critical at this date if the case is open"),
        key(
            "after",
            Takes::After,
            "Sends this long after people could first be notified of the opening, if the case is open and nobody acknowledged it",
        ),
        key("repeat", Takes::Repeat, "Repeats at this interval"),
        key("at", Takes::Date, "Sends at a date in the event"),
        key("throttle", Takes::Throttle, "Limits the messages per time; overrides the rule's"),
        key("digest", Takes::Digest, "Collects events into one message; overrides the rule's"),
        key("attach", Takes::Attach, "A file with a row for each event of the digest"),
        key("hours", Takes::Hours, "When messages may go; overrides the rule's and the destination's"),
        key("links", Takes::Links, "The links in the message; overrides the rule's and the destination's"),
    ],
};

/// What closes a case, as a mapping.
pub const CLOSER: MapDoc = MapDoc {
    name: "closed_by",
    keys: &[
        key("events", Takes::Globs, "The event types that close"),
        key("when", Takes::Condition, "The condition that must hold"),
        key("case", Takes::CaseKey, "The key in the closing event, if its path differs"),
    ],
};

/// What opens a case by not coming.
pub const MISSING: MapDoc = MapDoc {
    name: "missing",
    keys: &[
        key("events", Takes::Globs, "The expected event types"),
        key("when", Takes::Condition, "The condition for an event to count"),
        key("for", Takes::Span, "Acts after this long without one"),
        key("each", Takes::Each, "Or expects one in each period"),
        key("by", Takes::By, "Acts at this time of the period if none came since it began"),
        key("timezone", Takes::Zone, "The time zone of `each`; by default the configured one"),
    ],
};

/// A threshold.
pub const THRESHOLD: MapDoc = MapDoc {
    name: "threshold",
    keys: &[
        key("count", Takes::Count, "Acts at this many matches; then the count begins anew"),
        key("within", Takes::Span, "The span within which they were created"),
        key("per", Takes::CaseKey, "Counts separately per value"),
    ],
};

/// A sum.
pub const SUM: MapDoc = MapDoc {
    name: "sum",
    keys: &[
        key("of", Takes::Path, "The number that is summed"),
        key("per", Takes::CaseKey, "Sums separately per value"),
        key("window", Takes::Window, "Each sum is of one of these"),
        key("timezone", Takes::Zone, "The time zone of `window`; by default the configured one"),
        key("gt", Takes::Number, "Acts at the match that takes the sum above this"),
        key("gte", Takes::Number, "Acts at the match that takes the sum to at least this"),
        key("lt", Takes::Number, "Acts at the match that takes the sum below this"),
        key("lte", Takes::Number, "Acts at the match that takes the sum to at most this"),
    ],
};

/// A flood brake.
pub const FLOOD: MapDoc = MapDoc {
    name: "flood",
    keys: &[
        key("times", Takes::Times, "Holds more than this many times the busiest hour of the last seven days"),
        key("least", Takes::Least, "Never holds this many messages in an hour, whatever is usual"),
    ],
};

/// A throttle.
pub const THROTTLE: MapDoc = MapDoc {
    name: "throttle",
    keys: &[
        key("per", Takes::CaseKey, "Counts separately per value"),
        key("max", Takes::Max, "The number of messages per window"),
        key("every", Takes::Span, "The sliding window"),
        key("rest", Takes::Rest, "What to do with the excess"),
    ],
};

/// A digest.
pub const DIGEST: MapDoc = MapDoc {
    name: "digest",
    keys: &[
        key("per", Takes::CaseKey, "Collects separately per value"),
        key("every", Takes::Span, "Sends this long after the first event"),
        key("at", Takes::TimeOfDay, "Or sends at this time of day"),
        key("days", Takes::Days, "Only on these days of the week"),
        key("month_days", Takes::MonthDays, "Only on these days of the month; one that a month lacks is its last day"),
        key("timezone", Takes::Zone, "The time zone of `at`; by default the configured one"),
        key("limit", Takes::Limit, "The maximum number of events shown"),
    ],
};

/// A file that goes with a digest.
pub const ATTACH: MapDoc = MapDoc {
    name: "attach",
    keys: &[
        key("csv", Takes::Text, "The file's name, which may be a template"),
        key("columns", Takes::Columns, "The columns, in this order"),
    ],
};

/// A window of hours.
pub const HOURS: MapDoc = MapDoc {
    name: "hours",
    keys: &[
        key("days", Takes::Days, "The days on which the window starts; all by default"),
        key("from", Takes::TimeOfDay, "The time at which it opens"),
        key("to", Takes::EndOfDay, "The time at which it closes; on the next day if before `from`"),
        key("except", Takes::Dates, "Dates on which it doesn't open"),
        key("timezone", Takes::Zone, "The time zone; by default the configured one"),
        key("outside", Takes::Outside, "What to do with messages outside the window"),
    ],
};

/// A mute.
pub const MUTE: MapDoc = MapDoc {
    name: "mute",
    keys: &[
        key("reason", Takes::Text, "The reason"),
        key("by", Takes::Text, "The person responsible; by default the file"),
        key("events", Takes::Globs, "Only these event types"),
        key("rule", Takes::Rule, "Only this rule"),
        key("destination", Takes::Destination, "Only this destination"),
        key("when", Takes::Condition, "Only events that match this condition"),
        key("from", Takes::Moment, "The start; by default at once"),
        key("until", Takes::Moment, "The end"),
    ],
};

/// All of them.
pub const ALL: [MapDoc; 13] =
    [FILE, RULE, ACTION, CLOSER, MISSING, THRESHOLD, SUM, FLOOD, THROTTLE, DIGEST, ATTACH, HOURS, MUTE];
