//! `apko install-keys`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use apk_repository::{AnnouncedKey, Client, Location};
use apk_types::Arch;
use clap::Args;
use cli_support::{Network, Steps};
use serde_json::{Value, json};

use crate::build::{print, write_file};
use crate::failure::{Failure, Outcome};
use crate::network::{Reach, client};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko install-keys                                  # for /etc/apk/repositories, into /etc/apk/keys
  apko install-keys -r https://apk.cgr.dev/chainguard
  apko install-keys --root ./rootfs --arch aarch64   # for another system

A repository that announces no keys is passed over. A key that is there with another content is an error.";

#[derive(Debug, Args)]
pub(crate) struct InstallKeys {
    /// The root of the system whose repositories are read and whose keys are written
    #[arg(long, default_value = "/", value_name = "DIR")]
    root: PathBuf,
    /// Further repositories
    #[arg(long, short, value_delimiter = ',', value_name = "REPOSITORY")]
    repository_append: Vec<String>,
    /// The architecture of the system; that in etc/apk/arch, or else of this machine if not given
    #[arg(long)]
    arch: Option<Arch>,
    /// Replaces keys that are there with another content
    #[arg(long)]
    force: bool,
    /// Writes what was installed as JSON
    #[arg(long)]
    json: bool,
    /// The directory of the cache of packages and indexes
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Uses no network
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    network: Network,
}

/// A key, and who announces it.
struct Found {
    repository: Location,
    key: AnnouncedKey,
}

pub(crate) fn install_keys(arguments: &InstallKeys, steps: &Steps) -> Outcome {
    let arch = arch(arguments)?;
    let reach = Reach {
        cache_dir: arguments.cache_dir.as_deref(),
        offline: arguments.offline,
        limits: None,
    };
    let (client, progress) = client(&arguments.network, &reach, steps)?;
    let mut keys: BTreeMap<String, Found> = BTreeMap::new();
    for repository in repositories(arguments)? {
        for key in announced(&client, &repository, arch)? {
            let known = keys.get(&key.name).filter(|known| known.key.pem != key.pem);
            if let Some(known) = known {
                return Err(Failure::failed(format!(
                    "{repository} announces another key {} than {}",
                    key.name, known.repository
                )));
            }
            let repository = repository.clone();
            keys.entry(key.name.clone()).or_insert(Found { repository, key });
        }
    }
    progress.done();
    let directory = arguments.root.join("etc/apk/keys");
    fs::create_dir_all(&directory).map_err(|error| Failure::at(&directory, &error))?;
    let mut lines = String::new();
    let mut rows = Vec::new();
    for found in keys.values() {
        let path = directory.join(&found.key.name);
        let is_new = install(&path, found, arguments.force)?;
        let what = if is_new { "installed" } else { "unchanged" };
        lines += &format!("{}  {what}  {}\n", path.display(), found.repository);
        rows.push(row(&path, found, is_new));
    }
    if keys.is_empty() {
        steps.warn("no repository announces a key");
    }
    let text = match arguments.json {
        true => format!("{:#}\n", Value::from(rows)),
        false => lines,
    };
    print(&text)
}

fn row(path: &Path, found: &Found, is_new: bool) -> Value {
    json!({
        "path": path.display().to_string(),
        "name": found.key.name,
        "repository": found.repository.to_string(),
        "url": found.key.url,
        "installed": is_new,
    })
}

fn announced(client: &Client, repository: &Location, arch: Arch) -> Outcome<Vec<AnnouncedKey>> {
    client
        .announced_keys(repository, arch)
        .map_err(|error| Failure::work(&error))
}

/// Writes a key, and returns whether it was not there before.
fn install(path: &Path, found: &Found, force: bool) -> Outcome<bool> {
    match fs::read(path) {
        Ok(content) if content == found.key.pem.as_bytes() => return Ok(false),
        Ok(_) if !force => {
            return Err(Failure::failed(format!(
                "{} is there with another content than {} announces; --force replaces it",
                path.display(),
                found.repository
            )));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::at(path, &error)),
    }
    write_file(path, found.key.pem.as_bytes())?;
    Ok(true)
}

/// What the system lists and the command line adds. A tag says which packages are taken, not who signs.
fn repositories(arguments: &InstallKeys) -> Outcome<Vec<Location>> {
    let path = arguments.root.join("etc/apk/repositories");
    let listed = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !arguments.repository_append.is_empty() => {
            String::new()
        }
        Err(error) => return Err(Failure::at(&path, &error)),
    };
    let lines = listed
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .chain(arguments.repository_append.iter().map(String::as_str))
        .map(|line| {
            let tagged = line
                .strip_prefix('@')
                .and_then(|rest| rest.split_once(char::is_whitespace));
            let untagged = tagged.map_or(line, |(_, repository)| repository);
            untagged
                .parse()
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        })
        .collect()
}

fn arch(arguments: &InstallKeys) -> Outcome<Arch> {
    if let Some(arch) = arguments.arch {
        return Ok(arch);
    }
    let path = arguments.root.join("etc/apk/arch");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|error| Failure::at(&path, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Arch::host().ok_or_else(|| Failure::usage("there are no packages for this host: say --arch"))
        }
        Err(error) => Err(Failure::at(&path, &error)),
    }
}
