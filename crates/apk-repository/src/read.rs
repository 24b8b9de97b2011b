//! Reading keys, indexes and packages.

use std::path::{Path, PathBuf};
use std::{fs, io};

use apk_index::{Index, IndexError};
use apk_package::{Expected, KeyError, Keyring, Limits, PackageError, VerifiedPackage};
use apk_types::{Arch, Checksum, PackageRecord};
use bytes::Bytes;

use crate::Location;

/// Whom to trust, and how much to read.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The keys that indexes must be signed with; `None` takes any index, signed or not.
    pub keyring: Option<Keyring>,
    /// The size in bytes that an index may inflate to.
    pub index_limit: u64,
    /// What a package may hold.
    pub package_limits: Limits,
}

impl Default for Trust {
    /// No key at all, the Go apko's limits.
    fn default() -> Self {
        Self {
            keyring: Some(Keyring::default()),
            index_limit: Index::MAX_SIZE,
            package_limits: Limits::default(),
        }
    }
}

/// Why a part of a repository could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The repository is behind a kind of URL that is not supported.
    #[error(
        "the repository {location} is not a directory: repositories over the network are not supported yet"
    )]
    Remote {
        /// The repository.
        location: String,
    },
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no key.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// An index is malformed, or no trusted key signed it.
    #[error("{}: {source}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IndexError,
    },
    /// The index states no checksum for a package, so that nothing ties its file to the index.
    #[error("the index of {location} has no checksum for {package}")]
    NoChecksum {
        /// The repository.
        location: String,
        /// The package, `NAME-VERSION`.
        package: String,
    },
    /// A package is not what the index says, or malformed.
    #[error("{}: {source}", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PackageError,
    },
}

/// Reads a public key in PEM. Returns its file name, by which signatures name it, and its content.
pub fn read_key(path: &str) -> Result<(String, String), RepositoryError> {
    if path.starts_with("https://") || path.starts_with("http://") {
        return Err(RepositoryError::Remote {
            location: path.to_owned(),
        });
    }
    let path = Path::new(path);
    let pem = fs::read_to_string(path).map_err(|source| RepositoryError::Read {
        path: path.into(),
        source,
    })?;
    apk_package::PublicKey::from_pem(&pem).map_err(|source| RepositoryError::Key {
        path: path.into(),
        source,
    })?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok((name, pem))
}

/// Reads and verifies the index of a repository for an architecture; `None` where the repository has none.
pub fn read_index(location: &Location, arch: Arch, trust: &Trust) -> Result<Option<Index>, RepositoryError> {
    let path = local(location)?.join(arch.apk_name()).join("APKINDEX.tar.gz");
    let archive = match fs::read(&path) {
        Ok(archive) => archive,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RepositoryError::Read { path, source }),
    };
    let index = match &trust.keyring {
        Some(keyring) => Index::open(&archive, keyring, trust.index_limit),
        None => Index::open_unverified(&archive, trust.index_limit),
    };
    index
        .map(Some)
        .map_err(|source| RepositoryError::Index { path, source })
}

/// Reads the file of a package. That it is the one that the index speaks of is for the caller to verify, by its
/// [`checksum`].
pub fn read_package_file(
    location: &Location,
    arch: Arch,
    record: &PackageRecord,
) -> Result<(PathBuf, Bytes), RepositoryError> {
    let path = local(location)?.join(arch.apk_name()).join(record.file_name());
    match fs::read(&path) {
        Ok(bytes) => Ok((path, bytes.into())),
        Err(source) => Err(RepositoryError::Read { path, source }),
    }
}

/// The checksum that the index has for a package.
pub fn checksum(location: &Location, record: &PackageRecord) -> Result<Checksum, RepositoryError> {
    record.checksum.ok_or_else(|| RepositoryError::NoChecksum {
        location: location.to_string(),
        package: format!("{}-{}", record.name, record.version),
    })
}

/// Reads a package and verifies that it is the one that the index speaks of. Returns its bytes beside what they
/// hold.
pub fn read_package(
    location: &Location,
    arch: Arch,
    record: &PackageRecord,
    trust: &Trust,
) -> Result<(Bytes, VerifiedPackage), RepositoryError> {
    let checksum = checksum(location, record)?;
    let (path, bytes) = read_package_file(location, arch, record)?;
    let package = format!("{}-{}", record.name, record.version);
    let expected = Expected {
        size: Some(record.size),
        ..Expected::checksum(&package, checksum)
    };
    match apk_package::open(bytes.clone(), &expected, &trust.package_limits) {
        Ok(verified) => Ok((bytes, verified)),
        Err(source) => Err(RepositoryError::Package { path, source }),
    }
}

fn local(location: &Location) -> Result<PathBuf, RepositoryError> {
    location.local().ok_or_else(|| RepositoryError::Remote {
        location: location.to_string(),
    })
}
