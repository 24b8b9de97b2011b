//! What a command ends with, and how a person reads it.

use std::error::Error;

use cli_support::{EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, chain};
use melange::BuildError;
use melange_config::{ConfigError, Fault, Rule};

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// An error as it is shown, and the exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    pub(crate) status: u8,
    /// What is wrong with a configuration, one by one.
    pub(crate) faults: Vec<Fault>,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            status: EXIT_USAGE,
            faults: Vec::new(),
        }
    }

    /// The work failed.
    pub(crate) fn work(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            status: EXIT_FAILED,
            faults: Vec::new(),
        }
    }

    /// The work failed, with a file that it was about.
    pub(crate) fn at(path: &std::path::Path, error: &dyn Error) -> Self {
        Self::work(format!("{}: {}", path.display(), chain(error)))
    }

    /// Somebody ended the work.
    pub(crate) fn interrupted() -> Self {
        Self {
            text: "interrupted".to_owned(),
            status: EXIT_INTERRUPTED,
            faults: Vec::new(),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            faults: error.faults().to_vec(),
            ..Self::usage(error.render())
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Configuration { .. } | BuildError::Version { .. } | BuildError::SigningKey(_) => {
                Self::usage(chain(&error))
            }
            error => Self::work(chain(&error)),
        }
    }
}

/// Prints a result.
pub(crate) fn print(text: &str) -> Outcome {
    cli_support::print(text).map_err(|error| Failure::work(error.to_string()))
}

/// A fault as a program reads it.
pub(crate) fn json(fault: &Fault, rule: Rule) -> serde_json::Value {
    let diagnostic = &fault.diagnostic;
    let span = diagnostic.span.unwrap_or_default();
    serde_json::json!({
        "rule": rule.name(),
        "severity": diagnostic.severity.name(),
        "message": diagnostic.message,
        "path": fault.text.path,
        "line": span.line,
        "column": span.column,
        "start": span.start,
        "end": span.end,
        "label": diagnostic.label,
        "help": diagnostic.help,
        "used_at": fault.used_at.as_ref().map(ToString::to_string),
    })
}
