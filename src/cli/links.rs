//! `fanfare links`.

use std::path::Path;

use crate::cli::client::Server;
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, runtime, term};

/// The links of messages, by which people acknowledge, close or mute a case.
#[derive(Debug, clap::Args)]
pub(crate) struct Links {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// End all links that were sent; messages that are sent from now on carry new ones
    Rotate {
        #[command(flatten)]
        who: Who,
    },
}

impl Links {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let What::Rotate { who } = self.what;
        let client = self.server.connect(config)?;
        runtime(false)?.block_on(client.post(&["api", "v1", "links", "rotate"], &[("by", who.name())]))?;
        println!("{} messages that were sent before lead nowhere now", term::good("all links are ended:"));
        Ok(CommandOutcome::Good)
    }
}
