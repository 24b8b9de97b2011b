//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

/// Why an entry could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CacheError<E> {
    /// It could not be made, or what was made does not verify.
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

/// What the system refused, and where.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl Trouble {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self { path, source }
    }

    /// Whether the cache may be read, but not written.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    }
}

impl<E> From<Trouble> for CacheError<E> {
    fn from(Trouble { path, source }: Trouble) -> Self {
        Self::Io { path, source }
    }
}

impl From<Trouble> for io::Error {
    fn from(Trouble { path, source }: Trouble) -> Self {
        Self::new(source.kind(), format!("{}: {source}", path.display()))
    }
}
