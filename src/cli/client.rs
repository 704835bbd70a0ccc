//! Speaks to the admin API of a running server: its address and token come from `fanfare.yaml` or from flags.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::admin::ZONE_HEADER;
use crate::admin::caller::OWN_HEADER;
use crate::channels::wire;
use crate::cli::term;
use crate::config::load;
use crate::config::substitute::RealEnvironment;
use crate::secret::Secret;

/// The longest list that the API gives at once.
pub(crate) const PAGE: usize = 1000;

/// What the server says in several lines: problems with their places, which are shown as they are.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Report(String);

/// How what listens at this address is reached from its own machine.
pub(crate) fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Where the running server is.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// The admin URL of the running server; by default what `fanfare.yaml` says
    #[arg(long, global = true, value_name = "URL", env = "FANFARE_ADMIN_URL")]
    admin: Option<String>,
}

/// A connection to it.
pub(crate) struct Client {
    base: String,
    token: Option<Secret>,
    http: reqwest::Client,
}

impl Server {
    /// Finds address and token. The token comes from `FANFARE_ADMIN_TOKEN`, else from `fanfare.yaml`.
    pub(crate) fn connect(&self, config: &Path) -> anyhow::Result<Client> {
        let mut token = std::env::var("FANFARE_ADMIN_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new);
        let base = match &self.admin {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let settings = load::settings_only(config, &RealEnvironment).with_context(|| {
                    format!("which server? `{}` does not say: give `--config` or `--admin`", config.display())
                })?;
                token = token.or_else(|| settings.access.own_token().cloned());
                format!("http://{}", from_here(settings.admin))
            }
        };
        Client::new(base, token)
    }
}

/// What speaks HTTP, by no proxy and to where it is sent only. It trusts the system's certificate authorities. Where there are
/// none, as in an image from scratch, it trusts Mozilla's, which the program contains.
pub(crate) fn http(timeout: Duration) -> anyhow::Result<reqwest::Client> {
    let builder = || reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(timeout);
    if let Ok(http) = builder().build() {
        return Ok(http);
    }
    let tls = wire::tls("").map_err(anyhow::Error::msg)?;
    Ok(builder().tls_backend_preconfigured(tls).build()?)
}

impl Client {
    /// A connection to the server at this URL.
    pub(crate) fn new(base: String, token: Option<Secret>) -> anyhow::Result<Self> {
        Ok(Self { base, token, http: http(Duration::from_secs(30))? })
    }

    /// What a GET of a path answers, whatever it is.
    pub(crate) async fn look(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.open());
        }
        request.send().await.map_err(|error| anyhow::Error::from(error.without_url()))
    }

    /// Asks for a document.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        Ok(self.ask(reqwest::Method::GET, path, query, None).await?.0)
    }

    /// Asks for a list of up to `limit`, in as many pages as that takes. `cursor` is the parameter that says where a page
    /// begins: in `query`, where the first does.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        query: Vec<(&'static str, String)>,
        limit: usize,
        cursor: &'static str,
    ) -> anyhow::Result<Value> {
        let mut all: Vec<Value> = Vec::new();
        let mut from: Option<String> = None;
        while all.len() < limit {
            let mut query = query.clone();
            query.push(("limit", (limit - all.len()).min(PAGE).to_string()));
            if let Some(from) = from.take() {
                query.retain(|(name, _)| *name != cursor);
                query.push((cursor, from));
            }
            let (page, headers) = self.ask(reqwest::Method::GET, path, &query, None).await?;
            let Value::Array(page) = page else { bail!("the server answered no list") };
            all.extend(page);
            // A page may have few, or none, of a list that goes on.
            from = next(&headers, cursor);
            if from.is_none() {
                break;
            }
        }
        Ok(all.into())
    }

    /// Asks for a change.
    pub(crate) async fn post(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        Ok(self.ask(reqwest::Method::POST, path, query, None).await?.0)
    }

    /// Asks for a change that a document describes.
    pub(crate) async fn send(&self, path: &[&str], document: &Value) -> anyhow::Result<Value> {
        Ok(self.ask(reqwest::Method::POST, path, &[], Some(document)).await?.0)
    }

    async fn ask(
        &self,
        method: reqwest::Method,
        path: &[&str],
        query: &[(&str, String)],
        document: Option<&Value>,
    ) -> anyhow::Result<(Value, HeaderMap)> {
        let mut url = url::Url::parse(&self.base).context("the admin URL is not a URL")?;
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => bail!("the admin URL is not an http(s) URL"),
        };
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
        }
        let mut request = self.http.request(method, url).header(OWN_HEADER, "1");
        if let Some(document) = document {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(document.to_string());
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.open());
        }
        let answer = request.send().await.map_err(|error| {
            let error = anyhow::Error::from(error.without_url());
            error.context(format!("no server answers at {}; is `fanfare serve` running?", self.base))
        })?;
        let status = answer.status();
        let headers = answer.headers().clone();
        let zone = headers.get(ZONE_HEADER).and_then(|zone| TimeZone::get(zone.to_str().ok()?).ok());
        zone.into_iter().for_each(term::show_times_in);
        let body = answer.bytes().await?;
        let document: Value = serde_json::from_slice(&body)
            .with_context(|| format!("{} answered {status} with something that is not JSON", self.base))?;
        if !status.is_success() {
            let detail = document["detail"].as_str().or(document["title"].as_str()).unwrap_or("no reason given");
            if detail.contains('\n') {
                return Err(Report(detail.to_owned()).into());
            }
            bail!("{detail} ({status})");
        }
        Ok((document, headers))
    }
}

/// Where the next page of a list begins, if there is one: the parameter of this name in the `Link` to it.
fn next(headers: &HeaderMap, cursor: &str) -> Option<String> {
    let link = headers.get(reqwest::header::LINK)?.to_str().ok()?;
    let (path, _) = link.strip_prefix('<')?.split_once(">; rel=\"next\"")?;
    let (_, query) = path.split_once('?')?;
    let found = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == cursor);
    found.map(|(_, value)| value.into_owned())
}
