//! The mounts of a guest.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::super::{Overlay, is_root};
use super::{Order, Outcome, failed};

/// Devices of the host that every guest has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Has mounts made here stay here.
pub(super) fn make_private() -> Outcome {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(failed("making the mounts private"))
}

/// Makes a mount of the root, as a directory that shall become one must be.
pub(super) fn mount_root(order: &Order) -> Outcome {
    let root = order.root.as_path();
    let Some(Overlay { lower, upper, work }) = &order.overlay else {
        return rustix::mount::mount_bind_recursive(root, root).map_err(failed("mounting the root"));
    };
    // What the last command's mount left, that it was one whose changes need not be on the disk: they are all in memory.
    let _ = fs::remove_dir_all(work.as_path().join("work/incompat"));
    let lower: Vec<String> = lower.iter().map(|tree| escaped(&tree.to_string())).collect();
    let [upper, work] = [upper, work].map(|path| escaped(&path.to_string()));
    // For users without privileges the kernel keeps its notes in attributes that they may write.
    let notes = if is_really_root() {
        "index=off"
    } else {
        "userxattr"
    };
    let options = format!(
        "lowerdir={},upperdir={upper},workdir={work},{notes}",
        lower.join(":")
    );
    // Else the end of each command waits until all that was written on the file system, by whomever, is on the disk. Kernels
    // before 5.10 know of no other way.
    mount_overlay(root, &format!("{options},volatile"))
        .or_else(|_| mount_overlay(root, &options))
        .map_err(failed("mounting the overlay"))
}

fn mount_overlay(root: &Path, options: &str) -> io::Result<()> {
    let options = std::ffi::CString::new(options)?;
    let flags = MountFlags::empty();
    Ok(rustix::mount::mount(
        "overlay",
        root,
        "overlay",
        flags,
        Some(options.as_c_str()),
    )?)
}

/// A path as overlay's options take it.
fn escaped(path: &str) -> String {
    let special = |c: char| ['\\', ',', ':'].contains(&c);
    path.chars()
        .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// Root of the host, and not of a user namespace alone.
fn is_really_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Shows a file or directory of the host at a path of the guest.
pub(super) fn bind(root: &Path, source: &Path, target: &str, read_only: bool) -> Outcome {
    let at = make_target(root, target, source.is_dir())?;
    let action = || format!("mounting {} at {target}", source.display());
    rustix::mount::mount_bind_recursive(source, &at).map_err(failed(action()))?;
    if read_only {
        make_read_only(&at).map_err(failed(action()))?;
    }
    Ok(())
}

/// Makes what a mount needs to be put on. No path leads through a symbolic link, for that could lead out.
fn make_target(root: &Path, target: &str, is_dir: bool) -> Outcome<PathBuf> {
    let mut at = root.to_owned();
    let action = || format!("making a place for the mount at {target}");
    let mut parts = target.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_symlink() => {
                let why = io::Error::other(format!("{} is a symbolic link", at.display()));
                return Err(failed(action())(why));
            }
            Ok(_) => {}
            Err(_) if parts.peek().is_some() || is_dir => fs::create_dir(&at).map_err(failed(action()))?,
            Err(_) => File::create(&at).map(drop).map_err(failed(action()))?,
        }
    }
    Ok(at)
}

/// A user namespace may not take flags off that the mount had outside.
fn make_read_only(at: &Path) -> io::Result<()> {
    let had = rustix::fs::statvfs(at)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    let kept = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    for (flag, mount) in kept {
        flags.set(mount, had.contains(flag));
    }
    Ok(rustix::mount::mount_remount(at, flags, "")?)
}

/// Mounts `/proc`, `/sys` and a small `/dev`.
pub(super) fn mount_system(root: &Path) -> Outcome {
    let place = |target: &str| make_target(root, target, true);
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let proc = place("proc")?;
    rustix::mount::mount("proc", &proc, "proc", quiet, None).map_err(failed("mounting /proc"))?;

    let dev = place("dev")?;
    rustix::mount::mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID, Some(c"mode=0755"))
        .map_err(failed("mounting /dev"))?;
    for device in DEVICES {
        bind(
            root,
            &Path::new("/dev").join(device),
            &format!("dev/{device}"),
            false,
        )?;
    }
    place("dev/shm")?;
    let shm = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    fs::set_permissions(dev.join("shm"), shm).map_err(failed("making /dev/shm"))?;
    let terminals = place("dev/pts")?;
    rustix::mount::mount(
        "devpts",
        &terminals,
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        Some(c"newinstance,ptmxmode=0666,mode=620"),
    )
    .map_err(failed("mounting /dev/pts"))?;
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
        ("core", "/proc/kcore"),
    ];
    for (name, target) in links {
        std::os::unix::fs::symlink(target, dev.join(name)).map_err(failed("linking in /dev"))?;
    }

    let sys = place("sys")?;
    // A user namespace must take what is mounted below with it; its user can change nothing there.
    let bound = match is_really_root() {
        true => rustix::mount::mount_bind("/sys", &sys),
        false => rustix::mount::mount_bind_recursive("/sys", &sys),
    };
    bound.map_err(failed("mounting /sys"))?;
    make_read_only(&sys).map_err(failed("mounting /sys"))
}

/// Makes `root` the root; the old one is out of reach after this.
pub(super) fn enter(root: &Path) -> Outcome {
    let action = || failed("changing the root");
    rustix::process::chdir(root).map_err(action())?;
    rustix::process::pivot_root(".", ".").map_err(action())?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(action())?;
    rustix::process::chdir("/").map_err(action())
}
