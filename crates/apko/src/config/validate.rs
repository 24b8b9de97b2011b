//! What must hold across the values of a configuration.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Accounts, Entrypoint, ImageConfiguration, Layering, PathMutation};

/// Values that contradict each other or themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Invalid {
    #[error("the layer format `{0}` is neither `tar` nor `erofs`")]
    Format(String),
    #[error("layering is not supported with the format `erofs`: use one or the other")]
    ErofsLayers,
    #[error("the layering strategy `{0}` is unknown; the only one is `origin`")]
    LayeringStrategy(String),
    #[error("the layering budget must be at least 1")]
    LayeringBudget,
    #[error(
        "{what} `{name}` cannot be the name of a file: letters, digits, `_`, `-` and, not in front, `.` only"
    )]
    FileName { what: &'static str, name: String },
    #[error("{what} `{name}` has no content")]
    NoContent { what: &'static str, name: String },
    #[error("there are two {what} named `{name}`")]
    Duplicate { what: &'static str, name: String },
    #[error("with a base image only `contents`, `archs` and `include` can be given, but `{0}` is")]
    WithBaseImage(&'static str),
    #[error(
        "a path of type `{kind}` cannot be made: `{path}`; types are directory, empty-file, file, hardlink, symlink and permissions"
    )]
    PathType { path: String, kind: String },
    #[error("a path of type `file` has either a `source` or its `content`, but `{0}` has {1}")]
    FileContent(String, &'static str),
    #[error("only paths of type `file` have `content`, but `{path}` is of type `{kind}`")]
    ContentOf { path: String, kind: String },
    #[error("`{file}` cannot be read: {reason}")]
    LocalFile { file: String, reason: String },
    #[error("{what} `{value}` is nothing that the Go apko knows")]
    Extension { what: &'static str, value: String },
    #[error("a configuration at a URL cannot bring files of this machine into an image, but names `{0}`")]
    LocalFileFromUrl(String),
}

impl Invalid {
    /// What the culprit's key begins and ends with, and its value where that tells it from others.
    pub(super) fn place(&self) -> Option<(&'static str, &'static str, Option<&str>)> {
        Some(match self {
            Self::Format(_) | Self::ErofsLayers => ("format", "", None),
            Self::LayeringStrategy(_) => ("layering.strategy", "", None),
            Self::LayeringBudget => ("layering", "", None),
            Self::WithBaseImage(key) => (key, "", None),
            Self::PathType { path, .. } | Self::FileContent(path, _) | Self::ContentOf { path, .. } => {
                ("paths", ".path", Some(path))
            }
            Self::LocalFile { file, .. } | Self::LocalFileFromUrl(file) => ("paths", ".source", Some(file)),
            Self::Extension { what, value } => match *what {
                PATH_TYPE => ("paths", ".path", Some(value)),
                PACKAGE => ("contents.packages", "", Some(value)),
                _ => ("include", "", None),
            },
            Self::Duplicate { what, name } => match *what {
                "users" => ("accounts.users", ".username", Some(name)),
                "groups" => ("accounts.groups", ".groupname", Some(name)),
                _ => ("contents.runtime_keyring", ".name", Some(name)),
            },
            Self::FileName { name, .. } | Self::NoContent { name, .. } => ("", ".name", Some(name)),
        })
    }
}

impl ImageConfiguration {
    /// Tests the values against each other and fills in the home directories that are not given.
    pub(super) fn validated(mut self) -> Result<Self, Invalid> {
        self.check_base_image()?;
        self.check_format()?;
        self.check_names()?;
        self.check_accounts()?;
        for user in &mut self.accounts.users {
            if user.home.is_empty() {
                user.home = format!("/home/{}", user.name);
            }
        }
        self.paths.iter().try_for_each(check_path)?;
        Ok(self)
    }

    /// Adds what a service bundle needs: the supervisor as command and as package.
    #[must_use]
    pub fn with_service_bundle(mut self) -> Self {
        if self.entrypoint.kind == "service-bundle" {
            self.entrypoint.command = "/bin/s6-svscan /sv".to_owned();
            self.contents.packages.push("s6".to_owned());
        }
        self
    }

    fn check_base_image(&self) -> Result<(), Invalid> {
        if self.contents.baseimage.is_none() {
            return Ok(());
        }
        let given = [
            ("entrypoint", self.entrypoint != Entrypoint::default()),
            ("cmd", !self.cmd.is_empty()),
            ("stop-signal", !self.stop_signal.is_empty()),
            ("work-dir", !self.work_dir.is_empty()),
            ("accounts", self.accounts != Accounts::default()),
            ("environment", !self.environment.is_empty()),
            ("paths", !self.paths.is_empty()),
            ("annotations", !self.annotations.is_empty()),
            ("layering", self.layering.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(Invalid::WithBaseImage(key)),
            None => Ok(()),
        }
    }

    /// The same with another format of the layers; an error if that does not go with it.
    pub fn with_format(mut self, format: &str) -> Result<Self, Invalid> {
        self.format = format.to_owned();
        self.check_format()?;
        Ok(self)
    }

    fn check_format(&self) -> Result<(), Invalid> {
        if let Some(layering) = self
            .layering
            .as_ref()
            .filter(|layering| **layering != Layering::default())
        {
            if !matches!(layering.strategy.as_str(), "" | "origin") {
                return Err(Invalid::LayeringStrategy(layering.strategy.clone()));
            }
            if layering.budget == 0 {
                return Err(Invalid::LayeringBudget);
            }
        }
        match self.format.as_str() {
            "" | "tar" => Ok(()),
            "erofs" if self.layering.is_some() => Err(Invalid::ErofsLayers),
            "erofs" => Ok(()),
            other => Err(Invalid::Format(other.to_owned())),
        }
    }

    fn check_accounts(&self) -> Result<(), Invalid> {
        let users = self.accounts.users.iter().map(|user| ("users", &user.name));
        let groups = self.accounts.groups.iter().map(|group| ("groups", &group.name));
        let mut seen = BTreeSet::new();
        for (what, name) in users.chain(groups) {
            if !seen.insert((what, name)) {
                let name = name.clone();
                return Err(Invalid::Duplicate { what, name });
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), Invalid> {
        let certificates = self
            .certificates
            .iter()
            .flat_map(|certificates| &certificates.additional);
        let mut seen = BTreeSet::new();
        for certificate in certificates {
            check_file_name("the certificate", &certificate.name)?;
        }
        for key in &self.contents.runtime_keyring {
            let what = "the runtime key";
            check_file_name(what, &key.name)?;
            if key.content.is_empty() {
                return Err(Invalid::NoContent {
                    what,
                    name: key.name.clone(),
                });
            }
            if !seen.insert(&key.name) {
                return Err(Invalid::Duplicate {
                    what: "runtime keys",
                    name: key.name.clone(),
                });
            }
        }
        Ok(())
    }
}

fn check_file_name(what: &'static str, name: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(Invalid::FileName {
            what,
            name: name.to_owned(),
        });
    }
    Ok(())
}

const PATH_TYPE: &str = "the type `file` of the path";
const PACKAGE: &str = "the package to keep out";

/// What of a configuration the Go apko does not know, if there is any such thing.
pub(super) fn extension(configuration: &ImageConfiguration, files: &[PathBuf]) -> Option<Invalid> {
    let path = configuration.paths.iter().find(|path| path.kind == "file");
    let packages = &configuration.contents.packages;
    let (what, value) = if let Some(path) = path {
        (PATH_TYPE, path.path.clone())
    } else if let Some(package) = packages.iter().find(|package| package.starts_with('!')) {
        (PACKAGE, package.clone())
    } else {
        let is_url = |file: &&PathBuf| file.to_string_lossy().contains("://");
        let url = files.iter().find(is_url)?;
        ("the inclusion of the URL", url.display().to_string())
    };
    Some(Invalid::Extension { what, value })
}

fn check_path(mutation: &PathMutation) -> Result<(), Invalid> {
    let path = || mutation.path.clone();
    let kind = || mutation.kind.clone();
    match mutation.kind.as_str() {
        "file" => match (mutation.source.is_empty(), mutation.content.is_some()) {
            (false, true) => Err(Invalid::FileContent(path(), "both")),
            (true, false) => Err(Invalid::FileContent(path(), "neither")),
            _ => Ok(()),
        },
        "directory" | "empty-file" | "hardlink" | "symlink" | "permissions" => match mutation.content {
            Some(_) => Err(Invalid::ContentOf {
                path: path(),
                kind: kind(),
            }),
            None => Ok(()),
        },
        _ => Err(Invalid::PathType {
            path: path(),
            kind: kind(),
        }),
    }
}
