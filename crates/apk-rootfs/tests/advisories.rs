//! What was found in other builders of images in 2025 and 2026, each shown not to work here.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use apk_rootfs::{Installation, Package, Tree};
use apk_types::{Arch, PackageRecord};
use tarball::{Header, Kind};

type Entry = tarball::Entry<file_content::Content>;

fn entry(kind: Kind, path: &str, link: &str, content: &str) -> Entry {
    let header = Header {
        path: path.into(),
        link: link.into(),
        mode: if kind == Kind::Directory { 0o755 } else { 0o644 },
        size: content.len() as u64,
        ..Header::new(kind)
    };
    Entry {
        header,
        content: content.to_owned().into(),
    }
}

/// The tree of packages that are installed one after the other, or what the last of them is refused with.
fn install(packages: &[&[Entry]]) -> Result<Tree, String> {
    let mut tree = Tree::new();
    apk_rootfs::initialize(&mut tree, Arch::X86_64).unwrap();
    let mut installation = Installation::new(tree);
    for (number, data) in packages.iter().enumerate() {
        let record = PackageRecord {
            name: format!("package-{number}"),
            version: "1.0-r0".into(),
            ..PackageRecord::default()
        };
        let package = Package {
            record: &record,
            control: &[],
            data,
            triggers: &[],
        };
        installation
            .install(&package, 0)
            .map_err(|error| error.to_string())?;
    }
    installation
        .finish(&[])
        .map(|(tree, _)| tree)
        .map_err(|error| error.to_string())
}

/// GHSA-qq3r-w4hj-gjp6 (CVE-2026-42574): one package brought a symbolic link to a directory of the host, and the files
/// of the next were written there.
#[test]
fn ghsa_qq3r_w4hj_gjp6_a_link_of_another_package_leads_nowhere_outside() {
    let outside = tempfile::tempdir().unwrap();
    let host = outside.path().display().to_string();
    let up = format!("../../../../../../../..{host}");
    for target in [&host, &up] {
        let link = [entry(Kind::Symlink, "out", target, "")];
        let files = [
            entry(Kind::Directory, "out", "", ""),
            entry(Kind::Regular, "out/escape", "", "x"),
        ];
        let deep = [entry(Kind::Regular, "out/deep/escape", "", "x")];
        for through in [&files[..], &deep] {
            // Refused, or inside of the tree; on the host there is nothing in either case.
            if let Ok(tree) = install(&[&link, through]) {
                assert!(
                    tree.walk()
                        .any(|member| member.entry.header.path.ends_with("escape"))
                );
            }
            assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{target}");
        }
    }
}

/// GHSA-5g94-c2wx-8pxw: paths with `..` left the root.
#[test]
fn ghsa_5g94_c2wx_8pxw_no_path_leaves_the_root() {
    for path in ["../escape", "usr/../../escape", "/../escape"] {
        let refused = install(&[&[entry(Kind::Regular, path, "", "x")]]).err().unwrap();
        assert!(refused.contains(path), "{refused}");
    }
    assert!(!Path::new("../escape").exists());
}

/// GHSA-x6ph-r535-3vjw (CVE-2025-53945): `/etc/ld.so.cache` could be written by everybody, and so was any file that the
/// builder itself made.
#[test]
fn ghsa_x6ph_r535_3vjw_no_file_of_the_image_is_writable_by_everybody() {
    let data = [
        entry(Kind::Directory, "etc", "", ""),
        entry(Kind::Regular, "etc/ld.so.conf", "", "/lib\n"),
    ];
    let mut tree = install(&[&data]).unwrap();
    apk_rootfs::ldso::update(&mut tree).unwrap();
    assert!(tree.get("etc/ld.so.cache").is_ok());
    for member in tree.walk() {
        let header = &member.entry.header;
        let is_exempt = header.kind != Kind::Regular;
        assert!(
            is_exempt || header.mode & 0o002 == 0,
            "{} has {:o}",
            header.path,
            header.mode
        );
    }
}
