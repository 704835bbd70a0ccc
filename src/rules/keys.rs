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
    /// Constants for templates.
    Constants,
    /// A condition.
    Condition,
    /// What makes a key: of a case, a throttle, a digest.
    CaseKey,
    /// What closes a case.
    Closers,
    /// A span of time.
    Span,
    /// How often something is said again.
    Repeat,
    /// A date in the event.
    Date,
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
            Takes::Constants | Takes::Missing | Takes::Throttle | Takes::Digest => "a mapping",
            Takes::Condition => "a condition",
            Takes::CaseKey => "a path or name, or a list",
            Takes::Closers => "one glob or closer, or a list",
            Takes::Span => "a span of time",
            Takes::Repeat => "a span of time, at least `1m`",
            Takes::Date => "`SPAN before PATH`, `SPAN after PATH`, or a path",
            Takes::Actions | Takes::Closing => "one action or a list",
            Takes::Hours => "hours",
            Takes::Max => "a whole number, else 1",
            Takes::Limit => "a whole number, else 50",
            Takes::Rest => "`drop` or `digest`",
            Takes::Outside => "`hold` or `drop`",
            Takes::TimeOfDay | Takes::EndOfDay => "a time of day",
            Takes::Days => "days: `mon-fri`, `sat`, or a list",
            Takes::Dates => "one date or a list",
            Takes::Zone => "a zone",
            Takes::Moment => "a time or date",
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
        key("rules", Takes::Rules, "What the team wants"),
        key("names", Takes::Words, "Words for paths; the first path that selects something counts"),
        key("lists", Takes::Lists, "Values that `in: WORD` reads"),
        key("hours", Takes::Windows, "Windows that rules, actions and destinations name"),
        key("mutes", Takes::Mutes, "Planned silence"),
    ],
};

/// A rule.
pub const RULE: MapDoc = MapDoc {
    name: "rule",
    keys: &[
        key("name", Takes::Name, "Unique; the rule's state belongs to it"),
        key("formerly", Takes::Names, "Names that the rule had before: it takes over their state"),
        key("description", Takes::Text, "For people"),
        key("enabled", Takes::Truth, "With `false` the rule takes no part"),
        key("shadow", Takes::Truth, "With `true` it is planned, counted and shown, and nothing is sent"),
        key("events", Takes::Globs, "Which event types it hears of"),
        key("source", Takes::Source, "Only events of this source"),
        key("when", Takes::Condition, "What must hold"),
        key("if_failed", Takes::IfFailed, "What becomes of an event that `when` can't read, else `skip`"),
        key("case", Takes::CaseKey, "What an event is about"),
        key("closed_by", Takes::Closers, "Which events close a case"),
        key("closes_after", Takes::Span, "When a forgotten case ends"),
        key("on_close", Takes::Closing, "What is said when a case closes"),
        key("missing", Takes::Missing, "In place of `events`: opens a case when none came for a time"),
        key("throttle", Takes::Throttle, "At most so many messages in a time, for actions without their own"),
        key("digest", Takes::Digest, "Many events in one message, for actions without their own"),
        key("hours", Takes::Hours, "When people may be told, for actions without their own"),
        key("actions", Takes::Actions, "Whom to tell what"),
    ],
};

/// An action.
pub const ACTION: MapDoc = MapDoc {
    name: "action",
    keys: &[
        key("name", Takes::Name, "Names the action, so that it stays itself when its words change"),
        key("to", Takes::Destinations, "Whom to tell"),
        key("message", Takes::Message, "A message of the templates folder"),
        key(
            "text",
            Takes::Text,
            "What to say, in Markdown with templates; without either a message that reads well for any event",
        ),
        key("severity", Takes::Severity, "How much it matters"),
        key("with", Takes::Constants, "Constants for the template"),
        key("mention", Takes::Names, "Whom to mention, by the names of the destination's `mentions`"),
        key("when", Takes::Condition, "The action's own condition"),
        key("otherwise", Takes::Truth, "Acts when no action of the rule with a `when` acted"),
        key("once", Takes::Truth, "Acts at the opening of a case only"),
        key(
            "after",
            Takes::Span,
            "So long after people could first be told of the opening, while the case is open and nobody acknowledged it",
        ),
        key("repeat", Takes::Repeat, "And again every so often"),
        key("at", Takes::Date, "At a date in the event"),
        key("throttle", Takes::Throttle, "At most so many messages in a time; overrides the rule's"),
        key("digest", Takes::Digest, "Many events in one message; overrides the rule's"),
        key("hours", Takes::Hours, "When people may be told; overrides the rule's and the destination's"),
    ],
};

/// What closes a case, as a mapping.
pub const CLOSER: MapDoc = MapDoc {
    name: "closed_by",
    keys: &[
        key("events", Takes::Globs, "Which event types close"),
        key("when", Takes::Condition, "What must hold"),
        key("case", Takes::CaseKey, "The key in the closing event, where it stands elsewhere"),
    ],
};

/// What opens a case by not coming.
pub const MISSING: MapDoc = MapDoc {
    name: "missing",
    keys: &[
        key("events", Takes::Globs, "What should come"),
        key("when", Takes::Condition, "What must hold for it to count"),
        key("for", Takes::Span, "For how long none may come"),
    ],
};

/// A throttle.
pub const THROTTLE: MapDoc = MapDoc {
    name: "throttle",
    keys: &[
        key("per", Takes::CaseKey, "Counted apart by this"),
        key("max", Takes::Max, "How many within the window"),
        key("every", Takes::Span, "The sliding window"),
        key("rest", Takes::Rest, "What becomes of the others"),
    ],
};

/// A digest.
pub const DIGEST: MapDoc = MapDoc {
    name: "digest",
    keys: &[
        key("per", Takes::CaseKey, "Collected apart by this"),
        key("every", Takes::Span, "Goes out so long after its first event"),
        key("at", Takes::TimeOfDay, "Or at this time"),
        key("days", Takes::Days, "On these days only"),
        key("timezone", Takes::Zone, "Whose time `at` is, else the default's"),
        key("limit", Takes::Limit, "The most events that it shows"),
    ],
};

/// A window of hours.
pub const HOURS: MapDoc = MapDoc {
    name: "hours",
    keys: &[
        key("days", Takes::Days, "On which the window starts, else on all"),
        key("from", Takes::TimeOfDay, "When it opens"),
        key("to", Takes::EndOfDay, "When it closes; before `from`: on the next day"),
        key("except", Takes::Dates, "On which it doesn't open"),
        key("timezone", Takes::Zone, "Whose time it is, else the default's"),
        key("outside", Takes::Outside, "What becomes of messages outside the window"),
    ],
};

/// A mute.
pub const MUTE: MapDoc = MapDoc {
    name: "mute",
    keys: &[
        key("reason", Takes::Text, "Why"),
        key("by", Takes::Text, "Who says so, else the file"),
        key("events", Takes::Globs, "Only these event types"),
        key("rule", Takes::Rule, "Only this rule"),
        key("destination", Takes::Destination, "Only this destination"),
        key("when", Takes::Condition, "Only events for which it holds"),
        key("from", Takes::Moment, "From when on, else from ever"),
        key("until", Takes::Moment, "Until when"),
    ],
};

/// All of them.
pub const ALL: [MapDoc; 9] = [FILE, RULE, ACTION, CLOSER, MISSING, THROTTLE, DIGEST, HOURS, MUTE];
