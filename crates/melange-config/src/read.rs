//! From YAML to the configuration as written: one function per mapping of the language.

mod environment;
mod package;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use spanned_yaml::{Diagnostic, Fields, Node};

use crate::error::SourceText;
use crate::types::{BuildOption, Capabilities, StringMap, VarTransform};
use crate::written::{Argument, Configuration, Input, PackagePlaces, Pipeline, Range, Subpackage, Test};

type Read<T> = Result<T, Diagnostic>;

/// Reads a string, empty where absent.
fn string<'a>(fields: &mut Fields<'a>, key: &'a str) -> Read<String> {
    Ok(fields.string(key)?.unwrap_or_default())
}

fn flag<'a>(fields: &mut Fields<'a>, key: &'a str) -> Read<bool> {
    Ok(fields.bool(key)?.unwrap_or_default())
}

fn map<'a>(fields: &mut Fields<'a>, key: &'a str) -> Read<StringMap> {
    Ok(fields.map_of_strings(key)?.into_iter().collect())
}

/// Reads a list of mappings.
fn list<'a, T>(fields: &mut Fields<'a>, key: &'a str, item: impl FnMut(&'a Node) -> Read<T>) -> Read<Vec<T>> {
    let items = fields.seq(key, "a list")?;
    items.iter().map(item).collect()
}

/// Reads a mapping that may be absent.
fn section<'a, T>(
    fields: &mut Fields<'a>,
    key: &'a str,
    read: impl FnOnce(&'a Node) -> Read<T>,
) -> Read<Option<T>> {
    fields
        .take(key)
        .filter(|node| !node.is_null())
        .map(read)
        .transpose()
}

pub(crate) fn configuration(node: &Node, text: &Arc<SourceText>) -> Read<Configuration> {
    let mut fields = Fields::new(node, "a build configuration")?;
    let package_node = fields.take("package").filter(|node| !node.is_null());
    let package_node =
        package_node.ok_or_else(|| Diagnostic::new("the `package` section is missing").at(node.span))?;
    let place = |key| package_node.get(key).unwrap_or(package_node).span;
    let places = PackagePlaces {
        package: package_node.span,
        name: place("name"),
        version: place("version"),
    };
    let transforms = list(&mut fields, "var-transforms", |node| {
        Ok((var_transform(node)?, node.span))
    })?;
    let (var_transforms, var_transform_places) = transforms.into_iter().unzip();
    let configuration = Configuration {
        text: Arc::clone(text),
        package: package::package(package_node)?,
        places,
        environment: section(&mut fields, "environment", environment::environment)?.unwrap_or_default(),
        capabilities: section(&mut fields, "capabilities", capabilities)?.unwrap_or_default(),
        pipeline: list(&mut fields, "pipeline", pipeline)?,
        subpackages: list(&mut fields, "subpackages", subpackage)?,
        data: list(&mut fields, "data", range)?,
        update: section(&mut fields, "update", update::update)?.unwrap_or_default(),
        vars: map(&mut fields, "vars")?,
        var_transforms,
        var_transform_places,
        options: section(&mut fields, "options", options)?.unwrap_or_default(),
        test: section(&mut fields, "test", test)?,
    };
    fields.finish()?;
    Ok(configuration)
}

pub(crate) fn vars(node: &Node) -> Read<StringMap> {
    let mut vars = StringMap::new();
    if node.is_null() {
        return Ok(vars);
    }
    let entries = node
        .as_map()
        .ok_or_else(|| node.mismatch("vars", "a mapping of names to values"))?;
    for (key, value) in entries {
        let name = key.as_str().unwrap_or_default();
        let text = match value.as_str() {
            Some(text) => text,
            None if value.is_null() => "",
            None => return Err(value.mismatch(name, "a string")),
        };
        vars.insert(name.to_owned(), text.to_owned());
    }
    Ok(vars)
}

fn capabilities(node: &Node) -> Read<Capabilities> {
    let mut fields = Fields::new(node, "capabilities")?;
    let capabilities = Capabilities {
        add: fields.strings("add")?,
        drop: fields.strings("drop")?,
    };
    fields.finish()?;
    Ok(capabilities)
}

fn var_transform(node: &Node) -> Read<VarTransform> {
    let mut fields = Fields::new(node, "a variable transform")?;
    let transform = VarTransform {
        from: string(&mut fields, "from")?,
        pattern: string(&mut fields, "match")?,
        replace: string(&mut fields, "replace")?,
        to: string(&mut fields, "to")?,
    };
    fields.finish()?;
    Ok(transform)
}

fn range(node: &Node) -> Read<Range> {
    let mut fields = Fields::new(node, "a data range")?;
    let range = Range {
        name: string(&mut fields, "name")?,
        items: map(&mut fields, "items")?,
    };
    fields.finish()?;
    Ok(range)
}

fn options(node: &Node) -> Read<BTreeMap<String, BuildOption>> {
    let entries = node
        .as_map()
        .ok_or_else(|| node.mismatch("options", "a mapping of build options"))?;
    let mut options = BTreeMap::new();
    for (key, value) in entries {
        let name = key
            .as_str()
            .ok_or_else(|| key.mismatch("options", "named options"))?;
        options.insert(name.to_owned(), build_option(value)?);
    }
    Ok(options)
}

fn build_option(node: &Node) -> Read<BuildOption> {
    let mut option = BuildOption::default();
    let mut fields = Fields::new(node, "a build option")?;
    option.vars = map(&mut fields, "vars")?;
    if let Some(mut environment) = fields.fields("environment", "an option's environment")? {
        if let Some(mut contents) = environment.fields("contents", "an option's contents")? {
            if let Some(mut packages) = contents.fields("packages", "an option's packages")? {
                option.add = packages.strings("add")?;
                option.remove = packages.strings("remove")?;
                packages.finish()?;
            }
            contents.finish()?;
        }
        environment.finish()?;
    }
    fields.finish()?;
    Ok(option)
}

fn test(node: &Node) -> Read<Test> {
    let mut fields = Fields::new(node, "a test")?;
    let test = Test {
        environment: section(&mut fields, "environment", environment::environment)?.unwrap_or_default(),
        pipeline: list(&mut fields, "pipeline", pipeline)?,
    };
    fields.finish()?;
    Ok(test)
}

fn subpackage(node: &Node) -> Read<Subpackage> {
    let mut fields = Fields::new(node, "a subpackage")?;
    let range_span = node.get("range").unwrap_or(node).span;
    let subpackage = Subpackage {
        span: node.get("name").unwrap_or(node).span,
        condition: string(&mut fields, "if")?,
        range: string(&mut fields, "range")?,
        range_span,
        pipeline: list(&mut fields, "pipeline", pipeline)?,
        test: section(&mut fields, "test", test)?,
        package: package::of_subpackage(&mut fields)?,
    };
    fields.finish()?;
    Ok(subpackage)
}

pub(crate) fn pipeline(node: &Node) -> Read<Pipeline> {
    read_pipeline(node, &mut |fields| fields.finish())
}

/// Reads a pipeline file, whose unknown keys the reference passes over.
pub(crate) fn pipeline_leniently(node: &Node, unknown: &mut Vec<Diagnostic>) -> Read<Pipeline> {
    read_pipeline(node, &mut |fields| {
        unknown.extend(fields.finish().err());
        Ok(())
    })
}

fn read_pipeline(node: &Node, finish: &mut dyn FnMut(Fields<'_>) -> Read<()>) -> Read<Pipeline> {
    let mut fields = Fields::new(node, "a pipeline step")?;
    let place = |key| node.get(key).unwrap_or(node).span;
    let mut inputs = BTreeMap::new();
    if let Some(node) = fields.take("inputs").filter(|node| !node.is_null()) {
        let entries = node
            .as_map()
            .ok_or_else(|| node.mismatch("inputs", "a mapping of inputs"))?;
        for (key, value) in entries {
            let name = key.as_str().unwrap_or_default().to_owned();
            inputs.insert(name, input(value, finish)?);
        }
    }
    let needs = match fields.fields("needs", "what a pipeline needs")? {
        Some(mut needs) => {
            let packages = needs.strings("packages")?;
            finish(needs)?;
            Some(packages)
        }
        None => None,
    };
    let required_steps = match fields.fields("assertions", "assertions")? {
        Some(mut assertions) => {
            let steps = assertions.int("required-steps")?.unwrap_or_default();
            finish(assertions)?;
            Some(steps)
        }
        None => None,
    };
    let steps = fields.seq("pipeline", "a list of steps")?;
    let steps: Read<Vec<_>> = steps.iter().map(|step| read_pipeline(step, finish)).collect();
    let pipeline = Pipeline {
        span: node.span,
        condition_span: place("if"),
        uses_span: place("uses"),
        runs_span: place("runs"),
        with: arguments(node.get("with"), &mut fields)?,
        condition: string(&mut fields, "if")?,
        name: string(&mut fields, "name")?,
        uses: string(&mut fields, "uses")?,
        runs: string(&mut fields, "runs")?,
        pipeline: steps?,
        inputs,
        needs,
        label: string(&mut fields, "label")?,
        required_steps,
        working_directory: string(&mut fields, "working-directory")?,
        environment: map(&mut fields, "environment")?,
    };
    finish(fields)?;
    Ok(pipeline)
}

fn arguments(node: Option<&Node>, fields: &mut Fields<'_>) -> Read<Vec<Argument>> {
    let given = fields.map_of_strings("with")?;
    let keys = node.and_then(Node::as_map).unwrap_or_default();
    let spans = keys.iter().map(|(key, _)| key.span);
    let arguments = given.into_iter().zip(spans);
    Ok(arguments
        .map(|((name, value), span)| Argument { name, span, value })
        .collect())
}

fn input(node: &Node, finish: &mut dyn FnMut(Fields<'_>) -> Read<()>) -> Read<Input> {
    let mut fields = Fields::new(node, "an input")?;
    let input = Input {
        description: string(&mut fields, "description")?,
        default: string(&mut fields, "default")?,
        required: flag(&mut fields, "required")?,
    };
    finish(fields)?;
    Ok(input)
}
