//! The log of every replica: each write to its sink fails, one way or another.

use std::io::{ErrorKind, Write};
use std::sync::LazyLock;

use fanfare::telemetry::log::Log;
use tracing::Level;
use tracing::subscriber::DefaultGuard;

use super::broken::Breakage;

/// A sink that takes part of a line, fails, and panics, in turn.
#[derive(Default)]
struct Failing(u64);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += 1;
        match self.0 % 3 {
            0 => Ok(bytes.len() / 2),
            1 => Err(ErrorKind::StorageFull.into()),
            // As a panic, but without the words of one for each line.
            _ => std::panic::resume_unwind(Box::new("the sink panics")),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

static LOG: LazyLock<Log> = LazyLock::new(|| Log::start(Failing::default()).unwrap());

/// From now on, and until this is dropped, what this thread logs goes there.
pub fn begin(breakage: Breakage) -> DefaultGuard {
    let lines = tracing_subscriber::fmt().with_max_level(Level::WARN).log_internal_errors(false);
    if breakage == Breakage::LogPanics {
        return tracing::subscriber::set_default(lines.with_writer(|| Failing(1)).finish());
    }
    tracing::subscriber::set_default(lines.with_writer(LOG.clone()).finish())
}

/// How many lines were lost so far.
pub fn lost() -> u64 {
    LOG.dropped().get()
}
