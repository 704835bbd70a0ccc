//! HTTP: one request, at most 64 KiB of the answer, nothing followed.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Response, Uri};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::channels::wire::connector::Connector;
use crate::channels::wire::names::{NoWay, Resolver};
use crate::channels::wire::{NAME, percent_decoded};
use crate::channels::{HttpRequest, Reply};

/// So much of an answer's body is read; then the connection is dropped.
const BODY_MAX: usize = 64 * 1024;
/// Idle connections are kept for less than the 20 s or more that most servers keep theirs: who closes first knows.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// How many idle connections to one host are kept: as many as one process has deliveries under way.
const IDLE_COUNT_MAX: usize = 64;
/// How many 1xx answers may come before the real one (RFC 9110, section 15.2).
const INTERIM_MAX: usize = 16;

/// The HTTP side of the wire.
pub(super) struct Http {
    client: Client<Connector, Outgoing>,
}

impl Http {
    pub(super) fn new(resolver: Resolver, mut tls: ClientConfig) -> Self {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_COUNT_MAX)
            .build(Connector { resolver, tls: Arc::new(tls) });
        Self { client }
    }

    pub(super) async fn send(&self, request: &HttpRequest, until: Instant, deadline: Duration) -> Reply {
        let (mut built, begun) = match build(request) {
            Ok(built) => built,
            Err(why) => return Reply::NotSent(why),
        };
        let endless = Arc::new(Notify::new());
        count_interim(&mut built, &endless);
        let answered = async {
            tokio::select! {
                answered = self.client.request(built) => Some(answered),
                () = endless.notified() => None,
            }
        };
        match timeout_at(until, answered).await {
            Ok(Some(Ok(response))) => read(response, until).await,
            Ok(Some(Err(error))) => match no_way(&error) {
                Some(no_way) => no_way.into_reply(),
                None if error.is_connect() || !begun.load(Ordering::SeqCst) => Reply::NotSent(in_words(&error)),
                None => Reply::NoAnswer(in_words(&error)),
            },
            Ok(None) => Reply::NoAnswer(format!("more than {INTERIM_MAX} interim answers, and no other")),
            Err(_) if !begun.load(Ordering::SeqCst) => Reply::NotSent(format!("no connection within {deadline:?}")),
            Err(_) => Reply::NoAnswer(format!("no answer within {deadline:?}")),
        }
    }
}

/// Gives notice once too many 1xx answers have come.
fn count_interim(request: &mut hyper::Request<Outgoing>, endless: &Arc<Notify>) {
    let (count, endless) = (AtomicUsize::new(0), endless.clone());
    hyper::ext::on_informational(request, move |_| {
        if count.fetch_add(1, Ordering::SeqCst) >= INTERIM_MAX {
            endless.notify_one();
        }
    });
}

/// The request, and the flag that says whether it has begun to leave.
fn build(request: &HttpRequest) -> Result<(hyper::Request<Outgoing>, Arc<AtomicBool>), String> {
    let mut url = Url::parse(request.url.open()).map_err(|error| format!("the URL can't be read: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is not a scheme to send by, only `https` and `http` are", url.scheme()));
    }
    let mut headers = headers(request)?;
    if let Some(login) = login(&url)
        && !headers.contains_key(AUTHORIZATION)
    {
        headers.insert(AUTHORIZATION, login);
    }
    // Neither fails where there is a host, and both http and https have one.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    let uri: Uri = url.as_str().parse().map_err(|_| "the URL can't be read")?;
    let method =
        Method::from_bytes(request.method.as_bytes()).map_err(|_| format!("`{}` is not a method", request.method))?;
    let begun = Arc::new(AtomicBool::new(request.body.is_empty()));
    let body = Outgoing { bytes: Some(Bytes::copy_from_slice(&request.body)), begun: begun.clone() };
    let mut built = hyper::Request::new(body);
    (*built.method_mut(), *built.uri_mut(), *built.headers_mut()) = (method, uri, headers);
    Ok((built, begun))
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let found = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))?;
        let mut value = HeaderValue::from_str(value.open())
            .map_err(|_| format!("the value of the header `{name}` has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.append(found, value);
    }
    for (name, value) in [(USER_AGENT, NAME), (ACCEPT, "*/*"), (ACCEPT_ENCODING, "identity")] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    Ok(headers)
}

/// User and password of a URL, as a Basic header (RFC 7617).
fn login(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let password = percent_decoded(url.password().unwrap_or_default());
    let pair = [&percent_decoded(url.username())[..], b":", &password].concat();
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
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
async fn read(response: Response<Incoming>, until: Instant) -> Reply {
    let (head, mut incoming) = response.into_parts();
    let headers = head.headers.iter();
    let headers = headers
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = Vec::new();
    let whole = loop {
        match timeout_at(until, incoming.frame()).await {
            Ok(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                let room = BODY_MAX - body.len();
                body.extend(data.iter().take(room));
                if data.len() > room {
                    break false;
                }
            }
            Ok(None) => break true,
            Ok(Some(Err(_))) | Err(_) => break false,
        }
    };
    Reply::Http { status: head.status.as_u16(), headers, body, whole }
}

/// Why no connection was made, if that is what went wrong.
fn no_way(error: &ClientError) -> Option<NoWay> {
    causes(error).find_map(|error| error.downcast_ref::<NoWay>().cloned())
}

/// An error and what caused it.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}

/// What went wrong, from the innermost cause that is known. The client's own words are never used: they may hold the URL.
fn in_words(error: &ClientError) -> String {
    let fallback =
        if error.is_connect() { "the connection failed" } else { "the connection broke during the exchange" };
    causes(error).filter_map(known).last().unwrap_or_else(|| fallback.into())
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
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
