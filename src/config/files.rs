//! The files that a snapshot is made from, read all at once.
//!
//! Symbolic links are followed within their folder, since a Kubernetes ConfigMap is mounted as links into a hidden
//! `..data` folder; hidden names are left out. The hash over all texts is what tells whether anything changed: names and
//! times are not believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::open::{self, Refusal};
use crate::config::substitute::{Environment, secret_files};
use crate::problem::{File, Location, Problem, Problems, nearest};
use crate::yaml::{self, NodeKind, SIZE_MAX};

/// The most files that a folder of rules, templates or samples may have.
const FILES_MAX: usize = 5_000;
/// The deepest folder.
const DEPTH_MAX: usize = 16;
/// The code of the problem that something can't be read.
const UNREADABLE: &str = "unreadable";
/// The code of the problem that the folder of rules is not there.
const NO_FOLDER: &str = "no-folder";
/// The code of the problem that a link leads out of its folder.
const LEADS_OUT: &str = "leads-out";
/// The endings of files of rules, of templates and of samples.
const RULES: &[&str] = &["yaml", "yml"];
const TEMPLATES: &[&str] = &["md", "json", "html"];
const SAMPLES: &[&str] = &["json"];
/// What an ending is that doesn't count: copies that editors and people leave beside a file.
const COPIES: [&str; 8] = ["bak", "old", "orig", "new", "tmp", "swp", "save", "rej"];

/// The folders that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Of rules and their tests.
    pub rules: PathBuf,
    /// Of templates.
    pub templates: PathBuf,
    /// Of samples.
    pub samples: PathBuf,
}

impl Folders {
    /// Each with the endings of its files.
    fn with_endings(&self) -> [(&Path, &'static [&'static str]); 3] {
        [(&self.rules, RULES), (&self.templates, TEMPLATES), (&self.samples, SAMPLES)]
    }
}

/// What was read, and where, as one can tell it apart from anything else: to know later whether there is anything new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    file: PathBuf,
    folders: Option<Folders>,
    /// The certificate and its key.
    tls: Option<(PathBuf, PathBuf)>,
    /// The files that secrets are taken from.
    secrets: Vec<PathBuf>,
    /// How many files of rules, templates and samples there are.
    count: usize,
    print: String,
    has_empty: bool,
}

impl Seen {
    /// What there is to see now in the same places.
    pub fn again(&self, environment: &dyn Environment) -> Self {
        let mut problems = Problems::new();
        let mut files = Files { config: read_guarded(&self.file, &mut problems), ..Files::default() };
        if let Some(folders) = &self.folders {
            files.read_folders(folders, &mut problems);
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
        folders: Option<Folders>,
        files: &Files,
        problems: impl Iterator<Item = &'p Problem>,
        environment: &dyn Environment,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(files.hash());
        for problem in problems.filter(|problem| matches!(problem.code, UNREADABLE | NO_FOLDER | LEADS_OUT)) {
            hash.update(&problem.message);
        }
        let base = file.parent().unwrap_or(Path::new(""));
        let secrets = files.config.iter().flat_map(|config| secret_files(&config.text));
        let secrets: Vec<PathBuf> = secrets.map(|path| base.join(path)).collect();
        for path in &secrets {
            hash_secret(&mut hash, path, environment);
        }
        let mut all = files.config.iter().chain(&files.rules).chain(&files.templates).chain(&files.samples);
        let has_empty = all.any(|file| file.text.is_empty());
        let count = files.rules.len() + files.templates.len() + files.samples.len();
        let print = hex::encode(hash.finalize());
        Self { file: file.to_owned(), folders, tls: None, secrets, count, print, has_empty }
    }

    /// Whether nothing has changed since `other` was seen. Where other folders or certificates were read, `fanfare.yaml` names others
    /// now: what was looked at and what was loaded can't be compared then, except for the file itself.
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

    /// Whether files are missing that were there in `other`: most often because all are just being written anew.
    pub fn has_fewer_than(&self, other: &Self) -> bool {
        self.count < other.count
    }

    /// Whether a change of this path may be a change of what is read. `path` is as a watcher of the configuration's own
    /// folder or of the others gives it.
    pub fn concerns(&self, path: &Path) -> bool {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let folders = self.folders.iter().flat_map(Folders::with_endings);
        for (folder, endings) in folders.clone() {
            let Ok(below) = path.strip_prefix(folder) else { continue };
            let hidden = |part: &str| part.starts_with('.') && !part.starts_with("..");
            let is_hidden = below.iter().any(|part| hidden(&part.to_string_lossy()));
            // Without an ending it may be a folder.
            let ending = below.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            return !is_hidden && ending.is_none_or(|ending| ending.is_empty() || endings.contains(&ending.as_str()));
        }
        let Some(changed) = name(path) else { return true };
        let tls = self.tls.iter().flat_map(|(cert, key)| [cert, key]);
        let files = self.secrets.iter().chain(tls).chain([&self.file]).map(PathBuf::as_path);
        let mut known = folders.map(|(folder, _)| folder).chain(files).filter_map(name);
        // A ConfigMap is swapped by such a name.
        changed.starts_with("..") || known.any(|known| known == changed)
    }

    /// The folders that were read.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().flat_map(Folders::with_endings).map(|(folder, _)| folder)
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
    /// The files of the samples folder.
    pub samples: Vec<Arc<File>>,
}

impl Files {
    /// SHA-256 over all paths and texts, in hex.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        let all = self.config.iter().chain(&self.rules).chain(&self.tests).chain(&self.templates).chain(&self.samples);
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

    /// Whether a file of rules says explicitly that there are none: `rules: []`.
    pub fn say_no_rules(&self) -> bool {
        self.rules.iter().any(|file| {
            let tree = yaml::read(file, &mut Problems::new());
            let Some(NodeKind::Map(entries)) = tree.map(|tree| tree.kind) else { return false };
            entries.iter().any(|(key, value)| key.text == "rules" && value.kind == NodeKind::List(Vec::new()))
        })
    }

    /// Reads all folders. What can't be read is a problem, and so is a folder of rules that isn't there: it may be gone
    /// for a moment, or for good, and that nothing more is sent is not to be taken from it.
    pub fn read_folders(&mut self, folders: &Folders, problems: &mut Problems) {
        let Folders { rules, templates, samples } = folders;
        if std::fs::metadata(rules).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            problems.push(Problem::error(NO_FOLDER, format!("there is no folder `{}`", shown(rules))).hint(
                "put your rules there, or name another with `rules:` in `fanfare.yaml`; `fanfare init` makes one",
            ));
        }
        for file in folder(rules, RULES, problems) {
            if is_test(&file.path) { self.tests.push(file) } else { self.rules.push(file) }
        }
        self.templates = folder(templates, TEMPLATES, problems);
        self.samples = folder(samples, SAMPLES, problems);
    }
}

fn is_test(path: &str) -> bool {
    let path = path.to_lowercase();
    path.ends_with(".test.yaml") || path.ends_with(".test.yml")
}

/// A test file, or those of a folder.
pub fn tests(path: &Path, problems: &mut Problems) -> Vec<Arc<File>> {
    if !path.is_dir() {
        return read(path, &shown(path), problems).into_iter().collect();
    }
    folder(path, RULES, problems).into_iter().filter(|file| is_test(&file.path)).collect()
}

/// Reads one file, shown as `shown`.
pub fn read(path: &Path, shown: &str, problems: &mut Problems) -> Option<Arc<File>> {
    // One byte more than YAML takes comes back, so that the reader of the file can say that it is too large.
    let read = open::read(path, SIZE_MAX).map_err(Refusal::Unreadable);
    text(read, shown, |text| File::new(shown, text), problems)
}

/// Reads `fanfare.yaml`, of which nothing is shown as yet: it may hold secrets.
pub fn read_guarded(path: &Path, problems: &mut Problems) -> Option<Arc<File>> {
    let (shown, read) = (shown(path), open::read(path, SIZE_MAX).map_err(Refusal::Unreadable));
    if read.is_err() && !path.exists() {
        let problem = Problem::error(UNREADABLE, format!("there is no `{shown}` here"));
        problems
            .push(problem.hint("`fanfare init FOLDER` makes a folder with one; another is named by `--config PATH`"));
        return None;
    }
    text(read, &shown, |text| File::guarded(&shown, text), problems)
}

/// The file of what was read, or the problem that it could not be.
fn text(
    read: Result<Vec<u8>, Refusal>,
    shown: &str,
    file: impl Fn(&str) -> Arc<File>,
    problems: &mut Problems,
) -> Option<Arc<File>> {
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(refusal) => {
            problems.push(refused(refusal, shown));
            return None;
        }
    };
    match str::from_utf8(&bytes) {
        Ok(text) => Some(file(text)),
        Err(error) => {
            let at = error.valid_up_to();
            // The rest is shown as far as it can be.
            let file = file(&String::from_utf8_lossy(&bytes));
            let place = Location::new(&file, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
            let fix = "save the file as UTF-8";
            problems.push(Problem::error(UNREADABLE, "this is not UTF-8").at(&place).hint(fix));
            None
        }
    }
}

fn refused(refusal: Refusal, shown: &str) -> Problem {
    match refusal {
        Refusal::Unreadable(why) => Problem::error(UNREADABLE, format!("`{shown}` can't be read: {why}")),
        Refusal::LeadsOut(to) => {
            Problem::error(LEADS_OUT, format!("`{shown}` links out of its folder, to `{}`", to.display()))
                .hint("move the target into the folder: Fanfare reads nothing outside")
        }
    }
}

/// All files below `root` with one of these endings, sorted by path. A missing folder is empty.
fn folder(root: &Path, endings: &'static [&'static str], problems: &mut Problems) -> Vec<Arc<File>> {
    let real = match root.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.push(Problem::error(UNREADABLE, format!("`{}` can't be read: {error}", shown(root))));
            return Vec::new();
        }
    };
    let mut walk = Walk { root: real.clone(), endings, above: vec![real], paths: Vec::new(), problems: &mut *problems };
    walk.below(root);
    let Walk { root: real, mut paths, .. } = walk;
    paths.sort();
    if paths.len() > FILES_MAX {
        problems.push(Problem::error(
            "too-many-files",
            format!("`{}` holds {} files, more than {FILES_MAX}", root.display(), paths.len()),
        ));
        paths.truncate(FILES_MAX);
    }
    let read = paths.iter().filter_map(|path| {
        let shown = shown(path);
        text(open::read_within(path, &real, SIZE_MAX), &shown, |text| File::new(&shown, text), problems)
    });
    read.collect()
}

/// A way through a folder and all below it.
struct Walk<'p> {
    /// The folder, as an absolute path without links.
    root: PathBuf,
    endings: &'static [&'static str],
    /// The folders that are being looked through, outermost first, without links.
    above: Vec<PathBuf>,
    /// What was found.
    paths: Vec<PathBuf>,
    problems: &'p mut Problems,
}

impl Walk<'_> {
    fn below(&mut self, folder: &Path) {
        let entries = std::fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable(folder, &error.to_string());
                return;
            }
        };
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && self.paths.len() <= FILES_MAX {
                self.entry(&entry.path(), &name);
            }
        }
    }

    fn entry(&mut self, path: &Path, name: &str) {
        let is_wanted = self.is_wanted(path, name);
        let real = match open::within(path, &self.root) {
            Ok(real) => real,
            // Whether it is a folder or a file that nobody asked for: an editor's lock leads to nothing.
            Err(_) if !is_wanted && !path.is_dir() => return,
            Err(refusal) => {
                self.problems.push(refused(refusal, &shown(path)));
                return;
            }
        };
        let Ok(metadata) = real.metadata() else { return self.unreadable(path, "it was just removed") };
        match open::kind(metadata.file_type()) {
            None if is_wanted => self.paths.push(path.to_owned()),
            None => {}
            Some("a folder") if !is_wanted => self.folder(path, real),
            Some(kind) if is_wanted => self.unreadable(path, &format!("it is {kind}, no file")),
            Some(_) => {}
        }
    }

    fn folder(&mut self, path: &Path, real: PathBuf) {
        if self.above.contains(&real) {
            self.unreadable(path, "it links to a folder that contains it");
        } else if self.above.len() > DEPTH_MAX {
            self.unreadable(path, &format!("it is nested deeper than {DEPTH_MAX} folders"));
        } else {
            self.above.push(real);
            self.below(path);
            self.above.pop();
        }
    }

    fn unreadable(&mut self, path: &Path, why: &str) {
        self.problems.push(Problem::error(UNREADABLE, format!("`{}` can't be read: {why}", shown(path))));
    }

    /// Whether it is a file to be read, by its ending; one that was surely meant to be is reported.
    fn is_wanted(&mut self, path: &Path, name: &str) -> bool {
        let Some((_, ending)) = name.rsplit_once('.') else { return false };
        let lower = ending.to_lowercase();
        if self.endings.contains(&ending) || (self.endings == RULES && RULES.contains(&lower.as_str())) {
            return true;
        }
        let is_copy = name.ends_with(['~', '#']) || COPIES.contains(&lower.as_str());
        let within = |ending: &&&str| name.to_lowercase().contains(&format!(".{ending}."));
        let near = self.endings.iter().find(within).copied();
        let near = near.or_else(|| self.endings.contains(&lower.as_str()).then_some(ending));
        let near = near.or_else(|| nearest(&lower, self.endings.iter().copied().filter(|ending| ending.len() > 2)));
        let near = near.or_else(|| (lower == "markdown" && self.endings == TEMPLATES).then_some("md"));
        if near.is_some() && !is_copy && path.is_file() {
            let endings: Vec<String> = self.endings.iter().map(|ending| format!("`.{ending}`")).collect();
            self.problems.push(
                Problem::warning("not-read", format!("`{}` is not read: its name has the wrong ending", shown(path)))
                    .hint(format!("end it with {}, or move it elsewhere", endings.join(" or "))),
            );
        }
        false
    }
}

/// The path as people know it: relative to where the program was started, if it is below.
pub fn shown(path: &Path) -> String {
    let relative = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    let path = relative.unwrap_or_else(|| path.to_owned());
    path.strip_prefix(".").unwrap_or(&path).display().to_string()
}
