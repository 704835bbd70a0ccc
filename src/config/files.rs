//! The files that a snapshot is made from, read all at once.
//!
//! Symbolic links are followed, since a Kubernetes ConfigMap is mounted as links into a hidden `..data` folder;
//! hidden names are left out. The hash over all texts is what tells whether anything changed: names and times are not
//! believed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::substitute::{Environment, secret_files};
use crate::problem::{File, Location, Problem, Problems};
use crate::yaml::SIZE_MAX;

/// The most files that a folder of rules or templates may have.
const FILES_MAX: usize = 5_000;
/// The deepest folder.
const DEPTH_MAX: usize = 16;
/// The code of the problem that something can't be read.
const UNREADABLE: &str = "unreadable";
/// The code of the problem that the folder of rules is not there.
const NO_FOLDER: &str = "no-folder";

/// What was read, and where, as one can tell it apart from anything else: to know later whether there is anything new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    file: PathBuf,
    folders: Option<(PathBuf, PathBuf)>,
    tls: Option<(PathBuf, PathBuf)>,
    print: String,
    has_empty: bool,
}

impl Seen {
    /// What there is to see now in the same places.
    pub fn again(&self, environment: &dyn Environment) -> Self {
        let mut problems = Problems::new();
        let mut files = Files { config: read(&self.file, &shown(&self.file), &mut problems), ..Files::default() };
        if let Some((rules, templates)) = &self.folders {
            files.read_folders(rules, templates, &mut problems);
        }
        let seen = Self::of(&self.file, self.folders.clone(), &files, problems.iter(), environment);
        seen.with_tls(self.tls.clone(), environment)
    }

    /// The same with a certificate's file and its key's.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<(PathBuf, PathBuf)>, environment: &dyn Environment) -> Self {
        if let Some((cert, key)) = &tls {
            let mut hash = Sha256::new();
            hash.update(&self.print);
            for path in [cert, key] {
                hash_secret(&mut hash, path, environment);
            }
            self.print = hex::encode(hash.finalize());
        }
        Self { tls, ..self }
    }

    /// What reading these files came to. What can't be read counts as something else than what can; the files that
    /// `fanfare.yaml` takes secrets from count too, and are named in nothing that is shown.
    pub fn of<'p>(
        file: &Path,
        folders: Option<(PathBuf, PathBuf)>,
        files: &Files,
        problems: impl Iterator<Item = &'p Problem>,
        environment: &dyn Environment,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(files.hash());
        for problem in problems.filter(|problem| matches!(problem.code, UNREADABLE | NO_FOLDER)) {
            hash.update(&problem.message);
        }
        let base = file.parent().unwrap_or(Path::new(""));
        for path in files.config.iter().flat_map(|config| secret_files(&config.text)) {
            hash_secret(&mut hash, &base.join(path), environment);
        }
        let mut all = files.config.iter().chain(&files.rules).chain(&files.templates);
        let has_empty = all.any(|file| file.text.is_empty());
        Self { file: file.to_owned(), folders, tls: None, print: hex::encode(hash.finalize()), has_empty }
    }

    /// Whether nothing has changed since `other` was seen. Where other folders or certificates were read, `fanfare.yaml` names others
    /// now: what was looked at and what was loaded can't be compared then, but for the file itself.
    pub fn is_like(&self, other: &Self) -> bool {
        self == other || self.folders != other.folders || self.tls != other.tls
    }

    /// What tells it from everything else: 64 hexadecimal digits, never to be shown, since secrets are in it.
    pub fn print(&self) -> &str {
        &self.print
    }

    /// Whether a file has nothing in it: most often because it is just being written, and on a busy disk that may take a
    /// while.
    pub fn has_empty(&self) -> bool {
        self.has_empty
    }

    /// The folders of rules and templates that were read.
    pub fn folders(&self) -> Option<(&Path, &Path)> {
        self.folders.as_ref().map(|(rules, templates)| (rules.as_path(), templates.as_path()))
    }
}

fn hash_secret(hash: &mut Sha256, path: &Path, environment: &dyn Environment) {
    let text = environment.file(path);
    hash.update(if text.is_ok() { [1] } else { [0] });
    let text = text.unwrap_or_else(|error| error);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

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
        // Paths count from the configuration's folder, so that another working directory sees the same.
        let folder = self.config.as_deref().and_then(|config| config.path.rsplit_once('/')).map(|(folder, _)| folder);
        let within = |path: &str| {
            let rest = folder.and_then(|folder| path.strip_prefix(folder)?.strip_prefix('/'));
            rest.unwrap_or(path).to_owned()
        };
        for file in all {
            for part in [&within(&file.path), &file.text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())
    }

    /// Reads both folders. What can't be read is a problem, and so is a folder of rules that isn't there: it may be gone
    /// for a moment, or for good, and that nothing more is sent is not to be taken from it.
    pub fn read_folders(&mut self, rules: &Path, templates: &Path, problems: &mut Problems) {
        if std::fs::metadata(rules).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            problems.push(
                Problem::error(NO_FOLDER, format!("there is no folder `{}`", shown(rules)))
                    .hint("make it and put your rules there, or name another with `rules:` in `fanfare.yaml`"),
            );
        }
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
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            problems.push(Problem::error(UNREADABLE, format!("`{shown}` can't be read: {error}")));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(File::new(shown, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // The rest is shown as far as it can be.
            let file = File::new(shown, String::from_utf8_lossy(error.as_bytes()));
            let place = Location::new(&file, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
            let mend = "save the file as UTF-8";
            problems.push(Problem::error(UNREADABLE, "what stands here is not UTF-8").at(&place).hint(mend));
            None
        }
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no plain file".into());
    }
    let mut bytes = Vec::new();
    // One byte more than YAML takes, so that the reader of the file can say that it is too large.
    file.take(SIZE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
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
            problems.push(Problem::error(UNREADABLE, format!("`{}` can't be read: {error}", folder.display())));
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
