//! The files that a snapshot is made from, read all at once.
//!
//! Symbolic links are followed, since a Kubernetes ConfigMap is mounted as links into a hidden `..data` folder;
//! hidden names are left out. The hash over all texts is what tells whether anything changed: names and times are not
//! believed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::problem::{File, Problem, Problems};
use crate::yaml::SIZE_MAX;

/// The most files that a folder of rules or templates may have.
const FILES_MAX: usize = 5_000;
/// The deepest folder.
const DEPTH_MAX: usize = 16;

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// `fanfare.yaml`, if there is one.
    pub config: Option<Arc<File>>,
    /// `rules/**/*.yaml` but tests.
    pub rules: Vec<Arc<File>>,
    /// `rules/**/*.test.yaml`.
    pub tests: Vec<Arc<File>>,
    /// The files of the templates folder.
    pub templates: Vec<Arc<File>>,
}

impl Files {
    /// SHA-256 over all paths and texts, in hex.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        let all = self.config.iter().chain(&self.rules).chain(&self.tests).chain(&self.templates);
        for file in all {
            for part in [&file.path, &file.text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())
    }

    /// Reads both folders. What can't be read is a problem.
    pub fn read_folders(&mut self, rules: &Path, templates: &Path, problems: &mut Problems) {
        for file in folder(rules, &["yaml", "yml"], problems) {
            if is_test(&file.path) { self.tests.push(file) } else { self.rules.push(file) }
        }
        self.templates = folder(templates, &["md", "json", "html"], problems);
    }
}

fn is_test(path: &str) -> bool {
    path.ends_with(".test.yaml") || path.ends_with(".test.yml")
}

/// A test file, or those of a folder.
pub fn tests(path: &Path, problems: &mut Problems) -> Vec<Arc<File>> {
    if !path.is_dir() {
        return read(path, &shown(path), problems).into_iter().collect();
    }
    folder(path, &["yaml", "yml"], problems).into_iter().filter(|file| is_test(&file.path)).collect()
}

/// Reads one file, shown as `shown`.
pub fn read(path: &Path, shown: &str, problems: &mut Problems) -> Option<Arc<File>> {
    match read_text(path) {
        Ok(text) => Some(File::new(shown, text)),
        Err(error) => {
            problems.push(Problem::error("unreadable", format!("`{shown}` can't be read: {error}")));
            None
        }
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no plain file".into());
    }
    let mut bytes = Vec::new();
    // One byte more than YAML takes, so that the reader of the file can say that it is too large.
    file.take(SIZE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8")
    })
}

/// All files below `folder` with one of these endings, sorted by path. A missing folder is empty.
fn folder(folder: &Path, endings: &[&str], problems: &mut Problems) -> Vec<Arc<File>> {
    let mut paths = Vec::new();
    walk(folder, 0, &mut paths, problems);
    paths.retain(|path| path.extension().and_then(|ending| ending.to_str()).is_some_and(|e| endings.contains(&e)));
    paths.sort();
    if paths.len() > FILES_MAX {
        problems.push(Problem::error(
            "too-many-files",
            format!("`{}` holds {} files, more than {FILES_MAX}", folder.display(), paths.len()),
        ));
        paths.truncate(FILES_MAX);
    }
    paths.iter().filter_map(|path| read(path, &shown(path), problems)).collect()
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>, problems: &mut Problems) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            problems.push(Problem::error("unreadable", format!("`{}` can't be read: {error}", folder.display())));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // `metadata` follows links; a link into nothing is a file in the middle of being swapped.
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() && depth < DEPTH_MAX => walk(&path, depth + 1, paths, problems),
            Ok(metadata) if metadata.is_file() => paths.push(path),
            _ => {}
        }
        if paths.len() > FILES_MAX * 2 {
            return;
        }
    }
}

/// The path as people know it: relative to where the program was started, if it is below.
pub fn shown(path: &Path) -> String {
    let relative = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    let path = relative.unwrap_or_else(|| path.to_owned());
    path.strip_prefix(".").unwrap_or(&path).display().to_string()
}
