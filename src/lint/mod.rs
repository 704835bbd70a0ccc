//! What is legal and surely not meant: one list of lints, one small function each.
//!
//! Pure, except for [`load()`]. A lint looks at the whole of what was read ([`Whole`]): rules, templates, destinations, and what events
//! look like ([`evidence`](crate::config::evidence)). It says where and how to fix it, and is silent where it can't be sure: a warning that is
//! wrong once is not read again. Where a file could not be read whole, what would need all of them is not asked. To add
//! one: its function in the file of its topic, and its row in [`ALL`]; documentation and tests find it by that.

use std::path::Path;

use jiff::Timestamp;

use crate::channels;
use crate::config::Settings;
use crate::config::evidence::Past;
use crate::config::load::{self, Loaded, Whole};
use crate::config::substitute::Environment;
use crate::problem::{Gravity, Problems};

mod cases;
mod conditions;
mod files;
mod heard;
mod hours;
mod in_time;
mod links;
mod paths;
mod too_late;
mod twins;
mod types;
mod unused;
mod values;

/// One thing that is legal and surely not meant.
#[derive(Debug)]
pub struct Lint {
    /// What its problems are called.
    pub code: &'static str,
    /// How much they matter.
    pub gravity: Gravity,
    /// What it is, in a sentence without a full stop.
    pub doc: &'static str,
    /// What to do, likewise.
    pub fix: &'static str,
    /// Whether it can be told only once every rules file was read whole.
    needs_all: bool,
    find: fn(&Whole, &mut Problems),
}

const fn warning(code: &'static str, find: fn(&Whole, &mut Problems), doc: &'static str, fix: &'static str) -> Lint {
    Lint { code, gravity: Gravity::Warning, doc, fix, needs_all: false, find }
}

const fn of_all(code: &'static str, find: fn(&Whole, &mut Problems), doc: &'static str, fix: &'static str) -> Lint {
    Lint { needs_all: true, ..warning(code, find, doc, fix) }
}

const fn note(code: &'static str, find: fn(&Whole, &mut Problems), doc: &'static str, fix: &'static str) -> Lint {
    Lint { gravity: Gravity::Note, ..warning(code, find, doc, fix) }
}

/// All of them, in the order of the documentation.
pub static ALL: &[Lint] = &[
    warning(
        "unknown-type",
        types::unknown,
        "A glob matches no event type that any source is known to send",
        "Use the suggested type. A type that is new to Fanfare also works",
    ),
    warning(
        "hidden-by-not",
        types::hidden,
        "A `!` excludes everything that another glob of the same list names",
        "Remove one of the two, or narrow the `!`",
    ),
    warning(
        "takes-nothing-away",
        types::idle,
        "A `!` excludes a type that no other glob of its list names",
        "Remove it, or fix its name",
    ),
    warning(
        "unknown-path",
        paths::unknown,
        "No known event of the rule's types (samples, tests, the store) has what a path or name selects",
        "Use the suggested path. If the field exists, put an event with it into `samples/`, or send it in a test (`set:`)",
    ),
    warning(
        "filter-over-mapping",
        paths::filter_over_mapping,
        "A filter `[?…]` follows a mapping, so it tests the value of each member",
        "Remove the filter and test the member itself: `$.data.status: live`",
    ),
    warning(
        "list-as-value",
        values::list,
        "A test of one value, such as an ordering, has a path that selects a whole list",
        "Write `[*]` after the list: the test holds if one of its elements passes",
    ),
    warning(
        "wrong-kind-of-value",
        values::unreadable,
        "A test can't read the value in any known event, and would fail on all of them",
        "Use another operator, or a path one step longer",
    ),
    warning(
        "ne-of-absent",
        values::absent,
        "`ne` or `not_in` tests a value that some samples lack; if it is absent, the test does not hold",
        "Put `not:` around the opposite, which also holds for an absent value. Or add `exists: true`",
    ),
    warning(
        "never-holds",
        conditions::never,
        "Tests contradict each other, so the condition can never hold",
        "For one of several values, write a list or `any:`. For several elements of a list, write one path for each",
    ),
    warning("always-holds", conditions::always, "A test holds for every event", "Remove it, or fix its value"),
    warning(
        "different-elements",
        conditions::different_elements,
        "Two tests of one mapping read the same list, and may hold for two different elements",
        "For one element that passes both, write a filter. For different elements, put the tests into a list of conditions",
    ),
    warning(
        "never-closes",
        cases::never_closes,
        "A case repeats its reminders, and nothing closes it",
        "Say what ends it: `closed_by: TYPE`, `closes_after: 90d`, or both",
    ),
    warning(
        "after-the-end",
        too_late::after_the_end,
        "A reminder (`after`, `repeat`) is due only after its case has closed",
        "Increase `closes_after`, or remind sooner",
    ),
    note(
        "cannot-thread",
        cases::cannot_thread,
        "Further messages of a case appear separately, because their destination can't thread",
        "Write `once: true` to announce only the opening, or use a bot (`token:`), which threads",
    ),
    warning(
        "no-file",
        files::not_taken,
        "An action attaches a file, and one of its destinations takes no files",
        "Send it to a mail as well, or leave `attach` out: elsewhere the message says that the file is left out",
    ),
    note(
        "severity-by-template",
        cases::severity_by_template,
        "A template says whether a message of a case is critical, and nothing else makes its cases wait for a person",
        "Write `severity: critical` on an action, with a `when` of its own if need be, or remind: `after: 2h`",
    ),
    warning(
        "swallowed-escalation",
        cases::swallowed,
        "`outside: drop` or a throttle may drop a reminder (`after`, `repeat`, `at`)",
        "Let it wait (`outside: hold`), give the action `hours: always`, or give it a throttle per case",
    ),
    note(
        "across-midnight",
        hours::across_midnight,
        "A window of hours on certain days continues past midnight",
        "`days` are the days on which it begins. With `mon-fri`, Friday's window ends on Saturday, and early Monday is \
         outside",
    ),
    warning(
        "said-twice",
        twins::said_twice,
        "Two rules send the same message about the same events to one destination",
        "Remove one, or make their `events` or `when` differ",
    ),
    warning(
        "no-fallback",
        in_time::no_fallback,
        "A destination that pages people, or an action of severity `critical`, has no `fallback`",
        "Name a destination of another channel: `fallback: [finance]` in `fanfare.yaml`",
    ),
    warning(
        "escalates-too-soon",
        in_time::too_soon,
        "At some hours a reminder (`after`, `repeat`) comes with or before a message of the opening that waits for its hours",
        "Give both the same hours, or let the opening's message go at once: `hours: always`",
    ),
    note(
        "may-fail",
        in_time::may_fail,
        "A rule that pages people has a condition that can fail on an odd value, and no `if_failed`",
        "Write `if_failed: act` to page anyway, or `if_failed: skip`",
    ),
    warning(
        "links-nowhere",
        links::nowhere,
        "A rule or an action asks for `links`, and `fanfare.yaml` doesn't say where they lead",
        "Add `links: {url: …}` to `fanfare.yaml`: how people reach the address of `listen`",
    ),
    note(
        "native-without-links",
        links::native,
        "A message of a case has a channel's own format, which shows no links",
        "Use the message itself there, or write `links: none`",
    ),
    of_all(
        "unused-destination",
        unused::destinations,
        "No rule and no `fallback` uses a destination",
        "Remove it, or name it in a rule's `to:`",
    ),
    of_all("unused-message", unused::templates, "No rule uses a message", "Remove the template, or name it in a rule"),
    of_all(
        "unused-list",
        unused::lists,
        "No condition uses a list of `lists:`",
        "Remove the list, or use it: `{in: WORD}`",
    ),
    of_all(
        "unused-map",
        unused::maps,
        "No mention and no destination uses a map of `maps:`",
        "Remove the map, or use it: `mention: {map: NAME}`, or as a destination's address in `fanfare.yaml`",
    ),
    of_all(
        "unused-hours",
        unused::hours,
        "No rule, action or destination uses a window of `hours:`",
        "Remove the window, or name it in `hours:` of a rule, an action or a destination",
    ),
    of_all(
        "unheard",
        unused::unheard,
        "No rule handles dead deliveries, or failed rules, so nobody would notice them",
        "Add a rule with `events: \"fanfare.*\"`",
    ),
    of_all(
        "orphaned-cases",
        cases::orphaned,
        "Open cases in the store belong to a rule, or wait for an action, that no longer exists",
        "If you renamed it, add `formerly: OLD-NAME`, or give the action its old `name`. Otherwise close them",
    ),
];

/// What is reported elsewhere, where it is read: what it is called, what it is, and what to do.
static ELSEWHERE: &[(&str, &str, &str)] = &[
    ("looks-like-truth", "`yes`, `no`, `on` or `off` in a test is text", "Write `true` or `false`, or quote it"),
    ("looks-like-operator", "A test compares with the text `>= 5`", "Write `{gte: 5}`"),
    (
        "looks-like-thousands",
        "A number such as `500.000` means five hundred, with three decimals",
        "Write `500000`, or `500.0`",
    ),
    (
        "looks-like-quotes",
        "A text begins with a typographic quotation mark, which is part of it",
        "Write `\"…\"`, or no quotation marks",
    ),
    ("looks-like-list", "A test compares with the name of a list in `lists:`", "Write `{in: WORD}`, or quote the text"),
    ("expects-nothing", "A test expects nothing", "Add `- expect: […]`; `expect: []` means that nothing was sent"),
    (
        "never-reached",
        "A rule for the source `fanfare` has no glob that begins with `fanfare.`, as only those reach own events",
        "Write `events: \"fanfare.*\"`",
    ),
    (
        "undefined",
        "A template uses a value that some or all known events lack",
        "Test it first: `{% if data.reason %}`, or `|default('…')`. If the field exists, put an event with it into \
         `samples/`",
    ),
    (
        "template",
        "A template fails on a known event",
        "Use a filter that fits the value, or put a real event into `samples/`",
    ),
    (
        "severity",
        "A severity computed from an event's value is not a severity",
        "Choose one: `{{ 'critical' if data.severity == 'high' else 'warning' }}`",
    ),
    (
        "native-json",
        "If an event lacks a value, a message in a channel's own format is not JSON",
        "Print it with `|tojson`, or test it first: `{% if data.reason %}`",
    ),
    (
        "bad-sample",
        "A file of `samples/` is not an event; Fanfare skips it",
        "Write the body as it was posted, or `{\"source\": …, \"type\": …, \"body\": …}`",
    ),
    ("dead-link", "A link's target is not a URL with a sample", "Print a value that is a URL, or write the whole URL"),
    (
        "not-read",
        "Fanfare skips a file in a folder of rules, templates or samples, because of its name",
        "Rename it to `.yaml`, `.yml`, `.md`, `.json` or `.html`, or move it elsewhere",
    ),
    (
        "escape-in-quotes",
        "In double quotes, `\\b` and the like are control characters, not part of a pattern",
        "Put the pattern in single quotes: `'…'`",
    ),
    (
        "byte-order-mark",
        "A secret's file or variable begins with a byte order mark, which Fanfare removed",
        "Save it as UTF-8 without one",
    ),
    (
        "quoted-variable",
        "A variable's value has quotation marks around it, which count as part of it",
        "Remove them. Many programs that read variables from a file keep them",
    ),
    (
        "looks-like-variable",
        "`$NAME` and `%NAME%` in `fanfare.yaml` are text; only `${env:NAME}` is replaced",
        "Write `${env:NAME}`",
    ),
    ("html-tag", "A message has an HTML tag, which people would see as text", "Write Markdown; the warning says how"),
    ("not-a-value", "A message has `${…}`, which people would see as text", "Write `{{ … }}`"),
    (
        "not-a-mention",
        "A message says `@channel`, `@here` or `@everyone`, which mentions nobody",
        "Put it beside the text: `mention: [NAME]`, a name of the destination's `mentions`",
    ),
    (
        "misplaced-front-matter",
        "The body of a message has lines that look like front matter",
        "Put them between two lines of `---` at the top of the file",
    ),
    ("secret-in-file", "`fanfare.yaml` contains a secret", "Use the environment: `${env:NAME}`"),
    ("placeholder-secret", "A secret looks like an example", "Use the one that the sender shows"),
    ("short-secret", "A secret is short enough to guess", "Create a longer one at the sender"),
    ("blank-in-secret", "A secret begins or ends with whitespace", "Remove the whitespace"),
    ("short-tolerance", "Fanfare may refuse retried events because of their age", "Remove `tolerance`"),
    (
        "unsigned-id",
        "The id comes from a header that is not signed",
        "Remove it: the body's hash identifies duplicates",
    ),
    (
        "unsigned-type",
        "The event type comes from a header that is not signed: anyone who has a signed body can change the type",
        "Read it from the body, with a path",
    ),
    (
        "unsigned-time",
        "The time comes from a header that is not signed: anyone who has a signed body can change the time",
        "Read it from the body, with a path, or let the sender sign it",
    ),
    ("short-token", "The admin token is short enough to guess", "Create one with `openssl rand -hex 32`"),
    (
        "tls-expires",
        "The certificate of `tls` has expired, or will within 14 days",
        "Renew it, and find out why it was not renewed. Fanfare serves a renewed one without a restart",
    ),
];

/// All that is reported elsewhere; the channels have warnings of their own.
pub fn elsewhere() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ELSEWHERE.iter().chain(channels::ALL.iter().flat_map(|kind| kind.warnings)).copied()
}

/// Loads `fanfare.yaml` and the folders it names, and says what is surely not meant too.
pub fn load(file: &Path, environment: &dyn Environment, now: Timestamp) -> Loaded {
    told(load::load(file, environment, now))
}

/// The same, held against what happened before, which `past` looks up once it is known where that is kept.
pub fn load_after(
    file: &Path,
    environment: &dyn Environment,
    now: Timestamp,
    past: impl FnOnce(&Settings) -> Past,
) -> Loaded {
    told(load::load_after(file, environment, now, past))
}

/// Loads only the folders beside `file`: no secrets and no destinations are known.
pub fn load_rules_only(file: &Path, now: Timestamp) -> Loaded {
    told(load::load_rules_only(file, now))
}

/// Asks every lint of what was loaded.
fn told(mut loaded: Loaded) -> Loaded {
    let mut problems = Problems::new();
    let whole = &loaded.whole;
    for lint in ALL.iter().filter(|lint| whole.is_whole || !lint.needs_all) {
        (lint.find)(whole, &mut problems);
    }
    loaded.add(problems);
    loaded
}
