//! Running programs, and having those that are needed.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, root};

/// Programs that set-up and sandboxes need, and the Debian packages that have them.
pub(crate) const BUBBLEWRAP: (&str, &str) = ("bwrap", "bubblewrap");

/// The two commands, built for release.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) apko: PathBuf,
    pub(crate) melange: PathBuf,
}

impl Binaries {
    /// Builds them if they are not built yet.
    pub(crate) fn build() -> Outcome<Self> {
        let mut cargo = Command::new("cargo");
        cargo.args([
            "build",
            "--release",
            "--locked",
            "--package",
            "apko-cli",
            "--package",
            "melange-cli",
        ]);
        cargo
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(root());
        let messages = printed(cargo.stderr(Stdio::inherit()))?;
        let executable = |name: &str| -> Outcome<PathBuf> {
            messages
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .filter(|message| message["target"]["name"] == name)
                .find_map(|message| message["executable"].as_str().map(PathBuf::from))
                .ok_or_else(|| format!("cargo built no program `{name}`").into())
        };
        Ok(Self {
            apko: executable("apko")?,
            melange: executable("melange")?,
        })
    }
}

/// Errors that say which file they are about.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Outcome<T>;
}

impl<T, E: Display> At<T> for Result<T, E> {
    fn at(self, path: &Path) -> Outcome<T> {
        self.map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// Runs a program to its end; anything but success is an error that names it.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let name = name(command);
    let status = command.status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name} ended with {status}").into())
    }
}

/// Runs a program and gives what it printed to standard output; its standard error is part of an error.
pub(crate) fn printed(command: &mut Command) -> Outcome<String> {
    let name = name(command);
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} ended with {}\n{}", output.status, said.trim_end()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn name(command: &Command) -> String {
    Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Where a program is in the search path. Debian keeps some that others than root can run in `sbin` too.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Whether a program is there.
pub(crate) fn exists(program: &str) -> bool {
    find(program).is_some()
}

/// Sees to it that programs are there: as root it installs their Debian packages, else it says what to install.
/// Each is a program and the package that has it.
pub(crate) fn require(programs: &[(&str, &str)]) -> Outcome {
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| !exists(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root() || !exists("apt-get") {
        return Err(
            format!("this needs programs that are not here; as root, run: apt-get install {list}").into(),
        );
    }
    eprintln!("installing {list} (apt-get)");
    let install = || {
        let mut apt = apt(&["install", "--yes", "--no-install-recommends"]);
        printed(apt.args(&missing))
    };
    // A fresh machine has no package lists yet, one that is not fresh may have old ones.
    if install().is_err() {
        printed(&mut apt(&["update"]))?;
        install()?;
    }
    match programs.iter().find(|(program, _)| !exists(program)) {
        None => Ok(()),
        Some((program, package)) => {
            Err(format!("`{program}` is not here though `{package}` is installed").into())
        }
    }
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Fetches a Debian package without installing it, and unpacks it into a directory. Returns its version.
pub(crate) fn unpack_deb(package: &str, directory: &Path) -> Outcome<String> {
    let download = || printed(apt(&["download", package]).current_dir(directory));
    if let Err(first) = download() {
        if !is_root() {
            let advice = "if the package lists are old or missing, run as root: apt-get update";
            return Err(format!("Debian's package `{package}` cannot be fetched: {first}\n{advice}").into());
        }
        printed(&mut apt(&["update"]))?;
        download()?;
    }
    let file = std::fs::read_dir(directory)?
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| format!("apt-get download {package} left no file"))?;
    run(Command::new("dpkg-deb")
        .arg("--extract")
        .arg(&file)
        .arg(directory))?;
    let version = printed(Command::new("dpkg-deb").arg("--field").arg(&file).arg("Version"))?;
    std::fs::remove_file(&file).at(&file)?;
    Ok(version.trim().to_owned())
}

pub(crate) fn is_root() -> bool {
    printed(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
