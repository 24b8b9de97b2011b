//! From files and flags to a compiled configuration; `melange compile`.

use std::fs;
use std::path::{Path, PathBuf};

use apk_types::Arch;
use cli_support::Steps;
use melange_config::types::StringMap;
use melange_config::{
    CompileOptions, Compiled, Configuration, Libc, Rule, compile, parse, parse_environment_file, parse_vars,
};
use melange_pipeline::PipelineDirectories;

use crate::args::{Compilation, Compile};
use crate::failure::{Failure, Outcome, json, print};

/// The names that a configuration has where none is given.
const USUAL_NAMES: [&str; 4] = [".melange.yaml", ".melange.yml", "melange.yaml", "melange.yml"];

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange compile --arch x86_64 hello.yaml
  melange compile --arch aarch64 --json hello.yaml | jq -r .message    # what is wrong

Exit status: 0 compiled, 1 a file cannot be read, 2 the command line or the configuration is wrong.";

pub(crate) fn command(arguments: &Compile, steps: &Steps) -> Outcome {
    let path = configuration_path(arguments.config.as_deref())?;
    let arch = arguments
        .arch
        .parse()
        .map_err(|error| Failure::usage(format!("--arch: {error}")))?;
    let compiled = read(&path).and_then(|configuration| {
        compiled(
            &configuration,
            &path,
            arch,
            Libc::Gnu,
            &arguments.compilation,
            &[],
        )
    });
    let compiled = match compiled {
        Err(failure) if arguments.json && !failure.faults.is_empty() => {
            let lines = failure
                .faults
                .iter()
                .map(|fault| format!("{}\n", json(fault, Rule::Invalid)));
            return print(&lines.collect::<String>()).and(Err(failure));
        }
        compiled => compiled?,
    };
    for warning in &compiled.warnings {
        steps.warn(warning);
    }
    print(&format!("{}\n", compiled.to_json().trim_end()))
}

pub(crate) fn configuration_path(given: Option<&Path>) -> Outcome<PathBuf> {
    let usual = || USUAL_NAMES.iter().map(PathBuf::from).find(|path| path.exists());
    given
        .map(Path::to_owned)
        .or_else(usual)
        .ok_or_else(|| Failure::usage("no configuration is given, and there is no melange.yaml here"))
}

pub(crate) fn read(path: &Path) -> Outcome<Configuration> {
    let text = fs::read_to_string(path).map_err(|error| Failure::at(path, &error))?;
    Ok(parse(&text, &path.display().to_string())?)
}

pub(crate) fn compiled(
    configuration: &Configuration,
    path: &Path,
    arch: Arch,
    libc: Libc,
    arguments: &Compilation,
    pipeline_directories: &[PathBuf],
) -> Outcome<Compiled> {
    let mut options = CompileOptions::new(arch);
    options.libc = libc;
    options.commit = commit(path, arguments);
    options.build_options = arguments.build_option.clone();
    options.timeout = arguments.timeout;
    if let Some(cpu) = &arguments.cpu {
        options.resources.cpu = cpu.clone();
    }
    if let Some(memory) = &arguments.memory {
        options.resources.memory = memory.clone();
    }
    if let Some(path) = &arguments.vars_file {
        let text = fs::read_to_string(path).map_err(|error| Failure::at(path, &error))?;
        options.vars = parse_vars(&text, &path.display().to_string())?;
    }
    options.environment = env_files(arguments)?;
    let directories = arguments.pipeline_dir.iter().chain(pipeline_directories).cloned();
    Ok(compile(
        configuration,
        &options,
        &PipelineDirectories::new(directories),
    )?)
}

/// The variables of each of the files of `--env-file`.
fn env_files(arguments: &Compilation) -> Outcome<Vec<StringMap>> {
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).map_err(|error| Failure::at(path, &error))?;
        parse_environment_file(&text).map_err(|error| Failure::at(path, &error))
    };
    arguments.env_file.iter().map(read).collect()
}

/// All variables of the files of `--env-file`.
pub(crate) fn env_file_values(arguments: &Compilation) -> Outcome<StringMap> {
    Ok(env_files(arguments)?.into_iter().flatten().collect())
}

/// The commit given, else that of the repository which the configuration lies in, else `unknown`.
pub(crate) fn commit(path: &Path, arguments: &Compilation) -> String {
    let head = || apko::head_commit(path).ok().flatten();
    arguments
        .git_commit
        .clone()
        .or_else(head)
        .unwrap_or_else(|| "unknown".to_owned())
}
