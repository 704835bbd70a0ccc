//! A service manager, on a real socket: it is notified when Fanfare receives, while it moves, and when it ends.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::RealClock;
use fanfare::steps::Bounds;
use fanfare::steps::supervisor::Supervisor;

use crate::support::app::{App, event, eventually, live, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::trap::{Act, Trap};

/// A manager, and the name of its socket.
struct Manager {
    socket: tokio::net::UnixDatagram,
    name: OsString,
}

impl Manager {
    fn at(address: &SocketAddr, name: impl Into<OsString>) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket: tokio::net::UnixDatagram::from_std(socket).unwrap(), name: name.into() }
    }

    fn beside(folder: &Folder) -> Self {
        let path = folder.file("notify");
        Self::at(&SocketAddr::from_pathname(&path).unwrap(), path)
    }

    /// The next notice.
    async fn notice(&self) -> String {
        let mut buffer = [0; 4096];
        let length = soon("a notice", self.socket.recv(&mut buffer)).await.unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// How many notices wait to be read; they are read.
    fn waiting(&self) -> usize {
        let mut buffer = [0; 4096];
        std::iter::from_fn(|| self.socket.try_recv(&mut buffer).ok()).count()
    }
}

async fn started(folder: &Folder, name: &OsStr, variables: &[(&str, &str)]) -> Process {
    let mut all = vec![("NOTIFY_SOCKET", name.to_str().unwrap())];
    all.extend(variables);
    Process::start_with(folder.path(), "info", &all).await
}

#[tokio::test]
async fn systemd_is_notified_that_fanfare_receives_that_it_moves_and_that_it_ends() {
    let folder = Folder::new(CONFIG, "http://127.0.0.1:9/", EVERYTHING);
    let manager = Manager::beside(&folder);
    let process = started(&folder, &manager.name, &[("WATCHDOG_USEC", "300000")]).await;
    let notice = manager.notice().await;
    assert_eq!(notice, format!("READY=1\nSTATUS=receives at {}\n", process.webhooks));
    for _ in 0..3 {
        assert_eq!(manager.notice().await, "WATCHDOG=1\n");
    }
    process.signal("TERM");
    let last = eventually("the end", async || Some(manager.notice().await).filter(|notice| notice != "WATCHDOG=1\n"));
    assert_eq!(last.await, "STOPPING=1\nSTATUS=finishing deliveries in progress\n");
    let (status, log) = process.ended().await;
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn a_socket_without_a_file_works_and_a_watchdog_of_another_process_is_not_served() {
    let name = format!("fanfare-test-{}", std::process::id());
    let manager = Manager::at(&SocketAddr::from_abstract_name(&name).unwrap(), format!("@{name}"));
    let folder = Folder::new(CONFIG, "http://127.0.0.1:9/", EVERYTHING);
    let process = started(&folder, &manager.name, &[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]).await;
    assert!(manager.notice().await.starts_with("READY=1\n"));
    process.signal("TERM");
    assert!(manager.notice().await.starts_with("STOPPING=1\n"));
    assert!(process.ended().await.0.success());
}

#[tokio::test]
async fn a_socket_that_nobody_reads_is_a_reason_not_to_start() {
    let folder = Folder::new(CONFIG, "http://127.0.0.1:9/", EVERYTHING);
    let path = folder.file("nobody");
    let log = Process::try_start(folder.path(), "info", &[("NOTIFY_SOCKET", path.to_str().unwrap())]).await;
    let log = log.err().expect("it started");
    assert!(log.contains("the socket that `NOTIFY_SOCKET` names can't be reached"), "{log}");
}

#[tokio::test]
async fn while_nothing_moves_though_the_store_commits_the_manager_is_not_notified() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let manager = Manager::beside(&folder);
    let mut live = live(&folder, Bounds::default(), Arc::new(RealClock)).await;
    let shared = Arc::get_mut(&mut live).unwrap();
    shared.patience = Duration::from_secs(1);
    shared.supervisor = Some(Supervisor::at(&manager.name, Some(Duration::from_millis(90))).unwrap());
    let trap = Trap::before(&mut live);
    trap.set("lease", Act::Hangs);
    let app = App::start_live(folder, live).await;
    assert!(manager.notice().await.starts_with("READY=1\n"));
    assert_eq!(manager.notice().await, "WATCHDOG=1\n");
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    // Of the notices in a tenth of a second, none.
    eventually("silence", async || {
        manager.waiting();
        let next = tokio::time::timeout(Duration::from_millis(100), manager.socket.readable()).await;
        (!app.live.progress.stalls().is_empty() && next.is_err()).then_some(())
    })
    .await;
    trap.clear();
    assert_eq!(manager.notice().await, "WATCHDOG=1\n", "it moves again");
    app.end().await;
}
