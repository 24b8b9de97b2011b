//! Layers of directories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use oci_image::{Compression, LayerError, write_directory_layer};
use tarball::Kind;

#[test]
fn the_members_are_what_lies_in_the_directory_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("a/b")).unwrap();
    for (name, mode) in [("a/b/run", 0o4755), ("a.conf", 0o600), ("a/z", 0o644)] {
        fs::write(at(name), name).unwrap();
        fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
    }
    for name in ["a", "a/b"] {
        fs::set_permissions(at(name), Permissions::from_mode(0o750)).unwrap();
    }
    symlink("../a.conf", at("a/link")).unwrap();
    let (_, blob) = write_directory_layer(directory.path(), 7, Vec::new(), Compression::default()).unwrap();
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(&blob[..])
        .read_to_end(&mut tar)
        .unwrap();
    let members = tarball::read(tar.into(), &tarball::Limits::default()).unwrap();
    let seen: Vec<_> = members
        .iter()
        .map(|member| {
            let header = &member.header;
            assert_eq!((header.uid, header.gid, header.mtime), (0, 0, 7));
            (header.path.as_str(), header.kind, header.mode & 0o7777)
        })
        .collect();
    let expected = [
        ("a", Kind::Directory, 0o750),
        ("a/b", Kind::Directory, 0o750),
        ("a/b/run", Kind::Regular, 0o4755),
        ("a/link", Kind::Symlink, 0o777),
        ("a/z", Kind::Regular, 0o644),
        ("a.conf", Kind::Regular, 0o600),
    ];
    assert_eq!(seen, expected);
    assert_eq!(members[3].header.link, "../a.conf");
    assert_eq!(members[5].content, "a.conf");
}

#[test]
fn what_no_layer_can_have_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _socket = UnixListener::bind(&path).unwrap();
    let layer = write_directory_layer(directory.path(), 0, Vec::new(), Compression::default());
    let error = layer.unwrap_err();
    assert!(
        matches!(&error, LayerError::File { path: named, .. } if *named == path),
        "{error}"
    );
    let missing = directory.path().join("missing");
    let layer = write_directory_layer(&missing, 0, Vec::new(), Compression::default());
    assert!(layer.unwrap_err().to_string().contains("missing"));
}
