//! What `install_if` brings.

use apk_types::Dependency;

use super::{Greedy, NameMap};
use crate::universe::PackageId;

impl<'s> Greedy<'s> {
    /// Makes each name occur once in `found`, then adds the packages whose `install_if` entries are all in it, in
    /// the order in which one of their entries first came; tells where those begin.
    ///
    /// The Go apko looks in an order that changes from run to run.
    pub(super) fn trigger(&self, found: &mut Vec<PackageId>) -> usize {
        let universe = self.universe;
        let mut added = NameMap::new(universe);
        found.retain(|package| {
            let is_new = added.get(universe.name(*package)).is_none();
            if is_new {
                added.insert(universe.name(*package), *package);
            }
            is_new
        });
        let own = found.len();
        let mut next = 0;
        while let Some(&package) = found.get(next) {
            next += 1;
            for candidate in self.started_by(package) {
                let name = universe.name(candidate);
                if added.get(name).is_none() && self.is_triggered(candidate, &added) {
                    added.insert(name, candidate);
                    found.push(candidate);
                }
            }
        }
        own
    }

    /// The packages that `package` may bring: those with its bare name among their entries or, where no package
    /// has that, those with its name and version.
    fn started_by(&self, package: PackageId) -> impl Iterator<Item = PackageId> + use<'_, 's> {
        let entries = self.universe.triggered(self.universe.name(package));
        let version = &self.universe.record(package).version;
        let by_name = entries.iter().any(|(_, entry)| is_bare(entry));
        let starts = move |entry: &Dependency| match by_name {
            true => is_bare(entry),
            false => is_exactly(entry, version),
        };
        entries
            .iter()
            .filter(move |(_, entry)| starts(entry))
            .map(|(candidate, _)| *candidate)
    }

    /// True where every entry is met; as in the Go apko, an entry with a version is met by that very text.
    fn is_triggered(&self, package: PackageId, added: &NameMap) -> bool {
        self.universe.record(package).install_if.iter().all(|entry| {
            let name = self.universe.find(entry.name()).filter(|_| !entry.is_conflict());
            let present = name.and_then(|name| added.get(name));
            present.is_some_and(|present| {
                is_bare(entry) || entry.version() == Some(&self.universe.record(present).version)
            })
        })
    }
}

fn is_bare(entry: &Dependency) -> bool {
    entry.as_str() == entry.name()
}

fn is_exactly(entry: &Dependency, version: &str) -> bool {
    entry
        .as_str()
        .strip_prefix(entry.name())
        .and_then(|rest| rest.strip_prefix('='))
        .is_some_and(|text| text == version)
}
