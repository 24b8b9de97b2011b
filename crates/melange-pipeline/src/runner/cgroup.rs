//! Control groups: what a guest may use of the machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::Limits;

/// Where the hierarchies are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// What the groups' names begin with; the number of the process that made them follows.
const PREFIX: &str = "melange-";

/// Control groups made for one guest, one in each hierarchy that is needed. They go away, with all processes in them,
/// when this is dropped.
#[derive(Debug)]
pub(super) struct Cgroup(Vec<PathBuf>);

impl Cgroup {
    /// Makes the groups; nothing where there is no limit or this process may make none.
    pub(super) fn create(limits: &Limits) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if *limits == Limits::default() {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let group = match Path::new(MOUNT).join("cgroup.controllers").exists() {
            true => unified(&own, &name, limits),
            false => by_controller(&own, &name, limits),
        };
        Some(group).filter(|group| !group.0.is_empty())
    }

    /// The files that a process writes itself into.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.0.iter().map(|group| group.join("cgroup.procs")).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for group in &self.0 {
            let _ = fs::write(group.join("cgroup.kill"), "1");
            // Killed processes leave their group a moment later. Where that takes too long, the next guest's group
            // brings this one's end.
            for _ in 0..100 {
                if fs::remove_dir(group).is_ok() {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Removes the groups of processes that are gone. A group with processes in it cannot be removed.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// One group in the unified hierarchy: below the nearest group above this process that hands the controllers on.
fn unified(own: &str, name: &str, limits: &Limits) -> Cgroup {
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let own = Path::new(MOUNT).join(own.trim_start_matches('/'));
    let settings = [
        (
            "memory",
            "memory.max",
            limits.memory.map(|bytes| bytes.to_string()),
        ),
        (
            "cpu",
            "cpu.max",
            limits.cpus.map(|cpus| format!("{:.0} 100000", cpus * 1e5)),
        ),
        (
            "pids",
            "pids.max",
            limits.processes.map(|number| number.to_string()),
        ),
    ];
    let wanted = settings.iter().filter(|(_, _, value)| value.is_some());
    let wanted: Vec<&str> = wanted.map(|(controller, ..)| *controller).collect();
    for parent in own.ancestors().take_while(|parent| parent.starts_with(MOUNT)) {
        let handed = fs::read_to_string(parent.join("cgroup.subtree_control")).unwrap_or_default();
        let handed: Vec<&str> = handed.split_whitespace().collect();
        let group = parent.join(name);
        remove_abandoned(parent);
        if wanted.iter().all(|controller| handed.contains(controller)) && fs::create_dir(&group).is_ok() {
            let made = Cgroup(vec![group.clone()]);
            let write = |(_, file, value): &(&str, &str, Option<String>)| set(&group, file, value.as_deref());
            return match settings.iter().try_for_each(write) {
                Ok(()) => made,
                Err(_) => Cgroup(Vec::new()),
            };
        }
    }
    Cgroup(Vec::new())
}

/// A group in the hierarchy of each controller, as older systems have them.
fn by_controller(own: &str, name: &str, limits: &Limits) -> Cgroup {
    let settings = [
        (
            "memory",
            "memory.limit_in_bytes",
            limits.memory.map(|bytes| bytes.to_string()),
        ),
        (
            "cpu",
            "cpu.cfs_quota_us",
            limits.cpus.map(|cpus| format!("{:.0}", cpus * 1e5)),
        ),
        (
            "pids",
            "pids.max",
            limits.processes.map(|number| number.to_string()),
        ),
    ];
    let mut groups = Cgroup(Vec::new());
    for (controller, file, value) in settings {
        let path = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers
                .split(',')
                .any(|name| name == controller)
                .then_some(path)
        });
        let (Some(path), Some(value)) = (path, value) else {
            continue;
        };
        let parent = Path::new(MOUNT)
            .join(controller)
            .join(path.trim_start_matches('/'));
        remove_abandoned(&parent);
        let group = parent.join(name);
        if fs::create_dir(&group).is_ok() {
            groups.0.push(group.clone());
            if set(&group, file, Some(&value)).is_err() {
                let _ = fs::remove_dir(&group);
                groups.0.pop();
            }
        }
    }
    groups
}

fn set(group: &Path, file: &str, value: Option<&str>) -> io::Result<()> {
    value.map_or(Ok(()), |value| fs::write(group.join(file), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_their_limits_and_go_away() {
        let limits = Limits {
            processes: Some(77),
            ..Limits::default()
        };
        assert!(Cgroup::create(&Limits::default()).is_none());
        let Some(group) = Cgroup::create(&limits) else {
            eprintln!("skipped: no control groups can be made here");
            return;
        };
        let paths = group.0.clone();
        assert_eq!(
            fs::read_to_string(paths[0].join("pids.max")).unwrap().trim(),
            "77"
        );
        drop(group);
        assert!(!paths[0].exists());
    }
}
