//! Packages read member by member: the same members and the same refusals as in memory, in little memory.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{self, Cursor, Read, Seek, Write as _};
use std::path::{Path, PathBuf};

use apk_package::{
    ControlMember, DataMember, DataWriter, Expected, Limits, PackageError, PackageReader, PkgInfo, Problem,
    VerifiedReader, control_section, open, write_package,
};
use apk_types::Checksum;
use proptest::prelude::*;
use tarball::{Header, Kind};

type Members = Vec<(Header, Vec<u8>)>;

fn info(data_hash: String) -> PkgInfo {
    PkgInfo {
        name: "hello".into(),
        version: "1.0-r0".into(),
        data_hash,
        ..PkgInfo::default()
    }
}

fn package(files: &[(Header, Vec<u8>)]) -> Vec<u8> {
    let mut data = DataWriter::new(Vec::new());
    for (header, content) in files {
        data.append(header.clone(), || Ok(content.as_slice())).unwrap();
    }
    let data = data.finish().unwrap();
    let script = ControlMember::script(".trigger", "#!/bin/sh\n");
    let control = control_section(&info(data.hash), &[script], 0).unwrap();
    let mut file = Vec::new();
    write_package(&mut file, None, &control, &mut &data.out[..]).unwrap();
    file
}

fn header(kind: Kind, path: &str, link: &str, size: usize) -> Header {
    Header {
        path: path.into(),
        link: link.into(),
        mode: 0o4755,
        size: size as u64,
        ..Header::new(kind)
    }
}

/// Every kind of member there is, with what extends their headers.
fn files() -> Members {
    let mut capable = header(Kind::Regular, "usr/bin/ping", "", 4);
    // The capability cap_net_raw+ep, which has line feeds and zeroes in it as any binary value may.
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0".to_vec();
    capable
        .pax
        .insert("SCHILY.xattr.security.capability".into(), capability);
    let device = Header {
        device: (1, 3),
        ..header(Kind::CharDevice, "dev/null", "", 0)
    };
    let owned = Header {
        uid: 3_000_000,
        gid: 1000,
        uname: "somebody".into(),
        mtime: 1_700_000_000,
        ..header(Kind::Directory, "home/", "", 0)
    };
    let long = "long/".repeat(40);
    vec![
        (owned, vec![]),
        (capable, b"ping".into()),
        (
            header(Kind::Hardlink, "usr/bin/ping6", "usr/bin/ping", 0),
            b"ping".into(),
        ),
        (header(Kind::Symlink, "usr/bin/p", &long, 0), vec![]),
        (
            header(Kind::Regular, &format!("{long}ünïcode"), "", 100_000),
            vec![7; 100_000],
        ),
        (device, vec![]),
        (
            Header {
                device: (8, 1),
                ..header(Kind::BlockDevice, "dev/sda1", "", 0)
            },
            vec![],
        ),
        (header(Kind::Fifo, "run/pipe", "", 0), vec![]),
        (header(Kind::Regular, "empty", "", 0), vec![]),
    ]
}

fn read_members<'a>(
    mut next: impl FnMut(&mut Members) -> Result<bool, PackageError> + 'a,
) -> Result<Members, PackageError> {
    let mut members = Vec::new();
    while next(&mut members)? {}
    Ok(members)
}

fn take<R: Read>(member: DataMember<'_, R>, members: &mut Members) -> Result<(), PackageError> {
    let mut member = member;
    let mut content = Vec::new();
    let header = member.header().clone();
    member
        .read_to_end(&mut content)
        .map_err(|error| Problem::from(error).of("p"))?;
    members.push((header, content));
    Ok(())
}

fn stream(package: impl Read, limits: &Limits) -> Result<Members, PackageError> {
    let mut reader = PackageReader::new("p", package, limits)?;
    read_members(move |members| match reader.next_member()? {
        Some(member) => take(member, members).map(|()| true),
        None => Ok(false),
    })
}

fn verified(package: impl Read + Seek, limits: &Limits) -> Result<Members, PackageError> {
    let mut reader = VerifiedReader::open(package, &Expected::anything("p"), limits)?;
    read_members(move |members| match reader.next_member()? {
        Some(member) => take(member, members).map(|()| true),
        None => Ok(false),
    })
}

fn opened(package: &[u8], limits: &Limits) -> Result<Members, PackageError> {
    let package = open(package.to_vec().into(), &Expected::anything("p"), limits)?;
    let members = package.data.into_iter();
    Ok(members
        .map(|entry| (entry.header, entry.content.to_vec()))
        .collect())
}

/// Fails unless all three ways say the same of a package.
fn assert_agreement(package: &[u8], limits: &Limits, what: &str) {
    let in_memory = opened(package, limits);
    for streamed in [stream(package, limits), verified(Cursor::new(package), limits)] {
        match (&in_memory, streamed) {
            (Ok(wanted), Ok(members)) => assert!(*wanted == members, "{what}"),
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => panic!("{what}: refused by the stream alone: {error}"),
            (Err(error), Ok(_)) => panic!("{what}: refused in memory alone: {error}"),
        }
    }
}

#[test]
fn members_are_those_of_the_package_in_memory() {
    let package = package(&files());
    assert_agreement(&package, &Limits::default(), "every kind");
    let paths: Vec<String> = stream(&package[..], &Limits::default())
        .unwrap()
        .into_iter()
        .map(|(header, _)| header.path)
        .collect();
    let wanted: Vec<String> = files().into_iter().map(|(header, _)| header.path).collect();
    assert_eq!(paths, wanted);
}

#[test]
fn what_extends_a_header_arrives() {
    let members = verified(Cursor::new(package(&files())), &Limits::default()).unwrap();
    for ((wanted, _), (mut header, _)) in files().into_iter().zip(members) {
        header.pax.remove(apk_package::FILE_CHECKSUM_RECORD);
        let size = if wanted.kind == Kind::Regular {
            wanted.size
        } else {
            0
        };
        assert_eq!(header, Header { size, ..wanted });
    }
}

#[test]
fn the_control_section_comes_first() {
    let package = package(&files());
    let reader = PackageReader::new("p", &package[..], &Limits::default()).unwrap();
    assert_eq!(reader.info().name, "hello");
    let names: Vec<&str> = reader.control().iter().map(|entry| &*entry.header.path).collect();
    assert_eq!(names, [".PKGINFO", ".trigger"]);
    assert!(matches!(reader.control_checksum(), Checksum::Sha1(_)));
    assert_eq!(reader.signatures(), []);
}

#[test]
fn nothing_comes_out_of_a_package_that_is_not_the_one_expected() {
    let package = package(&files());
    let wrong = Expected::checksum("hello-1.0-r0", Checksum::Sha1([0; 20]));
    let error = VerifiedReader::open(Cursor::new(&package), &wrong, &Limits::default())
        .err()
        .unwrap();
    let message = error.to_string();
    assert!(
        message.starts_with("package `hello-1.0-r0`: the control section's checksum is"),
        "{message}"
    );

    let mut changed = package.clone();
    *changed.last_mut().unwrap() ^= 1;
    let error = VerifiedReader::open(
        Cursor::new(&changed),
        &Expected::anything("p"),
        &Limits::default(),
    );
    assert!(matches!(error.err().unwrap().problem, Problem::DataHash { .. }));
    // In one pass the members come, but the end does not.
    let error = stream(&changed[..], &Limits::default()).unwrap_err();
    assert!(matches!(error.problem, Problem::Corrupt { .. }), "{error}");

    let short = Expected {
        size: Some(package.len() as u64),
        ..Expected::anything("p")
    };
    let cut = &package[..package.len() - 1];
    let error = VerifiedReader::open(Cursor::new(cut), &short, &Limits::default());
    assert!(matches!(error.err().unwrap().problem, Problem::Short { .. }));
}

#[test]
fn a_file_that_changes_between_the_passes_is_found_out() {
    let (one, other) = (
        package(&files()),
        package(&[(header(Kind::Regular, "evil", "", 0), vec![])]),
    );
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&one).unwrap();
    file.rewind().unwrap();
    let mut writer = file.try_clone().unwrap();
    let mut reader = VerifiedReader::open(file, &Expected::anything("p"), &Limits::default()).unwrap();
    // Only the data, so that the gzip member is whole.
    let sections = apk_package::split(&one, &Limits::default()).unwrap();
    let data = &other[apk_package::split(&other, &Limits::default()).unwrap().data];
    writer
        .seek(io::SeekFrom::Start(sections.data.start as u64))
        .unwrap();
    writer.write_all(data).unwrap();
    writer.set_len((sections.data.start + data.len()) as u64).unwrap();
    writer
        .seek(io::SeekFrom::Start(sections.data.start as u64))
        .unwrap();
    let error = loop {
        match reader.next_member() {
            Ok(member) => assert!(member.is_some(), "the end was reached"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.problem, Problem::DataHash { .. }), "{error}");
    assert!(reader.next_member().is_err(), "it is not read on");
}

#[test]
fn limits_hold_with_their_number() {
    let package = package(&files());
    let limits = Limits {
        data: 50_000,
        ..Limits::default()
    };
    for result in [
        stream(&package[..], &limits),
        verified(Cursor::new(&package), &limits),
    ] {
        let message = result.unwrap_err().to_string();
        assert_eq!(
            message,
            "package `p`: the data section inflates to more than the limit of 50000 bytes (apko: --max-apk-data-size)"
        );
    }
    let few = Limits {
        tar: tarball::Limits {
            members: 3,
            ..tarball::Limits::default()
        },
        ..Limits::default()
    };
    let message = stream(&package[..], &few).unwrap_err().to_string();
    assert!(
        message.contains("the number of members exceeds the limit of 3"),
        "{message}"
    );
}

/// A package of 48 MiB of zeroes is 48 KiB of file: neither its size nor what it inflates to is ever in memory.
#[test]
fn memory_stays_small_whatever_is_packed() {
    let mut data = DataWriter::new(Vec::new());
    for n in 0..3 {
        let header = header(Kind::Regular, &format!("zeroes-{n}"), "", 16 << 20);
        data.append(header, || Ok(io::repeat(0).take(16 << 20))).unwrap();
    }
    let data = data.finish().unwrap();
    let control = control_section(&info(data.hash), &[], 0).unwrap();
    let file = [control, data.out].concat();
    let mut total = 0;
    let allocated = allocation_counter::measure(|| {
        let mut reader =
            VerifiedReader::open(Cursor::new(&file), &Expected::anything("p"), &Limits::default()).unwrap();
        while let Some(mut member) = reader.next_member().unwrap() {
            total += io::copy(&mut member, &mut io::sink()).unwrap();
        }
    });
    assert_eq!(total, 48 << 20);
    assert!(allocated.bytes_max < 512 << 10, "{allocated:?}");
}

#[test]
fn a_package_without_a_data_section_is_truncated_everywhere() {
    let hash = Checksum::Sha256([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);
    let control = control_section(&info(hash.to_hex()), &[], 0).unwrap();
    assert!(opened(&control, &Limits::default()).is_err());
    assert_agreement(&control, &Limits::default(), "no data section");
}

/// Every package of the conformance sets, good or bad.
fn packages() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "apk") {
                found.push(path);
            }
        }
    }
    let sets = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance"
    ));
    let mut found = Vec::new();
    for set in ["image", "melange", "solver"] {
        walk(&sets.join(set).join("repos"), &mut found);
    }
    if found.is_empty() {
        eprintln!("skipped: the conformance sets are not here");
    }
    found
}

#[test]
fn all_ways_agree_on_the_packages_of_the_conformance_sets() {
    let limits = Limits {
        data: 64 << 20,
        ..Limits::default()
    };
    for path in packages() {
        assert_agreement(&fs::read(&path).unwrap(), &limits, &path.display().to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_ways_agree_on_a_changed_package(place in any::<prop::sample::Index>(), bits in 0_u8.., cut in any::<bool>()) {
        let mut package = package(&files());
        let place = place.index(package.len());
        match cut {
            true => package.truncate(place),
            false => package[place] ^= bits,
        }
        assert_agreement(&package, &Limits::default(), "a changed package");
    }

    #[test]
    fn all_ways_agree_on_data_with_a_true_hash(tail in prop::collection::vec(any::<u8>(), 0..40), zeroes in 0_usize..3) {
        let mut tar = tarball::Writer::new(Vec::new());
        tar.append(&header(Kind::Regular, "a", "", 3), b"abc").unwrap();
        let mut tar = tar.into_inner();
        tar.resize(tar.len() + zeroes * 512, 0);
        let data = [apk_package::deflate(&tar), tail].concat();
        let hash = { use sha2::Digest as _; Checksum::Sha256(sha2::Sha256::digest(&data).into()) };
        let control = control_section(&info(hash.to_hex()), &[], 0).unwrap();
        assert_agreement(&[control, data].concat(), &Limits::default(), "a true hash");
    }
}
