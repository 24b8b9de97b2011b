//! What of a compiled configuration the result of a build depends on, by name and with the lines.

use std::collections::BTreeSet;
use std::sync::Arc;

use apk_types::Dependency;
use build_graph::{Input, Origin};
use melange_config::types::{Capability, Copyright, Dependencies, Package, StringMap};
use melange_config::{Compiled, Configuration, Step, Test};

/// The longest text that is kept as it is; longer ones, and those of more than one line, are kept as a hash.
const LONGEST: usize = 200;

/// The input that stands for the whole of what is compiled. It changes whenever any of the others does that come from the
/// configuration; these are there to tell which.
pub(crate) const WHOLE: &str = "configuration";

/// A text, or its hash where it is long.
pub(crate) fn value(text: &str) -> String {
    match text.len() > LONGEST || text.contains('\n') {
        false => text.to_owned(),
        true => format!("blake3:{}", hash(text.as_bytes())),
    }
}

/// The first half of a BLAKE3 hash.
pub(crate) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

/// Gathers inputs of one configuration.
struct Gatherer<'a> {
    written: &'a Configuration,
    file: Arc<str>,
    list: Vec<Input>,
}

/// The inputs of a build that its configuration gives. The environment, the sources and the settings of the workspace are
/// not among them.
///
/// `compiled` has no disabled subpackages.
pub(crate) fn of_build(written: &Configuration, compiled: &Compiled, file: &Arc<str>) -> Vec<Input> {
    let mut gatherer = Gatherer::new(written, file);
    gatherer.put(WHOLE, &hash(whole(compiled).as_bytes()), None);
    gatherer.package("package", &compiled.package, true);
    gatherer.environment(compiled);
    gatherer.steps("step", &compiled.pipeline);
    for subpackage in &compiled.subpackages {
        let name = format!("subpackage/{}", subpackage.package.name);
        let line = subpackage.location.as_ref().map(|location| location.span.line);
        gatherer.put(&name, "", line);
        gatherer.package(&name, &subpackage.package, false);
        gatherer.steps(&format!("{name}/step"), &subpackage.pipeline);
    }
    gatherer.list
}

/// The inputs of the tests of a configuration, but for their environments and sources.
pub(crate) fn of_tests(written: &Configuration, compiled: &Compiled, file: &Arc<str>) -> Vec<Input> {
    let mut gatherer = Gatherer::new(written, file);
    for (package, test) in tests(compiled) {
        let name = format!("test/{}", package.name);
        gatherer.test(&name, test);
    }
    gatherer.map("variable", &compiled.environment.environment);
    gatherer.list("capabilities/add", &compiled.capabilities.add, "capabilities");
    gatherer.list("capabilities/drop", &compiled.capabilities.drop, "capabilities");
    gatherer.list
}

/// The tests that there are, with the packages that they are of.
pub(crate) fn tests(compiled: &Compiled) -> impl Iterator<Item = (&Package, &Test)> {
    let subpackages = compiled
        .subpackages
        .iter()
        .filter(|subpackage| subpackage.enabled);
    let of_subpackages = subpackages.map(|subpackage| (&subpackage.package, &subpackage.test));
    let all = [(&compiled.package, &compiled.test)]
        .into_iter()
        .chain(of_subpackages);
    all.filter_map(|(package, test)| Some((package, test.as_ref()?)))
        .filter(|(_, test)| !test.pipeline.is_empty())
}

/// The names of all pipelines that a configuration uses.
pub(crate) fn pipelines(compiled: &Compiled) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let of_subpackages = compiled
        .subpackages
        .iter()
        .flat_map(|subpackage| &subpackage.pipeline);
    let mut open: Vec<&Step> = compiled.pipeline.iter().chain(of_subpackages).collect();
    open.extend(tests(compiled).flat_map(|(_, test)| &test.pipeline));
    while let Some(step) = open.pop() {
        names.insert(step.uses.as_str());
        open.extend(&step.pipeline);
    }
    names.remove("");
    names
}

/// All of a compiled configuration that the packages depend on. What only tells about it is left out (the commit, how to
/// find new versions, options that are not switched on), as are tests, what is wanted of the machine, and which packages
/// are asked for: that is, what is installed for them is an input of its own.
fn whole(compiled: &Compiled) -> String {
    let mut compiled = compiled.clone();
    let package = &mut compiled.package;
    package.resources = None;
    package.test_resources = None;
    package.timeout = Default::default();
    package.commit = String::new();
    compiled.test = None;
    compiled.update = Default::default();
    compiled.options = Default::default();
    compiled.environment.contents.packages = Vec::new();
    for subpackage in &mut compiled.subpackages {
        subpackage.package.commit = String::new();
        subpackage.test = None;
    }
    compiled.to_json()
}

impl<'a> Gatherer<'a> {
    fn new(written: &'a Configuration, file: &Arc<str>) -> Self {
        Self {
            written,
            file: Arc::clone(file),
            list: Vec::new(),
        }
    }

    fn put(&mut self, name: &str, text: &str, line: Option<u32>) {
        self.list.push(Input {
            name: name.to_owned(),
            value: value(text),
            origin: line.map(|line| Origin::new(&*self.file, line)),
        });
    }

    /// Puts what is not empty.
    fn text(&mut self, name: &str, text: &str, line: Option<u32>) {
        if !text.is_empty() {
            self.put(name, text, line);
        }
    }

    fn list(&mut self, name: &str, items: &[String], section: &str) {
        if !items.is_empty() {
            let line = self.line(&[section]);
            self.put(name, &items.join(", "), line);
        }
    }

    fn map(&mut self, prefix: &str, map: &StringMap) {
        for (name, value) in map {
            let line = self.line(&["environment", name]);
            self.put(&format!("{prefix}/{name}"), value, line);
        }
    }

    fn package(&mut self, prefix: &str, package: &Package, is_main: bool) {
        let line = |key| {
            let path: &[&str] = if is_main { &["package", key] } else { &[] };
            line_of(&self.written.text.text, path)
        };
        let texts = [
            ("description", &package.description, line("description")),
            ("url", &package.url, line("url")),
        ];
        for (key, text, line) in texts {
            self.text(&format!("{prefix}/{key}"), text, line);
        }
        if is_main {
            let places = self.written.places;
            let epoch = self.line(&["package", "epoch"]);
            self.put("package/name", &package.name, Some(places.name.line));
            self.put("package/version", &package.version, Some(places.version.line));
            self.put("package/epoch", &package.epoch.to_string(), epoch);
            let license = |copyright: &Copyright| copyright.license.clone();
            let licenses: Vec<String> = package.copyright.iter().map(license).collect();
            self.list("package/license", &licenses, "copyright");
            self.text("package/cpe", &debug_unless_default(&package.cpe), None);
        }
        self.dependencies(prefix, &package.dependencies, is_main);
        let scriptlets = package.scriptlets.as_ref();
        self.text(
            &format!("{prefix}/scriptlets"),
            &scriptlets
                .map(|scriptlets| format!("{scriptlets:?}"))
                .unwrap_or_default(),
            None,
        );
        let options = package.options.as_ref();
        self.text(
            &format!("{prefix}/options"),
            &options.map(|options| format!("{options:?}")).unwrap_or_default(),
            None,
        );
        self.list(&format!("{prefix}/checks"), &package.checks.disabled, "checks");
        let capability = |capability: &Capability| format!("{} {:?}", capability.path, capability.add);
        let setcap: Vec<String> = package.setcap.iter().map(capability).collect();
        self.list(&format!("{prefix}/setcap"), &setcap, "setcap");
    }

    fn dependencies(&mut self, prefix: &str, dependencies: &Dependencies, is_main: bool) {
        let lists = [
            ("runtime", &dependencies.runtime),
            ("provides", &dependencies.provides),
            ("replaces", &dependencies.replaces),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let line = is_main.then(|| self.line(&["package", key])).flatten();
            self.put(&format!("{prefix}/dependencies/{key}"), &list.join(", "), line);
        }
        let priorities = [
            ("provider-priority", &dependencies.provider_priority),
            ("replaces-priority", &dependencies.replaces_priority),
        ];
        for (key, priority) in priorities {
            self.text(&format!("{prefix}/dependencies/{key}"), priority, None);
        }
    }

    fn environment(&mut self, compiled: &Compiled) {
        for (name, value) in &compiled.vars {
            let line = self.line(&["vars", name]);
            self.put(&format!("vars/{name}"), value, line);
        }
        self.map("variable", &compiled.environment.environment);
        let environment = &compiled.environment;
        let accounts = format!("{:?}", environment.accounts);
        self.put("accounts", &accounts, self.line(&["environment", "accounts"]));
        if !environment.paths.is_empty() {
            let paths = format!("{:?}", environment.paths);
            self.put("paths", &paths, self.line(&["environment", "paths"]));
        }
        self.list("capabilities/add", &compiled.capabilities.add, "capabilities");
        self.list("capabilities/drop", &compiled.capabilities.drop, "capabilities");
    }

    fn test(&mut self, name: &str, test: &Test) {
        self.steps(&format!("{name}/step"), &test.pipeline);
        let environment = &test.environment;
        self.map(&format!("{name}/variable"), &environment.environment);
        let accounts = format!("{:?} {:?}", environment.accounts, environment.paths);
        self.put(&format!("{name}/accounts"), &accounts, None);
        let whole = format!("{:?}", Whole(&test.pipeline));
        self.put(&format!("{name}/{WHOLE}"), &hash(whole.as_bytes()), None);
    }

    fn steps(&mut self, prefix: &str, steps: &[Step]) {
        for (place, step) in steps.iter().enumerate() {
            let label = [&step.name, &step.uses, &step.label]
                .into_iter()
                .find(|label| !label.is_empty());
            let label = label.map(|label| format!(" {label}")).unwrap_or_default();
            let name = format!("{prefix}/{:02}{label}", place + 1);
            let own = |location: &&Arc<melange_config::Location>| location.used_at.is_none();
            let line = step
                .location
                .as_ref()
                .filter(own)
                .map(|location| location.span.line);
            if !step.condition.is_empty() {
                let held = if step.enabled { "holds" } else { "does not hold" };
                self.put(&format!("{name}/if"), held, line);
            }
            for (input, value) in &step.with {
                self.put(&format!("{name}/{input}"), value, line);
            }
            self.text(&format!("{name}/runs"), &step.runs, line);
            self.text(
                &format!("{name}/working-directory"),
                &step.working_directory,
                line,
            );
            for (variable, value) in &step.environment {
                self.put(&format!("{name}/variable/{variable}"), value, line);
            }
            // What a named pipeline consists of is told by its name.
            if step.uses.is_empty() {
                self.steps(&name, &step.pipeline);
            }
        }
    }

    fn line(&self, path: &[&str]) -> Option<u32> {
        line_of(&self.written.text.text, path)
    }
}

/// The steps of a test without the places where they are written.
struct Whole<'a>(&'a [Step]);

impl std::fmt::Debug for Whole<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for step in self.0 {
            write!(
                f,
                "{:?}",
                (
                    step.enabled,
                    &step.uses,
                    &step.with,
                    &step.runs,
                    &step.working_directory,
                    &step.environment,
                    step.required_steps,
                    Whole(&step.pipeline)
                )
            )?;
        }
        Ok(())
    }
}

fn debug_unless_default<T: Default + PartialEq + std::fmt::Debug>(value: &T) -> String {
    match *value == T::default() {
        true => String::new(),
        false => format!("{value:?}"),
    }
}

/// The line of a key below a top-level key, or of the top-level key alone. It is told to people: a key of the same name
/// deeper inside may be taken for it.
pub(crate) fn line_of(text: &str, path: &[&str]) -> Option<u32> {
    let (section, inner) = path.split_first()?;
    let is_key = |line: &str, key: &str| {
        let rest = line.strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    let mut lines = text.lines().enumerate();
    let (start, _) = lines.by_ref().find(|(_, line)| is_key(line, section))?;
    let number = |at: usize| u32::try_from(at + 1).ok();
    let Some(key) = inner.last() else {
        return number(start);
    };
    let mut within = lines.take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '#', '-']));
    match within.find(|(_, line)| is_key(line.trim_start(), key)) {
        Some((at, _)) => number(at),
        None => None,
    }
}

/// The line of a text that has an entry of a list of packages, in either of YAML's forms of lists: the entry itself, or else
/// another one of that name.
pub(crate) fn entry_line(text: &str, entry: &str) -> Option<u32> {
    let name = Dependency::lenient(entry).name().to_owned();
    let has = |line: &str, is: &dyn Fn(&str) -> bool| {
        let line = line.split(" #").next().unwrap_or_default();
        let is_item = line.contains('[') || line.trim_start().starts_with("- ") && !line.contains(": ");
        is_item && line.split([' ', ',', '[', ']', '"', '\'']).any(is)
    };
    let exact = text.lines().position(|line| has(line, &|word| word == entry));
    let named = || {
        text.lines()
            .position(|line| has(line, &|word| Dependency::lenient(word).name() == name))
    };
    u32::try_from(exact.or_else(named)? + 1).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use melange_config::{CompileOptions, compile, parse};

    use super::*;

    const TEXT: &str = "package:\n  name: hello\n  version: 1.0\n  epoch: 2\n  # a comment\n  description: says hello\nvars:\n  who: world\n\
        pipeline:\n  - uses: greet\n    with:\n      who: ${{vars.who}}\n  - runs: make\nsubpackages:\n  - name: hello-doc\n    description: docs\n    pipeline:\n      - runs: cp doc x\n";

    fn inputs(text: &str) -> BTreeMap<String, (String, Option<u32>)> {
        let pipelines = BTreeMap::from([(
            "greet".to_owned(),
            "inputs: {who: {required: true}}\nruns: echo ${{inputs.who}}\n".to_owned(),
        )]);
        let written = parse(text, "hello.yaml").unwrap();
        let mut options = CompileOptions::new("x86_64".parse().unwrap());
        options.commit = text.len().to_string();
        let compiled = compile(&written, &options, &pipelines).unwrap();
        let list = of_build(&written, &compiled, &"hello.yaml".into());
        let line = |input: &Input| input.origin.as_ref().and_then(|origin| origin.line);
        list.into_iter()
            .map(|input| (input.name.clone(), (input.value.clone(), line(&input))))
            .collect()
    }

    #[test]
    fn each_thing_has_its_name_value_and_line() {
        let inputs = inputs(TEXT);
        let rows = [
            ("package/version", "1.0", Some(3)),
            ("package/epoch", "2", Some(4)),
            ("package/description", "says hello", Some(6)),
            ("vars/who", "world", Some(8)),
            ("step/01 greet/who", "world", Some(10)),
            ("step/02/runs", "make\n", Some(13)),
            ("subpackage/hello-doc/description", "docs", None),
        ];
        for (name, wanted, line) in rows {
            assert_eq!(
                inputs.get(name),
                Some(&(value(wanted), line)),
                "{name}: {inputs:?}"
            );
        }
    }

    #[test]
    fn entries_of_lists_are_found_in_both_forms() {
        let text = "environment:\n  contents:\n    packages: [bash, 'curl>=8'] # dash\n  # dash\n  more:\n    - dash # a shell\n    - bash-doc\n";
        for (entry, line) in [
            ("bash", Some(3)),
            ("curl>=8", Some(3)),
            ("curl", Some(3)),
            ("dash", Some(6)),
            ("zsh", None),
        ] {
            assert_eq!(entry_line(text, entry), line, "{entry}");
        }
    }

    #[test]
    fn comments_layout_and_commit_change_nothing_and_all_else_something() {
        let before = inputs(TEXT);
        let without_lines = |inputs: &BTreeMap<String, (String, Option<u32>)>| {
            let pairs = inputs
                .iter()
                .map(|(name, (value, _))| (name.clone(), value.clone()));
            pairs.collect::<Vec<_>>()
        };
        let same = TEXT
            .replace("  # a comment\n", "\n\n")
            .replace("runs: make", "runs: |\n      # build\n      make");
        assert_eq!(without_lines(&inputs(&same)), without_lines(&before));
        for (from, to) in [
            ("1.0", "1.1"),
            ("world", "moon"),
            ("make", "make all"),
            ("cp doc x", "cp doc y"),
            ("says hello", "says hi"),
            ("name: hello-doc", "name: hello-docs"),
        ] {
            let after = inputs(&TEXT.replace(from, to));
            assert_ne!(after[WHOLE].0, before[WHOLE].0, "{from}");
            let names = |inputs: &BTreeMap<String, (String, Option<u32>)>| {
                without_lines(inputs)
                    .into_iter()
                    .filter(|(name, _)| name != WHOLE)
                    .collect::<Vec<_>>()
            };
            assert_ne!(names(&after), names(&before), "{from}");
        }
    }
}
