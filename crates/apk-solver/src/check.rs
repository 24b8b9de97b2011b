//! Whether a set of packages is whole: every dependency met, no conflict, one version of each name.

use apk_types::{Dependency, Version};

use crate::go_version::VersionText;
use crate::request::Want;
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

    /// True where every entry is met.
    pub(crate) fn holds_all(&self, entries: &[Dependency]) -> bool {
        entries.iter().all(|entry| {
            let want = Want::new(self.universe, entry);
            let providers = want.name.map_or(&[][..], |name| self.universe.providers(name));
            let mut present = providers.iter().filter(|package| self.contains(**package));
            let is_met = present.any(|package| {
                want.name
                    .is_some_and(|name| provides(self.universe, *package, name, &want))
            });
            is_met != entry.is_conflict()
        })
    }

    /// The packages of the set that meet a dependency, as the Go apko sees it.
    pub(crate) fn meeting(&self, dependency: &Dependency) -> Vec<PackageId> {
        let want = Want::new(self.universe, dependency);
        let Some(name) = want.name.filter(|_| !dependency.is_conflict()) else {
            return Vec::new();
        };
        let mut packages: Vec<_> = self.universe.providers(name).to_vec();
        packages.retain(|id| self.contains(*id) && meets(self.universe, *id, name, &want));
        packages
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
                for provider in self.meeting(dependency) {
                    if !std::mem::replace(&mut is_seen[provider.index()], true) {
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

/// True where a package satisfies a demand under the name that it has or provides, by the order of versions of apk
/// or of the Go apko: they differ where a version has no release or more suffixes than Go reads.
pub(crate) fn provides(universe: &Universe<'_>, package: PackageId, name: NameId, want: &Want<'_>) -> bool {
    let apk = |text: &str| Version::parse(text).is_ok_and(|version| want.dependency.accepts(&version));
    let fits = |text: &str, version: VersionText<'_>| apk(text) || want.bound.accepts(version);
    let own = &universe.record(package).version;
    if universe.name(package) == name && (want.bound.is_any() || fits(own, VersionText::plain(own))) {
        return true;
    }
    let mut entries = universe
        .provides(package)
        .filter(|(provided, _)| *provided == name);
    entries.any(|(_, entry)| {
        let version = entry.version().zip(VersionText::of(entry));
        want.bound.is_any() || version.is_some_and(|(text, version)| fits(text, version))
    })
}

/// True where a provider of `name` satisfies a demand for the Go apko at least, which lets the version of the
/// package itself, or of anything it provides, stand for the version of the name.
fn meets(universe: &Universe<'_>, package: PackageId, name: NameId, want: &Want<'_>) -> bool {
    provides(universe, package, name, want)
        || !want.dependency.is_conflict() && want.bound.accepts_any_of(universe, package)
}
