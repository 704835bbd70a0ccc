//! Serving: accepts connections, gives each a permit, and speaks HTTP/1.1 on it until it ends or its permit is given away.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::permit::{Permit, Permits, Taken};
use super::stream::Stream;
use super::{Limits, has_two_hosts, problem};

/// The longest header section, in bytes, that a connection reads.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// How long accepting rests after the system gave no connection.
const AFTER_ERROR: Duration = Duration::from_millis(20);
/// What a client that found every permit at work is asked to wait, in seconds.
const COME_AGAIN_S: u16 = 30;

/// A listener that serves.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends it in order.
    pub drain: Drain,
    /// Ends when it serves no more.
    pub task: JoinHandle<()>,
}

/// Ends a listener in order.
#[derive(Debug)]
pub struct Drain(watch::Sender<bool>);

impl Drain {
    /// Accepts no more, and lets each connection end with the request that is under way.
    pub fn drain(&self) {
        self.0.send_replace(true);
    }
}

/// Serves what comes to `listener`, by TLS where `tls` is given.
///
/// # Errors
///
/// Where the listener has no address.
pub fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let (draining, drained) = watch::channel(false);
    let door = Door { router, limits, tls: tls.map(TlsAcceptor::from), drained };
    let task = tokio::spawn(accept(listener, Arc::new(door)));
    Ok(Server { address, drain: Drain(draining), task })
}

/// What all connections of a listener share.
struct Door {
    router: Router,
    limits: Limits,
    tls: Option<TlsAcceptor>,
    drained: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    let permits = Permits::new(door.limits.connections);
    let mut connections = JoinSet::new();
    let mut drained = door.drained.clone();
    loop {
        tokio::select! {
            () = told_to_drain(&mut drained) => break,
            Some(ended) = connections.join_next() => told(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, from)) => {
                    // Without a permit it is closed at once.
                    if let Some(taken) = permits.take() {
                        connections.spawn(connection(door.clone(), taken, socket, from));
                    }
                }
                // No file descriptor is left, or the client is gone already.
                Err(_) => {
                    permits.make_room();
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        told(ended);
    }
}

/// Ends when the listener drains.
async fn told_to_drain(drained: &mut watch::Receiver<bool>) {
    let _ = drained.wait_for(|drained| *drained).await;
}

fn told(ended: Result<(), JoinError>) {
    if let Err(panic) = ended {
        tracing::error!(%panic, "serving a connection failed");
    }
}

/// One connection, until it ends, its permit is given away, or, while draining, what was under way is answered.
async fn connection(door: Arc<Door>, taken: Taken, socket: TcpStream, from: SocketAddr) {
    let permit = taken.permit.clone();
    let _ = socket.set_nodelay(true);
    let stream = Stream::new(socket, permit.clone(), door.limits.answer);
    let served = async {
        match &door.tls {
            None => http(&door, &permit, stream, from).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = tokio::time::timeout(door.limits.headers, tls.accept(stream)).await {
                    http(&door, &permit, stream, from).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = permit.given_away() => {}
        () = served => {}
    }
}

async fn http(door: &Door, permit: &Arc<Permit>, stream: impl AsyncRead + AsyncWrite + Unpin, from: SocketAddr) {
    let service = Requests { router: door.router.clone(), permit: permit.clone(), probes: door.limits.probes, from };
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(door.limits.headers)
        .max_buf_size(HEADER_BYTES_MAX)
        // Anyone who has said all that it has to say may still want to be answered.
        .half_close(true);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut drained = door.drained.clone();
    tokio::select! {
        // What goes wrong on a connection is its client's to know.
        _ = connection.as_mut() => return,
        () = told_to_drain(&mut drained) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Answers the requests of one connection.
struct Requests {
    router: Router,
    permit: Arc<Permit>,
    probes: &'static [&'static str],
    from: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let permit = self.permit.clone();
        let begins = permit.begins(!request.body().is_end_stream());
        let refused = if has_two_hosts(request.headers()) {
            Some(refused(StatusCode::BAD_REQUEST))
        } else if permit.is_kept && !self.probes.contains(&request.uri().path()) {
            Some(refused(StatusCode::SERVICE_UNAVAILABLE))
        } else {
            None
        };
        request.extensions_mut().insert(ConnectInfo(self.from));
        let mut router = self.router.clone();
        Box::pin(async move {
            if !begins {
                // The connection is about to be closed.
                return std::future::pending().await;
            }
            let answer = match refused {
                Some(answer) => answer,
                None => {
                    let seen = permit.clone();
                    let answered = router.call(request.map(|body| Body::new(Watched { body, permit: seen }))).await;
                    answered.unwrap_or_else(|never| match never {})
                }
            };
            permit.waits();
            Ok(answer)
        })
    }
}

/// A refusal after which nothing more is read.
fn refused(status: StatusCode) -> Response {
    let mut answer = problem(status);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(COME_AGAIN_S));
    }
    answer
}

/// A request's body; tells its permit when it has come whole.
struct Watched {
    body: Incoming,
    permit: Arc<Permit>,
}

impl hyper::body::Body for Watched {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if self.body.is_end_stream() && !self.permit.works() {
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
