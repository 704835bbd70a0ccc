//! What `fanfare.yaml` says of the server itself: where it listens, who gets in, what is kept, whom it reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use jiff::SignedDuration;

use crate::channels::WebServer;
use crate::config::certificate::Tls;
use crate::config::{Heartbeat, Settings, access};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node, span_of_time};

/// How often the heartbeat's URL is called, unless it says otherwise, and how often it may be.
const HEARTBEAT: SignedDuration = SignedDuration::from_mins(1);
const HEARTBEAT_MIN: SignedDuration = SignedDuration::from_secs(10);
const HEARTBEAT_MAX: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn address(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<SocketAddr> {
    let (text, node) = fields.text(key, problems)?;
    let spelled = text.replacen("localhost:", "127.0.0.1:", 1);
    // A port alone is every address of IPv6, and with them those of IPv4.
    let address = spelled.parse().ok().or_else(|| format!("[::]{spelled}").parse().ok());
    if address.is_none() {
        problems.push(
            Problem::error("address", format!("`{text}` is not an address to listen on"))
                .at(&node.place)
                .hint(meant_address(&text)),
        );
    }
    address
}

/// What somebody may have meant by an address that is none.
fn meant_address(text: &str) -> String {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    if is_port(text) {
        return format!("did you mean `:{text}`, every address of this machine, or `127.0.0.1:{text}`?");
    }
    match text.rsplit_once(':') {
        Some(("*", port)) if is_port(port) => {
            format!("every address of this machine is `0.0.0.0:{port}`, and with IPv6 `:{port}`")
        }
        Some((host, port)) if is_port(port) && host.parse::<Ipv6Addr>().is_ok() => {
            format!("write an IPv6 address in brackets: `[{host}]:{port}`")
        }
        _ if text.parse::<IpAddr>().is_ok() => {
            format!(
                "the port is missing: `{}`",
                SocketAddr::new(text.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), 8080)
            )
        }
        _ => "write an IP address and a port: `0.0.0.0:8080`, `127.0.0.1:8081`, `[::1]:8081`".into(),
    }
}

pub(super) fn tls(node: &Node, base: &Path, problems: &mut Problems) -> Option<Tls> {
    let mut fields = Fields::of(node, "`tls`", problems)?;
    let cert = fields.required("cert", problems);
    let key = fields.required("key", problems);
    fields.finish(problems);
    let ((cert, cert_node), (key, key_node)) = (cert?, key?);
    Some(Tls {
        cert: base.join(cert),
        key: base.join(key),
        cert_place: cert_node.place.clone(),
        key_place: key_node.place.clone(),
        certificate: None,
    })
}

pub(super) fn admin(node: &Node, settings: &mut Settings, problems: &mut Problems) {
    let Some(mut fields) = Fields::of(node, "`admin`", problems) else { return };
    if let Some(address) = address(&mut fields, "listen", problems) {
        settings.admin = address;
    }
    settings.access = access::read(&mut fields, problems);
    if let Some((url, node)) = fields.text("url", problems) {
        match url::Url::parse(&url) {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.host().is_some() => {
                settings.admin_url = Some(url.trim_end_matches('/').to_owned());
            }
            _ => problems.push(
                Problem::error("url", format!("`{url}` is not an http(s) URL"))
                    .at(&node.place)
                    .hint("write the URL at which people open the page: `https://fanfare.label.example`"),
            ),
        }
    }
    let reachable = !settings.admin.ip().is_loopback() && settings.access.is_open();
    if reachable {
        let open = format!("`admin` listens on {}, which others can reach, and has no `token`", settings.admin);
        problems.push(
            Problem::error("no-token", open)
                .at(&fields.place)
                .hint("add `token: \"${env:FANFARE_ADMIN_TOKEN}\"`, or listen on `127.0.0.1:8081`"),
        );
    }
    if settings.access.proxy.is_some() && settings.admin_url.is_none() {
        let homeless = "`proxy` needs `url`: only pages of that address may sign people in";
        problems.push(
            Problem::error("proxy-url", homeless)
                .at(&fields.place)
                .hint("add `url: https://fanfare.label.example`, the address that people open"),
        );
    }
    fields.finish(problems);
}

pub(super) fn retention(node: &Node, settings: &mut Settings, problems: &mut Problems) {
    let span = |text: &str| span_of_time(text).filter(|span| *span >= SignedDuration::from_hours(24));
    match node.scalar().and_then(span) {
        Some(span) => {
            settings.retention = span;
            settings.retention_dead = settings.retention_dead.max(span);
        }
        None => problems.push(
            Problem::error("retention", "`retention` is not a time span of at least a day")
                .at(&node.place)
                .hint("write `30d`"),
        ),
    }
}

pub(super) fn egress(node: &Node, settings: &mut Settings, problems: &mut Problems) {
    let Some(mut fields) = Fields::of(node, "`egress`", problems) else { return };
    for (key, nets) in [("deny", &mut settings.egress_deny), ("allow", &mut settings.egress_allow)] {
        for (text, node) in fields.texts(key, problems) {
            match access::network(&text) {
                Some(net) => nets.push(net),
                None => problems.push(
                    Problem::error("network", format!("`{text}` is not a network"))
                        .at(&node.place)
                        .hint("write it as address and prefix: `10.0.0.0/8`"),
                ),
            }
        }
    }
    fields.finish(problems);
}

pub(super) fn heartbeat(node: &Node, problems: &mut Problems) -> Option<Heartbeat> {
    let mut fields = Fields::of(node, "`heartbeat`", problems)?;
    let url = fields.required("url", problems).and_then(|(text, node)| {
        let url = Secret::new(text);
        let is_url = WebServer::of_url(&url).is_some();
        if !is_url {
            problems.push(
                Problem::error("wrong-url", "this URL can't be called")
                    .at(&node.place)
                    .hint("write the complete URL that the monitoring service gave you: `https://host/path`"),
            );
        }
        is_url.then_some(url)
    });
    let mut every = HEARTBEAT;
    if let Some((text, node)) = fields.text("every", problems) {
        match span_of_time(&text).filter(|span| (HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(span)) {
            Some(span) => every = span,
            None => problems.push(
                Problem::error("wrong-span", format!("`{text}` is not a time span from 10s to 1h"))
                    .at(&node.place)
                    .hint("the default is `1m`; let the monitoring service wait for two or three of them"),
            ),
        }
    }
    fields.finish(problems);
    Some(Heartbeat { url: url?, every })
}
