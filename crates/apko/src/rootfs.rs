//! A file tree of one architecture without an image around it.

use apk_types::Arch;

use crate::build::BuildError;
use crate::config::ImageConfiguration;
use crate::install::{InstallRequest, Root, fetch, install};
use crate::resolve::{Additions, Policy, Repositories, ResolveError, world};
use crate::store::Store;

/// What tree to make.
#[derive(Clone, Debug)]
pub struct RootfsRequest<'a> {
    /// The configuration; its layering and format do not matter, a base image is refused.
    pub configuration: &'a ImageConfiguration,
    /// What the command line adds.
    pub additions: &'a Additions,
    /// The architecture.
    pub arch: Arch,
    /// How careful to be.
    pub policy: &'a Policy,
    /// The time of what no package brings, in seconds since 1970, whatever is in the tree.
    pub source_date_epoch: Option<i64>,
    /// The same unless a package is newer.
    pub build_date: i64,
    /// Where packages are kept once they were verified.
    pub store: &'a Store,
}

/// Resolves, fetches and installs the packages of a configuration, which stays as it is written: unlike
/// [`build`](crate::build()), the tree says what was asked for and not which versions that gave.
pub fn rootfs(request: &RootfsRequest<'_>) -> Result<Root, BuildError> {
    if request.configuration.contents.baseimage.is_some() {
        return Err(BuildError::Unsupported("contents.baseimage"));
    }
    let arch = request.arch;
    let repositories = Repositories::open(request.configuration, request.additions, &[arch], request.policy)?;
    let configuration = request.configuration.clone().with_service_bundle();
    let world = world(&configuration, request.additions);
    let resolution = repositories
        .resolve(&world, &[arch], false)?
        .pop()
        .ok_or(ResolveError::NoArchitecture)?;
    let packages = fetch(&resolution, request.policy, request.store)?;
    let install_request = InstallRequest {
        configuration: &configuration,
        arch,
        repositories: &repositories,
        world: &world,
        below: &[],
        listed_repositories: &request.additions.repositories,
        source_date_epoch: request.source_date_epoch,
        build_date: request.build_date,
    };
    Ok(install(&install_request, packages)?)
}
