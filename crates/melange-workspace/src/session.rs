//! A workspace with its stores and its history: plans, builds, and explains.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apk_package::{Keyring, PrivateKey};
use apk_types::Arch;
use apko::Policy;
use build_graph::{
    DirectoryStore, Ending, Engine, Events, Explanation, Failure, Gc, GcReport, History, HttpStore, NodeId,
    Options, Output, Plan, Problem, ResultFile, Shared, Stores, Summary,
};
use melange::SigningKey;
use rustix::fs::FlockOperation;

use crate::builder::{Builder, Nobody};
use crate::error::{WorkspaceError, io_error};
use crate::metadata;
use crate::publish::Publisher;
use crate::recipes::{BELOW, INDEX_FILE, Item, LAYOUT, Nodes};
use crate::resolver::Resolver;
use crate::settings::RunnerKind;
use crate::workspace::Workspace;

/// The length of a key that is made for a workspace which names none, in bits.
const KEY_BITS: usize = 2048;

/// A workspace that is worked with.
pub struct Session<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) resolver: Resolver<'a>,
    stores: Stores,
    history: History,
    runner: RunnerKind,
}

/// What a build came to.
#[derive(Debug)]
pub struct Report {
    /// How each node ended.
    pub summary: Summary,
    /// The directories that have something new.
    pub published: Vec<PathBuf>,
    /// Why results could not be put into their directories.
    pub unpublished: Vec<(PathBuf, Failure)>,
}

impl<'a> Session<'a> {
    /// Opens the stores and the history, and solves the environments of all packages as far as can be told.
    ///
    /// # Errors
    /// When the state cannot be used, a repository cannot be had, or packages need one another in a circle for which there is
    /// no seed.
    pub fn open(
        workspace: &'a Workspace,
        policy: &'a Policy,
        runner: RunnerKind,
    ) -> Result<Self, WorkspaceError> {
        let state = workspace.state();
        let mut stores = Stores::new(DirectoryStore::at(state.join("store")));
        if let Some(cache) = &workspace.settings.cache {
            stores = stores.with_shared(shared(&workspace.root, cache, policy)?);
        }
        Ok(Self {
            workspace,
            resolver: Resolver::new(workspace, policy)?,
            stores,
            history: History::open(state.join("history"))?,
            runner,
        })
    }

    /// How many environments had to be solved to open it; the others are known from earlier runs.
    pub fn solved(&self) -> usize {
        self.resolver.solved()
    }

    /// The history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Remembers what was found out, so that the next session need not find it out again.
    pub fn save(&self) {
        self.resolver.save();
        // What cannot be kept is read again.
        let _ = self.workspace.snapshot.save_stamps(&self.workspace.stamps);
    }

    /// The private key for packages and index: the one that the settings name, or the workspace's own, which `make` has made if
    /// it is not there. `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn signing_key(&self, make: bool) -> Result<Option<SigningKey>, WorkspaceError> {
        if let Some(path) = &self.workspace.settings.signing_key {
            return Ok(Some(SigningKey::load(&self.workspace.root.join(path))?));
        }
        let path = self.workspace.state().join("workspace.rsa");
        if !path.exists() {
            if !make {
                return Ok(None);
            }
            make_key(&path)?;
        }
        Ok(Some(SigningKey::load(&path)?))
    }

    /// Tells what a build would do.
    ///
    /// # Errors
    /// When nodes need one another in a circle.
    pub fn plan(&self, targets: &[NodeId], options: &Options) -> Result<Plan, WorkspaceError> {
        let key = self.signing_key(false)?;
        let mut nodes = Nodes::new(&self.resolver, &Nobody, self.runner);
        nodes.key = key.as_ref();
        Ok(Engine::new(&nodes, &self.stores, &self.history).plan(targets, options)?)
    }

    /// Tells why a node would be built, or why not.
    ///
    /// # Errors
    /// When nodes need one another in a circle.
    pub fn explain(&self, node: &NodeId, options: &Options) -> Result<Explanation, WorkspaceError> {
        let key = self.signing_key(false)?;
        let mut nodes = Nodes::new(&self.resolver, &Nobody, self.runner);
        nodes.key = key.as_ref();
        Ok(Engine::new(&nodes, &self.stores, &self.history).explain(node, options)?)
    }

    /// Builds nodes and all that they need, and puts what is whole into the directories of results. One build at a time
    /// works in a workspace; another one waits.
    ///
    /// # Errors
    /// When nodes need one another in a circle, or the state cannot be written.
    pub fn build(
        &self,
        targets: &[NodeId],
        options: &Options,
        builder: &dyn Builder,
        commit: &str,
        events: &dyn Events,
    ) -> Result<Report, WorkspaceError> {
        let _lock = self.lock()?;
        let key = self.signing_key(true)?;
        let mut nodes = Nodes::new(&self.resolver, builder, self.runner);
        nodes.key = key.as_ref();
        nodes.commit = commit;
        // What a killed build left; nobody else works here now.
        let _ = fs::remove_dir_all(&nodes.work);
        let summary = Engine::new(&nodes, &self.stores, &self.history).build(targets, options, events)?;
        let (published, unpublished) = self.publish(&nodes, &summary, events);
        Ok(Report {
            summary,
            published,
            unpublished,
        })
    }

    /// Removes results that no node has now and that were not used for a time, and files that no result has any more.
    ///
    /// # Errors
    /// When nodes need one another in a circle, or the store cannot be read.
    pub fn collect_garbage(
        &self,
        unused_for: Duration,
        options: &Options,
    ) -> Result<GcReport, WorkspaceError> {
        let _lock = self.lock()?;
        let plan = self.plan(&self.workspace.nodes(), options)?;
        let of_history = plan
            .nodes
            .iter()
            .filter_map(|(node, _)| Some(self.history.get(node)?.key));
        let wish = Gc {
            keep: of_history.collect(),
            older_than: Some(unused_for),
            ..Gc::default()
        };
        Ok(self.stores.local().gc(&wish)?)
    }

    fn lock(&self) -> Result<File, WorkspaceError> {
        let state = self.workspace.state();
        fs::create_dir_all(&state).map_err(io_error("making", &state))?;
        let path = state.join("lock");
        let file = File::create(&path).map_err(io_error("opening", &path))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| io_error("locking", &path)(error.into()))?;
        Ok(file)
    }

    /// The output of a node by how it ended in a build.
    fn output(&self, summary: &Summary, node: &NodeId, tell: &(dyn Fn(Problem) + Sync)) -> Option<Output> {
        let (_, key, ending) = summary.nodes.iter().find(|(other, ..)| other == node)?;
        let is_there = matches!(
            ending,
            Ending::Built { .. } | Ending::Reused { .. } | Ending::CutOff
        );
        let (record, _) = self.stores.find(key.as_ref().filter(|_| is_there)?, tell)?;
        Some(record.output)
    }

    /// What a node came to last.
    pub(crate) fn last_result(&self, node: &NodeId) -> Option<Arc<metadata::Result>> {
        let entry = self.history.get(node)?;
        let (record, _) = self.stores.find(&entry.key, &|_| {})?;
        let name = node.name().split_once('@').map_or(node.name(), |(name, _)| name);
        Some(self.resolver.results.read(name, &record.output))
    }

    fn publish(
        &self,
        nodes: &Nodes<'_>,
        summary: &Summary,
        events: &dyn Events,
    ) -> (Vec<PathBuf>, Vec<(PathBuf, Failure)>) {
        let tell = |problem: Problem| events.problem(&problem);
        let publisher = Publisher {
            stores: &self.stores,
            manifests: self.workspace.state().join("published"),
            tell: &tell,
        };
        let (mut published, mut unpublished) = (Vec::new(), Vec::new());
        let mut wanted = Vec::new();
        for (node, item) in &nodes.items {
            let (name, directory) = self.place_of(item);
            let Some(name) = name else { continue };
            wanted.push(name.clone());
            let output = match (self.output(summary, node, &tell), item) {
                (Some(output), _) => output,
                (None, Item::Index(arch)) if !summary.nodes.iter().any(|(other, ..)| other == node) => {
                    match self.publish_some(&publisher, nodes, summary, *arch) {
                        Ok(true) => published.push(directory),
                        Ok(false) => {}
                        Err(failure) => unpublished.push((directory, failure)),
                    }
                    continue;
                }
                _ => continue,
            };
            let files: Vec<ResultFile> = match item {
                Item::Index(arch) => {
                    let index = output
                        .part(INDEX_FILE)
                        .map(|part| part.files.clone())
                        .unwrap_or_default();
                    let packages = self
                        .workspace
                        .definitions
                        .iter()
                        .filter(|one| one.arch == arch.apk_name());
                    let outputs = packages.filter_map(|one| self.output(summary, &one.node(), &tell));
                    let files = outputs
                        .flat_map(|output| output.parts)
                        .flat_map(|part| part.files);
                    index.into_iter().chain(files).collect()
                }
                _ => {
                    let part = output.part(LAYOUT);
                    let files = part.map(|part| part.files.clone()).unwrap_or_default();
                    files.into_iter().map(in_directories).collect()
                }
            };
            match publisher.publish(&name, &directory, &files) {
                Ok(true) => published.push(directory),
                Ok(false) => {}
                Err(failure) => unpublished.push((directory, failure)),
            }
        }
        // Images and architectures that are no more; the workspace has no other name for them.
        for name in publisher
            .published()
            .into_iter()
            .filter(|name| !wanted.contains(name))
        {
            if let Some(directory) = self.place_of_name(&name) {
                let _ = publisher.withdraw(&name, &directory);
            }
        }
        published.sort();
        (published, unpublished)
    }

    /// Publishes the packages of an architecture when the index was not asked for, but some of them: those that were built
    /// now, and of the others what they came to last. Says whether anything changed.
    fn publish_some(
        &self,
        publisher: &Publisher<'_>,
        nodes: &Nodes<'_>,
        summary: &Summary,
        arch: Arch,
    ) -> Result<bool, Failure> {
        let definitions = self.workspace.definitions.iter();
        let of_arch: Vec<NodeId> = definitions
            .filter(|one| one.arch == arch.apk_name())
            .map(|one| one.node())
            .collect();
        let now = |node: &NodeId| self.output(summary, node, publisher.tell);
        if of_arch.iter().all(|node| now(node).is_none()) {
            return Ok(false);
        }
        let last = |node: &NodeId| {
            let key = self.history.get(node)?.key;
            Some(self.stores.find(&key, publisher.tell)?.0.output)
        };
        let outputs: Vec<Output> = of_arch
            .iter()
            .filter_map(|node| now(node).or_else(|| last(node)))
            .collect();
        let directory = nodes.directory()?;
        let index = directory.path().join(INDEX_FILE);
        fs::write(&index, nodes.index_of(outputs.iter())?)?;
        let blob = self.stores.local().keep(&index)?;
        let name = INDEX_FILE.to_owned();
        let parts = outputs.into_iter().flat_map(|output| output.parts);
        let files: Vec<ResultFile> = std::iter::once(ResultFile { name, blob })
            .chain(parts.flat_map(|part| part.files))
            .collect();
        let (name, place) = self.place_of(&Item::Index(arch));
        publisher.publish(&name.unwrap_or_default(), &place, &files)
    }

    fn place_of(&self, item: &Item) -> (Option<String>, PathBuf) {
        let name = match item {
            Item::Index(arch) => Some(format!("packages-{}", arch.apk_name())),
            Item::Image(at) => Some(format!("image-{}", self.workspace.images[*at].name)),
            _ => None,
        };
        let place = name.as_deref().and_then(|name| self.place_of_name(name));
        (name, place.unwrap_or_default())
    }

    fn place_of_name(&self, name: &str) -> Option<PathBuf> {
        let output = &self.workspace.settings.output;
        let (kind, name) = name.split_once('-')?;
        let below = match kind {
            "packages" => &output.packages,
            "image" => &output.images,
            _ => return None,
        };
        Some(self.workspace.root.join(below).join(name))
    }
}

fn in_directories(file: ResultFile) -> ResultFile {
    ResultFile {
        name: file.name.replace(BELOW, "/"),
        ..file
    }
}

/// Makes a key pair at a path and beside it.
fn make_key(path: &Path) -> Result<(), WorkspaceError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |reason: String| io_error("making the signing key", path)(std::io::Error::other(reason));
    let key = PrivateKey::generate(KEY_BITS).map_err(|error| failed(error.to_string()))?;
    let private = key.to_pem().map_err(|error| failed(error.to_string()))?;
    let public = key
        .public_key()
        .to_pem()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(io_error("making", parent))?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    fs::write(&name, public).map_err(io_error("writing", PathBuf::from(&name)))?;
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary);
    file.and_then(|mut file| file.write_all(private.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(io_error("writing", path))
}

/// The store that the settings name, with who is trusted there.
fn shared(
    root: &Path,
    cache: &crate::settings::SharedCache,
    policy: &Policy,
) -> Result<Shared, WorkspaceError> {
    let mut trust = Keyring::default();
    for key in &cache.keyring {
        let path = root.join(key);
        let pem = fs::read_to_string(&path).map_err(io_error("reading the key", &path))?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        trust
            .insert_pem(name, &pem)
            .map_err(|error| io_error("reading the key", &path)(std::io::Error::other(error.to_string())))?;
    }
    let sign = match cache.signing_key.as_ref().filter(|_| cache.write) {
        None => None,
        Some(path) => {
            let key = SigningKey::load(&root.join(path))?;
            Some((key.name().to_owned(), key.private_key().clone()))
        }
    };
    let store = store(root, cache, policy)?;
    Ok(Shared { store, trust, sign })
}

fn store(
    root: &Path,
    cache: &crate::settings::SharedCache,
    policy: &Policy,
) -> Result<Box<dyn build_graph::Store>, WorkspaceError> {
    match &cache.url {
        Some(url) => Ok(Box::new(HttpStore::new(policy.client.clone(), url))),
        None => Ok(Box::new(DirectoryStore::at(
            root.join(cache.directory.clone().unwrap_or_default()),
        ))),
    }
}
