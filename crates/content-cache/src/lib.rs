//! A cache of files that many processes share.
//!
//! An entry has a [`Kind`] and a [`Key`], which is a hash of what the entry is made from. [`Cache::fetch`] gives an
//! entry if it is there and verifies, and makes it otherwise: in a file beside it, which takes its place by renaming,
//! under a lock that dies with its process. So a process that needs an entry which another one is making waits for it,
//! and a kill at any moment costs nothing but time. [`Cache::file`] does the same for entries that are read as files.
//! [`Cache::put`] and [`Cache::get`] keep small contents behind their BLAKE3 hash, [`Cache::revise`] documents that
//! change at their source. [`Cache::clean`] removes what was not used for long, a [limit](Cache::with_max_size) does so
//! by itself. The layout below the root is no promise; that every entry is verified by whoever reads it is.
//!
//! It knows no packages, fetches nothing, and reads no environment.
//!
//! ```
//! use content_cache::{Cache, Key, Kind};
//! use std::io::{self, Write};
//!
//! const TEXTS: Kind = Kind::new("texts");
//! let root = tempfile::tempdir()?;
//! let cache = Cache::at(root.path());
//! let key = Key::of(&[b"what the text is made from"]);
//! let verify = |bytes: &bytes::Bytes| match bytes.starts_with(b"te") {
//!     true => Ok(bytes.len()),
//!     false => Err(io::Error::other("is another text")),
//! };
//!
//! // Made once, then read.
//! for _ in 0..2 {
//!     let (bytes, length) = cache.fetch(TEXTS, &key, verify, |partial| partial.write_all(b"text"))?;
//!     assert_eq!((&bytes[..], length), (&b"text"[..], 4));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clean;
mod directory;
mod document;
mod entry;
mod error;
mod event;
mod key;
mod lock;
mod partial;

use std::path::Path;
use std::sync::Arc;

use clean::Room;
use event::Listener;

pub use clean::{Clean, Removed, Report};
pub use document::Document;
pub use error::CacheError;
pub use event::Event;
pub use key::{Key, Kind, ParseKeyError};
pub use lock::Lock;
pub use partial::Partial;

/// The version of the layout; a cache with another one beside it does not disturb.
const LAYOUT: &str = "v2";

/// Layouts of earlier releases, which go when room is made.
const EARLIER: [&str; 1] = ["v1"];

/// What is still being made.
const PARTIAL: &str = "partial";

/// The files that locks are held on.
const LOCKS: &str = "locks";

/// Tells backup programs that there is nothing to keep.
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# This directory can be removed at any time.\n",
);

/// A cache below a directory. Cloning it is cheap; it may be used by many threads and processes at the same time.
#[derive(Clone, Debug)]
pub struct Cache {
    root: Arc<Path>,
    layout: &'static str,
    room: Arc<Room>,
    listener: Listener,
}

impl Cache {
    /// A cache in a directory, which is made when the first entry is. What else lies there is not touched.
    pub fn at(root: impl AsRef<Path>) -> Self {
        Self {
            root: root.as_ref().into(),
            layout: LAYOUT,
            room: Arc::default(),
            listener: Listener::default(),
        }
    }

    /// The same with a limit in bytes. When entries pass it, those used longest ago are removed until nine tenths are
    /// left. Since many processes may add entries at the same time, it can be passed by a sixteenth for each of them,
    /// and by one entry.
    #[must_use]
    pub fn with_max_size(self, bytes: u64) -> Self {
        Self {
            room: Arc::new(Room::limited(bytes)),
            ..self
        }
    }

    /// The same with somebody who is told what happens.
    #[must_use]
    pub fn with_listener(self, listener: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        Self {
            listener: Listener::new(listener),
            ..self
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
