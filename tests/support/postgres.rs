//! A real PostgreSQL: one server for all tests of a process, a schema in it for each; or one of a test's own, to be
//! crashed. It listens on loopback and on a socket in its own folder, and ends with the process that started it,
//! however that ends.
//!
//! PostgreSQL does not run as root: where the tests do, it runs as the user `postgres`, or else `nobody`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// What a server is started with: durable, as the store insists, and small.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
max_connections = 300
shared_buffers = 64MB
wal_level = minimal
max_wal_senders = 0
jit = off
log_min_messages = fatal
client_min_messages = error
";

/// What is to be done where there is none.
const MISSING: &str = "PostgreSQL is not installed: `apt-get install -y postgresql` (scripts/test does it), or put \
                       initdb, pg_ctl and postgres on the PATH";

/// The same for the pooler.
const NO_POOLER: &str = "PgBouncer is not installed: `apt-get install -y pgbouncer` (scripts/test does it)";

/// A running server.
pub struct Server {
    folder: PathBuf,
    port: u16,
    user: Option<String>,
    /// The watchdog, and what it listens to: when that closes, the server ends.
    watch: Watch,
}

/// The server that tests share.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    // Never dropped: the end of the process ends it.
    SERVER.get_or_init(|| Server::start(""))
}

/// The address of an empty store of its own on the shared server.
pub fn fresh() -> String {
    server().fresh()
}

/// The address of an empty store of its own on the shared server, behind a pooler in transaction mode that has fewer
/// connections to the server than a store opens to it.
pub fn fresh_behind_a_pooler() -> String {
    static POOLER: OnceLock<(u16, Watch)> = OnceLock::new();
    static NAMES: AtomicU32 = AtomicU32::new(0);
    let server = server();
    let (port, _) = POOLER.get_or_init(|| server.pooler());
    let name = format!("pooled{}", NAMES.fetch_add(1, Ordering::SeqCst));
    // A pooler takes no schema from the address: a database of its own instead.
    server.sql(&format!("CREATE DATABASE {name}"));
    format!("postgres://fanfare@127.0.0.1:{port}/{name}?sslmode=disable")
}

/// A process that waits, and what ends it when closed.
type Watch = Mutex<Option<(Child, ChildStdin)>>;

impl Server {
    /// Starts one with further settings, and waits until it answers.
    pub fn start(more: &str) -> Self {
        let user = other_user();
        let folder = folder(user.as_deref());
        let server = Self { folder, port: free_port(), user, watch: Mutex::new(None) };
        let data = server.data();
        server.must("initdb", &["-D", &data, "-U", "fanfare", "--auth=trust", "-E", "UTF8", "--locale=C", "-N"]);
        server.write("postgresql.auto.conf", &format!("{SETTINGS}{more}\n"));
        server.up();
        server
    }

    /// The same with TLS, by a certificate of `tests/support/tls`, and with passwords over TCP.
    pub fn start_with_tls(name: &str) -> Self {
        let server = Self::start("");
        server.down("immediate");
        for ending in ["pem", "key"] {
            let text = std::fs::read_to_string(format!("tests/support/tls/{name}.{ending}")).unwrap();
            server.write(&format!("server.{ending}"), &text);
        }
        server.write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
        let more = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n";
        server.write("postgresql.auto.conf", &format!("{SETTINGS}{more}"));
        server.up();
        server
    }

    /// The address of an empty store of its own.
    pub fn fresh(&self) -> String {
        self.address(&self.fresh_schema())
    }

    /// A schema for an empty store of its own.
    pub fn fresh_schema(&self) -> String {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NAMES.fetch_add(1, Ordering::SeqCst));
        self.sql(&format!("CREATE SCHEMA {name}"));
        name
    }

    /// The address of the store in a schema on whichever of two servers may be written to.
    pub fn either(&self, other: &Self, schema: &str) -> String {
        format!(
            "postgres://fanfare@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable&target_session_attrs=read-write\
             &options=-csearch_path%3D{schema}&connections=6",
            self.port, other.port
        )
    }

    /// Starts a standby of it, which every commit waits for from now on. This must have been started with `wal_level =
    /// replica` and `max_wal_senders`.
    pub fn standby(&self) -> Self {
        let standby = Self {
            folder: folder(self.user.as_deref()),
            port: free_port(),
            user: self.user.clone(),
            watch: Mutex::new(None),
        };
        let (from, port, to) = self.client(&standby.folder.join("data"));
        self.must("pg_basebackup", &["-h", &from, "-p", &port, "-U", "fanfare", "-D", &to, "-R", "-c", "fast"]);
        standby.up();
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        let patience = Instant::now() + Duration::from_secs(60);
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1" {
            assert!(Instant::now() < patience, "the standby does not follow:\n{}", standby.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        standby
    }

    /// A standby takes over. It waits for no standby of its own.
    pub fn promote(&self) {
        self.must("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// The address of the store in a schema.
    pub fn address(&self, schema: &str) -> String {
        format!(
            "postgres://fanfare@/postgres?host={}&port={}&options=-csearch_path%3D{schema}&connections=6",
            self.folder.display().to_string().replace('/', "%2F"),
            self.port
        )
    }

    /// The address by TCP, with these options.
    pub fn tcp(&self, host: &str, user: &str, options: &str) -> String {
        format!("postgres://{user}@{host}:{}/postgres?{options}", self.port)
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL as the owner of all, and gives what it printed, without headings.
    pub fn sql(&self, sql: &str) -> String {
        let folder = self.folder.display().to_string();
        let port = self.port.to_string();
        let given = ["-h", &folder, "-p", &port, "-U", "fanfare", "-d", "postgres", "-qAtX", "-v", "ON_ERROR_STOP=1"];
        self.must("psql", &[&given[..], &["-c", sql]].concat()).trim().to_owned()
    }

    /// Dumps a database, as operators back it up; gives the file.
    pub fn dump(&self, database: &str) -> PathBuf {
        let file = self.folder.join(format!("{database}.dump"));
        let (folder, port, to) = self.client(&file);
        let given = ["-h", &folder, "-p", &port, "-U", "fanfare", "--format=custom", "--file", &to, database];
        self.must("pg_dump", &given);
        file
    }

    /// Restores a dump into an empty database.
    pub fn restore(&self, dump: &Path, database: &str) {
        let (folder, port, from) = self.client(dump);
        let given = ["-h", &folder, "-p", &port, "-U", "fanfare", "--exit-on-error", "-d", database, &from];
        self.must("pg_restore", &given);
    }

    /// What a client program is called with: where the server is, and a file.
    fn client(&self, file: &Path) -> (String, String, String) {
        (self.folder.display().to_string(), self.port.to_string(), file.display().to_string())
    }

    /// Ends it, `fast` or `immediate`: the latter is a crash.
    pub fn down(&self, mode: &str) {
        let data = self.data();
        self.must("pg_ctl", &["-D", &data, "-m", mode, "-w", "stop"]);
        if let Some((mut child, mut stdin)) = self.watch.lock().unwrap().take() {
            // There is nothing to watch any more, and nothing to tidy yet.
            stdin.write_all(b"stopped\n").unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again, on the same port.
    pub fn up(&self) {
        // Reading ends when this process does, whatever ends it; then the server must not outlive it.
        let script = "\"$0\" -D \"$1\" -p \"$2\" -k \"$3\" >>\"$3/log\" 2>&1 & server=$!; read -r line; \
                      [ \"$line\" = stopped ] && exit; kill -QUIT $server; wait $server; rm -rf \"$3\"";
        let mut command = self.command("sh");
        command
            .args(["-c", script])
            .arg(program("postgres"))
            .arg(self.data())
            .arg(self.port.to_string())
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        *self.watch.lock().unwrap() = Some((child, stdin));
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.answers() {
            assert!(Instant::now() < patience, "PostgreSQL does not start:\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Starts a pooler before it. Gives its port.
    fn pooler(&self) -> (u16, Watch) {
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host={} port={} user=fanfare\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 200\n",
            self.folder.display(),
            self.port
        );
        self.write("pooler.ini", &settings);
        let script =
            "\"$0\" -q \"$1/data/pooler.ini\" >>\"$1/pooler.log\" 2>&1 & pooler=$!; read -r line; kill $pooler";
        let found = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let program = found.into_iter().find(|path| Path::new(path).is_file()).expect(NO_POOLER);
        let mut command = self.command("sh");
        command.args(["-c", script, program]).arg(&self.folder).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(self.folder.join("pooler.log")).unwrap_or_default();
            assert!(Instant::now() < patience, "PgBouncer does not start:\n{log}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        (port, Mutex::new(Some((child, stdin))))
    }

    fn answers(&self) -> bool {
        let port = self.port.to_string();
        let asked = self
            .command(&program("pg_isready"))
            .args(["-q", "-h", &self.folder.display().to_string(), "-p", &port])
            .status();
        asked.is_ok_and(|status| status.success())
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let mut log = String::new();
        if let Ok(mut file) = std::fs::File::open(self.folder.join("log")) {
            let _ = file.read_to_string(&mut log);
        }
        log
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// Writes a file of the server's, as its user, readable by nobody else.
    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join("data").join(name);
        std::fs::write(&path, text).unwrap();
        let user = self.user.as_deref().unwrap_or_default();
        let owned = format!("chmod 600 '{0}'; [ -z '{user}' ] || chown '{user}' '{0}'", path.display());
        assert!(Command::new("sh").args(["-c", &owned]).status().unwrap().success());
    }

    /// A command as the server's user.
    fn command(&self, name: &str) -> Command {
        let mut command = match &self.user {
            None => Command::new(name),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user_group(user).as_str(), "--clear-groups", "--", name]);
                command
            }
        };
        // What is asked to the tests' process group, as Ctrl-C is, does not end the watchdog before it has tidied up.
        command.process_group(0);
        command.current_dir("/").env("LC_ALL", "C").env_remove("PGOPTIONS");
        command
    }

    fn must(&self, name: &str, given: &[&str]) -> String {
        let Output { status, stdout, stderr } =
            self.command(&program(name)).args(given).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{name}: {said}\n{}", self.log());
        String::from_utf8_lossy(&stdout).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((mut child, stdin)) = self.watch.get_mut().unwrap().take() {
            drop(stdin);
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A folder of a server's own.
fn folder(user: Option<&str>) -> PathBuf {
    let folder = tempfile::Builder::new().prefix("fanfare-pg-").tempdir_in("/tmp").unwrap().keep();
    if let Some(user) = user {
        let owned = Command::new("chown").arg(user).arg(&folder).status().unwrap();
        assert!(owned.success(), "can't give `{}` to {user}", folder.display());
    }
    folder
}

/// As whom the server runs, if not as ourselves.
fn other_user() -> Option<String> {
    let me = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&me.stdout).trim() != "0" {
        return None;
    }
    let known = |user: &&str| Command::new("id").arg(user).output().is_ok_and(|id| id.status.success());
    let user = ["postgres", "nobody"].into_iter().find(known);
    Some(user.expect("neither `postgres` nor `nobody` is a user here, and PostgreSQL does not run as root").to_owned())
}

fn user_group(user: &str) -> String {
    let group = Command::new("id").args(["-g", user]).output().unwrap();
    String::from_utf8_lossy(&group.stdout).trim().to_owned()
}

/// One of PostgreSQL's programs: Debian keeps them off the PATH.
fn program(name: &str) -> String {
    let mut places: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        places.push(folder.path().join("bin"));
    }
    // The newest first.
    places.sort_by_key(|place| std::cmp::Reverse(version_of(place)));
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = places.into_iter().map(|place| place.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{MISSING} (no `{name}`)")).display().to_string()
}

fn version_of(place: &Path) -> u32 {
    let name = place.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
