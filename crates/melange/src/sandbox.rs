//! The guest that steps run in: what builds and tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use melange_pipeline::runner::{
    Cancel, GuestPath, HostPath, Limits, Mount, Network, Overlay, Runner, Session, SessionSpec, Sources,
    Step, StepError, StepEvents, StepOptions, User, WORKSPACE, run_steps,
};

use crate::error::BuildError;
use crate::kept::KeptGuest;
use crate::removal::remove;
use crate::roots::CachedRoot;
use crate::scratch::{Scratch, io_error};
use crate::sources::{BuildSources, SourceTools};

/// Where the guest sees the cache directory.
const GUEST_CACHE: &str = "/var/cache/melange";

/// The file that tells programs where the name servers are.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How guests are run.
#[derive(Clone, Debug)]
pub struct GuestOptions {
    /// Where temporary directories are made: the guest and, where none is named, the workspace.
    pub scratch: PathBuf,
    /// The workspace; what lies in it stays, and it is left behind by a build that fails. A temporary one if not
    /// given.
    pub workspace: Option<PathBuf>,
    /// A directory that outlives the build and that the guest sees as `/var/cache/melange`.
    pub cache: Option<PathBuf>,
    /// What the guest sees of the network.
    pub network: Network,
    /// What the guest may use of the machine.
    pub limits: Limits,
    /// Whether scripts print each command.
    pub trace: bool,
    /// Whether a failing step opens a shell in the guest.
    pub interactive: bool,
    /// The step that such a shell opens after, even if it does not fail.
    pub stop_after: Option<StopAfter>,
    /// Variables of that shell.
    pub shell_environment: BTreeMap<String, String>,
    /// What gets sources outside of the guest; without it, guests do that themselves.
    pub sources: Option<SourceTools>,
    /// Texts that are shown as `***` wherever steps write them.
    pub hidden: Vec<String>,
    /// Whether the guest and the workspace stay.
    pub keep: bool,
    /// What ends the work early.
    pub cancel: Cancel,
}

impl GuestOptions {
    /// Guests below `scratch` with the host's network and nothing else.
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        Self {
            scratch: scratch.into(),
            workspace: None,
            cache: None,
            network: Network::Host,
            limits: Limits::default(),
            trace: false,
            interactive: false,
            stop_after: None,
            shell_environment: BTreeMap::new(),
            sources: None,
            hidden: Vec::new(),
            keep: false,
            cancel: Cancel::default(),
        }
    }

    fn steps(&self, deadline: Option<Instant>, sources: Option<Arc<dyn Sources>>) -> StepOptions {
        StepOptions {
            trace: self.trace,
            deadline,
            cancel: self.cancel.clone(),
            interactive: self.interactive,
            shell_environment: self.shell_environment.clone(),
            hidden: self.hidden.clone(),
            shell_after: None,
            sources,
        }
    }
}

/// A step to stop after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopAfter {
    /// The package whose pipeline it is in; the main one if not given.
    pub package: Option<String>,
    /// Its number: `3`, `3.1`.
    pub number: String,
}

impl StopAfter {
    /// The number of the step, if it is one of this package's.
    pub(crate) fn of(&self, package: &str, is_main: bool) -> Option<&str> {
        let is_meant = self.package.as_ref().map_or(is_main, |name| name == package);
        is_meant.then_some(self.number.as_str())
    }

    /// Whether there is such a step.
    pub(crate) fn is_among(&self, steps: &[Step]) -> bool {
        let mut steps = steps;
        let mut found = false;
        for number in self.number.split('.') {
            let place = number
                .parse::<usize>()
                .ok()
                .and_then(|number| number.checked_sub(1));
            match place.and_then(|place| steps.get(place)) {
                Some(step) => (steps, found) = (&step.steps, step.enabled),
                None => return false,
            }
        }
        found
    }
}

/// Makes the guest that steps run in.
pub trait Guest {
    /// Lays the environment down in `root`, an empty directory, or names a tree that lies elsewhere. An overlay can
    /// be put over that one if `overlays`.
    fn lay_down(
        &mut self,
        root: &Path,
        overlays: bool,
    ) -> Result<GuestTree, Box<dyn std::error::Error + Send + Sync>>;
}

impl<F> Guest for F
where
    F: FnMut(&Path, bool) -> Result<GuestTree, Box<dyn std::error::Error + Send + Sync>>,
{
    fn lay_down(
        &mut self,
        root: &Path,
        overlays: bool,
    ) -> Result<GuestTree, Box<dyn std::error::Error + Send + Sync>> {
        self(root, overlays)
    }
}

/// What a guest consists of.
#[derive(Debug, Default)]
pub struct GuestTree {
    /// What `.melange.yaml` says: the whole configuration with the environment's packages pinned to what was
    /// installed.
    pub record: String,
    /// The packages in it, `name=version`.
    pub packages: Vec<String>,
    /// Packages that could not be had, and that steps can do without.
    pub left_out: Vec<String>,
    /// The trees that are shared with others, each over those after it; none where all was laid down in the root.
    pub shared: Vec<CachedRoot>,
}

/// What a session needs besides the options.
pub(crate) struct GuestSetup<'a> {
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) user: Option<User>,
    pub(crate) add_capabilities: &'a [String],
    pub(crate) drop_capabilities: &'a [String],
    /// Whether the steps have no network, even where the options give one.
    pub(crate) is_offline: bool,
}

/// Where a path lies of trees that lie over one another, the first on top; in the last one if it is nowhere.
pub(crate) fn in_trees(trees: &[PathBuf], path: &str) -> PathBuf {
    let mut paths = trees.iter().map(|tree| tree.join(path));
    let found = paths.clone().find(|path| path.symlink_metadata().is_ok());
    found.or_else(|| paths.next_back()).unwrap_or_default()
}

/// A workspace and, once it was started, a guest.
pub(crate) struct Sandbox<'a> {
    options: &'a GuestOptions,
    scratch: Option<Scratch>,
    workspace: PathBuf,
    session: Option<Box<dyn Session>>,
    /// How the session was started.
    started: Option<(&'static str, SessionSpec)>,
    sources: Option<Arc<dyn Sources>>,
    /// It keeps the tree from being removed.
    tree: GuestTree,
}

impl<'a> Sandbox<'a> {
    /// Makes the workspace.
    pub(crate) fn new(options: &'a GuestOptions) -> Result<Self, BuildError> {
        let scratch = Scratch::new(&options.scratch)?;
        let workspace = match &options.workspace {
            None => scratch.directory("workspace")?,
            Some(path) => {
                std::fs::create_dir_all(path).map_err(io_error("making", path))?;
                path.clone()
            }
        };
        Ok(Self {
            options,
            scratch: Some(scratch),
            workspace,
            session: None,
            started: None,
            sources: None,
            tree: GuestTree::default(),
        })
    }

    pub(crate) fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// What the guest consists of.
    pub(crate) fn tree(&self) -> &GuestTree {
        &self.tree
    }

    fn scratch(&self) -> Result<&Scratch, BuildError> {
        self.scratch.as_ref().ok_or_else(|| BuildError::Configuration {
            reason: "the guest is gone".to_owned(),
        })
    }

    /// Lays the guest down and brings it up; tells the trees that its files lie in, the first over the others.
    pub(crate) fn start(
        &mut self,
        guest: &mut dyn Guest,
        runner: &dyn Runner,
        setup: &GuestSetup<'_>,
    ) -> Result<Vec<PathBuf>, BuildError> {
        let scratch = self.scratch()?;
        let root = scratch.directory("root")?;
        let overlays = runner.overlays(scratch.path());
        let tree = guest.lay_down(&root, overlays).map_err(BuildError::Environment)?;
        let mut spec = SessionSpec::new(HostPath::new(&root));
        let mut files: Vec<PathBuf> = tree
            .shared
            .iter()
            .map(|shared| shared.path().to_owned())
            .collect();
        if files.is_empty() {
            files.push(root);
        } else {
            spec.overlay = Some(Overlay {
                lower: files.iter().map(HostPath::new).collect(),
                upper: HostPath::new(scratch.directory("changes")?),
                work: HostPath::new(scratch.directory("overlay")?),
            });
        }
        spec.network = match setup.is_offline {
            true => Network::None,
            false => self.options.network,
        };
        self.mounts(&mut spec, &files)?;
        spec.environment = setup.environment.clone();
        spec.user = setup.user;
        spec.add_capabilities = setup.add_capabilities.to_vec();
        spec.drop_capabilities = setup.drop_capabilities.to_vec();
        spec.limits = self.options.limits;
        self.sources = self.source_tools(setup)?;
        self.started = Some((runner.name(), spec.clone()));
        self.session = Some(runner.start(spec)?);
        self.tree = tree;
        Ok(files)
    }

    /// What gets sources for this guest.
    fn source_tools(&self, setup: &GuestSetup<'_>) -> Result<Option<Arc<dyn Sources>>, BuildError> {
        let Some(tools) = self.options.sources.clone() else {
            return Ok(None);
        };
        let epoch = setup.environment.get("SOURCE_DATE_EPOCH");
        Ok(Some(Arc::new(BuildSources {
            tools,
            workspace: self.workspace.clone(),
            scratch: self.scratch()?.directory("sources")?,
            cache: self.options.cache.clone(),
            epoch: epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or_default(),
        })))
    }

    fn mounts(&self, spec: &mut SessionSpec, files: &[PathBuf]) -> Result<(), BuildError> {
        let mount = |source: &Path, target: &str| Mount {
            source: HostPath::new(source),
            target: GuestPath::new(target),
            read_only: false,
        };
        spec.mounts.push(mount(&self.workspace, WORKSPACE));
        if spec.network == Network::Host && Path::new(RESOLV_CONF).exists() {
            // A link in the guest would lead the mount to a path that need not exist.
            let inside = in_trees(files, RESOLV_CONF.trim_start_matches('/'));
            if inside.is_symlink() && spec.overlay.is_none() {
                std::fs::remove_file(&inside).map_err(io_error("replacing", &inside))?;
            }
            if !inside.is_symlink() {
                spec.mounts.push(Mount {
                    read_only: true,
                    ..mount(Path::new(RESOLV_CONF), RESOLV_CONF)
                });
            }
        }
        if let Some(cache) = self.options.cache.as_deref().filter(|cache| cache.is_dir()) {
            spec.mounts.push(mount(cache, GUEST_CACHE));
        }
        Ok(())
    }

    /// Runs steps in the guest.
    pub(crate) fn run(
        &mut self,
        steps: &[Step],
        (deadline, shell_after): (Option<Instant>, Option<&str>),
        events: &mut dyn StepEvents,
    ) -> Result<(), Box<StepError>> {
        match &mut self.session {
            Some(session) => {
                let mut options = self.options.steps(deadline, self.sources.clone());
                options.shell_after = shell_after.map(str::to_owned);
                run_steps(&mut **session, steps, &options, events)
            }
            None => Ok(()),
        }
    }

    /// Ends the guest; its files and the workspace stay until this is dropped.
    pub(crate) fn stop(&mut self) {
        self.session = None;
    }

    /// Ends the guest and leaves everything behind where the options say so: tells where it lies. A workspace that was
    /// named is emptied when all went well.
    pub(crate) fn finish(mut self, succeeded: bool) -> Option<PathBuf> {
        self.session = None;
        let scratch = self.scratch.take()?;
        if self.options.keep {
            let before = scratch.path().to_owned();
            let kept = scratch.keep();
            if let Some((runner, mut spec)) = self.started.take() {
                spec.relocate(&before, &kept);
                let _ = KeptGuest::new(runner, spec).write(&kept);
            }
            return Some(kept);
        }
        if succeeded && let Some(workspace) = &self.options.workspace {
            remove(workspace);
        }
        None
    }
}
