//! `apko login`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::Args;
use cli_support::Steps;
use oci_image::registry::{DockerConfig, helper_store, with_login};

use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko login ghcr.io --username me --password-stdin < token.txt
  echo \"$TOKEN\" | apko login registry.example.org:5000 -u me --password-stdin

They are kept in `config.json` of Docker's directory (DOCKER_CONFIG, or else ~/.docker), where docker, skopeo and
others find them too, or by the program that it names (`credsStore`, `credHelpers`). The registry is not asked.";

/// The registry of names that mention none.
const DOCKER_HUB: &str = "index.docker.io";

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The registry; Docker's if not given
    server: Option<String>,
    /// The user name
    #[arg(long, short)]
    username: Option<String>,
    /// The password, which others may see in lists of processes: better is --password-stdin
    #[arg(long, short, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Reads the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) fn login(arguments: &Login, steps: &Steps) -> Outcome {
    let server = arguments.server.as_deref().unwrap_or(DOCKER_HUB);
    let password = match (&arguments.password, arguments.password_stdin) {
        (_, true) => read_password()?,
        (Some(password), false) => password.clone(),
        (None, false) => return Err(Failure::usage("a password is needed: --password-stdin")),
    };
    let user = arguments.username.clone().unwrap_or_default();
    if user.is_empty() || password.is_empty() {
        return Err(Failure::usage(
            "both a user name and a password are needed: --username, --password-stdin",
        ));
    }
    let login = http_exchange::Login::new(user, password);
    let path = docker_config(&|name| env::var(name).ok())
        .ok_or_else(|| Failure::usage("there is no home directory: set DOCKER_CONFIG"))?;
    let text = match path.exists() {
        true => read_config(&path)?,
        false => String::new(),
    };
    let config = DockerConfig::parse(&text).map_err(|error| Failure::at(&path, &error))?;
    if let Some(program) = config.helper(server) {
        helper_store(&program, server, &login).map_err(|error| Failure::work(&error))?;
        told(steps, &program);
        return Ok(());
    }
    let changed = with_login(&text, server, &login).map_err(|error| Failure::at(&path, &error))?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| Failure::at(directory, &error))?;
    }
    cli_support::write_file(&path, changed.as_bytes(), 0o600).map_err(|error| Failure::at(&path, &error))?;
    told(steps, &path.display().to_string());
    Ok(())
}

/// As the Go tool says it.
fn told(steps: &Steps, keeper: &str) {
    if steps.shows_steps() {
        eprintln!("logged in via {keeper}");
    }
}

fn read_password() -> Outcome<String> {
    let mut password = String::new();
    io::stdin()
        .read_to_string(&mut password)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}

/// The file that `docker login` writes to.
fn docker_config(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| path_in(variable, name);
    let directory = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
    directory.map(|directory| directory.join("config.json"))
}

/// The files that may have credentials; the first one that is there has them. Podman's are the last.
pub(crate) fn config_paths(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let set = |name| path_in(variable, name);
    let podman = set("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json"));
    [docker_config(variable), set("REGISTRY_AUTH_FILE"), podman]
        .into_iter()
        .flatten()
        .collect()
}

/// The path in an environment variable; an empty one is none.
fn path_in(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<PathBuf> {
    let value = variable(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

pub(crate) fn read_config(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| Failure::at(path, &error))
}
