//! What came back from a send, whatever became of it. Pure.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;

use crate::channels::redact::Redactor;
use crate::channels::{shortened, verdict};
use crate::secret::Secret;

/// What came back. A refused socket is a reply too.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// An HTTP answer: status, headers, and at most 64 KiB of the body.
    Http {
        /// The status code.
        status: u16,
        /// Names in lower case.
        headers: Vec<(String, String)>,
        /// The start of the body.
        body: Vec<u8>,
        /// Whether that is all of the body: not if it was too long, or broke off, or outlasted the deadline. A channel
        /// that must read the body to know whether it was heard calls a 2xx without its end ambiguous.
        whole: bool,
    },
    /// A mail server's last word: per recipient where they differed.
    Mail {
        /// Accepted for these.
        accepted: Vec<String>,
        /// Refused for these, with code and text.
        refused: Vec<(String, u16, String)>,
        /// The answer to the whole message, or to the step before it that went wrong for all.
        code: Option<u16>,
        /// The server's words.
        text: String,
    },
    /// Nothing was sent: no connection, no name.
    NotSent(String),
    /// Nothing was sent, and never will be: the destination is at an address that no destination may have.
    Denied(String),
    /// Some or all was sent and no answer came in time.
    NoAnswer(String),
    /// Nothing needed sending.
    Nothing,
}

impl Reply {
    /// An HTTP answer with this whole body and no headers.
    pub fn http(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Http { status, headers: Vec::new(), body: body.into(), whole: true }
    }

    /// The value of a header of an HTTP answer; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Http { headers, .. } => {
                headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
            }
            _ => None,
        }
    }

    /// The body of an HTTP answer as JSON, if it is whole and is JSON.
    pub fn json(&self) -> Option<Value> {
        match self {
            Self::Http { body, whole: true, .. } => serde_json::from_slice(body).ok(),
            _ => None,
        }
    }

    /// The same with the time of its arrival in place of a `Date` that is not there (RFC 9110, section 6.6.1): what a
    /// `Retry-After` counts from.
    #[must_use]
    pub fn dated(mut self, now: Timestamp) -> Self {
        if self.header("date").is_none()
            && let Self::Http { headers, .. } = &mut self
            && let Ok(date) = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now)
        {
            headers.push(("date".into(), date));
        }
        self
    }

    /// The same with every secret cut out of everything the other side said.
    #[must_use]
    pub fn redacted(self, secrets: &[Secret]) -> Self {
        self.redacted_by(&Redactor::new(secrets))
    }

    /// The same by a redactor that is at hand.
    #[must_use]
    pub fn redacted_by(self, redactor: &Redactor) -> Self {
        let cut = |text: String| redactor.redact(&text);
        match self {
            Self::Http { status, headers, body, whole } => Self::Http {
                status,
                headers: headers.into_iter().map(|(name, value)| (name, cut(value))).collect(),
                body: cut(String::from_utf8_lossy(&body).into_owned()).into_bytes(),
                whole,
            },
            Self::Mail { accepted, refused, code, text } => Self::Mail {
                accepted,
                refused: refused.into_iter().map(|(to, code, text)| (to, code, cut(text))).collect(),
                code,
                text: cut(text),
            },
            Self::NotSent(why) => Self::NotSent(cut(why)),
            Self::Denied(why) => Self::Denied(cut(why)),
            Self::NoAnswer(why) => Self::NoAnswer(cut(why)),
            Self::Nothing => Self::Nothing,
        }
    }

    /// A short account for the attempt's record. Call it on a redacted reply.
    pub fn account(&self) -> String {
        let account = match self {
            Self::Http { status, body, .. } => format!("{status} {}", String::from_utf8_lossy(body)),
            Self::Mail { accepted, refused, code, text } => {
                let mut lines = vec![format!("{} {text}", code.map_or_else(|| "-".into(), |code| code.to_string()))];
                lines.extend(accepted.iter().map(|to| format!("accepted for {}", verdict::masked(to))));
                lines.extend(refused.iter().map(|(to, code, text)| {
                    let to_masked = verdict::masked(to);
                    format!("refused for {to_masked}: {code} {}", text.replace(to.as_str(), &to_masked))
                }));
                lines.join("\n")
            }
            Self::NotSent(why) | Self::Denied(why) => format!("not sent: {why}"),
            Self::NoAnswer(why) => format!("no answer: {why}"),
            Self::Nothing => "nothing needed sending".into(),
        };
        shortened(&account)
    }
}
