//! What is wrong with a workspace.

use std::fmt;
use std::io;
use std::path::PathBuf;

use apk_types::Arch;
use melange_config::ConfigError;
use spanned_yaml::Diagnostic;

/// A place in a file of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the root.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something wrong in a YAML file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub diagnostic: Box<Diagnostic>,
    /// The text of the file.
    pub text: String,
}

impl Fault {
    /// Draws the fault with the line that it is about.
    pub fn render(&self) -> String {
        spanned_yaml::render(&self.diagnostic, &self.path.display().to_string(), &self.text)
    }
}

/// Why a workspace cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// A file or directory cannot be used.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `workspace.yaml`, or the configuration of an image, is wrong.
    #[error("{}", faults.iter().map(|fault| format!("{}: {}", fault.path.display(), fault.diagnostic)).collect::<Vec<_>>().join("\n"))]
    Yaml {
        /// All that is wrong.
        faults: Vec<Fault>,
    },
    /// Configurations of packages are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Configurations(Vec<ConfigError>),
    /// The configuration of an image is wrong, or one that it includes.
    #[error(transparent)]
    Image(#[from] apko::config::ConfigError),
    /// Two configurations make a package of the same name.
    #[error("{}", list(.0))]
    Duplicates(Vec<Duplicate>),
    /// There is nothing in the directory to build.
    #[error("no configuration of a package or an image is in `{}`", path.display())]
    Empty {
        /// The root of the workspace.
        path: PathBuf,
    },
    /// There are no packages for this host, and no architecture is given.
    #[error("there are no packages for this host: name `architectures` in workspace.yaml")]
    Host,
    /// Repositories or their keys cannot be had.
    #[error(transparent)]
    Repositories(#[from] apko::ResolveError),
    /// The signing key cannot be used.
    #[error(transparent)]
    SigningKey(#[from] melange::SigningKeyError),
    /// Packages need one another in a circle, and no seed has them.
    #[error("{0}")]
    Cycle(Box<Cycle>),
    /// The engine gave up.
    #[error(transparent)]
    Graph(#[from] build_graph::GraphError),
    /// The store or the history cannot be used.
    #[error(transparent)]
    Store(#[from] build_graph::StoreError),
    /// No node has the name.
    #[error("there is no node `{name}`{}", similar.as_ref().map(|similar| format!(": did you mean `{similar}`?")).unwrap_or_default())]
    UnknownNode {
        /// The name.
        name: String,
        /// A node of a similar name.
        similar: Option<String>,
    },
    /// Git does not say what changed.
    #[error("git cannot tell what changed since `{revision}`: {reason}")]
    Git {
        /// The revision.
        revision: String,
        /// What git said.
        reason: String,
    },
}

/// A name that two configurations give to a package, or two images have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// What has the name: `package` or `image`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// Where it is given.
    pub places: Vec<Place>,
}

fn list(duplicates: &[Duplicate]) -> String {
    let line = |duplicate: &Duplicate| {
        let places: Vec<String> = duplicate.places.iter().map(ToString::to_string).collect();
        let Duplicate { kind, name, .. } = duplicate;
        format!(
            "the {kind} `{name}` is defined more than once: {}",
            places.join(", ")
        )
    };
    duplicates.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Packages whose environments need one another in a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The architecture.
    pub arch: Arch,
    /// The packages: each one's environment installs something of the next, the last one's of the first.
    pub steps: Vec<CycleStep>,
    /// Packages of the circle that no seed has; all of them if there is no seed.
    pub without_seed: Vec<String>,
}

/// A package of a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleStep {
    /// The package that is built.
    pub package: String,
    /// Its configuration.
    pub place: Place,
    /// What its environment installs of the next one.
    pub installs: String,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packages need one another to be built ({})", self.arch)?;
        for step in &self.steps {
            write!(
                f,
                "\n  {}  the environment of {} installs {}",
                step.place, step.package, step.installs
            )?;
        }
        if !self.without_seed.is_empty() {
            let missing = self.without_seed.join(", ");
            write!(
                f,
                "\n  name a repository that has {missing} under `seed` in workspace.yaml, and they are built from what is there"
            )?;
        }
        Ok(())
    }
}

/// Says that something could not be done with a path.
pub(crate) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> WorkspaceError {
    let path = path.into();
    move |source| WorkspaceError::Io { action, path, source }
}
