//! Configurations of packages: what the graph needs to know of each.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use apk_types::{Arch, Dependency, PackageRecord};
use build_graph::{Input, NodeId};
use melange_config::types::{Contents, Package};
use melange_config::{
    CompileOptions, Compiled, ConfigError, Configuration, PipelineCache, PipelineSource as _,
};
use melange_pipeline::PipelineDirectories;
use serde::{Deserialize, Serialize};

use crate::error::{Duplicate, Place, WorkspaceError, io_error};
use crate::inputs;
use crate::settings::Settings;
use crate::stamps::{Content, Stamps};

/// A configuration of packages, compiled for an architecture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Definition {
    /// The configuration, relative to the root.
    pub file: String,
    /// The architecture, as apk names it.
    pub arch: String,
    /// The name of the main package.
    pub name: String,
    /// The version with its release.
    pub version: String,
    /// The packages, the main one first.
    pub packages: Vec<StatedPackage>,
    /// What the environment of the build is made from.
    pub environment: EnvironmentSpec,
    /// What of the configuration the packages depend on.
    pub inputs: Vec<Input>,
    /// The tests.
    pub tests: Vec<TestSpec>,
    /// What of the configuration the tests depend on.
    pub test_inputs: Vec<Input>,
    /// What looks like a mistake in the configuration.
    pub warnings: Vec<String>,
    /// The pipelines it uses, and their texts.
    pub(crate) pipelines: Vec<(String, Content)>,
}

/// A package as its configuration states it: what the build finds out about it is not known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatedPackage {
    /// The name.
    pub name: String,
    /// What it depends on.
    pub depends: Vec<String>,
    /// What it provides.
    pub provides: Vec<String>,
    /// Its rank among the providers of a name.
    pub provider_priority: Option<u64>,
    /// The line that names it.
    pub line: u32,
}

/// What an environment is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentSpec {
    /// The packages that are asked for.
    pub packages: Vec<String>,
    /// Repositories beside those of the workspace.
    pub repositories: Vec<String>,
    /// Keys beside those of the workspace.
    pub keyring: Vec<String>,
}

/// A test of a package.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestSpec {
    /// The package.
    pub package: String,
    /// Its environment.
    pub environment: EnvironmentSpec,
}

impl Definition {
    /// The node of its packages.
    pub fn node(&self) -> NodeId {
        package_node(&self.name, &self.arch)
    }

    /// The node of its tests.
    pub fn test_node(&self) -> NodeId {
        NodeId::new("test", &format!("{}@{}", self.name, self.arch))
    }

    /// The places where its packages are named.
    pub fn place(&self, package: &StatedPackage) -> Place {
        Place {
            file: self.file.clone(),
            line: package.line,
        }
    }

    /// The record of each package, as far as it is known without building it.
    pub(crate) fn stated(&self) -> impl Iterator<Item = PackageRecord> + '_ {
        let expressions = |texts: &[String]| texts.iter().map(|text| Dependency::lenient(text)).collect();
        self.packages.iter().map(move |package| PackageRecord {
            name: package.name.clone(),
            version: self.version.clone(),
            arch: self.arch.clone(),
            origin: self.name.clone(),
            depends: expressions(&package.depends),
            provides: expressions(&package.provides),
            provider_priority: package.provider_priority,
            ..PackageRecord::default()
        })
    }
}

/// The node of the packages of a configuration, by its main package.
pub(crate) fn package_node(name: &str, arch: &str) -> NodeId {
    NodeId::new("package", &format!("{name}@{arch}"))
}

/// What was compiled of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CompiledFile {
    pub(crate) file: String,
    pub(crate) content: Content,
    pub(crate) definitions: Vec<Arc<Definition>>,
}

/// Reads and compiles configurations.
pub(crate) struct Compiler<'a> {
    pub(crate) root: &'a Path,
    pub(crate) settings: &'a Settings,
    pub(crate) archs: &'a [Arch],
    pub(crate) stamps: &'a Stamps,
    pub(crate) pipelines: PipelineDirectories,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(root: &'a Path, settings: &'a Settings, archs: &'a [Arch], stamps: &'a Stamps) -> Self {
        let directories = settings.pipelines.iter().map(|directory| root.join(directory));
        Self {
            root,
            settings,
            archs,
            stamps,
            pipelines: PipelineDirectories::new(directories.filter(|directory| directory.is_dir())),
        }
    }

    /// The options that configurations are compiled with. The commit has no part in what the graph knows.
    pub(crate) fn options(&self, arch: Arch, commit: &str) -> CompileOptions {
        let environment = &self.settings.environment;
        CompileOptions {
            libc: self.settings.libc,
            commit: commit.to_owned(),
            build_options: self.settings.build_options.clone(),
            vars: self.settings.vars.clone(),
            environment: Some(environment.clone())
                .filter(|map| !map.is_empty())
                .into_iter()
                .collect(),
            ..CompileOptions::new(arch)
        }
    }

    /// Compiles files, but for those whose content and pipelines are those that were compiled before. Says how many it
    /// compiled.
    pub(crate) fn compile_all(
        &self,
        files: &[String],
        known: Vec<CompiledFile>,
    ) -> Result<(Vec<CompiledFile>, usize), WorkspaceError> {
        let current = self.current_pipelines(&known)?;
        let known: HashMap<String, CompiledFile> = known
            .into_iter()
            .filter(|compiled| is_current(compiled, &current))
            .map(|compiled| (compiled.file.clone(), compiled))
            .collect();
        let known: Mutex<HashMap<String, CompiledFile>> = Mutex::new(known);
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(files.len()));
        let compiled = AtomicUsize::new(0);
        let work = || {
            let pipelines = PipelineCache::new(&self.pipelines);
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let before = lock(&known).remove(file);
                let result = self.one(file, before, &pipelines, &compiled);
                lock(&done).push((file.clone(), result));
            }
        };
        thread::scope(|scope| {
            for _ in 1..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
            work();
        });
        let mut results = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut compiled_files, mut faults) = (Vec::with_capacity(results.len()), Vec::new());
        for (_, result) in results {
            match result {
                Ok(file) => compiled_files.push(file),
                Err(CompileFailure::Config(error)) => faults.push(*error),
                Err(CompileFailure::Other(error)) => return Err(*error),
            }
        }
        match faults.is_empty() {
            true => Ok((compiled_files, compiled.into_inner())),
            false => Err(WorkspaceError::Configurations(faults)),
        }
    }

    fn one(
        &self,
        file: &str,
        before: Option<CompiledFile>,
        pipelines: &PipelineCache<'_>,
        count: &AtomicUsize,
    ) -> Result<CompiledFile, CompileFailure> {
        let path = self.root.join(file);
        let read = || {
            let bytes = fs::read(&path)?;
            Ok((*blake3::hash(&bytes).as_bytes(), bytes))
        };
        let failed = || io_error("reading", &path);
        let (content, bytes) = self.stamps.content_with(file, &path, read).map_err(failed())?;
        if let Some(before) = before.filter(|before| before.content == content) {
            return Ok(before);
        }
        count.fetch_add(1, Ordering::Relaxed);
        let bytes = bytes.map_or_else(|| fs::read(&path), Ok).map_err(failed())?;
        let text = String::from_utf8_lossy(&bytes);
        let written = melange_config::parse(&text, file)?;
        let name: Arc<str> = file.into();
        let mut definitions = Vec::new();
        for arch in self
            .archs
            .iter()
            .filter(|arch| written.package.targets(arch.apk_name()))
        {
            let compiled = melange_config::compile_with(&written, &self.options(*arch, ""), pipelines)?;
            definitions.push(Arc::new(self.definition(&written, compiled, &name, *arch)));
        }
        Ok(CompiledFile {
            file: file.to_owned(),
            content,
            definitions,
        })
    }

    fn definition(
        &self,
        written: &Configuration,
        compiled: Compiled,
        file: &Arc<str>,
        arch: Arch,
    ) -> Definition {
        let compiled = compiled.without_disabled_subpackages();
        let package = &compiled.package;
        let line = |place: u32| place;
        let of_subpackages = compiled.subpackages.iter().map(|subpackage| {
            let location = subpackage.location.as_ref();
            stated(
                &subpackage.package,
                location.map_or(1, |location| location.span.line),
            )
        });
        let tests = inputs::tests(&compiled).map(|(package, test)| TestSpec {
            package: package.name.clone(),
            environment: environment(&test.environment.contents),
        });
        let names = inputs::pipelines(&compiled);
        let pipelines = names.into_iter().filter_map(|name| {
            let found = self.pipelines.find(name).ok().flatten()?;
            Some((name.to_owned(), *blake3::hash(found.text.as_bytes()).as_bytes()))
        });
        Definition {
            file: file.to_string(),
            arch: arch.apk_name().to_owned(),
            name: package.name.clone(),
            version: package.full_version(),
            packages: std::iter::once(stated(package, line(written.places.name.line)))
                .chain(of_subpackages)
                .collect(),
            environment: environment(&compiled.environment.contents),
            tests: tests.collect(),
            pipelines: pipelines.collect(),
            inputs: sorted(inputs::of_build(written, &compiled, file)),
            test_inputs: sorted(inputs::of_tests(written, &compiled, file)),
            warnings: compiled.warnings,
        }
    }

    /// The texts of the pipelines that were used, as they are now.
    fn current_pipelines(&self, known: &[CompiledFile]) -> Result<HashMap<String, Content>, WorkspaceError> {
        let definitions = known.iter().flat_map(|file| &file.definitions);
        let names: BTreeSet<&str> = definitions
            .flat_map(|definition| definition.pipelines.iter().map(|(name, _)| name.as_str()))
            .collect();
        let mut current = HashMap::new();
        for name in names {
            let found = self.pipelines.find(name);
            let found = found.map_err(io_error("reading the pipeline", name))?;
            if let Some(found) = found {
                current.insert(name.to_owned(), *blake3::hash(found.text.as_bytes()).as_bytes());
            }
        }
        Ok(current)
    }

    /// Compiles the configuration of a definition again, for its build.
    pub(crate) fn compile(
        &self,
        definition: &Definition,
        arch: Arch,
        commit: &str,
    ) -> Result<Compiled, WorkspaceError> {
        let path = self.root.join(&definition.file);
        let text = fs::read_to_string(&path).map_err(io_error("reading", &path))?;
        let compile = || -> Result<Compiled, ConfigError> {
            let written = melange_config::parse(&text, &definition.file)?;
            melange_config::compile(&written, &self.options(arch, commit), &self.pipelines)
        };
        compile().map_err(|error| WorkspaceError::Configurations(vec![error]))
    }
}

enum CompileFailure {
    Config(Box<ConfigError>),
    Other(Box<WorkspaceError>),
}

impl From<ConfigError> for CompileFailure {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}

impl From<WorkspaceError> for CompileFailure {
    fn from(error: WorkspaceError) -> Self {
        Self::Other(Box::new(error))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_current(compiled: &CompiledFile, current: &HashMap<String, Content>) -> bool {
    let mut used = compiled
        .definitions
        .iter()
        .flat_map(|definition| &definition.pipelines);
    used.all(|(name, content)| current.get(name) == Some(content))
}

fn sorted(mut inputs: Vec<Input>) -> Vec<Input> {
    inputs.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    inputs
}

fn stated(package: &Package, line: u32) -> StatedPackage {
    let dependencies = &package.dependencies;
    StatedPackage {
        name: package.name.clone(),
        depends: dependencies.runtime.clone(),
        provides: dependencies.provides.clone(),
        provider_priority: dependencies.provider_priority.parse().ok(),
        line,
    }
}

fn environment(contents: &Contents) -> EnvironmentSpec {
    let mut packages = contents.packages.clone();
    packages.sort_unstable();
    packages.dedup();
    EnvironmentSpec {
        packages,
        repositories: [&contents.build_repositories[..], &contents.repositories].concat(),
        keyring: contents.keyring.clone(),
    }
}

/// Refuses packages that two files define for one architecture.
pub(crate) fn refuse_duplicates(definitions: &[Arc<Definition>]) -> Result<(), WorkspaceError> {
    let mut places: HashMap<(&str, &str), Vec<Place>> = HashMap::with_capacity(definitions.len() * 4);
    for definition in definitions {
        for package in &definition.packages {
            let name = (definition.arch.as_str(), package.name.as_str());
            places.entry(name).or_default().push(definition.place(package));
        }
    }
    let mut duplicates: Vec<Duplicate> = places
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|((_, name), mut places)| {
            places.sort();
            Duplicate {
                kind: "package",
                name: name.to_owned(),
                places,
            }
        })
        .collect();
    duplicates.sort_by(|a, b| a.name.cmp(&b.name));
    duplicates.dedup();
    match duplicates.is_empty() {
        true => Ok(()),
        false => Err(WorkspaceError::Duplicates(duplicates)),
    }
}

/// The directory of a package's sources, if there is one.
pub(crate) fn source_directory(root: &Path, settings: &Settings, definition: &Definition) -> Option<PathBuf> {
    let own = settings.source_directory.replace("{name}", &definition.name);
    let beside = Path::new(&definition.file).parent().unwrap_or(Path::new(""));
    Some(root.join(beside).join(own)).filter(|directory| directory.is_dir())
}
