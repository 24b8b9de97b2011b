//! The tree itself: nodes, lookup inside the root, changes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use apk_types::Checksum;
use bytes::Bytes;
use file_content::ContentError;

/// How many symbolic links one lookup follows at most, as Linux does.
const MAX_LINKS: usize = 40;

/// The position of a package in the order of installation.
pub type PackageIndex = usize;

/// A node of a [`Tree`]; valid for the tree that gave it out, until the node is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

impl NodeId {
    const ROOT: Self = Self(0);
}

/// What a node is, with what only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A directory: names and nodes, in byte order.
    Directory(BTreeMap<String, NodeId>),
    /// A regular file: its bytes, mostly a reference into package data.
    File(file_content::Content),
    /// A symbolic link: its target as written.
    Symlink(String),
    /// A character device: major and minor number.
    CharDevice(u32, u32),
}

/// The package a file or symbolic link came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) package: PackageIndex,
    /// The SHA-1 of the content, or of a link's target.
    pub(crate) checksum: Checksum,
}

/// A file, directory, link or device.
#[derive(Clone, Debug)]
pub struct Node {
    /// Permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    pub(crate) content: Content,
    pub(crate) source: Option<Source>,
    /// Paths at which a package linked this file, and the path each linked to.
    pub(crate) links: BTreeMap<String, String>,
}

impl Node {
    pub(crate) fn new(content: Content, mode: u32, mtime: i64) -> Self {
        let (uid, gid) = (0, 0);
        Self {
            mode,
            uid,
            gid,
            mtime,
            xattrs: BTreeMap::new(),
            content,
            source: None,
            links: BTreeMap::new(),
        }
    }

    /// What it is.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory(_))
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.content, Content::File(_))
    }

    /// The package that installed it; none for directories and for what was made outside of packages. A file
    /// that is rewritten later stays its package's.
    pub fn package(&self) -> Option<PackageIndex> {
        self.source.map(|source| source.package)
    }
}

/// Why a path could not be looked up or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {fault}")]
pub struct TreeError {
    /// The path as given.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a path.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing is there.
    #[error("does not exist")]
    NotFound,
    /// Something is there already.
    #[error("exists already")]
    Exists,
    /// It, or what leads to it, is no directory.
    #[error("is not a directory, or leads through something that is none")]
    NotADirectory,
    /// It is a directory where a file is needed.
    #[error("is a directory")]
    IsADirectory,
    /// It is a device or the like where a file is needed.
    #[error("is not a regular file")]
    NotAFile,
    /// Its symbolic links lead in a circle or too far.
    #[error("leads through more than {MAX_LINKS} symbolic links")]
    TooManyLinks,
    /// It names the root where something below it is needed.
    #[error("is the root directory")]
    Root,
    /// It or one of its symbolic links has more `..` than directories.
    #[error("leads out of the root")]
    LeavesRoot,
    /// Its content could not be read from where it is stored.
    #[error("cannot be read: {0}")]
    Unreadable(Arc<ContentError>),
}

impl PartialEq for Fault {
    /// Whether they are of the same kind.
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Eq for Fault {}

impl Fault {
    pub(crate) fn at(self, path: &str) -> TreeError {
        TreeError {
            path: path.to_owned(),
            fault: self,
        }
    }
}

/// A found node, and how it was found.
pub(crate) struct Found {
    pub(crate) id: NodeId,
    /// The symbolic links it was found through.
    pub(crate) through: Vec<NodeId>,
    /// Whether a `..` had to be stopped at the root.
    pub(crate) left_root: bool,
}

/// A file tree. Paths are relative to its root, with or without a leading `/`; symbolic links are resolved
/// inside the root and a `..` in the root stays there, so that no path reaches anything else.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty root directory.
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::new(Content::Directory(BTreeMap::new()), 0o755, 0)],
        }
    }

    /// The root directory.
    pub fn root(&self) -> NodeId {
        NodeId::ROOT
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// Finds a node, following symbolic links, the last one too.
    pub fn lookup(&self, path: &str) -> Result<NodeId, TreeError> {
        self.find(path, true).map(|found| found.id)
    }

    /// Finds a node, following symbolic links except the last one.
    pub fn lookup_no_follow(&self, path: &str) -> Result<NodeId, TreeError> {
        self.find(path, false).map(|found| found.id)
    }

    /// The node at a path, links followed.
    pub fn get(&self, path: &str) -> Result<&Node, TreeError> {
        self.lookup(path).map(|id| self.node(id))
    }

    /// The content of a regular file, links followed.
    pub fn read(&self, path: &str) -> Result<Bytes, TreeError> {
        match &self.get(path)?.content {
            Content::File(content) => content
                .read()
                .map_err(|error| Fault::Unreadable(Arc::new(error)).at(path)),
            Content::Directory(_) => Err(Fault::IsADirectory.at(path)),
            _ => Err(Fault::NotAFile.at(path)),
        }
    }

    /// The target of the symbolic link at a path.
    pub fn read_link(&self, path: &str) -> Option<&str> {
        match &self.node(self.lookup_no_follow(path).ok()?).content {
            Content::Symlink(target) => Some(target),
            _ => None,
        }
    }

    /// The names and nodes of a directory, links followed, in byte order.
    pub fn list(&self, path: &str) -> Result<impl Iterator<Item = (&str, NodeId)>, TreeError> {
        let children = self
            .children(self.lookup(path)?)
            .ok_or_else(|| Fault::NotADirectory.at(path))?;
        Ok(children.iter().map(|(name, id)| (name.as_str(), *id)))
    }

    pub(crate) fn children(&self, id: NodeId) -> Option<&BTreeMap<String, NodeId>> {
        match &self.node(id).content {
            Content::Directory(children) => Some(children),
            _ => None,
        }
    }

    pub(crate) fn find(&self, path: &str, follow_last: bool) -> Result<Found, TreeError> {
        let mut trail = vec![NodeId::ROOT];
        let mut pending: Vec<&str> = parts(path).rev().collect();
        let mut found = Found {
            id: NodeId::ROOT,
            through: Vec::new(),
            left_root: false,
        };
        while let Some(part) = pending.pop() {
            let directory = trail[trail.len() - 1];
            let children = self
                .children(directory)
                .ok_or_else(|| Fault::NotADirectory.at(path))?;
            if part == ".." {
                if trail.len() > 1 {
                    trail.pop();
                } else {
                    found.left_root = true;
                }
                continue;
            }
            let child = *children.get(part).ok_or_else(|| Fault::NotFound.at(path))?;
            match &self.node(child).content {
                Content::Symlink(target) if follow_last || !pending.is_empty() => {
                    found.through.push(child);
                    if found.through.len() > MAX_LINKS {
                        return Err(Fault::TooManyLinks.at(path));
                    }
                    if target.starts_with('/') {
                        trail.truncate(1);
                    }
                    pending.extend(parts(target).rev());
                }
                _ => trail.push(child),
            }
        }
        found.id = trail[trail.len() - 1];
        Ok(found)
    }

    /// Splits a path into the directory that holds its last part, links followed, and that part.
    pub(crate) fn parent<'p>(&self, path: &'p str) -> Result<(Found, &'p str), TreeError> {
        let trimmed = path.trim_end_matches('/');
        let (directory, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
        match name {
            "" | "." => return Err(Fault::Root.at(path)),
            ".." => return Err(Fault::LeavesRoot.at(path)),
            _ => {}
        }
        let found = self.find(directory, true).map_err(|error| error.fault.at(path))?;
        if self.children(found.id).is_none() {
            return Err(Fault::NotADirectory.at(path));
        }
        Ok((found, name))
    }

    /// Puts a node into a directory, in place of what has that name.
    pub(crate) fn put(&mut self, directory: NodeId, name: &str, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.enter(directory, name, id);
        id
    }

    fn enter(&mut self, directory: NodeId, name: &str, id: NodeId) {
        if let Content::Directory(children) = &mut self.node_mut(directory).content {
            children.insert(name.to_owned(), id);
        }
    }

    pub(crate) fn child(&self, directory: NodeId, name: &str) -> Option<NodeId> {
        self.children(directory)?.get(name).copied()
    }

    fn add(&mut self, path: &str, make: impl FnOnce(&Node) -> Node) -> Result<NodeId, TreeError> {
        let (parent, name) = self.parent(path)?;
        if self.child(parent.id, name).is_some() {
            return Err(Fault::Exists.at(path));
        }
        let node = make(self.node(parent.id));
        Ok(self.put(parent.id, name, node))
    }

    /// Makes a directory whose parent exists, with time 0.
    pub fn mkdir(&mut self, path: &str, mode: u32) -> Result<NodeId, TreeError> {
        self.add(path, |_| Node::new(Content::Directory(BTreeMap::new()), mode, 0))
    }

    /// Makes a directory and all that are missing on the way, each with `mode` and time 0; existing ones stay as
    /// they are. Returns the directory.
    pub fn mkdir_all(&mut self, path: &str, mode: u32) -> Result<NodeId, TreeError> {
        let mut at = String::new();
        let mut id = NodeId::ROOT;
        for part in parts(path) {
            at.push('/');
            at.push_str(part);
            id = match self.find(&at, true) {
                Ok(found) => found.id,
                Err(error) if error.fault == Fault::NotFound && self.lookup_no_follow(&at).is_err() => {
                    self.mkdir(&at, mode).map_err(|error| error.fault.at(path))?
                }
                Err(error) => return Err(error.fault.at(path)),
            };
            if !self.node(id).is_directory() {
                return Err(Fault::NotADirectory.at(path));
            }
        }
        Ok(id)
    }

    /// Writes a regular file, links followed. An existing file keeps its mode, owner, time and package; a new one
    /// gets `mode` and time 0.
    pub fn write_file(
        &mut self,
        path: &str,
        content: impl Into<file_content::Content>,
        mode: u32,
    ) -> Result<NodeId, TreeError> {
        let mut target = path.to_owned();
        // A dangling link is followed too: the file is made where it points to.
        for _ in 0..MAX_LINKS {
            match self.find(&target, true) {
                Ok(found) => {
                    let node = self.node_mut(found.id);
                    match &mut node.content {
                        Content::File(old) => *old = content.into(),
                        Content::Directory(_) => return Err(Fault::IsADirectory.at(path)),
                        _ => return Err(Fault::NotAFile.at(path)),
                    }
                    return Ok(found.id);
                }
                Err(error) if error.fault == Fault::NotFound => match self.read_link(&target) {
                    None => {
                        let node = Node::new(Content::File(content.into()), mode, 0);
                        return self.add(&target, |_| node).map_err(|error| error.fault.at(path));
                    }
                    Some(link) if link.starts_with('/') => target = link.to_owned(),
                    Some(link) => {
                        let directory = target.rsplit_once('/').map_or("", |(directory, _)| directory);
                        target = format!("{directory}/{link}");
                    }
                },
                Err(error) => return Err(error.fault.at(path)),
            }
        }
        Err(Fault::TooManyLinks.at(path))
    }

    /// Makes a symbolic link with its directory's time; `target` is kept as written.
    pub fn symlink(&mut self, target: &str, path: &str) -> Result<NodeId, TreeError> {
        self.add(path, |parent| {
            Node::new(Content::Symlink(target.to_owned()), 0o777, parent.mtime)
        })
    }

    /// Gives the file at `target`, links followed, another path. In a layer both are written in full, as the Go
    /// tool does, unless a package made the link.
    pub fn link(&mut self, target: &str, path: &str) -> Result<NodeId, TreeError> {
        let id = self.lookup(target)?;
        if self.node(id).is_directory() {
            return Err(Fault::IsADirectory.at(target));
        }
        let (parent, name) = self.parent(path)?;
        if self.child(parent.id, name).is_some() {
            return Err(Fault::Exists.at(path));
        }
        let directory = parent.id;
        self.enter(directory, name, id);
        Ok(id)
    }

    /// Makes a character device with its directory's time.
    pub fn char_device(
        &mut self,
        path: &str,
        mode: u32,
        (major, minor): (u32, u32),
    ) -> Result<NodeId, TreeError> {
        self.add(path, |parent| {
            Node::new(Content::CharDevice(major, minor), mode, parent.mtime)
        })
    }

    /// Takes away a name: a file, a link, or a directory with all that is below it.
    pub fn remove(&mut self, path: &str) -> Result<(), TreeError> {
        let (parent, name) = self.parent(path)?;
        let Content::Directory(children) = &mut self.node_mut(parent.id).content else {
            return Err(Fault::NotADirectory.at(path));
        };
        children
            .remove(name)
            .map(drop)
            .ok_or_else(|| Fault::NotFound.at(path))
    }

    /// Sets the permission bits, links followed.
    pub fn chmod(&mut self, path: &str, mode: u32) -> Result<(), TreeError> {
        let id = self.lookup(path)?;
        self.node_mut(id).mode = mode & 0o7777;
        Ok(())
    }

    /// Sets owner and group, links followed.
    pub fn chown(&mut self, path: &str, uid: u32, gid: u32) -> Result<(), TreeError> {
        let id = self.lookup(path)?;
        let node = self.node_mut(id);
        (node.uid, node.gid) = (uid, gid);
        Ok(())
    }

    /// Sets the time in seconds since 1970, links followed.
    pub fn set_mtime(&mut self, path: &str, mtime: i64) -> Result<(), TreeError> {
        let id = self.lookup(path)?;
        self.node_mut(id).mtime = mtime;
        Ok(())
    }

    /// All nodes at and below a path, each once. Links are followed, but not into directories; those that lead
    /// nowhere are left out.
    pub(crate) fn below(&self, path: &str) -> Result<Vec<NodeId>, TreeError> {
        let mut pending = vec![(path.trim_end_matches('/').to_owned(), self.lookup(path)?)];
        let mut all = HashSet::new();
        while let Some((path, id)) = pending.pop() {
            if matches!(self.node(id).content, Content::Symlink(_)) {
                all.extend(self.lookup(&path));
                continue;
            }
            all.insert(id);
            let children = self.children(id).into_iter().flatten();
            pending.extend(children.map(|(name, child)| (format!("{path}/{name}"), *child)));
        }
        Ok(all.into_iter().collect())
    }
}

/// The parts of a path that name something.
pub(crate) fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// The path relative to the root without `.`, `..` and empty parts, resolved in the text alone.
pub(crate) fn normal(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in parts(path) {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    kept.join("/")
}
