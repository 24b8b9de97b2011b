//! Taking a package apart and verifying it, beside what `gzip -d` and `sha256sum` take for the same file.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::LazyLock;

use apk_package::{
    DataWriter, Expected, Limits, PkgInfo, VerifiedReader, control_section, open, split, verify,
    write_package,
};
use bytes::Bytes;
use divan::Bencher;
use tarball::{Header, Kind};
use tempfile::NamedTempFile;
use testkit::yardstick;

/// 64 files of 512 KiB that compress as programs do, to about a third.
static PACKAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut data = DataWriter::new(Vec::new());
    let mut state = 1_u64;
    for n in 0..64 {
        let content: Vec<u8> = (0..512_u32 << 10)
            .map(|place| {
                if place % 3 == 0 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n);
                }
                (state >> (40 + place % 3)) as u8 & 0x3f
            })
            .collect();
        let header = Header {
            path: format!("usr/lib/part-{n}"),
            mode: 0o644,
            size: content.len() as u64,
            ..Header::new(Kind::Regular)
        };
        data.append(header, || Ok(&content[..])).unwrap();
    }
    let data = data.finish().unwrap();
    let info = PkgInfo {
        name: "bench".into(),
        version: "1.0-r0".into(),
        data_hash: data.hash,
        ..PkgInfo::default()
    };
    let control = control_section(&info, &[], 0).unwrap();
    let mut file = Vec::new();
    write_package(&mut file, None, &control, &mut &data.out[..]).unwrap();
    file.into()
});

static FILE: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&PACKAGE).unwrap();
    file
});

#[divan::bench(sample_count = 20)]
fn splits(bencher: Bencher<'_, '_>) {
    LazyLock::force(&PACKAGE);
    bencher.bench(|| split(&PACKAGE, &Limits::default()).unwrap());
}

#[divan::bench(sample_count = 20)]
fn verifies(bencher: Bencher<'_, '_>) {
    LazyLock::force(&PACKAGE);
    bencher.bench(|| verify(PACKAGE.clone(), &Expected::anything("bench"), &Limits::default()).unwrap());
}

#[divan::bench(sample_count = 20)]
fn opens(bencher: Bencher<'_, '_>) {
    LazyLock::force(&PACKAGE);
    bencher.bench(|| open(PACKAGE.clone(), &Expected::anything("bench"), &Limits::default()).unwrap());
}

#[divan::bench(sample_count = 20)]
fn reads_from_disk(bencher: Bencher<'_, '_>) {
    LazyLock::force(&FILE);
    bencher.bench(|| {
        let file = File::open(FILE.path()).unwrap();
        let mut package =
            VerifiedReader::open(file, &Expected::anything("bench"), &Limits::default()).unwrap();
        while let Some(mut member) = package.next_member().unwrap() {
            io::copy(&mut member, &mut io::sink()).unwrap();
        }
    });
}

#[divan::bench(sample_count = 20)]
fn yardstick_gzip_d(bencher: Bencher<'_, '_>) {
    bencher.bench(|| yardstick(&["gzip", "-dc"], FILE.path()));
}

#[divan::bench(sample_count = 20)]
fn yardstick_sha256sum(bencher: Bencher<'_, '_>) {
    bencher.bench(|| yardstick(&["sha256sum"], FILE.path()));
}

fn main() {
    divan::main();
}
