//! Asking the solver.

use std::collections::BTreeMap;

use apk_repository::Location;
use apk_solver::{Options, PackageRef, Repository, Sibling, SolveError, Universe};
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
        let resolve = |arch: &Arch| {
            let options = self.options(&siblings);
            let solution = universes[arch]
                .solve(&world, &options)
                .map_err(|error| self.unsolvable(*arch, error))?;
            Ok(Resolution {
                arch: *arch,
                packages: solution
                    .packages
                    .iter()
                    .map(|place| self.package(*arch, *place))
                    .collect(),
            })
        };
        archs.iter().map(resolve).collect()
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

    fn options<'a>(&self, siblings: &'a [Sibling<'a>]) -> Options<'a> {
        Options {
            siblings,
            strategy: self.strategy,
            step_limit: self.step_limit,
        }
    }

    fn unsolvable(&self, arch: Arch, error: SolveError) -> ResolveError {
        let conflict = match error {
            SolveError::Conflict(conflict) => conflict,
            source => return ResolveError::Solver { arch, source },
        };
        let without_index = self
            .without_index
            .get(&arch)
            .into_iter()
            .flatten()
            .map(Location::to_string)
            .collect();
        ResolveError::Unsolvable {
            arch,
            conflict,
            without_index,
        }
    }
}
