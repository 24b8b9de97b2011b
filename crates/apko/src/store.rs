//! Packages, pieces of layers and whole layers, as they are kept from one build to the next.

use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apk_package::Expected;
use apk_repository::{RepositoryError, checksum};
use apk_types::{Arch, Checksum, PackageRecord};
use bytes::Bytes;
use content_cache::{Cache, CacheError, Key, Kind};
use file_content::{Content, Hash};
use oci_image::{BlobSource, Descriptor, Layer, LayerError, PieceCache};
use package_store::{StoreError, StoredPackage};
use serde::{Deserialize, Serialize};
use tarball::Entry;
use tempfile::TempDir;

use crate::install::FetchedPackage;
use crate::resolve::{Policy, ResolvedPackage};

/// Packages as `package-store` writes them, by the checksum in the index.
const PACKAGES: Kind = Kind::new("packages");
/// Deflated pieces of layers.
const PIECES: Kind = Kind::new("pieces");
/// What is known of layers, by what they are made from.
const LAYERS: Kind = Kind::new("layers");
/// The blobs of layers, by the same key.
const BLOBS: Kind = Kind::new("blobs");

/// What a layer's key is of; to be changed when the same members would be written differently.
const LAYER_CONTEXT: &str = "apko layer v3";

/// Where packages and layers are kept: a directory that many builds may share, at the same time too. What was damaged
/// in it is noticed and made anew.
#[derive(Clone, Debug)]
pub struct Store {
    cache: Cache,
    /// Removes the directory in the end.
    temporary: Option<Arc<TempDir>>,
    elsewhere: Option<Elsewhere>,
}

/// Tells whether the registry that an image is for has a layer.
#[derive(Clone)]
struct Elsewhere(Arc<dyn Fn(&Descriptor) -> bool + Send + Sync>);

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Elsewhere(…)")
    }
}

/// Why a package could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Its repository does not give it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// It cannot be kept.
    #[error(transparent)]
    Store(StoreError),
    /// The cache cannot be used.
    #[error("{}: {source}", path.display())]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is known of a layer that is kept.
#[derive(Serialize, Deserialize)]
struct KeptLayer {
    layer: Layer,
    /// The blob's time of change, in nanoseconds since 1970: as long as size and time are the same, it is what was
    /// written.
    modified: i128,
}

impl Store {
    /// A store in a directory, which need not exist.
    pub fn at(directory: impl AsRef<Path>) -> Self {
        Self::new(Cache::at(directory))
    }

    /// A store in a cache, with its limit.
    pub fn new(cache: Cache) -> Self {
        Self {
            cache,
            temporary: None,
            elsewhere: None,
        }
    }

    /// A store that is gone with the last reference to it. `parent` is the directory it is made in.
    pub fn temporary(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("apko-packages-")
            .tempdir_in(parent)?;
        Ok(Self {
            cache: Cache::at(directory.path()),
            temporary: Some(Arc::new(directory)),
            elsewhere: None,
        })
    }

    /// The same for images that go to a registry: a layer that was made before, but whose blob is not kept any more, is not
    /// made anew where `has` says that the registry has it. Its blob is then [`BlobSource::Elsewhere`].
    #[must_use]
    pub fn with_elsewhere(mut self, has: impl Fn(&Descriptor) -> bool + Send + Sync + 'static) -> Self {
        self.elsewhere = Some(Elsewhere(Arc::new(has)));
        self
    }

    /// Forgets an entry whose file turned out to be damaged; whether it was one.
    pub fn forget(&self, path: &Path) -> bool {
        path.starts_with(self.cache.root()) && fs::remove_file(path).is_ok()
    }

    /// A package from the store, or from its repository by way of the store.
    pub(crate) fn fetch(
        &self,
        package: &ResolvedPackage,
        arch: Arch,
        policy: &Policy,
    ) -> Result<FetchedPackage, FetchError> {
        let record = &package.record;
        let (client, limits) = (&policy.client, &policy.package_limits);
        let checksum = checksum(&package.location, record)?;
        let key = Key::of(&[
            &package_store::VERSION.to_le_bytes(),
            checksum.to_string().as_bytes(),
        ]);
        let is_made = Cell::new(false);
        let read = |path: &Path| {
            let open = match is_made.get() {
                true => package_store::open_written,
                false => package_store::open,
            };
            let stored = open(path, limits).ok()?;
            let is_it = match checksum {
                Checksum::Sha1(_) => stored.control_checksum == checksum,
                Checksum::Sha256(_) => true,
            };
            is_it.then_some(stored)
        };
        let make = |partial: &mut content_cache::Partial| {
            let (at, bytes) = client.read_package_file(&package.location, arch, record, limits)?;
            let name = identity(record);
            let expected = Expected {
                size: Some(record.size),
                ..Expected::checksum(&name, checksum)
            };
            package_store::write(bytes, &expected, limits, partial.path()).map_err(|error| match error {
                StoreError::Package(source) => RepositoryError::Package { at, source }.into(),
                error => FetchError::Store(error),
            })?;
            is_made.set(true);
            Ok(())
        };
        let contents: StoredPackage =
            self.cache
                .file(PACKAGES, &key, read, make)
                .map_err(|error| match error {
                    CacheError::Make(error) => error,
                    CacheError::Io { path, source } => FetchError::Cache { path, source },
                    CacheError::Unverified(path) => FetchError::Store(StoreError::Damaged {
                        path,
                        what: "it is not what was written a moment ago",
                    }),
                })?;
        // It is here in the form that is needed.
        client.forget_package_file(record);
        Ok(FetchedPackage {
            record: contents.info.to_record(contents.control_checksum, contents.size),
            contents,
        })
    }

    /// A layer that was made of the same members before, if its blob is still what it was.
    pub(crate) fn layer(&self, key: &Key) -> Option<(Layer, BlobSource)> {
        let kept: KeptLayer = serde_json::from_slice(&self.cache.get(LAYERS, key)?).ok()?;
        let path = self.cache.path(BLOBS, key);
        let is_as_written = fs::metadata(&path).map(|metadata| {
            metadata.len() == kept.layer.descriptor.size && modified(&metadata) == kept.modified
        });
        match is_as_written {
            Ok(true) => return Some((kept.layer, BlobSource::Shared(path))),
            // Somebody touched or changed it.
            Ok(false) => self.cache.remove(BLOBS, key),
            Err(_) => {}
        }
        let Elsewhere(has) = self.elsewhere.as_ref()?;
        has(&kept.layer.descriptor).then_some((kept.layer, BlobSource::Elsewhere))
    }

    /// Keeps a layer whose blob is complete in a file; where the blob is then. `None` if it is not kept, which is no error:
    /// the next build takes longer.
    pub(crate) fn keep_layer(&self, key: &Key, layer: &Layer, blob: &Path) -> Option<BlobSource> {
        if self.temporary.is_some() {
            return None;
        }
        let keep = || -> io::Result<()> {
            fs::set_permissions(blob, Permissions::from_mode(0o644))?;
            self.cache.adopt(BLOBS, key, blob)?;
            let kept = KeptLayer {
                layer: layer.clone(),
                modified: modified(&fs::metadata(self.cache.path(BLOBS, key))?),
            };
            self.cache.put(LAYERS, key, &serde_json::to_vec(&kept)?)
        };
        keep().ok()?;
        Some(BlobSource::Shared(self.cache.path(BLOBS, key)))
    }
}

fn modified(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

/// What a layer is made from: all headers and the hashes of all contents. `settings` is what else changes its bytes.
pub(crate) fn layer_key(
    entries: impl Iterator<Item: Borrow<Entry<Content>>>,
    settings: &str,
) -> Result<Key, LayerError> {
    let mut hasher = blake3::Hasher::new_derive_key(LAYER_CONTEXT);
    hasher.update(settings.as_bytes());
    let mut header = Vec::new();
    for entry in entries {
        let entry = entry.borrow();
        header.clear();
        entry.header.encode(&mut header)?;
        hasher.update(&(header.len() as u64).to_le_bytes());
        hasher.update(&header).update(&entry.content.hash());
    }
    Ok(Key::from(*hasher.finalize().as_bytes()))
}

/// Pieces of layers, beside the packages.
impl PieceCache for Store {
    fn get(&self, key: &Hash) -> Option<Bytes> {
        self.cache.get(PIECES, &Key::from(*key))
    }

    fn put(&self, key: &Hash, deflated: &[u8]) {
        // Without it the next layer takes longer.
        let _ = self.cache.put(PIECES, &Key::from(*key), deflated);
    }
}

fn identity(record: &PackageRecord) -> String {
    format!("{}-{}", record.name, record.version)
}
