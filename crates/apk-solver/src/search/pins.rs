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
    strays: Vec<Stray>,
}

/// A package of a tagged repository that no pinned entry leads to, as long as none of these is there.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    pub(super) package: PackageId,
    pub(super) openers: Vec<PackageId>,
}

impl<'s> Pins<'s> {
    /// Pins count for the entry, and for dependencies of packages that came from the tag.
    pub(super) fn strict(universe: &'s Universe<'s>) -> Self {
        Self {
            universe,
            inherited: Vec::new(),
            is_shared: false,
            strays: Vec::new(),
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
            strays: Vec::new(),
        })
    }

    /// Packages of these tags count for everybody, since what one demand brings is there for the others too.
    pub(super) fn shared(self) -> Self {
        Self {
            is_shared: true,
            ..self
        }
    }

    /// Lets these packages in only where something leads to them.
    pub(super) fn restrict(&mut self, strays: Vec<Stray>) {
        self.strays.extend(strays);
    }

    /// For each time that a package turned out to be a stray, the packages of which it needs one.
    pub(super) fn openers(&self, package: PackageId) -> impl Iterator<Item = &[PackageId]> {
        let strays = self.strays.iter().filter(move |stray| stray.package == package);
        strays.map(|stray| stray.openers.as_slice())
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
        own.is_none_or(|own| tags.0.contains(&own))
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
) -> Vec<Stray> {
    let mut tags: Vec<&str> = packages
        .iter()
        .filter_map(|package| universe.tag(*package))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    let mut strays = Vec::new();
    for tag in tags {
        let reached = reach(universe, world, tag, |id| packages.contains(&id));
        let mut unreached = packages.to_vec();
        unreached.retain(|id| may_lead(universe, tag, *id) && !reached[id.index()]);
        let mut of_tag = unreached
            .iter()
            .filter(|id| universe.tag(**id) == Some(tag))
            .peekable();
        if of_tag.peek().is_some() {
            let openers = openers(universe, tag, &unreached);
            strays.extend(of_tag.map(|package| Stray {
                package: *package,
                openers: openers.clone(),
            }));
        }
    }
    strays
}

/// The packages that may lead to one of those that were not reached. Whatever way there is to any of these from a pinned
/// entry comes by one of them: no entry is met by a package that was not reached.
fn openers<'s>(universe: &'s Universe<'s>, tag: &str, unreached: &[PackageId]) -> Vec<PackageId> {
    let leads_there = |dependency: &'s Dependency| {
        let want = Want::new(universe, dependency);
        let name = want.name.filter(|_| !dependency.is_conflict());
        name.is_some_and(|name| unreached.iter().any(|id| provides(universe, *id, name, &want)))
    };
    let leads = |id: &PackageId| universe.record(*id).depends.iter().any(leads_there);
    let mut openers: Vec<_> = universe
        .packages()
        .filter(|id| may_lead(universe, tag, *id))
        .collect();
    openers.retain(|id| !unreached.contains(id) && leads(id));
    openers
}

/// True for what may be on the way from an entry pinned to `tag`.
fn may_lead(universe: &Universe<'_>, tag: &str, package: PackageId) -> bool {
    universe.tag(package).is_none_or(|own| own == tag)
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
            let may_come = may_lead(universe, tag, package) && may_pass(package);
            if may_come && !is_reached[package.index()] && provides(universe, package, name, &want) {
                is_reached[package.index()] = true;
                open.extend(&universe.record(package).depends);
            }
        }
    }
    is_reached
}
