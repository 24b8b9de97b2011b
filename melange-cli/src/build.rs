//! `melange build`.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use apk_types::Arch;
use cli_support::Steps;
use melange::{
    BuildReport, BuildRequest, Event, Linters, Records, SigningKey, Source, build as build_packages,
};
use melange_config::{Compiled, Configuration, Libc};
use melange_pipeline::runner::{Cancel, Runner};
use spdx_sbom::Configuration as Origin;

use crate::args::Build;
use crate::check;
use crate::compilation::{commit, compiled, configuration_path, env_file_values, read};
use crate::failing_step::Subject;
use crate::failure::{Failure, Outcome, print};
use crate::guest::source_tools;
use crate::show::{Interrupts, Show, describe};

/// One architecture's part of the work.
struct Task {
    arch: Arch,
    compiled: Compiled,
    request: BuildRequest,
}

/// What all tasks share.
struct Shared<'a> {
    arguments: &'a Build,
    steps: &'a Steps,
    runner: &'a (dyn Runner + Sync),
    interrupts: &'a Interrupts,
    cancel: &'a Cancel,
    trace: Option<&'a Mutex<File>>,
    tasks: usize,
    /// Whether all was built before, and is only built to be compared.
    is_second: bool,
}

pub(crate) fn build(arguments: &Build, steps: &Steps) -> Outcome {
    arguments.guest.check_terminal()?;
    let path = configuration_path(arguments.config.as_deref())?;
    // A key that cannot be used shows before anything is built.
    let signing_key = match &arguments.signing_key {
        Some(path) => Some(SigningKey::load(path).map_err(|error| Failure::usage(error.to_string()))?),
        None => None,
    };
    let configuration = read(&path)?;
    let cancel = Cancel::default();
    let mut tasks = Vec::new();
    for arch in targets(arguments, &configuration, &path, steps)? {
        let mut task = task(arguments, &configuration, &path, arch, &cancel)?;
        task.compiled
            .warnings
            .iter()
            .for_each(|warning| steps.warn(warning));
        task.request.signing_key = signing_key.clone();
        tasks.push(task);
    }
    let interrupts = Interrupts::watch(&cancel)?;
    let trace = match &arguments.trace {
        Some(path) => Some(Mutex::new(
            File::create(path).map_err(|error| Failure::at(path, &error))?,
        )),
        None => None,
    };
    let runner = arguments.guest.runner(steps);
    let shared = Shared {
        arguments,
        steps,
        runner: &*runner,
        interrupts: &interrupts,
        cancel: &cancel,
        trace: trace.as_ref(),
        tasks: tasks.len(),
        is_second: false,
    };
    let mut text = String::new();
    let (mut reports, mut failures) = (Vec::new(), Vec::new());
    for result in run_all(&shared, &tasks) {
        match result {
            Ok(report) => {
                let paths = report.packages.iter().map(|(path, _)| path);
                paths.for_each(|path| text += &format!("{}\n", path.display()));
                reports.push(report);
            }
            Err(failure) => failures.push(failure),
        }
    }
    print(&text)?;
    if interrupts.happened() {
        return Err(Failure::interrupted());
    }
    if arguments.check && failures.is_empty() {
        return check_again(&shared, tasks, &reports);
    }
    let last = failures.pop();
    failures
        .iter()
        .for_each(|failure| cli_support::print_error(&failure.text));
    last.map_or(Ok(()), Err)
}

/// Builds all tasks a second time under other conditions, and fails where that gives other packages.
fn check_again(shared: &Shared<'_>, tasks: Vec<Task>, reports: &[BuildReport]) -> Outcome {
    let first_ended = Instant::now();
    let directory = check::directory()?;
    let again = |task: Task| Task {
        request: check::request(&task.request, directory.path()),
        ..task
    };
    let tasks: Vec<Task> = tasks.into_iter().map(again).collect();
    let shared = Shared {
        is_second: true,
        ..*shared
    };
    let start = Instant::now();
    let conditions = check::Conditions::change(first_ended);
    let results = run_all(&shared, &tasks);
    let described = conditions.described.clone();
    drop(conditions);
    if shared.interrupts.happened() {
        return Err(Failure::interrupted());
    }
    for ((task, first), second) in tasks.iter().zip(reports).zip(results) {
        if let Err(mut failure) = check::compare_reports(first, &second?) {
            let kept = directory.keep().join("packages");
            failure.text += &format!("\n  the second build's packages stay in {}", kept.display());
            return Err(failure);
        }
        let package = &task.compiled.package;
        let what = format!(
            "{} {} ({})  the same bytes with {described}",
            package.name,
            package.full_version(),
            task.arch
        );
        shared.steps.done("Checked", &what, start.elapsed());
    }
    Ok(())
}

/// The architectures to build for: those asked for that are the configuration's targets, too.
fn targets(
    arguments: &Build,
    configuration: &Configuration,
    path: &Path,
    steps: &Steps,
) -> Outcome<Vec<Arch>> {
    let mut archs = cli_support::parse_archs(&arguments.arch)
        .map_err(|text| Failure::usage(format!("--arch: {text}")))?;
    archs.retain(|arch| {
        let is_target = configuration.package.targets(arch.apk_name());
        if !is_target {
            let path = path.display();
            steps.warn(&format!(
                "{path} is not built for {arch}: not one of its target architectures"
            ));
        }
        is_target
    });
    Ok(archs)
}

fn task(
    arguments: &Build,
    configuration: &Configuration,
    path: &Path,
    arch: Arch,
    cancel: &Cancel,
) -> Outcome<Task> {
    let libc = match arguments.override_host_triplet_libc_substitution_flavor.as_str() {
        "musl" => Libc::Musl,
        _ => Libc::Gnu,
    };
    let compilation = &arguments.compilation;
    let compiled = compiled(
        configuration,
        path,
        arch,
        libc,
        compilation,
        &arguments.guest.pipeline_dirs,
    )?;
    let request = request(arguments, path, arch, &compiled, cancel)?;
    Ok(Task {
        arch,
        compiled,
        request,
    })
}

/// Does all tasks at once, but for a person at the terminal, who can look at one failing step at a time.
fn run_all(shared: &Shared<'_>, tasks: &[Task]) -> Vec<Outcome<BuildReport>> {
    if shared.arguments.guest.is_interactive() || tasks.len() == 1 {
        return tasks.iter().map(|task| run(shared, task)).collect();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = tasks
            .iter()
            .map(|task| scope.spawn(move || run(shared, task)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Outcome<BuildReport>>| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Failure::work("the build of an architecture broke off")))
        };
        threads.into_iter().map(join).collect()
    })
}

fn run(shared: &Shared<'_>, task: &Task) -> Outcome<BuildReport> {
    let Task {
        arch,
        compiled,
        request,
    } = task;
    let start = Instant::now();
    let prefix = match shared.tasks {
        1 => String::new(),
        _ => format!("{arch:>8}"),
    };
    let package = &compiled.package;
    let name = format!("{}-{}", package.name, package.full_version());
    let mut show = Show::new(shared.steps, shared.interrupts, prefix);
    let guest = &shared.arguments.guest;
    if !shared.is_second {
        show = show
            .with_log(Some(&log_directory(shared.arguments)), *arch, &name)?
            .with_trace(shared.trace)
            .with_reasons(shared.arguments.explain);
    }
    let (mut environment, progress) =
        guest.environment(&shared.arguments.package_append, shared.steps, shared.cancel)?;
    let mut request = request.clone();
    request.guest.sources = Some(source_tools(&environment));
    let mut events = |event: Event<'_>| {
        progress.done();
        show.show(&event);
    };
    let result = build_packages(compiled, &request, &mut environment, shared.runner, &mut events);
    let report = result.map_err(|error| {
        let subject = Subject {
            version: package.full_version(),
            arch: *arch,
            log: show.log(),
            is_interactive: guest.is_interactive(),
        };
        subject.failure(error)
    })?;
    for (_, record) in report.packages.iter().filter(|_| !shared.is_second) {
        shared
            .steps
            .done("Built", &describe(record, *arch), start.elapsed());
    }
    Ok(report)
}

/// Where what the steps write is kept.
fn log_directory(arguments: &Build) -> PathBuf {
    let given = arguments.guest.log_dir.clone();
    given.unwrap_or_else(|| arguments.out_dir.join("logs"))
}

fn request(
    arguments: &Build,
    path: &Path,
    arch: Arch,
    compiled: &Compiled,
    cancel: &Cancel,
) -> Outcome<BuildRequest> {
    let beside = || path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let directory = arguments.source_dir.clone().unwrap_or_else(beside);
    let directory = if directory.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        directory
    };
    let url = || "https://unknown/unknown/unknown".to_owned();
    let mut guest = arguments
        .guest
        .options(arch, compiled.package.resources.as_ref(), cancel)?;
    guest.cache = Some(arguments.cache_dir.clone()).filter(|cache| cache.is_dir());
    guest.keep |= !arguments.cleanup;
    let hidden = arguments.guest.hide_env_file;
    let values = env_file_values(&arguments.compilation)?;
    guest.hidden = hidden.texts(values.values());
    let unrecorded = values.into_keys().filter(|name| hidden.hides(name)).collect();
    Ok(BuildRequest {
        guest,
        unrecorded,
        source_date_epoch: source_date_epoch(arguments)?,
        namespace: arguments.namespace.clone(),
        source: match arguments.empty_workspace {
            true => Source::Empty,
            false => Source::Directory {
                path: directory,
                ignore_file: ".melangeignore".to_owned(),
            },
        },
        configuration: Some(Origin {
            path: path.display().to_string(),
            repository_url: arguments.compilation.git_repo_url.clone().unwrap_or_else(url),
            commit: commit(path, &arguments.compilation),
            license: arguments.license.clone(),
        }),
        linters: Linters {
            require: names(&arguments.lint_require),
            warn: names(&arguments.lint_warn),
        },
        index: arguments.generate_index,
        strip_origin: arguments.strip_origin_name,
        records: Records {
            provenance: arguments.generate_provenance,
            cyclonedx: arguments.generate_cyclonedx,
            dependencies: arguments.dependency_log.clone(),
            packages: arguments.create_build_log.then(|| PathBuf::from("packages.log")),
            lint_results: arguments.persist_lint_results,
        },
        ..BuildRequest::new(arch, &arguments.out_dir, env::temp_dir())
    })
}

/// The names of a flag, of which an empty one stands for none.
fn names(given: &[String]) -> Vec<String> {
    given.iter().filter(|name| !name.is_empty()).cloned().collect()
}

/// The environment variable wins over the flag; without both it is 1970.
fn source_date_epoch(arguments: &Build) -> Outcome<i64> {
    let value = env::var("SOURCE_DATE_EPOCH").ok();
    if let Some(seconds) = cli_support::parse_source_date_epoch(value.as_deref()).map_err(Failure::usage)? {
        return Ok(seconds);
    }
    match &arguments.build_date {
        None => Ok(0),
        Some(text) => {
            cli_support::parse_time(text).map_err(|error| Failure::usage(format!("--build-date: {error}")))
        }
    }
}
