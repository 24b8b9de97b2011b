//! What a reason consists of, and how it is told.

use std::collections::{HashMap, HashSet};

use apk_types::Dependency;

use super::{Explainer, Rivals, Step, Unit};
use crate::check::provides;
use crate::conflict::{Asker, Demand, Reason, Rejected};
use crate::go_version::VersionText;
use crate::greedy::Preference;
use crate::request::{Bound, Want};
use crate::search::contested_names;
use crate::universe::{NameId, PackageId, Universe};

/// How many names a misspelt one is compared to at most in an explanation.
const SIMILAR: usize = 3;

impl<'s> Explainer<'s> {
    /// Everything below the entries that may play a part.
    pub(super) fn units(&self, entries: &[&'s Dependency]) -> Vec<Unit<'s>> {
        let universe = self.universe;
        let (mut units, mut seen) = (Vec::new(), HashSet::new());
        let mut add = |unit| {
            if seen.insert(unit) {
                units.push(unit);
            }
        };
        let mut is_reached = vec![false; universe.package_count()];
        let mut open: Vec<&'s Dependency> = entries.to_vec();
        let mut next = 0;
        while let Some(dependency) = open.get(next).copied() {
            next += 1;
            let want = Want::new(universe, dependency);
            let Some(name) = want.name.filter(|_| !dependency.is_conflict()) else {
                continue;
            };
            for &package in universe.providers(name) {
                if is_reached[package.index()] || !provides(universe, package, name, &want) {
                    continue;
                }
                is_reached[package.index()] = true;
                for dependency in &universe.record(package).depends {
                    add(Unit::Demand(universe.name(package), dependency.as_str()));
                    open.push(dependency);
                }
                contested_names(universe, package)
                    .into_iter()
                    .for_each(|name| add(Unit::Claim(name)));
            }
        }
        units
    }

    /// Tells the reason that is left, from the entries down.
    pub(super) fn story(&self, entries: &[&'s Dependency], kept: &[Unit<'s>]) -> (Vec<Step>, Vec<Rivals>) {
        let universe = self.universe;
        let mut steps: Vec<(Option<NameId>, Step)> = Vec::new();
        let mut places: HashMap<(NameId, &str), usize> = HashMap::new();
        let mut met: Vec<PackageId> = Vec::new();
        let mut open: Vec<(Option<PackageId>, &'s Dependency)> =
            entries.iter().map(|entry| (None, *entry)).collect();
        let mut next = 0;
        while let Some((by, dependency)) = open.get(next).copied() {
            next += 1;
            let own = by.map(|by| (universe.name(by), dependency.as_str()));
            if let (Some(by), Some(place)) = (by, own.and_then(|own| places.get(&own))) {
                steps[*place].1.askers.push(universe.candidate(by));
                continue;
            }
            if let Some(own) = own {
                places.insert(own, steps.len());
            }
            let (step, acceptable) = self.step(by, dependency);
            steps.push((own.map(|(name, _)| name), step));
            for package in acceptable {
                if met.contains(&package) {
                    continue;
                }
                met.push(package);
                let depends = universe.record(package).depends.iter();
                let is_kept = |entry: &&Dependency| {
                    kept.contains(&Unit::Demand(universe.name(package), entry.as_str()))
                };
                open.extend(depends.filter(is_kept).map(|entry| (Some(package), entry)));
            }
        }
        let rivals = kept.iter().filter_map(|unit| match unit {
            Unit::Claim(name) => self.rivals(*name, &met),
            Unit::Demand(..) => None,
        });
        let rivals = rivals.collect();
        (steps.into_iter().map(|(_, step)| step).collect(), rivals)
    }

    fn step(&self, by: Option<PackageId>, dependency: &'s Dependency) -> (Step, Vec<PackageId>) {
        let universe = self.universe;
        let want = Want::new(universe, dependency);
        let mut step = Step {
            askers: by.iter().map(|by| universe.candidate(*by)).collect(),
            dependency: dependency.clone(),
            candidates: Vec::new(),
            rejected: Vec::new(),
            elsewhere: Vec::new(),
            similar: Vec::new(),
        };
        let mut providers: Vec<PackageId> = Vec::new();
        for &provider in want.name.map_or(&[][..], |name| universe.providers(name)) {
            if !providers.contains(&provider) {
                providers.push(provider);
            }
        }
        let Some(name) = want.name.filter(|_| !providers.is_empty()) else {
            if !dependency.is_conflict() {
                let siblings = self.options.siblings.iter();
                let has_it = siblings.filter(|sibling| sibling.universe.has_provider(dependency.name()));
                step.elsewhere = has_it.map(|sibling| sibling.arch.to_owned()).collect();
                step.similar = universe.similar(dependency.name(), SIMILAR);
            }
            return (step, Vec::new());
        };
        let mut acceptable = Vec::new();
        for provider in providers {
            match self.objection(by, &want, name, provider) {
                None => acceptable.push(provider),
                Some(reason) if !dependency.is_conflict() => step.rejected.push(Rejected {
                    package: universe.candidate(provider),
                    reason,
                }),
                Some(_) => {}
            }
        }
        let acceptable = in_order(universe, name, dependency, acceptable);
        step.candidates = acceptable.iter().map(|id| universe.candidate(*id)).collect();
        match dependency.is_conflict() {
            true => (step, Vec::new()),
            false => (step, acceptable),
        }
    }

    /// Why a package that has the name cannot meet the demand, if so.
    fn objection(
        &self,
        by: Option<PackageId>,
        want: &Want<'s>,
        name: NameId,
        package: PackageId,
    ) -> Option<Reason> {
        let universe = self.universe;
        let record = universe.record(package);
        let own = by.map_or(want.dependency.pin(), |by| universe.tag(by));
        let mut siblings = self.options.siblings.iter();
        if !provides(universe, package, name, want) {
            let version = match universe.provides(package).find(|(provided, _)| *provided == name) {
                Some((_, entry)) if universe.name(package) != name => entry.version().unwrap_or("no version"),
                _ => &record.version,
            };
            if matches!(want.bound, Bound::Unreadable)
                || universe.name(package) == name && VersionText::plain(version).read().is_none()
            {
                return Some(Reason::UnreadableVersion(version.to_owned()));
            }
            let asker = by.map_or(Asker::World, |by| Asker::Package(universe.candidate(by)));
            return Some(Reason::VersionMismatch {
                demand: Demand {
                    asker,
                    dependency: want.dependency.clone(),
                },
                version: version.to_owned(),
            });
        }
        if let Some(tag) = universe.tag(package).filter(|tag| Some(*tag) != own) {
            return Some(Reason::NotPinned { tag: tag.to_owned() });
        }
        let absent = siblings.find(|sibling| !sibling.universe.has_version(record));
        absent.map(|sibling| Reason::AbsentFor(sibling.arch.to_owned()))
    }

    fn rivals(&self, name: NameId, met: &[PackageId]) -> Option<Rivals> {
        let universe = self.universe;
        let claims =
            |id: &PackageId| universe.name(*id) == name || universe.provided_names(*id).contains(&name);
        let packages: Vec<_> = met.iter().copied().filter(claims).collect();
        (!packages.is_empty()).then(|| Rivals {
            name: universe.text(name).to_owned(),
            packages: packages.iter().map(|id| universe.candidate(*id)).collect(),
        })
    }
}

fn in_order(
    universe: &Universe<'_>,
    name: NameId,
    dependency: &Dependency,
    mut left: Vec<PackageId>,
) -> Vec<PackageId> {
    let preference = Preference {
        universe,
        name,
        tag: dependency.pin(),
        seen: None,
    };
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(best) = preference.best(&left) {
        left.retain(|id| *id != best);
        ordered.push(best);
    }
    ordered
}
