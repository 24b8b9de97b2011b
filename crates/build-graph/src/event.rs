//! What is told while nodes are built.

use std::fmt;
use std::time::Duration;

use crate::{Failure, Key, NodeId};

/// Is told what happens. All methods do nothing by default, and are called from many threads.
pub trait Events: Sync {
    /// The graph is known: what will be built at most, as far as can be told. Comes once, before the first build starts.
    fn planned(&self, _progress: &Progress) {}

    /// A node begins to be built. `estimate` is how long it took before, or how long its kind takes.
    fn started(&self, _node: &NodeId, _estimate: Option<Duration>, _progress: &Progress) {}

    /// A node says something.
    fn log(&self, _node: &NodeId, _line: &str) {}

    /// A node has come to its end.
    fn finished(&self, _node: &NodeId, _ending: &Ending, _progress: &Progress) {}

    /// A store has not worked, or an entry in it is not what it should be. The work goes on without.
    fn problem(&self, _problem: &Problem) {}
}

/// Nobody is told.
impl Events for () {}

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many nodes are known. It can grow while nodes find that they need more.
    pub nodes: usize,
    /// How many have come to an end.
    pub finished: usize,
    /// How many of these were built.
    pub built: usize,
    /// How many are being built.
    pub running: usize,
    /// How many are to be built at most beside these.
    pub waiting: usize,
    /// How long the rest takes at most, as far as can be told.
    pub remaining: Option<Duration>,
}

/// How a node ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ending {
    /// It was built.
    Built {
        /// How long it took.
        took: Duration,
        /// The result is of the same identity as the one before.
        same: bool,
    },
    /// Its result was there, and nothing that it needs was built.
    Reused {
        /// The name of the store that had it.
        store: String,
    },
    /// Its result was there although something that it needs was built anew: that came out the same, or the part that
    /// this node uses did.
    CutOff,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// How long it took; `None` if it was not even begun.
        took: Option<Duration>,
    },
    /// It was not tried because something that it needs has failed.
    Skipped {
        /// The node that failed, not one that was skipped in turn.
        because: NodeId,
    },
    /// It was not tried, or not ended, because the work was stopped: another node failed, or somebody cancelled.
    Stopped,
}

/// Something that a store did, and that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// An entry is not what it should be. It is not used.
    Entry {
        /// The name of the store.
        store: String,
        /// The entry, `ac/KEY` or `cas/HASH`.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot be used for now.
    Store {
        /// The name of the store.
        store: String,
        /// What is wrong.
        reason: String,
        /// It has failed so often that it is left alone from now on.
        given_up: bool,
    },
    /// The history could not be written. The results are there; what can be explained of them later is less.
    History {
        /// What is wrong.
        reason: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { store, entry, reason } => write!(f, "{store}: {entry} is not used: {reason}"),
            Self::Store {
                store,
                reason,
                given_up,
            } => {
                let end = if *given_up {
                    "; it is left alone from now on"
                } else {
                    ""
                };
                write!(f, "{store}: {reason}{end}")
            }
            Self::History { reason } => write!(f, "the history cannot be written: {reason}"),
        }
    }
}

/// How it all ended.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// How each node ended, in the order of the nodes, with its key as far as that came to be known.
    pub nodes: Vec<(NodeId, Option<Key>, Ending)>,
    /// What the stores did wrong.
    pub problems: Vec<Problem>,
    /// How long it took.
    pub took: Duration,
}

/// How many nodes ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub built: usize,
    pub reused: usize,
    pub cut_off: usize,
    pub failed: usize,
    pub skipped: usize,
    pub stopped: usize,
}

impl Summary {
    /// How many nodes ended how.
    pub fn counts(&self) -> Counts {
        self.counts_where(|_| true)
    }

    /// The same of the nodes of a kind.
    pub fn counts_of(&self, kind: &str) -> Counts {
        self.counts_where(|node| node.kind() == kind)
    }

    fn counts_where(&self, is_counted: impl Fn(&NodeId) -> bool) -> Counts {
        let mut counts = Counts::default();
        for (_, _, ending) in self.nodes.iter().filter(|(node, ..)| is_counted(node)) {
            *match ending {
                Ending::Built { .. } => &mut counts.built,
                Ending::Reused { .. } => &mut counts.reused,
                Ending::CutOff => &mut counts.cut_off,
                Ending::Failed { .. } => &mut counts.failed,
                Ending::Skipped { .. } => &mut counts.skipped,
                Ending::Stopped => &mut counts.stopped,
            } += 1;
        }
        counts
    }

    /// How a node ended; `None` if it is not part of the graph.
    pub fn ending(&self, node: &NodeId) -> Option<&Ending> {
        let at = self.nodes.binary_search_by(|(other, ..)| other.cmp(node));
        at.ok().map(|at| &self.nodes[at].2)
    }

    /// Whether every node has its result.
    pub fn is_complete(&self) -> bool {
        let Counts {
            failed,
            skipped,
            stopped,
            ..
        } = self.counts();
        failed + skipped + stopped == 0
    }
}
