//! `docs/RULES.md`, "flood: hold a rule that suddenly sends too much".

use fanfare::rules::FloodBrake;

use super::super::{DAY, HOUR, Ms};
use super::messages::Fate;
use super::{Due, Now, Reference};

/// What a rule has sent lately, and whether it is held.
#[derive(Debug, Clone, Default)]
pub struct Flooding {
    line: String,
    /// "Hours begin on the hour, in UTC": hours since 1970, with the messages of each.
    hours: Vec<(Ms, u64)>,
    /// "The rule is not held again within an hour".
    free_until: Ms,
    held: Option<Held>,
}

/// A rule is held.
#[derive(Debug, Clone)]
struct Held {
    ends: Ms,
    count: u64,
    dropped: bool,
}

fn hour(at: Ms) -> Ms {
    at.div_euclid(HOUR)
}

impl Flooding {
    /// "its busiest hour in the last seven days".
    fn forget(&mut self, now: Ms) {
        self.hours.retain(|(of, _)| (hour(now - 7 * DAY)..=hour(now)).contains(of));
    }

    /// What is that far back stays forgotten, should the clock be set back.
    pub(super) fn seen(&mut self, now: Ms) {
        if self.held.is_none() && self.hours.iter().all(|(of, _)| *of < hour(now.saturating_sub(7 * DAY))) {
            self.hours.clear();
        }
    }

    fn sent(&self, now: Ms) -> u64 {
        self.hours.iter().filter(|(of, _)| *of == hour(now)).map(|(_, count)| count).sum()
    }

    fn add(&mut self, messages: u64, now: Ms) {
        self.hours.push((hour(now), messages));
    }

    /// "The usual of a rule is its busiest hour in the last seven days, counted in messages."
    fn usual(&self, now: Ms) -> u64 {
        let before: Vec<Ms> = self.hours.iter().map(|(of, _)| *of).filter(|of| *of < hour(now)).collect();
        let count = |of: &Ms| self.hours.iter().filter(|(other, _)| other == of).map(|(_, count)| count).sum::<u64>();
        before.iter().map(count).max().unwrap_or_default()
    }
}

impl Reference {
    /// "If the rule is about to send more than ten times that within an hour, and more than `least`, Fanfare holds its
    /// messages."
    pub(super) fn brake(&mut self, now: &Now<'_>, line: &str, spec: Option<&FloodBrake>) -> Fate {
        let Some(spec) = spec else { return Fate::Sent };
        let at = match self.floods.iter().position(|flood| flood.line == line) {
            Some(at) => at,
            None => {
                self.floods.push(Flooding { line: line.to_owned(), ..Flooding::default() });
                self.floods.len() - 1
            }
        };
        let flood = &mut self.floods[at];
        if let Some(held) = &mut flood.held {
            held.count += 1;
            return Fate::Braked;
        }
        flood.forget(now.ms);
        let limit = (flood.usual(now.ms) * spec.times).max(spec.least);
        if flood.sent(now.ms) < limit || now.ms < flood.free_until {
            flood.add(1, now.ms);
            return Fate::Sent;
        }
        // "If nobody decides within 24 hours, it goes as if it were let go."
        flood.held = Some(Held { ends: now.ms + DAY, count: 1, dropped: false });
        Fate::Braked
    }

    /// A person lets go what is held, or drops it.
    pub(super) fn decide(&mut self, now: &Now<'_>, rule: &str, drop: bool) {
        let line = self.line(rule);
        let flood = self.floods.iter_mut().find(|flood| flood.line == line);
        if let Some(held) = flood.and_then(|flood| flood.held.as_mut()) {
            (held.ends, held.dropped) = (now.ms, drop);
        }
    }

    /// What is held, until somebody decides or a day has passed.
    pub(super) fn flooded(&self) -> Vec<(Ms, Due)> {
        let held = self.floods.iter().filter_map(|flood| Some((flood.held.as_ref()?.ends, &flood.line)));
        held.map(|(ends, line)| (ends, Due::Flooded(line.clone()))).collect()
    }

    /// "What is let go goes as from `hours` … the messages that were held count as usual from then on. What is dropped is not sent
    /// later, and doesn't become usual. The count of the hour begins anew."
    pub(super) fn end_flood(&mut self, now: &mut Now<'_>, line: &str) {
        let Some(flood) = self.floods.iter_mut().find(|flood| flood.line == line) else { return };
        let Some(held) = flood.held.take() else { return };
        flood.forget(now.ms);
        if held.dropped {
            flood.hours.retain(|(of, _)| *of != hour(now.ms));
        } else {
            flood.add(held.count, now.ms);
            flood.free_until = now.ms + HOUR;
        }
        let is_held = |at: &usize| self.messages[*at].line == line && self.messages[*at].fate == Fate::Braked;
        let all: Vec<usize> = (0..self.messages.len()).filter(is_held).collect();
        if held.dropped {
            return all.into_iter().for_each(|at| self.messages[at].fate = Fate::Dropped);
        }
        let mut places: Vec<String> = all.iter().map(|at| self.messages[*at].to.clone()).collect();
        places.sort();
        places.dedup();
        for to in places {
            let there: Vec<usize> = all.iter().copied().filter(|at| self.messages[*at].to == to).collect();
            self.release(now, &to, &there, None);
        }
    }
}
