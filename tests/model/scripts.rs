//! Rules and histories, made by a seed.

use fanfare::event::Command;

use super::spec::{Action, DAY, Digest, HOUR, Hours, MINUTE, Ms, SECOND, Spec, Throttle};

/// Every destination.
pub const PLACES: [&str; 4] = ["chat", "pager", "mail", "night"];
/// Those that can change what they showed.
pub const UPDATING: [&str; 1] = ["pager"];

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
    pub versions: Vec<Vec<Spec>>,
    pub steps: Vec<Step>,
}

type Dice = fastrand::Rng;

/// The script that a seed makes.
pub fn script(seed: u64) -> Script {
    let mut dice = Dice::with_seed(seed);
    let first = rules(&mut dice);
    // A rule that was renamed and then taken out is known by no name.
    let renames = dice.bool();
    let versions = vec![first.clone(), edited(&first, renames, &mut dice), edited(&first, renames, &mut dice)];
    let steps = steps(&mut dice);
    Script { versions, steps }
}

fn one<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.usize(0..of.len())]
}

/// Perhaps one of these.
fn maybe<T: Copy>(dice: &mut Dice, of: &[T]) -> Option<T> {
    dice.bool().then(|| one(dice, of))
}

fn to(dice: &mut Dice) -> Vec<&'static str> {
    let first = one(dice, &PLACES);
    let second = one(dice, &PLACES);
    if first == second || dice.bool() { vec![first] } else { vec![first, second] }
}

fn hours(dice: &mut Dice) -> Hours {
    let (from, to) = one(dice, &[(9, 18), (22, 6), (11, 12)]);
    Hours { from, to, drop: dice.u32(0..3) == 0 }
}

fn throttle(dice: &mut Dice) -> Throttle {
    Throttle { max: dice.usize(1..4), every: one(dice, &[10 * MINUTE, HOUR, 7 * HOUR]), rest_digest: dice.bool() }
}

fn digest(dice: &mut Dice) -> Digest {
    Digest { every: one(dice, &[30 * MINUTE, 6 * HOUR, DAY]), limit: dice.usize(1..4) }
}

/// What stands in the way of an action's messages.
fn hindered(mut action: Action, dice: &mut Dice) -> Action {
    match dice.u32(0..8) {
        0 => action.throttle = Some(throttle(dice)),
        1 => action.digest = Some(digest(dice)),
        2 | 3 => action.hours = Some(hours(dice)),
        4 => {
            action.throttle = Some(throttle(dice));
            action.hours = Some(hours(dice));
        }
        _ => {}
    }
    action
}

/// A few rules of each kind, with everything that varies varied.
fn rules(dice: &mut Dice) -> Vec<Spec> {
    let mut all = vec![cases(dice), plain(dice)];
    if dice.bool() {
        all.push(awaited(dice));
    }
    if dice.bool() {
        all.push(dated(dice));
    }
    all
}

fn cases(dice: &mut Dice) -> Spec {
    let mut actions = vec![hindered(Action { once: dice.bool(), ..Action::new("open", &to(dice)) }, dice)];
    if dice.bool() {
        actions.push(Action::new("again", &to(dice)));
    }
    let late = Action {
        after: Some(one(dice, &[10 * MINUTE, 2 * HOUR, 3 * DAY])),
        repeat: maybe(dice, &[HOUR, 5 * HOUR, 2 * DAY]),
        ..Action::new("late", &to(dice))
    };
    actions.push(hindered(late, dice));
    if dice.u32(0..3) == 0 {
        let repeat = maybe(dice, &[4 * HOUR, DAY]);
        actions.push(Action { repeat, ..Action::new("often", &to(dice)) });
    }
    let on_close = if dice.bool() { vec![Action::new("over", &to(dice))] } else { Vec::new() };
    Spec {
        line: "case",
        name: "case",
        // Whichever version comes after another, what bore one name is known by it.
        formerly: vec!["case-renamed"],
        events: vec!["opened", "both"],
        case: true,
        closed_by: vec!["closed", "both"],
        closes_after: maybe(dice, &[5 * HOUR, 2 * DAY, 9 * DAY]).or(Some(20 * DAY)),
        actions,
        on_close,
        ..Spec::default()
    }
}

fn plain(dice: &mut Dice) -> Spec {
    let mut actions = vec![hindered(Action::new("say", &to(dice)), dice)];
    if dice.bool() {
        actions.push(hindered(Action::new("tell", &to(dice)), dice));
    }
    Spec { line: "plain", name: "plain", events: vec!["plain", "opened"], actions, ..Spec::default() }
}

/// `missing:`.
fn awaited(dice: &mut Dice) -> Spec {
    let mut actions = vec![Action::new("ask", &to(dice))];
    if dice.bool() {
        actions.push(Action { after: Some(DAY), ..Action::new("insist", &to(dice)) });
    }
    let on_close = if dice.bool() { vec![Action::new("came", &to(dice))] } else { Vec::new() };
    Spec {
        line: "awaited",
        name: "awaited",
        events: vec!["plain"],
        missing: Some(one(dice, &[DAY, 3 * DAY])),
        closes_after: Some(one(dice, &[12 * HOUR, 10 * DAY])),
        actions,
        on_close,
        ..Spec::default()
    }
}

/// `at:`.
fn dated(dice: &mut Dice) -> Spec {
    let due = Action { before: Some(one(dice, &[0, 6 * HOUR, 2 * DAY])), ..Action::new("due", &to(dice)) };
    Spec {
        line: "dated",
        name: "dated",
        events: vec!["opened"],
        case: true,
        closed_by: vec!["closed"],
        closes_after: Some(15 * DAY),
        actions: vec![due],
        ..Spec::default()
    }
}

/// The same rules as somebody would have changed them: names, times, rules taken out.
fn edited(specs: &[Spec], renames: bool, dice: &mut Dice) -> Vec<Spec> {
    let mut edited = specs.to_vec();
    for spec in &mut edited {
        if renames && spec.line == "case" && dice.bool() {
            (spec.name, spec.formerly) = ("case-renamed", vec!["case"]);
        }
        for action in &mut spec.actions {
            if action.after.is_some() && dice.bool() {
                action.after = Some(one(dice, &[5 * MINUTE, 4 * HOUR, 4 * DAY]));
            }
            if action.repeat.is_some() && action.after.is_some() && dice.u32(0..3) == 0 {
                action.repeat = maybe(dice, &[3 * HOUR, DAY]);
            }
        }
        if spec.closes_after.is_some() && dice.u32(0..3) == 0 {
            spec.closes_after = Some(one(dice, &[8 * HOUR, 3 * DAY, 12 * DAY]));
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
