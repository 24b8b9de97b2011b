//! From YAML to the configuration as written: one function per mapping of the language.

mod environment;
mod package;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use spanned_yaml::{Diagnostic, Fields, Node};

use crate::source::SourceText;
use crate::types::{BuildOption, Capabilities, StringMap, VarTransform};
use crate::written::{Argument, Configuration, Input, PackagePlaces, Pipeline, Range, Subpackage, Test};

pub(crate) type Read<T> = Result<T, Faults>;

/// What is wrong with a part; never empty where it is an error.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Diagnostic>);

impl From<Diagnostic> for Faults {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl Faults {
    /// Keeps the faults of a part in mind, so that those of the next parts are found too.
    pub(crate) fn keep<T: Default>(&mut self, part: Read<T>) -> T {
        part.unwrap_or_else(|faults| {
            self.0.extend(faults.0);
            T::default()
        })
    }

    /// Returns the whole if no part had a fault.
    pub(crate) fn end<T>(self, whole: T) -> Read<T> {
        if self.0.is_empty() { Ok(whole) } else { Err(self) }
    }
}

/// Ends the reading of a mapping, whose other keys are unknown.
fn end(fields: Fields<'_>) -> Read<()> {
    Faults(fields.unknown()).end(())
}

/// Reads a string, empty where absent.
fn string<'a>(fields: &mut Fields<'a>, key: &'a str) -> Read<String> {
    Ok(fields.string(key)?.unwrap_or_default())
}

fn strings<'a>(fields: &mut Fields<'a>, key: &'a str) -> Read<Vec<String>> {
    Ok(fields.strings(key)?)
}

fn flag<'a>(fields: &mut Fields<'a>, key: &'a str) -> Read<bool> {
    Ok(fields.bool(key)?.unwrap_or_default())
}

fn map<'a>(fields: &mut Fields<'a>, key: &'a str) -> Read<StringMap> {
    Ok(fields.map_of_strings(key)?.into_iter().collect())
}

/// Reads a list of mappings.
fn list<'a, T: Default>(
    fields: &mut Fields<'a>,
    key: &'a str,
    mut item: impl FnMut(&'a Node) -> Read<T>,
) -> Read<Vec<T>> {
    let items = fields.seq(key, "a list")?;
    let mut faults = Faults::default();
    let read = items.iter().map(|node| faults.keep(item(node))).collect();
    faults.end(read)
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
    let mut faults = Faults::default();
    let transforms = list(&mut fields, "var-transforms", |node| {
        Ok((var_transform(node)?, node.span))
    });
    let (var_transforms, var_transform_places) = faults.keep(transforms).into_iter().unzip();
    let environment = section(&mut fields, "environment", environment::environment);
    let capabilities = section(&mut fields, "capabilities", capabilities);
    let update = section(&mut fields, "update", update::update);
    let options = section(&mut fields, "options", options);
    let configuration = Configuration {
        text: Arc::clone(text),
        package: faults.keep(package::package(package_node)),
        places,
        environment: faults.keep(environment).unwrap_or_default(),
        capabilities: faults.keep(capabilities).unwrap_or_default(),
        pipeline: faults.keep(list(&mut fields, "pipeline", pipeline)),
        subpackages: faults.keep(list(&mut fields, "subpackages", subpackage)),
        data: faults.keep(list(&mut fields, "data", range)),
        update: faults.keep(update).unwrap_or_default(),
        vars: faults.keep(map(&mut fields, "vars")),
        var_transforms,
        var_transform_places,
        options: faults.keep(options).unwrap_or_default(),
        test: faults.keep(section(&mut fields, "test", test)),
    };
    faults.keep(end(fields));
    faults.end(configuration)
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
            None => return Err(value.mismatch(name, "a string").into()),
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
        networking: fields.bool("networking")?,
    };
    end(fields)?;
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
    end(fields)?;
    Ok(transform)
}

fn range(node: &Node) -> Read<Range> {
    let mut fields = Fields::new(node, "a data range")?;
    let range = Range {
        name: string(&mut fields, "name")?,
        items: map(&mut fields, "items")?,
    };
    end(fields)?;
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
                end(packages)?;
            }
            end(contents)?;
        }
        end(environment)?;
    }
    end(fields)?;
    Ok(option)
}

fn test(node: &Node) -> Read<Test> {
    let mut fields = Fields::new(node, "a test")?;
    let mut faults = Faults::default();
    let environment = section(&mut fields, "environment", environment::environment);
    let test = Test {
        environment: faults.keep(environment).unwrap_or_default(),
        pipeline: faults.keep(list(&mut fields, "pipeline", pipeline)),
    };
    faults.keep(end(fields));
    faults.end(test)
}

fn subpackage(node: &Node) -> Read<Subpackage> {
    let mut fields = Fields::new(node, "a subpackage")?;
    let range_span = node.get("range").unwrap_or(node).span;
    let mut faults = Faults::default();
    let subpackage = Subpackage {
        span: node.get("name").unwrap_or(node).span,
        condition: faults.keep(string(&mut fields, "if")),
        condition_span: node.get("if").unwrap_or(node).span,
        range: faults.keep(string(&mut fields, "range")),
        range_span,
        pipeline: faults.keep(list(&mut fields, "pipeline", pipeline)),
        test: faults.keep(section(&mut fields, "test", test)),
        package: faults.keep(package::of_subpackage(&mut fields)),
    };
    faults.keep(end(fields));
    faults.end(subpackage)
}

pub(crate) fn pipeline(node: &Node) -> Read<Pipeline> {
    read_pipeline(node, &mut end)
}

/// Reads a pipeline file, whose unknown keys the reference passes over.
pub(crate) fn pipeline_leniently(node: &Node, unknown: &mut Vec<Diagnostic>) -> Read<Pipeline> {
    read_pipeline(node, &mut |fields| {
        unknown.extend(fields.unknown());
        Ok(())
    })
}

type Finish<'a> = &'a mut dyn FnMut(Fields<'_>) -> Read<()>;

fn read_pipeline(node: &Node, finish: Finish<'_>) -> Read<Pipeline> {
    let mut fields = Fields::new(node, "a pipeline step")?;
    let mut faults = Faults::default();
    let place = |key| node.get(key).unwrap_or(node).span;
    let inputs = section(&mut fields, "inputs", |node| inputs(node, finish));
    let needs = section(&mut fields, "needs", |node| needs(node, finish));
    let required_steps = section(&mut fields, "assertions", |node| assertions(node, finish));
    let steps = list(&mut fields, "pipeline", |step| read_pipeline(step, finish));
    let pipeline = Pipeline {
        span: node.span,
        condition_span: place("if"),
        uses_span: place("uses"),
        runs_span: place("runs"),
        with: faults.keep(arguments(node.get("with"), &mut fields)),
        condition: faults.keep(string(&mut fields, "if")),
        name: faults.keep(string(&mut fields, "name")),
        uses: faults.keep(string(&mut fields, "uses")),
        runs: faults.keep(string(&mut fields, "runs")),
        pipeline: faults.keep(steps),
        inputs: faults.keep(inputs).unwrap_or_default(),
        needs: faults.keep(needs),
        label: faults.keep(string(&mut fields, "label")),
        required_steps: faults.keep(required_steps),
        working_directory: faults.keep(string(&mut fields, "working-directory")),
        environment: faults.keep(map(&mut fields, "environment")),
    };
    faults.keep(finish(fields));
    faults.end(pipeline)
}

fn inputs(node: &Node, finish: Finish<'_>) -> Read<BTreeMap<String, Input>> {
    let entries = node
        .as_map()
        .ok_or_else(|| node.mismatch("inputs", "a mapping of inputs"))?;
    let mut inputs = BTreeMap::new();
    for (key, value) in entries {
        let name = key.as_str().unwrap_or_default().to_owned();
        inputs.insert(name, input(value, finish)?);
    }
    Ok(inputs)
}

fn needs(node: &Node, finish: Finish<'_>) -> Read<Vec<String>> {
    let mut needs = Fields::new(node, "what a pipeline needs")?;
    let packages = needs.strings("packages")?;
    finish(needs)?;
    Ok(packages)
}

fn assertions(node: &Node, finish: Finish<'_>) -> Read<i64> {
    let mut assertions = Fields::new(node, "assertions")?;
    let steps = assertions.int("required-steps")?.unwrap_or_default();
    finish(assertions)?;
    Ok(steps)
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

fn input(node: &Node, finish: Finish<'_>) -> Read<Input> {
    let mut fields = Fields::new(node, "an input")?;
    let input = Input {
        description: string(&mut fields, "description")?,
        default: string(&mut fields, "default")?,
        required: flag(&mut fields, "required")?,
    };
    finish(fields)?;
    Ok(input)
}
