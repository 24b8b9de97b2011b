//! Builds.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::explore::Explorer;
use super::nodes::{Number, Phase};
use super::queue::{Closing, Queue};
use super::worker::{Answer, Ask, Built, Found, How, Order, Shop, View, caught, start_asking};
use super::{Engine, Options, cycles};
use crate::{Ending, Events, Failure, GraphError, Inputs, Key, NodeId, Problem, Progress, Summary};

/// How often a node is tried again because a file that it needs was lost.
const MOST_LOSSES: u32 = 3;

/// What a worker sends.
enum Message {
    Answered(Number, Answer),
    Built(Number, Result<Built, Failure>, Duration),
}

/// A build under way.
struct Run<'a> {
    shop: &'a Shop<'a>,
    explorer: Explorer<'a>,
    orders: &'a Queue<Order>,
    /// Nodes that can be built.
    ready: Vec<Number>,
    /// Who waits for a node of the same key, by the keys of the nodes that are ready or being built.
    twins: HashMap<Key, Vec<Number>>,
    running: usize,
    memory: u64,
    /// What can be found without building is found.
    is_explored: bool,
    priorities: Vec<Duration>,
}

/// Builds nodes and all that they need.
pub(super) fn build(
    engine: Engine<'_>,
    targets: &[NodeId],
    options: &Options,
    events: &dyn Events,
) -> Result<Summary, GraphError> {
    let began = Instant::now();
    let shop = Shop {
        engine,
        options,
        events,
        is_plan: false,
        is_stopped: AtomicBool::new(false),
        problems: Mutex::default(),
    };
    if let Some(damage) = engine.history.damage() {
        let reason = format!("{}: {damage}", engine.history.path().display());
        shop.tell(Problem::History { reason });
    }
    let (asks, orders) = (Queue::<Ask>::new(), Queue::<Order>::new());
    let last = |node: &NodeId| Some(engine.history.get(node)?.took);
    let nodes = thread::scope(|scope| {
        // Whatever ends this scope, the workers end too.
        let _closing = (Closing(&asks), Closing(&orders));
        let (sender, receiver) = mpsc::channel();
        let answers = sender.clone();
        start_asking(scope, &shop, &asks, move |number, answer| {
            let _ = answers.send(Message::Answered(number, answer));
        });
        for _ in 0..options.jobs.get() {
            let (shop, orders, sender) = (&shop, &orders, sender.clone());
            scope.spawn(move || {
                while let Some(order) = orders.pop() {
                    let began = Instant::now();
                    let built = caught(|| shop.build(&order));
                    let _ = sender.send(Message::Built(order.number, built, began.elapsed()));
                }
            });
        }
        drop(sender);
        let mut run = Run {
            shop: &shop,
            explorer: Explorer::new(&asks, engine.recipes, engine.history.means(), &last),
            orders: &orders,
            ready: Vec::new(),
            twins: HashMap::new(),
            running: 0,
            memory: 0,
            is_explored: false,
            priorities: Vec::new(),
        };
        run.run(targets, &receiver)?;
        Ok::<_, GraphError>(run.explorer.nodes)
    })?;
    if let Err(error) = engine.history.tidy() {
        let reason = error.to_string();
        shop.tell(Problem::History { reason });
    }
    let ended = nodes.list.into_iter().map(|node| match node.phase {
        Phase::Ended(ending) => (node.id, node.key, ending),
        _ => (node.id, node.key, Ending::Stopped),
    });
    let mut nodes: Vec<_> = ended.collect();
    nodes.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    Ok(Summary {
        nodes,
        problems: shop.problems.into_inner().unwrap_or_default(),
        took: began.elapsed(),
    })
}

impl Run<'_> {
    fn run(&mut self, targets: &[NodeId], receiver: &Receiver<Message>) -> Result<(), GraphError> {
        for target in targets {
            self.explorer.known(target);
        }
        loop {
            self.settle();
            if self.explorer.asking.is_empty() && !self.is_explored && !self.is_stopping() {
                if let Some(cycle) = cycles::shortest(&self.explorer.nodes) {
                    return Err(GraphError::Cycle(cycle));
                }
                self.is_explored = true;
                self.prioritise();
                self.shop.events.planned(&self.progress());
            }
            if self.is_explored && !self.is_stopping() {
                self.dispatch();
            }
            if self.explorer.asking.len() + self.running == 0 && !self.break_circle() {
                break;
            }
            if self.explorer.asking.len() + self.running > 0 {
                // The workers hold the other ends until the queues are closed.
                let Ok(message) = receiver.recv() else { break };
                self.take(message);
            }
        }
        self.stop_the_rest();
        Ok(())
    }

    /// Lets nodes go on that were woken, and tells of those that ended, until nothing more follows from that.
    fn settle(&mut self) {
        while let Some(number) = self.explorer.woken.pop() {
            if self.is_stopping() {
                // It ends as stopped.
                continue;
            }
            match self.explorer.lacks_something(number) {
                true => self.explorer.wait(number),
                false => self.explorer.ask(number),
            }
        }
        for number in std::mem::take(&mut self.explorer.ended) {
            let node = &self.explorer.nodes.list[number];
            if let Phase::Ended(ending) = &node.phase {
                self.shop.events.finished(&node.id, ending, &self.progress());
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.shop.is_stopped.load(Ordering::Relaxed) || self.shop.options.cancel.is_cancelled()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Answered(number, answer) => {
                self.explorer.asking.remove(&number);
                match answer {
                    Answer::Needs(needs) => self.explorer.wait_for(number, needs),
                    Answer::Found(found) => self.found(number, found),
                    Answer::Missing { key, inputs } => self.missing(number, key, inputs),
                    Answer::Failed(failure) => self.failed(number, failure, None),
                    Answer::Stopped => {}
                }
            }
            Message::Built(number, built, took) => self.built(number, built, took),
        }
    }

    fn found(&mut self, number: Number, found: Found) {
        self.explorer.nodes.list[number].key = Some(found.key);
        let is_touched = self.explorer.nodes.needs_touched(number);
        self.explorer.nodes.list[number].is_touched |= is_touched;
        let ending = match self.explorer.nodes.list[number].built.take() {
            // It was asked again for a file that somebody missed.
            Some((took, same)) => Ending::Built { took, same },
            None if is_touched => Ending::CutOff,
            None => Ending::Reused { store: found.store },
        };
        self.explorer.end(number, ending, Some(found.output));
    }

    fn missing(&mut self, number: Number, key: Key, inputs: Box<Inputs>) {
        self.explorer.nodes.list[number].key = Some(key);
        if let Some(twins) = self.twins.get_mut(&key) {
            twins.push(number);
            self.explorer.nodes.set(number, Phase::Twin);
            return;
        }
        self.twins.insert(key, Vec::new());
        self.explorer.nodes.set(number, Phase::Ready(inputs));
        self.ready.push(number);
    }

    fn failed(&mut self, number: Number, failure: Failure, took: Option<Duration>) {
        let ending = match failure {
            Failure::Cancelled => Ending::Stopped,
            failure => {
                if !self.shop.options.keep_going {
                    self.shop.is_stopped.store(true, Ordering::Relaxed);
                }
                Ending::Failed { failure, took }
            }
        };
        self.explorer.end(number, ending, None);
    }

    fn built(&mut self, number: Number, built: Result<Built, Failure>, took: Duration) {
        self.running -= 1;
        let node = &mut self.explorer.nodes.list[number];
        self.memory -= node.memory;
        let twins = node.key.and_then(|key| self.twins.remove(&key));
        match built {
            Ok(Built { output, how }) => {
                node.is_touched = true;
                let ending = match how {
                    How::Anew { took, same } => {
                        node.built = Some((took, same));
                        Ending::Built { took, same }
                    }
                    How::Elsewhere { store } => Ending::Reused { store },
                };
                self.explorer.end(number, ending, Some(output));
            }
            Err(Failure::Lost(file)) if self.rebuild_owner(number, &file) => {}
            Err(failure) => self.failed(number, failure, Some(took)),
        }
        // They find the result now, or else are built themselves.
        self.explorer.woken.extend(twins.into_iter().flatten());
    }

    /// Has the node built again whose file was lost, and lets the one that needs it wait; false if that is of no use.
    fn rebuild_owner(&mut self, number: Number, file: &crate::Hash) -> bool {
        let node = &mut self.explorer.nodes.list[number];
        node.losses += 1;
        if node.losses > MOST_LOSSES {
            return false;
        }
        match self.explorer.owner(number, file) {
            // Its result is not found whole any more, so that it is built.
            Some(owner) => {
                self.explorer.nodes.list[owner].output = None;
                self.explorer.ask(owner);
            }
            // Another node has seen to that already.
            None if self.explorer.lacks_something(number) => {}
            None => return false,
        }
        self.explorer.wait(number);
        true
    }

    /// Begins to build as much as there are workers and memory for, the most urgent first.
    fn dispatch(&mut self) {
        if self.ready.is_empty() || self.running >= self.shop.options.jobs.get() {
            return;
        }
        if std::mem::take(&mut self.explorer.has_new_waits)
            || self.priorities.len() < self.explorer.nodes.list.len()
        {
            self.prioritise();
        }
        let (nodes, priorities) = (&self.explorer.nodes.list, &self.priorities);
        let urgency = |number: &Number| (priorities[*number], std::cmp::Reverse(&nodes[*number].id));
        self.ready.sort_by(|a, b| urgency(b).cmp(&urgency(a)));
        let mut later = Vec::new();
        for number in std::mem::take(&mut self.ready) {
            match self.running < self.shop.options.jobs.get() && self.has_room_for(number) {
                true if self.explorer.lacks_something(number) => self.set_back(number),
                true => self.start(number),
                false => later.push(number),
            }
        }
        self.ready = later;
    }

    /// Lets a node wait again because something that it needs was lost in the meantime.
    fn set_back(&mut self, number: Number) {
        let key = self.explorer.nodes.list[number].key;
        let twins = key.and_then(|key| self.twins.remove(&key));
        self.explorer.woken.extend(twins.into_iter().flatten());
        self.explorer.wait(number);
    }

    /// Whether there are a worker and memory for a node. Workers are kept free for more urgent ones that are being asked
    /// for their inputs, which takes little time beside that of building.
    fn has_room_for(&self, number: Number) -> bool {
        let is_more_urgent = |other: &&Number| self.priorities[**other] > self.priorities[number];
        let expected = self.explorer.asking.iter().filter(is_more_urgent).count();
        let limit = self.shop.options.memory.unwrap_or(u64::MAX);
        let memory = self
            .memory
            .saturating_add(self.explorer.nodes.list[number].memory);
        self.running + expected < self.shop.options.jobs.get() && (self.running == 0 || memory <= limit)
    }

    fn start(&mut self, number: Number) {
        let Phase::Ready(inputs) = self.explorer.nodes.set(number, Phase::Running) else {
            unreachable!("a node that is not ready is not among those that are");
        };
        self.running += 1;
        let node = &self.explorer.nodes.list[number];
        self.memory += node.memory;
        self.shop
            .events
            .started(&node.id, node.estimate, &self.progress());
        self.orders.push(Order {
            number,
            node: node.id.clone(),
            key: inputs.key(),
            finished: View::new(self.explorer.nodes.outputs_for(number)),
            inputs,
        });
    }

    fn prioritise(&mut self) {
        self.priorities = self.explorer.nodes.priorities();
    }

    /// When nothing goes on although nodes wait, they wait for one another: ends one of them; whether there were any.
    fn break_circle(&mut self) -> bool {
        if self.is_stopping() {
            return false;
        }
        let Some(cycle) = cycles::shortest(&self.explorer.nodes) else {
            return false;
        };
        // The others of the circle are skipped because of the first.
        if let Some(step) = cycle.steps.first() {
            let number = self.explorer.known(&step.node);
            self.failed(number, Failure::new(cycle.clone()), None);
        }
        true
    }

    fn stop_the_rest(&mut self) {
        for number in 0..self.explorer.nodes.list.len() {
            self.explorer.end(number, Ending::Stopped, None);
        }
        self.settle();
    }

    fn progress(&self) -> Progress {
        let tally = self.explorer.nodes.tally;
        let jobs = u32::try_from(self.shop.options.jobs.get()).unwrap_or(u32::MAX);
        let longest = self
            .ready
            .iter()
            .filter_map(|number| self.priorities.get(*number))
            .max();
        Progress {
            nodes: self.explorer.nodes.list.len(),
            finished: tally.ended,
            built: tally.built,
            running: self.running,
            waiting: tally.waiting,
            remaining: Some((tally.work / jobs).max(longest.copied().unwrap_or_default())),
        }
    }
}
