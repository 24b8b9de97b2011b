//! `melange workspace`: packages, tests and images as one graph.

mod args;
mod build;
mod explain;
mod names;
mod plan;
mod query;

use std::env;
use std::num::NonZero;
use std::path::PathBuf;

use apk_repository::Client;
use apko::Policy;
use build_graph::{NodeId, Options};
use cli_support::{Progress, Steps, chain};
use melange_workspace::settings::RunnerKind;
use melange_workspace::{Session, Workspace, WorkspaceError};

use args::{Command, Place};
pub(crate) use args::{EXAMPLES, WorkspaceCommand};

use crate::failure::{Failure, Outcome};
use crate::guest::runners;

pub(crate) fn command(arguments: &WorkspaceCommand, steps: &Steps) -> Outcome {
    match &arguments.command {
        Command::Plan(arguments) => plan::plan(arguments, steps),
        Command::Build(arguments) => build::build(arguments, steps, false),
        Command::Test(arguments) => build::build(arguments, steps, true),
        Command::Graph(arguments) => query::graph(arguments, steps),
        Command::Explain(arguments) => explain::explain(arguments, steps),
        Command::Affected(arguments) => query::affected(arguments, steps),
        Command::Status(arguments) => query::status(arguments, steps),
        Command::Gc(arguments) => query::gc(arguments, steps),
    }
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::Yaml { faults } => {
                let drawn: Vec<String> = faults.iter().map(melange_workspace::Fault::render).collect();
                Self::usage(drawn.join("\n"))
            }
            WorkspaceError::Configurations(errors) => {
                let drawn: Vec<String> = errors.iter().map(melange_config::ConfigError::render).collect();
                Self::usage(drawn.join("\n"))
            }
            WorkspaceError::Image(apko::config::ConfigError::Yaml {
                path,
                diagnostic,
                source_text,
            }) => Self::usage(spanned_yaml::render(
                &diagnostic,
                &path.display().to_string(),
                &source_text,
            )),
            error @ (WorkspaceError::Io { .. }
            | WorkspaceError::Repositories(_)
            | WorkspaceError::Store(_)
            | WorkspaceError::Graph(_)) => Self::work(chain(&error)),
            error => Self::usage(chain(&error)),
        }
    }
}

/// A workspace that was opened, and what it is worked with.
struct Opened {
    workspace: Workspace,
    policy: Policy,
    progress: Progress,
    runner: RunnerKind,
    cache: Option<PathBuf>,
}

impl Opened {
    fn open(place: &Place, steps: &Steps) -> Outcome<Self> {
        let root = match &place.directory {
            Some(directory) => directory.clone(),
            None => {
                let here = env::current_dir().map_err(|error| Failure::work(error.to_string()))?;
                Workspace::root_of(&here)
            }
        };
        let root = std::path::absolute(&root).map_err(|error| Failure::at(&root, &error))?;
        let mut workspace = Workspace::open(&root)?;
        workspace
            .settings
            .repositories
            .extend(place.repository_append.iter().cloned());
        workspace
            .settings
            .keyring
            .extend(place.keyring_append.iter().cloned());
        for definition in &workspace.definitions {
            definition
                .warnings
                .iter()
                .for_each(|warning| steps.detail(warning));
        }
        let variable = |name: &str| env::var(name).ok();
        let (mut options, progress) = place
            .http
            .options(&variable, steps)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let cache = place.http.cache(place.apk_cache_dir.as_deref(), steps);
        options.cache.clone_from(&cache);
        options.offline = place.offline;
        options.http.user_agent = concat!("melange/", env!("CARGO_PKG_VERSION")).to_owned();
        let [bubblewrap, native] = runners();
        let runner = workspace.settings.runner.unwrap_or_else(|| {
            match bubblewrap.check().is_err() && native.check().is_ok() {
                true => RunnerKind::Native,
                false => RunnerKind::Bubblewrap,
            }
        });
        Ok(Self {
            policy: Policy {
                client: Client::new(options),
                ignore_signatures: place.ignore_signatures,
                ..Policy::default()
            },
            cache: cache.map(|cache| cache.root().to_owned()),
            workspace,
            progress,
            runner,
        })
    }

    fn session(&self) -> Outcome<Session<'_>> {
        let session = Session::open(&self.workspace, &self.policy, self.runner);
        self.progress.done();
        Ok(session?)
    }

    /// The nodes of these names; all nodes where there is none.
    fn targets(&self, names: &[String]) -> Outcome<Vec<NodeId>> {
        if names.is_empty() {
            return Ok(self.workspace.nodes());
        }
        let mut targets = Vec::new();
        for name in names {
            targets.extend(self.workspace.find_nodes(name)?);
        }
        Ok(targets)
    }
}

/// How nodes are worked on: as many at a time as there are processors, unless said otherwise.
fn options(jobs: Option<NonZero<usize>>, keep_going: bool) -> Options {
    let processors = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    Options {
        jobs: jobs.unwrap_or(processors),
        threads: processors,
        keep_going,
        ..Options::default()
    }
}
