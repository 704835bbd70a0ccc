//! Anybody's endpoint: it takes JSON of any size, and comes back with `Retry-After`.

use fanfare::channels::{Reply, Request};
use jiff::SignedDuration;
use serde_json::Value;

use super::{Judge, Rate, Service, skeleton, texts};
use crate::support::http_peer::{Answer, Recorded};

/// The endpoint.
#[derive(Debug, Clone, Default)]
pub struct Http {
    refusals: Vec<String>,
}

impl Service for Http {
    fn serve(&mut self, request: &Recorded) -> Answer {
        let is_json = request.header("content-type").is_some_and(|kind| kind.contains("json"));
        if is_json && serde_json::from_slice::<Value>(&request.body).is_err() {
            self.refusals.push("no JSON".into());
            return Answer::status(400);
        }
        Answer::status(200).body("ok")
    }
}

impl Judge for Http {
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
        (Answer::status(429).header("Retry-After", &wait.as_secs().to_string()).reply(), wait)
    }

    fn rate(&self) -> Option<Rate> {
        None
    }

    fn sized(&self, of: &str, _size: usize) -> Request {
        panic!("`{of}` has no limit here")
    }

    fn shown(&self, request: &Request) -> String {
        texts(request, |spot| Some(spot.text.to_owned()))
    }

    fn form(&self, request: &Request) -> Value {
        skeleton(request, &|_| "text".into())
    }
}
