//! From packages to the file tree of an image.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use apk_rootfs::accounts::{self, AccountsError, PasswdEntry};
use apk_rootfs::certificates::{self, Certificate, CertificateError};
use apk_rootfs::installed_db::InstalledPackage;
use apk_rootfs::keyring::{self, Key, KeyringError};
use apk_rootfs::paths::{self, Action, Mutation, MutationError};
use apk_rootfs::{
    Fault, InstallError, Installation, Installed, Package, Tree, TreeError, busybox, devices, ldso, services,
};
use apk_types::{Arch, PackageRecord};
use package_store::{StoreError, StoredPackage};
use spdx_sbom::PackageSbomError;
use tarball::Entry;

use crate::config::{ImageConfiguration, NamedText, PathMutation};
use crate::local_files;
use crate::resolve::{Policy, Repositories, Resolution, sorted};
use crate::store::{FetchError, Store};

/// A package that was fetched and verified.
#[derive(Clone, Debug)]
pub struct FetchedPackage {
    /// What its own `.PKGINFO` says, with its checksum and size.
    pub record: PackageRecord,
    /// Its contents.
    pub contents: StoredPackage,
}

/// A package and what of it does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The package, `NAME-VERSION`.
    pub package: String,
    /// Its scripts: `pre-install`, `post-install`, `trigger` and so on.
    pub scripts: Vec<String>,
}

impl Skipped {
    /// What of a package would run in an installation by apk itself, `None` where there is nothing.
    pub(crate) fn of(package: &FetchedPackage) -> Option<Self> {
        // What runs when a package is upgraded or removed does not run in an installation.
        const SCRIPTS: [&str; 3] = ["pre-install", "post-install", "trigger"];
        let name = |entry: &Entry| entry.header.path.strip_prefix('.').map(str::to_owned);
        let mut scripts: Vec<String> = package.contents.control.iter().filter_map(name).collect();
        scripts.retain(|script| SCRIPTS.contains(&script.as_str()));
        let record = &package.record;
        (!scripts.is_empty()).then(|| Self {
            package: format!("{}-{}", record.name, record.version),
            scripts,
        })
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.package, self.scripts.join(", "))
    }
}

/// An image's file tree, complete.
#[derive(Debug)]
pub struct Root {
    /// The tree.
    pub tree: Tree,
    /// What is installed in it, in the order of installation.
    pub packages: Vec<Installed>,
    /// The time of the image in seconds since 1970.
    pub created: i64,
    /// The time of what no package brought, in seconds since 1970.
    pub default_time: i64,
    /// The configuration it was made by, `run-as` as a number.
    pub configuration: ImageConfiguration,
}

/// Why a file tree could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallationError {
    /// What is kept of a package cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A package does not go into the tree.
    #[error(transparent)]
    Package(#[from] InstallError),
    /// The accounts cannot be written.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// A key for run time cannot be added.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A certificate cannot be added.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A path of the configuration cannot be made.
    #[error(transparent)]
    Path(#[from] MutationError),
    /// A file that every image has cannot be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The image is to run as a user that it does not have.
    #[error("`run-as: {0}`: the image has no user of that name")]
    RunAs(String),
    /// The configuration's own files cannot be described.
    #[error(transparent)]
    LocalFiles(#[from] PackageSbomError),
    /// A time is out of range.
    #[error("{0} seconds since 1970 is not a time that an image can have")]
    Time(i64),
    /// The configuration cannot be written as JSON.
    #[error("/etc/apko.json: {0}")]
    Json(#[from] serde_json::Error),
}

impl InstallationError {
    /// The file of the store that turned out to be damaged.
    pub(crate) fn damaged(&self) -> Option<&Path> {
        let fault = match self {
            Self::Tree(error)
            | Self::Accounts(AccountsError::Tree(error))
            | Self::Certificate(CertificateError::Tree(error))
            | Self::Package(InstallError::DoesNotFit { source: error, .. } | InstallError::Database(error)) => {
                &error.fault
            }
            Self::Store(StoreError::Damaged { path, .. }) => return Some(path),
            _ => return None,
        };
        match fault {
            Fault::Unreadable(error) => Some(error.path()),
            _ => None,
        }
    }
}

/// Fetches and verifies packages, several at a time. The order is kept; of several errors the first in that order
/// is returned, and what is not under way by then is not fetched any more.
pub fn fetch(
    resolution: &Resolution,
    policy: &Policy,
    store: &Store,
) -> Result<Vec<FetchedPackage>, FetchError> {
    let packages = &resolution.packages;
    // The largest first: who comes last shall not be waited for long.
    let mut order: Vec<usize> = (0..packages.len()).collect();
    order.sort_by_key(|index| Reverse(packages[*index].record.size));
    let next = AtomicUsize::new(0);
    let fetched = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some(index) = order.get(turn) else { break };
            let result = store.fetch(&packages[*index], resolution.arch, policy);
            if result.is_err() {
                next.store(packages.len(), Ordering::Relaxed);
            }
            fetched
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(*index, result);
        }
    };
    // Who waits for a server needs no processor.
    let is_remote = packages.iter().any(|package| package.location.local().is_none());
    let downloads = if is_remote {
        policy.client.options().http.parallel
    } else {
        1
    };
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .max(downloads)
        .min(packages.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    fetched
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_values()
        .collect()
}

/// What [`install`] needs to know beside the packages.
#[derive(Clone, Debug)]
pub struct InstallRequest<'a> {
    /// The configuration of this architecture, locked.
    pub configuration: &'a ImageConfiguration,
    /// The architecture.
    pub arch: Arch,
    /// The repositories, for their keys.
    pub repositories: &'a Repositories,
    /// The world to write down, and the repositories that the image lists.
    pub world: &'a [String],
    /// What is installed in lower layers.
    pub below: &'a [Installed],
    /// Repositories from the command line that the image lists too.
    pub listed_repositories: &'a Vec<String>,
    /// The time of the image, whatever is in it, in seconds since 1970.
    pub source_date_epoch: Option<i64>,
    /// The time of the image unless a package is newer.
    pub build_date: i64,
}

/// Makes an image's file tree: packages, accounts, paths, links, caches and the database, in the order of the Go
/// apko. Packages are let go of one after the other.
pub fn install(
    request: &InstallRequest<'_>,
    packages: impl IntoIterator<Item = FetchedPackage>,
) -> Result<Root, InstallationError> {
    let mut configuration = request.configuration.clone();
    let mut tree = Tree::new();
    apk_rootfs::initialize(&mut tree, request.arch)?;
    for (name, pem) in request.repositories.keys(request.arch) {
        tree.write_file(&format!("etc/apk/keys/{name}"), pem.to_owned(), 0o644)?;
    }
    let has_files = configuration.paths.iter().any(|path| path.file.is_some());
    let world: Vec<&str> = request
        .world
        .iter()
        .map(String::as_str)
        .chain(has_files.then_some(local_files::NAME))
        .collect();
    apk_rootfs::write_world(&mut tree, &world)?;

    let (mut tree, packages, created) = install_packages(tree, request, packages)?;
    let records: Vec<&InstalledPackage> = request
        .below
        .iter()
        .chain(&packages)
        .map(|one| &one.package)
        .collect();
    let merged_usr = |one: &&InstalledPackage| {
        one.record
            .provides
            .iter()
            .any(|name| name.as_str() == "merged-lib")
    };
    apk_rootfs::link_database(&mut tree, records.iter().any(merged_usr))?;

    // The accounts of a base image are in its own layers, and none can be added to them.
    if configuration.contents.baseimage.is_none() {
        let users = add_accounts(&mut tree, &configuration)?;
        configuration.accounts.run_as = run_as(&configuration.accounts.run_as, &users)?;
    }
    let mut json = go_json::to_vec(&configuration)?;
    json.push(b'\n');
    tree.write_file("etc/apko.json", json, 0o444)?;
    tree.chmod("etc/apko.json", 0o444)?;
    paths::mutate(
        &mut tree,
        &configuration.paths.iter().map(mutation).collect::<Vec<_>>(),
    )?;
    add_trust(&mut tree, &configuration, &records, created)?;
    services::add(&mut tree, &configuration.entrypoint.services)?;
    busybox::link(&mut tree, &records)?;
    devices::add(&mut tree)?;
    ldso::update(&mut tree)?;

    let contents = &configuration.contents;
    let listed = sorted([
        &contents.repositories,
        &contents.runtime_repositories,
        request.listed_repositories,
    ]);
    apk_rootfs::write_repositories(&mut tree, &listed)?;
    Ok(Root {
        tree,
        packages,
        created,
        default_time: request.source_date_epoch.unwrap_or(request.build_date),
        configuration,
    })
}

/// The time of the image: that of its newest package, unless another one is asked for.
fn created<'r>(request: &'r InstallRequest<'_>, installed: impl Iterator<Item = &'r PackageRecord>) -> i64 {
    let below = request.below.iter().map(|one| &one.package.record);
    let newest = below
        .chain(installed)
        .filter_map(|record| record.build_time)
        .max();
    request
        .source_date_epoch
        .unwrap_or(request.build_date.max(newest.unwrap_or(i64::MIN)))
}

/// Installs the packages, and the configuration's own files as one; the tree, what is installed, and the time of the image.
fn install_packages(
    tree: Tree,
    request: &InstallRequest<'_>,
    packages: impl IntoIterator<Item = FetchedPackage>,
) -> Result<(Tree, Vec<Installed>, i64), InstallationError> {
    let default_time = request.source_date_epoch.unwrap_or(request.build_date);
    let mut installation = Installation::new(tree);
    for package in packages {
        // The database has all that a package watches on one line.
        let triggers = &package.contents.info.triggers;
        let triggers = (!triggers.is_empty()).then(|| triggers.join(" "));
        let package = Package {
            record: &package.record,
            control: &package.contents.control,
            data: &package.contents.data()?,
            triggers: triggers.as_slice(),
        };
        installation.install(&package, default_time)?;
    }
    let created = created(request, installation.records());
    let times = local_files::Times {
        created,
        files: default_time,
    };
    let own = (request.configuration, request.arch);
    local_files::install(&mut installation, own, &times)?;
    let (tree, installed) = installation.finish(request.below)?;
    Ok((tree, installed, created))
}

/// Adds the certificates and run-time keys of the configuration, and the checksums of the bundles.
fn add_trust(
    tree: &mut Tree,
    configuration: &ImageConfiguration,
    packages: &[&InstalledPackage],
    time: i64,
) -> Result<(), InstallationError> {
    if let Some(wanted) = &configuration.certificates {
        let certificate = |entry: &NamedText| Certificate {
            name: entry.name.clone(),
            pem: entry.content.clone(),
        };
        let additional: Vec<Certificate> = wanted.additional.iter().map(certificate).collect();
        certificates::add(tree, &additional, &wanted.providers, packages, time)?;
    }
    certificates::write_checksums(tree, time)?;
    let key = |entry: &NamedText| Key {
        name: entry.name.clone(),
        content: entry.content.clone().into_bytes(),
    };
    let keys: Vec<Key> = configuration.contents.runtime_keyring.iter().map(key).collect();
    Ok(keyring::add(tree, &keys, time)?)
}

fn add_accounts(
    tree: &mut Tree,
    configuration: &ImageConfiguration,
) -> Result<Vec<PasswdEntry>, AccountsError> {
    let groups: Vec<accounts::Group> = configuration
        .accounts
        .groups
        .iter()
        .map(|group| accounts::Group {
            name: group.name.clone(),
            gid: group.gid,
            members: group.members.clone(),
        })
        .collect();
    let users: Vec<accounts::User> = configuration
        .accounts
        .users
        .iter()
        .map(|user| accounts::User {
            name: user.name.clone(),
            uid: user.uid,
            gid: user.gid,
            shell: user.shell.clone(),
            home: user.home.clone(),
        })
        .collect();
    accounts::add(tree, &groups, &users)
}

/// The number of the user that containers run as; numbers, and what stands behind a `:`, stay as they are.
fn run_as(wanted: &str, users: &[PasswdEntry]) -> Result<String, InstallationError> {
    let name = wanted.split(':').next().unwrap_or_default();
    match users.iter().find(|user| user.name == wanted) {
        Some(user) => Ok(user.uid.to_string()),
        None if name.bytes().all(|byte| byte.is_ascii_digit()) => Ok(wanted.to_owned()),
        None if users.iter().any(|user| user.name == name) => Ok(wanted.to_owned()),
        None => Err(InstallationError::RunAs(wanted.to_owned())),
    }
}

fn mutation(mutation: &PathMutation) -> Mutation {
    let source = || mutation.source.clone();
    Mutation {
        action: match mutation.kind.as_str() {
            "directory" => Action::Directory,
            "empty-file" => Action::EmptyFile,
            "hardlink" => Action::Hardlink { source: source() },
            "symlink" => Action::Symlink { source: source() },
            // Files are there by now. Validation has refused all other types.
            _ => Action::Permissions,
        },
        path: mutation.path.clone(),
        mode: match mutation.file {
            Some(_) => local_files::mode(mutation.permissions),
            None => mutation.permissions,
        },
        uid: mutation.uid,
        gid: mutation.gid,
        recursive: mutation.recursive,
    }
}
