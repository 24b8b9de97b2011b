//! A build that is killed, and two builds at the same time on one store.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use build_graph::{DirectoryStore, Ending, Engine, Events, History, NodeId, Progress, Stores};
use common::{Oracle, Place, Simulation, World, number, options, seeded};
use rand::RngExt as _;

const SIZE: usize = 24;
const SEED: &str = "BUILD_GRAPH_TEST_SEED";
const DIRECTORY: &str = "BUILD_GRAPH_TEST_DIRECTORY";
const LOG: &str = "BUILD_GRAPH_TEST_LOG";

fn world(seed: u64) -> World {
    World::random(&mut seeded(seed), SIZE)
}

/// Writes down which nodes are built, the moment that is told.
struct Log(Mutex<File>);

impl Events for Log {
    fn finished(&self, node: &NodeId, ending: &Ending, _: &Progress) {
        if matches!(ending, Ending::Built { .. }) {
            let line = format!("{}\n", number(node));
            self.0.lock().unwrap().write_all(line.as_bytes()).unwrap();
        }
    }
}

/// Is no test: what the tests below run in other processes.
#[test]
#[ignore = "runs in a process of its own"]
fn child() {
    let directory = PathBuf::from(env::var_os(DIRECTORY).unwrap());
    let log = File::options()
        .create(true)
        .append(true)
        .open(env::var_os(LOG).unwrap())
        .unwrap();
    let world = world(env::var(SEED).unwrap().parse().unwrap());
    let simulation = Simulation {
        pause: Duration::from_millis(2),
        ..Simulation::of(&world)
    };
    let stores = Stores::new(DirectoryStore::at(directory.join("store")));
    let history = History::open(directory.join("history")).unwrap();
    let engine = Engine::new(&simulation, &stores, &history);
    let summary = engine
        .build(&world.targets(), &options(2), &Log(Mutex::new(log)))
        .unwrap();
    assert!(summary.is_complete());
}

fn start(place: &Path, log: &Path, seed: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored"])
        .env(DIRECTORY, place)
        .env(LOG, log)
        .env(SEED, seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The nodes of a log; the last line may be cut off.
fn logged(log: &Path) -> Vec<usize> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn after_each_of_a_hundred_kills_the_next_run_builds_what_was_not_finished_and_that_alone() {
    let mut rng = seeded(1);
    let mut cut_short = 0;
    let mut longest = 60;
    for round in 0..100_u64 {
        let mut place = Place::new();
        let log = place.directory.path().join("log");
        let world = world(round);
        let mut child = start(place.directory.path(), &log, round);
        thread::sleep(Duration::from_millis(rng.random_range(1..longest)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        // So that most are killed in the middle, however fast the machine is.
        longest = match (status.success(), logged(&log).len()) {
            (true, _) => (longest * 9 / 10).max(3),
            (false, 0) => longest * 11 / 10 + 1,
            _ => longest,
        };

        let finished: BTreeSet<usize> = logged(&log).into_iter().collect();
        cut_short += usize::from(!finished.is_empty() && finished.len() < SIZE / 2);
        place.reopen_damaged();
        let records = fs::read_dir(place.stores.local().root().join("ac")).map_or(0, Iterator::count);
        let simulation = Simulation::of(&world);
        let summary = place.build(&simulation, &options(2));
        let now: BTreeSet<usize> = simulation.order.lock().unwrap().iter().copied().collect();
        assert_eq!(
            now.intersection(&finished).count(),
            0,
            "round {round}: {finished:?} were finished, {now:?} built"
        );
        let least = Oracle::of(&world).least_builds(&BTreeSet::new());
        assert_eq!(records + simulation.built(), least, "round {round}");

        let clean = Place::new();
        let again = Simulation::of(&world);
        let clean_summary = clean.build(&again, &options(1));
        assert_eq!(
            place.contents(&summary),
            clean.contents(&clean_summary),
            "round {round}"
        );
        let third = Simulation::of(&world);
        place.build(&third, &options(2));
        assert_eq!(third.built(), 0, "round {round}");
    }
    assert!(cut_short >= 10, "only {cut_short} were killed in the middle");
}

#[test]
fn a_build_that_is_killed_again_and_again_comes_to_its_end() {
    let place = Place::new();
    let (log, world) = (place.directory.path().join("log"), world(1000));
    let mut rounds = 0;
    loop {
        let mut child = start(place.directory.path(), &log, 1000);
        // Each time a little longer, so that it ends at some time on a slow machine too.
        thread::sleep(Duration::from_millis(5 + 2 * rounds));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        rounds += 1;
    }
    let built = logged(&log);
    let simulation = Simulation::of(&world);
    place.build(&simulation, &options(1));
    assert_eq!(simulation.built(), 0);
    // What was told to be finished was never built again.
    let once: BTreeSet<usize> = built.iter().copied().collect();
    assert_eq!(once.len(), built.len(), "{built:?}");
}

#[test]
fn two_processes_on_one_store_build_each_node_once() {
    for seed in 2000..2010 {
        let place = Place::new();
        let logs = ["a", "b"].map(|name| place.directory.path().join(name));
        let children = logs
            .each_ref()
            .map(|log| start(place.directory.path(), log, seed));
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let world = world(seed);
        let simulation = Simulation::of(&world);
        place.build(&simulation, &options(1));
        assert_eq!(simulation.builds.load(Ordering::SeqCst), 0);
        let built: Vec<usize> = logs.iter().flat_map(|log| logged(log)).collect();
        assert_eq!(
            built.len(),
            Oracle::of(&world).least_builds(&BTreeSet::new()),
            "{built:?}"
        );
    }
}
