//! The files of one package where the build left them, with what the build adds.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use melange_analyze::{EntryKind, PackageTree, ReadSeek, TreeEntry};
use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Attributes that security modules and file systems keep for themselves.
const FOREIGN_ATTRIBUTES: [&str; 6] = [
    "com.apple.provenance",
    "com.docker.grpcfuse.ownership",
    "security.csm",
    "security.selinux",
    "trusted.SGI_ACL_DEFAULT",
    "trusted.SGI_ACL_FILE",
];

/// The directory in the workspace that packages grow in, each under its name.
pub const OUTPUT: &str = "melange-out";

/// Why a package's files cannot be taken.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum TreeError {
    #[error("reading `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the file name `{}` is not UTF-8", path.display())]
    Name { path: PathBuf },
    #[error("`{}` is a socket, which no package can hold", path.display())]
    Socket { path: PathBuf },
    #[error("the package has `{path}`, which is not a directory, where its SBOM must lie")]
    SbomPath { path: String },
}

/// What a tree entry has beside what analysers look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) device: Option<Device>,
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
}

/// A special file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// The files of one package in the workspace.
///
/// Directories keep their permission bits alone, files their setuid, setgid and sticky bits, too, as the Go melange
/// takes them. Files are opened without leaving the workspace, whatever links say.
pub struct DiskTree {
    workspace: OwnedFd,
    name: String,
    entries: Vec<TreeEntry>,
    extras: Vec<Extra>,
    places: HashMap<String, usize>,
    added: BTreeMap<String, Vec<u8>>,
}

impl DiskTree {
    /// Looks at all files of the package `name` in the workspace; a package without a directory is empty.
    pub fn read(workspace: &Path, name: &str) -> Result<Self, TreeError> {
        let io_error = |path: &Path| {
            let path = path.to_owned();
            |source| TreeError::Io { path, source }
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(workspace, flags, Mode::empty())
            .map_err(|error| io_error(workspace)(error.into()))?;
        let mut tree = Self {
            workspace: handle,
            name: name.to_owned(),
            entries: Vec::new(),
            extras: Vec::new(),
            places: HashMap::new(),
            added: BTreeMap::new(),
        };
        let root = workspace.join(OUTPUT).join(name);
        if root.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            tree.walk(&root, "")?;
        }
        tree.index();
        Ok(tree)
    }

    fn walk(&mut self, directory: &Path, prefix: &str) -> Result<(), TreeError> {
        let failed = |source| TreeError::Io {
            path: directory.to_owned(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.push(name.into_string().map_err(|name| TreeError::Name {
                path: directory.join(name),
            })?);
        }
        names.sort_unstable();
        for name in names {
            let on_disk = directory.join(&name);
            let path = format!("{prefix}{name}");
            let (entry, extra) = look(&on_disk, path.clone())?;
            let is_dir = entry.is_dir();
            self.entries.push(entry);
            self.extras.push(extra);
            if is_dir {
                self.walk(&on_disk, &format!("{path}/"))?;
            }
        }
        Ok(())
    }

    /// Adds a file that root owns, with the directories above it, or replaces the file at its path.
    pub(crate) fn add_file(&mut self, path: &str, content: Vec<u8>) -> Result<(), TreeError> {
        let directories = path.match_indices('/').map(|(end, _)| &path[..end]);
        for directory in directories {
            match self.entry(directory) {
                None => self.insert(directory, EntryKind::Directory, 0o755, 0),
                Some(entry) if entry.is_dir() => {}
                Some(_) => {
                    return Err(TreeError::SbomPath {
                        path: directory.to_owned(),
                    });
                }
            }
        }
        self.insert(path, EntryKind::File, 0o644, content.len() as u64);
        self.added.insert(path.to_owned(), content);
        Ok(())
    }

    fn insert(&mut self, path: &str, kind: EntryKind, mode: u32, size: u64) {
        let entry = TreeEntry {
            path: path.to_owned(),
            kind,
            mode,
            size,
        };
        let place = self
            .entries
            .binary_search_by(|other| other.path.split('/').cmp(path.split('/')));
        match place {
            Ok(place) => (self.entries[place], self.extras[place]) = (entry, Extra::default()),
            Err(place) => {
                self.entries.insert(place, entry);
                self.extras.insert(place, Extra::default());
                self.index();
            }
        }
    }

    fn index(&mut self) {
        let entries = self.entries.iter().enumerate();
        self.places = entries
            .map(|(place, entry)| (entry.path.clone(), place))
            .collect();
    }

    /// Sets an extended attribute of a file; false where there is no such file.
    pub(crate) fn set_attribute(&mut self, path: &str, name: &str, value: Vec<u8>) -> bool {
        let place = self.places.get(path).copied();
        let place = place.filter(|place| self.entries[*place].is_file());
        if let Some(place) = place {
            self.extras[place].attributes.insert(name.to_owned(), value);
        }
        place.is_some()
    }

    /// The entries with all that a data section says of them.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&TreeEntry, &Extra)> {
        self.entries.iter().zip(&self.extras)
    }
}

impl PackageTree for DiskTree {
    fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek + '_>> {
        if let Some(content) = self.added.get(path) {
            return Ok(Box::new(Cursor::new(content)));
        }
        let path = format!("{OUTPUT}/{}/{path}", self.name);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(
            &self.workspace,
            &path,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH,
        )?;
        let file = File::from(file);
        match file.metadata()?.is_file() {
            true => Ok(Box::new(file)),
            false => Err(io::Error::other("not a regular file")),
        }
    }

    fn entry(&self, path: &str) -> Option<&TreeEntry> {
        self.places.get(path).map(|place| &self.entries[*place])
    }
}

fn look(on_disk: &Path, path: String) -> Result<(TreeEntry, Extra), TreeError> {
    let failed = |source| TreeError::Io {
        path: on_disk.to_owned(),
        source,
    };
    let found = on_disk.symlink_metadata().map_err(failed)?;
    let kind = found.file_type();
    let number = || {
        let device = found.rdev();
        (rustix::fs::major(device), rustix::fs::minor(device))
    };
    let mut extra = Extra::default();
    let (kind, mode, size) = if kind.is_dir() {
        (EntryKind::Directory, found.mode() & 0o777, 0)
    } else if kind.is_symlink() {
        let target = fs::read_link(on_disk).map_err(failed)?.into_os_string();
        let target = target.into_string().map_err(|_| TreeError::Name {
            path: on_disk.to_owned(),
        })?;
        (EntryKind::Symlink(target), 0o777, 0)
    } else if kind.is_socket() {
        return Err(TreeError::Socket {
            path: on_disk.to_owned(),
        });
    } else {
        (extra.uid, extra.gid) = (found.uid(), found.gid());
        extra.device = match kind {
            _ if kind.is_char_device() => Some(Device::Character(number().0, number().1)),
            _ if kind.is_block_device() => Some(Device::Block(number().0, number().1)),
            _ if kind.is_fifo() => Some(Device::Fifo),
            _ => None,
        };
        let mode = found.mode() & 0o7777;
        match extra.device {
            Some(_) => (EntryKind::Other, mode, 0),
            None => {
                extra.attributes = attributes(on_disk);
                (EntryKind::File, mode, found.len())
            }
        }
    };
    let entry = TreeEntry {
        path,
        kind,
        mode,
        size,
    };
    Ok((entry, extra))
}

/// The extended attributes of a file; a file system that has none gives none.
fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut attributes = BTreeMap::new();
    let none: &mut [u8] = &mut [];
    let Ok(1..) = rustix::fs::llistxattr(path, none) else {
        return attributes;
    };
    // The kernel's limits: a list of names and a value are at most 64 KiB each.
    let mut names = vec![0; 64 * 1024];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names) else {
        return attributes;
    };
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let Ok(name) = str::from_utf8(name) else { continue };
        if FOREIGN_ATTRIBUTES.contains(&name) {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        if let Ok(length) = rustix::fs::lgetxattr(path, name, &mut value) {
            value.truncate(length);
            attributes.insert(name.to_owned(), value);
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn workspace() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join(OUTPUT).join("x");
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        (dir, root)
    }

    #[test]
    fn files_come_in_walk_order_with_the_modes_that_count() {
        let (dir, root) = workspace();
        fs::write(root.join("usr/bin/a"), "content").unwrap();
        fs::set_permissions(root.join("usr/bin/a"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::set_permissions(root.join("usr/bin"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(root.join("usr/bin-x"), "").unwrap();
        symlink("bin/a", root.join("usr/link")).unwrap();
        let tree = DiskTree::read(dir.path(), "x").unwrap();
        let found: Vec<_> = tree
            .entries()
            .iter()
            .map(|entry| (entry.path.as_str(), entry.mode))
            .collect();
        let plain = tree.entry("usr/bin-x").unwrap().mode;
        assert_eq!(
            found,
            [
                ("usr", 0o755),
                ("usr/bin", 0o777),
                ("usr/bin/a", 0o4755),
                ("usr/bin-x", plain),
                ("usr/link", 0o777)
            ]
        );
        let mut content = String::new();
        tree.open("usr/link")
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "content");
    }

    #[test]
    fn no_link_leads_out_of_the_workspace() {
        let (dir, root) = workspace();
        symlink("/etc/passwd", root.join("absolute")).unwrap();
        symlink("../../../../../../../../etc/passwd", root.join("relative")).unwrap();
        let tree = DiskTree::read(dir.path(), "x").unwrap();
        assert!(tree.open("absolute").is_err());
        assert!(tree.open("relative").is_err());
    }

    #[test]
    fn an_added_file_brings_its_directories_and_never_goes_through_a_link() {
        let (dir, root) = workspace();
        let mut tree = DiskTree::read(dir.path(), "x").unwrap();
        tree.add_file("usr/a/b", b"new".to_vec()).unwrap();
        let paths: Vec<_> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["usr", "usr/a", "usr/a/b", "usr/bin"]);
        assert!(!root.join("usr/a").exists());

        symlink("/", root.join("var")).unwrap();
        let mut tree = DiskTree::read(dir.path(), "x").unwrap();
        let error = tree.add_file("var/lib/x", Vec::new()).unwrap_err();
        assert!(matches!(error, TreeError::SbomPath { path } if path == "var"));
    }

    #[test]
    fn a_package_without_files_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert!(DiskTree::read(dir.path(), "x").unwrap().entries().is_empty());
    }
}
