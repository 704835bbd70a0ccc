//! `fanfare demo`: what the person at the terminal sees of a file that they saved.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::BINARY;

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(120);

struct Terminal {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Terminal {
    fn start(folder: &std::path::Path) -> Self {
        Self::start_by(Command::new(BINARY), folder)
    }

    fn start_by(mut command: Command, folder: &std::path::Path) -> Self {
        let mut child = command
            .args(["demo", "--dir", "d", "--port", "0"])
            .current_dir(folder)
            .env_clear()
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// All lines up to one that has this part.
    fn until(&self, part: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no `{part}` in {seen:#?}"));
            let is_last = line.contains(part);
            seen.push(line);
            if is_last {
                return seen;
            }
        }
    }

    fn enter(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

#[test]
fn what_a_saved_file_did_is_told_at_once_and_enter_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path());
    terminal.until("or q to end");
    let rules = folder.path().join("d/rules");
    fs::write(rules.join("mine.yaml"), "rules: [{name: mine, evnts: release.live, actions: {to: release-team}}]\n")
        .unwrap();
    let told = terminal.until("what you saved is not in force").join("\n");
    assert!(told.contains("did you mean `events`?") && told.contains("mine.yaml:1"), "{told}");
    terminal.enter("release.live");
    terminal.until("nothing was sent");
    fs::remove_file(rules.join("mine.yaml")).unwrap();
    let told = terminal.until("what you saved is in force: ").pop().unwrap();
    let before: usize =
        told.trim_start_matches("what you saved is in force: ").split(' ').next().unwrap().parse().unwrap();
    // Saved and sent in one breath: the event goes by what was saved.
    let text = "rules: [{name: mine, events: release.live, actions: {to: release-team, text: said by mine}}]\n";
    fs::write(rules.join("mine.yaml"), text).unwrap();
    terminal.enter("release.live");
    terminal.until(&format!("what you saved is in force: {} rules", before + 1));
    terminal.until("said by mine");
    terminal.enter("q");
    assert!(terminal.child.wait().unwrap().success());
}

#[test]
fn a_demo_one_of_whose_inboxes_ends_says_so_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 128 && exec \"$0\" \"$@\"", BINARY]).stderr(Stdio::piped());
    let mut terminal = Terminal::start_by(shell, folder.path());
    terminal.until("or q to end");
    let config = fs::read_to_string(folder.path().join("d/fanfare.yaml")).unwrap();
    let mail = config.split("smtp://").nth(1).unwrap().split('?').next().unwrap();
    // It can take no more connections: that ends its mail server.
    let mut held = Vec::new();
    let began = Instant::now();
    let status = loop {
        assert!(began.elapsed() < PATIENCE, "it goes on without its mail server");
        held.extend(TcpStream::connect(mail));
        if let Some(status) = terminal.child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(70));
    let mut said = String::new();
    terminal.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the demo's mail server ended: start the demo anew"), "{said}");
}
