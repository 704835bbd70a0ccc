//! How the HTTP client gets its connections: by [`dial`], so that every address is judged when it is connected to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::channels::wire::dial::{dial, protect};
use crate::channels::wire::names::{NoWay, Resolver};

/// No connection takes longer to be made, whatever the deadline: one that nobody waits for any more ends too.
const CONNECT_MAX: Duration = Duration::from_secs(60);

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) resolver: Resolver,
    pub(super) tls: Arc<ClientConfig>,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Line>, NoWay> {
        let until = Instant::now() + CONNECT_MAX;
        // As the URL's own parser reads hosts, so that no spelling means another address here.
        let unreadable = || NoWay::ForGood("the URL's host can't be read".into());
        let url = Url::parse(&uri.to_string()).map_err(|_| unreadable())?;
        let host = url.host().ok_or_else(unreadable)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(unreadable)?;
        let tcp = dial(&self.resolver, &host, port, until).await?;
        if url.scheme() != "https" {
            return Ok(TokioIo::new(Line { stream: Box::new(tcp), is_h2: false }));
        }
        let protected = timeout_at(until, protect(&self.tls, &host, tcp)).await;
        let stream = protected.map_err(|_| NoWay::ForNow("the connection timed out".into()))?;
        let stream = stream.map_err(NoWay::ForNow)?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(TokioIo::new(Line { stream: Box::new(stream), is_h2 }))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Line>;
    type Error = NoWay;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Line>, NoWay>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoWay>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, protected or not.
pub(super) struct Line {
    stream: Box<dyn Stream>,
    is_h2: bool,
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        if self.is_h2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, out)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
