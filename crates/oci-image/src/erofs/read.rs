//! Reading what a file system holds, without mounting it.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::*;

/// No name, link target or block of attributes is longer than this.
const MAX_SMALL: usize = 1 << 18;
/// A directory longer than this is refused.
const MAX_DIRECTORY: u64 = 1 << 30;
/// Features that change nothing for what is read here: padding, chunks and devices for contents.
const KNOWN_FEATURES: u32 = 0x1 | 0x4 | 0x8;

/// Why a file system could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErofsError {
    /// The source could not be read, or ends too early.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no EROFS file system, or its structure contradicts itself.
    #[error("not a sound EROFS file system: {0}")]
    Malformed(&'static str),
    /// It uses a part of the format that is not supported.
    #[error("the EROFS file system has {0}, which is not supported")]
    Unsupported(&'static str),
}

/// What a file is, with what only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErofsFileKind {
    /// A directory.
    Directory,
    /// A regular file: its size in bytes.
    Regular(u64),
    /// A symbolic link: its target.
    Symlink(String),
    /// A character device: major and minor number.
    CharDevice(u32, u32),
    /// A block device: major and minor number.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A file of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErofsFile {
    /// The path relative to the root, without a leading `/`; empty for the root.
    pub path: String,
    /// What it is.
    pub kind: ErofsFileKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    layout: u16,
    size: u64,
    /// The first block.
    block: u64,
    /// Where content behind the inode begins.
    tail: u64,
}

/// An EROFS file system in a file or in memory.
#[derive(Debug)]
pub struct ErofsImage<R> {
    source: R,
    block_size: u64,
    inodes_at: u64,
    root: u64,
    build_time: i64,
}

impl<R: Read + Seek> ErofsImage<R> {
    /// Reads the superblock.
    ///
    /// # Errors
    /// When there is none, or it asks for what is not supported.
    pub fn open(mut source: R) -> Result<Self, ErofsError> {
        let mut bytes = [0; SUPERBLOCK];
        source.seek(SeekFrom::Start(SUPERBLOCK_AT as u64))?;
        source
            .read_exact(&mut bytes)
            .map_err(|_| ErofsError::Malformed("it is too short"))?;
        if u32_at(&bytes, 0) != MAGIC {
            return Err(ErofsError::Malformed("it has no superblock"));
        }
        let bits = bytes[12];
        if !(9..=16).contains(&bits) {
            return Err(ErofsError::Malformed("its blocks have an impossible size"));
        }
        if u32_at(&bytes, 80) & !KNOWN_FEATURES != 0 {
            return Err(ErofsError::Unsupported("features of newer versions"));
        }
        Ok(Self {
            source,
            block_size: 1 << bits,
            inodes_at: u64::from(u32_at(&bytes, 40)) << bits,
            root: u64::from(u16_at(&bytes, 14)),
            build_time: u64_at(&bytes, 24).cast_signed(),
        })
    }

    /// All files, depth first, each directory's names in byte order, the root first.
    ///
    /// # Errors
    /// When an inode or directory is damaged.
    pub fn files(&mut self) -> Result<Vec<ErofsFile>, ErofsError> {
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        let mut pending = vec![(String::new(), self.root)];
        while let Some((path, number)) = pending.pop() {
            let file = self.inode(&path, number)?;
            if file.kind == ErofsFileKind::Directory {
                if !seen.insert(number) {
                    return Err(ErofsError::Malformed("a directory is in two places"));
                }
                let mut names = self.directory(&file)?;
                names.sort_unstable_by(|a, b| b.cmp(a));
                pending.extend(names.into_iter().map(|(name, number)| match path.as_str() {
                    "" => (name, number),
                    _ => (format!("{path}/{name}"), number),
                }));
            }
            files.push(file);
        }
        Ok(files)
    }

    /// Writes the content of a regular file.
    ///
    /// # Errors
    /// When it is compressed or in chunks, or cannot be read or written.
    pub fn copy(&mut self, file: &ErofsFile, out: &mut impl Write) -> Result<(), ErofsError> {
        let mut left = file.content.size;
        for (at, size) in self.extents(&file.content)? {
            self.source.seek(SeekFrom::Start(at))?;
            let copied = io::copy(&mut (&mut self.source).take(size), out)?;
            if copied != size {
                return Err(ErofsError::Malformed("a file's content is cut off"));
            }
            left -= size;
        }
        debug_assert_eq!(left, 0);
        Ok(())
    }

    /// Where content lies: position and size of its pieces.
    fn extents(&self, content: &Content) -> Result<Vec<(u64, u64)>, ErofsError> {
        let Content {
            layout,
            size,
            block,
            tail,
        } = *content;
        let at = block * self.block_size;
        match layout {
            PLAIN => Ok(vec![(at, size)]),
            INLINE => {
                let whole = size / self.block_size * self.block_size;
                Ok(vec![(at, whole), (tail, size - whole)])
            }
            _ => Err(ErofsError::Unsupported("compressed or chunked contents")),
        }
    }

    fn read(&mut self, content: &Content, limit: u64) -> Result<Vec<u8>, ErofsError> {
        if content.size > limit {
            return Err(ErofsError::Malformed("a directory or link is too long"));
        }
        let mut bytes = Vec::new();
        for (at, size) in self.extents(content)? {
            self.source.seek(SeekFrom::Start(at))?;
            (&mut self.source).take(size).read_to_end(&mut bytes)?;
        }
        match bytes.len() as u64 == content.size {
            true => Ok(bytes),
            false => Err(ErofsError::Malformed("a directory or link is cut off")),
        }
    }

    fn exact(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), ErofsError> {
        self.source.seek(SeekFrom::Start(at))?;
        self.source
            .read_exact(bytes)
            .map_err(|_| ErofsError::Malformed("an inode lies outside of it"))
    }

    fn inode(&mut self, path: &str, number: u64) -> Result<ErofsFile, ErofsError> {
        let outside = ErofsError::Malformed("an inode lies outside of it");
        let at = number
            .checked_mul(SLOT as u64)
            .and_then(|offset| offset.checked_add(self.inodes_at))
            .ok_or(outside)?;
        let mut bytes = [0; EXTENDED];
        self.exact(at, &mut bytes[..COMPACT])?;
        let format = u16_at(&bytes, 0);
        let is_extended = format & 1 == 1;
        if is_extended {
            self.exact(at, &mut bytes)?;
        }
        let head = if is_extended { EXTENDED } else { COMPACT } as u64;
        let mode = u16_at(&bytes, 4);
        let union = u32_at(&bytes, 16);
        let (size, uid, gid, mtime) = match is_extended {
            true => (
                u64_at(&bytes, 8),
                u32_at(&bytes, 24),
                u32_at(&bytes, 28),
                u64_at(&bytes, 32).cast_signed(),
            ),
            false => (
                u64::from(u32_at(&bytes, 8)),
                u32::from(u16_at(&bytes, 24)),
                u32::from(u16_at(&bytes, 26)),
                self.build_time,
            ),
        };
        let xattr_size = match u16_at(&bytes, 2) {
            0 => 0,
            count => XATTR_HEADER + (usize::from(count) - 1) * 4,
        };
        let content = Content {
            layout: (format >> 1) & 7,
            size,
            block: u64::from(union),
            tail: at + head + xattr_size as u64,
        };
        let device = (
            (union & 0xf_ff00) >> 8,
            (union & 0xff) | ((union >> 12) & 0xf_ff00),
        );
        let kind = match mode & KIND {
            DIRECTORY => ErofsFileKind::Directory,
            REGULAR => ErofsFileKind::Regular(size),
            SYMLINK => {
                let target = self.read(&content, MAX_SMALL as u64)?;
                let target = String::from_utf8(target);
                ErofsFileKind::Symlink(target.map_err(|_| ErofsError::Malformed("a link is not UTF-8"))?)
            }
            CHAR_DEVICE => ErofsFileKind::CharDevice(device.0, device.1),
            BLOCK_DEVICE => ErofsFileKind::BlockDevice(device.0, device.1),
            FIFO => ErofsFileKind::Fifo,
            SOCKET => ErofsFileKind::Socket,
            _ => return Err(ErofsError::Malformed("a file is of no known kind")),
        };
        let mut xattrs = vec![0; xattr_size];
        self.exact(at + head, &mut xattrs)?;
        Ok(ErofsFile {
            path: path.to_owned(),
            kind,
            mode: u32::from(mode & 0o7777),
            uid,
            gid,
            mtime,
            xattrs: parse_xattrs(&xattrs).unwrap_or_default(),
            content,
        })
    }

    fn directory(&mut self, file: &ErofsFile) -> Result<Vec<(String, u64)>, ErofsError> {
        let bytes = self.read(&file.content, MAX_DIRECTORY)?;
        let mut names = Vec::new();
        for block in bytes.chunks(self.block_size as usize) {
            let entries = dirents(block).ok_or(ErofsError::Malformed("a directory is damaged"))?;
            names.extend(
                entries
                    .into_iter()
                    .filter(|(name, _)| name != "." && name != ".."),
            );
        }
        Ok(names)
    }
}

/// The entries of a block; `None` where they contradict each other.
fn dirents(block: &[u8]) -> Option<Vec<(String, u64)>> {
    let count = usize::from(u16::from_le_bytes(block.get(8..10)?.try_into().ok()?)) / DIRENT;
    let name_at = |index: usize| match index == count {
        true => Some(block.len()),
        false => {
            let at = block.get(index * DIRENT + 8..index * DIRENT + 10)?;
            Some(usize::from(u16::from_le_bytes(at.try_into().ok()?)))
        }
    };
    let entry = |index: usize| {
        let number = block.get(index * DIRENT..index * DIRENT + 8)?;
        let name = block.get(name_at(index)?..name_at(index + 1)?)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let name = std::str::from_utf8(&name[..end]).ok()?;
        let is_name = !name.is_empty() && !name.contains('/');
        is_name.then_some((name.to_owned(), u64::from_le_bytes(number.try_into().ok()?)))
    };
    (0..count).map(entry).collect()
}

/// The attributes of an inode that are its own.
fn parse_xattrs(bytes: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let shared = usize::from(*bytes.get(4)?);
    let mut at = XATTR_HEADER + shared * 4;
    let mut xattrs = BTreeMap::new();
    while at + XATTR_ENTRY <= bytes.len() {
        let (name_size, index) = (usize::from(bytes[at]), bytes[at + 1]);
        let value_size = usize::from(u16_at(bytes, at + 2));
        at += XATTR_ENTRY;
        let name = std::str::from_utf8(bytes.get(at..at + name_size)?).ok()?;
        let value = bytes.get(at + name_size..at + name_size + value_size)?;
        let prefix = XATTR_PREFIXES.iter().find(|(number, _)| *number == index);
        let prefix = prefix.map_or("", |(_, prefix)| prefix);
        xattrs.insert(format!("{prefix}{name}"), value.to_vec());
        at = (at + name_size + value_size).next_multiple_of(4);
    }
    Some(xattrs)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
