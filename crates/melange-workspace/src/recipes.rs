//! The nodes of a workspace for the engine: what their results depend on, and how they come to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use apk_index::Index;
use apk_repository::Location;
use apk_types::{Arch, PackageRecord};
use apko::config::{Contents, ImageConfiguration};
use apko::{Additions, Repositories, Resolution};
use build_graph::{
    Blob, Demand, Failure, Finished, Hash, Input, Inputs, Job, Need, NodeId, Origin, Output, Part, Recipes,
};
use melange::SigningKey;

use crate::builder::{Builder, ImageTask, Installed, Task};
use crate::definition::{Compiler, Definition, EnvironmentSpec, package_node, source_directory};
use crate::error::io_error;
use crate::identity::identify;
use crate::image::Image;
use crate::inputs::hash;
use crate::metadata::{self, Metadata};
use crate::pool::{OWN, Pool, Question};
use crate::resolver::{Asked, EnvironmentError, Resolver, Settled, arch_of, build_of};
use crate::settings::{FILE_NAME, RunnerKind};
use crate::solution::{Found, Solution};
use crate::sources::{Sources, look_at};

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
}

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
        }
    }

    fn item(&self, node: &NodeId) -> Result<&Item, Failure> {
        self.items
            .get(node)
            .ok_or_else(|| Failure::new(format!("`{node}` is no node of the workspace")))
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

    fn image_inputs(&self, image: &Image, finished: &dyn Finished) -> Result<Demand, Failure> {
        let contents = match self.settle_image(image, finished)? {
            ImageSettled::Needs(needs) => return Ok(Demand::Needs(needs)),
            ImageSettled::Done(contents) => contents,
        };
        let mut list = image.inputs.clone();
        for ImageContents {
            resolution, known, ..
        } in &contents
        {
            for package in &resolution.packages {
                let name = format!("contents/{}/{}", resolution.arch, package.record.name);
                let own = known.values().find_map(|result| {
                    let is_own = package.location.base() == OWN;
                    result.identities.get(&package.record.name).filter(|_| is_own)
                });
                let value = match own {
                    Some(identity) => format!("{} {identity}", package.record.version),
                    None => {
                        let checksum = package.record.checksum.as_ref().map(ToString::to_string);
                        format!("{} {}", package.record.version, checksum.unwrap_or_default())
                    }
                };
                list.push(plain(&name, &value));
            }
        }
        let archs: Vec<&str> = image.archs.iter().map(|arch| arch.apk_name()).collect();
        list.push(plain("architectures", &archs.join(", ")));
        list.push(plain("name", &image.name));
        Ok(Demand::Ready(inputs(IMAGE, list)))
    }

    /// Tells what an image has on each of its architectures, which agree.
    fn settle_image(&self, image: &Image, finished: &dyn Finished) -> Result<ImageSettled, Failure> {
        let spec = image.environment();
        let mut known: BTreeMap<Arch, BTreeMap<String, Arc<metadata::Result>>> = BTreeMap::new();
        let own: Location = OWN.parse()?;
        loop {
            let solved = self.solve_image(image, &spec, &known, &own)?;
            let (mut needs, mut news) = (Vec::new(), false);
            for (resolution, pool, question_known) in &solved {
                let asked = image_of(image, &spec, resolution.arch);
                let question = Question {
                    world: &spec.packages,
                    hidden: None,
                    known: question_known,
                };
                let own_known = known.entry(resolution.arch).or_default();
                let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
                for package in resolution
                    .packages
                    .iter()
                    .filter(|package| package.location == own)
                {
                    let name = &package.record.name;
                    let Some(owner) = pool.owner(&question, name) else {
                        continue;
                    };
                    wanted.entry(owner.to_owned()).or_default().insert(name.clone());
                    let providers = own_known.get(owner).and_then(|result| result.providers.get(name));
                    for (name, provider) in providers.into_iter().flatten() {
                        wanted.entry(provider.clone()).or_default().insert(name.clone());
                    }
                }
                for (name, packages) in wanted {
                    if own_known.contains_key(&name) {
                        continue;
                    }
                    let node = package_node(&name, resolution.arch.apk_name());
                    match finished.output(&node) {
                        Some(output) => {
                            own_known.insert(name.clone(), self.resolver.results.read(&name, output));
                            news = true;
                        }
                        None => needs.push(self.resolver.need(&asked, node, &packages)),
                    }
                }
            }
            match (needs.is_empty(), news) {
                (false, _) => return Ok(ImageSettled::Needs(needs)),
                (true, true) => {}
                (true, false) => {
                    let contents = solved.into_iter().map(|(resolution, ..)| ImageContents {
                        known: known.remove(&resolution.arch).unwrap_or_default(),
                        resolution,
                    });
                    return Ok(ImageSettled::Done(contents.collect()));
                }
            }
        }
    }

    /// Solves an image as the build will, out of what is known of the workspace's packages.
    #[allow(clippy::type_complexity)]
    fn solve_image(
        &self,
        image: &Image,
        spec: &EnvironmentSpec,
        known: &BTreeMap<Arch, BTreeMap<String, Arc<metadata::Result>>>,
        own: &Location,
    ) -> Result<Vec<(Resolution, Arc<Pool>, BTreeMap<String, crate::pool::Built>)>, Failure> {
        let (mut packages, mut questions) = (BTreeMap::new(), Vec::new());
        for arch in &image.archs {
            let asked = image_of(image, spec, *arch);
            let pool = self.resolver.pool_of(&asked)?;
            let built: BTreeMap<_, _> = known
                .get(arch)
                .into_iter()
                .flatten()
                .map(|(name, result)| (name.clone(), result.built.clone()))
                .collect();
            let question = Question {
                world: &spec.packages,
                hidden: None,
                known: &built,
            };
            let reachable = pool.reachable(&question)?;
            let lists = reachable
                .into_iter()
                .map(|(location, list)| (location.unwrap_or_else(|| own.clone()), list));
            packages.insert(*arch, lists.collect());
            questions.push((*arch, pool, built));
        }
        let configuration = &image.loaded.configuration;
        let repositories = self.repositories(spec, packages)?;
        let additions = Additions::default();
        let failed = |error: apko::ResolveError| -> Failure { self.image_error(image, &error).into() };
        let locked = apko::lock_configurations(configuration, &additions, &image.archs, &repositories)
            .map_err(failed)?;
        let mut solved = Vec::new();
        for (arch, pool, built) in questions {
            let world = locked
                .get(&arch)
                .map(|one| apko::world(one, &additions))
                .unwrap_or_default();
            let resolution = repositories
                .resolve(&world, &[arch], false)
                .map_err(failed)?
                .pop();
            solved.extend(resolution.map(|resolution| (resolution, pool, built)));
        }
        Ok(solved)
    }

    fn image_error(&self, image: &Image, error: &apko::ResolveError) -> EnvironmentError {
        let entry = match error {
            apko::ResolveError::Unsolvable { conflict, .. } => conflict
                .chain
                .first()
                .map(|demand| demand.dependency.as_str().to_owned()),
            _ => None,
        };
        let place = entry.as_ref().and_then(|entry| image.place_of(entry));
        EnvironmentError::Unsolvable {
            what: format!("image {}", image.name),
            entry,
            place: place.map(|place| self.relative(place)),
            reason: error.to_string(),
        }
    }

    fn relative(&self, mut place: crate::Place) -> crate::Place {
        if let Ok(file) = Path::new(&place.file).strip_prefix(&self.resolver.workspace.root) {
            place.file = file.display().to_string();
        }
        place
    }

    /// Packages as apko takes them, with the keys of what they come from.
    fn repositories(
        &self,
        spec: &EnvironmentSpec,
        packages: BTreeMap<Arch, Vec<(Location, Vec<PackageRecord>)>>,
    ) -> Result<Repositories, Failure> {
        let remotes = &self.resolver.remotes;
        let settings = &self.resolver.workspace.settings;
        let texts = settings.repositories.iter().chain(&spec.repositories);
        let configuration = ImageConfiguration {
            contents: Contents {
                repositories: texts.filter_map(|text| remotes.absolute(text)).collect(),
                keyring: settings
                    .keyring
                    .iter()
                    .chain(&spec.keyring)
                    .map(|key| remotes.key(key))
                    .collect(),
                ..Contents::default()
            },
            ..ImageConfiguration::default()
        };
        Ok(Repositories::with_packages(
            &configuration,
            &Additions::default(),
            packages,
            remotes.policy,
        )?)
    }

    /// Fetches the workspace's own packages of an environment, and tells where all of it is.
    fn install(&self, job: &Job<'_>, asked: &Asked<'_>, directory: &Path) -> Result<Installed, Failure> {
        let Settled::Done { solution, known } = self.resolver.settle(asked, job.finished())? else {
            return Err(Failure::new("what is needed is not finished"));
        };
        let mut lists = Vec::new();
        let mut own = Vec::new();
        for (definition, package) in solution.own() {
            own.extend(self.fetch(
                job,
                asked.arch,
                definition,
                package,
                known.get(definition),
                directory,
            )?);
        }
        lists.push((directory.display().to_string().parse()?, own));
        lists.extend(self.resolver.pool_of(asked)?.records_of(&solution)?);
        Ok(Installed {
            packages: solution.pinned(),
            repositories: self.repositories(asked.spec, BTreeMap::from([(asked.arch, lists)]))?,
        })
    }

    fn fetch(
        &self,
        job: &Job<'_>,
        arch: Arch,
        definition: &str,
        package: &str,
        known: Option<&Arc<metadata::Result>>,
        directory: &Path,
    ) -> Result<Option<PackageRecord>, Failure> {
        let output = job.finished().output(&package_node(definition, arch.apk_name()));
        let part = output.and_then(|output| output.part(package));
        let record =
            known.and_then(|result| result.built.records.iter().find(|record| record.name == package));
        let (Some(part), Some(record)) = (part, record) else {
            return Ok(None);
        };
        let place = directory.join(arch.apk_name());
        fs::create_dir_all(&place)?;
        if let Some(file) = part.files.first() {
            job.fetch(file, &place.join(record.file_name()))?;
        }
        Ok(Some(record.clone()))
    }

    fn build_package(&self, job: &Job<'_>, definition: &Definition, arch: Arch) -> Result<Output, Failure> {
        let directory = self.directory()?;
        let asked = build_of(definition, arch);
        let environment = self.install(job, &asked, &directory.path().join("repository"))?;
        let name = format!("{}-{}", definition.name, definition.version);
        let log = self.log(arch, &name)?;
        let out = directory.path().join("out");
        fs::create_dir(&out)?;
        let write = |line: &str| log.line(job, line);
        let task = self.task(definition, arch, &out, &write, job)?;
        let files = self.builder.package(&task.as_task(), environment)?;
        drop(task);
        self.check_sources(definition)?;
        let Settled::Done { solution, known } = self.resolver.settle(&asked, job.finished())? else {
            return Err(Failure::new("what is needed is not finished"));
        };
        let before = job.previous();
        let mut parts = Vec::new();
        for file in &files {
            let part = package_part(job, file, &solution, &known)?;
            // Who has the package already need not get it again, with another date and commit.
            let same = before.as_ref().and_then(|output| output.part(&part.name));
            parts.push(
                match same.filter(|same| same.identity == part.identity && !same.files.is_empty()) {
                    Some(same) => same.clone(),
                    None => part,
                },
            );
        }
        let mut output = Output::of(parts);
        output.extras.extend(job.keep("log", &log.path));
        Ok(output)
    }

    /// What was built of sources that changed meanwhile is of neither the old nor the new ones.
    fn check_sources(&self, definition: &Definition) -> Result<(), Failure> {
        let workspace = self.resolver.workspace;
        let Some(directory) = source_directory(&workspace.root, &workspace.settings, definition) else {
            return Ok(());
        };
        let name = directory
            .strip_prefix(&workspace.root)
            .unwrap_or(&directory)
            .display()
            .to_string();
        let now = look_at(&name, &directory, &workspace.stamps)?;
        match now == **self.source_inputs(definition)? {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "the sources in `{name}` changed while the package was built"
            ))),
        }
    }

    fn build_test(&self, job: &Job<'_>, definition: &Definition, arch: Arch) -> Result<Output, Failure> {
        let name = format!("{}-{}.test", definition.name, definition.version);
        let log = self.log(arch, &name)?;
        let write = |line: &str| log.line(job, line);
        for test in &definition.tests {
            let directory = self.directory()?;
            let asked = test_of(definition, &test.environment, arch);
            let environment = self.install(job, &asked, &directory.path().join("repository"))?;
            let task = self.task(definition, arch, directory.path(), &write, job)?;
            self.builder.test(&task.as_task(), &test.package, environment)?;
        }
        self.check_sources(definition)?;
        let mut output = Output::default();
        output.extras.extend(job.keep("log", &log.path));
        Ok(output)
    }

    fn build_index(&self, job: &Job<'_>, arch: Arch) -> Result<Output, Failure> {
        let mut index = Index::default();
        for (definition, _) in self.packages(arch) {
            let output = job.finished().output(&definition.node());
            let parts = output.into_iter().flat_map(|output| &output.parts);
            index
                .packages
                .extend(parts.filter_map(|part| Metadata::of(part)?.record()));
        }
        index.packages.sort_by(|a, b| a.name.cmp(&b.name));
        let mut archive = index.to_archive()?;
        if let Some(key) = self.key {
            archive = apk_index::sign(&archive, key.private_key(), key.name())?;
        }
        let directory = self.directory()?;
        let path = directory.path().join(INDEX_FILE);
        fs::write(&path, &archive)?;
        Ok(Output::of([Part {
            name: INDEX_FILE.to_owned(),
            identity: Hash::of([&archive]),
            metadata: Vec::new(),
            files: vec![job.keep(INDEX_FILE, &path)?],
        }]))
    }

    fn build_image(&self, job: &Job<'_>, image: &Image) -> Result<Output, Failure> {
        let ImageSettled::Done(contents) = self.settle_image(image, job.finished())? else {
            return Err(Failure::new("what is needed is not finished"));
        };
        let directory = self.directory()?;
        let own: Location = OWN.parse()?;
        let place = directory.path().join("repository");
        let mut packages: BTreeMap<Arch, Vec<(Location, Vec<PackageRecord>)>> = BTreeMap::new();
        for ImageContents { resolution, known } in &contents {
            let mut lists: BTreeMap<Location, Vec<PackageRecord>> = BTreeMap::new();
            for package in &resolution.packages {
                if package.location != own {
                    lists
                        .entry(package.location.clone())
                        .or_default()
                        .push(package.record.clone());
                    continue;
                }
                let name = &package.record.name;
                let owner = known
                    .iter()
                    .find(|(_, result)| result.identities.contains_key(name));
                let Some((definition, result)) = owner else {
                    continue;
                };
                let record = self.fetch(job, resolution.arch, definition, name, Some(result), &place)?;
                lists
                    .entry(place.display().to_string().parse()?)
                    .or_default()
                    .extend(record);
            }
            packages.insert(resolution.arch, lists.into_iter().collect());
        }
        let log = self.log_of(&self.logs.join(format!("image-{}.log", image.name)))?;
        let write = |line: &str| log.line(job, line);
        let task = ImageTask {
            image,
            repositories: self.repositories(&image.environment(), packages)?,
            directory: directory.path(),
            log: &write,
        };
        let layout = directory.path().join("layout");
        fs::create_dir(&layout)?;
        let digest = self.builder.image(&task, &layout)?;
        let mut files = Vec::new();
        let mut open = vec![layout.clone()];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(&at)? {
                let path = entry?.path();
                match path.is_dir() {
                    true => open.push(path),
                    false => {
                        let name = path.strip_prefix(&layout)?.display().to_string();
                        files.push(job.keep(name.replace('/', BELOW), &path)?);
                    }
                }
            }
        }
        files.sort();
        Ok(Output::of([Part {
            name: LAYOUT.to_owned(),
            identity: Hash::of([&digest]),
            metadata: digest.into_bytes(),
            files,
        }]))
    }

    fn directory(&self) -> Result<tempfile::TempDir, Failure> {
        fs::create_dir_all(&self.work)?;
        Ok(tempfile::Builder::new().prefix("job-").tempdir_in(&self.work)?)
    }

    fn task<'t>(
        &self,
        definition: &'t Definition,
        arch: Arch,
        directory: &'t Path,
        log: &'t dyn Fn(&str),
        job: &'t Job<'t>,
    ) -> Result<OwnTask<'t>, Failure> {
        let workspace = self.resolver.workspace;
        let compiler = Compiler::new(
            &workspace.root,
            &workspace.settings,
            &workspace.archs,
            &workspace.stamps,
        );
        Ok(OwnTask {
            definition,
            arch,
            compiled: compiler.compile(definition, arch, self.commit)?,
            source: source_directory(&workspace.root, &workspace.settings, definition),
            directory,
            log,
            is_cancelled: Box::new(move || job.is_cancelled()),
        })
    }

    fn log(&self, arch: Arch, name: &str) -> Result<Log, Failure> {
        self.log_of(&self.logs.join(arch.apk_name()).join(format!("{name}.log")))
    }

    fn log_of(&self, path: &Path) -> Result<Log, Failure> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error("making", parent))?;
        }
        let file = fs::File::create(path).map_err(io_error("writing", path))?;
        Ok(Log {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }
}

/// A task with what it borrows.
struct OwnTask<'t> {
    definition: &'t Definition,
    arch: Arch,
    compiled: melange_config::Compiled,
    source: Option<PathBuf>,
    directory: &'t Path,
    log: &'t dyn Fn(&str),
    is_cancelled: Box<dyn Fn() -> bool + 't>,
}

impl OwnTask<'_> {
    fn as_task(&self) -> Task<'_> {
        Task {
            definition: self.definition,
            arch: self.arch,
            compiled: self.compiled.clone(),
            source: self.source.clone(),
            directory: self.directory,
            log: self.log,
            is_cancelled: &*self.is_cancelled,
        }
    }
}

/// What a job says, in a file and to those who watch.
struct Log {
    path: PathBuf,
    file: Mutex<fs::File>,
}

impl Log {
    fn line(&self, job: &Job<'_>, line: &str) {
        use std::io::Write as _;
        job.log(line);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // What is shown is what counts; a full disk shows elsewhere.
        let _ = writeln!(file, "{line}");
    }
}

/// What an image has on an architecture.
struct ImageContents {
    resolution: Resolution,
    known: BTreeMap<String, Arc<metadata::Result>>,
}

enum ImageSettled {
    Needs(Vec<Need>),
    Done(Vec<ImageContents>),
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

fn image_of<'t>(image: &'t Image, spec: &'t EnvironmentSpec, arch: Arch) -> Asked<'t> {
    Asked {
        spec,
        definition: &image.name,
        file: &image.file,
        arch,
        what: "it",
        is_build: false,
    }
}

/// A package file as a part of a result.
fn package_part(
    job: &Job<'_>,
    file: &Path,
    solution: &Solution,
    known: &BTreeMap<String, Arc<metadata::Result>>,
) -> Result<Part, Failure> {
    let identified = identify(file)?;
    let bytes = fs::metadata(file)?.len();
    let record = identified.info.to_record(identified.checksum, bytes);
    let mut providers = Vec::new();
    for need in record.depends.iter().filter(|need| !need.is_conflict()) {
        let provider = solution.packages.iter().find_map(|chosen| {
            let Found::Workspace { definition } = &chosen.from else {
                return None;
            };
            let records = &known.get(definition)?.built.records;
            let own = records.iter().find(|record| record.name == chosen.name)?;
            let has = own.name == need.name() || own.provides.iter().any(|entry| entry.name() == need.name());
            has.then(|| definition.clone())
        });
        providers.extend(provider.map(|provider| (need.name().to_owned(), provider)));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Part {
        name: record.name.clone(),
        identity: identified.identity,
        metadata: Metadata::new(&record, providers).to_bytes(),
        files: vec![job.keep(name, file)?],
    })
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
