//! `fanfare test --watch`: what is saved is tested again, until somebody ends it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a line may take: only a net below, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A watch that ends with the test.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn of(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fanfare"))
            .args(["test", "--watch"])
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .env_remove("FANFARE_CONFIG")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// The next line that sums a run up: `1 test: all pass`, without how long it took.
    fn sum(&self) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("nothing is printed any more");
            if let Some((sum, _)) = line.split_once(" (").filter(|(sum, _)| sum.starts_with("1 test: ")) {
                return sum.to_owned();
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // One that ended already can't be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_watch_tests_again_whenever_a_rule_a_test_or_a_template_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // At once, as editors save: half a file is another state, and would be tested too.
        let half = folder.path().join(".half");
        std::fs::write(&half, text).unwrap();
        std::fs::rename(half, path).unwrap();
    };
    let rule = |kind: &str| format!("rules:\n  - {{name: r, events: {kind}, actions: {{to: team, message: m}}}}\n");
    let test = |title: &str| {
        format!(
            "tests:\n  - name: t\n    steps:\n      - send: release.live\n      - expect: [{{title: \"{title}\"}}]\n"
        )
    };
    write("templates/m.md", "It is live\n");
    write("rules/r.yaml", &rule("release.live"));
    write("rules/r.test.yaml", &test("It is live"));
    let watch = Watch::of(folder.path());
    assert_eq!(watch.sum(), "1 test: all pass");
    write("rules/r.test.yaml", &test("It is dead"));
    assert_eq!(watch.sum(), "1 test: 1 failed", "the test was saved");
    write("templates/m.md", "It is dead\n");
    assert_eq!(watch.sum(), "1 test: all pass", "the template was saved");
    write("rules/r.yaml", &rule("release.rejected"));
    assert_eq!(watch.sum(), "1 test: 1 failed", "the rule was saved");
}
