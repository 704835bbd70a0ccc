//! `fanfare completions SHELL`.

use crate::cli::{CommandOutcome, command};

/// Prints the script; put it where your shell looks for completions.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<CommandOutcome> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "fanfare", &mut script);
        print!("{}", String::from_utf8_lossy(&script));
        Ok(CommandOutcome::Good)
    }
}
