//! Lock files: the exact packages of a configuration, in the JSON of the Go apko.

mod apply;
mod make;

use std::path::{Path, PathBuf};
use std::{fs, io};

use apk_types::Arch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

pub use apply::Misfit;
pub(crate) use apply::check_world;
pub use make::{Keep, LockRequest, lock};

/// A lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lockfile {
    /// The version of the format: `v1`.
    pub version: String,
    /// What it was made of; old files do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<LockedConfig>,
    /// What it locks.
    pub contents: LockedContents,
}

/// The configuration that a lock file was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedConfig {
    /// Its path as it was given.
    pub name: String,
    /// `sha256-` and the base64 of the digest over it and all it includes.
    pub checksum: String,
}

/// What a lock file locks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedContents {
    /// The keys.
    #[serde(rename = "keyring")]
    pub keys: Vec<LockedKey>,
    /// The repositories for the build alone, once for each architecture.
    pub build_repositories: Vec<LockedRepository>,
    /// The repositories for the image alone.
    pub runtime_repositories: Vec<LockedRepository>,
    /// The repositories for both.
    pub repositories: Vec<LockedRepository>,
    /// The packages in the order of installation, one architecture after the other.
    pub packages: Vec<LockedPackage>,
}

/// A key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedKey {
    /// Its path or URL without the scheme.
    pub name: String,
    /// Its path or URL.
    pub url: String,
    /// Its content in PEM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// A repository for one architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedRepository {
    /// Its directory without the scheme.
    pub name: String,
    /// Its index.
    pub url: String,
    /// The architecture as apk names it.
    pub architecture: String,
}

/// A package and where its sections lie in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its file.
    pub url: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// The signature section; both texts are empty where there is none.
    pub signature: LockedSection,
    /// The control section.
    pub control: LockedSection,
    /// The data section.
    pub data: LockedSection,
    /// The checksum of the control section as indexes have it.
    pub checksum: String,
}

/// A section of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedSection {
    /// `bytes=FIRST-LAST`.
    pub range: String,
    /// `sha1-` or `sha256-` and the base64 of the digest over the compressed bytes.
    pub checksum: String,
}

/// Why a lock file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The file cannot be read.
    #[error("the lock file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no lock file.
    #[error("the lock file {}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It does not fit what is to be built.
    #[error("the lock file does not fit what is to be built{}", bullets(.0))]
    Misfit(Vec<Misfit>),
    /// A package to be updated is not in it.
    #[error("`{0}` is to be updated, but the lock file has no such package")]
    NotLocked(String),
    /// An entry cannot be understood.
    #[error("the lock file's entry of {package}: {reason}")]
    Entry {
        /// The package.
        package: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A package's data is not what was locked.
    #[error("{url}: its data has the checksum {actual}, but {locked} is locked")]
    Data {
        /// The package's file.
        url: String,
        /// What the lock file says.
        locked: String,
        /// What was found.
        actual: String,
    },
}

fn bullets(misfits: &[Misfit]) -> String {
    misfits.iter().map(|misfit| format!("\n  {misfit}")).collect()
}

impl Lockfile {
    /// Reads a lock file. What is not known is passed over, as by the Go apko.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let json = fs::read(path).map_err(|source| LockError::Read {
            path: path.to_owned(),
            source,
        })?;
        serde_json::from_slice(&json).map_err(|source| LockError::Json {
            path: path.to_owned(),
            source,
        })
    }

    /// The bytes of the file: indented by two, with a line feed at the end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = go_json::to_vec_indent(self, "  ")?;
        json.push(b'\n');
        Ok(json)
    }

    /// The packages of an architecture, in the order of installation. Those of no architecture count for the one
    /// that their file's directory names.
    pub fn packages(&self, arch: Arch) -> impl Iterator<Item = &LockedPackage> {
        let is_of = move |package: &&LockedPackage| {
            package.architecture == arch.apk_name()
                || package.architecture == "noarch" && package.directory() == Some(arch.apk_name())
        };
        self.contents.packages.iter().filter(is_of)
    }
}

impl LockedPackage {
    /// The name of the directory that its file is in.
    fn directory(&self) -> Option<&str> {
        self.url.rsplit('/').nth(1)
    }
}

/// A digest over configuration files as lock files have it.
fn config_checksum(digest: &[u8; 32]) -> String {
    format!("sha256-{}", STANDARD.encode(digest))
}
