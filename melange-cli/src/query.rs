//! `melange query` and `melange package-version`.

use std::path::PathBuf;

use apk_types::Arch;
use clap::Args;
use melange_config::{QueryError, query as answer, query_json};

use crate::compilation::{configuration_path, read};
use crate::failure::{Failure, Outcome, print};

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange query hello.yaml '{{ .Package.Name }}-{{ .Package.FullVersion }}'
  melange query hello.yaml '{{ range .Subpackages }}{{ println .Name }}{{ end }}'
  melange query hello.yaml --json '{{ .Package.Dependencies }}'
  melange query hello.yaml --json

The template's language is that of Go's text/template, with the names of the Go melange.";

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The build configuration
    config: PathBuf,
    /// The template
    #[arg(required_unless_present = "json")]
    template: Option<String>,
    /// Prints JSON: what a single {{ ... }} stands for, or all of the configuration
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PackageVersion {
    /// The build configuration; .melange.yaml or melange.yaml if not given
    config: Option<PathBuf>,
}

pub(crate) fn query(arguments: &Query) -> Outcome {
    let configuration = read(&arguments.config)?;
    let template = arguments.template.as_deref();
    let text = match arguments.json {
        true => query_json(&configuration, host(), template)? + "\n",
        false => answer(&configuration, host(), template.unwrap_or_default())?,
    };
    print(&text)
}

pub(crate) fn package_version(arguments: &PackageVersion) -> Outcome {
    let configuration = read(&configuration_path(arguments.config.as_deref())?)?;
    let text = answer(
        &configuration,
        host(),
        "{{ .Package.Name }}-{{ .Package.FullVersion }}",
    )?;
    print(&text)
}

/// The architecture whose values variables have.
fn host() -> Arch {
    Arch::host().unwrap_or(Arch::X86_64)
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Configuration(error) => error.into(),
            error => Self::usage(error.to_string()),
        }
    }
}
