//! The compiled configuration as the reference writes it: `.melange.yaml` and the JSON of
//! `melange compile`.
//!
//! Both have the same keys in the same order (but `needs.packages`); they differ in what is left
//! out. JSON keeps empty sections, YAML keeps empty values inside sections that are not empty.

mod environment;
mod update;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use spanned_yaml::EmitValue;

use crate::compiled::{Compiled, Step, Subpackage, Test};
use crate::duration;
use crate::types::{
    BuildOption, Capability, Copyright, Cpe, Dependencies, Package, PackageOptions, Resources, Scriptlets,
    StringMap, VarTransform,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

impl Compiled {
    /// Writes the YAML that packages record as `.melange.yaml`.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        spanned_yaml::emit(&self.tree(Format::Yaml), 2)
    }

    /// Writes the JSON that `melange compile` prints, in one line without its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        go_json::to_string(&Json(&self.tree(Format::Json))).unwrap_or_default()
    }

    fn tree(&self, format: Format) -> EmitValue {
        let mut out = Section::new(format);
        out.section("package", package(&self.package, format), false);
        let default = Default::default();
        out.section(
            "environment",
            environment::environment(&self.environment, format),
            self.environment == default,
        );
        let mut capabilities = Section::new(format);
        capabilities.strings("add", &self.capabilities.add);
        capabilities.strings("drop", &self.capabilities.drop);
        if let Some(networking) = self.capabilities.networking {
            capabilities.put("networking", networking);
        }
        let none = capabilities.is_empty();
        out.section("capabilities", capabilities, none);
        out.list("pipeline", steps(&self.pipeline, format));
        let subpackages = self.subpackages.iter().map(|sub| subpackage(sub, format));
        out.list("subpackages", subpackages.collect());
        let is_default = self.update == Default::default();
        out.section("update", update::update(&self.update, format), is_default);
        out.map("vars", &self.vars);
        let transforms = self.var_transforms.iter();
        out.list(
            "var-transforms",
            transforms.map(|t| transform(t, format)).collect(),
        );
        if !self.options.is_empty() {
            out.put("options", options(&self.options, format));
        }
        if let Some(test) = &self.test {
            out.put("test", self::test(test, format));
        }
        out.done()
    }
}

/// A mapping that is being written.
struct Section {
    format: Format,
    entries: Vec<(String, EmitValue)>,
}

impl Section {
    fn new(format: Format) -> Self {
        Self {
            format,
            entries: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn done(self) -> EmitValue {
        EmitValue::Map(self.entries)
    }

    fn put(&mut self, key: &str, value: impl Into<EmitValue>) {
        self.entries.push((key.to_owned(), value.into()));
    }

    /// Puts a text unless it is empty.
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.put(key, value);
        }
    }

    /// Puts a text that only JSON leaves out when it is empty.
    fn text_in_yaml(&mut self, key: &str, value: &str) {
        if self.format == Format::Yaml || !value.is_empty() {
            self.put(key, value);
        }
    }

    fn number_in_yaml(&mut self, key: &str, value: u32) {
        if self.format == Format::Yaml || value != 0 {
            self.put(key, EmitValue::Int(value.into()));
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.put(key, value);
        }
    }

    fn flag_in_yaml(&mut self, key: &str, value: bool) {
        if self.format == Format::Yaml || value {
            self.put(key, value);
        }
    }

    fn strings(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            self.put(key, values.to_vec());
        }
    }

    fn strings_in_yaml(&mut self, key: &str, values: &[String]) {
        if self.format == Format::Yaml || !values.is_empty() {
            self.put(key, values.to_vec());
        }
    }

    fn list(&mut self, key: &str, values: Vec<EmitValue>) {
        if !values.is_empty() {
            self.put(key, EmitValue::Seq(values));
        }
    }

    fn map(&mut self, key: &str, values: &StringMap) {
        if !values.is_empty() {
            self.put(key, string_map(values, self.format));
        }
    }

    /// Puts a section; an empty one is kept in JSON.
    fn section(&mut self, key: &str, section: Section, is_default: bool) {
        if self.format == Format::Json || !is_default {
            self.put(key, section.done());
        }
    }
}

fn string_map(values: &StringMap, format: Format) -> EmitValue {
    let mut entries: Vec<_> = values
        .iter()
        .map(|(key, value)| (key.clone(), EmitValue::from(value.as_str())))
        .collect();
    if format == Format::Yaml {
        entries.sort_by(|a, b| natural(&a.0, &b.0));
    }
    EmitValue::Map(entries)
}

/// Orders keys as `yaml.v3` does: digits by their number, letters behind everything else.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for at in 0..a.len().min(b.len()) {
        let (x, y) = (a[at], b[at]);
        if x == y {
            digits = x.is_numeric();
            continue;
        }
        return match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => x.cmp(&y),
            (true, false) if digits => std::cmp::Ordering::Less,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) if digits => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) => {
                let (n, m) = (number(&a[at..]), number(&b[at..]));
                n.cmp(&m).then(x.cmp(&y))
            }
        };
    }
    a.len().cmp(&b.len())
}

/// The digits a text starts with, without leading zeros, shorter ones first.
fn number(text: &[char]) -> (usize, String) {
    let digits = text.iter().take_while(|c| c.is_ascii_digit());
    let digits: String = digits.skip_while(|c| **c == '0').collect();
    (digits.len(), digits)
}

fn package(package: &Package, format: Format) -> Section {
    let mut out = Section::new(format);
    out.put("name", package.name.as_str());
    out.put("version", package.version.as_str());
    out.put("epoch", EmitValue::Int(package.epoch.into()));
    out.text("description", &package.description);
    out.map("annotations", &package.annotations);
    out.text("url", &package.url);
    out.text("commit", &package.commit);
    out.strings("target-architecture", &package.target_architecture);
    let licences = package.copyright.iter();
    out.list("copyright", licences.map(|c| copyright(c, format)).collect());
    common(&mut out, package);
    let cpe = self::cpe(&package.cpe, format);
    let none = cpe.is_empty();
    out.section("cpe", cpe, none);
    let setcap = package.setcap.iter().map(|c| capability(c, format));
    out.list("setcap", setcap.collect());
    if !package.timeout.is_zero() {
        let timeout = match format {
            Format::Json => EmitValue::Int(package.timeout.as_nanos() as i128),
            Format::Yaml => duration::format(package.timeout).into(),
        };
        out.put("timeout", timeout);
    }
    let resources = [
        ("resources", &package.resources),
        ("test-resources", &package.test_resources),
    ];
    for (key, resources) in resources {
        if let Some(resources) = resources {
            out.put(key, self::resources(resources, format));
        }
    }
    out
}

/// Writes dependencies, options, scriptlets and checks.
fn common(out: &mut Section, package: &Package) {
    let format = out.format;
    let dependencies = self::dependencies(&package.dependencies, format);
    let none = dependencies.is_empty();
    out.section("dependencies", dependencies, none);
    if let Some(options) = &package.options {
        out.put("options", package_options(options, format));
    }
    if let Some(scriptlets) = &package.scriptlets {
        out.put("scriptlets", self::scriptlets(scriptlets, format));
    }
    checks(out, package);
}

fn checks(out: &mut Section, package: &Package) {
    let mut checks = Section::new(out.format);
    checks.strings("disabled", &package.checks.disabled);
    let none = checks.is_empty();
    out.section("checks", checks, none);
}

fn subpackage(subpackage: &Subpackage, format: Format) -> EmitValue {
    let package = &subpackage.package;
    let mut out = Section::new(format);
    out.text("if", &subpackage.condition);
    out.put("name", package.name.as_str());
    out.list("pipeline", steps(&subpackage.pipeline, format));
    let dependencies = self::dependencies(&package.dependencies, format);
    let none = dependencies.is_empty();
    out.section("dependencies", dependencies, none);
    if let Some(options) = &package.options {
        out.put("options", package_options(options, format));
    }
    if let Some(scriptlets) = &package.scriptlets {
        out.put("scriptlets", self::scriptlets(scriptlets, format));
    }
    out.text("description", &package.description);
    out.map("annotations", &package.annotations);
    out.text("url", &package.url);
    out.text("commit", &package.commit);
    checks(&mut out, package);
    if let Some(test) = &subpackage.test {
        out.put("test", self::test(test, format));
    }
    out.done()
}

fn test(test: &Test, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.section(
        "environment",
        environment::environment(&test.environment, format),
        test.environment == Default::default(),
    );
    let steps = match (test.pipeline.is_empty(), format) {
        (true, Format::Json) => EmitValue::Null,
        _ => EmitValue::Seq(steps(&test.pipeline, format)),
    };
    out.put("pipeline", steps);
    out.done()
}

fn steps(steps: &[Step], format: Format) -> Vec<EmitValue> {
    steps.iter().map(|step| self::step(step, format)).collect()
}

fn step(step: &Step, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.text("if", &step.condition);
    out.text("name", &step.name);
    out.text("uses", &step.uses);
    out.map("with", &step.with);
    out.text("runs", &step.runs);
    out.list("pipeline", steps(&step.pipeline, format));
    if let Some(packages) = &step.needs {
        let key = match format {
            Format::Json => "Packages",
            Format::Yaml => "packages",
        };
        let mut needs = Section::new(format);
        match (packages.is_empty(), format) {
            (true, Format::Json) => needs.put(key, EmitValue::Null),
            _ => needs.put(key, packages.clone()),
        }
        out.put("needs", needs.done());
    }
    out.text("label", &step.label);
    if let Some(count) = step.required_steps {
        let mut assertions = Section::new(format);
        if count != 0 {
            assertions.put("required-steps", EmitValue::Int(count.into()));
        }
        out.put("assertions", assertions.done());
    }
    out.text("working-directory", &step.working_directory);
    out.map("environment", &step.environment);
    out.done()
}

fn copyright(copyright: &Copyright, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.strings("paths", &copyright.paths);
    out.text("attestation", &copyright.attestation);
    out.put("license", copyright.license.as_str());
    out.text("license-path", &copyright.license_path);
    out.text("detection-override", &copyright.detection_override);
    out.done()
}

fn dependencies(dependencies: &Dependencies, format: Format) -> Section {
    let mut out = Section::new(format);
    out.strings("runtime", &dependencies.runtime);
    out.strings("provides", &dependencies.provides);
    out.strings("replaces", &dependencies.replaces);
    out.text("provider-priority", &dependencies.provider_priority);
    out.text("replaces-priority", &dependencies.replaces_priority);
    out
}

fn package_options(options: &PackageOptions, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.flag("no-provides", options.no_provides);
    out.flag("no-depends", options.no_depends);
    out.flag("no-commands", options.no_commands);
    out.flag("no-versioned-shlib-deps", options.no_versioned_shlib_deps);
    out.done()
}

fn scriptlets(scriptlets: &Scriptlets, format: Format) -> EmitValue {
    let mut trigger = Section::new(format);
    trigger.text("script", &scriptlets.trigger.script);
    if format == Format::Json {
        trigger.strings("paths", &scriptlets.trigger.paths);
    } else {
        // The reference's type has no YAML tags for these two, so that YAML leaves nothing out.
        trigger.entries.clear();
        trigger.put("script", scriptlets.trigger.script.as_str());
        trigger.put("paths", scriptlets.trigger.paths.clone());
    }
    let none = scriptlets.trigger.script.is_empty() && scriptlets.trigger.paths.is_empty();
    let mut out = Section::new(format);
    out.section("trigger", trigger, none);
    out.text("pre-install", &scriptlets.pre_install);
    out.text("post-install", &scriptlets.post_install);
    out.text("pre-deinstall", &scriptlets.pre_deinstall);
    out.text("post-deinstall", &scriptlets.post_deinstall);
    out.text("pre-upgrade", &scriptlets.pre_upgrade);
    out.text("post-upgrade", &scriptlets.post_upgrade);
    out.done()
}

fn cpe(cpe: &Cpe, format: Format) -> Section {
    let mut out = Section::new(format);
    out.text("part", &cpe.part);
    out.text("vendor", &cpe.vendor);
    out.text("product", &cpe.product);
    out.text("edition", &cpe.edition);
    out.text("language", &cpe.language);
    out.text("sw_edition", &cpe.sw_edition);
    out.text("target_sw", &cpe.target_sw);
    out.text("target_hw", &cpe.target_hw);
    out.text("other", &cpe.other);
    out
}

fn capability(capability: &Capability, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.text("path", &capability.path);
    out.map("add", &capability.add);
    out.text("reason", &capability.reason);
    out.done()
}

fn resources(resources: &Resources, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.text("cpu", &resources.cpu);
    out.text("cpumodel", &resources.cpu_model);
    out.text("memory", &resources.memory);
    out.text("disk", &resources.disk);
    out.done()
}

fn transform(transform: &VarTransform, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.put("from", transform.from.as_str());
    out.put("match", transform.pattern.as_str());
    out.put("replace", transform.replace.as_str());
    out.put("to", transform.to.as_str());
    out.done()
}

/// Build options have no JSON names in the reference: there they are `Vars`, `Environment` ...
fn options(options: &BTreeMap<String, BuildOption>, format: Format) -> EmitValue {
    let names = match format {
        Format::Json => ["Vars", "Environment", "Contents", "Packages", "Add", "Remove"],
        Format::Yaml => ["vars", "environment", "contents", "packages", "add", "remove"],
    };
    let [vars, environment, contents, packages, add, remove] = names;
    let mut all = Section::new(format);
    for (name, option) in options {
        let mut out = Section::new(format);
        let mut list = Section::new(format);
        if format == Format::Json {
            let or_null = |list: &[String]| match list {
                [] => EmitValue::Null,
                list => list.to_vec().into(),
            };
            match option.vars.is_empty() {
                true => out.put(vars, EmitValue::Null),
                false => out.map(vars, &option.vars),
            }
            list.put(add, or_null(&option.add));
            list.put(remove, or_null(&option.remove));
        } else {
            out.map(vars, &option.vars);
            list.strings(add, &option.add);
            list.strings(remove, &option.remove);
        }
        if !list.is_empty() {
            let mut inner = Section::new(format);
            inner.put(packages, list.done());
            let mut outer = Section::new(format);
            outer.put(contents, inner.done());
            out.put(environment, outer.done());
        }
        all.put(name, out.done());
    }
    if format == Format::Yaml {
        all.entries.sort_by(|a, b| natural(&a.0, &b.0));
    }
    all.done()
}

/// A tree as JSON.
struct Json<'a>(&'a EmitValue);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            EmitValue::Null => serializer.serialize_unit(),
            EmitValue::Bool(value) => serializer.serialize_bool(*value),
            EmitValue::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_unit(),
            },
            EmitValue::String(value) => serializer.serialize_str(value),
            EmitValue::Seq(values) => serializer.collect_seq(values.iter().map(Json)),
            EmitValue::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key, Json(value))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn keys_are_ordered_as_people_count() {
        let mut keys = ["b", "a10", "a2", "B", "_x", "a", "1", "10", "9", "a-b"];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(keys, ["_x", "1", "9", "10", "B", "a", "a-b", "a2", "a10", "b"]);
    }
}
