//! Opens files that people wrote: regular ones only, without waiting, up to a size, and none outside of its folder.
//!
//! A named pipe or a device in the place of a file would keep anyone who opens it waiting, and a link in a folder of rules
//! or templates could lead to anything that this process may read. Files only.

use std::fs::{File, FileType, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It, or the link that leads to it, can't be read; in words.
    Unreadable(String),
    /// It is a link out of its folder, to there.
    LeadsOut(PathBuf),
}

/// Reads a regular file of at most `max` bytes; of a larger one, one byte more than that.
pub fn read(path: &Path, max: usize) -> Result<Vec<u8>, String> {
    bytes(regular(path, 0)?, max)
}

/// The same, where links may lead no further than `root`, which is an absolute path without links.
pub(super) fn read_within(path: &Path, root: &Path, max: usize) -> Result<Vec<u8>, Refusal> {
    let real = within(path, root)?;
    let read = || {
        let file = regular(&real, libc::O_NOFOLLOW)?;
        // A folder above it may have become a link since.
        let is_the_same = |file: &File| {
            let (opened, now) = (file.metadata().ok()?, real.metadata().ok()?);
            let at = path.canonicalize().ok()?;
            Some(at == real && (opened.dev(), opened.ino()) == (now.dev(), now.ino()))
        };
        if is_the_same(&file) != Some(true) {
            return Err("it was replaced just now".to_owned());
        }
        bytes(file, max)
    };
    read().map_err(Refusal::Unreadable)
}

/// Where a path leads to, which must be within `root`.
pub(super) fn within(path: &Path, root: &Path) -> Result<PathBuf, Refusal> {
    let real = path.canonicalize().map_err(|error| Refusal::Unreadable(words(&error)))?;
    if real.starts_with(root) { Ok(real) } else { Err(Refusal::LeadsOut(real)) }
}

/// Opens a file of this path if it is a regular one; never waits for a writer at its other end.
fn regular(path: &Path, flags: i32) -> Result<File, String> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | flags);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        // What opening a socket comes to.
        Some(libc::ENXIO) => "it is a socket, no file".to_owned(),
        _ => words(&error),
    })?;
    match kind(file.metadata().map_err(|error| words(&error))?.file_type()) {
        None => Ok(file),
        Some(kind) => Err(format!("it is {kind}, no file")),
    }
}

fn bytes(file: File, max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(|error| words(&error))?;
    Ok(bytes)
}

/// What this is if it is no regular file.
pub(super) fn kind(of: FileType) -> Option<&'static str> {
    match of {
        of if of.is_file() => None,
        of if of.is_dir() => Some("a folder"),
        of if of.is_fifo() => Some("a named pipe"),
        of if of.is_socket() => Some("a socket"),
        of if of.is_char_device() || of.is_block_device() => Some("a device"),
        _ => Some("something else"),
    }
}

/// The operating system's words, without its number.
fn words(error: &std::io::Error) -> String {
    let said = error.to_string();
    match said.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => said,
    }
}
