//! The one sender, against servers that behave badly.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fanfare::channels::wire::names::Names;
use fanfare::channels::wire::{Guard, Wire};
use fanfare::channels::{HttpRequest, MailServer, Reply, Request};
use fanfare::secret::Secret;

use crate::support::tls::AUTHORITY;

mod choice;
mod dial;
mod email;
mod endpoint;
mod guard;
mod http;
mod mail;
mod redact;
mod verdict;

/// Long enough for loopback on a busy machine; no test waits for it.
const AMPLE: Duration = Duration::from_secs(20);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// A wire that trusts the tests' authority and allows what it allows by default.
fn wire() -> Wire {
    wire_under(Guard::default(), &[])
}

/// The same under this guard, where names have the addresses given here, and others their own.
fn wire_under(guard: Guard, names: &[(&str, &[&str])]) -> Wire {
    Wire::with(guard, Arc::new(Lying::new(names)), AUTHORITY).unwrap()
}

/// A name server that lies.
struct Lying(Vec<(String, Vec<IpAddr>)>);

impl Lying {
    fn new(names: &[(&str, &[&str])]) -> Self {
        let parsed = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self(names.iter().map(|(name, addresses)| ((*name).to_owned(), parsed(addresses))).collect())
    }
}

impl Names for Lying {
    fn look_up(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let found = match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, addresses)) => Ok(addresses.clone()),
            None if name == "localhost" => Ok(vec![[127, 0, 0, 1].into()]),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        Box::pin(async move { found })
    }
}

/// A POST of `{"hello":"world"}`.
fn post(url: &str) -> Request {
    Request::Http(HttpRequest {
        method: "POST",
        url: Secret::new(url),
        headers: vec![("content-type".into(), Secret::new("application/json"))],
        body: br#"{"hello":"world"}"#.to_vec(),
    })
}

/// Why nothing was sent; a panic if something was.
fn not_sent(reply: Reply) -> String {
    match reply {
        Reply::NotSent(why) => why,
        other => panic!("expected that nothing was sent, got {other:?}"),
    }
}

/// Why nothing ever will be sent; a panic if something was, or may be.
fn denied(reply: Reply) -> String {
    match reply {
        Reply::Denied(why) => why,
        other => panic!("expected that it is denied, got {other:?}"),
    }
}

/// The mail server with this URL, to which we are `fanfare@label.example`.
fn server_at(url: &str) -> MailServer {
    MailServer { url: Secret::new(url), helo: None, from: "fanfare@label.example".into() }
}

/// Why there is no answer; a panic if there is one, or if nothing was sent.
fn no_answer(reply: Reply) -> String {
    match reply {
        Reply::NoAnswer(why) => why,
        other => panic!("expected no answer, got {other:?}"),
    }
}
