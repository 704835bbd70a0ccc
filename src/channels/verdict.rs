//! From a reply to a verdict: the table that all channels share, and Retry-After.
//!
//! A channel looks first for what only its service says (`ok: false`, a JSON error code) and leaves all the rest to
//! [`shared`]. Pure; waits are given as they were asked for, and held within an hour where they are used (`pace`).

use jiff::SignedDuration;

use crate::channels::{Reply, Request, Verdict};
use crate::delivery::{AttemptOutcome, Receipt};

/// What is elsewhere now than the configuration says.
#[derive(Debug)]
pub struct Moved {
    /// The same request, to where it is.
    pub request: Request,
    /// What a person is to change.
    pub notice: String,
    /// What the receipt also has to say, so that later messages know the place by its former name.
    pub mark: Receipt,
}

impl Moved {
    /// The verdict on the answer from there, with what a person is to change.
    pub fn verdict(self, mut verdict: Verdict) -> Verdict {
        verdict.reason = format!("{}; {}", verdict.reason, self.notice);
        if let Some(receipt) = &mut verdict.receipt {
            receipt.extend(self.mark);
        }
        verdict
    }
}

/// How a kind of receiver means its refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Somebody's own endpoint, that may be half-way through a deployment: all is tried again but 400, 410, 413, 415
    /// and 422.
    Http,
    /// A chat or pager service: 401, 403, 404 and 410 are final, and mark the destination failing, because
    /// asking again only gets us banned. 400, 413 and 422 are about the message's form.
    Service,
}

/// The verdict on a reply in which the channel found nothing of its own.
pub fn shared(family: Family, reply: &Reply) -> Verdict {
    match reply {
        Reply::Http { status, body, .. } => {
            let reason = in_words(*status, &String::from_utf8_lossy(body));
            by_status(family, *status, reason).wait_for(retry_after(reply))
        }
        Reply::Mail { accepted, refused, code, text } => by_mail(accepted, refused, *code, text),
        Reply::NotSent(why) => Verdict::new(AttemptOutcome::Temporary, one_line(why)),
        Reply::Denied(why) => Verdict::new(AttemptOutcome::Permanent, one_line(why)).failing(),
        Reply::NoAnswer(why) => Verdict::new(AttemptOutcome::Ambiguous, one_line(why)),
        Reply::Nothing => Verdict::new(AttemptOutcome::Delivered, "nothing needed sending"),
    }
}

/// The table.
fn by_status(family: Family, status: u16, reason: String) -> Verdict {
    let is_service = family == Family::Service;
    match status {
        200..=299 => Verdict::new(AttemptOutcome::Delivered, reason),
        508 => Verdict::new(AttemptOutcome::Permanent, format!("{reason} (the message returned to its origin)")),
        300..=399 => Verdict::new(AttemptOutcome::Permanent, format!("{reason} (redirects are not followed)")),
        429 => Verdict::new(AttemptOutcome::Limited, reason),
        401 | 403 | 404 if is_service => Verdict::new(AttemptOutcome::Permanent, reason).failing(),
        410 => Verdict::new(AttemptOutcome::Permanent, reason).failing(),
        400 | 413 | 422 if is_service => Verdict::new(AttemptOutcome::Refused, reason),
        400 | 413 | 415 | 422 => Verdict::new(AttemptOutcome::Permanent, reason),
        408 | 425 => Verdict::new(AttemptOutcome::Temporary, reason),
        402..=499 if is_service => Verdict::new(AttemptOutcome::Permanent, reason),
        _ => Verdict::new(AttemptOutcome::Temporary, reason),
    }
}

/// RFC 5321, section 4.2.1: 4yz may work later, 5yz won't, for each recipient (section 4.5.4.1). Who has it, or never
/// will, is not asked again.
fn by_mail(accepted: &[String], refused: &[(String, u16, String)], code: Option<u16>, text: &str) -> Verdict {
    let words = match code {
        Some(code) => format!("{code} {}", one_line(text)),
        None => one_line(text),
    };
    let (put_off, lost): (Vec<_>, Vec<_>) = refused.iter().partition(|(_, code, _)| *code < 500);
    let settled = || accepted.iter().chain(lost.iter().map(|(to, ..)| to)).cloned().collect();
    if !accepted.is_empty() {
        let reason = if refused.is_empty() { words } else { format!("{words}; {}", refusals(refused)) };
        let outcome = if put_off.is_empty() { AttemptOutcome::Delivered } else { AttemptOutcome::Partial };
        return Verdict {
            settled: settled(),
            lost: (!lost.is_empty()).then(|| refusals(lost)),
            ..Verdict::new(outcome, reason)
        };
    }
    match code {
        // Authentication (RFC 4954, section 6): nothing will get through until a person fixes it.
        Some(530 | 534 | 535 | 538) => Verdict::new(AttemptOutcome::Permanent, words).failing(),
        // Microsoft 365, which takes no password any more.
        Some(550) if text.starts_with("5.7.30 ") => Verdict::new(AttemptOutcome::Permanent, words).failing(),
        // RFC 3463, section 3.7: the server has no use for this form of content.
        Some(500..) if text.starts_with("5.6.") => Verdict::new(AttemptOutcome::Refused, words),
        Some(500..) => Verdict::new(AttemptOutcome::Permanent, words),
        Some(_) => Verdict::new(AttemptOutcome::Temporary, words),
        None if refused.is_empty() => Verdict::new(AttemptOutcome::Temporary, words),
        None if put_off.is_empty() => Verdict::new(AttemptOutcome::Permanent, refusals(refused)),
        None => {
            let verdict = Verdict::new(AttemptOutcome::Temporary, refusals(refused));
            Verdict { settled: settled(), lost: (!lost.is_empty()).then(|| refusals(lost)), ..verdict }
        }
    }
}

/// `refused for b…@label.example (550 unknown)`
fn refusals<'r>(refused: impl IntoIterator<Item = &'r (String, u16, String)>) -> String {
    let one = |(to, code, text): &(String, u16, String)| {
        format!("{} ({code} {})", masked(to), one_line(&text.replace(to.as_str(), &masked(to))))
    };
    format!("refused for {}", refused.into_iter().map(one).collect::<Vec<_>>().join(", "))
}

impl Verdict {
    /// The same, where the request reached the first of these recipients alone: the others follow at once.
    #[must_use]
    pub fn of_first(self, recipients: &[String]) -> Self {
        let [first, rest @ ..] = recipients else { return self };
        let lost = match self.outcome {
            AttemptOutcome::Delivered => None,
            AttemptOutcome::Permanent => Some(format!("refused for {} ({})", masked(first), self.reason)),
            _ => return self,
        };
        if rest.is_empty() {
            return self;
        }
        let (settled, reason) = (vec![first.clone()], format!("{}; {} more to go", self.reason, rest.len()));
        Self { settled, lost, wait: Some(SignedDuration::ZERO), ..Self::new(AttemptOutcome::Partial, reason) }
    }

    /// The same, with a wait where one means anything.
    fn wait_for(self, wait: Option<SignedDuration>) -> Self {
        match self.outcome {
            AttemptOutcome::Limited | AttemptOutcome::Temporary => self.wait(wait),
            _ => self,
        }
    }
}

/// `404 Not Found: no_service`: the status, its name, and the start of what was said.
pub fn in_words(status: u16, said: &str) -> String {
    let name = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut words = match name {
        Some(name) => format!("{status} {name}"),
        None => status.to_string(),
    };
    let said = one_line(said);
    if !said.is_empty() && !(200..300).contains(&status) {
        words = format!("{words}: {said}");
    }
    words
}

/// At most 200 characters in one line: control characters and runs of white space become one blank.
pub fn one_line(text: &str) -> String {
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > 800 {
            break;
        }
    }
    match words.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

/// `m…@label.example`, `…789`: enough to know whom, too little to leak an address book into a log.
pub fn masked(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((name, domain)) => format!("{}…@{domain}", name.chars().next().map(String::from).unwrap_or_default()),
        None if address.starts_with('+') => {
            format!("…{}", address.get(address.len().saturating_sub(3)..).unwrap_or_default())
        }
        None => "…".into(),
    }
}

/// How long the other side asks to wait: `Retry-After` (RFC 9110, section 10.2.3), in seconds or as a date, which is
/// read against the answer's own `Date`, so that no two clocks need agree (see [`Reply::dated`]). `None` where it makes no
/// sense.
pub fn retry_after(reply: &Reply) -> Option<SignedDuration> {
    let asked = reply.header("retry-after")?.trim();
    if let Some(wait) = seconds(asked) {
        return Some(wait);
    }
    let until = jiff::fmt::rfc2822::parse(asked).ok()?.timestamp();
    let date = jiff::fmt::rfc2822::parse(reply.header("date")?.trim()).ok()?.timestamp();
    Some(until.duration_since(date).max(SignedDuration::ZERO))
}

/// Seconds, with or without a fraction: `3`, `0.65`. Held within a year; `None` for anything else (`-1`, `NaN`, `1e9`).
pub fn seconds(text: &str) -> Option<SignedDuration> {
    const YEAR_MS: f64 = 366.0 * 86_400_000.0;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| plain)?;
    Some(SignedDuration::from_millis((seconds * 1000.0).ceil().clamp(0.0, YEAR_MS) as i64))
}
