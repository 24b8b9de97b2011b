//! What the engine does when nodes fail, wait for one another, compete, or lose their files.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use build_graph::{
    Certainty, Counts, Cycle, Demand, DirectoryStore, Ending, Engine, Events, Failure, Finished, GraphError,
    Hash, History, Inputs, Job, Need, NodeId, Options, Origin, Output, Part, Problem, Progress, Recipes,
    Step, Stores, Summary,
};
use tempfile::TempDir;

type Action = Box<dyn Fn(&Job<'_>) -> Result<(), Failure> + Send + Sync>;

/// Nodes of the kind `n` by name, each with the names of what it needs.
#[derive(Default)]
struct Table {
    needs: BTreeMap<String, Vec<String>>,
    /// What needs more once it sees what it asked for.
    later: BTreeMap<String, Vec<String>>,
    texts: BTreeMap<String, String>,
    actions: BTreeMap<String, Action>,
    memory: BTreeMap<String, u64>,
    estimates: BTreeMap<String, u64>,
    running: AtomicUsize,
    most_running: AtomicUsize,
    order: Mutex<Vec<String>>,
}

fn node(name: &str) -> NodeId {
    NodeId::new("n", name)
}

impl Table {
    /// Lines of `NAME: NEED NEED`.
    fn of(text: &str) -> Self {
        let mut table = Self::default();
        for (name, needs) in text.lines().filter_map(|line| line.trim().split_once(':')) {
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            table.needs.insert(name.to_owned(), needs);
        }
        table
    }

    fn act(&mut self, name: &str, action: impl Fn(&Job<'_>) -> Result<(), Failure> + Send + Sync + 'static) {
        self.actions.insert(name.to_owned(), Box::new(action));
    }

    fn needs(&self, of: &str, table: &BTreeMap<String, Vec<String>>) -> Vec<Need> {
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

struct Place {
    _directory: TempDir,
    stores: Stores,
    history: History,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            stores: Stores::new(DirectoryStore::at(directory.path().join("store"))),
            history: History::open(directory.path().join("history")).unwrap(),
            _directory: directory,
        }
    }

    fn engine<'a>(&'a self, table: &'a Table) -> Engine<'a> {
        Engine::new(table, &self.stores, &self.history)
    }

    fn build(&self, table: &Table, targets: &str, options: &Options) -> Summary {
        self.try_build(table, targets, options).unwrap()
    }

    fn try_build(&self, table: &Table, targets: &str, options: &Options) -> Result<Summary, GraphError> {
        let targets: Vec<NodeId> = targets.split_whitespace().map(node).collect();
        self.engine(table).build(&targets, options, &())
    }
}

fn jobs(count: usize) -> Options {
    Options {
        jobs: NonZero::new(count).unwrap(),
        ..Options::default()
    }
}

fn endings(summary: &Summary) -> String {
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

#[test]
fn what_fails_is_told_and_what_needs_it_is_skipped_because_of_it() {
    let mut table = Table::of("lib:\ntool: lib\nimage: tool\nother:\nlone: other");
    table.act("lib", |_| Err(Failure::new("make: no rule")));
    let place = Place::new();
    let keep_going = Options {
        keep_going: true,
        ..Options::default()
    };
    let summary = place.build(&table, "image lone", &keep_going);
    let want = "image: skipped because of lib, lib: failed: make: no rule, lone: built, other: built, tool: skipped because of lib";
    assert_eq!(endings(&summary), want);
    let want = Counts {
        built: 2,
        failed: 1,
        skipped: 2,
        ..Counts::default()
    };
    assert_eq!(summary.counts(), want);
    assert_eq!(summary.counts_of("n"), want);
    assert_eq!(summary.counts_of("other kind"), Counts::default());
    assert!(!summary.is_complete());

    // What was built is kept; what failed is tried again.
    table.actions.clear();
    let summary = place.build(&table, "image lone", &keep_going);
    assert_eq!(
        endings(&summary),
        "image: built, lib: built, lone: reused, other: reused, tool: built"
    );
}

#[test]
fn without_keep_going_nothing_is_begun_after_a_failure() {
    let mut table = Table::of("a:\nb:\nc:\nall: a b c");
    table.act("a", |_| Err(Failure::new("no")));
    let summary = Place::new().build(&table, "all", &jobs(1));
    assert_eq!(
        endings(&summary),
        "a: failed: no, all: skipped because of a, b: stopped, c: stopped"
    );
    assert_eq!(*table.order.lock().unwrap(), ["a"]);
}

#[test]
fn what_cannot_be_asked_for_its_inputs_fails_before_anything_is_built() {
    let table = Table::of("good:\nbad: missing");
    let summary = Place::new().build(&table, "good bad", &jobs(2));
    let want = "bad: skipped because of missing, good: stopped, missing: failed: nobody provides missing";
    assert_eq!(endings(&summary), want);
    assert_eq!(table.order.lock().unwrap().len(), 0);
    let place = Place::new();
    let plan = place
        .engine(&table)
        .plan(&[node("good"), node("bad")], &jobs(1))
        .unwrap();
    assert!(matches!(plan.step(&node("missing")), Some(Step::Fail(_))));
    assert!(matches!(plan.step(&node("bad")), Some(Step::Skip { because }) if *because == node("missing")));
    assert!(matches!(plan.step(&node("good")), Some(Step::Build(_))));
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("step {0} failed")]
struct Own(u32);

#[test]
fn a_callers_error_comes_back_as_it_was_and_a_panic_is_a_failure() {
    let mut table = Table::of("a:\nb:");
    table.act("a", |_| Err(Own(3).into()));
    table.act("b", |_| panic!("index out of bounds"));
    let keep_going = Options {
        keep_going: true,
        ..Options::default()
    };
    let place = Place::new();
    let summary = place.build(&table, "a b", &keep_going);
    let Some(Ending::Failed {
        failure,
        took: Some(_),
    }) = summary.ending(&node("a"))
    else {
        panic!("{summary:?}");
    };
    assert_eq!(failure.downcast_ref(), Some(&Own(3)));
    let want = "a: failed: step 3 failed, b: failed: a mistake in the program: index out of bounds";
    assert_eq!(endings(&summary), want);
}

fn circle(error: GraphError) -> String {
    let GraphError::Cycle(cycle) = error else {
        panic!("{error}");
    };
    shown(&cycle)
}

fn shown(cycle: &Cycle) -> String {
    let step = |step: &build_graph::CycleStep| {
        let origin = step.origin.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} ({origin})", step.reason)
    };
    cycle.steps.iter().map(step).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_shortest_circle_is_found_before_anything_is_built() {
    let table = Table::of(
        "free:\ngcc: free glibc make\nglibc: free gcc2\ngcc2: make gcc3\ngcc3: gcc\nmake: free perl\nperl: sh\nsh: make\nuser: gcc\nself: self",
    );
    let place = Place::new();
    let want =
        "make installs perl (make.yaml:2), perl installs sh (perl.yaml:1), sh installs make (sh.yaml:1)";
    let error = place.try_build(&table, "user", &jobs(2)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nodes need one another in a circle: n:make -> n:perl -> n:sh -> n:make"
    );
    assert_eq!(circle(error), want);
    assert_eq!(
        circle(place.engine(&table).plan(&[node("user")], &jobs(1)).unwrap_err()),
        want
    );
    assert_eq!(table.order.lock().unwrap().len(), 0);
    assert_eq!(
        circle(place.try_build(&table, "self", &jobs(1)).unwrap_err()),
        "self installs self (self.yaml:1)"
    );
    // With an edge cut, as when a seed repository has the package, it goes.
    let cut = Table::of("free:\ngcc: free make\nmake: free perl\nperl: sh\nsh:\nuser: gcc");
    assert!(place.build(&cut, "user", &jobs(2)).is_complete());
}

#[test]
fn a_circle_that_shows_only_after_builds_is_told_the_same_way() {
    let mut table = Table::of("start:\na: start\nb: start\nuser: a\nlone:");
    table.later.insert("a".to_owned(), vec!["b".to_owned()]);
    table.later.insert("b".to_owned(), vec!["a".to_owned()]);
    let place = Place::new();
    let options = Options {
        keep_going: true,
        ..jobs(2)
    };
    let summary = place.build(&table, "user b lone", &options);
    let Some(Ending::Failed { failure, took: None }) = summary.ending(&node("a")) else {
        panic!("{summary:?}");
    };
    let cycle: &Cycle = failure.downcast_ref().unwrap();
    assert_eq!(shown(cycle), "a installs b (a.yaml:1), b installs a (b.yaml:1)");
    let want = Counts {
        built: 2,
        failed: 1,
        skipped: 2,
        ..Counts::default()
    };
    assert_eq!(summary.counts(), want);
    // Now that what led there is known, it is found before.
    let error = place.try_build(&table, "user", &options).unwrap_err();
    assert_eq!(circle(error), "a installs b (a.yaml:1), b installs a (b.yaml:1)");
}

struct Endless;

impl Recipes for Endless {
    fn inputs(&self, node: &NodeId, _: &dyn Finished) -> Result<Demand, Failure> {
        match node.name() {
            "leaf" => Ok(Demand::Ready(Inputs::new("n/1"))),
            _ => Ok(Demand::Needs(vec![Need::new(NodeId::new("n", "leaf"), "again")])),
        }
    }

    fn build(&self, _: &Job<'_>) -> Result<Output, Failure> {
        Ok(Output::default())
    }
}

#[test]
fn a_node_that_asks_for_what_it_has_fails_and_does_not_ask_for_ever() {
    let place = Place::new();
    let engine = Engine::new(&Endless, &place.stores, &place.history);
    let summary = engine.build(&[node("greedy")], &jobs(1), &()).unwrap();
    let want = "greedy: failed: it waits for nodes and names none that it does not have already, leaf: built";
    assert_eq!(endings(&summary), want);
}

#[test]
fn a_change_that_is_not_seen_in_the_result_ends_there() {
    let mut table = Table::of("lib:\ntool: lib\nimage: tool\nother:");
    table.texts.insert("lib".to_owned(), "code # note".to_owned());
    let place = Place::new();
    place.build(&table, "image other", &jobs(1));
    table
        .texts
        .insert("lib".to_owned(), "code # another note".to_owned());

    let plan = place
        .engine(&table)
        .plan(&[node("image"), node("other")], &jobs(1))
        .unwrap();
    let certainty = |name: &str| match plan.step(&node(name)) {
        Some(Step::Build(build)) => Some(build.certainty.clone()),
        _ => None,
    };
    let unless = |name: &str| {
        Some(Certainty::Possible {
            unless: vec![node(name)],
        })
    };
    assert_eq!(certainty("lib"), Some(Certainty::Certain));
    assert_eq!(certainty("tool"), unless("lib"));
    assert_eq!(certainty("image"), unless("tool"));
    assert_eq!(certainty("other"), None);
    let explanation = place.engine(&table).explain(&node("lib"), &jobs(1)).unwrap();
    let [change] = &explanation.changes[..] else {
        panic!("{:?}", explanation.changes);
    };
    assert_eq!(
        (change.name.as_str(), change.old.as_deref()),
        ("text", Some("code # note"))
    );
    assert_eq!(change.new.as_deref(), Some("code # another note"));
    assert_eq!(change.origin, Some(Origin::new("lib.yaml", 7)));

    let summary = place.build(&table, "image other", &jobs(1));
    assert_eq!(
        endings(&summary),
        "image: cut off, lib: built the same, other: reused, tool: cut off"
    );
    assert_eq!(place.history.get(&node("lib")).unwrap().because, ["text"]);

    // Back and forth: both results are there.
    table.texts.insert("lib".to_owned(), "code # note".to_owned());
    let summary = place.build(&table, "image other", &jobs(1));
    assert_eq!(summary.counts().reused, 4);
    let explanation = place.engine(&table).explain(&node("tool"), &jobs(1)).unwrap();
    assert!(matches!(explanation.step, Step::Reuse { .. }));
    assert!(explanation.changes.is_empty() && explanation.inputs.is_some());
    assert!(explanation.last.is_some_and(|last| last.was_built));
}

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
