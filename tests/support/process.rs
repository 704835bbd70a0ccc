//! The built program as a process of its own: what can only be seen from outside, such as being killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{oneshot, watch};

/// The program.
pub const BINARY: &str = env!("CARGO_BIN_EXE_fanfare");

/// Runs a command of the program in this folder, without colour. Gives its exit code, what it printed, what it said.
pub fn command(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(BINARY)
        .current_dir(folder)
        .args(arguments)
        .env("NO_COLOR", "1")
        .env_remove("FANFARE_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A running `fanfare serve`, killed when dropped.
pub struct Process {
    /// Where webhooks are received.
    pub webhooks: SocketAddr,
    /// Where the admin surface is.
    pub admin: SocketAddr,
    /// From the start until it listened.
    pub took: Duration,
    child: Child,
    log: Arc<Mutex<String>>,
    ended: watch::Receiver<bool>,
}

impl Process {
    /// Starts it on the configuration in this folder.
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, "info", &[]).await
    }

    /// The same with a log filter and further environment variables.
    pub async fn start_with(folder: &Path, log: &str, variables: &[(&str, &str)]) -> Self {
        Self::try_start(folder, log, variables).await.unwrap_or_else(|log| panic!("it did not start:\n{log}"))
    }

    /// The same; what it logged if it ended instead of listening.
    pub async fn try_start(folder: &Path, log: &str, variables: &[(&str, &str)]) -> Result<Self, String> {
        Self::try_start_by(Command::new(BINARY), folder, log, variables).await
    }

    /// Starts it under a limit of the shell's, such as `ulimit -n 64`.
    pub async fn start_under(limit: &str, folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), BINARY]);
        Self::try_start_by(shell, folder, "info", &[]).await.unwrap_or_else(|log| panic!("it did not start:\n{log}"))
    }

    /// Starts it by another command, which gets its arguments.
    pub async fn try_start_by(
        mut command: Command,
        folder: &Path,
        log: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let began = Instant::now();
        let mut child = command
            .current_dir(folder)
            .args(["serve", "--log", log, "--log-format", "json"])
            .env_remove("FANFARE_CONFIG")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (listening, heard) = oneshot::channel();
        let (end, ended) = watch::channel(false);
        let kept = Arc::new(Mutex::new(String::new()));
        let (stderr, keep) = (child.stderr.take().unwrap(), kept.clone());
        std::thread::spawn(move || {
            let mut listening = Some(listening);
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                if let Some((addresses, said)) =
                    addresses(&text).zip(listening.take_if(|_| text.contains("\"listening\"")))
                {
                    let _ = said.send(addresses);
                }
                keep.lock().unwrap().push_str(&text);
                line.clear();
            }
            let _ = end.send(true);
        });
        match tokio::time::timeout(Duration::from_secs(60), heard).await.expect("it neither listens nor ends") {
            Ok((webhooks, admin)) => Ok(Self { webhooks, admin, took: began.elapsed(), child, log: kept, ended }),
            Err(_) => {
                let _ = child.wait();
                let log = kept.lock().unwrap().clone();
                Err(log)
            }
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Ends it at once, as the kernel would when memory runs out, and waits until it is gone.
    pub async fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.wait().await;
        self.log()
    }

    /// Sends it a signal by its name.
    pub fn signal(&self, name: &str) {
        let done = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(done.success());
    }

    /// Asks it to end in order, and gives how that went and all that it logged.
    pub async fn terminate(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        let status = self.wait().await;
        (status, self.log())
    }

    /// Waits until it ends by itself, and gives how that went and all that it logged.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = self.wait().await;
        (status, self.log())
    }

    async fn wait(&mut self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let gone = tokio::time::timeout(Duration::from_secs(60), ended.wait_for(|ended| *ended)).await;
        gone.expect("it does not end").unwrap();
        // Its log is at its end, so it is gone or as good as.
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses in the log line that says that it listens.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    Some((address("webhooks")?, address("admin")?))
}
