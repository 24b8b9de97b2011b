//! Whole indexes of the conformance sets, where they are at hand: parsed and written, they are the same bytes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use apk_index::{Index, Layout, parse, unsigned, write_as};
use apk_package::inflate;

/// Every index under the sets' repositories.
fn archives() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if entry.file_name() == "APKINDEX.tar.gz" {
                found.push(path);
            }
        }
    }
    let sets = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");
    let mut found = Vec::new();
    for set in ["image", "melange", "solver"] {
        walk(&Path::new(sets).join(set).join("repos"), &mut found);
    }
    if found.is_empty() {
        eprintln!("skipped: the conformance sets are not here");
    }
    found
}

/// Fails unless the text comes back, in one order of the fields or the other.
fn comes_back(text: &str, path: &Path) {
    let packages = parse(text).unwrap();
    let written = [Layout::Melange, Layout::ApkTools].map(|layout| write_as(layout, &packages).unwrap());
    let trimmed = text.trim_end_matches('\n');
    assert!(
        written
            .iter()
            .any(|written| written.trim_end_matches('\n') == trimmed),
        "{}",
        path.display()
    );
    for written in written {
        assert_eq!(parse(&written).unwrap(), packages, "{}", path.display());
    }
}

#[test]
fn texts_come_back_byte_for_byte() {
    for path in archives() {
        let archive = fs::read(&path).unwrap();
        let tar = inflate("index", unsigned(&archive).unwrap(), Index::MAX_SIZE).unwrap();
        let entries = tarball::read(tar.into(), &tarball::Limits::default()).unwrap();
        let text = entries
            .iter()
            .find(|entry| entry.header.path == "APKINDEX")
            .unwrap();
        comes_back(std::str::from_utf8(&text.content).unwrap(), &path);
    }
}

/// The archives around the texts, where one of the Go tools made them: others state owners and times.
#[test]
fn archives_of_the_go_tools_come_back_byte_for_byte_before_compression() {
    for path in archives() {
        let archive = fs::read(&path).unwrap();
        let index = Index::open_unverified(&archive, Index::MAX_SIZE).unwrap();
        let tar = inflate("index", unsigned(&archive).unwrap(), Index::MAX_SIZE).unwrap();
        let again = inflate("index", &index.to_archive().unwrap(), Index::MAX_SIZE).unwrap();
        let states_owner = tar[265..329].iter().any(|byte| *byte != 0);
        assert!(states_owner || again == tar, "{}", path.display());
    }
}
