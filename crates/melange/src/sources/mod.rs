//! The built-in pipelines `fetch` and `git-checkout`, done outside of the guest.
//!
//! So a guest needs no network, no wget, no git and no certificates for its sources. What they leave in the workspace is
//! what the pipelines' scripts would leave. Nothing is written outside of the workspace, wherever its links lead, and
//! nothing that a configuration says is given to a shell.

mod beneath;
mod error;
mod fetch;
mod git;
mod unpack;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use apk_repository::Client;
use melange_pipeline::runner::{
    Cancel, GuestPath, OutputSink, RunnerError, SourceError, SourceStep, Sources, Stream, WORKSPACE,
};

use self::error::SourcesError;

/// What gets sources: who fetches them, and the program that checks them out.
#[derive(Clone, Debug)]
pub struct SourceTools {
    client: Client,
    git: Option<PathBuf>,
}

impl SourceTools {
    /// Fetches with `client`, and checks out with the `git` that is found in the directories of `search_path` (the
    /// shape of `PATH`), if any; without one, guests do that with their own.
    pub fn new(client: Client, search_path: Option<&OsStr>) -> Self {
        let mut directories = search_path.map(std::env::split_paths).into_iter().flatten();
        Self {
            client,
            git: directories.find_map(|directory| {
                let program = directory.join("git");
                (program.is_absolute() && program.is_file()).then_some(program)
            }),
        }
    }
}

impl SourceTools {
    /// Whether a pipeline's steps need nothing of a guest.
    pub(crate) fn has(&self, pipeline: &str) -> bool {
        pipeline == "fetch" || self.git.is_some()
    }
}

/// The sources of one build.
#[derive(Debug)]
pub(crate) struct BuildSources {
    pub(crate) tools: SourceTools,
    /// The workspace's directory on the host.
    pub(crate) workspace: PathBuf,
    /// A directory for what is being made, on the workspace's file system where that can be.
    pub(crate) scratch: PathBuf,
    /// Where files may lie already, under names such as `sha256:...`.
    pub(crate) cache: Option<PathBuf>,
    /// The date of commits that are made.
    pub(crate) epoch: i64,
}

/// A step's inputs, and what it works with.
struct Job<'a> {
    sources: &'a BuildSources,
    step: &'a SourceStep,
    /// Its directory, from the workspace.
    workdir: String,
    deadline: Option<Instant>,
    cancel: &'a Cancel,
    sink: &'a mut dyn OutputSink,
}

impl Sources for BuildSources {
    fn takes(&self, step: &SourceStep, workdir: &GuestPath) -> bool {
        let is_inside = |path: &str| below_workspace(&workdir.join(path)).is_some();
        let input = |name: &str| step.inputs.get(name).map_or("", String::as_str);
        match step.pipeline.as_str() {
            "fetch" => fetch::takes(input("uri")) && is_inside(input("directory")),
            "git-checkout" => {
                self.tools.git.is_some()
                    && !self.tools.client.options().offline
                    && git::takes(input("repository"))
                    && is_inside(input("destination"))
            }
            _ => false,
        }
    }

    fn get(
        &self,
        step: &SourceStep,
        workdir: &GuestPath,
        (deadline, cancel): (Option<Instant>, &Cancel),
        sink: &mut dyn OutputSink,
    ) -> Result<bool, SourceError> {
        let mut job = Job {
            sources: self,
            step,
            workdir: below_workspace(workdir).unwrap_or_default(),
            deadline,
            cancel,
            sink,
        };
        let done = match step.pipeline.as_str() {
            "fetch" => fetch::run(&mut job),
            _ => git::run(&mut job).map(|()| true),
        };
        done.map_err(|error| match error {
            SourcesError::Ended(error) => SourceError::Ended(error),
            error => SourceError::Failed(Box::new(error)),
        })
    }
}

/// The path from the workspace, if it lies in there.
fn below_workspace(path: &GuestPath) -> Option<String> {
    path.below(&GuestPath::new(WORKSPACE)).map(str::to_owned)
}

impl Job<'_> {
    /// An input, empty where it is not given.
    fn input(&self, name: &str) -> &str {
        self.step.inputs.get(name).map_or("", String::as_str)
    }

    /// An input that is a number.
    fn number<T: std::str::FromStr>(&self, name: &'static str, default: T) -> Result<T, SourcesError> {
        match self.input(name) {
            "" => Ok(default),
            text => text.trim().parse().map_err(|_| SourcesError::Input {
                input: name,
                value: text.to_owned(),
                wanted: "a number",
            }),
        }
    }

    /// An input that is `true` or `false`.
    fn flag(&self, name: &'static str, default: bool) -> Result<bool, SourcesError> {
        match self.input(name) {
            "" => Ok(default),
            "true" => Ok(true),
            "false" => Ok(false),
            text => Err(SourcesError::Input {
                input: name,
                value: text.to_owned(),
                wanted: "true or false",
            }),
        }
    }

    /// A path below the step's directory, from the workspace.
    fn path(&self, path: &str) -> String {
        let workdir = GuestPath::new(WORKSPACE).join(&self.workdir);
        below_workspace(&workdir.join(path)).unwrap_or_default()
    }

    fn say(&mut self, text: &str) {
        self.sink.line(Stream::Stdout, text);
    }

    fn check(&self) -> Result<(), SourcesError> {
        if self.cancel.is_cancelled() {
            return Err(SourcesError::Ended(RunnerError::Cancelled));
        }
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(SourcesError::Ended(RunnerError::TimedOut)),
            _ => Ok(()),
        }
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SourcesError {
    let path = path.to_owned();
    move |source| SourcesError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
