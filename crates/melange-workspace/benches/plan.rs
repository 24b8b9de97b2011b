//! What a plan costs, cold and when nothing changed: of workspaces that are made here, and of the conformance set where it lies
//! beside the project. What these need from elsewhere is in an index of packages that do not exist.
//!
//! `cargo bench -p melange-workspace` prints a row for each: configurations, seconds cold, seconds again, and the most
//! memory.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use apk_index::Index;
use apk_types::{Dependency, PackageRecord, Version};
use apko::Policy;
use build_graph::{Options, Step};
use melange_workspace::settings::RunnerKind;
use melange_workspace::{Session, Workspace};

const PLAN: &str = "plan-in";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, directory] = &arguments[..]
        && command == PLAN
    {
        return plan_in(Path::new(directory));
    }
    println!("configurations   cold s   again s   memory MB (cold, again)");
    for count in [500, 1000, 2199, 20_000] {
        let directory = tempfile::tempdir().unwrap();
        synthetic(directory.path(), count);
        measure(&count.to_string(), directory.path());
    }
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/compile/corpus.tar.zst");
    if archive.exists() {
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new("tar")
            .arg("--zstd")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(directory.path())
            .status();
        assert!(status.unwrap().success());
        surround(directory.path());
        measure("conformance set", directory.path());
    }
}

/// Runs plans in processes of their own: one with nothing remembered, one with all of it.
fn measure(name: &str, directory: &Path) {
    let _ = fs::remove_dir_all(directory.join(melange_workspace::STATE));
    let run = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg(PLAN)
            .arg(directory)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        let numbers: Vec<f64> = text
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        (numbers[0], numbers[1])
    };
    // Files that were just written are not trusted yet.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let (cold, cold_memory) = run();
    let (again, again_memory) = run();
    println!("{name:>15} {cold:>7.2} {again:>9.2} {cold_memory:>10.0} {again_memory:>8.0}");
}

fn plan_in(directory: &Path) {
    let start = Instant::now();
    let workspace = Workspace::open(directory).unwrap();
    let opened = start.elapsed();
    let policy = Policy::default();
    let session = Session::open(&workspace, &policy, RunnerKind::Native).unwrap();
    let solved = start.elapsed();
    let options = Options {
        threads: std::thread::available_parallelism().unwrap(),
        ..Options::default()
    };
    let plan = session.plan(&workspace.nodes(), &options).unwrap();
    let planned = start.elapsed();
    session.save();
    let took = start.elapsed();
    eprintln!(
        "  opened {:.2} ({} compiled), solved {:.2} ({}), planned {:.2}, saved {:.2}; {} of {} nodes to build",
        opened.as_secs_f64(),
        workspace.opened.compiled,
        (solved - opened).as_secs_f64(),
        session.solved(),
        (planned - solved).as_secs_f64(),
        (took - planned).as_secs_f64(),
        plan.builds().count(),
        plan.nodes.len()
    );
    for (node, step) in plan
        .nodes
        .iter()
        .filter(|_| std::env::var_os("FAILURES").is_some())
    {
        if let Step::Fail(failure) = step {
            eprintln!("{node}: {failure}");
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("{} {}", took.as_secs_f64(), kilobytes / 1000.0);
}

/// Makes a workspace in which each package needs some that come before it.
fn synthetic(directory: &Path, count: usize) {
    for n in 0..count {
        let needs = [n / 2, n / 3, n.saturating_sub(7)]
            .iter()
            .filter(|other| **other < n)
            .map(|other| format!("lib-{other}-dev"))
            .collect::<BTreeSet<_>>();
        let needs = needs
            .into_iter()
            .map(|name| format!(", {name}"))
            .collect::<String>();
        let text = format!(
            "package:\n  name: lib-{n}\n  version: 1.{n}\n  epoch: 0\n  description: number {n}\n  copyright:\n    - license: MIT\n\
             environment:\n  contents:\n    packages: [build-base, busybox{needs}]\npipeline:\n  - uses: autoconf/configure\n  - uses: autoconf/make\n  \
             - uses: autoconf/make-install\n  - uses: strip\nsubpackages:\n  - name: lib-{n}-dev\n    pipeline:\n      - uses: split/dev\n    \
             dependencies:\n      runtime: [lib-{n}]\n  - name: lib-{n}-doc\n    pipeline:\n      - uses: split/manpages\ntest:\n  pipeline:\n    - runs: lib-{n} --version\n"
        );
        fs::write(directory.join(format!("lib-{n}.yaml")), text).unwrap();
    }
    surround(directory);
}

/// Makes an index of all that the configurations of a directory ask for and that none of them is, one of what all of them
/// are, for circles, and a `workspace.yaml` that names both.
fn surround(directory: &Path) {
    let settings =
        "architectures: [x86_64]\nkeyring: [outside/key.rsa.pub]\nrepositories: [outside]\nseed: [seed]\n";
    fs::write(directory.join("workspace.yaml"), settings).unwrap();
    let workspace = Workspace::open(directory).unwrap();
    // The versions in which the workspace itself has a name.
    let mut own: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut asked = Vec::new();
    let mut seed = Vec::new();
    for definition in &workspace.definitions {
        asked.extend(definition.environment.packages.iter().cloned());
        asked.extend(
            definition
                .tests
                .iter()
                .flat_map(|test| test.environment.packages.iter().cloned()),
        );
        for package in &definition.packages {
            let versions = own.entry(package.name.clone()).or_default();
            versions.push(definition.version.clone());
            for entry in &package.provides {
                let entry = Dependency::lenient(entry);
                let versions = own.entry(entry.name().to_owned()).or_default();
                versions.extend(entry.version().map(str::to_owned));
            }
            asked.extend(package.depends.iter().cloned());
            seed.push(PackageRecord {
                name: package.name.clone(),
                version: definition.version.clone(),
                provides: package
                    .provides
                    .iter()
                    .map(|entry| Dependency::lenient(entry))
                    .collect(),
                ..record()
            });
        }
    }
    let mut outside: BTreeMap<(String, String), PackageRecord> = BTreeMap::new();
    for entry in asked {
        let entry = Dependency::lenient(&entry);
        let accepts = |text: &String| Version::parse(text).is_ok_and(|version| entry.accepts(&version));
        let has = |versions: &Vec<String>| entry.constraint().is_none() || versions.iter().any(accepts);
        if entry.is_conflict() || own.get(entry.name()).is_some_and(has) {
            continue;
        }
        let version = version_for(&entry, accepts);
        let number = outside.len();
        let made = match entry.name().contains(':') {
            false => PackageRecord {
                name: entry.name().to_owned(),
                version: version.clone(),
                ..record()
            },
            true => PackageRecord {
                name: format!("provider-{number}"),
                version: version.clone(),
                provides: vec![Dependency::lenient(&format!("{}={version}", entry.name()))],
                ..record()
            },
        };
        outside.insert((entry.name().to_owned(), version), made);
    }
    write_index(&directory.join("outside"), outside.into_values().collect());
    write_index(&directory.join("seed"), seed);
    let _ = fs::remove_dir_all(directory.join(melange_workspace::STATE));
}

/// A version that is accepted where one is asked for.
fn version_for(entry: &Dependency, accepts: impl Fn(&String) -> bool) -> String {
    let asked = entry.version().unwrap_or("1.0-r0");
    let (base, release) = asked.split_once("-r").unwrap_or((asked, "0"));
    let tried = [
        asked.to_owned(),
        format!("{asked}-r0"),
        format!("{base}.1-r{release}"),
        "0-r0".to_owned(),
    ];
    tried
        .into_iter()
        .find(accepts)
        .unwrap_or_else(|| "1.0-r0".to_owned())
}

fn record() -> PackageRecord {
    PackageRecord {
        arch: "x86_64".to_owned(),
        checksum: Some(apk_types::Checksum::Sha1([7; 20])),
        ..PackageRecord::default()
    }
}

fn write_index(directory: &Path, packages: Vec<PackageRecord>) {
    let index = Index {
        packages,
        ..Index::default()
    };
    let archive = apk_index::sign(&index.to_archive().unwrap(), testkit::key(), "key.rsa.pub").unwrap();
    fs::create_dir_all(directory.join("x86_64")).unwrap();
    fs::write(directory.join("x86_64/APKINDEX.tar.gz"), archive).unwrap();
    fs::write(
        directory.join("key.rsa.pub"),
        testkit::key().public_key().to_pem().unwrap(),
    )
    .unwrap();
}
