//! The native runner: namespaces made by this program's own helper process, without bubblewrap.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use super::cgroup::Cgroup;
use super::guest::{CHECK, GUEST_FAILED, Inside, OVERLAY, Order, Sandbox};
use super::process::Ended;
use super::{
    Cancel, Command, ExitStatus, GuestPath, HostPath, LDCONFIG, OutputSink, Runner, RunnerError, Session,
    SessionSpec, Stream, Unavailable,
};

const NAME: &str = "native";

/// What the helper says of a command that does not start.
const NOT_STARTED: &str = "guest: starting ";

/// What a shell ends with where there is no such program.
const NOT_FOUND: i32 = 127;

/// How to start a process that calls [`guest_main`](super::guest_main): what enters a guest must do so in a process
/// of its own, before it has threads.
#[derive(Clone, Debug)]
pub struct Helper {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// Which file systems take overlays, by the numbers of their devices.
    overlays: Arc<Mutex<HashMap<u64, bool>>>,
}

impl Helper {
    /// Takes the program, usually `/proc/self/exe`, and the arguments that lead it to `guest_main`.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            overlays: Arc::default(),
        }
    }

    /// Whether an overlay can be made below a directory: that of a container's own file system often takes none. It is
    /// tried once for each file system.
    pub(super) fn overlays(&self, directory: &Path) -> bool {
        let Ok(device) = directory.metadata().map(|metadata| metadata.dev()) else {
            return false;
        };
        let mut overlays = self.overlays.lock().unwrap_or_else(PoisonError::into_inner);
        *overlays
            .entry(device)
            .or_insert_with(|| self.try_overlay(directory))
    }

    fn try_overlay(&self, directory: &Path) -> bool {
        let mut command = self.command();
        command.args([OVERLAY.as_ref(), directory.as_os_str()]);
        let ended = super::process::run(
            &mut command,
            b"",
            None,
            &Cancel::default(),
            &mut |_: Stream, _: &str| {},
        );
        matches!(ended, Ok(Ended::Itself(status)) if status.is_success())
    }

    fn command(&self) -> process::Command {
        let mut command = process::Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        command
    }

    /// The process that carries out an order, and what it reads. Orders go through a pipe, since they hold the
    /// guest's environment, which is nobody else's business.
    pub(super) fn order(&self, order: &Order) -> (process::Command, Vec<u8>) {
        // Plain data without maps of odd keys: it can always be written.
        let order = serde_json::to_vec(order).unwrap_or_default();
        (self.command(), order)
    }
}

/// Runs guests in namespaces of their own, as root or, where the kernel allows user namespaces, as anyone.
#[derive(Clone, Debug)]
pub struct Native {
    helper: Helper,
}

impl Native {
    /// Makes a runner that enters guests with this helper.
    pub fn new(helper: Helper) -> Self {
        Self { helper }
    }
}

impl Runner for Native {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self) -> Result<(), Unavailable> {
        let mut lines = Vec::new();
        let mut sink = |_: Stream, line: &str| lines.push(line.to_owned());
        let mut command = self.helper.command();
        command.arg(CHECK);
        let reason = match super::process::run(&mut command, b"", None, &Cancel::default(), &mut sink) {
            Ok(Ended::Itself(status)) if status.is_success() => return Ok(()),
            Ok(_) => lines.join(" "),
            Err(error) => format!("its helper does not start: {error}"),
        };
        Err(Unavailable {
            runner: NAME,
            reason,
            remedy: "run `melange doctor`, which says what stands in the way".to_owned(),
        })
    }

    fn overlays(&self, directory: &Path) -> bool {
        self.helper.overlays(directory)
    }

    fn start(&self, mut spec: SessionSpec) -> Result<Box<dyn Session>, RunnerError> {
        spec.resolve(NAME)?;
        let mut session = NativeSession {
            helper: self.helper.clone(),
            cgroup: Cgroup::create(&spec.limits),
            spec,
        };
        if session.spec.has("sbin/ldconfig") {
            let command = Command::new(["/bin/sh", "-c", LDCONFIG]);
            session.exec(&command, &mut |_: Stream, _: &str| {})?;
        }
        Ok(Box::new(session))
    }
}

/// A guest directory and how to enter it; nothing runs between commands.
struct NativeSession {
    helper: Helper,
    cgroup: Option<Cgroup>,
    spec: SessionSpec,
}

impl NativeSession {
    fn prepare(&self, command: &Command, is_attached: bool) -> (process::Command, Vec<u8>) {
        let spec = &self.spec;
        self.helper.order(&Order {
            cgroups: self.cgroup.as_ref().map(Cgroup::files).unwrap_or_default(),
            root: spec.root.clone(),
            overlay: spec.overlay.clone(),
            is_attached,
            inside: Inside::Sandbox(Sandbox {
                mounts: spec.mounts.clone(),
                user: spec.user(),
                capabilities: spec.capabilities().into_iter().map(str::to_owned).collect(),
                has_network: spec.network == super::Network::Host,
                argv: command.argv.clone(),
                environment: spec.environment(command),
                workdir: command.workdir.clone(),
            }),
        })
    }
}

fn failed(source: std::io::Error) -> RunnerError {
    RunnerError::Io {
        runner: NAME,
        action: "starting the helper",
        source,
    }
}

impl Session for NativeSession {
    fn exec(&mut self, command: &Command, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError> {
        let (mut process, input) = self.prepare(command, false);
        let mut last_line = String::new();
        let mut keep = |stream: Stream, line: &str| {
            line.clone_into(&mut last_line);
            sink.line(stream, line);
        };
        let ended = super::process::run(&mut process, &input, command.deadline, &command.cancel, &mut keep);
        match ended.map_err(failed)?.status()? {
            ExitStatus::Code(code) if code == i32::from(GUEST_FAILED) && last_line.starts_with("guest: ") => {
                match last_line.starts_with(NOT_STARTED) {
                    // The guest is there, but not the program.
                    true => Ok(ExitStatus::Code(NOT_FOUND)),
                    false => Err(failed(std::io::Error::other(last_line))),
                }
            }
            status => Ok(status),
        }
    }

    fn attach(&mut self, command: &Command) -> Result<ExitStatus, RunnerError> {
        let (mut process, input) = self.prepare(command, true);
        super::process::attach(&mut process, &input, &command.cancel)
            .map_err(failed)?
            .status()
    }

    fn copy_in(&mut self, from: &HostPath, to: &GuestPath) -> Result<(), RunnerError> {
        self.spec.copy_in(from, to)
    }

    fn copy_out(&mut self, from: &GuestPath, to: &HostPath) -> Result<(), RunnerError> {
        self.spec.copy_out(from, to)
    }
}
