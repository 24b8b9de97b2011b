//! What two packages differ in.

use std::collections::BTreeMap;

use bytes::Bytes;
use tarball::{Entry, Header, Kind};

use crate::{Expected, Limits, PackageError, VerifiedPackage, open};

/// The member with what a package says of itself.
const INFO: &str = ".PKGINFO";

/// How many bytes of a content are shown on each side of where it differs.
const AROUND: usize = 24;

/// The longest line that is shown whole.
const LINE: usize = 200;

/// One thing in which two packages are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The member: a file of the data section, or one of the control section, such as `.PKGINFO`.
    pub member: String,
    /// What of it differs.
    pub change: Change,
}

/// What of a member differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// One of the packages does not have it.
    OnlyIn(Side),
    /// A field of the member or, in `.PKGINFO`, a key: `mode`, `owner`, `depend`.
    Field {
        /// Its name.
        name: String,
        /// What it is in the first package; several values are separated by blanks.
        first: String,
        /// What it is in the second.
        second: String,
    },
    /// The content.
    Content(Box<ContentDifference>),
    /// The members are the same, but they come in another order from this one on.
    Order,
    /// Nothing but the way in which the sections are compressed or signed.
    Encoding,
}

/// The first or the second of two packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    First,
    /// The second.
    Second,
}

/// Where two contents begin to differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDifference {
    /// The first byte that differs, counted from 0; the shorter length where one content begins the other.
    pub offset: u64,
    /// The line it is on, counted from 1, where both are text.
    pub line: Option<u64>,
    /// The lengths in bytes.
    pub lengths: [u64; 2],
    /// The lines of both, or the bytes around the place.
    pub excerpts: [Vec<u8>; 2],
    /// What lies at the place in files of this kind, where that is known.
    pub meaning: Option<Meaning>,
}

/// What the bytes at some place of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// The time in the header of a gzip stream, as `gzip` writes it without `-n`.
    GzipTime,
    /// The time of a member of an `ar` archive, as `ar` writes it without `D`.
    ArchiveTime,
    /// The time of a member of a zip archive.
    ZipTime,
    /// The time of the source that compiled Python belongs to.
    PythonSourceTime,
}

/// Tells what two package files differ in, nothing where they are the same bytes. The packages are opened without
/// regard to who signed them; both are held in memory with what they inflate to.
///
/// # Errors
/// When one of them is not a package.
pub fn compare(
    name: &str,
    first: Bytes,
    second: Bytes,
    limits: &Limits,
) -> Result<Vec<Difference>, PackageError> {
    if first == second {
        return Ok(Vec::new());
    }
    let expected = Expected::anything(name);
    let [first, second] = [open(first, &expected, limits)?, open(second, &expected, limits)?];
    let mut found = Vec::new();
    members(&first.data, &second.data, &mut found);
    let data_differs = !found.is_empty();
    control(&first, &second, data_differs, &mut found);
    if found.is_empty() {
        let member = name.to_owned();
        found.push(Difference {
            member,
            change: Change::Encoding,
        });
    }
    Ok(found)
}

/// Compares what the packages say of themselves. The hash of a data section that differs is not worth a word.
fn control(
    first: &VerifiedPackage,
    second: &VerifiedPackage,
    data_differs: bool,
    found: &mut Vec<Difference>,
) {
    let info = |package: &VerifiedPackage| {
        let entry = package.control.iter().find(|entry| entry.header.path == INFO);
        keys(entry.map_or(&[], |entry| &entry.content))
    };
    let (before, after) = (info(first), info(second));
    let names: BTreeMap<&String, ()> = before.keys().chain(after.keys()).map(|name| (name, ())).collect();
    for name in names.into_keys() {
        let value = |keys: &BTreeMap<String, String>| keys.get(name).cloned().unwrap_or_default();
        let (first, second) = (value(&before), value(&after));
        if first != second && !(name == "datahash" && data_differs) {
            found.push(field(INFO, name, first, second));
        }
    }
    let others = |package: &VerifiedPackage| -> Vec<Entry> {
        let entries = package.control.iter();
        let others = entries.filter(|entry| entry.header.path != INFO);
        others.cloned().collect()
    };
    members(&others(first), &others(second), found);
}

/// The values of each key of a `.PKGINFO`, in their order.
fn keys(text: &[u8]) -> BTreeMap<String, String> {
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for line in String::from_utf8_lossy(text).lines() {
        if let Some((key, value)) = line.split_once(" = ") {
            let values = keys.entry(key.to_owned()).or_default();
            if !values.is_empty() {
                values.push(' ');
            }
            values.push_str(value);
        }
    }
    keys
}

fn field(member: &str, name: &str, first: String, second: String) -> Difference {
    Difference {
        member: member.to_owned(),
        change: Change::Field {
            name: name.to_owned(),
            first,
            second,
        },
    }
}

fn members(first: &[Entry], second: &[Entry], found: &mut Vec<Difference>) {
    let by_path = |entries: &[Entry]| -> BTreeMap<String, Entry> {
        let entries = entries.iter();
        entries
            .map(|entry| (entry.header.path.clone(), entry.clone()))
            .collect()
    };
    let before = found.len();
    let (of_first, of_second) = (by_path(first), by_path(second));
    for (path, entry) in &of_first {
        match of_second.get(path) {
            Some(other) => member(entry, other, found),
            None => found.push(only_in(Side::First, path)),
        }
    }
    let added = of_second.keys().filter(|path| !of_first.contains_key(*path));
    found.extend(added.map(|path| only_in(Side::Second, path)));
    let mut pairs = first.iter().zip(second);
    if found.len() == before
        && let Some((entry, _)) = pairs.find(|(a, b)| a.header.path != b.header.path)
    {
        found.push(Difference {
            member: entry.header.path.clone(),
            change: Change::Order,
        });
    }
}

fn only_in(side: Side, path: &str) -> Difference {
    Difference {
        member: path.to_owned(),
        change: Change::OnlyIn(side),
    }
}

fn member(first: &Entry, second: &Entry, found: &mut Vec<Difference>) {
    let path = &first.header.path;
    for ((name, before), (_, after)) in fields(&first.header).into_iter().zip(fields(&second.header)) {
        if before != after {
            found.push(field(path, name, before, after));
        }
    }
    if let Some(difference) = content(path, &first.content, &second.content) {
        found.push(Difference {
            member: path.clone(),
            change: Change::Content(Box::new(difference)),
        });
    }
}

/// What a header says beside the path, and beside size and checksum, which the content tells.
fn fields(header: &Header) -> [(&'static str, String); 7] {
    let kind = match header.kind {
        Kind::Regular => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symbolic link",
        Kind::Hardlink => "hard link",
        _ => "special file",
    };
    let attributes = header.pax.iter().filter(|(name, _)| name.starts_with("SCHILY."));
    let attributes = attributes.map(|(name, value)| format!("{name}={}", value.escape_ascii()));
    [
        ("kind", kind.to_owned()),
        ("link", header.link.clone()),
        ("mode", format!("{:o}", header.mode)),
        ("owner", format!("{}:{}", header.uid, header.gid)),
        ("owner's name", format!("{}:{}", header.uname, header.gname)),
        ("time", header.mtime.to_string()),
        ("attributes", attributes.collect::<Vec<_>>().join(" ")),
    ]
}

fn content(path: &str, first: &[u8], second: &[u8]) -> Option<ContentDifference> {
    if first == second {
        return None;
    }
    let same = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    let is_text = |bytes: &[u8]| !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok();
    let as_text = is_text(first) && is_text(second);
    let excerpt = |bytes: &[u8]| match as_text {
        true => line_at(bytes, same),
        false => {
            bytes[same.saturating_sub(AROUND).min(bytes.len())..(same + AROUND).min(bytes.len())].to_vec()
        }
    };
    let newlines = || first[..same].iter().filter(|byte| **byte == b'\n').count() as u64;
    Some(ContentDifference {
        offset: same as u64,
        line: as_text.then(|| newlines() + 1),
        lengths: [first.len() as u64, second.len() as u64],
        excerpts: [excerpt(first), excerpt(second)],
        meaning: meaning(path, first, same),
    })
}

/// The line around a place, of a long one what lies near to it.
fn line_at(text: &[u8], place: usize) -> Vec<u8> {
    let place = place.min(text.len());
    let begin = text[..place]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let end = text[place..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(text.len(), |at| place + at);
    let begin = begin.max(place.saturating_sub(LINE / 2));
    text[begin..end.min(begin + LINE)].to_vec()
}

fn meaning(path: &str, bytes: &[u8], place: usize) -> Option<Meaning> {
    // The start of a record, if the place lies in one of its fields.
    let in_field = |magic: &[u8], from: usize, to: usize| {
        (from..to).any(|field| {
            let start = place.checked_sub(field);
            start.is_some_and(|start| bytes[start..].starts_with(magic))
        })
    };
    if bytes.starts_with(&[0x1f, 0x8b]) && (4..8).contains(&place) {
        Some(Meaning::GzipTime)
    } else if path.ends_with(".pyc") && (8..12).contains(&place) {
        Some(Meaning::PythonSourceTime)
    } else if bytes.starts_with(b"!<arch>\n") && is_archive_time(bytes, place) {
        Some(Meaning::ArchiveTime)
    } else if in_field(b"PK\x03\x04", 10, 14) || in_field(b"PK\x01\x02", 12, 16) {
        Some(Meaning::ZipTime)
    } else {
        None
    }
}

/// Whether a place lies in the time of a member's header, of which each names the length of what follows it.
fn is_archive_time(archive: &[u8], place: usize) -> bool {
    let mut header = 8;
    while let Some(fields) = archive.get(header..header + 60).filter(|_| header <= place) {
        if (header + 16..header + 28).contains(&place) {
            return true;
        }
        let length = std::str::from_utf8(&fields[48..58]).ok();
        let Some(length) = length.and_then(|text| text.trim().parse::<usize>().ok()) else {
            return false;
        };
        header = header
            .saturating_add(60)
            .saturating_add(length.next_multiple_of(2));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataWriter, PkgInfo, control_section, write_package};

    fn packed(files: &[(&str, u32, &[u8])], depends: &[&str]) -> Bytes {
        let mut data = DataWriter::new(Vec::new());
        for (path, mode, content) in files {
            let header = Header {
                path: (*path).to_owned(),
                mode: *mode,
                size: content.len() as u64,
                ..Header::new(Kind::Regular)
            };
            data.append(header, || Ok(*content)).unwrap();
        }
        let data = data.finish().unwrap();
        let info = PkgInfo {
            name: "a".to_owned(),
            version: "1-r0".to_owned(),
            depends: depends
                .iter()
                .map(|text| apk_types::Dependency::lenient(text))
                .collect(),
            data_hash: data.hash,
            ..PkgInfo::default()
        };
        let control = control_section(&info, &[], 0).unwrap();
        let mut file = Vec::new();
        write_package(&mut file, None, &control, &mut &data.out[..]).unwrap();
        file.into()
    }

    fn differences(first: Bytes, second: Bytes) -> Vec<Difference> {
        compare("a-1-r0", first, second, &Limits::default()).unwrap()
    }

    #[test]
    fn the_same_bytes_have_no_differences() {
        let package = || packed(&[("f", 0o644, b"x")], &["b"]);
        assert_eq!(differences(package(), package()), []);
    }

    #[test]
    fn members_fields_and_lines_are_named_and_what_follows_from_them_is_not() {
        let first = packed(
            &[("a", 0o644, b"one\ntwo\n"), ("b", 0o755, b"x"), ("c", 0o644, b"")],
            &["x"],
        );
        let second = packed(
            &[("a", 0o644, b"one\nten\n"), ("b", 0o700, b"x"), ("d", 0o644, b"")],
            &["x", "y"],
        );
        let found = differences(first, second);
        let line = ContentDifference {
            offset: 5,
            line: Some(2),
            lengths: [8, 8],
            excerpts: [b"two".to_vec(), b"ten".to_vec()],
            meaning: None,
        };
        let content = Difference {
            member: "a".to_owned(),
            change: Change::Content(Box::new(line)),
        };
        let wanted = [
            content,
            field("b", "mode", "755".to_owned(), "700".to_owned()),
            only_in(Side::First, "c"),
            only_in(Side::Second, "d"),
            field(INFO, "depend", "x".to_owned(), "x y".to_owned()),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_order_of_members_counts() {
        let (a, b): (_, (_, _, &[u8])) = (("a", 0o644, &b""[..]), ("b", 0o644, b""));
        let found = differences(packed(&[a, b], &[]), packed(&[b, a], &[]));
        assert_eq!((found.len(), &found[0].change), (1, &Change::Order));
    }

    #[test]
    fn a_content_that_begins_the_other_differs_at_its_end() {
        let found = content("f", b"\0abc", b"\0abcd").unwrap();
        assert_eq!((found.offset, found.line, found.lengths), (4, None, [4, 5]));
        assert_eq!(found.excerpts, [b"\0abc".to_vec(), b"\0abcd".to_vec()]);
    }

    #[test]
    fn times_in_known_formats_are_recognised() {
        let gzip = [0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 0, 3];
        let mut archive = b"!<arch>\n".to_vec();
        for name in ["x.o/", "y.o/"] {
            archive.extend(format!("{name:16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 1, 0, 0, 644, 3).bytes());
            archive.extend(b"abc\n");
        }
        let zip = b"PK\x03\x04\x14\0\0\0\x08\0ttdd";
        let table: [(&str, &[u8], usize, Option<Meaning>); 8] = [
            ("f.gz", &gzip, 5, Some(Meaning::GzipTime)),
            ("f.gz", &gzip, 9, None),
            ("f.a", &archive, 8 + 64 + 16, Some(Meaning::ArchiveTime)),
            ("f.a", &archive, 8 + 60, None),
            ("f.whl", zip, 12, Some(Meaning::ZipTime)),
            ("f.whl", zip, 5, None),
            ("f.pyc", &[0; 16], 8, Some(Meaning::PythonSourceTime)),
            ("f.pyc", &[0; 16], 13, None),
        ];
        for (path, bytes, place, wanted) in table {
            assert_eq!(meaning(path, bytes, place), wanted, "{path} {place}");
        }
    }
}
