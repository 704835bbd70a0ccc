//! `fanfare man`: the manual page, made from the same table as `--help`; or one page a command, into a folder.

use std::path::PathBuf;

use anyhow::Context;
use clap::Command;

use crate::cli::{CommandOutcome, command, term};

/// Prints the page (`fanfare man | man -l -`), or writes one for each command.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write `fanfare.1`, `fanfare-check.1` … into this folder, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> anyhow::Result<CommandOutcome> {
        let Some(folder) = &self.dir else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command()).render(&mut page)?;
            print!("{}", String::from_utf8_lossy(&page));
            return Ok(CommandOutcome::Good);
        };
        std::fs::create_dir_all(folder).with_context(|| format!("`{}` can't be made", folder.display()))?;
        clap_mangen::generate_to(command(), folder)
            .with_context(|| format!("`{}` can't be written", folder.display()))?;
        println!(
            "{} {} into {}",
            term::good("wrote"),
            term::count(pages(&command()), "page", "pages"),
            folder.display()
        );
        Ok(CommandOutcome::Good)
    }
}

/// How many pages there are: one for a command and each of its own.
fn pages(command: &Command) -> usize {
    1 + command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(pages).sum::<usize>()
}
