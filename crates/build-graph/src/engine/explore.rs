//! Nodes ask for others, and go on when those have ended.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::nodes::{Nodes, Number, Phase};
use super::queue::Queue;
use super::worker::{Ask, View};
use crate::{Ending, Failure, Need, NodeId, Output, Recipes};

/// The nodes, and what happens among them. What becomes of a node that has its inputs is for others to say.
pub(super) struct Explorer<'a> {
    pub(super) nodes: Nodes,
    /// The nodes that are being asked.
    pub(super) asking: BTreeSet<Number>,
    /// Nodes that all they need has ended for, and that have not gone on yet.
    pub(super) woken: Vec<Number>,
    /// Nodes that ended, and that nobody was told of yet.
    pub(super) ended: Vec<Number>,
    /// Somebody waits for a node that nobody waited for before.
    pub(super) has_new_waits: bool,
    queue: &'a Queue<Ask>,
    recipes: &'a dyn Recipes,
    means: HashMap<String, Duration>,
    last: &'a dyn Fn(&NodeId) -> Option<Duration>,
}

/// A node that asks for what it has already would ask for ever.
#[derive(Debug, thiserror::Error)]
#[error("it waits for nodes and names none that it does not have already")]
pub(super) struct AsksForNothing;

impl<'a> Explorer<'a> {
    pub(super) fn new(
        queue: &'a Queue<Ask>,
        recipes: &'a dyn Recipes,
        means: HashMap<String, Duration>,
        last: &'a dyn Fn(&NodeId) -> Option<Duration>,
    ) -> Self {
        Self {
            nodes: Nodes::default(),
            asking: BTreeSet::new(),
            woken: Vec::new(),
            ended: Vec::new(),
            has_new_waits: false,
            queue,
            recipes,
            means,
            last,
        }
    }

    /// The number of a node, which is asked for its inputs if it was not known.
    pub(super) fn known(&mut self, id: &NodeId) -> Number {
        let (recipes, means, last) = (self.recipes, &self.means, self.last);
        let (number, was_known) = self.nodes.number(id, || {
            let estimate = last(id).or_else(|| recipes.estimate(id));
            let estimate = estimate.or_else(|| means.get(id.kind()).copied());
            (estimate, recipes.memory(id))
        });
        if !was_known {
            self.ask(number);
        }
        number
    }

    /// Asks a node for its inputs.
    pub(super) fn ask(&mut self, number: Number) {
        self.nodes.set(number, Phase::Asked);
        self.asking.insert(number);
        self.queue.push(Ask {
            number,
            node: self.nodes.list[number].id.clone(),
            finished: View::new(self.nodes.outputs_for(number)),
        });
    }

    /// Notes what a node needs. It waits then, or ends if it cannot be built any more.
    pub(super) fn wait_for(&mut self, number: Number, needs: Vec<Need>) {
        let mut is_new = false;
        for need in needs {
            let to = self.known(&need.node);
            is_new |= self.nodes.need(number, to, need);
        }
        if !is_new {
            let failure = Failure::new(AsksForNothing);
            return self.end(number, Ending::Failed { failure, took: None }, None);
        }
        self.has_new_waits = true;
        self.wait(number);
    }

    /// Lets a node wait until all that it needs has ended.
    pub(super) fn wait(&mut self, number: Number) {
        let needs: Vec<Number> = self.nodes.list[number]
            .needs
            .iter()
            .map(|(need, _)| *need)
            .collect();
        if let Some(culprit) = needs.iter().find_map(|need| self.nodes.list[*need].culprit()) {
            return self.end(number, culprit.ending(), None);
        }
        let mut missing = 0;
        for need in needs {
            if !self.nodes.list[need].has_ended() {
                self.nodes.list[need].dependents.push(number);
                missing += 1;
            }
        }
        self.nodes.set(number, Phase::Waiting(missing));
        if missing == 0 {
            self.woken.push(number);
        }
    }

    /// Whether something that a node needs has not ended, though it had when the node went on: it was lost since.
    pub(super) fn lacks_something(&self, number: Number) -> bool {
        let nodes = &self.nodes.list;
        nodes[number]
            .needs
            .iter()
            .any(|(need, _)| !nodes[*need].has_ended())
    }

    /// Ends a node, and those that cannot be built without it; wakes the others that waited for it.
    pub(super) fn end(&mut self, number: Number, ending: Ending, output: Option<Arc<Output>>) {
        let mut ends = vec![(number, ending)];
        let mut output = output;
        while let Some((number, ending)) = ends.pop() {
            if self.nodes.list[number].has_ended() {
                continue;
            }
            // The first is the only one that has a result: the others end for want of its.
            self.nodes.list[number].output = output.take();
            self.nodes.set(number, Phase::Ended(ending));
            self.ended.push(number);
            let culprit = self.nodes.list[number].culprit();
            for dependent in std::mem::take(&mut self.nodes.list[number].dependents) {
                match (&culprit, &self.nodes.list[dependent].phase) {
                    (Some(culprit), _) => ends.push((dependent, culprit.clone().ending())),
                    (None, Phase::Waiting(1)) => {
                        self.nodes.set(dependent, Phase::Waiting(0));
                        self.woken.push(dependent);
                    }
                    (None, Phase::Waiting(missing)) => {
                        let missing = missing - 1;
                        self.nodes.set(dependent, Phase::Waiting(missing));
                    }
                    _ => {}
                }
            }
        }
    }

    /// The node that waits for others and whose result has this file.
    pub(super) fn owner(&self, number: Number, file: &crate::Hash) -> Option<Number> {
        let has = |output: &Output| output.files().any(|one| one.blob.hash == *file);
        let needs = self.nodes.list[number].needs.iter().map(|(need, _)| *need);
        needs
            .into_iter()
            .find(|need| self.nodes.list[*need].output.as_deref().is_some_and(has))
    }
}
