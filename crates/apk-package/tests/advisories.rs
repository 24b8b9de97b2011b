//! What was found in other readers of packages in 2025 and 2026, each shown not to work here.

#![allow(clippy::unwrap_used)]

use std::io::{self, Cursor, Read as _};

use apk_package::{
    DataWriter, Expected, Keyring, Limits, PackageError, PackageReader, PkgInfo, PrivateKey, Problem,
    VerifiedReader, control_section, open, sign_control, split, write_package,
};
use tarball::{Header, Kind};

fn header(kind: Kind, path: &str, link: &str, size: u64) -> Header {
    Header {
        path: path.into(),
        link: link.into(),
        mode: 0o755,
        size,
        ..Header::new(kind)
    }
}

/// A package with members of zeroes, signed if there is a key.
fn package(members: &[Header], key: Option<&PrivateKey>) -> Vec<u8> {
    let mut data = DataWriter::new(Vec::new());
    for header in members {
        let size = header.size;
        data.append(header.clone(), || Ok(io::repeat(0).take(size)))
            .unwrap();
    }
    let data = data.finish().unwrap();
    let info = PkgInfo {
        name: "hello".into(),
        version: "1.0-r0".into(),
        data_hash: data.hash,
        ..PkgInfo::default()
    };
    let control = control_section(&info, &[], 0).unwrap();
    let signature = key.map(|key| sign_control(&control, key, "test.rsa.pub", 0).unwrap());
    let mut file = Vec::new();
    write_package(&mut file, signature.as_deref(), &control, &mut &data.out[..]).unwrap();
    file
}

/// Why each reader that verifies refuses a package.
fn refusals(package: &[u8], expected: &Expected<'_>, limits: &Limits) -> [Problem; 2] {
    let in_memory = open(package.to_vec().into(), expected, limits).unwrap_err();
    [
        in_memory.problem,
        streamed(package, expected, limits).unwrap_err().problem,
    ]
}

fn streamed(package: &[u8], expected: &Expected<'_>, limits: &Limits) -> Result<(), PackageError> {
    let mut reader = VerifiedReader::open(Cursor::new(package), expected, limits)?;
    while let Some(mut member) = reader.next_member()? {
        io::copy(&mut member, &mut io::sink()).map_err(|error| Problem::from(error).of("p"))?;
    }
    Ok(())
}

/// GHSA-hcwr-pq9g-rq3m (CVE-2026-42575): a package was never compared with the index, so that another one, even of the
/// same signer, could stand in its place.
#[test]
fn ghsa_hcwr_pq9g_rq3m_a_package_is_compared_with_the_index() {
    let key = PrivateKey::generate(2048).unwrap();
    let mut keyring = Keyring::default();
    keyring.insert("test.rsa.pub", key.public_key());
    let (right, other) = (
        package(&[header(Kind::Regular, "right", "", 1)], Some(&key)),
        package(&[header(Kind::Regular, "other", "", 1)], Some(&key)),
    );
    let limits = Limits::default();
    let control = PackageReader::new("p", &right[..], &limits)
        .unwrap()
        .control_checksum();
    let expected = Expected {
        keyring: Some(&keyring),
        ..Expected::checksum("hello-1.0-r0", control)
    };
    assert!(open(right.clone().into(), &expected, &limits).is_ok());
    assert!(streamed(&right, &expected, &limits).is_ok());
    for problem in refusals(&other, &expected, &limits) {
        assert!(matches!(problem, Problem::ControlChecksum { .. }), "{problem}");
    }
    // The right control section before other data.
    let (a, b) = (split(&right, &limits).unwrap(), split(&other, &limits).unwrap());
    let mixed = [&right[..a.data.start], &other[b.data]].concat();
    for problem in refusals(&mixed, &expected, &limits) {
        assert!(matches!(problem, Problem::DataHash { .. }), "{problem}");
    }
}

/// GHSA-5g94-c2wx-8pxw: paths with `..` were joined to a directory and left it.
#[test]
fn ghsa_5g94_c2wx_8pxw_no_path_leaves_the_root() {
    for (kind, path, link) in [
        (Kind::Regular, "../escape", ""),
        (Kind::Regular, "usr/../../escape", ""),
        (Kind::Directory, "usr/../..", ""),
        (Kind::Regular, "/etc/escape", ""),
        (Kind::Symlink, "../escape", "x"),
        (Kind::Hardlink, "link", "../../etc/shadow"),
        (Kind::Hardlink, "link", "/etc/shadow"),
    ] {
        let package = package(&[header(kind, path, link, 0)], None);
        for problem in refusals(&package, &Expected::anything("p"), &Limits::default()) {
            assert!(
                matches!(&problem, Problem::UnsafeMember { member, .. } if member == path),
                "{path}: {problem}"
            );
        }
    }
}

/// GHSA-qq3r-w4hj-gjp6 (CVE-2026-42574): a symbolic link that leads outside was followed by the members after it. What
/// links of other packages do is for the tree to say, which is never on disk: see the advisories of `apk-rootfs`.
#[test]
fn ghsa_qq3r_w4hj_gjp6_nothing_is_written_through_a_symbolic_link() {
    for (target, inside) in [
        ("/etc", "out/escape"),
        ("../../..", "out/a/b"),
        ("usr", "./out//x"),
    ] {
        let members = [
            header(Kind::Symlink, "out", target, 0),
            header(Kind::Regular, inside, "", 0),
        ];
        for problem in refusals(
            &package(&members, None),
            &Expected::anything("p"),
            &Limits::default(),
        ) {
            assert!(
                matches!(&problem, Problem::UnsafeMember { member, .. } if member == inside),
                "{inside}: {problem}"
            );
        }
    }
}

/// GHSA-f4w5-5xv9-85f6 (CVE-2026-25140) and CVE-2026-25122: sections inflated without end.
#[test]
fn ghsa_f4w5_5xv9_85f6_a_bomb_is_refused_at_its_limit() {
    const LIMIT: u64 = 1 << 20;
    let limits = Limits {
        control: LIMIT,
        data: LIMIT,
        ..Limits::default()
    };
    let data_bomb = package(&[header(Kind::Regular, "zeroes", "", 64 << 20)], None);
    let control_bomb = [apk_package::deflate(&vec![0; 64 << 20]), vec![]].concat();
    for (bomb, section) in [(data_bomb, "data section"), (control_bomb, "control section")] {
        let allocated = allocation_counter::measure(|| {
            for problem in refusals(&bomb, &Expected::anything("p"), &limits) {
                assert!(
                    matches!(problem, Problem::TooLarge { section: s, limit: LIMIT } if s == section),
                    "{problem}"
                );
            }
        });
        // The copies of the file, the limit, and what the readers themselves need.
        let most = 3 * bomb.len() as u64 + 2 * LIMIT + (1 << 20);
        assert!(allocated.bytes_max < most, "{section}: {allocated:?}, {most}");
    }
}
