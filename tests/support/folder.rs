//! A folder with a configuration, rules and templates, as an operator would keep it, in a temporary place.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The secrets of the source `jewelmusic` in [`CONFIG`], the first being the one that tests sign with.
pub const SECRET: &str = "now-secret-0123456789abcdef0123456789";
/// The one before the last rotation.
pub const OLD_SECRET: &str = "old-secret-0123456789abcdef0123456789";

/// Listeners on any free port, one source, one destination `ledger` at `PEER`, tried again soon.
pub const CONFIG: &str = r#"
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
store: sqlite:data/fanfare.db
sources:
  jewelmusic:
    preset: jewelmusic
    path: /webhooks/jewelmusic
    secrets: [now-secret-0123456789abcdef0123456789, old-secret-0123456789abcdef0123456789]
destinations:
  ledger: {type: http, url: "PEER", retry: {first: 1s, max: 1s}, concurrency: 4}
"#;

/// The `concurrency` of its only destination: this many deliveries are under way at most, over all replicas.
pub const UNDER_WAY: usize = 4;

/// One rule that tells `ledger` of everything.
pub const EVERYTHING: &str = "rules:
  - name: everything
    events: '*'
    actions: [{to: ledger, text: '{{ event.id }}'}]
";

/// The folder; removed when dropped.
pub struct Folder(TempDir);

impl Folder {
    /// With this configuration, in which `PEER` stands for `peer`, and one rules file `rules/main.yaml`.
    pub fn new(config: &str, peer: &str, rules: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("fanfare.yaml", &config.replace("PEER", peer));
        folder.write("rules/main.yaml", rules);
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in it, and the folders above.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
