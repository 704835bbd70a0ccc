//! Who may use the admin listener, and for what: tokens with rights, and a proxy that signs people in. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::header::HeaderName;

use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node, named};

/// The header in which a proxy names the person, unless `user` says otherwise.
pub const USER_HEADER: &str = "X-Forwarded-User";
/// A shorter token can be guessed.
const TOKEN_MIN: usize = 16;

/// What somebody may do. Each right contains those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// See everything, change nothing.
    Read,
    /// What a person on call does: acknowledge, close, mute, retry, cancel, replay, drill.
    Act,
    /// Also reload, and end the links of all messages.
    Admin,
}

impl Right {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Act, Self::Admin];

    /// In one word, as in `fanfare.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Act => "act",
            Self::Admin => "admin",
        }
    }
}

/// A token, and what its holders may do.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its name in `tokens`; `None` for `token`, which has every right.
    pub name: Option<String>,
    /// The token.
    pub secret: Secret,
    /// What it is good for.
    pub may: Right,
}

/// A proxy that knows who asks, and says so in a header.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The addresses from which the header is believed.
    pub from: Vec<IpNet>,
    /// The header's name, in small letters.
    pub header: String,
    /// What everyone may do whom it signs in.
    pub may: Right,
    /// Who may do something else, by the name in the header.
    pub users: BTreeMap<String, Right>,
}

impl Proxy {
    /// Whether what comes from there is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.from.iter().any(|net| net.contains(&address))
    }

    /// What a person may do.
    pub fn right_of(&self, user: &str) -> Right {
        self.users.get(user).copied().unwrap_or(self.may)
    }
}

/// Who may use the admin listener.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The tokens, `token` first.
    pub tokens: Vec<Token>,
    /// The proxy that signs people in, if there is one.
    pub proxy: Option<Proxy>,
}

impl Access {
    /// Whether it asks nobody who they are: then only this machine gets in.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.proxy.is_none()
    }

    /// The token with every right that `token` sets: what the command line beside this file uses.
    pub fn own_token(&self) -> Option<&Secret> {
        self.tokens.iter().find(|token| token.name.is_none()).map(|token| &token.secret)
    }
}

/// Reads `token`, `tokens` and `proxy` of `admin`.
pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Access {
    let mut found: Vec<(Option<String>, String, Right)> = Vec::new();
    if let Some((text, node)) = fields.text("token", problems)
        && !text.is_empty()
    {
        warn_if_short(&text, "the admin token", node, problems);
        found.push((None, text, Right::Admin));
    }
    let node = fields.node("tokens", problems);
    for (key, node) in node.map(|node| named(node, "`tokens`", problems)).unwrap_or_default() {
        let name = key.text.as_str();
        let Some((text, may)) = token(name, node, problems) else { continue };
        found.push((Some(name.to_owned()), text, may));
    }
    let proxy = fields.node("proxy", problems).and_then(|node| proxy(node, problems));
    let token = |(name, text, may)| Token { name, secret: Secret::new(text), may };
    Access { tokens: found.into_iter().map(token).collect(), proxy }
}

const CREATE: &str = "create one with `openssl rand -hex 32`";

fn warn_if_short(text: &str, what: &str, node: &Node, problems: &mut Problems) {
    if text.len() < TOKEN_MIN {
        let short = Problem::warning("short-token", format!("{what} has fewer than {TOKEN_MIN} characters"));
        problems.push(short.at(&node.place).hint(CREATE));
    }
}

fn token(name: &str, node: &Node, problems: &mut Problems) -> Option<(String, Right)> {
    let mut fields = Fields::of(node, format!("token `{name}`"), problems)?;
    let secret = fields.required("token", problems);
    let may = fields.required("may", problems).and_then(|(word, node)| right(&word, node, problems));
    fields.finish(problems);
    let (text, node) = secret?;
    // An optional one that the environment lacks is left out.
    if text.is_empty() {
        return None;
    }
    warn_if_short(&text, &format!("token `{name}`"), node, problems);
    Some((text, may?))
}

fn proxy(node: &Node, problems: &mut Problems) -> Option<Proxy> {
    let mut fields = Fields::of(node, "`proxy`", problems)?;
    if !fields.has("from") {
        fields.missing("from", problems);
    }
    let from = fields.texts("from", problems);
    let from: Vec<IpNet> = from.iter().filter_map(|(text, node)| trusted(text, node, problems)).collect();
    let mut header = USER_HEADER.to_ascii_lowercase();
    if let Some((text, node)) = fields.text("user", problems) {
        match text.parse::<HeaderName>() {
            Ok(name) => header = name.as_str().to_owned(),
            Err(_) => problems.push(
                Problem::error("header", format!("`{text}` is not the name of a header"))
                    .at(&node.place)
                    .hint(format!("the default is `{USER_HEADER}`")),
            ),
        }
    }
    let may = fields.text("may", problems).and_then(|(word, node)| right(&word, node, problems)).unwrap_or(Right::Act);
    let mut users = BTreeMap::new();
    if let Some(mut people) = fields.node("users", problems).and_then(|node| Fields::of(node, "`users`", problems)) {
        for (key, node) in people.rest() {
            match node.scalar() {
                Some(word) => {
                    users.extend(right(word, node, problems).map(|right| (key.text.clone(), right)));
                }
                None => problems.push(node.expected("a right: `read`, `act` or `admin`")),
            }
        }
    }
    fields.finish(problems);
    Some(Proxy { from, header, may, users })
}

/// A network, or a single address as one.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A network whose word is believed. Not all of the internet: anyone could be anybody.
fn trusted(text: &str, node: &Node, problems: &mut Problems) -> Option<IpNet> {
    match network(text) {
        Some(net) if net.prefix_len() > 0 => return Some(net),
        Some(_) => problems.push(
            Problem::error("proxy-from", format!("`{text}` is everybody: anyone could sign in under any name"))
                .at(&node.place)
                .hint("name the addresses of your proxy alone"),
        ),
        None => problems.push(
            Problem::error("network", format!("`{text}` is not an address or a network"))
                .at(&node.place)
                .hint("write `10.0.3.7` or `10.0.3.0/24`"),
        ),
    }
    None
}

fn right(word: &str, node: &Node, problems: &mut Problems) -> Option<Right> {
    let found = Right::ALL.into_iter().find(|right| right.name() == word);
    if found.is_none() {
        problems.push(
            Problem::error("right", format!("`{word}` is not a right"))
                .at(&node.place)
                .suggest(word, Right::ALL.map(Right::name)),
        );
    }
    found
}
