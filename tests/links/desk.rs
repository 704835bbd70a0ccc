//! A running program whose messages carry links, on a clock that stands still.

use std::sync::Arc;

use fanfare::clock::VirtualClock;
use fanfare::steps::Bounds;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::app::{App, code, eventually};
use crate::support::folder::Folder;
use crate::support::http_peer::{Answer as Answers, HttpPeer};
use crate::support::raw::{Answer, exchange, post};

/// The secret of the source `pager`.
pub const PAGER_SECRET: &str = "pager-secret-0123456789abcdef01234567";

const CONFIG: &str = r#"
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
store: sqlite:data/fanfare.db
links: {url: "https://hooks.label.example", expires: 7d}
sources:
  jewelmusic:
    preset: jewelmusic
    path: /webhooks/jewelmusic
    secrets: [now-secret-0123456789abcdef0123456789]
  pager: {preset: pagerduty, secrets: pager-secret-0123456789abcdef01234567}
destinations:
  ledger: {type: http, url: "PEER/ledger", retry: {first: 1s, max: 1s}}
  oncall: {type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef, url: "PEER/pager", burst: 9, fallback: [ledger]}
"#;

/// A case that is reported at once and again, with every link.
pub const RULES: &str = r#"
rules:
  - name: fraud
    events: fraud.opened
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {name: tell, to: ledger, text: "**Fraud** on {{ data.case_id }}", links: [acknowledge, close, mute 1h]}
      - {name: remind, to: ledger, text: "still open", after: 2h, repeat: 4h, links: acknowledge}
    on_close: {name: over, to: ledger, text: "over"}
"#;

/// The program.
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

    /// The same, with more below `destinations:`.
    pub async fn start_with(rules: &str, more: &str) -> Self {
        let peer = HttpPeer::serving(|request| match request.target.as_str() {
            "/pager" => Answers::status(202).json(&json!({"status": "success", "message": "Event processed"})),
            "/slack" | "/guests" | "/hooks/fakeq7zkt4mw9sb2xn6vc1fake" => Answers::status(200).body("ok"),
            target if target.starts_with("/discord") => Answers::status(204),
            target if target.starts_with("/telegram") => {
                Answers::status(200).json(&json!({"ok": true, "result": {"message_id": 1, "chat": {"id": 1}}}))
            }
            target if target.starts_with("/hooks/65f1c0ffee") => Answers::status(200).json(&json!({"success": true})),
            target if target.starts_with("/v1/spaces") => {
                Answers::status(200).json(&json!({"name": "spaces/AAAA/messages/1"}))
            }
            "/v2/alert_events/http/a" => Answers::status(202),
            "/jsm/alerts" => Answers::status(202).json(&json!({"requestId": "r"})),
            target if target.starts_with("/twilio") => Answers::status(201).json(&json!({"sid": "SM1"})),
            // JSON for ntfy goes to the root of its server.
            "/" => Answers::status(200).json(&json!({"id": "a", "event": "message"})),
            _ => Answers::status(200),
        })
        .await;
        let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
        let folder = Folder::new(&format!("{CONFIG}{more}"), &peer.url(""), rules);
        let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
        Self { app, clock, peer }
    }

    /// Sends a signed event about a case that was created now, and waits until all is planned and sent.
    pub async fn send(&self, id: &str, kind: &str, key: &str) {
        let created = self.app.live.clock.now().as_second();
        let body = json!({"id": id, "type": kind, "created": created, "data": {"case_id": key}});
        assert_eq!(self.app.send(&body.to_string()).await.status, 200);
        self.planned().await;
    }

    /// Waits until everything that stands in the inbox is planned and nothing is under way.
    pub async fn planned(&self) {
        eventually("planned", async || {
            let status = self.app.json("/api/v1/status").await;
            // On a clock that stands still it would wait until the test gives up.
            assert_eq!(status["deliveries"]["retrying"], 0, "{}", self.app.json("/api/v1/deliveries").await);
            let rests = ["due", "sending", "retrying"].iter().all(|state| status["deliveries"][state] == 0);
            (status["inbox"]["head"] == status["inbox"]["planned"] && rests).then_some(())
        })
        .await;
    }

    /// Moves the clock on, and waits until what is due then is sent.
    pub async fn passes(&self, hours: i64) {
        self.clock.advance(SignedDuration::from_hours(hours));
        self.app.live.to_plan.notify_one();
        let now = self.app.live.clock.now();
        eventually("nothing is due", async || {
            let waiting = self.app.live.store.waiting(now, 1).await.unwrap();
            waiting.timers.is_empty().then_some(())
        })
        .await;
        self.planned().await;
    }

    /// What was sent to a path, as JSON.
    pub fn sent(&self, path: &str) -> Vec<Value> {
        let requests = self.peer.requests().into_iter();
        requests.filter(|request| request.target == path).map(|request| request.json()).collect()
    }

    /// The path of a link in the newest message that carries one which does this.
    pub fn link(&self, does: &str) -> String {
        let links = self.sent("/ledger").into_iter().rev().flat_map(|sent| sent["links"].as_array().cloned());
        let link = links.flatten().find(|link| link["does"] == does).unwrap_or_else(|| panic!("no link to {does}"));
        let url = link["url"].as_str().unwrap();
        url.strip_prefix("https://hooks.label.example").unwrap_or_else(|| panic!("{url}")).to_owned()
    }

    /// Looks at a path of the webhooks' listener.
    pub async fn look(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: hooks.label.example\r\nConnection: close\r\n\r\n");
        exchange(self.app.webhooks, request.as_bytes()).await
    }

    /// Confirms a link, under a name.
    pub async fn confirm(&self, path: &str, by: &str) -> Answer {
        let form = format!("by={by}");
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Connection", "close")];
        exchange(self.app.webhooks, &post(path, &headers, form.as_bytes())).await
    }

    /// Posts as PagerDuty would, with this secret.
    pub async fn pager(&self, body: &Value, secret: &str) -> Answer {
        let body = body.to_string();
        let signature = format!("v1={}", code(secret, &[body.as_bytes()]));
        exchange(self.app.webhooks, &post("/webhooks/pager", &[("X-PagerDuty-Signature", signature)], body.as_bytes()))
            .await
    }

    /// The open case with this key.
    pub async fn case(&self, key: &str) -> Value {
        self.app.json(&format!("/api/v1/cases/fraud%2F{key}")).await
    }

    /// The keys of the open cases.
    pub async fn open(&self) -> Vec<String> {
        let list = self.app.json("/api/v1/cases").await;
        list.as_array().unwrap().iter().map(|case| case["key"].as_str().unwrap().to_owned()).collect()
    }

    /// The audit list, newest first: who, what, to what, from where.
    pub async fn audit(&self) -> Vec<[String; 4]> {
        let list = self.app.json("/api/v1/audit").await;
        let row = |act: &Value| ["by", "act", "on", "from"].map(|key| act[key].as_str().unwrap().to_owned());
        list.as_array().unwrap().iter().map(row).collect()
    }
}
