//! What a cache tells while it works.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Something that is no error, but that somebody may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An entry is not what it should be, and is made anew.
    Damaged {
        /// Its file.
        path: &'a Path,
        /// What is wrong with it, if its reader said so.
        reason: Option<&'a str>,
    },
    /// Another process is making the entry; this one waits for it.
    Waiting {
        /// The file of the lock.
        path: &'a Path,
    },
    /// What was made cannot be kept, and is given out all the same.
    NotKept {
        /// The file that could not be written.
        path: &'a Path,
        /// What the system said.
        reason: &'a str,
    },
}

type Tell = dyn Fn(Event<'_>) + Send + Sync;

/// Who is told.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Tell>>);

impl Listener {
    pub(crate) fn new(tell: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, event: Event<'_>) {
        if let Some(tell) = &self.0 {
            tell(event);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "None" })
    }
}
