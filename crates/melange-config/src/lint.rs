//! What is odd in a configuration although it compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use apk_types::Arch;
use spanned_yaml::{Diagnostic, Node, Resolved, Span, Style, Value};

use crate::compile::{CompileOptions, PipelineCache, PipelineSource, compile_with};
use crate::compiled::{Compiled, Step};
use crate::error::{ConfigError, Fault};
use crate::source::SourceText;
use crate::written::{Configuration, Pipeline, parse, parse_pipeline};

/// How many build options are switched on one by one to see which conditions they make true.
const OPTIONS: usize = 16;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The configuration does not compile.
    Invalid,
    /// A variable, or one made by a transform, that nothing refers to.
    UnusedVariable,
    /// A list under `data` that no subpackage is made from.
    UnusedRange,
    /// A build option that changes nothing and that nothing asks for.
    UnusedOption,
    /// A condition that holds for no architecture and no build option.
    UnreachableCondition,
    /// A source that is fetched without a checksum, or checked out without an expected commit.
    MissingChecksum,
    /// A version without quotes that is a number of another text to other readers of YAML: `1.10` is 1.1.
    VersionAsNumber,
    /// An item that its list has already.
    RepeatedItem,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 8] = [
        Self::Invalid,
        Self::UnusedVariable,
        Self::UnusedRange,
        Self::UnusedOption,
        Self::UnreachableCondition,
        Self::MissingChecksum,
        Self::VersionAsNumber,
        Self::RepeatedItem,
    ];

    /// The name, such as `unused-variable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::UnusedVariable => "unused-variable",
            Self::UnusedRange => "unused-range",
            Self::UnusedOption => "unused-option",
            Self::UnreachableCondition => "unreachable-condition",
            Self::MissingChecksum => "missing-checksum",
            Self::VersionAsNumber => "version-as-number",
            Self::RepeatedItem => "repeated-item",
        }
    }
}

/// Something that is wrong (an error) or odd (a warning).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub rule: Rule,
    /// What was found, and where.
    pub fault: Fault,
}

/// Looks for what is wrong or odd in a configuration; it is compiled for each of its architectures and with each of its
/// build options. Findings come in the order of their lines.
///
/// ```
/// use std::collections::BTreeMap;
/// use melange_config::{Rule, lint};
///
/// let source = "package: {name: a, version: 1.10}\nvars: {unused: x}\n";
/// let findings = lint(source, "a.yaml", &BTreeMap::new());
/// let rules: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
/// assert_eq!(rules, [Rule::VersionAsNumber, Rule::UnusedVariable]);
/// assert!(findings[1].fault.render().starts_with("warning: variable `unused` is never used\n"));
/// ```
pub fn lint(source: &str, path: &str, pipelines: &dyn PipelineSource) -> Vec<Finding> {
    let invalid = |error: ConfigError| {
        let faults = error.into_faults().into_iter();
        faults.map(|fault| Finding {
            rule: Rule::Invalid,
            fault,
        })
    };
    let configuration = match parse(source, path) {
        Ok(configuration) => configuration,
        Err(error) => return invalid(error).collect(),
    };
    // It was read once already.
    let Ok(tree) = spanned_yaml::parse(source) else {
        return Vec::new();
    };
    let mut linter = Linter {
        configuration: &configuration,
        tree: &tree,
        findings: Vec::new(),
    };
    linter.variables(pipelines);
    linter.ranges();
    linter.checksums();
    linter.version();
    linter.repeated(&tree);
    let pipelines = PipelineCache::new(pipelines);
    let compiled: Result<Vec<_>, _> = variants(&configuration)
        .map(|options| compile_with(&configuration, &options, &pipelines))
        .collect();
    match compiled {
        Ok(compiled) => linter.conditions(&compiled),
        Err(error) => linter.findings.extend(invalid(error)),
    }
    let mut findings = linter.findings;
    findings.sort_by_key(|finding| finding.fault.diagnostic.span.map_or(0, |span| span.start));
    findings.dedup();
    findings
}

/// What the configuration may be compiled for: its architectures, with no build option, each, and all.
fn variants(configuration: &Configuration) -> impl Iterator<Item = CompileOptions> {
    let names: Vec<String> = configuration.options.keys().cloned().collect();
    let mut sets = vec![Vec::new()];
    sets.extend(names.iter().take(OPTIONS).map(|name| vec![name.clone()]));
    if names.len() > 1 {
        sets.push(names);
    }
    let archs = Arch::ALL
        .iter()
        .filter(|arch| configuration.package.targets(arch.apk_name()));
    let archs: Vec<Arch> = archs.copied().collect();
    archs.into_iter().flat_map(move |arch| {
        let sets = sets.clone().into_iter();
        sets.map(move |options| CompileOptions {
            build_options: options,
            ..CompileOptions::new(arch)
        })
    })
}

struct Linter<'a> {
    configuration: &'a Configuration,
    tree: &'a Node,
    findings: Vec<Finding>,
}

impl<'a> Linter<'a> {
    fn text(&self) -> &Arc<SourceText> {
        &self.configuration.text
    }

    fn warn(&mut self, rule: Rule, diagnostic: Diagnostic) {
        let fault = Fault {
            text: Arc::clone(self.text()),
            diagnostic: Box::new(diagnostic.warning()),
            used_at: None,
        };
        self.findings.push(Finding { rule, fault });
    }

    fn entries(&self, key: &str) -> &'a [(Node, Node)] {
        let section = self.tree.get(key);
        section.and_then(Node::as_map).unwrap_or_default()
    }

    fn items(&self, key: &str) -> &'a [Node] {
        let section = self.tree.get(key);
        section.and_then(Node::as_seq).unwrap_or_default()
    }

    fn variables(&mut self, pipelines: &dyn PipelineSource) {
        let mut used = BTreeSet::new();
        collect_variables(&self.text().text, &mut used);
        let mut files = Vec::new();
        self.steps().for_each(|step| collect_uses(step, &mut files));
        let mut seen = BTreeSet::new();
        while let Some(name) = files.pop() {
            if let (true, Ok(Some(file))) = (seen.insert(name.clone()), pipelines.find(&name)) {
                collect_variables(&file.text, &mut used);
                if let Ok(parsed) = parse_pipeline(&file.text, &file.path) {
                    collect_uses(&parsed.pipeline, &mut files);
                }
            }
        }
        let names = self.entries("vars").iter().map(|(key, _)| key);
        let transforms = self.items("var-transforms").iter();
        let made = transforms.filter_map(|transform| transform.get("to"));
        for node in names.chain(made) {
            let name = node.as_str().unwrap_or_default();
            if !used.contains(&format!("vars.{name}")) {
                let diagnostic = Diagnostic::new(format!("variable `{name}` is never used")).at(node.span);
                self.warn(
                    Rule::UnusedVariable,
                    diagnostic.help(format!(
                        "write `${{{{vars.{name}}}}}` where it is meant, or take it out"
                    )),
                );
            }
        }
        for (key, option) in self.entries("options") {
            let name = key.as_str().unwrap_or_default();
            let is_empty = option.as_map().is_none_or(<[_]>::is_empty);
            if is_empty && !used.contains(&format!("options.{name}.enabled")) {
                let message = format!("build option `{name}` changes nothing");
                let diagnostic = Diagnostic::new(message).at(key.span);
                self.warn(
                    Rule::UnusedOption,
                    diagnostic.help(format!(
                        "`${{{{options.{name}.enabled}}}}` tells whether it is on"
                    )),
                );
            }
        }
    }

    fn ranges(&mut self) {
        let subpackages = &self.configuration.subpackages;
        for range in self.items("data") {
            let Some(name) = range.get("name") else {
                continue;
            };
            let text = name.as_str().unwrap_or_default();
            if subpackages.iter().all(|subpackage| subpackage.range != text) {
                let message = format!("no subpackage is made from the list `{text}`");
                self.warn(Rule::UnusedRange, Diagnostic::new(message).at(name.span));
            }
        }
    }

    fn checksums(&mut self) {
        let mut found = Vec::new();
        for step in self.steps() {
            collect_unchecked(step, &mut found);
        }
        for (span, message, help) in found {
            self.warn(
                Rule::MissingChecksum,
                Diagnostic::new(message).at(span).help(help),
            );
        }
    }

    /// The steps of the package, its subpackages and their tests.
    fn steps(&self) -> impl Iterator<Item = &'a Pipeline> + use<'a> {
        let configuration = self.configuration;
        let subpackages = configuration.subpackages.iter();
        let of_subpackages = subpackages.flat_map(|subpackage| {
            let test = subpackage.test.iter().flat_map(|test| &test.pipeline);
            subpackage.pipeline.iter().chain(test)
        });
        let test = configuration.test.iter().flat_map(|test| &test.pipeline);
        configuration.pipeline.iter().chain(of_subpackages).chain(test)
    }

    fn version(&mut self) {
        let version = self
            .tree
            .get("package")
            .and_then(|package| package.get("version"));
        let Some((span, Value::Scalar(scalar))) = version.map(|node| (node.span, &node.value)) else {
            return;
        };
        let other = match scalar.resolved() {
            Resolved::Int(number) if scalar.style == Style::Plain => number.to_string(),
            Resolved::Float(number) if scalar.style == Style::Plain => number.to_string(),
            _ => return,
        };
        if other != scalar.text {
            let diagnostic = Diagnostic::new(format!(
                "without quotes the version is the number {other} to others"
            ))
            .at(span)
            .help(format!("write `version: \"{}\"`", scalar.text));
            self.warn(Rule::VersionAsNumber, diagnostic);
        }
    }

    /// Looks for items that are twice in a list of packages, anywhere.
    fn repeated(&mut self, node: &'a Node) {
        const LISTS: [&str; 4] = ["runtime", "provides", "replaces", "packages"];
        for (key, value) in node.as_map().unwrap_or_default() {
            if key.as_str().is_some_and(|key| LISTS.contains(&key)) {
                let mut seen = BTreeMap::new();
                for item in value.as_seq().unwrap_or_default() {
                    let Some(text) = item.as_str() else { continue };
                    if let Some(line) = seen.insert(text, item.span.line) {
                        let diagnostic = Diagnostic::new(format!("`{text}` is in this list already"))
                            .at(item.span)
                            .label(format!("first in line {line}"));
                        self.warn(Rule::RepeatedItem, diagnostic);
                    }
                }
            }
            self.repeated(value);
        }
        for item in node.as_seq().unwrap_or_default() {
            self.repeated(item);
        }
    }

    fn conditions(&mut self, compiled: &[Compiled]) {
        let mut reached: BTreeMap<usize, bool> = BTreeMap::new();
        for compiled in compiled {
            let mut note = |start: usize, enabled: bool| *reached.entry(start).or_default() |= enabled;
            let test = compiled.test.iter().flat_map(|test| &test.pipeline);
            compiled
                .pipeline
                .iter()
                .chain(test)
                .for_each(|step| note_steps(step, &mut note));
            for subpackage in &compiled.subpackages {
                if let Some(location) = &subpackage.location {
                    note(location.span.start, subpackage.enabled);
                }
                let test = subpackage.test.iter().flat_map(|test| &test.pipeline);
                subpackage
                    .pipeline
                    .iter()
                    .chain(test)
                    .for_each(|step| note_steps(step, &mut note));
            }
        }
        let subpackages = self.configuration.subpackages.iter();
        let mut conditions: Vec<(usize, Span)> = subpackages
            .filter(|subpackage| !subpackage.condition.is_empty())
            .map(|subpackage| (subpackage.span.start, subpackage.condition_span))
            .collect();
        self.steps()
            .for_each(|step| collect_conditions(step, &mut conditions));
        for (start, span) in conditions {
            if reached.get(&start) == Some(&false) {
                let diagnostic = Diagnostic::new("this condition never holds")
                    .at(span)
                    .label("false for every architecture and build option");
                self.warn(Rule::UnreachableCondition, diagnostic);
            }
        }
    }
}

/// Notes which steps of the configuration's own text are enabled.
fn note_steps(step: &Step, note: &mut impl FnMut(usize, bool)) {
    if let Some(location) = step
        .location
        .as_ref()
        .filter(|location| location.used_at.is_none())
    {
        note(location.span.start, step.enabled);
        step.pipeline.iter().for_each(|inner| note_steps(inner, note));
    }
}

fn collect_conditions(step: &Pipeline, conditions: &mut Vec<(usize, Span)>) {
    if !step.condition.is_empty() {
        conditions.push((step.span.start, step.condition_span));
    }
    step.pipeline
        .iter()
        .for_each(|inner| collect_conditions(inner, conditions));
}

/// Collects the names of the variables in a text.
fn collect_variables(text: &str, used: &mut BTreeSet<String>) {
    for part in text.split("${{").skip(1) {
        if let Some((name, _)) = part.split_once("}}") {
            used.insert(name.trim().to_owned());
        }
    }
}

/// Collects the names of the pipelines that a step uses.
fn collect_uses(step: &Pipeline, names: &mut Vec<String>) {
    names.extend(Some(&step.uses).filter(|name| !name.is_empty()).cloned());
    step.pipeline.iter().for_each(|inner| collect_uses(inner, names));
}

fn collect_unchecked(step: &Pipeline, found: &mut Vec<(Span, &'static str, &'static str)>) {
    let has = |name: &str| {
        step.with
            .iter()
            .any(|input| input.name == name && !input.value.is_empty())
    };
    match step.uses.as_str() {
        "fetch"
            if !["expected-sha256", "expected-sha512", "expected-none"]
                .into_iter()
                .any(has) =>
        {
            let help = "add `expected-sha256`; `melange bump` fills it in if it is there";
            found.push((step.uses_span, "what is fetched has no checksum", help));
        }
        "git-checkout" if !has("expected-commit") => {
            let help = "add `expected-commit`: tags and branches move";
            found.push((step.uses_span, "what is checked out has no expected commit", help));
        }
        _ => {}
    }
    step.pipeline
        .iter()
        .for_each(|inner| collect_unchecked(inner, found));
}
