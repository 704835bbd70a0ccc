//! The demo's clock: it moves on to where somebody asks, and stops at each time at which something happens on the way.

use std::sync::Arc;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::cli::demo::show;
use crate::cli::demo::stage::Stage;
use crate::cli::term;
use crate::clock::plus;

/// The most stops on the way.
const STOPS_MAX: usize = 500;
/// When the day begins for those who work.
const MORNING: i8 = 10;

/// Where the clock may be asked to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// An hour on.
    Hour,
    /// To the next morning.
    Morning,
    /// To the morning of the next Friday.
    Friday,
}

impl Ahead {
    /// All of them, with the word that asks for each and what it does.
    pub(super) const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Hour, "hour", "Next hour"),
        (Self::Morning, "morning", "Tomorrow morning"),
        (Self::Friday, "friday", "Next Friday"),
    ];

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, _)| *name == word).map(|(ahead, ..)| *ahead)
    }

    /// The time it leads to.
    fn from(self, now: &ZonedDateTime) -> Timestamp {
        let morning = |day: Result<ZonedDateTime, jiff::Error>| {
            let time = Time::new(MORNING, 0, 0, 0)?;
            day?.with().time(time).build().map(|at| at.timestamp())
        };
        let hour = plus(now.timestamp(), SignedDuration::from_hours(1));
        match self {
            Self::Hour => hour,
            Self::Morning => morning(now.tomorrow()).unwrap_or(hour),
            Self::Friday => morning(now.nth_weekday(1, Weekday::Friday)).unwrap_or(hour),
        }
    }
}

/// How far the next office hours of the shipped rules are ahead, or none within them: a newcomer who looks at night should
/// see what arrives, and not what waits.
pub(super) fn to_office_hours(now: Timestamp) -> SignedDuration {
    let Ok(zone) = TimeZone::get("Europe/Berlin") else { return SignedDuration::ZERO };
    let is_open = |at: Timestamp| {
        let local = zone.to_datetime(at);
        local.weekday().to_monday_zero_offset() < 5 && (9..17).contains(&local.hour())
    };
    (0..24 * 7).map(SignedDuration::from_hours).find(|ahead| is_open(plus(now, *ahead))).unwrap_or_default()
}

impl Stage {
    /// The demo's time.
    pub(super) fn now(&self) -> Timestamp {
        self.set.live.clock.now()
    }

    /// The zone of the rules.
    pub(super) fn zone(&self) -> TimeZone {
        self.set.live.snapshot.load().settings.zone()
    }

    /// A time as people there say it.
    pub(super) fn shown(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone()).strftime("%A, %-d %B, %H:%M").to_string()
    }

    /// Moves the clock, and shows what arrived on the way.
    pub(super) async fn go(self: &Arc<Self>, ahead: Ahead) -> anyhow::Result<()> {
        let target = ahead.from(&self.now().to_zoned_datetime(self.zone()));
        self.does(Some(format!("The clock moves on to {}", self.shown(target))));
        let moved = self.move_to(target).await;
        self.does(None);
        println!("{}\n", term::bold(&format!("it is {}", self.shown(self.now()))));
        moved
    }

    /// Moves the clock to a time, from one timer to the next, as if it had been waited for.
    pub(super) async fn move_to(&self, target: Timestamp) -> anyhow::Result<()> {
        for _ in 0..STOPS_MAX {
            let next = self.set.live.store.timers((Timestamp::MIN, ""), 1).await?;
            let Some(due) = next.first().map(|timer| timer.timer.due).filter(|due| *due <= target) else { break };
            self.step_to(due).await?;
        }
        self.step_to(target).await
    }

    async fn step_to(&self, at: Timestamp) -> anyhow::Result<()> {
        let live = &self.set.live;
        let ahead = at.duration_since(self.now());
        if ahead > SignedDuration::ZERO {
            live.clock.correct(ahead);
        }
        let seen = self.set.inbox.last();
        live.to_plan.notify_one();
        live.to_dispatch.notify_one();
        self.settle().await?;
        show::arrived(&self.shown(at), &self.set.inbox.after(seen));
        Ok(())
    }
}
