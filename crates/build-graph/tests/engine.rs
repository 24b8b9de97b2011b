//! What the engine does when nodes fail, wait for one another, or come out as before.

#![allow(clippy::unwrap_used, clippy::panic)]

mod table;

use build_graph::{
    Certainty, Counts, Cycle, Demand, Ending, Engine, Failure, Finished, GraphError, Inputs, Job, Need,
    NodeId, Options, Origin, Output, Recipes, Step,
};

use table::{Place, Table, endings, jobs, node};

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
