//! The only I/O of the channels: sends a [`Request`] within a deadline and always comes back with a [`Reply`].
//!
//! One deadline covers name, connection, TLS, sending, headers and body. No redirect is followed, no proxy is taken
//! from the environment, and no address that the guard denies is connected to, whatever its spelling or name.
//! It keeps apart what was never sent ([`Reply::NotSent`]) from what may have been ([`Reply::NoAnswer`]). What it says
//! holds no URL, no header and no password.

use std::pin::Pin;
use std::time::Duration;

use crate::channels::{Reply, Request};

/// What sends. The real one is `Wire`; a rehearsal puts one in its place that records.
pub trait Transport: Send + Sync {
    /// Sends to `destination` (its name; the real wire has no use for it). Total: whatever happens is a reply, within
    /// `deadline`.
    fn send<'a>(
        &'a self,
        destination: &'a str,
        request: &'a Request,
        deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;
}
