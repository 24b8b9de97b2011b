//! What stands in the way of sandboxes on this machine.

use std::fs;

use super::{Runner, is_root};

/// How a [`Check`] came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing stands in the way.
    Good,
    /// It stands in the way of at least one runner.
    Blocked,
    /// It is not there, or of no matter here.
    Absent,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What: `user namespaces`, a runner's name.
    pub name: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found, in a few words.
    pub found: String,
    /// What to do about it, each a way of its own; empty unless it is blocked.
    pub remedies: Vec<String>,
}

/// Tries each runner, and where one fails, looks at everything in the kernel that is known to stop sandboxes.
pub fn examine(runners: &[&dyn Runner]) -> Vec<Check> {
    let mut checks: Vec<Check> = runners.iter().map(|runner| try_runner(*runner)).collect();
    checks.push(privilege());
    checks.extend([
        user_namespaces(),
        apparmor(),
        seccomp(),
        no_new_privileges(),
        control_groups(),
    ]);
    checks
}

fn try_runner(runner: &dyn Runner) -> Check {
    match runner.check() {
        Ok(()) => check(runner.name(), Verdict::Good, "a trial run works"),
        Err(unavailable) => Check {
            remedies: vec![unavailable.remedy],
            ..check(runner.name(), Verdict::Blocked, unavailable.reason)
        },
    }
}

fn check(name: &str, verdict: Verdict, found: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        verdict,
        found: found.into(),
        remedies: Vec::new(),
    }
}

fn blocked(name: &str, found: impl Into<String>, remedies: &[&str]) -> Check {
    Check {
        remedies: remedies.iter().map(|remedy| (*remedy).to_owned()).collect(),
        ..check(name, Verdict::Blocked, found)
    }
}

/// A setting of the kernel; none where the kernel has no such setting.
fn setting(path: &str) -> Option<i64> {
    fs::read_to_string(format!("/proc/sys/{path}"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// A field of `/proc/self/status`.
fn status(field: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

fn privilege() -> Check {
    const SYS_ADMIN: u32 = 21;
    let effective = status("CapEff")
        .and_then(|mask| u64::from_str_radix(&mask, 16).ok())
        .unwrap_or_default();
    match (is_root(), effective >> SYS_ADMIN & 1 == 1) {
        (true, true) => check(
            "privileges",
            Verdict::Good,
            "root, with the right to make namespaces",
        ),
        (true, false) => blocked(
            "privileges",
            "root without CAP_SYS_ADMIN, as in a container",
            &[
                "give the container that capability: `docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined`, or `--privileged`",
            ],
        ),
        (false, _) => check(
            "privileges",
            Verdict::Absent,
            "not root: sandboxes need user namespaces",
        ),
    }
}

fn user_namespaces() -> Check {
    let name = "user namespaces";
    if !fs::exists("/proc/self/ns/user").unwrap_or_default() {
        return blocked(
            name,
            "the kernel was built without them",
            &["use a kernel with CONFIG_USER_NS", "run as root"],
        );
    }
    if setting("user/max_user_namespaces") == Some(0) {
        return blocked(
            name,
            "user.max_user_namespaces is 0",
            &["run `sudo sysctl user.max_user_namespaces=15000`", "run as root"],
        );
    }
    if !is_root() && setting("kernel/unprivileged_userns_clone") == Some(0) {
        return blocked(
            name,
            "kernel.unprivileged_userns_clone is 0",
            &[
                "run `sudo sysctl kernel.unprivileged_userns_clone=1`",
                "run as root",
            ],
        );
    }
    check(name, Verdict::Good, "allowed by the kernel's settings")
}

fn apparmor() -> Check {
    let name = "AppArmor";
    let profile = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let profile = profile.trim_matches(['\0', '\n']);
    let is_confined = !profile.is_empty() && profile != "unconfined" && profile.contains('(');
    match setting("kernel/apparmor_restrict_unprivileged_userns") {
        Some(value) if value != 0 && !is_root() => blocked(
            name,
            format!("kernel.apparmor_restrict_unprivileged_userns is {value}"),
            &[
                "run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
                "install the profile that `melange doctor --profile` prints",
                "run as root",
            ],
        ),
        _ if is_confined => blocked(
            name,
            format!("this process is confined by the profile {profile}"),
            &["run the container with `--security-opt apparmor=unconfined`"],
        ),
        Some(_) => check(name, Verdict::Good, "does not restrict this process"),
        None => check(name, Verdict::Absent, "does not restrict user namespaces here"),
    }
}

fn seccomp() -> Check {
    match status("Seccomp").as_deref() {
        Some("0") | None => check("seccomp", Verdict::Good, "no filter on this process"),
        // A filter may well let namespaces through: the trial runs tell.
        Some(_) => Check {
            remedies: vec!["run the container with `--security-opt seccomp=unconfined`".to_owned()],
            ..check(
                "seccomp",
                Verdict::Absent,
                "a filter is on this process, as in most containers; it matters only where a runner fails",
            )
        },
    }
}

fn no_new_privileges() -> Check {
    let name = "no_new_privs";
    match status("NoNewPrivs").as_deref() {
        Some("1") => check(
            name,
            Verdict::Absent,
            "set: a setuid bwrap cannot work, others can",
        ),
        _ => check(name, Verdict::Good, "not set"),
    }
}

fn control_groups() -> Check {
    let limits = super::Limits {
        processes: Some(1000),
        ..super::Limits::default()
    };
    match super::cgroup::Cgroup::create(&limits) {
        Some(_) => check("control groups", Verdict::Good, "--cpu and --memory can be kept"),
        None => check(
            "control groups",
            Verdict::Absent,
            "none can be made: --cpu and --memory do nothing",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Bubblewrap;

    #[test]
    fn a_runner_that_fails_is_blocked_with_its_remedy() {
        let checks = examine(&[&Bubblewrap::at("/nowhere/bwrap")]);
        assert_eq!(checks[0].name, "bubblewrap");
        assert_eq!(checks[0].verdict, Verdict::Blocked);
        assert!(!checks[0].remedies.is_empty());
        for check in &checks {
            let needs_one = check.verdict == Verdict::Blocked;
            assert!(!needs_one || !check.remedies.is_empty(), "{check:?}");
        }
    }
}
