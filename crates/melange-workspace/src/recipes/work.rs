//! How packages, tests and indexes come to be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use apk_index::Index;
use apk_repository::Location;
use apk_types::{Arch, PackageRecord};
use apko::config::{Contents, ImageConfiguration};
use apko::{Additions, Repositories};
use build_graph::{Failure, Hash, Job, Output, Part};

use super::{INDEX_FILE, Nodes, test_of};
use crate::builder::{Installed, Task};
use crate::definition::{Compiler, Definition, EnvironmentSpec, package_node, source_directory};
use crate::error::io_error;
use crate::identity::identify;
use crate::metadata::{self, Metadata};
use crate::resolver::{Asked, Settled, build_of};
use crate::solution::{Found, Solution};
use crate::sources::look_at;

impl Nodes<'_> {
    /// Packages as apko takes them, with the keys of what they come from.
    pub(super) fn repositories(
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
        let place: Location = directory.display().to_string().parse()?;
        lists.push((place.clone(), own));
        lists.extend(self.resolver.pool_of(asked)?.records_of(&solution)?);
        Ok(Installed {
            packages: solution.pinned(),
            repositories: self.repositories(asked.spec, BTreeMap::from([(asked.arch, lists)]))?,
            own: place,
        })
    }

    pub(super) fn fetch(
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

    pub(super) fn build_package(
        &self,
        job: &Job<'_>,
        definition: &Definition,
        arch: Arch,
    ) -> Result<Output, Failure> {
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

    pub(super) fn build_test(
        &self,
        job: &Job<'_>,
        definition: &Definition,
        arch: Arch,
    ) -> Result<Output, Failure> {
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

    pub(super) fn build_index(&self, job: &Job<'_>, arch: Arch) -> Result<Output, Failure> {
        let packages = self.packages(arch);
        let archive =
            self.index_of(packages.filter_map(|(definition, _)| job.finished().output(&definition.node())))?;
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

    /// The index of the packages among results, signed.
    pub(crate) fn index_of<'o>(&self, outputs: impl Iterator<Item = &'o Output>) -> Result<Vec<u8>, Failure> {
        let mut index = Index::default();
        let parts = outputs.flat_map(|output| &output.parts);
        index
            .packages
            .extend(parts.filter_map(|part| Metadata::of(part)?.record()));
        index.packages.sort_by(|a, b| a.name.cmp(&b.name));
        let archive = index.to_archive()?;
        match self.key {
            Some(key) => Ok(apk_index::sign(&archive, key.private_key(), key.name())?),
            None => Ok(archive),
        }
    }

    pub(crate) fn directory(&self) -> Result<tempfile::TempDir, Failure> {
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

    pub(super) fn log_of(&self, path: &Path) -> Result<Log, Failure> {
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
pub(super) struct Log {
    path: PathBuf,
    file: Mutex<fs::File>,
}

impl Log {
    pub(super) fn line(&self, job: &Job<'_>, line: &str) {
        use std::io::Write as _;
        job.log(line);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // What is shown is what counts; a full disk shows elsewhere.
        let _ = writeln!(file, "{line}");
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
