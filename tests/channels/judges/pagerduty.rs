//! PagerDuty's Events API v2 on loopback: incidents that are opened, added to and resolved by their key, with every
//! documented limit checked.
//!
//! ```ignore
//! let peer = PagerDutyPeer::start().await;
//! // routing_key: pagerduty_peer::ROUTING_KEY, url: peer.url()
//! peer.http.answer(Answer::status(429));               // misbehaves once, see `HttpPeer`
//! assert_eq!(peer.pagerduty().open(), ["case_1"]);
//! peer.assert_clean();                                 // nothing was refused
//! ```

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{Judge, Peer, Rate, Service, keys, long, skeleton, texts, units};
use crate::support::http_peer::{Answer, Recorded};

/// The keys that the service knows.
pub const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
pub const SECOND_ROUTING_KEY: &str = "fedcba9876543210fedcba9876543210";
/// Where events go.
pub const PATH: &str = "/v2/enqueue";

/// The service behind a server.
pub type PagerDutyPeer = Peer<PagerDuty>;

impl PagerDutyPeer {
    /// Where events go.
    pub fn url(&self) -> String {
        self.http.url(PATH)
    }

    /// The service as it stands.
    pub fn pagerduty(&self) -> PagerDuty {
        self.service()
    }
}

/// Somebody was paged for this.
#[derive(Debug, Clone)]
pub struct Incident {
    pub routing_key: String,
    pub dedup_key: String,
    /// Of the trigger that opened it.
    pub summary: String,
    /// How many triggers came while it was open, the first among them.
    pub triggers: u32,
    pub is_open: bool,
}

/// The service.
#[derive(Debug, Clone, Default)]
pub struct PagerDuty {
    /// Every incident there was, oldest first: each is a page.
    pub incidents: Vec<Incident>,
    /// How many resolves met no open incident, and were dropped.
    pub dropped: u32,
    /// Why requests were refused.
    pub refusals: Vec<String>,
}

impl PagerDuty {
    /// The keys of the open incidents.
    pub fn open(&self) -> Vec<&str> {
        self.incidents.iter().filter(|incident| incident.is_open).map(|incident| incident.dedup_key.as_str()).collect()
    }

    fn take(&mut self, request: &Recorded) -> Result<String, String> {
        if request.body.len() > 512 * 1024 {
            return Err(format!("the event has {} bytes", request.body.len()));
        }
        if request.header("content-type") != Some("application/json") {
            return Err("no JSON by its Content-Type".into());
        }
        let Ok(Value::Object(event)) = serde_json::from_slice(&request.body) else {
            return Err("no JSON object".into());
        };
        keys(
            &event,
            &["routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"],
        )?;
        let routing_key = text(&event, "routing_key", 32)?;
        if routing_key != ROUTING_KEY && routing_key != SECOND_ROUTING_KEY {
            return Err("'routing_key' is invalid (must be a valid integration key)".into());
        }
        let dedup_key = text(&event, "dedup_key", 255)?;
        let found = self.incidents.iter_mut().find(|incident| {
            incident.is_open && incident.dedup_key == dedup_key && incident.routing_key == routing_key
        });
        match (text(&event, "event_action", 20)?.as_str(), found) {
            ("resolve", Some(incident)) => incident.is_open = false,
            ("resolve", None) => self.dropped += 1,
            ("trigger", found) => {
                let summary = trigger(&event)?;
                match found {
                    Some(incident) => incident.triggers += 1,
                    None => self.incidents.push(Incident {
                        routing_key,
                        dedup_key: dedup_key.clone(),
                        summary,
                        triggers: 1,
                        is_open: true,
                    }),
                }
            }
            (action, _) => return Err(format!("'event_action' is `{action}`")),
        }
        Ok(dedup_key)
    }
}

/// The summary of a trigger, after its whole syntax was checked.
fn trigger(event: &Map<String, Value>) -> Result<String, String> {
    const PAYLOAD: [&str; 8] =
        ["summary", "severity", "source", "timestamp", "component", "class", "group", "custom_details"];
    let Some(payload) = event.get("payload").and_then(Value::as_object) else { return Err("no 'payload'".into()) };
    keys(payload, &PAYLOAD)?;
    let summary = text(payload, "summary", 1024)?;
    let severity = text(payload, "severity", 8)?;
    if !["critical", "error", "warning", "info"].contains(&severity.as_str()) {
        return Err(format!("'severity' is `{severity}`"));
    }
    text(payload, "source", 1024)?;
    if let Some(time) = payload.get("timestamp")
        && time.as_str().is_none_or(|time| time.parse::<jiff::Timestamp>().is_err())
    {
        return Err(format!("'timestamp' is {time}"));
    }
    for key in ["component", "class", "group"] {
        if payload.contains_key(key) {
            text(payload, key, 1024)?;
        }
    }
    if payload.get("custom_details").is_some_and(|details| !details.is_object()) {
        return Err("'custom_details' is not an object".into());
    }
    for link in event.get("links").and_then(Value::as_array).into_iter().flatten() {
        let link = link.as_object().ok_or("a link is not an object")?;
        keys(link, &["href", "text"])?;
        text(link, "href", usize::MAX)?;
    }
    for image in event.get("images").and_then(Value::as_array).into_iter().flatten() {
        let image = image.as_object().ok_or("an image is not an object")?;
        keys(image, &["src", "href", "alt"])?;
        if !text(image, "src", usize::MAX)?.starts_with("https://") {
            return Err("an image that isn't https".into());
        }
    }
    Ok(summary)
}

fn text(map: &Map<String, Value>, key: &str, max: usize) -> Result<String, String> {
    match map.get(key).and_then(Value::as_str) {
        Some(text) if !text.is_empty() && units(text) <= max => Ok(text.to_owned()),
        Some(text) => Err(format!("'{key}' has {} characters", units(text))),
        None => Err(format!("'{key}' is missing or space")),
    }
}

impl Service for PagerDuty {
    fn serve(&mut self, request: &Recorded) -> Answer {
        if request.target != PATH || request.method != "POST" {
            self.refusals.push(format!("{} {}", request.method, request.target));
            return Answer::status(404);
        }
        match self.take(request) {
            Ok(key) => {
                Answer::status(202).json(&json!({"status": "success", "message": "Event processed", "dedup_key": key}))
            }
            Err(why) => {
                self.refusals.push(why.clone());
                Answer::status(400).json(&json!({
                    "status": "invalid event", "message": "Event object is invalid", "errors": [why],
                }))
            }
        }
    }
}

impl Judge for PagerDuty {
    fn answer(&mut self, request: &Request) -> Reply {
        self.judge(request)
    }

    fn refusals(&self) -> &[String] {
        &self.refusals
    }

    fn pings(&self) -> Vec<String> {
        Vec::new()
    }

    fn limited(&self, _wait: SignedDuration) -> (Reply, SignedDuration) {
        // It asks to wait a while, and doesn't say how long.
        (Answer::status(429).reply(), SignedDuration::from_mins(1))
    }

    fn rate(&self) -> Option<Rate> {
        // About 120 events a minute, for each integration.
        Some(Rate::ms(120, 500))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let mut event = json!({
            "routing_key": ROUTING_KEY, "dedup_key": "k", "event_action": "trigger",
            "payload": {"summary": "s", "severity": "info", "source": "here", "custom_details": {"message": ""}},
        });
        match of {
            "`payload.summary`" => event["payload"]["summary"] = long(size).into(),
            "`dedup_key`" => event["dedup_key"] = long(size).into(),
            "the whole event" => {
                let rest = size - event.to_string().len();
                event["payload"]["custom_details"]["message"] = long(rest).into();
            }
            other => panic!("`{other}` has no limit here"),
        }
        Request::Http(HttpRequest::json("POST", Secret::new(format!("https://events.example{PATH}")), &event))
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| Some(spot.text.to_owned()))
    }

    fn form(&self, request: &Request) -> Value {
        // PagerDuty shows all texts as they are.
        skeleton(request, &|_| "text".into())
    }
}
