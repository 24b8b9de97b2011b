//! `cargo xtask analysis`: what the analysis finds in packages of others, against what those say of themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use apk_package::{Expected, Limits, VerifiedPackage, open};
use melange_analyze::{Declared, MemoryTree, Options, Package, PackageTree, analyze, merge};
use tarball::Kind;

use crate::conformance::SETS;
use crate::tools::{At as _, require, run};
use crate::{Outcome, root};

/// What is compared: entries that the analysis makes, not those that somebody wrote.
const GENERATED: [&str; 3] = ["so:", "cmd:", "pc:"];

/// Where the analysis says something else than Alpine's, by the package and the entry's beginning, and why that is meant.
/// `docs/melange/analysis.md` tells the same.
const MEANT: [(&str, &str, &str); 2] = [
    (
        "zlib-",
        "so:libz.so.1=",
        "Alpine takes the version from the file's name, melange from the soname",
    ),
    (
        "busybox-binsh-",
        "cmd:sh=",
        "a symbolic link is a command to Alpine, to melange only a regular file is",
    ),
];

/// Compares all ELF files of a repository's packages with what `readelf` says or, without one, the dependencies of the
/// Alpine packages beside the project with their `.PKGINFO`.
pub(crate) fn command(repository: Option<&Path>) -> Outcome {
    match repository {
        Some(repository) => elf_files(repository),
        None => alpine(),
    }
}

/// The packages below a directory, in their order.
fn packages(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).at(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(packages(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "apk") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Unpacks every package and has the test of the analysis look at what lies there.
fn elf_files(repository: &Path) -> Outcome {
    require(&[("readelf", "binutils")])?;
    let files = packages(repository)?;
    let directory = tempfile::tempdir()?;
    for file in &files {
        let home = directory.path().join(file.file_stem().unwrap_or_default());
        fs::create_dir(&home).at(&home)?;
        let mut tar = Command::new("tar");
        tar.args([
            "--extract",
            "--ignore-zeros",
            "--no-same-owner",
            "--exclude=dev/*",
        ])
        .args(["--warning=no-unknown-keyword", "--file"])
        .arg(file);
        run(tar.arg("--directory").arg(&home))?;
    }
    println!("{} packages", files.len());
    let mut test = Command::new("cargo");
    test.args(["test", "--release", "--locked", "--package", "melange-analyze"])
        .args(["--test", "readelf", "--", "--nocapture"])
        .env("ELF_FILES", directory.path());
    run(test.current_dir(root()).stdin(Stdio::null()))
}

/// Says in what the generated entries of each package differ; fails where that is not meant.
fn alpine() -> Outcome {
    let repository = root().join(SETS).join("image/repos/alpine");
    if !repository.is_dir() {
        println!("skipped: the packages do not lie at {}", repository.display());
        return Ok(());
    }
    let (mut compared, mut unexplained) = (0, 0);
    for file in packages(&repository)? {
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bytes = fs::read(&file).at(&file)?;
        let package = open(bytes.into(), &Expected::anything(&name), &Limits::default())?;
        let (ours, theirs) = (generated(&package)?, said(&package));
        compared += theirs.len();
        for entry in ours.symmetric_difference(&theirs) {
            let who = if ours.contains(entry) { "this" } else { "Alpine" };
            let is_meant = |(package, beginning, _): &&(&str, &str, &str)| {
                name.starts_with(package) && entry.1.starts_with(beginning)
            };
            let why = MEANT.iter().find(is_meant);
            unexplained += usize::from(why.is_none());
            let why = why.map_or("NOT EXPLAINED", |(_, _, why)| why);
            println!(
                "{name} {} {} {}: only {who} says so; {why}",
                package.info.arch, entry.0, entry.1
            );
        }
    }
    println!("{compared} entries compared");
    match unexplained {
        0 => Ok(()),
        count => Err(format!("{count} differences are not explained").into()),
    }
}

/// Entries with the verb that they go with.
type Entries = BTreeSet<(&'static str, String)>;

fn entries(
    verb: &'static str,
    texts: impl Iterator<Item = String>,
) -> impl Iterator<Item = (&'static str, String)> {
    texts
        .filter(|text| GENERATED.iter().any(|prefix| text.starts_with(prefix)))
        .map(move |text| (verb, text))
}

/// What the package's `.PKGINFO` says.
fn said(package: &VerifiedPackage) -> Entries {
    let needs = package.info.depends.iter().map(ToString::to_string);
    let provides = package.info.provides.iter().map(ToString::to_string);
    entries("needs", needs)
        .chain(entries("provides", provides))
        .collect()
}

/// What the analysis finds in its files.
fn generated(package: &VerifiedPackage) -> Outcome<Entries> {
    let mut tree = MemoryTree::default();
    for entry in &package.data {
        let path = entry.header.path.trim_end_matches('/');
        match entry.header.kind {
            Kind::Regular => tree.file(path, entry.header.mode, entry.content.to_vec()),
            Kind::Directory => tree.directory(path, entry.header.mode),
            Kind::Symlink => tree.symlink(path, &entry.header.link),
            _ => {}
        }
    }
    let name = package.info.name.as_str();
    let declared = Declared::default();
    let found = analyze(&Package {
        name,
        version: &package.info.version,
        options: Options::default(),
        declared: &declared,
        packages: &[(name, &tree as &dyn PackageTree)],
    })?;
    // What a package provides itself it does not need of others.
    let found = merge(&declared, found);
    let needs = entries("needs", found.runtime.into_iter());
    Ok(needs
        .chain(entries("provides", found.provides.into_iter()))
        .collect())
}
