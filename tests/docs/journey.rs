//! A tutorial as somebody follows it: one folder from nothing, each command in its order, each file as it is shown, and at
//! the end a server that runs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::docs::block::Block;
use crate::docs::pages::{without_ids, without_times, words};
use crate::support::app::PATIENCE;

/// Where the reader is.
pub struct Journey {
    _kept: tempfile::TempDir,
    here: PathBuf,
    variables: BTreeMap<String, String>,
    server: Option<Child>,
}

impl Drop for Journey {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Journey {
    /// In an empty folder, with no environment.
    pub fn begin() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let here = kept.path().canonicalize().unwrap();
        Self { _kept: kept, here, variables: BTreeMap::new(), server: None }
    }

    /// Writes a file that the page shows.
    pub fn write(&mut self, path: &str, text: &str) {
        let path = self.here.join(path);
        assert!(path.parent().unwrap().is_dir(), "{}: no folder for it", path.display());
        std::fs::write(path, text).unwrap();
    }

    /// Runs the commands of a block, and gives them with what they print.
    pub fn console(&mut self, block: &Block, fails: bool) -> String {
        let commands: Vec<&str> = block.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let mut out = String::new();
        for (nth, line) in commands.iter().enumerate() {
            let said = self.command(line, fails && nth + 1 == commands.len());
            out.push_str(&format!("$ {line}\n"));
            if !said.is_empty() {
                out.push_str(&format!("{said}\n"));
            }
        }
        out
    }

    fn command(&mut self, line: &str, fails: bool) -> String {
        if let Some(folder) = line.strip_prefix("cd ") {
            self.here.push(folder);
            return String::new();
        }
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            // Nobody's real hook: a receiver of the test's own.
            let value = if name == "SLACK_WEBHOOK" { receiver() } else { value.to_owned() };
            self.variables.insert(name.to_owned(), value);
            return String::new();
        }
        let arguments = line.strip_prefix("fanfare ").unwrap_or_else(|| panic!("`{line}` is not a command of ours"));
        if arguments == "serve &" {
            self.serve();
            return String::new();
        }
        let began = Instant::now();
        loop {
            let output = self.fanfare(&words(arguments)).output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            // What is on its way has not arrived yet.
            let is_early = arguments.starts_with("deliveries") && !said.contains("delivered");
            if is_early && began.elapsed() < PATIENCE {
                std::thread::park_timeout(Duration::from_millis(50));
                continue;
            }
            assert_eq!(output.status.code(), Some(i32::from(fails)), "`{line}`:\n{said}");
            return self.steady(&said);
        }
    }

    fn fanfare(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(arguments).current_dir(&self.here).env_clear().envs(&self.variables);
        command
    }

    /// Starts the server, at addresses that are free here.
    fn serve(&mut self) {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (listen, admin) = (port(), port());
        let config = self.here.join("fanfare.yaml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("listen:")).collect();
        let more = format!("\nlisten: 127.0.0.1:{listen}\nadmin: {{listen: \"127.0.0.1:{admin}\"}}\n");
        std::fs::write(&config, text + &more).unwrap();
        let server = self.fanfare(&["serve".to_owned()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.server = Some(server);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", listen)).is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not listen");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The same whenever and wherever it is run.
    fn steady(&self, said: &str) -> String {
        let said = said.replace(&format!("{}/", self.here.display()), "");
        let said = without_local_times(&without_times(&without_ids(&said)));
        let said = after_each(&said, "dlv_", |c| c.is_ascii_hexdigit());
        let said = after_each(&said, "\"created\": ", |c| c.is_ascii_digit());
        let mut out = String::new();
        for word in said.split_inclusive([' ', '\n', '"', ',']) {
            let bare = word.trim_end_matches([' ', '\n', '"', ',']);
            let is_time = bare.len() > 10 && bare.parse::<jiff::Timestamp>().is_ok();
            out.push_str(&if is_time { word.replace(bare, "…") } else { word.to_owned() });
        }
        // How wide a column is follows from the times in it.
        let lines: Vec<String> = out.trim_end().lines().map(narrow).collect();
        lines.join("\n")
    }
}

/// The text with `…` in place of times as commands tell them: `2026-01-05 11:00:00 CET`.
fn without_local_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let shape: String = from.chars().take(20).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        if shape == "0000-00-00 00:00:00 " {
            let zone = from[20..].find(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '-');
            out.push('…');
            rest = zone.map_or("", |end| &from[20 + end..]);
        } else {
            let end = from.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(from.len());
            out.push_str(&from[..end]);
            rest = &from[end..];
        }
    }
    out + rest
}

/// The line with its columns two blanks apart.
fn narrow(line: &str) -> String {
    let text = line.trim_start();
    let columns: Vec<&str> = text.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
    format!("{}{}", &line[..line.len() - text.len()], columns.join("  "))
}

/// The text with `…` for what stands behind each `mark`.
fn after_each(text: &str, mark: &str, is_part: fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(&format!("{mark}…{}", part.trim_start_matches(is_part)));
    }
    out
}

/// A service that takes every hook, for as long as the tests run.
fn receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut start = [0; 65536];
            let _ = stream.read(&mut start);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    format!("http://{address}/hook")
}
