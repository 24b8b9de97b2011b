//! The content of a file: in memory, or a range of a file on disk.
//!
//! A [`Content`] is what file trees and layers pass around instead of bytes, so that an image of any size is put
//! together in little memory. A [`Stored`] content knows its BLAKE3 hash, and whoever reads it gets an error instead
//! of bytes when the file no longer has them. Beside it there may be its [`Deflated`] form, which a layer takes over
//! instead of compressing again. It makes no files: see `package-store` for that.
//!
//! ```
//! use file_content::{Content, FileRange, Stored};
//! use std::{io::Write, sync::Arc};
//!
//! let mut file = tempfile::tempfile()?;
//! file.write_all(b"....hello")?;
//! let range = FileRange::new(Arc::new(file), std::path::Path::new("entry").into(), 4..9);
//! let content = Content::from(Stored::new(range, blake3::hash(b"hello").into(), None));
//! assert_eq!(content.read()?, "hello");
//! assert_eq!(content.hash(), Content::from("hello").hash());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// How much is read at once.
const CHUNK: u64 = 256 << 10;

/// Why a stored content could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The file does not have what it had when it was stored.
    #[error("{} was changed or damaged: bytes {} to {} are not what was stored", path.display(), range.start, range.end)]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The bytes.
        range: Range<u64>,
    },
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ContentError {
    /// The file that could not be read.
    pub fn path(&self) -> &Path {
        match self {
            Self::Damaged { path, .. } | Self::Read { path, .. } => path,
        }
    }
}

impl From<ContentError> for io::Error {
    fn from(error: ContentError) -> Self {
        match &error {
            ContentError::Damaged { .. } => Self::new(io::ErrorKind::InvalidData, error),
            ContentError::Read { source, .. } => Self::new(source.kind(), error),
        }
    }
}

/// Some bytes of an open file.
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    path: Arc<Path>,
    start: u64,
    length: u64,
    is_own: bool,
}

impl FileRange {
    /// A range of a file; `path` is what errors call it.
    pub fn new(file: Arc<File>, path: Arc<Path>, range: Range<u64>) -> Self {
        Self {
            file,
            path,
            start: range.start,
            length: range.end.saturating_sub(range.start),
            is_own: false,
        }
    }

    /// The same of a file that this process has written a moment ago and that nobody else writes to: what is read in
    /// chunks was hashed on its way there, and is not hashed once more.
    #[must_use]
    pub fn just_written(self) -> Self {
        Self { is_own: true, ..self }
    }

    /// How many bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file and where in it the bytes are.
    pub fn place(&self) -> (&File, Range<u64>) {
        (&self.file, self.start..self.start + self.length)
    }

    /// Gives the bytes in chunks of at most 256 KiB, and then compares their hash.
    fn chunks<E: From<ContentError>>(
        &self,
        hash: &Hash,
        mut take: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hasher = (!self.is_own).then(blake3::Hasher::new);
        let mut at = 0;
        while at < self.length {
            let chunk = self.read_range(at, (self.length - at).min(CHUNK) as usize)?;
            at += chunk.len() as u64;
            if let Some(hasher) = &mut hasher {
                hasher.update(&chunk);
            }
            take(chunk.into())?;
        }
        match hasher {
            Some(hasher) if hasher.finalize() != *hash => Err(self.damaged().into()),
            _ => Ok(()),
        }
    }

    /// Fills a buffer with what is at an offset.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ContentError> {
        let read = self.file.read_exact_at(buffer, self.start + offset);
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(),
            _ => self.unreadable(source),
        })
    }

    /// The bytes at an offset, in a buffer that nobody had to fill before.
    fn read_range(&self, offset: u64, length: usize) -> Result<Vec<u8>, ContentError> {
        let mut bytes = Vec::with_capacity(length);
        let mut at = self.start + offset;
        while bytes.len() < length {
            let room = spare_capacity(&mut bytes);
            match rustix::io::pread(&*self.file, room, at) {
                Ok(0) => return Err(self.damaged()),
                Ok(read) => at += read as u64,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.unreadable(errno.into())),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    fn unreadable(&self, source: io::Error) -> ContentError {
        ContentError::Read {
            path: self.path.to_path_buf(),
            source,
        }
    }

    fn damaged(&self) -> ContentError {
        ContentError::Damaged {
            path: self.path.to_path_buf(),
            range: self.start..self.start + self.length,
        }
    }
}

/// A content on disk.
#[derive(Clone, Debug)]
pub struct Stored {
    range: FileRange,
    hash: Hash,
    deflated: Option<Arc<Deflated>>,
}

/// The deflated form of a content: blocks that start and end on a byte boundary, stand by themselves and are not final.
#[derive(Clone, Debug)]
pub struct Deflated {
    /// Where it is.
    pub range: FileRange,
    /// The BLAKE3 hash of the deflated bytes.
    pub hash: Hash,
    /// The CRC-32 of the content.
    pub crc: u32,
}

impl Deflated {
    /// Gives the deflated bytes in chunks, and an error in the end if they are not what was stored.
    ///
    /// # Errors
    /// When the file is damaged or unreadable, and what `take` returns.
    pub fn chunks<E: From<ContentError>>(&self, take: impl FnMut(Bytes) -> Result<(), E>) -> Result<(), E> {
        self.range.chunks(&self.hash, take)
    }
}

impl Stored {
    /// A content at a place in a file, with its BLAKE3 hash.
    pub fn new(range: FileRange, hash: Hash, deflated: Option<Deflated>) -> Self {
        Self {
            range,
            hash,
            deflated: deflated.map(Arc::new),
        }
    }

    /// Its deflated form.
    pub fn deflated(&self) -> Option<&Arc<Deflated>> {
        self.deflated.as_ref()
    }
}

/// The content of a file. Cloning it copies no bytes.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Memory(Bytes),
    /// On disk.
    Stored(Stored),
}

impl Content {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Stored(stored) => stored.range.length,
        }
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its BLAKE3 hash, without reading what is stored.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Memory(bytes) => blake3::hash(bytes).into(),
            Self::Stored(stored) => stored.hash,
        }
    }

    /// A reader that can go to any place. What it reads is not verified: it is for programs that look at a few
    /// places of a content that somebody reads as a whole later.
    pub fn reader(&self) -> ContentReader<'_> {
        ContentReader { content: self, at: 0 }
    }

    /// All of it, verified.
    ///
    /// # Errors
    /// When the file is damaged or unreadable.
    pub fn read(&self) -> Result<Bytes, ContentError> {
        let stored = match self {
            Self::Memory(bytes) => return Ok(bytes.clone()),
            Self::Stored(stored) => stored,
        };
        let bytes = stored.range.read_range(0, stored.range.length as usize)?;
        match blake3::hash(&bytes) == stored.hash {
            true => Ok(bytes.into()),
            false => Err(stored.range.damaged()),
        }
    }

    /// Gives the bytes in chunks, and an error in the end if they are not what was stored.
    ///
    /// # Errors
    /// When the file is damaged or unreadable, and what `take` returns.
    pub fn chunks<E: From<ContentError>>(
        &self,
        mut take: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Memory(bytes) => take(bytes.clone()),
            Self::Stored(stored) => stored.range.chunks(&stored.hash, take),
        }
    }
}

/// Reads a content at any place, see [`Content::reader`].
#[derive(Debug)]
pub struct ContentReader<'c> {
    content: &'c Content,
    at: u64,
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.content.len().saturating_sub(self.at);
        let length = left.min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..length];
        match self.content {
            Content::Memory(bytes) if length > 0 => {
                buffer.copy_from_slice(&bytes[self.at as usize..][..length]);
            }
            Content::Memory(_) => {}
            Content::Stored(stored) => stored.range.read_at(self.at, buffer)?,
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for ContentReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.content.len().checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

impl PartialEq for Content {
    /// Compares length and hash.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.hash() == other.hash()
    }
}

impl Eq for Content {}

impl Default for Content {
    fn default() -> Self {
        Self::Memory(Bytes::new())
    }
}

impl From<Stored> for Content {
    fn from(stored: Stored) -> Self {
        Self::Stored(stored)
    }
}

macro_rules! from_bytes {
    ($($type:ty),*) => {$(
        impl From<$type> for Content {
            fn from(bytes: $type) -> Self {
                Self::Memory(bytes.into())
            }
        }
    )*};
}

from_bytes!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    fn stored(bytes: &[u8], content: &[u8]) -> Content {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let range = FileRange::new(
            Arc::new(file),
            Path::new("entry").into(),
            2..2 + content.len() as u64,
        );
        Stored::new(range, blake3::hash(content).into(), None).into()
    }

    #[test]
    fn a_stored_content_is_as_good_as_one_in_memory() {
        let content: Vec<u8> = (0..600_000u32).map(|i| (i % 251) as u8).collect();
        let stored = stored(&[b"..", &content[..], b".."].concat(), &content);
        assert_eq!(stored, Content::from(content.clone()));
        assert_eq!(stored.read().unwrap(), content);
        let mut gathered = Vec::new();
        let take = |chunk: Bytes| -> Result<(), ContentError> {
            gathered.extend_from_slice(&chunk);
            Ok(())
        };
        stored.chunks(take).unwrap();
        assert_eq!(gathered, content);
        let (mut reader, mut end) = (stored.reader(), Vec::new());
        reader.seek(SeekFrom::End(-4)).unwrap();
        reader.read_to_end(&mut end).unwrap();
        assert_eq!(end, content[content.len() - 4..]);
    }

    #[test]
    fn what_was_just_written_is_hashed_only_when_it_is_read_as_a_whole() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hellO").unwrap();
        let range = FileRange::new(Arc::new(file), Path::new("entry").into(), 0..5).just_written();
        let content = Content::from(Stored::new(range, blake3::hash(b"hello").into(), None));
        let nothing = |_| -> Result<(), ContentError> { Ok(()) };
        content.chunks(nothing).unwrap();
        content.read().unwrap_err();
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        for bytes in [&b"..hellO.."[..], b"..hel"] {
            let content = stored(bytes, b"hello");
            let message = "entry was changed or damaged: bytes 2 to 7 are not what was stored";
            assert_eq!(content.read().unwrap_err().to_string(), message);
            let nothing = |_| -> Result<(), ContentError> { Ok(()) };
            assert_eq!(content.chunks(nothing).unwrap_err().to_string(), message);
        }
    }
}
