//! `fanfare reload`.

use std::path::Path;

use crate::cli::client::Server;
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, runtime, term};

/// Prints what came of it; a broken file changes nothing and is reported in full.
#[derive(Debug, clap::Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    who: Who,
}

impl Reload {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        let answer = runtime(false)?.block_on(client.post(&["-", "reload"], &[("by", self.who.name())]))?;
        let hash = answer["hash"].as_str().unwrap_or_default();
        if answer["reloaded"] == true {
            println!("{} {hash}", term::good("in force now:"));
        } else {
            println!("nothing changed: {hash} stays in force");
        }
        for key in answer["needs_restart"].as_array().into_iter().flatten() {
            println!("{} `{}` needs a restart", term::warn("note:"), key.as_str().unwrap_or_default());
        }
        for orphan in answer["orphaned_cases"].as_array().into_iter().flatten() {
            let word = |name: &str| term::one_line(orphan[name].as_str().unwrap_or_default());
            let gone = match orphan["actions"].as_array().is_none_or(Vec::is_empty) {
                true => "the rule is gone (renamed? write `formerly:`)",
                false => "the reminder that it waits for is gone",
            };
            println!(
                "{} the open case `{}` of `{}` is orphaned: {gone}",
                term::warn("note:"),
                word("key"),
                word("rule")
            );
        }
        Ok(CommandOutcome::Good)
    }
}
