//! Making room in a store: what goes, what stays, and that what has gone is built again.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use build_graph::{Gc, Key, Summary};
use common::{Place, Simulation, World, options, seeded};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn built() -> (World, Place, Summary) {
    let (world, place) = (World::random(&mut seeded(11), 12), Place::new());
    let summary = place.build(&Simulation::of(&world), &options(1));
    (world, place, summary)
}

fn make_older(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn count(place: &Place, directory: &str) -> usize {
    fs::read_dir(place.stores.local().root().join(directory))
        .unwrap()
        .count()
}

fn rebuilt(world: &World, place: &Place) -> usize {
    let simulation = Simulation::of(world);
    place.build(&simulation, &options(1));
    simulation.built()
}

#[test]
fn by_default_only_what_belongs_to_no_result_goes_when_it_is_old() {
    let (world, place, _) = built();
    let (records, blobs) = (count(&place, "ac"), count(&place, "cas"));
    let root = place.stores.local().root();
    for (name, age) in [("young", Duration::ZERO), ("old", DAY * 2)] {
        let path = place.directory.path().join("file");
        fs::write(&path, name).unwrap();
        let blob = place.stores.local().keep(&path).unwrap();
        make_older(&root.join("cas").join(blob.hash.to_string()), age);
        fs::write(root.join("tmp").join(name), "what a kill left").unwrap();
        make_older(&root.join("tmp").join(name), age);
    }
    let report = place
        .stores
        .local()
        .gc(&Gc {
            dry_run: true,
            ..Gc::default()
        })
        .unwrap();
    assert_eq!((count(&place, "cas"), count(&place, "tmp")), (blobs + 2, 2));
    let done = place.stores.local().gc(&Gc::default()).unwrap();
    assert_eq!(report, done);
    assert_eq!((done.removed, done.removed_size, done.kept), (0, 3 + 16, records));
    assert_eq!(
        (count(&place, "cas"), count(&place, "tmp"), count(&place, "lock")),
        (blobs + 1, 1, 0)
    );
    assert_eq!(rebuilt(&world, &place), 0);
}

#[test]
fn old_results_go_with_their_files_unless_they_are_to_be_kept() {
    let (world, place, summary) = built();
    let keys: BTreeSet<Key> = summary.nodes.iter().filter_map(|(_, key, _)| *key).collect();
    let root = place.stores.local().root();
    for key in &keys {
        make_older(&root.join("ac").join(key.to_string()), DAY * 10);
    }
    // One was used since.
    let used = *keys.first().unwrap();
    place.stores.find(&used, &|problem| panic!("{problem}")).unwrap();
    let kept = *keys.last().unwrap();
    let gc = Gc {
        keep: [kept].into(),
        older_than: Some(DAY),
        ..Gc::default()
    };
    let report = place.stores.local().gc(&gc).unwrap();
    assert_eq!((report.removed, report.kept), (keys.len() - 2, 2));
    assert!(report.failed.is_empty());
    let left: BTreeSet<Key> = fs::read_dir(root.join("ac"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(left, [used, kept].into());
    assert!(rebuilt(&world, &place) >= keys.len() - 2);
    assert_eq!(rebuilt(&world, &place), 0);
}

#[test]
fn a_limit_keeps_what_was_used_last() {
    let (_, place, summary) = built();
    let keys: BTreeSet<Key> = summary.nodes.iter().filter_map(|(_, key, _)| *key).collect();
    let root = place.stores.local().root();
    for (age, key) in (1..).zip(&keys) {
        make_older(&root.join("ac").join(key.to_string()), DAY * age);
    }
    let all = place.stores.local().gc(&Gc::default()).unwrap();
    assert_eq!(all.kept, keys.len());
    let gc = Gc {
        max_size: Some(all.kept_size / 2),
        ..Gc::default()
    };
    let report = place.stores.local().gc(&gc).unwrap();
    assert!(report.kept_size <= all.kept_size / 2 && report.kept > 0);
    // Blobs that results share count once, and stay while one of these does.
    let size = |directory: &str| -> u64 {
        let entries = fs::read_dir(root.join(directory)).unwrap();
        entries
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum()
    };
    assert_eq!(size("ac") + size("cas"), report.kept_size);
    let mut newest = keys.iter().take(report.kept);
    assert!(newest.all(|key| root.join("ac").join(key.to_string()).exists()));
}
