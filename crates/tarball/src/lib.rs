//! Tar members as apk packages and image layers need them.
//!
//! It writes headers with exactly the bytes that Go's `archive/tar` writes for the same fields (USTAR where they
//! fit, PAX records where they do not), because the diff IDs of images and the data sections of packages were
//! made with it. It reads archives into [`Entry`] values whose contents are references into the archive's own
//! bytes, with [`Limits`]. It does not compress, does not touch the file system, and does not judge paths.
//!
//! ```
//! use tarball::{Header, Kind, Limits, Writer};
//!
//! let mut writer = Writer::new(Vec::new());
//! let header = Header { path: "etc/motd".into(), mode: 0o644, size: 5, ..Header::new(Kind::Regular) };
//! writer.append(&header, b"hello")?;
//! let archive = bytes::Bytes::from(writer.finish()?);
//!
//! let entries = tarball::read(archive, &Limits::default())?;
//! assert_eq!(entries[0].header, header);
//! assert_eq!(&entries[0].content[..], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encode;
mod members;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use encode::HeaderError;
pub use members::{Member, Members};
pub use read::{Limits, ReadError, read, read_stream};
pub use write::{WriteError, Writer};

/// The size of a tar block in bytes.
pub const BLOCK: usize = 512;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(missing_docs)]
pub enum Kind {
    Regular,
    Hardlink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

impl Kind {
    fn type_flag(self) -> u8 {
        match self {
            Self::Regular => b'0',
            Self::Hardlink => b'1',
            Self::Symlink => b'2',
            Self::CharDevice => b'3',
            Self::BlockDevice => b'4',
            Self::Directory => b'5',
            Self::Fifo => b'6',
        }
    }
}

/// What a member says of itself beside its content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Header {
    /// The path as the archive has it; directories may or may not end in `/`.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// The target of a symbolic or hard link, else empty.
    pub link: String,
    /// Permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// The owner's name, often empty.
    pub uname: String,
    /// The group's name, often empty.
    pub gname: String,
    /// Seconds since 1970.
    pub mtime: i64,
    /// The content's length in bytes; 0 for all but regular files.
    pub size: u64,
    /// Major and minor number of a device, else zeroes.
    pub device: (u32, u32),
    /// PAX records beside those that stand for the fields above, such as `SCHILY.xattr.*`.
    pub pax: BTreeMap<String, Vec<u8>>,
}

impl Header {
    /// An empty header of a kind: no path, mode 0, owner 0, time 0.
    pub fn new(kind: Kind) -> Self {
        Self {
            path: String::new(),
            kind,
            link: String::new(),
            mode: 0,
            uid: 0,
            gid: 0,
            uname: String::new(),
            gname: String::new(),
            mtime: 0,
            size: 0,
            device: (0, 0),
            pax: BTreeMap::new(),
        }
    }
}

/// A member: its header and its content, which is a reference into the archive it was read from unless it was put
/// elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<C = Bytes> {
    /// What it says of itself.
    pub header: Header,
    /// Its content; empty for all but regular files.
    pub content: C,
}

impl<C> Entry<C> {
    /// The same member with its content in another form.
    pub fn map<D>(self, convert: impl FnOnce(C) -> D) -> Entry<D> {
        Entry {
            header: self.header,
            content: convert(self.content),
        }
    }
}
