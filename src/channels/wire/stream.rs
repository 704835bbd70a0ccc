//! A stream that a mail server can't misuse.
//!
//! It hands on one line at a time, so that what a man in the middle slips in behind the answer to STARTTLS is read as
//! TLS, and fails, instead of being taken for an answer inside of it. It ends when the server has said far too
//! much, so that an endless line can't fill the memory. And what a server offers is read in upper case, since lettre knows
//! its keywords in no other (RFC 5321, section 4.1.1.1: they may be in any).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// All that a server may say over one connection.
const SAID_MAX: usize = 1 << 20;

/// The tamed stream.
#[derive(Debug)]
pub(super) struct Tame<S> {
    inner: S,
    peer: SocketAddr,
    /// What was read and not yet handed on.
    ahead: Vec<u8>,
    said: usize,
    offers: Offers,
}

/// Whether what is read are a server's offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offers {
    No,
    /// EHLO was said, and not yet answered.
    Asked,
    Yes,
}

/// What stands for a greeting that was heard before.
const GREETING: &[u8] = b"220 greeted before\r\n";

impl<S> Tame<S> {
    pub(super) fn new(inner: S, peer: SocketAddr) -> Self {
        Self { inner, peer, ahead: Vec::new(), said: 0, offers: Offers::No }
    }

    /// One whose server has greeted already, and will not again.
    pub(super) fn greeted(inner: S, peer: SocketAddr) -> Self {
        Self { ahead: GREETING.to_vec(), ..Self::new(inner, peer) }
    }
}

impl<S> AsyncTokioStream for Tame<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tame<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let mut chunk = [0; 4096];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut chunk))?;
            self.said += chunk.filled().len();
            if self.said > SAID_MAX {
                return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
            }
            self.ahead = chunk.filled().to_vec();
            if self.offers == Offers::Asked {
                self.offers = if self.ahead.starts_with(b"2") { Offers::Yes } else { Offers::No };
            }
            if self.offers == Offers::Yes {
                self.ahead.make_ascii_uppercase();
            }
        }
        let line = self.ahead.iter().position(|byte| *byte == b'\n').map_or(self.ahead.len(), |at| at + 1);
        let now = line.min(out.remaining());
        let handed: Vec<u8> = self.ahead.drain(..now).collect();
        out.put_slice(&handed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tame<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.offers = if data.starts_with(b"EHLO ") { Offers::Asked } else { Offers::No };
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
