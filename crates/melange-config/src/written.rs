//! The configuration as written: nothing is replaced, and places are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spanned_yaml::{Diagnostic, Span, parse as parse_yaml};

use crate::error::ConfigError;
use crate::prepared::PreparedSpan;
use crate::read::{self, Faults, Read};
use crate::source::SourceText;
use crate::types::{BuildOption, Capabilities, Environment, Package, StringMap, VarTransform};
use crate::update::Update;
use crate::validate;

/// A `melange.yaml` as written.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The text it was read from.
    pub text: Arc<SourceText>,
    /// The package.
    pub package: Package,
    /// Where name and version are written.
    pub places: PackagePlaces,
    /// The environment of the build.
    pub environment: Environment,
    /// Capabilities of the runner's process.
    pub capabilities: Capabilities,
    /// The steps that build the package.
    pub pipeline: Vec<Pipeline>,
    /// Packages made of parts of the build.
    pub subpackages: Vec<Subpackage>,
    /// Lists that subpackages can be made from.
    pub data: Vec<Range>,
    /// Where new versions come from.
    pub update: Update,
    /// Variables.
    pub vars: StringMap,
    /// Variables made from others.
    pub var_transforms: Vec<VarTransform>,
    /// Where each of them is written.
    pub var_transform_places: Vec<Span>,
    /// What `--build-option` can switch on.
    pub options: BTreeMap<String, BuildOption>,
    /// The test of the package.
    pub test: Option<Test>,
}

/// Where the parts of `package` are written that errors are about.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackagePlaces {
    /// The whole section.
    pub package: Span,
    /// The name.
    pub name: Span,
    /// The version.
    pub version: Span,
}

/// A step, or a pipeline of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Where it is written.
    #[serde(with = "PreparedSpan")]
    pub span: Span,
    /// When it runs.
    pub condition: String,
    /// Where the condition is written.
    #[serde(with = "PreparedSpan")]
    pub condition_span: Span,
    /// Its name for people.
    pub name: String,
    /// The named pipeline that it runs.
    pub uses: String,
    /// Where the name is written.
    #[serde(with = "PreparedSpan")]
    pub uses_span: Span,
    /// The inputs it gives.
    pub with: Vec<Argument>,
    /// The shell script it runs.
    pub runs: String,
    /// Where the script is written.
    #[serde(with = "PreparedSpan")]
    pub runs_span: Span,
    /// The steps in it.
    pub pipeline: Vec<Pipeline>,
    /// The inputs it takes.
    pub inputs: BTreeMap<String, Input>,
    /// Packages it needs in the environment.
    pub needs: Option<Vec<String>>,
    /// A label.
    pub label: String,
    /// How many of its steps must run.
    pub required_steps: Option<i64>,
    /// Its working directory.
    pub working_directory: String,
    /// Environment variables.
    pub environment: StringMap,
}

/// An input that a step gives to the pipeline it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The input's name.
    pub name: String,
    /// Where the name is written.
    #[serde(with = "PreparedSpan")]
    pub span: Span,
    /// The value.
    pub value: String,
}

/// An input that a pipeline takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is for.
    pub description: String,
    /// Its value when none is given.
    pub default: String,
    /// Whether it must not be empty.
    pub required: bool,
}

/// A package made of parts of the build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subpackage {
    /// Where it is written.
    pub span: Span,
    /// When it is made.
    pub condition: String,
    /// Where the condition is written.
    pub condition_span: Span,
    /// The list it is made from, once for every item.
    pub range: String,
    /// Where the list is named.
    pub range_span: Span,
    /// Its own steps.
    pub pipeline: Vec<Pipeline>,
    /// Its test.
    pub test: Option<Test>,
    /// Everything that it has in common with the main package; the rest is empty.
    pub package: Package,
}

/// The test of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// The environment it runs in, beside the package.
    pub environment: Environment,
    /// Its steps.
    pub pipeline: Vec<Pipeline>,
}

/// A list that subpackages can be made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Its name.
    pub name: String,
    /// Values by key.
    pub items: StringMap,
}

/// Reads a configuration; `path` names it in messages.
///
/// # Errors
/// For text that is not YAML, unknown keys, values of the wrong kind, a package without a name or
/// a version, and steps that contradict themselves; for all of them at once, as far as they can be told.
pub fn parse(source: &str, path: &str) -> Result<Configuration, ConfigError> {
    let text = text(source, path);
    let read = || -> Read<Configuration> {
        let document = parse_yaml(source)?;
        let configuration = read::configuration(&document, &text)?;
        Faults(validate::written(&configuration)).end(configuration)
    };
    read().map_err(|faults| ConfigError::of(&text, faults.0))
}

/// Reads the file behind `--vars-file`: a mapping of names to values.
///
/// # Errors
/// For anything else.
pub fn parse_vars(source: &str, path: &str) -> Result<StringMap, ConfigError> {
    let text = text(source, path);
    let read = || read::vars(&parse_yaml(source)?);
    read().map_err(|faults| ConfigError::of(&text, faults.0))
}

/// A pipeline read from a file of its own, and the keys in it that mean nothing.
pub(crate) struct PipelineFile {
    pub(crate) text: Arc<SourceText>,
    pub(crate) pipeline: Pipeline,
    pub(crate) unknown: Vec<Diagnostic>,
}

pub(crate) fn parse_pipeline(source: &str, path: &str) -> Result<PipelineFile, ConfigError> {
    let text = text(source, path);
    let mut unknown = Vec::new();
    let mut read = || read::pipeline_leniently(&parse_yaml(source)?, &mut unknown);
    match read() {
        Ok(pipeline) => Ok(PipelineFile {
            text,
            pipeline,
            unknown,
        }),
        Err(faults) => Err(ConfigError::of(&text, faults.0)),
    }
}

pub(crate) fn text(source: &str, path: &str) -> Arc<SourceText> {
    Arc::new(SourceText {
        path: path.to_owned(),
        text: source.to_owned(),
    })
}
