//! The bytes of a header.

use std::collections::BTreeMap;

use crate::{BLOCK, Header, Kind};

/// A header that neither USTAR nor PAX can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be written to a tar archive: {reason}")]
pub struct HeaderError {
    /// The member's path.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The fields of a header block, in bytes from its start.
mod field {
    use std::ops::Range;

    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const TYPE: usize = 156;
    pub(super) const LINK: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..265;
    pub(super) const UNAME: Range<usize> = 265..297;
    pub(super) const GNAME: Range<usize> = 297..329;
    pub(super) const MAJOR: Range<usize> = 329..337;
    pub(super) const MINOR: Range<usize> = 337..345;
    pub(super) const PREFIX: Range<usize> = 345..500;
}

/// Records that stand for header fields: one in `Header::pax` is ignored, as Go ignores it.
const FIELD_RECORDS: [&str; 9] = [
    "path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime",
];

impl Header {
    /// Appends the header's blocks: one, preceded by a PAX header where USTAR cannot hold the fields or where
    /// the header has PAX records. Fails on a NUL in a text and on a file whose path ends in `/`.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), HeaderError> {
        self.check()?;
        let (mut records, fits_ustar) = self.records();
        if fits_ustar && self.pax.is_empty() {
            let (prefix, name) = split_path(&self.path).unwrap_or(("", &self.path));
            let mut block = self.block(name);
            block.text(field::PREFIX, prefix);
            out.extend_from_slice(&block.finish());
            return Ok(());
        }
        for (key, value) in &self.pax {
            let is_field =
                FIELD_RECORDS.contains(&key.as_str()) || key == "ctime" || key.starts_with("GNU.sparse.");
            if !is_field {
                records.entry(key).or_insert(value.clone());
            }
        }
        if !records.is_empty() {
            self.encode_records(&records, out);
        }
        out.extend_from_slice(&self.block(&self.path).finish());
        Ok(())
    }

    fn check(&self) -> Result<(), HeaderError> {
        let fail = |reason| {
            Err(HeaderError {
                path: self.path.clone(),
                reason,
            })
        };
        if [&self.path, &self.link, &self.uname, &self.gname]
            .iter()
            .any(|text| text.contains('\0'))
        {
            return fail("a name contains a NUL byte");
        }
        if self.mode > 0o7777 {
            return fail("its mode is more than 0o7777");
        }
        if self.device.0.max(self.device.1) > 0o7777777 {
            return fail("its device number is too large");
        }
        if self.path.ends_with('/') && !matches!(self.kind, Kind::Directory | Kind::Symlink | Kind::Hardlink)
        {
            return fail("it is no directory but ends in `/`");
        }
        if self
            .pax
            .keys()
            .any(|key| key.is_empty() || key.contains(['=', '\0']))
        {
            return fail("it has a malformed PAX record");
        }
        Ok(())
    }

    /// The records for fields that USTAR cannot hold as they are, and whether it can hold the header still (a
    /// long path may be split in two).
    fn records(&self) -> (BTreeMap<&str, Vec<u8>>, bool) {
        let mut records = BTreeMap::new();
        let mut fits = true;
        let texts = [
            ("path", &self.path, 100),
            ("linkpath", &self.link, 100),
            ("uname", &self.uname, 32),
            ("gname", &self.gname, 32),
        ];
        for (key, text, size) in texts {
            if text.len() > size || !text.is_ascii() {
                fits &= key == "path" && split_path(text).is_some();
                records.insert(key, text.clone().into_bytes());
            }
        }
        let numbers = [
            ("uid", i64::from(self.uid), 7),
            ("gid", i64::from(self.gid), 7),
            ("size", i64::try_from(self.size).unwrap_or(i64::MAX), 11),
            ("mtime", self.mtime, 11),
        ];
        for (key, number, digits) in numbers {
            if !fits_octal(number, digits) {
                fits = false;
                records.insert(key, number.to_string().into_bytes());
            }
        }
        (records, fits)
    }

    fn encode_records(&self, records: &BTreeMap<&str, Vec<u8>>, out: &mut Vec<u8>) {
        let mut data = Vec::new();
        for (key, value) in records {
            push_record(&mut data, key, value);
        }
        let (directory, file) = self.path.split_at(self.path.rfind('/').map_or(0, |at| at + 1));
        let name = clean(&format!("{directory}PaxHeaders.0/{file}"));
        let name: String = name.chars().filter(|c| c.is_ascii() && *c != '\0').collect();
        let name = name[..name.len().min(100)].trim_end_matches('/');
        let mut block = Block::new(b'x');
        block.text(field::NAME, name);
        for (range, number) in [
            (field::MODE, 0),
            (field::UID, 0),
            (field::GID, 0),
            (field::SIZE, data.len() as i64),
            (field::MTIME, 0),
        ] {
            block.octal(range, number);
        }
        out.extend_from_slice(&block.finish());
        out.extend_from_slice(&data);
        pad(out, data.len() as u64);
    }

    fn block(&self, name: &str) -> Block {
        let ascii = |text: &str| -> String { text.chars().filter(|c| c.is_ascii() && *c != '\0').collect() };
        let mut block = Block::new(self.kind.type_flag());
        block.text(field::NAME, &ascii(name));
        block.text(field::LINK, &ascii(&self.link));
        block.octal(field::MODE, i64::from(self.mode));
        block.octal(field::UID, i64::from(self.uid));
        block.octal(field::GID, i64::from(self.gid));
        block.octal(field::SIZE, i64::try_from(self.size).unwrap_or(i64::MAX));
        block.octal(field::MTIME, self.mtime);
        block.text(field::UNAME, &ascii(&self.uname));
        block.text(field::GNAME, &ascii(&self.gname));
        block.octal(field::MAJOR, i64::from(self.device.0));
        block.octal(field::MINOR, i64::from(self.device.1));
        block
    }
}

/// Appends the zeroes that fill a content of `length` bytes up to a whole number of blocks.
pub(crate) fn pad(out: &mut Vec<u8>, length: u64) {
    let rest = (length % BLOCK as u64) as usize;
    if rest > 0 {
        out.resize(out.len() + BLOCK - rest, 0);
    }
}

/// Splits a path into USTAR's prefix and name at the last `/` that leaves both short enough; `None` where it is
/// short enough as it is or cannot be split.
fn split_path(path: &str) -> Option<(&str, &str)> {
    if path.len() <= field::NAME.len() || !path.is_ascii() {
        return None;
    }
    let limit = if path.len() > field::PREFIX.len() + 1 {
        field::PREFIX.len() + 1
    } else if path.ends_with('/') {
        path.len() - 1
    } else {
        path.len()
    };
    let at = path[..limit].rfind('/')?;
    let (prefix, name) = (&path[..at], &path[at + 1..]);
    let fits = at > 0 && at <= field::PREFIX.len() && !name.is_empty() && name.len() <= field::NAME.len();
    fits.then_some((prefix, name))
}

/// Cleans a path as Go's `path.Clean` does: empty parts and `.` are dropped, `..` takes one back.
fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if absolute => {}
            _ => kept.push(part),
        }
    }
    format!("{}{}", if absolute { "/" } else { "" }, kept.join("/"))
}

/// Appends `LENGTH KEY=VALUE\n`, where the length counts itself.
fn push_record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() + rest != length {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn fits_octal(number: i64, digits: u32) -> bool {
    (0..1_i64 << (3 * digits)).contains(&number)
}

struct Block([u8; BLOCK]);

impl Block {
    fn new(type_flag: u8) -> Self {
        let mut block = Self([0; BLOCK]);
        block.0[field::TYPE] = type_flag;
        block
    }

    /// Writes as much of a text as fits. A path cut off right behind a `/` ends before it, lest a reader take
    /// a file for a directory.
    fn text(&mut self, range: std::ops::Range<usize>, text: &str) {
        let target = &mut self.0[range];
        let length = text.len().min(target.len());
        target[..length].copy_from_slice(&text.as_bytes()[..length]);
        if text.len() > length && target[length - 1] == b'/' {
            target[text[..length].trim_end_matches('/').len()] = 0;
        }
    }

    /// Writes octal digits with leading zeroes and a NUL; a number that does not fit becomes 0 (a PAX record
    /// holds it then).
    fn octal(&mut self, range: std::ops::Range<usize>, number: i64) {
        let digits = range.len() - 1;
        let number = if fits_octal(number, digits as u32) {
            number
        } else {
            0
        };
        self.text(range, &format!("{number:0digits$o}"));
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.0[field::MAGIC].copy_from_slice(b"ustar\x0000");
        self.0[field::CHECKSUM].fill(b' ');
        let sum: i64 = self.0.iter().map(|byte| i64::from(*byte)).sum();
        let start = field::CHECKSUM.start;
        self.octal(start..start + 7, sum);
        self.0[start + 6] = 0;
        self.0
    }
}
