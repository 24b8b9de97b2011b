//! The order of installation of a set of packages.

use apk_types::Dependency;

use crate::check::{Chosen, provides};
use crate::request::Want;
use crate::universe::{PackageId, Universe};

/// Orders a set: what a package depends on comes before it, in the order of the world and of the dependencies, as
/// far as loops allow. What nothing depends on, such as what `install_if` brought, comes last.
pub(super) fn order<'s>(
    universe: &'s Universe<'s>,
    world: &[&'s Dependency],
    packages: &[PackageId],
) -> Vec<PackageId> {
    let chosen = Chosen::new(universe, packages);
    let providers = |dependency: &'s Dependency| -> Vec<PackageId> {
        let want = Want::new(universe, dependency);
        let name = want.name.filter(|_| !dependency.is_conflict());
        let all = name
            .into_iter()
            .flat_map(|name| universe.providers(name).iter().map(move |id| (name, *id)));
        all.filter(|(name, id)| chosen.contains(*id) && provides(universe, *id, *name, &want))
            .map(|(_, id)| id)
            .collect()
    };
    let mut is_seen = vec![false; universe.package_count()];
    let mut ordered = Vec::with_capacity(packages.len());
    let roots = world
        .iter()
        .flat_map(|entry| providers(entry))
        .chain(packages.iter().copied());
    for root in roots {
        // A package goes on the stack closed, is opened with its dependencies above it, and taken when met again.
        let mut stack = vec![(root, false)];
        while let Some((package, is_open)) = stack.pop() {
            if is_open {
                ordered.push(package);
            } else if !std::mem::replace(&mut is_seen[package.index()], true) {
                stack.push((package, true));
                let depends = universe.record(package).depends.iter().rev();
                for dependency in depends {
                    stack.extend(providers(dependency).into_iter().rev().map(|id| (id, false)));
                }
            }
        }
    }
    ordered
}
