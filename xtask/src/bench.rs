//! `cargo xtask bench`: the benches of the package layer, as ratios to what runs beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use apk_index::Index;
use apk_package::PrivateKey;
use apk_types::{Checksum, Dependency, PackageRecord};

use crate::tools::{Binaries, printed};
use crate::{Outcome, root};

/// A bench, and which of its measurements stands against which yardstick.
struct Bench {
    package: &'static str,
    name: &'static str,
    rows: &'static [(&'static str, &'static str)],
}

const BENCHES: [Bench; 5] = [
    Bench {
        package: "apk-types",
        name: "version",
        rows: &[("compares_100_000_pairs", "yardstick_texts_of_100_000_pairs")],
    },
    Bench {
        package: "apk-index",
        name: "index",
        rows: &[
            ("parses_the_text", "yardstick_sha256sum"),
            ("opens_the_archive", "yardstick_gzip_d"),
            ("writes_the_text", "yardstick_sha256sum"),
        ],
    },
    Bench {
        package: "apk-package",
        name: "package",
        rows: &[
            ("verifies", "yardstick_sha256sum"),
            ("opens", "yardstick_gzip_d"),
            ("reads_from_disk", "yardstick_gzip_d"),
        ],
    },
    Bench {
        package: "apko",
        name: "image",
        rows: &[
            ("stores_packages", "yardstick_gzip_d"),
            ("lays_out_the_tree", "yardstick_sha256sum"),
            ("writes_the_layer", "yardstick_gzip_1"),
        ],
    },
    Bench {
        package: "melange-config",
        name: "compile",
        rows: &[
            ("parses_100_configurations", "yardstick_sha256sum"),
            ("compiles_100_configurations", "yardstick_sha256sum"),
        ],
    },
];

pub(crate) fn command(peer: Option<&Path>) -> Outcome {
    if let Some(peer) = peer {
        show_packages(peer)?;
    }
    for Bench { package, name, rows } in BENCHES {
        let mut cargo = Command::new("cargo");
        cargo.args(["bench", "--package", package, "--bench", name]);
        let table = printed(cargo.current_dir(root()))?;
        println!("{package}, bench `{name}`");
        for (what, yardstick) in rows {
            let (took, beside) = (fastest(&table, what)?, fastest(&table, yardstick)?);
            println!("{}", row(what, took, yardstick, beside));
        }
    }
    Ok(())
}

fn row(what: &str, took: Duration, yardstick: &str, beside: Duration) -> String {
    let ratio = took.as_secs_f64() / beside.as_secs_f64();
    format!("  {what:<24} {took:>10.2?}   {ratio:>6.2} x {yardstick} ({beside:.2?})")
}

/// The fastest sample of a measurement in divan's table.
fn fastest(table: &str, name: &str) -> Outcome<Duration> {
    let missing = || format!("the bench printed no time of `{name}`");
    let line = table
        .lines()
        .find_map(|line| line.split_once(name).map(|(_, rest)| rest))
        .ok_or_else(missing)?;
    let mut words = line.split_whitespace();
    let number: f64 = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(missing)?;
    let unit = match words.next() {
        Some("ns") => 1e-9,
        Some("µs") => 1e-6,
        Some("ms") => 1e-3,
        Some("s") => 1.0,
        _ => return Err(missing().into()),
    };
    Ok(Duration::from_secs_f64(number * unit))
}

/// `show-packages` as a whole process, of both in turns with a warm cache.
fn show_packages(peer: &Path) -> Outcome {
    let ours = Binaries::build()?.apko;
    let directory = tempfile::tempdir()?;
    let one_of_many = large_index(directory.path())?;
    println!("apko show-packages, 1 of 30,000 packages");
    compare(&ours, peer, &one_of_many)?;
    let solver = root().join("../shared/conformance/solver");
    if !solver.is_dir() {
        eprintln!("skipped: Alpine's indexes are not beside the project");
        return Ok(());
    }
    let (repository, key) = (solver.join("repos/alpine-3.17"), solver.join("keys/lab.rsa.pub"));
    for asked in [1, 12, 60] {
        let file = directory.path().join(format!("alpine-{asked}.yaml"));
        configuration(&file, &repository, &key, &request(&solver, asked)?)?;
        println!("apko show-packages, {asked} packages asked for of Alpine 3.17");
        compare(&ours, peer, &file)?;
    }
    Ok(())
}

/// The packages of the first request of the conformance set that asks for so many and has an answer.
fn request(solver: &Path, asked: usize) -> Outcome<String> {
    for line in fs::read_to_string(solver.join("picks.jsonl"))?.lines() {
        let case: serde_json::Value = serde_json::from_str(line)?;
        let packages = case["packages"].as_array().map_or(&[][..], Vec::as_slice);
        if case["ok"] == true
            && case["repos"] == serde_json::json!(["alpine-3.17"])
            && packages.len() == asked
        {
            let quoted: Vec<_> = packages.iter().map(ToString::to_string).collect();
            return Ok(quoted.join(" "));
        }
    }
    Err(format!("no request asks for {asked} packages").into())
}

/// How many turns; the shortest time of each counts.
const TURNS: usize = 15;

fn compare(ours: &Path, peer: &Path, configuration: &Path) -> Outcome {
    let cache = tempfile::tempdir()?;
    let time = |apko: &Path| -> Outcome<Duration> {
        let mut command = Command::new(apko);
        command
            .arg("show-packages")
            .arg(configuration)
            .arg("--cache-dir")
            .arg(cache.path().join(apko.to_string_lossy().replace('/', "-")));
        let start = Instant::now();
        printed(&mut command)?;
        Ok(start.elapsed())
    };
    let (cold, cold_peer) = (time(ours)?, time(peer)?);
    println!("{}", row("ours, first", cold, "the other", cold_peer));
    let (mut warm, mut warm_peer) = (cold, cold_peer);
    for _ in 0..TURNS {
        warm = warm.min(time(ours)?);
        warm_peer = warm_peer.min(time(peer)?);
    }
    println!("{}", row("ours, warm", warm, "the other", warm_peer));
    Ok(())
}

/// A configuration that asks for one package of a signed index of 30,000.
fn large_index(directory: &Path) -> Outcome<PathBuf> {
    let key = PrivateKey::generate(2048)?;
    let repository = directory.join("repository");
    fs::create_dir_all(repository.join("x86_64"))?;
    let public = directory.join("bench.rsa.pub");
    fs::write(&public, key.public_key().to_pem()?)?;
    let archive = Index {
        packages: (0..30_000).map(package).collect(),
        ..Index::default()
    }
    .to_archive()?;
    let archive = apk_index::sign(&archive, &key, "bench.rsa.pub")?;
    fs::write(repository.join("x86_64/APKINDEX.tar.gz"), archive)?;
    let file = directory.join("bench.yaml");
    configuration(&file, &repository, &public, "package-29999")?;
    Ok(file)
}

fn configuration(file: &Path, repository: &Path, key: &Path, packages: &str) -> Outcome {
    let packages: Vec<_> = packages.split_whitespace().collect();
    let text = format!(
        "contents:\n  repositories: [{}]\n  keyring: [{}]\n  packages: [{}]\narchs: [x86_64]\n",
        repository.display(),
        key.display(),
        packages.join(", ")
    );
    Ok(fs::write(file, text)?)
}

fn package(number: u64) -> PackageRecord {
    let depends = match number {
        0 => vec![],
        number => vec![Dependency::lenient(&format!("package-{}", number / 2))],
    };
    let mut digest = [0; 20];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    PackageRecord {
        name: format!("package-{number}"),
        version: "1.0-r0".into(),
        arch: "x86_64".into(),
        description: format!("Does what a package of its kind does, number {number}"),
        license: "GPL-2.0-or-later".into(),
        origin: format!("package-{number}"),
        maintainer: "Somebody <somebody@example.org>".into(),
        url: format!("https://example.org/package-{number}/"),
        checksum: Some(Checksum::Sha1(digest)),
        provides: vec![Dependency::lenient(&format!("cmd:tool-{number}=1.0-r0"))],
        depends,
        size: 1000 + number,
        installed_size: 3000 + number,
        build_time: Some(1_700_000_000),
        commit: "c0ffee".repeat(6),
        ..PackageRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_out_of_the_table() {
        let table = "index           fastest       │ slowest\n├─ opens        61.41 ms      │ 156.7 ms\n╰─ quick  282.9 µs │ 1 s";
        assert_eq!(fastest(table, "opens").unwrap(), Duration::from_micros(61_410));
        assert_eq!(fastest(table, "quick").unwrap(), Duration::from_nanos(282_900));
        assert!(fastest(table, "missing").is_err());
    }
}
