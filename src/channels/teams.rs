//! Microsoft Teams, by a workflow that a webhook starts: an Adaptive Card for each message.
//!
//! Pure. The workflow answers `202` once it has queued a message; whether Teams showed it is known to its run history
//! alone. No id comes back, so nothing is edited, threaded or recognised as a repetition. The URL's `sig` is its
//! password. After learn.microsoft.com, "Create incoming webhooks with Workflows" and "Microsoft Teams connector".

use jiff::SignedDuration;
use serde_json::{Map, Value};

use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, HttpRequest, KeyDoc, Likeness, Mentions, Reply,
    Request, Sending, Takes, Verdict, endpoint,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod card;

/// Where a limit comes without a time, and where Teams hides it in a success.
const LIMITED_WAIT: SignedDuration = SignedDuration::from_mins(1);
/// How to get a URL that works.
const MAKE_ONE: &str =
    "in Teams, open the channel's menu, Workflows, `Send webhook alerts to a channel`, and copy the URL";

/// Teams.
pub const KIND: ChannelKind = ChannelKind {
    name: "teams",
    summary: "An Adaptive Card in a channel or chat of Microsoft Teams, by a workflow's webhook",
    example: "\
type: teams
webhook_url: https://0123456789abcdef.00.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=FAKE-q7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaaaaaaaaaaa
",
    keys: &[KeyDoc::new(
        "webhook_url",
        Takes::Choice,
        "The URL of a workflow that starts `When a Teams webhook request is received`, all of it; may be a choice",
    )
    .required()
    .secret()],
    can: Can::NOTHING,
    pages: false,
    shows_links: true,
    reports: false,
    queues: Some("look in Teams, or in the workflow's run history"),
    spacing: Some(SignedDuration::from_secs(2)),
    burst: 1,
    limits: &[card::SIZE, card::ACTIONS],
    native: None,
    likeness: Likeness { dress: Dress::Chat, draw: card::draw },
    mentions: Some(Mentions {
        is: is_person,
        words: "is nobody in Teams; write a person's sign-in name (`ann@label.example`) or object id",
    }),
    overrides: &[],
    credentials: &[
        Credential {
            is: |text| text.contains("webhook.office.com/") || text.starts_with("https://outlook.office.com/webhook/"),
            what: "the URL of an Office 365 connector, and Microsoft has switched those off",
            key: None,
            hint: MAKE_ONE,
        },
        Credential {
            is: |text| text.starts_with("https://teams.microsoft.com/") || text.starts_with("https://teams.live.com/"),
            what: "a link to a place in Teams, which nothing can be posted to",
            key: None,
            hint: MAKE_ONE,
        },
        Credential {
            is: |text| text.contains("/triggers/manual/paths/invoke"),
            what: "the URL of a Microsoft workflow",
            key: Some("webhook_url"),
            hint: "`type: teams` takes it as `webhook_url`",
        },
    ],
    warnings: &[(
        "old-workflow-url",
        "The URL of a workflow in Teams has the form that Microsoft switched off in November 2025",
        "Open the workflow and copy its present URL. A Logic App of your own keeps this form: ignore the warning",
    )],
    parse,
};

#[derive(Debug)]
struct Teams {
    facts: Facts,
    webhook: Choice<Secret>,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let webhook = fields.required_node("webhook_url", problems)?;
    let webhook = Choice::parse(webhook, problems, &mut read)?;
    Some(Box::new(Teams { facts: endpoint::facts(KIND.can, &webhook), webhook }))
}

/// Any host: gateways and Logic Apps have their own.
fn read(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let url = endpoint::read(node, problems)?;
    let host = url.host_str().unwrap_or_default();
    if host.ends_with(".logic.azure.com") {
        problems.push(
            Problem::warning("old-workflow-url", "Microsoft switched off workflows at addresses of this form")
                .at(&node.place)
                .hint("open the workflow and copy its present URL; ignore this for a Logic App of your own"),
        );
    }
    let is_signed = url.query_pairs().any(|(key, value)| key == "sig" && !value.is_empty());
    if host.ends_with(".powerplatform.com") && !is_signed {
        problems.push(
            Problem::error("wrong-url", "this URL is incomplete: it has no `sig`")
                .at(&node.place)
                .hint("copy all of the workflow's URL, and quote it"),
        );
        return None;
    }
    Some(Secret::new(url.as_str()))
}

/// A sign-in name, or an object id of Entra.
fn is_person(id: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+#'".contains(&byte));
    let is_name = id
        .split_once('@')
        .is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.') && plain(name) && plain(domain));
    let is_id = id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_name || is_id
}

impl Channel for Teams {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        if sending.act == MessageOp::Close {
            return Ok(Request::Nothing);
        }
        Ok(Request::Http(HttpRequest::json("POST", self.webhook.pick(sending)?.clone(), &card::of(sending))))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, body, .. } = reply else { return shared(Family::Service, reply) };
        let said = String::from_utf8_lossy(body);
        match status {
            202 => Verdict::new(AttemptOutcome::Delivered, "202 Accepted: queued in the workflow"),
            200..=299 => match hidden(&said) {
                Some(status) => limited(shared(Family::Service, &Reply::http(status, body.clone()))),
                // A portal or a proxy answered.
                None if said.trim_start().starts_with('<') => Verdict::new(
                    AttemptOutcome::Ambiguous,
                    format!("answered {status} with a page, and not as a workflow"),
                ),
                None => shared(Family::Service, reply),
            },
            // The workflow was switched off.
            400 if said.contains("NotEnabled") => {
                Verdict { outcome: AttemptOutcome::Permanent, failing: true, ..shared(Family::Service, reply) }
            }
            401 | 403 if said.contains("AuthorizationRequired") => {
                let reason = "the workflow asks for a sign-in: let `Anyone` trigger it";
                Verdict::new(AttemptOutcome::Permanent, reason).failing()
            }
            _ => limited(shared(Family::Service, reply)),
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, _request: &Request) -> Reply {
        Reply::http(202, "")
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        self.webhook.chosen(root, names, |_| None)
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// The status that Teams hides in a success: `Microsoft Teams endpoint returned HTTP error 429`.
fn hidden(said: &str) -> Option<u16> {
    let (_, rest) = said.split_once("HTTP error ")?;
    rest.get(..3)?.parse().ok().filter(|status| *status >= 400)
}

/// The same, with a time to wait where none was said.
fn limited(verdict: Verdict) -> Verdict {
    match (verdict.outcome, verdict.wait) {
        (AttemptOutcome::Limited, None) => verdict.wait(Some(LIMITED_WAIT)),
        _ => verdict,
    }
}
