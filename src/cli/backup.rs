//! `fanfare backup FILE`: a whole copy of the store, as it is at one moment, whether a server runs on it or not.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::{CommandOutcome, runtime, term};
use crate::config::load;
use crate::config::substitute::RealEnvironment;
use crate::store;

/// The copy is a store by itself: to go back to it, put it where `store:` says, while nothing runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The copy, a new file; it gets this name when it is complete
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let settings = load::settings_only(config, &RealEnvironment).with_context(|| {
            format!("`{}` doesn't say where the store is; look with `fanfare check`", config.display())
        })?;
        let base = settings.file.parent().unwrap_or(Path::new(""));
        let shown = self.file.display();
        eprintln!("{}", term::dim_on_stderr(&format!("copying the store to {shown} …")));
        let bytes = runtime(false)?.block_on(store::backup(&settings.store, base, &self.file))?;
        println!("{shown}: {}", term::size(bytes));
        Ok(CommandOutcome::Good)
    }
}
