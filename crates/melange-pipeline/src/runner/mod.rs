//! Where steps run: the [`Runner`] and [`Session`] traits, the bubblewrap backend and the running of steps.
//!
//! A runner is a kind of sandbox; a session is one guest that is up and takes commands. The guest is the path of a
//! directory tree that the caller laid down; a runner knows nothing about packages.

mod bubblewrap;
mod process;
mod steps;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use bubblewrap::Bubblewrap;
pub use steps::{DEFAULT_PATH, Step, StepError, StepFailure, StepOptions, WORKSPACE, run_steps};

/// A path on the machine that this program runs on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPath(PathBuf);

impl HostPath {
    /// Takes any path; it is made absolute where a backend needs it so.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path as the standard library takes it.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// An absolute path inside the guest, without `.`, `..` and repeated slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(String);

impl GuestPath {
    /// Normalises `path`, which is taken from the guest's root where it is relative; `..` stops at the root.
    pub fn new(path: &str) -> Self {
        Self("/".to_owned()).join(path)
    }

    /// The path that `path` names when it is read from this one; an absolute `path` stands for itself.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        let mut parts: Vec<&str> = match path.starts_with('/') {
            true => Vec::new(),
            false => self.0.split('/').filter(|part| !part.is_empty()).collect(),
        };
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Self(format!("/{}", parts.join("/")))
    }

    /// The path as text; it begins with `/` and ends with none, but for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `base` in this path, or nothing where the path is not below it.
    fn below(&self, base: &Self) -> Option<&str> {
        match base.0.as_str() {
            "/" => Some(&self.0[1..]),
            base => self
                .0
                .strip_prefix(base)
                .and_then(|rest| rest.strip_prefix('/').or((rest.is_empty()).then_some(""))),
        }
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A host directory or file that is seen inside the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is shown.
    pub source: HostPath,
    /// Where it is shown.
    pub target: GuestPath,
    /// Whether the guest can only read it.
    pub read_only: bool,
}

/// What a guest sees of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The host's network, as the Go melange has it.
    #[default]
    Host,
    /// A loopback device and nothing else.
    None,
}

/// The user that commands run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number inside the guest.
    pub uid: u32,
    /// The group's number inside the guest.
    pub gid: u32,
}

/// All that a runner must know to bring a guest up.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// The directory tree that becomes the guest's `/`; it is written to.
    pub root: HostPath,
    /// What else the guest sees, mounted in this order.
    pub mounts: Vec<Mount>,
    /// The whole environment of every command; nothing of the host's is added.
    pub environment: BTreeMap<String, String>,
    /// The user of the commands, or the backend's default.
    pub user: Option<User>,
    /// What the guest sees of the network.
    pub network: Network,
    /// Kernel capabilities (`CAP_SYS_ADMIN` ...) beyond those that containers usually have.
    pub add_capabilities: Vec<String>,
    /// Kernel capabilities taken away.
    pub drop_capabilities: Vec<String>,
}

impl SessionSpec {
    /// A guest at `root` with the host's network and nothing mounted.
    pub fn new(root: HostPath) -> Self {
        Self {
            root,
            mounts: Vec::new(),
            environment: BTreeMap::new(),
            user: None,
            network: Network::default(),
            add_capabilities: Vec::new(),
            drop_capabilities: Vec::new(),
        }
    }
}

/// A switch that ends running commands; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends what runs with this switch, and all that would start later.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One command to run in a session.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program and its arguments; the program is looked up in the guest.
    pub argv: Vec<String>,
    /// Variables over those of the session.
    pub environment: BTreeMap<String, String>,
    /// The directory it starts in; it must exist.
    pub workdir: GuestPath,
    /// When it is killed.
    pub deadline: Option<Instant>,
    /// What kills it early.
    pub cancel: Cancel,
}

impl Command {
    /// A command that starts in the guest's root, without a time limit.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: BTreeMap::new(),
            workdir: GuestPath::new("/"),
            deadline: None,
            cancel: Cancel::default(),
        }
    }
}

/// Which of a command's outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes the lines of a running command as they come, without their line feeds. Bytes that are not UTF-8 are
/// replaced; a line longer than 64 KiB comes in pieces.
pub trait OutputSink {
    /// Takes one line.
    fn line(&mut self, stream: Stream, line: &str);
}

impl<F: FnMut(Stream, &str)> OutputSink for F {
    fn line(&mut self, stream: Stream, line: &str) {
        self(stream, line);
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It ended by itself with this code; 0 is success.
    Code(i32),
    /// A signal killed it.
    Signal(i32),
}

impl ExitStatus {
    /// True for code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "no exit status, killed by signal {signal}"),
        }
    }
}

/// Why a runner cannot be used here, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {runner} runner cannot be used: {reason}; {remedy}")]
pub struct Unavailable {
    /// The runner's name.
    pub runner: &'static str,
    /// What is missing or forbidden.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// What went wrong with a runner or a session; a command that ends with a bad status is no such error.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The runner cannot be used here.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The sandbox could not be started or watched.
    #[error("{action} failed in the {runner} runner")]
    Io {
        /// The runner's name.
        runner: &'static str,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be copied into or out of the guest.
    #[error("copying {path} {direction} the guest failed")]
    Copy {
        /// The path in the guest.
        path: GuestPath,
        /// `into` or `out of`.
        direction: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A path in the guest leads through a symbolic link, which could lead anywhere on the host.
    #[error("{path} in the guest goes through a symbolic link at {link}")]
    SymlinkInPath {
        /// The path asked for.
        path: GuestPath,
        /// The link.
        link: HostPath,
    },
    /// The command ran into its time limit and was killed.
    #[error("the command exceeded its timeout and was killed")]
    TimedOut,
    /// The command was cancelled and killed.
    #[error("the command was cancelled")]
    Cancelled,
}

/// A kind of sandbox.
pub trait Runner {
    /// The name that users choose it by.
    fn name(&self) -> &'static str;

    /// Tells why it cannot be used on this machine, if so.
    fn check(&self) -> Result<(), Unavailable>;

    /// Brings a guest up.
    fn start(&self, spec: SessionSpec) -> Result<Box<dyn Session>, RunnerError>;
}

/// A guest that is up. It ends when it is dropped.
pub trait Session {
    /// Runs one command to its end and hands its output to `sink` line by line. On a timeout, a cancel and the
    /// death of this program, everything the command started is killed.
    fn exec(&mut self, command: &Command, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError>;

    /// Copies a file or a directory of the host into the guest.
    fn copy_in(&mut self, from: &HostPath, to: &GuestPath) -> Result<(), RunnerError>;

    /// Copies a file or a directory of the guest to the host.
    fn copy_out(&mut self, from: &GuestPath, to: &HostPath) -> Result<(), RunnerError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_paths_are_normalised_and_stay_inside() {
        for (base, path, joined) in [
            ("/home/build", "src", "/home/build/src"),
            ("/home/build", "/src//x/./y/", "/src/x/y"),
            ("/home/build", "../../../../etc", "/etc"),
            ("/", "", "/"),
        ] {
            assert_eq!(GuestPath::new(base).join(path).as_str(), joined);
        }
    }

    #[test]
    fn below_tells_paths_from_name_prefixes() {
        let path = GuestPath::new("/home/builder/x");
        assert_eq!(path.below(&GuestPath::new("/home/build")), None);
        assert_eq!(path.below(&GuestPath::new("/home")), Some("builder/x"));
        assert_eq!(path.below(&GuestPath::new("/")), Some("home/builder/x"));
        assert_eq!(path.below(&path), Some(""));
    }
}
