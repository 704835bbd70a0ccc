//! A judge for each kind of channel: it stands for the service, enforces its syntax and limits, answers as the service does
//! (429 in its own form), and reports what people would read and whom it would ping.
//!
//! To add one: its file, its `mod` line, its row in [`ALL`]. The suite (`suite.rs`) demands a judge for every kind, and drives
//! the channel against it. Where a test needs the service behind a socket, [`Peer`] serves a judge's [`Service`].

use std::sync::{Arc, Mutex};

use fanfare::channels::{Reply, Request};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::support::http_peer::{Answer, HttpPeer, Recorded};
use crate::support::mime::Mime;

pub mod discord;
mod email;
pub mod google_chat;
mod http;
pub mod incident_io;
pub mod jsm;
pub mod mattermost;
pub mod ntfy;
pub mod pagerduty;
pub mod rocketchat;
pub mod slack;
pub mod teams;
pub mod telegram;
pub mod twilio;

/// Makes a judge.
pub type New = fn() -> Box<dyn Judge>;

/// Every judge, by the name of its kind.
pub const ALL: &[(&str, New)] = &[
    ("slack", || Box::new(slack::Slack::default())),
    ("discord", || Box::new(discord::Discord::default())),
    ("email", || Box::new(email::Email::default())),
    ("http", || Box::new(http::Http::default())),
    ("pagerduty", || Box::new(pagerduty::PagerDuty::default())),
    ("teams", || Box::new(teams::Teams::default())),
    ("telegram", || Box::new(telegram::Telegram::default())),
    ("ntfy", || Box::new(ntfy::Ntfy::default())),
    ("mattermost", || Box::new(mattermost::Mattermost::default())),
    ("rocketchat", || Box::new(rocketchat::RocketChat::default())),
    ("google_chat", || Box::new(google_chat::GoogleChat::default())),
    ("incident_io", || Box::new(incident_io::IncidentIo::default())),
    ("jsm", || Box::new(jsm::Jsm::default())),
    ("twilio", || Box::new(twilio::Twilio::default())),
];

/// How often a service takes something: a burst at once, and then one in each interval.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub burst: i64,
    pub every: SignedDuration,
}

impl Rate {
    pub const fn ms(burst: i64, every_ms: i64) -> Self {
        Self { burst, every: SignedDuration::from_millis(every_ms) }
    }
}

/// What stands for the service of one kind.
pub trait Judge: Send {
    /// Answers a request as the service does. What it refuses it notes.
    fn answer(&mut self, request: &Request) -> Reply;

    /// Why requests were refused: the service's word, and what was wrong.
    fn refusals(&self) -> &[String];

    /// Everybody who was pinged, in the service's notation.
    fn pings(&self) -> Vec<String>;

    /// What the service answers who comes too often and must wait so long, and how long it asks to wait in the end: many
    /// count in whole seconds, some don't say.
    fn limited(&self, wait: SignedDuration) -> (Reply, SignedDuration);

    /// How often it takes something, as its documentation says; `None` where nothing is said, and it is the operator's own.
    fn rate(&self) -> Option<Rate>;

    /// A request in which what a limit of the kind is about has this size, and all else is in order.
    fn sized(&self, of: &str, size: usize) -> Request;

    /// All that people read of a request, as the service would show it, markup undone.
    fn shown(&self, request: &Request) -> String;

    /// What of a request may not depend on a value: its form, and in place of each text what the service takes for markup.
    fn form(&self, request: &Request) -> Value;
}

/// The judge of a kind.
pub fn of(kind: &str) -> Box<dyn Judge> {
    match ALL.iter().find(|(known, _)| *known == kind) {
        Some((_, judge)) => judge(),
        None => panic!("`{kind}` has no judge: write tests/channels/judges/{kind}.rs, and its row in judges/mod.rs"),
    }
}

/// The answer to a request that must be in order.
pub fn accept(judge: &mut dyn Judge, request: &Request) -> Reply {
    if let Request::Http(request) = request {
        for (name, value) in &request.headers {
            let value = value.open();
            let is_clean = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            assert!(is_clean && value.trim() == value, "header `{name}` can't be sent: {value:?}");
        }
    }
    let reply = judge.answer(request);
    assert!(judge.refusals().is_empty(), "refused: {:#?}\n{}", judge.refusals(), text_of(request));
    reply
}

fn text_of(request: &Request) -> String {
    match request {
        Request::Http(request) => Recorded::of(request).text(),
        Request::Mail(mail) => String::from_utf8_lossy(&mail.message).into_owned(),
        Request::Nothing => "nothing".to_owned(),
    }
}

/// A service that speaks HTTP.
pub trait Service: Judge + Clone + Default + Send + 'static {
    /// Answers a request. What it refuses it notes.
    fn serve(&mut self, request: &Recorded) -> Answer;

    /// The same for a judge.
    fn judge(&mut self, request: &Request) -> Reply {
        match request {
            Request::Http(request) => self.serve(&Recorded::of(request)).reply(),
            Request::Nothing => Reply::Nothing,
            Request::Mail(_) => panic!("a mail to a service that speaks HTTP"),
        }
    }
}

/// A service on loopback.
pub struct Peer<S> {
    /// The server, to make it misbehave.
    pub http: HttpPeer,
    service: Arc<Mutex<S>>,
}

impl<S: Service> Peer<S> {
    /// Starts one.
    pub async fn start() -> Self {
        let service = Arc::new(Mutex::new(S::default()));
        let answering = service.clone();
        let http = HttpPeer::serving(move |request| answering.lock().unwrap().serve(request)).await;
        Self { http, service }
    }

    /// The service as it stands.
    pub fn service(&self) -> S {
        self.service.lock().unwrap().clone()
    }

    /// Somebody changes it.
    pub fn change(&self, change: impl FnOnce(&mut S)) {
        change(&mut self.service.lock().unwrap());
    }

    /// Fails if anything was refused.
    pub fn assert_clean(&self) {
        assert!(self.service().refusals().is_empty(), "refused: {:#?}", self.service().refusals());
    }
}

/// As services count at the strictest.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A text of this many characters.
pub fn long(size: usize) -> String {
    "x".repeat(size)
}

/// Refuses a key that a service doesn't know.
pub fn keys(map: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key '{key}'")),
        None => Ok(()),
    }
}

/// A text of JSON, and where it stands.
pub struct Spot<'v> {
    /// Its key, or that of the list it is in.
    pub key: &'v str,
    /// The object that it is in.
    pub object: &'v Map<String, Value>,
    pub text: &'v str,
}

/// The texts of a JSON document, in order.
pub fn spots<'v>(key: &'v str, object: &'v Map<String, Value>, value: &'v Value, found: &mut Vec<Spot<'v>>) {
    match value {
        Value::String(text) => found.push(Spot { key, object, text }),
        Value::Array(items) => items.iter().for_each(|item| spots(key, object, item, found)),
        Value::Object(map) => map.iter().for_each(|(key, value)| spots(key, map, value, found)),
        _ => {}
    }
}

/// All texts of an HTTP request's JSON, each as `read` reads it: a line each.
pub fn texts(request: &Request, read: impl Fn(&Spot<'_>) -> Option<String>) -> String {
    let body: Value = request.body().map(|body| serde_json::from_slice(body).unwrap()).unwrap_or_default();
    let (none, mut found) = (Map::new(), Vec::new());
    spots("", &none, &body, &mut found);
    found.iter().filter_map(read).collect::<Vec<_>>().join("\n")
}

/// Method, URL, names of headers and the body's skeleton, in which `markup` stands for each text that may hold a value.
pub fn skeleton(request: &Request, markup: &dyn Fn(&Spot<'_>) -> Value) -> Value {
    let Request::Http(request) = request else { return Value::Null };
    let headers: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    let body = match serde_json::from_slice::<Value>(&request.body) {
        Ok(body) => bones("", &Map::new(), &body, markup),
        Err(_) => Value::Null,
    };
    json!({"method": request.method, "url": request.url.open(), "headers": headers, "body": body})
}

fn bones(key: &str, object: &Map<String, Value>, value: &Value, markup: &dyn Fn(&Spot<'_>) -> Value) -> Value {
    /// Keys whose values are ours, not text for people.
    const OURS: [&str; 14] = [
        "type",
        "style",
        "channel",
        "event_action",
        "severity",
        "routing_key",
        "dedup_key",
        "source",
        "class",
        "group",
        "timestamp",
        "username",
        "client",
        "rule",
    ];
    match value {
        Value::Object(map) => {
            // A field's name is a key there.
            let is_named = ["custom_details", "details", "metadata"].contains(&key);
            let entries = map.iter().filter(|(key, _)| *key != "inline").enumerate();
            let entry = |(nth, (key, value)): (usize, (&String, &Value))| {
                let name = if is_named { nth.to_string() } else { key.clone() };
                (name, bones(key, map, value, markup))
            };
            Value::Object(entries.map(entry).collect())
        }
        Value::Array(items) => items.iter().map(|item| bones(key, object, item, markup)).collect(),
        Value::String(text) if OURS.contains(&key) => text.as_str().into(),
        Value::String(text)
            if matches!(
                key,
                "url" | "href" | "src" | "image_url" | "imageUrl" | "client_url" | "source_url" | "click" | "attach"
            ) =>
        {
            text.split('?').next().unwrap_or_default().into()
        }
        Value::String(text) => markup(&Spot { key, object, text }),
        other => other.clone(),
    }
}

/// Names of headers and the types of the parts of a mail.
fn mime(mime: &Mime) -> Value {
    let names: Vec<&str> = mime.headers.iter().map(|(name, _)| name.as_str()).collect();
    json!({"headers": names, "parts": mime.parts.iter().map(self::mime).collect::<Vec<_>>()})
}
