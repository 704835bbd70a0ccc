//! The doorbell: runs the command line and gives its outcome as the exit code.

/// The static binary's. musl's own has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    fanfare::cli::main()
}
