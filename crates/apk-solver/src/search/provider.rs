//! A universe as the SAT solver sees it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use apk_types::Dependency;
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider, Interner,
    KnownDependencies, NameId, Requirement, SolvableId, SolverCache, StringId, VersionSetId,
    VersionSetUnionId,
};

use crate::check::provides;
use crate::greedy::Preference;
use crate::request::{Options, Want};
use crate::search::Ignored;
use crate::search::pins::{Pins, Tags};
use crate::universe::{self, PackageId, Universe};

/// The packages, and for each name that several of them claim one more name whose candidates stand for the claims.
///
/// A package needs its claim, and of the candidates of a name only one is taken: so no two packages share a name,
/// except those that provide it without a version, which share one claim.
pub(super) struct Provider<'r, 's> {
    universe: &'s Universe<'s>,
    options: &'r Options<'s>,
    pins: &'r Pins<'s>,
    ignored: Option<&'r Ignored<'s>>,
    /// Names with the candidates that are acceptable.
    sets: RefCell<Vec<(NameId, Vec<SolvableId>)>>,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
    /// What has been made of a dependency's text, for each choice of tags.
    requirements: RefCell<HashMap<(&'s str, Tags<'s>), Requirement>>,
    /// What claims stand for, by their number after the packages'.
    claims: RefCell<Vec<Claim>>,
    claim_numbers: RefCell<BTreeMap<Claim, SolvableId>>,
    steps: &'r Cell<u32>,
}

/// A name, and who claims it; `None` are all who provide it without a version.
type Claim = (universe::NameId, Option<PackageId>);

pub(super) fn solvable(package: PackageId) -> SolvableId {
    SolvableId::from_raw(package.index() as u32)
}

fn package_name(name: universe::NameId) -> NameId {
    NameId::from_raw(name.index() as u32)
}

impl<'r, 's> Provider<'r, 's> {
    pub(super) fn new(
        universe: &'s Universe<'s>,
        options: &'r Options<'s>,
        pins: &'r Pins<'s>,
        ignored: Option<&'r Ignored<'s>>,
        steps: &'r Cell<u32>,
    ) -> Self {
        Self {
            universe,
            options,
            pins,
            ignored,
            sets: RefCell::default(),
            unions: RefCell::default(),
            requirements: RefCell::default(),
            claims: RefCell::default(),
            claim_numbers: RefCell::default(),
            steps,
        }
    }

    /// The package that a solvable stands for, if it is one.
    pub(super) fn package(&self, id: SolvableId) -> Option<PackageId> {
        self.universe.package_at(id.into_raw() as usize)
    }

    /// What dependencies ask for and exclude.
    pub(super) fn demands(
        &self,
        by: Option<PackageId>,
        dependencies: impl Iterator<Item = &'s Dependency>,
    ) -> KnownDependencies {
        let mut known = KnownDependencies::default();
        for dependency in dependencies {
            if self.is_ignored(by, dependency) {
                continue;
            }
            let want = Want::new(self.universe, dependency);
            if dependency.is_conflict() {
                known.constrains.extend(self.exclusions(by, &want));
            } else if let Some(requirement) = self.requirement(by, &want) {
                known.requirements.push(requirement.into());
            }
        }
        known
    }

    /// That one package is asked for.
    pub(super) fn exactly(&self, package: PackageId) -> ConditionalRequirement {
        let name = package_name(self.universe.name(package));
        self.set(name, vec![solvable(package)]).into()
    }

    fn is_ignored(&self, by: Option<PackageId>, dependency: &Dependency) -> bool {
        let ignored = self.ignored.zip(by);
        ignored.is_some_and(|(ignored, by)| {
            ignored
                .demands
                .contains(&(self.universe.name(by), dependency.as_str()))
        })
    }

    /// `None` where the asker meets its own demand.
    fn requirement(&self, by: Option<PackageId>, want: &Want<'s>) -> Option<Requirement> {
        let universe = self.universe;
        let Some(name) = want.name else {
            return Some(self.set(self.no_name(), Vec::new()).into());
        };
        if by.is_some_and(|by| provides(universe, by, name, want)) {
            return None;
        }
        let tags = self.pins.tags(by, want.dependency);
        let key = (want.dependency.as_str(), tags);
        if let Some(known) = self.requirements.borrow().get(&key) {
            return Some(*known);
        }
        let requirement = self.new_requirement(name, want, &key.1);
        self.requirements.borrow_mut().insert(key, requirement);
        Some(requirement)
    }

    fn new_requirement(&self, name: universe::NameId, want: &Want<'s>, tags: &Tags<'s>) -> Requirement {
        let universe = self.universe;
        let mut left: Vec<_> = universe
            .providers(name)
            .iter()
            .copied()
            .filter(|id| self.pins.is_open(tags, *id))
            .filter(|id| self.exists_everywhere(*id) && provides(universe, *id, name, want))
            .collect();
        let preference = Preference {
            universe,
            name,
            tag: want.dependency.pin(),
            seen: None,
        };
        self.any_of(std::iter::from_fn(|| {
            let best = preference.best(&left)?;
            left.retain(|id| *id != best);
            Some(best)
        }))
    }

    /// That one of these packages is there, the first the best.
    fn any_of(&self, packages: impl Iterator<Item = PackageId>) -> Requirement {
        // The solver orders the candidates of a set by a rule of the package's own name. A set for each keeps ours.
        let mut sets: Vec<_> = packages
            .map(|id| self.set(package_name(self.universe.name(id)), vec![solvable(id)]))
            .collect();
        match sets.len() {
            0 => self.set(self.no_name(), Vec::new()).into(),
            1 => sets.remove(0).into(),
            _ => {
                let mut unions = self.unions.borrow_mut();
                unions.push(sets);
                VersionSetUnionId(unions.len() as u32 - 1).into()
            }
        }
    }

    /// For each package name with packages that a `!name` excludes: the packages that it does not.
    fn exclusions(&self, by: Option<PackageId>, want: &Want<'s>) -> Vec<VersionSetId> {
        let universe = self.universe;
        let Some(name) = want.name else {
            return Vec::new();
        };
        let own = by.map(|by| universe.name(by));
        let mut names: Vec<_> = universe
            .providers(name)
            .iter()
            .map(|id| universe.name(*id))
            .collect();
        names.sort();
        names.dedup();
        names.retain(|name| Some(*name) != own);
        names
            .into_iter()
            .map(|other| {
                let packages = self.packages_named(other);
                let allowed = packages
                    .filter(|id| !provides(universe, *id, name, want))
                    .map(solvable)
                    .collect();
                self.set(package_name(other), allowed)
            })
            .collect()
    }

    fn packages_named(&self, name: universe::NameId) -> impl Iterator<Item = PackageId> + '_ {
        let providers = self.universe.providers(name).iter().copied();
        // A package that provides its own name occurs again behind all that have it.
        providers.take_while(move |id| self.universe.name(*id) == name)
    }

    fn exists_everywhere(&self, package: PackageId) -> bool {
        let record = self.universe.record(package);
        self.options
            .siblings
            .iter()
            .all(|sibling| sibling.universe.has_version(record))
    }

    fn set(&self, name: NameId, accepted: Vec<SolvableId>) -> VersionSetId {
        let mut sets = self.sets.borrow_mut();
        sets.push((name, accepted));
        VersionSetId(sets.len() as u32 - 1)
    }

    /// A name without candidates.
    fn no_name(&self) -> NameId {
        NameId::from_raw(2 * self.universe.name_count() as u32)
    }

    /// The claims that a package needs, one for each name that another package claims too.
    fn claims_of(&self, package: PackageId) -> Vec<ConditionalRequirement> {
        contested_names(self.universe, package)
            .into_iter()
            .filter(|name| self.ignored.is_none_or(|ignored| !ignored.claims.contains(name)))
            .map(|name| {
                let claim = self.claim(name, package);
                self.set(self.claim_name(name), vec![claim]).into()
            })
            .collect()
    }

    fn claim_name(&self, name: universe::NameId) -> NameId {
        NameId::from_raw((self.universe.name_count() + name.index()) as u32)
    }

    fn claim(&self, name: universe::NameId, package: PackageId) -> SolvableId {
        let claim = (name, has_version(self.universe, package, name).then_some(package));
        let mut claims = self.claims.borrow_mut();
        *self.claim_numbers.borrow_mut().entry(claim).or_insert_with(|| {
            claims.push(claim);
            SolvableId::from_raw((self.universe.package_count() + claims.len() - 1) as u32)
        })
    }

    fn claim_behind(&self, id: SolvableId) -> Option<Claim> {
        let number = (id.into_raw() as usize).checked_sub(self.universe.package_count())?;
        self.claims.borrow().get(number).copied()
    }
}

/// The names a package claims that packages of other names claim as well.
pub(crate) fn contested_names(universe: &Universe<'_>, package: PackageId) -> Vec<universe::NameId> {
    let mut names = vec![universe.name(package)];
    names.extend_from_slice(universe.provided_names(package));
    names.sort();
    names.dedup();
    names.retain(|name| is_contested(universe, *name));
    names
}

/// True where packages of several names have a name or provide it, and not all without a version.
fn is_contested(universe: &Universe<'_>, name: universe::NameId) -> bool {
    let providers = universe.providers(name);
    let mut others = providers
        .iter()
        .filter(|id| universe.name(**id) != universe.name(providers[0]));
    others.next().is_some() && providers.iter().any(|id| has_version(universe, *id, name))
}

fn has_version(universe: &Universe<'_>, package: PackageId, name: universe::NameId) -> bool {
    let mut provided = universe.provides(package);
    universe.name(package) == name
        || provided.any(|(provided, entry)| provided == name && entry.version().is_some())
}

/// What the solver calls things in messages, which are not used: conflicts are told by the Go apko's choice.
impl Interner for Provider<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        solvable.into_raw()
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        name.into_raw()
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        version_set.0
    }

    fn display_string(&self, string_id: StringId) -> impl Display + '_ {
        string_id.0
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        self.sets.borrow()[version_set.0 as usize].0
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        match (self.package(solvable), self.claim_behind(solvable)) {
            (Some(package), _) => package_name(self.universe.name(package)),
            (None, Some((name, _))) => self.claim_name(name),
            (None, None) => self.no_name(),
        }
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.unions.borrow()[union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        // There are no conditional requirements.
        Condition::Requirement(VersionSetId(condition.as_u32()))
    }
}

impl DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        version_set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let sets = self.sets.borrow();
        let accepted = &sets[version_set.0 as usize].1;
        candidates
            .iter()
            .copied()
            .filter(|id| accepted.contains(id) != inverse)
            .collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let (number, count) = (name.into_raw() as usize, self.universe.name_count());
        let candidates: Vec<_> = if number < count {
            let name = self.universe.name_at(number);
            self.packages_named(name)
                .filter(|id| self.exists_everywhere(*id))
                .map(solvable)
                .collect()
        } else if number < 2 * count {
            let name = self.universe.name_at(number - count);
            let mut claims: Vec<_> = self
                .universe
                .providers(name)
                .iter()
                .map(|package| self.claim(name, *package))
                .collect();
            claims.sort_by_key(|claim| claim.into_raw());
            claims.dedup();
            claims
        } else {
            return None;
        };
        Some(Candidates {
            candidates,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        let mut left: Vec<_> = solvables.iter().filter_map(|id| self.package(*id)).collect();
        let Some(first) = left.first().filter(|_| left.len() == solvables.len()) else {
            return;
        };
        let preference = Preference {
            universe: self.universe,
            name: self.universe.name(*first),
            tag: None,
            seen: None,
        };
        for place in solvables {
            let Some(best) = preference.best(&left) else {
                return;
            };
            left.retain(|id| *id != best);
            *place = solvable(best);
        }
    }

    async fn get_dependencies(&self, id: SolvableId) -> Dependencies {
        let Some(package) = self.package(id) else {
            return Dependencies::Known(KnownDependencies::default());
        };
        let mut known = self.demands(Some(package), self.universe.record(package).depends.iter());
        known.requirements.extend(self.claims_of(package));
        let openers = self
            .pins
            .openers(package)
            .map(|openers| self.any_of(openers.iter().copied()));
        known
            .requirements
            .extend(openers.map(ConditionalRequirement::from));
        Dependencies::Known(known)
    }

    fn should_cancel_with_value(&self) -> Option<Box<dyn Any>> {
        self.steps.set(self.steps.get() + 1);
        (self.steps.get() > self.options.step_limit).then(|| Box::new(()) as Box<dyn Any>)
    }
}
