//! Layers: tar members in, a compressed blob and its digests out, in one pass.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use bytes::{BufMut as _, BytesMut};
use deflate_pieces::Piece;
use file_content::{Content, ContentError, Stored};
use serde::{Deserialize, Serialize};
use tarball::{BLOCK, Entry, Header, HeaderError};

use crate::pieces::{DiffId, Group, Output, PieceCache};
use crate::{Descriptor, Digest, media_type};

/// What a finished layer is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Media type, digest and size of the compressed blob, and the annotations it shall carry.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The size of the uncompressed tar in bytes.
    pub uncompressed_size: u64,
}

/// How layers are compressed. The thread count never changes a byte of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// What with.
    pub algorithm: Algorithm,
    /// How well: 0 (store) to 9 (smallest) for gzip, 1 to 22 for zstd.
    pub level: u32,
    /// How many threads compress. Each needs about 3 MiB.
    pub threads: NonZeroUsize,
}

/// What compresses a layer; its uncompressed bytes, and so its diff ID, are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// One gzip member, which everything that reads images can read.
    Gzip,
    /// Frames of Zstandard, smaller and faster to unpack.
    Zstd,
}

impl Compression {
    /// The default for an algorithm, on all processors, but no more than eight.
    pub fn with(algorithm: Algorithm) -> Self {
        const EIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let level = match algorithm {
            Algorithm::Gzip => 2,
            Algorithm::Zstd => 3,
        };
        Self {
            algorithm,
            level,
            threads: threads.min(EIGHT),
        }
    }
}

impl Default for Compression {
    /// gzip of level 2, which together with what packages bring deflated makes smaller layers than the reference.
    fn default() -> Self {
        Self::with(Algorithm::Gzip)
    }
}

/// Says why a layer could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A member cannot be expressed in a tar header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A member's content is not as long as its header says.
    #[error("{path:?} has {actual} bytes of content, but its header says {declared}")]
    Size {
        /// The member's path.
        path: String,
        /// The size in the header.
        declared: u64,
        /// The size of the content.
        actual: u64,
    },
    /// A member cannot be put into an EROFS file system.
    #[error("{path:?} cannot be in an EROFS file system: {reason}")]
    Erofs {
        /// The member's path.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// A file of a directory cannot be a member.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A member's content could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Compressing or writing failed.
    #[error("cannot write the layer")]
    Io(#[source] io::Error),
}

impl From<io::Error> for LayerError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<ContentError>() {
            Ok(error) => Self::Content(error),
            Err(error) => Self::Io(error),
        }
    }
}

/// A group is closed with the next member that its path chooses, once it has this size ...
const GROUP: usize = 512 << 10;

/// ... and at this size in any case, ...
const MAX_GROUP: usize = 1 << 20;

/// ... and when so much was taken over between its parts: what comes behind shall not wait for long.
const MAX_BETWEEN: u64 = 16 << 20;

/// Writes one layer as `tar+gzip` or `tar+zstd` into any writer, hashing it before and after compression.
///
/// Members go into groups of 512 KiB to 1 MiB, and each group is compressed on its own, so that a [`PieceCache`]
/// can give it again when only other groups changed. For gzip, a content that comes with its deflated form is taken
/// over as it is, and does not count; what of a group is before and behind it are two runs of one group.
/// Where groups begin depends on the members near that place alone, not on the number of threads, nor on what
/// is cached.
///
/// Memory is bounded by the thread count, not by the size of the layer. Writes are large; the output
/// needs no buffer of its own.
pub struct LayerWriter<W> {
    output: Output<W>,
    algorithm: Algorithm,
    diff_id: DiffId,
    group: Group,
    /// The last run of the group.
    run: BytesMut,
    header: Vec<u8>,
}

impl<W: Write + Send + 'static> LayerWriter<W> {
    /// Starts a layer.
    ///
    /// # Errors
    /// When the output cannot be written or no thread can be started.
    pub fn new(out: W, compression: Compression) -> Result<Self, LayerError> {
        Self::with_cache(out, compression, None)
    }

    /// Starts a layer that takes pieces from a cache and leaves there those it had to make.
    ///
    /// # Errors
    /// When the output cannot be written or no thread can be started.
    pub fn with_cache(
        out: W,
        compression: Compression,
        cache: Option<Arc<dyn PieceCache>>,
    ) -> Result<Self, LayerError> {
        Ok(Self {
            output: Output::start(out, compression, cache)?,
            algorithm: compression.algorithm,
            diff_id: DiffId::start()?,
            group: Group::default(),
            run: BytesMut::new(),
            header: Vec::new(),
        })
    }

    /// Appends a member.
    ///
    /// # Errors
    /// When the header cannot be expressed, the content cannot be read or does not have the size that the header says,
    /// or writing fails.
    pub fn append(&mut self, header: &Header, content: &Content) -> Result<(), LayerError> {
        let actual = content.len();
        if header.size != actual {
            return Err(LayerError::Size {
                path: header.path.clone(),
                declared: header.size,
                actual,
            });
        }
        self.header.clear();
        header.encode(&mut self.header)?;
        self.run.extend_from_slice(&self.header);
        match content {
            Content::Stored(stored) if self.algorithm == Algorithm::Gzip && stored.deflated().is_some() => {
                self.take_over(stored, content)?
            }
            _ => content.chunks(|chunk| self.gather(&chunk))?,
        }
        let padding = (actual.wrapping_neg() % BLOCK as u64) as usize;
        self.run.put_bytes(0, padding);
        let size = self.group_size();
        let is_full = size >= MAX_GROUP || self.group.between >= MAX_BETWEEN;
        if is_full || size >= GROUP && ends_group(&header.path) {
            self.end_group()?;
        }
        Ok(())
    }

    /// Ends the tar and the compression; returns the layer and the writer.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> Result<(Layer, W), LayerError> {
        // Two blocks of zeros end an archive.
        self.run.put_bytes(0, 2 * BLOCK);
        self.end_group()?;
        let (diff_id, uncompressed_size) = self.diff_id.finish()?;
        let (mut out, digest, size) = self.output.finish()?.finish();
        out.flush()?;
        let media_type = match self.algorithm {
            Algorithm::Gzip => media_type::LAYER_GZIP,
            Algorithm::Zstd => media_type::LAYER_ZSTD,
        };
        let descriptor = Descriptor::new(media_type, digest, size);
        Ok((
            Layer {
                descriptor,
                diff_id,
                uncompressed_size,
            },
            out,
        ))
    }

    /// Adds a part of a content to the group.
    fn gather(&mut self, mut part: &[u8]) -> Result<(), LayerError> {
        while !part.is_empty() {
            let room = MAX_GROUP.saturating_sub(self.group_size());
            if room == 0 {
                self.end_group()?;
                continue;
            }
            let (now, later) = part.split_at(part.len().min(room));
            self.run.extend_from_slice(now);
            part = later;
        }
        Ok(())
    }

    fn group_size(&self) -> usize {
        self.group.size + self.run.len()
    }

    fn end_run(&mut self) -> Result<(), LayerError> {
        let run = self.run.split().freeze();
        self.group.size += run.len();
        self.group.runs.push(run.clone());
        Ok(self.diff_id.update(run)?)
    }

    fn end_group(&mut self) -> Result<(), LayerError> {
        self.end_run()?;
        // All runs of a group share one allocation.
        self.run = BytesMut::with_capacity(GROUP + (64 << 10));
        Ok(self.output.compress(std::mem::take(&mut self.group))?)
    }

    /// Writes a content by its deflated form; the content itself is only hashed.
    fn take_over(&mut self, stored: &Stored, content: &Content) -> Result<(), LayerError> {
        let Some(deflated) = stored.deflated() else {
            return Ok(());
        };
        self.end_run()?;
        let piece = Piece {
            length: content.len(),
            crc: deflated.crc,
        };
        self.group.copied.push((Arc::clone(deflated), piece));
        self.group.between += content.len();
        content.chunks(|chunk| Ok(self.diff_id.update(chunk)?))
    }
}

/// Chooses one path in eight.
fn ends_group(path: &str) -> bool {
    blake3::hash(path.as_bytes()).as_bytes()[0].is_multiple_of(8)
}

/// Writes a whole layer from an iterator of entries.
///
/// # Errors
/// As [`LayerWriter::append`].
pub fn write_layer<W: Write + Send + 'static>(
    entries: impl IntoIterator<Item = Entry<Content>>,
    out: W,
    compression: Compression,
) -> Result<(Layer, W), LayerError> {
    let mut writer = LayerWriter::new(out, compression)?;
    for entry in entries {
        writer.append(&entry.header, &entry.content)?;
    }
    writer.finish()
}
