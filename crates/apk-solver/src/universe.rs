//! The packages to choose from, with every name as a small number.

use std::hash::BuildHasher as _;

use apk_types::{Dependency, PackageRecord};
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::conflict::Candidate;
use crate::go_version::VersionText;

/// One repository to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Repository<'a> {
    /// What tells this repository from others, such as its address; never looked into. Two repositories of one
    /// source are one place: a package taken from there is welcome again whatever its tag.
    pub source: &'a str,
    /// The tag of a `@tag` repository: only what is pinned to the tag may come from it, with its dependencies.
    pub tag: Option<&'a str>,
    /// The packages in the order of the index.
    pub packages: &'a [PackageRecord],
}

/// Where a package is: the repository's place among those given, and the package's place in that repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageRef {
    /// The index of the repository.
    pub repository: usize,
    /// The index of the package within it.
    pub package: usize,
}

/// A package's number within a universe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PackageId(u32);

/// A name's number within a universe: names of packages, names provided, and origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(u32);

impl PackageId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl NameId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

struct Package<'a> {
    record: &'a PackageRecord,
    repository: u32,
    name: NameId,
    origin: Option<NameId>,
}

/// One list per number, all in one allocation.
struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Lists<T> {
    /// Groups `pairs` by the name that is their list, keeping their order within each.
    fn group(lists: usize, pairs: &[(NameId, T)]) -> Self {
        let mut starts = vec![0_u32; lists + 1];
        for (list, _) in pairs {
            starts[list.index() + 1] += 1;
        }
        for list in 0..lists {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let mut items: Vec<T> = pairs.iter().map(|(_, item)| *item).collect();
        for (list, item) in pairs {
            let next = &mut next[list.index()];
            items[*next as usize] = *item;
            *next += 1;
        }
        Self { starts, items }
    }

    fn get(&self, list: usize) -> &[T] {
        &self.items[self.starts[list] as usize..self.starts[list + 1] as usize]
    }
}

/// All packages of a set of repositories, ready for any number of requests.
///
/// It borrows the records. Making one costs a few milliseconds for tens of thousands of packages; a request
/// then looks only at the packages it meets.
pub struct Universe<'a> {
    repositories: Vec<Repository<'a>>,
    /// The number of each repository's first package.
    first_of: Vec<u32>,
    /// The first repository with the same source.
    same_source: Vec<u32>,
    packages: Vec<Package<'a>>,
    names: Names<'a>,
    /// Per name: the packages of that name in index order, then those that provide it, once for each time they do.
    providers: Lists<PackageId>,
    /// Per package: the names it provides, in step with the record's list.
    provided: Lists<NameId>,
    /// Per name: the packages with an `install_if` entry of that name, and that entry.
    triggered: Lists<(PackageId, &'a Dependency)>,
}

impl<'a> Universe<'a> {
    /// Takes in `repositories`, whose order decides between packages that are equal in everything else.
    pub fn new(repositories: &[Repository<'a>]) -> Self {
        let records = repositories.iter().flat_map(|repository| repository.packages);
        let total = repositories
            .iter()
            .map(|repository| repository.packages.len())
            .sum();
        let provided_count: usize = records.map(|record| record.provides.len()).sum();
        let mut names = Names::with_capacity(total + provided_count);
        let mut packages = Vec::with_capacity(total);
        let mut first_of = Vec::with_capacity(repositories.len());
        let mut same_source = Vec::with_capacity(repositories.len());
        for (number, repository) in repositories.iter().enumerate() {
            let twin = repositories
                .iter()
                .position(|other| other.source == repository.source);
            same_source.push(twin.unwrap_or(number) as u32);
            first_of.push(packages.len() as u32);
            for record in repository.packages {
                packages.push(Package {
                    record,
                    repository: number as u32,
                    name: names.number(&record.name),
                    origin: None,
                });
            }
        }
        let provided = provided(&packages, provided_count, &mut names);
        let mut last: Option<(&str, NameId)> = None;
        for package in &mut packages {
            let origin = package.record.origin.as_str();
            // Most are their own origin, and the others mostly come one after the other.
            package.origin = match last {
                _ if origin.is_empty() => None,
                _ if origin == package.record.name => Some(package.name),
                Some((known, number)) if known == origin => Some(number),
                _ => {
                    let number = names.number(origin);
                    last = Some((origin, number));
                    Some(number)
                }
            };
        }
        let providers = providers(&packages, &provided, names.texts.len());
        let triggered = triggered(&packages, &names);
        Self {
            repositories: repositories.to_vec(),
            first_of,
            same_source,
            packages,
            names,
            providers,
            provided,
            triggered,
        }
    }

    /// The repositories, as they were given.
    pub fn repositories(&self) -> &[Repository<'a>] {
        &self.repositories
    }

    /// The record of a package, `None` where there is no such package.
    pub fn get(&self, place: PackageRef) -> Option<&'a PackageRecord> {
        self.repositories
            .get(place.repository)?
            .packages
            .get(place.package)
    }

    /// True where some repository has this name in this version.
    pub(crate) fn has_version(&self, record: &PackageRecord) -> bool {
        self.find(&record.name).is_some_and(|name| {
            let mut own = self.providers(name).iter().filter(|id| self.name(**id) == name);
            own.any(|id| self.record(*id).version == record.version)
        })
    }

    pub(crate) fn place(&self, package: PackageId) -> PackageRef {
        let repository = self.packages[package.index()].repository as usize;
        PackageRef {
            repository,
            package: package.index() - self.first_of[repository] as usize,
        }
    }

    /// The number of the package at a place.
    pub(crate) fn id(&self, place: PackageRef) -> Option<PackageId> {
        self.get(place)?;
        Some(PackageId(self.first_of[place.repository] + place.package as u32))
    }

    /// The package as conflicts name it.
    pub(crate) fn candidate(&self, package: PackageId) -> Candidate {
        let record = self.record(package);
        Candidate {
            name: record.name.clone(),
            version: record.version.clone(),
            place: self.place(package),
        }
    }

    pub(crate) fn package_count(&self) -> usize {
        self.packages.len()
    }

    pub(crate) fn name_count(&self) -> usize {
        self.names.texts.len()
    }

    /// The name of a number below `name_count`.
    pub(crate) fn name_at(&self, number: usize) -> NameId {
        NameId(number as u32)
    }

    /// The package of a number, if there is one.
    pub(crate) fn package_at(&self, number: usize) -> Option<PackageId> {
        (number < self.packages.len()).then_some(PackageId(number as u32))
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = PackageId> + use<> {
        (0..self.packages.len() as u32).map(PackageId)
    }

    pub(crate) fn record(&self, package: PackageId) -> &'a PackageRecord {
        self.packages[package.index()].record
    }

    pub(crate) fn name(&self, package: PackageId) -> NameId {
        self.packages[package.index()].name
    }

    pub(crate) fn origin(&self, package: PackageId) -> Option<NameId> {
        self.packages[package.index()].origin
    }

    pub(crate) fn tag(&self, package: PackageId) -> Option<&'a str> {
        self.repositories[self.packages[package.index()].repository as usize].tag
    }

    /// True where both are the same file of the same place.
    pub(crate) fn same_file(&self, a: PackageId, b: PackageId) -> bool {
        let source = |id: PackageId| self.same_source[self.packages[id.index()].repository as usize];
        source(a) == source(b)
            && self.name(a) == self.name(b)
            && self.record(a).version == self.record(b).version
    }

    /// The number of a name; without one, no package has it, provides it or has it as origin.
    pub(crate) fn find(&self, name: &str) -> Option<NameId> {
        self.names.find(name)
    }

    pub(crate) fn has_provider(&self, name: &str) -> bool {
        self.find(name)
            .is_some_and(|name| !self.providers(name).is_empty())
    }

    /// The text of a name.
    pub(crate) fn text(&self, name: NameId) -> &'a str {
        self.names.texts[name.index()]
    }

    pub(crate) fn providers(&self, name: NameId) -> &[PackageId] {
        self.providers.get(name.index())
    }

    pub(crate) fn triggered(&self, name: NameId) -> &[(PackageId, &'a Dependency)] {
        self.triggered.get(name.index())
    }

    pub(crate) fn provided_names(&self, package: PackageId) -> &[NameId] {
        self.provided.get(package.index())
    }

    /// What a package provides: names with the entries that name them.
    pub(crate) fn provides(
        &self,
        package: PackageId,
    ) -> impl Iterator<Item = (NameId, &'a Dependency)> + use<'_, 'a> {
        let entries = &self.record(package).provides;
        self.provided_names(package).iter().copied().zip(entries)
    }

    /// The version that a package has under a name: its own under its own name, else that of the first entry
    /// providing the name.
    pub(crate) fn version_as(&self, package: PackageId, name: NameId) -> Option<VersionText<'a>> {
        if self.name(package) == name {
            return Some(VersionText::plain(&self.record(package).version));
        }
        let (_, entry) = self.provides(package).find(|(provided, _)| *provided == name)?;
        VersionText::of(entry)
    }
}

/// A `provides` entry that begins with `!` makes no sense; it provides a name that nothing asks for.
fn provided_name(entry: &Dependency) -> &str {
    match entry.is_conflict() {
        true => &entry.as_str()[..=entry.name().len()],
        false => entry.name(),
    }
}

/// Texts, and their numbers in the order in which they came.
struct Names<'a> {
    texts: Vec<&'a str>,
    numbers: HashTable<NameId>,
    hasher: DefaultHashBuilder,
}

impl<'a> Names<'a> {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            texts: Vec::with_capacity(capacity),
            numbers: HashTable::with_capacity(capacity),
            hasher: DefaultHashBuilder::default(),
        }
    }

    fn find(&self, text: &str) -> Option<NameId> {
        let is_same = |number: &NameId| self.texts[number.index()] == text;
        self.numbers.find(self.hasher.hash_one(text), is_same).copied()
    }

    fn number(&mut self, text: &'a str) -> NameId {
        let (texts, hasher) = (&mut self.texts, &self.hasher);
        let entry = self.numbers.entry(
            hasher.hash_one(text),
            |number| texts[number.index()] == text,
            |number| hasher.hash_one(texts[number.index()]),
        );
        let next = NameId(texts.len() as u32);
        let number = *entry.or_insert(next).get();
        if number == next {
            texts.push(text);
        }
        number
    }
}

fn provided<'a>(packages: &[Package<'a>], count: usize, names: &mut Names<'a>) -> Lists<NameId> {
    let mut starts = Vec::with_capacity(packages.len() + 1);
    let mut items = Vec::with_capacity(count);
    for package in packages {
        starts.push(items.len() as u32);
        let provides = package.record.provides.iter();
        items.extend(provides.map(|entry| names.number(provided_name(entry))));
    }
    starts.push(items.len() as u32);
    Lists { starts, items }
}

/// First the packages of each name, then its providers in the order in which their own names first appear.
fn providers(packages: &[Package<'_>], provided: &Lists<NameId>, names: usize) -> Lists<PackageId> {
    let mut pairs: Vec<(NameId, PackageId)> = Vec::with_capacity(packages.len() + provided.items.len());
    pairs.extend(
        packages
            .iter()
            .zip(0..)
            .map(|(package, number)| (package.name, PackageId(number))),
    );
    let by_name = Lists::group(names, &pairs);
    for package in &by_name.items {
        let entries = provided.get(package.index());
        pairs.extend(entries.iter().map(|name| (*name, *package)));
    }
    Lists::group(names, &pairs)
}

fn triggered<'a>(packages: &[Package<'a>], names: &Names<'a>) -> Lists<(PackageId, &'a Dependency)> {
    let mut pairs = Vec::new();
    for (package, number) in packages.iter().zip(0..) {
        for entry in &package.record.install_if {
            if let Some(name) = names.find(entry.name()) {
                pairs.push((name, (PackageId(number), entry)));
            }
        }
    }
    Lists::group(names.texts.len(), &pairs)
}
