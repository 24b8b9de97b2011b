//! What the two command lines share: step lines, errors as a person reads them, exit statuses.
//!
//! It writes to standard error and nowhere else, knows no command, and decides nothing.
//!
//! ```
//! use std::time::Duration;
//!
//! assert_eq!(cli_support::size(12_100_000), "12.1 MB");
//! assert_eq!(cli_support::time(Duration::from_millis(340)), "0.34 s");
//!
//! let steps = cli_support::Steps::new(cli_support::Verbosity::Quiet);
//! steps.done("Built", "x86_64  12.1 MB", Duration::from_millis(180)); // prints nothing: quiet
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use anstream::eprintln;
use anstyle::{AnsiColor, Style};

/// The command did what it was asked.
pub const EXIT_DONE: u8 = 0;
/// The work failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line or a configuration was wrong.
pub const EXIT_USAGE: u8 = 2;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const STEP: Style = AnsiColor::Green.on_default().bold();

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors alone.
    Quiet,
    /// Steps and warnings too.
    Normal,
    /// All there is.
    Verbose,
}

impl Verbosity {
    /// Reads the Go tools' `--log-level`: `debug`, `info`, `warn`, `error` and so on.
    pub fn from_log_level(level: &str) -> Result<Self, String> {
        match level.to_ascii_lowercase().as_str() {
            "debug" | "trace" => Ok(Self::Verbose),
            "info" | "warn" | "warning" => Ok(Self::Normal),
            "error" | "fatal" | "panic" => Ok(Self::Quiet),
            _ => Err(format!("`{level}` is none of debug, info, warn and error")),
        }
    }
}

/// Says on standard error which steps were done.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    verbosity: Verbosity,
}

impl Steps {
    /// Begins with the given verbosity.
    pub fn new(verbosity: Verbosity) -> Self {
        Self { verbosity }
    }

    /// Says that a step was done: a verb, what it was done to, and how long it took.
    pub fn done(&self, verb: &str, what: &str, took: Duration) {
        if self.verbosity >= Verbosity::Normal {
            eprintln!("{STEP}{verb:>11}{STEP:#}  {what:<58}  {}", time(took));
        }
    }

    /// Says something that does not stop the work.
    pub fn warn(&self, what: &str) {
        if self.verbosity >= Verbosity::Normal {
            eprintln!("{WARNING}warning{WARNING:#}: {what}");
        }
    }

    /// Says something for those who want to know all.
    pub fn detail(&self, what: &str) {
        if self.verbosity >= Verbosity::Verbose {
            eprintln!("{what}");
        }
    }
}

/// Prints a text behind `error:`.
pub fn print_error(text: &str) {
    eprintln!("{ERROR}error{ERROR:#}: {}", text.strip_prefix("error: ").unwrap_or(text).trim_end());
}

/// An error and its causes in one text; a cause that its error already quotes is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            let _ = write!(text, ": {next}");
        }
        cause = error.source();
    }
    text
}

/// A number of bytes in decimal units.
pub fn size(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.into_iter().find(|(_, unit)| bytes as f64 >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit),
        None => format!("{bytes} B"),
    }
}

/// A duration, short.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if seconds < 10.0 => format!("{seconds:.2} s"),
        _ if seconds < 60.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        let sizes = [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000_000, "2.5 GB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        let times = [(10, "0.01 s"), (12_100, "12.1 s"), (130_000, "2 min 10 s")];
        for (milliseconds, text) in times {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug)]
        struct Outer(&'static str, std::fmt::Error);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.1)
            }
        }
        let inner = std::fmt::Error.to_string();
        assert_eq!(chain(&Outer("writing", std::fmt::Error)), format!("writing: {inner}"));
        let quoted = "writing: an error occurred when formatting an argument";
        assert_eq!(chain(&Outer(quoted, std::fmt::Error)), quoted);
    }
}
