//! Gzip on several threads.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use deflate_pieces::{Joiner, Piece, deflate};

/// How much is deflated at once. It is part of what decides on the bytes, so it is the same whatever the number of
/// threads.
const CHUNK: usize = 1 << 20;

/// How hard data sections are compressed: no larger than what the Go melange makes of the same files (it took 112.1 MB
/// where this takes 111.8 for 300 MB of a distribution's files), in little more than half of level 6's time.
const LEVEL: u32 = 3;

/// How far back deflate can refer.
const WINDOW: usize = 32 << 10;

type Deflated = io::Result<(Vec<u8>, Piece)>;

struct Job {
    before: Arc<Vec<u8>>,
    content: Arc<Vec<u8>>,
    reply: SyncSender<Deflated>,
}

impl Job {
    fn run(&self) -> Deflated {
        let dictionary = &self.before[self.before.len().saturating_sub(WINDOW)..];
        deflate(&self.content, dictionary, LEVEL)
    }
}

/// Compresses what is written into it into one gzip member. What is smaller than a chunk needs no thread.
pub(crate) struct ParallelGzip<W: Write> {
    /// Before anything is compressed.
    out: Option<W>,
    /// After that.
    joiner: Option<Joiner<W>>,
    before: Arc<Vec<u8>>,
    chunk: Vec<u8>,
    waiting: VecDeque<Receiver<Deflated>>,
    pool: Option<Pool>,
}

struct Pool {
    jobs: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    fn start() -> Self {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let work = |queue: Arc<Mutex<Receiver<Job>>>| {
            move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { break };
                    // Nobody waits any more where the writing failed.
                    let _ = job.reply.send(job.run());
                }
            }
        };
        let number = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = (0..number)
            .map(|_| thread::spawn(work(Arc::clone(&queue))))
            .collect();
        Self { jobs, threads }
    }
}

impl<W: Write> ParallelGzip<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out: Some(out),
            joiner: None,
            before: Arc::default(),
            chunk: Vec::new(),
            waiting: VecDeque::new(),
            pool: None,
        }
    }

    fn append(&mut self, (deflated, piece): (Vec<u8>, Piece)) -> io::Result<()> {
        if let Some(out) = self.out.take() {
            self.joiner = Some(Joiner::new(out)?);
        }
        let joiner = self.joiner.as_mut().ok_or_else(broken)?;
        joiner.append(&deflated, piece)
    }

    /// Hands the chunk to a thread, and waits for the oldest where many are under way.
    fn submit(&mut self) -> io::Result<()> {
        let content = Arc::new(std::mem::take(&mut self.chunk));
        let (reply, waiting) = sync_channel(1);
        let job = Job {
            before: std::mem::replace(&mut self.before, Arc::clone(&content)),
            content,
            reply,
        };
        let pool = self.pool.get_or_insert_with(Pool::start);
        let most = 2 * pool.threads.len();
        pool.jobs.send(job).map_err(|_| broken())?;
        self.waiting.push_back(waiting);
        while self.waiting.len() > most {
            self.take()?;
        }
        Ok(())
    }

    /// Writes the oldest chunk under way.
    fn take(&mut self) -> io::Result<()> {
        let Some(oldest) = self.waiting.pop_front() else {
            return Ok(());
        };
        let deflated = oldest.recv().map_err(|_| broken())??;
        self.append(deflated)
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        if self.pool.is_some() {
            if !self.chunk.is_empty() {
                self.submit()?;
            }
            while !self.waiting.is_empty() {
                self.take()?;
            }
        } else {
            let deflated = deflate(&self.chunk, &[], LEVEL)?;
            self.append(deflated)?;
        }
        if let Some(Pool { jobs, threads }) = self.pool.take() {
            drop(jobs);
            for thread in threads {
                thread.join().map_err(|_| broken())?;
            }
        }
        self.joiner.ok_or_else(broken)?.finish()
    }
}

fn broken() -> io::Error {
    io::Error::other("a compressing thread ended unexpectedly")
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK {
            self.submit()?;
        }
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(content: &[u8], step: usize) -> Vec<u8> {
        let mut gzip = ParallelGzip::new(Vec::new());
        for part in content.chunks(step) {
            gzip.write_all(part).unwrap();
        }
        gzip.finish().unwrap()
    }

    #[test]
    fn contents_of_every_length_come_back_whole() {
        let noise = |place: usize| (place * place % 251) as u8;
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 77] {
            let content: Vec<u8> = (0..length).map(noise).collect();
            let compressed = compress(&content, 70_001);
            assert_eq!(
                crate::inflate("data", &compressed, 1 << 30).unwrap(),
                content,
                "{length}"
            );
            assert_eq!(compressed, compress(&content, 1 << 16), "{length}");
        }
    }

    #[test]
    fn chunks_refer_to_what_comes_before_them() {
        let mut content = vec![0; CHUNK - 500];
        let text: Vec<u8> = (0..500_u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        content.truncate(CHUNK - text.len());
        content.extend(&text);
        let once = compress(&content, CHUNK).len();
        content.extend(&text);
        assert!(compress(&content, CHUNK).len() < once + text.len() / 2);
    }
}
