//! A cache of files that many processes share.
//!
//! An entry has a [`Kind`] and a [`Key`], which is a hash of what the entry is made from. [`Cache::file`] gives an
//! entry if it is there and its reader accepts it, and makes it otherwise: in a file beside it, which takes its place
//! by renaming, under a lock that dies with its process. So a process that needs an entry which another one is making
//! waits for it, and a kill at any moment costs nothing but time. [`Cache::put`] and [`Cache::get`] keep small contents
//! behind their BLAKE3 hash. [`Cache::clean`] removes what was not used for long. The layout below the root is no
//! promise; that every entry is verified by whoever reads it is.
//!
//! It knows no packages, fetches nothing, and reads no environment.
//!
//! ```
//! use content_cache::{Cache, Key, Kind};
//! use std::{fs, io::Write};
//!
//! const TEXTS: Kind = Kind::new("texts");
//! let root = tempfile::tempdir()?;
//! let cache = Cache::at(root.path());
//! let key = Key::of(&[b"what the text is made from"]);
//!
//! // Made once, then read.
//! for _ in 0..2 {
//!     let text = cache.file(TEXTS, &key, |path| fs::read_to_string(path).ok(), |partial| partial.write_all(b"text"))?;
//!     assert_eq!(text, "text");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clean;
mod entry;
mod key;
mod lock;

use std::fs::{self, File, FileTimes};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

pub use clean::{Clean, Removed, Report};
pub use entry::{CacheError, Partial};
pub use key::{Key, Kind, ParseKeyError};
pub use lock::Lock;

/// The version of the layout; a cache with another one beside it does not disturb.
const LAYOUT: &str = "v1";

/// What is still being made.
const PARTIAL: &str = "partial";

/// The files that locks are held on.
const LOCKS: &str = "locks";

/// Tells backup programs that there is nothing to keep.
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# This directory can be removed at any time.\n",
);

/// How old the note of an entry's last use may become.
const USE_RESOLUTION: Duration = Duration::from_secs(600);

/// A cache below a directory. Cloning it is cheap; it may be used by many threads and processes at the same time.
#[derive(Clone, Debug)]
pub struct Cache {
    root: Arc<Path>,
}

impl Cache {
    /// A cache in a directory, which is made when the first entry is. What else lies there is not touched.
    pub fn at(root: impl AsRef<Path>) -> Self {
        Self {
            root: root.as_ref().into(),
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an entry is, if it is there.
    pub fn path(&self, kind: Kind, key: &Key) -> PathBuf {
        let key = key.as_str();
        let (prefix, _) = key.split_at(2);
        self.layout().join(kind.name()).join(prefix).join(key)
    }

    fn layout(&self) -> PathBuf {
        self.root.join(LAYOUT)
    }

    /// A small content that [`Cache::put`] has put there; `None` if there is none, or if it is not what was put.
    pub fn get(&self, kind: Kind, key: &Key) -> Option<Bytes> {
        let path = self.path(kind, key);
        let bytes = Bytes::from(fs::read(&path).ok()?);
        let (hash, content) = bytes.split_first_chunk::<32>()?;
        if blake3::hash(content) != *hash {
            return None;
        }
        note_use(&path);
        Some(bytes.slice(32..))
    }

    /// Puts a small content into the cache, in place of what is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, kind: Kind, key: &Key, content: &[u8]) -> io::Result<()> {
        let path = self.path(kind, key);
        let _lock = self.lock(kind, key)?;
        let mut partial = self.partial(kind, key)?;
        partial.restart()?;
        partial.write_all(blake3::hash(content).as_bytes())?;
        partial.write_all(content)?;
        self.publish(kind, partial, &path)
    }

    /// Takes a complete file over as an entry, in place of what is there: by a hard link where both are on one file
    /// system, else by a copy. A file that has both names must not be changed any more.
    ///
    /// # Errors
    /// When it cannot be linked or copied.
    pub fn adopt(&self, kind: Kind, key: &Key, file: &Path) -> io::Result<()> {
        let path = self.path(kind, key);
        let _lock = self.lock(kind, key)?;
        let partial = self.partial(kind, key)?;
        fs::remove_file(partial.path())?;
        if fs::hard_link(file, partial.path()).is_err() {
            fs::copy(file, partial.path())?;
        }
        self.publish(kind, partial, &path)
    }

    /// Forgets an entry.
    pub fn remove(&self, kind: Kind, key: &Key) {
        // What cannot be removed will be found wrong again.
        let _ = fs::remove_file(self.path(kind, key));
    }

    /// Waits until this process alone works on an entry, and holds others off until the lock is dropped.
    ///
    /// # Errors
    /// When the file of the lock cannot be made or locked.
    pub fn lock(&self, kind: Kind, key: &Key) -> io::Result<Lock> {
        let directory = self.prepare(LOCKS)?;
        Lock::take(&directory.join(format!("{}-{key}", kind.name())))
    }

    /// Makes one of the directories of the layout, and marks the cache as one.
    fn prepare(&self, name: &str) -> io::Result<PathBuf> {
        let directory = self.layout().join(name);
        if !directory.is_dir() {
            fs::create_dir_all(&directory)?;
            fs::write(self.root.join(TAG.0), TAG.1)?;
        }
        Ok(directory)
    }

    fn directory_of(&self, path: &Path) -> io::Result<PathBuf> {
        let directory = path.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}

/// Notes that an entry was used now, in its access time. Reading alone does not change that on every file system.
fn note_use(path: &Path) {
    let note = || -> io::Result<()> {
        let used = fs::metadata(path)?.accessed()?;
        let now = SystemTime::now();
        if now.duration_since(used).is_ok_and(|age| age < USE_RESOLUTION) {
            return Ok(());
        }
        File::open(path)?.set_times(FileTimes::new().set_accessed(now))
    };
    // In a cache that cannot be written nothing is evicted either.
    let _ = note();
}
