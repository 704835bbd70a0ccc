//! The channels: each turns a [`Sending`] into a [`Request`] and a [`Reply`] into a [`Verdict`], and does nothing else.
//!
//! Pure except for `wire.rs`, the one careful sender that all of them share. A channel is one file with a [`ChannelKind`] and one
//! row in [`ALL`]; whatever treats channels apart reads that row, and nothing outside of this folder names a channel.
//! Channels know messages, and nothing of rules, events or the store.
//!
//! Anyone who sends does three things in a row, and the second is not left out: [`wire::Transport::send`], then
//! [`Reply::redacted`] with the channel's secrets, then [`Channel::verdict`]. So no verdict, no record and no log can
//! quote what the other side echoed.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::channels::redact::Redactor;
use crate::delivery::{AttemptOutcome, DeliveryId, LinkOp, MessageOp, Receipt};
use crate::locale::Locale;
use crate::message::Rendered;
use crate::message::template::native::Format;
use crate::problem::{File, Location, Problems};
use crate::secret::Secret;
use crate::yaml;
use crate::yaml::Fields;

pub mod address;
pub mod choice;
mod discord;
mod email;
mod endpoint;
mod google_chat;
mod http;
mod incident_io;
mod jsm;
mod kind;
mod markdown;
mod mattermost;
mod ntfy;
pub mod overrides;
mod own_server;
mod pagerduty;
mod picture;
pub mod redact;
mod reply;
mod rocketchat;
mod runs;
pub mod schema;
mod slack;
mod teams;
mod telegram;
mod twilio;
pub mod verdict;
pub mod wire;
mod words;

pub use self::address::{Address, Mappable, MappedBy};
pub use self::choice::Choice;
pub use self::kind::{Can, ChannelKind, Credential, KeyDoc, Limit, Mentions, Unit};
pub use self::overrides::Override;
pub use self::picture::{Dress, Likeness, Picture};
pub use self::reply::Reply;
pub use self::schema::Takes;
pub use self::verdict::Moved;

/// Every channel there is. To add one: its file, its `mod` line, its row here.
pub const ALL: &[ChannelKind] = &[
    slack::KIND,
    discord::KIND,
    email::KIND,
    http::KIND,
    pagerduty::KIND,
    teams::KIND,
    telegram::KIND,
    ntfy::KIND,
    mattermost::KIND,
    rocketchat::KIND,
    google_chat::KIND,
    incident_io::KIND,
    jsm::KIND,
    twilio::KIND,
];

/// The kind with this name.
pub fn named(name: &str) -> Option<&'static ChannelKind> {
    ALL.iter().find(|kind| kind.name == name)
}

/// The format of own templates of each kind that takes some.
pub fn formats() -> Vec<(&'static str, Format)> {
    ALL.iter().filter_map(|kind| Some((kind.name, kind.native?))).collect()
}

/// The channel that a kind's example describes: for looking at messages where no destination is configured.
pub fn example(kind: &ChannelKind) -> Option<Box<dyn Channel>> {
    let mut problems = Problems::new();
    let tree = yaml::read(&File::new("example", kind.example), &mut problems)?;
    kind.read(&mut Fields::of(&tree, "the example", &mut problems)?, &mut problems)
}

/// One configured destination's channel.
pub trait Channel: Send + Sync + std::fmt::Debug {
    /// What to send. Total: it shortens, and never fails for length.
    /// An `Err` is a fact about this message that no retry changes (a path segment that came out empty, a choice
    /// without a match): the delivery is dead with these words.
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String>;

    /// What the answer means. Must not quote a secret.
    fn verdict(&self, reply: &Reply) -> Verdict;

    /// What a delivered message is to be remembered by where the answer says nothing of that: for what follows in its
    /// lane. A receipt of the [`Verdict`] comes before it.
    fn remembers(&self, sending: &Sending<'_>) -> Option<Receipt>;

    /// Who is still to get it, where each request reaches one of several: the one that [`compose`](Self::compose) makes
    /// reaches the first.
    fn recipients(&self, _sending: &Sending<'_>) -> Vec<String> {
        Vec::new()
    }

    /// What asks the service whether an attempt with this request, whose end is not known, got through: where a repetition
    /// would do harm. `None` where it does none, or nobody can be asked.
    fn looks(&self, _request: &Request) -> Option<Request> {
        None
    }

    /// What the answer to that means: a verdict if this request is not to be sent now. `since` is when the delivery was
    /// planned.
    fn has(&self, _request: &Request, _since: Timestamp, _reply: &Reply) -> Option<Verdict> {
        None
    }

    /// Where the service answers that what this request is for has moved: what goes to where it is now, at once.
    fn moved(&self, _request: &Request, _reply: &Reply) -> Option<Moved> {
        None
    }

    /// What asks the service what became of a request that it queued with this reply; `None` where nobody can be asked.
    fn asks_after(&self, _request: &Request, _reply: &Reply) -> Option<Request> {
        None
    }

    /// What the answer to that means, in words: an `Err` if it will not arrive. `None` as long as it is not decided.
    fn became(&self, _reply: &Reply) -> Option<Result<String, String>> {
        None
    }

    /// What the service answers to a request that it takes, as far as [`verdict`](Self::verdict) reads it, with
    /// placeholders for the ids that it gives: what a rehearsal answers.
    fn taken(&self, request: &Request) -> Reply;

    /// The address that its choices give for an event and why, without secrets, for people; `None` where there is nothing
    /// to choose. `root` is `$` of the event, `names` what the rules' names select in it.
    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String>;

    /// What is known of it since it was read.
    fn facts(&self) -> &Facts;
}

/// What is known of a configured destination's channel, whatever it sends.
#[derive(Debug)]
pub struct Facts {
    /// What it can do with the later messages of a case.
    pub can: Can,
    /// Every secret it holds, for redaction of whatever comes back and for the leak test.
    pub secrets: Vec<Secret>,
    /// Where it sends, without secrets, for people: `smtp.example.com:465`, `hooks.slack.com`.
    pub address: String,
    /// Every place that it connects to, for those who only want to know whether that can be reached.
    pub endpoints: Vec<Endpoint>,
    /// The names (of the rules' `names:`) that its choices and templated URLs read, and where that stands: loading
    /// reports those that nobody defines, since a choice would quietly fall to its `else`.
    pub names: Vec<(String, Location)>,
    /// What it leaves to a map of the rules, if anything.
    pub mapped: Option<MappedBy>,
    /// Whether an address depends on the event: only then are [`Sending::root`] and [`Sending::context`] filled in, since of
    /// a large event each takes as much memory as the event.
    pub by_event: bool,
}

/// A place that is connected to.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// An HTTP server.
    Web(WebServer),
    /// A mail server.
    Mail(MailServer),
}

/// An HTTP server, without path, query and user: it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebServer {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its host.
    pub host: url::Host<String>,
    /// Its port.
    pub port: u16,
}

impl WebServer {
    /// Where an http(s) URL leads to.
    pub fn of_url(url: &Secret) -> Option<Self> {
        let url = url::Url::parse(url.open()).ok()?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self { tls, host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }
}

/// Everything a channel may use to compose.
#[derive(Debug)]
pub struct Sending<'a> {
    /// The delivery's id, the same on every attempt: the idempotency key.
    pub id: &'a DeliveryId,
    /// When this attempt begins.
    pub at: Timestamp,
    /// When the delivery was planned: what a mail's `Date` says, the same on every attempt.
    pub planned: Timestamp,
    /// What it does to what stands there.
    pub act: MessageOp,
    /// The rich form, or plain text after the rich one was refused.
    pub form: Form,
    /// The message.
    pub rendered: &'a Rendered,
    /// The rule's name.
    pub rule: &'a str,
    /// The event as JSON, as the http channel sends it: `source`, `id`, `type`, `created`, `received`, `body`.
    pub event: &'a Value,
    /// What address choices and templated URLs read: `$` of the event (see `Event::root`).
    pub root: &'a Value,
    /// What templated URLs may name beyond `data` and `event`: names, `case`, `rule`, `with`.
    pub context: &'a Map<String, Value>,
    /// The address that a map gave, where the destination leaves it to one.
    pub to: Option<&'a str>,
    /// What the action says otherwise than the destination.
    pub overrides: &'a Map<String, Value>,
    /// Who is to be mentioned: the destination's own ids for the action's `mention` names.
    pub mentions: &'a [String],
    /// The lane, which is the case at this destination: the same for all of its messages; a PagerDuty `dedup_key`,
    /// the root of a mail thread.
    pub lane: Option<&'a str>,
    /// What the first delivered message of the lane gave back.
    pub receipt: Option<&'a Receipt>,
    /// What stands below it.
    pub footer: &'a Footer,
    /// Recipients that earlier attempts are done with, each by its [`mark`].
    pub settled: &'a [String],
    /// What people can do about its case from it.
    pub links: &'a [Button],
    /// The language of the channel's own words.
    pub locale: &'static Locale,
    /// Whether people outside of the team read it: how the team names its rules and hosts is not theirs to know.
    pub outside: bool,
}

impl<'a> Sending<'a> {
    /// Whom its message pings: one that changes what stands there notifies nobody.
    pub fn pinged(&self) -> &'a [String] {
        if self.act.changes() { &[] } else { self.mentions }
    }
}

/// A link by which a person does something about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What it does.
    pub does: LinkOp,
    /// What it says.
    pub label: String,
    /// Where it leads: visible ASCII, except for the dots that stand for a token where people look at what would be sent.
    pub url: String,
}

/// What stands below each message of a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Footer {
    /// Severity, rule and type, where a team reads it.
    #[default]
    Usual,
    /// Nothing.
    None,
    /// This text.
    Text(String),
}

/// What a recipient of a delivery is remembered by: the store keeps no address that it need not.
pub fn mark(id: &DeliveryId, recipient: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(id.as_str());
    hash.update([0]);
    hash.update(recipient);
    hex::encode(&hash.finalize()[..12])
}

/// Rich, or plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The channel's best.
    Rich,
    /// No markup at all: what goes after `refused`.
    Plain,
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub enum Request {
    /// An HTTP request.
    Http(HttpRequest),
    /// A mail.
    Mail(Box<MailRequest>),
    /// Nothing needs sending (a close of what was never shown): delivered as it is.
    Nothing,
}

impl Request {
    /// The body of an HTTP request.
    pub fn body(&self) -> Option<&[u8]> {
        match self {
            Request::Http(http) => Some(&http.body),
            Request::Mail(_) | Request::Nothing => None,
        }
    }
}

/// An HTTP request. The URL and some headers may hold secrets: neither is ever shown.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// `POST`, `PUT`, `PATCH` …
    pub method: &'static str,
    /// The whole URL.
    pub url: Secret,
    /// Headers: visible ASCII values.
    pub headers: Vec<(String, Secret)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// One with this document as its body.
    pub fn json(method: &'static str, url: Secret, document: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), Secret::new("application/json"))];
        Self { method, url, headers, body: crate::json::written(document).into_bytes() }
    }
}

/// A mail server, and who we are to it.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// `smtp://` (STARTTLS, demanded) or `smtps://`, user and password and all; `?tls=none` or `?tls=opportunistic`
    /// where a server on the same host speaks no TLS, or has a certificate of its own making.
    pub url: Secret,
    /// The name or address literal that we say EHLO by; without it, one that servers accept is found.
    pub helo: Option<String>,
    /// Who sends, for the envelope.
    pub from: String,
}

/// A mail, and how to hand it over.
#[derive(Debug, Clone)]
pub struct MailRequest {
    /// Whom it is handed over to, and who sends.
    pub server: MailServer,
    /// Recipients; one that is refused doesn't keep the others from the mail.
    pub envelope_to: Vec<String>,
    /// The whole message as it goes on the wire (RFC 5322).
    pub message: Vec<u8>,
}

/// What a reply means.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How the attempt ended.
    pub outcome: AttemptOutcome,
    /// In words, without secrets.
    pub reason: String,
    /// Not before this long from now, when the other side said so.
    pub wait: Option<SignedDuration>,
    /// How to find what was sent, after `delivered`.
    pub receipt: Option<Receipt>,
    /// Whether the destination itself is broken (a revoked hook, an archived channel): it is marked failing.
    pub failing: bool,
    /// Recipients that are done with, though others are not: they have it, or never will.
    pub settled: Vec<String>,
    /// In words, which recipients never will have it, where others have it or may.
    pub lost: Option<String>,
}

impl Verdict {
    /// This outcome for this reason, and nothing more.
    pub fn new(outcome: AttemptOutcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: reason.into(),
            wait: None,
            receipt: None,
            failing: false,
            settled: Vec::new(),
            lost: None,
        }
    }

    /// The same; the destination itself is broken.
    #[must_use]
    pub fn failing(mut self) -> Self {
        self.failing = true;
        self
    }

    /// The same, with how to find what was sent.
    #[must_use]
    pub fn receipt(mut self, receipt: Receipt) -> Self {
        self.receipt = Some(receipt);
        self
    }

    /// The same, not before `wait` from now.
    #[must_use]
    pub fn wait(mut self, wait: Option<SignedDuration>) -> Self {
        self.wait = wait;
        self
    }
}

/// Of a longer body no more is read for its account, in bytes: many times what is kept.
const ACCOUNT_READ: usize = 64 << 10;

/// A short account of a request for the attempt's record, with the channel's secrets cut out.
pub fn account(request: &Request, redactor: &Redactor) -> String {
    let sent = match request {
        Request::Http(request) => String::from_utf8_lossy(&request.body),
        // Its lines end as they do on the wire; nobody who reads the record wants to see that.
        Request::Mail(mail) => String::from_utf8_lossy(&mail.message).replace("\r\n", "\n").into(),
        Request::Nothing => return String::new(),
    };
    // Looking for secrets in all of a large body would hold up anyone who waits for this thread.
    let start = sent.get(..sent.floor_char_boundary(ACCOUNT_READ)).unwrap_or_default();
    let clean = redactor.redact(start);
    // Where little is left of it, what is kept may reach to where it was cut, in the midst of a secret.
    if start.len() < sent.len() && clean.len() < ACCOUNT_READ / 4 {
        return shortened(&redactor.redact(&sent));
    }
    shortened(&clean)
}

/// At most 2,048 characters: what is kept of a request or reply.
fn shortened(text: &str) -> String {
    text.char_indices().nth(2048).and_then(|(end, _)| text.get(..end)).unwrap_or(text).to_owned()
}
