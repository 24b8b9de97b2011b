//! Packages written by the crate, read back and tampered with.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, Read};
use std::sync::LazyLock;

use apk_package::{
    ControlMember, DataWriter, Digest, Expected, Keyring, Limits, PkgInfo, PrivateKey, Problem, Signature,
    SignatureError, SignaturePolicy, WriteError, control_section, open, sign, sign_control,
    signature_section, split, write_package,
};
use apk_types::{Checksum, Dependency};
use bytes::Bytes;
use proptest::prelude::*;
use tarball::{Header, Kind};

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());
static OTHER: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());
static SIGNED: LazyLock<Bytes> = LazyLock::new(|| package(&files(), Some(&KEY)));

fn header(kind: Kind, path: &str, link: &str, size: usize) -> Header {
    Header {
        path: path.into(),
        link: link.into(),
        mode: 0o755,
        size: size as u64,
        ..Header::new(kind)
    }
}

fn files() -> Vec<(Header, Vec<u8>)> {
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    vec![
        (header(Kind::Directory, "usr", "", 0), vec![]),
        (header(Kind::Regular, "usr/a", "", 5), b"hello".into()),
        (header(Kind::Hardlink, "usr/b", "usr/a", 0), b"hello".into()),
        (header(Kind::Symlink, "usr/c", "a", 0), vec![]),
        (header(Kind::Regular, "usr/empty", "", 0), vec![]),
        (header(Kind::Regular, "usr/large", "", large.len()), large),
    ]
}

fn info() -> PkgInfo {
    PkgInfo {
        name: "hello".into(),
        version: "1.0-r0".into(),
        arch: "x86_64".into(),
        installed_size: 3_000_010,
        origin: "hello".into(),
        description: "says hello".into(),
        url: "https://example.org".into(),
        commit: "c0ffee".into(),
        maintainer: "me".into(),
        build_date: Some(1_700_000_000),
        licenses: vec!["MIT".into(), "Apache-2.0".into()],
        depends: ["so:libc.so.6", "!bad"].map(Dependency::lenient).into(),
        provides: ["cmd:hello=1.0-r0"].map(Dependency::lenient).into(),
        replaces: ["older"].map(Dependency::lenient).into(),
        install_if: ["a", "b=1"].map(Dependency::lenient).into(),
        vendored: vec!["so:libz.so.1=1".into()],
        provider_priority: Some(10),
        replaces_priority: Some(20),
        triggers: vec!["/usr/bin".into(), "/usr/lib/*".into()],
        data_hash: String::new(),
    }
}

fn package(files: &[(Header, Vec<u8>)], key: Option<&PrivateKey>) -> Bytes {
    let mut data = DataWriter::new(Vec::new());
    for (header, content) in files {
        data.append(header.clone(), || Ok(content.as_slice())).unwrap();
    }
    let data = data.finish().unwrap();
    assert_eq!(data.size, data.out.len() as u64);
    let info = PkgInfo {
        data_hash: data.hash,
        ..info()
    };
    let script = ControlMember::script(".post-install", "#!/bin/sh\n");
    let control = control_section(&info, &[script, ControlMember::melange_yaml("a: b\n")], 7).unwrap();
    let signature = key.map(|key| sign_control(&control, key, "test.rsa.pub", 7).unwrap());
    let mut file = Vec::new();
    write_package(
        &mut file,
        signature.as_deref(),
        &control,
        &mut data.out.as_slice(),
    )
    .unwrap();
    file.into()
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::default();
    keyring.insert("test.rsa.pub", KEY.public_key());
    keyring
}

fn problem(package: &Bytes, expected: &Expected<'_>) -> Problem {
    open(package.clone(), expected, &Limits::default())
        .unwrap_err()
        .problem
}

#[test]
fn what_is_written_is_read() {
    let keyring = keyring();
    let package = open(
        SIGNED.clone(),
        &Expected::signed("hello", &keyring),
        &Limits::default(),
    )
    .unwrap();
    let written = PkgInfo {
        data_hash: package.info.data_hash.clone(),
        vendored: vec![],
        ..info()
    };
    assert_eq!(package.info, written);
    let names: Vec<&str> = package
        .control
        .iter()
        .map(|entry| entry.header.path.as_str())
        .collect();
    assert_eq!(names, [".PKGINFO", ".melange.yaml", ".post-install"]);
    for ((header, content), entry) in files().iter().zip(&package.data) {
        assert_eq!(header.path, entry.header.path);
        if header.kind == Kind::Regular {
            assert_eq!(content, &entry.content);
        }
        let has_checksum = entry.header.pax.contains_key(apk_package::FILE_CHECKSUM_RECORD);
        assert_eq!(has_checksum, header.kind != Kind::Directory);
    }
    let record = package.info.to_record(package.control_checksum, package.size);
    assert_eq!(
        (record.license.as_str(), record.build_time),
        ("MIT", Some(1_700_000_000))
    );
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    assert_eq!(package(&files(), Some(&KEY)), *SIGNED);
}

/// abuild's layout, which apk-tools reads as one archive: the zero blocks that end it come after the data alone.
#[test]
fn a_package_is_three_gzip_streams_and_only_the_last_ends_the_archive() {
    let sections = split(&SIGNED, &Limits::default()).unwrap();
    let signature = sections.signature.clone().unwrap();
    assert_eq!(
        (
            signature.start,
            signature.end,
            sections.control.end,
            sections.data.end
        ),
        (0, sections.control.start, sections.data.start, SIGNED.len())
    );
    let inflated = |range| apk_package::inflate("section", &SIGNED[range], 1 << 30).unwrap();
    let parts = [signature, sections.control, sections.data].map(inflated);
    let zeroes = |tar: &[u8]| {
        tar.rchunks(512)
            .take_while(|block| block.iter().all(|byte| *byte == 0))
            .count()
    };
    assert_eq!(parts.each_ref().map(|tar| tar.len() % 512), [0; 3]);
    assert_eq!(parts.each_ref().map(|tar| zeroes(tar)), [0, 0, 2]);
    // Read as one, as apk-tools reads it.
    let names: Vec<String> = tarball::read(parts.concat().into(), &tarball::Limits::default())
        .unwrap()
        .into_iter()
        .map(|entry| entry.header.path)
        .collect();
    let wanted = [
        ".SIGN.RSA256.test.rsa.pub",
        ".PKGINFO",
        ".melange.yaml",
        ".post-install",
        "usr",
    ];
    assert_eq!(names[..5], wanted);
}

#[test]
fn pkginfo_is_written_as_melange_writes_it() {
    let wanted = "# Generated by melange\npkgname = hello\npkgver = 1.0-r0\narch = x86_64\nsize = 3000010\n\
        origin = hello\npkgdesc = says hello\nurl = https://example.org\ncommit = c0ffee\nmaintainer = me\n\
        builddate = 1700000000\nlicense = MIT\nlicense = Apache-2.0\ndepend = so:libc.so.6\ndepend = !bad\n\
        provides = cmd:hello=1.0-r0\nreplaces = older\ninstall_if = a b=1\n# vendored = so:libz.so.1=1\n\
        provider_priority = 10\nreplaces_priority = 20\ntriggers = /usr/bin /usr/lib/* \ndatahash = \n";
    assert_eq!(info().to_string(), wanted);
}

#[test]
fn a_line_break_cannot_bring_in_a_field() {
    let evil = PkgInfo {
        description: "a\ndepend = evil".into(),
        ..info()
    };
    assert!(matches!(
        control_section(&evil, &[], 0),
        Err(WriteError::LineBreak { .. })
    ));
    let harmless = PkgInfo {
        description: "a\n".into(),
        ..info()
    };
    assert!(control_section(&harmless, &[], 0).is_ok());
}

#[test]
fn control_members_have_distinct_names() {
    let twice = [
        ControlMember::script(".trigger", ""),
        ControlMember::script(".trigger", ""),
    ];
    assert!(
        matches!(control_section(&info(), &twice, 0), Err(WriteError::Repeated(name)) if name == ".trigger")
    );
}

#[test]
fn a_file_that_is_not_as_stated_is_refused() {
    for (stated, content) in [(4, 5), (6, 5), (2 << 20, (2 << 20) - 1), (2 << 20, (2 << 20) + 1)] {
        let content = vec![0; content];
        let mut data = DataWriter::new(io::sink());
        let result = data.append(header(Kind::Regular, "a", "", stated), || Ok(content.as_slice()));
        assert!(matches!(result, Err(WriteError::Tar(_))), "{stated}");
    }
    let mut calls = 0;
    let changing = || {
        calls += 1;
        Ok(io::repeat(calls).take(2 << 20))
    };
    let result = DataWriter::new(io::sink()).append(header(Kind::Regular, "a", "", 2 << 20), changing);
    assert!(matches!(result, Err(WriteError::Changed { member }) if member == "a"));
}

#[test]
fn the_checksum_of_the_index_must_match() {
    let package = package(&files(), None);
    let opened = open(package.clone(), &Expected::anything("hello"), &Limits::default()).unwrap();
    assert!(opened.signatures.is_empty());
    let right = Expected::checksum("hello", opened.control_checksum);
    assert!(open(package.clone(), &right, &Limits::default()).is_ok());
    for wrong in [Checksum::Sha1([0; 20]), Checksum::Sha256([0; 32])] {
        let problem = problem(&package, &Expected::checksum("hello", wrong));
        assert!(matches!(problem, Problem::ControlChecksum { expected, .. } if expected == wrong));
    }
}

#[test]
fn a_signature_counts_only_by_a_known_key() {
    let signature_problem =
        |package: &Bytes, keyring: &Keyring| match problem(package, &Expected::signed("p", keyring)) {
            Problem::Signature(error) => error,
            other => panic!("{other}"),
        };
    let unsigned = package(&files(), None);
    let mut strange = Keyring::default();
    assert_eq!(signature_problem(&SIGNED, &strange), SignatureError::NoKeys);
    assert_eq!(signature_problem(&unsigned, &keyring()), SignatureError::Unsigned);
    strange.insert("other.rsa.pub", KEY.public_key());
    let unknown = signature_problem(&SIGNED, &strange);
    assert!(
        unknown
            .to_string()
            .contains("`test.rsa.pub`, and the keyring has `other.rsa.pub`"),
        "{unknown}"
    );
    strange.insert("test.rsa.pub", OTHER.public_key());
    assert_eq!(
        signature_problem(&SIGNED, &strange),
        SignatureError::Wrong {
            key: "test.rsa.pub".into()
        }
    );
}

#[test]
fn a_key_is_found_without_its_suffix_too() {
    let mut keyring = Keyring::default();
    keyring.insert("test", KEY.public_key());
    assert!(
        open(
            SIGNED.clone(),
            &Expected::signed("p", &keyring),
            &Limits::default()
        )
        .is_ok()
    );
}

#[test]
fn sha1_signatures_can_be_refused() {
    let unsigned = package(&files(), None);
    let sections = split(&unsigned, &Limits::default()).unwrap();
    let bytes = KEY.sign(Digest::Sha1, &unsigned[sections.control]).unwrap();
    let signature = Signature {
        digest: Digest::Sha1,
        key: "test.rsa.pub".into(),
        bytes,
    };
    let signed: Bytes = [&signature_section(&signature, 0).unwrap(), &unsigned[..]]
        .concat()
        .into();
    assert!(
        open(
            signed.clone(),
            &Expected::signed("p", &keyring()),
            &Limits::default()
        )
        .is_ok()
    );
    let mut strict = Keyring::new(SignaturePolicy::NoSha1);
    strict.insert("test.rsa.pub", KEY.public_key());
    let problem = problem(&signed, &Expected::signed("p", &strict));
    assert!(matches!(
        problem,
        Problem::Signature(SignatureError::Sha1Refused { .. })
    ));
}

#[test]
fn signing_again_replaces_the_signature() {
    let mut signed = Vec::new();
    let mut reader = sign(&SIGNED[..], &OTHER, "other.rsa.pub", &Limits::default()).unwrap();
    reader.read_to_end(&mut signed).unwrap();
    let mut keyring = Keyring::default();
    keyring.insert("other.rsa.pub", OTHER.public_key());
    let package = open(
        signed.into(),
        &Expected::signed("p", &keyring),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(package.signatures.len(), 1);
}

#[test]
fn members_outside_the_root_are_refused_by_name() {
    let rows = [
        (header(Kind::Regular, "../x", "", 0), "`../x` leaves the root"),
        (
            header(Kind::Regular, "a/../../x", "", 0),
            "`a/../../x` leaves the root",
        ),
        (header(Kind::Directory, "a/..", "", 0), "`a/..` leaves the root"),
        (header(Kind::Regular, "/x", "", 0), "`/x` has an absolute path"),
        (
            header(Kind::Hardlink, "x", "/etc/passwd", 0),
            "`x` is a hard link",
        ),
        (header(Kind::Hardlink, "x", "../x", 0), "`x` is a hard link"),
        (header(Kind::Regular, "usr/./a", "", 0), "`usr/./a` occurs twice"),
        (
            header(Kind::Regular, "usr/c/x", "", 0),
            "`usr/c/x` lies inside a symbolic link",
        ),
    ];
    for (header, message) in rows {
        let mut files = files();
        files.push((header, vec![]));
        let problem = problem(&package(&files, None), &Expected::anything("p"));
        assert!(
            problem.to_string().contains(message),
            "{problem} where {message} was wanted"
        );
    }
}

#[test]
fn a_wrong_file_checksum_is_refused() {
    let mut data = tarball::Writer::new(Vec::new());
    let mut header = header(Kind::Regular, "a", "", 1);
    header.pax.insert(
        apk_package::FILE_CHECKSUM_RECORD.into(),
        "0".repeat(40).into_bytes(),
    );
    data.append(&header, b"x").unwrap();
    let data = apk_package::deflate(&data.finish().unwrap());
    let hash = Checksum::Sha256(sha256(&data)).to_hex();
    let control = control_section(
        &PkgInfo {
            data_hash: hash,
            ..info()
        },
        &[],
        0,
    )
    .unwrap();
    let problem = problem(&[control, data].concat().into(), &Expected::anything("p"));
    assert!(matches!(problem, Problem::FileChecksum { member, .. } if member == "a"));
}

fn sha256(data: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(data).into()
}

#[test]
fn limits_hold() {
    let small = |control, data| Limits {
        control,
        data,
        ..Limits::default()
    };
    for (limits, section) in [
        (small(100, 1 << 30), "control section"),
        (small(1 << 20, 3_000_000), "data section"),
    ] {
        let error = open(SIGNED.clone(), &Expected::anything("p"), &limits).unwrap_err();
        assert!(
            matches!(error.problem, Problem::TooLarge { section: s, .. } if s == section),
            "{error}"
        );
    }
}

#[test]
fn a_short_file_is_told_from_a_changed_one() {
    let expected = Expected {
        size: Some(SIGNED.len() as u64),
        ..Expected::anything("p")
    };
    let problem = problem(&SIGNED.slice(..SIGNED.len() - 9), &expected);
    assert_eq!(
        problem.to_string(),
        format!(
            "it is truncated: it has {} bytes, but the index says {}",
            SIGNED.len() - 9,
            SIGNED.len()
        )
    );
}

#[test]
fn data_of_several_gzip_members_is_read() {
    let tar = {
        let mut tar = tarball::Writer::new(Vec::new());
        tar.append(&header(Kind::Regular, "a", "", 1), b"x").unwrap();
        tar.finish().unwrap()
    };
    let (one, two) = tar.split_at(700);
    let data = [apk_package::deflate(one), apk_package::deflate(two)].concat();
    let with_hash = |data: &[u8]| {
        let hash = Checksum::Sha256(sha256(data)).to_hex();
        let control = control_section(
            &PkgInfo {
                data_hash: hash,
                ..info()
            },
            &[],
            0,
        )
        .unwrap();
        Bytes::from([&control, data].concat())
    };
    let package = open(with_hash(&data), &Expected::anything("p"), &Limits::default()).unwrap();
    assert_eq!(&package.data[0].content[..], b"x");

    let garbage = problem(
        &with_hash(&[&data[..], b"rubbish"].concat()),
        &Expected::anything("p"),
    );
    assert!(
        matches!(garbage, Problem::TrailingGarbage { bytes: 7, .. }),
        "{garbage}"
    );
    let truncated = problem(&with_hash(&data[..data.len() - 1]), &Expected::anything("p"));
    assert!(matches!(truncated, Problem::Truncated { .. }), "{truncated}");
    let corrupt = problem(
        &with_hash(&[&data[..data.len() - 1], b"\xff"].concat()),
        &Expected::anything("p"),
    );
    assert!(matches!(corrupt, Problem::Corrupt { .. }), "{corrupt}");
}

#[test]
fn what_is_no_package_is_named() {
    let adb = "it is an apk v3 (ADB) package, which is not supported yet; only apk v2 is";
    let rows: [(&[u8], &str); 7] = [
        (b"", "the control section is truncated"),
        (b"ADB.pckg", adb),
        (b"ADBd\x01\x02", adb),
        (b"ADBc\x02\x09", adb),
        (b"PK\x03\x04 a zip file", "the control section is not gzip"),
        (b"\x1f\x8b\x08", "the control section is truncated"),
        (
            &apk_package::deflate(b""),
            "the control section has no `.PKGINFO`",
        ),
    ];
    for (bytes, message) in rows {
        let error = open(
            Bytes::copy_from_slice(bytes),
            &Expected::anything("p"),
            &Limits::default(),
        )
        .unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn keys_are_read_back_and_stay_secret() {
    let (private, public) = (KEY.to_pem().unwrap(), KEY.public_key().to_pem().unwrap());
    assert!(private.starts_with("-----BEGIN RSA PRIVATE KEY-----\n") && private.ends_with("-----\n"));
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n") && public.ends_with("-----\n"));
    let again = PrivateKey::from_pem(&format!("some text\n{private}more text")).unwrap();
    assert_eq!(again.public_key().to_pem().unwrap(), public);
    assert_eq!(format!("{again:?}"), "PrivateKey(2048 bits)");
    let signature = again.sign(Digest::Sha512, b"data").unwrap();
    assert!(KEY.public_key().verifies(Digest::Sha512, b"data", &signature));
    assert!(!KEY.public_key().verifies(Digest::Sha256, b"data", &signature));

    let rows = [
        ("rubbish", "it is not a PEM file"),
        (
            public.as_str(),
            "its PEM block is `PUBLIC KEY`, not an RSA private key",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n-----END RSA PRIVATE KEY-----",
            "it is encrypted",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            "its RSA private key cannot be read",
        ),
    ];
    for (pem, message) in rows {
        let error = PrivateKey::from_pem(pem).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }
    assert!(PrivateKey::generate(1024).is_err());
}

proptest! {
    #[test]
    fn one_changed_byte_anywhere_is_refused(place in any::<prop::sample::Index>(), bits in 1_u8..) {
        let sections = split(&SIGNED, &Limits::default()).unwrap();
        // Half of the places are before the data, which is most of the file.
        let start = place.index(sections.data.start * 2);
        let place = if start < sections.data.start { start } else { place.index(SIGNED.len()) };
        let mut changed = SIGNED.to_vec();
        changed[place] ^= bits;
        let changed = Bytes::from(changed);
        let keyring = keyring();
        match open(changed, &Expected::signed("hello", &keyring), &Limits::default()) {
            Err(_) => {}
            // What is not signed is the wrapping of the signature itself.
            Ok(package) => {
                prop_assert!(place < sections.control.start, "byte {} was changed", place);
                let signed = open(SIGNED.clone(), &Expected::anything("p"), &Limits::default()).unwrap();
                prop_assert_eq!(package.control, signed.control);
                prop_assert_eq!(package.data, signed.data);
            }
        }
    }

    #[test]
    fn any_part_of_a_package_is_refused(end in any::<prop::sample::Index>()) {
        let part = SIGNED.slice(..end.index(SIGNED.len()));
        prop_assert!(open(part, &Expected::anything("hello"), &Limits::default()).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), gzip in any::<bool>()) {
        let bytes = if gzip { apk_package::deflate(&bytes) } else { bytes };
        prop_assert!(open(bytes.into(), &Expected::anything("p"), &Limits::default()).is_err());
    }

    #[test]
    fn any_pkginfo_is_read_or_refused(text in "(\\PC{0,12}\n|[a-z]{1,3} = [\"'`\\\\#;a-z]{0,6}\n){0,8}") {
        let _ = PkgInfo::parse(&text);
    }
}
