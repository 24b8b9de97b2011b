//! Whole builds with a runner that runs scripts on the host, in the workspace.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use apk_index::Index;
use apk_package::{Keyring, PrivateKey, SignaturePolicy};
use apk_types::{Arch, PackageRecord};
use melange::{
    BuildError, BuildReport, BuildRequest, Copyright, Event, FileCapability, GuestTree, PackagePlan, Plan,
    SigningKey, build_plan,
};
use melange_pipeline::runner::{
    Command, ExitStatus, GuestPath, HostPath, OutputSink, Runner, RunnerError, Session, SessionSpec, Step,
    Stream, Unavailable,
};
use tarball::Kind;

/// Runs scripts on the host with the workspace's path in the place of the guest's.
struct HostRunner;

struct HostSession(SessionSpec);

impl Runner for HostRunner {
    fn name(&self) -> &'static str {
        "host"
    }

    fn check(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    fn start(&self, spec: SessionSpec) -> Result<Box<dyn Session>, RunnerError> {
        Ok(Box::new(HostSession(spec)))
    }
}

impl Session for HostSession {
    fn exec(&mut self, command: &Command, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError> {
        let workspace = self.0.mounts[0].source.to_string();
        let script = command.argv[2]
            .replace("/home/build", &workspace)
            .replace("set -eo pipefail", "set -e");
        let mut shell = process::Command::new("/bin/sh");
        shell
            .args(["-c", &script])
            .env_clear()
            .envs(&self.0.environment)
            .env("PATH", "/usr/bin:/bin");
        let output = shell.output().unwrap();
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            sink.line(Stream::Stderr, line);
        }
        Ok(ExitStatus::Code(output.status.code().unwrap()))
    }

    fn attach(&mut self, _: &Command) -> Result<ExitStatus, RunnerError> {
        Ok(ExitStatus::Code(1))
    }

    fn copy_in(&mut self, _: &HostPath, _: &GuestPath) -> Result<(), RunnerError> {
        Ok(())
    }

    fn copy_out(&mut self, _: &GuestPath, _: &HostPath) -> Result<(), RunnerError> {
        Ok(())
    }
}

fn package(name: &str, script: &str) -> PackagePlan {
    PackagePlan {
        name: name.to_owned(),
        steps: vec![Step {
            enabled: true,
            runs: script.to_owned(),
            ..Step::default()
        }],
        ..PackagePlan::default()
    }
}

fn plan(packages: Vec<PackagePlan>) -> Plan {
    Plan {
        version: "1.2-r3".to_owned(),
        packages,
        copyright: vec![Copyright {
            license: "MIT".to_owned(),
            ..Copyright::default()
        }],
        ..Plan::default()
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

struct Lab {
    dir: tempfile::TempDir,
    key: SigningKey,
}

impl Lab {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            key: SigningKey::new(PrivateKey::generate(2048).unwrap(), "lab.rsa.pub"),
        }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out/x86_64")
    }

    fn build(&self, plan: &Plan, change: impl FnOnce(&mut BuildRequest)) -> Result<BuildReport, BuildError> {
        let mut request = BuildRequest::new(
            Arch::X86_64,
            self.dir.path().join("out"),
            self.dir.path().join("scratch"),
        );
        request.signing_key = Some(self.key.clone());
        change(&mut request);
        let mut guest = |root: &Path, _: bool| {
            fs::create_dir(root.join("etc"))?;
            fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
            fs::write(root.join("etc/group"), "root:x:0:\n")?;
            Ok(GuestTree {
                record: "package:\n  name: x\n".to_owned(),
                packages: vec!["base=1-r0".to_owned()],
                left_out: Vec::new(),
                shared: Vec::new(),
            })
        };
        build_plan(plan, &request, &mut guest, &HostRunner, &mut |_: Event<'_>| {})
    }

    fn open(&self, name: &str) -> apk_package::VerifiedPackage {
        let mut keyring = Keyring::new(SignaturePolicy::default());
        keyring.insert(self.key.name(), self.key.private_key().public_key());
        let file = fs::read(self.out().join(format!("{name}-1.2-r3.apk"))).unwrap();
        let expected = apk_package::Expected::signed(name, &keyring);
        apk_package::open(file.into(), &expected, &apk_package::Limits::default()).unwrap()
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        let list = |directory: PathBuf| fs::read_dir(directory).into_iter().flatten().flatten();
        let scratch = list(self.dir.path().join("scratch")).map(|entry| entry.path());
        let hidden = list(self.out()).filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
        scratch.chain(hidden.map(|entry| entry.path())).collect()
    }
}

#[test]
fn packages_are_split_signed_and_indexed() {
    let lab = Lab::new();
    let main = "d=/home/build/melange-out/tool; mkdir -p $d/usr/bin $d/usr/share/doc\n\
                printf '#!/bin/bash\\n' >$d/usr/bin/tool; chmod 755 $d/usr/bin/tool; ln -s tool $d/usr/bin/alias\n\
                echo doc >$d/usr/share/doc/x; chmod 644 $d/usr/share/doc/x";
    let doc = "mkdir -p /home/build/melange-out/tool-doc/usr/share\n\
               mv /home/build/melange-out/tool/usr/share/doc /home/build/melange-out/tool-doc/usr/share/doc";
    let mut plan = plan(vec![package("tool", main), package("tool-doc", doc)]);
    plan.packages[0]
        .scripts
        .insert(".post-install".to_owned(), "#!/bin/sh\n".to_owned());
    plan.packages[0].runtime = vec!["so:libc.so".to_owned()];
    plan.packages[0].file_capabilities.insert(
        "/usr/bin/tool".to_owned(),
        FileCapability {
            effective: 1,
            permitted: 1,
            inheritable: 0,
        },
    );
    let report = lab.build(&plan, |_| {}).unwrap();
    assert_eq!(report.packages.len(), 2);
    assert_eq!(lab.leftovers(), Vec::<PathBuf>::new());

    let tool = lab.open("tool");
    let control: Vec<_> = tool
        .control
        .iter()
        .map(|entry| entry.header.path.as_str())
        .collect();
    assert_eq!(control, [".PKGINFO", ".melange.yaml", ".post-install"]);
    let data: Vec<_> = tool
        .data
        .iter()
        .map(|entry| {
            (
                entry.header.path.as_str(),
                entry.header.mode,
                entry.header.uname.as_str(),
            )
        })
        .collect();
    assert_eq!(
        data,
        [
            ("usr", 0o755, "root"),
            ("usr/bin", 0o755, "root"),
            ("usr/bin/alias", 0o777, "root"),
            ("usr/bin/tool", 0o755, "root"),
            ("usr/share", 0o755, "root"),
            ("var", 0o755, "root"),
            ("var/lib", 0o755, "root"),
            ("var/lib/db", 0o755, "root"),
            ("var/lib/db/sbom", 0o755, "root"),
            ("var/lib/db/sbom/tool-1.2-r3.spdx.json", 0o644, "root"),
        ]
    );
    let program = tool
        .data
        .iter()
        .find(|entry| entry.header.path == "usr/bin/tool")
        .unwrap();
    assert_eq!(program.header.kind, Kind::Regular);
    assert_eq!(
        program.header.pax["SCHILY.xattr.security.capability"][..8],
        [1, 0, 0, 3, 1, 0, 0, 0]
    );
    let texts = |dependencies: &[apk_types::Dependency]| -> Vec<String> {
        dependencies
            .iter()
            .map(|dependency| dependency.as_str().to_owned())
            .collect()
    };
    assert_eq!(texts(&tool.info.depends), ["cmd:bash", "so:libc.so"]);
    assert_eq!(texts(&tool.info.provides), ["cmd:tool=1.2-r3"]);
    let files: u64 = tool.data.iter().map(|entry| entry.header.size).sum();
    assert_eq!(tool.info.installed_size, files + "tool".len() as u64 + 8 * 4096);
    assert_eq!(lab.open("tool-doc").info.origin, "tool");

    let index = fs::read(lab.out().join("APKINDEX.tar.gz")).unwrap();
    let mut keyring = Keyring::new(SignaturePolicy::default());
    keyring.insert(lab.key.name(), lab.key.private_key().public_key());
    let index = Index::open(&index, &keyring, Index::MAX_SIZE).unwrap();
    assert_eq!(index.packages[0].checksum, Some(tool.control_checksum));
    // The index does not hold the hash of the data section.
    let records = report.packages.into_iter().map(|(_, record)| PackageRecord {
        data_hash: String::new(),
        ..record
    });
    assert_eq!(index.packages, records.collect::<Vec<_>>());
}

#[test]
fn the_same_build_gives_the_same_bytes_and_one_entry_in_the_index() {
    let lab = Lab::new();
    let plan = plan(vec![package(
        "x",
        "mkdir -p /home/build/melange-out/x/usr; date +%N >/dev/null",
    )]);
    let read = || fs::read(lab.out().join("x-1.2-r3.apk")).unwrap();
    lab.build(&plan, |_| {}).unwrap();
    let first = read();
    lab.build(&plan, |_| {}).unwrap();
    assert!(first == read());
    let index = fs::read(lab.out().join("APKINDEX.tar.gz")).unwrap();
    assert_eq!(
        Index::open_unverified(&index, Index::MAX_SIZE)
            .unwrap()
            .packages
            .len(),
        1
    );
}

#[test]
fn a_failing_step_leaves_nothing_behind() {
    let lab = Lab::new();
    let plan = plan(vec![
        package("x", "true"),
        package("x-sub", "echo why >&2; exit 3"),
    ]);
    let error = chain(&lab.build(&plan, |_| {}).unwrap_err());
    assert!(
        error.contains("`x-sub`") && error.contains("exit status 3") && error.contains("why"),
        "{error}"
    );
    assert!(!lab.out().exists());
    assert_eq!(lab.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_required_linter_fails_the_build_unless_the_package_disables_it() {
    let lab = Lab::new();
    let script = "mkdir -p /home/build/melange-out/x/tmp; echo >/home/build/melange-out/x/tmp/left";
    let mut plan = plan(vec![package("x", script)]);
    let error = lab.build(&plan, |_| {}).unwrap_err().to_string();
    assert!(
        error.contains("linter tempdir") && error.contains("tmp/left"),
        "{error}"
    );
    assert!(!lab.out().exists());
    plan.packages[0].disabled_linters.push("tempdir".to_owned());
    lab.build(&plan, |_| {}).unwrap();
}

#[test]
fn a_name_that_leaves_the_directory_is_refused() {
    let lab = Lab::new();
    for name in ["../x", "", ".x", "a/b"] {
        let error = lab.build(&plan(vec![package(name, "true")]), |_| {}).unwrap_err();
        assert!(matches!(error, BuildError::Configuration { .. }), "{error}");
    }
}

#[test]
fn a_step_cannot_make_the_build_write_through_a_link() {
    let lab = Lab::new();
    let outside = lab.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let script = format!("ln -s {} /home/build/melange-out/x-sub", outside.display());
    let plan = plan(vec![package("x", &script), package("x-sub", "true")]);
    let error = lab.build(&plan, |_| {}).unwrap_err();
    assert!(matches!(error, BuildError::Configuration { .. }), "{error}");
}

#[test]
fn time_and_sources_come_from_the_request() {
    let lab = Lab::new();
    let sources = lab.dir.path().join("sources");
    fs::create_dir(&sources).unwrap();
    fs::write(sources.join("file"), "content").unwrap();
    let script = "mkdir -p /home/build/melange-out/x/usr; cp file /home/build/melange-out/x/usr/\n\
                  echo $SOURCE_DATE_EPOCH >/home/build/melange-out/x/usr/time";
    lab.build(&plan(vec![package("x", script)]), |request| {
        request.source = melange::Source::Directory {
            path: sources,
            ignore_file: ".melangeignore".to_owned(),
        };
        request.source_date_epoch = 86_400;
    })
    .unwrap();
    let package = lab.open("x");
    assert!(package.data.iter().all(|entry| entry.header.mtime == 86_400));
    let content = |path: &str| {
        let entry = package
            .data
            .iter()
            .find(|entry| entry.header.path == path)
            .unwrap();
        entry.content.clone()
    };
    assert_eq!(&content("usr/file")[..], b"content");
    assert_eq!(&content("usr/time")[..], b"86400\n");
    assert_eq!(package.info.build_date, Some(86_400));
}
