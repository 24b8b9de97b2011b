//! A file tree on disk, for programs that shall run in it.

use std::collections::HashMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::ErrorKind::{InvalidInput, PermissionDenied};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use apk_rootfs::Tree;
use apk_types::Arch;
use file_content::Content;
use tarball::{Entry, Kind};

use crate::build::BuildError;
use crate::config::ImageConfiguration;
use crate::install::{InstallRequest, Root, fetch, install};
use crate::resolve::{Additions, Policy, Repositories, Resolution, ResolveError, lock_configurations, world};
use crate::store::Store;

/// A build environment: resolved, locked, installed, not yet on disk.
#[derive(Debug)]
pub struct Environment {
    /// The configuration with its packages at exact versions, repositories and keys complete.
    pub locked: ImageConfiguration,
    /// The file tree and what is installed in it.
    pub root: Root,
}

/// Why a tree could not be laid down.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct LayDownError {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// A build environment whose packages are chosen, but neither fetched nor installed.
#[derive(Debug)]
pub struct EnvironmentPlan {
    /// The configuration with its packages at exact versions, repositories and keys complete.
    pub locked: ImageConfiguration,
    repositories: Repositories,
    listed_repositories: Vec<String>,
    world: Vec<String>,
    resolution: Resolution,
}

/// Resolves the packages of a build environment, as the Go melange has apko do it: locked to exact versions first,
/// then chosen from those.
pub fn plan_environment(
    configuration: &ImageConfiguration,
    additions: &Additions,
    arch: Arch,
    policy: &Policy,
) -> Result<EnvironmentPlan, BuildError> {
    let repositories = Repositories::open(configuration, additions, &[arch], policy)?;
    plan_environment_from(configuration, additions, arch, repositories)
}

/// As [`plan_environment`], with repositories that were opened before.
pub fn plan_environment_from(
    configuration: &ImageConfiguration,
    additions: &Additions,
    arch: Arch,
    repositories: Repositories,
) -> Result<EnvironmentPlan, BuildError> {
    let locked = lock_configurations(configuration, additions, &[arch], &repositories)?
        .remove(&arch)
        .unwrap_or_default();
    let world = world(&locked, additions);
    let resolution = repositories
        .resolve(&world, &[arch], false)?
        .pop()
        .ok_or(ResolveError::NoArchitecture)?;
    Ok(EnvironmentPlan {
        locked,
        repositories,
        listed_repositories: additions.repositories.clone(),
        world,
        resolution,
    })
}

impl EnvironmentPlan {
    /// A name for the tree that [`EnvironmentPlan::install`] makes: hexadecimal digits that are others as soon as
    /// anything differs that the tree is made of. Owners are set by root alone, so it counts who asks, too.
    pub fn key(&self) -> String {
        let mut hash = blake3::Hasher::new();
        let is_root = rustix::process::geteuid().is_root();
        let Self {
            locked,
            listed_repositories,
            world,
            resolution,
            repositories,
        } = self;
        let keys = repositories.keys(resolution.arch);
        let version = env!("CARGO_PKG_VERSION");
        let parts = format!(
            "{version} {is_root} {:?} {locked:?} {listed_repositories:?} {world:?} {keys:?}",
            resolution.arch
        );
        hash.update(parts.as_bytes());
        for package in &resolution.packages {
            hash.update(format!("{:?}", package.record).as_bytes());
        }
        hash.finalize().to_hex()[..32].to_owned()
    }

    /// Fetches and installs the packages.
    pub fn install(&self, policy: &Policy, store: &Store) -> Result<Root, BuildError> {
        let packages = fetch(&self.resolution, policy, store)?;
        let request = InstallRequest {
            configuration: &self.locked,
            arch: self.resolution.arch,
            repositories: &self.repositories,
            world: &self.world,
            below: &[],
            listed_repositories: &self.listed_repositories,
            source_date_epoch: None,
            build_date: 0,
        };
        Ok(install(&request, &packages)?)
    }
}

/// Resolves and installs the packages of a build environment: [`plan_environment`], then
/// [`EnvironmentPlan::install`].
pub fn environment(
    configuration: &ImageConfiguration,
    additions: &Additions,
    arch: Arch,
    policy: &Policy,
    store: &Store,
) -> Result<Environment, BuildError> {
    let plan = plan_environment(configuration, additions, arch, policy)?;
    let root = plan.install(policy, store)?;
    let locked = plan.locked;
    Ok(Environment { locked, root })
}

/// Writes a tree into an empty directory. Owners are set where the process is root and may do so; devices are left out, since
/// sandboxes bring their own.
///
/// A tree's paths lead through its own directories only, and those are made here: nothing is written elsewhere.
pub fn lay_down(tree: &Tree, directory: &Path) -> Result<(), LayDownError> {
    let is_root = rustix::process::geteuid().is_root();
    // Directories get their modes at the end: one without the right to write would keep its files out.
    let mut directories = Vec::new();
    let mut files: HashMap<String, PathBuf> = HashMap::new();
    for member in tree.walk() {
        let header = &member.entry.header;
        let path = directory.join(&header.path);
        let at = |source| LayDownError {
            path: path.clone(),
            source,
        };
        match header.kind {
            Kind::Directory => {
                fs::create_dir(&path).map_err(at)?;
                directories.push((path.clone(), header.mode));
            }
            Kind::Regular => {
                write_file(&path, &member.entry).map_err(at)?;
                files.insert(header.path.clone(), path.clone());
            }
            Kind::Symlink => std::os::unix::fs::symlink(&header.link, &path).map_err(at)?,
            Kind::Hardlink => {
                let target = files
                    .get(&header.link)
                    .cloned()
                    .unwrap_or_else(|| directory.join(&header.link));
                fs::hard_link(target, &path).map_err(at)?;
            }
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => continue,
        }
        if is_root && header.kind != Kind::Hardlink && (header.uid, header.gid) != (0, 0) {
            match std::os::unix::fs::lchown(&path, Some(header.uid), Some(header.gid)) {
                // Changing the owner takes setuid and setgid away.
                Ok(()) if header.kind == Kind::Regular => {
                    fs::set_permissions(&path, Permissions::from_mode(header.mode)).map_err(at)?;
                }
                Ok(()) => {}
                // The root of a container may lack this number, or the right: then it is like anybody else.
                Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied) => {}
                Err(error) => return Err(at(error)),
            }
        }
    }
    for (path, mode) in directories.into_iter().rev() {
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(|source| LayDownError { path, source })?;
    }
    Ok(())
}

fn write_file(path: &Path, entry: &Entry<Content>) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    entry.content.chunks(|chunk| file.write_all(&chunk))?;
    file.set_permissions(Permissions::from_mode(entry.header.mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_lies_on_disk_as_it_is() {
        let mut tree = Tree::new();
        tree.mkdir_all("usr/bin", 0o755).unwrap();
        tree.mkdir("closed", 0o555).unwrap();
        tree.write_file("closed/file", "content", 0o640).unwrap();
        tree.write_file("usr/bin/suid", "x", 0o4755).unwrap();
        tree.symlink("/etc/passwd", "usr/bin/out").unwrap();
        tree.char_device("null", 0o666, (1, 3)).unwrap();
        let directory = tempfile::tempdir().unwrap();

        lay_down(&tree, directory.path()).unwrap();

        let at = |path: &str| directory.path().join(path);
        let mode = |path: &str| at(path).symlink_metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(fs::read_to_string(at("closed/file")).unwrap(), "content");
        let modes = ["closed", "closed/file", "usr/bin/suid"].map(mode);
        assert_eq!(modes, [0o555, 0o640, 0o4755]);
        assert_eq!(
            fs::read_link(at("usr/bin/out")).unwrap(),
            Path::new("/etc/passwd")
        );
        assert!(!at("null").exists());
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let mut tree = Tree::new();
        tree.write_file("file", "", 0o644).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "mine").unwrap();
        let error = lay_down(&tree, directory.path()).unwrap_err();
        assert_eq!(error.path, directory.path().join("file"));
        assert_eq!(fs::read_to_string(error.path).unwrap(), "mine");
    }
}
