//! Reading archives, in memory or as they come.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Take};

use bytes::Bytes;

use crate::{BLOCK, Entry, Header, Kind};

/// What an archive may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many members.
    pub members: usize,
    /// How many bytes a path, link target or all PAX records of a member.
    pub metadata: usize,
}

impl Default for Limits {
    /// A million members, a mebibyte of metadata a member. What is read of a member then takes at most 64 times the bytes
    /// of its metadata, and its header at most as many bytes as in the archive.
    fn default() -> Self {
        Self {
            members: 1 << 20,
            metadata: 1 << 20,
        }
    }
}

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The archive is damaged or ends too early.
    #[error("after member {members} (`{last}`): {source}")]
    Malformed {
        /// How many members were read.
        members: usize,
        /// The path of the last one, empty if there was none.
        last: String,
        /// What is wrong.
        source: io::Error,
    },
    /// A member of a kind that packages and layers do not have.
    #[error("`{path}` is a tar member of the unknown type `{}`", *.type_flag as char)]
    UnknownType {
        /// The member's path.
        path: String,
        /// Its type flag.
        type_flag: u8,
    },
    /// A name that is not UTF-8.
    #[error("`{path}` has a name that is not UTF-8")]
    NotUtf8 {
        /// The name with replacement characters.
        path: String,
    },
    /// More than the limits allow.
    #[error("`{path}`: {what} exceeds the limit of {limit}")]
    TooLarge {
        /// The member's path.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// Reads all members of an uncompressed archive. Contents are slices of `archive`. A block of zeroes ends it, as
/// does the end of the bytes; times are rounded to whole seconds, as Go rounds them when it writes.
///
/// Header blocks are read by the `tar` crate. The walk over them is ours because that crate ends a PAX value at
/// its first line feed, which file capabilities may contain.
pub fn read(archive: Bytes, limits: &Limits) -> Result<Vec<Entry>, ReadError> {
    walk(InMemory { archive, at: 0 }, limits)
}

/// Reads all members of an uncompressed archive as it comes, by the rules of [`read`]. Each regular file's content is
/// given to `content` together with its header, and what that makes of it stands in the entry. What it leaves unread
/// is passed over; what is behind the end of the archive is not read.
///
/// Errors of the reader and of `content` are the source of [`ReadError::Malformed`].
pub fn read_stream<R: BufRead, C: Default>(
    reader: R,
    limits: &Limits,
    content: impl FnMut(&Header, &mut Take<&mut R>) -> io::Result<C>,
) -> Result<Vec<Entry<C>>, ReadError> {
    let source = Stream {
        reader,
        content,
        ended: false,
    };
    walk(source, limits)
}

/// Where members come from.
pub(crate) trait Source {
    /// What a content becomes.
    type Content: Default;

    /// The next block, `None` at the end.
    fn block(&mut self) -> io::Result<Option<Bytes>>;

    /// Bytes of metadata, and the padding behind them, which the end of the archive may cut off.
    fn metadata(&mut self, length: u64) -> io::Result<Bytes>;

    /// A content, and the padding behind it, which the end of the archive may cut off.
    fn content(&mut self, header: &Header) -> io::Result<Self::Content>;
}

struct InMemory {
    archive: Bytes,
    at: usize,
}

impl InMemory {
    fn take(&mut self, length: u64) -> io::Result<Bytes> {
        let rest = self.archive.len() - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= rest => {
                let taken = self.archive.slice(self.at..self.at + length);
                self.at = (self.at + length).next_multiple_of(BLOCK).min(self.archive.len());
                Ok(taken)
            }
            _ => Err(too_short(rest as u64, length)),
        }
    }
}

impl Source for InMemory {
    type Content = Bytes;

    fn block(&mut self) -> io::Result<Option<Bytes>> {
        match self.at < self.archive.len() {
            true => self.take(BLOCK as u64).map(Some),
            false => Ok(None),
        }
    }

    fn metadata(&mut self, length: u64) -> io::Result<Bytes> {
        self.take(length)
    }

    fn content(&mut self, header: &Header) -> io::Result<Bytes> {
        self.take(header.size)
    }
}

struct Stream<R, F> {
    reader: R,
    content: F,
    /// Whether padding was cut off, so that nothing can follow.
    ended: bool,
}

impl<R: BufRead, F> Stream<R, F> {
    fn skip_padding(&mut self, length: u64) -> io::Result<()> {
        let padding = length.wrapping_neg() % BLOCK as u64;
        let skipped = io::copy(&mut (&mut self.reader).take(padding), &mut io::sink())?;
        self.ended = skipped < padding;
        Ok(())
    }
}

impl<C: Default, R: BufRead, F: FnMut(&Header, &mut Take<&mut R>) -> io::Result<C>> Source for Stream<R, F> {
    type Content = C;

    fn block(&mut self) -> io::Result<Option<Bytes>> {
        if self.ended || self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        self.metadata(BLOCK as u64).map(Some)
    }

    fn metadata(&mut self, length: u64) -> io::Result<Bytes> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(length).read_to_end(&mut bytes)? as u64;
        if read < length {
            return Err(too_short(read, length));
        }
        self.skip_padding(length)?;
        Ok(bytes.into())
    }

    fn content(&mut self, header: &Header) -> io::Result<C> {
        let mut content = (&mut self.reader).take(header.size);
        let made = (self.content)(header, &mut content)?;
        io::copy(&mut content, &mut io::sink())?;
        let rest = content.limit();
        if rest > 0 {
            return Err(too_short(header.size - rest, header.size));
        }
        self.skip_padding(header.size)?;
        Ok(made)
    }
}

/// The archive ends within something.
#[derive(Debug, thiserror::Error)]
#[error("the archive ends {rest} bytes further on, before the next {wanted}")]
struct TooShort {
    rest: u64,
    wanted: u64,
}

pub(crate) fn too_short(rest: u64, wanted: u64) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, TooShort { rest, wanted })
}

fn walk<S: Source>(source: S, limits: &Limits) -> Result<Vec<Entry<S::Content>>, ReadError> {
    let mut walk = Walk::new(source, limits);
    let mut entries: Vec<Entry<S::Content>> = Vec::new();
    loop {
        match walk.member() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return Ok(entries),
            Err(fault) => {
                let last = entries.last().map_or("", |entry| &entry.header.path);
                return Err(fault.after(entries.len(), last));
            }
        }
    }
}

pub(crate) struct Walk<S> {
    pub(crate) source: S,
    limits: Limits,
    /// How many members were read.
    pub(crate) members: usize,
}

pub(crate) enum Fault {
    Read(ReadError),
    Io(io::Error),
}

impl Fault {
    /// Says after which member it happened.
    pub(crate) fn after(self, members: usize, last: &str) -> ReadError {
        match self {
            Self::Read(error) => error,
            Self::Io(source) => ReadError::Malformed {
                members,
                last: last.to_owned(),
                source,
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// What the members before a member say of it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: BTreeMap<String, Vec<u8>>,
}

impl<S: Source> Walk<S> {
    pub(crate) fn new(source: S, limits: &Limits) -> Self {
        Self {
            source,
            limits: *limits,
            members: 0,
        }
    }

    /// The next member with what precedes it; `None` at the end of the archive.
    pub(crate) fn member(&mut self) -> Result<Option<Entry<S::Content>>, Fault> {
        let mut extensions = Extensions::default();
        loop {
            let Some(raw) = self.block()? else {
                return Ok(None);
            };
            match raw.entry_type().as_byte() {
                b'x' => self.records(&raw, &mut extensions)?,
                b'g' => drop(self.metadata(&raw, "the size of its PAX records")?),
                b'L' => extensions.path = Some(self.long_name(&raw, "the length of its path")?),
                b'K' => extensions.link = Some(self.long_name(&raw, "the length of its link target")?),
                _ => return self.entry(&raw, extensions).map(Some),
            }
        }
    }

    /// The next header block, its checksum tested; `None` at a block of zeroes or the end of the bytes.
    fn block(&mut self) -> Result<Option<tar::Header>, Fault> {
        let Some(block) = self.source.block()? else {
            return Ok(None);
        };
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let raw = tar::Header::from_byte_slice(&block).clone();
        let sum: u32 = block[..148]
            .iter()
            .chain(&block[156..])
            .map(|byte| u32::from(*byte))
            .sum();
        if sum + 8 * u32::from(b' ') != raw.cksum()? {
            return Err(io::Error::other("a header does not match its checksum").into());
        }
        Ok(Some(raw))
    }

    fn long_name(&mut self, raw: &tar::Header, what: &'static str) -> Result<Vec<u8>, Fault> {
        let mut name = self.metadata(raw, what)?.to_vec();
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn metadata(&mut self, raw: &tar::Header, what: &'static str) -> Result<Bytes, Fault> {
        let size = raw.entry_size()?;
        if size > self.limits.metadata as u64 {
            let path = String::from_utf8_lossy(&raw.path_bytes()).into_owned();
            return Err(ReadError::TooLarge {
                path,
                what,
                limit: self.limits.metadata,
            }
            .into());
        }
        Ok(self
            .source
            .metadata(size)
            .map_err(|error| cut_off(&raw.path_bytes(), error))?)
    }

    fn records(&mut self, raw: &tar::Header, extensions: &mut Extensions) -> Result<(), Fault> {
        let data = self.metadata(raw, "the size of its PAX records")?;
        let mut rest = &data[..];
        while !rest.is_empty() {
            let (record, after) =
                split_record(rest).ok_or_else(|| io::Error::other("a PAX record is malformed"))?;
            extensions.records.insert(text(record.0)?, record.1.to_vec());
            rest = after;
        }
        Ok(())
    }

    fn entry(&mut self, raw: &tar::Header, extensions: Extensions) -> Result<Entry<S::Content>, Fault> {
        let Extensions {
            path,
            link,
            mut records,
        } = extensions;
        let path = records
            .remove("path")
            .or(path)
            .unwrap_or_else(|| raw.path_bytes().into_owned());
        let link = records.remove("linkpath").or(link);
        let link = link
            .or_else(|| raw.link_name_bytes().map(|link| link.into_owned()))
            .unwrap_or_default();
        let (path, link) = (text(&path)?, text(&link)?);
        if self.members >= self.limits.members {
            let what = "the number of members";
            return Err(ReadError::TooLarge {
                path,
                what,
                limit: self.limits.members,
            }
            .into());
        }
        let kind = kind(raw.entry_type().as_byte(), &path)?;
        let size = match records.remove("size") {
            None => raw.entry_size()?,
            Some(size) => decimal(&size).ok_or_else(|| io::Error::other("a PAX size is not a number"))?,
        };
        let is_file = kind == Kind::Regular;
        let header = Header {
            size: if is_file { size } else { 0 },
            ..header(raw, kind, path, link, records)?
        };
        let content = match is_file {
            true => self.source.content(&header),
            false => Ok(S::Content::default()),
        };
        let content = content.map_err(|error| cut_off(header.path.as_bytes(), error))?;
        self.members += 1;
        Ok(Entry { header, content })
    }
}

/// Says whose bytes the end of the archive cut off.
fn cut_off(path: &[u8], error: io::Error) -> io::Error {
    if !error.get_ref().is_some_and(|inner| inner.is::<TooShort>()) {
        return error;
    }
    let path = String::from_utf8_lossy(path);
    io::Error::new(error.kind(), format!("`{path}` is cut off: {error}"))
}

fn header(
    raw: &tar::Header,
    kind: Kind,
    path: String,
    link: String,
    mut records: BTreeMap<String, Vec<u8>>,
) -> Result<Header, Fault> {
    let mut owner = |key: &str, value: io::Result<u64>| -> Result<u32, Fault> {
        let value = match records.remove(key) {
            None => value.ok(),
            Some(record) => decimal(&record),
        };
        let value = value.and_then(|value| u32::try_from(value).ok());
        value.ok_or_else(|| io::Error::other(format!("`{path}` has an impossible {key}")).into())
    };
    let (uid, gid) = (owner("uid", raw.uid())?, owner("gid", raw.gid())?);
    let mut name = |key: &str, raw: Option<&[u8]>| match records.remove(key) {
        Some(record) => text(&record),
        None => text(raw.unwrap_or_default()),
    };
    let (uname, gname) = (
        name("uname", raw.username_bytes())?,
        name("gname", raw.groupname_bytes())?,
    );
    let mtime = match records.remove("mtime") {
        None => raw.mtime()?.cast_signed(),
        Some(record) => {
            seconds(&record).ok_or_else(|| io::Error::other(format!("`{path}` has an impossible time")))?
        }
    };
    records.retain(|key, _| !matches!(key.as_str(), "atime" | "ctime"));
    let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
    let device = if is_device {
        (raw.device_major()?.unwrap_or(0), raw.device_minor()?.unwrap_or(0))
    } else {
        (0, 0)
    };
    let mode = raw.mode()? & 0o7777;
    Ok(Header {
        path,
        kind,
        link,
        mode,
        uid,
        gid,
        uname,
        gname,
        mtime,
        size: 0,
        device,
        pax: records,
    })
}

/// Splits `LENGTH KEY=VALUE\n` off the front.
#[allow(clippy::type_complexity)]
fn split_record(data: &[u8]) -> Option<((&[u8], &[u8]), &[u8])> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&data[..space])?).ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    (equals > 0).then(|| ((&record[..equals], &record[equals + 1..]), &data[length..]))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Rounds a decimal number of seconds to a whole one, halves away from zero.
fn seconds(decimal: &[u8]) -> Option<i64> {
    let decimal = std::str::from_utf8(decimal).ok()?;
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let away = i64::from(fraction.as_bytes().first().is_some_and(|digit| *digit >= b'5'));
    seconds.checked_add(if whole.starts_with('-') { -away } else { away })
}

fn kind(type_flag: u8, path: &str) -> Result<Kind, Fault> {
    Ok(match type_flag {
        b'\0' if path.ends_with('/') => Kind::Directory,
        b'0' | b'\0' | b'7' => Kind::Regular,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => {
            return Err(ReadError::UnknownType {
                path: path.to_owned(),
                type_flag,
            }
            .into());
        }
    })
}

fn text(bytes: &[u8]) -> Result<String, Fault> {
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        ReadError::NotUtf8 {
            path: String::from_utf8_lossy(bytes).into_owned(),
        }
        .into()
    })
}
