//! The servers that are measured, each started fresh on a free port and ended with the measurement.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::SECRET;
use crate::way::missing;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub path: &'static str,
    command: Command,
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts the one with this name; `Err` says why it can't be had.
    pub fn start(name: &str) -> Result<Self, String> {
        if name == "misses" {
            let settings = "destinations: {d0: {type: http, url: \"http://127.0.0.1:9/\"}}\n";
            return Self::replica(0, "sqlite:data/bench.db", settings, &missing(100));
        }
        let address = free_address();
        let folder = std::env::temp_dir().join(format!("fanfare-bench-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let (command, path) = match name {
            "durable" => (fanfare(&folder, address, "sqlite:data/bench.db"), "/webhooks/jewelmusic"),
            "memory" => (fanfare(&folder, address, "memory:"), "/webhooks/jewelmusic"),
            "express" => (express(address, "server.js")?, "/webhooks/jewelmusic"),
            _ => (webhook(&folder, address)?, "/hooks/jewelmusic"),
        };
        Self::spawn(command, address, path, folder)
    }

    /// Starts one of several on a store, with these further settings and these rules.
    pub fn replica(nth: usize, store: &str, settings: &str, rules: &str) -> Result<Self, String> {
        let address = free_address();
        let folder = std::env::temp_dir().join(format!("fanfare-bench-{}-replica-{nth}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("rules")).map_err(|error| error.to_string())?;
        let command = fanfare(&folder, address, store);
        let file = folder.join("fanfare.yaml");
        let config = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        std::fs::write(&file, config + settings).map_err(|error| error.to_string())?;
        if !rules.is_empty() {
            std::fs::write(folder.join("rules/all.yaml"), rules).map_err(|error| error.to_string())?;
        }
        Self::spawn(command, address, "/webhooks/jewelmusic", folder)
    }

    /// Starts a receiver that hands each event on to a destination: the peer by that name.
    pub fn forwarder(to: SocketAddr) -> Result<Self, String> {
        let address = free_address();
        let folder = std::env::temp_dir().join(format!("fanfare-bench-{}-forwarder", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let mut command = express(address, "forward.js")?;
        command.env("FORWARD_TO", format!("http://{to}"));
        Self::spawn(command, address, "/webhooks/jewelmusic", folder)
    }

    /// Where it keeps what it keeps.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn spawn(mut command: Command, address: SocketAddr, path: &'static str, folder: PathBuf) -> Result<Self, String> {
        let child = command
            .env("JEWELMUSIC_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let server = Self { address, path, command, child, folder };
        server.listens()?;
        Ok(server)
    }

    /// Ends it and starts it again on what it kept. Gives how long it took to listen.
    pub fn restart(&mut self) -> Result<Duration, String> {
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        let _ = self.child.wait();
        let began = Instant::now();
        self.child = self.command.spawn().map_err(|error| error.to_string())?;
        self.listens()?;
        Ok(began.elapsed())
    }

    fn listens(&self) -> Result<(), String> {
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > patience {
                return Err("it does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn fanfare(folder: &Path, address: SocketAddr, store: &str) -> Command {
    let config = format!(
        "listen: {address}\nadmin: {{listen: {}}}\nstore: \"{store}\"\nsources:\n  jewelmusic:\n    preset: jewelmusic\n    \
         path: /webhooks/jewelmusic\n    secrets: [\"${{env:JEWELMUSIC_SECRET}}\"]\n",
        free_address()
    );
    std::fs::write(folder.join("fanfare.yaml"), config).expect("a configuration");
    let mut command = Command::new(std::env::var("FANFARE").unwrap_or_else(|_| "target/dist/fanfare".into()));
    command.arg("--config").arg(folder.join("fanfare.yaml")).args(["serve", "--log", "error"]);
    command
}

/// JewelMusic's own sample of a receiver, in Express; `scripts/bench` puts it there.
fn express(address: SocketAddr, script: &str) -> Result<Command, String> {
    let script = Path::new("target/bench/express").join(script);
    if !script.exists() {
        return Err("it is not installed".into());
    }
    let mut command = Command::new("node");
    command.arg(script).env("PORT", address.port().to_string()).env("NODE_ENV", "production");
    Ok(command)
}

/// adnanh/webhook: verifies the signature, answers, and runs `/bin/true`.
fn webhook(folder: &Path, address: SocketAddr) -> Result<Command, String> {
    let hooks = serde_json::json!([{
        "id": "jewelmusic",
        "execute-command": "/bin/true",
        "trigger-rule": {"match": {
            "type": "payload-hmac-sha256",
            "secret": SECRET,
            "parameter": {"source": "header", "name": "X-JewelMusic-Signature"},
        }},
    }]);
    let file = folder.join("hooks.json");
    std::fs::write(&file, hooks.to_string()).map_err(|error| error.to_string())?;
    let installed = std::env::var_os("PATH")
        .is_some_and(|paths| std::env::split_paths(&paths).any(|path| path.join("webhook").exists()));
    if !installed {
        return Err("it is not installed".into());
    }
    let mut command = Command::new("webhook");
    command.arg("-hooks").arg(file).args(["-ip", "127.0.0.1", "-port", &address.port().to_string()]);
    Ok(command)
}
