//! The build itself: guest, steps, packages, index.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use apk_types::{Arch, PackageRecord, Version};
use melange_analyze::lint::Finding;
use melange_analyze::{Declared, Dependencies, Package, PackageTree};
use melange_pipeline::runner::{Runner, StepEvent};
use spdx_sbom::{Configuration, Creation};

use crate::emit::{Names, Packed, Packer};
use crate::error::{BuildError, SbomError};
use crate::index::update_index;
use crate::key::SigningKey;
use crate::linting::{Findings, Linters};
use crate::parallel::in_parallel;
use crate::plan::{PackagePlan, Plan};
use crate::records::{Provenance, Records, log_dependencies, log_packages, write_cyclonedx};
use crate::sandbox::{Guest, GuestOptions, GuestSetup, GuestTree, Sandbox, StopAfter};
use crate::sbom::{Documents, license_texts};
use crate::scratch::io_error;
use crate::toolchain::write_settings;
use crate::tree::{DiskTree, OUTPUT};
use crate::workspace::{Source, copy_sources};

/// How a build is done: all that the configuration does not say.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The architecture that packages are made for.
    pub arch: Arch,
    /// How the guest is run.
    pub guest: GuestOptions,
    /// The time of all that is made, in seconds since 1970.
    pub source_date_epoch: i64,
    /// The distribution: the maintainer in `.PKGINFO` and the namespace of package URLs, usually `unknown`.
    pub namespace: String,
    /// What the workspace begins with.
    pub source: Source,
    /// Packages lie in a directory of this one that is named after the architecture.
    pub out: PathBuf,
    /// What packages and index are signed with.
    pub signing_key: Option<SigningKey>,
    /// Where the configuration comes from, for the SBOM.
    pub configuration: Option<Configuration>,
    /// Linters whose findings fail the build, and linters whose findings are shown.
    pub linters: Linters,
    /// Whether the index is updated.
    pub index: bool,
    /// Whether packages have no origin but themselves.
    pub strip_origin: bool,
    /// What is left behind beside the packages.
    pub records: Records,
    /// Variables of the environment that `.melange.yaml` and provenance do not tell.
    pub unrecorded: Vec<String>,
}

impl BuildRequest {
    /// A build for this machine's time zero, out of an empty workspace, unsigned, with the default linters.
    pub fn new(arch: Arch, out: impl Into<PathBuf>, scratch: impl Into<PathBuf>) -> Self {
        Self {
            arch,
            guest: GuestOptions::new(scratch),
            source_date_epoch: 0,
            namespace: "unknown".to_owned(),
            source: Source::Empty,
            out: out.into(),
            signing_key: None,
            configuration: None,
            linters: Linters::default(),
            index: true,
            strip_origin: false,
            records: Records::default(),
            unrecorded: Vec::new(),
        }
    }

    /// Where the packages will lie.
    fn directory(&self) -> PathBuf {
        self.out.join(self.arch.apk_name())
    }
}

/// What a build tells while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The guest is being made.
    Environment,
    /// The steps of a package begin.
    Pipeline {
        /// The package.
        package: &'a str,
    },
    /// A step began, wrote a line, failed or came to its end.
    Step(StepEvent<'a>),
    /// A linter that is not required found something.
    Finding {
        /// The package.
        package: &'a str,
        /// What it found.
        finding: &'a Finding,
    },
    /// A package was analysed.
    Analyzed {
        /// The package.
        package: &'a str,
        /// What it provides and needs, and why.
        found: &'a Dependencies,
    },
    /// Something is odd, but the build goes on.
    Warning {
        /// What.
        message: &'a str,
    },
    /// A package, or a record of the build, lies at its place.
    Written {
        /// The file.
        path: &'a Path,
    },
    /// The guest and the workspace stay, as was asked for.
    Kept {
        /// The directory that they lie in, which [`KeptGuest::read`](crate::KeptGuest::read) takes.
        path: &'a Path,
    },
}

/// Takes the events of a build as they come.
pub trait Events {
    /// Takes one event.
    fn event(&mut self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>)> Events for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}

/// What a build made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// The packages in the order of the plan: their files and what the index says of them.
    pub packages: Vec<(PathBuf, PackageRecord)>,
    /// The index, where it was updated.
    pub index: Option<PathBuf>,
}

/// Builds all packages of a plan and puts them, with the index, into the output directory.
///
/// Each file appears there whole or not at all, and none before all packages of the plan are complete. Guest and
/// workspace are removed at the end, however it ends.
///
/// # Errors
/// With the first thing that fails; nothing is written then, unless it was the writing.
pub fn build_plan(
    plan: &Plan,
    request: &BuildRequest,
    guest: &mut dyn Guest,
    runner: &dyn Runner,
    events: &mut dyn Events,
) -> Result<BuildReport, BuildError> {
    let started = SystemTime::now();
    check(plan, request)?;
    let mut sandbox = Sandbox::new(&request.guest)?;
    let done = run(plan, request, &mut sandbox, guest, runner, events)
        .and_then(|names| pack_all(plan, request, &sandbox, &names, events))
        .and_then(|packages| publish(plan, packages, request, sandbox.tree(), started, events));
    if let Some(path) = sandbox.finish(done.is_ok()) {
        events.event(Event::Kept { path: &path });
    }
    done
}

fn check(plan: &Plan, request: &BuildRequest) -> Result<(), BuildError> {
    let main = plan.packages.first().ok_or_else(|| BuildError::Configuration {
        reason: "there is no package to build".to_owned(),
    })?;
    for package in &plan.packages {
        // A name becomes a directory and a file.
        if package.name.is_empty() || package.name.contains(['/', '\0']) || package.name.starts_with('.') {
            return Err(BuildError::Configuration {
                reason: format!("`{}` cannot be the name of a package", package.name),
            });
        }
    }
    if Version::parse(&plan.version).is_err() {
        return Err(BuildError::Version {
            package: main.name.clone(),
            version: plan.version.clone(),
        });
    }
    if let Some(stop) = &request.guest.stop_after {
        check_stop(stop, plan)?;
    }
    request.linters.check(&main.name)
}

/// Refuses a step to stop after that there is not.
fn check_stop(stop: &StopAfter, plan: &Plan) -> Result<(), BuildError> {
    let mut packages = plan.packages.iter().enumerate();
    let package = packages.find(|(place, package)| stop.of(&package.name, *place == 0).is_some());
    let number = &stop.number;
    let reason = match (package, &stop.package) {
        (Some((_, package)), _) if stop.is_among(&package.steps) => return Ok(()),
        (Some((_, package)), _) => {
            let (name, steps) = (&package.name, package.steps.len());
            format!("there is no step {number} to stop after that would run: `{name}` has {steps} steps")
        }
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            format!("there is no step {number} to stop after: no package `{name}` is built")
        }
    };
    Err(BuildError::Configuration { reason })
}

/// Fills the workspace, makes the guest and runs all steps in it; tells the names of the guest's users.
fn run(
    plan: &Plan,
    request: &BuildRequest,
    sandbox: &mut Sandbox<'_>,
    guest: &mut dyn Guest,
    runner: &dyn Runner,
    events: &mut dyn Events,
) -> Result<Names, BuildError> {
    runner.check()?;
    let deadline = plan.timeout.map(|timeout| Instant::now() + timeout);
    if let Source::Directory { path, ignore_file } = &request.source {
        let workspace = sandbox.workspace();
        write_settings(workspace, plan, &request.namespace, request.arch.apk_name())
            .map_err(io_error("writing compiler settings into", workspace))?;
        copy_sources(path, ignore_file, workspace)?;
    }
    events.event(Event::Environment);
    let mut environment = plan.environment.clone();
    let epoch = || request.source_date_epoch.to_string();
    environment
        .entry("SOURCE_DATE_EPOCH".to_owned())
        .or_insert_with(epoch);
    let setup = GuestSetup {
        environment,
        user: plan.user,
        add_capabilities: &plan.add_capabilities,
        drop_capabilities: &plan.drop_capabilities,
        is_offline: plan.is_offline,
    };
    let files = sandbox.start(guest, runner, &setup)?;
    tell_left_out(sandbox.tree(), events);
    // Before any step runs, for what steps do to the guest's accounts must not name owners.
    let names = Names::read(&files);
    for (place, package) in plan.packages.iter().enumerate() {
        let stop = request.guest.stop_after.as_ref();
        let stop = stop.and_then(|stop| stop.of(&package.name, place == 0));
        run_package(package, sandbox, (deadline, stop), events)?;
    }
    if !request.guest.keep {
        sandbox.stop();
    }
    Ok(names)
}

/// Says which packages a guest goes without.
pub(crate) fn tell_left_out(tree: &GuestTree, events: &mut dyn Events) {
    for package in &tree.left_out {
        let message = format!(
            "the repositories have no `{package}`; the guest goes without, for its sources are fetched outside of it"
        );
        events.event(Event::Warning { message: &message });
    }
}

fn run_package(
    package: &PackagePlan,
    sandbox: &mut Sandbox<'_>,
    limits: (Option<Instant>, Option<&str>),
    events: &mut dyn Events,
) -> Result<(), BuildError> {
    let output = sandbox.workspace().join(OUTPUT);
    // An earlier step could have put a link where the next package's directory must be.
    for directory in [&output, &output.join(&package.name)] {
        if directory.is_symlink() {
            return Err(BuildError::Configuration {
                reason: format!("a step made a link of `{OUTPUT}` or of the package's directory in it"),
            });
        }
        std::fs::create_dir_all(directory).map_err(io_error("making", directory))?;
    }
    events.event(Event::Pipeline {
        package: &package.name,
    });
    let mut tell = |event: StepEvent<'_>| events.event(Event::Step(event));
    sandbox
        .run(&package.steps, limits, &mut tell)
        .map_err(|source| BuildError::Step {
            package: package.name.clone(),
            source,
        })
}

/// A package that is complete but has not its name yet, and what was found out about it.
struct Made {
    packed: Packed,
    found: Dependencies,
}

fn pack_all(
    plan: &Plan,
    request: &BuildRequest,
    sandbox: &Sandbox<'_>,
    names: &Names,
    events: &mut dyn Events,
) -> Result<Vec<Made>, BuildError> {
    let directory = request.directory();
    let mut trees = Vec::new();
    for package in &plan.packages {
        trees.push(read_tree(package, sandbox.workspace(), events)?);
    }
    let lint = |&(package, tree): &(&PackagePlan, &DiskTree)| request.linters.run(package, tree);
    let subjects: Vec<_> = plan.packages.iter().zip(&trees).collect();
    for (package, findings) in plan.packages.iter().zip(in_parallel(&subjects, lint)?) {
        report(package, findings, plan, request, events)?;
    }
    add_sboms(plan, request, sandbox.workspace(), &mut trees)?;

    std::fs::create_dir_all(&directory).map_err(io_error("making", &directory))?;
    let main = plan.packages.first().map_or("", |main| main.name.as_str());
    let packer = Packer {
        plan,
        arch: request.arch,
        origin: if request.strip_origin { "" } else { main },
        namespace: &request.namespace,
        epoch: request.source_date_epoch,
        melange_yaml: &sandbox.tree().record,
        names,
        key: request.signing_key.as_ref(),
        directory: &directory,
    };
    let names = plan.packages.iter().map(|package| package.name.as_str());
    let named: Vec<(&str, &(dyn PackageTree + Sync))> = names
        .zip(trees.iter().map(|tree| tree as &(dyn PackageTree + Sync)))
        .collect();
    let pack = |&(package, tree): &(&PackagePlan, &DiskTree)| {
        let found = analyze(plan, package, &named)?;
        let declared = declared(package);
        let packed = packer.pack(package, tree, melange_analyze::merge(&declared, found.clone()))?;
        Ok(Made { packed, found })
    };
    in_parallel(&plan.packages.iter().zip(&trees).collect::<Vec<_>>(), pack)
}

fn report(
    package: &PackagePlan,
    findings: Findings,
    plan: &Plan,
    request: &BuildRequest,
    events: &mut dyn Events,
) -> Result<(), BuildError> {
    if request.records.lint_results
        && let Some(path) = findings.persist(&package.name, &plan.version, &request.directory())?
    {
        events.event(Event::Written { path: &path });
    }
    for finding in &findings.shown {
        events.event(Event::Finding {
            package: &package.name,
            finding,
        });
    }
    match findings.fatal {
        findings if findings.is_empty() => Ok(()),
        findings => Err(BuildError::Lint {
            package: package.name.clone(),
            findings,
        }),
    }
}

fn read_tree(
    package: &PackagePlan,
    workspace: &Path,
    events: &mut dyn Events,
) -> Result<DiskTree, BuildError> {
    let mut tree = DiskTree::read(workspace, &package.name).map_err(|source| BuildError::Tree {
        package: package.name.clone(),
        source,
    })?;
    for (path, capability) in &package.file_capabilities {
        let path = path.trim_start_matches('/');
        if !tree.set_attribute(path, "security.capability", capability.encode()) {
            let message = format!(
                "{}: `{path}`, which `setcap` names, is no file of the package",
                package.name
            );
            events.event(Event::Warning { message: &message });
        }
    }
    Ok(tree)
}

fn add_sboms(
    plan: &Plan,
    request: &BuildRequest,
    workspace: &Path,
    trees: &mut [DiskTree],
) -> Result<(), BuildError> {
    let main = plan.packages.first().map_or("", |main| main.name.as_str());
    let failed = |package: &str| {
        let package = package.to_owned();
        |source| BuildError::Sbom {
            package,
            source: Box::new(source),
        }
    };
    let epoch = request.source_date_epoch;
    let created = jiff::Timestamp::from_second(epoch).map_err(|_| failed(main)(SbomError::Date(epoch)))?;
    let documents = Documents {
        plan,
        arch: request.arch.apk_name(),
        namespace: &request.namespace,
        creation: Creation {
            created: created.to_string(),
            creators: vec![format!("Tool: melange ({})", env!("CARGO_PKG_VERSION"))],
        },
        configuration: request.configuration.clone(),
        license_texts: license_texts(plan, workspace).map_err(failed(main))?,
    };
    for (place, (package, tree)) in plan.packages.iter().zip(trees).enumerate() {
        let (path, content) = documents.of(package, place == 0).map_err(failed(&package.name))?;
        tree.add_file(&path, content).map_err(|source| BuildError::Tree {
            package: package.name.clone(),
            source,
        })?;
    }
    Ok(())
}

fn declared(package: &PackagePlan) -> Declared {
    Declared {
        runtime: package.runtime.clone(),
        provides: package.provides.clone(),
    }
}

fn analyze(
    plan: &Plan,
    package: &PackagePlan,
    packages: &[(&str, &(dyn PackageTree + Sync))],
) -> Result<Dependencies, BuildError> {
    let packages: Vec<(&str, &dyn PackageTree)> = packages
        .iter()
        .map(|(name, tree)| (*name, *tree as &dyn PackageTree))
        .collect();
    let found = melange_analyze::analyze(&Package {
        name: &package.name,
        version: &plan.version,
        options: package.options,
        declared: &declared(package),
        packages: &packages,
    })?;
    Ok(found)
}

/// Gives all packages their names, then updates the index and writes the records.
fn publish(
    plan: &Plan,
    made: Vec<Made>,
    request: &BuildRequest,
    tree: &GuestTree,
    started: SystemTime,
    events: &mut dyn Events,
) -> Result<BuildReport, BuildError> {
    let mut report = BuildReport::default();
    let records = &request.records;
    let provenance = Provenance {
        configuration: &plan.configuration,
        environment: &tree.packages,
        arch: request.arch,
        started,
        epoch: request.source_date_epoch,
        key: request.signing_key.as_ref(),
    };
    let mut found = Vec::new();
    for (package, Made { packed, found: own }) in plan.packages.iter().zip(made) {
        events.event(Event::Analyzed {
            package: &package.name,
            found: &own,
        });
        let Packed { file, path, record } = packed;
        file.persist(&path)
            .map_err(|error| io_error("writing", &path)(error.error))?;
        events.event(Event::Written { path: &path });
        if records.provenance {
            let path = provenance.write(&path)?;
            events.event(Event::Written { path: &path });
        }
        if records.cyclonedx {
            let sources = plan.packages.first().map(|main| &main.sources);
            let own = Some(&package.sources).filter(|_| !report.packages.is_empty());
            let sources: Vec<_> = sources.into_iter().chain(own).flatten().cloned().collect();
            let made_at = (request.namespace.as_str(), request.source_date_epoch);
            let path = write_cyclonedx(&path, &record, made_at, &sources)?;
            events.event(Event::Written { path: &path });
        }
        report.packages.push((path, record));
        found.push(own);
    }
    if request.index {
        let index = report.packages.iter().map(|(_, record)| record.clone());
        report.index = Some(update_index(
            &request.directory(),
            index,
            request.signing_key.as_ref(),
        )?);
    }
    let names = plan.packages.iter().map(|package| package.name.as_str());
    if let Some(file) = &records.dependencies {
        log_dependencies(file, request.arch, &names.clone().zip(&found).collect::<Vec<_>>())?;
    }
    if let Some(file) = &records.packages {
        let main = plan.packages.first().map_or("", |main| main.name.as_str());
        let origin = |name| if request.strip_origin { name } else { main };
        log_packages(
            file,
            request.arch,
            &plan.version,
            names.map(|name| (origin(name), name)),
        )?;
    }
    Ok(report)
}
