//! Asking the solver.

use std::borrow::Cow;
use std::collections::BTreeMap;

use apk_index::Prepared;
use apk_repository::{KeptIndex, Location, OpenIndex, RepositoryError};
use apk_solver::{
    ExplainLimits, Link, Options, PackageRef, Repository, Sibling, Solution, SolveError, Universe, WhyNot,
};
use apk_types::{Arch, Dependency, PackageRecord};

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
                    .map(|place| question.package(*place))
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
        // The answer may be about anything.
        let all = self.of_all_packages(archs)?;
        self.ask_first_of(&all, world, archs, |question| {
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
        let first = first_alone(archs, answer);
        only(self.ask(world, archs, true, first)?)
    }

    fn ask_first_of<T>(
        &self,
        packages: &Packages<'_>,
        world: &[String],
        archs: &[Arch],
        answer: impl Fn(&Question<'_>) -> Result<T, ResolveError>,
    ) -> Result<T, ResolveError> {
        let world = parse(world)?;
        let first = first_alone(archs, answer);
        only(self.ask_of(packages, &world, archs, true, &first)?)
    }

    /// Asks a question for each architecture: of the packages that the world can lead to, and where these have no answer
    /// of all, for the sake of what is said then.
    fn ask<T>(
        &self,
        world: &[String],
        archs: &[Arch],
        agreeing: bool,
        answer: impl Fn(Arch, &Question<'_>) -> Result<T, ResolveError>,
    ) -> Result<Vec<T>, ResolveError> {
        let world = parse(world)?;
        if let Some(packages) = self.of_reachable_packages(&world, archs)
            && let Ok(answers) = self.ask_of(&packages, &world, archs, agreeing, &answer)
        {
            return Ok(answers);
        }
        let packages = self.of_all_packages(archs)?;
        self.ask_of(&packages, &world, archs, agreeing, &answer)
    }

    fn ask_of<T>(
        &self,
        packages: &Packages<'_>,
        world: &[Dependency],
        archs: &[Arch],
        agreeing: bool,
        answer: &impl Fn(Arch, &Question<'_>) -> Result<T, ResolveError>,
    ) -> Result<Vec<T>, ResolveError> {
        let sources: BTreeMap<Arch, Vec<String>> =
            archs.iter().map(|arch| (*arch, self.sources(*arch))).collect();
        let universes: BTreeMap<Arch, Universe<'_>> = archs
            .iter()
            .map(|arch| (*arch, self.universe(*arch, &sources[arch], &packages[arch])))
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
                world,
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

    /// The packages of each index that a solution can have to do with; `None` where that cannot be said for less than all of
    /// them cost.
    fn of_reachable_packages(&self, world: &[Dependency], archs: &[Arch]) -> Option<Packages<'_>> {
        let all = archs.iter().flat_map(|arch| self.index(*arch));
        let kept = all.map(|one| match &one.packages {
            OpenIndex::Kept(kept) => Some(&**kept),
            OpenIndex::Parsed(_) => None,
        });
        let kept: Vec<&KeptIndex> = kept.collect::<Option<_>>()?;
        let prepared: Vec<&Prepared> = kept.iter().map(|kept| &kept.prepared).collect();
        let names: Vec<&str> = world.iter().map(Dependency::name).collect();
        let Ok(packages) = apk_index::reachable(&prepared, &names) else {
            kept.iter().for_each(|kept| kept.forget());
            return None;
        };
        let mut packages = packages.into_iter().map(Cow::Owned);
        let of_arch = |arch: &Arch| (*arch, packages.by_ref().take(self.index(*arch).len()).collect());
        Some(archs.iter().map(of_arch).collect())
    }

    fn of_all_packages(&self, archs: &[Arch]) -> Result<Packages<'_>, ResolveError> {
        let of_arch = |arch: &Arch| {
            let packages = self.index(*arch).iter().map(|one| match &one.packages {
                OpenIndex::Parsed(packages) => Ok(Cow::Borrowed(packages.as_slice())),
                OpenIndex::Kept(kept) => kept.packages().map(Cow::Owned),
            });
            Ok((*arch, packages.collect::<Result<_, RepositoryError>>()?))
        };
        archs.iter().map(of_arch).collect()
    }

    fn index(&self, arch: Arch) -> &[RepositoryIndex] {
        self.indexes.get(&arch).map_or(&[], Vec::as_slice)
    }

    /// What tells the repositories apart.
    fn sources(&self, arch: Arch) -> Vec<String> {
        let indexes = self.index(arch).iter();
        indexes.map(|one| one.location.directory(arch)).collect()
    }

    fn universe<'a>(
        &'a self,
        arch: Arch,
        sources: &'a [String],
        packages: &'a [Cow<'_, [PackageRecord]>],
    ) -> Universe<'a> {
        let repositories: Vec<Repository<'_>> = self
            .index(arch)
            .iter()
            .zip(sources)
            .zip(packages)
            .map(|((one, source), packages)| Repository {
                source,
                tag: one.location.tag(),
                packages,
            })
            .collect();
        Universe::new(&repositories)
    }
}

/// The packages of each architecture's indexes, or some of them.
type Packages<'a> = BTreeMap<Arch, Vec<Cow<'a, [PackageRecord]>>>;

fn parse(world: &[String]) -> Result<Vec<Dependency>, ResolveError> {
    Ok(world.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

/// Asks for the first architecture alone.
fn first_alone<T>(
    archs: &[Arch],
    answer: impl Fn(&Question<'_>) -> Result<T, ResolveError>,
) -> impl Fn(Arch, &Question<'_>) -> Result<Option<T>, ResolveError> {
    let first = archs.first().copied();
    move |arch, question| (Some(arch) == first).then(|| answer(question)).transpose()
}

fn only<T>(answers: Vec<Option<T>>) -> Result<T, ResolveError> {
    let mut answers = answers.into_iter().flatten();
    answers.next().ok_or(ResolveError::NoArchitecture)
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
    /// The package at a place, with its repository.
    fn package(&self, place: PackageRef) -> ResolvedPackage {
        ResolvedPackage {
            record: self.universe.get(place).cloned().unwrap_or_default(),
            location: self.repositories.index(self.arch)[place.repository]
                .location
                .clone(),
        }
    }

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
        let explanation = explanation.ok().flatten().map(|mut explanation| {
            self.repositories.look_elsewhere(&mut explanation);
            Box::new(explanation)
        });
        let without_index = self.repositories.without_index.get(&self.arch);
        ResolveError::Unsolvable {
            arch: self.arch,
            conflict,
            explanation,
            without_index: without_index
                .into_iter()
                .flatten()
                .map(Location::to_string)
                .collect(),
        }
    }
}
