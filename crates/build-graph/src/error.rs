//! What stops everything.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::{NodeId, Origin};

/// What stops a plan or a build as a whole. A node that fails does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Nodes need one another in a circle.
    #[error("{0}")]
    Cycle(Cycle),
}

/// Nodes that need one another in a circle: each the next one, the last one the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The nodes, as few as possible, beginning with the first in alphabetical order.
    pub steps: Vec<CycleStep>,
}

/// A stretch of a cycle: a node, and where it says that it needs the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleStep {
    /// The node.
    pub node: NodeId,
    /// Why it needs the next one.
    pub reason: String,
    /// Where that is written.
    pub origin: Option<Origin>,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nodes need one another in a circle: ")?;
        for step in &self.steps {
            write!(f, "{} -> ", step.node)?;
        }
        let first = self.steps.first().map_or("", |step| step.node.as_str());
        f.write_str(first)
    }
}

impl std::error::Error for Cycle {}

/// Why a store or the history does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A server does not answer, or not as it should.
    #[error(transparent)]
    Remote(Box<apk_repository::RepositoryError>),
    /// An entry is not what it should be.
    #[error("{entry}: {reason}")]
    Entry {
        /// The entry, `ac/KEY` or `cas/HASH`.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
}
