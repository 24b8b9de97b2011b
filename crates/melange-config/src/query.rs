//! Questions to a configuration, in the language of Go's `text/template`.

mod data;
mod evaluate;
mod template;
mod value;

use apk_types::Arch;

use crate::compile::{CompileOptions, expand};
use crate::error::ConfigError;
use crate::written::Configuration;
use data::ToValue as _;

/// Says why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The template is wrong, or asks for what is not there.
    #[error("column {column} of the template: {problem}")]
    Template {
        /// Where in the template, in characters from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
}

/// A fault of a template at a byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    at: usize,
    text: String,
}

impl Problem {
    fn new(at: usize, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at, text }
    }

    fn in_template(self, template: &str) -> QueryError {
        let before = template.get(..self.at).unwrap_or(template);
        QueryError::Template {
            column: before.chars().count() + 1,
            problem: self.text,
        }
    }
}

/// Fills a template from a configuration whose variables are replaced and whose ranges are expanded, with the Go
/// melange's names: `{{ .Package.Name }}-{{ .Package.Version }}-r{{ .Package.Epoch }}`.
///
/// It knows fields, variables, literals, pipelines, `if`, `with`, `range`, `break`, `continue`, trimmed blanks, comments,
/// and the functions `and`, `or`, `not`, `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `len`, `index`, `slice`, `print`, `println` and
/// `printf`; of methods `Package.FullVersion` and `Name`. It does not know `define`, `template` and `block`, and a whole
/// section has no text: ask for its fields, or for JSON with [`query_json`].
///
/// ```
/// let configuration = melange_config::parse("
/// package: {name: hello, version: 1.2.3, dependencies: {runtime: [a, b]}}
/// subpackages: [{name: hello-doc}]
/// ", "hello.yaml")?;
/// let arch = "x86_64".parse()?;
/// let template = "{{ .Package.Name }}{{ range .Subpackages }} {{ .Name }}{{ end }}: {{ .Package.Dependencies.Runtime }}";
/// assert_eq!(melange_config::query(&configuration, arch, template)?, "hello hello-doc: [a b]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// For a configuration or a template that is wrong, with the nearest names of fields that do not exist.
pub fn query(configuration: &Configuration, arch: Arch, template: &str) -> Result<String, QueryError> {
    let data = expand(configuration, &CompileOptions::new(arch))?.to_value();
    let nodes = template::parse(template).map_err(|problem| problem.in_template(template))?;
    evaluate::fill(&nodes, &data).map_err(|problem| problem.in_template(template))
}

/// Answers with JSON: all of the configuration, or what a template's single `{{ ... }}` stands for.
///
/// # Errors
/// As [`query`], and for a template that is more than a single expression.
pub fn query_json(
    configuration: &Configuration,
    arch: Arch,
    template: Option<&str>,
) -> Result<String, QueryError> {
    let data = expand(configuration, &CompileOptions::new(arch))?.to_value();
    let value = match template {
        None => data,
        Some(template) => {
            let nodes = template::parse(template).map_err(|problem| problem.in_template(template))?;
            let [template::Node::Print(pipeline)] = &nodes[..] else {
                let problem = Problem::new(0, "JSON is made of a single `{{ ... }}`");
                return Err(problem.in_template(template));
            };
            evaluate::value(pipeline, &data).map_err(|problem| problem.in_template(template))?
        }
    };
    Ok(go_json::to_string(&value.json()).unwrap_or_default())
}
