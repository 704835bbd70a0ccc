//! HTTP: one request, at most 64 KiB of the answer, nothing followed.

use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::channels::wire::USER_AGENT;
use crate::channels::wire::guard::Guard;
use crate::channels::wire::names::{NoAddress, Resolver};
use crate::channels::{HttpRequest, Reply};

/// So much of an answer's body is read; then the connection is dropped.
const BODY_MAX: usize = 64 * 1024;
/// Idle connections are kept for less than the 20 s or more that most servers keep theirs: who closes first knows.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// The HTTP side of the wire.
pub(super) struct Http {
    client: reqwest::Client,
    guard: Arc<Guard>,
}

impl Http {
    pub(super) fn new(resolver: Resolver, mut tls: ClientConfig) -> Result<Self, String> {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let guard = resolver.guard.clone();
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .dns_resolver(resolver)
            .tls_backend_preconfigured(tls)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(4)
            .build()
            .map_err(|error| format!("the HTTP client could not be built: {error}"))?;
        Ok(Self { client, guard })
    }

    pub(super) async fn send(&self, request: &HttpRequest, until: Instant, deadline: Duration) -> Reply {
        let (built, begun) = match self.build(request) {
            Ok(built) => built,
            Err(why) => return Reply::NotSent(why),
        };
        let response = match timeout_at(until, self.client.execute(built)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() || !begun.load(Ordering::SeqCst) => {
                return Reply::NotSent(in_words(&error));
            }
            Ok(Err(error)) => return Reply::NoAnswer(in_words(&error)),
            Err(_) if !begun.load(Ordering::SeqCst) => {
                return Reply::NotSent(format!("no connection within {deadline:?}"));
            }
            Err(_) => return Reply::NoAnswer(format!("no answer within {deadline:?}")),
        };
        read(response, until).await
    }

    /// The request, and the flag that says whether it has begun to leave.
    fn build(&self, request: &HttpRequest) -> Result<(reqwest::Request, Arc<AtomicBool>), String> {
        let url = Url::parse(request.url.open()).map_err(|error| format!("the URL can't be read: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{}` is no scheme to send by, only `https` and `http` are", url.scheme()));
        }
        // A literal address never reaches the resolver.
        match url.host() {
            Some(Host::Ipv4(address)) => self.guard.check(IpAddr::V4(address)).map_err(|denied| denied.to_string())?,
            Some(Host::Ipv6(address)) => self.guard.check(IpAddr::V6(address)).map_err(|denied| denied.to_string())?,
            Some(Host::Domain(_)) => {}
            None => return Err("the URL has no host".into()),
        }
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| format!("`{}` is no method", request.method))?;
        let begun = Arc::new(AtomicBool::new(request.body.is_empty()));
        let mut built = reqwest::Request::new(method, url);
        *built.headers_mut() = headers(request)?;
        *built.body_mut() = Some(reqwest::Body::wrap(Outgoing {
            bytes: Some(Bytes::copy_from_slice(&request.body)),
            begun: begun.clone(),
        }));
        Ok((built, begun))
    }
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let found = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header name"))?;
        let mut value = HeaderValue::from_str(value.open())
            .map_err(|_| format!("the value of the header `{name}` has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.append(found, value);
    }
    Ok(headers)
}

/// A body that tells when it is first asked for. The connection asks for it right after it took the request's head,
/// so before that nothing was written, and after that something may have been.
struct Outgoing {
    bytes: Option<Bytes>,
    begun: Arc<AtomicBool>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.begun.store(true, Ordering::SeqCst);
        Poll::Ready(self.bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Reads what is read of an answer.
async fn read(mut response: reqwest::Response, until: Instant) -> Reply {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = Vec::new();
    let mut whole = false;
    loop {
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= BODY_MAX => body.extend_from_slice(&chunk),
            Ok(Ok(Some(chunk))) => {
                body.extend(chunk.iter().take(BODY_MAX - body.len()));
                break;
            }
            Ok(Ok(None)) => {
                whole = true;
                break;
            }
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Reply::Http { status, headers, body, whole }
}

/// What went wrong, from the innermost cause that is known. reqwest's own words are never used: they hold the URL.
fn in_words(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut words = None;
    while let Some(error) = cause {
        words = known(error).or(words);
        cause = error.source();
    }
    let fallback = if error.is_connect() { "the connection failed" } else { "the exchange broke off" };
    words.unwrap_or_else(|| fallback.into())
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(NoAddress(why)) = error.downcast_ref() {
        return Some(why.clone());
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return Some(super::io_in_words(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return match () {
            () if error.is_parse_too_large() => Some("the answer's headers are too large".into()),
            () if error.is_parse() => Some("what came back is not HTTP".into()),
            () if error.is_incomplete_message() => Some("the connection closed before an answer".into()),
            () => None,
        };
    }
    None
}
