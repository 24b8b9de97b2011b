//! A store in a directory.

use std::path::{Path, PathBuf};

/// A store in a directory: records are the files `ac/KEY`, blobs the files `cas/HASH`, so that any HTTP server that serves
/// the directory is a store too. Many processes may use it at the same time, and a kill at any moment leaves it whole.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    root: PathBuf,
}

impl DirectoryStore {
    /// A store in a directory, which is made when the first entry is.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
