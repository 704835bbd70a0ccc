//! The doorbell: runs the command line and gives its outcome as the exit code.

fn main() -> std::process::ExitCode {
    fanfare::cli::main()
}
