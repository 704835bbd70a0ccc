//! What authors of rules are given, as they use it: the commands run as a process, in folders of their own.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::process::BINARY;

mod demo;
mod explain;
mod init;
mod manual;
mod mcp;
mod plain;
mod preview;

/// Runs a command in a folder, with nothing in its environment but what a shell cannot do without.
fn fanfare(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).current_dir(folder).env_clear().env("NO_COLOR", "1").output().unwrap()
}

/// What it printed, if it went well.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = fanfare(folder, arguments);
    let (out, talk) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{out}\n{talk}");
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
