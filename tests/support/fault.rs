//! A disk that fails when it is asked to, for a program in a process of its own: `fault.c`, built by the C compiler that
//! building SQLite needs anyway, and put in front of the C library.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The built library, once for all tests.
fn library() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("fault.so");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&path)
            .args(["tests/support/fault.c", "-ldl"])
            .output()
            .expect("there is a C compiler, since SQLite was built");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (folder, path)
    });
    path
}

/// What makes the files below a folder fail.
pub struct Disk {
    folder: PathBuf,
    told: PathBuf,
}

impl Disk {
    /// The disk below `data` in this folder; well for now.
    pub fn of(folder: &Path) -> Self {
        let folder = folder.canonicalize().unwrap();
        let disk = Self { told: folder.join("fault"), folder: folder.join("data") };
        disk.is("well");
        disk
    }

    /// From now on it is `well`, fails to `sync`, is `full` or `readonly`.
    pub fn is(&self, word: &str) {
        // In one step, so that nobody reads half a word.
        let new = self.told.with_extension("new");
        std::fs::write(&new, word).unwrap();
        std::fs::rename(&new, &self.told).unwrap();
    }

    /// The environment of a process that writes to it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library().display().to_string()),
            ("FAULT_FILE", self.told.display().to_string()),
            ("FAULT_FOLDER", self.folder.display().to_string()),
        ]
    }
}
