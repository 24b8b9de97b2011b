//! The files of a package, wherever they lie.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek};

/// What can be read from anywhere.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// What an entry of a tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with its target.
    Symlink(String),
    /// A device, a pipe or a socket.
    Other,
}

/// One path of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path from the root, without a leading slash.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// The permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// A file's length in bytes.
    pub size: u64,
}

impl TreeEntry {
    /// True for a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == EntryKind::File
    }

    /// True for a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == EntryKind::Directory
    }

    /// True for a symbolic link.
    pub fn is_symlink(&self) -> bool {
        matches!(self.kind, EntryKind::Symlink(_))
    }
}

/// The files of one package.
pub trait PackageTree {
    /// Every path but the root, a directory before what is in it, siblings in byte order of their names.
    fn entries(&self) -> &[TreeEntry];

    /// Opens a file; a symbolic link is followed as long as it stays inside what was built.
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek + '_>>;

    /// The entry at a path.
    fn entry(&self, path: &str) -> Option<&TreeEntry> {
        self.entries().iter().find(|entry| entry.path == path)
    }
}

/// A tree in memory, for tests and for packages that were never unpacked.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    entries: Vec<TreeEntry>,
    contents: BTreeMap<String, Vec<u8>>,
}

impl MemoryTree {
    /// Adds a regular file and the directories above it.
    pub fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        let content = content.into();
        self.add(path, EntryKind::File, mode, content.len() as u64);
        self.contents.insert(path.to_owned(), content);
    }

    /// Adds a directory and those above it.
    pub fn directory(&mut self, path: &str, mode: u32) {
        self.add(path, EntryKind::Directory, mode, 0);
    }

    /// Adds a symbolic link and the directories above it.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.add(path, EntryKind::Symlink(target.to_owned()), 0o777, 0);
    }

    fn add(&mut self, path: &str, kind: EntryKind, mode: u32, size: u64) {
        if let Some((parent, _)) = path.rsplit_once('/')
            && self.entry(parent).is_none()
        {
            self.directory(parent, 0o755);
        }
        self.entries.retain(|entry| entry.path != path);
        self.entries.push(TreeEntry {
            path: path.to_owned(),
            kind,
            mode,
            size,
        });
        self.entries
            .sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    }
}

impl PackageTree for MemoryTree {
    fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek + '_>> {
        let mut path = path.to_owned();
        // As many links as Linux follows.
        for _ in 0..40 {
            match self.entry(&path).map(|entry| &entry.kind) {
                Some(EntryKind::File) => return Ok(Box::new(Cursor::new(&self.contents[&path]))),
                Some(EntryKind::Symlink(target)) if !target.starts_with('/') => {
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    path = clean(&format!("{parent}/{target}"));
                }
                _ => break,
            }
        }
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

/// A tree without files.
pub(crate) struct Nothing;

impl PackageTree for Nothing {
    fn entries(&self) -> &[TreeEntry] {
        &[]
    }

    fn open(&self, _: &str) -> io::Result<Box<dyn ReadSeek + '_>> {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

/// A path from the root without `.`, `..` and repeated slashes.
pub(crate) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The directory a path lies in, `.` for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

/// The extension with its dot: from the last dot of the last part on, else empty.
pub(crate) fn extension(path: &str) -> &str {
    let name = base_name(path);
    name.rfind('.').map_or("", |dot| &name[dot..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_walk_order_with_their_directories() {
        let mut tree = MemoryTree::default();
        tree.file("a-b/x", 0o644, "");
        tree.file("a/z", 0o644, "");
        tree.file("a/b/c", 0o644, "");
        let paths: Vec<_> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c", "a/z", "a-b", "a-b/x"]);
    }

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let mut tree = MemoryTree::default();
        tree.file("usr/lib/real", 0o644, "content");
        tree.symlink("usr/bin/link", "../lib/real");
        tree.symlink("usr/bin/out", "/usr/lib/real");
        tree.symlink("usr/bin/loop", "loop");
        let mut content = String::new();
        tree.open("usr/bin/link")
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "content");
        assert!(tree.open("usr/bin/out").is_err());
        assert!(tree.open("usr/bin/loop").is_err());
    }
}
