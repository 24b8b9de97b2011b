//! Whether a set of packages is whole: every dependency met, no conflict, one version of each name.

use apk_types::{Dependency, Version};

use crate::go_version::VersionText;
use crate::request::{Bound, Want};
use crate::universe::{NameId, PackageId, Universe};

/// A set of packages with a quick answer to what is in it.
#[derive(Clone)]
pub(crate) struct Chosen<'s> {
    universe: &'s Universe<'s>,
    contains: Vec<bool>,
}

/// A dependency that the set breaks.
pub(crate) struct Fault<'s> {
    /// Who states it; `None` is the world.
    pub(crate) by: Option<PackageId>,
    pub(crate) dependency: &'s Dependency,
    /// What is in the set under the name; for `!name`, what breaks it.
    pub(crate) present: Vec<PackageId>,
}

impl<'s> Chosen<'s> {
    pub(crate) fn new(universe: &'s Universe<'s>, packages: &[PackageId]) -> Self {
        let mut contains = vec![false; universe.package_count()];
        packages
            .iter()
            .for_each(|package| contains[package.index()] = true);
        Self { universe, contains }
    }

    pub(crate) fn insert(&mut self, package: PackageId) {
        self.contains[package.index()] = true;
    }

    pub(crate) fn remove(&mut self, package: PackageId) {
        self.contains[package.index()] = false;
    }

    pub(crate) fn contains(&self, package: PackageId) -> bool {
        self.contains[package.index()]
    }

    /// What is wrong with one demand, if anything.
    pub(crate) fn fault(&self, by: Option<PackageId>, dependency: &'s Dependency) -> Option<Fault<'s>> {
        let universe = self.universe;
        let want = Want::new(universe, dependency);
        let providers = want.name.map_or(&[][..], |name| universe.providers(name));
        let meets = |package: &PackageId| {
            want.name
                .is_some_and(|name| meets(universe, *package, name, &want))
        };
        let mut present = providers
            .iter()
            .copied()
            .filter(|package| self.contains(*package));
        let present: Vec<_> = if dependency.is_conflict() {
            let own = by.map(|package| universe.name(package));
            present
                .filter(|package| own != Some(universe.name(*package)) && meets(package))
                .collect()
        } else if present.any(|package| meets(&package)) {
            return None;
        } else {
            providers
                .iter()
                .copied()
                .filter(|package| self.contains(*package))
                .collect()
        };
        (!dependency.is_conflict() || !present.is_empty()).then_some(Fault {
            by,
            dependency,
            present,
        })
    }

    /// What is wrong with the demands of one package.
    pub(crate) fn faults_of(&self, package: PackageId) -> impl Iterator<Item = Fault<'s>> {
        let depends = &self.universe.record(package).depends;
        depends
            .iter()
            .filter_map(move |dependency| self.fault(Some(package), dependency))
    }

    /// The shortest way from the world to a package of the set: dependencies, each with who states it.
    pub(crate) fn way_to(
        &self,
        package: PackageId,
        world: &[&'s Dependency],
    ) -> Vec<(Option<PackageId>, &'s Dependency)> {
        let mut ways: Vec<(Option<usize>, Option<PackageId>, &'s Dependency, PackageId)> = Vec::new();
        let mut is_seen = vec![false; self.contains.len()];
        let mut visit =
            |ways: &mut Vec<_>, from: Option<usize>, by: Option<PackageId>, dependency: &'s Dependency| {
                let want = Want::new(self.universe, dependency);
                let Some(name) = want.name.filter(|_| !dependency.is_conflict()) else {
                    return;
                };
                for &provider in self.universe.providers(name) {
                    let is_step = self.contains(provider) && meets(self.universe, provider, name, &want);
                    if is_step && !std::mem::replace(&mut is_seen[provider.index()], true) {
                        ways.push((from, by, dependency, provider));
                    }
                }
            };
        world
            .iter()
            .for_each(|dependency| visit(&mut ways, None, None, dependency));
        let mut next = 0;
        while let Some(&(_, _, _, provider)) = ways.get(next) {
            if provider == package {
                break;
            }
            for dependency in &self.universe.record(provider).depends {
                visit(&mut ways, Some(next), Some(provider), dependency);
            }
            next += 1;
        }
        let mut way = Vec::new();
        let mut step = (next < ways.len()).then_some(next);
        while let Some((from, by, dependency, _)) = step.map(|step| ways[step]) {
            way.push((by, dependency));
            step = from;
        }
        way.reverse();
        way
    }
}

/// True where a provider of `name` satisfies the demand: by the Go apko's rules, or by apk's own.
///
/// The two differ in the grammar and order of versions, and in that the Go apko lets the version of the package
/// itself, or of anything it provides, stand for the version of the name.
pub(crate) fn meets(universe: &Universe<'_>, package: PackageId, name: NameId, want: &Want<'_>) -> bool {
    let record = universe.record(package);
    if matches!(want.bound, Bound::Any) {
        return true;
    }
    let apk = |text: &str| Version::parse(text).is_ok_and(|version| want.dependency.accepts(&version));
    let go = |text: VersionText<'_>| match want.bound {
        Bound::To(comparator, ref wanted) => text
            .read()
            .is_some_and(|version| version.satisfies(comparator, wanted)),
        _ => false,
    };
    let is_own = universe.name(package) == name;
    if (is_own && apk(&record.version))
        || (!want.dependency.is_conflict() && go(VersionText::plain(&record.version)))
        || (is_own && go(VersionText::plain(&record.version)))
    {
        return true;
    }
    universe.provides(package).any(|(provided, entry)| {
        let counts = provided == name || !want.dependency.is_conflict();
        counts && VersionText::of(entry).is_some_and(go)
            || provided == name && entry.version().is_some_and(apk)
    })
}
