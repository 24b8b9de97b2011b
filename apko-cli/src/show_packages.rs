//! `apko show-packages`.

use clap::Args;
use cli_support::Steps;
use serde_json::{Value, json};

use crate::build::{archs, print};
use crate::conflict::{Places, warn_about};
use crate::failure::{Failure, Outcome};
use crate::selection::Selection;

pub(crate) const FORMATS: &str = "\
Formats:
  name-version           NAME VERSION (the default)
  name-version-source    NAME VERSION SOURCE
  name=version           NAME=VERSION
  name=version-source    NAME=VERSION SOURCE
  name-(version)         NAME (VERSION)
  name-(version)-source  NAME (VERSION) SOURCE
  packagelock            - NAME=VERSION
  packagelock-source     - NAME=VERSION # SOURCE
Any other text is a template with {{ .Name }}, {{ .Version }} and {{ .Source }}.

Examples:
  apko show-packages web.yaml
  apko show-packages --format packagelock web.yaml >> locked.yaml
  apko show-packages --json web.yaml | jq -r '.[].packages[].name'";

/// What to show, and how.
#[derive(Debug, Args)]
pub(crate) struct ShowPackages {
    #[command(flatten)]
    selection: Selection,
    /// How to show a package
    #[arg(long, default_value = "name-version")]
    format: String,
    /// As JSON, a conflict too
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

pub(crate) fn show_packages(arguments: &ShowPackages, steps: &Steps) -> Outcome {
    let selection = &arguments.selection;
    let loaded = selection.sources.load(&selection.config, &[], steps)?;
    let template = Template::parse(&arguments.format)?;
    let archs = archs(&selection.archs.arch, &loaded.configuration)?;
    let (repositories, world) = selection.open(&loaded, &archs, steps)?;
    let resolutions = match repositories.resolve(&world, &archs, true) {
        Ok(resolutions) => resolutions,
        Err(error) => {
            let places = Places::of(&loaded);
            if arguments.json {
                print(&format!("{:#}\n", places.json(&error)))?;
            }
            return Err(places.failure(error));
        }
    };
    let mut text = String::new();
    let mut all: Vec<Value> = Vec::new();
    for resolution in &resolutions {
        if archs.len() != 1 {
            steps.detail(&format!("packages for {}", resolution.arch));
        }
        warn_about(resolution, steps);
        let mut packages: Vec<Value> = Vec::new();
        for package in &resolution.packages {
            let record = &package.record;
            let (name, version) = (&record.name, &record.version);
            let source = package.location.package(resolution.arch, record);
            match arguments.json {
                true => packages.push(json!({ "name": name, "version": version, "source": source })),
                false => template.render(
                    &[("Name", name), ("Version", version), ("Source", &source)],
                    &mut text,
                ),
            }
        }
        all.push(json!({ "arch": resolution.arch.to_string(), "packages": packages }));
    }
    match arguments.json {
        true => print(&format!("{:#}\n", Value::from(all))),
        false => print(&text),
    }
}

/// A line with places for values: the part of Go's templates that makes sense for a line.
struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    Value(&'static str),
}

const VALUES: [&str; 3] = ["Name", "Version", "Source"];

impl Template {
    fn parse(format: &str) -> Outcome<Self> {
        let mut rest = match format {
            "name-version" => "{{ .Name }} {{ .Version }}",
            "name-version-source" => "{{ .Name }} {{ .Version }} {{ .Source }}",
            "name=version" => "{{ .Name }}={{ .Version }}",
            "name=version-source" => "{{ .Name }}={{ .Version }} {{ .Source }}",
            "name-(version)" => "{{ .Name }} ({{ .Version }})",
            "name-(version)-source" => "{{ .Name }} ({{ .Version }}) {{ .Source }}",
            "packagelock" => "- {{ .Name }}={{ .Version }}",
            "packagelock-source" => "- {{ .Name }}={{ .Version }} # {{ .Source }}",
            other => other,
        };
        let mut pieces = Vec::new();
        while let Some((text, after)) = rest.split_once("{{") {
            let (action, after) = after
                .split_once("}}")
                .ok_or_else(|| Failure::usage(format!("--format: `{{{{` without `}}}}` in `{format}`")))?;
            let value = VALUES
                .into_iter()
                .find(|name| action.trim().strip_prefix('.') == Some(name));
            let value = value.ok_or_else(|| {
                Failure::usage(format!(
                    "--format: `{{{{{action}}}}}` is none of {{{{ .Name }}}}, {{{{ .Version }}}} and {{{{ .Source }}}}"
                ))
            })?;
            pieces.extend([Piece::Text(text.to_owned()), Piece::Value(value)]);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    fn render(&self, values: &[(&str, &str)], out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(name) => {
                    out.extend(
                        values
                            .iter()
                            .find(|(known, _)| known == name)
                            .map(|(_, value)| *value),
                    );
                }
            }
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_templates_are_filled_in() {
        let values = [("Name", "a"), ("Version", "1-r0"), ("Source", "r/a.apk")];
        let rows = [
            ("name-version", "a 1-r0\n"),
            ("name-(version)-source", "a (1-r0) r/a.apk\n"),
            ("packagelock-source", "- a=1-r0 # r/a.apk\n"),
            ("{{.Name}}@{{ .Version }}!", "a@1-r0!\n"),
            ("plain", "plain\n"),
        ];
        for (format, want) in rows {
            let mut out = String::new();
            Template::parse(format).unwrap().render(&values, &mut out);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn an_unknown_value_is_named() {
        for (format, named) in [("{{ .Colour }}", ".Colour"), ("{{ .Name", "{{")] {
            let failure = Template::parse(format).err().unwrap();
            assert!(failure.text.contains(named), "{}", failure.text);
        }
    }
}
