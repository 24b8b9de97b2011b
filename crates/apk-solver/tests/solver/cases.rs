//! One case per rule of the choice, in `cases.txt`.

use crate::universe;

/// What the expected lines begin with: the Go apko's choice, that of the complete search and why it was needed, what
/// the packages exclude, why there is no answer.
const RESULTS: [&str; 5] = ["picks", "finds", "because", "conflicts", "conflict"];

#[test]
fn every_rule_holds() {
    let text = include_str!("cases.txt");
    let mut faults = Vec::new();
    for case in text.split("# ").skip(1) {
        let (name, body) = case.split_once('\n').unwrap();
        let (body, expected): (Vec<_>, Vec<_>) = body
            .lines()
            .filter(|line| !line.is_empty())
            .partition(|line| !RESULTS.contains(&line.split(' ').next().unwrap()));
        let mut world = Vec::new();
        let (own, sibling): (Vec<_>, Vec<_>) = match body.iter().position(|line| line.starts_with("other ")) {
            Some(place) => (body[..place].to_vec(), body[place..].to_vec()),
            None => (body, Vec::new()),
        };
        let repos = universe::read(own.into_iter(), |line| world.push(line));
        let renamed = sibling
            .into_iter()
            .map(|line| line.strip_prefix("other ").map_or(line, |_| "repo other"));
        let others = universe::read(renamed, |line| world.push(line));
        let world = universe::world(world[0].strip_prefix("world ").unwrap());
        let actual = match universe::solve(&repos, &others, &world) {
            Err(conflict) => vec![format!("conflict {conflict}")],
            Ok(solution) => {
                assert_eq!(solution.unmet, [], "{name}");
                let verb = if solution.instead_of.is_some() {
                    "finds"
                } else {
                    "picks"
                };
                let names = universe::names(&repos, &solution).join(" ");
                let mut lines = vec![format!("{verb} {names}")];
                lines.extend(solution.instead_of.map(|conflict| format!("because {conflict}")));
                if !solution.conflicts.is_empty() {
                    lines.push(format!("conflicts {}", solution.conflicts.join(" ")));
                }
                lines
            }
        };
        if actual != expected {
            faults.push(format!("{name}\n  expected {expected:?}\n  actual   {actual:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
