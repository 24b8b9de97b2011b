//! Where the bytes of a blob come from.

use crate::digest::Hashing;
use crate::{Descriptor, LayoutError};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempPath;

/// The bytes of a blob, or where they lie.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// In memory.
    Memory(Bytes),
    /// In a file that others may change: it is verified against the digest while it is copied.
    File(PathBuf),
    /// In a temporary file of our own, deleted with the last reference to it. A layout on the same file system
    /// takes it over without copying.
    Spool(Arc<TempPath>),
    /// In a file that is never changed, and known to have the digest, such as an entry of a cache. A layout on the same
    /// file system shares it by a hard link; elsewhere it is verified while it is copied.
    Shared(PathBuf),
}

impl From<TempPath> for BlobSource {
    fn from(path: TempPath) -> Self {
        Self::Spool(Arc::new(path))
    }
}

impl BlobSource {
    /// Copies the blob and compares it with its descriptor. `to` is what errors name.
    pub(crate) fn copy_to(&self, want: &Descriptor, out: impl Write, to: &Path) -> Result<(), LayoutError> {
        let mut out = Hashing::new(out);
        let path = match self {
            Self::Memory(data) => {
                out.write_all(data).map_err(LayoutError::io("write", to))?;
                Path::new("(memory)")
            }
            Self::File(path) | Self::Shared(path) => copy_file(path, &mut out, to)?,
            Self::Spool(path) => copy_file(path, &mut out, to)?,
        };
        let (_, digest, size) = out.finish();
        if (digest, size) != (want.digest, want.size) {
            return Err(LayoutError::Mismatch {
                path: path.to_owned(),
                want: want.digest,
                want_size: want.size,
                digest,
                size,
            });
        }
        Ok(())
    }
}

fn copy_file<'a>(from: &'a Path, out: &mut impl Write, to: &Path) -> Result<&'a Path, LayoutError> {
    let mut file = File::open(from).map_err(LayoutError::io("open", from))?;
    io::copy(&mut file, out).map_err(|source| LayoutError::Copy {
        from: from.to_owned(),
        to: to.to_owned(),
        source,
    })?;
    Ok(from)
}
