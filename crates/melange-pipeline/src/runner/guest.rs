//! The way into a guest: what the helper process does between its start and the guest's command.
//!
//! It runs twice. Outside it joins control groups and makes the namespaces; what it starts then is the first process
//! of the guest's process namespace, makes the mounts, gives up what the guest must not have, and runs the command.
//! When that first process ends, or the one outside is killed, the kernel ends all others and takes the mounts down.

mod mounts;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use rustix::mount::UnmountFlags;
use rustix::process::{Signal, WaitOptions};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use serde::{Deserialize, Serialize};

use self::mounts::{bind, enter, make_private, mount_root, mount_system};
use super::{GuestPath, HostPath, Mount, Overlay, User, is_root};

/// The status of a helper that could not enter the guest; its last line on standard error says why.
pub const GUEST_FAILED: u8 = 125;

/// The argument that asks whether guests can be entered at all.
pub(super) const CHECK: &str = "--check";

/// The argument that asks, with a directory after it, whether an overlay can be mounted there.
pub(super) const OVERLAY: &str = "--check-overlay";

/// The argument that says that the namespaces are made.
const INSIDE: &str = "--inside";

const ROOT: User = User { uid: 0, gid: 0 };

/// What the helper is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// Control groups to join: their `cgroup.procs`.
    pub(super) cgroups: Vec<PathBuf>,
    /// The guest's root.
    pub(super) root: HostPath,
    /// What lies under it.
    pub(super) overlay: Option<Overlay>,
    /// Whether the command works on the terminal.
    pub(super) is_attached: bool,
    /// What runs at the root.
    pub(super) inside: Inside,
}

/// What runs once the root is there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Inside {
    /// Another program that enters the guest, with its arguments.
    Program(Vec<String>),
    /// A command in a sandbox.
    Sandbox(Sandbox),
}

/// A command and the sandbox around it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sandbox {
    pub(super) mounts: Vec<Mount>,
    pub(super) user: Option<User>,
    pub(super) capabilities: Vec<String>,
    pub(super) has_network: bool,
    pub(super) argv: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) workdir: GuestPath,
}

/// Why a guest could not be entered.
#[derive(Debug, thiserror::Error)]
#[error("guest: {action}: {source}")]
struct GuestError {
    action: String,
    source: io::Error,
}

type Outcome<T = ()> = Result<T, GuestError>;

fn failed<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> GuestError {
    let action = action.into();
    |source| GuestError {
        action,
        source: source.into(),
    }
}

/// The whole work of a [`Helper`](super::Helper): reads an order from standard input and carries it out.
///
/// A program calls it before it starts any thread, with the arguments that follow those of the helper, and ends with
/// the status it gives. It is of no use to anyone but the runners.
pub fn guest_main(arguments: &[String]) -> ExitCode {
    let done = match arguments.first().map(String::as_str) {
        Some(CHECK) => check(),
        Some(OVERLAY) => check_overlay(arguments),
        Some(INSIDE) => read_order().and_then(|(order, _)| inside(&order)),
        _ => read_order().and_then(|(order, text)| outside(&order, &text)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(GUEST_FAILED)
    })
}

fn read_order() -> Outcome<(Order, String)> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(failed("reading the order"))?;
    let order = serde_json::from_str(&text).map_err(failed::<serde_json::Error>("reading the order"))?;
    Ok((order, text))
}

/// Tries the namespaces that a guest needs.
fn check() -> Outcome<ExitCode> {
    let user = (!is_root()).then_some(super::BUILD_USER);
    unshare(namespaces(user, true))?;
    map_user(user, own_ids())?;
    Ok(ExitCode::SUCCESS)
}

fn check_overlay(arguments: &[String]) -> Outcome<ExitCode> {
    let directory = Path::new(arguments.get(1).map_or(".", String::as_str)).join("overlay-trial");
    let ids = own_ids();
    let mut flags = UnshareFlags::NEWNS;
    flags.set(UnshareFlags::NEWUSER, !is_root());
    let user = (!is_root()).then_some(ROOT);
    unshare(flags)?;
    map_user(user, ids)?;
    make_private()?;
    let made = |name: &str| {
        let path = directory.join(name);
        fs::create_dir_all(&path).map_err(failed("making directories"))?;
        Ok(HostPath::new(path))
    };
    let tried = mount_root(&Order {
        cgroups: Vec::new(),
        root: made("root")?,
        overlay: Some(Overlay {
            lower: vec![made("lower")?],
            upper: made("upper")?,
            work: made("work")?,
        }),
        is_attached: false,
        inside: Inside::Program(Vec::new()),
    });
    let _ = rustix::mount::unmount(directory.join("root"), UnmountFlags::DETACH);
    let _ = fs::remove_dir_all(&directory);
    tried.map(|()| ExitCode::SUCCESS)
}

fn namespaces(user: Option<User>, has_network: bool) -> UnshareFlags {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    flags.set(UnshareFlags::NEWUSER, user.is_some());
    flags.set(UnshareFlags::NEWNET, !has_network);
    flags
}

fn unshare(flags: UnshareFlags) -> Outcome {
    // Only the sharing of file descriptors among threads is what makes it unsafe, and that is not asked for.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of a flag that is not used"
    )]
    rustix::thread::unshare(flags).map_err(failed("making namespaces"))
}

fn own_ids() -> (u32, u32) {
    (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    )
}

/// Gives this process, which has just entered a new user namespace, its user there.
fn map_user(user: Option<User>, (uid, gid): (u32, u32)) -> Outcome {
    let Some(user) = user else { return Ok(()) };
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text)
            .map_err(failed(format!("writing the user namespace's {file}")))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{} {uid} 1", user.uid))?;
    write("gid_map", format!("{} {gid} 1", user.gid))
}

fn outside(order: &Order, text: &str) -> Outcome<ExitCode> {
    die_with_parent()?;
    for group in &order.cgroups {
        fs::write(group, "0").map_err(failed("joining a control group"))?;
    }
    let Inside::Sandbox(sandbox) = &order.inside else {
        return program(order);
    };
    let ids = own_ids();
    unshare(namespaces(sandbox.user, sandbox.has_network))?;
    // What makes the mounts must be root in its namespace; the command gets its user in another one below.
    map_user(sandbox.user.map(|_| ROOT), ids)?;
    die_with_parent()?;
    let mut child = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .arg(INSIDE)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(failed("starting the guest's first process"))?;
    if let Some(mut pipe) = child.stdin.take() {
        io::Write::write_all(&mut pipe, text.as_bytes()).map_err(failed("handing the order on"))?;
    }
    let status = child
        .wait()
        .map_err(failed("waiting for the guest's first process"))?;
    Ok(exit_code(status))
}

/// Ends this process when its parent does.
fn die_with_parent() -> Outcome {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(failed("tying the guest to its parent"))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    ExitCode::from(u8::try_from(code).unwrap_or(GUEST_FAILED))
}

/// Mounts the root and becomes another program.
fn program(order: &Order) -> Outcome<ExitCode> {
    let Inside::Program(argv) = &order.inside else {
        return Ok(ExitCode::FAILURE);
    };
    if order.overlay.is_some() {
        unshare(UnshareFlags::NEWNS)?;
        make_private()?;
        mount_root(order)?;
    }
    let [program, arguments @ ..] = &argv[..] else {
        return Ok(ExitCode::FAILURE);
    };
    let error = Command::new(program)
        .args(arguments)
        .stdin(standard_input(order.is_attached)?)
        .exec();
    Err(failed(format!("starting {program}"))(error))
}

/// The terminal for a person, nothing for a build.
fn standard_input(is_attached: bool) -> Outcome<Stdio> {
    if is_attached && let Ok(terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") {
        return Ok(terminal.into());
    }
    let null = File::open("/dev/null").map_err(failed("opening /dev/null"))?;
    Ok(null.into())
}

/// The life of the guest's first process.
fn inside(order: &Order) -> Outcome<ExitCode> {
    let Inside::Sandbox(sandbox) = &order.inside else {
        return Ok(ExitCode::FAILURE);
    };
    die_with_parent()?;
    let input = standard_input(order.is_attached)?;
    make_private()?;
    mount_root(order)?;
    let root = order.root.as_path();
    for mount in &sandbox.mounts {
        bind(
            root,
            mount.source.as_path(),
            mount.target.as_str(),
            mount.read_only,
        )?;
    }
    mount_system(root)?;
    enter(root)?;
    if !sandbox.has_network {
        loopback_up().map_err(failed("bringing the loopback device up"))?;
    }
    if !order.is_attached {
        rustix::process::setsid().map_err(failed("making a session"))?;
    }
    // Root of the host may, root of a user namespace may not; the groups of a user are mapped to none there.
    let _ = rustix::thread::set_thread_groups(&[]);
    if sandbox.user.is_some_and(|user| user != ROOT) {
        unshare(UnshareFlags::NEWUSER)?;
        map_user(sandbox.user, (0, 0))?;
        die_with_parent()?;
    }
    give_up(sandbox)?;
    let [program, arguments @ ..] = &sandbox.argv[..] else {
        return Ok(ExitCode::FAILURE);
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&sandbox.environment)
        .current_dir(sandbox.workdir.as_str())
        .stdin(input)
        .spawn()
        .map_err(failed(format!("starting {program} in {}", sandbox.workdir)))?;
    reap(child)
}

/// Waits for the command, and for all that others leave behind in the meantime.
fn reap(child: Child) -> Outcome<ExitCode> {
    let id = i32::try_from(child.id()).unwrap_or_default();
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == id => {
                let code = status
                    .exit_status()
                    .unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or_default());
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(GUEST_FAILED)));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed("waiting for the command")(error)),
        }
    }
}

/// Asks the kernel to bring the first device of this network namespace up, which is the loopback.
fn loopback_up() -> rustix::io::Result<()> {
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST: u16 = 1;
    const IFF_UP: u32 = 1;
    // Without a protocol it is that of routes and links.
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // An `nlmsghdr`, then an `ifinfomsg`.
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]);
    message.extend(1u32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    send(socket.as_fd(), &message, SendFlags::empty()).map(drop)
}

/// Keeps the capabilities of the sandbox and no way to get others.
fn give_up(sandbox: &Sandbox) -> Outcome {
    let action = || failed("giving capabilities up");
    let names = sandbox
        .capabilities
        .iter()
        .filter_map(|name| name.strip_prefix("CAP_"));
    let mut kept = names
        .filter_map(CapabilitySet::from_name)
        .collect::<CapabilitySet>();
    let has = rustix::thread::capabilities(None).map_err(action())?;
    if sandbox.capabilities.iter().any(|name| name == "ALL") {
        kept = has.permitted;
    }
    kept &= has.permitted;
    for capability in (0..64).map(|number| CapabilitySet::from_bits_retain(1 << number)) {
        if !kept.contains(capability)
            && rustix::thread::remove_capability_from_bounding_set(capability).is_err()
        {
            // The first number that the kernel does not know.
            break;
        }
    }
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: kept,
    };
    rustix::thread::set_capabilities(None, sets).map_err(action())?;
    if !is_root() {
        // Others than root keep nothing over a program's start but this.
        for capability in kept.iter() {
            rustix::thread::configure_capability_in_ambient_set(capability, true).map_err(action())?;
        }
    }
    rustix::thread::set_no_new_privs(true).map_err(action())
}
