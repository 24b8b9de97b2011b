//! The bubblewrap runner: unprivileged namespaces around a directory tree on the host.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, OnceLock};

use super::cgroup::Cgroup;
use super::guest::{Inside, Order};
use super::process::Ended;
use super::{
    Cancel, Command, ExitStatus, GuestPath, Helper, HostPath, LDCONFIG, Network, OutputSink, Runner,
    RunnerError, Session, SessionSpec, Stream, Unavailable, User, is_root,
};

const NAME: &str = "bubblewrap";

/// Where the program lies where no search path says otherwise.
const USUAL_PLACES: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// Runs guests with [bubblewrap](https://github.com/containers/bubblewrap), as root or, where the kernel allows
/// user namespaces, as anyone.
#[derive(Clone, Debug)]
pub struct Bubblewrap {
    program: Option<PathBuf>,
    helper: Option<Helper>,
    /// How the trial run came out; it is the same every time.
    trial: Arc<OnceLock<Result<(), Unavailable>>>,
}

impl Bubblewrap {
    /// Looks for `bwrap` in the directories of `search_path` (the shape of `PATH`), then in the usual places.
    pub fn find(search_path: Option<&OsStr>) -> Self {
        let directories = search_path.map(std::env::split_paths).into_iter().flatten();
        let program = directories
            .chain(USUAL_PLACES.map(PathBuf::from))
            .map(|directory| directory.join("bwrap"))
            .find(|program| program.is_absolute() && program.is_file());
        Self {
            program,
            helper: None,
            trial: Arc::default(),
        }
    }

    /// Uses the program at this path.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: Some(program.into()),
            helper: None,
            trial: Arc::default(),
        }
    }

    /// Uses a helper for what bubblewrap does not do itself: overlays and limits, both for root alone.
    #[must_use]
    pub fn with_helper(mut self, helper: Helper) -> Self {
        self.helper = Some(helper);
        self
    }

    fn program(&self) -> Result<&Path, Unavailable> {
        self.program.as_deref().ok_or_else(|| Unavailable {
            runner: NAME,
            reason: "the program `bwrap` is not installed".to_owned(),
            remedy: "install it with `apt-get install bubblewrap`, `dnf install bubblewrap` or `apk add bubblewrap`"
                .to_owned(),
        })
    }
}

impl Bubblewrap {
    fn try_it(&self) -> Result<(), Unavailable> {
        let program = self.program()?;
        let mut lines = Vec::new();
        let mut command = process::Command::new(program);
        command
            .env_clear()
            .env("LANG", "C")
            .args(["--unshare-pid", "--ro-bind", "/", "/"]);
        if !is_root() {
            command.arg("--unshare-user");
        }
        command.arg("true").env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let mut sink = |_: Stream, line: &str| lines.push(line.to_owned());
        let reason = match super::process::run(&mut command, b"", None, &Cancel::default(), &mut sink) {
            Ok(Ended::Itself(status)) if status.is_success() => return Ok(()),
            Ok(_) => format!("a trial run of {} failed: {}", program.display(), lines.join(" ")),
            Err(error) => format!("{} does not start: {error}", program.display()),
        };
        Err(Unavailable {
            runner: NAME,
            reason,
            remedy: "run `melange doctor`, which says what stands in the way".to_owned(),
        })
    }
}

impl Runner for Bubblewrap {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self) -> Result<(), Unavailable> {
        self.trial.get_or_init(|| self.try_it()).clone()
    }

    fn overlays(&self, directory: &Path) -> bool {
        is_root()
            && self
                .helper
                .as_ref()
                .is_some_and(|helper| helper.overlays(directory))
    }

    fn start(&self, mut spec: SessionSpec) -> Result<Box<dyn Session>, RunnerError> {
        spec.resolve(NAME)?;
        if spec.overlay.is_some() && !(is_root() && self.helper.is_some()) {
            return Err(RunnerError::Overlay { runner: NAME });
        }
        let helper = self.helper.clone().filter(|_| is_root());
        let cgroup = helper.as_ref().and_then(|_| Cgroup::create(&spec.limits));
        let mut session = BubblewrapSession {
            program: self.program()?.to_owned(),
            helper: helper.filter(|_| spec.overlay.is_some() || cgroup.is_some()),
            cgroup,
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
struct BubblewrapSession {
    program: PathBuf,
    helper: Option<Helper>,
    cgroup: Option<Cgroup>,
    spec: SessionSpec,
}

impl BubblewrapSession {
    fn arguments(&self, command: &Command, is_attached: bool) -> Vec<String> {
        let spec = &self.spec;
        let mut arguments = Arguments::default();
        arguments.push("--bind").push(spec.root.to_string()).push("/");
        for mount in &spec.mounts {
            arguments.push(if mount.read_only { "--ro-bind" } else { "--bind" });
            arguments
                .push(mount.source.to_string())
                .push(mount.target.as_str());
        }
        arguments.extend(["--unshare-pid", "--die-with-parent"]);
        if !is_attached {
            // It keeps a guest from typing into this program's terminal, and takes job control away.
            arguments.push("--new-session");
        }
        arguments.extend(["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]);
        arguments
            .push("--chdir")
            .push(command.workdir.as_str())
            .push("--clearenv");
        if let Some(User { uid, gid }) = spec.user() {
            arguments.push("--unshare-user");
            arguments.push("--uid").push(uid.to_string());
            arguments.push("--gid").push(gid.to_string());
        }
        if is_root() {
            // Root keeps what is not taken away.
            arguments.push("--cap-drop").push("ALL");
        }
        for capability in spec.capabilities() {
            arguments.push("--cap-add").push(capability);
        }
        if spec.network == Network::None {
            arguments.push("--unshare-net");
        }
        for (name, value) in spec.environment(command) {
            arguments.push("--setenv").push(name).push(value);
        }
        arguments.push("--").extend(&command.argv);
        arguments.0
    }

    /// The process to start and what it reads.
    fn prepare(&self, command: &Command, is_attached: bool) -> (process::Command, Vec<u8>) {
        let arguments = self.arguments(command, is_attached);
        // The sandbox's first process keeps bwrap's own environment in sight of the guest (/proc/1/environ), so
        // that one is empty, too.
        let Some(helper) = &self.helper else {
            let mut bwrap = process::Command::new(&self.program);
            bwrap.env_clear().args(arguments);
            return (bwrap, Vec::new());
        };
        let program = self.program.to_string_lossy().into_owned();
        helper.order(&Order {
            cgroups: self.cgroup.as_ref().map(Cgroup::files).unwrap_or_default(),
            root: self.spec.root.clone(),
            overlay: self.spec.overlay.clone(),
            is_attached,
            inside: Inside::Program([program].into_iter().chain(arguments).collect()),
        })
    }
}

fn failed(source: std::io::Error) -> RunnerError {
    RunnerError::Io {
        runner: NAME,
        action: "starting bwrap",
        source,
    }
}

impl Session for BubblewrapSession {
    fn exec(&mut self, command: &Command, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError> {
        let (mut bwrap, input) = self.prepare(command, false);
        let ended = super::process::run(&mut bwrap, &input, command.deadline, &command.cancel, sink);
        ended.map_err(failed)?.status()
    }

    fn attach(&mut self, command: &Command) -> Result<ExitStatus, RunnerError> {
        let (mut bwrap, input) = self.prepare(command, true);
        super::process::attach(&mut bwrap, &input, &command.cancel)
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

/// A list of arguments that grows in place.
#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn push(&mut self, argument: impl Into<String>) -> &mut Self {
        self.0.push(argument.into());
        self
    }

    fn extend(&mut self, arguments: impl IntoIterator<Item = impl Into<String>>) {
        self.0.extend(arguments.into_iter().map(Into::into));
    }
}
