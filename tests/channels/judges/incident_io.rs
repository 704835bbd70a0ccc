//! An alert source of incident.io: alerts that fire and are resolved by their keys, with Markdown in their descriptions.

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::discord::markup;
use super::{Judge, Peer, Rate, Service, keys, long, skeleton, texts};
use crate::support::http_peer::{Answer, Recorded};

/// The source's token.
pub const TOKEN: &str = "FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaaaaaaa";
/// The source's path.
pub const PATH: &str = "/v2/alert_events/http/01HXYZEXAMPLE0000000000000";

/// The service behind a server.
pub type IncidentIoPeer = Peer<IncidentIo>;

/// The service.
#[derive(Debug, Clone, Default)]
pub struct IncidentIo {
    /// Every alert: its key, how often it fired, and whether it still does.
    pub alerts: Vec<(String, u32, bool)>,
    refusals: Vec<String>,
}

impl IncidentIo {
    fn take(&mut self, request: &Recorded) -> Result<String, String> {
        if request.target != PATH || request.method != "POST" {
            return Err(format!("{} {}", request.method, request.target));
        }
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return Err("authentication_error".into());
        }
        if request.body.len() > 512 * 1024 {
            return Err(format!("{} bytes", request.body.len()));
        }
        let event: Value = serde_json::from_slice(&request.body).map_err(|_| "no JSON")?;
        let known = ["title", "status", "deduplication_key", "description", "source_url", "metadata"];
        keys(event.as_object().ok_or("no object")?, &known)?;
        let text = |key: &str| event[key].as_str().filter(|text| !text.trim().is_empty()).ok_or(format!("no `{key}`"));
        let (key, status) = (text("deduplication_key")?.to_owned(), text("status")?);
        text("title")?;
        if event.get("source_url").is_some_and(|url| url::Url::parse(url.as_str().unwrap_or_default()).is_err()) {
            return Err("`source_url` is no URL".into());
        }
        let open = self.alerts.iter_mut().find(|(known, _, fires)| *known == key && *fires);
        match (status, open) {
            ("firing", Some(alert)) => alert.1 += 1,
            ("firing", None) => self.alerts.push((key.clone(), 1, true)),
            ("resolved", Some(alert)) => alert.2 = false,
            ("resolved", None) => {}
            (other, _) => return Err(format!("status `{other}`")),
        }
        Ok(key)
    }
}

impl Service for IncidentIo {
    fn serve(&mut self, request: &Recorded) -> Answer {
        match self.take(request) {
            Ok(key) => Answer::status(202).json(&json!({
                "status": "success", "message": "Event accepted for processing", "deduplication_key": key,
            })),
            Err(why) => {
                self.refusals.push(why.clone());
                let errors = json!([{"code": "invalid", "message": why}]);
                Answer::status(422).json(&json!({"type": "validation_error", "status": 422, "errors": errors}))
            }
        }
    }
}

impl Judge for IncidentIo {
    fn answer(&mut self, request: &Request) -> Reply {
        self.judge(request)
    }

    fn refusals(&self) -> &[String] {
        &self.refusals
    }

    fn pings(&self) -> Vec<String> {
        Vec::new()
    }

    fn limited(&self, wait: SignedDuration) -> (Reply, SignedDuration) {
        let answer = Answer::status(429).header("Retry-After", &wait.as_secs().to_string());
        (answer.json(&json!({"type": "too_many_requests", "status": 429})).reply(), wait)
    }

    fn rate(&self) -> Option<Rate> {
        // 120 a minute for each alert source.
        Some(Rate::ms(1, 500))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        assert_eq!(of, "the whole event");
        let mut event = json!({"title": "t", "status": "firing", "deduplication_key": "k", "description": ""});
        event["description"] = long(size - event.to_string().len()).into();
        let url = Secret::new(format!("https://api.incident.example{PATH}"));
        let mut request = HttpRequest::json("POST", url, &event);
        request.headers.push(("authorization".into(), Secret::new(format!("Bearer {TOKEN}"))));
        Request::Http(request)
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| Some(if spot.key == "description" { markup::shown(spot.text) } else { spot.text.into() }))
    }

    fn form(&self, request: &Request) -> Value {
        let is_plain = request.body().is_some_and(|body| !String::from_utf8_lossy(body).contains("\"metadata\""));
        skeleton(request, &|spot| {
            let is_markdown = spot.key == "description" && !is_plain;
            if is_markdown { markup::markdown_signs(spot.text).into() } else { "text".into() }
        })
    }
}
