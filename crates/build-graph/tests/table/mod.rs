//! Nodes out of a table, and where they are built.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of tests; not every test uses all"
)]

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use build_graph::{
    Demand, Ending, Engine, Failure, Finished, GraphError, Hash, Inputs, Job, Need, NodeId, Options, Origin,
    Output, Part, Recipes, Summary,
};

#[path = "../place/mod.rs"]
mod place;
pub use place::Place;

pub type Action = Box<dyn Fn(&Job<'_>) -> Result<(), Failure> + Send + Sync>;

/// Nodes of the kind `n` by name, each with the names of what it needs.
#[derive(Default)]
pub struct Table {
    pub needs: BTreeMap<String, Vec<String>>,
    /// What needs more once it sees what it asked for.
    pub later: BTreeMap<String, Vec<String>>,
    pub texts: BTreeMap<String, String>,
    pub actions: BTreeMap<String, Action>,
    pub memory: BTreeMap<String, u64>,
    pub estimates: BTreeMap<String, u64>,
    pub running: AtomicUsize,
    pub most_running: AtomicUsize,
    pub order: Mutex<Vec<String>>,
}

pub fn node(name: &str) -> NodeId {
    NodeId::new("n", name)
}

impl Table {
    /// Lines of `NAME: NEED NEED`.
    pub fn of(text: &str) -> Self {
        let mut table = Self::default();
        for (name, needs) in text.lines().filter_map(|line| line.trim().split_once(':')) {
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            table.needs.insert(name.to_owned(), needs);
        }
        table
    }

    pub fn act(
        &mut self,
        name: &str,
        action: impl Fn(&Job<'_>) -> Result<(), Failure> + Send + Sync + 'static,
    ) {
        self.actions.insert(name.to_owned(), Box::new(action));
    }

    pub fn needs(&self, of: &str, table: &BTreeMap<String, Vec<String>>) -> Vec<Need> {
        let names = table.get(of).into_iter().flatten().enumerate();
        names
            .map(|(at, name)| {
                let line = u32::try_from(at).unwrap() + 1;
                Need::new(node(name), format!("{of} installs {name}"))
                    .at(Origin::new(format!("{of}.yaml"), line))
            })
            .collect()
    }
}

impl Recipes for Table {
    fn inputs(&self, id: &NodeId, finished: &dyn Finished) -> Result<Demand, Failure> {
        let name = id.name();
        if !self.needs.contains_key(name) {
            return Err(Failure::new(format!("nobody provides {name}")));
        }
        let mut needs = self.needs(name, &self.needs);
        if needs.iter().all(|need| finished.output(&need.node).is_some()) {
            needs.extend(self.needs(name, &self.later));
        }
        if needs.iter().any(|need| finished.output(&need.node).is_none()) {
            return Ok(Demand::Needs(needs));
        }
        let mut inputs = Inputs::new("n/1");
        inputs.add("name", name, None);
        inputs.add(
            "text",
            self.texts.get(name).map_or("", String::as_str),
            Origin::new(format!("{name}.yaml"), 7),
        );
        for need in &needs {
            let output = finished.output(&need.node).unwrap();
            inputs.add(
                format!("environment/{}", need.node.name()),
                output.identity(),
                None,
            );
        }
        Ok(Demand::Ready(inputs))
    }

    fn build(&self, job: &Job<'_>) -> Result<Output, Failure> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        self.order.lock().unwrap().push(job.node().name().to_owned());
        let acted = self
            .actions
            .get(job.node().name())
            .map_or(Ok(()), |action| action(job));
        self.running.fetch_sub(1, Ordering::SeqCst);
        acted?;
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("file");
        fs::write(&path, format!("{} {}", job.node().name(), job.key()))?;
        // What follows a `#` is not seen in the result.
        let text = job.inputs().get("text").map_or("", |input| input.value.as_str());
        let seen = text.split('#').next().unwrap_or_default();
        let environment = job
            .inputs()
            .list()
            .iter()
            .filter(|input| input.name.starts_with("environment/"));
        let parts: Vec<&str> = environment
            .map(|input| input.value.as_str())
            .chain([job.node().name(), seen])
            .collect();
        Ok(Output::of([Part {
            name: "all".to_owned(),
            identity: Hash::of(parts),
            metadata: Vec::new(),
            files: vec![job.keep("file", &path)?],
        }]))
    }

    fn memory(&self, node: &NodeId) -> u64 {
        self.memory.get(node.name()).copied().unwrap_or(0)
    }

    fn estimate(&self, node: &NodeId) -> Option<Duration> {
        self.estimates
            .get(node.name())
            .map(|seconds| Duration::from_secs(*seconds))
    }
}

impl Place {
    pub fn engine<'a>(&'a self, table: &'a Table) -> Engine<'a> {
        Engine::new(table, &self.stores, &self.history)
    }

    pub fn build(&self, table: &Table, targets: &str, options: &Options) -> Summary {
        self.try_build(table, targets, options).unwrap()
    }

    pub fn try_build(&self, table: &Table, targets: &str, options: &Options) -> Result<Summary, GraphError> {
        let targets: Vec<NodeId> = targets.split_whitespace().map(node).collect();
        self.engine(table).build(&targets, options, &())
    }
}

pub fn jobs(count: usize) -> Options {
    Options {
        jobs: NonZero::new(count).unwrap(),
        ..Options::default()
    }
}

pub fn endings(summary: &Summary) -> String {
    let show = |(node, _, ending): &(NodeId, _, Ending)| {
        let text = match ending {
            Ending::Built { same: true, .. } => "built the same".to_owned(),
            Ending::Built { .. } => "built".to_owned(),
            Ending::Reused { .. } => "reused".to_owned(),
            Ending::CutOff => "cut off".to_owned(),
            Ending::Failed { failure, .. } => format!("failed: {failure}"),
            Ending::Skipped { because } => format!("skipped because of {}", because.name()),
            ending => format!("{ending:?}").to_lowercase(),
        };
        format!("{}: {text}", node.name())
    };
    summary.nodes.iter().map(show).collect::<Vec<_>>().join(", ")
}
