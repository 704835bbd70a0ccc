//! A connection's bytes, with a deadline for anyone who doesn't take what is written. Lies below TLS, so that a handshake
//! and its end are held to it too.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::permit::Permit;

/// Anyone who takes at least this many bytes within the deadline is slow, not gone.
const PROGRESS: usize = 64 * 1024;

/// A socket, and how long it has not taken what was written.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    permit: Arc<Permit>,
    patience: Duration,
    stalled: Option<Stalled>,
}

#[derive(Debug)]
struct Stalled {
    until: Pin<Box<Sleep>>,
    /// Bytes taken since `until` was set.
    taken: usize,
}

impl Stream {
    pub fn new(socket: TcpStream, permit: Arc<Permit>, patience: Duration) -> Self {
        Self { socket, permit, patience, stalled: None }
    }

    /// Looks at what writing came to: ends the connection of anyone who takes nothing.
    fn watched(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let Self { permit, patience, stalled, .. } = self;
                let stalled = stalled.get_or_insert_with(|| {
                    permit.stalls();
                    Stalled { until: Box::pin(tokio::time::sleep(*patience)), taken: 0 }
                });
                std::task::ready!(stalled.until.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not read the answer in time")))
            }
            Poll::Ready(Ok(count)) => {
                if let Some(stalled) = &mut self.stalled {
                    stalled.taken += count;
                    if stalled.taken >= PROGRESS {
                        stalled.taken = 0;
                        stalled.until.as_mut().reset(Instant::now() + self.patience);
                        self.permit.stalls();
                    }
                }
                Poll::Ready(Ok(count))
            }
            failed => failed,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.watched(cx, written)
    }

    /// Anyone who writes comes here only once all was written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stalled.take().is_some() {
            self.permit.flows();
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
