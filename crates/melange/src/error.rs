//! Why a build fails.

use std::io;
use std::path::PathBuf;

use apk_index::IndexError;
use apk_package::{KeyError, WriteError};
use melange_analyze::AnalyzeError;
use melange_analyze::lint::{Finding, LintError};
use melange_pipeline::runner::{RunnerError, StepError, Unavailable};
use spdx_sbom::PackageSbomError;

use crate::tree::TreeError;

/// Why a build fails; the culprit is in the fields and in the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The signing key cannot be used.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The configuration cannot be built as it stands.
    #[error("{reason}")]
    Configuration {
        /// What is wrong with it.
        reason: String,
    },
    /// The version is none that apk understands.
    #[error("the version `{version}` of the package `{package}` is not an apk version")]
    Version {
        /// The main package.
        package: String,
        /// The version.
        version: String,
    },
    /// The runner cannot be used here.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The guest could not be brought up.
    #[error("bringing the build environment up")]
    Runner(#[from] RunnerError),
    /// The build environment could not be made.
    #[error("making the build environment")]
    Environment(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A step failed.
    #[error("building the package `{package}`")]
    Step {
        /// The package whose pipeline it was in.
        package: String,
        /// Which step, and how.
        #[source]
        source: Box<StepError>,
    },
    /// A test failed.
    #[error("testing the package `{package}`")]
    Test {
        /// The package.
        package: String,
        /// Which step, and how.
        #[source]
        source: Box<StepError>,
    },
    /// A file or directory of the build could not be used.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files of a package cannot be taken.
    #[error("collecting the files of the package `{package}`")]
    Tree {
        /// The package.
        package: String,
        /// What is wrong with them.
        source: TreeError,
    },
    /// A package could not be analysed.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// A linter could not run.
    #[error("linting the package `{package}`")]
    Linter {
        /// The package.
        package: String,
        /// Why.
        source: LintError,
    },
    /// Required linters found something.
    #[error(
        "the package `{package}` does not pass its required linters:{}",
        list(findings)
    )]
    Lint {
        /// The package.
        package: String,
        /// What they found.
        findings: Vec<Finding>,
    },
    /// A package's SBOM could not be made.
    #[error("making the SBOM of the package `{package}`")]
    Sbom {
        /// The package.
        package: String,
        /// Why.
        source: Box<SbomError>,
    },
    /// A package file could not be made.
    #[error("packing the package `{package}`")]
    Package {
        /// The package.
        package: String,
        /// Why.
        source: Box<WriteError>,
    },
    /// The index could not be updated.
    #[error("updating the index `{}`", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// Why.
        source: Box<IndexError>,
    },
}

fn list(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!("\n  linter {}: {}", finding.linter, finding.message));
        for item in finding.items.iter().take(20) {
            text.push_str(&format!("\n    {}", item.path));
            if let Some(note) = &item.note {
                text.push_str(&format!(" ({note})"));
            }
        }
        if finding.items.len() > 20 {
            text.push_str(&format!("\n    and {} more", finding.items.len() - 20));
        }
        text.push_str(&format!("\n    {}", finding.advice));
    }
    text
}

/// Why a signing key cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SigningKeyError {
    #[error("the signing key `{}` cannot be read: {reason}", path.display())]
    Read { path: PathBuf, reason: io::Error },
    #[error("the signing key `{}` cannot be used: {reason}", path.display())]
    Key { path: PathBuf, reason: KeyError },
    #[error("the signing key `{}` has no file name", path.display())]
    Name { path: PathBuf },
}

/// Why a package has no SBOM.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SbomError {
    #[error(transparent)]
    Document(#[from] PackageSbomError),
    #[error(transparent)]
    Source(#[from] spdx_sbom::SourceError),
    #[error("writing it as JSON: {0}")]
    Json(String),
    #[error("the licence text `{path}` of the workspace cannot be read")]
    LicenseText { path: String, source: io::Error },
    #[error("the build date {0} is out of range")]
    Date(i64),
}
