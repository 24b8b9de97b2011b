//! From a configuration to the exact packages of each architecture.

mod elsewhere;
mod solve;

use std::collections::{BTreeMap, BTreeSet};

use apk_package::{Keyring, Limits};
use apk_repository::{AnnouncedKey, Client, Location, LocationError, OpenIndex, RepositoryError, Trust};
use apk_solver::{Conflict, DEFAULT_STEP_LIMIT, Explanation, SolveError, Strategy};
use apk_types::{Arch, DependencyError, PackageRecord};

use crate::config::ImageConfiguration;
use crate::unify::{Disagreement, Locked, Resolved, unify};

/// What the command line adds to a configuration.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// Paths of keys.
    pub keys: Vec<String>,
    /// Repositories for the build alone.
    pub build_repositories: Vec<String>,
    /// Repositories that the image lists too.
    pub repositories: Vec<String>,
    /// Packages.
    pub packages: Vec<String>,
}

/// How to fetch, how careful to be, how to choose.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What fetches keys, indexes and packages.
    pub client: Client,
    /// Takes indexes whose signature is missing or wrong.
    pub ignore_signatures: bool,
    /// The size in bytes that an index may inflate to.
    pub index_limit: u64,
    /// What a package may hold.
    pub package_limits: Limits,
    /// Refuses packages with scripts that an installation would run, since nothing runs them here.
    pub refuse_scripts: bool,
    /// Refuses packages that are built for different C libraries.
    pub refuse_libc_clashes: bool,
    /// How to choose packages.
    pub strategy: Strategy,
    /// How many steps the complete search may take.
    pub step_limit: u32,
}

impl Default for Policy {
    fn default() -> Self {
        let Trust {
            index_limit,
            package_limits,
            ..
        } = Trust::default();
        Self {
            client: Client::default(),
            ignore_signatures: false,
            refuse_scripts: false,
            refuse_libc_clashes: false,
            index_limit,
            package_limits,
            strategy: Strategy::default(),
            step_limit: DEFAULT_STEP_LIMIT,
        }
    }
}

/// Why the packages of an image could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A package is not written as a dependency.
    #[error(transparent)]
    World(#[from] DependencyError),
    /// A repository is not written as one.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// A key, an index or a package could not be had.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The solver could not begin or not end, such as for a pin to a tag that no repository has.
    #[error("for {arch}: {source}")]
    Solver {
        /// The architecture.
        arch: Arch,
        /// What is wrong.
        source: SolveError,
    },
    /// No set of packages satisfies what is asked for.
    #[error("for {arch}: {conflict}")]
    Unsolvable {
        /// The architecture.
        arch: Arch,
        /// Who wants what, and why it cannot be.
        conflict: Box<Conflict>,
        /// The smallest part of the request that cannot be met, and what would help; `None` where the strategy is
        /// to blame or the limits left it open.
        explanation: Option<Box<Explanation>>,
        /// Repositories that have no index for the architecture.
        without_index: Vec<String>,
    },
    /// There is no architecture to resolve for.
    #[error("there is no architecture to resolve packages for")]
    NoArchitecture,
    /// The architectures take different versions of what was asked for.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
}

/// A repository's packages for one architecture.
#[derive(Clone, Debug)]
struct RepositoryIndex {
    location: Location,
    packages: OpenIndex,
}

/// The indexes that a configuration draws from, read and verified once.
#[derive(Clone, Debug)]
pub struct Repositories {
    announced: BTreeMap<Arch, Vec<AnnouncedKey>>,
    keys: BTreeMap<String, String>,
    trust: Trust,
    client: Client,
    locations: Vec<Location>,
    strategy: Strategy,
    step_limit: u32,
    indexes: BTreeMap<Arch, Vec<RepositoryIndex>>,
    /// The repositories without an index for an architecture. They are passed over, as a directory that a first
    /// build is still to fill.
    pub without_index: BTreeMap<Arch, Vec<Location>>,
}

/// A package that was chosen, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedPackage {
    /// What the index says of it.
    pub record: PackageRecord,
    /// Its repository.
    pub location: Location,
}

/// What was chosen for one architecture, in the order of installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The architecture.
    pub arch: Arch,
    /// The packages.
    pub packages: Vec<ResolvedPackage>,
    /// What they leave unmet.
    pub unmet: Vec<Conflict>,
    /// Where the Go apko's choice ended, if the packages are those of the complete search.
    pub instead_of: Option<Box<Conflict>>,
}

impl Repositories {
    /// Reads the keys, those that the repositories announce among them, and the index of every repository that the
    /// configuration builds from, for each architecture.
    pub fn open(
        configuration: &ImageConfiguration,
        additions: &Additions,
        archs: &[Arch],
        policy: &Policy,
    ) -> Result<Self, ResolveError> {
        let mut repositories = Self::with_keys(configuration, additions, archs, policy)?;
        let locations = locations(configuration, additions)?;
        let wanted: Vec<(Location, Arch)> = archs
            .iter()
            .flat_map(|arch| locations.iter().map(move |location| (location.clone(), *arch)))
            .collect();
        let indexes = policy.client.open_indexes(&wanted, &repositories.trust)?;
        for arch in archs {
            repositories.indexes.insert(*arch, Vec::new());
        }
        for ((location, arch), index) in wanted.into_iter().zip(indexes) {
            match index {
                Some(packages) => repositories.add_index(arch, location, packages),
                None => repositories.without_index.entry(arch).or_default().push(location),
            }
        }
        Ok(repositories)
    }

    /// Reads the keys, and takes packages whose records were verified before in the place of those of the indexes: for each
    /// architecture what is at each location, in the order in which the locations count.
    pub fn with_packages(
        configuration: &ImageConfiguration,
        additions: &Additions,
        packages: BTreeMap<Arch, Vec<(Location, Vec<PackageRecord>)>>,
        policy: &Policy,
    ) -> Result<Self, ResolveError> {
        let archs: Vec<Arch> = packages.keys().copied().collect();
        let mut repositories = Self::with_keys(configuration, additions, &archs, policy)?;
        for (arch, of_arch) in packages {
            for (location, packages) in of_arch {
                repositories.add(arch, location, packages);
            }
        }
        Ok(repositories)
    }

    /// Reads the keys alone, those that the repositories announce among them. Packages from a lock file need no index.
    pub(crate) fn with_keys(
        configuration: &ImageConfiguration,
        additions: &Additions,
        archs: &[Arch],
        policy: &Policy,
    ) -> Result<Self, ResolveError> {
        let locations = locations(configuration, additions)?;
        let announced = policy.client.announced_keys_of(&locations, archs)?;
        let keys: BTreeMap<String, String> = sorted([&configuration.contents.keyring, &additions.keys])
            .iter()
            .map(|path| policy.client.read_key(path))
            .collect::<Result<_, _>>()?;
        let mut keyring = Keyring::default();
        let of_repositories = announced.values().flatten().map(|key| (&key.name, &key.pem));
        for (name, pem) in of_repositories.chain(&keys) {
            // The client has read it as a key already.
            let _ = keyring.insert_pem(name.as_str(), pem);
        }
        Ok(Self {
            announced,
            keys,
            client: policy.client.clone(),
            locations,
            trust: Trust {
                keyring: (!policy.ignore_signatures).then_some(keyring),
                index_limit: policy.index_limit,
                package_limits: policy.package_limits,
            },
            strategy: policy.strategy,
            step_limit: policy.step_limit,
            indexes: BTreeMap::new(),
            without_index: BTreeMap::new(),
        })
    }

    /// Adds packages that no index lists, such as those of a base image, as the last repository.
    pub(crate) fn add(&mut self, arch: Arch, location: Location, packages: Vec<PackageRecord>) {
        self.add_index(arch, location, OpenIndex::Parsed(packages));
    }

    fn add_index(&mut self, arch: Arch, location: Location, packages: OpenIndex) {
        let index = RepositoryIndex { location, packages };
        self.indexes.entry(arch).or_default().push(index);
    }

    /// The keys for an architecture by file name, in PEM: those that its repositories announce, and those of the
    /// configuration, which win.
    pub fn keys(&self, arch: Arch) -> BTreeMap<&str, &str> {
        let announced = self.announced.get(&arch).into_iter().flatten();
        announced
            .map(|key| (key.name.as_str(), key.pem.as_str()))
            .chain(self.keys.iter().map(|(name, pem)| (name.as_str(), pem.as_str())))
            .collect()
    }

    /// Whom packages are trusted to come from.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}

/// The repositories that a configuration builds from, with those of the command line.
fn locations(
    configuration: &ImageConfiguration,
    additions: &Additions,
) -> Result<Vec<Location>, LocationError> {
    let contents = &configuration.contents;
    let texts = sorted([
        &contents.build_repositories,
        &contents.repositories,
        &additions.build_repositories,
        &additions.repositories,
    ]);
    texts.iter().map(|text| text.parse()).collect()
}

/// What a configuration asks for, with what the command line adds: sorted, each once.
pub fn world(configuration: &ImageConfiguration, additions: &Additions) -> Vec<String> {
    sorted([&configuration.contents.packages, &additions.packages])
}

/// Resolves for all architectures together, and writes what was chosen into one configuration for each: its
/// packages at exact versions, repositories and keys sorted and complete.
pub fn lock_configurations(
    configuration: &ImageConfiguration,
    additions: &Additions,
    archs: &[Arch],
    repositories: &Repositories,
) -> Result<BTreeMap<Arch, ImageConfiguration>, ResolveError> {
    let world = world(&configuration.clone().with_service_bundle(), additions);
    let resolved: Vec<Resolved> = repositories
        .resolve(&world, archs, true)?
        .iter()
        .map(|one| Resolved::new(one.arch, one.packages.iter().map(|package| &package.record)))
        .collect();
    let Locked { by_arch, .. } = unify(&configuration.contents.packages, &resolved)?;
    let lock = |arch: Arch| {
        let packages = by_arch.get(&arch).cloned().unwrap_or_default();
        (arch, configuration.locked(additions, arch, packages))
    };
    Ok(archs.iter().copied().map(lock).collect())
}

impl ImageConfiguration {
    /// The configuration of one architecture with its packages at exact versions, repositories and keys sorted and
    /// complete.
    pub(crate) fn locked(&self, additions: &Additions, arch: Arch, packages: Vec<String>) -> Self {
        let mut locked = Self {
            vcs_url: String::new(),
            include: String::new(),
            archs: vec![arch],
            ..self.clone()
        };
        let contents = &mut locked.contents;
        contents.build_repositories = sorted([&contents.build_repositories, &additions.build_repositories]);
        contents.repositories = sorted([&contents.repositories, &additions.repositories]);
        contents.keyring = sorted([&contents.keyring, &additions.keys]);
        contents.packages = packages;
        locked.with_service_bundle()
    }
}

pub(crate) fn sorted<const N: usize>(lists: [&Vec<String>; N]) -> Vec<String> {
    lists
        .into_iter()
        .flatten()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .cloned()
        .collect()
}
