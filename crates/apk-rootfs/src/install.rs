//! Packages into a tree: paths judged, conflicts and replacements decided, the database written.

use std::collections::{HashMap, HashSet};
use std::iter;

use apk_types::{Checksum, PackageRecord, Version};
use file_content::Content as FileContent;
use sha1::{Digest as _, Sha1};
use tarball::{Entry, Header, Kind, WriteError, Writer};

use crate::initialize::{SCRIPTS, TRIGGERS};
use crate::installed_db::{self, InstalledFile, InstalledPackage};
use crate::tree::{Content, Fault, Node, NodeId, PackageIndex, Source, Tree, TreeError, parts};

const CHECKSUM: &str = "APK-TOOLS.checksum.SHA1";
const XATTR: &str = "SCHILY.xattr.";

/// A package to install, its contents verified.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// What its `.PKGINFO` says, with the checksum of its control section and the size of its file.
    pub record: &'a PackageRecord,
    /// The members of its control section; executable ones go into `scripts.tar`.
    pub control: &'a [Entry],
    /// The members of its data section.
    pub data: &'a [Entry<FileContent>],
    /// The directories that its trigger watches, a line each.
    pub triggers: &'a [String],
}

/// Why a package could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A member has a path that no package may have.
    #[error("package {package}: refusing `{path}`: {reason}")]
    Refused {
        /// The package.
        package: String,
        /// The member's path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A member does not fit what is there.
    #[error("package {package}: cannot install `{path}`: {source}")]
    DoesNotFit {
        /// The package.
        package: String,
        /// The member's path.
        path: String,
        /// Why.
        source: TreeError,
    },
    /// A member does not fit what another package has at its path, such as a file where there is a directory.
    #[error(
        "package {package}: cannot install `{path}`: {source}, and package {first} has it too; leave one of the two out"
    )]
    Misfit {
        /// The package.
        package: String,
        /// A package installed before that has the path, or what leads to it.
        first: String,
        /// The member's path.
        path: String,
        /// Why.
        source: TreeError,
    },
    /// Two packages have different files at the same path, and neither may replace the other's.
    #[error(
        "packages {first} and {second} have different files at `{path}`, and neither replaces the other \
         nor have they the same origin; leave one of the two out, or build one of them with `replaces`"
    )]
    Conflict {
        /// The package installed before.
        first: String,
        /// The package that was to be installed.
        second: String,
        /// The path.
        path: String,
    },
    /// A package has another file where there is one that came from no package, such as a key.
    #[error("package {package} has another file at `{path}` than the one that was put there before it")]
    Occupied {
        /// The package.
        package: String,
        /// The path.
        path: String,
    },
    /// A member states a checksum that is none.
    #[error("package {package}: `{path}` has a malformed checksum")]
    BadChecksum {
        /// The package.
        package: String,
        /// The member's path.
        path: String,
    },
    /// A package has no name, so that the database could not hold it.
    #[error("a package without a name cannot be installed")]
    Unnamed,
    /// A script cannot be archived.
    #[error("package {package}: its script cannot be archived: {source}")]
    Script {
        /// The package.
        package: String,
        /// Why.
        source: WriteError,
    },
    /// The database could not be written.
    #[error(transparent)]
    Database(#[from] TreeError),
}

/// An installed package, and what was written of it into the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The package and its files.
    pub package: InstalledPackage,
    /// Its entry in the database; layers of their own get those of their packages.
    pub entry: String,
}

/// An installation under way: a tree that packages go into, in order.
#[derive(Debug)]
pub struct Installation {
    tree: Tree,
    packages: Vec<InstalledPackage>,
    /// Who owns the regular file at a path as packages spell it; the last one wins.
    owners: HashMap<String, PackageIndex>,
    scripts: Vec<u8>,
    triggers: String,
}

impl Installation {
    /// Starts in a tree that [`initialize`](crate::initialize) has prepared.
    pub fn new(tree: Tree) -> Self {
        Self {
            tree,
            packages: Vec::new(),
            owners: HashMap::new(),
            scripts: Vec::new(),
            triggers: String::new(),
        }
    }

    /// The tree as it is by now.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What is installed by now, in order.
    pub fn records(&self) -> impl Iterator<Item = &PackageRecord> {
        self.packages.iter().map(|package| &package.record)
    }

    /// Installs a package. `script_time` is the time of its scripts in `scripts.tar`, in seconds since 1970.
    ///
    /// The rules are apk's as the Go tool has them: directories are shared, the same content is no conflict, a package
    /// that `replaces` another's files wins over it whatever the order, packages of the same origin overwrite each
    /// other. Owners are root; setuid, setgid and sticky bits stay on files and go from directories.
    pub fn install(&mut self, package: &Package<'_>, script_time: i64) -> Result<(), InstallError> {
        if package.record.name.is_empty() {
            return Err(InstallError::Unnamed);
        }
        let index = self.packages.len();
        self.packages.push(InstalledPackage {
            record: package.record.clone(),
            files: Vec::new(),
        });
        let mut seen = HashSet::new();
        // Members like `.PKGINFO` before the first other one belong to the control section of old packages.
        let is_control = |entry: &&Entry<FileContent>| {
            let path = entry.header.path.as_str();
            path.starts_with('.') && !path.contains('/')
        };
        for entry in package.data.iter().skip_while(is_control) {
            let header = &entry.header;
            let path = self.judge(index, header, &mut seen)?;
            if !path.is_empty() {
                let file = self.member(index, &path, entry)?;
                self.packages[index].files.push(file);
            }
        }
        self.add_scripts(package, script_time)?;
        let checksum = package.record.checksum;
        for trigger in package.triggers {
            let checksum = checksum.map(|checksum| checksum.to_string()).unwrap_or_default();
            let trigger = trigger.replace(['\n', '\r'], " ");
            self.triggers += &format!("{checksum} {trigger}\n");
        }
        Ok(())
    }

    /// Writes the database, `scripts.tar` and triggers, after the entries of the packages of lower layers (see
    /// [`installed_db::carry_over`]), and returns the tree with what was installed, in the same order.
    pub fn finish(self, below: &[Installed]) -> Result<(Tree, Vec<Installed>), InstallError> {
        let Self {
            mut tree,
            packages,
            owners,
            mut scripts,
            triggers,
        } = self;
        let mut database: String = below.iter().map(|one| one.entry.as_str()).collect();
        let mut installed = Vec::with_capacity(packages.len());
        for (index, mut package) in packages.into_iter().enumerate() {
            package
                .files
                .retain(|file| owners.get(&file.path).is_none_or(|owner| *owner == index));
            let entry = package.write();
            database += &entry;
            installed.push(Installed { package, entry });
        }
        tree.write_file(installed_db::PATH, database, 0o644)?;
        scripts.resize(scripts.len() + 2 * tarball::BLOCK, 0);
        tree.write_file(SCRIPTS, scripts, 0o644)?;
        tree.write_file(TRIGGERS, triggers, 0o644)?;
        Ok((tree, installed))
    }

    /// Decides whether a member may have its path, and spells the path as the tree does. Empty for the root.
    fn judge(
        &self,
        index: PackageIndex,
        header: &Header,
        seen: &mut HashSet<String>,
    ) -> Result<String, InstallError> {
        let path = parts(&header.path).collect::<Vec<_>>().join("/");
        let is_directory = header.kind == Kind::Directory;
        let reason = if header.path.starts_with('/') {
            "its path is absolute"
        } else if parts(&header.path).any(|part| part == "..") {
            "its path contains `..`"
        } else if header.path.chars().any(char::is_control) || header.link.chars().any(char::is_control) {
            "its path or link contains a control character"
        } else if path.is_empty() && !is_directory {
            "it has no name"
        } else if !is_directory && !path.is_empty() && !seen.insert(path.clone()) {
            "the package has it twice"
        } else {
            return Ok(path);
        };
        Err(self.refused(index, &header.path, reason))
    }

    fn refused(&self, index: PackageIndex, path: &str, reason: &'static str) -> InstallError {
        let path = match path.chars().any(char::is_control) {
            true => path.escape_debug().to_string(),
            false => path.to_owned(),
        };
        InstallError::Refused {
            package: self.name(index),
            path,
            reason,
        }
    }

    fn name(&self, index: PackageIndex) -> String {
        let record = &self.packages[index].record;
        format!("{}-{}", record.name, record.version)
    }

    /// The error of a member that the tree does not take, with the package whose path is in its way if there is one.
    fn does_not_fit(&self, index: PackageIndex, path: &str, source: TreeError) -> InstallError {
        let (package, member) = (self.name(index), path.to_owned());
        // Directories are shared: only at the path itself can one be in the way.
        let mut ways = iter::successors(Some(path), |at| Some(at.rsplit_once('/')?.0));
        let first = ways.find_map(|way| {
            let brings = |other: &InstalledPackage| {
                let mut files = other.files.iter();
                files.any(|file| file.path == way && (way == path || !file.is_directory))
            };
            self.packages[..index].iter().position(brings)
        });
        match first {
            Some(first) => InstallError::Misfit {
                package,
                first: self.name(first),
                path: member,
                source,
            },
            None => InstallError::DoesNotFit {
                package,
                path: member,
                source,
            },
        }
    }

    fn member(
        &mut self,
        index: PackageIndex,
        path: &str,
        entry: &Entry<FileContent>,
    ) -> Result<InstalledFile, InstallError> {
        let header = &entry.header;
        let mut checksum = None;
        match header.kind {
            Kind::Directory => {
                self.way(index, path, true)?;
                let made = self.tree.mkdir_all(path, header.mode & 0o777);
                let id = made.map_err(|error| self.does_not_fit(index, path, error))?;
                self.tree.node_mut(id).mtime = header.mtime;
                self.set_xattrs(id, header);
            }
            Kind::Regular | Kind::Symlink => {
                let (directory, name) = self.way(index, path, false)?;
                let sum = self.checksum(index, entry)?;
                checksum = Some(sum);
                let source = Source {
                    package: index,
                    checksum: sum,
                };
                if self.place(directory, name, path, entry, source)? && header.kind == Kind::Regular {
                    self.owners.insert(path.to_owned(), index);
                }
                if let Some(id) = self.tree.child(directory, name)
                    && header.kind == Kind::Regular
                {
                    self.set_xattrs(id, header);
                }
            }
            Kind::Hardlink => {
                self.way(index, path, false)?;
                let target = parts(&header.link).collect::<Vec<_>>().join("/");
                if header.link.starts_with('/') || parts(&target).any(|part| part == "..") {
                    return Err(self.refused(
                        index,
                        path,
                        "it is a hard link to something outside of the root",
                    ));
                }
                self.way(index, &target, false)?;
                let linked = self.tree.link(&target, path);
                let id = linked.map_err(|error| self.does_not_fit(index, path, error))?;
                self.tree.node_mut(id).links.insert(path.to_owned(), target);
            }
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
                return Err(self.refused(index, path, "packages may not contain devices or pipes"));
            }
        }
        Ok(InstalledFile {
            path: path.to_owned(),
            is_directory: header.kind == Kind::Directory,
            mode: header.mode,
            uid: header.uid,
            gid: header.gid,
            checksum,
        })
    }

    /// The directory that a member goes into, and its name there. Links of other packages may lie on the way (`bin` to
    /// `usr/bin`), but none of the same package, which no honest archive has, and none that leads out.
    fn way<'p>(
        &self,
        index: PackageIndex,
        path: &'p str,
        with_last: bool,
    ) -> Result<(NodeId, &'p str), InstallError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = if with_last { path } else { directory };
        // What does not exist yet has no links: judge the part that does.
        let found = loop {
            match self.tree.find(at, true) {
                Err(error) if with_last && error.fault == Fault::NotFound => {
                    at = at.rsplit_once('/').map_or("", |(parent, _)| parent);
                }
                found => break found,
            }
        };
        let found = found.map_err(|error| self.does_not_fit(index, path, error.fault.at(directory)))?;
        if found.left_root {
            return Err(self.refused(index, path, "a symbolic link on its way leads out of the root"));
        }
        let is_own = |id: &NodeId| self.tree.node(*id).package() == Some(index);
        if found.through.iter().any(is_own) {
            return Err(self.refused(index, path, "it lies behind a symbolic link of the same package"));
        }
        Ok((found.id, name))
    }

    /// Puts a file or symbolic link into a directory, if what is there allows it; whether it did.
    fn place(
        &mut self,
        directory: NodeId,
        name: &str,
        path: &str,
        entry: &Entry<FileContent>,
        source: Source,
    ) -> Result<bool, InstallError> {
        let header = &entry.header;
        if self.tree.children(directory).is_none() {
            return Err(self.does_not_fit(source.package, path, Fault::NotADirectory.at(path)));
        }
        if let Some(existing) = self.tree.child(directory, name)
            && !self.may_replace(existing, path, header, source)?
        {
            return Ok(false);
        }
        let content = match header.kind {
            Kind::Symlink => Content::Symlink(header.link.clone()),
            _ => Content::File(entry.content.clone()),
        };
        let mut node = Node::new(content, header.mode, header.mtime);
        node.source = Some(source);
        self.tree.put(directory, name, node);
        Ok(true)
    }

    /// Whether a member goes in place of what is there; an error if it conflicts with it.
    fn may_replace(
        &self,
        existing: NodeId,
        path: &str,
        header: &Header,
        new: Source,
    ) -> Result<bool, InstallError> {
        let node = self.tree.node(existing);
        if header.kind == Kind::Symlink && matches!(&node.content, Content::Symlink(to) if *to == header.link)
        {
            return Ok(false);
        }
        let Some(old) = node.source else {
            return match &node.content {
                Content::File(content) if self.readable(new.package, path, content)? == new.checksum => {
                    Ok(false)
                }
                Content::Directory(_) => {
                    Err(self.does_not_fit(new.package, path, Fault::IsADirectory.at(path)))
                }
                _ => Err(InstallError::Occupied {
                    package: self.name(new.package),
                    path: path.to_owned(),
                }),
            };
        };
        let (first, second) = (
            &self.packages[old.package].record,
            &self.packages[new.package].record,
        );
        if old.checksum == new.checksum || replaces(first, second) {
            Ok(false)
        } else if first.origin == second.origin || replaces(second, first) {
            Ok(true)
        } else {
            Err(InstallError::Conflict {
                first: self.name(old.package),
                second: self.name(new.package),
                path: path.to_owned(),
            })
        }
    }

    /// The checksum of a content.
    fn readable(
        &self,
        index: PackageIndex,
        path: &str,
        content: &FileContent,
    ) -> Result<Checksum, InstallError> {
        let content = content.read().map_err(|error| InstallError::DoesNotFit {
            package: self.name(index),
            path: path.to_owned(),
            source: Fault::Unreadable(error.into()).at(path),
        })?;
        Ok(sha1(&content))
    }

    fn set_xattrs(&mut self, id: NodeId, header: &Header) {
        let node = self.tree.node_mut(id);
        for (key, value) in &header.pax {
            if let Some(name) = key.strip_prefix(XATTR) {
                node.xattrs.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// The checksum that a member states, in hexadecimal digits or as `Q1...`, or else that of its content.
    fn checksum(&self, index: PackageIndex, entry: &Entry<FileContent>) -> Result<Checksum, InstallError> {
        let Some(stated) = entry.header.pax.get(CHECKSUM) else {
            return Ok(match entry.header.kind {
                Kind::Symlink => sha1(entry.header.link.as_bytes()),
                _ => self.readable(index, &entry.header.path, &entry.content)?,
            });
        };
        let parse = || {
            let text = std::str::from_utf8(stated).ok()?;
            if text.starts_with("Q1") {
                return text.parse().ok();
            }
            let mut digest = [0; 20];
            if text.len() != 40 || !text.is_ascii() {
                return None;
            }
            for (byte, at) in digest.iter_mut().zip((0..40).step_by(2)) {
                *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
            }
            Some(Checksum::Sha1(digest))
        };
        parse().ok_or_else(|| InstallError::BadChecksum {
            package: self.name(index),
            path: entry.header.path.clone(),
        })
    }

    fn add_scripts(&mut self, package: &Package<'_>, time: i64) -> Result<(), InstallError> {
        let record = package.record;
        let checksum = record
            .checksum
            .map(|checksum| checksum.to_string())
            .unwrap_or_default();
        let mut writer = Writer::new(std::mem::take(&mut self.scripts));
        for Entry { header, content } in package.control {
            let is_script = header.kind == Kind::Regular
                && header.mode & 0o555 == 0o555
                && header.path.starts_with('.')
                && !header.path.contains('/')
                && header.path != ".PKGINFO";
            if !is_script {
                continue;
            }
            let header = Header {
                path: format!("{}-{}.{checksum}{}", record.name, record.version, header.path),
                mtime: time,
                ..header.clone()
            };
            let written = writer.append(&header, content);
            written.map_err(|source| InstallError::Script {
                package: record.name.clone(),
                source,
            })?;
        }
        self.scripts = writer.into_inner();
        Ok(())
    }
}

/// Whether a package says that it replaces files of another.
fn replaces(one: &PackageRecord, other: &PackageRecord) -> bool {
    one.replaces.iter().any(|replaced| {
        let accepts = || match other.version.parse::<Version>() {
            Ok(version) => replaced.accepts(&version),
            Err(_) => replaced.constraint().is_none(),
        };
        replaced.name() == other.name && accepts()
    })
}

fn sha1(content: &[u8]) -> Checksum {
    Checksum::Sha1(Sha1::digest(content).into())
}
