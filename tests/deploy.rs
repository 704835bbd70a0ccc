//! What operators install: packages, images, manifests, alerts. Each is built and used here, as an operator would.

use std::path::PathBuf;

use crate::support::process::BINARY;

mod action;
mod compose;
mod health;
mod image;
mod kubernetes;
mod monitoring;
mod notify;
mod package;
mod sandbox;
mod tools;

/// The program that is packed: the one under test, or the one that a release ships (`scripts/release`).
fn program() -> PathBuf {
    std::env::var_os("FANFARE_SHIPPED").map_or_else(|| BINARY.into(), PathBuf::from)
}

#[test]
fn every_page_and_manifest_names_this_version_and_the_changelog_describes_it() {
    let version = env!("CARGO_PKG_VERSION");
    let named = regex::Regex::new(r"\bfanfare(?::|_|/deploy/action@v)(\d+\.\d+\.\d+)").unwrap();
    for path in ["README.md", "docs/INSTALL.md", "deploy/action/example.yml"] {
        let text = std::fs::read_to_string(path).unwrap();
        let found: Vec<&str> = named.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()).collect();
        assert!(!found.is_empty() && found.iter().all(|found| *found == version), "{path}: {found:?}");
    }
    let changelog = std::fs::read_to_string("CHANGELOG.md").unwrap();
    assert!(changelog.contains(&format!("\n## [{version}] - ")), "the changelog has no section for {version}");
}
