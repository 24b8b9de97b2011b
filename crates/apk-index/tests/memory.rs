//! What a parsed index costs in memory, against the bytes of its text.

#![allow(clippy::unwrap_used)]

use apk_index::{Index, MAX_PACKAGES, parse, write};
use apk_types::{Checksum, Dependency, PackageRecord};

/// The most bytes a parsed index takes for each byte of its text.
const MOST: f64 = 3.0;

fn bytes_of_parsed(text: &str) -> f64 {
    let mut packages = Vec::new();
    let allocated = allocation_counter::measure(|| packages = parse(text).unwrap());
    assert!(!packages.is_empty());
    let factor = allocated.bytes_current as f64 / text.len() as f64;
    println!("{} packages: {factor:.2} times the text", packages.len());
    factor
}

#[test]
fn a_parsed_index_takes_less_than_three_times_its_text() {
    let packages: Vec<PackageRecord> = (0..2000)
        .map(|n| PackageRecord {
            name: format!("package-{n}"),
            version: format!("1.{n}-r0"),
            arch: "x86_64".into(),
            description: format!("Does what a package of its kind does, number {n}"),
            license: "GPL-2.0-or-later".into(),
            origin: format!("package-{}", n / 4),
            maintainer: "Somebody <somebody@example.org>".into(),
            url: format!("https://example.org/package-{n}/"),
            checksum: Some(Checksum::Sha1([7; 20])),
            depends: ["so:libc.musl-x86_64.so.1", "so:libz.so.1", "busybox>=1.36"]
                .map(Dependency::lenient)
                .into(),
            provides: vec![Dependency::lenient(&format!("cmd:tool-{n}=1.{n}-r0"))],
            size: 12_345,
            installed_size: 67_890,
            build_time: Some(1_700_000_000),
            commit: "c0ffee".repeat(6),
            ..PackageRecord::default()
        })
        .collect();
    assert!(bytes_of_parsed(&write(&packages).unwrap()) < MOST);
}

/// Alpine's own index, where the conformance sets are at hand.
#[test]
fn the_parsed_index_of_alpine_takes_less_than_three_times_its_text() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/solver/repos/alpine-3.17/x86_64/APKINDEX.tar.gz"
    );
    let Ok(archive) = std::fs::read(path) else {
        eprintln!("skipped: the conformance sets are not here");
        return;
    };
    let index = Index::open_unverified(&archive, Index::MAX_SIZE).unwrap();
    assert!(bytes_of_parsed(&write(&index.packages).unwrap()) < MOST);
}

#[test]
fn a_hostile_text_takes_at_most_the_stated_multiple() {
    for piece in [
        "P:a\n\n",
        "\nP:",
        "P:\n",
        "P:a\nD:a a a a a a a a a a a a a a a a\n",
        "p:! ! !\n",
        "\n",
    ] {
        let text = piece.repeat(50_000);
        let allocated = allocation_counter::measure(|| drop(parse(&text)));
        let factor = allocated.bytes_max as f64 / text.len() as f64;
        assert!(factor < 300.0, "{piece:?}: {factor}");
    }
}

#[test]
fn there_is_a_limit_to_the_number_of_packages() {
    let text = "P:a\n\n".repeat(MAX_PACKAGES);
    let error = parse(&format!("{text}P:b\n")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more packages than the limit of 1048576"),
        "{error}"
    );
}
