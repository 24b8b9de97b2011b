//! `melange build`.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anstream::eprintln;
use apk_types::Arch;
use apko::{Additions, Policy};
use cli_support::{Steps, size};
use melange::{ApkoEnvironment, BuildRequest, Event, Linters, SigningKey, Source, build as build_packages};
use melange_config::Libc;
use melange_pipeline::runner::{Bubblewrap, Cancel, Network};
use spdx_sbom::Configuration as Origin;

use crate::args::{self, Build};
use crate::compilation::{commit, compiled, configuration_path, read};
use crate::failure::{Failure, Outcome, print};

pub(crate) fn build(arguments: &Build, steps: &Steps) -> Outcome {
    let path = configuration_path(arguments.config.as_deref())?;
    // A key that cannot be used shows before anything is built.
    let signing_key = match &arguments.signing_key {
        Some(path) => Some(SigningKey::load(path).map_err(|error| Failure::usage(error.to_string()))?),
        None => None,
    };
    let source_date_epoch = source_date_epoch(arguments)?;
    let configuration = read(&path)?;
    let libc = match arguments.override_host_triplet_libc_substitution_flavor.as_str() {
        "musl" => Libc::Musl,
        _ => Libc::Gnu,
    };
    let cancel = Cancel::default();
    let interrupted = watch_signals(&cancel)?;
    let archs = cli_support::parse_archs(&arguments.arch);
    for arch in archs.map_err(|text| Failure::usage(format!("--arch: {text}")))? {
        let targets = &configuration.package.target_architecture;
        if !targets.is_empty()
            && !targets
                .iter()
                .any(|target| target == "all" || target == arch.apk_name())
        {
            steps.warn(&format!(
                "{} is not built for {arch}: not one of its target architectures",
                path.display()
            ));
            continue;
        }
        let compiled = compiled(
            &configuration,
            &path,
            arch,
            libc,
            &arguments.compilation,
            &arguments.pipeline_dirs,
        )?;
        compiled.warnings.iter().for_each(|warning| steps.warn(warning));
        let mut request = request(arguments, &path, arch);
        request.source_date_epoch = source_date_epoch;
        request.signing_key = signing_key.clone();
        request.cancel = cancel.clone();
        let mut environment = environment(arguments);
        let runner = Bubblewrap::find(env::var_os("PATH").as_deref());
        let start = Instant::now();
        let report = build_packages(
            &compiled,
            &request,
            &mut environment,
            &runner,
            &mut |event: Event<'_>| {
                show(steps, &event);
            },
        );
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::interrupted());
        }
        let report = report?;
        let mut text = String::new();
        for (path, record) in &report.packages {
            let what = format!(
                "{} {} ({arch})  {}",
                record.name,
                record.version,
                size(record.size)
            );
            steps.done("Built", &what, start.elapsed());
            text += &format!("{}\n", path.display());
        }
        print(&text)?;
    }
    Ok(())
}

fn show(steps: &Steps, event: &Event<'_>) {
    match event {
        Event::Output { line, .. } if steps.shows_steps() => eprintln!("  │ {line}"),
        Event::Pipeline { package } => steps.detail(&format!("steps of {package}")),
        Event::Finding { package, finding } => {
            steps.warn(&format!(
                "{package}: linter {}: {}",
                finding.linter, finding.message
            ));
        }
        Event::Warning { message } => steps.warn(message),
        _ => {}
    }
}

fn request(arguments: &Build, path: &Path, arch: Arch) -> BuildRequest {
    let scratch = arguments.workspace_dir.clone().unwrap_or_else(env::temp_dir);
    let beside = || path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let directory = arguments.source_dir.clone().unwrap_or_else(beside);
    let directory = if directory.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        directory
    };
    let linters = Linters::default();
    let url = || "https://unknown/unknown/unknown".to_owned();
    BuildRequest {
        namespace: arguments.namespace.clone(),
        source: match arguments.empty_workspace {
            true => Source::Empty,
            false => Source::Directory {
                path: directory,
                ignore_file: ".melangeignore".to_owned(),
            },
        },
        cache: Some(arguments.cache_dir.clone()).filter(|cache| cache.is_dir()),
        configuration: Some(Origin {
            path: path.display().to_string(),
            repository_url: arguments.compilation.git_repo_url.clone().unwrap_or_else(url),
            commit: commit(path, &arguments.compilation),
            license: arguments.license.clone(),
        }),
        linters: Linters {
            require: arguments.lint_require.clone().unwrap_or(linters.require),
            warn: arguments.lint_warn.clone().unwrap_or(linters.warn),
        },
        index: arguments.generate_index,
        strip_origin: arguments.strip_origin_name,
        trace: arguments.debug,
        network: match arguments.network {
            args::Network::Host => Network::Host,
            args::Network::None => Network::None,
        },
        ..BuildRequest::new(arch, &arguments.out_dir, scratch)
    }
}

fn environment(arguments: &Build) -> ApkoEnvironment {
    ApkoEnvironment {
        store: None,
        additions: Additions {
            keys: arguments.keyring_append.clone(),
            build_repositories: arguments.repository_append.clone(),
            repositories: Vec::new(),
            packages: arguments.package_append.clone(),
        },
        policy: Policy {
            ignore_signatures: arguments.ignore_signatures,
            ..Policy::default()
        },
    }
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

/// Ends the build on Ctrl-C and on a request to terminate; the flag tells that it was so.
fn watch_signals(cancel: &Cancel) -> Outcome<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM]);
    let mut signals =
        signals.map_err(|error| Failure::work(format!("signals cannot be watched: {error}")))?;
    let (cancel, flag) = (cancel.clone(), Arc::clone(&interrupted));
    std::thread::spawn(move || {
        for _ in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            cancel.cancel();
        }
    });
    Ok(interrupted)
}
