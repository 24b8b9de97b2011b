//! What whoever uses the engine supplies: what nodes need, and how they are built.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{Blob, Hash, Inputs, Key, Need, NodeId, Output, ResultFile};

/// What the nodes of a graph are. The methods are called from many threads at the same time.
pub trait Recipes: Sync {
    /// Tells what a node needs, or, when all of that is finished, what its result depends on.
    ///
    /// The first time nothing is finished. After an answer [`Demand::Needs`] the method is called again when all nodes
    /// that the answer names are finished, with their outputs; it may then find that it needs more. The outputs of other
    /// nodes are not shown, so that the answer depends on what was asked for alone, not on who was faster. The same
    /// outputs must give the same answer: no clock, no randomness, no file that changes meanwhile.
    ///
    /// # Errors
    /// When it cannot be told, because a configuration is wrong or nobody provides a package. The node has failed then.
    fn inputs(&self, node: &NodeId, finished: &dyn Finished) -> Result<Demand, Failure>;

    /// Builds a node. What it does must depend on its inputs alone. Files are put into the store with [`Job::keep`].
    ///
    /// # Errors
    /// When it did not work, was [cancelled](Failure::cancelled), or a file of a node that it needs was
    /// [lost](Failure::Lost) in the store, which [`Job::fetch`] tells: that node is built again, and then this one.
    fn build(&self, job: &Job<'_>) -> Result<Output, Failure>;

    /// How much memory, in units of the caller's, building a node takes out of [`Options::memory`](crate::Options).
    fn memory(&self, _node: &NodeId) -> u64 {
        0
    }

    /// How long building a node takes, if it was never built here; by default the mean of its kind.
    fn estimate(&self, _node: &NodeId) -> Option<Duration> {
        None
    }
}

/// The outputs of the nodes that a node asked for.
pub trait Finished {
    /// The output of a node, `None` if it was not asked for.
    fn output(&self, node: &NodeId) -> Option<&Output>;
}

/// What a node wants before it can be built.
#[derive(Clone, Debug)]
pub enum Demand {
    /// These nodes, or more of them than are finished. All that were named before stay asked for, and need not be
    /// named again.
    Needs(Vec<Need>),
    /// Nothing more: this is what its result depends on.
    Ready(Inputs),
}

/// A node that is to be built, and what its builder may do.
pub struct Job<'a> {
    pub(crate) node: &'a NodeId,
    pub(crate) inputs: &'a Inputs,
    pub(crate) key: Key,
    pub(crate) finished: &'a dyn Finished,
    pub(crate) host: &'a dyn Host,
}

/// What a job asks of the engine.
pub(crate) trait Host: Sync {
    fn is_cancelled(&self) -> bool;
    fn log(&self, node: &NodeId, line: &str);
    fn keep(&self, file: &Path) -> Result<Blob, Failure>;
    fn fetch(&self, blob: &Blob, to: &Path) -> Result<(), Failure>;
    fn previous(&self, node: &NodeId) -> Option<Output>;
}

impl<'a> Job<'a> {
    /// The node.
    pub fn node(&self) -> &'a NodeId {
        self.node
    }

    /// What its result depends on.
    pub fn inputs(&self) -> &'a Inputs {
        self.inputs
    }

    /// Its key.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The outputs of the nodes that it asked for.
    pub fn finished(&self) -> &'a dyn Finished {
        self.finished
    }

    /// The output of this node's last result, if it is in the store with all its files. A part that has come out with the
    /// same identity can be given back as it was, so that what was published stays as it is to the byte.
    pub fn previous(&self) -> Option<Output> {
        self.host.previous(self.node)
    }

    /// Whether the work is to end as soon as it can.
    pub fn is_cancelled(&self) -> bool {
        self.host.is_cancelled()
    }

    /// Shows a line of what the build says to those who watch.
    pub fn log(&self, line: &str) {
        self.host.log(self.node, line);
    }

    /// Puts a file into the store.
    ///
    /// # Errors
    /// When it cannot be read, or the store cannot be written.
    pub fn keep(&self, name: impl Into<String>, file: &Path) -> Result<ResultFile, Failure> {
        let blob = self.host.keep(file)?;
        let name = name.into();
        Ok(ResultFile { name, blob })
    }

    /// Writes a file of a node that this one needs to a path, verified. A file that is there is replaced.
    ///
    /// # Errors
    /// When the store has it no more, or damaged, which the builder is to pass on; when it cannot be written.
    pub fn fetch(&self, file: &ResultFile, to: &Path) -> Result<(), Failure> {
        self.host.fetch(&file.blob, to)
    }
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({} {})", self.node, self.key)
    }
}

/// Why a node has no result. Cloning it is cheap.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// It did not work; the error is the caller's own, and comes back as it was given.
    Failed(Arc<dyn Error + Send + Sync>),
    /// It was cancelled.
    Cancelled,
    /// A file that was there when the node began is in no store any more, or damaged.
    Lost(Hash),
}

impl Failure {
    /// A failure for a reason, an error or a text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into().into())
    }

    /// The answer to [`Job::is_cancelled`].
    pub fn cancelled() -> Self {
        Self::Cancelled
    }

    /// The caller's own error, as the type it was given with.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => fmt::Display::fmt(error, f),
            Self::Cancelled => f.write_str("it was cancelled"),
            Self::Lost(hash) => write!(f, "the file {hash} of a stored result is lost or damaged"),
        }
    }
}
