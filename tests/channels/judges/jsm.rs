//! The alerts of Jira Service Management Operations, which are those of Opsgenie: made, noted to and closed by an alias,
//! with every documented limit. The real service finds what is wrong later; this one refuses at once.

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Judge, Peer, Rate, Service, keys, long, skeleton, texts, units};
use crate::support::http_peer::{Answer, Recorded};

/// The integration's key.
pub const KEY: &str = "01234567-89ab-cdef-0123-456789abFAKE";
/// Where alerts are.
pub const PATH: &str = "/jsm/ops/integration/v2/alerts";

/// The service behind a server.
pub type JsmPeer = Peer<Jsm>;

/// An alert.
#[derive(Debug, Clone)]
pub struct Alert {
    pub alias: String,
    pub body: Value,
    pub notes: Vec<String>,
    /// How often it was made while it was open.
    pub count: u32,
    pub is_open: bool,
}

/// The service.
#[derive(Debug, Clone, Default)]
pub struct Jsm {
    /// Every alert there was, oldest first.
    pub alerts: Vec<Alert>,
    /// Why it fails to make alerts that it took; empty if it doesn't.
    pub failure: String,
    /// How often it was asked what became of one.
    asked: u32,
    refusals: Vec<String>,
}

type Checked<T = ()> = Result<T, String>;

impl Jsm {
    fn route(&mut self, request: &Recorded) -> Checked {
        let url = Url::parse(&format!("http://peer{}", request.target)).map_err(|_| "no path")?;
        if request.method != "POST" || request.header("authorization") != Some(&format!("GenieKey {KEY}")) {
            return Err("Could not authenticate".into());
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| "no JSON")?;
        let map = body.as_object().ok_or("no object")?;
        let rest = url.path().strip_prefix(PATH).ok_or_else(|| format!("nothing is at {}", url.path()))?;
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let by_alias = url.query() == Some("identifierType=alias");
        match parts.as_slice() {
            [] if url.query().is_none() => self.create(map),
            [alias, act @ ("close" | "notes")] if by_alias => {
                let alias = percent(alias);
                keys(map, &["note", "source", "user"])?;
                text(map, "note", 25_000)?;
                let open = self.alerts.iter_mut().find(|alert| alert.alias == alias && alert.is_open);
                if let Some(alert) = open {
                    alert.notes.extend(map.get("note").and_then(Value::as_str).map(str::to_owned));
                    alert.is_open = *act != "close";
                }
                Ok(())
            }
            _ => Err(format!("nothing is at {}", request.target)),
        }
    }

    fn create(&mut self, map: &Map<String, Value>) -> Checked {
        let known = ["message", "alias", "description", "responders", "tags", "details", "priority", "source"];
        keys(map, &known)?;
        for (key, max) in [("message", 130), ("alias", 512), ("description", 15_000), ("source", 100)] {
            text(map, key, max)?;
        }
        if map.get("message").and_then(Value::as_str).is_none_or(|message| message.trim().is_empty()) {
            return Err("message: must not be empty".into());
        }
        let priority = map.get("priority").and_then(Value::as_str).unwrap_or_default();
        if !["P1", "P2", "P3", "P4", "P5"].contains(&priority) {
            return Err(format!("priority {priority}"));
        }
        let tags = map.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        if tags.len() > 20 || tags.iter().any(|tag| units(tag.as_str().unwrap_or_default()) > 50) {
            return Err("tags".into());
        }
        let responders = map.get("responders").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_one = |one: &Value| one["name"].is_string() || one["username"].is_string();
        if responders.len() > 50 || !responders.iter().all(is_one) {
            return Err("responders".into());
        }
        let details = map.get("details").and_then(Value::as_object).cloned().unwrap_or_default();
        let size: usize = details.iter().map(|(name, value)| units(name) + value.as_str().map_or(9000, units)).sum();
        if size > 8000 {
            return Err(format!("details of {size}"));
        }
        let alias = map.get("alias").and_then(Value::as_str).unwrap_or_default().to_owned();
        match self.alerts.iter_mut().find(|alert| alert.alias == alias && alert.is_open) {
            Some(alert) => alert.count += 1,
            None => {
                let body = Value::Object(map.clone());
                self.alerts.push(Alert { alias, body, notes: Vec::new(), count: 1, is_open: true });
            }
        }
        Ok(())
    }
}

fn text(map: &Map<String, Value>, key: &str, max: usize) -> Checked {
    let size = map.get(key).and_then(Value::as_str).map_or(0, units);
    if size > max { Err(format!("{key} of {size} characters")) } else { Ok(()) }
}

fn percent(text: &str) -> String {
    let query = format!("k={text}");
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap()
}

impl Service for Jsm {
    fn serve(&mut self, request: &Recorded) -> Answer {
        if request.method == "GET" && request.target == format!("{PATH}/requests/43a29c5c-3dbf-4fa4-9c26-f4f71023e120")
        {
            self.asked += 1;
            // It takes a moment.
            return match self.asked {
                1 => Answer::status(404).json(&json!({"message": "Request not found. It might not be processed, yet."})),
                _ => Answer::status(200)
                    .json(&json!({"data": {"isSuccess": self.failure.is_empty(), "status": if self.failure.is_empty() { "Created alert" } else { &self.failure }}})),
            };
        }
        match self.route(request) {
            Ok(()) => {
                let id = "43a29c5c-3dbf-4fa4-9c26-f4f71023e120";
                Answer::status(202).json(&json!({"result": "Request will be processed", "took": 0.1, "requestId": id}))
            }
            Err(why) => {
                self.refusals.push(why.clone());
                Answer::status(422).json(&json!({"message": why, "took": 0.0, "requestId": "r"}))
            }
        }
    }
}

impl Judge for Jsm {
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
        // It says that, and not until when.
        let answer = json!({"message": "You are making too many requests!", "took": 0.0, "requestId": "r"});
        (Answer::status(429).json(&answer).reply(), SignedDuration::ZERO)
    }

    fn rate(&self) -> Option<Rate> {
        // The service names no number, which depends on the plan: as often as Fanfare sends, and no more.
        Some(Rate::ms(1, 500))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let mut alert = json!({"message": "m", "alias": "a", "priority": "P1"});
        match of {
            "`message`" => alert["message"] = long(size).into(),
            "`alias`" => alert["alias"] = long(size).into(),
            "`description`" => alert["description"] = long(size).into(),
            "all names and values of `details`" => alert["details"] = json!({"k": long(size - 1)}),
            "`tags`" => alert["tags"] = vec![json!("t"); size].into(),
            "a tag" => alert["tags"] = json!([long(size)]),
            "`responders`" => alert["responders"] = vec![json!({"type": "team", "name": "t"}); size].into(),
            other => panic!("`{other}` has no limit here"),
        }
        let mut request = HttpRequest::json("POST", Secret::new(format!("https://api.example{PATH}")), &alert);
        request.headers.push(("authorization".into(), Secret::new(format!("GenieKey {KEY}"))));
        Request::Http(request)
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| Some(spot.text.to_owned()))
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|_| "text".into())
    }
}
