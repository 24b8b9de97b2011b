//! Builds OCI images out of apk packages, running none of their scripts: the same inputs give the same bytes.
//!
//! [`build`] does it all. Each of its stages is a function with plain data in and out: [`config::load`] reads a
//! configuration, [`Repositories::open`] the keys and indexes, [`Repositories::resolve`] chooses packages,
//! [`lock_configurations`] writes them down as exact versions, [`fetch`] verifies the package files, [`install`]
//! makes the file tree, [`write_layers`] the layers. [`lock`] and [`DependencyGraph`] answer questions about a
//! configuration; [`rootfs`] makes a file tree alone, [`write_cpio`] an archive of it; [`environment`] and
//! [`lay_down`] put a file tree on disk for programs to run in.
//!
//! The layers, configurations and SBOMs have the bytes of the Go apko (compressed blobs aside). Repositories are
//! directories on disk for now. The crate reads no environment variable, knows no terminal, and pushes nothing
//! anywhere.
//!
//! ```
//! use apko::{Additions, InstallRequest, Policy, Repositories, Store, config};
//! use apk_types::Arch;
//! use oci_image::Compression;
//! # let repository = testkit::Repository::new("x86_64");
//! # repository.publish(&[testkit::Package::new("hello", "1.0-r0").file("usr/bin/hello", 0o755, "#!/bin/sh\n")]);
//! # let (location, key) = (repository.location(), repository.key());
//! // `location` is a directory with packages and a signed index, `key` the path of the public key.
//! let configuration = config::parse("contents: {packages: [hello]}")?;
//! let additions = Additions { repositories: vec![location], keys: vec![key], ..Additions::default() };
//! let archs = [Arch::X86_64];
//!
//! let repositories = Repositories::open(&configuration, &additions, &archs, &Policy::default())?;
//! let world = apko::world(&configuration, &additions);
//! let resolution = &repositories.resolve(&world, &archs, true)?[0];
//! assert_eq!(resolution.packages[0].record.version, "1.0-r0");
//!
//! let spool = tempfile::tempdir()?;
//! let store = Store::at(spool.path());
//! let packages = apko::fetch(resolution, &Policy::default(), &store)?;
//! let request = InstallRequest {
//!     configuration: &configuration,
//!     arch: Arch::X86_64,
//!     repositories: &repositories,
//!     world: &world,
//!     below: &[],
//!     listed_repositories: &additions.repositories,
//!     source_date_epoch: None,
//!     build_date: 0,
//! };
//! let root = apko::install(&request, packages)?;
//! assert_eq!(&root.tree.read("usr/bin/hello")?[..], b"#!/bin/sh\n");
//!
//! let layers = apko::write_layers(&root, Arch::X86_64, Compression::default(), &store, spool.path())?;
//! println!("diff ID {}", layers[0].0.diff_id);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base;
mod build;
pub mod config;
mod cpio;
mod diff;
mod dot;
mod guest;
mod install;
mod libc;
mod local_files;
mod lock;
mod phase;
mod plan;
mod resolve;
mod rootfs;
mod sbom;
mod store;
mod unify;
mod vcs;

pub use base::{Base, BaseError};
pub use build::{BuildError, BuildRequest, Built, Event, build, write_layers};
pub use cpio::write_cpio;
pub use diff::{Change, Contents, Diff, FileState};
pub use dot::DependencyGraph;
pub use guest::{
    Environment, EnvironmentPlan, LayDownError, environment, lay_down, lay_down_over, plan_environment,
    plan_environment_from,
};
pub use install::{FetchedPackage, InstallRequest, InstallationError, Root, Skipped, fetch, install};
pub use libc::{Libc, LibcClash, libc_clashes};
pub use lock::{
    Keep, LockError, LockRequest, LockedConfig, LockedContents, LockedKey, LockedPackage, LockedRepository,
    LockedSection, Lockfile, Misfit, lock,
};
pub use phase::Phase;
pub use resolve::{
    Additions, Policy, Repositories, Resolution, ResolveError, ResolvedPackage, lock_configurations, world,
};
pub use rootfs::{RootfsRequest, rootfs};
pub use sbom::{SbomError, SbomFile, SbomFormat, sbom_of_image};
pub use store::{FetchError, Store};
pub use unify::{Disagreement, Locked, Resolved, unify};
pub use vcs::{head_commit, vcs_url};
