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
    /// Nowhere here: the registry that the image is for has it.
    Elsewhere,
}

fn elsewhere() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the blob is in a registry alone")
}

impl From<TempPath> for BlobSource {
    fn from(path: TempPath) -> Self {
        Self::Spool(Arc::new(path))
    }
}

impl BlobSource {
    /// How many bytes there are.
    #[cfg(feature = "registry")]
    pub(crate) fn length(&self) -> io::Result<u64> {
        let path: &Path = match self {
            Self::Memory(data) => return Ok(data.len() as u64),
            Self::File(path) | Self::Shared(path) => path,
            Self::Spool(path) => path,
            Self::Elsewhere => return Err(elsewhere()),
        };
        Ok(std::fs::metadata(path)?.len())
    }

    /// A part of the blob. It is not verified.
    #[cfg(feature = "registry")]
    pub(crate) fn range(&self, start: u64, length: u64) -> io::Result<Box<dyn io::Read + '_>> {
        use io::{Read as _, Seek as _};
        let path: &Path = match self {
            Self::Memory(data) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX).min(data.len());
                return Ok(Box::new(data[start..].take(length)));
            }
            Self::File(path) | Self::Shared(path) => path,
            Self::Spool(path) => path,
            Self::Elsewhere => return Err(elsewhere()),
        };
        let mut file = File::open(path)?;
        file.seek(io::SeekFrom::Start(start))?;
        Ok(Box::new(file.take(length)))
    }

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
            Self::Elsewhere => return Err(LayoutError::io("write", to)(elsewhere())),
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
