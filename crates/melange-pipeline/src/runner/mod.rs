//! Where steps run: the [`Runner`] and [`Session`] traits, the backends and the running of steps.
//!
//! A runner is a kind of sandbox; a session is one guest that is up and takes commands. The guest is the path of a
//! directory tree that the caller laid down; a runner knows nothing about packages.

mod bubblewrap;
mod cgroup;
mod copy;
mod doctor;
mod guest;
mod native;
mod process;
mod steps;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

pub use bubblewrap::Bubblewrap;
pub use doctor::{Check, Verdict, examine};
pub use guest::{GUEST_FAILED, guest_main};
pub use native::{Helper, Native};
pub use steps::{
    DEFAULT_PATH, SourceError, SourceStep, Sources, Step, StepError, StepEvent, StepEvents, StepFailure,
    StepOptions, WORKSPACE, run_steps,
};

/// A path on the machine that this program runs on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
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
    pub fn below(&self, base: &Self) -> Option<&str> {
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is shown.
    pub source: HostPath,
    /// Where it is shown.
    pub target: GuestPath,
    /// Whether the guest can only read it.
    pub read_only: bool,
}

/// What a guest sees of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's network, as the Go melange has it.
    #[default]
    Host,
    /// A loopback device and nothing else.
    None,
}

/// The user that commands run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's number inside the guest.
    pub uid: u32,
    /// The group's number inside the guest.
    pub gid: u32,
}

/// Directory trees that others use, too, and what a guest changes of them: an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// The trees, which no guest writes to: at least one, each over those after it.
    pub lower: Vec<HostPath>,
    /// An empty directory of this guest alone, on a file system that overlays can write to. What the guest changes
    /// goes there.
    pub upper: HostPath,
    /// Another empty directory on the same file system, for the kernel's use.
    pub work: HostPath,
}

/// What a guest may use of the machine; nothing means as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processors; a half is half of one's time.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub processes: Option<u64>,
}

/// All that a runner must know to bring a guest up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// The directory that becomes the guest's `/`: a tree that is written to or, where there is an overlay, an empty
    /// directory.
    pub root: HostPath,
    /// The tree under the root, where it is not the root's own.
    pub overlay: Option<Overlay>,
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
    /// What the guest may use of the machine, where control groups can be made.
    pub limits: Limits,
}

impl SessionSpec {
    /// A guest at `root` with the host's network and nothing mounted.
    pub fn new(root: HostPath) -> Self {
        Self {
            root,
            overlay: None,
            mounts: Vec::new(),
            environment: BTreeMap::new(),
            user: None,
            network: Network::default(),
            add_capabilities: Vec::new(),
            drop_capabilities: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// All paths of the host.
    fn host_paths(&mut self) -> impl Iterator<Item = &mut HostPath> {
        let overlay = self.overlay.iter_mut();
        let overlay =
            overlay.flat_map(|Overlay { lower, upper, work }| lower.iter_mut().chain([upper, work]));
        let mounts = self.mounts.iter_mut().map(|mount| &mut mount.source);
        [&mut self.root].into_iter().chain(overlay).chain(mounts)
    }

    /// Says that what lay below one directory of the host lies below another one now.
    pub fn relocate(&mut self, from: &Path, to: &Path) {
        for path in self.host_paths() {
            if let Ok(below) = path.0.strip_prefix(from) {
                path.0 = to.join(below);
            }
        }
    }

    /// Makes the paths of the host absolute.
    fn resolve(&mut self, runner: &'static str) -> Result<(), RunnerError> {
        for path in self.host_paths() {
            path.0 = std::fs::canonicalize(&path.0).map_err(|source| RunnerError::Io {
                runner,
                action: "finding the guest's directories",
                source,
            })?;
        }
        Ok(())
    }

    /// The user of the commands; where this program is not root, it is some user in any case.
    fn user(&self) -> Option<User> {
        self.user.or((!is_root()).then_some(BUILD_USER))
    }

    /// The capabilities of the commands; `ALL` stands for all.
    fn capabilities(&self) -> Vec<&str> {
        let all = CAPABILITIES
            .into_iter()
            .chain(self.add_capabilities.iter().map(String::as_str));
        let is_dropped = |name: &str| {
            self.drop_capabilities
                .iter()
                .any(|dropped| dropped == name || dropped == "ALL")
        };
        all.filter(|name| !is_dropped(name)).collect()
    }

    /// Whether the guest's tree has a path, as far as links of the tree allow to look.
    fn has(&self, path: &str) -> bool {
        let trees = self.overlay.as_ref().map(|overlay| overlay.lower.as_slice());
        let mut trees = trees.unwrap_or(std::slice::from_ref(&self.root)).iter();
        trees.any(|tree| tree.as_path().join(path).exists())
    }

    /// The environment of a command.
    fn environment(&self, command: &Command) -> BTreeMap<String, String> {
        let mut environment = self.environment.clone();
        environment.extend(command.environment.clone());
        environment
    }
}

/// The user that commands run as where this program is not root and the session names none.
const BUILD_USER: User = User { uid: 1000, gid: 1000 };

/// What container engines let processes keep; the Go melange grants the same.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Programs linked against an old glibc find libraries through ld.so.cache alone, so a guest begins with this.
const LDCONFIG: &str = "[ -x /sbin/ldconfig ] && /sbin/ldconfig /lib || true";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A switch that ends running commands; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends what runs with this switch, and all that would start later.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The switch itself, for others who end their work with it.
    pub fn switch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
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
    /// A guest was asked for under which this runner cannot put a tree of others.
    #[error("the {runner} runner cannot overlay a tree here")]
    Overlay {
        /// The runner's name.
        runner: &'static str,
    },
    /// The command ran into its time limit and was killed.
    #[error("the command exceeded its timeout and was killed")]
    TimedOut,
    /// The command was cancelled and killed.
    #[error("the command was cancelled")]
    Cancelled,
}

/// Runs a program of this machine to its end, without a sandbox, and hands its output on line by line. On a timeout and a
/// cancel, everything it started is killed.
///
/// # Errors
/// When it does not start, runs out of time, or is cancelled.
pub fn run_on_host(
    program: &mut std::process::Command,
    deadline: Option<Instant>,
    cancel: &Cancel,
    sink: &mut dyn OutputSink,
) -> Result<ExitStatus, RunnerError> {
    let ended = process::run(program, b"", deadline, cancel, sink);
    ended
        .map_err(|source| RunnerError::Io {
            runner: "host",
            action: "starting a program of the host",
            source,
        })?
        .status()
}

/// A kind of sandbox.
pub trait Runner {
    /// The name that users choose it by.
    fn name(&self) -> &'static str;

    /// Tells why it cannot be used on this machine, if so.
    fn check(&self) -> Result<(), Unavailable>;

    /// Whether guests can have an [`Overlay`] whose changes lie below this directory.
    fn overlays(&self, _directory: &Path) -> bool {
        false
    }

    /// Brings a guest up.
    fn start(&self, spec: SessionSpec) -> Result<Box<dyn Session>, RunnerError>;
}

/// A guest that is up. It ends when it is dropped.
pub trait Session {
    /// Runs one command to its end and hands its output to `sink` line by line. On a timeout, a cancel and the
    /// death of this program, everything the command started is killed.
    fn exec(&mut self, command: &Command, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError>;

    /// Runs one command on this program's own terminal, for a person: standard input, output and error are those
    /// of this program.
    fn attach(&mut self, command: &Command) -> Result<ExitStatus, RunnerError>;

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
