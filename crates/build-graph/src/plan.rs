//! What would be built.

use std::time::Duration;

use crate::{Failure, Graph, InputChange, Key, NodeId, Problem};

/// What a build would do, as far as can be told without building.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// What would become of each node, in the order of the nodes.
    pub nodes: Vec<(NodeId, Step)>,
    /// Who needs whom.
    pub graph: Graph,
    /// How long it takes if all goes as expected with the number of jobs that was asked for: what may be cut off is cut off.
    pub expected: Duration,
    /// How long it takes if nothing is cut off.
    pub longest: Duration,
    /// What the stores did wrong.
    pub problems: Vec<Problem>,
}

/// What would become of a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Its result is there.
    Reuse {
        /// Its key.
        key: Key,
    },
    /// It is built.
    Build(Build),
    /// It fails before it begins.
    Fail(Failure),
    /// It is not tried since something that it needs fails.
    Skip {
        /// What fails.
        because: NodeId,
    },
}

/// A node that would be built, or might be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Build {
    /// How sure that is.
    pub certainty: Certainty,
    /// Its key; where it is not certain, the key it has if what it waits for comes out as before.
    pub key: Option<Key>,
    /// How long it takes: as long as last time, or as others of its kind; `None` if nobody knows.
    pub estimate: Option<Duration>,
    /// What is new since it was built last; empty if it never was.
    pub changes: Vec<InputChange>,
    /// It was built here before.
    pub was_built: bool,
}

/// How sure it is that a node is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Its key is known, and no result is there.
    Certain,
    /// It needs nodes that are built first, and even if these come out as before there is no result for it, or nobody can
    /// tell since one of them was never built.
    Likely {
        /// The nodes that its key depends on.
        after: Vec<NodeId>,
    },
    /// Its result is there and is used if these nodes come out as before.
    Possible {
        /// The nodes that its key depends on.
        unless: Vec<NodeId>,
    },
}

impl Plan {
    /// What would become of a node; `None` if it is not part of the graph.
    pub fn step(&self, node: &NodeId) -> Option<&Step> {
        let at = self.nodes.binary_search_by(|(other, _)| other.cmp(node));
        at.ok().map(|at| &self.nodes[at].1)
    }

    /// The nodes that would be built, or might be.
    pub fn builds(&self) -> impl Iterator<Item = (&NodeId, &Build)> {
        self.nodes.iter().filter_map(|(node, step)| match step {
            Step::Build(build) => Some((node, build)),
            _ => None,
        })
    }
}
