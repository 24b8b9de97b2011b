//! Who does the work: builds packages, tests them, and makes images.

use std::path::{Path, PathBuf};

use apk_repository::Location;
use apk_types::Arch;
use apko::Repositories;
use build_graph::Failure;
use melange_config::Compiled;

use crate::definition::Definition;
use crate::image::Image;

/// What is installed in an environment.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The packages, `NAME=VERSION`.
    pub packages: Vec<String>,
    /// Where these are. The workspace's own lie in a directory that is there as long as the task is.
    pub repositories: Repositories,
    /// The directory of the workspace's own.
    pub own: Location,
}

/// What all tasks have in common.
pub struct Task<'a> {
    /// The configuration.
    pub definition: &'a Definition,
    /// The architecture.
    pub arch: Arch,
    /// The configuration, compiled for the architecture.
    pub compiled: Compiled,
    /// The directory of the sources, if there is one.
    pub source: Option<PathBuf>,
    /// A directory for this task alone, empty and removed at its end.
    pub directory: &'a Path,
    /// Shows a line of what the task says.
    pub log: &'a dyn Fn(&str),
    /// Whether the work is to end.
    pub is_cancelled: &'a dyn Fn() -> bool,
}

/// An image that is to be made.
pub struct ImageTask<'a> {
    /// Its configuration.
    pub image: &'a Image,
    /// Where its packages are.
    pub repositories: Repositories,
    /// A directory for this task alone.
    pub directory: &'a Path,
    /// Shows a line of what the task says.
    pub log: &'a dyn Fn(&str),
}

/// Builds, tests and makes images.
pub trait Builder: Sync {
    /// Builds the packages of a configuration in `environment`. Returns the package files, which lie below the task's
    /// directory.
    ///
    /// # Errors
    /// When it does not work.
    fn package(&self, task: &Task<'_>, environment: Installed) -> Result<Vec<PathBuf>, Failure>;

    /// Runs the test of one package of a configuration.
    ///
    /// # Errors
    /// When the test does not pass.
    fn test(&self, task: &Task<'_>, package: &str, environment: Installed) -> Result<(), Failure>;

    /// Makes an image and writes its layout into `layout`, an empty directory. Returns the digest of the image.
    ///
    /// # Errors
    /// When it cannot be made.
    fn image(&self, task: &ImageTask<'_>, layout: &Path) -> Result<String, Failure>;
}

/// Does nothing, for those who only plan.
pub(crate) struct Nobody;

impl Builder for Nobody {
    fn package(&self, _: &Task<'_>, _: Installed) -> Result<Vec<PathBuf>, Failure> {
        Err(Failure::cancelled())
    }

    fn test(&self, _: &Task<'_>, _: &str, _: Installed) -> Result<(), Failure> {
        Err(Failure::cancelled())
    }

    fn image(&self, _: &ImageTask<'_>, _: &Path) -> Result<String, Failure> {
        Err(Failure::cancelled())
    }
}
