//! Entries that are files, made once.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{Cache, Key, Kind, PARTIAL, note_use};

/// Why an entry could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CacheError<E> {
    /// It could not be made.
    #[error(transparent)]
    Make(E),
    /// The cache cannot be written or read.
    #[error("the cache: {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was made is not what is wanted.
    #[error("the cache: {} is not what it should be although it was made a moment ago", .0.display())]
    Unverified(PathBuf),
}

/// A file in the making. It may hold the beginning that a process left which was killed while it made the same entry.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
}

impl Partial {
    /// Where it is for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, its position at its end.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The length in bytes of what is there.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn restart(&mut self) -> io::Result<()> {
        use std::io::Seek as _;
        self.file.set_len(0)?;
        self.file.rewind()
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Cache {
    /// Gives an entry. `read` reads and verifies the file, `None` if it is not there or not what it should be; `make` makes
    /// it. Of all processes that want an entry at the same time, one makes it.
    ///
    /// When `make` fails, what it wrote stays for the next one to go on with; it is removed when it is old. An entry that
    /// does not verify is removed and made again, once.
    ///
    /// # Errors
    /// The error of `make`, and when the cache cannot be written. An entry that is there is given out of a cache that cannot
    /// be written too.
    pub fn file<T, E>(
        &self,
        kind: Kind,
        key: &Key,
        read: impl Fn(&Path) -> Option<T>,
        make: impl FnOnce(&mut Partial) -> Result<(), E>,
    ) -> Result<T, CacheError<E>> {
        let path = self.path(kind, key);
        let read_and_note = || read(&path).inspect(|_| note_use(&path));
        if let Some(entry) = read_and_note() {
            return Ok(entry);
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Io { path, source }
        };
        let _lock = self.lock(kind, key).map_err(failed(self.root()))?;
        // Another process may have made it while this one waited.
        if let Some(entry) = read_and_note() {
            return Ok(entry);
        }
        let mut partial = self.partial(kind, key).map_err(failed(self.root()))?;
        make(&mut partial).map_err(CacheError::Make)?;
        self.publish(kind, partial, &path).map_err(failed(&path))?;
        match read(&path) {
            Some(entry) => Ok(entry),
            None => {
                self.remove(kind, key);
                Err(CacheError::Unverified(path))
            }
        }
    }

    /// The file in which an entry is made, as an earlier process left it.
    pub(crate) fn partial(&self, kind: Kind, key: &Key) -> io::Result<Partial> {
        use std::io::Seek as _;
        let path = self.prepare(PARTIAL)?.join(format!("{}-{key}", kind.name()));
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path)?;
        file.seek(io::SeekFrom::End(0))?;
        Ok(Partial { file, path })
    }

    pub(crate) fn publish(&self, kind: Kind, partial: Partial, path: &Path) -> io::Result<()> {
        let directory = self.directory_of(path)?;
        if kind.is_durable() {
            partial.file.sync_all()?;
        }
        fs::rename(&partial.path, path)?;
        match kind.is_durable() {
            true => File::open(directory)?.sync_all(),
            false => Ok(()),
        }
    }
}
