//! Where the tests keep what they build.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use build_graph::{DirectoryStore, History, Stores};
use tempfile::TempDir;

/// A store and a history of its own.
pub struct Place {
    pub directory: TempDir,
    pub stores: Stores,
    pub history: History,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            stores: Stores::new(DirectoryStore::at(directory.path().join("store"))),
            history: History::open(directory.path().join("history")).unwrap(),
            directory,
        }
    }
}
