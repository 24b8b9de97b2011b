//! The two ways of a layer's bytes: into the diff ID, and compressed into the blob. Each has threads of its own.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use deflate_pieces::{Joiner, Piece, deflate};
use file_content::{Deflated, Hash};
use sha2::{Digest as _, Sha256};

use crate::digest::Hashing;
use crate::{Algorithm, Compression, Digest};

/// Keeps the compressed pieces of groups from one layer to the next, whatever image it belongs to.
pub trait PieceCache: Send + Sync {
    /// The pieces of a key, verified.
    fn get(&self, key: &Hash) -> Option<Bytes>;

    /// Keeps the pieces of a group. That they cannot be kept is no error.
    fn put(&self, key: &Hash, compressed: &[u8]);
}

/// Names what the key is of; to be changed when the same bytes would be deflated differently.
const KEY_CONTEXT: &str = "apko layer pieces v2";
/// The same for Zstandard.
const ZSTD_KEY_CONTEXT: &str = "apko layer zstd pieces v2";

/// Below this size in bytes, a group is deflated with at least [`SMALL_LEVEL`]: that costs nothing, and a layer of a few
/// small files has no other pieces.
const SMALL: usize = 256 << 10;
const SMALL_LEVEL: u32 = 6;

/// How many chunks may wait for the hashing thread.
const WAITING: usize = 16;

fn died() -> io::Error {
    io::Error::other("a thread ended unexpectedly")
}

/// Hashes the uncompressed tar on a thread of its own.
pub(crate) struct DiffId {
    size: u64,
    chunks: SyncSender<Bytes>,
    digest: JoinHandle<[u8; 32]>,
}

impl DiffId {
    pub(crate) fn start() -> io::Result<Self> {
        let (chunks, queue) = sync_channel::<Bytes>(WAITING);
        let hash = move || {
            let mut hasher = Sha256::new();
            queue.iter().for_each(|chunk| hasher.update(&chunk));
            hasher.finalize().into()
        };
        let digest = thread::Builder::new().name("diff-id".into()).spawn(hash)?;
        Ok(Self {
            size: 0,
            chunks,
            digest,
        })
    }

    pub(crate) fn update(&mut self, chunk: Bytes) -> io::Result<()> {
        self.size += chunk.len() as u64;
        self.chunks.send(chunk).map_err(|_| died())
    }

    pub(crate) fn finish(self) -> io::Result<(Digest, u64)> {
        drop(self.chunks);
        let digest = self.digest.join().map_err(|_| died())?;
        Ok((digest.into(), self.size))
    }
}

/// Members of a layer that are compressed together: runs of uncompressed bytes, and what was deflated before and comes
/// behind each run but the last.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) runs: Vec<Bytes>,
    /// The size of the runs in bytes.
    pub(crate) size: usize,
    pub(crate) copied: Vec<(Arc<Deflated>, Piece)>,
    /// How many bytes that inflates to.
    pub(crate) between: u64,
}

/// A piece of each run.
type Pieces = Vec<(Bytes, Piece)>;

/// A group on its way into the blob.
struct Part {
    compressing: Receiver<io::Result<Pieces>>,
    copied: Vec<(Arc<Deflated>, Piece)>,
}

struct Job {
    runs: Vec<Bytes>,
    size: usize,
    reply: SyncSender<io::Result<Pieces>>,
}

/// Compresses on several threads, and writes and hashes the blob on another one, in the order of submission.
pub(crate) struct Output<W> {
    jobs: SyncSender<Job>,
    parts: SyncSender<Part>,
    /// Taken when it has failed.
    writer: Option<JoinHandle<io::Result<Hashing<W>>>>,
}

impl<W: Write + Send + 'static> Output<W> {
    pub(crate) fn start(
        out: W,
        compression: Compression,
        cache: Option<Arc<dyn PieceCache>>,
    ) -> io::Result<Self> {
        let threads = compression.threads.get();
        let (jobs, queue) = sync_channel::<Job>(threads);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let (queue, cache) = (Arc::clone(&queue), cache.clone());
            let work = move || work(&queue, compression, cache.as_deref());
            thread::Builder::new().name("compress".into()).spawn(work)?;
        }
        let (parts, waiting) = sync_channel::<Part>(2 * threads);
        let write = move || match compression.algorithm {
            Algorithm::Gzip => write_gzip(out, &waiting),
            Algorithm::Zstd => write_frames(out, &waiting),
        };
        let writer = thread::Builder::new().name("blob".into()).spawn(write)?;
        Ok(Self {
            jobs,
            parts,
            writer: Some(writer),
        })
    }

    /// Compresses the runs of a group, or takes their pieces from the cache.
    pub(crate) fn compress(&mut self, group: Group) -> io::Result<()> {
        let Group {
            runs, size, copied, ..
        } = group;
        let (reply, compressing) = sync_channel(1);
        self.send(Part { compressing, copied })?;
        self.jobs.send(Job { runs, size, reply }).map_err(|_| died())
    }

    fn send(&mut self, part: Part) -> io::Result<()> {
        if self.parts.send(part).is_ok() {
            return Ok(());
        }
        // The thread has ended before its time: it tells why.
        let writer = self.writer.take().ok_or_else(died)?;
        writer.join().map_err(|_| died())?.and(Err(died()))
    }

    /// Waits until all is written.
    pub(crate) fn finish(self) -> io::Result<Hashing<W>> {
        drop((self.jobs, self.parts));
        let writer = self.writer.ok_or_else(died)?;
        writer.join().map_err(|_| died())?
    }
}

fn work(queue: &Mutex<Receiver<Job>>, compression: Compression, cache: Option<&dyn PieceCache>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { break };
        // The receiver is gone when the layer was given up half-way.
        let _ = job.reply.send(pieces(&job, compression, cache));
    }
}

fn pieces(job: &Job, compression: Compression, cache: Option<&dyn PieceCache>) -> io::Result<Pieces> {
    let level = match compression {
        Compression {
            algorithm: Algorithm::Gzip,
            level,
            ..
        } if job.size < SMALL => level.max(SMALL_LEVEL),
        Compression { level, .. } => level,
    };
    let compress = |run: &Bytes| match compression.algorithm {
        _ if run.is_empty() => Ok((Bytes::new(), Piece::of(run))),
        Algorithm::Gzip => deflate(run, &[], level).map(|(deflated, piece)| (deflated.into(), piece)),
        Algorithm::Zstd => Ok((frame(run, level)?.into(), Piece::of(run))),
    };
    let Some(cache) = cache else {
        return job.runs.iter().map(compress).collect();
    };
    let mut hasher = blake3::Hasher::new_derive_key(match compression.algorithm {
        Algorithm::Gzip => KEY_CONTEXT,
        Algorithm::Zstd => ZSTD_KEY_CONTEXT,
    });
    hasher.update(&[level as u8]);
    for run in &job.runs {
        hasher.update(&(run.len() as u64).to_le_bytes()).update(run);
    }
    let key = hasher.finalize().into();
    if let Some(pieces) = cache.get(&key).and_then(|kept| unpack(kept, &job.runs)) {
        return Ok(pieces);
    }
    let pieces: Pieces = job.runs.iter().map(compress).collect::<io::Result<_>>()?;
    cache.put(&key, &pack(&pieces));
    Ok(pieces)
}

/// The pieces behind their lengths.
fn pack(pieces: &Pieces) -> Vec<u8> {
    let lengths = pieces.iter().map(|(piece, _)| piece.len() as u32);
    let mut packed: Vec<u8> = lengths.flat_map(u32::to_le_bytes).collect();
    pieces
        .iter()
        .for_each(|(piece, _)| packed.extend_from_slice(piece));
    packed
}

fn unpack(packed: Bytes, runs: &[Bytes]) -> Option<Pieces> {
    const LENGTH: usize = size_of::<u32>();
    let lengths = packed.get(..runs.len() * LENGTH)?;
    let mut end = lengths.len();
    let pieces = runs
        .iter()
        .zip(lengths.chunks_exact(LENGTH))
        .map(|(run, length)| {
            let start = end;
            end += u32::from_le_bytes(length.try_into().ok()?) as usize;
            (end <= packed.len()).then(|| (packed.slice(start..end), Piece::of(run)))
        });
    pieces.collect()
}

/// One frame, with the content's size and checksum.
fn frame(content: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(level.min(22) as i32)?;
    compressor.include_checksum(true)?;
    compressor.compress(content)
}

fn write_gzip<W: Write>(out: W, parts: &Receiver<Part>) -> io::Result<Hashing<W>> {
    let mut joiner = Joiner::new(Hashing::new(out))?;
    for Part { compressing, copied } in parts {
        let mut copied = copied.into_iter();
        for (deflated, piece) in compressing.recv().map_err(|_| died())?? {
            joiner.append(&deflated, piece)?;
            if let Some((deflated, piece)) = copied.next() {
                deflated.chunks(|chunk| joiner.out().write_all(&chunk))?;
                joiner.note(piece);
            }
        }
    }
    joiner.finish()
}

fn write_frames<W: Write>(out: W, parts: &Receiver<Part>) -> io::Result<Hashing<W>> {
    let mut out = Hashing::new(out);
    for part in parts {
        for (frame, _) in part.compressing.recv().map_err(|_| died())?? {
            out.write_all(&frame)?;
        }
    }
    Ok(out)
}
