//! What must hold across the values of a configuration.

use std::collections::BTreeSet;

use super::{Accounts, Entrypoint, ImageConfiguration, Layering};

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
        "a path of type `{kind}` cannot be made: `{path}`; types are directory, empty-file, hardlink, symlink and permissions"
    )]
    PathType { path: String, kind: String },
}

impl Invalid {
    /// What the culprit's key begins and ends with, and its value where that tells it from others.
    pub(super) fn place(&self) -> Option<(&'static str, &'static str, Option<&str>)> {
        Some(match self {
            Self::Format(_) | Self::ErofsLayers => ("format", "", None),
            Self::LayeringStrategy(_) => ("layering.strategy", "", None),
            Self::LayeringBudget => ("layering", "", None),
            Self::WithBaseImage(key) => (key, "", None),
            Self::PathType { path, .. } => ("paths", ".path", Some(path)),
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
        let kinds = ["directory", "empty-file", "hardlink", "symlink", "permissions"];
        if let Some(mutation) = self
            .paths
            .iter()
            .find(|mutation| !kinds.contains(&mutation.kind.as_str()))
        {
            return Err(Invalid::PathType {
                path: mutation.path.clone(),
                kind: mutation.kind.clone(),
            });
        }
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
