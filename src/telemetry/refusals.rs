//! Refused requests as the log has them: a line a second for each source and reason, with a number, however many come.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// Refusals for the same source and reason are logged no oftener than this.
const EVERY: Duration = Duration::from_secs(1);

/// What was refused by source and reason, both from closed sets.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<(String, &'static str), Untold>>);

/// What was refused for one source and reason since it was logged last.
#[derive(Debug)]
struct Untold {
    logged: Instant,
    count: u64,
}

impl Refusals {
    fn all(&self) -> MutexGuard<'_, HashMap<(String, &'static str), Untold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub fn refused(&self, source: &str, reason: &'static str, detail: &str) {
        let more = {
            let (mut all, now) = (self.all(), Instant::now());
            match all.get_mut(&(source.to_owned(), reason)) {
                Some(known) if now.duration_since(known.logged) < EVERY => {
                    known.count += 1;
                    return;
                }
                Some(known) => {
                    known.logged = now;
                    std::mem::take(&mut known.count)
                }
                None => {
                    all.insert((source.to_owned(), reason), Untold { logged: now, count: 0 });
                    0
                }
            }
        };
        match more {
            0 => warn!(source, reason, detail, "refused"),
            more => warn!(source, reason, detail, more, "refused, and more since the last line"),
        }
    }

    /// Logs those that are counted and not logged yet.
    pub fn tell(&self) {
        let now = Instant::now();
        let is_untold = |known: &Untold| known.count > 0 && now.duration_since(known.logged) >= EVERY;
        for ((source, reason), known) in self.all().iter_mut().filter(|(_, known)| is_untold(known)) {
            let more = std::mem::take(&mut known.count);
            known.logged = now;
            warn!(source, reason, more, "refused more since the last line");
        }
    }
}
