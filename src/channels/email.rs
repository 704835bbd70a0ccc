//! Email: a mail with a plain and an HTML part to one or more people, in a thread for each case.
//!
//! Pure. Headers are written by lettre from typed values, and the only text of an event among them is the title, as
//! one clean line: nothing in an event can add a header or a recipient. Every attempt at a delivery gives the same
//! bytes, under a `Message-ID` made from the delivery's id, by which servers and readers notice a repetition.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, Headers, Sender};
use lettre::message::{Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Host;

use crate::channels::email::ids::{label, message_id};
use crate::channels::verdict::{Family, shared};
use crate::channels::wire::server::{Server, Tls, is_hello};
use crate::channels::{
    Address, Can, Channel, ChannelKind, Credential, Dress, Endpoint, Facts, Footer, Form, KeyDoc, Likeness, Limit,
    MailRequest, MailServer, Mappable, Reply, Request, Sending, Takes, Verdict, address, endpoint, mark, words,
};
use crate::delivery::{Receipt, Severity};
use crate::message::template::native::Format;
use crate::message::{Message, Native, fit, plain, text};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod attached;
mod ids;
mod likeness;
mod page;

/// RFC 5322, section 2.1.1.
const LINE: Limit = Limit::bytes("a line", 998);
/// A subject's length in characters; what is longer is cut off by every reader anyway, and a header's line must stay
/// below 998 (RFC 5322, section 2.1.1).
const SUBJECT_MAX: usize = 200;
/// The length of a header's line that all readers bear.
const LINE_MAX: usize = 78;
/// Under this a receipt keeps the subject of a case's first mail.
const SUBJECT: &str = "subject";
/// The plain part's length in bytes.
const PLAIN_MAX: usize = 64 * 1024;

/// Email.
pub const KIND: ChannelKind = ChannelKind {
    name: "email",
    summary: "A mail over SMTP, with a plain and an HTML part",
    example: "\
type: email
smtp: smtps://user:password@smtp.example.com
from: Fanfare <fanfare@label.example>
to: [finance@label.example, Ann Lee <ann@label.example>]
cc: heads@label.example
reply_to: desk@label.example
helo: fanfare.label.example
",
    keys: &[
        KeyDoc::new("smtp", Takes::Text, "The mail server: `smtps://user:password@host`, or `smtp://…`, which requires STARTTLS. `?tls=none` sends \
                  without TLS, for a server on the same host. `?tls=opportunistic` uses TLS if the server offers it and, \
                  without a password, accepts any certificate").required().secret(),
        KeyDoc::new("from", Takes::Text, "The sender: an address, or `Name <address>`").required(),
        KeyDoc::new("to", Takes::Addresses, "The recipients: an address or a list; may be a choice or a map").required(),
        KeyDoc::new("cc", Takes::List, "Recipients of a copy: an address or a list"),
        KeyDoc::new("reply_to", Takes::Text, "The address for replies"),
        KeyDoc::new("helo", Takes::Text, "The name in the greeting to the mail server; by default this host's full name, or the domain of `from`, \
                  or this host's address"),
    ],
    can: Can { threads: true, edits: false, resolves: false },
    pages: false,
    shows_links: true,
    reports: false,
    queues: None,
    spacing: None,
    burst: 1,
    limits: &[LINE],
    native: Some(Format::Html),
    likeness: Likeness { dress: Dress::Mail, draw: likeness::draw },
    mentions: None,
    overrides: &[],
    credentials: &[Credential {
        is: |text| text.starts_with("smtp://") || text.starts_with("smtps://"),
        what: "a mail server",
        key: Some("smtp"),
        hint: "`type: email` takes it as `smtp`",
    }],
    warnings: &[(
        "clear-password",
        "A mail password crosses the network unencrypted",
        "Write `smtps://`",
    )],
    parse,
};

#[derive(Debug)]
struct Email {
    facts: Facts,
    server: MailServer,
    from: Mailbox,
    to: Address<Vec<Mailbox>>,
    cc: Vec<Mailbox>,
    reply_to: Option<Mailbox>,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let smtp = fields.required("smtp", problems).and_then(|(text, node)| {
        let server = server(&text, node, problems)?;
        Some((Secret::new(text), server))
    });
    let from = fields.required("from", problems).and_then(|(_, node)| mailbox(node, problems));
    let to =
        fields.required_node("to", problems).and_then(|node| Address::parse(node, &MAILBOX, problems, &mut mailboxes));
    let cc = match fields.node("cc", problems) {
        Some(node) => mailboxes(node, problems),
        None => Some(Vec::new()),
    };
    let reply_to = fields.node("reply_to", problems).map(|node| mailbox(node, problems));
    let helo = fields.node("helo", problems).and_then(|node| helo(node, problems));
    let (smtp, server) = smtp?;
    let reply_to = match reply_to {
        Some(found) => Some(found?),
        None => None,
    };
    let (from, to) = (from?, to?);
    let password = server.login.iter().map(|(_, password)| password.clone());
    let secrets = std::iter::once(smtp.clone()).chain(password).collect();
    let address = server.to_string();
    let server = MailServer { url: smtp, helo, from: from.email.to_string() };
    let endpoints = vec![Endpoint::Mail(server.clone())];
    let (names, by_event) = (to.name().into_iter().collect(), to.is_by_event());
    let mapped = to.mapped();
    let facts = Facts { can: KIND.can, secrets, address, endpoints, names, mapped, by_event };
    Some(Box::new(Email { facts, server, from, to, cc: cc?, reply_to }))
}

fn server(text: &str, node: &Node, problems: &mut Problems) -> Option<Server> {
    let server = match Server::parse(text) {
        Ok(server) => server,
        Err(why) => {
            problems.push(
                Problem::error("wrong-smtp", why)
                    .at(&node.place)
                    .hint("write `smtps://user:password@smtp.example.com`"),
            );
            return None;
        }
    };
    if let Some(why) = endpoint::denied(&server.host) {
        problems.push(why.at(&node.place));
        return None;
    }
    let is_here = match &server.host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    if server.tls == Tls::None && server.login.is_some() && !is_here {
        problems.push(
            Problem::warning("clear-password", "this password crosses the network unencrypted")
                .at(&node.place)
                .hint("remove `?tls=none`"),
        );
    }
    Some(server)
}

/// A host name, or an address as a literal: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
fn helo(node: &Node, problems: &mut Problems) -> Option<String> {
    let name = node.scalar().map(str::trim).filter(|name| is_hello(name));
    if name.is_none() {
        problems.push(
            Problem::error("wrong-helo", "this name can't be used to greet a mail server")
                .at(&node.place)
                .hint("write this host's full name: `fanfare.label.example`"),
        );
    }
    name.map(str::to_owned)
}

/// What a map may give.
const MAILBOX: Mappable<Vec<Mailbox>> =
    Mappable { field: Some(address::MAIL), is: address::is_mail, read: |text| Some(vec![text.parse().ok()?]) };

/// One address or a list of them, at least one.
fn mailboxes(node: &Node, problems: &mut Problems) -> Option<Vec<Mailbox>> {
    address::several(node, "an address", problems, mailbox)
}

fn mailbox(node: &Node, problems: &mut Problems) -> Option<Mailbox> {
    let Some(written) = node.scalar() else {
        problems.push(node.expected("an address"));
        return None;
    };
    // lettre panics over a line break in a display name, so nothing that isn't shown gets as far as that.
    let found = match Mailbox::from_str(written.trim()) {
        Ok(found) if text::one_line(written) == written.trim() => found,
        _ => {
            let problem = Problem::error("wrong-address", format!("`{}` is not an address", text::one_line(written)));
            problems.push(problem.at(&node.place).hint("write `name@host` or `Name <name@host>`; several as a list"));
            return None;
        }
    };
    if !found.email.to_string().is_ascii() {
        problems.push(
            Problem::error("wrong-address", format!("few servers accept an address such as `{}`", found.email))
                .at(&node.place)
                .hint("write it in ASCII, the domain in its `xn--` form"),
        );
        return None;
    }
    Some(found)
}

impl Channel for Email {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let to = &*self.to.pick(sending)?;
        let mut envelope_to: Vec<String> = Vec::new();
        for address in to.iter().chain(&self.cc).map(|mailbox| mailbox.email.to_string()) {
            if !envelope_to.contains(&address) && !sending.settled.contains(&mark(sending.id, &address)) {
                envelope_to.push(address);
            }
        }
        if envelope_to.is_empty() {
            return Ok(Request::Nothing);
        }
        Ok(Request::Mail(Box::new(MailRequest {
            server: self.server_for(sending),
            envelope_to,
            message: self.letter(to, sending).map_err(|error| format!("the mail can't be composed: {error}"))?,
        })))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        shared(Family::Http, reply)
    }

    fn remembers(&self, sending: &Sending<'_>) -> Option<Receipt> {
        Some(Receipt::from_iter([(SUBJECT.to_owned(), topic(sending).into())]))
    }

    fn taken(&self, request: &Request) -> Reply {
        let accepted = match request {
            Request::Mail(mail) => mail.envelope_to.clone(),
            Request::Http(_) | Request::Nothing => Vec::new(),
        };
        Reply::Mail { accepted, refused: Vec::new(), code: Some(250), text: "OK".into() }
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        let shown = |to: &Vec<Mailbox>| to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.to.chosen(root, names, |to| Some(shown(to)))
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Email {
    /// The whole message as it goes on the wire.
    fn letter(&self, to: &[Mailbox], sending: &Sending<'_>) -> Result<Vec<u8>, lettre::error::Error> {
        let letter = self.head(to, sending);
        let message = &sending.rendered.message;
        let footer = self.footer(to, sending);
        let text = part(ContentType::TEXT_PLAIN, plain_text(sending, message, footer.as_deref()));
        let letter = match (sending.form, sending.rendered.file.as_ref()) {
            (Form::Plain, None) => letter.singlepart(text)?,
            (Form::Plain, Some(file)) => letter
                .multipart(attached::mixed(&boundary(sending)).singlepart(text).singlepart(attached::part(file)))?,
            (Form::Rich, file) => {
                let html = match &sending.rendered.native {
                    Some(Native::Html(html)) => html.clone(),
                    Some(Native::Json(_)) | None => page::write(sending, footer.as_deref()),
                };
                // The plainest first (RFC 2046, section 5.1.4).
                let parts = MultiPart::alternative().boundary(boundary(sending)).singlepart(text);
                let said = parts.singlepart(part(ContentType::TEXT_HTML, html));
                letter.multipart(match file {
                    Some(file) => attached::mixed(&boundary(sending)).multipart(said).singlepart(attached::part(file)),
                    None => said,
                })?
            }
        };
        Ok(letter.formatted())
    }

    /// The mail server. What it writes into a mail for people outside of the team names no host of ours.
    fn server_for(&self, sending: &Sending<'_>) -> MailServer {
        let mut server = self.server.clone();
        if sending.outside && server.helo.is_none() {
            server.helo = Some(self.from.email.domain().to_owned());
        }
        server
    }

    /// What stands below. People outside of the sender's domain are no team.
    fn footer(&self, to: &[Mailbox], sending: &Sending<'_>) -> Option<String> {
        let own = self.from.email.domain().to_ascii_lowercase();
        let is_own = |mailbox: &Mailbox| {
            let domain = mailbox.email.domain().to_ascii_lowercase();
            domain == own || domain.ends_with(&format!(".{own}")) || own.ends_with(&format!(".{domain}"))
        };
        let is_team = to.iter().chain(&self.cc).all(is_own);
        let footer = words::footer(sending, is_team)?;
        Some(if *sending.footer == Footer::Usual { format!("Sent by Fanfare: {footer}") } else { footer })
    }

    fn head(&self, to: &[Mailbox], sending: &Sending<'_>) -> MessageBuilder {
        let domain = self.from.email.domain();
        let mut letter = lettre::Message::builder()
            .message_id(Some(message_id(sending.id.as_str(), domain)))
            .date(date(sending))
            .from(self.from.clone())
            .raw_header(subject(&about(sending)))
            // RFC 3834, section 5, and the same for Exchange: no out-of-office answers.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"));
        if let Some(rule) = words::rule(sending) {
            // RFC 2919: what people filter by.
            letter = letter.raw_header(header("List-Id", &format!("<{}.fanfare.{domain}>", label(rule))));
        }
        letter = letter.raw_header(addresses("To", to));
        if !self.cc.is_empty() {
            letter = letter.raw_header(addresses("Cc", &self.cc));
        }
        if let Some(mailbox) = &self.reply_to {
            letter = letter.reply_to(mailbox.clone());
        }
        if sending.rendered.message.severity == Severity::Critical {
            letter = letter.raw_header(header("Importance", "high"));
        }
        if let Some(lane) = sending.lane {
            // A root that is never sent: all mails of a case, the first among them, answer it, whichever arrives.
            let root = message_id(lane, domain);
            letter = letter.in_reply_to(root.clone()).references(root);
        }
        letter
    }
}

/// A mail's own title, short enough for a subject.
fn topic(sending: &Sending<'_>) -> String {
    fit::text(&words::title(sending), SUBJECT_MAX, fit::chars)
}

/// What stands in the subject: the mail's title; in a case that was notified of before, the subject which that mail had, as
/// an answer to it. Gmail takes mails for one conversation only if their subjects are the same except for `Re:`, whatever
/// `References` says. The title that gives way stands first in the text.
fn about(sending: &Sending<'_>) -> String {
    let first = sending.receipt.and_then(|receipt| receipt.get(SUBJECT)).and_then(Value::as_str);
    match first.map(text::one_line).filter(|first| !first.is_empty()) {
        Some(first) => format!("Re: {}", fit::text(&first, SUBJECT_MAX, fit::chars)),
        None => topic(sending),
    }
}

/// Several addresses, over as many lines as they need (RFC 5322, section 2.1.1).
fn addresses(name: &'static str, all: &[Mailbox]) -> HeaderValue {
    let encoded = |mailbox: &Mailbox| {
        let mut headers = Headers::new();
        headers.set(Sender::from(mailbox.clone()));
        headers.to_string().trim_start_matches("Sender:").trim().to_owned()
    };
    let plain: Vec<String> = all.iter().map(ToString::to_string).collect();
    let (mut folded, mut width) = (String::new(), name.len() + 2);
    for address in all.iter().map(encoded) {
        // A name that had to be encoded may stand on several lines itself.
        let (first, last) = (address.lines().next().unwrap_or_default(), address.lines().last().unwrap_or_default());
        if !folded.is_empty() {
            let fits = width + first.len() + 2 < LINE_MAX;
            folded.push_str(if fits { ", " } else { ",\r\n " });
            width = if fits { width + 2 } else { 1 };
        }
        width = if address.contains('\n') { last.len() } else { width + address.len() };
        folded.push_str(&address);
    }
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), plain.join(", "), folded)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// As it is, except for a title that looks like an encoded word (RFC 2047), which lettre would let through, and a reader
/// decode: it is encoded itself.
fn subject(title: &str) -> HeaderValue {
    if !title.contains("=?") {
        return header("Subject", title);
    }
    let mut words: Vec<String> = vec![String::new()];
    for c in title.chars() {
        // 45 bytes make 60 in base64, and with what stands around them less than the 75 of a word.
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= 45 => word.push(c),
            _ => words.push(c.into()),
        }
    }
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word))).collect();
    let name = HeaderName::new_from_ascii_str("Subject");
    HeaderValue::dangerous_new_pre_encoded(name, title.to_owned(), words.join("\r\n "))
}

/// When the delivery was planned, held within the years that a mail's date can show.
fn date(sending: &Sending<'_>) -> SystemTime {
    const YEAR_9999: u64 = 253_370_764_800;
    let seconds = u64::try_from(sending.planned.as_second()).unwrap_or(0).min(YEAR_9999);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The same for every attempt; `=_` stands in no quoted-printable text (RFC 2045, section 6.7).
fn boundary(sending: &Sending<'_>) -> String {
    let hash = hex::encode(Sha256::digest(sending.id.as_str()));
    format!("=_{}", hash.get(..24).unwrap_or(&hash))
}

fn part(kind: ContentType, content: String) -> SinglePart {
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = match Body::new_with_encoding(content, encoding) {
        Ok(body) => body,
        // Any text can be written so.
        Err(content) => Body::new(content),
    };
    SinglePart::builder().header(kind).body(body)
}

fn plain_text(sending: &Sending<'_>, message: &Message, footer: Option<&str>) -> String {
    let said = fit::text(&plain::message(message), PLAIN_MAX, fit::bytes);
    let links: String = words::links(sending).map(|line| format!("\n\n{line}")).collect();
    // Behind `-- ` mail programs show a signature (RFC 3676, section 4.3).
    let footer = footer.map(|footer| format!("\n-- \n{footer}\n")).unwrap_or_default();
    format!("{said}{links}\n{footer}")
}
