//! The packages of the conformance sets, where they are at hand.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use apk_package::{
    ControlMember, DataWriter, Expected, Keyring, Limits, control_section, inflate, open, read_info,
    signature_section, split,
};

/// The packages of one repository directory, or `None` and a word about it where the sets are not here.
fn packages(repository: &str) -> Option<Vec<PathBuf>> {
    let directory = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/image/repos"
    );
    let Ok(entries) = fs::read_dir(format!("{directory}/{repository}")) else {
        eprintln!("skipped: the conformance sets are not here");
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

/// The control and the data section of a package, inflated, as they are and as we write them for the same content.
fn sections(bytes: &[u8]) -> [[Vec<u8>; 2]; 2] {
    let limits = Limits::default();
    let sections = split(bytes, &limits).unwrap();
    let package = open(bytes.to_vec().into(), &Expected::anything("p"), &limits).unwrap();
    let inflated = |section: &[u8]| inflate("section", section, 1 << 30).unwrap();
    let member = |entry: &tarball::Entry| ControlMember {
        name: entry.header.path.clone(),
        mode: entry.header.mode,
        content: entry.content.to_vec(),
    };
    let (mut others, mut mtime) = (Vec::new(), 0);
    for entry in &package.control {
        match entry.header.path.as_str() {
            ".PKGINFO" => mtime = entry.header.mtime,
            _ => others.push(member(entry)),
        }
    }
    let control = control_section(&package.info, &others, mtime).unwrap();

    let mut data = DataWriter::new(Vec::new());
    for entry in &package.data {
        let mut header = entry.header.clone();
        header.pax.remove(apk_package::FILE_CHECKSUM_RECORD);
        let content = match header.kind {
            tarball::Kind::Hardlink => {
                let mut entries = package.data.iter();
                entries.find(|e| e.header.path == header.link).unwrap_or(entry)
            }
            _ => entry,
        };
        data.append(header, || Ok(&content.content[..])).unwrap();
    }
    let data = data.finish().unwrap().out;
    [
        [
            inflated(&bytes[sections.control]),
            inflated(&bytes[sections.data]),
        ],
        [inflated(&control), inflated(&data)],
    ]
}

/// The members of a data section without what a packer adds or leaves out at will.
fn content(tar: &[u8]) -> Vec<tarball::Entry> {
    let mut entries = tarball::read(tar.to_vec().into(), &tarball::Limits::default()).unwrap();
    for entry in &mut entries {
        entry.header.pax.remove(apk_package::FILE_CHECKSUM_RECORD);
    }
    entries
}

const GOOD: [&str; 8] = [
    "alpine/x86_64",
    "alpine/aarch64",
    "alpine/riscv64",
    "glibc-mini/x86_64",
    "synthetic/x86_64",
    "synthetic/aarch64",
    "upstream/x86_64",
    "upstream/aarch64",
];

/// What melange packed comes back byte for byte; what others packed, whose tar headers have other forms, comes back
/// member for member.
#[test]
fn sections_are_those_of_melange_before_compression() {
    let (mut of_melange, mut of_others) = (0, 0);
    for repository in GOOD {
        let Some(packages) = packages(repository) else {
            return;
        };
        for path in packages {
            let bytes = fs::read(&path).unwrap();
            let [[control, data], [control_again, data_again]] = sections(&bytes);
            let by_melange = control
                .windows(22)
                .any(|window| window == b"# Generated by melange");
            match by_melange {
                true => {
                    of_melange += 1;
                    assert_eq!(
                        String::from_utf8_lossy(&control_again),
                        String::from_utf8_lossy(&control),
                        "{}",
                        path.display()
                    );
                    assert!(data == data_again, "{}", path.display());
                }
                false => {
                    of_others += 1;
                    assert!(content(&data) == content(&data_again), "{}", path.display());
                }
            }
        }
    }
    println!("{of_melange} packages of melange, {of_others} of others");
}

#[test]
fn signature_sections_are_those_of_melange_before_compression() {
    for path in packages("upstream/x86_64").into_iter().flatten() {
        let bytes = fs::read(&path).unwrap();
        let limits = Limits::default();
        let package = open(bytes.clone().into(), &Expected::anything("p"), &limits).unwrap();
        let place = split(&bytes, &limits).unwrap().signature.unwrap();
        let signature = signature_section(&package.signatures[0], 0).unwrap();
        let inflated = |section: &[u8]| inflate("section", section, 1 << 20).unwrap();
        assert_eq!(
            inflated(&signature),
            inflated(&bytes[place]),
            "{}",
            path.display()
        );
    }
}
