//! Text messages by Twilio: short, in the alphabet that costs least, with its segments counted.
//!
//! Pure. A text of the GSM alphabet has 160 characters a segment, any other 70, and each segment is paid for: signs of
//! typography become their plain forms, and pictures are left out where the rest is plain. Twilio queues what it accepts,
//! and has no key for repetitions: before one, its list of messages is read. After twilio.com/docs, "Message resource" and
//! "Error and warning dictionary".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::channels::picture::{items, text_of};
use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Address, Can, Channel, ChannelKind, Credential, Dress, Facts, HttpRequest, KeyDoc, Likeness, Limit, Mappable,
    Picture, Reply, Request, Sending, Takes, Verdict, address, endpoint, mark,
};
use crate::clock::plus;
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod gsm;

/// The API, unless `url:` says otherwise.
const API: &str = "https://api.twilio.com";
const BODY: Limit = Limit::characters("`Body`", 1600);
/// How many messages to a number are looked through for one that may have got through: all that fit into an answer.
const LISTED: &str = "50";
/// By how much the clocks of Twilio and of this machine may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(30);
/// Codes by which no message will ever arrive.
const BROKEN: [u64; 15] = [
    21_211, 21_212, 21_214, 21_266, 21_408, 21_603, 21_606, 21_607, 21_608, 21_610, 21_612, 21_614, 21_659, 21_660,
    21_703,
];

/// Twilio.
pub const KIND: ChannelKind = ChannelKind {
    name: "twilio",
    summary: "A text message (SMS) to a phone, by Twilio",
    example: "\
type: twilio
account_sid: AC0123456789abcdef0123456789abcdef
auth_token: FAKE456789abcdef0123456789abcdef
from: \"+15005550006\"
to: \"+4930123456789\"
url: https://api.twilio.com
# Or, in their place:
# api_key_sid: SK0123456789abcdef0123456789abcdef
# api_key_secret: FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaa
# messaging_service: MG0123456789abcdef0123456789abcdef
",
    keys: &[
        KeyDoc::new("account_sid", Takes::Text, "The account's SID (`AC…`)").required(),
        KeyDoc::new("auth_token", Takes::Text, "The account's auth token. Either this or an API key").secret(),
        KeyDoc::new("api_key_sid", Takes::Text, "An API key's SID (`SK…`). Either this or `auth_token`").secret(),
        KeyDoc::new("api_key_secret", Takes::Text, "The secret of the API key").secret(),
        KeyDoc::new("from", Takes::Text, "The number or name that sends. Either this or `messaging_service`"),
        KeyDoc::new("messaging_service", Takes::Text, "A messaging service's SID (`MG…`)"),
        KeyDoc::new(
            "to",
            Takes::Addresses,
            "The number that receives, such as \"+4930123456789\", or a list; may be a choice or a map",
        )
        .required(),
        KeyDoc::new("url", Takes::Text, "Another address of the API").secret(),
    ],
    can: Can::NOTHING,
    pages: true,
    shows_links: true,
    reports: false,
    queues: Some("look at the phone, or in Twilio's message log"),
    spacing: Some(SignedDuration::from_secs(1)),
    burst: 1,
    limits: &[BODY],
    native: None,
    likeness: Likeness { dress: Dress::Chat, draw },
    mentions: None,
    overrides: &[],
    credentials: &[
        Credential {
            is: |text| is_sid(text, "AC"),
            what: "the SID of a Twilio account",
            key: Some("account_sid"),
            hint: "`type: twilio` takes it as `account_sid`",
        },
        Credential {
            is: |text| is_sid(text, "SK"),
            what: "the SID of an API key of Twilio",
            key: Some("api_key_sid"),
            hint: "`type: twilio` takes it as `api_key_sid`, with its `api_key_secret`",
        },
        Credential {
            is: |text| is_sid(text, "MG"),
            what: "the SID of a messaging service of Twilio",
            key: Some("messaging_service"),
            hint: "`type: twilio` takes it as `messaging_service`",
        },
    ],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct Twilio {
    facts: Facts,
    url: Secret,
    login: Secret,
    from: Sender,
    to: Address<Vec<String>>,
}

#[derive(Debug)]
enum Sender {
    Number(String),
    Service(String),
}

fn is_sid(text: &str, start: &str) -> bool {
    text.strip_prefix(start).is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let account = fields.required("account_sid", problems).and_then(|(text, node)| sid(&text, "AC", node, problems));
    let login = login(fields, account.as_deref(), problems);
    let from = from(fields, problems);
    let to =
        fields.required_node("to", problems).and_then(|node| Address::parse(node, &NUMBER, problems, &mut numbers));
    let url = match fields.node("url", problems) {
        Some(node) => endpoint::read(node, problems),
        None => url::Url::parse(API).ok(),
    };
    let (account, (user, password), from, to, url) = (account?, login?, from?, to?, url?);
    let base = Secret::new(url.as_str().trim_end_matches('/'));
    let login = Secret::new(STANDARD.encode(format!("{user}:{}", password.open())));
    let facts = Facts {
        can: KIND.can,
        secrets: [&password, &login]
            .into_iter()
            .chain(endpoint::holds_secret(&url).then_some(&base))
            .cloned()
            .collect(),
        address: endpoint::host(&url),
        endpoints: endpoint::endpoints([&base]),
        names: to.name().into_iter().collect(),
        mapped: to.mapped(),
        by_event: to.is_by_event(),
    };
    let url = Secret::new(format!("{}/2010-04-01/Accounts/{account}/Messages.json", base.open()));
    Some(Box::new(Twilio { facts, url, login, from, to }))
}

/// Who asks, and by which password.
fn login(fields: &mut Fields<'_>, account: Option<&str>, problems: &mut Problems) -> Option<(String, Secret)> {
    let token = fields.text("auth_token", problems);
    let key = fields.text("api_key_sid", problems);
    let secret = fields.text("api_key_secret", problems);
    match (token, key, secret) {
        (Some((token, _)), None, None) => Some((account?.to_owned(), Secret::new(token))),
        (None, Some((key, node)), Some((secret, _))) => Some((sid(&key, "SK", node, problems)?, Secret::new(secret))),
        (None, None, None) => {
            fields.missing("auth_token", problems);
            None
        }
        (_, Some((_, node)), _) | (_, _, Some((_, node))) => {
            problems.push(
                Problem::error(
                    "wrong-key",
                    "an API key has an `api_key_sid` and an `api_key_secret`, and no `auth_token`",
                )
                .at(&node.place)
                .hint("write both of them, or `auth_token` alone"),
            );
            None
        }
    }
}

fn from(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Sender> {
    let from = fields.text("from", problems);
    let service = fields.text("messaging_service", problems);
    match (from, service) {
        (Some((from, _)), None) => Some(Sender::Number(from.trim().to_owned())),
        (None, Some((service, node))) => sid(&service, "MG", node, problems).map(Sender::Service),
        (None, None) => {
            fields.missing("from", problems);
            None
        }
        (Some(_), Some((_, node))) => {
            problems.push(
                Problem::error("wrong-key", "`from` and `messaging_service` exclude each other")
                    .at(&node.place)
                    .hint("a messaging service chooses among its own numbers; remove one of the two"),
            );
            None
        }
    }
}

fn sid(text: &str, start: &str, node: &Node, problems: &mut Problems) -> Option<String> {
    let found = Some(text.trim()).filter(|sid| is_sid(sid, start));
    if found.is_none() {
        problems.push(
            Problem::error("wrong-id", "this is not such a SID of Twilio")
                .at(&node.place)
                .hint(format!("it is `{start}` and 32 digits and letters from `a` to `f`")),
        );
    }
    found.map(str::to_owned)
}

/// What a map may give.
const NUMBER: Mappable<Vec<String>> =
    Mappable { field: Some(address::PHONE), is: address::is_phone, read: |text| Some(vec![text.to_owned()]) };
/// The most people whom a destination reaches.
const NUMBERS_MAX: usize = 20;

/// One number or several, each once.
fn numbers(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    if node.one_or_more().len() > NUMBERS_MAX {
        let problem = Problem::error("wrong-number", format!("a destination has at most {NUMBERS_MAX} numbers"));
        problems.push(problem.at(&node.place).hint("write several destinations"));
        return None;
    }
    let mut each: Vec<String> = Vec::new();
    address::several(node, "a phone number", problems, number)?.into_iter().for_each(|number| {
        if !each.contains(&number) {
            each.push(number);
        }
    });
    Some(each)
}

/// E.164.
fn number(node: &Node, problems: &mut Problems) -> Option<String> {
    let said = node.scalar().map(|text| text.replace([' ', '-', '(', ')', '.'], ""));
    let found = said.filter(|text| address::is_phone(text));
    if found.is_none() {
        problems.push(
            Problem::error("wrong-number", "this is not a phone number with its country")
                .at(&node.place)
                .hint("write `+`, the country and the number, quoted: \"+4930123456789\""),
        );
    }
    found
}

impl Channel for Twilio {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        if sending.act == MessageOp::Close {
            return Ok(Request::Nothing);
        }
        let Some(to) = self.left(sending)?.into_iter().next() else { return Ok(Request::Nothing) };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("To", &to);
        match &self.from {
            Sender::Number(from) => form.append_pair("From", from),
            Sender::Service(service) => form.append_pair("MessagingServiceSid", service),
        };
        form.append_pair("Body", &gsm::text(sending));
        let headers = vec![
            ("content-type".to_owned(), Secret::new("application/x-www-form-urlencoded")),
            ("authorization".to_owned(), Secret::new(format!("Basic {}", self.login.open()))),
        ];
        Ok(Request::Http(HttpRequest {
            method: "POST",
            url: self.url.clone(),
            headers,
            body: form.finish().into_bytes(),
        }))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let verdict = shared(Family::Service, reply);
        let answer = reply.json().unwrap_or_default();
        let code = answer["code"].as_u64().unwrap_or_default();
        match status {
            200..=299 if answer["sid"].is_string() => {
                Verdict::new(AttemptOutcome::Delivered, format!("{status}: queued"))
            }
            200..=299 => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, and not with the message"))
            }
            400 if BROKEN.contains(&code) => Verdict { outcome: AttemptOutcome::Permanent, failing: true, ..verdict },
            // The sender's queue holds as much as it can send in ten hours.
            400 if code == 21_611 => Verdict { outcome: AttemptOutcome::Temporary, ..verdict },
            _ => verdict,
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn recipients(&self, sending: &Sending<'_>) -> Vec<String> {
        self.left(sending).unwrap_or_default()
    }

    fn looks(&self, request: &Request) -> Option<Request> {
        let to = value(request, "To")?;
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("To", to.as_str()), ("PageSize", LISTED)])
            .finish();
        Some(self.get(format!("{}?{query}", self.url.open())))
    }

    fn has(&self, request: &Request, since: Timestamp, reply: &Reply) -> Option<Verdict> {
        let text = value(request, "Body")?;
        let since = plus(since, -SKEW);
        let is_it = |message: &&Value| {
            let created = rfc2822::parse(text_of(message, "date_created")).ok();
            // A trial account's texts have a line of Twilio's before them.
            text_of(message, "body").trim_end().ends_with(text.trim_end())
                && created.is_some_and(|created| created.timestamp() >= since)
        };
        match reply {
            Reply::Http { status: 200..=299, .. } => {
                let listed = reply.json().unwrap_or_default();
                let found = items(&listed, "messages").find(is_it)?;
                let said = format!("an earlier attempt got through: it is {}", text_of(found, "status"));
                Some(Verdict::new(AttemptOutcome::Delivered, said))
            }
            // A key that may send need not be one that may read.
            Reply::Http { status: 400..=428 | 430..=499, .. } => None,
            _ => {
                let unknown = shared(Family::Service, reply);
                let said = format!("whether an earlier attempt got through can't be read: {}", unknown.reason);
                let outcome = match unknown.outcome {
                    AttemptOutcome::Limited => AttemptOutcome::Limited,
                    _ => AttemptOutcome::Temporary,
                };
                Some(Verdict { outcome, reason: said, ..unknown })
            }
        }
    }

    fn asks_after(&self, _request: &Request, reply: &Reply) -> Option<Request> {
        let answer = reply.json()?;
        let sid = answer["sid"].as_str().filter(|sid| is_sid(sid, "SM") || is_sid(sid, "MM"))?;
        let base = self.url.open().strip_suffix(".json")?;
        Some(self.get(format!("{base}/{sid}.json")))
    }

    fn became(&self, reply: &Reply) -> Option<Result<String, String>> {
        let message = reply.json()?;
        match text_of(&message, "status") {
            status @ ("delivered" | "read") => Some(Ok(status.to_owned())),
            status @ ("failed" | "undelivered" | "canceled") => {
                let code = message["error_code"].as_u64().map(|code| format!(", error {code}")).unwrap_or_default();
                Some(Err(format!("{status}{code}: {}", text_of(&message, "error_message"))
                    .trim_end_matches([':', ' '])
                    .to_owned()))
            }
            _ => None,
        }
    }

    fn taken(&self, _request: &Request) -> Reply {
        Reply::http(201, json!({"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued"}).to_string())
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        self.to.chosen(root, names, |to| Some(to.join(", ")))
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Twilio {
    /// Who is still to get it, in order.
    fn left(&self, sending: &Sending<'_>) -> Result<Vec<String>, String> {
        let all = self.to.pick(sending)?;
        Ok(all.iter().filter(|to| !sending.settled.contains(&mark(sending.id, to))).cloned().collect())
    }

    fn get(&self, url: String) -> Request {
        let headers = vec![("authorization".to_owned(), Secret::new(format!("Basic {}", self.login.open())))];
        Request::Http(HttpRequest { method: "GET", url: Secret::new(url), headers, body: Vec::new() })
    }
}

/// A value of the form that a request sends.
fn value(request: &Request, key: &str) -> Option<String> {
    let found = form_urlencoded::parse(request.body()?).find(|(known, _)| known == key);
    found.map(|(_, value)| value.into_owned())
}

/// A text message, with what it costs.
fn draw(request: &Request) -> Picture {
    let text = value(request, "Body").unwrap_or_default();
    let mut drawn = Picture { title: "SMS".to_owned(), accent: "#34c759".into(), ..Picture::default() };
    drawn.plain(&text);
    drawn.fact("segments", &gsm::segments(&text).to_string());
    drawn
}
