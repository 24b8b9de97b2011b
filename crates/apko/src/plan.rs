//! What to install for each architecture: chosen anew, or read from a lock file.

use apk_repository::Location;
use apk_types::{Arch, PackageRecord};

use crate::base::{Base, Bases};
use crate::build::{BuildError, BuildRequest, Event};
use crate::config::ImageConfiguration;
use crate::phase::{Clock, Phase};
use crate::resolve::{Additions, Repositories, Resolution, ResolveError, lock_configurations, world};

/// What to install for one architecture.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The configuration with its packages at exact versions.
    pub(crate) configuration: ImageConfiguration,
    /// The packages in the order of installation.
    pub(crate) resolution: Resolution,
    /// What they are installed upon.
    pub(crate) base: Option<Base>,
    /// What the image is said to ask for.
    pub(crate) world: Vec<String>,
}

/// Plans all architectures of a build; returns the repositories with their keys too.
pub(crate) fn plan(
    request: &BuildRequest<'_>,
    clock: &mut Clock,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<(Repositories, Vec<Plan>), BuildError> {
    let (configuration, additions) = (request.configuration, request.additions);
    let mut bases = Base::read_all(configuration, request.include_paths, request.archs)?;
    // A lock file says where packages are: no index is needed.
    let open = match request.lockfile {
        Some(_) => Repositories::with_keys,
        None => Repositories::open,
    };
    let mut repositories = match request.repositories {
        Some(repositories) => repositories.clone(),
        None => open(configuration, additions, request.archs, request.policy)?,
    };
    clock.end(Phase::Indexes, None, watch);
    let mut plans = Vec::new();
    if request.lockfile.is_none() && bases.is_empty() {
        for (arch, configuration) in
            lock_configurations(configuration, additions, request.archs, &repositories)?
        {
            let world = world(&configuration, additions);
            for resolution in repositories.resolve(&world, &[arch], false)? {
                plans.push(Plan {
                    configuration: configuration.clone(),
                    resolution,
                    base: None,
                    world: world.clone(),
                });
            }
        }
        clock.end(Phase::Solve, None, watch);
        return Ok((repositories, plans));
    }
    let resolutions = match request.lockfile {
        Some(lockfile) => request
            .archs
            .iter()
            .map(|arch| lockfile.resolution(*arch))
            .collect::<Result<_, _>>()?,
        None => resolve_with_base(
            configuration,
            additions,
            request.archs,
            &mut repositories,
            &bases,
            &|_, _| None,
        )?,
    };
    for resolution in resolutions {
        let base = bases.remove(&resolution.arch);
        let configuration = at_versions(configuration, additions, &resolution);
        let mut world = world(&configuration, additions);
        world.extend(base.iter().flat_map(Base::world));
        plans.push(Plan {
            configuration,
            resolution,
            base,
            world,
        });
    }
    clock.end(Phase::Solve, None, watch);
    Ok((repositories, plans))
}

/// Chooses packages for each architecture on its own, upon its base image: what that has stays as it is and is not
/// among the result. A package for which `keep` knows a version stays at that version.
pub(crate) fn resolve_with_base(
    configuration: &ImageConfiguration,
    additions: &Additions,
    archs: &[Arch],
    repositories: &mut Repositories,
    bases: &Bases,
    keep: &dyn Fn(Arch, &str) -> Option<String>,
) -> Result<Vec<Resolution>, ResolveError> {
    let wanted = world(&configuration.clone().with_service_bundle(), additions);
    let mut resolutions = Vec::new();
    for arch in archs {
        let base = bases.get(arch);
        let mut wanted = wanted.clone();
        if let Some(base) = base {
            let records: Vec<PackageRecord> = base.records().cloned().collect();
            let location: Location = BASE_LOCATION.parse()?;
            repositories.add(*arch, location, records);
            wanted.extend(base.world());
        }
        let mut resolution = resolve_keeping(repositories, wanted, *arch, &|name| keep(*arch, name))?;
        let is_new = |name: &str| base.is_none_or(|base| !base.has(name));
        resolution.packages.retain(|package| is_new(&package.record.name));
        resolutions.push(resolution);
    }
    Ok(resolutions)
}

/// Resolves, and asks for the versions to be kept of what was chosen, until nothing else is chosen. What is not chosen
/// is not asked for, so that packages nobody needs any more go.
fn resolve_keeping(
    repositories: &Repositories,
    mut wanted: Vec<String>,
    arch: Arch,
    keep: &dyn Fn(&str) -> Option<String>,
) -> Result<Resolution, ResolveError> {
    loop {
        let resolution = repositories
            .resolve(&wanted, &[arch], false)?
            .pop()
            .ok_or(ResolveError::NoArchitecture)?;
        let moved = resolution.packages.iter().filter_map(|package| {
            let record = &package.record;
            let version = keep(&record.name).filter(|version| *version != record.version)?;
            Some(format!("{}={version}", record.name))
        });
        let moved: Vec<String> = moved.filter(|entry| !wanted.contains(entry)).collect();
        if moved.is_empty() {
            return Ok(resolution);
        }
        wanted.extend(moved);
    }
}

/// What conflicts call the repository of a base image's packages.
const BASE_LOCATION: &str = "(base-image)";

fn at_versions(
    configuration: &ImageConfiguration,
    additions: &Additions,
    resolution: &Resolution,
) -> ImageConfiguration {
    let packages = resolution.packages.iter().map(|package| {
        let record = &package.record;
        format!("{}={}", record.name, record.version)
    });
    configuration.locked(additions, resolution.arch, packages.collect())
}
