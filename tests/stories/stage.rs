//! A running program, at a time that only the test moves, between a label's services.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use fanfare::clock::{Clock, VirtualClock};
use fanfare::delivery::{Delivery, State};
use fanfare::event::{Command, Item};
use fanfare::planner::Case;
use fanfare::steps::Bounds;
use fanfare::store::DeliveryFilter;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::app::{App, eventually};
use crate::support::discord_peer::DiscordPeer;
use crate::support::folder::Folder;
use crate::support::pagerduty_peer::{PagerDutyPeer, ROUTING_KEY};
use crate::support::slack_peer::{SlackPeer, TOKEN};
use crate::support::smtp_peer::{Setup, SmtpPeer};
use crate::support::telegram_peer::{self, TelegramPeer};

/// The services, each notified of the case in a way of its own. Rates are no subject here.
const CONFIG: &str = r##"
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
store: sqlite:data/fanfare.db
sources:
  jewelmusic:
    preset: jewelmusic
    path: /webhooks/jewelmusic
    secrets: [now-secret-0123456789abcdef0123456789]
destinations:
  oncall: {type: pagerduty, routing_key: KEY, url: "PAGERDUTY", rate: 1000/s, burst: 1000}
  desk: {type: slack, token: TOKEN, channel: "#releases", url: "SLACK", rate: 1000/s, burst: 1000}
  fans: {type: discord, webhook_url: "DISCORD", rate: 1000/s, burst: 1000}
  group: {type: telegram, token: "BOT", chat: "CHAT", url: "GROUP", rate: 1000/s, burst: 1000}
  finance: {type: email, smtp: "SMTP", from: fanfare@label.example, to: finance@label.example}
"##;

/// A person is notified of a fraud case, and reminded after two hours, and every four hours from then.
pub const FRAUD: &str = "rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {name: tell, to: [oncall, desk, fans, finance], message: opened}
      - {name: remind, to: [oncall, desk, fans, finance], message: reminder, after: 2h, repeat: 4h}
    on_close:
      - {to: finance, message: over}
";

/// The services.
pub struct Services {
    pub pagerduty: PagerDutyPeer,
    pub slack: SlackPeer,
    pub discord: DiscordPeer,
    pub telegram: TelegramPeer,
    pub mail: SmtpPeer,
}

impl Services {
    pub async fn start() -> Self {
        Self {
            pagerduty: PagerDutyPeer::start().await,
            slack: SlackPeer::start().await,
            discord: DiscordPeer::start().await,
            telegram: TelegramPeer::start().await,
            mail: SmtpPeer::start(Setup::default()).await,
        }
    }

    /// Everything that was asked of any of them, counted.
    pub fn asked(&self) -> usize {
        let http = [&self.pagerduty.http, &self.slack.http, &self.discord.http, &self.telegram.http];
        http.iter().map(|http| http.requests().len()).sum::<usize>() + self.mail.mails().len()
    }

    /// Nothing was refused.
    pub fn assert_clean(&self) {
        self.pagerduty.assert_clean();
        self.slack.assert_clean();
        self.discord.assert_clean();
        self.telegram.assert_clean();
        self.mail.assert_clean();
    }
}

/// The files' configuration, with these services.
pub fn config(services: &Services) -> String {
    CONFIG
        .replace("KEY", ROUTING_KEY)
        .replace("TOKEN", TOKEN)
        .replace("PAGERDUTY", &services.pagerduty.url())
        .replace("SLACK", &services.slack.api())
        .replace("DISCORD", &services.discord.webhook_url())
        .replace("BOT", telegram_peer::TOKEN)
        .replace("CHAT", &telegram_peer::GROUP.to_string())
        .replace("GROUP", &services.telegram.http.url(""))
        .replace("SMTP", &services.mail.url())
}

/// A story.
pub struct Story {
    pub services: Services,
    pub clock: VirtualClock,
    pub app: App,
    sent: u32,
}

/// When every story begins: a Monday.
pub fn start() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

pub fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

pub fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

impl Story {
    /// Begins with these rules.
    pub async fn begin(rules: &str) -> Self {
        let services = Services::start().await;
        let folder = Folder::new(&config(&services), "", rules);
        folder.write(
            "templates/opened.md",
            "---\ntitle: Fraud case {{ case.key }}\nseverity: critical\n---\nLook at it.\n",
        );
        folder
            .write("templates/reminder.md", "---\ntitle: Nobody took {{ case.key }}\nseverity: warning\n---\nStill.\n");
        folder.write("templates/over.md", "---\ntitle: It is over with {{ case.key }}\n---\nThank you.\n");
        let clock = VirtualClock::new(start());
        let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
        assert_eq!(**app.live.stale.load(), None, "the story's own files are right");
        Self { services, clock, app, sent: 0 }
    }

    /// A signed event about this case, created now, and all that it leads to at once.
    pub async fn send(&mut self, kind: &str, case: &str) {
        self.send_created(kind, case, self.clock.now()).await;
    }

    /// The same, created at another time.
    pub async fn send_created(&mut self, kind: &str, case: &str, created: Timestamp) {
        self.post(kind, json!({"case_id": case}), created).await;
        self.calm().await;
    }

    /// A signed event, accepted; what it leads to is not waited for.
    pub async fn post(&mut self, kind: &str, data: Value, created: Timestamp) {
        self.sent += 1;
        let body = json!({
            "id": format!("evt_{}", self.sent), "type": kind, "created": created.as_second(), "data": data,
        });
        assert_eq!(self.app.send(&body.to_string()).await.status, 200);
    }

    /// Someone took the case.
    pub async fn ack(&self, rule: &str, key: &str) {
        self.command(Command::AckCase { rule: rule.into(), key: key.into(), by: "ana".into(), note: None }).await;
    }

    /// Asks for something as a person does.
    pub async fn command(&self, command: Command) {
        self.app.live.store.tell(Item::Command(command), self.clock.now()).await.unwrap();
        self.calm().await;
    }

    /// The clock goes on, and all that comes due on the way is done at its moment, or at least within `step` of it.
    pub async fn wait_in_steps(&self, span: SignedDuration, step: SignedDuration) {
        let until = self.clock.now().checked_add(span).unwrap();
        while self.clock.now() < until {
            let next = self.clock.now().checked_add(step).unwrap().min(until);
            self.clock.set(next);
            self.calm().await;
        }
    }

    /// The clock goes on in one jump, as over a computer's sleep.
    pub async fn wait(&self, span: SignedDuration) {
        self.clock.advance(span);
        self.calm().await;
    }

    /// Waits until there is nothing left to do at this moment.
    pub async fn calm(&self) {
        let live = &self.app.live;
        let looks = Cell::new(0);
        eventually("nothing is left to do", async || {
            looks.set(looks.get() + 1);
            // A clock that stands still would never come to the next slot of a rate.
            if looks.get() % 10 == 0 {
                self.clock.advance(SignedDuration::from_millis(1));
            }
            live.to_plan.notify_one();
            live.to_dispatch.notify_one();
            let is_quiet = self.is_quiet().await;
            let waiting = live.store.waiting(self.clock.now(), 1).await.unwrap();
            let is_planned = waiting.entries.is_empty() && waiting.timers.is_empty();
            // What was under way while the planner had nothing to do may have given it something.
            (is_quiet && is_planned && self.is_quiet().await).then_some(())
        })
        .await;
    }

    /// Whether no delivery is under way or could be now.
    async fn is_quiet(&self) -> bool {
        let mut lanes = BTreeSet::new();
        // Newest first; of a lane only the oldest can go.
        let open = self.deliveries(&[State::Due, State::Sending, State::Retrying]).await;
        open.iter().rev().all(|delivery| {
            let lane = delivery.planned.lane.as_ref().map_or(delivery.planned.id.as_str(), |lane| lane.0.as_str());
            let is_first = lanes.insert(lane.to_owned());
            delivery.state != State::Sending && (!is_first || delivery.next > self.clock.now())
        })
    }

    /// The deliveries in these states (all, if none is named), newest first.
    pub async fn deliveries(&self, states: &[State]) -> Vec<Delivery> {
        let filter = DeliveryFilter { states: states.to_vec(), limit: 10_000, ..DeliveryFilter::default() };
        self.app.live.store.list_deliveries(&filter).await.unwrap()
    }

    /// The open cases.
    pub async fn cases(&self) -> Vec<Case> {
        let docs = self.app.live.store.docs("case", "", 1000).await.unwrap();
        docs.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
    }

    /// The process ends in order; something happens to its files, and time goes by; it starts again.
    pub async fn restart(self, meanwhile: impl FnOnce(&Folder), away: SignedDuration) -> Self {
        let Self { services, clock, app, sent } = self;
        let folder = app.end().await;
        meanwhile(&folder);
        clock.advance(away);
        let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
        let story = Self { services, clock, app, sent };
        story.rules_in_force().await;
        story
    }

    /// Other rules come into force while it runs.
    pub async fn reload(&self, rules: &str) {
        self.app.folder.write("rules/main.yaml", rules);
        let answer = self.app.ask("POST", "/-/reload").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.rules_in_force().await;
    }

    /// Waits until what planning begins with under new rules is done: it comes before any entry, and a step that began
    /// with the old ones ends with the first.
    async fn rules_in_force(&self) {
        for _ in 0..2 {
            self.command(Command::Unmute { id: "none".into(), by: "ana".into() }).await;
        }
    }

    /// What the page and `fanfare.rule.failed` would tell: no destination is marked as failing.
    pub async fn failing(&self) -> Vec<String> {
        let standings = self.app.live.store.standings().await.unwrap();
        standings
            .into_iter()
            .filter(|standing| standing.pace.is_failing())
            .map(|standing| standing.destination)
            .collect()
    }

    pub async fn end(self) {
        self.app.end().await;
    }
}
