//! The packages that environments are chosen from: the workspace's own, as stated and as built, and those of repositories.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use apk_repository::{Location, RepositoryError};
use apk_solver::{Options, Repository, SolveError, Universe};
use apk_types::{Arch, Dependency, PackageRecord};

use crate::definition::Definition;
use crate::repositories::Remote;
use crate::solution::{Chosen, Found, Solution};
use crate::stamps::Content;

/// The place of the workspace's own packages where none is needed: it tells them from those of repositories.
pub(crate) const OWN: &str = "(workspace)";

/// The packages of a configuration as they came out of its build.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The name of the main package.
    pub(crate) name: String,
    /// The records.
    pub(crate) records: Arc<Vec<PackageRecord>>,
    /// A hash of all that the solver looks at.
    pub(crate) interface: Content,
}

/// All packages for one architecture that environments with the same repositories are chosen from.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) arch: Arch,
    remotes: Vec<Arc<Remote>>,
    stated: Vec<PackageRecord>,
    /// For each of the stated packages, the name of its configuration's main package.
    owners: Vec<String>,
    digest: Content,
    names: OnceLock<Names>,
}

/// What packages have, by name: places in the list of all.
#[derive(Debug, Default)]
struct Names {
    providers: HashMap<String, Vec<u32>>,
    triggered: Vec<u32>,
}

/// What is asked of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    /// The packages that are asked for.
    pub(crate) world: &'a [String],
    /// Configurations of which nothing is taken, by their main packages.
    pub(crate) hidden: Option<&'a BTreeSet<String>>,
    /// Configurations of which it is known what they came to.
    pub(crate) known: &'a BTreeMap<String, Built>,
}

/// The packages that an answer can have to do with, for each repository; first the workspace's own, which has no location.
pub(crate) type Reachable = Vec<(Option<Location>, Vec<PackageRecord>)>;

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PoolError {
    #[error("`{text}`: {reason}")]
    World { text: String, reason: String },
    #[error(transparent)]
    Solve(#[from] SolveError),
    #[error(transparent)]
    Repository(#[from] Arc<RepositoryError>),
}

impl Pool {
    pub(crate) fn new(arch: Arch, definitions: &[Arc<Definition>], remotes: Vec<Arc<Remote>>) -> Self {
        let own = definitions
            .iter()
            .filter(|definition| definition.arch == arch.apk_name());
        let (mut stated, mut owners) = (Vec::new(), Vec::new());
        let mut hasher = blake3::Hasher::new();
        hasher.update(arch.apk_name().as_bytes());
        for definition in own {
            for record in definition.stated() {
                hash_interface(&record, &mut hasher);
                stated.push(record);
                owners.push(definition.name.clone());
            }
        }
        for remote in &remotes {
            hasher.update(remote.location.to_string().as_bytes());
            hasher.update(&remote.digest);
        }
        Self {
            arch,
            remotes,
            stated,
            owners,
            digest: hasher.finalize().into(),
            names: OnceLock::new(),
        }
    }

    /// A key for the answer to a question: another one as soon as the answer can be another one.
    pub(crate) fn key(&self, question: &Question<'_>) -> Content {
        let mut hasher = blake3::Hasher::new();
        let mut put = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        question.world.iter().for_each(|entry| put(entry.as_bytes()));
        put(b"\0hidden");
        question
            .hidden
            .into_iter()
            .flatten()
            .for_each(|name| put(name.as_bytes()));
        put(b"\0known");
        for (name, built) in question.known {
            put(name.as_bytes());
            put(&built.interface);
        }
        hasher.update(&self.digest);
        hasher.finalize().into()
    }

    /// Answers many questions about what is stated alone, on all processors.
    pub(crate) fn solve_stated(&self, worlds: &[&[String]]) -> Vec<Result<Solution, PoolError>> {
        let lists = match self.lists() {
            Ok(lists) => lists,
            Err(error) => {
                return worlds
                    .iter()
                    .map(|_| Err(PoolError::Repository(Arc::clone(&error))))
                    .collect();
            }
        };
        let sources: Vec<String> = self.sources();
        let repositories: Vec<Repository<'_>> = self.repositories(&sources, &lists);
        let universe = Universe::new(&repositories);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let solve = |world: &[String]| {
            let world = parse(world)?;
            let solution = universe.solve(&world, &Options::default())?;
            let chosen = solution.packages.iter().map(|place| {
                let owner = (place.repository == 0).then(|| self.owners[place.package].as_str());
                self.chosen(owner, place.repository, &lists[place.repository][place.package])
            });
            Ok(Solution::new(chosen))
        };
        let answers = std::sync::Mutex::new(vec![None; worlds.len()]);
        let work = || {
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(world) = worlds.get(at) else { break };
                let answer = solve(world);
                answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[at] = Some(answer);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
            work();
        });
        let answers = answers
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        answers.into_iter().flatten().collect()
    }

    /// Answers a question.
    pub(crate) fn solve(&self, question: &Question<'_>) -> Result<Solution, PoolError> {
        let world = parse(question.world)?;
        let (reachable, owners) = self.gather(&world, question)?;
        let sources = self.sources();
        let repositories: Vec<Repository<'_>> = reachable
            .iter()
            .zip(&sources)
            .map(|((location, packages), source)| Repository {
                source,
                tag: location.as_ref().and_then(Location::tag),
                packages,
            })
            .collect();
        let universe = Universe::new(&repositories);
        let solution = universe.solve(&world, &Options::default())?;
        let chosen = solution.packages.iter().map(|place| {
            let owner = (place.repository == 0).then(|| owners[place.package].as_str());
            self.chosen(
                owner,
                place.repository,
                &reachable[place.repository].1[place.package],
            )
        });
        Ok(Solution::new(chosen))
    }

    /// The packages that an answer can have to do with.
    pub(crate) fn reachable(&self, question: &Question<'_>) -> Result<Reachable, PoolError> {
        Ok(self.gather(&parse(question.world)?, question)?.0)
    }

    /// The name of the main package that a package of the workspace is made with.
    pub(crate) fn owner(&self, question: &Question<'_>, package: &str) -> Option<&str> {
        let known = question.known.values();
        let built = known
            .filter(|built| built.records.iter().any(|record| record.name == package))
            .map(|built| built.name.as_str());
        // The owners outlive the question.
        let stated = || {
            let at = self.stated.iter().position(|record| record.name == package)?;
            Some(self.owners[at].as_str())
        };
        match built.clone().next() {
            Some(name) => self
                .owners
                .iter()
                .find(|owner| *owner == name)
                .map(String::as_str),
            None => stated(),
        }
    }

    /// The full records of what was chosen from repositories, by repository.
    pub(crate) fn records_of(
        &self,
        solution: &Solution,
    ) -> Result<Vec<(Location, Vec<PackageRecord>)>, PoolError> {
        let mut lists = Vec::new();
        for (number, remote) in self.remotes.iter().enumerate() {
            let wanted: HashSet<(&str, &str)> = solution
                .packages
                .iter()
                .filter(|chosen| matches!(&chosen.from, Found::Repository { number: from, .. } if *from as usize == number + 1))
                .map(|chosen| (chosen.name.as_str(), chosen.version.as_str()))
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let records = remote.records()?.iter();
            let found =
                records.filter(|record| wanted.contains(&(record.name.as_str(), record.version.as_str())));
            lists.push((remote.location.clone(), found.cloned().collect()));
        }
        Ok(lists)
    }

    fn chosen(&self, owner: Option<&str>, repository: usize, record: &PackageRecord) -> Arc<Chosen> {
        let from = match owner {
            Some(owner) => Found::Workspace {
                definition: owner.to_owned(),
            },
            None => Found::Repository {
                number: u32::try_from(repository).unwrap_or(u32::MAX),
                checksum: record
                    .checksum
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            },
        };
        Arc::new(Chosen {
            name: record.name.clone(),
            version: record.version.clone(),
            from,
        })
    }

    fn sources(&self) -> Vec<String> {
        let remotes = self
            .remotes
            .iter()
            .map(|remote| remote.location.directory(self.arch));
        std::iter::once(OWN.to_owned()).chain(remotes).collect()
    }

    fn lists(&self) -> Result<Vec<&[PackageRecord]>, Arc<RepositoryError>> {
        let remotes = self.remotes.iter().map(|remote| remote.records());
        std::iter::once(Ok(self.stated.as_slice()))
            .chain(remotes)
            .collect()
    }

    fn repositories<'a>(
        &'a self,
        sources: &'a [String],
        lists: &[&'a [PackageRecord]],
    ) -> Vec<Repository<'a>> {
        let tags = std::iter::once(None).chain(self.remotes.iter().map(|remote| remote.location.tag()));
        let parts = sources.iter().zip(tags).zip(lists);
        let repository =
            |((source, tag), packages): ((&'a String, Option<&'a str>), &&'a [PackageRecord])| Repository {
                source,
                tag,
                packages,
            };
        parts.map(repository).collect()
    }

    /// Gathers the packages that have or provide a name that is asked for, and whatever these lead to; and for each of the
    /// workspace's own, whose it is.
    fn gather(
        &self,
        world: &[Dependency],
        question: &Question<'_>,
    ) -> Result<(Reachable, Vec<String>), PoolError> {
        let lists = self.lists()?;
        let names = self.names.get_or_init(|| Names::of(&lists));
        let starts: Vec<u32> = lists
            .iter()
            .scan(0_u32, |start, list| {
                let own = *start;
                *start += list.len() as u32;
                Some(own)
            })
            .collect();
        let built: Vec<(&str, &PackageRecord)> = question
            .known
            .values()
            .flat_map(|built| built.records.iter().map(|record| (built.name.as_str(), record)))
            .collect();
        let of_built = Names::of(&[]).with(built.iter().map(|(_, record)| *record));
        let is_active = |place: u32| {
            let owner = self.owners.get(place as usize);
            owner.is_none_or(|owner| {
                !question.known.contains_key(owner)
                    && question.hidden.is_none_or(|hidden| !hidden.contains(owner))
            })
        };
        let record = |place: u32| {
            let list = starts.partition_point(|start| *start <= place) - 1;
            (list, &lists[list][(place - starts[list]) as usize])
        };
        let (mut taken, mut taken_built) = (BTreeSet::new(), BTreeSet::new());
        let mut seen: HashSet<&str> = world.iter().map(Dependency::name).collect();
        let mut open: Vec<&str> = seen.iter().copied().collect();
        loop {
            while let Some(name) = open.pop() {
                for place in names.providers.get(name).into_iter().flatten().copied() {
                    if is_active(place) && taken.insert(place) {
                        let needs = wanted(record(place).1);
                        open.extend(needs.filter(|need| seen.insert(need)));
                    }
                }
                for place in of_built.providers.get(name).into_iter().flatten().copied() {
                    if taken_built.insert(place) {
                        let needs = wanted(built[place as usize].1);
                        open.extend(needs.filter(|need| seen.insert(need)));
                    }
                }
            }
            let has = |name: &str| {
                let own = names.providers.get(name).into_iter().flatten();
                let built = of_built.providers.get(name).into_iter().flatten();
                own.clone().any(|place| taken.contains(place))
                    || built.clone().any(|place| taken_built.contains(place))
            };
            for place in &names.triggered {
                let record = record(*place).1;
                let mut triggers = record.install_if.iter().filter(|entry| !entry.is_conflict());
                if !taken.contains(place)
                    && is_active(*place)
                    && triggers.all(|entry| has(entry.name()))
                    && seen.insert(&record.name)
                {
                    open.push(&record.name);
                }
            }
            if open.is_empty() {
                break;
            }
        }
        let mut reachable: Reachable = vec![(None, Vec::new())];
        reachable.extend(
            self.remotes
                .iter()
                .map(|remote| (Some(remote.location.clone()), Vec::new())),
        );
        let mut owners = Vec::new();
        for place in taken {
            let (list, record) = record(place);
            reachable[list].1.push(record.clone());
            if list == 0 {
                owners.push(self.owners[place as usize].clone());
            }
        }
        for place in taken_built {
            let (owner, record) = built[place as usize];
            reachable[0].1.push(record.clone());
            owners.push(owner.to_owned());
        }
        Ok((reachable, owners))
    }
}

impl Names {
    fn of(lists: &[&[PackageRecord]]) -> Self {
        Self::default().with(lists.iter().flat_map(|list| list.iter()))
    }

    fn with<'a>(mut self, records: impl Iterator<Item = &'a PackageRecord>) -> Self {
        for (place, record) in records.enumerate() {
            let place = place as u32;
            let provided = record.provides.iter().map(Dependency::name);
            for name in std::iter::once(record.name.as_str()).chain(provided) {
                match self.providers.get_mut(name) {
                    Some(places) => places.push(place),
                    None => drop(self.providers.insert(name.to_owned(), vec![place])),
                }
            }
            if !record.install_if.is_empty() {
                self.triggered.push(place);
            }
        }
        self
    }
}

fn wanted(record: &PackageRecord) -> impl Iterator<Item = &str> {
    let needs = record.depends.iter().filter(|entry| !entry.is_conflict());
    std::iter::once(record.name.as_str()).chain(needs.map(Dependency::name))
}

fn parse(world: &[String]) -> Result<Vec<Dependency>, PoolError> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error: apk_types::DependencyError| PoolError::World {
                text: text.clone(),
                reason: error.to_string(),
            })
    };
    world.iter().map(parse).collect()
}

/// All of a record that the solver looks at.
fn hash_interface(record: &PackageRecord, hasher: &mut blake3::Hasher) {
    let mut put = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    put(&record.name);
    put(&record.version);
    put(&record.origin);
    put(&record.provider_priority.unwrap_or_default().to_string());
    for list in [&record.depends, &record.provides, &record.install_if] {
        put("\0");
        list.iter().for_each(|entry| put(entry.as_str()));
    }
}

impl Built {
    pub(crate) fn new(name: &str, records: Arc<Vec<PackageRecord>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        records
            .iter()
            .for_each(|record| hash_interface(record, &mut hasher));
        Self {
            name: name.to_owned(),
            records,
            interface: hasher.finalize().into(),
        }
    }
}
