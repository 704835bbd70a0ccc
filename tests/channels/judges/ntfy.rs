//! An ntfy server, version 2.28: messages in their topics, replaced by their sequence, with every limit of the server.

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{Judge, Peer, Rate, Service, keys, long, skeleton, texts};
use crate::support::http_peer::{Answer, Recorded};

/// The token that may publish.
pub const TOKEN: &str = "tk_FAKE7ZkT4mW9sB2xN6vC1aaaaaaaa";

/// The server behind a socket.
pub type NtfyPeer = Peer<Ntfy>;

/// The server.
#[derive(Debug, Clone, Default)]
pub struct Ntfy {
    /// What phones show: topic, sequence, and the newest message of it.
    pub shown: Vec<(String, String, Value)>,
    refusals: Vec<String>,
}

type Checked<T = ()> = Result<T, String>;

const KEYS: [&str; 9] = ["topic", "sequence_id", "title", "message", "priority", "tags", "click", "attach", "actions"];

impl Ntfy {
    fn publish(&mut self, request: &Recorded) -> Checked<Value> {
        if request.method != "POST" || request.target != "/" {
            return Err(format!("40401 {} {}", request.method, request.target));
        }
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return Err("40101 unauthorized".into());
        }
        if request.body.len() > 8192 {
            return Err(format!("41303 JSON body too large: {}", request.body.len()));
        }
        let Ok(Value::Object(said)) = serde_json::from_slice(&request.body) else { return Err("40024 no JSON".into()) };
        keys(&said, &KEYS)?;
        let (topic, sequence) = (name(&said, "topic")?, name(&said, "sequence_id")?);
        size(&said, "message", 4096)?;
        size(&said, "title", 1024)?;
        if said.get("message").and_then(Value::as_str).is_none_or(|message| message.trim().is_empty()) {
            return Err("phones would show `triggered`".into());
        }
        if !said.get("priority").and_then(Value::as_u64).is_some_and(|priority| (1..=5).contains(&priority)) {
            return Err("40007 invalid priority".into());
        }
        for key in ["click", "attach"] {
            if said.get(key).is_some_and(|url| !is_web(url)) {
                return Err(format!("40013 invalid {key}"));
            }
        }
        let actions = said.get("actions").and_then(Value::as_array).cloned().unwrap_or_default();
        if actions.len() > 3 {
            return Err("40018 too many actions".into());
        }
        actions.iter().try_for_each(check_action)?;
        self.shown.retain(|(of, known, _)| (of, known) != (&topic, &sequence));
        let said = Value::Object(said);
        self.shown.push((topic.clone(), sequence.clone(), said.clone()));
        Ok(json!({"id": "hwQ2YpKdmg", "time": 1, "event": "message", "topic": topic, "sequence_id": sequence,
            "message": said["message"], "title": said["title"]}))
    }
}

fn check_action(action: &Value) -> Checked {
    let known = ["action", "label", "url", "method", "headers", "body", "clear"];
    keys(action.as_object().ok_or("40018 an action is no object")?, &known)?;
    let is_known = ["view", "http"].contains(&action["action"].as_str().unwrap_or_default());
    if is_known && is_web(&action["url"]) && action["label"].as_str().is_some_and(|label| !label.is_empty()) {
        Ok(())
    } else {
        Err(format!("40018 invalid action {action}"))
    }
}

fn is_web(url: &Value) -> bool {
    url.as_str().is_some_and(|url| url.starts_with("http") && url::Url::parse(url).is_ok())
}

fn size(said: &Map<String, Value>, key: &str, max: usize) -> Checked {
    let size = said.get(key).and_then(Value::as_str).map_or(0, str::len);
    if size > max { Err(format!("{key} of {size} bytes")) } else { Ok(()) }
}

fn name(said: &Map<String, Value>, key: &str) -> Checked<String> {
    let name = said.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_plain && (1..=64).contains(&name.len()) { Ok(name.to_owned()) } else { Err(format!("invalid {key}")) }
}

impl Service for Ntfy {
    fn serve(&mut self, request: &Recorded) -> Answer {
        match self.publish(request) {
            Ok(message) => Answer::status(200).json(&message),
            Err(why) => {
                self.refusals.push(why.clone());
                Answer::status(400).json(&json!({"code": 40_000, "http": 400, "error": why}))
            }
        }
    }
}

impl Judge for Ntfy {
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
        // It says that, and not until when: another request is allowed each five seconds.
        let answer = json!({"code": 42_901, "http": 429, "error": "limit reached: too many requests"});
        (Answer::status(429).json(&answer).reply(), SignedDuration::from_secs(5))
    }

    fn rate(&self) -> Option<Rate> {
        // Sixty requests at once, and then one each five seconds.
        Some(Rate::ms(60, 5000))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        let mut body = json!({"topic": "t", "sequence_id": "s", "priority": 3, "message": "m"});
        match of {
            "`message`" => body["message"] = long(size).into(),
            "`title`" => body["title"] = long(size).into(),
            "`actions`" => {
                body["actions"] =
                    vec![json!({"action": "view", "label": "l", "url": "https://a.example/"}); size].into();
            }
            "the whole request" => {
                body["message"] = long(4000).into();
                body["click"] = "https://a.example/".into();
                let rest = size - body.to_string().len();
                body["click"] = format!("https://a.example/{}", long(rest)).into();
            }
            other => panic!("`{other}` has no limit here"),
        }
        let mut request = HttpRequest::json("POST", Secret::new("https://ntfy.example/"), &body);
        request.headers.push(("authorization".into(), Secret::new(format!("Bearer {TOKEN}"))));
        Request::Http(request)
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| Some(spot.text.to_owned()))
    }

    fn form(&self, request: &Request) -> Value {
        // ntfy shows all texts as they are.
        skeleton(request, &|_| "text".into())
    }
}
