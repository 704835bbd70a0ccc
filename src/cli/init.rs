//! `fanfare init [DIR]`: a small folder to begin with. It passes `check` and `test` as it is, without any environment.
//!
//! It is what a newcomer wants to edit: two kinds of rules, a case, a test for each, one template. The complete set that
//! `demo` uses stands in the repository. Nothing that is there already is touched, and a folder that holds rules
//! already is left alone altogether. The signing secret that it makes stays in a folder that git is asked to leave out.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::schema::{self, Of};
use crate::cli::{CommandOutcome, term};

macro_rules! starting {
    ($path:literal, $file:literal) => {
        ($path, include_str!(concat!("init/", $file)))
    };
    ($path:literal) => {
        starting!($path, $path)
    };
}

/// Every file that doesn't have to be made, by its path in the folder.
pub const FILES: [(&str, &str); 11] = [
    starting!("fanfare.yaml"),
    starting!("rules/releases.yaml"),
    starting!("rules/releases.test.yaml"),
    starting!("rules/fraud.yaml"),
    starting!("rules/fraud.test.yaml"),
    starting!("rules/trouble.yaml"),
    starting!("rules/trouble.test.yaml"),
    starting!("templates/release-live.md"),
    starting!("README.md"),
    starting!(".gitignore", "gitignore"),
    starting!(".github/workflows/fanfare.yml", "workflow.yml"),
];

/// Where the signing secret is kept.
const SECRET: &str = "secrets/jewelmusic";
/// The folder that is made where the present one has files of its own.
const OWN_FOLDER: &str = "fanfare";
/// What a folder with rules already has.
const TAKEN: [&str; 3] = ["fanfare.yaml", "rules", "templates"];

/// Writes a configuration, a few rules with their tests, a template, a workflow for GitHub, and the schemas that editors
/// read. Overwrites nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The folder, created if needed. By default the current one if it is empty, else `fanfare` in it
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// It is new.
    New,
    /// There was one, and it stays.
    Kept,
}

impl Init {
    pub(crate) fn run(self) -> anyhow::Result<CommandOutcome> {
        let folder = match self.folder {
            Some(folder) => folder,
            None => folder_here()?,
        };
        if let Some(taken) = TAKEN.into_iter().find(|name| folder.join(name).symlink_metadata().is_ok()) {
            bail!(
                "`{}` already exists, so nothing was written: name a new folder, or print the schemas with `fanfare schema`",
                folder.join(taken).display()
            );
        }
        let mut kept = Vec::new();
        for (path, text) in texts()? {
            let file = folder.join(path);
            let is_secret = path == SECRET;
            match write(&file, &text, is_secret).with_context(|| format!("`{}` can't be written", file.display()))? {
                Written::New => println!("{} {}", term::good("wrote"), file.display()),
                Written::Kept => kept.push(file),
            }
        }
        for file in &kept {
            println!("{} {}, which already existed", term::warn("kept"), file.display());
        }
        println!("\n{}", next(&folder));
        Ok(CommandOutcome::Good)
    }
}

/// Where it goes if nobody says: here, or, so as not to mix with what is here, into a folder of its own.
fn folder_here() -> anyhow::Result<PathBuf> {
    let here = std::fs::read_dir(".").context("this folder can't be read")?;
    let is_seen = |name: &std::ffi::OsStr| !name.to_string_lossy().starts_with('.');
    if here.flatten().any(|entry| is_seen(&entry.file_name())) {
        println!("this folder is not empty, so everything goes to `{OWN_FOLDER}`");
        return Ok(OWN_FOLDER.into());
    }
    Ok(".".into())
}

/// Every file with its text.
fn texts() -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut texts: Vec<(&'static str, String)> =
        FILES.into_iter().map(|(path, text)| (path, text.to_owned())).collect();
    for (path, of) in [
        (".fanfare/config.schema.json", Of::Config),
        (".fanfare/rules.schema.json", Of::Rules),
        (".fanfare/tests.schema.json", Of::Tests),
    ] {
        texts.push((path, format!("{:#}\n", schema::of(of))));
    }
    // Left out by git even where the folder has a .gitignore of its own.
    texts.push(("secrets/.gitignore", "*\n".to_owned()));
    texts.push((SECRET, format!("{}\n", secret()?)));
    Ok(texts)
}

fn next(folder: &Path) -> String {
    let enter = (folder != Path::new(".")).then(|| (format!("cd {}", quoted(folder)), ""));
    let lines = [
        ("fanfare check".into(), "reports every mistake"),
        ("fanfare test".into(), "runs the tests of the rules"),
        ("fanfare explain release.live".into(), "shows which rules act on an event, and why the others don't"),
        ("fanfare preview release-live --event release.live --as slack".into(), "shows a message"),
    ];
    let lines: Vec<(String, &str)> = enter.into_iter().chain(lines).collect();
    let wide = lines.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let mut next = String::from("next:\n");
    for (command, does) in lines {
        let line = format!("  {command:<wide$}  {}", term::dim(does));
        next.push_str(line.trim_end());
        next.push('\n');
    }
    next + "then edit rules/releases.yaml, and your destinations in fanfare.yaml"
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Writes a file that isn't there yet. A secret is for its owner alone.
fn write(file: &Path, text: &str, is_secret: bool) -> std::io::Result<Written> {
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    match options.open(file) {
        Ok(mut open) => open.write_all(text.as_bytes()).map(|()| Written::New),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::Kept),
        Err(error) => Err(error),
    }
}

/// 32 random bytes in hex, from the generator that TLS uses.
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| anyhow::anyhow!("there is no randomness for a secret"))?;
    Ok(hex::encode(bytes))
}
