//! `apko show-config` and `apko schema`.

use std::path::PathBuf;

use apko::config::{Loaded, Origin, SCHEMA};
use clap::Args;
use cli_support::Steps;

use crate::args::Sources;
use crate::build::print;
use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko show-config web.yaml
  apko show-config --explain web.yaml    # which file and line each value comes from";

pub(crate) const SCHEMA_EXAMPLES: &str = "\
Example:
  apko schema > apko.schema.json    # for editors: `# yaml-language-server: $schema=apko.schema.json`";

#[derive(Debug, Args)]
pub(crate) struct ShowConfig {
    /// The image configuration
    config: PathBuf,
    #[command(flatten)]
    sources: Sources,
    /// Where to look for files that are not in the working directory
    #[arg(long, value_delimiter = ',', value_name = "DIR")]
    include_paths: Vec<PathBuf>,
    /// Shows the file and line that each value comes from
    #[arg(long)]
    explain: bool,
    /// As JSON: an object for each value; only with --explain
    #[arg(long, requires = "explain")]
    json: bool,
}

pub(crate) fn show_config(arguments: &ShowConfig, steps: &Steps) -> Outcome {
    let loaded = arguments
        .sources
        .load(&arguments.config, &arguments.include_paths, steps)?;
    if !arguments.explain {
        let Loaded { configuration, .. } = loaded;
        return print(&configuration.with_service_bundle().to_yaml());
    }
    let origins = loaded.origins();
    if arguments.json {
        let json = serde_json::to_string_pretty(&origins).map_err(|error| Failure::work(&error))?;
        return print(&(json + "\n"));
    }
    let value = |origin: &Origin| origin.value.lines().next().unwrap_or_default().to_owned();
    let width = |length: fn(&Origin) -> usize| origins.iter().map(length).max().unwrap_or(0).min(40);
    let (keys, values) = (
        width(|origin| origin.key.chars().count()),
        width(|origin| origin.value.lines().next().unwrap_or_default().chars().count()),
    );
    let line = |origin: &Origin| {
        let place = format!("{}:{}", origin.file.display(), origin.line);
        format!("{:keys$}  {:values$}  {place}\n", origin.key, value(origin))
    };
    print(&origins.iter().map(line).collect::<String>())
}

pub(crate) fn schema() -> Outcome {
    print(SCHEMA)
}
