//! Guests that stay after a build, and the way back into them.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use melange_pipeline::runner::{
    Command, DEFAULT_PATH, ExitStatus, GuestPath, HostPath, Runner, RunnerError, SessionSpec, WORKSPACE,
};
use serde::{Deserialize, Serialize};

use crate::roots::CachedRoot;

/// The file that says how a guest is entered.
const FILE: &str = "guest.json";

/// A guest that a build left behind: how it was run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptGuest {
    runner: String,
    spec: SessionSpec,
}

/// Why a guest that was left behind cannot be entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptGuestError {
    /// The directory holds none.
    #[error("{} holds no guest that a build left behind", path.display())]
    None {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was laid over a tree that the cache does not have any more.
    #[error("the guest was laid over {}, which is no longer in the cache", path.display())]
    TreeGone {
        /// The tree.
        path: PathBuf,
    },
    /// It could not be started.
    #[error(transparent)]
    Runner(#[from] RunnerError),
}

impl KeptGuest {
    pub(crate) fn new(runner: &str, spec: SessionSpec) -> Self {
        let runner = runner.to_owned();
        Self { runner, spec }
    }

    /// Writes it where [`KeptGuest::read`] finds it; nobody else may read it, for it holds the steps' variables.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(directory.join(FILE))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)
    }

    /// Reads what a build left in a directory.
    ///
    /// # Errors
    /// When there is nothing of a build.
    pub fn read(directory: &Path) -> Result<Self, KeptGuestError> {
        let read = fs::read(directory.join(FILE)).and_then(|text| Ok(serde_json::from_slice(&text)?));
        read.map_err(|source| KeptGuestError::None {
            path: directory.to_owned(),
            source,
        })
    }

    /// The name of the runner that it was run with.
    pub fn runner(&self) -> &str {
        &self.runner
    }

    /// Runs a command in it on this program's terminal; a shell where `argv` is empty.
    ///
    /// # Errors
    /// When it cannot be started any more.
    pub fn enter(
        &self,
        runner: &dyn Runner,
        argv: &[String],
        terminal: &str,
    ) -> Result<ExitStatus, KeptGuestError> {
        // It must not go away as long as somebody is in there.
        let lower = self.spec.overlay.iter().flat_map(|overlay| &overlay.lower);
        let held = |path: &HostPath| {
            let path = path.as_path();
            CachedRoot::at(path).ok_or_else(|| KeptGuestError::TreeGone {
                path: path.to_owned(),
            })
        };
        let _trees = lower.map(held).collect::<Result<Vec<CachedRoot>, _>>()?;
        let mut session = runner.start(self.spec.clone())?;
        let shell = ["/bin/sh".to_owned()];
        let argv = if argv.is_empty() { &shell[..] } else { argv };
        let mut command = Command::new(argv.iter().cloned());
        command
            .environment
            .insert("PATH".to_owned(), DEFAULT_PATH.to_owned());
        command.environment.insert("TERM".to_owned(), terminal.to_owned());
        command.workdir = GuestPath::new(WORKSPACE);
        Ok(session.attach(&command)?)
    }
}
