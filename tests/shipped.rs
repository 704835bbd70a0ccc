//! The rules and messages that we ship: without a mistake or warning, and well said for every sample.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use fanfare::delivery::{CaseFacts, Say};
use fanfare::event::{Event, MISSING};
use fanfare::locale::{self, Locale};
use fanfare::message::template::check::Heard;
use fanfare::message::template::context::Context;
use fanfare::message::{Rendered, Templates};
use fanfare::problem::{File, Problems};
use fanfare::rules::{Action, Held, Judgement, RuleSet, parse};
use fanfare::secret::Secret;
use fanfare::source::scheme::Outgoing;
use fanfare::source::{Request, Source, presets, samples};
use fanfare::yaml::{self, Node, NodeKind};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

/// The destinations that the shipped rules tell.
const DESTINATIONS: [&str; 6] = ["release-team", "label-heads", "finance", "oncall", "fans", "ledger"];

fn now() -> Timestamp {
    "2026-01-05T12:00:00Z".parse().unwrap()
}

fn files(folder: &str, keep: fn(&str) -> bool) -> Vec<Arc<File>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let kept = paths.iter().filter(|path| keep(&name(path)));
    kept.map(|path| File::new(format!("{folder}/{}", name(path)), std::fs::read_to_string(path).unwrap())).collect()
}

fn none(problems: &Problems) {
    let said: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

fn rules() -> RuleSet {
    let preset = presets::preset_names("jewelmusic").iter();
    let names = preset.map(|(name, paths)| ((*name).to_owned(), paths.iter().map(|path| (*path).to_owned()).collect()));
    let presets = [("jewelmusic".to_owned(), names.collect())].into();
    let mut problems = Problems::new();
    let files = files("rules", |name| name.ends_with(".yaml") && !name.ends_with(".test.yaml"));
    // Without a default zone: the set stands for itself.
    let rules = parse::parse(&files, &presets, None, &mut problems);
    none(&problems);
    rules
}

fn templates() -> Templates {
    let mut problems = Problems::new();
    let templates = Templates::load(&files("templates", |_| true), fanfare::channels::formats(), &mut problems);
    none(&problems);
    templates
}

/// A body as an event of JewelMusic's.
fn event(body: &[u8]) -> Event {
    let source = Source::of("jewelmusic", presets::named("jewelmusic").unwrap(), vec![Secret::new("shipped")]);
    let outgoing = Outgoing { id: "", kind: "", body, at: now() };
    let mut headers = axum::http::HeaderMap::new();
    for (name, value) in source.sign(None, &outgoing).unwrap() {
        headers.insert(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    fanfare::source::open(&source, &Request { headers: &headers, body }, now()).unwrap()
}

/// Every sample, a few that lack or exceed what samples have, and each of our own events as the planner makes them.
fn events() -> Vec<(String, Event)> {
    let mut events: Vec<_> = samples::ALL.iter().map(|s| (s.name.to_owned(), event(s.text.as_bytes()))).collect();
    for (name, body) in [
        (
            "fraud.action_required, bare",
            r#"{"type":"fraud.action_required","data":{"case_id":"C9","severity":"high"}}"#,
        ),
        ("track.failed, bare", r#"{"type":"track.failed","data":{"track_id":"T9"}}"#),
        (
            "royalty.payment.completed, large",
            r#"{"type":"royalty.payment.completed","data":{"amount":10000,"currency":"USD"}}"#,
        ),
        (
            "analysis.completed, poor",
            r#"{"type":"analysis.completed","data":{"track":{"title":"A","artist":"B"},"analysis":{"quality":{"overallScore":0.4}}}}"#,
        ),
        ("fanfare.unparsed", "hello"),
    ] {
        events.push((name.to_owned(), event(body.as_bytes())));
    }
    events.extend(fanfare::event::own::ALL.iter().map(|own| (own.kind.to_owned(), own.event(now()))));
    let missing = Event::own(MISSING, MISSING, now(), json!({"rule": "royalty-missing", "for": "35d"}));
    events.push((MISSING.to_owned(), missing));
    events
}

/// What each rule makes of an event; a rule that waits for something is put before the event that tells its absence.
fn judged<'r>(rules: &'r RuleSet, event: &Event) -> Vec<Judgement<'r>> {
    if &*event.kind == MISSING {
        let waiting = rules.rules.iter().filter(|rule| rule.missing.is_some());
        return waiting.map(|rule| rules.judge_rule(rule, event)).collect();
    }
    rules.judge(event)
}

/// The actions of a rule that speak of an event: those at a match, and those at a close.
fn speaking<'r>(judgement: &Judgement<'r>) -> Vec<&'r Action> {
    let matched = judgement.actions.iter().filter(|_| judgement.held == Some(Held::Held));
    let closed = judgement.on_close.iter().filter(|_| judgement.closes.is_some());
    matched.chain(closed).filter(|acted| acted.held == Held::Held).map(|acted| acted.action).collect()
}

/// A context in which an action speaks of an event: as one message, or as the last of a digest of two.
fn context<'a>(rules: &RuleSet, rule: &'a str, action: &Action, event: &'a Event) -> Context<'a> {
    let facts = CaseFacts {
        key: "C1".into(),
        opened: event.created,
        count: 1,
        last: event.created,
        closed: false,
        step: 0,
        overdue: false,
    };
    Context {
        event,
        events: if action.digest.is_some() { vec![event, event] } else { Vec::new() },
        more: 0,
        suppressed: 0,
        sum: None,
        parts: Vec::new(),
        names: rules.names_in(event),
        case: Some(facts),
        rule,
        rule_description: None,
        with: action.with.clone(),
        severity: action.severity,
        died: None,
        now: now(),
        zone: TimeZone::UTC,
        locale: fanfare::locale::english(),
        outside: false,
        admin_url: Some("https://fanfare.label.example"),
    }
}

/// Whatever the starter set says of any event.
pub fn said() -> Vec<Rendered> {
    all_said(&rules(), &templates()).into_iter().map(|(.., rendered)| rendered).collect()
}

/// Whatever any rule says of any event: the rule, the event's name, the message.
fn all_said(rules: &RuleSet, templates: &Templates) -> Vec<(String, String, Rendered)> {
    all_said_in(locale::english(), rules, templates)
}

fn all_said_in(locale: &'static Locale, rules: &RuleSet, templates: &Templates) -> Vec<(String, String, Rendered)> {
    let mut said = Vec::new();
    for (name, event) in events() {
        for judgement in judged(rules, &event) {
            let rule = &judgement.rule.name.value;
            for action in speaking(&judgement) {
                let rendered = templates.render(
                    &action.say.value,
                    &Context { locale, ..context(rules, rule, action, &event) },
                    None,
                );
                said.push((rule.clone(), name.clone(), rendered));
            }
        }
    }
    said
}

#[test]
fn the_shipped_rules_and_messages_have_no_mistake_and_no_warning() {
    let (rules, templates) = (rules(), templates());
    let events = events();
    let mut problems = Problems::new();
    for rule in &rules.rules {
        for action in rule.all_actions() {
            let about = |event: &Event| {
                judged(&rules, event).iter().flat_map(speaking).any(|speaking| std::ptr::eq(speaking, action))
            };
            let heard: Vec<_> = events.iter().filter(|(_, event)| about(event)).collect();
            assert!(!heard.is_empty(), "{}: an action that no event reaches", rule.name.value);
            let contexts: Vec<_> =
                heard.iter().map(|(_, event)| context(&rules, &rule.name.value, action, event)).collect();
            match &action.say.value {
                Say::Message(name) => {
                    assert!(templates.has(name), "{}: no template `{name}`", rule.name.value);
                    templates.check_message(name, Heard::of(&contexts), &mut problems);
                }
                Say::Text(text) => templates.check_text(text, &action.say.place, Heard::of(&contexts), &mut problems),
                Say::Default | Say::Summary => {}
            }
        }
    }
    none(&problems);
}

#[test]
fn the_starters_messages_in_german_and_french_say_the_same_of_the_same_events() {
    let (rules, templates) = (rules(), templates());
    let english = all_said(&rules, &templates);
    for code in ["de", "fr"] {
        let said = all_said_in(locale::named(code).unwrap(), &rules, &templates);
        let mut translated = BTreeSet::new();
        for ((rule, event, ours), (.., theirs)) in english.iter().zip(&said) {
            let (ours, theirs) = (&ours.message, &theirs.message);
            let whole = |message: &fanfare::message::Message| {
                (message.severity, message.link.clone(), message.image.clone(), message.fields.len())
            };
            assert_eq!(whole(ours), whole(theirs), "{rule} of {event} in {code}");
            if ours.fields.iter().zip(&theirs.fields).any(|(a, b)| a.name != b.name) || ours.title != theirs.title {
                translated.insert(rule.as_str());
            }
        }
        for rule in ["fraud-case", "release-live", "release-rejected", "royalty-payments", "royalty-statements"] {
            assert!(translated.contains(rule), "{rule} is not in {code}: {translated:?}");
        }
    }
}

#[test]
fn every_message_is_well_said_for_every_sample_that_it_is_for() {
    let (rules, templates) = (rules(), templates());
    let said: Vec<_> = locale::ALL.iter().flat_map(|locale| all_said_in(locale, &rules, &templates)).collect();
    for (rule, event, rendered) in &said {
        let message = &rendered.message;
        assert_eq!((&rendered.problem, rendered.undefined), (&None, 0), "{rule} of {event}");
        let title = &message.title;
        assert!(
            !title.is_empty() && !title.contains("  ") && !title.ends_with([':', ',', ' ']),
            "{rule} of {event}: {title:?}"
        );
        let whole = serde_json::to_string(message).unwrap();
        for wrong in ["undefined", "none", "null", "{{", "{%", " ,", "**", "__"] {
            let hostile = event == "release.live-hostile";
            assert!(hostile || !whole.contains(wrong), "{rule} of {event} says {wrong:?}: {whole}");
        }
    }
    let messages: BTreeSet<&str> = templates.names().into_iter().collect();
    let used: BTreeSet<&str> = rules
        .rules
        .iter()
        .flat_map(|rule| rule.all_actions())
        .filter_map(|action| match &action.say.value {
            Say::Message(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(messages, used, "every template is used, and every one that is used is there");
}

#[test]
fn every_event_of_the_page_reaches_someone() {
    let rules = rules();
    for sample in samples::ALL.iter().take(samples::PAGE) {
        let event = event(sample.text.as_bytes());
        let heard = rules.judge(&event).iter().any(|judgement| judgement.held.is_some() || judgement.closes.is_some());
        assert!(heard, "no rule receives {}", sample.name);
    }
}

#[test]
fn every_event_of_fanfares_own_reaches_someone_and_the_rules_page_says_to_whom() {
    let (rules, page) = (rules(), std::fs::read_to_string("docs/RULES.md").unwrap());
    for name in fanfare::event::own::names() {
        let accepts = |globs: &fanfare::rules::Globs| globs.accept(name, true);
        let starter = rules.rules.iter().any(|rule| rule.globs().any(accepts));
        assert!(starter, "no rule of the starter receives {name}");
        let rows = page.lines().filter(|line| line.starts_with("| `fanfare.") && line.contains(&format!("`{name}`")));
        let told: Vec<_> = rows.filter(|row| row.trim_matches('|').split('|').count() == 4).collect();
        assert_eq!(told.len(), 1, "the rules' page says of {name} whom it is for");
        let example = page.lines().any(|line| line.trim_start().starts_with("events: ") && line.contains(name));
        let closes = page.lines().any(|line| line.trim_start() == format!("closed_by: {name}"));
        assert!(example || closes, "the rules' page has an example for {name}");
    }
}

#[test]
fn the_shipped_rules_tell_the_six_destinations_and_no_other() {
    let rules = rules();
    let told: BTreeSet<&str> = rules.destinations().map(|to| to.value.as_str()).collect();
    assert_eq!(told, DESTINATIONS.into_iter().collect());
}

#[test]
fn every_rule_has_a_test_and_every_test_speaks_of_what_there_is() {
    let rules = rules();
    let mut tested = BTreeSet::new();
    for file in files("rules", |name| name.ends_with(".test.yaml")) {
        let mut problems = Problems::new();
        let root = yaml::read(&file, &mut problems).unwrap();
        none(&problems);
        let of_file: Vec<String> = {
            let yaml = file.path.replace(".test.yaml", ".yaml");
            rules
                .rules
                .iter()
                .filter(|rule| rule.name.place.file.path == yaml)
                .map(|rule| rule.name.value.clone())
                .collect()
        };
        for test in list(&root, "tests") {
            let named: Vec<String> = list(test, "rules").iter().map(|rule| rule.scalar().unwrap().to_owned()).collect();
            assert!(named.iter().all(|name| rules.rule(name).is_some()), "{named:?}");
            tested.extend(if named.is_empty() { of_file.clone() } else { named });
            for step in list(test, "steps") {
                if let Some(name) = entry(step, "send").and_then(Node::scalar) {
                    assert!(samples::named(name).is_some(), "no sample {name}");
                }
                for expected in list(step, "expect") {
                    let to = entry(expected, "to").map_or("", |to| to.scalar().unwrap());
                    assert!(to.is_empty() || DESTINATIONS.contains(&to), "no destination {to}");
                    let rule = entry(expected, "rule").map(|rule| rule.scalar().unwrap());
                    assert!(rule.is_none_or(|rule| rules.rule(rule).is_some()), "no rule {rule:?}");
                }
            }
        }
    }
    // No step can bring a mute to its end, keep Fanfare from being there, make a part of it fail, or break files.
    tested.extend(
        ["own-mutes", "own-flooding", "own-backfill", "own-absence", "own-task-failed", "own-reload-failed"]
            .map(str::to_owned),
    );
    let untested: Vec<_> =
        rules.rules.iter().filter(|rule| !tested.contains(&rule.name.value)).map(|rule| &rule.name.value).collect();
    assert!(untested.is_empty(), "no test of {untested:?}");
}

fn entry<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().find(|(found, _)| found.text == key).map(|(_, node)| node),
        _ => None,
    }
}

fn list<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    entry(node, key).map_or(&[], Node::one_or_more)
}

#[test]
fn a_title_that_tries_everything_stays_text_in_every_message() {
    let (rules, templates) = (rules(), templates());
    for (rule, event, rendered) in all_said(&rules, &templates) {
        if event != "release.live-hostile" {
            continue;
        }
        let whole = serde_json::to_string(&rendered.message).unwrap();
        for link in whole.split("\"link\":[\"").skip(1) {
            let target = link.split('"').next().unwrap();
            assert!(target.starts_with("https://"), "{rule}: {target}");
        }
        assert!(!rendered.message.title.contains(['\r', '\n']), "{rule}: {:?}", rendered.message.title);
    }
}
