//! The way of log lines to their sink: a queue and a thread, so that nobody else ever waits for a terminal, a pipe or a disk.
//!
//! The queue is bounded in bytes. A line that finds it full, and one that the sink doesn't take, is dropped and counted;
//! nothing else comes of it. Writes to the sink that it is given, and logs nothing itself.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes wait for the sink at most.
pub const WAITING_MAX: usize = 1 << 20;
/// How soon a sink that takes nothing now is tried again.
const AGAIN: Duration = Duration::from_millis(10);
/// The most characters of a panic's message that are logged.
const PANIC_CHARS: usize = 2_000;

/// Where lines go. Clones share one queue and one thread.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// The bytes of all lines that wait, and of the one that is being written.
    bytes: usize,
}

impl Log {
    /// Starts the thread that writes to `sink`, which lasts as long as the process.
    ///
    /// # Errors
    /// Where the thread can't be started.
    pub fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || own.write_all(sink))?;
        Ok(Self { shared })
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> Counter {
        self.shared.dropped.clone()
    }

    /// Adds a line, which ends with a line break. Never waits for the sink.
    pub fn line(&self, line: &[u8]) {
        let mut queue = self.shared.queue();
        if queue.bytes + line.len() > WAITING_MAX {
            drop(queue);
            self.shared.dropped.inc();
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line.to_vec());
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Waits until all lines are with the sink, but no longer than `most`.
    pub fn flush(&self, most: Duration) {
        let until = Instant::now() + most;
        let mut queue = self.shared.queue();
        while queue.bytes > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: writes line after line until the process ends.
    fn write_all(&self, mut sink: impl Write) {
        let mut is_torn = false;
        loop {
            let line = self.next();
            // Even a sink that panics costs no more than the line.
            let written = catch_unwind(AssertUnwindSafe(|| write_line(&mut sink, &line, &mut is_torn)));
            if !matches!(written, Ok(Ok(()))) {
                self.dropped.inc();
            }
            self.queue().bytes -= line.len();
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Vec<u8> {
        let mut queue = self.queue();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                return line;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Writes one line. `is_torn` says whether the one before broke off in its middle: then this one begins a line of its own.
fn write_line(sink: &mut impl Write, line: &[u8], is_torn: &mut bool) -> io::Result<()> {
    if *is_torn {
        write_whole(sink, b"\n", &mut false)?;
        *is_torn = false;
    }
    write_whole(sink, line, is_torn)?;
    sink.flush()
}

fn write_whole(sink: &mut impl Write, mut rest: &[u8], is_torn: &mut bool) -> io::Result<()> {
    let whole = rest.len();
    while !rest.is_empty() {
        match sink.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                rest = &rest[count.min(rest.len())..];
                *is_torn = !rest.is_empty() && rest.len() < whole;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A pipe that somebody else made non-blocking: only this thread waits for it.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Write for Log {
    /// Takes what it is given as one line. Never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// From now on a panic anywhere in this process is logged, and written nowhere else.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let said: String = text.chars().take(PANIC_CHARS).collect();
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or("unnamed"), at, said, "panicked");
    }));
}
