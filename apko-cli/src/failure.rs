//! What a command ends with, and how a person reads it.

use std::error::Error;
use std::path::Path;

use apko::config::ConfigError;
use apko::{BuildError, ResolveError};
use cli_support::{EXIT_FAILED, EXIT_USAGE, chain};

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// An error as it is shown, and the exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    pub(crate) status: u8,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            status: EXIT_USAGE,
        }
    }

    /// The answer is no.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            status: EXIT_FAILED,
        }
    }

    /// The work failed.
    pub(crate) fn work(error: &dyn Error) -> Self {
        Self {
            text: chain(error),
            status: EXIT_FAILED,
        }
    }
}

impl Failure {
    /// The same with more text behind it.
    pub(crate) fn hint(mut self, text: &str) -> Self {
        self.text += text;
        self
    }

    /// The work failed at a file.
    pub(crate) fn at(path: &Path, error: &dyn Error) -> Self {
        Self {
            text: format!("{}: {}", path.display(), chain(error)),
            status: EXIT_FAILED,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(match &error {
            ConfigError::Yaml {
                path,
                diagnostic,
                source_text,
            } => spanned_yaml::render(diagnostic, &path.display().to_string(), source_text),
            _ => chain(&error),
        })
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let mut failure = Self::work(&error);
        if let ResolveError::Unsolvable { without_index, .. } = &error
            && !without_index.is_empty()
        {
            failure.text += &format!(
                "\n  these repositories have no index: {}",
                without_index.join(", ")
            );
        }
        failure
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Resolve(error) => error.into(),
            BuildError::Unsupported(_) | BuildError::Command { .. } => Self::usage(chain(&error)),
            error => Self::work(&error),
        }
    }
}
