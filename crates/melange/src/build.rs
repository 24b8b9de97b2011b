//! The build itself: guest, steps, packages, index.

use std::path::{Path, PathBuf};
use std::time::Instant;

use apk_types::{Arch, PackageRecord, Version};
use melange_analyze::lint::{Finding, Subject};
use melange_analyze::{Declared, Dependencies, Package, PackageTree};
use melange_pipeline::runner::{
    Cancel, GuestPath, HostPath, Mount, Network, Runner, Session, SessionSpec, StepOptions, Stream,
    WORKSPACE, run_steps,
};
use spdx_sbom::{Configuration, Creation};

use crate::emit::{Names, Packed, Packer};
use crate::error::{BuildError, SbomError};
use crate::index::update_index;
use crate::key::SigningKey;
use crate::plan::{PackagePlan, Plan};
use crate::sbom::{Documents, license_texts};
use crate::toolchain::write_settings;
use crate::tree::{DiskTree, OUTPUT};
use crate::workspace::{Scratch, Source, copy_sources, io_error};

/// Where the guest sees the cache directory.
const GUEST_CACHE: &str = "/var/cache/melange";

/// The file that tells programs where the name servers are.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How a build is done: all that the configuration does not say.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The architecture that packages are made for.
    pub arch: Arch,
    /// The time of all that is made, in seconds since 1970.
    pub source_date_epoch: i64,
    /// The distribution: the maintainer in `.PKGINFO` and the namespace of package URLs, usually `unknown`.
    pub namespace: String,
    /// What the workspace begins with.
    pub source: Source,
    /// Where temporary directories are made: the guest and the workspace.
    pub scratch: PathBuf,
    /// A directory that outlives the build and that the guest sees as `/var/cache/melange`.
    pub cache: Option<PathBuf>,
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
    /// Whether scripts print each command.
    pub trace: bool,
    /// What the guest sees of the network.
    pub network: Network,
    /// What ends the build early.
    pub cancel: Cancel,
}

/// Which linters run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linters {
    /// Their findings fail the build.
    pub require: Vec<String>,
    /// Their findings are shown.
    pub warn: Vec<String>,
}

impl Default for Linters {
    fn default() -> Self {
        use melange_analyze::lint::{Default as Behaviour, defaults};
        let names = |behaviour| defaults(behaviour).into_iter().map(str::to_owned).collect();
        Self {
            require: names(Behaviour::Require),
            warn: names(Behaviour::Warn),
        }
    }
}

impl BuildRequest {
    /// A build for this machine's time zero, out of an empty workspace, unsigned, with the default linters.
    pub fn new(arch: Arch, out: impl Into<PathBuf>, scratch: impl Into<PathBuf>) -> Self {
        Self {
            arch,
            source_date_epoch: 0,
            namespace: "unknown".to_owned(),
            source: Source::Empty,
            scratch: scratch.into(),
            cache: None,
            out: out.into(),
            signing_key: None,
            configuration: None,
            linters: Linters::default(),
            index: true,
            strip_origin: false,
            trace: false,
            network: Network::Host,
            cancel: Cancel::default(),
        }
    }
}

/// Makes the guest that steps run in.
pub trait Guest {
    /// Lays the build environment down in `root`, an empty directory, and tells what `.melange.yaml` says of it:
    /// the whole configuration with the environment's packages pinned to what was installed.
    fn lay_down(&mut self, root: &Path) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;
}

impl<F> Guest for F
where
    F: FnMut(&Path) -> Result<String, Box<dyn std::error::Error + Send + Sync>>,
{
    fn lay_down(&mut self, root: &Path) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        self(root)
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
    /// A step wrote a line.
    Output {
        /// Where to.
        stream: Stream,
        /// The line, without its line feed.
        line: &'a str,
    },
    /// A linter that is not required found something.
    Finding {
        /// The package.
        package: &'a str,
        /// What it found.
        finding: &'a Finding,
    },
    /// Something is odd, but the build goes on.
    Warning {
        /// What.
        message: &'a str,
    },
    /// A package lies at its place.
    Written {
        /// The file.
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
    check(plan, request)?;
    runner.check()?;
    let deadline = plan.timeout.map(|timeout| Instant::now() + timeout);

    let workspace = Scratch::new(&request.scratch, "melange-workspace-")?;
    if let Source::Directory { path, ignore_file } = &request.source {
        write_settings(
            workspace.path(),
            plan,
            &request.namespace,
            request.arch.apk_name(),
        )
        .map_err(io_error("writing compiler settings into", workspace.path()))?;
        copy_sources(path, ignore_file, workspace.path())?;
    }
    events.event(Event::Environment);
    let root = Scratch::new(&request.scratch, "melange-guest-")?;
    let melange_yaml = guest.lay_down(root.path()).map_err(BuildError::Environment)?;
    // Before any step runs, for what steps do to the guest's accounts must not name owners.
    let names = Names::read(root.path());

    let mut session = runner.start(session_spec(plan, request, root.path(), workspace.path())?)?;
    let options = StepOptions {
        trace: request.trace,
        deadline,
        cancel: request.cancel.clone(),
    };
    for package in &plan.packages {
        run_package(package, &mut *session, &options, workspace.path(), events)?;
    }
    drop(session);

    let packed = pack_all(plan, request, workspace.path(), &melange_yaml, &names, events)?;
    publish(packed, request, events)
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
    let known = melange_analyze::lint::LINTERS;
    for name in request.linters.require.iter().chain(&request.linters.warn) {
        if !known.iter().any(|linter| linter.name == name) {
            return Err(BuildError::Linter {
                package: main.name.clone(),
                source: melange_analyze::lint::LintError::Unknown { name: name.clone() },
            });
        }
    }
    Ok(())
}

fn session_spec(
    plan: &Plan,
    request: &BuildRequest,
    root: &Path,
    workspace: &Path,
) -> Result<SessionSpec, BuildError> {
    let mut spec = SessionSpec::new(HostPath::new(root));
    let mount = |source: &Path, target: &str| Mount {
        source: HostPath::new(source),
        target: GuestPath::new(target),
        read_only: false,
    };
    spec.mounts.push(mount(workspace, WORKSPACE));
    if request.network == Network::Host && Path::new(RESOLV_CONF).exists() {
        // A link in the guest would lead the mount to a path that need not exist.
        let inside = root.join(RESOLV_CONF.trim_start_matches('/'));
        if inside.is_symlink() {
            std::fs::remove_file(&inside).map_err(io_error("replacing", &inside))?;
        }
        spec.mounts.push(Mount {
            read_only: true,
            ..mount(Path::new(RESOLV_CONF), RESOLV_CONF)
        });
    }
    if let Some(cache) = request.cache.as_deref().filter(|cache| cache.is_dir()) {
        spec.mounts.push(mount(cache, GUEST_CACHE));
    }
    spec.environment.insert(
        "SOURCE_DATE_EPOCH".to_owned(),
        request.source_date_epoch.to_string(),
    );
    spec.environment.extend(plan.environment.clone());
    spec.user = plan.user;
    spec.network = request.network;
    spec.add_capabilities.clone_from(&plan.add_capabilities);
    spec.drop_capabilities.clone_from(&plan.drop_capabilities);
    Ok(spec)
}

fn run_package(
    package: &PackagePlan,
    session: &mut dyn Session,
    options: &StepOptions,
    workspace: &Path,
    events: &mut dyn Events,
) -> Result<(), BuildError> {
    let output = workspace.join(OUTPUT);
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
    let mut sink = |stream: Stream, line: &str| events.event(Event::Output { stream, line });
    run_steps(session, &package.steps, options, &mut sink).map_err(|source| BuildError::Step {
        package: package.name.clone(),
        source,
    })
}

fn pack_all(
    plan: &Plan,
    request: &BuildRequest,
    workspace: &Path,
    melange_yaml: &str,
    names: &Names,
    events: &mut dyn Events,
) -> Result<Vec<Packed>, BuildError> {
    let mut trees = Vec::new();
    for package in &plan.packages {
        trees.push(read_tree(package, workspace, events)?);
    }
    for (package, tree) in plan.packages.iter().zip(&trees) {
        lint(package, tree, &request.linters, events)?;
    }
    add_sboms(plan, request, workspace, &mut trees)?;

    let directory = request.out.join(request.arch.apk_name());
    std::fs::create_dir_all(&directory).map_err(io_error("making", &directory))?;
    let main = plan.packages.first().map_or("", |main| main.name.as_str());
    let packer = Packer {
        plan,
        arch: request.arch,
        origin: if request.strip_origin { "" } else { main },
        namespace: &request.namespace,
        epoch: request.source_date_epoch,
        melange_yaml,
        names,
        key: request.signing_key.as_ref(),
        directory: &directory,
    };
    let named: Vec<(&str, &dyn PackageTree)> = plan
        .packages
        .iter()
        .zip(&trees)
        .map(|(package, tree)| (package.name.as_str(), tree as &dyn PackageTree))
        .collect();
    let mut packed = Vec::new();
    for (package, tree) in plan.packages.iter().zip(&trees) {
        let dependencies = analyze(plan, package, &named)?;
        packed.push(packer.pack(package, tree, dependencies)?);
    }
    Ok(packed)
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

fn lint(
    package: &PackagePlan,
    tree: &DiskTree,
    linters: &Linters,
    events: &mut dyn Events,
) -> Result<(), BuildError> {
    let tests: Vec<&str> = package.test_pipelines.iter().map(String::as_str).collect();
    let subject = Subject {
        name: &package.name,
        tree,
        test_pipelines: &tests,
    };
    let run = |names: &[&str]| {
        melange_analyze::lint::lint(&subject, names).map_err(|source| BuildError::Linter {
            package: package.name.clone(),
            source,
        })
    };
    let (mut required, mut shown): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for name in linters.require.iter().chain(&linters.warn).map(String::as_str) {
        let is_required = linters.require.iter().any(|required| required == name);
        let is_disabled = package.disabled_linters.iter().any(|disabled| disabled == name);
        let list = if is_required && !is_disabled {
            &mut required
        } else {
            &mut shown
        };
        if !list.contains(&name) {
            list.push(name);
        }
    }
    for finding in run(&shown)? {
        events.event(Event::Finding {
            package: &package.name,
            finding: &finding,
        });
    }
    match run(&required)? {
        findings if findings.is_empty() => Ok(()),
        findings => Err(BuildError::Lint {
            package: package.name.clone(),
            findings,
        }),
    }
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

fn analyze(
    plan: &Plan,
    package: &PackagePlan,
    packages: &[(&str, &dyn PackageTree)],
) -> Result<Dependencies, BuildError> {
    let declared = Declared {
        runtime: package.runtime.clone(),
        provides: package.provides.clone(),
    };
    let found = melange_analyze::analyze(&Package {
        name: &package.name,
        version: &plan.version,
        options: package.options,
        declared: &declared,
        packages,
    })?;
    Ok(melange_analyze::merge(&declared, found))
}

/// Gives all packages their names, then updates the index.
fn publish(
    packed: Vec<Packed>,
    request: &BuildRequest,
    events: &mut dyn Events,
) -> Result<BuildReport, BuildError> {
    let mut report = BuildReport::default();
    for Packed { file, path, record } in packed {
        file.persist(&path)
            .map_err(|error| io_error("writing", &path)(error.error))?;
        events.event(Event::Written { path: &path });
        report.packages.push((path, record));
    }
    if request.index {
        let directory = request.out.join(request.arch.apk_name());
        let records = report.packages.iter().map(|(_, record)| record.clone());
        report.index = Some(update_index(&directory, records, request.signing_key.as_ref())?);
    }
    Ok(report)
}
