//! A release week that plays by itself: what a label lives through from Monday to Friday, a day in a few seconds.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::cli::demo::stage::Stage;
use crate::cli::term;

/// How long each step stands, to be read.
const STANDS: Duration = Duration::from_secs(3);

/// One step: the day of the week, the hour and minute, the sample that is sent if one is, and what it is about.
struct Step(i8, i8, i8, Option<&'static str>, &'static str);

const WEEK: [Step; 12] = [
    Step(0, 9, 10, Some("release.submitted"), "A single goes to the platforms; its release day is Friday."),
    Step(0, 14, 5, Some("track.processed"), "The master is encoded, with a warning about its true peak."),
    Step(1, 10, 30, Some("release.rejected"), "A platform refuses a cover: somebody must act."),
    Step(1, 15, 0, Some("royalty.threshold.reached"), "An artist passes half a million yen."),
    Step(2, 8, 20, Some("fraud.suspicious_activity"), "Plays from one city jump."),
    Step(2, 11, 45, Some("fraud.bot_detection"), "Bots are found behind them."),
    Step(
        2,
        12,
        0,
        Some("fraud.action_required"),
        "A person must confirm or dispute: the pager rings, and a case opens.",
    ),
    Step(2, 18, 30, None, "Nobody acknowledges the case: reminders come by themselves."),
    Step(
        3,
        10,
        15,
        Some("fraud.resolved"),
        "The case is closed: its thread and its incident say so, and no reminder follows.",
    ),
    Step(4, 0, 5, Some("release.live"), "Release day, five past midnight: who sleeps is not woken."),
    Step(4, 10, 0, None, "Friday morning: what waited for the morning arrives."),
    Step(4, 17, 0, Some("royalty.reported"), "The month's royalties are in."),
];

impl Stage {
    /// Plays the week that begins next Monday.
    pub(super) async fn play_the_week(self: &Arc<Self>) -> anyhow::Result<()> {
        let now = self.now().to_zoned_datetime(self.zone());
        let played = self.play(&now).await;
        self.does(None);
        println!("{}\n", term::bold("the week is over"));
        played
    }

    async fn play(&self, now: &ZonedDateTime) -> anyhow::Result<()> {
        let monday = now.nth_weekday(1, Weekday::Monday)?;
        for (nth, Step(day, hour, minute, sample, about)) in WEEK.iter().enumerate() {
            let at: Timestamp = monday
                .checked_add(i64::from(*day).days())?
                .with()
                .time(Time::new(*hour, *minute, 0, 0)?)
                .build()?
                .timestamp();
            self.move_to(at).await?;
            let told = format!("{}: {about}", at.to_zoned_datetime(self.zone()).strftime("%A, %H:%M"));
            println!("{}", term::bold(&told));
            self.does(Some(told));
            if let Some(sample) = sample {
                self.send(sample, self.scheme(nth)).await?;
            }
            tokio::time::sleep(STANDS).await;
        }
        Ok(())
    }
}
