//! The image configuration, as its YAML has it.

mod explain;
mod load;
mod merge;
mod parse;
mod validate;
mod yaml;

use std::collections::BTreeMap;

use apk_types::Arch;
use bytes::Bytes;
use oci_image::Digest;
use serde::{Serialize, Serializer};

pub use explain::Origin;
pub(crate) use load::resolve_path;
pub use load::{ConfigError, Fetch, Loaded, load, load_with};
pub use parse::parse;
pub use validate::Invalid;

/// The JSON schema of configuration files.
pub const SCHEMA: &str = include_str!("../../schema/apko.schema.json");

/// What an image is made of and how it runs.
///
/// The fields, their names and their order are those of the Go apko; serializing a configuration with `go-json`
/// gives the bytes of `/etc/apko.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageConfiguration {
    /// The packages and where they come from.
    pub contents: Contents,
    /// What a container of the image starts.
    pub entrypoint: Entrypoint,
    /// Arguments to the entry point, one text that is split as a shell would.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cmd: String,
    /// The signal that stops a container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// The directory a container starts in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub work_dir: String,
    /// Users and groups.
    pub accounts: Accounts,
    /// The architectures to build for; empty stands for all.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "go_names")]
    pub archs: Vec<Arch>,
    /// Environment variables of a container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Changes to the file tree after the packages are installed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathMutation>,
    /// Where the configuration's source is kept, `URL@COMMIT`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vcs_url: String,
    /// Annotations of the manifests and the index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Another configuration that this one is laid over.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub include: String,
    /// The volumes of a container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// How the image is cut into layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layering: Option<Layering>,
    /// The format of the layers, `tar` where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// Certificates to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Certificates>,
}

/// Where packages come from and which are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Repositories for the build that the image does not list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub build_repositories: Vec<String>,
    /// Repositories that the image lists but the build does not use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runtime_repositories: Vec<String>,
    /// Repositories for both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// Paths or URLs of public keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keyring: Vec<String>,
    /// Public keys that are put into the image alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runtime_keyring: Vec<NamedText>,
    /// The world: dependency expressions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// The image to build on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseimage: Option<BaseImage>,
}

/// A base image on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BaseImage {
    /// The path of its OCI layout.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// The path of the index of its packages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub apkindex: String,
}

/// A key or certificate written into the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NamedText {
    /// The name of its file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its content in PEM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// What a container starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entrypoint {
    /// Empty or `service-bundle`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The command, split as a shell would.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// A script for `/bin/sh -c`; it has precedence over the command.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shell_fragment: String,
    /// The services of a service bundle and their commands.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, String>,
}

/// Users and groups of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Accounts {
    /// The name or number of the user that a container runs as.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run_as: String,
    /// The users to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// The groups to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name.
    #[serde(rename = "username", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The number, not 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// The number of the main group; the user's own number where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The login shell; `/bin/sh` where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shell: String,
    /// The home directory; `/home/NAME` where it is empty.
    #[serde(rename = "homedir", skip_serializing_if = "String::is_empty")]
    pub home: String,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The name.
    #[serde(rename = "groupname", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The number.
    #[serde(skip_serializing_if = "is_zero")]
    pub gid: u32,
    /// The names of its members.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// One change to the file tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PathMutation {
    /// The path it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// `directory`, `empty-file`, `file`, `hardlink`, `symlink` or `permissions`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The owner to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The group to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The permission bits to set.
    #[serde(skip_serializing_if = "is_zero")]
    pub permissions: u32,
    /// What a link points to, or where a file's content is, seen from the directory of the configuration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// A file's content as it is written in the configuration.
    #[serde(skip)]
    pub content: Option<String>,
    /// A file's content, read when the configuration was.
    #[serde(rename = "sha256", skip_serializing_if = "Option::is_none")]
    pub file: Option<LocalFile>,
    /// Whether it goes for everything below too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
}

/// A file of the configuration's own; in JSON, the SHA-256 of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    bytes: Bytes,
    digest: Digest,
}

impl LocalFile {
    /// A file with a content.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    /// The content.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Serialize for LocalFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.digest.hex())
    }
}

/// How an image is cut into layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layering {
    /// `origin`, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub strategy: String,
    /// The largest number of layers.
    #[serde(skip_serializing_if = "is_zero")]
    pub budget: u32,
}

/// Certificates to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Certificates {
    /// Certificates written into the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<NamedText>,
    /// Names provided by packages whose certificates make up the system's bundle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn go_names<S: Serializer>(archs: &[Arch], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(archs.iter().map(|arch| arch.go_name()))
}
