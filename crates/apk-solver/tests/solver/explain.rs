//! Reasons and remedies, a case each in `explain.txt`, and what holds for all of them.

use apk_solver::{Change, ExplainLimits, Explanation, Options, Sibling, Step, Universe};

use crate::universe;

fn texts<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

fn step(step: &Step) -> String {
    let who = if step.askers.is_empty() {
        "world".to_owned()
    } else {
        texts(&step.askers)
    };
    let mut line = format!("step {who}: {} -> {}", step.dependency, texts(&step.candidates));
    for rejected in &step.rejected {
        line += &format!(" | not {}: {}", rejected.package, rejected.reason);
    }
    if !step.elsewhere.is_empty() {
        line += &format!(" | elsewhere {}", texts(&step.elsewhere));
    }
    if !step.similar.is_empty() {
        line += &format!(" | similar {}", texts(&step.similar));
    }
    line.trim_end().to_owned()
}

fn change(change: &Change) -> String {
    match &change.instead {
        None => format!("drop {}", change.entry),
        Some((other, package)) => format!("{} -> {other} ({package})", change.entry),
    }
}

fn lines(explanation: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    for contradiction in &explanation.contradictions {
        assert!(contradiction.is_minimal);
        lines.push(format!("entries {}", texts(&contradiction.entries)));
        lines.extend(contradiction.steps.iter().map(step));
        let rivals = contradiction.rivals.iter();
        lines.extend(rivals.map(|rivals| format!("rivals {}: {}", rivals.name, texts(&rivals.packages))));
    }
    for remedy in &explanation.remedies {
        let changes: Vec<_> = remedy.changes.iter().map(change).collect();
        lines.push(format!("remedy {}", changes.join(", ")));
    }
    lines
}

#[test]
fn every_case_is_explained() {
    let mut faults = Vec::new();
    for case in include_str!("explain.txt").split("# ").skip(1) {
        let (name, body) = case.split_once('\n').unwrap();
        let mut rest = Vec::new();
        let own = body.lines().take_while(|line| *line != "other");
        let repos = universe::read(own, |line| rest.push(line));
        let mut tail = Vec::new();
        let others = body.lines().skip_while(|line| *line != "other");
        let others = universe::read(
            others.map(|line| if line == "other" { "repo o" } else { line }),
            |line| {
                tail.push(line);
            },
        );
        rest.extend(tail);
        let world = universe::world(rest[0].strip_prefix("world ").unwrap());
        let expected: Vec<_> = rest[1..].to_vec();
        let sibling = Universe::new(&universe::repositories(&others));
        let siblings = [Sibling {
            arch: "aarch64",
            universe: &sibling,
        }];
        let options = Options {
            siblings: if others.is_empty() { &[] } else { &siblings },
            ..Options::default()
        };
        let repositories = universe::repositories(&repos);
        let universe = Universe::new(&repositories);
        let explanation = universe
            .explain(&world, &options, &ExplainLimits::default())
            .unwrap();
        let actual = explanation.as_ref().map_or(Vec::new(), lines);
        if actual != expected {
            faults.push(format!(
                "# {name}\nactual\n{}\nexpected\n{}",
                actual.join("\n"),
                expected.join("\n")
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
