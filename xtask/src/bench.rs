//! `cargo xtask bench`: the benches of the package layer, as ratios to what runs beside them.

use std::fs;
use std::path::Path;
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

const BENCHES: [Bench; 3] = [
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
];

/// How often the commands are run; the shortest time counts, since others can only make it longer.
const RUNS: usize = 5;

pub(crate) fn command(peer: Option<&Path>) -> Outcome {
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
    match peer {
        Some(peer) => show_packages(peer),
        None => Ok(()),
    }
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

/// `show-packages` of one package out of 30,000: what it takes to verify and parse a large index.
fn show_packages(peer: &Path) -> Outcome {
    let directory = tempfile::tempdir()?;
    let key = PrivateKey::generate(2048)?;
    let repository = directory.path().join("repository");
    fs::create_dir_all(repository.join("x86_64"))?;
    let public = directory.path().join("bench.rsa.pub");
    fs::write(&public, key.public_key().to_pem()?)?;
    let packages = (0..30_000).map(package).collect();
    let archive = Index {
        packages,
        ..Index::default()
    }
    .to_archive()?;
    let archive = apk_index::sign(&archive, &key, "bench.rsa.pub")?;
    fs::write(repository.join("x86_64/APKINDEX.tar.gz"), archive)?;
    let configuration = directory.path().join("bench.yaml");
    fs::write(
        &configuration,
        format!(
            "contents:\n  repositories: [{}]\n  keyring: [{}]\n  packages: [package-29999]\narchs: [x86_64]\n",
            repository.display(),
            public.display()
        ),
    )?;
    let ours = Binaries::build()?.apko;
    let time = |apko: &Path| -> Outcome<Duration> {
        let mut shortest = Duration::MAX;
        for _ in 0..RUNS {
            let cache = directory.path().join("cache");
            let mut command = Command::new(apko);
            command
                .arg("show-packages")
                .arg(&configuration)
                .arg("--cache-dir")
                .arg(cache);
            let start = Instant::now();
            printed(&mut command)?;
            shortest = shortest.min(start.elapsed());
        }
        Ok(shortest)
    };
    println!("apko show-packages, an index of 30,000 packages");
    println!("{}", row("ours", time(&ours)?, "the other", time(peer)?));
    Ok(())
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
