//! From the configuration as written to the compiled one.

mod pipelines;
mod replace;
mod steps;
mod variables;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use apk_types::Arch;
use regex::Regex;
use spanned_yaml::{Diagnostic, Span, nearest};

use crate::compiled::{Compiled, Subpackage, Test};
use crate::condition::evaluate;
use crate::error::{Collected, ConfigError};
use crate::source::{Location, SourceText};
use crate::substitute::{Scope, SubstitutionError};
use crate::types::{Environment, Group, Resources, StringMap, User};
use crate::validate;
use crate::written::{self, Configuration};
pub use pipelines::{PipelineCache, PipelineSource, PipelineText};
use replace::Replace as _;
use steps::Steps;

/// The C library packages are built against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Libc {
    /// The GNU C library.
    #[default]
    Gnu,
    /// musl.
    Musl,
}

impl Libc {
    /// Returns the name in triplets.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gnu => "gnu",
            Self::Musl => "musl",
        }
    }
}

/// What a build is compiled for, beside the configuration.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// The architecture.
    pub arch: Arch,
    /// The C library, for `${{host.triplet.*}}`.
    pub libc: Libc,
    /// The commit to record where the configuration gives none.
    pub commit: String,
    /// The options switched on.
    pub build_options: Vec<String>,
    /// Variables from `--vars-file`; they win over the configuration's.
    pub vars: StringMap,
    /// Environment variables from `--env-file`, file by file; the configuration's win over
    /// all of them and a file's over those after it.
    pub environment: Vec<StringMap>,
    /// Resources that win over the configuration's where they are not empty.
    pub resources: Resources,
    /// A timeout that wins over the configuration's.
    pub timeout: Option<Duration>,
}

impl CompileOptions {
    /// Makes options with nothing but an architecture.
    #[must_use]
    pub fn new(arch: Arch) -> Self {
        Self {
            arch,
            libc: Libc::default(),
            commit: String::new(),
            build_options: Vec::new(),
            vars: StringMap::new(),
            environment: Vec::new(),
            resources: Resources::default(),
            timeout: None,
        }
    }
}

/// Environment variables of every build that does not set them.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("HOME", "/home/build"),
    ("GOPATH", "/home/build/.cache/go"),
    ("GOMODCACHE", "/var/cache/melange/gomodcache"),
    ("UV_CACHE_DIR", "/var/cache/melange/uv"),
    ("PIP_CACHE_DIR", "/var/cache/melange/pip"),
    ("COMPOSER_CACHE_DIR", "/var/cache/melange/composer"),
    ("npm_config_cache", "/var/cache/melange/npm"),
];

/// How many names are suggested where none is like the one written.
const SUGGESTED: usize = 20;

/// How many subpackages a configuration may have.
const SUBPACKAGES: usize = 10_000;

/// The user and the group that builds run as, and their number.
const BUILD_USER: &str = "build";
const BUILD_ID: u32 = 1000;

/// Compiles a configuration: replaces variables, expands ranges, resolves pipelines and merges
/// what the steps need into the environments.
///
/// # Errors
/// For everything that stands in the way of a build and can be known before it starts: undefined
/// variables, ranges and pipelines, missing and unknown inputs, conditions and scripts that
/// cannot be read, names and versions that apk does not accept, subpackages of the same name.
pub fn compile(
    configuration: &Configuration,
    options: &CompileOptions,
    pipelines: &dyn PipelineSource,
) -> Result<Compiled, ConfigError> {
    compile_with(configuration, options, &PipelineCache::new(pipelines))
}

/// As [`compile`], with pipelines that may have been read for other configurations already.
///
/// # Errors
/// As [`compile`].
pub fn compile_with(
    configuration: &Configuration,
    options: &CompileOptions,
    pipelines: &PipelineCache<'_>,
) -> Result<Compiled, ConfigError> {
    let mut compiler = Compiler::new(configuration, options);
    let draft = compiler.draft()?;
    compiler.resolve(draft, pipelines)
}

/// The variables of a build's steps, but for those of subpackages and of steps themselves.
pub(crate) fn build_variables(
    configuration: &Configuration,
    options: &CompileOptions,
) -> Result<Scope, ConfigError> {
    let compiler = Compiler::new(configuration, options);
    let scope = compiler.package_scope(&configuration.package)?;
    compiler.build_scope(&configuration.package.replaced(&scope), &[])
}

/// Replaces the variables that do not depend on steps and expands ranges, and leaves pipelines as they are.
pub(crate) fn expand(configuration: &Configuration, options: &CompileOptions) -> Result<Draft, ConfigError> {
    Compiler::new(configuration, options).draft()
}

/// A configuration with the variables replaced that do not depend on the step they stand in.
pub(crate) struct Draft {
    pub(crate) compiled: Compiled,
    pub(crate) pipeline: Vec<written::Pipeline>,
    pub(crate) subpackages: Vec<written::Subpackage>,
    pub(crate) test: Option<written::Test>,
    pub(crate) vars: StringMap,
    pub(crate) data: Vec<written::Range>,
}

struct Compiler<'a> {
    configuration: &'a Configuration,
    options: &'a CompileOptions,
    vars: StringMap,
    /// The regular expressions of transforms.
    patterns: RefCell<HashMap<&'a str, Regex>>,
}

impl<'a> Compiler<'a> {
    fn new(configuration: &'a Configuration, options: &'a CompileOptions) -> Self {
        let mut vars = configuration.vars.clone();
        vars.extend(options.vars.clone());
        Self {
            configuration,
            options,
            vars,
            patterns: RefCell::default(),
        }
    }

    fn text(&self) -> &Arc<SourceText> {
        &self.configuration.text
    }

    fn fault(&self, message: impl Into<String>, span: Span) -> ConfigError {
        ConfigError::new(self.text(), Diagnostic::new(message).at(span))
    }

    /// Does what the reference does when it reads a configuration.
    fn draft(&mut self) -> Result<Draft, ConfigError> {
        let written = self.configuration;
        let scope = Rc::new(self.package_scope(&written.package)?);
        let mut package = written.package.replaced(&scope);
        if package.commit.is_empty() {
            package.commit.clone_from(&self.options.commit);
        }
        let mut draft = Draft {
            pipeline: written.pipeline.replaced(&scope),
            subpackages: self.expand_subpackages(&scope, &package.commit)?,
            test: written.test.replaced(&scope),
            vars: self.vars.clone(),
            data: written.data.clone(),
            compiled: Compiled {
                environment: written.environment.replaced(&scope),
                capabilities: written.capabilities.clone(),
                update: written.update.replaced(&scope),
                var_transforms: written.var_transforms.clone(),
                options: written.options.clone(),
                package,
                ..Compiled::default()
            },
        };
        self.within_reason(&scope, written.places.package)?;
        self.complete_environments(&mut draft);
        self.substitute_lists(&mut draft)?;
        draft.pipeline.iter_mut().for_each(hand_down);
        for subpackage in &mut draft.subpackages {
            subpackage.pipeline.iter_mut().for_each(hand_down);
        }
        self.complete_resources(&mut draft.compiled);
        self.validate(&draft)?;
        self.apply_build_options(&mut draft.compiled.environment);
        Ok(draft)
    }

    fn expand_subpackages(
        &self,
        scope: &Rc<Scope>,
        commit: &str,
    ) -> Result<Vec<written::Subpackage>, ConfigError> {
        let mut expanded = Vec::new();
        let mut faults = Collected::default();
        let mut add = |written: &written::Subpackage, scope: &Scope| {
            if expanded.len() == SUBPACKAGES {
                let message = format!("ranges make more than {SUBPACKAGES} subpackages");
                return Err(self.fault(message, written.span));
            }
            let mut subpackage = written.replaced(scope);
            if subpackage.package.commit.is_empty() {
                commit.clone_into(&mut subpackage.package.commit);
            }
            expanded.push(subpackage);
            self.within_reason(scope, written.span)
        };
        for subpackage in &self.configuration.subpackages {
            if subpackage.range.is_empty() {
                add(subpackage, scope)?;
                continue;
            }
            let data = &self.configuration.data;
            let Some(range) = data.iter().rfind(|range| range.name == subpackage.range) else {
                faults.extend(self.unknown_range(subpackage));
                if faults.is_full() {
                    break;
                }
                continue;
            };
            let mut scope = Scope::inside(scope);
            for (key, value) in &range.items {
                scope.set("range.key", key);
                scope.set("range.value", value);
                add(subpackage, &scope)?;
            }
        }
        faults.end(expanded)
    }

    fn within_reason(&self, scope: &Scope, span: Span) -> Result<(), ConfigError> {
        match scope.is_exhausted() {
            true => Err(self.unresolved(&SubstitutionError::TooLong, span)),
            false => Ok(()),
        }
    }

    fn unknown_range(&self, subpackage: &written::Subpackage) -> ConfigError {
        let (range, name) = (&subpackage.range, &subpackage.package.name);
        let message = format!("range `{range}` of subpackage `{name}` is not defined");
        let diagnostic = Diagnostic::new(message)
            .at(subpackage.range_span)
            .label("no list of this name under `data`");
        let names = self.configuration.data.iter().map(|range| range.name.as_str());
        let diagnostic = match nearest(range, names.clone()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if names.len() == 0 => diagnostic,
            None => {
                let some: Vec<_> = names.take(SUGGESTED).map(|name| format!("`{name}`")).collect();
                diagnostic.help(format!("defined are {}", some.join(", ")))
            }
        };
        ConfigError::new(self.text(), diagnostic)
    }

    fn complete_environments(&self, draft: &mut Draft) {
        add_build_user(&mut draft.compiled.environment);
        if let Some(test) = &mut draft.test {
            add_build_user(&mut test.environment);
        }
        let tests = draft.subpackages.iter_mut().filter_map(|sub| sub.test.as_mut());
        tests
            .filter(|test| !test.pipeline.is_empty())
            .for_each(|test| add_build_user(&mut test.environment));

        let environment = &mut draft.compiled.environment.environment;
        for file in &self.options.environment {
            for (name, value) in file {
                environment.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        for (name, value) in ENVIRONMENT {
            let current = environment.entry(name.to_owned()).or_default();
            if current.is_empty() {
                value.clone_into(current);
            }
        }
    }

    fn complete_resources(&self, compiled: &mut Compiled) {
        let resources = compiled.package.resources.get_or_insert_default();
        let given = &self.options.resources;
        let pairs = [
            (&mut resources.cpu, &given.cpu),
            (&mut resources.cpu_model, &given.cpu_model),
            (&mut resources.memory, &given.memory),
            (&mut resources.disk, &given.disk),
        ];
        for (current, given) in pairs {
            if !given.is_empty() {
                current.clone_from(given);
            }
        }
        if let Some(timeout) = self.options.timeout {
            compiled.package.timeout = timeout;
        }
    }

    fn validate(&self, draft: &Draft) -> Result<(), ConfigError> {
        let places = self.configuration.places;
        let package = &draft.compiled.package;
        let mut faults = Collected::default();
        let mut check = |check: Result<(), String>, span: Span| {
            faults.keep(check.map_err(|problem| self.fault(problem, span)));
        };
        check(validate::package_name("package", &package.name), places.name);
        check(validate::version(&package.version), places.version);
        let dependencies = validate::priorities("the package", &package.dependencies);
        check(dependencies, places.package);
        check(validate::capabilities(&package.setcap), places.package);
        check(validate::cpe(&package.cpe), places.package);
        let mut seen: HashMap<&str, &str> = HashMap::new();
        seen.insert(&package.name, "the package itself");
        for subpackage in &draft.subpackages {
            let name = &subpackage.package.name;
            check(validate::package_name("subpackage", name), subpackage.span);
            if let Some(other) = seen.insert(name, "another subpackage") {
                let problem = format!("subpackage `{name}` has the same name as {other}");
                check(Err(problem), subpackage.span);
            }
            let owner = format!("subpackage `{name}`");
            let dependencies = validate::priorities(&owner, &subpackage.package.dependencies);
            check(dependencies, subpackage.span);
        }
        faults.end(())
    }

    fn apply_build_options(&mut self, environment: &mut Environment) {
        for name in &self.options.build_options {
            let Some(option) = self.configuration.options.get(name) else {
                continue;
            };
            self.vars.extend(option.vars.clone());
            let packages = &mut environment.contents.packages;
            packages.extend(option.add.iter().cloned());
            for removed in &option.remove {
                while let Some(at) = packages.iter().position(|package| package == removed) {
                    packages.swap_remove(at);
                }
            }
        }
    }

    /// Resolves the steps and merges what they need.
    fn resolve(&self, draft: Draft, pipelines: &PipelineCache<'_>) -> Result<Compiled, ConfigError> {
        let Draft { mut compiled, .. } = draft;
        compiled.vars.clone_from(&self.vars);
        let scope = Rc::new(self.build_scope(&compiled.package, &draft.subpackages)?);
        let mut steps = Steps::new(self.text(), pipelines);
        let mut faults = Collected::default();
        let mut needs = Vec::new();
        compiled.subpackages.reserve_exact(draft.subpackages.len());
        if let Some((pipeline, packages)) = faults.keep(steps.compile(&draft.pipeline, &scope)) {
            compiled.pipeline = pipeline;
            needs = packages;
        }
        for subpackage in draft.subpackages {
            let scope = variables::subpackage_scope(&scope, &subpackage.package.name);
            if let Some((subpackage, packages)) = faults.keep(self.subpackage(subpackage, &mut steps, &scope))
            {
                compiled.subpackages.push(subpackage);
                needs.extend(packages);
            }
        }
        compiled.environment.contents.packages.extend(needs);
        let test = draft
            .test
            .map(|test| compile_test(&mut steps, test, &scope, &compiled.package.name));
        compiled.test = faults.keep(test.transpose()).flatten();
        compiled.warnings = steps.warnings;
        faults.end(compiled)
    }

    /// Compiles a subpackage; returns it and the packages that its steps need.
    fn subpackage(
        &self,
        subpackage: written::Subpackage,
        steps: &mut Steps<'_>,
        scope: &Rc<Scope>,
    ) -> Result<(Subpackage, Vec<String>), ConfigError> {
        let mut faults = Collected::default();
        let enabled = faults.keep(self.holds(&subpackage, scope)).unwrap_or_default();
        let compiled = faults.keep(steps.compile(&subpackage.pipeline, scope));
        let (pipeline, needs) = compiled.unwrap_or_default();
        let test = subpackage
            .test
            .map(|test| compile_test(steps, test, scope, &subpackage.package.name));
        let location = Location {
            text: Arc::clone(self.text()),
            span: subpackage.span,
            used_at: None,
        };
        let subpackage = Subpackage {
            location: Some(Arc::new(location)),
            condition: subpackage.condition,
            enabled,
            pipeline,
            test: faults.keep(test.transpose()).flatten(),
            package: subpackage.package,
        };
        faults.end((subpackage, needs))
    }

    fn holds(&self, subpackage: &written::Subpackage, scope: &Scope) -> Result<bool, ConfigError> {
        let condition = scope
            .substitute_quoted(&subpackage.condition)
            .map_err(|error| self.unresolved(&error, subpackage.condition_span))?;
        evaluate(&condition).map_err(|error| self.fault(error.to_string(), subpackage.condition_span))
    }
}

fn compile_test(
    steps: &mut Steps<'_>,
    mut test: written::Test,
    scope: &Rc<Scope>,
    package: &str,
) -> Result<Test, ConfigError> {
    let (pipeline, needs) = steps.compile(&test.pipeline, scope)?;
    let packages = &mut test.environment.contents.packages;
    packages.push(package.to_owned());
    packages.extend(needs);
    packages.sort_unstable();
    packages.dedup();
    Ok(Test {
        environment: test.environment,
        pipeline,
    })
}

fn add_build_user(environment: &mut Environment) {
    let accounts = &mut environment.accounts;
    if !accounts.groups.iter().any(|group| group.name == BUILD_USER) {
        accounts.groups.push(Group {
            name: BUILD_USER.to_owned(),
            gid: BUILD_ID,
            members: vec![BUILD_USER.to_owned()],
        });
    }
    if !accounts.users.iter().any(|user| user.name == BUILD_USER) {
        accounts.users.push(User {
            name: BUILD_USER.to_owned(),
            uid: BUILD_ID,
            gid: Some(BUILD_ID),
            ..User::default()
        });
    }
}

/// Hands working directory and environment down to the steps inside.
fn hand_down(step: &mut written::Pipeline) {
    for inner in &mut step.pipeline {
        if inner.working_directory.is_empty() {
            inner.working_directory.clone_from(&step.working_directory);
        }
        for (name, value) in &step.environment {
            let entry = inner.environment.entry(name.clone());
            entry.or_insert_with(|| value.clone());
        }
        hand_down(inner);
    }
}
