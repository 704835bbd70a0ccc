//! What commands print, on outputs that may fail: `println!`, `print!` and `eprintln!` as the commands use them.
//!
//! The standard ones panic where the output can't be written. These end the command: quietly where the reader has gone, as
//! in `fanfare explain … | head`, else with one line and exit code 1. What can't be said on standard error is left unsaid.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Prints to standard output, as the standard one does.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::out::print(format_args!($($text)*)) };
}

/// Prints a line to standard output, as the standard one does.
macro_rules! println {
    () => { $crate::cli::out::print(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::out::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error, as the standard one does.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::cli::out::talk(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints to standard output, or ends the process.
pub(crate) fn print(text: Arguments<'_>) {
    if let Err(error) = std::io::stdout().write_fmt(text) {
        end(&error);
    }
}

/// Prints to standard error, if that can be done.
pub(crate) fn talk(text: Arguments<'_>) {
    let _ = std::io::stderr().write_fmt(text);
}

/// Writes out what standard output still holds, or ends the process.
pub(crate) fn flush() {
    if let Err(error) = std::io::stdout().flush() {
        end(&error);
    }
}

/// Standard output as a writer that ends the process where it can't be written.
pub(crate) struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(std::io::stdout().write(bytes).unwrap_or_else(|error| end(&error)))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        flush();
        Ok(())
    }
}

/// Ends the process: standard output takes nothing more.
pub(crate) fn end(error: &std::io::Error) -> ! {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("{} standard output can't be written: {error}", crate::cli::term::bad("error:"));
    std::process::exit(1);
}
