//! The Go apko's choice: one pass without going back.
//!
//! 1. Versions stated by the world rule packages out.
//! 2. Each entry of the world gets its best provider, the entry with the fewest candidates first. What is chosen
//!    rules out everything else that claims a name it provides.
//! 3. The dependencies of each of these, in the order of the world, are followed depth first; what a package
//!    states rules packages out from then on.
//! 4. After each, packages whose `install_if` entries are all among its dependencies are added.

mod complete;
mod order;
mod rules;
mod tell;
mod trigger;
mod walk;

pub(crate) use order::Preference;

use apk_types::Dependency;

use crate::conflict::Conflict;
use crate::request::{Options, Solution, Want};
use crate::universe::{NameId, PackageId, Universe};

/// Who stated what rules a package out; `None` is the world.
type By = Option<PackageId>;

/// Why a package has been ruled out.
#[derive(Clone, Copy)]
enum Fall<'s> {
    Excluded(By, &'s Dependency),
    Mismatch(By, &'s Dependency, &'s str),
    NameTaken(PackageId, NameId),
    Unreadable(&'s str),
    AbsentFor(&'s str),
}

/// Why the search ended, before it is told in full.
enum Failure<'s> {
    NothingProvides,
    NoCandidate(Want<'s>, Option<&'s str>),
    AlreadyChosen(PackageId),
    Clash(PackageId, NameId),
    Unreadable,
    Unmet(Vec<PackageId>),
}

/// A failure and the dependencies that led there, each with who states it.
struct Dead<'s> {
    chain: Vec<(By, &'s Dependency)>,
    failure: Failure<'s>,
}

/// A map from names to packages that is emptied in no time.
struct NameMap {
    slots: Vec<(u32, u32)>,
    generation: u32,
    packages: Vec<PackageId>,
}

impl NameMap {
    fn new(universe: &Universe<'_>) -> Self {
        Self {
            slots: vec![(0, 0); universe.name_count()],
            generation: 1,
            packages: Vec::new(),
        }
    }

    fn get(&self, name: NameId) -> Option<PackageId> {
        let (generation, slot) = self.slots[name.index()];
        (generation == self.generation).then(|| self.packages[slot as usize])
    }

    fn insert(&mut self, name: NameId, package: PackageId) {
        let (generation, slot) = self.slots[name.index()];
        if generation == self.generation {
            self.packages[slot as usize] = package;
        } else {
            self.slots[name.index()] = (self.generation, self.packages.len() as u32);
            self.packages.push(package);
        }
    }

    /// What is in it, in the order in which the names first came.
    fn packages(&self) -> &[PackageId] {
        &self.packages
    }

    fn clear(&mut self) {
        self.generation += 1;
        self.packages.clear();
    }
}

/// The state of one search.
struct Greedy<'s> {
    universe: &'s Universe<'s>,
    /// Per package: why it is out.
    fallen: Vec<Option<Fall<'s>>>,
    /// Per name: the package that has or provides it, of those whose dependencies have been looked at.
    selected: Vec<Option<PackageId>>,
    /// Per package name: what is on the way from the world's entry to the package being looked at.
    on_path: Vec<bool>,
    /// By package name: chosen for the world, or a dependency of an entry already finished.
    chosen: NameMap,
    /// By package name: the same for the entry being looked at; it hides `chosen`.
    existing: NameMap,
    /// By origin: the package last seen of each, for `chosen` and `existing`.
    chosen_origins: NameMap,
    existing_origins: NameMap,
    conflicts: Vec<&'s Dependency>,
}

/// The packages picked, in order.
struct Picks<'s> {
    packages: Vec<PackageId>,
    /// What `install_if` brought, with the entry of the world among whose dependencies it was triggered.
    brought: Vec<(PackageId, &'s Dependency)>,
    conflicts: Vec<&'s Dependency>,
    unmet: Vec<Dead<'s>>,
}

/// Makes the Go apko's choice.
pub(crate) fn solve<'s>(
    universe: &'s Universe<'s>,
    world: &[&'s Dependency],
    options: &Options<'s>,
) -> Result<Solution, Box<Conflict>> {
    let mut search = Greedy::new(universe, options);
    match search.run(world) {
        Err(dead) => Err(Box::new(search.tell(&dead))),
        Ok(picks) => Ok(Solution {
            packages: picks.packages.iter().map(|id| universe.place(*id)).collect(),
            conflicts: picks
                .conflicts
                .iter()
                .map(|entry| entry.as_str()[1..].to_owned())
                .collect(),
            unmet: picks.unmet.iter().map(|dead| search.tell(dead)).collect(),
            instead_of: None,
        }),
    }
}

impl<'s> Greedy<'s> {
    fn new(universe: &'s Universe<'s>, options: &Options<'s>) -> Self {
        let mut search = Self {
            universe,
            fallen: vec![None; universe.package_count()],
            selected: vec![None; universe.name_count()],
            on_path: vec![false; universe.name_count()],
            chosen: NameMap::new(universe),
            existing: NameMap::new(universe),
            chosen_origins: NameMap::new(universe),
            existing_origins: NameMap::new(universe),
            conflicts: Vec::new(),
        };
        for sibling in options.siblings {
            for package in universe.packages() {
                if !sibling.universe.has_version(universe.record(package)) {
                    search.fallen[package.index()] = Some(Fall::AbsentFor(sibling.arch));
                }
            }
        }
        search
    }

    fn run(&mut self, world: &[&'s Dependency]) -> Result<Picks<'s>, Dead<'s>> {
        let wants: Vec<_> = world
            .iter()
            .map(|entry| Want::new(self.universe, entry))
            .collect();
        self.constrain(None, &wants)
            .map_err(|(dependency, failure)| Dead::at(None, dependency, failure))?;
        let wants: Vec<_> = wants
            .into_iter()
            .filter(|want| !want.dependency.is_conflict())
            .collect();
        self.choose_for_world(wants.clone())?;

        let mut done = vec![false; self.universe.name_count()];
        let mut picks = Picks {
            packages: Vec::new(),
            brought: Vec::new(),
            conflicts: Vec::new(),
            unmet: Vec::new(),
        };
        for want in wants {
            let package = self
                .best_for_world(&want)
                .map_err(|failure| Dead::at(None, want.dependency, failure))?;
            self.start_entry();
            let mut found = self.dependencies(package, want.dependency)?;
            let own = self.trigger(&mut found);
            picks
                .brought
                .extend(found[own..].iter().map(|package| (*package, want.dependency)));
            found.push(package);
            for package in found {
                let name = self.universe.name(package);
                if !std::mem::replace(&mut done[name.index()], true) {
                    picks.packages.push(package);
                }
                if self.chosen.get(name).is_none() {
                    self.choose(package);
                }
            }
        }
        self.complete(world, &mut picks);
        picks.conflicts = std::mem::take(&mut self.conflicts);
        Ok(picks)
    }

    /// Chooses a provider for each entry of the world, those with the fewest candidates first.
    fn choose_for_world(&mut self, mut wants: Vec<Want<'s>>) -> Result<(), Dead<'s>> {
        while !wants.is_empty() {
            let mut next = (0, usize::MAX);
            for (number, want) in wants.iter().enumerate() {
                let count = self
                    .candidates_for_world(want)
                    .map_err(|failure| Dead::at(None, want.dependency, failure))?
                    .len();
                if count < next.1 {
                    next = (number, count);
                }
            }
            let want = wants.remove(next.0);
            let package = self
                .best_for_world(&want)
                .map_err(|failure| Dead::at(None, want.dependency, failure))?;
            self.chosen.insert(self.universe.name(package), package);
            self.rule_out_rivals(package);
        }
        for package in self.chosen.packages().to_vec() {
            if let Some(origin) = self.universe.origin(package) {
                self.chosen_origins.insert(origin, package);
            }
        }
        Ok(())
    }

    fn choose(&mut self, package: PackageId) {
        self.chosen.insert(self.universe.name(package), package);
        if let Some(origin) = self.universe.origin(package) {
            self.chosen_origins.insert(origin, package);
        }
    }

    fn candidates_for_world(&self, want: &Want<'s>) -> Result<Vec<PackageId>, Failure<'s>> {
        let name = want.name.ok_or(Failure::NothingProvides)?;
        let pin = want.dependency.pin();
        let candidates = self.candidates(name, want.bound, pin, None);
        match (candidates.is_empty(), self.universe.providers(name).is_empty()) {
            (_, true) => Err(Failure::NothingProvides),
            (true, _) => Err(Failure::NoCandidate(*want, pin)),
            _ => Ok(candidates),
        }
    }

    fn best_for_world(&self, want: &Want<'s>) -> Result<PackageId, Failure<'s>> {
        let candidates = self.candidates_for_world(want)?;
        let name = want.name.ok_or(Failure::NothingProvides)?;
        let preference = order::Preference {
            universe: self.universe,
            name,
            tag: want.dependency.pin(),
            seen: None,
        };
        preference.best(&candidates).ok_or(Failure::NothingProvides)
    }
}

impl<'s> Dead<'s> {
    fn at(by: By, dependency: &'s Dependency, failure: Failure<'s>) -> Self {
        Self {
            chain: vec![(by, dependency)],
            failure,
        }
    }
}
