//! The service manager that started this process, such as systemd: it is notified when Fanfare receives and when it ends,
//! and regularly while Fanfare moves. It restarts a process that stops notifying.
//!
//! The protocol is systemd's `sd_notify`: datagrams of `KEY=VALUE` lines to the socket that `NOTIFY_SOCKET` names. Without
//! that variable there is nobody to notify.

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::steps::Live;

/// A manager that reads nothing is waited for no longer than this.
const SEND_MAX: Duration = Duration::from_secs(1);
/// The store is waited for no longer than this.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// The number of notices within the time after which the manager gives up.
const NOTICES: u32 = 3;

/// Who is notified.
#[derive(Debug)]
pub struct Supervisor {
    socket: UnixDatagram,
    /// Without a notice for this long, the manager restarts the process; none if it doesn't watch.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The manager that this process's environment names; none if it names none. An error if its socket can't be reached.
    pub fn find() -> io::Result<Option<Self>> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(None) };
        let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        // The variable is inherited: it may be meant for the process that started this one.
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0).map(Duration::from_micros);
        Self::at(&name, watchdog).map(Some)
    }

    /// The manager with this socket: a path, or a name without a file behind an `@`. It gives up after `watchdog` without a
    /// notice.
    pub fn at(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address(name)?)?;
        socket.set_write_timeout(Some(SEND_MAX))?;
        Ok(Self { socket, watchdog })
    }

    /// How often it wants a notice; none if it wants none.
    pub(super) fn every(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / NOTICES)
    }

    /// Fanfare receives. `status` is what `systemctl status` shows.
    pub(super) fn ready(&self, status: &str) {
        self.notify(&format!("READY=1\nSTATUS={}\n", status.replace('\n', " ")));
    }

    /// Fanfare ends, in order.
    pub(super) fn stopping(&self) {
        self.notify("STOPPING=1\nSTATUS=finishing deliveries in progress\n");
    }

    fn notify(&self, state: &str) {
        if let Err(error) = self.socket.send(state.as_bytes()) {
            tracing::warn!(%error, "the service manager could not be notified");
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_encoded_bytes().strip_prefix(b"@") {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}

/// Notifies the manager for as long as the process moves.
pub(super) async fn watchdog_loop(live: &Live, every: Duration) {
    while !live.is_draining() {
        match hangs(live).await {
            None => live.supervisor.iter().for_each(|supervisor| supervisor.notify("WATCHDOG=1\n")),
            Some(why) => tracing::error!(why, "the service manager is not notified: it restarts this process"),
        }
        live.drained_or(every).await;
    }
}

/// Why a restart may help, if so: due work doesn't move, although the store can commit. Where it can't, a restart would only
/// turn the 503 that senders get into a refused connection.
async fn hangs(live: &Live) -> Option<String> {
    let why = live.progress.stalls().first()?.why.clone();
    let commits = tokio::time::timeout(PROBE_MAX, live.store.probe()).await;
    commits.is_ok_and(|commits| commits.is_ok()).then_some(why)
}
