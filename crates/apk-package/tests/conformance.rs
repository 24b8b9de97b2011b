//! The packages of the conformance sets, where they are at hand.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use apk_package::{Expected, Keyring, Limits, open, read_info};

/// The packages of one repository directory, or `None` and a word about it where the sets are not here.
fn packages(repository: &str) -> Option<Vec<PathBuf>> {
    let directory = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/image/repos"
    );
    let Ok(entries) = fs::read_dir(format!("{directory}/{repository}")) else {
        println!("skipped: the conformance sets are not here");
        return None;
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    Some(
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "apk"))
            .collect(),
    )
}

fn keyring() -> Keyring {
    let directory = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/image/keys"
    );
    let mut keyring = Keyring::default();
    for name in ["lab.rsa.pub", "melange.rsa.pub"] {
        let pem = fs::read_to_string(format!("{directory}/{name}")).unwrap();
        keyring.insert_pem(name, &pem).unwrap();
    }
    keyring
}

#[test]
fn every_good_package_is_verified() {
    for repository in [
        "alpine/x86_64",
        "alpine/aarch64",
        "glibc-mini/x86_64",
        "synthetic/x86_64",
        "upstream/x86_64",
    ] {
        let Some(packages) = packages(repository) else {
            return;
        };
        let keyring = keyring();
        for path in packages {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let bytes = fs::read(&path).unwrap();
            let (info, checksum) = read_info(name, &mut bytes.as_slice(), &Limits::default()).unwrap();
            let expected = Expected {
                control_checksum: Some(checksum),
                ..Expected::signed(name, &keyring)
            };
            let package = open(bytes.into(), &expected, &Limits::default()).unwrap();
            assert_eq!(package.info, info);
            assert_eq!(info.identity(), name);
        }
    }
}

#[test]
fn every_bad_package_is_refused_with_its_fault() {
    let faults = [
        ("hostile", "absolute-1.0-r0", "`/escape-abs` has an absolute path"),
        (
            "hostile",
            "bomb-1.0-r0",
            "inflates to more than the limit of 33554432 bytes",
        ),
        (
            "hostile",
            "dotdot-mid-1.0-r0",
            "`usr/../../escape-mid` leaves the root",
        ),
        (
            "hostile",
            "hardlink-out-1.0-r0",
            "`hl` is a hard link to a path outside",
        ),
        (
            "hostile",
            "symlink-out-1.0-r0",
            "`out/escape-symlink` lies inside a symbolic link",
        ),
        (
            "hostile",
            "symlink-up-1.0-r0",
            "`up/escape-up` lies inside a symbolic link",
        ),
        ("hostile", "traversal-1.0-r0", "`../../escape` leaves the root"),
        ("tampered", "links-1.0-r0", "the data section's SHA-256 is 2924d2"),
        ("truncated", "links-1.0-r0", "the data section's SHA-256 is"),
    ];
    let limits = Limits {
        data: 32 << 20,
        ..Limits::default()
    };
    for (repository, name, fault) in faults {
        let Some(packages) = packages(&format!("{repository}/x86_64")) else {
            return;
        };
        let path = packages
            .iter()
            .find(|path| path.file_stem().unwrap() == name)
            .unwrap();
        let error = open(fs::read(path).unwrap().into(), &Expected::anything(name), &limits).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(name) && message.contains(fault), "{message}");
    }
}
