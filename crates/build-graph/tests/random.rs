//! Random graphs and random edits: what comes out, and how much is built for it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use build_graph::{Certainty, Ending, Engine, NodeId, Plan, Step, Summary};
use common::{Oracle, Place, Simulation, World, options, seeded};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_rebuild_comes_to_what_a_clean_build_does_with_the_fewest_builds_and_as_planned(
        seed: u64,
        size in 1..14_usize,
        edits in 1..7_usize,
        jobs in 1..4_usize,
    ) {
        let mut rng = seeded(seed);
        let mut world = World::random(&mut rng, size);
        let mut place = Place::new();
        let (mut seen, mut earlier) = (BTreeSet::new(), Vec::new());
        for _ in 0..edits {
            let simulation = Simulation::of(&world);
            let engine = Engine::new(&simulation, &place.stores, &place.history);
            let plan = engine.plan(&world.targets(), &options(jobs)).unwrap();
            prop_assert_eq!(simulation.built(), 0);

            let summary = place.build(&simulation, &options(jobs));
            let oracle = Oracle::of(&world);
            prop_assert_eq!(simulation.built(), oracle.least_builds(&seen), "{:?}", summary.nodes);
            prop_assert_eq!(summary.counts().built, simulation.built());
            seen.extend(oracle.inputs.values().cloned());
            as_planned(&plan, &summary);

            let clean = Place::new();
            let again = Simulation::of(&world);
            let clean_summary = clean.build(&again, &options(1));
            prop_assert_eq!(place.contents(&summary), clean.contents(&clean_summary));

            earlier.push(world.clone());
            match rng.random_bool(0.2) {
                true => world = earlier[rng.random_range(0..earlier.len())].clone(),
                false => (0..rng.random_range(0..3)).for_each(|_| world.edit(&mut rng)),
            }
            if rng.random_bool(0.3) {
                place.reopen();
            }
        }
    }
}

/// Whether a build did what its plan said.
fn as_planned(plan: &Plan, summary: &Summary) {
    let endings: BTreeMap<&NodeId, &Ending> = summary
        .nodes
        .iter()
        .map(|(node, _, ending)| (node, ending))
        .collect();
    let keys: BTreeMap<&NodeId, _> = summary.nodes.iter().map(|(node, key, _)| (node, *key)).collect();
    let is_built = |node: &NodeId| matches!(endings[node], Ending::Built { .. });
    let came_out_as_before = |nodes: &[NodeId]| {
        let is_same = |node: &NodeId| match endings[node] {
            Ending::Built { same, .. } => *same,
            Ending::CutOff => true,
            _ => false,
        };
        nodes.iter().all(is_same)
    };
    // Of nodes with the same key one is built for all.
    let is_first = |node: &NodeId| {
        let same = summary
            .nodes
            .iter()
            .filter(|(_, key, _)| *key == keys[node])
            .count();
        same == 1
    };
    for (node, step) in &plan.nodes {
        match step {
            Step::Reuse { key } => {
                assert!(
                    matches!(endings[node], Ending::Reused { .. }),
                    "{node}: {:?}",
                    endings[node]
                );
                assert_eq!(Some(*key), keys[node]);
            }
            Step::Build(build) => match &build.certainty {
                Certainty::Certain => {
                    assert_eq!(build.key, keys[node]);
                    assert!(is_built(node) || !is_first(node), "{node}: {:?}", endings[node]);
                }
                Certainty::Likely { after } if came_out_as_before(after) && build.key.is_some() => {
                    assert_eq!(build.key, keys[node]);
                    assert!(is_built(node) || !is_first(node), "{node}: {:?}", endings[node]);
                }
                Certainty::Possible { unless } if came_out_as_before(unless) => {
                    assert_eq!(build.key, keys[node]);
                    assert!(!is_built(node), "{node}: {:?}", endings[node]);
                }
                _ => {}
            },
            step => panic!("{node}: {step:?}"),
        }
    }
    for (node, _, ending) in &summary.nodes {
        if matches!(ending, Ending::Built { .. }) {
            assert!(
                matches!(plan.step(node), None | Some(Step::Build(_))),
                "{node} was not planned"
            );
        }
    }
}

#[test]
fn nothing_changed_is_nothing_built_and_nothing_written() {
    let world = World::random(&mut seeded(7), 40);
    let mut place = Place::new();
    place.build(&Simulation::of(&world), &options(2));
    place.reopen();
    let before = std::fs::read(place.history.path()).unwrap();
    let simulation = Simulation::of(&world);
    let summary = place.build(&simulation, &options(2));
    assert_eq!(simulation.built(), 0);
    assert_eq!(summary.counts().reused, 40);
    assert_eq!(std::fs::read(place.history.path()).unwrap(), before);
}
