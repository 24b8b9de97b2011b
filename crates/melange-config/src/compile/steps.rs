//! Steps: pipelines resolved, inputs given, scripts cleaned.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use spanned_yaml::{Diagnostic, Span, nearest};

use super::SUGGESTED;
use super::pipelines::{Missing, PipelineCache};
use super::variables::diagnostic;
use crate::compiled::Step;
use crate::condition::evaluate;
use crate::error::{Collected, ConfigError};
use crate::source::{Location, SourceText};
use crate::substitute::{Scope, SubstitutionError};
use crate::types::StringMap;
use crate::written::{self, Input, Pipeline, PipelineFile};

/// How deep pipelines may use one another.
const DEPTH: usize = 32;

/// How many steps a build may have: pipelines that use others twice each grow fast.
const STEPS: usize = 100_000;

type Result<T> = std::result::Result<T, ConfigError>;

pub(super) struct Steps<'a> {
    text: &'a Arc<SourceText>,
    pipelines: &'a PipelineCache<'a>,
    files: HashMap<String, Arc<PipelineFile>>,
    pub(super) warnings: Vec<String>,
    /// How many steps there are so far.
    count: usize,
}

/// What a step finds around it.
#[derive(Clone, Copy)]
struct Context<'a> {
    text: &'a Arc<SourceText>,
    /// Where the pipeline is used whose file the text is.
    used_at: Option<&'a Arc<Location>>,
    scope: &'a Rc<Scope>,
    nested: bool,
    depth: usize,
}

impl Context<'_> {
    fn fault(&self, diagnostic: Diagnostic) -> ConfigError {
        let error = ConfigError::new(self.text, diagnostic);
        match self.used_at {
            Some(location) => error.used_at(location),
            None => error,
        }
    }

    /// Points at the variable itself where it can be found in the text.
    fn unresolved(&self, error: &SubstitutionError, span: Span) -> ConfigError {
        self.fault(diagnostic(error, error.find(self.text, span).unwrap_or(span)))
    }

    fn location(&self, span: Span) -> Arc<Location> {
        Arc::new(Location {
            text: Arc::clone(self.text),
            span,
            used_at: self.used_at.cloned(),
        })
    }
}

/// Where a step is used and where its text is: the same, but for the file of a pipeline.
#[derive(Clone, Copy)]
struct Place<'a> {
    outer: Context<'a>,
    inner: Context<'a>,
    location: &'a Arc<Location>,
    /// The step with the inputs and the inner steps: that of the pipeline's file, where it has one.
    body: &'a Pipeline,
    /// Whether the condition is the file's.
    own_condition: bool,
}

impl Place<'_> {
    /// Points at the variable in the pipeline's file, or where the pipeline is used.
    fn unresolved(&self, error: &SubstitutionError, span: Span) -> ConfigError {
        match error.find(self.inner.text, span) {
            Some(_) => self.inner.unresolved(error, span),
            None => self.outer.unresolved(error, self.location.span),
        }
    }
}

impl<'a> Steps<'a> {
    pub(super) fn new(text: &'a Arc<SourceText>, pipelines: &'a PipelineCache<'a>) -> Self {
        Self {
            text,
            pipelines,
            files: HashMap::new(),
            warnings: Vec::new(),
            count: 0,
        }
    }

    /// Compiles the steps of a package or a test; returns them and the packages they need.
    pub(super) fn compile(
        &mut self,
        pipeline: &[Pipeline],
        scope: &Rc<Scope>,
    ) -> Result<(Vec<Step>, Vec<String>)> {
        let text = Arc::clone(self.text);
        let context = Context {
            text: &text,
            used_at: None,
            scope,
            nested: false,
            depth: 0,
        };
        let mut steps = Vec::with_capacity(pipeline.len());
        let mut needs = Vec::new();
        let mut faults = Collected::default();
        for written in pipeline {
            if faults.is_full() {
                break;
            }
            let Some(mut step) = faults.keep(self.step(written, context)) else {
                continue;
            };
            gather(&step, &mut needs);
            if step.enabled {
                // The reference moves these into the environment's list, those of inner steps
                // it copies.
                step.needs = None;
            }
            steps.push(step);
        }
        faults.end((steps, needs))
    }

    fn step(&mut self, written: &Pipeline, context: Context<'_>) -> Result<Step> {
        self.count += 1;
        if self.count > STEPS {
            let message = format!("pipelines make more than {STEPS} steps");
            return Err(context.fault(Diagnostic::new(message).at(written.span)));
        }
        if context.depth > DEPTH {
            let message = format!("pipelines use one another more than {DEPTH} levels deep");
            return Err(context.fault(Diagnostic::new(message).at(written.span)));
        }
        let location = &context.location(written.span);
        if written.uses.is_empty() || !written.pipeline.is_empty() {
            let place = Place {
                outer: context,
                inner: context,
                location,
                body: written,
                own_condition: true,
            };
            return self.resolved_step(written, &written.with, place);
        }
        let file = self.file(&written.uses, written.uses_span, context)?;
        let mut faults = Collected::default();
        for argument in &written.with {
            if faults.is_full() {
                break;
            }
            if !file.pipeline.inputs.contains_key(&argument.name) {
                faults.extend(context.fault(unknown_input(argument, &written.uses, &file.pipeline)));
            }
        }
        faults.end(())?;
        let place = Place {
            outer: context,
            inner: Context {
                text: &file.text,
                used_at: Some(location),
                ..context
            },
            location,
            body: &file.pipeline,
            own_condition: !file.pipeline.condition.is_empty(),
        };
        self.resolved_step(&overlay(written, &file.pipeline), &written.with, place)
    }

    /// Compiles a step whose pipeline is known.
    fn resolved_step(
        &mut self,
        step: &Pipeline,
        with: &[written::Argument],
        place: Place<'_>,
    ) -> Result<Step> {
        let Place {
            outer, inner, body, ..
        } = place;
        let given: StringMap = with
            .iter()
            .map(|argument| (argument.name.clone(), argument.value.clone()))
            .collect();
        let inputs = complete(&step.uses, &body.inputs, &given).map_err(|(input, problem)| {
            let argument = with.iter().find(|argument| argument.name == input);
            let span = argument.map_or(step.uses_span, |argument| argument.span);
            outer.fault(Diagnostic::new(problem).at(span))
        })?;
        let scope = with_inputs(outer.scope, &inputs).map_err(|error| place.unresolved(&error, step.span))?;
        let replace = |text: &str, span: Span| {
            scope
                .substitute(text)
                .map_err(|error| place.unresolved(&error, span))
        };
        let needs = match &step.needs {
            Some(packages) => {
                let packages = packages.iter().map(|package| replace(package, step.span));
                Some(packages.collect::<Result<Vec<_>>>()?)
            }
            None => None,
        };
        let working_directory = replace(&step.working_directory, step.span)?;
        let runs = replace(&step.runs, step.runs_span)?;
        let runs = crate::shell::strip_comments(&runs).map_err(|problem| {
            let message = format!("the script of a step cannot be read: {problem}");
            inner.fault(Diagnostic::new(message).at(step.runs_span))
        })?;
        let asked = if place.own_condition { inner } else { outer };
        let condition = scope
            .substitute_quoted(&step.condition)
            .map_err(|error| asked.unresolved(&error, step.condition_span))?;
        let enabled = evaluate(&condition)
            .map_err(|error| asked.fault(Diagnostic::new(error.to_string()).at(step.condition_span)))?;
        let context = Context {
            scope: &scope,
            nested: true,
            depth: outer.depth + 1,
            ..inner
        };
        let mut pipeline = Vec::with_capacity(body.pipeline.len());
        let mut faults = Collected::default();
        for inner in &body.pipeline {
            let compiled = if inner.working_directory.is_empty() && !working_directory.is_empty() {
                let mut inner = inner.clone();
                inner.working_directory.clone_from(&working_directory);
                self.step(&inner, context)
            } else {
                self.step(inner, context)
            };
            pipeline.extend(faults.keep(compiled));
        }
        faults.end(())?;
        // A step that gives no inputs is recorded without any, except inside of another one.
        let recorded = !given.is_empty() || outer.nested;
        let with = inputs.keys().filter(|_| recorded).filter_map(|name| {
            let value = scope.get(&format!("inputs.{name}")).unwrap_or_default();
            let input = body.inputs.get(name);
            let default = input.map_or("", |input| &input.default);
            (value != default).then(|| (name.clone(), value.to_owned()))
        });
        Ok(Step {
            location: Some(Arc::clone(place.location)),
            condition,
            enabled,
            name: step.name.clone(),
            uses: step.uses.clone(),
            with: with.collect(),
            runs,
            pipeline,
            needs,
            label: step.label.clone(),
            required_steps: step.required_steps,
            working_directory,
            environment: step.environment.clone(),
        })
    }

    fn file(&mut self, name: &str, span: Span, context: Context<'_>) -> Result<Arc<PipelineFile>> {
        if let Some(file) = self.files.get(name) {
            return Ok(Arc::clone(file));
        }
        let fault =
            |message: String, label: &str| context.fault(Diagnostic::new(message).at(span).label(label));
        if name.starts_with('/') || name.contains("..") {
            let message = format!("`{name}` is not the name of a pipeline");
            return Err(fault(message, "a name, not a path"));
        }
        let file = self.pipelines.file(name).map_err(|missing| match missing {
            Missing::Unreadable(error) => {
                fault(format!("cannot read pipeline `{name}`: {error}"), "used here")
            }
            Missing::Wrong(error) => error.used_at(&context.location(span)),
            Missing::Unknown => {
                let diagnostic = Diagnostic::new(format!("there is no pipeline `{name}`")).at(span);
                let names = self.pipelines.names().iter().map(String::as_str);
                context.fault(match nearest(name, names) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic,
                })
            }
        })?;
        for diagnostic in &file.unknown {
            self.warnings.push(format!("{}: {diagnostic}", file.text.path));
        }
        self.files.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}

/// Lays a pipeline file over the step that uses it: what the file says wins, as in the reference. Its inputs and inner
/// steps stay in the file.
fn overlay(step: &Pipeline, file: &Pipeline) -> Pipeline {
    let or = |file: &String, step: &String| if file.is_empty() { step } else { file }.clone();
    let mut environment = step.environment.clone();
    environment.extend(file.environment.clone());
    let (condition, condition_span) = if file.condition.is_empty() {
        (step.condition.clone(), step.condition_span)
    } else {
        (file.condition.clone(), file.condition_span)
    };
    Pipeline {
        span: file.span,
        condition,
        condition_span,
        name: step.name.clone(),
        uses: or(&file.uses, &step.uses),
        uses_span: step.uses_span,
        with: step.with.clone(),
        runs: or(&file.runs, &step.runs),
        runs_span: file.runs_span,
        pipeline: Vec::new(),
        inputs: BTreeMap::new(),
        needs: file.needs.clone().or_else(|| step.needs.clone()),
        label: or(&file.label, &step.label),
        required_steps: file.required_steps.or(step.required_steps),
        working_directory: or(&file.working_directory, &step.working_directory),
        environment,
    }
}

fn unknown_input(argument: &written::Argument, uses: &str, file: &Pipeline) -> Diagnostic {
    let name = &argument.name;
    let diagnostic = Diagnostic::new(format!("unknown input `{name}` for pipeline `{uses}`"))
        .at(argument.span)
        .label(format!("not an input of `{uses}`"));
    let inputs: Vec<_> = file.inputs.keys().map(String::as_str).collect();
    match nearest(name, inputs.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None if inputs.is_empty() => diagnostic.help("it takes no inputs"),
        None => {
            let some = inputs.iter().take(SUGGESTED).copied().collect::<Vec<_>>();
            diagnostic.help(format!("its inputs are `{}`", some.join("`, `")))
        }
    }
}

/// Adds defaults to the inputs given and checks them; a fault names the input.
fn complete<'a>(
    uses: &str,
    taken: &'a BTreeMap<String, Input>,
    given: &StringMap,
) -> std::result::Result<StringMap, (&'a str, String)> {
    let mut inputs = given.clone();
    for (name, input) in taken {
        let value = inputs.entry(name.clone()).or_default();
        if value.is_empty() {
            value.clone_from(&input.default);
        }
        let digits = match name.as_str() {
            "expected-sha256" => 64,
            "expected-sha512" => 128,
            "expected-commit" => 40,
            _ => 0,
        };
        let is_hex = value.len() == digits && value.bytes().all(|b| b.is_ascii_hexdigit());
        if digits > 0 && !value.is_empty() && !is_hex {
            let problem = format!("input `{name}` must be {digits} hexadecimal digits, not `{value}`");
            return Err((name, problem));
        }
        if input.required && value.is_empty() {
            let problem = format!("pipeline `{uses}` needs the input `{name}`");
            return Err((name, problem));
        }
    }
    Ok(inputs)
}

/// The variables inside a step: those around it and its inputs.
///
/// An input's value is resolved by what is around the step (`foo: ${{inputs.foo}}` hands an outer
/// input on); where that does not suffice, by the other inputs.
fn with_inputs(scope: &Rc<Scope>, inputs: &StringMap) -> std::result::Result<Rc<Scope>, SubstitutionError> {
    let mut inner = Scope::inside(scope);
    for (name, value) in inputs {
        let value = scope.substitute(value).unwrap_or_else(|_| value.clone());
        inner.set(format!("inputs.{name}"), value);
    }
    inner.settle()?;
    Ok(Rc::new(inner))
}

/// Collects what a step and the steps in it need, as far as they run.
fn gather(step: &Step, needs: &mut Vec<String>) {
    if !step.enabled {
        return;
    }
    needs.extend(step.needs.iter().flatten().cloned());
    step.pipeline.iter().for_each(|inner| gather(inner, needs));
}
