//! The planner: event sequences in, plans out. Each `planner/*.yaml` holds sequences about one thing.
//!
//! A sequence has a name, `to` (the destinations), `rules` (a rules file, or the path of a recipe's), maybe a `zone` (the
//! default one) and `steps`: `send` (with `id`, `data`,
//! `created` as a span from now), `together` (a list of sends planned as one batch), `queue` (a send that is planned
//! later), `wait`, `at`, `jump` (the clock moves on while nobody plans), `close`, `ack`, `by_hand` (what comes due first of a kind
//! is sent now or cancelled), `mute`, `unmute`, `replay`, `die`,
//! `notice`, `stick` and `unstick` (a destination takes nothing), `remove` (a destination), `hold_back` (nothing is planned for a while), `rules` (a reload), `shadow`;
//! and what must be so then: `expect` (all that was sent since the last time, in any order), `own` (the own events), `why`
//! (a row of an event and rule), `open` (the keys of open cases), `waiting` (of those that wait for a person), `kept` (how many documents of a kind). Nothing may be
//! sent that no `expect` names.

use std::fs;
use std::path::Path;

use fanfare::event::{Command, Item, Signal};
use fanfare::planner::{self, Case, Timer};
use serde_json::{Value, json};

use self::world::{World, places, rules_in, span};

mod files;
mod laws;
mod world;
mod year;

/// Whether a text is meant by a pattern in which `*` is any run of characters.
fn like(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether every field of `expected` is so in `actual`.
fn meets(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(expected), _) => {
            expected.iter().all(|(name, value)| meets(value, actual.get(name).unwrap_or(&Value::Null)))
        }
        (Value::String(expected), Value::String(actual)) => like(expected, actual),
        (Value::Number(expected), Value::Number(actual)) => expected.to_string() == actual.to_string(),
        _ => expected == actual,
    }
}

/// Matches what must be with what is, one to one.
fn one_to_one(expected: &[Value], actual: Vec<Value>) -> Result<(), String> {
    let mut left = actual.clone();
    for wanted in expected {
        match left.iter().position(|one| meets(wanted, one)) {
            Some(at) => drop(left.remove(at)),
            None => return Err(format!("{wanted} is not among {}", json!(actual))),
        }
    }
    if left.is_empty() { Ok(()) } else { Err(format!("more than was expected: {}", json!(left))) }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn owned(value: &Value, name: &str) -> String {
    text(value, name).to_owned()
}

fn maybe(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

struct Play {
    world: World,
    sent: u32,
}

impl Play {
    fn send(&mut self, step: &Value) {
        self.sent += 1;
        let created = maybe(step, "created").map_or(self.world.now, |by| self.world.now + span(&by));
        let id = maybe(step, "id").unwrap_or_else(|| format!("e{}", self.sent));
        let data = step.get("data").cloned().unwrap_or(json!({}));
        let mut event = self.world.event(text(step, "send"), &id, created, data);
        if let Some(source) = maybe(step, "source") {
            event.source = source.as_str().into();
        }
        self.world.put(Item::Event(Box::new(event)));
    }

    /// A person sends now, or cancels, what comes due first of a kind.
    fn by_hand(&mut self, what: &str, step: &Value) {
        let is_meant = |timer: &&Timer| timer.text.starts_with(&format!("{{\"{what}\""));
        let timer = self.world.timers.values().filter(is_meant).min_by_key(|timer| timer.due).unwrap().clone();
        let does = serde_json::from_value(step["does"].clone()).unwrap();
        let command = Command::Upcoming { timer: timer.text, due: timer.due, does, by: "ana".into() };
        self.world.put(Item::Command(command));
    }

    fn command(&mut self, command: Command) {
        self.world.put(Item::Command(command));
        self.world.drain();
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each verb of the sequences")]
    fn step(&mut self, step: &Value) -> Result<(), String> {
        let (verb, value) = step.as_object().and_then(|map| map.iter().next()).expect("a step is a mapping");
        let by = || maybe(value, "by").unwrap_or_else(|| "ana".to_owned());
        match verb.as_str() {
            "send" => {
                let times = step.get("times").and_then(Value::as_u64).unwrap_or(1);
                (0..times).for_each(|_| self.send(step));
                self.world.drain();
            }
            "queue" => {
                let mut step = step.clone();
                let kind = step.as_object_mut().and_then(|map| map.remove("queue")).unwrap();
                step["send"] = kind;
                self.send(&step);
            }
            "jump" => {
                self.world.now += span(value.as_str().unwrap());
                self.world.drain();
            }
            "kept" => {
                for (kind, number) in value.as_object().unwrap() {
                    let kept = self.world.docs.keys().filter(|key| key.kind == *kind).count();
                    if json!(kept) != *number {
                        return Err(format!("{kept} of kind {kind} are kept, not {number}: {:?}", self.world.docs));
                    }
                }
            }
            "together" => {
                for step in value.as_array().into_iter().flatten() {
                    match step.get("by_hand") {
                        Some(what) => self.by_hand(what.as_str().unwrap(), step),
                        None => self.send(step),
                    }
                }
                self.world.drain();
            }
            "by_hand" => {
                self.by_hand(value.as_str().unwrap(), step);
                self.world.drain();
            }
            "wait" => self.world.wait(span(value.as_str().unwrap())),
            "at" => self.world.wait_until(value.as_str().unwrap().parse().unwrap()),
            "close" => self.command(Command::CloseCase {
                rule: owned(value, "rule"),
                key: owned(value, "key"),
                by: by(),
                note: None,
            }),
            "ack" => {
                self.command(Command::AckCase {
                    rule: owned(value, "rule"),
                    key: owned(value, "key"),
                    by: by(),
                    note: None,
                });
            }
            "mute" => {
                let mute = self.world.mute(value);
                self.command(Command::Mute(mute));
            }
            "unmute_all" => {
                let ids: Vec<String> = self.world.rules.mutes.iter().map(|file| file.mute.id.clone()).collect();
                let by = value.as_str().unwrap().to_owned();
                ids.into_iter().for_each(|id| self.command(Command::Unmute { id, by: by.clone() }));
            }
            "left" => {
                if json!(self.world.left) != *value {
                    return Err(format!("left behind are {:?}, not {value}", self.world.left));
                }
            }
            "unmute" => self.command(Command::Unmute { id: owned(value, "id"), by: by() }),
            "flood" => {
                self.command(Command::Flood { rule: owned(value, "rule"), by: by(), drop: value["drop"] == true })
            }
            "replay" => {
                let event = self.world.seq_of(text(value, "event"));
                self.world.recall(&[event]);
                let again = value.get("again").and_then(Value::as_u64).unwrap_or_default();
                self.command(Command::Replay { event, again, rule: maybe(value, "rule") });
            }
            "die" => {
                let times = value.get("times").and_then(Value::as_u64).unwrap_or(1);
                (0..times).for_each(|_| self.world.die(text(value, "to"), text(value, "reason")));
                self.world.drain();
            }
            "notice" => {
                let signal = Signal {
                    kind: owned(value, "kind"),
                    rule: maybe(value, "rule"),
                    destination: maybe(value, "destination"),
                    at: self.world.now,
                    data: value.get("data").and_then(Value::as_object).cloned().unwrap_or_default(),
                    from_own: value.get("from_own").and_then(Value::as_bool).unwrap_or_default(),
                    died: None,
                };
                self.world.put(Item::Signal(signal));
                self.world.drain();
            }
            "stick" => drop(self.world.stuck.insert(value.as_str().unwrap().to_owned())),
            "unstick" => {
                self.world.stuck.remove(value.as_str().unwrap());
                self.world.drain();
            }
            "rules" => {
                self.world.reload(value.as_str().unwrap());
                self.world.drain();
            }
            "remove" => drop(self.world.places.named.remove(value.as_str().unwrap())),
            "hold_back" => {
                self.world.held_back = value.as_bool().unwrap();
                self.world.drain();
            }
            "shadow" => self.world.places.shadow = value.as_bool().unwrap(),
            "expect" => {
                let sent = std::mem::take(&mut self.world.sent);
                let shown = sent.iter().map(|delivery| self.world.shown(delivery)).collect();
                return one_to_one(value.as_array().unwrap(), shown);
            }
            "own" => {
                let own = std::mem::take(&mut self.world.own);
                let shown = own.iter().map(|event| {
                    let mut shown = event.data().clone();
                    shown["type"] = json!(&*event.kind);
                    shown
                });
                return one_to_one(value.as_array().unwrap(), shown.collect());
            }
            "why" => {
                let event = self.world.seq_of(text(value, "event"));
                let rule = maybe(value, "rule");
                let judged = self.world.archive.get(&event);
                let misses = judged.map(|judged| planner::misses(&self.world.rules, event, judged));
                let missed: Vec<_> = misses.into_iter().flatten().filter_map(|(_, row)| row).collect();
                let rows = self.world.whys.iter().filter(|row| row.event == event).chain(&missed);
                let rows = rows.filter(|row| rule.as_ref().is_none_or(|rule| *rule == row.rule));
                let shown: Vec<Value> = rows.map(|row| json!(row)).collect();
                let wanted: Value = value
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(name, _)| *name != "event")
                    .map(|(n, v)| (n.clone(), v.clone()))
                    .collect();
                if !shown.iter().any(|row| meets(&wanted, row)) {
                    return Err(format!("{wanted} is not among {}", json!(shown)));
                }
            }
            "waiting" => {
                let waiting: Vec<String> =
                    self.world.cases().into_iter().filter(Case::waits_for_a_person).map(|case| case.key).collect();
                if json!(waiting) != *value {
                    return Err(format!("waiting for a person are {waiting:?}, not {value}"));
                }
            }
            "open" => {
                let open: Vec<String> = self.world.cases().into_iter().map(|case| case.key).collect();
                if json!(open) != *value {
                    return Err(format!("open are {open:?}, not {value}"));
                }
            }
            other => panic!("no such step: {other}"),
        }
        Ok(())
    }
}

fn play(sequence: &Value, batch: usize) -> Result<(), String> {
    let text = text(sequence, "rules");
    let zone = sequence.get("zone").and_then(Value::as_str);
    let places = places(&sequence["to"], &rules_in(text, zone));
    let mut play = Play { world: World::in_zone(text, places, zone), sent: 0 };
    play.world.batch = batch;
    for (number, step) in sequence["steps"].as_array().expect("steps").iter().enumerate() {
        play.step(step).map_err(|problem| format!("step {}, {step}: {problem}", number + 1))?;
    }
    let sent = std::mem::take(&mut play.world.sent);
    one_to_one(&[], sent.iter().map(|delivery| play.world.shown(delivery)).collect())
}

/// Plays every sequence, planning what comes together in one batch and one by one.
#[test]
fn every_sequence_comes_out_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planner");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    let (mut played, mut failed) = (0, Vec::new());
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let sequences: Vec<Value> = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        for sequence in &sequences {
            played += 1;
            for batch in [100, 1] {
                let name = self::text(sequence, "name");
                let played = std::panic::catch_unwind(|| play(sequence, batch));
                let problem = match played {
                    Ok(Ok(())) => continue,
                    Ok(Err(problem)) => problem,
                    Err(_) => "panicked".to_owned(),
                };
                failed.push(format!("{file}: {name} (batches of {batch})\n    {problem}"));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{} of {played} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(played >= 160, "only {played} sequences were found");
}
