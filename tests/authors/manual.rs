//! The manual: a page for every command, whatever is added.

use std::collections::BTreeSet;
use std::process::Stdio;

use super::*;

/// The name of every command's page.
fn named(command: &clap::Command, name: &str, names: &mut BTreeSet<String>) {
    names.insert(format!("{name}.1"));
    let shown = command.get_subcommands().filter(|part| !part.is_hide_set());
    shown.for_each(|part| named(part, &format!("{name}-{}", part.get_name()), names));
}

#[test]
fn every_command_has_a_page_and_the_first_names_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = fanfare::cli::command();
    let page = said(folder.path(), &["man"]);
    for command in root.get_subcommands() {
        assert!(page.contains(&format!("fanfare\\-{}(1)", command.get_name())), "{}", command.get_name());
    }
    let mut names = BTreeSet::new();
    named(&root, "fanfare", &mut names);
    let out = said(folder.path(), &["man", "--dir", "man1"]);
    assert!(out.starts_with(&format!("wrote {} pages", names.len())), "{out}");
    let written = std::fs::read_dir(folder.path().join("man1")).unwrap();
    let written: BTreeSet<String> = written.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(written, names);
}

#[test]
fn no_long_output_minds_that_its_reader_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["man"][..], &["completions", "bash"], &["schema", "rules"], &["send", "--list"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(folder.path()).stdout(Stdio::from(writer)).stderr(Stdio::piped());
        let output = command.output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{arguments:?}");
    }
}
