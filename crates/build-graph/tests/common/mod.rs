//! A workspace that is only simulated: what nodes come to is a function of their inputs, some parts of which leave some
//! inputs out, and some nodes find that they need more when they see what others came to.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "each test uses a part of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use build_graph::{
    Demand, Ending, Engine, Failure, Finished, Hash, History, Inputs, Job, Need, NodeId, Options, Origin,
    Output, Part, Recipes, Summary,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

#[path = "../place/mod.rs"]
mod place;
pub use place::Place;

/// A part of another node that a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    pub node: usize,
    pub part: usize,
}

/// A simulated node. It uses nodes with smaller numbers alone.
#[derive(Clone, Debug)]
pub struct Sim {
    /// Goes into its inputs; nodes of the same class with the same inputs have the same result.
    pub class: String,
    pub source: u32,
    pub uses: Vec<Use>,
    /// When the text of the first part of that is odd, the other is used too.
    pub if_odd: Option<(Use, Use)>,
    pub parts: Vec<SimPart>,
    pub fails: bool,
}

/// A part of what a simulated node comes to.
#[derive(Clone, Copy, Debug)]
pub struct SimPart {
    /// Differences of the source that are smaller than this are not seen in it.
    pub grain: u32,
    /// Of what the node uses, this part sees each that has its bit here.
    pub sees: u32,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub nodes: BTreeMap<usize, Sim>,
}

pub fn id(number: usize) -> NodeId {
    let kind = ["source", "package", "test", "image"][number % 4];
    NodeId::new(kind, &number.to_string())
}

pub fn number(node: &NodeId) -> usize {
    node.name().parse().unwrap()
}

/// What a part comes to: of the class, the source and the used texts, what it sees.
pub fn text(class: &str, source: u32, used: &[String], index: usize, part: SimPart) -> String {
    let seen = used
        .iter()
        .enumerate()
        .filter(|(at, _)| part.sees & (1 << at) != 0);
    let seen: Vec<&str> = seen.map(|(_, text)| text.as_str()).collect();
    let text = format!("{class}.{index}:{}({})", source / part.grain, seen.join(","));
    // Texts would grow without end.
    Hash::of([text]).to_string()
}

pub fn is_odd(text: &str) -> bool {
    text.as_bytes()[0] % 2 == 1
}

impl World {
    pub fn random(rng: &mut StdRng, size: usize) -> Self {
        let mut world = Self::default();
        for number in 0..size {
            world.add(rng, number);
        }
        world
    }

    fn random_use(&self, rng: &mut StdRng, below: usize) -> Option<Use> {
        let below: Vec<usize> = self.nodes.range(..below).map(|(number, _)| *number).collect();
        let node = *below.get(rng.random_range(0..below.len().max(1)))?;
        let part = rng.random_range(0..self.nodes[&node].parts.len());
        Some(Use { node, part })
    }

    pub fn add(&mut self, rng: &mut StdRng, number: usize) {
        let class = match rng.random_bool(0.15) {
            true => "twin".to_owned(),
            false => format!("class {number}"),
        };
        let count = rng.random_range(0..4);
        let uses = (0..count).filter_map(|_| self.random_use(rng, number)).collect();
        let if_odd = match rng.random_bool(0.4) {
            true => self.random_use(rng, number).zip(self.random_use(rng, number)),
            false => None,
        };
        let part = |rng: &mut StdRng| SimPart {
            grain: [1, 4, 1000][rng.random_range(0..3)],
            sees: rng.random_range(0..64),
        };
        // Of twins all must be alike.
        let parts = match class.as_str() {
            "twin" => vec![SimPart { grain: 4, sees: 1 }],
            _ => (0..rng.random_range(1..4)).map(|_| part(rng)).collect(),
        };
        let source = rng.random_range(0..8);
        self.nodes.insert(
            number,
            Sim {
                class,
                source,
                uses,
                if_odd,
                parts,
                fails: false,
            },
        );
    }

    /// Changes something, or nothing.
    pub fn edit(&mut self, rng: &mut StdRng) {
        let numbers: Vec<usize> = self.nodes.keys().copied().collect();
        let Some(&number) = numbers.get(rng.random_range(0..numbers.len().max(1))) else {
            return;
        };
        match rng.random_range(0..10) {
            0..4 => self.nodes.get_mut(&number).unwrap().source += rng.random_range(0..3),
            4 => self.nodes.get_mut(&number).unwrap().source += 1000,
            5 => {
                let used = self.random_use(rng, number);
                self.nodes.get_mut(&number).unwrap().uses.extend(used);
            }
            6 => drop(self.nodes.get_mut(&number).unwrap().uses.pop()),
            7 => {
                let uses = self.random_use(rng, number).zip(self.random_use(rng, number));
                self.nodes.get_mut(&number).unwrap().if_odd = uses;
            }
            8 => {
                let last = numbers[numbers.len() - 1];
                self.add(rng, last + 1);
            }
            _ => {
                self.nodes.remove(&number);
                for sim in self.nodes.values_mut() {
                    sim.uses.retain(|used| used.node != number);
                    let gone = |(a, b): &(Use, Use)| a.node != number && b.node != number;
                    sim.if_odd = sim.if_odd.take().filter(gone);
                }
            }
        }
    }

    pub fn targets(&self) -> Vec<NodeId> {
        self.nodes.keys().map(|number| id(*number)).collect()
    }
}

/// What the world comes to, computed without the engine.
#[derive(Debug, Default)]
pub struct Oracle {
    /// The texts of each node's parts.
    pub texts: BTreeMap<usize, Vec<String>>,
    /// All that each node's result depends on, in one text.
    pub inputs: BTreeMap<usize, String>,
}

impl Oracle {
    pub fn of(world: &World) -> Self {
        let mut oracle = Self::default();
        for (number, sim) in &world.nodes {
            // Those that a node uses have smaller numbers.
            let text_of = |used: &Use| oracle.texts[&used.node][used.part].clone();
            let mut uses = sim.uses.clone();
            if let Some((asked, used)) = sim.if_odd
                && is_odd(&text_of(&asked))
            {
                uses.push(used);
            }
            let used: Vec<String> = uses.iter().map(text_of).collect();
            let parts = sim.parts.iter().enumerate();
            let texts = parts
                .map(|(index, part)| text(&sim.class, sim.source, &used, index, *part))
                .collect();
            let inputs = format!("{} {} {:?}", sim.class, sim.source, used);
            oracle.texts.insert(*number, texts);
            oracle.inputs.insert(*number, inputs);
        }
        oracle
    }

    /// How many builds there must be at least: one for each list of inputs that was never built.
    pub fn least_builds(&self, seen: &BTreeSet<String>) -> usize {
        let new: BTreeSet<&String> = self
            .inputs
            .values()
            .filter(|inputs| !seen.contains(*inputs))
            .collect();
        new.len()
    }
}

/// The recipes of a world.
pub struct Simulation<'a> {
    pub world: &'a World,
    pub builds: AtomicUsize,
    pub running: AtomicUsize,
    pub most_running: AtomicUsize,
    pub order: Mutex<Vec<usize>>,
    /// How long each build takes.
    pub pause: Duration,
    pub scratch: TempDir,
}

impl<'a> Simulation<'a> {
    pub fn of(world: &'a World) -> Self {
        Self {
            world,
            builds: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            order: Mutex::default(),
            pause: Duration::ZERO,
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    pub fn built(&self) -> usize {
        self.builds.load(Ordering::SeqCst)
    }

    fn sim(&self, node: &NodeId) -> Result<&Sim, Failure> {
        let sim = self.world.nodes.get(&number(node));
        sim.ok_or_else(|| Failure::new(format!("there is no {node}")))
    }

    /// What a node uses, as far as is known.
    fn uses(&self, sim: &Sim, finished: &dyn Finished) -> Result<Vec<Use>, Vec<Need>> {
        let need = |used: &Use| {
            let origin = Origin::new(format!("{}.yaml", used.node), 3);
            Need::new(id(used.node), format!("uses part {}", used.part)).at(origin)
        };
        let asked = sim.if_odd.map(|(asked, _)| asked);
        let first: Vec<Need> = sim.uses.iter().chain(asked.as_ref()).map(need).collect();
        if first.iter().any(|need| finished.output(&need.node).is_none()) {
            return Err(first);
        }
        let mut uses = sim.uses.clone();
        if let Some((asked, used)) = sim.if_odd {
            let part = part(finished, asked);
            if is_odd(&part.identity.to_string()) {
                if finished.output(&id(used.node)).is_none() {
                    return Err(vec![need(&used)]);
                }
                uses.push(used);
            }
        }
        Ok(uses)
    }
}

fn part(finished: &dyn Finished, used: Use) -> &Part {
    finished
        .output(&id(used.node))
        .unwrap()
        .part(&used.part.to_string())
        .unwrap()
}

impl Recipes for Simulation<'_> {
    fn inputs(&self, node: &NodeId, finished: &dyn Finished) -> Result<Demand, Failure> {
        let sim = self.sim(node)?;
        let uses = match self.uses(sim, finished) {
            Ok(uses) => uses,
            Err(needs) => return Ok(Demand::Needs(needs)),
        };
        let mut inputs = Inputs::new("simulated/1");
        let origin = Origin::new(format!("{}.yaml", node.name()), 1);
        inputs.add("class", &sim.class, origin.clone());
        inputs.add("source", sim.source, origin);
        for (at, used) in uses.iter().enumerate() {
            inputs.add(format!("uses/{at:03}"), part(finished, *used).identity, None);
        }
        Ok(Demand::Ready(inputs))
    }

    fn build(&self, job: &Job<'_>) -> Result<Output, Failure> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        std::thread::sleep(self.pause);
        let output = self.build_now(job);
        self.running.fetch_sub(1, Ordering::SeqCst);
        output
    }
}

impl Simulation<'_> {
    fn build_now(&self, job: &Job<'_>) -> Result<Output, Failure> {
        let sim = self.sim(job.node())?;
        if sim.fails {
            return Err(Failure::new("it fails"));
        }
        let scratch = tempfile::tempdir_in(self.scratch.path())?;
        // What it uses is read out of the files, as a build would.
        let uses = self
            .uses(sim, job.finished())
            .map_err(|_| "not all is there")
            .map_err(Failure::new)?;
        let mut used = Vec::new();
        for one in uses {
            let path = scratch.path().join("used");
            job.fetch(&part(job.finished(), one).files[0], &path)?;
            used.push(fs::read_to_string(path)?);
        }
        let mut parts = Vec::new();
        for (index, one) in sim.parts.iter().enumerate() {
            let text = text(&sim.class, sim.source, &used, index, *one);
            let path = scratch.path().join("made");
            fs::write(&path, &text)?;
            parts.push(Part {
                name: index.to_string(),
                identity: text.parse()?,
                metadata: text.clone().into_bytes(),
                files: vec![job.keep(format!("{index}.txt"), &path)?],
            });
        }
        self.builds.fetch_add(1, Ordering::SeqCst);
        self.order.lock().unwrap().push(number(job.node()));
        Ok(Output::of(parts))
    }
}

impl Place {
    pub fn reopen(&mut self) {
        self.history = History::open(self.directory.path().join("history")).unwrap();
        assert_eq!(self.history.damage(), None);
    }

    /// Builds a world, and checks that it comes to what the oracle says.
    pub fn build(&self, simulation: &Simulation<'_>, options: &Options) -> Summary {
        let engine = Engine::new(simulation, &self.stores, &self.history);
        let summary = engine.build(&simulation.world.targets(), options, &()).unwrap();
        let oracle = Oracle::of(simulation.world);
        for (node, key, ending) in &summary.nodes {
            assert!(
                !matches!(
                    ending,
                    Ending::Failed { .. } | Ending::Skipped { .. } | Ending::Stopped
                ),
                "{ending:?}"
            );
            let (record, _) = self
                .stores
                .find(&key.unwrap(), &|problem| panic!("{problem}"))
                .unwrap();
            let texts: Vec<String> = record
                .output
                .parts
                .iter()
                .map(|part| part.identity.to_string())
                .collect();
            assert_eq!(texts, oracle.texts[&number(node)], "{node}");
        }
        assert_eq!(summary.nodes.len(), simulation.world.nodes.len());
        summary
    }

    /// The outputs of all nodes with the contents of their files.
    pub fn contents(&self, summary: &Summary) -> Vec<(NodeId, Output, Vec<Vec<u8>>)> {
        let tell = |problem| panic!("{problem}");
        let content = |(node, key, _): &(NodeId, Option<build_graph::Key>, Ending)| {
            let (record, _) = self.stores.find(&key.unwrap(), &tell).unwrap();
            let read = |file: &build_graph::ResultFile| {
                let path = self.directory.path().join("content");
                self.stores.fetch(&file.blob, &path, &tell).unwrap();
                fs::read(path).unwrap()
            };
            let files = record.output.files().map(read).collect();
            (node.clone(), record.output, files)
        };
        summary.nodes.iter().map(content).collect()
    }
}

pub fn options(jobs: usize) -> Options {
    Options {
        jobs: NonZero::new(jobs).unwrap(),
        threads: NonZero::new(jobs).unwrap(),
        ..Options::default()
    }
}

pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

impl Place {
    /// Opens the history anew, whatever a process that was killed has left of it.
    pub fn reopen_damaged(&mut self) {
        self.history = History::open(self.directory.path().join("history")).unwrap();
    }
}
