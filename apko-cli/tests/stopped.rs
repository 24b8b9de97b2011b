//! Builds that something stops: a signal, a full disk, a directory that nobody may write to.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{Place, refusal};
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Fault, Package, Server};

const CONFIGURATION: &str = "contents: {packages: [large]}";

/// A package that compresses badly, of so many bytes.
fn large(bytes: usize) -> Package {
    let mut state = 1_u32;
    let text = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (state >> 25) as u8 % 90)
    };
    let content: String = (0..bytes).map(text).collect();
    Package::new("large", "1.0-r0").file("usr/share/large", 0o644, &content)
}

fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Sends a signal, and gives the exit status; none if the signal itself ended the process.
fn end(mut child: Child, signal: Signal) -> Option<i32> {
    // Whoever ended already has no use for it.
    let _ = kill_process(Pid::from_child(&child), signal);
    child.wait().unwrap().code()
}

/// Stops a command while it waits for the rest of a package.
fn stopped_amid_a_package(place: &Place, apko: &mut Command, server: &Server, signal: Signal) -> Option<i32> {
    server.always("/x86_64/large-1.0-r0.apk", Fault::Stall(1000));
    let cache = tempfile::tempdir().unwrap();
    let child = start(apko.arg("--cache-dir").arg(cache.path()));
    let is_asked = || {
        let mut requests = server.requests().into_iter();
        requests.any(|request| request.target.ends_with(".apk"))
    };
    while !is_asked() {
        sleep(Duration::from_millis(5));
    }
    let status = end(child, signal);
    assert!(!place.output().exists());
    status
}

#[test]
fn an_interrupt_while_a_package_comes_leaves_nothing() {
    let place = Place::new(&[large(1 << 20)]);
    for (signal, status) in [
        (Signal::INT, Some(130)),
        (Signal::TERM, Some(130)),
        (Signal::KILL, None),
    ] {
        let server = Server::start(place.repository.path());
        let mut apko = place.build_from(CONFIGURATION, &server.url(), &place.output());
        assert_eq!(stopped_amid_a_package(&place, &mut apko, &server, signal), status);
        if signal != Signal::KILL {
            assert_eq!(place.left(), [""; 0], "{signal:?}");
        }
    }
}

#[test]
fn an_interrupted_file_tree_leaves_nothing() {
    let place = Place::new(&[large(1 << 20)]);
    fs::write(place.path("apko.yaml"), CONFIGURATION).unwrap();
    for command in ["build-minirootfs", "build-cpio"] {
        let server = Server::start(place.repository.path());
        let mut apko = Command::new(env!("CARGO_BIN_EXE_apko"));
        apko.arg(command).arg(place.path("apko.yaml")).arg(place.output());
        apko.args(["--build-arch", "x86_64", "--quiet", "--keyring-append"])
            .arg(place.repository.key());
        apko.args(["--build-repository-append", &server.url()]);
        let status = stopped_amid_a_package(&place, &mut apko, &server, Signal::INT);
        assert_eq!(status, Some(130), "{command}");
        assert_eq!(place.left(), [""; 0], "{command}");
    }
}

#[test]
fn a_signal_at_any_moment_leaves_a_whole_archive_or_none() {
    let place = Place::new(&[large(8 << 20)]);
    for signal in [Signal::INT, Signal::KILL] {
        for milliseconds in (0..400).step_by(25) {
            let child = start(&mut place.build(CONFIGURATION));
            sleep(Duration::from_millis(milliseconds));
            end(child, signal);
            if let Ok(archive) = fs::read(place.output()) {
                let members = tarball::read(archive.into(), &tarball::Limits::default()).unwrap();
                assert!(members.iter().any(|member| member.header.path == "manifest.json"));
                fs::remove_file(place.output()).unwrap();
            }
            let left = place.left();
            if signal == Signal::KILL {
                assert!(left.iter().all(|name| name.starts_with(".apko-")), "{left:?}");
                fs::remove_dir_all(place.path("out")).unwrap();
                fs::create_dir(place.path("out")).unwrap();
            } else {
                assert_eq!(left, [""; 0], "after {milliseconds} ms");
            }
        }
    }
}

/// A command in a sandbox where all is as here, but for what the options say; none where there is no bubblewrap.
fn sandboxed(options: &[&str], directory: &Path, command: &Command) -> Option<Command> {
    let works = Command::new("bwrap").args(["--bind", "/", "/", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        eprintln!("skipped: bubblewrap does not work here");
        return None;
    }
    let mut bwrap = Command::new("bwrap");
    bwrap.args(["--bind", "/", "/", "--dev-bind", "/dev", "/dev"]);
    bwrap.args(options).arg(directory);
    if options.contains(&"--ro-bind") {
        bwrap.arg(directory);
    }
    // What is left is seen inside alone.
    let script = "\"$@\"; status=$?; ls -A \"$LOOK\" >&2; exit $status";
    bwrap.env("LOOK", directory).args(["sh", "-c", script, "sh"]);
    bwrap.arg(command.get_program()).args(command.get_args());
    bwrap.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        bwrap.env(name, value.unwrap());
    }
    Some(bwrap)
}

#[test]
fn a_full_disk_is_named_and_left_empty() {
    let place = Place::new(&[large(4 << 20)]);
    let options = ["--size", "1000000", "--tmpfs"];
    for (format, flag) in [("tar.gz", "--format=tar"), ("erofs", "--format=erofs")] {
        let mut apko = place.build(CONFIGURATION);
        apko.arg(flag);
        let Some(mut apko) = sandboxed(&options, &place.path("out"), &apko) else {
            return;
        };
        let said = refusal(&apko.output().unwrap());
        let (error, left) = said.split_once('\n').unwrap();
        assert!(
            error.contains("/out/") && error.contains("No space left"),
            "{format}: {said}"
        );
        assert_eq!(left.trim(), "", "{format}");
    }
}

#[test]
fn a_full_cache_is_named_and_the_output_not_begun() {
    let place = Place::new(&[large(4 << 20)]);
    fs::create_dir(place.path("cache")).unwrap();
    let options = ["--size", "1000000", "--tmpfs"];
    let Some(mut apko) = sandboxed(&options, &place.path("cache"), &place.build(CONFIGURATION)) else {
        return;
    };
    let said = refusal(&apko.output().unwrap());
    assert!(
        said.contains("/cache/apko/") && said.contains("No space left"),
        "{said}"
    );
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_directory_that_nobody_may_write_to_is_named() {
    let place = Place::new(&[large(1000)]);
    let table = [
        ("out", "/out/"),
        ("out/image.tar", "/out/image.tar"),
        ("out/new/image.tar", "/out/new/image.tar"),
    ];
    for (output, named) in table {
        let repository = place.repository.location();
        let apko = place.build_from(CONFIGURATION, &repository, &place.path(output));
        let Some(mut apko) = sandboxed(&["--ro-bind"], &place.path("out"), &apko) else {
            return;
        };
        let said = refusal(&apko.output().unwrap());
        assert!(said.contains(named), "{output}: {said}");
        assert_eq!(place.left(), [""; 0]);
    }
}
