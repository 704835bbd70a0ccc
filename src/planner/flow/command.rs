//! The way of what people ask for (close, acknowledge, mute, unmute) and of what Fanfare noticed about itself. A replay comes
//! with its event, and is planned like one.

use crate::event::{Command, Mute, Seq, Signal};
use crate::planner::audit::Audited;
use crate::planner::case::Case;
use crate::planner::closes::by_hand;
use crate::planner::flow::Planning;
use crate::planner::flow::close::take_away;
use crate::planner::flow::lost;
use crate::planner::mute::Muting;
use crate::planner::names::{names_for, rule_named};
use crate::planner::reminders;
use crate::planner::why::Trace;

/// Does what was asked. What is not there any more is passed over: whoever asked was told what there was.
pub(crate) fn command(work: &mut Planning<'_>, command: &Command) {
    match command {
        Command::CloseCase { rule, key, by, note } => close(work, (rule, key), by, note.as_deref()),
        Command::AckCase { rule, key, by, note } => acknowledge(work, (rule, key), by, note.as_deref()),
        Command::Mute(mute) => self::mute(work, mute),
        Command::Unmute { id, by } => unmute(work, id, by),
        Command::Audit(act) => work.turn(&Audited::slot(act.at), |known, _| Audited::note(known, act)),
        // Comes as `What::Replay`, with its event.
        Command::Replay { .. } => {}
    }
}

fn case_of(work: &mut Planning<'_>, (rule, key): (&str, &str)) -> Option<Case> {
    let names = names_for(work.rules, rule);
    work.case(&names, key)
}

/// Closes a case that nobody's event closes. What is said of that is planned from its opening event, which a timer brings.
fn close(work: &mut Planning<'_>, named: (&str, &str), by: &str, note: Option<&str>) {
    if let Some(case) = case_of(work, named) {
        take_away(work, &case);
        work.act([by_hand(&case, by, note, work.now.at)]);
    }
}

fn acknowledge(work: &mut Planning<'_>, named: (&str, &str), by: &str, note: Option<&str>) {
    let Some(mut case) = case_of(work, named) else { return };
    let mut trace = Trace::default();
    let effects = reminders::acknowledge(&mut case, (by, note), rule_named(work.rules, named.0), work.now.at);
    trace.detail("by_hand", format!("acknowledged by {by}").into());
    work.apply(effects, &mut trace);
    work.decide(trace, case.event, &case.rule);
    work.save_case(&case);
}

/// Someone asks for silence.
fn mute(work: &mut Planning<'_>, mute: &Mute) {
    work.turn(&Muting::slot(&mute.id), |_, _| Muting::begin(mute.clone()));
    work.gather_mutes();
}

/// Someone ends a mute before its time.
fn unmute(work: &mut Planning<'_>, mute: &str, by: &str) {
    let in_file = work.rules.mutes.iter().find(|file| file.mute.id == mute);
    work.turn(&Muting::slot(mute), |known, now| {
        let muting = known.or_else(|| Some(Muting::in_file(in_file?.mute.clone())));
        muting.map_or_else(|| (None, Vec::new()), |muting| muting.end_by_hand(by, in_file.is_some(), now))
    });
    work.gather_mutes();
}

/// Fanfare noticed something about itself: maybe a death, which falls back, and an own event in any case.
pub(crate) fn noticed(work: &mut Planning<'_>, seq: Seq, signal: &Signal) {
    if let Some(died) = &signal.died {
        lost::died(work, seq, died, signal);
    }
    work.signal(&seq.to_string(), signal);
}
