//! `fanfare audit`: who asked for what, when, from where.

use std::path::Path;

use serde_json::Value;

use crate::cli::client::Server;
use crate::cli::events::{cell, print, table, when};
use crate::cli::{CommandOutcome, Format, runtime};

/// Who acknowledged, closed, muted, retried, cancelled, replayed or reloaded what, newest first; of the last 90 days.
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    server: Server,
    /// The maximum number of entries
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// The output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

impl Audit {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        let list = client.list(&["api", "v1", "audit"], Vec::new(), self.limit, "before");
        let list = runtime(false)?.block_on(list)?;
        print(self.format, &list, list_text);
        Ok(CommandOutcome::Good)
    }
}

fn list_text(list: &Value) -> String {
    let row = |item: &Value| {
        let rest = ["by", "act", "on", "note", "from"].iter().map(|key| cell(item, key));
        std::iter::once(when(item, "at")).chain(rest).collect()
    };
    table(list, "there are no entries yet", &["when", "who", "did", "to what", "note", "from"], row)
}
