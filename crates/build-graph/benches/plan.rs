//! Planning graphs of 500 to 20,000 nodes, of which nothing has changed, one node has, or nothing is there yet; and what
//! opening the history takes.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use build_graph::{
    Demand, DirectoryStore, Engine, Failure, Finished, Hash, History, Inputs, Job, Need, NodeId, Options,
    Output, Part, Recipes, Stores,
};
use divan::Bencher;
use tempfile::TempDir;

const SIZES: [usize; 4] = [500, 1_000, 2_199, 20_000];

/// How many packages an environment installs that are the same everywhere, and how many of the graph.
const BASE: usize = 60;
const NEEDS: usize = 8;

struct Synthetic {
    size: usize,
    changed: Option<usize>,
}

fn node(number: usize) -> NodeId {
    NodeId::new("package", &format!("package-{number}@x86_64"))
}

/// Nodes below this one, spread so that there are both long rows and nodes that many need.
fn needs(number: usize) -> impl Iterator<Item = usize> {
    let pick =
        move |salt: usize| number.wrapping_mul(2_654_435_761).wrapping_add(salt * 40_503) % number.max(1);
    (0..NEEDS.min(number)).map(move |salt| if salt < 2 { pick(salt) } else { pick(salt) / 16 })
}

impl Synthetic {
    fn targets(&self) -> Vec<NodeId> {
        (0..self.size).map(node).collect()
    }
}

impl Recipes for Synthetic {
    fn inputs(&self, id: &NodeId, finished: &dyn Finished) -> Result<Demand, Failure> {
        let number: usize = id.name()[8..id.name().len() - 7].parse()?;
        let missing: Vec<Need> = needs(number)
            .filter(|need| finished.output(&node(*need)).is_none())
            .map(|need| Need::new(node(need), "environment installs it"))
            .collect();
        if !missing.is_empty() {
            return Ok(Demand::Needs(missing));
        }
        let mut inputs = Inputs::new("package/1");
        inputs.add("configuration", Hash::of([number.to_le_bytes()]), None);
        inputs.add("source", usize::from(self.changed == Some(number)), None);
        inputs.extend((0..BASE).map(|base| build_graph::Input {
            name: format!("environment/base-package-{base:03}"),
            value: Hash::of([base.to_le_bytes()]).to_string(),
            origin: None,
        }));
        for need in needs(number) {
            let output = finished
                .output(&node(need))
                .ok_or_else(|| Failure::new("it is not there"))?;
            inputs.add(format!("environment/package-{need}"), output.identity(), None);
        }
        Ok(Demand::Ready(inputs))
    }

    fn build(&self, job: &Job<'_>) -> Result<Output, Failure> {
        Ok(Output::of([Part {
            name: "all".to_owned(),
            identity: *job.key().hash(),
            metadata: vec![0; 600],
            files: Vec::new(),
        }]))
    }
}

/// A directory, and a store and a history in it.
type Place = (TempDir, Stores, History);

/// A store and a history of graphs that were built.
fn built(size: usize) -> &'static Place {
    static BUILT: LazyLock<Mutex<BTreeMap<usize, &'static Place>>> = LazyLock::new(Mutex::default);
    BUILT.lock().unwrap().entry(size).or_insert_with(|| {
        let (directory, stores, history) = empty();
        let synthetic = Synthetic { size, changed: None };
        let engine = Engine::new(&synthetic, &stores, &history);
        let summary = engine
            .build(&synthetic.targets(), &Options::default(), &())
            .unwrap();
        assert!(summary.is_complete());
        history.retain(|_, _| true).unwrap();
        Box::leak(Box::new((directory, stores, history)))
    })
}

fn empty() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let stores = Stores::new(DirectoryStore::at(directory.path().join("store")));
    let history = History::open(directory.path().join("history")).unwrap();
    (directory, stores, history)
}

fn plan(synthetic: &Synthetic, stores: &Stores, history: &History) -> usize {
    let engine = Engine::new(synthetic, stores, history);
    engine
        .plan(&synthetic.targets(), &Options::default())
        .unwrap()
        .builds()
        .count()
}

#[divan::bench(args = SIZES, sample_count = 5)]
fn nothing_changed(bencher: Bencher<'_, '_>, size: usize) {
    let (_, stores, history) = built(size);
    let synthetic = Synthetic { size, changed: None };
    bencher.bench(|| assert_eq!(plan(&synthetic, stores, history), 0));
}

#[divan::bench(args = SIZES, sample_count = 5)]
fn one_changed(bencher: Bencher<'_, '_>, size: usize) {
    let (_, stores, history) = built(size);
    let synthetic = Synthetic {
        size,
        changed: Some(size / 2),
    };
    bencher.bench(|| assert!(plan(&synthetic, stores, history) > 0));
}

#[divan::bench(args = SIZES, sample_count = 5)]
fn nothing_there(bencher: Bencher<'_, '_>, size: usize) {
    let (_directory, stores, history) = empty();
    let synthetic = Synthetic { size, changed: None };
    bencher.bench(|| assert_eq!(plan(&synthetic, &stores, &history), size));
}

#[divan::bench(args = SIZES, sample_count = 5)]
fn history_opened(bencher: Bencher<'_, '_>, size: usize) {
    let path = built(size).2.path();
    bencher.bench(|| History::open(path).unwrap());
}

fn main() {
    divan::main();
}
