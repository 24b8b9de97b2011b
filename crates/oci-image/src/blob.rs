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
}

impl From<TempPath> for BlobSource {
    fn from(path: TempPath) -> Self {
        Self::Spool(Arc::new(path))
    }
}

impl BlobSource {
    /// Copies the blob and compares it with its descriptor.
    pub(crate) fn copy_to(&self, want: &Descriptor, out: impl Write) -> Result<(), LayoutError> {
        let (path, mut file);
        let mut memory: &[u8];
        let reader: &mut dyn io::Read = match self {
            Self::Memory(data) => {
                (path, memory) = (Path::new("(memory)"), data.as_ref());
                &mut memory
            }
            Self::File(_) | Self::Spool(_) => {
                path = self.path().unwrap_or(Path::new(""));
                file = File::open(path).map_err(LayoutError::io("open", path))?;
                &mut file
            }
        };
        let mut out = Hashing::new(out);
        io::copy(reader, &mut out).map_err(LayoutError::io("copy", path))?;
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

    /// Returns the file that holds the blob.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Memory(_) => None,
            Self::File(path) => Some(path),
            Self::Spool(path) => Some(path),
        }
    }
}
