//! The complete search: for requests that the Go apko's choice does not answer, and for telling why there is none.

mod order;
mod pins;
mod provider;

use std::cell::Cell;
use std::collections::HashSet;

use apk_types::Dependency;
use resolvo::{Problem, Solver, UnsolvableOrCancelled};

use crate::check::Chosen;
use crate::request::Options;
use crate::universe::{NameId, PackageId, Universe};
use pins::Pins;
use provider::Provider;
pub(crate) use provider::contested_names;

/// How often `install_if` may bring packages that bring more; each time costs a search.
const ROUNDS: usize = 8;

/// The search took more steps than it may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitReached;

/// What a search does not look at, to find out whether it matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignored<'s> {
    /// Dependencies of the packages of a name.
    pub(crate) demands: HashSet<(NameId, &'s str)>,
    /// Names that only one package may claim.
    pub(crate) claims: HashSet<NameId>,
}

/// One request.
pub(crate) struct Search<'r, 's> {
    universe: &'s Universe<'s>,
    world: &'r [&'s Dependency],
    options: &'r Options<'s>,
    ignored: Option<&'r Ignored<'s>>,
    steps: Cell<u32>,
}

impl<'r, 's> Search<'r, 's> {
    pub(crate) fn new(
        universe: &'s Universe<'s>,
        world: &'r [&'s Dependency],
        options: &'r Options<'s>,
    ) -> Self {
        Self {
            universe,
            world,
            options,
            ignored: None,
            steps: Cell::new(0),
        }
    }

    pub(crate) fn without(self, ignored: Option<&'r Ignored<'s>>) -> Self {
        Self { ignored, ..self }
    }

    /// How many steps it has taken.
    pub(crate) fn steps(&self) -> u32 {
        self.steps.get()
    }

    /// Finds packages that satisfy the world, in the order of installation, or `None` where none do.
    ///
    /// A result is whole: every dependency met, no conflict, one version of each name.
    pub(crate) fn solve(&self) -> Result<Option<Vec<PackageId>>, LimitReached> {
        self.answer(|pins| self.solve_with(pins))
    }

    /// True where some packages satisfy the world; what `install_if` brings is left out, since it forbids nothing.
    pub(crate) fn is_solvable(&self) -> Result<bool, LimitReached> {
        Ok(self.answer(|pins| self.find(pins, &[], &[]))?.is_some())
    }

    fn answer(
        &self,
        find: impl Fn(&Pins<'s>) -> Result<Option<Vec<PackageId>>, LimitReached>,
    ) -> Result<Option<Vec<PackageId>>, LimitReached> {
        if let Some(packages) = find(&Pins::strict(self.universe))? {
            return Ok(Some(packages));
        }
        // What a pinned entry depends on may come from the repositories of its tag, even below packages of others.
        // The search does not know what will be below what, so that an answer is checked, and a package that is not below a
        // pinned entry in it is told to come with something that leads there.
        let Some(mut pins) = Pins::inherited(self.universe, self.world) else {
            return Ok(None);
        };
        if let Some(packages) = self.without_strays(&mut pins, &find)? {
            return Ok(Some(packages));
        }
        self.without_strays(&mut pins.shared(), &find)
    }

    fn without_strays(
        &self,
        pins: &mut Pins<'s>,
        find: &impl Fn(&Pins<'s>) -> Result<Option<Vec<PackageId>>, LimitReached>,
    ) -> Result<Option<Vec<PackageId>>, LimitReached> {
        loop {
            let Some(packages) = find(pins)? else {
                return Ok(None);
            };
            let strays = pins::strays(self.universe, self.world, &packages);
            if strays.is_empty() {
                return Ok(Some(packages));
            }
            pins.restrict(strays);
        }
    }

    fn solve_with(&self, pins: &Pins<'s>) -> Result<Option<Vec<PackageId>>, LimitReached> {
        let (universe, world) = (self.universe, self.world);
        let Some(mut packages) = self.find(pins, &[], &[])? else {
            return Ok(None);
        };
        let mut wished: Vec<PackageId> = Vec::new();
        for _ in 0..ROUNDS {
            let brought = triggered(universe, &packages, &wished);
            if brought.is_empty() {
                break;
            }
            packages = self.with_brought(pins, packages, &wished, &brought)?;
            wished.extend(brought);
        }
        let packages = order::order(universe, world, &packages);
        Ok(is_whole(universe, world, &packages).then_some(packages))
    }

    /// Adds those of the packages brought that can be there: all at once or, where that goes wrong, one after the
    /// other.
    fn with_brought(
        &self,
        pins: &Pins<'s>,
        mut packages: Vec<PackageId>,
        wished: &[PackageId],
        brought: &[PackageId],
    ) -> Result<Vec<PackageId>, LimitReached> {
        let all = [wished, brought].concat();
        if let Some(more) = self.find(pins, &[], &all)?
            && is_whole(self.universe, self.world, &more)
        {
            return Ok(more);
        }
        let mut kept: Vec<PackageId> = wished.to_vec();
        kept.retain(|package| packages.contains(package));
        for package in brought {
            kept.push(*package);
            match self.find(pins, &kept, &[])? {
                Some(more) => packages = more,
                None => drop(kept.pop()),
            }
        }
        Ok(packages)
    }

    fn find(
        &self,
        pins: &Pins<'s>,
        required: &[PackageId],
        wished: &[PackageId],
    ) -> Result<Option<Vec<PackageId>>, LimitReached> {
        let provider = Provider::new(self.universe, self.options, pins, self.ignored, &self.steps);
        let mut demands = provider.demands(None, self.world.iter().copied());
        demands
            .requirements
            .extend(required.iter().map(|package| provider.exactly(*package)));
        let wishes: Vec<_> = wished
            .iter()
            .map(|package| provider::solvable(*package))
            .collect();
        let problem = Problem::new()
            .requirements(demands.requirements)
            .constraints(demands.constrains)
            .soft_requirements(wishes);
        let mut solver = Solver::new(provider);
        let found = match solver.solve(problem) {
            Ok(found) => found,
            Err(UnsolvableOrCancelled::Unsolvable(_)) => return Ok(None),
            Err(UnsolvableOrCancelled::Cancelled(_)) => return Err(LimitReached),
        };
        let mut packages: Vec<_> = found
            .into_iter()
            .filter_map(|id| solver.provider().package(id))
            .collect();
        packages.sort();
        Ok(Some(packages))
    }
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
