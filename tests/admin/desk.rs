//! A running program on a clock that stands still, for tests of what people do.

use std::sync::Arc;

use fanfare::clock::VirtualClock;
use fanfare::steps::Bounds;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::app::{App, eventually};
use crate::support::cli::{Ran, fanfare};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::HttpPeer;
use crate::support::raw::{Answer, exchange};

/// The program, with destinations `ledger` and `heads` at a peer that takes everything.
pub struct Desk {
    pub app: App,
    pub clock: VirtualClock,
    pub peer: HttpPeer,
}

impl Desk {
    /// Starts with these rules, on a Monday at ten.
    pub async fn start(rules: &str) -> Self {
        Self::start_with(rules, "").await
    }

    /// The same, where people live in this zone.
    pub async fn start_in(zone: &str, rules: &str) -> Self {
        Self::start_as(&format!("timezone: {zone}{CONFIG}"), rules, "").await
    }

    /// The same, with more below `destinations:`.
    pub async fn start_with(rules: &str, more: &str) -> Self {
        Self::start_as(CONFIG, rules, more).await
    }

    async fn start_as(config: &str, rules: &str, more: &str) -> Self {
        let peer = HttpPeer::start().await;
        let config = format!("{config}  heads: {{type: http, url: \"PEER\", retry: {{first: 1s, max: 1s}}}}\n{more}");
        let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
        let folder = Folder::new(&config, &peer.url("/ledger"), rules);
        let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
        Self { app, clock, peer }
    }

    /// Sends a signed event that was created now, and waits until all is planned and sent.
    pub async fn send(&self, id: &str, kind: &str, data: Value) {
        let created = self.app.live.clock.now().as_second();
        self.send_as(json!({"id": id, "type": kind, "created": created, "data": data})).await;
    }

    /// The same with this body.
    pub async fn send_as(&self, body: Value) {
        assert_eq!(self.app.send(&body.to_string()).await.status, 200);
        self.planned().await;
    }

    /// Waits until everything that stands in the inbox is planned and nothing is under way.
    pub async fn planned(&self) {
        eventually("planned", async || {
            let status = self.app.json("/api/v1/status").await;
            let rests = ["due", "sending", "retrying"].iter().all(|state| status["deliveries"][state] == 0);
            (status["inbox"]["head"] == status["inbox"]["planned"] && rests).then_some(())
        })
        .await;
    }

    /// The text of a member of each item of a list.
    pub async fn each(&self, path: &str, member: &str) -> Vec<String> {
        let list = self.app.json(path).await;
        list.as_array().unwrap().iter().map(|item| item[member].as_str().unwrap_or("-").to_owned()).collect()
    }

    /// Runs the command line.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        fanfare(&self.app, arguments).await
    }

    /// Moves the clock on.
    pub fn passes(&self, hours: i64) {
        self.clock.advance(SignedDuration::from_hours(hours));
        self.app.live.to_plan.notify_one();
    }

    /// Sends a form as a browser would from the page.
    pub async fn submit(&self, path: &str, form: &str) -> Answer {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {1}\r\nConnection: close\r\n\r\n{form}",
            self.app.admin,
            form.len()
        );
        exchange(self.app.admin, request.as_bytes()).await
    }
}
