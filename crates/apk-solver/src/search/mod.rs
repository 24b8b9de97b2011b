//! The complete search, for requests that the Go apko's choice does not answer.

mod order;
mod provider;

use apk_types::Dependency;
use resolvo::{Problem, Solver};

use crate::check::Chosen;
use crate::request::Options;
use crate::universe::{PackageId, Universe};
use provider::Provider;

/// How often `install_if` may bring packages that bring more; each time costs a search.
const ROUNDS: usize = 8;

/// Finds packages that satisfy the world, in the order of installation, or `None`.
///
/// A result is whole: every dependency met, no conflict, one version of each name.
pub(crate) fn solve<'s>(
    universe: &'s Universe<'s>,
    world: &[&'s Dependency],
    options: &Options<'s>,
) -> Option<Vec<PackageId>> {
    let mut wished: Vec<PackageId> = Vec::new();
    let mut packages = find(universe, world, options, &wished)?;
    for _ in 0..ROUNDS {
        let brought = triggered(universe, &packages, &wished);
        if brought.is_empty() {
            break;
        }
        wished.extend(brought);
        packages = find(universe, world, options, &wished)?;
    }
    let packages = order::order(universe, world, &packages);
    is_whole(universe, world, &packages).then_some(packages)
}

fn find<'s>(
    universe: &'s Universe<'s>,
    world: &[&'s Dependency],
    options: &Options<'s>,
    wished: &[PackageId],
) -> Option<Vec<PackageId>> {
    let provider = Provider::new(universe, options);
    let demands = provider.demands(None, world.iter().copied());
    let wishes: Vec<_> = wished
        .iter()
        .map(|package| provider::solvable(*package))
        .collect();
    let problem = Problem::new()
        .requirements(demands.requirements)
        .constraints(demands.constrains)
        .soft_requirements(wishes);
    let mut solver = Solver::new(provider);
    let found = solver.solve(problem).ok()?;
    let mut packages: Vec<_> = found
        .into_iter()
        .filter_map(|id| solver.provider().package(id))
        .collect();
    packages.sort();
    Some(packages)
}

/// The packages whose `install_if` entries all hold, without those whose name is there already or was wished for.
fn triggered(universe: &Universe<'_>, packages: &[PackageId], wished: &[PackageId]) -> Vec<PackageId> {
    let chosen = Chosen::new(universe, packages);
    let mut is_known = vec![false; universe.name_count()];
    for package in packages.iter().chain(wished) {
        is_known[universe.name(*package).index()] = true;
    }
    let mut brought = Vec::new();
    for package in packages {
        for (candidate, _) in universe.triggered(universe.name(*package)) {
            let name = universe.name(*candidate).index();
            let entries = &universe.record(*candidate).install_if;
            if !is_known[name] && universe.tag(*candidate).is_none() && chosen.holds_all(entries) {
                is_known[name] = true;
                brought.push(*candidate);
            }
        }
    }
    brought
}

fn is_whole<'s>(universe: &'s Universe<'s>, world: &[&'s Dependency], packages: &[PackageId]) -> bool {
    let chosen = Chosen::new(universe, packages);
    let mut is_taken = vec![false; universe.name_count()];
    packages.iter().all(|package| {
        let name = universe.name(*package).index();
        !std::mem::replace(&mut is_taken[name], true) && chosen.faults_of(*package).next().is_none()
    }) && world.iter().all(|entry| chosen.fault(None, entry).is_none())
}
