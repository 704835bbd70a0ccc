//! A case in every channel: what `preview` shows of its second message and of its end is, byte for byte, what a server
//! sends then. The services answer on sockets, with the ids that a rehearsal stands in for.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare::channels::Request;
use fanfare::clock::{Clock, VirtualClock};
use fanfare::config::Snapshot;
use fanfare::delivery::State;
use fanfare::event::Event;
use fanfare::rehearse::show::{Shown, Wanted, show};
use fanfare::source::{self, Outgoing};
use fanfare::steps::Bounds;
use fanfare::store::DeliveryFilter;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::app::{App, eventually};
use crate::support::folder::{Folder, SECRET};
use crate::support::http_peer::{Answer, HttpPeer, Recorded};
use crate::support::smtp_peer::{Setup, SmtpPeer};

const RULES: &str = "rules:
  - name: fraud
    description: Every case has one thread.
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {to: [bot, hook, fans, oncall, ledger, finance], message: opened}
      - {to: [bot, hook, fans, oncall, ledger, finance], message: reminder, after: 2h}
    on_close:
      - {to: [hook, ledger, finance], message: over}
";

const ALL: [&str; 6] = ["bot", "fans", "finance", "hook", "ledger", "oncall"];

struct Server {
    app: App,
    http: HttpPeer,
    mail: SmtpPeer,
    clock: VirtualClock,
    /// How much of what came was looked at.
    seen: (usize, usize),
}

fn answer(request: &Recorded) -> Answer {
    let said: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match request.target.split('/').nth(1) {
        Some("slack") => {
            Answer::status(200).json(&json!({"ok": true, "channel": said["channel"], "ts": "1767607200.000100"}))
        }
        Some("hook") => Answer::status(200).body("ok"),
        Some("api") => {
            Answer::status(200).json(&json!({"id": "1199887766554433221", "channel_id": "1199887766554433220"}))
        }
        Some("pager") => Answer::status(202).json(&json!({"status": "success", "dedup_key": said["dedup_key"]})),
        _ => Answer::status(200),
    }
}

impl Server {
    async fn start() -> Self {
        let (http, mail) = (HttpPeer::serving(answer).await, SmtpPeer::start(Setup::default()).await);
        let pace = "rate: 1000/s, burst: 1000";
        let config = format!(
            "listen: 127.0.0.1:0
admin: {{listen: \"127.0.0.1:0\"}}
store: sqlite:fanfare.db
sources: {{jewelmusic: {{preset: jewelmusic, secrets: [{SECRET}]}}}}
destinations:
  bot: {{type: slack, token: xoxb-1-FAKE, channel: \"#fraud\", url: \"{}\", {pace}}}
  hook: {{type: slack, webhook_url: \"{}\", {pace}}}
  fans: {{type: discord, webhook_url: \"{}\", {pace}}}
  oncall: {{type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef, url: \"{}\", {pace}}}
  ledger: {{type: http, url: \"{}\", {pace}}}
  finance: {{type: email, smtp: \"{}\", from: fanfare@label.example, to: finance@label.example, {pace}}}
",
            http.url("/slack/api"),
            http.url("/hook/1"),
            http.url("/api/webhooks/123456789012345678/fans-FAKE-xJ3vQ0yT8wRkN5bZ1cL7dM2pS4aG6hUe"),
            http.url("/pager/1"),
            http.url("/ledger"),
            mail.url(),
        );
        let folder = Folder::new(&config, "", RULES);
        for (name, title) in [
            ("opened", "Fraud case {{ case.key }} of *{{ data.title }}*"),
            ("reminder", "Nobody took {{ case.key }} since {{ case.opened|ago }}"),
            ("over", "It is over with {{ case.key }}: {{ data.reason }}"),
        ] {
            let text = format!("---\ntitle: \"{title}\"\nseverity: critical\n---\n**Look** at {{{{ data.title }}}}.\n");
            folder.write(&format!("templates/{name}.md"), &text);
        }
        let clock = VirtualClock::new("2026-01-05T12:00:00Z".parse().unwrap());
        let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
        assert_eq!(**app.live.stale.load(), None);
        Self { app, http, mail, clock, seen: (0, 0) }
    }

    /// The clock goes on, and what is due then is sent. Gives what came, by destination.
    async fn at(&mut self, span: SignedDuration, done: usize) -> BTreeMap<&'static str, Vec<u8>> {
        self.clock.advance(span);
        self.app.live.to_plan.notify_one();
        self.sent(done).await
    }

    /// What came since this was last asked, once this many deliveries are done.
    async fn sent(&mut self, done: usize) -> BTreeMap<&'static str, Vec<u8>> {
        eventually(&format!("{done} deliveries are done"), async || {
            let states = vec![State::Delivered];
            let filter = DeliveryFilter { states, limit: 100, ..DeliveryFilter::default() };
            (self.app.live.store.list_deliveries(&filter).await.unwrap().len() == done).then_some(())
        })
        .await;
        let name = |request: &Recorded| match request.target.split('/').nth(1) {
            Some("slack") => "bot",
            Some("hook") => "hook",
            Some("api") => "fans",
            Some("pager") => "oncall",
            _ => "ledger",
        };
        let (requests, mails) = (self.http.requests(), self.mail.mails());
        let came = requests[self.seen.0..].iter().map(|request| (name(request), request.body.clone()));
        let posted = mails[self.seen.1..].iter().map(|mail| ("finance", mail.content.clone()));
        let came = came.chain(posted).collect();
        self.seen = (requests.len(), mails.len());
        came
    }

    async fn post(&self, id: &str, kind: &str) -> Event {
        let now = self.clock.now();
        let data = json!({"case_id": "frc_1", "title": "Lanterns <Sped Up>", "reason": "a false alarm"});
        let body = json!({"id": id, "type": kind, "created": now.as_second(), "data": data}).to_string();
        assert_eq!(self.app.send(&body).await.status, 200);
        taken(&self.app.live.snapshot.load_full(), body.as_bytes(), now)
    }

    /// What `preview` shows of an action, by the words it says, at each destination; where nothing is sent, nothing.
    async fn shown(&self, says: &str, before: &[Event], event: &Event, to: &[&'static str]) -> Previewed {
        let snapshot = self.app.live.snapshot.load_full();
        let rule = &snapshot.rules.as_ref().unwrap().rules[0];
        let is_it = |said: &fanfare::delivery::Say| said.name() == says;
        let action = rule.all_actions().find(|action| is_it(&action.say.value)).unwrap();
        let mut previewed = BTreeMap::new();
        for to in to {
            let destination = snapshot.destinations[*to].clone();
            let spoken = Some((rule, action));
            let now = event.received;
            let wanted = Wanted { say: &action.say.value, action: spoken, destination, before, event, now };
            previewed.insert(*to, show(&snapshot, &wanted).await.unwrap());
        }
        Previewed(previewed)
    }
}

struct Previewed(BTreeMap<&'static str, Shown>);

impl Previewed {
    fn assert_is(&self, sent: &BTreeMap<&'static str, Vec<u8>>, at: Timestamp) {
        assert!(!self.0.is_empty());
        for (to, shown) in &self.0 {
            let bytes = match &shown.request {
                Request::Http(http) => &http.body,
                Request::Mail(mail) => &mail.message,
                Request::Nothing => panic!("{to} gets nothing"),
            };
            let sent = sent.get(to).unwrap_or_else(|| panic!("nothing was sent to {to}"));
            assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(sent), "{to}");
            assert_eq!(shown.at, Some(at), "{to}");
        }
    }

    fn text(&self, to: &str) -> String {
        match &self.0[to].request {
            Request::Http(http) => format!("{} {}", http.method, String::from_utf8_lossy(&http.body)),
            Request::Mail(mail) => String::from_utf8_lossy(&mail.message).into_owned(),
            Request::Nothing => "nothing".into(),
        }
    }
}

/// The event as the server takes it.
fn taken(snapshot: &Snapshot, body: &[u8], now: Timestamp) -> Event {
    let source = snapshot.default_source().unwrap();
    let mut headers = axum::http::HeaderMap::new();
    for (name, value) in source.sign(None, &Outgoing { id: "", kind: "", body, at: now }).unwrap() {
        headers.insert(axum::http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    source::open(source, &source::Request { headers: &headers, body }, now).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_message_of_a_case_and_its_end_are_previewed_as_they_are_sent_in_every_channel() {
    let mut server = Server::start().await;
    let opening = server.post("evt_1", "fraud.action_required").await;
    let sent = server.sent(6).await;
    server.shown("opened", &[], &opening, &ALL).await.assert_is(&sent, server.clock.now());

    let second = server.shown("reminder", &[], &opening, &ALL).await;
    let sent = server.at(SignedDuration::from_hours(2), 12).await;
    second.assert_is(&sent, server.clock.now());
    assert!(second.text("bot").contains(r#""thread_ts":"1767607200.000100""#), "{}", second.text("bot"));
    assert!(second.text("finance").contains("Subject: Re: "), "{}", second.text("finance"));

    server.clock.advance(SignedDuration::from_hours(1));
    let closing = server.post("evt_2", "fraud.resolved").await;
    // Three changes, and three messages of their own.
    let sent = server.sent(18).await;
    let before = [opening];
    let changed = server.shown("opened", &before, &closing, &["bot", "fans", "oncall"]).await;
    changed.assert_is(&sent, server.clock.now());
    assert!(changed.text("bot").contains("Closed"), "{}", changed.text("bot"));
    assert!(changed.text("fans").starts_with("PATCH "), "{}", changed.text("fans"));
    assert!(changed.text("oncall").contains(r#""event_action":"resolve""#), "{}", changed.text("oncall"));
    let said = server.shown("over", &before, &closing, &["hook", "ledger", "finance"]).await;
    said.assert_is(&sent, server.clock.now());
    assert!(said.text("finance").contains("Subject: Re: "), "{}", said.text("finance"));
    server.app.end().await;
}
