//! Reading the URL of a service from `fanfare.yaml`: absolute, http or https, and never shown.
//!
//! Pure. A webhook's URL is its password, so no problem quotes one, and what people are shown is the host.

use std::net::IpAddr;

use url::{Host, Url};

use crate::channels::redact::token_in_host;
use crate::channels::wire::Guard;
use crate::channels::{Can, Choice, Endpoint, Facts, WebServer};
use crate::problem::{DOTS, Problem, Problems};
use crate::secret::Secret;
use crate::yaml::Node;

/// The URL that stands at `node`, if it is one that can be posted to.
pub fn read(node: &Node, problems: &mut Problems) -> Option<Url> {
    let Some(text) = node.scalar() else {
        problems.push(node.expected("a URL"));
        return None;
    };
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if let Some(why) = url.as_ref().and_then(Url::host).and_then(|host| denied(&host)) {
        problems.push(why.at(&node.place));
        return None;
    }
    if url.is_none() {
        problems.push(
            Problem::error("wrong-url", "this URL can't be posted to")
                .at(&node.place)
                .hint("write the complete URL: `https://host/path`"),
        );
    }
    url
}

/// Why nothing may ever be sent to this host, if so: a literal address that is no receiver's will never be one.
pub fn denied<S>(host: &Host<S>) -> Option<Problem> {
    let address = match host {
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address),
        Host::Domain(_) => return None,
    };
    let why = Guard::default().check(address).err()?;
    let problem = Problem::error("denied-address", why.to_string());
    Some(problem.hint("write the name or the address of the service itself"))
}

/// The same, as a secret.
pub fn read_secret(node: &Node, problems: &mut Problems) -> Option<Secret> {
    read(node, problems).map(|url| Secret::new(url.as_str()))
}

/// A service's token, as it stands at `node`; `hint` says where people find one.
pub fn token(text: &str, node: &Node, hint: &str, problems: &mut Problems) -> Option<Secret> {
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        problems.push(
            Problem::error("wrong-token", "this is not a token: it is empty, or has spaces or unusual characters")
                .at(&node.place)
                .hint(hint),
        );
    }
    is_token.then(|| Secret::new(text))
}

/// What is known of a channel that has nothing but a webhook.
pub fn facts(can: Can, webhook: &Choice<Secret>) -> Facts {
    Facts {
        can,
        secrets: webhook.all().into_iter().cloned().collect(),
        address: hosts(webhook.all()),
        endpoints: endpoints(webhook.all()),
        names: webhook.name().into_iter().collect(),
        mapped: None,
        by_event: webhook.is_by_event(),
    }
}

/// Whether the URL of an API, which is no secret by itself, carries one: a password, or a token in its query.
pub fn holds_secret(url: &Url) -> bool {
    url.password().is_some() || url.query().is_some()
}

/// The host, with the port where it isn't the scheme's own; dots for what of it may be a token ([`token_in_host`]).
pub fn host(url: &Url) -> String {
    let mut host = url.host_str().unwrap_or_default().to_owned();
    if let Some(token) = token_in_host(url) {
        host.truncate(host.len() - token.len());
        host.push_str(DOTS);
    }
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// Where these URLs lead to, each place once.
pub fn endpoints<'u>(urls: impl IntoIterator<Item = &'u Secret>) -> Vec<Endpoint> {
    let mut servers: Vec<WebServer> = Vec::new();
    for server in urls.into_iter().filter_map(WebServer::of_url) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers.into_iter().map(Endpoint::Web).collect()
}

/// The hosts of these URLs, each once, for people.
pub fn hosts<'u>(urls: impl IntoIterator<Item = &'u Secret>) -> String {
    let mut hosts: Vec<String> =
        urls.into_iter().filter_map(|url| Url::parse(url.open()).ok()).map(|url| host(&url)).collect();
    hosts.dedup();
    hosts.join(", ")
}
