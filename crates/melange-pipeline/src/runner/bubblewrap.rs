//! The bubblewrap runner: unprivileged namespaces around a directory tree on the host.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use super::process::Ended;
use super::{
    Cancel, Command, ExitStatus, GuestPath, HostPath, Network, OutputSink, Runner, RunnerError, Session,
    SessionSpec, Stream, Unavailable, User,
};

const NAME: &str = "bubblewrap";

/// The user that commands run as where this program is not root and the session names none.
const BUILD_USER: User = User { uid: 1000, gid: 1000 };

/// Where the program lies where no search path says otherwise.
const USUAL_PLACES: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

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

/// Runs guests with [bubblewrap](https://github.com/containers/bubblewrap), as root or, where the kernel allows
/// user namespaces, as anyone.
#[derive(Clone, Debug)]
pub struct Bubblewrap {
    program: Option<PathBuf>,
}

impl Bubblewrap {
    /// Looks for `bwrap` in the directories of `search_path` (the shape of `PATH`), then in the usual places.
    pub fn find(search_path: Option<&OsStr>) -> Self {
        let directories = search_path.map(std::env::split_paths).into_iter().flatten();
        let program = directories
            .chain(USUAL_PLACES.map(PathBuf::from))
            .map(|directory| directory.join("bwrap"))
            .find(|program| program.is_absolute() && program.is_file());
        Self { program }
    }

    /// Uses the program at this path.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: Some(program.into()),
        }
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

impl Runner for Bubblewrap {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self) -> Result<(), Unavailable> {
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
        let reason = match super::process::run(&mut command, None, &Cancel::default(), &mut sink) {
            Ok(Ended::Itself(status)) if status.is_success() => return Ok(()),
            Ok(_) => format!("a trial run of {} failed: {}", program.display(), lines.join(" ")),
            Err(error) => format!("{} does not start: {error}", program.display()),
        };
        Err(Unavailable {
            runner: NAME,
            reason,
            remedy: "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
                     kernel.apparmor_restrict_unprivileged_userns=0), or run as root"
                .to_owned(),
        })
    }

    fn start(&self, mut spec: SessionSpec) -> Result<Box<dyn Session>, RunnerError> {
        let absolute = |path: &HostPath| {
            fs::canonicalize(path.as_path())
                .map(HostPath)
                .map_err(|source| RunnerError::Io {
                    runner: NAME,
                    action: "finding the guest's directories",
                    source,
                })
        };
        spec.root = absolute(&spec.root)?;
        for mount in &mut spec.mounts {
            mount.source = absolute(&mount.source)?;
        }
        let mut session = BubblewrapSession {
            program: self.program()?.to_owned(),
            spec,
        };
        // Programs linked against an old glibc find libraries through ld.so.cache alone.
        let script = "[ -x /sbin/ldconfig ] && /sbin/ldconfig /lib || true";
        if session.spec.root.as_path().join("sbin/ldconfig").exists() {
            session.exec(
                &Command::new(["/bin/sh", "-c", script]),
                &mut |_: Stream, _: &str| {},
            )?;
        }
        Ok(Box::new(session))
    }
}

/// A guest directory and how to enter it; nothing runs between commands.
struct BubblewrapSession {
    program: PathBuf,
    spec: SessionSpec,
}

impl BubblewrapSession {
    fn arguments(&self, command: &Command) -> Vec<OsString> {
        let spec = &self.spec;
        let mut arguments = Arguments::default();
        arguments.push("--bind").push(spec.root.as_path()).push("/");
        for mount in &spec.mounts {
            arguments.push(if mount.read_only { "--ro-bind" } else { "--bind" });
            arguments.push(mount.source.as_path()).push(mount.target.as_str());
        }
        arguments.extend(["--unshare-pid", "--die-with-parent", "--new-session"]);
        arguments.extend(["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]);
        arguments
            .push("--chdir")
            .push(command.workdir.as_str())
            .push("--clearenv");
        if let Some(User { uid, gid }) = spec.user.or((!is_root()).then_some(BUILD_USER)) {
            arguments.push("--unshare-user");
            arguments.push("--uid").push(uid.to_string());
            arguments.push("--gid").push(gid.to_string());
        }
        for capability in CAPABILITIES
            .into_iter()
            .chain(spec.add_capabilities.iter().map(String::as_str))
        {
            arguments.push("--cap-add").push(capability);
        }
        for capability in &spec.drop_capabilities {
            arguments.push("--cap-drop").push(capability);
        }
        if spec.network == Network::None {
            arguments.push("--unshare-net");
        }
        let mut environment: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in spec.environment.iter().chain(&command.environment) {
            environment.insert(name, value);
        }
        for (name, value) in environment {
            arguments.push("--setenv").push(name).push(value);
        }
        arguments.push("--").extend(&command.argv);
        arguments.0
    }

    /// The host's path of a path in the guest, through the innermost mount; no symbolic link is followed.
    fn on_host(&self, path: &GuestPath) -> Result<PathBuf, RunnerError> {
        let root = (&self.spec.root, path.as_str());
        let (base, rest) = self
            .spec
            .mounts
            .iter()
            .filter_map(|mount| Some((&mount.source, path.below(&mount.target)?)))
            .min_by_key(|(_, rest)| rest.len())
            .unwrap_or(root);
        let mut host = base.as_path().to_owned();
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            host.push(part);
            if host.is_symlink() {
                return Err(RunnerError::SymlinkInPath {
                    path: path.clone(),
                    link: HostPath(host),
                });
            }
        }
        Ok(host)
    }
}

impl Session for BubblewrapSession {
    fn exec(&mut self, command: &Command, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError> {
        // The sandbox's first process keeps bwrap's own environment in sight of the guest (/proc/1/environ), so
        // that one is empty, too.
        let mut bwrap = process::Command::new(&self.program);
        bwrap.env_clear().args(self.arguments(command));
        match super::process::run(&mut bwrap, command.deadline, &command.cancel, sink) {
            Ok(Ended::Itself(status)) => Ok(status),
            Ok(Ended::TimedOut) => Err(RunnerError::TimedOut),
            Ok(Ended::Cancelled) => Err(RunnerError::Cancelled),
            Err(source) => Err(RunnerError::Io {
                runner: NAME,
                action: "starting bwrap",
                source,
            }),
        }
    }

    fn copy_in(&mut self, from: &HostPath, to: &GuestPath) -> Result<(), RunnerError> {
        copy_tree(from.as_path(), &self.on_host(to)?).map_err(|source| RunnerError::Copy {
            path: to.clone(),
            direction: "into",
            source,
        })
    }

    fn copy_out(&mut self, from: &GuestPath, to: &HostPath) -> Result<(), RunnerError> {
        copy_tree(&self.on_host(from)?, to.as_path()).map_err(|source| RunnerError::Copy {
            path: from.clone(),
            direction: "out of",
            source,
        })
    }
}

/// A list of arguments that grows in place.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn push(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.0.push(argument.as_ref().to_owned());
        self
    }

    fn extend(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        self.0
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Copies a file, a symbolic link as such, or a directory with all below it.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
        Ok(())
    } else if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)
    } else {
        fs::copy(from, to).map(drop)
    }
}
