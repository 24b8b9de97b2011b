//! Packages as they are kept from one build to the next.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apk_package::{Expected, Limits};
use apk_repository::{RepositoryError, checksum, read_package_file};
use apk_types::{Arch, Checksum, PackageRecord};
use bytes::Bytes;
use file_content::Hash;
use oci_image::PieceCache;
use package_store::{StoreError, StoredPackage, VERSION};
use tempfile::{NamedTempFile, TempDir};

use crate::install::FetchedPackage;
use crate::resolve::ResolvedPackage;

/// Where packages are kept once they were verified and inflated: a directory that many builds may share, at the same time
/// too. What was damaged in it is noticed and made anew.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
    /// Removes the directory in the end.
    _temporary: Option<Arc<TempDir>>,
}

/// Why a package could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Its repository does not give it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// It is not what the index says.
    #[error("{}: {source}", path.display())]
    Package {
        /// The package's file.
        path: PathBuf,
        /// What is wrong with it.
        source: apk_package::PackageError,
    },
    /// It cannot be kept.
    #[error(transparent)]
    Store(StoreError),
}

impl Store {
    /// A store in a directory, which need not exist.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            _temporary: None,
        }
    }

    /// A store that is gone with the last reference to it. `parent` is the directory it is made in.
    pub fn temporary(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("apko-packages-")
            .tempdir_in(parent)?;
        Ok(Self {
            directory: directory.path().to_owned(),
            _temporary: Some(Arc::new(directory)),
        })
    }

    /// Where a package is.
    fn path(&self, checksum: &Checksum) -> PathBuf {
        let hex = checksum.to_hex();
        let directory = self.directory.join(format!("packages-v{VERSION}"));
        directory.join(&hex[..2]).join(&hex)
    }

    fn piece_path(&self, key: &Hash) -> PathBuf {
        let hex = blake3::Hash::from_bytes(*key).to_hex();
        self.directory
            .join("pieces-v1")
            .join(&hex[..2])
            .join(hex.as_str())
    }

    /// A package as it is kept, `None` if it is not, or no longer as it was.
    fn get(&self, checksum: &Checksum, limits: &Limits) -> Option<StoredPackage> {
        let stored = package_store::open(&self.path(checksum), limits).ok()?;
        let is_it = match checksum {
            Checksum::Sha1(_) => stored.control_checksum == *checksum,
            Checksum::Sha256(_) => true,
        };
        is_it.then_some(stored)
    }

    /// Forgets a package whose file turned out to be damaged.
    pub(crate) fn forget(&self, path: &Path) {
        if path.starts_with(&self.directory) {
            // If it cannot be removed, it will be found damaged again.
            let _ = fs::remove_file(path);
        }
    }

    /// A package from the store, or from its repository by way of the store.
    pub(crate) fn fetch(
        &self,
        package: &ResolvedPackage,
        arch: Arch,
        limits: &Limits,
    ) -> Result<FetchedPackage, FetchError> {
        let record = &package.record;
        let checksum = checksum(&package.location, record)?;
        let contents = match self.get(&checksum, limits) {
            Some(stored) => stored,
            None => self.add(package, arch, checksum, limits)?,
        };
        Ok(FetchedPackage {
            record: contents.info.to_record(contents.control_checksum, contents.size),
            contents,
        })
    }

    fn add(
        &self,
        package: &ResolvedPackage,
        arch: Arch,
        checksum: Checksum,
        limits: &Limits,
    ) -> Result<StoredPackage, FetchError> {
        let record = &package.record;
        let (file, bytes) = read_package_file(&package.location, arch, record)?;
        let name = identity(record);
        let expected = Expected {
            size: Some(record.size),
            ..Expected::checksum(&name, checksum)
        };
        let path = self.path(&checksum);
        let failed = |source| {
            FetchError::Store(StoreError::Io {
                path: path.clone(),
                source,
            })
        };
        let directory = path.parent().unwrap_or(&self.directory);
        fs::create_dir_all(directory).map_err(failed)?;
        let temporary = NamedTempFile::new_in(directory).map_err(failed)?.into_temp_path();
        package_store::write(bytes, &expected, limits, &temporary).map_err(|error| match error {
            StoreError::Package(source) => FetchError::Package { path: file, source },
            error => FetchError::Store(error),
        })?;
        temporary.persist(&path).map_err(|error| failed(error.error))?;
        package_store::open(&path, limits).map_err(FetchError::Store)
    }
}

/// Pieces of layers lie beside the packages, each behind its BLAKE3 hash.
impl PieceCache for Store {
    fn get(&self, key: &Hash) -> Option<Bytes> {
        let bytes = Bytes::from(fs::read(self.piece_path(key)).ok()?);
        let (hash, piece) = bytes.split_first_chunk::<32>()?;
        (blake3::hash(piece) == *hash).then(|| bytes.slice(32..))
    }

    fn put(&self, key: &Hash, deflated: &[u8]) {
        let write = || -> io::Result<()> {
            let path = self.piece_path(key);
            let directory = path.parent().unwrap_or(&self.directory);
            fs::create_dir_all(directory)?;
            let mut file = NamedTempFile::new_in(directory)?;
            file.write_all(blake3::hash(deflated).as_bytes())?;
            file.write_all(deflated)?;
            file.persist(&path)?;
            Ok(())
        };
        // Without it the next layer takes longer.
        let _ = write();
    }
}

fn identity(record: &PackageRecord) -> String {
    format!("{}-{}", record.name, record.version)
}
