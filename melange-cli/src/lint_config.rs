//! `melange lint-config`.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use melange_config::{Rule, lint};
use melange_pipeline::PipelineDirectories;
use spanned_yaml::Severity;

use crate::failure::{Failure, Outcome, json, print};

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange lint-config *.yaml
  melange lint-config --allow unused-variable --pipeline-dir pipelines hello.yaml
  melange lint-config --json *.yaml | jq -r '.path + \":\" + (.line | tostring) + \" \" + .rule'

Exit status: 0 nothing found, 1 something odd, 2 something wrong.";

#[derive(Debug, Args)]
pub(crate) struct LintConfig {
    /// Build configurations
    #[arg(required = true)]
    configs: Vec<PathBuf>,
    /// Rules to leave out
    #[arg(long, value_delimiter = ',', value_name = "RULE", value_parser = PossibleValuesParser::new(Rule::ALL.map(Rule::name)))]
    allow: Vec<String>,
    /// Directories with pipelines
    #[arg(long, alias = "pipeline-dirs", value_delimiter = ',', value_name = "DIR")]
    pipeline_dir: Vec<PathBuf>,
    /// Prints each finding as JSON, one a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn lint_config(arguments: &LintConfig) -> Outcome {
    let pipelines = PipelineDirectories::new(arguments.pipeline_dir.clone());
    let (mut warnings, mut errors) = (0, 0);
    for path in &arguments.configs {
        let text = fs::read_to_string(path).map_err(|error| Failure::at(path, &error))?;
        let findings = lint(&text, &path.display().to_string(), &pipelines);
        for finding in findings {
            if arguments.allow.iter().any(|rule| rule == finding.rule.name()) {
                continue;
            }
            match finding.fault.diagnostic.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
            print(&match arguments.json {
                true => format!("{}\n", json(&finding.fault, finding.rule)),
                false => format!("{}  = rule {}\n\n", finding.fault.render(), finding.rule.name()),
            })?;
        }
    }
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let text = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    match (errors, warnings) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::work(text)),
        _ => Err(Failure::usage(text)),
    }
}
