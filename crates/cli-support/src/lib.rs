//! What the two command lines share: step lines, errors as a person reads them, exit statuses, and the reading of
//! values that both take.
//!
//! It knows no command. Of the environment it reads where caches are; all else its caller hands in. Results go to standard output, all else to standard error.
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

mod completion;
mod deferred;
mod go_arguments;
mod network;
mod progress;
mod reference;
mod version;

pub use completion::{Completion, completion_examples, print_completion};
pub use deferred::Deferred;
pub use go_arguments::go_arguments;
pub use network::{Network, NetworkError, cache_directory};
pub use progress::{Progress, Watcher};
pub use reference::reference_page;
pub use version::{Version, print_version};

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anstream::{AutoStream, eprintln};
use anstyle::{AnsiColor, Style};
use apk_types::{Arch, UnknownArch};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The command did what it was asked.
pub const EXIT_DONE: u8 = 0;
/// The work failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line or a configuration was wrong.
pub const EXIT_USAGE: u8 = 2;
/// Somebody ended the work, as with Ctrl-C.
pub const EXIT_INTERRUPTED: u8 = 130;

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

    /// Whether steps are shown at all.
    pub fn shows_steps(&self) -> bool {
        self.verbosity >= Verbosity::Normal
    }

    /// Says something that does not stop the work.
    pub fn warn(&self, what: &str) {
        if self.verbosity >= Verbosity::Normal {
            write_at_once(&format!("{WARNING}warning{WARNING:#}: {what}\n"));
        }
    }

    /// Says something for those who want to know all.
    pub fn detail(&self, what: &str) {
        if self.verbosity >= Verbosity::Verbose {
            eprintln!("{what}");
        }
    }
}

/// Writes styled text to standard error in one piece: a configuration can have many warnings. That nobody can read it
/// is no error.
fn write_at_once(styled: &str) {
    let choice = AutoStream::choice(&io::stderr());
    let mut text = AutoStream::new(Vec::with_capacity(styled.len()), choice);
    let _ = text.write_all(styled.as_bytes());
    let _ = io::stderr().write_all(&text.into_inner());
}

/// Prints a result to standard output. A reader that has gone away is no error.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Does something and ends the program with [`EXIT_INTERRUPTED`] on Ctrl-C or a request to terminate.
pub fn on_interrupt(clean_up: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            clean_up();
            end(EXIT_INTERRUPTED);
        }
    });
    Ok(())
}

/// The main thread is deep in its work and cannot be asked to return.
#[expect(clippy::exit)]
fn end(status: u8) -> ! {
    std::process::exit(status.into())
}

/// Writes a file so that it is there whole or not at all, with the given permissions from the beginning.
pub fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    write_file_from(path, &mut &content[..], mode)
}

/// Writes a file as [`write_file`] does, with what a reader gives. A symbolic link is followed; what is no regular file,
/// such as `/dev/stdout`, is written to as it is.
pub fn write_file_from(path: &Path, content: &mut impl io::Read, mode: u32) -> io::Result<()> {
    if path
        .metadata()
        .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        return io::copy(content, &mut file).map(|_| ());
    }
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent)?;
    io::copy(content, file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Reads the architectures of a command line: names, `host`, or `all`, which none stands for too. They come in the
/// Go tools' order, each once.
pub fn parse_archs(wanted: &[String]) -> Result<Vec<Arch>, String> {
    let mut archs: Vec<Arch> = match wanted {
        [] => Arch::ALL.to_vec(),
        [all] if all == "all" => Arch::ALL.to_vec(),
        [host] if host == "host" => vec![Arch::host().ok_or("there are no packages for this host")?],
        names => names
            .iter()
            .map(|name| name.parse().map_err(|error: UnknownArch| error.to_string()))
            .collect::<Result<_, _>>()?,
    };
    archs.sort_by_key(|arch| arch.go_name());
    archs.dedup();
    Ok(archs)
}

/// Reads the value of `SOURCE_DATE_EPOCH`; an empty one counts as none.
pub fn parse_source_date_epoch(value: Option<&str>) -> Result<Option<i64>, String> {
    match value.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| format!("SOURCE_DATE_EPOCH: `{text}` is not a number of seconds")),
    }
}

/// Prints a text behind `error:`.
pub fn print_error(text: &str) {
    eprintln!(
        "{ERROR}error{ERROR:#}: {}",
        text.strip_prefix("error: ").unwrap_or(text).trim_end()
    );
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

/// Reads a duration as Go writes it: `90s`, `1h30m`, `1.5h`, `200ms`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let error = || format!("`{text}` is not a duration such as 90s, 1h30m or 30d");
    let units = [
        ("ms", 1e-3),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ns", 1e-9),
        ("d", 86_400.0),
        ("h", 3600.0),
        ("m", 60.0),
        ("s", 1.0),
    ];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(error)?;
        let number: f64 = rest[..end].parse().map_err(|_| error())?;
        let (unit, factor) = units
            .iter()
            .find(|(unit, _)| rest[end..].starts_with(unit))
            .ok_or_else(error)?;
        seconds += number * factor;
        rest = &rest[end + unit.len()..];
    }
    if text.is_empty() {
        return Err(error());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| error())
}

/// Reads a number of bytes: digits, and a unit in decimal (`kB`, `MB`, `GB`, `TB`, or their first letters) or binary steps
/// (`KiB`, `MiB`, `GiB`, `TiB`). Case does not matter.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let error = || format!("`{text}` is not a size such as 500MB or 10GiB");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| error())?;
    let factor: f64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(error()),
    };
    Ok((number * factor) as u64)
}

/// Reads a time in the form of RFC 3339 as seconds since 1970.
pub fn parse_time(text: &str) -> Result<i64, String> {
    text.parse::<jiff::Timestamp>()
        .map(|time| time.as_second())
        .map_err(|_| format!("`{text}` is not a time such as 2024-02-29T12:34:56Z"))
}

/// A time in seconds since 1970 as `2024-02-29 12:34`, in UTC; a time that no calendar has is a number.
pub fn minute(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => seconds.to_string(),
    }
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
        let sizes = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (2_500_000_000, "2.5 GB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        let times = [(10, "0.01 s"), (12_100, "12.1 s"), (130_000, "2 min 10 s")];
        for (milliseconds, text) in times {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn durations_and_times_are_read() {
        let rows = [
            ("90s", 90.0),
            ("1h30m", 5400.0),
            ("1.5h", 5400.0),
            ("250ms", 0.25),
        ];
        for (text, seconds) in rows {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for text in ["", "5", "h", "1x", "1..s", "-1s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        let sizes = [
            ("0", 0),
            ("512", 512),
            ("1.5k", 1500),
            ("10GB", 10_000_000_000),
            ("2 MiB", 2 << 20),
            ("1TIB", 1 << 40),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1", "1..2", "5 apples"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(parse_time("2024-02-29T12:34:56Z"), Ok(1_709_210_096));
        assert!(parse_time("yesterday").is_err());
    }

    #[test]
    fn architectures_come_sorted_and_once() {
        let parse =
            |names: &[&str]| parse_archs(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            parse(&["aarch64", "x86_64", "arm64"]),
            Ok(vec![Arch::X86_64, Arch::Aarch64])
        );
        assert_eq!(parse(&[]).map(|archs| archs.len()), Ok(Arch::ALL.len()));
        assert!(parse(&["vax"]).unwrap_err().contains("`vax`"));
    }

    #[test]
    fn an_empty_source_date_epoch_is_none() {
        assert_eq!(parse_source_date_epoch(Some(" ")), Ok(None));
        assert_eq!(parse_source_date_epoch(Some("12")), Ok(Some(12)));
        assert!(parse_source_date_epoch(Some("now")).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        for content in ["first", "second"] {
            write_file(&path, content.as_bytes(), 0o600).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
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
        assert_eq!(
            chain(&Outer("writing", std::fmt::Error)),
            format!("writing: {inner}")
        );
        let quoted = "writing: an error occurred when formatting an argument";
        assert_eq!(chain(&Outer(quoted, std::fmt::Error)), quoted);
    }
}
