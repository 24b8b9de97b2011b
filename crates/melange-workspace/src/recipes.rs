//! The nodes of a workspace for the engine: what their results depend on, and how they come to be.

mod images;
mod work;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use apk_types::Arch;
use build_graph::{
    Blob, Demand, Failure, Finished, Input, Inputs, Job, Need, NodeId, Origin, Output, Recipes,
};
use melange::SigningKey;

use crate::builder::Builder;
use crate::definition::{Definition, EnvironmentSpec, source_directory};
use crate::inputs::hash;
use crate::metadata;
use crate::resolver::{Asked, Resolver, Settled, arch_of, build_of};
use crate::settings::{FILE_NAME, RunnerKind};
use crate::solution::{Found, Solution};
use crate::sources::Sources;

/// How packages, tests and images come to be: to be changed with what melange and apko make of the same inputs.
const PACKAGE: &str = "package/1";
const TEST: &str = "test/1";
const IMAGE: &str = "image/1";
const INDEX: &str = "index/1";

/// The part of an index's result.
pub(crate) const INDEX_FILE: &str = "APKINDEX.tar.gz";

/// The part of an image's result, which has the files of its layout.
pub(crate) const LAYOUT: &str = "layout";

/// What stands for a slash in the name of a layout's file, since the files of a result have no directories.
pub(crate) const BELOW: &str = ":";

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Package(Arc<Definition>, Arch),
    Test(Arc<Definition>, Arch),
    Image(usize),
    Index(Arch),
}

/// The node of the index of an architecture's packages.
pub(crate) fn index_node(arch: Arch) -> NodeId {
    NodeId::new("index", arch.apk_name())
}

/// The nodes of a workspace.
pub(crate) struct Nodes<'a> {
    pub(crate) resolver: &'a Resolver<'a>,
    pub(crate) builder: &'a dyn Builder,
    pub(crate) key: Option<&'a SigningKey>,
    /// The commit that packages record.
    pub(crate) commit: &'a str,
    pub(crate) items: HashMap<NodeId, Item>,
    pub(crate) work: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) sources: Sources,
    pub(crate) settings: Vec<Input>,
    keys: Mutex<HashMap<KeysOf, Vec<(String, String)>>>,
}

/// Whose keys: an architecture, and an environment's repositories and keyring.
type KeysOf = (Arch, Vec<String>, Vec<String>);

impl<'a> Nodes<'a> {
    pub(crate) fn new(resolver: &'a Resolver<'a>, builder: &'a dyn Builder, runner: RunnerKind) -> Self {
        let workspace = resolver.workspace;
        let mut items = HashMap::new();
        for definition in &workspace.definitions {
            if let Some(arch) = arch_of(definition) {
                items.insert(definition.node(), Item::Package(Arc::clone(definition), arch));
                if !definition.tests.is_empty() {
                    items.insert(definition.test_node(), Item::Test(Arc::clone(definition), arch));
                }
                items.entry(index_node(arch)).or_insert(Item::Index(arch));
            }
        }
        for (at, image) in workspace
            .images
            .iter()
            .enumerate()
            .filter(|(_, image)| !image.archs.is_empty())
        {
            items.insert(image.node(), Item::Image(at));
        }
        Self {
            resolver,
            builder,
            key: None,
            commit: "unknown",
            items,
            work: workspace.state().join("work"),
            logs: workspace.state().join("logs"),
            sources: Sources::default(),
            settings: settings(resolver, runner),
            keys: Mutex::default(),
        }
    }

    fn item(&self, node: &NodeId) -> Result<&Item, Failure> {
        self.items
            .get(node)
            .ok_or_else(|| Failure::new(format!("`{node}` is no node of the workspace")))
    }

    /// The keys that are laid into an environment with its packages: those of the settings, its own, and those that its
    /// repositories announce.
    fn key_inputs(&self, prefix: &str, spec: &EnvironmentSpec, arch: Arch) -> Result<Vec<Input>, Failure> {
        let place = (arch, spec.repositories.clone(), spec.keyring.clone());
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = match known.entry(place) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(none) => {
                let repositories = self.repositories(spec, BTreeMap::from([(arch, Vec::new())]))?;
                let keys = repositories.keys(arch).into_iter();
                none.insert(
                    keys.map(|(name, pem)| (name.to_owned(), hash(pem.as_bytes())))
                        .collect(),
                )
            }
        };
        let input = |(name, pem): &(String, String)| plain(&format!("{prefix}/{name}"), pem);
        Ok(keys.iter().map(input).collect())
    }

    fn source_inputs(&self, definition: &Definition) -> Result<Arc<Vec<Input>>, Failure> {
        let workspace = self.resolver.workspace;
        match source_directory(&workspace.root, &workspace.settings, definition) {
            None => Ok(Arc::default()),
            Some(directory) => {
                let name = directory
                    .strip_prefix(&workspace.root)
                    .unwrap_or(&directory)
                    .display()
                    .to_string();
                Ok(self.sources.of(&name, &directory, &workspace.stamps)?)
            }
        }
    }

    fn package_inputs(
        &self,
        definition: &Definition,
        arch: Arch,
        finished: &dyn Finished,
    ) -> Result<Demand, Failure> {
        let (solution, known) = match self.resolver.settle(&build_of(definition, arch), finished)? {
            Settled::Needs(needs) => return Ok(Demand::Needs(needs)),
            Settled::Done { solution, known } => (solution, known),
        };
        let mut list = definition.inputs.clone();
        list.push(plain("architecture", arch.apk_name()));
        list.extend(environment_inputs("environment", &solution, &known));
        list.extend(self.key_inputs("environment-key", &definition.environment, arch)?);
        list.extend(self.settings.iter().cloned());
        list.extend(self.source_inputs(definition)?.iter().cloned());
        Ok(Demand::Ready(inputs(PACKAGE, list)))
    }

    fn test_inputs(
        &self,
        definition: &Definition,
        arch: Arch,
        finished: &dyn Finished,
    ) -> Result<Demand, Failure> {
        let mut list = definition.test_inputs.clone();
        let mut needs = Vec::new();
        for test in &definition.tests {
            match self
                .resolver
                .settle(&test_of(definition, &test.environment, arch), finished)?
            {
                Settled::Needs(more) => needs.extend(more),
                Settled::Done { solution, known } => {
                    let prefix = format!("test/{}/environment", test.package);
                    list.extend(environment_inputs(&prefix, &solution, &known));
                    let prefix = format!("test/{}/environment-key", test.package);
                    list.extend(self.key_inputs(&prefix, &test.environment, arch)?);
                }
            }
        }
        if !needs.is_empty() {
            needs.sort();
            needs.dedup_by(|a, b| a.node == b.node);
            return Ok(Demand::Needs(needs));
        }
        list.push(plain("architecture", arch.apk_name()));
        list.extend(self.settings.iter().cloned());
        list.extend(self.source_inputs(definition)?.iter().cloned());
        Ok(Demand::Ready(inputs(TEST, list)))
    }

    fn index_inputs(&self, arch: Arch, finished: &dyn Finished) -> Demand {
        let mut list = vec![plain("architecture", arch.apk_name())];
        let mut needs = Vec::new();
        for (definition, _) in self.packages(arch) {
            let node = definition.node();
            match finished.output(&node) {
                None => needs.push(Need::new(node, "lists its packages")),
                Some(output) => list.extend(output.parts.iter().flat_map(|part| {
                    let file = |blob: &Blob| plain(&format!("package/{}", part.name), &blob.hash.to_string());
                    part.files.iter().map(move |one| file(&one.blob))
                })),
            }
        }
        if let Some(key) = self.key {
            let public = key.private_key().public_key().to_pem().unwrap_or_default();
            list.push(plain(
                "key",
                &format!("{} {}", key.name(), hash(public.as_bytes())),
            ));
        }
        match needs.is_empty() {
            true => Demand::Ready(inputs(INDEX, list)),
            false => Demand::Needs(needs),
        }
    }

    fn packages(&self, arch: Arch) -> impl Iterator<Item = (&Arc<Definition>, Arch)> {
        let definitions = self.resolver.workspace.definitions.iter();
        definitions
            .filter(move |one| one.arch == arch.apk_name())
            .map(move |one| (one, arch))
    }
}

impl Recipes for Nodes<'_> {
    fn inputs(&self, node: &NodeId, finished: &dyn Finished) -> Result<Demand, Failure> {
        match self.item(node)? {
            Item::Package(definition, arch) => self.package_inputs(definition, *arch, finished),
            Item::Test(definition, arch) => self.test_inputs(definition, *arch, finished),
            Item::Image(at) => self.image_inputs(&self.resolver.workspace.images[*at], finished),
            Item::Index(arch) => Ok(self.index_inputs(*arch, finished)),
        }
    }

    fn build(&self, job: &Job<'_>) -> Result<Output, Failure> {
        match self.item(job.node())? {
            Item::Package(definition, arch) => self.build_package(job, definition, *arch),
            Item::Test(definition, arch) => self.build_test(job, definition, *arch),
            Item::Image(at) => self.build_image(job, &self.resolver.workspace.images[*at]),
            Item::Index(arch) => self.build_index(job, *arch),
        }
    }
}

/// The environment that a test runs in.
fn test_of<'t>(definition: &'t Definition, spec: &'t EnvironmentSpec, arch: Arch) -> Asked<'t> {
    Asked {
        spec,
        what: "its test",
        is_build: false,
        ..build_of(definition, arch)
    }
}

fn inputs(recipe: &str, mut list: Vec<Input>) -> Inputs {
    list.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    let mut inputs = Inputs::new(recipe);
    inputs.extend(list);
    inputs
}

fn plain(name: &str, value: &str) -> Input {
    Input {
        name: name.to_owned(),
        value: value.to_owned(),
        origin: None,
    }
}

/// What is installed in an environment: the workspace's own packages by their identities, others by the checksums of their
/// indexes.
fn environment_inputs(
    prefix: &str,
    solution: &Solution,
    known: &BTreeMap<String, Arc<metadata::Result>>,
) -> Vec<Input> {
    let input = |chosen: &Arc<crate::solution::Chosen>| {
        let content = match &chosen.from {
            Found::Workspace { definition } => {
                let result = known.get(definition);
                result
                    .and_then(|result| result.identities.get(&chosen.name))
                    .map(|identity| identity.to_string()[..32].to_owned())
            }
            Found::Repository { checksum, .. } => Some(checksum.clone()),
        };
        let value = format!("{} {}", chosen.version, content.unwrap_or_default());
        plain(&format!("{prefix}/{}", chosen.name), &value)
    };
    solution.packages.iter().map(input).collect()
}

/// What of the settings all packages and tests depend on.
fn settings(resolver: &Resolver<'_>, runner: RunnerKind) -> Vec<Input> {
    let settings = &resolver.workspace.settings;
    let text = fs::read_to_string(resolver.workspace.root.join(FILE_NAME)).unwrap_or_default();
    let from = |name: String, value: &str, path: &[&str]| Input {
        origin: crate::inputs::line_of(&text, path).map(|line| Origin::new(FILE_NAME, line)),
        ..plain(&name, value)
    };
    let mut list = vec![
        from("workspace/runner".to_owned(), runner.name(), &["runner"]),
        from(
            "workspace/network".to_owned(),
            &format!("{:?}", settings.network),
            &["network"],
        ),
        from(
            "workspace/namespace".to_owned(),
            &settings.namespace,
            &["namespace"],
        ),
        from("workspace/libc".to_owned(), settings.libc.name(), &["libc"]),
        from(
            "workspace/source-date-epoch".to_owned(),
            &settings.source_date_epoch.to_string(),
            &["source-date-epoch"],
        ),
    ];
    for option in &settings.build_options {
        list.push(from(format!("option/{option}"), "on", &["build-options"]));
    }
    list
}
