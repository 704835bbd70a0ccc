//! The way of what people ask for (close, acknowledge, mute, unmute) and of what Fanfare noticed about itself. A replay comes
//! with its event, and is planned like one.

use crate::event::{Command, Mute, Seq, Signal};
use crate::planner::audit::Audited;
use crate::planner::backfill::Backfills;
use crate::planner::case::Case;
use crate::planner::flow::{Planning, flooded, links, lost, people, upcoming};
use crate::planner::mute::Muting;
use crate::planner::names::names_for;

/// Does what was asked. What is not there any more is passed over: anyone who asked was reported what there was.
pub(crate) fn command(work: &mut Planning<'_>, seq: Seq, command: &Command) {
    match command {
        Command::CloseCase { rule, key, by, note } => {
            if let Some(case) = case_of(work, (rule, key)) {
                people::close(work, &case, by, note.as_deref());
            }
        }
        Command::AckCase { rule, key, by, note } => {
            if let Some(mut case) = case_of(work, (rule, key)) {
                people::acknowledge(work, &mut case, by, note.as_deref());
            }
        }
        Command::ByLink { of, does, by } => links::by_link(work, of, *does, by),
        Command::Upcoming { timer, due, does, by } => upcoming::asked(work, timer, (*due, *does), by),
        Command::RotateLinks { .. } => links::rotate(work),
        Command::Mute(mute) => self::mute(work, mute),
        Command::Unmute { id, by } => unmute(work, id, by),
        Command::Audit(act) => work.turn(&Audited::slot(act.at), |known, _| Audited::note(known, act)),
        Command::Backfill(asked) => work.turn(&Backfills::slot(&asked.source), |known, _| Backfills::ask(known, asked)),
        Command::Backfilling(report) => {
            let origin = seq.to_string();
            work.due(&Backfills::slot(&report.source), |known, now| known.report(report, now, &origin));
        }
        Command::Flood { rule, by, drop } => flooded::decide(work, rule, by, *drop),
        // Comes as `What::Replay`, with its event.
        Command::Replay { .. } => {}
    }
}

fn case_of(work: &mut Planning<'_>, (rule, key): (&str, &str)) -> Option<Case> {
    let names = names_for(work.rules, rule);
    work.case(&names, key)
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
