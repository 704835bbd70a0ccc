//! `fanfare explain EVENT`: what each rule makes of an event, and why. `--plain`: what rules say, in sentences.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::{CommandOutcome, Format, load_without_secrets, pick, rule_named, stops, term};
use crate::clock::{Clock, RealClock};
use crate::config::prepare::event_json;
use crate::config::{Snapshot, reach};
use crate::event::Event;
use crate::rules::{ActionJudgement, Held, Judgement, Rule, RuleSet, Why};

pub(super) mod plain;

/// Needs no server and no secrets. Nearest misses come first.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// A sample such as `fraud.action_required`, a file with a body, a body in JSON, `-`, or an own event such as `fanfare.rule.failed`
    #[arg(required_unless_present = "plain")]
    event: Option<String>,
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only rules with this result
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Also show the event, and what each name selects in it
    #[arg(long)]
    body: bool,
    /// The source of the event
    #[arg(long)]
    source: Option<String>,
    /// Show what the rules do in sentences, without an event
    #[arg(long, conflicts_with_all = ["event", "only", "body", "source"])]
    plain: bool,
    /// Only rules that say something else than those beside this `fanfare.yaml`, with what they said
    #[arg(long, value_name = "CONFIG", requires = "plain", conflicts_with = "format")]
    against: Option<PathBuf>,
    /// The output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Those that act
    Matched,
    /// Those that don't
    Missed,
}

/// One rule's answer.
struct Answer<'r> {
    rule: &'r Rule,
    heard: Heard<'r>,
}

/// Whether a rule receives the event at all.
enum Heard<'r> {
    /// It does.
    Judged(Box<Judgement<'r>>),
    /// Its globs don't accept the type.
    OtherType,
    /// It receives another source only.
    OtherSource(&'r str),
    /// It takes no part.
    Disabled,
}

impl Explain {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let Some(asked) = &self.event else {
            let (rule, against) = (self.rule.as_deref(), self.against.as_deref());
            return plain::run(config, &plain::Asked { rule, against, format: self.format });
        };
        let loaded = load_without_secrets(config);
        if stops(&loaded.problems) {
            return Ok(CommandOutcome::Wrong);
        }
        let snapshot = loaded.snapshot.context("nothing could be loaded")?;
        let rules = snapshot.rules.clone().context("no rules could be loaded")?;
        term::show_times_in(snapshot.settings.zone());
        let now = RealClock.now();
        let event = pick::named(&snapshot, asked, self.source.as_deref(), now)?;
        if let Some(name) = &self.rule {
            rule_named(&rules, name)?;
        }
        let mut answers = answers(&rules, &event);
        answers.retain(|answer| self.wants(answer));
        let chosen = chosen(&snapshot, &rules, &event);
        match self.format {
            Format::Json => println!("{:#}", document(&event, &answers, &chosen)),
            Format::Text => {
                let shown = if self.body { shown(&rules, &event) } else { String::new() };
                print!("{}", text(&event, &answers, &Beside { shown, chosen, named: self.rule.is_some() }));
            }
        }
        Ok(CommandOutcome::Good)
    }

    fn wants(&self, answer: &Answer<'_>) -> bool {
        let named = self.rule.as_ref().is_none_or(|name| &answer.rule.name.value == name);
        let acts = matches!(answer.outcome(), "matched" | "closes");
        named && self.only.is_none_or(|only| (only == Only::Matched) == acts)
    }
}

/// What every rule makes of the event: those that act, then the nearest misses, then those that don't receive it.
fn answers<'r>(rules: &'r RuleSet, event: &Event) -> Vec<Answer<'r>> {
    let mut judgements = rules.judge(event);
    let mut answers: Vec<Answer<'r>> = rules
        .rules
        .iter()
        .map(|rule| {
            let at = judgements.iter().position(|judgement| std::ptr::eq(judgement.rule, rule));
            let heard = match (at, rule.source.as_deref()) {
                (Some(at), _) => Heard::Judged(Box::new(judgements.swap_remove(at))),
                (None, _) if !rule.enabled => Heard::Disabled,
                (None, Some(source)) if *source != *event.source && receives(rule, event) => Heard::OtherSource(source),
                (None, _) => Heard::OtherType,
            };
            Answer { rule, heard }
        })
        .collect();
    answers.sort_by_key(|answer| (answer.distance(), answer.rule.name.value.clone()));
    answers
}

fn receives(rule: &Rule, event: &Event) -> bool {
    rule.globs().any(|globs| globs.accept(&event.kind, event.is_own()))
}

impl Answer<'_> {
    fn judgement(&self) -> Option<&Judgement<'_>> {
        match &self.heard {
            Heard::Judged(judgement) => Some(judgement),
            Heard::OtherType | Heard::OtherSource(_) | Heard::Disabled => None,
        }
    }

    fn outcome(&self) -> &'static str {
        match self.judgement() {
            None => "missed",
            Some(judgement) => match judgement.held {
                _ if judgement.accepts() => "matched",
                Some(Held::Failed) => "failed",
                Some(Held::Missed) if judgement.closes.is_none() => "missed",
                _ => "closes",
            },
        }
    }

    /// How far from acting: 0 acts, then by the number of tests that did not hold.
    fn distance(&self) -> usize {
        match (self.judgement(), self.outcome()) {
            (None, _) => usize::MAX,
            (_, "matched" | "closes") => 0,
            (Some(judgement), _) => 1 + judgement.why.as_ref().map_or(0, not_held),
        }
    }

    /// The whole condition, or, of a rule without one, what it receives.
    fn why(&self, event: &Event) -> Why {
        let leaf = |path: &str, test: String, value: Value, held: Held| Why::Test {
            path: path.into(),
            test: test.into(),
            values: vec![value],
            held,
            note: None,
        };
        let of_type = |held| {
            let globs: Vec<&str> =
                self.rule.globs().flat_map(|globs| globs.texts()).map(|glob| glob.text.as_str()).collect();
            leaf("$.type", format!("is like {}", globs.join(", ")), (&*event.kind).into(), held)
        };
        match &self.heard {
            Heard::Judged(judgement) => judgement.why.clone().unwrap_or_else(|| of_type(Held::Held)),
            Heard::OtherType => of_type(Held::Missed),
            Heard::OtherSource(source) => {
                leaf("$.source", format!("is {}", json!(source)), (&*event.source).into(), Held::Missed)
            }
            Heard::Disabled => leaf("enabled", "is true".into(), false.into(), Held::Missed),
        }
    }
}

/// How many tests did not hold.
fn not_held(why: &Why) -> usize {
    match why {
        Why::All { all: parts, .. } => parts.iter().map(not_held).sum(),
        Why::Any { any: parts, held } if *held != Held::Held => parts.iter().map(not_held).min().unwrap_or(1),
        Why::Any { .. } => 0,
        Why::Not { held, .. } | Why::Test { held, .. } => usize::from(*held != Held::Held),
    }
}

/// The addresses that choices give for an event, by destination.
type Chosen = BTreeMap<String, String>;

fn chosen(snapshot: &Snapshot, rules: &RuleSet, event: &Event) -> Chosen {
    let all = snapshot.destinations.values();
    all.filter_map(|to| Some((to.name.clone(), term::one_line(&reach::chosen(to, rules, event)?)))).collect()
}

/// What is shown beside the answers.
struct Beside {
    /// The event as rules see it, if that was asked for.
    shown: String,
    chosen: Chosen,
    /// Whether one rule was asked about.
    named: bool,
}

fn document(event: &Event, answers: &[Answer<'_>], chosen: &Chosen) -> Value {
    let rules: Vec<Value> = answers
        .iter()
        .map(|answer| {
            let judgement = answer.judgement();
            let actions = |judgement: &Judgement<'_>| -> Vec<Value> {
                judgement.actions.iter().map(|one| action(one, chosen)).collect()
            };
            json!({
                "rule": answer.rule.name.value,
                "matched": answer.outcome() == "matched",
                "outcome": answer.outcome(),
                "why": why_json(&answer.why(event)),
                "case": judgement.and_then(|judgement| judgement.case.as_ref()).map(key),
                "closes": judgement.and_then(|judgement| judgement.closes.as_ref()).map(key),
                "closes_why": judgement.and_then(|judgement| judgement.closes_why.as_ref()).map(why_json),
                "actions": judgement.map_or_else(Vec::new, actions),
            })
        })
        .collect();
    json!({"event": event_json(event.clone()), "rules": rules})
}

/// A tree whose leaves have all of `path`, `test`, `values`, `held` and `note`.
fn why_json(why: &Why) -> Value {
    let parts = |parts: &[Why]| parts.iter().map(why_json).collect::<Vec<_>>();
    match why {
        Why::All { all, held } => json!({"all": parts(all), "held": held}),
        Why::Any { any, held } => json!({"any": parts(any), "held": held}),
        Why::Not { not, held } => json!({"not": why_json(not), "held": held}),
        Why::Test { path, test, values, held, note } => {
            json!({"path": path, "test": test, "values": values, "held": held, "note": note})
        }
    }
}

fn key(key: &Result<String, String>) -> Value {
    match key {
        Ok(key) => key.as_str().into(),
        Err(absent) => json!({"absent": absent}),
    }
}

fn action(judgement: &ActionJudgement<'_>, chosen: &Chosen) -> Value {
    let to: Vec<&str> = judgement.action.to.iter().map(|to| to.value.as_str()).collect();
    let chosen: BTreeMap<&str, &String> = to.iter().filter_map(|to| Some((*to, chosen.get(*to)?))).collect();
    let why = judgement.why.as_ref().map(why_json);
    json!({"action": judgement.action.id, "to": to, "chosen": chosen, "held": judgement.held, "why": why})
}

/// The event as rules and templates see it: its body, and what each name selects.
fn shown(rules: &RuleSet, event: &Event) -> String {
    let mut out = format!("{}\n\n", term::safe(&format!("{:#}", event.body)));
    let names = rules.names_in(event);
    for (name, value) in names.iter().filter(|(_, value)| !value.is_null()) {
        out.push_str(&format!("{} {}  {}\n", term::dim("name"), name, term::safe(&value.to_string())));
    }
    out.push('\n');
    out
}

fn text(event: &Event, answers: &[Answer<'_>], beside: &Beside) -> String {
    let mut out = format!("{}  {}\n\n", term::bold(&term::one_line(&event.kind)), term::one_line(event.id.as_str()));
    out.push_str(&beside.shown);
    for answer in answers {
        match answer.judgement() {
            Some(judgement) => judged(answer, judgement, &beside.chosen, &mut out),
            None if beside.named => {
                head(answer, &mut out);
                tree(&answer.why(event), 1, &mut out);
            }
            None => {}
        }
    }
    if beside.named {
        return out;
    }
    let mut line = |what: &str, unheard: fn(&Heard<'_>) -> bool| {
        let names: Vec<&str> = answers
            .iter()
            .filter(|answer| unheard(&answer.heard))
            .map(|answer| answer.rule.name.value.as_str())
            .collect();
        if !names.is_empty() {
            out.push_str(&term::dim(&format!("{what}: {}", names.join(", "))));
            out.push('\n');
        }
    };
    line("for other types", |heard| matches!(heard, Heard::OtherType));
    line("for other sources", |heard| matches!(heard, Heard::OtherSource(_)));
    line("not enabled", |heard| matches!(heard, Heard::Disabled));
    out
}

fn head(answer: &Answer<'_>, out: &mut String) {
    out.push_str(&format!("{}  {}\n", term::state(answer.outcome()), term::bold(&answer.rule.name.value)));
}

/// What is said below a condition that failed, where `if_failed` says so.
const ACTS_ALL_THE_SAME: &str = "Fanfare could not read all of it, and acts anyway: `if_failed: act`";

fn judged(answer: &Answer<'_>, judgement: &Judgement<'_>, chosen: &Chosen, out: &mut String) {
    head(answer, out);
    if let Some(why) = &judgement.why {
        tree(why, 1, out);
    }
    if judgement.accepts() && judgement.held == Some(Held::Failed) {
        out.push_str(&format!("  {ACTS_ALL_THE_SAME}\n"));
    }
    for (what, key) in [("case", &judgement.case), ("closes case", &judgement.closes)] {
        match key {
            Some(Ok(key)) => out.push_str(&format!("  {what} {}\n", term::one_line(key))),
            Some(Err(absent)) => out.push_str(&format!("  {} {what}: {absent}\n", term::bad("✗"))),
            None => {}
        }
    }
    if judgement.arrived && judgement.held.is_none() && judgement.closes.is_none() {
        out.push_str("  the rule waits for this event: its case closes, and its clock restarts\n");
    }
    if let Some(why) = &judgement.closes_why {
        tree(why, 1, out);
    }
    judgement.actions.iter().chain(&judgement.on_close).for_each(|action| action_text(action, chosen, out));
    out.push('\n');
}

fn action_text(judgement: &ActionJudgement<'_>, chosen: &Chosen, out: &mut String) {
    let action = judgement.action;
    let named = |to: &String| chosen.get(to).map_or_else(|| to.clone(), |chosen| format!("{to} ({chosen})"));
    let to: Vec<String> = action.to.iter().map(|to| named(&to.value)).collect();
    out.push_str(&format!("  {} to {}{}\n", mark(judgement.held), to.join(", "), when(judgement)));
    if let Some(why) = &judgement.why {
        tree(why, 2, out);
    }
    if judgement.accepts() && judgement.held == Held::Failed {
        out.push_str(&format!("    {ACTS_ALL_THE_SAME}\n"));
    }
}

/// When an action speaks, and what gathers or holds back what it says.
fn when(judgement: &ActionJudgement<'_>) -> String {
    let action = judgement.action;
    let mut when = String::new();
    if let Some(after) = action.after {
        match &action.after_days {
            Some(days) => when.push_str(&format!(" after {} business days", days.count)),
            None => when.push_str(&format!(" after {after:#}")),
        }
    }
    if let Some(repeat) = action.repeat {
        when.push_str(&format!(", again every {repeat:#}"));
    }
    match &judgement.at {
        Some(Ok(at)) => when.push_str(&format!(" at {}", term::time(*at))),
        Some(Err(absent)) => when.push_str(&format!(" {} no date: {absent}", term::bad("✗"))),
        None => {}
    }
    if let Some(throttle) = &action.throttle {
        let max = throttle.max;
        when.push_str(&format!(", at most {max} in {:#}{}", throttle.every, apart(judgement.throttle.as_ref())));
    }
    if action.digest.is_some() {
        when.push_str(&format!(", in a digest{}", apart(judgement.digest.as_ref())));
    }
    when
}

/// What something is counted or gathered apart by.
fn apart(key: Option<&Result<String, String>>) -> String {
    match key {
        None => String::new(),
        Some(Ok(key)) => format!(" of {}", term::one_line(key)),
        Some(Err(absent)) => format!(" ({} {absent})", term::bad("✗")),
    }
}

fn mark(held: Held) -> String {
    match held {
        Held::Held => term::good("✓"),
        Held::Missed => term::bad("✗"),
        Held::Failed => term::bad("!"),
    }
}

/// One line a node, parts below their whole.
fn tree(why: &Why, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let (held, line, parts): (Held, String, Vec<&Why>) = match why {
        Why::All { all, held } => (*held, "all of".into(), all.iter().collect()),
        Why::Any { any, held } => (*held, "any of".into(), any.iter().collect()),
        Why::Not { not, held } => (*held, "not".into(), vec![not]),
        Why::Test { path, test, values, held, note } => {
            let values: Vec<String> = values.iter().map(|value| term::safe(&value.to_string())).collect();
            let found = if values.is_empty() { "nothing there".into() } else { values.join(", ") };
            let note = note.as_ref().map(|note| term::warn(&format!("  {note}"))).unwrap_or_default();
            (*held, format!("{path} {test}  {}{note}", term::dim(&format!("→ {found}"))), Vec::new())
        }
    };
    // A whole of one part says nothing that the part does not.
    if let (Why::All { .. } | Why::Any { .. }, [only]) = (why, parts.as_slice()) {
        return tree(only, depth, out);
    }
    out.push_str(&format!("{indent}{} {line}\n", mark(held)));
    parts.into_iter().for_each(|part| tree(part, depth + 1, out));
}
