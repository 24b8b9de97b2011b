//! Builds of small repositories by the `apko` command.

#![allow(clippy::unwrap_used, dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::rc::Rc;

use testkit::{Package, Repository};

/// A repository, and a directory for what is made of it.
pub(crate) struct Place {
    pub(crate) repository: Rc<Repository>,
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(packages: &[Package]) -> Self {
        let repository = Repository::new("x86_64");
        repository.publish(packages);
        Self::with(Rc::new(repository))
    }

    /// Another directory for what is made of the same repository.
    pub(crate) fn with(repository: Rc<Repository>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["out", "sboms"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            repository,
            directory,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The archive that a build writes, alone in its directory.
    pub(crate) fn output(&self) -> PathBuf {
        self.path("out/image.tar")
    }

    /// `apko build` of a configuration.
    pub(crate) fn build(&self, yaml: &str) -> Command {
        self.build_from(yaml, &self.repository.location(), &self.output())
    }

    /// The same, with the repository or the output elsewhere.
    pub(crate) fn build_from(&self, yaml: &str, repository: &str, output: &Path) -> Command {
        let mut apko = self.making("build", yaml, repository);
        apko.arg("image:1").arg(output);
        apko.arg("--sbom-path").arg(self.path("sboms"));
        apko
    }

    /// `apko publish` of a configuration, with nobody's credentials.
    pub(crate) fn publish(&self, yaml: &str, tags: &[String]) -> Command {
        let mut apko = self.making("publish", yaml, &self.repository.location());
        apko.args(tags);
        for name in ["GITHUB_TOKEN", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"] {
            apko.env_remove(name);
        }
        apko.env("DOCKER_CONFIG", self.path("docker"));
        apko
    }

    fn making(&self, command: &str, yaml: &str, repository: &str) -> Command {
        let configuration = self.path("apko.yaml");
        fs::write(&configuration, yaml).unwrap();
        let mut apko = Command::new(env!("CARGO_BIN_EXE_apko"));
        apko.arg(command).arg(configuration);
        apko.args(["--arch", "x86_64", "--quiet"]);
        apko.arg("--keyring-append").arg(self.repository.key());
        apko.args(["--build-repository-append", repository]);
        apko.env("XDG_CACHE_HOME", self.path("cache"))
            .current_dir(self.directory.path());
        apko
    }

    /// The names of what lies where the output should be, hidden ones too.
    pub(crate) fn left(&self) -> Vec<String> {
        names(&self.path("out"))
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
    entries.map(name).collect()
}

/// What a command that must fail with the status 1 says.
#[track_caller]
pub(crate) fn refusal(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}
