//! Making the picks whole: the dependencies of what `install_if` brought.

use apk_types::Dependency;

use super::{Dead, Failure, Greedy, Picks};
use crate::check::{Chosen, Fault};
use crate::universe::PackageId;

impl<'s> Greedy<'s> {
    /// Adds what the packages that `install_if` brought depend on, which the Go apko leaves out, in front of them,
    /// and drops those that cannot be with the others. Where the other packages are not whole themselves, all stays
    /// as it is. Then notes what is unmet.
    pub(super) fn complete(&mut self, world: &[&'s Dependency], picks: &mut Picks<'s>) {
        let mut chosen = Chosen::new(self.universe, &picks.packages);
        let brought = std::mem::take(&mut picks.brought);
        let is_brought = |by: PackageId| brought.iter().any(|(package, _)| *package == by);
        let faults = self.faults(world, &chosen, picks);
        if faults.is_empty() {
            return;
        }
        let is_repairable = faults.iter().all(|fault| {
            let is_breaker = fault.dependency.is_conflict() && fault.present.iter().all(|id| is_brought(*id));
            is_breaker || fault.by.is_some_and(is_brought)
        });
        if is_repairable {
            for (package, entry) in &brought {
                self.repair(*package, entry, &mut chosen, picks);
            }
        }
        let faults = self.faults(world, &chosen, picks);
        let unmet = faults.into_iter().map(|fault| {
            let way = fault.by.map(|package| chosen.way_to(package, world));
            let mut chain = way.unwrap_or_default();
            chain.push((fault.by, fault.dependency));
            let failure = Failure::Unmet(fault.present);
            Dead { chain, failure }
        });
        picks.unmet = unmet.collect();
    }

    fn faults(&self, world: &[&'s Dependency], chosen: &Chosen<'s>, picks: &Picks<'s>) -> Vec<Fault<'s>> {
        let of_world = world.iter().filter_map(|entry| chosen.fault(None, entry));
        let of_packages = picks
            .packages
            .iter()
            .flat_map(|package| chosen.faults_of(*package));
        of_world.chain(of_packages).collect()
    }

    fn repair(
        &mut self,
        package: PackageId,
        entry: &'s Dependency,
        chosen: &mut Chosen<'s>,
        picks: &mut Picks<'s>,
    ) {
        let is_whole =
            chosen.faults_of(package).next().is_none() && !self.is_unwanted(package, chosen, picks);
        let place = picks.packages.iter().position(|other| *other == package);
        let Some(place) = place.filter(|_| !is_whole) else {
            return;
        };
        match self.missing(package, entry, chosen, picks) {
            Some(missing) => {
                missing.iter().for_each(|package| chosen.insert(*package));
                picks.packages.splice(place..place, missing);
            }
            None => {
                chosen.remove(package);
                picks.packages.remove(place);
            }
        }
    }

    /// True where another package chosen excludes this one.
    fn is_unwanted(&self, package: PackageId, chosen: &Chosen<'s>, picks: &Picks<'s>) -> bool {
        picks.packages.iter().any(|other| {
            let depends = self.universe.record(*other).depends.iter();
            depends
                .filter(|dependency| dependency.is_conflict())
                .filter_map(|dependency| chosen.fault(Some(*other), dependency))
                .any(|fault| fault.present.contains(&package))
        })
    }

    /// The packages that have to be added for one that was brought, `None` where that is not possible. What fails
    /// leaves no trace.
    fn missing(
        &mut self,
        package: PackageId,
        entry: &'s Dependency,
        chosen: &Chosen<'s>,
        picks: &Picks<'s>,
    ) -> Option<Vec<PackageId>> {
        let universe = self.universe;
        let before = (self.fallen.clone(), self.selected.clone(), self.conflicts.len());
        self.start_entry();
        let mut whole = chosen.clone();
        let mut missing = Vec::new();
        for dependency in self.dependencies(package, entry).unwrap_or_default() {
            let name = universe.name(dependency);
            let is_taken = |other: &PackageId| universe.name(*other) == name;
            if !picks.packages.iter().any(is_taken) && !missing.iter().any(is_taken) {
                whole.insert(dependency);
                missing.push(dependency);
            }
        }
        let is_whole = missing.iter().chain([&package]).all(|package| {
            whole.faults_of(*package).next().is_none() && !self.is_unwanted(*package, &whole, picks)
        });
        if is_whole {
            return Some(missing);
        }
        (self.fallen, self.selected) = (before.0, before.1);
        self.conflicts.truncate(before.2);
        None
    }
}
