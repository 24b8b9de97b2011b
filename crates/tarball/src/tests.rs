use std::io::Read;

use bytes::Bytes;
use proptest::prelude::*;

use crate::*;

fn file(path: &str, content: &[u8]) -> Entry {
    let header = Header {
        path: path.to_owned(),
        mode: 0o644,
        size: content.len() as u64,
        ..Header::new(Kind::Regular)
    };
    Entry {
        header,
        content: Bytes::copy_from_slice(content),
    }
}

fn archive(entries: &[Entry]) -> Bytes {
    let mut writer = Writer::new(Vec::new());
    for entry in entries {
        writer.append(&entry.header, &entry.content).unwrap();
    }
    writer.finish().unwrap().into()
}

/// How many blocks a header takes shows which form was chosen: one for USTAR, three for PAX.
#[test]
fn the_form_is_the_one_that_go_chooses() {
    let long = "directory/".repeat(12);
    let cases: [(&str, Header, usize); 8] = [
        ("a plain file", file("a", b"").header, 1),
        ("a path that splits", file(&format!("{long}file"), b"").header, 1),
        (
            "a path that does not split",
            file(&"n".repeat(101), b"").header,
            3,
        ),
        ("a path that is not ASCII", file("ünïcode", b"").header, 3),
        (
            "a large owner",
            Header {
                uid: 0o10000000,
                ..file("a", b"").header
            },
            3,
        ),
        (
            "a time before 1970",
            Header {
                mtime: -1,
                ..file("a", b"").header
            },
            3,
        ),
        (
            "a size of 8 GiB",
            Header {
                size: 1 << 33,
                ..file("a", b"").header
            },
            3,
        ),
        (
            "an extended attribute",
            Header {
                pax: [("SCHILY.xattr.user.x".into(), vec![0, 1])].into(),
                ..file("a", b"").header
            },
            3,
        ),
    ];
    for (name, header, blocks) in cases {
        let mut out = Vec::new();
        header.encode(&mut out).unwrap();
        assert_eq!(out.len(), blocks * BLOCK, "{name}");
    }
}

#[test]
fn a_header_has_the_bytes_that_go_writes() {
    let header = Header {
        path: "bin/busybox".into(),
        mode: 0o4755,
        uid: 1000,
        size: 808_712,
        mtime: 1_718_003_507,
        uname: "root".into(),
        ..Header::new(Kind::Regular)
    };
    let mut out = Vec::new();
    header.encode(&mut out).unwrap();
    let fields = [
        (0, "bin/busybox\0"),
        (100, "0004755\0"),
        (108, "0001750\0"),
        (116, "0000000\0"),
        (124, "00003053410\0"),
        (136, "14631523463\0"),
        (156, "0\0"),
        (257, "ustar\x0000root\0"),
        (329, "0000000\x000000000\0\0"),
    ];
    for (at, text) in fields {
        assert_eq!(
            String::from_utf8_lossy(&out[at..at + text.len()]),
            text,
            "at {at}"
        );
    }
    let sum: u32 = out
        .iter()
        .enumerate()
        .map(|(i, b)| {
            if (148..156).contains(&i) {
                32
            } else {
                u32::from(*b)
            }
        })
        .sum();
    assert_eq!(&out[148..156], format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn what_no_header_can_hold_is_refused_by_path() {
    let cases = [
        (
            Header {
                path: "a\0b".into(),
                ..file("a", b"").header
            },
            "contains a NUL",
        ),
        (file("a/", b"").header, "ends in `/`"),
        (
            Header {
                mode: 0o100644,
                ..file("a", b"").header
            },
            "mode",
        ),
        (
            Header {
                pax: [("a=b".into(), vec![])].into(),
                ..file("a", b"").header
            },
            "PAX",
        ),
    ];
    for (header, reason) in cases {
        let error = header.encode(&mut Vec::new()).unwrap_err();
        assert_eq!(error.path, header.path);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_content_of_another_length_is_refused() {
    for content in [&b"abc"[..], b"abcde"] {
        let header = Header {
            size: 4,
            ..file("a", b"").header
        };
        let error = Writer::new(Vec::new()).append(&header, content).unwrap_err();
        assert!(
            matches!(error, WriteError::Size { stated: 4, actual, .. } if actual == content.len() as u64)
        );
    }
}

#[test]
fn an_archive_that_ends_early_is_refused_with_the_member_before() {
    let whole = archive(&[file("first", b"1"), file("second", &[b'x'; 600])]);
    for length in [3 * BLOCK - 1, 3 * BLOCK + 1, 4 * BLOCK] {
        let error = read(whole.slice(..length), &Limits::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("`first`"), "{length}: {error}");
    }
    // Without the end-of-archive blocks it is whole: the sections of packages end like this.
    assert_eq!(
        read(whole.slice(..5 * BLOCK), &Limits::default()).unwrap().len(),
        2
    );
}

#[test]
fn limits_are_kept() {
    let entries = [file("a", b""), file("b", b"")];
    let error = read(
        archive(&entries),
        &Limits {
            members: 1,
            ..Limits::default()
        },
    )
    .unwrap_err();
    assert!(
        matches!(error, ReadError::TooLarge { ref path, limit: 1, .. } if path == "b"),
        "{error}"
    );
    let mut large = file("a", b"");
    large
        .header
        .pax
        .insert("SCHILY.xattr.user.x".into(), vec![b'v'; 5000]);
    let error = read(
        archive(&[large]),
        &Limits {
            metadata: 4096,
            ..Limits::default()
        },
    )
    .unwrap_err();
    assert!(error.to_string().contains("PAX records"), "{error}");
}

fn any_header() -> impl Strategy<Value = Header> {
    let kinds = prop::sample::select(vec![
        Kind::Regular,
        Kind::Hardlink,
        Kind::Symlink,
        Kind::CharDevice,
        Kind::Directory,
        Kind::Fifo,
    ]);
    let name = "[a-zé/.]{0,80}[a-z]";
    (
        (kinds, name, name, 0..0o10000_u32),
        (any::<u32>(), any::<u32>(), "[a-zé]{0,40}"),
        -9..1_i64 << 34,
        0..600_u64,
    )
        .prop_map(
            |((kind, path, link, mode), (uid, gid, uname), mtime, size)| Header {
                path,
                link: if matches!(kind, Kind::Hardlink | Kind::Symlink) {
                    link
                } else {
                    String::new()
                },
                mode,
                uid,
                gid,
                uname,
                mtime,
                size: if kind == Kind::Regular { size } else { 0 },
                device: if kind == Kind::CharDevice {
                    (uid & 0xff, gid & 0xff)
                } else {
                    (0, 0)
                },
                pax: if uid % 3 == 0 {
                    [("SCHILY.xattr.a".into(), vec![0, 10, 61])].into()
                } else {
                    [].into()
                },
                ..Header::new(kind)
            },
        )
}

/// Reads an archive that comes in pieces of a size.
fn streamed(archive: &[u8], piece: usize) -> Result<Vec<Entry>, ReadError> {
    let reader = std::io::BufReader::with_capacity(piece, archive);
    read_stream(reader, &Limits::default(), |_, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        Ok(bytes.into())
    })
}

#[test]
fn what_is_left_unread_is_passed_over() {
    let entries = [file("a", &[1; 1000]), file("b", b"second")];
    let archive = archive(&entries);
    let read = |_: &Header, content: &mut std::io::Take<&mut &[u8]>| {
        let mut first = [0; 3];
        content.read_exact(&mut first)?;
        Ok(first.to_vec())
    };
    let read = read_stream(&archive[..], &Limits::default(), read).unwrap();
    assert_eq!(
        (&read[0].content[..], &read[1].content[..]),
        (&[1; 3][..], &b"sec"[..])
    );
    assert_eq!(read[1].header, entries[1].header);
}

proptest! {
    #[test]
    fn members_read_back_as_written(headers in prop::collection::vec(any_header(), 0..6)) {
        let entries: Vec<Entry> = headers
            .into_iter()
            .map(|header| Entry { content: vec![7; header.size as usize].into(), header })
            .collect();
        let archive = archive(&entries);
        prop_assert_eq!(&streamed(&archive, 700).unwrap(), &entries);
        prop_assert_eq!(read(archive, &Limits::default()).unwrap(), entries);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..2048), whole in any::<bool>()) {
        if whole {
            // A true header in front leads further in than noise does.
            let mut out = Vec::new();
            file("a", &bytes).header.encode(&mut out).unwrap();
            out.append(&mut bytes);
            bytes = out;
        }
        let at_once = read(bytes.clone().into(), &Limits::default());
        let streamed = streamed(&bytes, 100);
        match (at_once, streamed) {
            (Ok(at_once), Ok(streamed)) => prop_assert_eq!(at_once, streamed),
            (Err(at_once), Err(streamed)) => prop_assert_eq!(at_once.to_string(), streamed.to_string()),
            (at_once, streamed) => prop_assert!(false, "{at_once:?} but {streamed:?}"),
        }
    }
}

mod member_by_member {
    use std::io::Read as _;

    use super::*;
    use crate::{Member, Members, ReadError};

    /// The members with as much of each content as is asked for.
    fn members(archive: &[u8], most: u64) -> Result<Vec<(Header, Vec<u8>)>, ReadError> {
        // A small buffer, so that contents come in pieces.
        let reader = std::io::BufReader::with_capacity(100, archive);
        let mut members = Members::new(reader, &Limits::default());
        let mut read = Vec::new();
        while let Some(member) = members.next_member()? {
            let header = member.header().clone();
            let mut content = Vec::new();
            let mut part = Member::take(member, most);
            part.read_to_end(&mut content)
                .map_err(|source| ReadError::Malformed {
                    members: read.len(),
                    last: header.path.clone(),
                    source,
                })?;
            read.push((header, content));
        }
        assert!(members.next_member()?.is_none());
        Ok(read)
    }

    fn archive() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (path, content) in [
            ("a", vec![1; 700]),
            (&*"long/".repeat(60), vec![]),
            ("b", vec![2; 512]),
        ] {
            let kind = if path.ends_with('/') {
                Kind::Directory
            } else {
                Kind::Regular
            };
            let header = Header {
                path: path.into(),
                size: content.len() as u64,
                ..Header::new(kind)
            };
            writer.append(&header, &content).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn members_are_those_of_the_whole_archive() {
        let archive = archive();
        let entries = read(archive.clone().into(), &Limits::default()).unwrap();
        for most in [0, 1, 600, 1000] {
            let members = members(&archive, most).unwrap();
            assert_eq!(members.len(), entries.len());
            for (entry, (header, content)) in entries.iter().zip(members) {
                assert_eq!(entry.header, header);
                let length = entry.content.len().min(most as usize);
                assert_eq!(entry.content[..length], content);
            }
        }
    }

    #[test]
    fn an_archive_that_ends_early_is_refused_with_the_member() {
        let archive = archive();
        for end in [100, 512 + 699] {
            for most in [0, 1000] {
                assert!(members(&archive[..end], most).is_err(), "{end}");
            }
        }
        // The padding alone may be missing.
        assert_eq!(members(&archive[..512 + 700], 0).unwrap().len(), 1);
    }
}
