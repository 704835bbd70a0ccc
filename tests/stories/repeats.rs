//! Killed after a service had a message and before it had answered: the repetition changes nothing wherever the service can
//! tell one, or can be asked.

use std::collections::BTreeSet;

use jiff::fmt::rfc2822;
use serde_json::json;

use crate::channels::judges::google_chat::{self, GoogleChatPeer};
use crate::channels::judges::incident_io::{self, IncidentIoPeer};
use crate::channels::judges::jsm::{self, JsmPeer};
use crate::channels::judges::ntfy::{self, NtfyPeer};
use crate::channels::judges::pagerduty::{self, PagerDutyPeer};
use crate::channels::judges::twilio::TwilioPeer;
use crate::support::app::{eventually, json as ask, now_s, page_signature, soon};
use crate::support::folder::{CONFIG, Folder, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::raw::{exchange, post};

const RULES: &str = r#"rules:
  - name: stuck
    events: release.submitted
    case: $.data.release_id
    closed_by: release.live
    actions: [{to: [pagerduty, ntfy, google_chat, incident_io, jsm, twilio, ledger], text: "{{ case.key }} is stuck"}]
"#;

/// The services, each of which keeps the first request waiting.
struct Services {
    pagerduty: PagerDutyPeer,
    ntfy: NtfyPeer,
    google_chat: GoogleChatPeer,
    incident_io: IncidentIoPeer,
    jsm: JsmPeer,
    twilio: TwilioPeer,
    ledger: HttpPeer,
}

impl Services {
    async fn start() -> Self {
        let services = Self {
            pagerduty: PagerDutyPeer::start().await,
            ntfy: NtfyPeer::start().await,
            google_chat: GoogleChatPeer::start().await,
            incident_io: IncidentIoPeer::start().await,
            jsm: JsmPeer::start().await,
            twilio: TwilioPeer::start().await,
            ledger: HttpPeer::start().await,
        };
        services.all().into_iter().for_each(|peer| {
            peer.hold_answers(1);
        });
        let now = jiff::Timestamp::now();
        services.twilio.change(|twilio| {
            twilio.created = rfc2822::DateTimePrinter::new().timestamp_to_string(&now).unwrap();
        });
        services
    }

    fn all(&self) -> [&HttpPeer; 7] {
        let Self { pagerduty, ntfy, google_chat, incident_io, jsm, twilio, ledger } = self;
        [&pagerduty.http, &ntfy.http, &google_chat.http, &incident_io.http, &jsm.http, &twilio.http, ledger]
    }

    fn config(&self) -> String {
        let url = |peer: &HttpPeer, path: &str| peer.url(path);
        let destinations = [
            format!(
                "pagerduty: {{type: pagerduty, routing_key: {}, url: \"{}\"",
                pagerduty::ROUTING_KEY,
                url(&self.pagerduty.http, pagerduty::PATH)
            ),
            format!("ntfy: {{type: ntfy, topic: oncall, token: {}, url: \"{}\"", ntfy::TOKEN, url(&self.ntfy.http, "")),
            format!(
                "google_chat: {{type: google_chat, webhook_url: \"{}\"",
                url(&self.google_chat.http, google_chat::WEBHOOK)
            ),
            format!(
                "incident_io: {{type: incident_io, token: {}, url: \"{}\"",
                incident_io::TOKEN,
                url(&self.incident_io.http, incident_io::PATH)
            ),
            format!(
                "jsm: {{type: jsm, api_key: {}, url: \"{}\"",
                jsm::KEY,
                url(&self.jsm.http, "/jsm/ops/integration/v2")
            ),
            format!(
                "twilio: {{type: twilio, account_sid: AC0123456789abcdef0123456789abcdef, auth_token: \
                 FAKE456789abcdef0123456789abcdef, from: \"+15005550006\", to: \"+4930123456789\", url: \"{}\"",
                url(&self.twilio.http, "")
            ),
        ];
        let lines = destinations.map(|keys| format!("  {keys}, retry: {{first: 1s, max: 1s}}, timeout: 2m}}\n"));
        format!("{CONFIG}{}", lines.concat())
    }

    /// How often each shows what was sent: for the receiver of our own, under how many keys it came.
    fn shown(&self) -> [usize; 7] {
        let keys =
            self.ledger.requests().into_iter().map(|request| request.header("idempotency-key").map(str::to_owned));
        [
            self.pagerduty.service().incidents.len(),
            self.ntfy.service().shown.len(),
            self.google_chat.service().messages.len(),
            self.incident_io.service().alerts.len(),
            self.jsm.service().alerts.len(),
            self.twilio.service().texts.len(),
            keys.collect::<BTreeSet<_>>().len(),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_send_and_answer_it_repeats_and_each_service_shows_it_once() {
    let services = Services::start().await;
    let folder = Folder::new(&services.config(), &services.ledger.url("/ledger"), RULES);
    let process = Process::start(folder.path()).await;
    let body = json!({"id": "evt_1", "type": "release.submitted", "created": now_s(), "data": {"release_id": "rel_1"}});
    let body = body.to_string();
    let signature = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
    let answer = exchange(process.webhooks, &post("/webhooks/jewelmusic", &[signature], body.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for peer in services.all() {
        soon("it is sent", peer.received(1)).await;
    }
    process.kill().await;
    assert_eq!(services.shown(), [1; 7], "each had it before the kill");

    let process = Process::start(folder.path()).await;
    eventually("all is delivered", async || {
        let status = ask(process.admin, "/api/v1/status").await;
        (status["deliveries"]["delivered"] == 7).then_some(())
    })
    .await;
    process.terminate().await;
    for peer in services.all() {
        assert!(peer.requests().len() >= 2, "{:?} was not asked again", peer.address);
    }
    assert_eq!(services.shown(), [1; 7]);
    services.pagerduty.assert_clean();
    services.ntfy.assert_clean();
    services.google_chat.assert_clean();
    services.incident_io.assert_clean();
    services.jsm.assert_clean();
    services.twilio.assert_clean();
}
