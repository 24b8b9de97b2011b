//! The bubblewrap runner against a guest whose programs are the host's, mounted read-only. Each test says so and
//! passes where bubblewrap cannot be used.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use melange_pipeline::runner::{
    Bubblewrap, Command, ExitStatus, GuestPath, HostPath, Mount, Network, Runner, RunnerError, Session,
    SessionSpec, Stream,
};
use tempfile::TempDir;

fn guest(change: impl FnOnce(&mut SessionSpec)) -> Option<(TempDir, Box<dyn Session>)> {
    let runner = Bubblewrap::find(None);
    if let Err(unavailable) = runner.check() {
        eprintln!("skipped: {unavailable}");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let mut spec = SessionSpec::new(HostPath::new(root.path()));
    for directory in ["/usr", "/bin", "/lib", "/lib64"] {
        if Path::new(directory).exists() {
            spec.mounts.push(Mount {
                source: HostPath::new(directory),
                target: GuestPath::new(directory),
                read_only: true,
            });
        }
    }
    change(&mut spec);
    let session = runner.start(spec).unwrap();
    Some((root, session))
}

fn shell(script: &str) -> Command {
    let mut command = Command::new(["/bin/sh", "-c", script]);
    command
        .environment
        .insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    command
}

fn output(session: &mut dyn Session, script: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let status = session
        .exec(&shell(script), &mut |_: Stream, line: &str| {
            lines.push(line.to_owned())
        })
        .unwrap();
    assert_eq!(status, ExitStatus::Code(0), "{lines:?}");
    lines
}

#[test]
fn nothing_of_the_hosts_environment_is_inside() {
    let Some((_root, mut session)) =
        guest(|spec| drop(spec.environment.insert("ONLY".to_owned(), "this".to_owned())))
    else {
        return;
    };
    let mut variables = output(
        &mut *session,
        "env -u PWD -u OLDPWD -u SHLVL -u _ env; tr '\\0' '\\n' </proc/1/environ",
    );
    variables.sort();
    assert_eq!(variables, ["ONLY=this", "PATH=/usr/bin:/bin"]);
}

#[test]
fn what_a_command_writes_lies_in_the_guest_and_can_be_copied_both_ways() {
    let Some((root, mut session)) = guest(|_| {}) else {
        return;
    };
    output(&mut *session, "mkdir -p /out && echo made >/out/file");
    assert_eq!(
        fs::read_to_string(root.path().join("out/file")).unwrap(),
        "made\n"
    );

    let host = tempfile::tempdir().unwrap();
    let copy = HostPath::new(host.path().join("copy"));
    session.copy_out(&GuestPath::new("/out"), &copy).unwrap();
    assert_eq!(
        fs::read_to_string(host.path().join("copy/file")).unwrap(),
        "made\n"
    );
    session.copy_in(&copy, &GuestPath::new("/in/again")).unwrap();
    assert_eq!(output(&mut *session, "cat /in/again/file"), ["made"]);
}

#[test]
fn a_copy_never_goes_through_a_link_of_the_guest() {
    let Some((_root, mut session)) = guest(|_| {}) else {
        return;
    };
    let outside = tempfile::tempdir().unwrap();
    output(
        &mut *session,
        &format!("ln -s {} /link", outside.path().display()),
    );
    let source = HostPath::new(outside.path());
    let error = session.copy_in(&source, &GuestPath::new("/link/x")).unwrap_err();
    assert!(matches!(error, RunnerError::SymlinkInPath { .. }), "{error}");
}

#[test]
fn the_network_can_be_cut_off() {
    let Some((_root, mut session)) = guest(|spec| spec.network = Network::None) else {
        return;
    };
    let devices = output(&mut *session, "cat /proc/net/dev");
    let devices: Vec<_> = devices
        .iter()
        .filter_map(|line| line.trim().split_once(':'))
        .collect();
    assert!(matches!(devices[..], [("lo", _)]), "{devices:?}");
}

#[test]
fn a_timeout_kills_everything_inside() {
    let Some((root, mut session)) = guest(|_| {}) else {
        return;
    };
    let mut command = shell("(sleep 3; echo alive >/late) & sleep 60");
    let start = Instant::now();
    command.deadline = Some(start + Duration::from_millis(500));
    let error = session.exec(&command, &mut |_: Stream, _: &str| {}).unwrap_err();
    assert!(matches!(error, RunnerError::TimedOut));
    std::thread::sleep(Duration::from_secs(4));
    assert!(!root.path().join("late").exists());
}

#[test]
fn a_missing_program_says_what_to_install() {
    // The usual places may hold it, so only where they do not can the message be seen.
    let runner = Bubblewrap::at("/nowhere/bwrap");
    assert!(
        runner
            .check()
            .unwrap_err()
            .to_string()
            .contains("/nowhere/bwrap does not start")
    );
    if let Err(unavailable) = Bubblewrap::find(None).check() {
        assert!(unavailable.to_string().contains("bubblewrap"), "{unavailable}");
    }
}
