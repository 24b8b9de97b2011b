//! A gzip writer that compresses on several threads.
//!
//! The input is cut into blocks of fixed size. Each block is deflated on its own, primed with the
//! last 32 KiB of the block before it, and ends on a byte boundary (a sync flush), so that the
//! pieces put one after another are one deflate stream in one gzip member. Cuts and priming depend on
//! the input alone: the number of threads never changes a byte.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Uncompressed bytes per block. Larger blocks compress a little better and use more memory.
const BLOCK: usize = 1 << 20;

/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;

/// A member without name and time, of an unknown system: what Go's compress/gzip writes.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A gzip member under construction. Holds at most two blocks per thread in memory.
///
/// Nothing is complete until [`GzipWriter::finish`] has returned.
pub(crate) struct GzipWriter<W> {
    out: W,
    block: Vec<u8>,
    dictionary: Bytes,
    crc: Crc,
    level: Compression,
    threads: NonZeroUsize,
    pool: Option<Pool>,
}

impl<W: Write> GzipWriter<W> {
    /// Starts a member. Threads are started only when there is more than one block.
    pub(crate) fn new(mut out: W, level: u32, threads: NonZeroUsize) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self {
            out,
            block: Vec::new(),
            dictionary: Bytes::new(),
            crc: Crc::new(),
            level: Compression::new(level.min(9)),
            threads,
            pool: None,
        })
    }

    /// Compresses what is left, writes the trailer and returns the writer inside.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let last = self.next_job(true);
        if let Some(mut pool) = self.pool.take() {
            pool.submit(last)?;
            while let Some(piece) = pool.wait()? {
                self.write_piece(&piece)?;
            }
        } else {
            let piece = deflate(&last, self.level)?;
            self.write_piece(&piece)?;
        }
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    fn next_job(&mut self, last: bool) -> Job {
        let data = Bytes::from(std::mem::take(&mut self.block));
        let next = data.slice(data.len().saturating_sub(WINDOW)..);
        Job {
            dictionary: std::mem::replace(&mut self.dictionary, next),
            data,
            last,
        }
    }

    fn end_block(&mut self) -> io::Result<()> {
        let job = self.next_job(false);
        if self.threads.get() == 1 {
            let piece = deflate(&job, self.level)?;
            return self.write_piece(&piece);
        }
        let mut pool = match self.pool.take() {
            Some(pool) => pool,
            None => Pool::start(self.threads, self.level)?,
        };
        if pool.pending.len() >= 2 * self.threads.get()
            && let Some(piece) = pool.wait()?
        {
            self.write_piece(&piece)?;
        }
        pool.submit(job)?;
        self.pool = Some(pool);
        Ok(())
    }

    fn write_piece(&mut self, piece: &Piece) -> io::Result<()> {
        self.crc.combine(&piece.crc);
        self.out.write_all(&piece.deflated)
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // A full block waits for the next byte: only then is it known not to be the last.
        if self.block.len() == BLOCK && !data.is_empty() {
            self.end_block()?;
        }
        let n = data.len().min(BLOCK - self.block.len());
        if self.block.capacity() == 0 {
            self.block
                .reserve_exact(if n < BLOCK { n.max(64 << 10) } else { BLOCK });
        }
        self.block.extend_from_slice(&data[..n]);
        Ok(n)
    }

    /// Does nothing: pieces are written as they become ready.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Job {
    data: Bytes,
    dictionary: Bytes,
    last: bool,
}

struct Piece {
    deflated: Vec<u8>,
    crc: Crc,
}

/// Worker threads, and the places where their results will come in, in the order of submission.
struct Pool {
    jobs: Sender<(Job, SyncSender<io::Result<Piece>>)>,
    pending: VecDeque<Receiver<io::Result<Piece>>>,
}

impl Pool {
    /// Starts the workers. They end when the pool is dropped.
    fn start(threads: NonZeroUsize, level: Compression) -> io::Result<Self> {
        let (jobs, queue) = channel::<(Job, SyncSender<io::Result<Piece>>)>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.get() {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name("gzip".into()).spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((job, reply)) = next else { break };
                    // The receiver is gone when the writer was dropped half-way.
                    let _ = reply.send(deflate(&job, level));
                }
            })?;
        }
        Ok(Self {
            jobs,
            pending: VecDeque::new(),
        })
    }

    fn submit(&mut self, job: Job) -> io::Result<()> {
        let (reply, result) = sync_channel(1);
        self.jobs.send((job, reply)).map_err(|_| worker_died())?;
        self.pending.push_back(result);
        Ok(())
    }

    /// Waits for the oldest piece; `None` when nothing is under way.
    fn wait(&mut self) -> io::Result<Option<Piece>> {
        let Some(oldest) = self.pending.pop_front() else {
            return Ok(None);
        };
        oldest.recv().map_err(|_| worker_died())?.map(Some)
    }
}

fn worker_died() -> io::Error {
    io::Error::other("a compression thread ended unexpectedly")
}

/// Compresses one block into a piece that ends on a byte boundary.
fn deflate(job: &Job, level: Compression) -> io::Result<Piece> {
    let mut crc = Crc::new();
    crc.update(&job.data);
    let mut stream = Compress::new(level, false);
    if !job.dictionary.is_empty() {
        stream.set_dictionary(&job.dictionary).map_err(io::Error::other)?;
    }
    let flush = if job.last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut deflated = Vec::with_capacity(job.data.len() / 2 + 1024);
    loop {
        let read = usize::try_from(stream.total_in()).map_err(io::Error::other)?;
        let status = stream
            .compress_vec(&job.data[read..], &mut deflated, flush)
            .map_err(io::Error::other)?;
        // A sync flush is complete when it leaves room in the output; a finish says so itself.
        let room = deflated.len() < deflated.capacity();
        if status == Status::StreamEnd || (!job.last && room) {
            return Ok(Piece { deflated, crc });
        }
        deflated.reserve(64 << 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn gzip(data: &[u8], threads: usize, chunk: usize) -> Vec<u8> {
        let threads = NonZeroUsize::new(threads).unwrap();
        let mut writer = GzipWriter::new(Vec::new(), 6, threads).unwrap();
        for part in data.chunks(chunk) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap()
    }

    fn gunzip(member: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        // One member and nothing after it.
        let mut decoder = flate2::bufread::GzDecoder::new(member);
        decoder.read_to_end(&mut data).unwrap();
        assert!(decoder.into_inner().is_empty());
        data
    }

    /// Bytes that are neither constant nor random.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        (0..len)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if i % 7 < 3 {
                    (state >> 28) as u8
                } else {
                    (i / 64) as u8
                }
            })
            .collect()
    }

    #[test]
    fn round_trips_around_the_edges_of_blocks() {
        for len in [
            0,
            1,
            WINDOW,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            3 * BLOCK,
            3 * BLOCK + 17,
        ] {
            let data = sample(len);
            assert_eq!(gunzip(&gzip(&data, 2, 100_000)), data, "{len} bytes");
        }
    }

    #[test]
    fn threads_and_write_sizes_change_no_byte() {
        let data = sample(9 * BLOCK + 5);
        let want = gzip(&data, 1, data.len());
        for (threads, chunk) in [(1, 4099), (2, BLOCK), (3, 70_001), (8, usize::MAX)] {
            assert!(
                gzip(&data, threads, chunk) == want,
                "{threads} threads, chunks of {chunk}"
            );
        }
    }

    #[test]
    fn incompressible_blocks_grow_by_little() {
        let mut state = 7u64;
        let noise: Vec<u8> = (0..2 * BLOCK)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        let member = gzip(&noise, 2, BLOCK);
        assert!(member.len() < noise.len() + noise.len() / 1000 + 64);
        assert_eq!(gunzip(&member), noise);
    }

    #[test]
    fn a_full_disk_is_an_error_not_a_hang() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(data.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(data.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let threads = NonZeroUsize::new(4).unwrap();
        let mut writer = GzipWriter::new(Full(1000), 6, threads).unwrap();
        let result = writer
            .write_all(&sample(20 * BLOCK))
            .and_then(|()| writer.finish().map(drop));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    proptest! {
        #[test]
        fn any_small_input_round_trips(data: Vec<u8>, threads in 1usize..4) {
            prop_assert_eq!(gunzip(&gzip(&data, threads, 13)), data);
        }
    }
}
