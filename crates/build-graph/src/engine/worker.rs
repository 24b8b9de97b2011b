//! What takes time: asking for inputs, looking results up, building.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant, SystemTime};

use super::nodes::Number;
use super::queue::Queue;
use super::{Engine, Options};
use crate::recipe::Host;
use crate::store::Store as _;
use crate::{
    Blob, Demand, Entry, Events, Failure, Finished, Inputs, Job, Key, Need, NodeId, Output, Problem, Record,
    changes,
};

/// What all workers share.
pub(super) struct Shop<'a> {
    pub(super) engine: Engine<'a>,
    pub(super) options: &'a Options,
    pub(super) events: &'a dyn Events,
    /// Nothing is built and nothing remembered.
    pub(super) is_plan: bool,
    /// Nothing more is to be begun.
    pub(super) is_stopped: AtomicBool,
    pub(super) problems: Mutex<Vec<Problem>>,
}

/// A node that is to be asked for its inputs.
pub(super) struct Ask {
    pub(super) number: Number,
    pub(super) node: NodeId,
    pub(super) finished: View,
}

/// A node that is to be built.
pub(super) struct Order {
    pub(super) number: Number,
    pub(super) node: NodeId,
    pub(super) finished: View,
    pub(super) inputs: Box<Inputs>,
    pub(super) key: Key,
}

/// The outputs of the nodes that a node asked for.
pub(super) struct View(Vec<(NodeId, Arc<Output>)>);

impl View {
    pub(super) fn new(mut outputs: Vec<(NodeId, Arc<Output>)>) -> Self {
        outputs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Self(outputs)
    }
}

impl Finished for View {
    fn output(&self, node: &NodeId) -> Option<&Output> {
        let at = self.0.binary_search_by(|(other, _)| other.cmp(node)).ok()?;
        Some(&self.0[at].1)
    }
}

/// What came of asking for a node's inputs.
pub(super) enum Answer {
    /// It needs these.
    Needs(Vec<Need>),
    /// Its result is there.
    Found(Found),
    /// Its result is not there.
    Missing { key: Key, inputs: Box<Inputs> },
    /// It cannot be told.
    Failed(Failure),
    /// Nobody asked any more.
    Stopped,
}

/// A result that was there.
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) output: Arc<Output>,
    pub(super) store: String,
    pub(super) inputs: Box<Inputs>,
}

/// What came of building a node.
pub(super) struct Built {
    pub(super) output: Arc<Output>,
    pub(super) how: How,
}

/// How a result came to be.
pub(super) enum How {
    /// It was built.
    Anew { took: Duration, same: bool },
    /// Another process had built it in the meantime.
    Elsewhere { store: String },
}

impl Shop<'_> {
    /// Asks a node for its inputs, and looks its result up.
    pub(super) fn ask(&self, ask: &Ask) -> Answer {
        if self.is_stopped.load(Ordering::Relaxed) || self.options.cancel.is_cancelled() {
            return Answer::Stopped;
        }
        match caught(|| self.engine.recipes.inputs(&ask.node, &ask.finished)) {
            Err(failure) => {
                self.remember_failure(&ask.node, &failure);
                Answer::Failed(failure)
            }
            Ok(Demand::Needs(needs)) => Answer::Needs(needs),
            Ok(Demand::Ready(inputs)) => {
                let key = inputs.key();
                let inputs = Box::new(inputs);
                match self.find(&ask.node, key, &inputs) {
                    Some((record, store)) => Answer::Found(Found {
                        key,
                        output: Arc::new(record.output),
                        store,
                        inputs,
                    }),
                    None => Answer::Missing { key, inputs },
                }
            }
        }
    }

    /// The result of a key, if it is there with all its files.
    fn find(&self, node: &NodeId, key: Key, inputs: &Inputs) -> Option<(Record, String)> {
        let tell = |problem| self.tell(problem);
        let (record, store) = self.engine.stores.find(&key, &tell)?;
        if self.is_plan {
            return self
                .engine
                .stores
                .may_have(&record.output, &tell)
                .then_some((record, store));
        }
        self.takes(node, &record, inputs).then_some((record, store))
    }

    /// Takes a record for the result of a node, and remembers that, if all its files can be had.
    fn takes(&self, node: &NodeId, record: &Record, inputs: &Inputs) -> bool {
        if !self
            .engine
            .stores
            .gather(&record.output, &|problem| self.tell(problem))
        {
            return false;
        }
        let last = self.engine.history.get(node);
        if last.is_none_or(|last| last.key != record.key || last.failure.is_some()) {
            let identity = record.output.identity();
            self.remember(node, Entry::new(record.key, identity, record.took, false, inputs));
        }
        true
    }

    /// Builds a node, puts its result into the stores and remembers it.
    pub(super) fn build(&self, order: &Order) -> Result<Built, Failure> {
        let result = self.build_unless_there(order);
        if let Err(failure) = &result {
            self.remember_failure(&order.node, failure);
        }
        result
    }

    fn build_unless_there(&self, order: &Order) -> Result<Built, Failure> {
        let Order {
            node, inputs, key, ..
        } = order;
        // Another process may be at it, or have been at it a moment ago.
        let is_cancelled = || self.options.cancel.is_cancelled();
        let lock = self.engine.stores.local().lock(key, is_cancelled)?;
        let _lock = lock.ok_or(Failure::Cancelled)?;
        let there = self.engine.stores.find_local(key, &|problem| self.tell(problem));
        if let Some(record) = there.filter(|record| self.takes(node, record, inputs)) {
            let store = self.engine.stores.local().name();
            return Ok(Built {
                output: Arc::new(record.output),
                how: How::Elsewhere { store },
            });
        }
        let began = Instant::now();
        let mut output = caught(|| {
            self.engine.recipes.build(&Job {
                node,
                inputs,
                key: *key,
                finished: &order.finished,
                host: self,
            })
        })?;
        let took = began.elapsed();
        output.parts.sort_by(|a, b| a.name.cmp(&b.name));
        output.check()?;
        let record = Record {
            key: *key,
            node: node.clone(),
            output,
            made: SystemTime::now(),
            took,
        };
        self.engine.stores.put(&record, &|problem| self.tell(problem))?;
        let same = self.remember_built(node, &record, inputs);
        Ok(Built {
            output: Arc::new(record.output),
            how: How::Anew { took, same },
        })
    }

    /// Remembers what was built; whether it is what it was before.
    fn remember_built(&self, node: &NodeId, record: &Record, inputs: &Inputs) -> bool {
        let last = self.engine.history.get(node);
        let mut entry = Entry::new(record.key, record.output.identity(), record.took, true, inputs);
        if let Some(last) = &last {
            let changes = changes(&last.inputs(), inputs.list());
            entry.because = changes.into_iter().map(|change| change.name).collect();
        }
        let same = last.is_some_and(|last| last.identity == entry.identity);
        self.remember(node, entry);
        same
    }

    fn remember(&self, node: &NodeId, entry: Entry) {
        if let Err(error) = self.engine.history.put(node, entry) {
            let reason = error.to_string();
            self.tell(Problem::History { reason });
        }
    }

    fn remember_failure(&self, node: &NodeId, failure: &Failure) {
        if self.is_plan || !matches!(failure, Failure::Failed(_)) {
            return;
        }
        if let Err(error) = self.engine.history.put_failure(node, failure.to_string()) {
            let reason = error.to_string();
            self.tell(Problem::History { reason });
        }
    }

    /// Tells of a problem, once.
    pub(super) fn tell(&self, problem: Problem) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if !problems.contains(&problem) {
            self.events.problem(&problem);
            problems.push(problem);
        }
    }
}

impl Host for Shop<'_> {
    fn is_cancelled(&self) -> bool {
        self.options.cancel.is_cancelled()
    }

    fn log(&self, node: &NodeId, line: &str) {
        self.events.log(node, line);
    }

    fn keep(&self, file: &Path) -> Result<Blob, Failure> {
        Ok(self.engine.stores.local().keep(file)?)
    }

    fn fetch(&self, blob: &Blob, to: &Path) -> Result<(), Failure> {
        self.engine.stores.fetch(blob, to, &|problem| self.tell(problem))
    }

    fn previous(&self, node: &NodeId) -> Option<Output> {
        let tell = |problem| self.tell(problem);
        let (record, _) = self
            .engine
            .stores
            .find(&self.engine.history.get(node)?.key, &tell)?;
        self.engine
            .stores
            .gather(&record.output, &tell)
            .then_some(record.output)
    }
}

/// Starts the workers that ask nodes for their inputs: each answer goes where `send` sends it.
pub(super) fn start_asking<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    shop: &'scope Shop<'_>,
    asks: &'scope Queue<Ask>,
    send: impl Fn(Number, Answer) + Clone + Send + 'scope,
) {
    for _ in 0..shop.options.threads.get() {
        let send = send.clone();
        scope.spawn(move || {
            while let Some(ask) = asks.pop() {
                let answer = caught(|| Ok(shop.ask(&ask))).unwrap_or_else(Answer::Failed);
                send(ask.number, answer);
            }
        });
    }
}

/// Makes a failure of a panic: it is a mistake of the program, and others wait for an answer.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure::new(format!(
            "a mistake in the program: {}",
            text.unwrap_or("it panicked")
        )))
    })
}
