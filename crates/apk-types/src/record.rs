//! What an index says of one package.

use crate::{Checksum, Dependency};

/// One package as an index or an installed database describes it.
///
/// Texts are kept as written; an absent field is an empty text, an empty list or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageRecord {
    /// `P:`, the name.
    pub name: String,
    /// `V:`, the version with its release, such as `1.2.3-r0`.
    pub version: String,
    /// `A:`, the architecture as apk names it, or `noarch`.
    pub arch: String,
    /// `T:`, the description.
    pub description: String,
    /// `L:`, the licence expression.
    pub license: String,
    /// `o:`, the name of the source package.
    pub origin: String,
    /// `m:`, the maintainer.
    pub maintainer: String,
    /// `U:`, the home page.
    pub url: String,
    /// `C:`, the checksum of the compressed control section.
    pub checksum: Option<Checksum>,
    /// `D:`, what it depends on and (`!name`) conflicts with.
    pub depends: Vec<Dependency>,
    /// `p:`, what it provides.
    pub provides: Vec<Dependency>,
    /// `i:`, the packages whose presence pulls it in.
    pub install_if: Vec<Dependency>,
    /// `r:`, the packages whose files it may overwrite.
    pub replaces: Vec<Dependency>,
    /// `q:`, its rank among those that replace the same files.
    pub replaces_priority: Option<u64>,
    /// `k:`, its rank among the providers of a name.
    pub provider_priority: Option<u64>,
    /// `S:`, the size of the package file in bytes.
    pub size: u64,
    /// `I:`, the size of the installed files in bytes.
    pub installed_size: u64,
    /// `t:`, the build time in seconds since 1970.
    pub build_time: Option<i64>,
    /// `c:`, the commit it was built from.
    pub commit: String,
    /// The SHA-256 of the compressed data section in hexadecimal digits, as `.PKGINFO` states it; not in indexes.
    pub data_hash: String,
}

impl PackageRecord {
    /// The name of its file in a repository: `NAME-VERSION.apk`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.apk", self.name, self.version)
    }
}
