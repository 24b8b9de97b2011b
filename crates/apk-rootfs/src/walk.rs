//! The members of a layer, in the order in which the Go tool writes them.

use std::collections::{BTreeMap, HashMap, btree_map};

use file_content::Content as FileContent;
use tarball::{Entry, Header, Kind};

use crate::accounts;
use crate::tree::{Content, Node, NodeId, PackageIndex, Tree};

const XATTR: &str = "SCHILY.xattr.";

/// A member of a layer, and whose it is.
#[derive(Clone, Debug)]
pub struct Member {
    /// The header, complete, and the content.
    pub entry: Entry<FileContent>,
    /// The package that installed it, for files and links of packages.
    pub package: Option<PackageIndex>,
}

/// The members of a tree, depth first, each directory's names in byte order, the root left out.
pub struct Walk<'t> {
    tree: &'t Tree,
    stack: Vec<(String, btree_map::Iter<'t, String, NodeId>)>,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    /// Where files that packages gave several paths were written in full.
    written: HashMap<NodeId, Vec<String>>,
}

impl Tree {
    /// Walks over the whole tree in a layer's order: what Go's `fs.WalkDir` gives. Owners' names are those of
    /// `etc/passwd` and `etc/group`, the last one where an id has several, none where it has none.
    pub fn walk(&self) -> Walk<'_> {
        let text = |path: &str| match self.read(path) {
            Ok(content) => String::from_utf8_lossy(&content).into_owned(),
            Err(_) => String::new(),
        };
        let users = accounts::parse_users(&text("etc/passwd"));
        let groups = accounts::parse_groups(&text("etc/group"));
        Walk {
            tree: self,
            stack: self
                .children(self.root())
                .map(|children| (String::new(), children.iter()))
                .into_iter()
                .collect(),
            users: users.0.into_iter().map(|user| (user.uid, user.name)).collect(),
            groups: groups
                .0
                .into_iter()
                .map(|group| (group.gid, group.name))
                .collect(),
            written: HashMap::new(),
        }
    }
}

impl<'t> Iterator for Walk<'t> {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        let (path, id) = loop {
            let (directory, names) = self.stack.last_mut()?;
            match names.next() {
                Some((name, id)) if directory.is_empty() => break (name.clone(), *id),
                Some((name, id)) => break (format!("{directory}/{name}"), *id),
                None => drop(self.stack.pop()),
            }
        };
        if let Some(children) = self.tree.children(id) {
            self.stack.push((path.clone(), children.iter()));
        }
        Some(self.member(path, id))
    }
}

impl Walk<'_> {
    fn member(&mut self, path: String, id: NodeId) -> Member {
        let node = self.tree.node(id);
        let (kind, link, content, device) = self.describe(&path, id, node);
        let name = |names: &HashMap<u32, String>, id| names.get(&id).cloned().unwrap_or_default();
        let has_xattrs = matches!(kind, Kind::Regular | Kind::Directory);
        let pax = match has_xattrs {
            true => node
                .xattrs
                .iter()
                .map(|(key, value)| (format!("{XATTR}{key}"), value.clone()))
                .collect(),
            false => BTreeMap::new(),
        };
        let header = Header {
            path,
            kind,
            link,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            uname: name(&self.users, node.uid),
            gname: name(&self.groups, node.gid),
            mtime: node.mtime,
            size: content.len(),
            device,
            pax,
        };
        Member {
            entry: Entry { header, content },
            package: node.package(),
        }
    }

    fn describe(&mut self, path: &str, id: NodeId, node: &Node) -> (Kind, String, FileContent, (u32, u32)) {
        let none = (0, 0);
        match &node.content {
            Content::Directory(_) => (Kind::Directory, String::new(), FileContent::default(), none),
            Content::Symlink(target) => (Kind::Symlink, target.clone(), FileContent::default(), none),
            Content::CharDevice(major, minor) => (
                Kind::CharDevice,
                String::new(),
                FileContent::default(),
                (*major, *minor),
            ),
            Content::File(content) => match self.linked_to(path, id, node) {
                Some(target) => (Kind::Hardlink, target, FileContent::default(), none),
                None => (Kind::Regular, String::new(), content.clone(), none),
            },
        }
    }

    /// The path that a file is written as a link to, if it is. A file that a package linked is written in full
    /// where the walk meets it first, lest a link precede what it links to.
    fn linked_to(&mut self, path: &str, id: NodeId, node: &Node) -> Option<String> {
        if node.links.is_empty() {
            return None;
        }
        let written = self.written.entry(id).or_default();
        let target = match node.links.get(path) {
            Some(target) => written
                .iter()
                .find(|written| *written == target)
                .or(written.first()),
            None => written.iter().find(|written| node.links.contains_key(*written)),
        };
        let target = target.cloned();
        if target.is_none() {
            written.push(path.to_owned());
        }
        target
    }
}
