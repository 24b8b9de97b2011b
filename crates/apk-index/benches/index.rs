//! Reading an index of 30,000 packages, beside what `gzip -d` and `sha256sum` take for the same bytes.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use apk_index::{Index, parse, write};
use divan::Bencher;
use tempfile::NamedTempFile;
use testkit::yardstick;

/// The text of an index like Alpine's: as many dependencies a package, and about as many bytes.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    for n in 0..30_000_u32 {
        let pick = |salt: u32| {
            n.wrapping_mul(2_654_435_761)
                .wrapping_add(salt.wrapping_mul(40_503))
                % 30_000
        };
        write!(
            text,
            "C:Q1{:08x}AAAAAAAAAAAAAAAAAAA=\nP:package-{n}\nV:{}.{}.{}-r{}\nA:x86_64\nS:{}\nI:{}\n\
             T:Does what a package of its kind does, number {n}\nU:https://example.org/projects/package-{n}/\n\
             L:GPL-2.0-or-later\no:package-{}\nm:Somebody <somebody@example.org>\nt:{}\n\
             c:{:08x}cb70ebd9dd40fb9dd7e88b7deb2cf4b9\nD:so:libc.musl-x86_64.so.1 so:lib{}.so.{} package-{}>={}.0 \
             package-{}\np:cmd:tool-{n}=1.{}-r0 so:lib{n}.so.1=1.{} pc:package-{n}=2.1\n\n",
            pick(1), n % 9, n % 31, n % 7, n % 12, pick(2), pick(3), n / 4, 1_600_000_000 + n, pick(4),
            pick(5), n % 5, pick(6), n % 3, pick(7), n % 40, n % 9,
        )
        .unwrap();
    }
    text
});

static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let packages = parse(&TEXT).unwrap();
    Index {
        packages,
        ..Index::default()
    }
    .to_archive()
    .unwrap()
});

#[divan::bench]
fn parses_the_text(bencher: Bencher<'_, '_>) {
    LazyLock::force(&TEXT);
    bencher.bench(|| parse(&TEXT).unwrap());
}

#[divan::bench]
fn opens_the_archive(bencher: Bencher<'_, '_>) {
    LazyLock::force(&ARCHIVE);
    bencher.bench(|| Index::open_unverified(&ARCHIVE, Index::MAX_SIZE).unwrap());
}

#[divan::bench]
fn writes_the_text(bencher: Bencher<'_, '_>) {
    let packages = parse(&TEXT).unwrap();
    bencher.bench(|| write(&packages).unwrap());
}

#[divan::bench]
fn yardstick_gzip_d(bencher: Bencher<'_, '_>) {
    let file = file(&ARCHIVE);
    bencher.bench(|| yardstick(&["gzip", "-dc"], file.path()));
}

#[divan::bench]
fn yardstick_sha256sum(bencher: Bencher<'_, '_>) {
    let file = file(TEXT.as_bytes());
    bencher.bench(|| yardstick(&["sha256sum"], file.path()));
}

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

fn main() {
    divan::main();
}
