//! The index beside the packages of a build.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use apk_index::Index;
use apk_types::PackageRecord;
use rustix::fs::FlockOperation;

use crate::emit::finish;
use crate::error::BuildError;
use crate::key::SigningKey;
use crate::scratch::io_error;

/// Puts records into the `APKINDEX.tar.gz` of a directory, which is made if it is missing, and signs it anew.
///
/// Builds that end at the same time in one directory wait for each other, so none loses its packages.
pub fn update_index(
    directory: &Path,
    records: impl IntoIterator<Item = PackageRecord>,
    key: Option<&SigningKey>,
) -> Result<PathBuf, BuildError> {
    let path = directory.join("APKINDEX.tar.gz");
    let failed = |source| BuildError::Index {
        path: path.clone(),
        source: Box::new(source),
    };
    let lock = File::open(directory).map_err(io_error("opening", directory))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)
        .map_err(|error| io_error("locking", directory)(error.into()))?;
    let mut index = match fs::read(&path) {
        Ok(archive) => Index::open_unverified(&archive, Index::MAX_SIZE).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Index::default(),
        Err(error) => return Err(io_error("reading", &path)(error)),
    };
    index.merge(records);
    let mut archive = index.to_archive().map_err(failed)?;
    if let Some(key) = key {
        archive = apk_index::sign(&archive, key.private_key(), key.name()).map_err(failed)?;
    }
    let written = tempfile::Builder::new()
        .prefix(".index-")
        .tempfile_in(directory)
        .and_then(|mut file| {
            file.write_all(&archive)?;
            finish(file.as_file())?;
            file.persist(&path).map_err(|error| error.error)
        });
    written.map_err(io_error("writing", &path))?;
    Ok(path)
}
