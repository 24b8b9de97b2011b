//! What is built when: in which order, how much at once, after a cancel, and when files are lost.

#![allow(clippy::unwrap_used, clippy::panic)]

mod table;

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use build_graph::{Ending, Events, Failure, Job, NodeId, Options, Problem, Progress};

use table::{Place, Table, endings, jobs, node};

#[test]
fn the_longest_way_to_the_end_is_built_first() {
    let mut table = Table::of("a:\nb:\nc:\nd: c\ne: d\nall: a b e");
    for (name, seconds) in [("a", 5), ("b", 6), ("c", 1), ("d", 1), ("e", 9), ("all", 1)] {
        table.estimates.insert(name.to_owned(), seconds);
    }
    Place::new().build(&table, "all", &jobs(1));
    assert_eq!(*table.order.lock().unwrap(), ["c", "d", "e", "b", "a", "all"]);
}

#[test]
fn no_more_is_built_at_a_time_than_jobs_and_memory_allow() {
    let names: Vec<String> = (0..12).map(|number| format!("n{number:02}")).collect();
    let text: String = names.iter().map(|name| format!("{name}:\n")).collect();
    let most = |jobs_count, memory: Option<u64>| {
        let mut table = Table::of(&text);
        for name in &names {
            table.act(name, |_| {
                std::thread::sleep(Duration::from_millis(3));
                Ok(())
            });
            // One of them needs more than there is, and is built all the same.
            table
                .memory
                .insert(name.clone(), if name == "n05" { 100 } else { 2 });
        }
        let options = Options {
            memory,
            ..jobs(jobs_count)
        };
        let summary = Place::new().build(&table, &names.join(" "), &options);
        assert_eq!(summary.counts().built, names.len());
        table.most_running.into_inner()
    };
    assert_eq!(most(1, None), 1);
    assert!((2..=4).contains(&most(4, None)));
    assert_eq!(most(4, Some(3)), 1);
    assert!(most(4, Some(4)) <= 2);
}

#[test]
fn what_is_cancelled_stops_and_the_next_build_goes_on() {
    let mut table = Table::of("a:\nb: a\nc: b\nd: c");
    let options = jobs(1);
    let cancel = options.cancel.clone();
    table.act("b", move |job| {
        cancel.cancel();
        match job.is_cancelled() {
            true => Err(Failure::cancelled()),
            false => Ok(()),
        }
    });
    let place = Place::new();
    let summary = place.build(&table, "d", &options);
    assert_eq!(endings(&summary), "a: built, b: stopped, c: stopped, d: stopped");
    table.actions.clear();
    let summary = place.build(&table, "d", &jobs(1));
    assert_eq!(endings(&summary), "a: reused, b: built, c: built, d: built");
}

/// Fetches the file of `lib`, as a build would.
fn fetch_lib(job: &Job<'_>) -> Result<(), Failure> {
    let lib = job.finished().output(&node("lib")).unwrap();
    let scratch = tempfile::tempdir()?;
    let path = scratch.path().join("lib");
    job.fetch(&lib.parts[0].files[0], &path)?;
    assert!(fs::read_to_string(path)?.starts_with("lib "));
    Ok(())
}

#[test]
fn a_file_that_is_lost_while_others_need_it_is_built_again_and_they_go_on() {
    for jobs_count in [1, 3] {
        let mut table = Table::of("lib:\na: lib\nb: lib\nall: a b");
        let place = Place::new();
        place.build(&table, "lib", &jobs(1));
        table.order.lock().unwrap().clear();
        table.act("a", fetch_lib);
        table.act("b", fetch_lib);
        // Of the same size, so that it is noticed only when it is read.
        let blobs = place.stores.local().root().join("cas");
        let blob = fs::read_dir(blobs).unwrap().next().unwrap().unwrap().path();
        let damaged = fs::read_to_string(&blob).unwrap().replace("lib ", "bil ");
        fs::write(&blob, damaged).unwrap();
        let summary = place.build(&table, "all", &jobs(jobs_count));
        assert_eq!(
            endings(&summary),
            "a: built, all: built, b: built, lib: built the same"
        );
        let order = table.order.into_inner().unwrap();
        let count = |name: &str| order.iter().filter(|one| *one == name).count();
        assert_eq!((count("lib"), count("all")), (1, 1), "{order:?}");
        // With one at a time, the other has not begun when the loss is found.
        assert!(jobs_count > 1 || (count("a"), count("b")) == (2, 1), "{order:?}");
        let [Problem::Entry { entry, reason, .. }, ..] = &summary.problems[..] else {
            panic!("{:?}", summary.problems);
        };
        assert!(
            entry.starts_with("cas/") && reason == "it is not what its name says",
            "{entry}: {reason}"
        );
    }
}

#[test]
fn a_file_that_is_lost_again_and_again_is_a_failure_at_last() {
    let mut table = Table::of("lib:\ntool: lib");
    table.act("tool", |job| {
        let lib = job.finished().output(&node("lib")).unwrap();
        Err(Failure::Lost(lib.parts[0].files[0].blob.hash))
    });
    let summary = Place::new().build(&table, "tool", &jobs(1));
    assert_eq!(summary.counts().failed, 1);
    let tries = table
        .order
        .lock()
        .unwrap()
        .iter()
        .filter(|name| *name == "tool")
        .count();
    assert_eq!(tries, 4);
}

#[test]
fn the_last_result_can_be_given_back() {
    let mut table = Table::of("lib:");
    table.act("lib", |job| {
        job.log(&format!("had one: {}", job.previous().is_some()));
        Ok(())
    });
    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>, Mutex<Vec<Progress>>);
    impl Events for Lines {
        fn log(&self, node: &NodeId, line: &str) {
            self.0.lock().unwrap().push(format!("{node} {line}"));
        }
        fn planned(&self, progress: &Progress) {
            self.1.lock().unwrap().push(*progress);
        }
        fn finished(&self, _: &NodeId, _: &Ending, progress: &Progress) {
            self.1.lock().unwrap().push(*progress);
        }
    }
    let (place, lines) = (Place::new(), Lines::default());
    place
        .engine(&table)
        .build(&[node("lib")], &jobs(1), &lines)
        .unwrap();
    table.texts.insert("lib".to_owned(), "new".to_owned());
    place
        .engine(&table)
        .build(&[node("lib")], &jobs(1), &lines)
        .unwrap();
    assert_eq!(
        *lines.0.lock().unwrap(),
        ["n:lib had one: false", "n:lib had one: true"]
    );
    let progress = lines.1.lock().unwrap();
    let counts: Vec<_> = progress
        .iter()
        .map(|one| (one.nodes, one.finished, one.waiting, one.running))
        .collect();
    assert_eq!(counts, [(1, 0, 1, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 1, 0, 0)]);
}
