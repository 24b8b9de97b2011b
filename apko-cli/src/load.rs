//! `apko load`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::{Args, ValueEnum};
use cli_support::Steps;

use crate::build::print;
use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko build web.yaml web:1.0 web.tar
  apko load web.tar                      # into docker, or podman where there is no docker
  apko load --into podman web.tar

What was loaded is printed to standard output, as the program says it.";

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The archive that `apko build` wrote
    archive: PathBuf,
    /// The program to load it into
    #[arg(long)]
    into: Option<Engine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    Docker,
    Podman,
}

pub(crate) fn load(arguments: &Load, steps: &Steps) -> Outcome {
    let start = Instant::now();
    if !arguments.archive.is_file() {
        return Err(Failure::usage(format!(
            "{} is no file; `apko build` writes archives to a name that is no directory",
            arguments.archive.display()
        )));
    }
    let engines: &[&str] = match arguments.into {
        Some(Engine::Docker) => &["docker"],
        Some(Engine::Podman) => &["podman"],
        None => &ENGINES,
    };
    let (engine, said) = load_into(engines, &arguments.archive)?;
    let what = format!("{} into {engine}", arguments.archive.display());
    steps.done("Loaded", &what, start.elapsed());
    print(&said)
}

/// The programs that images are loaded into, the first one that is there.
pub(crate) const ENGINES: [&str; 2] = ["docker", "podman"];

/// Loads an archive into the first of the programs that is there; which one it was, and what it said.
pub(crate) fn load_into<'e>(engines: &[&'e str], archive: &Path) -> Outcome<(&'e str, String)> {
    for engine in engines {
        let mut command = Command::new(engine);
        command
            .args(["load", "--input"])
            .arg(archive)
            .stdin(Stdio::null());
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::work(&error)),
            Ok(output) if output.status.success() => {
                return Ok((engine, String::from_utf8_lossy(&output.stdout).into_owned()));
            }
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(Failure::failed(format!("{engine} load failed: {}", said.trim())));
            }
        }
    }
    Err(Failure::failed(format!(
        "{} is not installed",
        engines.join(" or ")
    )))
}
