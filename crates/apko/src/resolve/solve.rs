//! Asking the solver.

use std::collections::BTreeMap;

use apk_repository::Location;
use apk_solver::{
    ExplainLimits, Link, Options, PackageRef, Repository, Sibling, Solution, SolveError, Universe, WhyNot,
};
use apk_types::{Arch, Dependency};

use super::{Repositories, RepositoryIndex, Resolution, ResolveError, ResolvedPackage};

impl Repositories {
    /// Chooses the packages for each architecture. With `agreeing` only packages that every architecture has
    /// count, which is how the Go apko keeps the architectures of an image at the same versions.
    pub fn resolve(
        &self,
        world: &[String],
        archs: &[Arch],
        agreeing: bool,
    ) -> Result<Vec<Resolution>, ResolveError> {
        self.ask(world, archs, agreeing, |arch, question| {
            let solution = question.solve()?;
            Ok(Resolution {
                arch,
                packages: solution
                    .packages
                    .iter()
                    .map(|place| self.package(arch, *place))
                    .collect(),
                unmet: solution.unmet,
                instead_of: solution.instead_of,
            })
        })
    }

    /// Tells how the packages named, or those that provide the name, come to be installed for the first of the
    /// architectures, which agree: a chain from the world to each.
    pub fn why(&self, world: &[String], archs: &[Arch], name: &str) -> Result<Vec<Vec<Link>>, ResolveError> {
        let first = self.ask_first(world, archs, |question| {
            let solution = question.solve()?;
            Ok(question.universe.why(question.world, &solution, name))
        })?;
        Ok(first)
    }

    /// Tells why nothing that meets `wanted` is installed for the first of the architectures, which agree.
    pub fn why_not(
        &self,
        world: &[String],
        archs: &[Arch],
        wanted: &Dependency,
    ) -> Result<WhyNot, ResolveError> {
        self.ask_first(world, archs, |question| {
            let limits = ExplainLimits::default();
            let answer = question
                .universe
                .why_not(question.world, &question.options, wanted, &limits);
            answer.map_err(|error| question.unsolvable(error))
        })
    }

    fn ask_first<T>(
        &self,
        world: &[String],
        archs: &[Arch],
        answer: impl Fn(&Question<'_>) -> Result<T, ResolveError>,
    ) -> Result<T, ResolveError> {
        let mut answers = self.ask(world, archs, true, |arch, question| {
            (Some(&arch) == archs.first())
                .then(|| answer(question))
                .transpose()
        })?;
        answers
            .drain(..)
            .flatten()
            .next()
            .ok_or(ResolveError::NoArchitecture)
    }

    /// Asks a question for each architecture.
    fn ask<T>(
        &self,
        world: &[String],
        archs: &[Arch],
        agreeing: bool,
        answer: impl Fn(Arch, &Question<'_>) -> Result<T, ResolveError>,
    ) -> Result<Vec<T>, ResolveError> {
        let world: Vec<Dependency> = world.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let sources: BTreeMap<Arch, Vec<String>> =
            archs.iter().map(|arch| (*arch, self.sources(*arch))).collect();
        let universes: BTreeMap<Arch, Universe<'_>> = archs
            .iter()
            .map(|arch| (*arch, self.universe(*arch, &sources[arch])))
            .collect();
        let siblings: Vec<Sibling<'_>> = universes
            .iter()
            .filter(|_| agreeing)
            .map(|(arch, universe)| Sibling {
                arch: arch.apk_name(),
                universe,
            })
            .collect();
        let ask = |arch: &Arch| {
            let question = Question {
                repositories: self,
                arch: *arch,
                universe: &universes[arch],
                world: &world,
                options: Options {
                    siblings: &siblings,
                    strategy: self.strategy,
                    step_limit: self.step_limit,
                },
            };
            answer(*arch, &question)
        };
        archs.iter().map(ask).collect()
    }

    fn index(&self, arch: Arch) -> &[RepositoryIndex] {
        self.indexes.get(&arch).map_or(&[], Vec::as_slice)
    }

    fn package(&self, arch: Arch, place: PackageRef) -> ResolvedPackage {
        let index = &self.index(arch)[place.repository];
        ResolvedPackage {
            record: index.packages[place.package].clone(),
            location: index.location.clone(),
        }
    }

    /// What tells the repositories apart.
    fn sources(&self, arch: Arch) -> Vec<String> {
        let indexes = self.index(arch).iter();
        indexes.map(|one| one.location.directory(arch)).collect()
    }

    fn universe<'a>(&'a self, arch: Arch, sources: &'a [String]) -> Universe<'a> {
        let repositories: Vec<Repository<'_>> = self
            .index(arch)
            .iter()
            .zip(sources)
            .map(|(one, source)| Repository {
                source,
                tag: one.location.tag(),
                packages: &one.packages,
            })
            .collect();
        Universe::new(&repositories)
    }
}

/// What one architecture's packages are asked.
struct Question<'a> {
    repositories: &'a Repositories,
    arch: Arch,
    universe: &'a Universe<'a>,
    world: &'a [Dependency],
    options: Options<'a>,
}

impl Question<'_> {
    fn solve(&self) -> Result<Solution, ResolveError> {
        let solution = self.universe.solve(self.world, &self.options);
        solution.map_err(|error| self.unsolvable(error))
    }

    fn unsolvable(&self, error: SolveError) -> ResolveError {
        let conflict = match error {
            SolveError::Conflict(conflict) => conflict,
            source => {
                return ResolveError::Solver {
                    arch: self.arch,
                    source,
                };
            }
        };
        let limits = ExplainLimits::default();
        let explanation = self.universe.explain(self.world, &self.options, &limits);
        let without_index = self.repositories.without_index.get(&self.arch);
        ResolveError::Unsolvable {
            arch: self.arch,
            conflict,
            explanation: explanation.ok().flatten().map(Box::new),
            without_index: without_index
                .into_iter()
                .flatten()
                .map(Location::to_string)
                .collect(),
        }
    }
}
