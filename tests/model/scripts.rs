//! Rules and histories, made by a seed.

use fanfare::event::{Command, UpcomingOp};
use serde_json::{Value, json};

use super::{DAY, HOUR, MINUTE, Ms, SECOND, deadlines, words};

/// Every destination.
pub const PLACES: [&str; 4] = ["chat", "pager", "mail", "night"];
/// The one that can change what it showed.
pub const UPDATING: &str = "pager";

/// One that can change it before the close as well; only what `words` adds goes there.
pub const EDITING: &str = "board";

/// The one with an embargo until each event's date; only what `words` adds goes there.
pub const PRESS: &str = "press";

/// The one whose address a map gives, and that map.
pub const MAPPED: &str = "mail";
pub const ROOMS: &str = "rooms";

/// What happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// An event about a key, created so long ago, with a date so far ahead.
    Send {
        number: usize,
        kind: &'static str,
        key: &'static str,
        late: Ms,
        date: Ms,
    },
    /// The same event once more.
    Again(usize),
    Wait(Ms),
    /// The clock is set.
    Jump(Ms),
    /// Other rules come into force.
    Reload(usize),
    /// The process ends, and another begins.
    Restart,
    /// The process plans, and ends before it is committed.
    Lose,
    /// What waits is planned, and nothing after it.
    Plan,
    Person(Command),
    /// Somebody sends now, or cancels, one of what waits for its time.
    Hand {
        nth: usize,
        does: UpcomingOp,
    },
    /// Somebody asks for silence.
    Hush {
        id: String,
        rule: Option<&'static str>,
        to: Option<&'static str>,
        span: Ms,
    },
}

/// Rules in versions, and a history.
#[derive(Debug, Clone)]
pub struct Script {
    /// Rules files.
    pub versions: Vec<Value>,
    pub steps: Vec<Step>,
}

pub(super) type Dice = fastrand::Rng;

/// The script that a seed makes.
pub fn script(seed: u64) -> Script {
    let mut dice = Dice::with_seed(seed);
    let first = rules(&mut dice);
    // A rule that was renamed and then taken out is known by no name.
    let renames = dice.bool();
    let mut all = [first.clone(), edited(&first, renames, &mut dice), edited(&first, renames, &mut dice)];
    words::put_into(&mut all, seed);
    words::put_cards_into(&mut all, seed);
    words::put_press_into(&mut all, seed);
    let mut steps = steps(&mut dice);
    deadlines::put_into(&mut all, seed);
    words::put_floods_into(&mut all, &mut steps, seed);
    let rooms = words::rooms(seed, all.len());
    let versions = all.into_iter().zip(rooms).map(|(rules, rooms)| json!({"rules": rules, "maps": {ROOMS: rooms}}));
    let versions = versions.collect();
    words::put_hands_into(&mut steps, seed);
    Script { versions, steps }
}

pub(super) fn one<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.usize(0..of.len())]
}

/// Perhaps one of these.
fn maybe<T: Copy>(dice: &mut Dice, of: &[T]) -> Option<T> {
    dice.bool().then(|| one(dice, of))
}

fn to(dice: &mut Dice) -> Value {
    let first = one(dice, &PLACES);
    let second = one(dice, &PLACES);
    if first == second || dice.bool() { json!(first) } else { json!([first, second]) }
}

fn action(name: &str, dice: &mut Dice) -> Value {
    json!({"name": name, "to": to(dice), "text": format!("{name} {{{{ event.id }}}}")})
}

fn hours(dice: &mut Dice) -> Value {
    let (from, to) = one(dice, &[("09:00", "18:00"), ("22:00", "06:00"), ("11:00", "12:00")]);
    let outside = one(dice, &["hold", "hold", "drop"]);
    json!({"days": "mon-sun", "from": from, "to": to, "timezone": "UTC", "outside": outside})
}

fn throttle(dice: &mut Dice) -> Value {
    let rest = one(dice, &["drop", "digest"]);
    json!({"per": "$.data.key", "max": dice.usize(1..4), "every": one(dice, &["10m", "1h", "7h"]), "rest": rest})
}

fn digest(dice: &mut Dice) -> Value {
    json!({"per": "$.data.key", "every": one(dice, &["30m", "6h", "1d"]), "limit": dice.usize(1..4)})
}

/// What stands in the way of an action's messages.
fn hindered(mut action: Value, dice: &mut Dice) -> Value {
    match dice.u32(0..8) {
        0 => action["throttle"] = throttle(dice),
        1 => action["digest"] = digest(dice),
        2 | 3 => action["hours"] = hours(dice),
        4 => {
            action["throttle"] = throttle(dice);
            action["hours"] = hours(dice);
        }
        _ => {}
    }
    action
}

/// Sets a key of a rule or action, perhaps.
fn set<T: Into<Value>>(of: &mut Value, key: &str, value: Option<T>) {
    if let Some(value) = value {
        of[key] = value.into();
    }
}

/// A few rules of each kind, with everything that varies varied.
fn rules(dice: &mut Dice) -> Vec<Value> {
    let mut all = vec![cases(dice), plain(dice)];
    if dice.bool() {
        all.push(awaited(dice));
    }
    if dice.bool() {
        all.push(dated(dice));
    }
    all
}

fn cases(dice: &mut Dice) -> Value {
    let mut open = action("open", dice);
    set(&mut open, "once", dice.bool().then_some(true));
    let mut actions = vec![hindered(open, dice)];
    if dice.bool() {
        actions.push(action("again", dice));
    }
    let mut late = action("late", dice);
    late["after"] = one(dice, &["10m", "2h", "3d"]).into();
    set(&mut late, "repeat", maybe(dice, &["1h", "5h", "2d"]));
    actions.push(hindered(late, dice));
    if dice.u32(0..3) == 0 {
        let mut often = action("often", dice);
        set(&mut often, "repeat", maybe(dice, &["4h", "1d"]));
        actions.push(often);
    }
    let mut rule = json!({
        "name": "case",
        // Whichever version comes after another, what bore one name is known by it.
        "formerly": ["case-renamed"],
        "events": ["opened", "both"],
        "case": "$.data.key",
        "closed_by": ["closed", "both"],
        "closes_after": maybe(dice, &["5h", "2d", "9d"]).unwrap_or("20d"),
        "actions": actions,
    });
    set(&mut rule, "on_close", dice.bool().then(|| action("over", dice)));
    rule
}

fn plain(dice: &mut Dice) -> Value {
    let mut actions = vec![hindered(action("say", dice), dice)];
    if dice.bool() {
        actions.push(hindered(action("tell", dice), dice));
    }
    json!({"name": "plain", "events": ["plain", "opened"], "actions": actions})
}

/// `missing:`.
fn awaited(dice: &mut Dice) -> Value {
    let mut actions = vec![action("ask", dice)];
    if dice.bool() {
        let mut insist = action("insist", dice);
        insist["after"] = "1d".into();
        actions.push(insist);
    }
    let mut rule = json!({
        "name": "awaited",
        "missing": {"events": "plain", "for": one(dice, &["1d", "3d"])},
        "closes_after": one(dice, &["12h", "10d"]),
        "actions": actions,
    });
    set(&mut rule, "on_close", dice.bool().then(|| action("came", dice)));
    rule
}

/// `at:`.
fn dated(dice: &mut Dice) -> Value {
    let mut due = action("due", dice);
    due["at"] = one(dice, &["$.data.date", "6h before $.data.date", "2d before $.data.date"]).into();
    json!({
        "name": "dated",
        "events": "opened",
        "case": "$.data.key",
        "closed_by": "closed",
        "closes_after": "15d",
        "actions": [due],
    })
}

/// The same rules as somebody would have changed them: names, times, rules taken out.
fn edited(rules: &[Value], renames: bool, dice: &mut Dice) -> Vec<Value> {
    let mut edited = rules.to_vec();
    for rule in &mut edited {
        if renames && rule["name"] == "case" && dice.bool() {
            (rule["name"], rule["formerly"]) = ("case-renamed".into(), json!(["case"]));
        }
        for action in rule["actions"].as_array_mut().unwrap() {
            if action.get("after").is_some() && dice.bool() {
                action["after"] = one(dice, &["5m", "4h", "4d"]).into();
            }
            if action.get("repeat").is_some() && action.get("after").is_some() && dice.u32(0..3) == 0 {
                action.as_object_mut().unwrap().remove("repeat");
                set(action, "repeat", maybe(dice, &["3h", "1d"]));
            }
        }
        if rule.get("closes_after").is_some() && dice.u32(0..3) == 0 {
            rule["closes_after"] = one(dice, &["8h", "3d", "12d"]).into();
        }
    }
    if dice.u32(0..3) == 0 {
        let out = dice.usize(usize::from(renames)..edited.len());
        edited.remove(out);
    }
    edited
}

const KINDS: [&str; 5] = ["opened", "closed", "both", "plain", "odd"];
const KEYS: [&str; 3] = ["K1", "K2", "7"];

fn steps(dice: &mut Dice) -> Vec<Step> {
    let mut all = Vec::new();
    let mut sent = 0;
    for number in 0..dice.usize(15..60) {
        all.push(match dice.u32(0..40) {
            0..=15 => {
                sent = number + 1;
                let kind = one(dice, &[KINDS[0], KINDS[0], KINDS[1], KINDS[2], KINDS[3], KINDS[3], KINDS[4]]);
                let late = one(dice, &[0, SECOND, 20 * MINUTE, 3 * HOUR, 30 * HOUR]);
                let date = dice.i64(-DAY..6 * DAY);
                Step::Send { number, kind, key: one(dice, &KEYS), late, date }
            }
            16 | 17 => Step::Again(dice.usize(0..sent.max(1))),
            18..=27 => Step::Wait(match dice.u32(0..4) {
                0 => dice.i64(0..5 * MINUTE),
                1 => dice.i64(0..3 * HOUR),
                2 => dice.i64(0..DAY),
                _ => dice.i64(0..8 * DAY),
            }),
            28 => Step::Jump(one(dice, &[-DAY, -HOUR, -MINUTE, MINUTE, HOUR, DAY])),
            29 | 30 => Step::Reload(dice.usize(0..3)),
            31 | 32 => Step::Restart,
            33 => Step::Lose,
            34 | 35 => Step::Plan,
            36 => Step::Person(Command::CloseCase {
                rule: "case".into(),
                key: one(dice, &KEYS).into(),
                by: "ben".into(),
                note: None,
            }),
            37 => Step::Person(Command::AckCase {
                rule: "case".into(),
                key: one(dice, &KEYS).into(),
                by: "cem".into(),
                note: None,
            }),
            38 => Step::Hush {
                id: format!("m{}", dice.u32(0..3)),
                rule: maybe(dice, &["case", "plain"]),
                to: maybe(dice, &PLACES),
                span: dice.i64(MINUTE..DAY),
            },
            _ => Step::Person(Command::Unmute { id: format!("m{}", dice.u32(0..3)), by: "dan".into() }),
        });
    }
    all
}
