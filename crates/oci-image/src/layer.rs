//! Layers: tar members in, a compressed blob and its digests out, in one pass.

use crate::digest::Hashing;
use crate::gzip::GzipWriter;
use crate::{Descriptor, Digest, media_type};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use tarball::{BLOCK, Entry, Header, HeaderError};

/// What a finished layer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The deflate level, 0 (store) to 9 (smallest).
    pub level: u32,
    /// How many threads compress. Each needs about 4 MiB.
    pub threads: NonZeroUsize,
}

impl Default for Compression {
    /// Level 4, which makes smaller layers than the reference in less time, on all processors, but no more than eight.
    fn default() -> Self {
        const EIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            level: 4,
            threads: threads.min(EIGHT),
        }
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
    /// Compressing or writing failed.
    #[error("cannot write the layer")]
    Io(#[from] io::Error),
}

/// Writes one layer as `tar+gzip` into any writer, hashing it before and after compression.
///
/// Memory is bounded by the thread count, not by the size of the layer. Writes are large; the output
/// needs no buffer of its own.
pub struct LayerWriter<W: Write> {
    gzip: GzipWriter<Hashing<W>>,
    diff_id: DiffId,
    header: Vec<u8>,
}

impl<W: Write> LayerWriter<W> {
    /// Starts a layer.
    ///
    /// # Errors
    /// When the output cannot be written or no thread can be started.
    pub fn new(out: W, compression: Compression) -> Result<Self, LayerError> {
        let gzip = GzipWriter::new(Hashing::new(out), compression.level, compression.threads)?;
        let diff_id = DiffId::new(compression.threads.get() > 1);
        Ok(Self {
            gzip,
            diff_id,
            header: Vec::with_capacity(2048),
        })
    }

    /// Appends a member.
    ///
    /// # Errors
    /// When the header cannot be expressed, the content does not have the size that the header says,
    /// or writing fails.
    pub fn append(&mut self, header: &Header, content: &Bytes) -> Result<(), LayerError> {
        let actual = content.len() as u64;
        if header.size != actual {
            return Err(LayerError::Size {
                path: header.path.clone(),
                declared: header.size,
                actual,
            });
        }
        self.header.clear();
        header.encode(&mut self.header)?;
        let header = std::mem::take(&mut self.header);
        let written = self.write(&header);
        self.header = header;
        written?;
        self.write_shared(content)?;
        self.write(&ZEROS[..content.len().wrapping_neg() % BLOCK])
    }

    /// Ends the tar and the compression; returns the layer and the writer.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> Result<(Layer, W), LayerError> {
        self.write(&ZEROS)?;
        let (diff_id, uncompressed_size) = self.diff_id.finish()?;
        let (mut out, digest, size) = self.gzip.finish()?.finish();
        out.flush()?;
        let descriptor = Descriptor::new(media_type::LAYER_GZIP, digest, size);
        Ok((
            Layer {
                descriptor,
                diff_id,
                uncompressed_size,
            },
            out,
        ))
    }

    fn write(&mut self, data: &[u8]) -> Result<(), LayerError> {
        self.diff_id.update(data)?;
        Ok(self.gzip.write_all(data)?)
    }

    /// As `write`, without a copy for the hashing thread.
    fn write_shared(&mut self, data: &Bytes) -> Result<(), LayerError> {
        self.diff_id.update_shared(data)?;
        Ok(self.gzip.write_all(data)?)
    }
}

/// Writes a whole layer from an iterator of entries.
///
/// # Errors
/// As [`LayerWriter::append`].
pub fn write_layer<W: Write>(
    entries: impl IntoIterator<Item = Entry>,
    out: W,
    compression: Compression,
) -> Result<(Layer, W), LayerError> {
    let mut writer = LayerWriter::new(out, compression)?;
    for entry in entries {
        writer.append(&entry.header, &entry.content)?;
    }
    writer.finish()
}

/// Two blocks of zeros end an archive.
const ZEROS: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Hashes the uncompressed tar: in place, or on a thread of its own beside the compressing ones.
struct DiffId {
    /// Small pieces gathered until they are worth a message to the thread.
    small: Vec<u8>,
    size: u64,
    hasher: Hasher,
}

enum Hasher {
    Inline(Sha256),
    Thread {
        pieces: SyncSender<Bytes>,
        digest: JoinHandle<[u8; 32]>,
    },
}

/// Content of at least this size goes to the hashing thread without being copied.
const LARGE: usize = 64 << 10;

/// How many pieces may wait for the hashing thread.
const WAITING: usize = 16;

impl DiffId {
    fn new(threaded: bool) -> Self {
        let hasher = threaded.then(Hasher::start).flatten();
        let hasher = hasher.unwrap_or_else(|| Hasher::Inline(Sha256::new()));
        Self {
            small: Vec::new(),
            size: 0,
            hasher,
        }
    }

    fn update(&mut self, data: &[u8]) -> io::Result<()> {
        self.size += data.len() as u64;
        if let Hasher::Inline(hasher) = &mut self.hasher {
            hasher.update(data);
            return Ok(());
        }
        self.small.extend_from_slice(data);
        if self.small.len() >= LARGE {
            self.send_small()
        } else {
            Ok(())
        }
    }

    fn update_shared(&mut self, data: &Bytes) -> io::Result<()> {
        if data.len() < LARGE || matches!(self.hasher, Hasher::Inline(_)) {
            return self.update(data);
        }
        self.size += data.len() as u64;
        self.send_small()?;
        self.hasher.send(data.clone())
    }

    fn send_small(&mut self) -> io::Result<()> {
        let next = Vec::with_capacity(LARGE + 2 * BLOCK);
        self.hasher.send(std::mem::replace(&mut self.small, next).into())
    }

    fn finish(mut self) -> io::Result<(Digest, u64)> {
        self.send_small()?;
        let digest = match self.hasher {
            Hasher::Inline(hasher) => hasher.finalize().into(),
            Hasher::Thread { pieces, digest } => {
                drop(pieces);
                digest.join().map_err(|_| hasher_died())?
            }
        };
        Ok((Digest::from(digest), self.size))
    }
}

impl Hasher {
    /// Starts the thread; `None` when the system has none to give.
    fn start() -> Option<Self> {
        let (pieces, queue) = sync_channel::<Bytes>(WAITING);
        let hash = move || {
            let mut hasher = Sha256::new();
            queue.iter().for_each(|piece| hasher.update(&piece));
            hasher.finalize().into()
        };
        let digest = thread::Builder::new().name("diff-id".into()).spawn(hash).ok()?;
        Some(Self::Thread { pieces, digest })
    }

    fn send(&mut self, piece: Bytes) -> io::Result<()> {
        match self {
            Self::Inline(hasher) => hasher.update(&piece),
            Self::Thread { pieces, .. } => pieces.send(piece).map_err(|_| hasher_died())?,
        }
        Ok(())
    }
}

fn hasher_died() -> io::Error {
    io::Error::other("the hashing thread ended unexpectedly")
}
