//! Which demands may be met from tagged repositories.

use apk_types::Dependency;

use crate::check::provides;
use crate::request::Want;
use crate::universe::{PackageId, Universe};

/// Who may take packages of tagged repositories. A pinned entry of the world may, and so may packages of a
/// repository with that tag.
pub(super) struct Pins<'s> {
    universe: &'s Universe<'s>,
    /// For each tag, by package: true where a pinned entry may lead there, so that its dependencies may come from
    /// the tag as well.
    inherited: Vec<(&'s str, Vec<bool>)>,
    /// What is there for one demand may meet any other.
    is_shared: bool,
    barred: Vec<PackageId>,
}

impl<'s> Pins<'s> {
    /// Pins count for the entry, and for dependencies of packages that came from the tag.
    pub(super) fn strict(universe: &'s Universe<'s>) -> Self {
        Self {
            universe,
            inherited: Vec::new(),
            is_shared: false,
            barred: Vec::new(),
        }
    }

    /// Pins count for everything below the entry. `None` where that is the same.
    pub(super) fn inherited(universe: &'s Universe<'s>, world: &[&'s Dependency]) -> Option<Self> {
        let mut tags: Vec<&'s str> = world.iter().filter_map(|entry| entry.pin()).collect();
        tags.sort_unstable();
        tags.dedup();
        tags.retain(|tag| universe.repositories().iter().any(|one| one.tag == Some(tag)));
        let inherited: Vec<_> = tags
            .into_iter()
            .map(|tag| (tag, reach(universe, world, tag, |_| true)))
            .collect();
        (!inherited.is_empty()).then_some(Self {
            universe,
            inherited,
            is_shared: false,
            barred: Vec::new(),
        })
    }

    /// Packages of these tags count for everybody, since what one demand brings is there for the others too. Nothing is
    /// barred any more.
    pub(super) fn shared(self) -> Self {
        Self {
            is_shared: true,
            barred: Vec::new(),
            ..self
        }
    }

    /// Keeps packages out.
    pub(super) fn bar(&mut self, packages: &[PackageId]) {
        self.barred.extend_from_slice(packages);
    }

    /// The tags that a demand of `by` (the world where `None`) may be met from.
    pub(super) fn tags(&self, by: Option<PackageId>, demand: &'s Dependency) -> Tags<'s> {
        let own = by.map_or(demand.pin(), |by| self.universe.tag(by));
        let is_inherited =
            |(_, reached): &&(&str, Vec<bool>)| self.is_shared || by.is_some_and(|by| reached[by.index()]);
        let inherited = self.inherited.iter().filter(is_inherited).map(|(tag, _)| *tag);
        Tags(own.into_iter().chain(inherited).collect())
    }

    /// True where a package is in an untagged repository or one with such a tag.
    pub(super) fn is_open(&self, tags: &Tags<'s>, package: PackageId) -> bool {
        let own = self.universe.tag(package);
        own.is_none_or(|own| tags.0.contains(&own) && !self.barred.contains(&package))
    }
}

/// Tags of repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tags<'s>(Vec<&'s str>);

/// The packages of tagged repositories that no pinned entry leads to.
pub(super) fn strays<'s>(
    universe: &'s Universe<'s>,
    world: &[&'s Dependency],
    packages: &[PackageId],
) -> Vec<PackageId> {
    let mut strays: Vec<PackageId> = Vec::new();
    let mut known: Vec<(&str, Vec<bool>)> = Vec::new();
    for package in packages {
        let Some(tag) = universe.tag(*package) else {
            continue;
        };
        if !known.iter().any(|(other, _)| *other == tag) {
            known.push((tag, reach(universe, world, tag, |id| packages.contains(&id))));
        }
        let is_reached = known
            .iter()
            .any(|(other, reached)| *other == tag && reached[package.index()]);
        if !is_reached {
            strays.push(*package);
        }
    }
    strays
}

/// The packages that entries pinned to `tag` lead to, through those that `may_pass` lets by.
fn reach<'s>(
    universe: &'s Universe<'s>,
    world: &[&'s Dependency],
    tag: &str,
    may_pass: impl Fn(PackageId) -> bool,
) -> Vec<bool> {
    let mut is_reached = vec![false; universe.package_count()];
    let mut open: Vec<&'s Dependency> = world
        .iter()
        .copied()
        .filter(|entry| entry.pin() == Some(tag))
        .collect();
    while let Some(dependency) = open.pop() {
        let want = Want::new(universe, dependency);
        let Some(name) = want.name.filter(|_| !dependency.is_conflict()) else {
            continue;
        };
        for &package in universe.providers(name) {
            let may_come = universe.tag(package).is_none_or(|own| own == tag) && may_pass(package);
            if may_come && !is_reached[package.index()] && provides(universe, package, name, &want) {
                is_reached[package.index()] = true;
                open.extend(&universe.record(package).depends);
            }
        }
    }
    is_reached
}
