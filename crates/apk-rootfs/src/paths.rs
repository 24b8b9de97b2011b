//! The path mutations of an image configuration.

use crate::tree::{Fault, Tree, TreeError};

/// A change at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// What to do.
    pub action: Action,
    /// Where.
    pub path: String,
    /// Permission bits, at most `0o7777`; they are set in every case.
    pub mode: u32,
    /// The owner; root if only the group is given.
    pub uid: Option<u32>,
    /// The group; root's if only the owner is given. Without owner and group both stay as they are.
    pub gid: Option<u32>,
    /// Whether permissions and owner go to all below the path too.
    pub recursive: bool,
}

/// What a [`Mutation`] does before it sets permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a directory and those that lead to it.
    Directory,
    /// Makes an empty file. The file of a package keeps its content, as in the Go tool.
    EmptyFile,
    /// Makes the path another name of an existing file, in place of a file that is there.
    Hardlink {
        /// The existing file.
        source: String,
    },
    /// Makes a symbolic link; an error if anything is there. Permissions and owner go to what it links to.
    Symlink {
        /// Its target as written.
        source: String,
    },
    /// Sets permissions and owner only.
    Permissions,
}

/// A mutation that could not be done.
#[derive(Debug, thiserror::Error)]
#[error("path mutation {index} ({action} `{path}`): {source}")]
pub struct MutationError {
    /// Its place in the configuration, from 1.
    pub index: usize,
    /// Its type as configurations spell it.
    pub action: &'static str,
    /// Its path.
    pub path: String,
    /// What went wrong.
    pub source: TreeError,
}

impl Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::EmptyFile => "empty-file",
            Self::Hardlink { .. } => "hardlink",
            Self::Symlink { .. } => "symlink",
            Self::Permissions => "permissions",
        }
    }
}

/// Does all mutations in order.
pub fn mutate(tree: &mut Tree, mutations: &[Mutation]) -> Result<(), MutationError> {
    for (index, mutation) in mutations.iter().enumerate() {
        one(tree, mutation).map_err(|source| MutationError {
            index: index + 1,
            action: mutation.action.name(),
            path: mutation.path.clone(),
            source,
        })?;
    }
    Ok(())
}

fn one(tree: &mut Tree, mutation: &Mutation) -> Result<(), TreeError> {
    let path = without_dots(&mutation.path)?;
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    // The tree would stop at its root, where a real file system of a build would not.
    if tree.find(parent, true).is_ok_and(|found| found.left_root) {
        return Err(Fault::LeavesRoot.at(&mutation.path));
    }
    match &mutation.action {
        Action::Directory => drop(tree.mkdir_all(&path, mutation.mode & 0o7777)?),
        Action::EmptyFile => {
            tree.mkdir_all(parent, 0o755)?;
            match tree.get(&path) {
                Ok(node) if node.is_file() && node.package().is_some() => {}
                _ => drop(tree.write_file(&path, "", 0o644)?),
            }
        }
        Action::Hardlink { source } => {
            tree.mkdir_all(parent, 0o755)?;
            if tree.lookup(source)? == tree.root() {
                return Err(Fault::IsADirectory.at(source));
            }
            if let Ok(id) = tree.lookup_no_follow(&path) {
                if tree.node(id).is_directory() {
                    return Err(Fault::IsADirectory.at(&path));
                }
                if tree.lookup(source) == Ok(id) {
                    return permissions(tree, &path, mutation);
                }
                tree.remove(&path)?;
            }
            tree.link(source, &path)?;
        }
        Action::Symlink { source } => {
            tree.mkdir_all(parent, 0o755)?;
            tree.symlink(source, &path)?;
            if tree.lookup(&path).is_err() {
                // Nothing is there that could take the permissions.
                return Ok(());
            }
        }
        Action::Permissions => {}
    }
    permissions(tree, &path, mutation)
}

/// Sets permissions and owner. Below a recursive mutation's path links are followed, as in the Go tool; those that
/// lead nowhere are passed over.
fn permissions(tree: &mut Tree, path: &str, mutation: &Mutation) -> Result<(), TreeError> {
    let mut targets = vec![tree.lookup(path)?];
    if mutation.recursive {
        targets.extend(tree.below(path)?);
    }
    for id in targets {
        let node = tree.node_mut(id);
        node.mode = mutation.mode & 0o7777;
        if mutation.uid.is_some() || mutation.gid.is_some() {
            node.uid = mutation.uid.unwrap_or(0);
            node.gid = mutation.gid.unwrap_or(0);
        }
    }
    Ok(())
}

/// The path without `.` and empty parts; `..` would name something else than what is written.
fn without_dots(path: &str) -> Result<String, TreeError> {
    let parts: Vec<&str> = crate::tree::parts(path).collect();
    match parts.contains(&"..") {
        true => Err(Fault::LeavesRoot.at(path)),
        false => Ok(parts.join("/")),
    }
}
