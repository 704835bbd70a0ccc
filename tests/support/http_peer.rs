//! An HTTP receiver on loopback that records every request and answers as configured, also in ways no decent server
//! would.
//!
//! ```ignore
//! let peer = HttpPeer::start().await;              // answers 200 `ok` to everything
//! peer.answer(Answer::status(503).header("Retry-After", "7"));   // the next request only; several queue up
//! peer.always(Answer::hang());                     // whenever nothing is queued
//! wire.send(&post(peer.url("/hook")), deadline).await;
//! assert_eq!(peer.requests()[0].header("webhook-id"), Some("dlv_1"));
//! peer.received(3).await;                          // waits until three requests have come
//! ```
//!
//! [`HttpPeer::serving`] answers by a function instead, for receivers that stand for a service; what is queued still
//! goes first, without the function.
//!
//! Speaks HTTP/1.1 with keep-alive. Ends when it is dropped.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfare::channels::{HttpRequest, Reply};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::tls;

/// A receiver.
pub struct HttpPeer {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    scheme: &'static str,
    task: JoinHandle<()>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Recorded {
    /// A request as it would come, without a network.
    pub fn of(request: &HttpRequest) -> Self {
        let url = url::Url::parse(request.url.open()).expect("the URL is one");
        let headers = request.headers.iter();
        Self {
            method: request.method.to_owned(),
            target: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.open().to_owned())).collect(),
            body: request.body.clone(),
        }
    }

    /// The value of the first header with this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// All of it as text, to look for what must not be there.
    pub fn text(&self) -> String {
        let headers: Vec<String> = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{} {}\n{}\n\n{}", self.method, self.target, headers.join("\n"), String::from_utf8_lossy(&self.body))
    }
}

/// What the receiver does with a request that it has read.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    manner: Manner,
}

#[derive(Debug, Clone)]
enum Manner {
    Plain,
    Raw,
    Close,
    Hang,
    HangInBody,
    Drip,
    Endless,
    Interim,
}

impl Answer {
    /// This status, without a body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), manner: Manner::Plain }
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// These bytes and nothing else, then the connection closes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { manner: Manner::Raw, ..Self::status(0).body(bytes) }
    }

    /// Nothing: the connection closes.
    pub fn close() -> Self {
        Self { manner: Manner::Close, ..Self::status(0) }
    }

    /// Nothing, forever.
    pub fn hang() -> Self {
        Self { manner: Manner::Hang, ..Self::status(0) }
    }

    /// Status, headers and this start of a longer body, then nothing forever.
    pub fn hang_in_body(self, start: &str) -> Self {
        Self { manner: Manner::HangInBody, ..self.body(start) }
    }

    /// The whole answer, a byte a second.
    pub fn drip(self) -> Self {
        Self { manner: Manner::Drip, ..self }
    }

    /// 10 GB of body, as fast as it is taken.
    pub fn endless(self) -> Self {
        Self { manner: Manner::Endless, ..self }
    }

    /// No answer, but `103 Early Hints`, again and again.
    pub fn only_hints() -> Self {
        Self { manner: Manner::Interim, ..Self::status(103) }
    }

    /// What the wire makes of it when it arrives whole.
    pub fn reply(&self) -> Reply {
        let headers = self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        Reply::Http { status: self.status, headers, body: self.body.clone(), whole: true }
    }

    fn head(&self, length: u64) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("HTTP/1.1 {} Told\r\n{headers}Content-Length: {length}\r\n\r\n", self.status)
    }
}

type Serve = Box<dyn FnMut(&Recorded) -> Answer + Send>;

struct State {
    queue: Mutex<VecDeque<Answer>>,
    serve: Mutex<Option<Serve>>,
    losing: AtomicUsize,
    holding: AtomicUsize,
    always: Mutex<Answer>,
    requests: Mutex<Vec<Recorded>>,
    came: Notify,
    connections: AtomicUsize,
    written: AtomicUsize,
}

impl HttpPeer {
    /// Starts one that answers 200 `ok` to everything until set otherwise.
    pub async fn start() -> Self {
        Self::listen(None, None).await
    }

    /// Starts one that answers by this function.
    pub async fn serving(serve: impl FnMut(&Recorded) -> Answer + Send + 'static) -> Self {
        Self::listen(None, Some(Box::new(serve))).await
    }

    /// Starts one behind TLS, with the certificate of this name (see [`tls::acceptor`]).
    pub async fn start_tls(certificate: &str) -> Self {
        Self::listen(Some(tls::acceptor(certificate)), None).await
    }

    async fn listen(tls: Option<TlsAcceptor>, serve: Option<Serve>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            queue: Mutex::default(),
            serve: Mutex::new(serve),
            losing: AtomicUsize::new(0),
            holding: AtomicUsize::new(0),
            always: Mutex::new(Answer::status(200).body("ok")),
            requests: Mutex::default(),
            came: Notify::new(),
            connections: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
        });
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(accept(listener, tls, state.clone()));
        Self { address, state, scheme, task }
    }

    /// The URL of this path here: by address, or by name where a certificate is to be checked.
    pub fn url(&self, path: &str) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// Answers one further request so, after those that were queued before.
    pub fn answer(&self, answer: Answer) -> &Self {
        self.state.queue.lock().unwrap().push_back(answer);
        self
    }

    /// Serves the next `count` requests that aren't answered from the queue, and loses its answers to them: what they
    /// asked for happened, and nobody is notified.
    pub fn lose_answers(&self, count: usize) -> &Self {
        self.state.losing.store(count, Ordering::SeqCst);
        self
    }

    /// Serves the next `count` requests, and never answers them.
    pub fn hold_answers(&self, count: usize) -> &Self {
        self.state.holding.store(count, Ordering::SeqCst);
        self
    }

    /// Answers so whenever nothing is queued.
    pub fn always(&self, answer: Answer) -> &Self {
        *self.state.always.lock().unwrap() = answer;
        self
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Waits until `count` requests have come, and gives them all.
    pub async fn received(&self, count: usize) -> Vec<Recorded> {
        loop {
            let came = self.state.came.notified();
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            came.await;
        }
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of answers were taken off our hands.
    pub fn written(&self) -> usize {
        self.state.written.load(Ordering::SeqCst)
    }
}

impl Drop for HttpPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    // Ends with the task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        let (state, tls) = (state.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(tcp, &state).await,
                Some(tls) => match tls.accept(tcp).await {
                    Ok(stream) => serve(stream, &state).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// One connection, until it is to be closed.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, state: &State) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let request = read_request(&mut stream, &mut buffer).await?;
        state.requests.lock().unwrap().push(request.clone());
        state.came.notify_waiters();
        let queued = state.queue.lock().unwrap().pop_front();
        let answer = queued.unwrap_or_else(|| served(&request, state));
        give(&mut stream, &answer, state).await?;
    }
}

/// The answer of a receiver for which nothing is queued.
fn served(request: &Recorded, state: &State) -> Answer {
    let answer = match state.serve.lock().unwrap().as_mut() {
        Some(serve) => serve(request),
        None => state.always.lock().unwrap().clone(),
    };
    let is =
        |left: &AtomicUsize| left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if is(&state.holding) {
        return Answer::hang();
    }
    if is(&state.losing) { Answer::close() } else { answer }
}

/// Gives an answer. `None` when the connection is to be closed.
async fn give<S: AsyncWrite + Unpin>(stream: &mut S, answer: &Answer, state: &State) -> Option<()> {
    let whole = [answer.head(answer.body.len() as u64).as_bytes(), &answer.body].concat();
    match answer.manner {
        Manner::Plain => write(stream, &whole, state).await,
        Manner::Raw => {
            write(stream, &answer.body, state).await?;
            let _ = stream.shutdown().await;
            None
        }
        Manner::Close => None,
        Manner::Hang => std::future::pending().await,
        Manner::HangInBody => {
            write(stream, answer.head(1 << 20).as_bytes(), state).await?;
            write(stream, &answer.body, state).await?;
            std::future::pending().await
        }
        Manner::Drip => {
            for byte in whole {
                write(stream, &[byte], state).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            None
        }
        Manner::Interim => loop {
            write(stream, b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", state).await?;
        },
        Manner::Endless => {
            write(stream, answer.head(10 << 30).as_bytes(), state).await?;
            let block = [b'x'; 64 * 1024];
            loop {
                write(stream, &block, state).await?;
            }
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], state: &State) -> Option<()> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()?;
    state.written.fetch_add(bytes.len(), Ordering::SeqCst);
    Some(())
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<Recorded> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        fill(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Recorded { method, target, headers, body: Vec::new() };
    request.body = match (request.header("content-length"), request.header("transfer-encoding")) {
        (Some(length), None) => take(stream, buffer, length.parse().ok()?).await?,
        (None, Some(_)) => read_chunks(stream, buffer).await?,
        (None, None) => Vec::new(),
        (Some(_), Some(_)) => panic!("a request with both Content-Length and Transfer-Encoding"),
    };
    Some(request)
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            fill(stream, buffer).await?;
        };
        let length = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?, 16).ok()?;
        buffer.drain(..end + 2);
        body.extend(take(stream, buffer, length).await?);
        take(stream, buffer, 2).await?;
        if length == 0 {
            return Some(body);
        }
    }
}

async fn take<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while buffer.len() < length {
        fill(stream, buffer).await?;
    }
    Some(buffer.drain(..length).collect())
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
