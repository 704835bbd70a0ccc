//! Twilio's Messages resource: texts to a number, with their length, and no more segments than were meant.

use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Judge, Peer, Rate, Service, long, units};
use crate::support::http_peer::{Answer, Recorded};

/// Where messages go.
pub const PATH: &str = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json";
/// `AC…:FAKE…` in base64.
pub const LOGIN: &str =
    "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpGQUtFNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";

/// A message.
const SID: &str = "SM0123456789abcdef0123456789abcdef";

/// The service behind a server.
pub type TwilioPeer = Peer<Twilio>;

/// The service.
#[derive(Debug, Clone, Default)]
pub struct Twilio {
    /// The texts that phones got.
    pub texts: Vec<String>,
    /// Whose they are: as many, where they were sent.
    pub phones: Vec<String>,
    /// Numbers whose people want no more.
    pub stopped: Vec<String>,
    /// When they were made, as Twilio writes it.
    pub created: String,
    /// What became of them.
    pub status: String,
    refusals: Vec<String>,
}

fn pairs(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}

impl Twilio {
    /// The messages to a number, or one of them.
    fn read(&self, request: &Recorded) -> Answer {
        let message = |text: &String| {
            json!({"sid": SID, "body": text, "date_created": self.created, "status": self.status, "error_code": 30_003,
                "error_message": "Unreachable destination handset"})
        };
        if request.target == PATH.replace(".json", &format!("/{SID}.json")) {
            return Answer::status(200).json(&self.texts.last().map(message).unwrap());
        }
        let query = request.target.strip_prefix(&format!("{PATH}?")).unwrap_or_else(|| panic!("{}", request.target));
        let query = pairs(query.as_bytes());
        let of = |key: &str| query.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        assert_eq!(of("PageSize"), Some("50"));
        // A text that nobody sent here is everybody's.
        let is_theirs = |nth: &usize| self.phones.get(*nth).is_none_or(|to| Some(to.as_str()) == of("To"));
        let theirs = (0..self.texts.len()).rev().filter(is_theirs);
        let messages: Vec<Value> = theirs.map(|nth| message(&self.texts[nth])).collect();
        Answer::status(200).json(&json!({"messages": messages}))
    }

    fn send(&mut self, request: &Recorded) -> Result<(), String> {
        if request.method != "POST" || request.target != PATH {
            return Err(format!("20404 {} {}", request.method, request.target));
        }
        if request.header("authorization") != Some(LOGIN) {
            return Err("20003 Authenticate".into());
        }
        if request.header("content-type") != Some("application/x-www-form-urlencoded") {
            return Err("no form".into());
        }
        let pairs = pairs(&request.body);
        let of = |key: &str| pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        if let Some((key, _)) =
            pairs.iter().find(|(key, _)| !["To", "From", "MessagingServiceSid", "Body"].contains(&&key[..]))
        {
            return Err(format!("unknown `{key}`"));
        }
        if of("To").is_none_or(|to| !to.starts_with('+')) {
            return Err("21211 invalid `To`".into());
        }
        if of("From").is_some() == of("MessagingServiceSid").is_some() {
            return Err("21603 a `From` or a service".into());
        }
        let to = of("To").unwrap_or_default().to_owned();
        if self.stopped.contains(&to) {
            return Err("21610 Attempt to send to unsubscribed recipient".into());
        }
        let text = of("Body").unwrap_or_default();
        if text.trim().is_empty() {
            return Err("21602 a `Body` is required".into());
        }
        if units(text) > 1600 {
            return Err(format!("21617 a `Body` of {} characters", units(text)));
        }
        self.texts.push(text.to_owned());
        self.phones.push(to);
        Ok(())
    }
}

impl Service for Twilio {
    fn serve(&mut self, request: &Recorded) -> Answer {
        if request.method == "GET" && request.header("authorization") == Some(LOGIN) {
            return self.read(request);
        }
        match self.send(request) {
            Ok(()) => Answer::status(201).json(&json!({
                "sid": SID, "status": "queued", "num_segments": "1", "error_code": null,
            })),
            Err(why) => {
                self.refusals.push(why.clone());
                let code: u64 = why.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(21_000);
                Answer::status(400).json(&json!({"code": code, "message": why, "status": 400}))
            }
        }
    }
}

impl Judge for Twilio {
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
        let answer = json!({"code": 20_429, "message": "Too Many Requests", "status": 429});
        (Answer::status(429).json(&answer).reply(), SignedDuration::ZERO)
    }

    fn rate(&self) -> Option<Rate> {
        // A number sends one segment a second; more of them wait in its queue.
        Some(Rate::ms(1, 1000))
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        assert_eq!(of, "`Body`");
        let pairs = [("To", "+4930123456789"), ("From", "+15005550006"), ("Body", &long(size))];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Request::Http(HttpRequest {
            method: "POST",
            url: Secret::new(format!("https://api.twilio.example{PATH}")),
            headers: vec![
                ("content-type".into(), Secret::new("application/x-www-form-urlencoded")),
                ("authorization".into(), Secret::new(LOGIN)),
            ],
            body: body.into_bytes(),
        })
    }

    fn shown(&self, request: &Request) -> String {
        pairs(request.body().unwrap_or_default()).into_iter().map(|(_, value)| value).collect::<Vec<_>>().join("\n")
    }

    fn form(&self, request: &Request) -> Value {
        // A phone shows all of it as it is.
        pairs(request.body().unwrap_or_default()).into_iter().map(|(key, _)| key).collect()
    }
}
