//! The commands that answer questions about a configuration.

use apko::config::{Loaded, load};
use apko::{Policy, Repositories, dot as draw, world};
use cli_support::Steps;

use crate::args;
use crate::build::{additions, archs, print};
use crate::failure::{Failure, Outcome};

pub(crate) fn show_config(arguments: &args::ShowConfig) -> Outcome {
    let Loaded { configuration, .. } = load(&arguments.config, &[])?;
    print(&configuration.with_service_bundle().to_yaml())
}

pub(crate) fn show_packages(arguments: &args::ShowPackages, steps: &Steps) -> Outcome {
    let Loaded { configuration, .. } = load(&arguments.config, &[])?;
    let template = Template::parse(&arguments.format)?;
    let archs = archs(&arguments.archs.arch, &configuration)?;
    let additions = additions(&arguments.sources, &[]);
    let repositories = Repositories::open(&configuration, &additions, &archs, &Policy::default())?;
    let world = world(&configuration.with_service_bundle(), &additions);
    let mut text = String::new();
    for resolution in repositories.resolve(&world, &archs, true)? {
        if archs.len() != 1 {
            steps.detail(&format!("packages for {}", resolution.arch));
        }
        for package in &resolution.packages {
            let record = &package.record;
            let source = package.location.package(resolution.arch, record);
            template.render(
                &[
                    ("Name", &record.name),
                    ("Version", &record.version),
                    ("Source", &source),
                ],
                &mut text,
            );
        }
    }
    print(&text)
}

pub(crate) fn dot(arguments: &args::Dot, steps: &Steps) -> Outcome {
    let Loaded { configuration, .. } = load(&arguments.config, &[])?;
    let archs = archs(&arguments.archs.arch, &configuration)?;
    let additions = additions(&arguments.sources, &[]);
    let [arch, others @ ..] = &archs[..] else {
        return Err(Failure::usage("the configuration names no architecture"));
    };
    if !others.is_empty() {
        steps.warn(&format!(
            "the graph is that of {arch}; choose another with --arch"
        ));
    }
    let repositories = Repositories::open(&configuration, &additions, &[*arch], &Policy::default())?;
    let world = world(&configuration.clone().with_service_bundle(), &additions);
    let resolutions = repositories.resolve(&world, &[*arch], false)?;
    let records: Vec<_> = resolutions
        .iter()
        .flat_map(|one| &one.packages)
        .map(|package| &package.record)
        .collect();
    let file = arguments.config.display().to_string();
    print(
        &(draw(
            &file,
            &configuration.contents.packages,
            &records,
            arguments.spanning_tree,
        ) + "\n"),
    )
}

pub(crate) fn version(arguments: &args::Version) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    match arguments.json {
        true => print(&format!(
            "{}\n",
            serde_json::json!({ "name": "apko", "version": version })
        )),
        false => print(&format!("apko {version}\n")),
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
