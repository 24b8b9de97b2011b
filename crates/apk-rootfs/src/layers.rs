//! A tree cut into layers, so that what changes seldom can be shared.

use std::collections::HashMap;

use apk_types::{Dependency, PackageRecord, Version};
use file_content::Content;
use tarball::{Entry, Header, Kind};

use crate::install::Installed;
use crate::installed_db;
use crate::tree::{PackageIndex, Tree};

/// Packages that share a layer, by their place in the order of installation.
pub type Group = Vec<PackageIndex>;

/// Groups packages by origin, and with those whose files they replace; keeps at most `budget` groups, at least
/// one: the largest by installed size, and all others together as the last. Each group is sorted by name.
pub fn group(packages: &[&PackageRecord], budget: usize) -> Vec<Group> {
    let mut leader: Vec<PackageIndex> = (0..packages.len()).collect();
    let mut first_of = HashMap::new();
    let mut by_name = HashMap::new();
    for (index, package) in packages.iter().enumerate() {
        leader[index] = *first_of.entry(package.origin.as_str()).or_insert(index);
        by_name.insert(package.name.as_str(), index);
    }
    for (index, package) in packages.iter().enumerate() {
        for replaced in &package.replaces {
            let other = by_name.get(replaced.name()).copied();
            if let Some(other) = other.filter(|other| accepts(replaced, packages[*other])) {
                join(&mut leader, index, other);
            }
        }
    }
    let mut by_leader: HashMap<PackageIndex, Group> = HashMap::new();
    for (index, leader) in leader.iter().enumerate() {
        by_leader.entry(*leader).or_default().push(index);
    }
    let name = |index: &PackageIndex| packages[*index].name.as_str();
    let mut groups: Vec<Group> = by_leader.into_values().collect();
    groups.sort_by_key(|group| {
        let size: u64 = group.iter().map(|index| packages[*index].installed_size).sum();
        (std::cmp::Reverse(size), group.iter().map(name).max())
    });
    if groups.len() > budget {
        let rest = groups.split_off(budget.saturating_sub(1));
        groups.push(rest.concat());
    }
    for group in &mut groups {
        group.sort_by_key(name);
    }
    groups
}

fn accepts(replaced: &Dependency, package: &PackageRecord) -> bool {
    match package.version.parse::<Version>() {
        Ok(version) => replaced.accepts(&version),
        Err(_) => replaced.constraint().is_none(),
    }
}

fn join(leader: &mut [PackageIndex], a: PackageIndex, b: PackageIndex) {
    let (to, from) = (leader[a], leader[b]);
    for leader in leader.iter_mut().filter(|leader| **leader == from) {
        *leader = to;
    }
}

/// Cuts a tree into the layers of groups, in their order, and the top layer with what is no package's.
///
/// Each layer has the directories that lead to its files, with the time of the file they are written for, and
/// `usr/lib/apk/db/installed` with the entries of its own packages; the top layer has all directories as they are and
/// the whole database.
pub fn split(tree: &Tree, groups: &[Group], installed: &[Installed]) -> Vec<Vec<Entry<Content>>> {
    let layer_of: HashMap<PackageIndex, usize> = groups
        .iter()
        .enumerate()
        .flat_map(|(layer, group)| group.iter().map(move |package| (*package, layer)))
        .collect();
    let top = groups.len();
    let mut layers: Vec<Layer> = std::iter::repeat_with(Layer::default).take(top + 1).collect();
    let mut stack: Vec<Header> = Vec::new();
    for member in tree.walk() {
        let entry = member.entry;
        let header = &entry.header;
        if header.kind == Kind::Directory {
            let parent = header.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            while stack.last().is_some_and(|last| last.path != parent) {
                stack.pop();
            }
            stack.push(header.clone());
        }
        let layer = member.package.and_then(|package| layer_of.get(&package).copied());
        layers[layer.unwrap_or(top)].align(&stack, header);
        if header.path == installed_db::PATH {
            for (layer, group) in layers.iter_mut().zip(groups) {
                layer.align(&stack, header);
                let entries = group.iter().filter_map(|index| installed.get(*index));
                let database: String = entries.map(|installed| installed.entry.as_str()).collect();
                let mut header = header.clone();
                header.size = database.len() as u64;
                layer.entries.push(Entry {
                    header,
                    content: database.into(),
                });
            }
        }
        layers[layer.unwrap_or(top)].entries.push(entry);
    }
    layers.into_iter().map(|layer| layer.entries).collect()
}

#[derive(Default)]
struct Layer {
    entries: Vec<Entry<Content>>,
    /// The directories that were written last, outermost first.
    stack: Vec<String>,
}

impl Layer {
    /// Writes the directories of a stack that are not the last ones written, except the one that comes next itself.
    /// After a deeper stack nothing is written, as in the Go tool.
    fn align(&mut self, stack: &[Header], next: &Header) {
        let pairs = self.stack.iter().zip(stack);
        let common = pairs.take_while(|(path, header)| **path == header.path).count();
        self.stack.truncate(common);
        for header in &stack[common..] {
            self.stack.push(header.path.clone());
            if header.path != next.path {
                let header = Header {
                    mtime: next.mtime,
                    ..header.clone()
                };
                self.entries.push(Entry {
                    header,
                    content: Content::default(),
                });
            }
        }
    }
}
