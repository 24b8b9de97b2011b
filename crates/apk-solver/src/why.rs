//! Why a package is there, and why another is not.

use apk_types::Dependency;

use crate::check::{Chosen, provides};
use crate::conflict::{Asker, Candidate};
use crate::explain::{ExplainLimits, Explanation};
use crate::request::{Options, Solution, Want};
use crate::universe::{PackageId, Universe};
use crate::{SolveError, as_set};

/// A package that is there because someone asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who asked.
    pub asker: Asker,
    /// For what; where `by_install_if`, the entry of the package's `install_if` that the asker meets.
    pub dependency: Dependency,
    /// What was chosen for it.
    pub package: Candidate,
    /// True where the asker did not ask: the package goes with it by its own `install_if`.
    pub by_install_if: bool,
}

/// Why a package is not installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// It is.
    Installed(Candidate),
    /// No package has or provides the name.
    Unknown {
        /// Names of packages that look like it, the closest first.
        similar: Vec<String>,
        /// Architectures of [`Options::siblings`] that have it.
        elsewhere: Vec<String>,
    },
    /// It could be, but nothing asks for it, or not for that version.
    NotAskedFor {
        /// What is installed under the name.
        instead: Vec<Candidate>,
        /// What an entry for it would add.
        added: Vec<Candidate>,
        /// What an entry for it would remove.
        removed: Vec<Candidate>,
    },
    /// It cannot be together with the rest of the world; `None` where the limits left open why.
    Impossible(Option<Box<Explanation>>),
}

impl<'a> Universe<'a> {
    /// The shortest chain from the world to each package of a solution that has or provides `name`. A chain is
    /// empty where nothing leads there, and there is none where the solution has no such package.
    pub fn why(&self, world: &[Dependency], solution: &Solution, name: &str) -> Vec<Vec<Link>> {
        let Some(name) = self.find(name) else {
            return Vec::new();
        };
        let packages: Vec<PackageId> = solution
            .packages
            .iter()
            .filter_map(|place| self.id(*place))
            .collect();
        let is_named = |id: &&PackageId| self.name(**id) == name;
        let provides = |id: &&PackageId| self.provided_names(**id).contains(&name);
        let mut wanted: Vec<_> = packages.iter().filter(is_named).collect();
        if wanted.is_empty() {
            wanted = packages.iter().filter(provides).collect();
        }
        let ways = Ways::find(self, &as_set(world), &packages);
        wanted.into_iter().map(|package| ways.to(*package)).collect()
    }

    /// Tells why nothing that meets `wanted` is among the packages of a world; the error is that of the world
    /// itself.
    pub fn why_not(
        &self,
        world: &[Dependency],
        options: &Options<'_>,
        wanted: &Dependency,
        limits: &ExplainLimits,
    ) -> Result<WhyNot, SolveError> {
        let solution = self.solve(world, options)?;
        let want = Want::new(self, wanted);
        let Some(name) = want.name.filter(|name| !self.providers(*name).is_empty()) else {
            let siblings = options.siblings.iter();
            let has_it = siblings.filter(|sibling| sibling.universe.has_provider(wanted.name()));
            return Ok(WhyNot::Unknown {
                similar: self.similar(wanted.name(), 3),
                elsewhere: has_it.map(|sibling| sibling.arch.to_owned()).collect(),
            });
        };
        let packages: Vec<PackageId> = solution
            .packages
            .iter()
            .filter_map(|place| self.id(*place))
            .collect();
        if let Some(package) = packages.iter().find(|id| provides(self, **id, name, &want)) {
            return Ok(WhyNot::Installed(self.candidate(*package)));
        }
        let mut more = world.to_vec();
        more.push(wanted.clone());
        let other = match self.solve(&more, options) {
            Ok(other) => other,
            Err(SolveError::Conflict(_)) => {
                let explanation = self.explain(&more, options, limits)?;
                return Ok(WhyNot::Impossible(explanation.map(Box::new)));
            }
            Err(error) => return Err(error),
        };
        let others: Vec<PackageId> = other
            .packages
            .iter()
            .filter_map(|place| self.id(*place))
            .collect();
        let only = |these: &[PackageId], those: &[PackageId]| -> Vec<Candidate> {
            let missing = these.iter().filter(|id| !those.contains(id));
            missing.map(|id| self.candidate(*id)).collect()
        };
        let has_name = |id: &&PackageId| self.name(**id) == name || self.provided_names(**id).contains(&name);
        Ok(WhyNot::NotAskedFor {
            instead: packages
                .iter()
                .filter(has_name)
                .map(|id| self.candidate(*id))
                .collect(),
            added: only(&others, &packages),
            removed: only(&packages, &others),
        })
    }
}

/// How each package of a set is reached: in a breadth-first walk from the world, then over `install_if`.
struct Ways<'s> {
    universe: &'s Universe<'s>,
    steps: Vec<Way<'s>>,
}

struct Way<'s> {
    /// The step that reached the asker; `None` for the world.
    from: Option<usize>,
    dependency: &'s Dependency,
    package: PackageId,
    by_install_if: bool,
}

impl<'s> Ways<'s> {
    fn find(universe: &'s Universe<'s>, world: &[&'s Dependency], packages: &[PackageId]) -> Self {
        let chosen = Chosen::new(universe, packages);
        let mut ways = Self {
            universe,
            steps: Vec::new(),
        };
        let mut is_seen = vec![false; universe.package_count()];
        for entry in world {
            ways.follow(None, entry, &chosen, &mut is_seen);
        }
        let mut next = 0;
        loop {
            while let Some(way) = ways.steps.get(next) {
                for dependency in &universe.record(way.package).depends {
                    ways.follow(Some(next), dependency, &chosen, &mut is_seen);
                }
                next += 1;
            }
            if !ways.trigger(packages, &chosen, &mut is_seen) {
                return ways;
            }
        }
    }

    fn follow(
        &mut self,
        from: Option<usize>,
        dependency: &'s Dependency,
        chosen: &Chosen<'s>,
        is_seen: &mut [bool],
    ) {
        for package in chosen.meeting(dependency) {
            if !std::mem::replace(&mut is_seen[package.index()], true) {
                self.steps.push(Way {
                    from,
                    dependency,
                    package,
                    by_install_if: false,
                });
            }
        }
    }

    /// Takes the packages that no dependency leads to and whose `install_if` holds.
    fn trigger(&mut self, packages: &[PackageId], chosen: &Chosen<'s>, is_seen: &mut [bool]) -> bool {
        let before = self.steps.len();
        for &package in packages {
            let entries = &self.universe.record(package).install_if;
            if is_seen[package.index()] || !chosen.holds_all(entries) {
                continue;
            }
            let reached = |entry: &'s Dependency| {
                let met = chosen.meeting(entry);
                let from = self.steps[..before]
                    .iter()
                    .position(|way| met.contains(&way.package))?;
                Some((from, entry))
            };
            if let Some((from, dependency)) = entries.iter().find_map(reached) {
                is_seen[package.index()] = true;
                self.steps.push(Way {
                    from: Some(from),
                    dependency,
                    package,
                    by_install_if: true,
                });
            }
        }
        self.steps.len() > before
    }

    fn to(&self, package: PackageId) -> Vec<Link> {
        let mut next = self.steps.iter().position(|way| way.package == package);
        let mut links = Vec::new();
        while let Some(way) = next.map(|step| &self.steps[step]) {
            let asker = way
                .from
                .map(|from| self.universe.candidate(self.steps[from].package));
            links.push(Link {
                asker: asker.map_or(Asker::World, Asker::Package),
                dependency: way.dependency.clone(),
                package: self.universe.candidate(way.package),
                by_install_if: way.by_install_if,
            });
            next = way.from;
        }
        links.reverse();
        links
    }
}
