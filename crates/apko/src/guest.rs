//! A file tree on disk, for programs that shall run in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, OpenOptions, Permissions};
use std::io::ErrorKind::{InvalidInput, PermissionDenied};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use apk_repository::Location;
use apk_rootfs::{Member, Tree};
use apk_types::Arch;
use file_content::Content;
use tarball::{Entry, Kind};

use crate::build::BuildError;
use crate::config::ImageConfiguration;
use crate::install::{FetchedPackage, InstallRequest, Root, fetch, install};
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

    /// What of it comes from elsewhere than one place, with nothing of the configuration: the same for all environments that
    /// differ in what comes from there. `None` where nothing does, or all.
    pub fn without(&self, place: &Location) -> Option<Self> {
        let mut resolution = self.resolution.clone();
        resolution.packages.retain(|package| package.location != *place);
        let is_part = (1..self.resolution.packages.len()).contains(&resolution.packages.len());
        is_part.then(|| Self {
            locked: ImageConfiguration::default(),
            repositories: self.repositories.clone(),
            listed_repositories: Vec::new(),
            world: Vec::new(),
            resolution,
        })
    }

    /// Fetches and installs the packages.
    pub fn install(&self, policy: &Policy, store: &Store) -> Result<Root, BuildError> {
        self.install_fetched(fetch(&self.resolution, policy, store)?)
    }

    /// Fetches and installs the packages, and beside them those of [`EnvironmentPlan::without`].
    pub fn install_beside(
        &self,
        below: &Self,
        policy: &Policy,
        store: &Store,
    ) -> Result<(Root, Root), BuildError> {
        let packages = fetch(&self.resolution, policy, store)?;
        let is_below = |package: &&FetchedPackage| {
            let mut listed = below.resolution.packages.iter();
            listed.any(|other| other.record.name == package.record.name)
        };
        let own: Vec<FetchedPackage> = packages.iter().filter(is_below).cloned().collect();
        Ok((self.install_fetched(packages)?, below.install_fetched(own)?))
    }

    fn install_fetched(&self, packages: Vec<FetchedPackage>) -> Result<Root, BuildError> {
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
        Ok(install(&request, packages)?)
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
    lay_down_members(tree.walk(), directory)
}

/// Writes what a tree has and another has not, or has otherwise, into an empty directory: an overlay of that one over the
/// other is the tree. Returns whether that can be; it cannot where the other has a path that the tree has not, and nothing
/// is written then.
pub fn lay_down_over(tree: &Tree, below: &Tree, directory: &Path) -> Result<bool, LayDownError> {
    let members = |tree: &Tree| -> BTreeMap<String, Member> {
        let members = tree.walk();
        members
            .map(|member| (member.entry.header.path.clone(), member))
            .collect()
    };
    let (all, below) = (members(tree), members(below));
    if below.keys().any(|path| !all.contains_key(path)) {
        return Ok(false);
    }
    let mut wanted: HashSet<&str> = HashSet::new();
    for (path, member) in &all {
        if below.get(path).is_none_or(|other| !is_same(member, other)) {
            wanted.insert(path);
        }
    }
    // The names of a file stay together: an overlay would make two files of them.
    let links = || {
        all.values()
            .filter(|member| member.entry.header.kind == Kind::Hardlink)
    };
    loop {
        let before = wanted.len();
        for Member { entry, .. } in links() {
            let names = [entry.header.path.as_str(), entry.header.link.as_str()];
            if names.iter().any(|name| wanted.contains(name)) {
                wanted.extend(names);
            }
        }
        if wanted.len() == before {
            break;
        }
    }
    let parents: Vec<&str> = wanted.iter().flat_map(|path| ancestors(path)).collect();
    wanted.extend(parents);
    let written = tree
        .walk()
        .filter(|member| wanted.contains(member.entry.header.path.as_str()));
    lay_down_members(written, directory)?;
    Ok(true)
}

/// The directories above a path.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// Whether two members come out the same on disk.
fn is_same(one: &Member, other: &Member) -> bool {
    let seen = |member: &Member| {
        let header = &member.entry.header;
        (
            header.kind,
            header.mode,
            header.uid,
            header.gid,
            header.link.clone(),
        )
    };
    seen(one) == seen(other) && one.entry.content == other.entry.content
}

fn lay_down_members(members: impl Iterator<Item = Member>, directory: &Path) -> Result<(), LayDownError> {
    let is_root = rustix::process::geteuid().is_root();
    // Directories get their modes at the end: one without the right to write would keep its files out.
    let mut directories = Vec::new();
    let mut files: HashMap<String, PathBuf> = HashMap::new();
    for member in members {
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
    use std::os::unix::fs::MetadataExt as _;

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

    /// Everything below a directory as a guest sees it.
    fn seen(directory: &Path) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![directory.to_owned()];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(&at).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let mode = metadata.permissions().mode();
                let content = match metadata.file_type() {
                    kind if kind.is_dir() => {
                        open.push(path.clone());
                        String::new()
                    }
                    kind if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
                    _ => fs::read_to_string(&path).unwrap() + &format!(" {} names", metadata.nlink()),
                };
                let name = path.strip_prefix(directory).unwrap().to_owned();
                found.insert(name, format!("{mode:o} {content}"));
            }
        }
        found
    }

    /// What an overlay shows: directories that both have are one, all else is as it is above.
    fn merged(above: &Path, below: &Path) -> BTreeMap<PathBuf, String> {
        let (above, mut all) = (seen(above), seen(below));
        let is_directory = |text: &str| text.starts_with('4');
        for (path, text) in &above {
            let was_directory = all.get(path).is_some_and(|other| is_directory(other));
            if was_directory && !is_directory(text) {
                all.retain(|other, _| !other.starts_with(path));
            }
        }
        all.extend(above);
        all
    }

    #[test]
    fn a_tree_over_another_is_the_one_that_is_laid_down_at_once() {
        let mut below = Tree::new();
        below.mkdir_all("usr/bin", 0o755).unwrap();
        below.mkdir_all("usr/share/doc", 0o755).unwrap();
        below.mkdir_all("etc/apk", 0o755).unwrap();
        below.write_file("usr/bin/cc", "compiler", 0o755).unwrap();
        below.write_file("usr/bin/ld", "linker", 0o755).unwrap();
        below.write_file("etc/apk/world", "", 0o644).unwrap();
        below.symlink("ld", "usr/bin/linker").unwrap();
        let mut tree = below.clone();
        tree.write_file("etc/apk/world", "cc\n", 0o644).unwrap();
        tree.write_file("usr/bin/ld", "linker", 0o700).unwrap();
        tree.mkdir_all("usr/lib/new", 0o711).unwrap();
        tree.write_file("usr/lib/new/file", "new", 0o4755).unwrap();
        tree.chmod("usr/share", 0o750).unwrap();

        let [whole, under, over] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        lay_down(&tree, whole.path()).unwrap();
        lay_down(&below, under.path()).unwrap();
        assert!(lay_down_over(&tree, &below, over.path()).unwrap());

        assert_eq!(merged(over.path(), under.path()), seen(whole.path()));
        let small: Vec<PathBuf> = seen(over.path()).into_keys().collect();
        assert!(small.contains(&"usr/lib/new/file".into()), "{small:?}");
        assert!(!small.contains(&"usr/bin/cc".into()), "{small:?}");
    }

    #[test]
    fn a_tree_that_lacks_something_cannot_lie_over_the_one_that_has_it() {
        let mut below = Tree::new();
        below.write_file("gone", "", 0o644).unwrap();
        let over = tempfile::tempdir().unwrap();
        assert!(!lay_down_over(&Tree::new(), &below, over.path()).unwrap());
        assert!(seen(over.path()).is_empty());
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
