//! Plans and builds.
//!
//! One thread, that of the caller, keeps the state of all nodes ([`run`]). Two groups of workers do what takes time: the
//! first asks the recipes for inputs and looks results up, the second builds ([`worker`]).

mod cycles;
mod explore;
mod nodes;
mod plan;
mod queue;
mod run;
mod worker;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Events, Explanation, GraphError, History, NodeId, Plan, Recipes, Stores, Summary};

/// Plans and builds the nodes of a graph.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    recipes: &'a dyn Recipes,
    stores: &'a Stores,
    history: &'a History,
}

/// How nodes are built.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes are built at the same time; 1 by default.
    pub jobs: NonZero<usize>,
    /// How many nodes are asked for their inputs, or looked up, at the same time; 1 by default.
    pub threads: NonZero<usize>,
    /// How much memory builds may take together, in the units of [`Recipes::memory`]; no limit by default. A node that
    /// takes more than all of it is built alone.
    pub memory: Option<u64>,
    /// Goes on with what does not need a node that failed. By default nothing is begun after the first failure.
    pub keep_going: bool,
    /// Stops the work when it is set.
    pub cancel: Cancel,
}

/// Stops the work that it was given to. Cloning it is cheap; the clones are one.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops the work. Nothing more is begun; what runs may ask whether it is to end.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was stopped.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: NonZero::<usize>::MIN,
            threads: NonZero::<usize>::MIN,
            memory: None,
            keep_going: false,
            cancel: Cancel::default(),
        }
    }
}

impl<'a> Engine<'a> {
    /// An engine over recipes, stores and a history.
    pub fn new(recipes: &'a dyn Recipes, stores: &'a Stores, history: &'a History) -> Self {
        Self {
            recipes,
            stores,
            history,
        }
    }

    /// Tells what [`Engine::build`] would do. Nothing is built. Of what is written, there is only that records which a
    /// shared store has are kept in the local one.
    ///
    /// # Errors
    /// When nodes need one another in a circle.
    pub fn plan(&self, targets: &[NodeId], options: &Options) -> Result<Plan, GraphError> {
        Ok(plan::plan(*self, targets, options, None)?.0)
    }

    /// Tells why a node would be built, or why not.
    ///
    /// # Errors
    /// When nodes need one another in a circle.
    pub fn explain(&self, node: &NodeId, options: &Options) -> Result<Explanation, GraphError> {
        plan::explain(*self, node, options)
    }

    /// Builds nodes and all that they need, as far as their results are not there.
    ///
    /// Each result is in the store and in the history the moment it is finished, so that after a kill the next build goes
    /// on from there.
    ///
    /// # Errors
    /// When nodes need one another in a circle. A node that fails is told in the summary.
    pub fn build(
        &self,
        targets: &[NodeId],
        options: &Options,
        events: &dyn Events,
    ) -> Result<Summary, GraphError> {
        run::build(*self, targets, options, events)
    }
}
