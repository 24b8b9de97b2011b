//! Comparing versions, beside comparing their texts byte by byte.

#![allow(missing_docs, clippy::unwrap_used)]

use apk_types::{Dependency, Version};
use divan::{Bencher, black_box};

/// All valid versions of the test data, and pairs of them: as many as there are dependencies in a large index.
fn pairs() -> Vec<(Version, Version)> {
    let versions: Vec<Version> = include_str!("../testdata/versions.txt")
        .lines()
        .filter_map(|line| Version::parse(line).ok())
        .collect();
    let count = versions.len();
    let pair = |n: usize| {
        (
            versions[n % count].clone(),
            versions[(n * 7 + n / count) % count].clone(),
        )
    };
    (0..100_000).map(pair).collect()
}

#[divan::bench]
fn compares_100_000_pairs(bencher: Bencher<'_, '_>) {
    let pairs = pairs();
    bencher.bench_local(|| pairs.iter().filter(|(a, b)| black_box(a) < black_box(b)).count());
}

#[divan::bench]
fn yardstick_texts_of_100_000_pairs(bencher: Bencher<'_, '_>) {
    let pairs = pairs();
    bencher.bench_local(|| {
        let less = |pair: &&(Version, Version)| black_box(pair.0.as_str()) < black_box(pair.1.as_str());
        pairs.iter().filter(less).count()
    });
}

#[divan::bench]
fn parses_100_000_versions(bencher: Bencher<'_, '_>) {
    let pairs = pairs();
    bencher.bench_local(|| {
        pairs
            .iter()
            .filter(|(a, _)| Version::parse(a.as_str()).is_ok())
            .count()
    });
}

#[divan::bench]
fn parses_100_000_dependencies(bencher: Bencher<'_, '_>) {
    let texts: Vec<String> = pairs()
        .iter()
        .map(|(a, _)| format!("so:libexample.so>={a}"))
        .collect();
    bencher.bench_local(|| {
        texts
            .iter()
            .filter(|text| Dependency::parse(text).is_ok())
            .count()
    });
}

fn main() {
    divan::main();
}
