//! The keys of rules files, for documentation, schema and completion. A test holds these tables to what the reader
//! takes; operators have a table of their own, [`super::operator::TABLE`].

/// A key of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct KeyDoc {
    /// The key.
    pub name: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What it is for, in a sentence without a full stop.
    pub doc: &'static str,
}

/// A mapping with its keys.
#[derive(Debug, Clone, Copy)]
pub struct MapDoc {
    /// What it is called.
    pub name: &'static str,
    /// Its keys, in the order of the documentation.
    pub keys: &'static [KeyDoc],
}

const fn key(name: &'static str, takes: &'static str, doc: &'static str) -> KeyDoc {
    KeyDoc { name, takes, doc }
}

/// A rules file.
pub const FILE: MapDoc = MapDoc {
    name: "file",
    keys: &[
        key("rules", "a list of rules", "What the team wants"),
        key("names", "a mapping from words to paths", "Words for paths; the first path that selects something counts"),
        key("lists", "a mapping from words to lists", "Values that `in: WORD` reads"),
        key("hours", "a mapping from words to hours", "Windows that rules, actions and destinations name"),
        key("mutes", "a list of mutes", "Planned silence"),
    ],
};

/// A rule.
pub const RULE: MapDoc = MapDoc {
    name: "rule",
    keys: &[
        key("name", "a text", "Unique; the rule's state belongs to it"),
        key("formerly", "one name or a list", "Names that the rule had before: it takes over their state"),
        key("description", "a text", "For people"),
        key("enabled", "`true` or `false`", "With `false` the rule takes no part"),
        key("shadow", "`true` or `false`", "With `true` it is planned, counted and shown, and nothing is sent"),
        key("events", "one glob or a list", "Which event types it hears of"),
        key("source", "a source", "Only events of this source"),
        key("when", "a condition", "What must hold"),
        key("case", "a path or name, or a list", "What an event is about"),
        key("closed_by", "one glob or closer, or a list", "Which events close a case"),
        key("closes_after", "a span of time", "When a forgotten case ends"),
        key("on_close", "one action or a list", "What is said when a case closes"),
        key("missing", "a mapping", "In place of `events`: opens a case when none came for a time"),
        key("throttle", "a mapping", "At most so many messages in a time, for actions without their own"),
        key("digest", "a mapping", "Many events in one message, for actions without their own"),
        key("hours", "hours", "When people may be told, for actions without their own"),
        key("actions", "one action or a list", "Whom to tell what"),
    ],
};

/// An action.
pub const ACTION: MapDoc = MapDoc {
    name: "action",
    keys: &[
        key("name", "a text", "Names the action, so that it stays itself when its words change"),
        key("to", "one destination or a list", "Whom to tell"),
        key("message", "a message's name", "A message of the templates folder"),
        key(
            "text",
            "a text",
            "What to say, in Markdown with templates; without either a message that reads well for any event",
        ),
        key("severity", "`info`, `success`, `warning` or `critical`", "How much it matters"),
        key("with", "a mapping", "Constants for the template"),
        key("mention", "one name or a list", "Whom to mention, by the names of the destination's `mentions`"),
        key("when", "a condition", "The action's own condition"),
        key("otherwise", "`true` or `false`", "Acts when no action of the rule with a `when` acted"),
        key("once", "`true` or `false`", "Acts at the opening of a case only"),
        key("after", "a span of time", "So long after the opening, while the case is open and nobody took it"),
        key("repeat", "a span of time, at least `1m`", "And again every so often"),
        key("at", "`SPAN before PATH`, `SPAN after PATH`, or a path", "At a date in the event"),
        key("throttle", "a mapping", "At most so many messages in a time; overrides the rule's"),
        key("digest", "a mapping", "Many events in one message; overrides the rule's"),
        key("hours", "hours", "When people may be told; overrides the rule's and the destination's"),
    ],
};

/// What closes a case, as a mapping.
pub const CLOSER: MapDoc = MapDoc {
    name: "closed_by",
    keys: &[
        key("events", "one glob or a list", "Which event types close"),
        key("when", "a condition", "What must hold"),
        key("case", "a path or name, or a list", "The key in the closing event, where it stands elsewhere"),
    ],
};

/// What opens a case by not coming.
pub const MISSING: MapDoc = MapDoc {
    name: "missing",
    keys: &[
        key("events", "one glob or a list", "What should come"),
        key("when", "a condition", "What must hold for it to count"),
        key("for", "a span of time", "For how long none may come"),
    ],
};

/// A throttle.
pub const THROTTLE: MapDoc = MapDoc {
    name: "throttle",
    keys: &[
        key("per", "a path or name, or a list", "Counted apart by this"),
        key("max", "a whole number, else 1", "How many within the window"),
        key("every", "a span of time", "The sliding window"),
        key("rest", "`drop` or `digest`", "What becomes of the others"),
    ],
};

/// A digest.
pub const DIGEST: MapDoc = MapDoc {
    name: "digest",
    keys: &[
        key("per", "a path or name, or a list", "Collected apart by this"),
        key("every", "a span of time", "Goes out so long after its first event"),
        key("at", "a time of day", "Or at this time"),
        key("days", "days", "On these days only"),
        key("timezone", "a zone", "Whose time `at` is, else the default's"),
        key("limit", "a whole number, else 50", "The most events that it shows"),
    ],
};

/// A window of hours.
pub const HOURS: MapDoc = MapDoc {
    name: "hours",
    keys: &[
        key("days", "days: `mon-fri`, `sat`, or a list", "On which the window starts, else on all"),
        key("from", "a time of day", "When it opens"),
        key("to", "a time of day", "When it closes; before `from`: on the next day"),
        key("except", "one date or a list", "On which it doesn't open"),
        key("timezone", "a zone", "Whose time it is, else the default's"),
        key("outside", "`hold` or `drop`", "What becomes of messages outside the window"),
    ],
};

/// A mute.
pub const MUTE: MapDoc = MapDoc {
    name: "mute",
    keys: &[
        key("reason", "a text", "Why"),
        key("by", "a text", "Who says so, else the file"),
        key("events", "one glob or a list", "Only these event types"),
        key("rule", "a rule's name", "Only this rule"),
        key("destination", "a destination", "Only this destination"),
        key("when", "a condition", "Only events for which it holds"),
        key("from", "a time or date", "From when on, else from ever"),
        key("until", "a time or date", "Until when"),
    ],
};

/// All of them.
pub const ALL: [MapDoc; 9] = [FILE, RULE, ACTION, CLOSER, MISSING, THROTTLE, DIGEST, HOURS, MUTE];
