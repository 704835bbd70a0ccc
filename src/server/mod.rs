//! Listeners: who gets a connection, for how long, and what it may cost. Sockets, deadlines and TLS; no policy of what
//! is answered, which is the router's.
//!
//! A stranger can hold neither permits nor memory. A connection holds a permit; where all are taken, the one that has waited
//! longest for its other side gives its own to the next. Headers, bodies and the taking of answers have deadlines, and the
//! bytes of all bodies in flight are bounded together ([`body::Budget`]).

use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub mod body;
pub mod listen;
mod permit;
mod serve;
mod stream;
pub mod tls;

pub use serve::{Drain, Server, serve};

/// At least this many files and sockets are no connection's to listeners.
const FILES_KEPT: usize = 20;

/// What the listeners tolerate from clients.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// A request's headers must have come within this; an idle connection is closed after it.
    pub headers: Duration,
    /// A request's body must have come whole within this.
    pub body: Duration,
    /// A commit must have been answered within this, or the sender is asked to come again.
    pub commit: Duration,
    /// An answer that its client leaves lying for this long loses the connection.
    pub answer: Duration,
    /// The most connections at a time on the webhooks' listener.
    pub connections: usize,
    /// The same on the admin's, which is apart so that probes still get through.
    pub admin_connections: usize,
    /// The most bytes of webhooks' bodies in flight, over all connections; the first 16 KiB of each do not count.
    pub body_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            body: Duration::from_secs(15),
            commit: Duration::from_secs(8),
            answer: Duration::from_secs(10),
            connections: 1024,
            admin_connections: 128,
            body_bytes: 64 << 20,
        }
    }
}

impl Bounds {
    /// The same for a process that may open only this many more files and sockets: connections leave some of them for
    /// reading files and for sending.
    #[must_use]
    pub fn within(self, files_left: usize) -> Self {
        let room = files_left.saturating_sub(FILES_KEPT.max(files_left / 8));
        Self {
            connections: self.connections.min((room * 4 / 5).max(1)),
            admin_connections: self.admin_connections.min((room / 5).max(1)),
            ..self
        }
    }
}

/// How many more files and sockets this process may open, where the system says so.
pub fn files_left() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let most: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(most.saturating_sub(std::fs::read_dir("/proc/self/fd").ok()?.count()))
}

/// What one listener grants.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at a time, those kept for `probes` among them.
    pub connections: usize,
    /// A request's headers must have come within this, and so must a TLS handshake.
    pub headers: Duration,
    /// An answer that its client leaves lying for this long loses the connection.
    pub answer: Duration,
    /// The paths that are answered even while every other permit is at work.
    pub probes: &'static [&'static str],
}

/// An RFC 9457 problem document that says no more than its status.
pub fn problem(status: StatusCode) -> Response {
    let title = match status {
        // The names of RFC 9110; the library has those of RFC 7231.
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        _ => status.canonical_reason().unwrap_or("Error"),
    };
    let document = json!({"type": "about:space", "title": title, "status": status.as_u16()});
    (status, [(CONTENT_TYPE, "application/problem+json")], document.to_string()).into_response()
}

/// Whether a request names more than one Host: anyone who goes by the first and anyone who goes by the last would disagree
/// (RFC 9112, section 3.2).
fn has_two_hosts(headers: &HeaderMap) -> bool {
    headers.get_all(axum::http::header::HOST).iter().nth(1).is_some()
}
