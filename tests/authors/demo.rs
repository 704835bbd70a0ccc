//! `fanfare demo`: what the person at the terminal sees of a file that they saved.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::BINARY;
use crate::admin::browser::{SCREENS, axe, faults};
use crate::support::browser::Browser;

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
fn what_a_saved_file_did_is_reported_at_once_and_enter_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path());
    terminal.until("or q to end");
    let rules = folder.path().join("d/rules");
    fs::write(rules.join("mine.yaml"), "rules: [{name: mine, evnts: release.live, actions: {to: release-team}}]\n")
        .unwrap();
    let told = terminal.until("your change is not in force");
    // The next thing in the terminal after the save: nobody presses a key to learn of it.
    assert!(told.iter().find(|line| !line.trim().is_empty()).unwrap().starts_with("error"), "{told:#?}");
    let told = told.join("\n");
    assert!(told.contains("did you mean `events`?") && told.contains("mine.yaml:1"), "{told}");
    terminal.enter("release.live");
    terminal.until("nothing was sent");
    fs::remove_file(rules.join("mine.yaml")).unwrap();
    let told = terminal.until("your change is in force: ").pop().unwrap();
    let before: usize =
        told.trim_start_matches("your change is in force: ").split(' ').next().unwrap().parse().unwrap();
    // Saved and sent in one breath: the event goes by what was saved.
    let text = "rules: [{name: mine, events: release.live, actions: {to: release-team, text: said by mine}}]\n";
    fs::write(rules.join("mine.yaml"), text).unwrap();
    terminal.enter("release.live");
    terminal.until(&format!("your change is in force: {} rules", before + 1));
    terminal.until("said by mine");
    terminal.enter("q");
    assert!(terminal.child.wait().unwrap().success());
}

/// The demo's page: what a GET of a path answers, or a form that is posted there.
fn page(at: &str, path: &str, form: Option<&str>) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("Host: {at}\r\nConnection: close");
    let asked = match form {
        None => format!("GET {path} HTTP/1.1\r\n{head}\r\n\r\n"),
        Some(form) => format!(
            "POST {path} HTTP/1.1\r\n{head}\r\nOrigin: http://{at}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    };
    stream.write_all(asked.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Looks at the page until it has this part.
fn page_until(at: &str, part: &str) -> String {
    let began = Instant::now();
    loop {
        let seen = page(at, "/demo", None);
        if seen.contains(part) {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "no `{part}` on the page: {seen}");
        std::thread::yield_now();
    }
}

const DIGEST: &str = "rules:
  - name: morning-list
    events: release.live
    actions: {to: release-team, digest: {every: 1h}, text: one of the list}
";

#[test]
fn the_page_of_the_demo_tells_what_a_saved_file_did_and_moves_the_clock_to_the_digest() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path());
    let begun = terminal.until("or q to end");
    let at = begun.iter().find_map(|line| line.split_once("http://")?.1.split_once("/demo")).unwrap().0.to_owned();
    let rules = folder.path().join("d/rules");
    fs::write(rules.join("mine.yaml"), DIGEST.replace("events:", "evnts:")).unwrap();
    let saved = Instant::now();
    page_until(&at, "Your change is not in force: fix this");
    terminal.until("your change is not in force");
    println!("told after {:?}", saved.elapsed());
    fs::write(rules.join("mine.yaml"), DIGEST).unwrap();
    let seen = page_until(&at, "new: morning-list");
    assert!(seen.contains("Your change is in force"), "{seen}");
    let told = terminal.until("new: morning-list").join("\n");
    assert!(told.contains("your change is in force"), "{told}");
    // An event goes, and waits for the digest; the clock moves, and it comes.
    assert!(page(&at, "/demo/send", Some("what=release.live")).starts_with("HTTP/1.1 303"));
    let seen = page_until(&at, "The way of the last event");
    assert!(seen.contains("morning-list"), "{seen}");
    terminal.until("morning-list");
    assert!(page(&at, "/demo/clock", Some("what=hour")).starts_with("HTTP/1.1 303"));
    terminal.until("one of the list");
    terminal.until("it is ");
    assert!(page_until(&at, "one of the list").contains("The inboxes"));
    // The two pages lead to each other.
    assert!(page(&at, "/", None).contains("href=\"&#x2f;demo\""));
    assert!(page(&at, "/demo", None).contains("/events/"));
    terminal.enter("q");
    assert!(terminal.child.wait().unwrap().success());
}

/// A rule whose words are markup.
const HOSTILE: &str = "rules:
  - name: hostile
    events: release.live
    actions: {to: [release-team, fans, label-heads], text: '<script>alert(1)</script><img src=x onerror=alert(2)> {{ title }}'}
";

#[tokio::test]
async fn the_page_of_the_demo_fits_a_phone_and_a_desk_in_light_and_dark_and_markup_stays_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path());
    let begun = terminal.until("or q to end");
    let at = begun.iter().find_map(|line| line.split_once("http://")?.1.split_once("/demo")).unwrap().0.to_owned();
    fs::write(folder.path().join("d/rules/mine.yaml"), HOSTILE).unwrap();
    page_until(&at, "new: hostile");
    assert!(page(&at, "/demo/send", Some("what=release.live")).starts_with("HTTP/1.1 303"));
    page_until(&at, "alert(2)");
    let pictures = std::env::var_os("FANFARE_PICTURES").map(std::path::PathBuf::from);
    let (browser, axe) = (Browser::start(), axe());
    let mut wrong = Vec::new();
    for (screen, size) in SCREENS {
        let shown = browser.page(size).await;
        shown.go(&format!("http://{at}/demo")).await;
        let found = faults(&shown, axe.as_deref()).await;
        wrong.extend(found.iter().map(|fault| format!("{screen}: {fault}")));
        if let Some(folder) = &pictures {
            shown.picture(&folder.join(format!("demo-{screen}.png"))).await;
        }
        assert_eq!(shown.complaints(), Vec::<serde_json::Value>::new(), "{screen}");
        let home = format!("http://{at}/");
        let elsewhere: Vec<String> = shown.requests().into_iter().filter(|url| !url.starts_with(&home)).collect();
        assert!(elsewhere.iter().all(|url| url.starts_with("data:image/svg")), "{elsewhere:?}");
        if axe.is_some() {
            // What it looks for is found where it is.
            shown.eval("document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button>')").await;
            let found = serde_json::Value::from(faults(&shown, axe.as_deref()).await).to_string();
            assert!(found.contains("button-name (critical)"), "{screen}: {found}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
