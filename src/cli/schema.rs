//! `fanfare schema`: what editors read to complete and to mark mistakes while one types.

use clap::ValueEnum;
use serde_json::Value;

use crate::cli::CommandOutcome;
use crate::source::presets::{PRESETS, Preset};
use crate::source::samples;
use crate::{config, rules};

/// JSON Schema 2020-12. `fanfare init` writes all three, and a line in each file that names its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// The kind of files
    #[arg(value_enum)]
    of: Of,
}

/// The files that a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Of {
    /// `rules/*.yaml`
    Rules,
    /// `fanfare.yaml`
    Config,
    /// `rules/*.test.yaml`
    Tests,
}

impl Of {
    /// All of them.
    pub const ALL: [Of; 3] = [Of::Rules, Of::Config, Of::Tests];

    /// Its word, and the stem of its file.
    pub fn name(self) -> &'static str {
        match self {
            Of::Rules => "rules",
            Of::Config => "config",
            Of::Tests => "tests",
        }
    }
}

impl Schema {
    pub(crate) fn run(self) -> anyhow::Result<CommandOutcome> {
        println!("{:#}", of(self.of));
        Ok(CommandOutcome::Good)
    }
}

/// The schema of these files, with the words of all presets and samples.
pub fn of(files: Of) -> Value {
    match files {
        Of::Rules => {
            let types = once(PRESETS, |preset| preset.types.to_vec());
            let names = once(PRESETS, |preset| preset.names.iter().map(|(name, _)| *name).collect());
            rules::schema::schema(&rules::schema::Known { types: &types, names: &names })
        }
        Of::Config => config::schema::schema(),
        Of::Tests => {
            let samples: Vec<&'static str> = samples::ALL.iter().map(|sample| sample.name).collect();
            rules::trial::schema::schema(&samples)
        }
    }
}

/// The words of all presets, each once, in order.
fn once(presets: &[Preset], words: fn(&Preset) -> Vec<&'static str>) -> Vec<&'static str> {
    let mut all = Vec::new();
    for word in presets.iter().flat_map(words) {
        if !all.contains(&word) {
            all.push(word);
        }
    }
    all
}
