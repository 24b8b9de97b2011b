//! Compiles a configuration and prints it as `melange compile` does, or as `.melange.yaml`.
//!
//! `cargo run --example compile -- compile --arch x86_64 [--pipeline-dir DIR]... [--yaml] FILE`

use std::path::PathBuf;
use std::process::ExitCode;

use melange_config::{CompileOptions, compile, parse, parse_environment_file, parse_vars};
use melange_pipeline::PipelineDirectories;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut options = CompileOptions::new("x86_64".parse().map_err(|e| format!("{e}"))?);
    let mut directories = Vec::new();
    let mut file = String::new();
    let mut yaml = false;
    let mut args = std::env::args().skip(1);
    let read = |path: &str| std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_default();
        match arg.as_str() {
            "compile" => {}
            "--arch" => options.arch = value().parse().map_err(|e| format!("{e}"))?,
            "--pipeline-dir" => directories.push(PathBuf::from(value())),
            "--git-commit" => options.commit = value(),
            "--build-option" => options.build_options.push(value()),
            "--vars-file" => {
                let path = value();
                options.vars = parse_vars(&read(&path)?, &path).map_err(|e| e.render())?;
            }
            "--env-file" => {
                let variables = parse_environment_file(&read(&value())?);
                options.environment.push(variables.map_err(|e| e.to_string())?);
            }
            "--yaml" => yaml = true,
            flag if flag.starts_with("--") => drop(value()),
            path => path.clone_into(&mut file),
        }
    }
    let configuration = parse(&read(&file)?, &file).map_err(|error| error.render())?;
    let pipelines = PipelineDirectories::new(directories);
    let compiled = compile(&configuration, &options, &pipelines).map_err(|error| error.render())?;
    for warning in &compiled.warnings {
        eprintln!("warning: {warning}");
    }
    if yaml {
        print!("{}", compiled.to_yaml());
    } else {
        println!("{}", compiled.to_json());
    }
    Ok(())
}
