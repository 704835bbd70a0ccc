//! The tools that check manifests, alerts and workflows, where `scripts/fetch-tools` brought them.

use std::path::{Path, PathBuf};
use std::process::Command;

const HOME: &str = "target/tools/deploy";

/// A file of theirs, by its path in their folder. None, and a printed reason, where it isn't there; in CI it must be.
pub fn find(path: &str) -> Option<PathBuf> {
    let found = Path::new(HOME).join(path);
    if found.exists() {
        return Some(std::fs::canonicalize(found).unwrap());
    }
    assert!(std::env::var_os("CI").is_none(), "`{path}` is missing: run scripts/fetch-tools");
    eprintln!("skipped: `{path}` is missing; scripts/fetch-tools brings it");
    None
}

/// Runs a script for Node in their folder, so that it finds their modules; gives its output, which must be a success.
pub fn node(script: &str, input: &Path) -> Option<String> {
    find("node_modules")?;
    let output = Command::new("node")
        .args(["--no-warnings", "--input-type=module", "--eval", script, "--"])
        .arg(std::fs::canonicalize(input).unwrap())
        .current_dir(HOME)
        .output()
        .expect("node");
    let text = super::sandbox::text(&output);
    assert!(output.status.success(), "{text}");
    Some(text)
}
