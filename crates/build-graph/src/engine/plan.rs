//! Plans.
//!
//! A plan goes the way of a build, but for what is not there: a node that would be built is taken to come out as it did
//! last time, so that those which need it can be asked for their inputs all the same. What is told of these is as sure as
//! that.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::explore::Explorer;
use super::nodes::{Nodes, Number, Phase};
use super::queue::{Closing, Queue};
use super::worker::{Answer, Ask, Found, Shop, start_asking};
use super::{Engine, Options, cycles};
use crate::{
    Build, Certainty, Ending, Entry, Explanation, Failure, Graph, GraphError, Inputs, Key, NodeId, Output,
    Plan, Step, changes,
};

/// A plan in the making.
struct Planning<'a> {
    shop: &'a Shop<'a>,
    explorer: Explorer<'a>,
    builds: HashMap<Number, Build>,
    /// The node whose inputs are wanted, and these.
    wanted: Option<&'a NodeId>,
    inputs: Option<Inputs>,
}

/// Makes a plan; with it the inputs of the node that is wanted, if it could be asked for them.
pub(super) fn plan(
    engine: Engine<'_>,
    targets: &[NodeId],
    options: &Options,
    wanted: Option<&NodeId>,
) -> Result<(Plan, Option<Inputs>), GraphError> {
    let shop = Shop {
        engine,
        options,
        events: &(),
        is_plan: true,
        is_stopped: AtomicBool::new(false),
        problems: Mutex::default(),
    };
    let asks: Queue<Ask> = Queue::new();
    let last = |node: &NodeId| Some(engine.history.get(node)?.took);
    let (nodes, builds, inputs) = thread::scope(|scope| {
        // Whatever ends this scope, the workers end too.
        let _closing = Closing(&asks);
        let (sender, receiver) = mpsc::channel();
        start_asking(scope, &shop, &asks, move |number, answer| {
            let _ = sender.send((number, answer));
        });
        let mut planning = Planning {
            shop: &shop,
            explorer: Explorer::new(&asks, engine.recipes, engine.history.means(), &last),
            builds: HashMap::new(),
            wanted,
            inputs: None,
        };
        planning.run(targets, &receiver)?;
        Ok::<_, GraphError>((planning.explorer.nodes, planning.builds, planning.inputs))
    })?;
    let problems = shop.problems.into_inner().unwrap_or_default();
    let mut plan = assemble(nodes, builds, options);
    plan.problems = problems;
    Ok((plan, inputs))
}

/// Makes the plan of one node, and what more is known of that.
pub(super) fn explain(
    engine: Engine<'_>,
    node: &NodeId,
    options: &Options,
) -> Result<Explanation, GraphError> {
    let (plan, inputs) = plan(engine, std::slice::from_ref(node), options, Some(node))?;
    let last = engine.history.get(node);
    let changes = match (&last, &inputs) {
        (Some(last), Some(inputs)) => changes(&last.inputs(), inputs.list()),
        _ => Vec::new(),
    };
    Ok(Explanation {
        node: node.clone(),
        step: plan.step(node).cloned().unwrap_or(Step::Fail(Failure::Cancelled)),
        last,
        inputs,
        changes,
        plan,
    })
}

impl Planning<'_> {
    fn run(&mut self, targets: &[NodeId], receiver: &Receiver<(Number, Answer)>) -> Result<(), GraphError> {
        for target in targets {
            self.explorer.known(target);
        }
        loop {
            while let Some(number) = self.explorer.woken.pop() {
                self.go_on(number);
            }
            if self.explorer.asking.is_empty() {
                break;
            }
            // The workers hold the other ends until the queue is closed.
            let Ok((number, answer)) = receiver.recv() else {
                break;
            };
            self.explorer.asking.remove(&number);
            match answer {
                Answer::Needs(needs) => self.explorer.wait_for(number, needs),
                Answer::Found(found) => self.found(number, found),
                Answer::Missing { key, inputs } => self.missing(number, key, *inputs),
                Answer::Failed(failure) => self.failed(number, failure),
                Answer::Stopped => self.explorer.end(number, Ending::Stopped, None),
            }
        }
        match cycles::shortest(&self.explorer.nodes) {
            Some(cycle) => Err(GraphError::Cycle(cycle)),
            None => Ok(()),
        }
    }

    /// Asks a node further, unless something that it needs has no result that could be taken for the one to come.
    fn go_on(&mut self, number: Number) {
        let nodes = &self.explorer.nodes.list;
        match nodes[number]
            .needs
            .iter()
            .all(|(need, _)| nodes[*need].output.is_some())
        {
            true => self.explorer.ask(number),
            false => self.build(number, None, Vec::new()),
        }
    }

    fn found(&mut self, number: Number, found: Found) {
        self.want(number, &found.inputs);
        self.explorer.nodes.list[number].key = Some(found.key);
        let unless = self.touched_needs(number);
        if !unless.is_empty() {
            self.explorer.nodes.list[number].is_touched = true;
            let build = self.builds.entry(number).or_insert(Build {
                certainty: Certainty::Possible { unless },
                key: Some(found.key),
                estimate: self.explorer.nodes.list[number].estimate,
                changes: Vec::new(),
                was_built: false,
            });
            build.was_built = self
                .shop
                .engine
                .history
                .get(&self.explorer.nodes.list[number].id)
                .is_some();
        }
        let ending = Ending::Reused { store: found.store };
        self.explorer.end(number, ending, Some(found.output));
    }

    fn missing(&mut self, number: Number, key: Key, inputs: Inputs) {
        let last = self.shop.engine.history.get(&self.explorer.nodes.list[number].id);
        let changed = last
            .map(|last| changes(&last.inputs(), inputs.list()))
            .unwrap_or_default();
        self.want(number, &inputs);
        self.build(number, Some(key), changed);
    }

    fn failed(&mut self, number: Number, failure: Failure) {
        match self.touched_needs(number).is_empty() {
            true => self
                .explorer
                .end(number, Ending::Failed { failure, took: None }, None),
            // With what comes out really it may go well.
            false => self.build(number, None, Vec::new()),
        }
    }

    /// Notes that a node would be built. It is taken to come out as it did last time.
    fn build(&mut self, number: Number, key: Option<Key>, changes: Vec<crate::InputChange>) {
        let after = self.touched_needs(number);
        let node = &mut self.explorer.nodes.list[number];
        node.key = key;
        node.is_touched = true;
        let last = self.shop.engine.history.get(&node.id);
        let certainty = match after.is_empty() {
            true => Certainty::Certain,
            false => Certainty::Likely { after },
        };
        let build = Build {
            certainty,
            key,
            estimate: node.estimate,
            changes,
            was_built: last.is_some(),
        };
        self.builds.insert(number, build);
        let ending = Ending::Built {
            took: Duration::ZERO,
            same: false,
        };
        let assumed = last.and_then(|last| self.last_output(&last));
        self.explorer.end(number, ending, assumed);
    }

    fn last_output(&self, last: &Entry) -> Option<Arc<Output>> {
        let found = self
            .shop
            .engine
            .stores
            .find(&last.key, &|problem| self.shop.tell(problem));
        found.map(|(record, _)| Arc::new(record.output))
    }

    fn want(&mut self, number: Number, inputs: &Inputs) {
        if self.wanted == Some(&self.explorer.nodes.list[number].id) {
            self.inputs = Some(inputs.clone());
        }
    }

    /// Those of the nodes that a node needs which would be built, or might be.
    fn touched_needs(&self, number: Number) -> Vec<NodeId> {
        let nodes = &self.explorer.nodes.list;
        let needs = nodes[number].needs.iter().map(|(need, _)| &nodes[*need]);
        needs
            .filter(|need| need.is_touched)
            .map(|need| need.id.clone())
            .collect()
    }
}

fn assemble(nodes: Nodes, mut builds: HashMap<Number, Build>, options: &Options) -> Plan {
    let jobs = u32::try_from(options.jobs.get()).unwrap_or(u32::MAX);
    let is_expected = |number: Number| {
        let build = builds.get(&number);
        build.is_some_and(|build| !matches!(build.certainty, Certainty::Possible { .. }))
    };
    let expected = duration(&nodes, jobs, is_expected);
    let longest = duration(&nodes, jobs, |number| builds.contains_key(&number));
    let mut steps = Vec::with_capacity(nodes.list.len());
    let mut graph = Vec::with_capacity(nodes.list.len());
    for (number, node) in nodes.list.into_iter().enumerate() {
        let step = match (builds.remove(&number), node.phase, node.key) {
            (Some(build), ..) => Step::Build(build),
            (None, Phase::Ended(Ending::Failed { failure, .. }), _) => Step::Fail(failure),
            (None, Phase::Ended(Ending::Skipped { because }), _) => Step::Skip { because },
            (None, _, Some(key)) => Step::Reuse { key },
            (None, _, None) => Step::Fail(Failure::Cancelled),
        };
        steps.push((node.id.clone(), step));
        graph.push((node.id, node.needs.into_iter().map(|(_, need)| need).collect()));
    }
    steps.sort_by(|(a, _), (b, _)| a.cmp(b));
    Plan {
        nodes: steps,
        graph: Graph::of(graph),
        expected,
        longest,
        problems: Vec::new(),
    }
}

/// How long it takes to build some nodes: no less than the longest row of those that need one another, nor than all of
/// them shared among so many workers.
fn duration(nodes: &Nodes, jobs: u32, is_built: impl Fn(Number) -> bool) -> Duration {
    let time = |number: Number| match is_built(number) {
        true => nodes.list[number].estimate.unwrap_or_default(),
        false => Duration::ZERO,
    };
    let work: Duration = (0..nodes.list.len()).map(time).sum();
    let mut ends: Vec<Option<Duration>> = vec![None; nodes.list.len()];
    for start in 0..nodes.list.len() {
        let mut stack = vec![start];
        while let Some(&number) = stack.last() {
            let needs = || nodes.list[number].needs.iter().map(|(need, _)| *need);
            let before = stack.len();
            if ends[number].is_none() {
                stack.extend(needs().filter(|need| ends[*need].is_none()));
            }
            if stack.len() == before {
                let begins = needs().filter_map(|need| ends[need]).max().unwrap_or_default();
                ends[number] = Some(begins + time(number));
                stack.pop();
            }
        }
    }
    let longest = ends.into_iter().flatten().max().unwrap_or_default();
    longest.max(work / jobs)
}
