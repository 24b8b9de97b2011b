//! A stored package is the package: the same members, the same refusals.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use apk_package::{Expected, Limits};
use bytes::Bytes;
use file_content::{Content, ContentError};
use package_store::{StoreError, open, write};
use testkit::{Package, Repository};

/// Text that compresses, but not to nothing.
fn text(length: usize) -> String {
    let word = |at: u32| (at.wrapping_mul(2_654_435_761) >> 20).to_string() + "\n";
    let mut text: String = (0..length as u32).map(word).collect();
    text.truncate(length);
    text
}

/// A package with small files, an empty one, and two large enough to be cut out of the stream.
fn package() -> Bytes {
    let repository = Repository::new("x86_64");
    repository.publish(&[Package::new("tool", "1.0-r0")
        .file("etc/empty", 0o644, "")
        .file("usr/bin/tool", 0o755, "#!/bin/sh\n")
        .file("usr/lib/large", 0o644, &text(3_000_000))
        .file("usr/lib/small", 0o600, &text(60_000))
        .file("usr/lib/zeros", 0o644, &"0".repeat(1_000_000))]);
    fs::read(repository.file("tool-1.0-r0.apk")).unwrap().into()
}

/// Compares what is stored with what `apk-package` reads; returns how many contents came with their deflated form.
fn compare(package: &Bytes, directory: &Path) -> usize {
    let expected = Expected::anything("it");
    let limits = Limits::default();
    let path = directory.join("stored");
    let whole = apk_package::open(package.clone(), &expected, &limits).unwrap();
    write(package.clone(), &expected, &limits, &path).unwrap();
    let stored = open(&path, &limits).unwrap();
    assert_eq!(stored.info, whole.info);
    assert_eq!(stored.control, whole.control);
    assert_eq!(stored.control_checksum, whole.control_checksum);
    assert_eq!((stored.data_hash, stored.size), (whole.data_hash, whole.size));
    assert_eq!(stored.prefix, package[..stored.sections.data.start]);
    let data = stored.data().unwrap();
    assert_eq!(data.len(), whole.data.len());
    let mut deflated = 0;
    for (stored, whole) in data.iter().zip(&whole.data) {
        assert_eq!(stored.header, whole.header);
        assert!(
            stored.content.read().unwrap() == whole.content,
            "{}",
            whole.header.path
        );
        let Content::Stored(content) = &stored.content else {
            continue;
        };
        let Some(form) = content.deflated() else { continue };
        let mut piece = Vec::new();
        let take = |chunk: Bytes| -> Result<(), ContentError> {
            piece.extend_from_slice(&chunk);
            Ok(())
        };
        form.chunks(take).unwrap();
        let length = whole.content.len() as u64;
        let mut joiner = deflate_pieces::Joiner::new(Vec::new()).unwrap();
        joiner
            .append(
                &piece,
                deflate_pieces::Piece {
                    length,
                    crc: form.crc,
                },
            )
            .unwrap();
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(&joiner.finish().unwrap()[..])
            .read_to_end(&mut inflated)
            .unwrap();
        assert!(inflated == whole.content, "{}", whole.header.path);
        deflated += 1;
    }
    deflated
}

#[test]
fn a_stored_package_has_the_same_members() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(compare(&package(), directory.path()), 2);
}

#[test]
fn a_stored_package_is_refused_as_one_in_memory_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stored");
    let good = package();
    let control_end = apk_package::split(&good, &Limits::default()).unwrap().control.end;
    let changed = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x40;
        Bytes::from(bytes)
    };
    let small = Limits {
        data: 1000,
        ..Limits::default()
    };
    let few = Limits {
        tar: tarball::Limits {
            members: 3,
            ..tarball::Limits::default()
        },
        ..Limits::default()
    };
    let rows = [
        (good.slice(..good.len() - 100), Limits::default()),
        (good.slice(..control_end), Limits::default()),
        (changed(good.len() / 2), Limits::default()),
        (changed(control_end - 20), Limits::default()),
        (Bytes::from_static(b"not a package"), Limits::default()),
        (Bytes::new(), Limits::default()),
        (good.clone(), small),
        (good.clone(), few),
    ];
    for (package, limits) in rows {
        let expected = Expected::anything("tool-1.0-r0");
        let in_memory = apk_package::open(package.clone(), &expected, &limits).unwrap_err();
        let stored = write(package, &expected, &limits, &path).unwrap_err();
        assert!(matches!(stored, StoreError::Package(_)));
        assert_eq!(stored.to_string(), in_memory.to_string());
    }
}

#[test]
fn a_damaged_table_is_an_error_that_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stored");
    let limits = Limits::default();
    write(package(), &Expected::anything("it"), &limits, &path).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in [whole.len() - 1, whole.len() - 20, whole.len() - 60] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = open(&path, &limits).unwrap_err();
        let text = format!("{} is damaged: its table is not what was written", path.display());
        assert_eq!(error.to_string(), text);
    }
    for length in [0, 10, whole.len() - 10] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(open(&path, &limits), Err(StoreError::Damaged { .. })));
    }
}

/// Every package of the conformance sets, where they lie beside the project.
#[test]
fn packages_of_the_field_are_stored_as_they_are() {
    let sets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let packages = packages(&sets);
    if packages.is_empty() {
        eprintln!("skipped: there are no conformance sets beside the project");
    }
    let directory = tempfile::tempdir().unwrap();
    for path in packages {
        let package = Bytes::from(fs::read(&path).unwrap());
        let is_whole =
            apk_package::open(package.clone(), &Expected::anything("it"), &Limits::default()).is_ok();
        if is_whole {
            compare(&package, directory.path());
        }
    }
}

fn packages(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.is_symlink() {
            found.extend(packages(&path));
        } else if path.extension().is_some_and(|extension| extension == "apk") {
            found.push(path);
        }
    }
    found
}
