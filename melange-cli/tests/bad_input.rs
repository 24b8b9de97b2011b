//! Steps that misbehave, in the real runners: a clear error, and nothing left of them. The guests' programs are the
//! host's, mounted read-only. Each test says so and goes on where a runner cannot be used.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use apk_index::Index;
use apk_types::Arch;
use melange::{BuildError, BuildReport, BuildRequest, Event, GuestTree, PackagePlan, Plan, build_plan};
use melange_pipeline::runner::{
    Bubblewrap, Command as GuestCommand, ExitStatus, GuestPath, Helper, HostPath, Mount, Native, OutputSink,
    Runner, RunnerError, Session, SessionSpec, Step, StepFailure, Unavailable,
};

/// Names the directory of a build that a test runs in another process.
const CHILD: &str = "MELANGE_TEST_CHILD";

/// A runner whose guests have the host's programs.
struct WithPrograms(Box<dyn Runner>);

impl Runner for WithPrograms {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn check(&self) -> Result<(), Unavailable> {
        self.0.check()
    }

    fn start(&self, mut spec: SessionSpec) -> Result<Box<dyn Session>, RunnerError> {
        let directories = ["/usr", "/bin", "/lib", "/lib64"].iter();
        for directory in directories.filter(|directory| Path::new(directory).exists()) {
            spec.mounts.push(Mount {
                source: HostPath::new(*directory),
                target: GuestPath::new(directory),
                read_only: true,
            });
        }
        Ok(Box::new(WithBash(self.0.start(spec)?)))
    }
}

/// A session whose shell is the host's bash: not every host's sh knows `pipefail`.
struct WithBash(Box<dyn Session>);

impl WithBash {
    fn command(command: &GuestCommand) -> GuestCommand {
        let mut command = command.clone();
        "/bin/bash".clone_into(&mut command.argv[0]);
        command
    }
}

impl Session for WithBash {
    fn exec(&mut self, command: &GuestCommand, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError> {
        self.0.exec(&Self::command(command), sink)
    }

    fn attach(&mut self, command: &GuestCommand) -> Result<ExitStatus, RunnerError> {
        self.0.attach(&Self::command(command))
    }

    fn copy_in(&mut self, from: &HostPath, to: &GuestPath) -> Result<(), RunnerError> {
        self.0.copy_in(from, to)
    }

    fn copy_out(&mut self, from: &GuestPath, to: &HostPath) -> Result<(), RunnerError> {
        self.0.copy_out(from, to)
    }
}

fn all_runners() -> Vec<Box<dyn Runner>> {
    let helper = Helper::new(env!("CARGO_BIN_EXE_melange"), ["guest-main"]);
    let path = env::var_os("PATH");
    let all: [Box<dyn Runner>; 2] = [
        Box::new(Bubblewrap::find(path.as_deref()).with_helper(helper.clone())),
        Box::new(Native::new(helper)),
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

fn runners() -> Vec<WithPrograms> {
    all_runners().into_iter().map(WithPrograms).collect()
}

fn plan(script: &str) -> Plan {
    Plan {
        version: "1-r0".to_owned(),
        packages: vec![PackagePlan {
            name: "x".to_owned(),
            steps: vec![Step {
                enabled: true,
                runs: script.to_owned(),
                ..Step::default()
            }],
            ..PackagePlan::default()
        }],
        ..Plan::default()
    }
}

fn build(
    directory: &Path,
    script: &str,
    runner: &dyn Runner,
    change: impl FnOnce(&mut BuildRequest),
) -> Result<BuildReport, BuildError> {
    let mut request = BuildRequest::new(Arch::X86_64, directory.join("out"), directory.join("scratch"));
    change(&mut request);
    let mut guest = |_: &Path, _: bool| Ok(GuestTree::default());
    build_plan(&plan(script), &request, &mut guest, runner, &mut |_: Event<
        '_,
    >| {})
}

/// What is below a directory, without the directories that may stay.
fn left_in(directory: &Path) -> Vec<PathBuf> {
    let list = |name: &str| fs::read_dir(directory.join(name)).into_iter().flatten().flatten();
    let found = list("scratch")
        .chain(list("out/x86_64"))
        .map(|entry| entry.path());
    found.collect()
}

/// The processes that have a text on their command line.
fn processes(text: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(text))
        .count()
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn failure(result: Result<BuildReport, BuildError>) -> StepFailure {
    match result {
        Err(BuildError::Step { source, .. }) => source.failure,
        other => panic!("no failing step: {other:?}"),
    }
}

#[test]
fn a_step_that_forks_for_ever_ends_at_its_limit_and_leaves_no_process() {
    for runner in runners() {
        let directory = tempfile::tempdir().unwrap();
        // Bounded by the sleeps where there is no control group that bounds it.
        let script = "i=0; while [ $i -lt 200 ]; do sleep 9871 & i=$((i + 1)); done; wait";
        let result = build(directory.path(), script, &runner, |request| {
            request.guest.limits.processes = Some(50);
            request.guest.cancel = after(Duration::from_secs(3));
        });
        let failure = failure(result);
        assert!(
            matches!(
                failure,
                StepFailure::Exit { .. }
                    | StepFailure::Runner {
                        source: RunnerError::Cancelled,
                        ..
                    }
            ),
            "{failure}"
        );
        assert_eq!(processes("sleep\u{0}9871"), 0, "{}", runner.name());
        assert_eq!(left_in(directory.path()), [""; 0].map(PathBuf::from));
    }
}

/// A switch that is set after a time.
fn after(time: Duration) -> melange_pipeline::runner::Cancel {
    let cancel = melange_pipeline::runner::Cancel::default();
    let switch = cancel.clone();
    thread::spawn(move || {
        thread::sleep(time);
        switch.cancel();
    });
    cancel
}

#[test]
fn what_stays_in_the_background_ends_with_its_step() {
    for runner in runners() {
        let directory = tempfile::tempdir().unwrap();
        let script =
            "setsid sleep 9872 >/dev/null 2>&1 & (sleep 9872 &) >/dev/null 2>&1; mkdir -p melange-out/x/usr";
        build(directory.path(), script, &runner, |_| {}).unwrap();
        assert_eq!(processes("sleep\u{0}9872"), 0, "{}", runner.name());
    }
}

#[test]
fn a_cancel_at_any_moment_leaves_nothing() {
    for runner in runners() {
        for milliseconds in [0, 30, 100, 400] {
            let directory = tempfile::tempdir().unwrap();
            let script = "(trap '' TERM INT HUP; sleep 9873) & sleep 9873";
            let result = build(directory.path(), script, &runner, |request| {
                request.guest.cancel = after(Duration::from_millis(milliseconds));
            });
            assert!(chain(&result.unwrap_err()).contains("cancelled"));
            assert_eq!(processes("sleep\u{0}9873"), 0);
            assert_eq!(left_in(directory.path()), [""; 0].map(PathBuf::from));
            assert!(!mounts().contains(&directory.path().display().to_string()));
        }
    }
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// Not a test of its own: the build of a test that kills it.
#[test]
fn child() {
    let Some(directory) = env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let name = fs::read_to_string(directory.join("runner")).unwrap();
    let script = fs::read_to_string(directory.join("script")).unwrap();
    let runner = runners()
        .into_iter()
        .find(|runner| runner.name() == name)
        .unwrap();
    let result = build(&directory, &script, &runner, |_| {});
    let text = result.map_or_else(|error| chain(&error), |_| "built".to_owned());
    // The directory may be gone with this process' mounts.
    let left = left_in(&directory);
    println!("RESULT {text} LEFT {left:?}");
}

fn child_command(program: &Path, before: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(before.first().map_or(program, Path::new));
    command.args(before.iter().skip(1));
    if !before.is_empty() {
        command.arg(program);
    }
    command
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn start_child(directory: &Path, runner: &dyn Runner, script: &str) -> Child {
    fs::write(directory.join("runner"), runner.name()).unwrap();
    fs::write(directory.join("script"), script).unwrap();
    child_command(&env::current_exe().unwrap(), &[], directory)
        .spawn()
        .unwrap()
}

fn wait_for(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if what() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_kill_ends_all_processes_and_what_is_left_goes_with_the_next_build() {
    for runner in runners() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = start_child(
            directory.path(),
            &runner,
            "touch started; setsid sleep 9874 & sleep 9874",
        );
        assert!(wait_for(|| processes("sleep\u{0}9874") > 0), "{}", runner.name());
        // SIGKILL: nothing of it can run any more.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(wait_for(|| processes("sleep\u{0}9874") == 0), "{}", runner.name());
        assert!(!directory.path().join("out").exists());
        build(directory.path(), "mkdir -p melange-out/x/usr", &runner, |_| {}).unwrap();
        let left = left_in(directory.path());
        let names: Vec<_> = left
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert!(
            !names
                .iter()
                .any(|name| name.contains("scratch") || name.starts_with('.')),
            "{names:?}"
        );
    }
}

#[test]
fn a_disk_that_fills_up_is_named_and_nothing_is_half_there() {
    for runner in runners() {
        for (script, small) in [
            (
                "mkdir -p melange-out/x/usr; head -c 9000000 /dev/urandom >melange-out/x/usr/noise",
                "out",
            ),
            ("head -c 9000000 /dev/zero >fill", "scratch"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir_all(directory.path().join(small)).unwrap();
            fs::write(directory.path().join("runner"), runner.name()).unwrap();
            fs::write(directory.path().join("script"), script).unwrap();
            let mount = format!(
                "mount -t tmpfs -o size=4m none {}/{small} && exec \"$@\"",
                directory.path().display()
            );
            let before = ["unshare", "-m", "sh", "-c", &mount, "sh"];
            let output = child_command(&env::current_exe().unwrap(), &before, directory.path()).output();
            let Ok(output) = output else { return };
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if !text.contains("RESULT") {
                eprintln!(
                    "skipped: no file system can be mounted here: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                return;
            }
            assert!(text.to_lowercase().contains("no space left"), "{text}");
            assert!(text.contains("LEFT []"), "{text}");
        }
    }
}

#[test]
fn a_package_keeps_setuid_files_out_by_its_linter_and_devices_by_the_guests_rights() {
    for runner in runners() {
        let directory = tempfile::tempdir().unwrap();
        let script =
            "mkdir -p melange-out/x/usr; cp /bin/sh melange-out/x/usr/sh; chmod 4755 melange-out/x/usr/sh";
        let error = build(directory.path(), script, &runner, |_| {}).unwrap_err();
        assert!(
            chain(&error).contains("linter setuidgid") && chain(&error).contains("usr/sh"),
            "{error}"
        );
        assert_eq!(left_in(directory.path()), [""; 0].map(PathBuf::from));
        let script = "mkdir -p melange-out/x/dev; mknod melange-out/x/dev/sda b 8 0";
        let error = chain(&build(directory.path(), script, &runner, |_| {}).unwrap_err());
        assert!(error.contains("linter dev") || error.contains("mknod"), "{error}");
        assert_eq!(left_in(directory.path()), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn a_socket_in_a_package_is_named() {
    let Some(runner) = runners().into_iter().next() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let script = "mkdir -p melange-out/x/run && cd melange-out/x/run\n\
                  perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"sock\", Listen => 1) or exit 77'";
    let error = chain(&build(directory.path(), script, &runner, |_| {}).unwrap_err());
    if error.contains("status 77") || error.contains("perl") {
        eprintln!("skipped: no socket can be made here: {error}");
        return;
    }
    assert!(error.contains("run/sock"), "{error}");
}

#[test]
fn very_many_files_are_packed_and_removed() {
    let Some(runner) = runners().into_iter().next() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    // A million takes minutes; the way is the same.
    let script = "mkdir -p melange-out/x/usr/share/many && cd melange-out/x/usr/share/many\n\
                  seq 20000 | xargs touch";
    let report = build(directory.path(), script, &runner, |_| {}).unwrap();
    assert!(report.packages[0].1.installed_size >= 4096);
    assert_eq!(fs::read_dir(directory.path().join("scratch")).unwrap().count(), 0);
}

#[test]
fn a_guest_without_a_shell_is_told_from_a_failing_script() {
    for runner in all_runners() {
        let directory = tempfile::tempdir().unwrap();
        let failure = failure(build(directory.path(), "true", &*runner, |_| {}));
        assert!(
            matches!(failure, StepFailure::NoShell { .. }),
            "{}: {failure:?}",
            runner.name()
        );
        assert_eq!(left_in(directory.path()), [""; 0].map(PathBuf::from));
    }
    for runner in runners() {
        let directory = tempfile::tempdir().unwrap();
        let failure = failure(build(directory.path(), "exit 127", &runner, |_| {}));
        assert!(
            matches!(failure, StepFailure::Exit { .. }),
            "{}: {failure:?}",
            runner.name()
        );
    }
}

#[test]
fn a_guest_for_another_machine_is_told_by_its_shell_which_does_not_start() {
    for runner in all_runners() {
        let directory = tempfile::tempdir().unwrap();
        let request = BuildRequest::new(
            Arch::Aarch64,
            directory.path().join("out"),
            directory.path().join("scratch"),
        );
        // An ELF header for a machine that has no programs anywhere, not even with qemu-user.
        let mut program = b"\x7fELF\x02\x01\x01".to_vec();
        program.resize(16, 0);
        program.extend([2, 0, 0xff, 0x7f]);
        program.resize(120, 0);
        let mut guest = |root: &Path, _: bool| {
            let shell = root.join("bin/sh");
            fs::create_dir_all(root.join("bin"))?;
            fs::write(&shell, &program)?;
            fs::set_permissions(&shell, fs::Permissions::from_mode(0o755))?;
            Ok(GuestTree::default())
        };
        let result = build_plan(&plan("true"), &request, &mut guest, &*runner, &mut |_: Event<
            '_,
        >| {});
        let failure = failure(result);
        assert!(
            matches!(failure, StepFailure::NoShell { .. }),
            "{}: {failure:?}",
            runner.name()
        );
        assert_eq!(left_in(directory.path()), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn a_kill_at_any_point_leaves_packages_that_are_whole_or_none() {
    let Some(runner) = runners().into_iter().next() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let script = "mkdir -p melange-out/x/usr/share/x && cd melange-out/x/usr/share/x\n\
                  seq 2000 | xargs touch; head -c 20000000 /dev/urandom >noise";
    let index = directory.path().join("out/x86_64/APKINDEX.tar.gz");
    for milliseconds in [0, 20, 60, 120, 250, 400, 600, 800, 1000, 1500] {
        let mut child = start_child(directory.path(), &runner, script);
        thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let packages = left_in(directory.path())
            .into_iter()
            .filter(|path| path.extension().is_some_and(|kind| kind == "apk"));
        for package in packages {
            let mut file = fs::File::open(&package).unwrap();
            let size = file.metadata().unwrap().len();
            let record = apk_index::record("x", &mut file, size, &apk_package::Limits::default());
            assert_eq!(record.unwrap().name, "x", "after {milliseconds} ms");
        }
        if let Ok(archive) = fs::read(&index) {
            Index::open_unverified(&archive, Index::MAX_SIZE).unwrap();
        }
    }
    build(directory.path(), script, &runner, |_| {}).unwrap();
    let mut names: Vec<_> = left_in(directory.path())
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["APKINDEX.tar.gz", "x-1-r0.apk"]);
}
