//! The runners against a guest whose programs are the host's, mounted read-only. Each test says so and goes on where
//! a runner cannot be used.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use melange_pipeline::runner::{
    Bubblewrap, Command, ExitStatus, GuestPath, Helper, HostPath, Limits, Mount, Native, Network, Overlay,
    Runner, RunnerError, Session, SessionSpec, Stream,
};
use tempfile::TempDir;

struct Guest {
    root: TempDir,
    session: Box<dyn Session>,
}

fn helper() -> Helper {
    Helper::new(env!("CARGO_BIN_EXE_melange-guest"), [""; 0])
}

fn runners() -> Vec<Box<dyn Runner>> {
    let all: [Box<dyn Runner>; 2] = [
        Box::new(Bubblewrap::find(None).with_helper(helper())),
        Box::new(Native::new(helper())),
    ];
    let usable = all.into_iter().filter(|runner| match runner.check() {
        Ok(()) => true,
        Err(unavailable) => {
            eprintln!("skipped: {unavailable}");
            false
        }
    });
    usable.collect()
}

/// The host's programs in an empty tree.
fn spec(root: &Path) -> SessionSpec {
    let mut spec = SessionSpec::new(HostPath::new(root));
    for directory in ["/usr", "/bin", "/lib", "/lib64"] {
        if Path::new(directory).exists() {
            spec.mounts.push(Mount {
                source: HostPath::new(directory),
                target: GuestPath::new(directory),
                read_only: true,
            });
        }
    }
    spec
}

/// A guest of every runner that works here.
fn guests(change: impl Fn(&mut SessionSpec)) -> Vec<Guest> {
    let start = |runner: Box<dyn Runner>| {
        let root = tempfile::tempdir().unwrap();
        let mut spec = spec(root.path());
        change(&mut spec);
        let session = runner.start(spec).unwrap();
        Guest { root, session }
    };
    runners().into_iter().map(start).collect()
}

fn shell(script: &str) -> Command {
    let mut command = Command::new(["/bin/sh", "-c", script]);
    command
        .environment
        .insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    command
}

fn run(session: &mut dyn Session, script: &str) -> (ExitStatus, Vec<String>) {
    let mut lines = Vec::new();
    let mut sink = |_: Stream, line: &str| lines.push(line.to_owned());
    let status = session.exec(&shell(script), &mut sink).unwrap();
    (status, lines)
}

fn output(session: &mut dyn Session, script: &str) -> Vec<String> {
    let (status, lines) = run(session, script);
    assert_eq!(status, ExitStatus::Code(0), "{lines:?}");
    lines
}

#[test]
fn nothing_of_the_hosts_environment_is_inside() {
    for mut guest in guests(|spec| drop(spec.environment.insert("ONLY".to_owned(), "this".to_owned()))) {
        let script = "env -u PWD -u OLDPWD -u SHLVL -u _ env; tr '\\0' '\\n' </proc/1/environ";
        let mut variables = output(&mut *guest.session, script);
        variables.sort();
        assert_eq!(variables, ["ONLY=this", "PATH=/usr/bin:/bin"]);
    }
}

#[test]
fn the_status_of_a_command_is_that_of_the_guest() {
    for mut guest in guests(|_| {}) {
        assert_eq!(run(&mut *guest.session, "exit 7").0, ExitStatus::Code(7));
        assert_eq!(run(&mut *guest.session, "exit 125").0, ExitStatus::Code(125));
        assert_eq!(run(&mut *guest.session, "kill -9 $$").0, ExitStatus::Code(137));
    }
}

#[test]
fn what_a_command_writes_lies_in_the_guest_and_can_be_copied_both_ways() {
    for mut guest in guests(|_| {}) {
        output(&mut *guest.session, "mkdir -p /out && echo made >/out/file");
        assert_eq!(
            fs::read_to_string(guest.root.path().join("out/file")).unwrap(),
            "made\n"
        );

        let host = tempfile::tempdir().unwrap();
        let copy = HostPath::new(host.path().join("copy"));
        guest.session.copy_out(&GuestPath::new("/out"), &copy).unwrap();
        assert_eq!(
            fs::read_to_string(host.path().join("copy/file")).unwrap(),
            "made\n"
        );
        guest
            .session
            .copy_in(&copy, &GuestPath::new("/in/again"))
            .unwrap();
        assert_eq!(output(&mut *guest.session, "cat /in/again/file"), ["made"]);
    }
}

#[test]
fn a_copy_never_goes_through_a_link_of_the_guest() {
    for mut guest in guests(|_| {}) {
        let outside = tempfile::tempdir().unwrap();
        let script = format!("ln -s {} /link", outside.path().display());
        output(&mut *guest.session, &script);
        let source = HostPath::new(outside.path());
        let error = guest
            .session
            .copy_in(&source, &GuestPath::new("/link/x"))
            .unwrap_err();
        assert!(matches!(error, RunnerError::SymlinkInPath { .. }), "{error}");
    }
}

#[test]
fn the_network_can_be_cut_off_and_the_loopback_stays() {
    for mut guest in guests(|spec| spec.network = Network::None) {
        let devices = output(&mut *guest.session, "cat /proc/net/dev; cat /proc/net/if_inet6");
        let lines = devices.iter().filter_map(|line| line.trim().split_once(':'));
        let names: Vec<_> = lines.map(|(name, _)| name).collect();
        assert_eq!(names, ["lo"], "{devices:?}");
        assert_eq!(
            output(
                &mut *guest.session,
                "cat /sys/class/net/lo/operstate 2>/dev/null; true"
            )
            .len(),
            1
        );
    }
}

#[test]
fn what_is_mounted_read_only_stays_as_it_is() {
    let shown = tempfile::tempdir().unwrap();
    fs::write(shown.path().join("file"), "kept").unwrap();
    for mut guest in guests(|spec| {
        spec.mounts.push(Mount {
            source: HostPath::new(shown.path()),
            target: GuestPath::new("/shown"),
            read_only: true,
        });
    }) {
        let (status, _) = run(&mut *guest.session, "echo lost >/shown/file");
        assert!(!status.is_success());
        assert_eq!(fs::read_to_string(shown.path().join("file")).unwrap(), "kept");
        assert!(
            !run(&mut *guest.session, "echo 1 >/sys/kernel/mm/ksm/run")
                .0
                .is_success()
        );
    }
}

#[test]
fn a_guest_has_devices_and_no_way_to_more_capabilities() {
    for mut guest in guests(|_| {}) {
        let found = output(
            &mut *guest.session,
            "echo x >/dev/null; test -c /dev/zero; test -w /dev/shm; grep -E 'CapEff|NoNewPrivs' /proc/self/status",
        );
        assert_eq!(found, ["CapEff:\t00000000a80425fb", "NoNewPrivs:\t1"]);
        assert!(
            !run(&mut *guest.session, "mount -t tmpfs none /usr/local")
                .0
                .is_success()
        );
    }
}

#[test]
fn a_timeout_kills_everything_inside() {
    for mut guest in guests(|_| {}) {
        let mut command = shell("(sleep 2; echo alive >/late) & setsid sleep 60 & sleep 60");
        command.deadline = Some(Instant::now() + Duration::from_millis(500));
        let error = guest
            .session
            .exec(&command, &mut |_: Stream, _: &str| {})
            .unwrap_err();
        assert!(matches!(error, RunnerError::TimedOut));
        std::thread::sleep(Duration::from_secs(3));
        assert!(!guest.root.path().join("late").exists());
    }
}

#[test]
fn what_stays_in_the_background_ends_with_its_command() {
    for mut guest in guests(|_| {}) {
        let start = Instant::now();
        output(
            &mut *guest.session,
            "(sleep 2; echo alive >/late) >/dev/null 2>&1 & setsid sleep 60 >/dev/null 2>&1 & echo done",
        );
        std::thread::sleep(Duration::from_secs(3).saturating_sub(start.elapsed()));
        assert!(!guest.root.path().join("late").exists());
    }
}

#[test]
fn a_guest_that_forks_without_end_stays_below_its_limit() {
    let limits = Limits {
        processes: Some(40),
        ..Limits::default()
    };
    for mut guest in guests(|spec| spec.limits = limits) {
        let script = "cat /proc/self/cgroup; for i in $(seq 100); do sleep 5 & done; wait";
        let mut command = shell(script);
        command.deadline = Some(Instant::now() + Duration::from_secs(3));
        let mut lines = Vec::new();
        let mut sink = |_: Stream, line: &str| lines.push(line.to_owned());
        let ended = guest.session.exec(&command, &mut sink);
        if !lines.iter().any(|line| line.contains("/melange-")) {
            eprintln!("skipped: no control groups can be made here");
            return;
        }
        let refused = lines.iter().any(|line| line.to_lowercase().contains("fork"));
        assert!(
            refused && !matches!(ended, Ok(ExitStatus::Code(0))),
            "{lines:?} {ended:?}"
        );
    }
}

#[test]
fn an_overlay_keeps_the_trees_below_as_they_are() {
    for runner in runners() {
        let [tree, upper_tree, own] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let overlays = runner.overlays(own.path());
        assert_eq!(fs::read_dir(own.path()).unwrap().count(), 0);
        if !overlays {
            eprintln!("skipped: no overlays here for the {} runner", runner.name());
            continue;
        }
        fs::write(tree.path().join("old"), "old\n").unwrap();
        fs::write(tree.path().join("gone"), "").unwrap();
        fs::write(tree.path().join("over"), "below\n").unwrap();
        fs::write(upper_tree.path().join("over"), "over it\n").unwrap();
        for name in ["root", "upper", "work"] {
            fs::create_dir(own.path().join(name)).unwrap();
        }
        let path = |name: &str| HostPath::new(own.path().join(name));
        let mut spec = spec(&own.path().join("root"));
        spec.overlay = Some(Overlay {
            lower: vec![HostPath::new(upper_tree.path()), HostPath::new(tree.path())],
            upper: path("upper"),
            work: path("work"),
        });
        let mut session = runner.start(spec).unwrap();
        let lines = output(
            &mut *session,
            "cat /old /over; rm /gone; echo new >/old; echo x >/made",
        );
        assert_eq!(lines, ["old", "over it"]);
        assert_eq!(
            output(&mut *session, "cat /old /made; ls /gone 2>/dev/null || true"),
            ["new", "x"]
        );
        assert_eq!(fs::read_to_string(tree.path().join("old")).unwrap(), "old\n");
        assert!(tree.path().join("gone").exists() && !tree.path().join("made").exists());
    }
}

#[test]
fn a_mount_never_goes_through_a_link_of_the_tree() {
    let outside = tempfile::tempdir().unwrap();
    for runner in runners() {
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.path().join("home")).unwrap();
        let mut spec = spec(root.path());
        spec.mounts.push(Mount {
            source: HostPath::new(root.path()),
            target: GuestPath::new("/home/build"),
            read_only: false,
        });
        if let Ok(mut session) = runner.start(spec) {
            let _ = session.exec(&shell("true"), &mut |_: Stream, _: &str| {});
        }
        assert_eq!(
            fs::read_dir(outside.path()).unwrap().count(),
            0,
            "{}",
            runner.name()
        );
    }
}

#[test]
fn a_missing_program_says_what_to_install() {
    // The usual places may hold it, so only where they do not can the message be seen.
    let runner = Bubblewrap::at("/nowhere/bwrap");
    let message = runner.check().unwrap_err().to_string();
    assert!(message.contains("/nowhere/bwrap does not start"), "{message}");
    if let Err(unavailable) = Bubblewrap::find(None).check() {
        assert!(unavailable.to_string().contains("bubblewrap"), "{unavailable}");
    }
}
