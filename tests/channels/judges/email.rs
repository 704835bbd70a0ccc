//! Any mail server: what RFC 5322 and RFC 2045 forbid it refuses.

use fanfare::channels::{MailRequest, MailServer, Reply, Request};
use fanfare::secret::Secret;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Judge, Rate, long};
use crate::support::mime::Mime;

/// The server.
#[derive(Default)]
pub struct Email {
    refusals: Vec<String>,
}

impl Judge for Email {
    fn answer(&mut self, request: &Request) -> Reply {
        let Request::Mail(mail) = request else { return Reply::Nothing };
        if let Some(line) = mail.message.split(|byte| *byte == b'\n').find(|line| line.len() > 999) {
            self.refusals.push(format!("a line of {} bytes", line.len()));
            let text = "5.6.0 line too long".to_owned();
            return Reply::Mail { accepted: vec![], refused: vec![], code: Some(552), text };
        }
        Mime::parse(&mail.message);
        assert!(!mail.envelope_to.is_empty(), "a mail to nobody");
        Reply::Mail { accepted: mail.envelope_to.clone(), refused: vec![], code: Some(250), text: "ok".into() }
    }

    fn refusals(&self) -> &[String] {
        &self.refusals
    }

    fn pings(&self) -> Vec<String> {
        Vec::new()
    }

    fn limited(&self, _wait: SignedDuration) -> (Reply, SignedDuration) {
        let text = "4.7.1 too many messages, try again later".to_owned();
        (Reply::Mail { accepted: vec![], refused: vec![], code: Some(450), text }, SignedDuration::ZERO)
    }

    fn rate(&self) -> Option<Rate> {
        None
    }

    fn sized(&self, of: &str, size: usize) -> Request {
        assert_eq!(of, "a line");
        let server =
            MailServer { url: Secret::new("smtps://mail.example"), helo: None, from: "a@label.example".into() };
        let message = format!("Subject: x\r\n\r\n{}\r\n", long(size)).into_bytes();
        Request::Mail(Box::new(MailRequest { server, envelope_to: vec!["b@label.example".into()], message }))
    }

    fn shown(&self, request: &Request) -> String {
        let Request::Mail(mail) = request else { return String::new() };
        let mail = Mime::parse(&mail.message);
        let text = mail.part("text/plain").map(|part| part.text.clone()).unwrap_or_default();
        format!("{}\n{text}", mail.header("Subject").unwrap_or_default())
    }

    fn form(&self, request: &Request) -> Value {
        let Request::Mail(mail) = request else { return Value::Null };
        let html = Mime::parse(&mail.message).part("text/html").map(|part| tags(&part.text));
        let mime = super::mime(&Mime::parse(&mail.message));
        json!({"to": mail.envelope_to, "from": mail.server.from, "mime": mime, "html": html})
    }
}

/// The tags of HTML, without the queries of their URLs.
fn tags(html: &str) -> Vec<String> {
    html.split('<').skip(1).filter_map(|rest| rest.split(['>', '?']).next()).map(str::to_owned).collect()
}
