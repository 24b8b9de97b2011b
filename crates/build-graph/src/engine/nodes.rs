//! The nodes that are known, how far each is, and who waits for whom.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::{Ending, Inputs, Key, Need, NodeId, Output};

/// The number of a node, in the order in which they came to be known.
pub(super) type Number = usize;

/// All nodes that are known.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) list: Vec<Node>,
    pub(super) tally: Tally,
    numbers: HashMap<NodeId, Number>,
}

/// How many nodes are how far.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) ended: usize,
    pub(super) built: usize,
    /// Those that can be built, or could if what they wait for was there.
    pub(super) waiting: usize,
    /// How long it takes to build these and those that are being built, one after the other.
    pub(super) work: Duration,
}

/// What is known of a node.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) phase: Phase,
    /// What it needs, in the order in which it asked.
    pub(super) needs: Vec<(Number, Need)>,
    asked: HashSet<Number>,
    /// Who waits for it.
    pub(super) dependents: Vec<Number>,
    pub(super) key: Option<Key>,
    /// The result, once it is there; in a plan, what it is taken to be.
    pub(super) output: Option<Arc<Output>>,
    /// It was built in this run, or something that it needs was. In a plan: it may be.
    pub(super) is_touched: bool,
    /// How long it took to build it in this run, and whether it came out as before.
    pub(super) built: Option<(Duration, bool)>,
    pub(super) estimate: Option<Duration>,
    pub(super) memory: u64,
    /// How often a file that it needs was lost while it was built.
    pub(super) losses: u32,
}

/// How far a node is.
pub(super) enum Phase {
    /// It is being asked for its inputs.
    Asked,
    /// It waits for so many nodes that it needs.
    Waiting(usize),
    /// It waits for another node of the same key, which is being built.
    Twin,
    /// It can be built.
    Ready(Box<Inputs>),
    /// It is being built.
    Running,
    /// It has ended.
    Ended(Ending),
}

impl Node {
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_) | Phase::Twin)
    }

    /// Adds it to a tally, or takes it out.
    fn count(&self, tally: &mut Tally, adds: bool) {
        let change = |number: &mut usize| *number = if adds { *number + 1 } else { *number - 1 };
        match &self.phase {
            Phase::Asked => return,
            Phase::Waiting(_) | Phase::Twin | Phase::Ready(_) => change(&mut tally.waiting),
            Phase::Running => {}
            Phase::Ended(ending) => {
                change(&mut tally.ended);
                if matches!(ending, Ending::Built { .. }) {
                    change(&mut tally.built);
                }
                return;
            }
        }
        let estimate = self.estimate.unwrap_or_default();
        tally.work = if adds {
            tally.work + estimate
        } else {
            tally.work - estimate
        };
    }

    /// The node whose failure stands in the way of those that need this one, if it has ended without a result.
    pub(super) fn culprit(&self) -> Option<Culprit> {
        match &self.phase {
            Phase::Ended(Ending::Failed { .. }) => Some(Culprit::Node(self.id.clone())),
            Phase::Ended(Ending::Skipped { because }) => Some(Culprit::Node(because.clone())),
            Phase::Ended(Ending::Stopped) => Some(Culprit::Stop),
            _ => None,
        }
    }
}

/// Why a node cannot be tried.
#[derive(Clone)]
pub(super) enum Culprit {
    Node(NodeId),
    Stop,
}

impl Culprit {
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::Node(because) => Ending::Skipped { because },
            Self::Stop => Ending::Stopped,
        }
    }
}

impl Nodes {
    /// The number of a node, and whether it was known already.
    pub(super) fn number(
        &mut self,
        id: &NodeId,
        new: impl FnOnce() -> (Option<Duration>, u64),
    ) -> (Number, bool) {
        if let Some(number) = self.numbers.get(id) {
            return (*number, true);
        }
        let (estimate, memory) = new();
        let number = self.list.len();
        self.numbers.insert(id.clone(), number);
        self.list.push(Node {
            id: id.clone(),
            phase: Phase::Asked,
            needs: Vec::new(),
            asked: HashSet::new(),
            dependents: Vec::new(),
            key: None,
            output: None,
            is_touched: false,
            built: None,
            estimate,
            memory,
            losses: 0,
        });
        (number, false)
    }

    /// Sets how far a node is; how far it was.
    pub(super) fn set(&mut self, number: Number, phase: Phase) -> Phase {
        self.list[number].count(&mut self.tally, false);
        let before = std::mem::replace(&mut self.list[number].phase, phase);
        self.list[number].count(&mut self.tally, true);
        before
    }

    /// Whether something that a node needs was built in this run, or may be.
    pub(super) fn needs_touched(&self, number: Number) -> bool {
        self.list[number]
            .needs
            .iter()
            .any(|(need, _)| self.list[*need].is_touched)
    }

    /// Notes that a node needs another; whether that is new.
    pub(super) fn need(&mut self, from: Number, to: Number, need: Need) -> bool {
        let is_new = self.list[from].asked.insert(to);
        if is_new {
            self.list[from].needs.push((to, need));
        }
        is_new
    }

    /// The outputs of the nodes that one asked for.
    pub(super) fn outputs_for(&self, number: Number) -> Vec<(NodeId, Arc<Output>)> {
        let output = |(need, _): &(Number, Need)| {
            let need = &self.list[*need];
            Some((need.id.clone(), Arc::clone(need.output.as_ref()?)))
        };
        self.list[number].needs.iter().filter_map(output).collect()
    }

    /// For each node how long it takes from its beginning to the end of all that waits for it, if nothing else is in the
    /// way: the longer, the sooner it should be built.
    pub(super) fn priorities(&self) -> Vec<Duration> {
        let mut priorities = vec![None; self.list.len()];
        for start in 0..self.list.len() {
            let mut stack = vec![start];
            while let Some(&number) = stack.last() {
                if priorities[number].is_some_and(|(_, is_final)| is_final) {
                    stack.pop();
                    continue;
                }
                let is_second_visit = priorities[number].is_some();
                let waiting = self.list[number]
                    .dependents
                    .iter()
                    .filter(|one| !self.list[**one].has_ended());
                if is_second_visit {
                    // What is on the way still has its own time alone: that ends circles.
                    let longest = waiting
                        .filter_map(|one| priorities[*one])
                        .map(|(time, _)| time)
                        .max();
                    let time = self.list[number].estimate.unwrap_or_default() + longest.unwrap_or_default();
                    priorities[number] = Some((time, true));
                    stack.pop();
                } else {
                    priorities[number] = Some((self.list[number].estimate.unwrap_or_default(), false));
                    stack.extend(waiting.filter(|one| priorities[**one].is_none()));
                }
            }
        }
        priorities
            .into_iter()
            .map(|priority| priority.map_or(Duration::ZERO, |(time, _)| time))
            .collect()
    }
}
