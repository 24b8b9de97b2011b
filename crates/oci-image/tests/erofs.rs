//! EROFS layers: that they read back as they were written, and that damaged ones are refused in peace.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::process::Command;

use file_content::Content;
use oci_image::{ErofsFile, ErofsFileKind, ErofsImage, LayerError, media_type, write_erofs_layer};
use proptest::prelude::*;
use tarball::{Entry, Header, Kind};

fn entry(path: &str, kind: Kind, content: &[u8]) -> Entry<Content> {
    let header = Header {
        path: path.to_owned(),
        mode: 0o755,
        mtime: 7,
        size: content.len() as u64,
        ..Header::new(kind)
    };
    Entry {
        header,
        content: content.to_vec().into(),
    }
}

fn link(path: &str, kind: Kind, target: &str) -> Entry<Content> {
    let mut entry = entry(path, kind, b"");
    entry.header.link = target.to_owned();
    entry
}

fn sample() -> Vec<Entry<Content>> {
    let mut entries = vec![entry("bin", Kind::Directory, b"")];
    let mut setuid = entry("bin/su", Kind::Regular, b"#!/bin/sh\n");
    setuid.header.mode = 0o4755;
    (setuid.header.uid, setuid.header.gid) = (70_000, 5);
    setuid.header.pax = BTreeMap::from([
        (
            "SCHILY.xattr.security.capability".to_owned(),
            vec![1, 0, 0, 2, 255],
        ),
        ("SCHILY.xattr.user.name".to_owned(), b"value".to_vec()),
    ]);
    entries.push(setuid);
    entries.push(link("bin/su2", Kind::Hardlink, "bin/su"));
    let mut device = entry("console", Kind::CharDevice, b"");
    device.header.device = (5, 300);
    entries.push(device);
    entries.push(entry("empty", Kind::Directory, b""));
    entries.push(entry("large", Kind::Regular, &[7; 10_000]));
    entries.push(link("link", Kind::Symlink, "bin/su"));
    entries.push(entry("many", Kind::Directory, b""));
    let names = (0..1000).map(|number| format!("many/file-with-a-longer-name-{number:04}"));
    entries.extend(names.map(|name| entry(&name, Kind::Regular, name.as_bytes())));
    entries.push(entry("nothing", Kind::Regular, b""));
    entries
}

fn written(entries: Vec<Entry<Content>>) -> Vec<u8> {
    let (layer, blob) = write_erofs_layer(entries, 7, Vec::new()).unwrap();
    assert_eq!(layer.descriptor.media_type, media_type::LAYER_EROFS);
    assert_eq!(layer.descriptor.size, blob.len() as u64);
    assert_eq!(layer.diff_id, layer.descriptor.digest);
    blob
}

fn files(blob: &[u8]) -> Vec<ErofsFile> {
    ErofsImage::open(Cursor::new(blob)).unwrap().files().unwrap()
}

#[test]
fn what_is_written_reads_back() {
    let entries = sample();
    let blob = written(entries.clone());
    let mut image = ErofsImage::open(Cursor::new(&blob)).unwrap();
    let files = image.files().unwrap();
    assert_eq!(files.len(), entries.len() + 1, "the root comes first");
    for (file, entry) in files[1..].iter().zip(&entries) {
        assert_eq!(file.path, entry.header.path);
        if let ErofsFileKind::Regular(_) = file.kind
            && entry.header.kind == Kind::Regular
        {
            let mut content = Vec::new();
            image.copy(file, &mut content).unwrap();
            assert_eq!(Content::from(content), entry.content, "{}", file.path);
        }
    }
    let find = |path: &str| files.iter().find(|file| file.path == path).unwrap();
    let su = find("bin/su");
    assert_eq!((su.mode, su.uid, su.gid, su.mtime), (0o4755, 70_000, 5, 7));
    assert_eq!(su.xattrs["security.capability"], [1, 0, 0, 2, 255]);
    assert_eq!(su.xattrs["user.name"], b"value");
    assert_eq!(find("bin/su2").xattrs, su.xattrs);
    assert_eq!(find("console").kind, ErofsFileKind::CharDevice(5, 300));
    assert_eq!(find("link").kind, ErofsFileKind::Symlink("bin/su".to_owned()));
}

#[test]
fn fsck_finds_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    std::fs::write(&path, written(sample())).unwrap();
    match Command::new("fsck.erofs").arg(&path).output() {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => eprintln!("skipped: fsck.erofs: {error}"),
    }
}

#[test]
fn members_that_do_not_fit_are_named() {
    let long = format!("bin/{}", "n".repeat(256));
    let rows = [
        entry("no/where", Kind::Regular, b""),
        entry("bin", Kind::Regular, b""),
        entry(&long, Kind::Regular, b""),
        link("dangling", Kind::Hardlink, "bin/none"),
    ];
    for last in rows {
        let path = last.header.path.clone();
        let entries = [entry("bin", Kind::Directory, b""), last];
        let error = write_erofs_layer(entries, 0, Vec::new()).unwrap_err();
        assert!(
            matches!(&error, LayerError::Erofs { path: named, .. } if *named == path),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_file_system_is_refused() {
    for blob in [&b""[..], &[0; 4096], &[0xff; 4096]] {
        assert!(ErofsImage::open(Cursor::new(blob)).is_err());
    }
}

proptest! {
    #[test]
    fn damage_is_refused_or_read_but_ends(at in 1024..40_000usize, byte: u8) {
        let mut blob = written(sample());
        let at = at % blob.len();
        blob[at] = byte;
        if let Ok(mut image) = ErofsImage::open(Cursor::new(&blob)) {
            let _ = image.files();
        }
    }

    #[test]
    fn any_names_keep_their_order(names in prop::collection::btree_set("[!-.0-~]{1,40}", 0..300)) {
        let names: Vec<String> = names.into_iter().filter(|name| name != "." && name != "..").collect();
        let entries = names.iter().map(|name| entry(name, Kind::Regular, name.as_bytes())).collect();
        let read: Vec<String> = files(&written(entries)).into_iter().skip(1).map(|file| file.path).collect();
        prop_assert_eq!(read, names);
    }
}
