//! Writing archives.

use std::io::{self, Write};

use crate::encode::{HeaderError, pad};
use crate::{BLOCK, Header};

/// Writes members one after the other.
pub struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
}

/// Why a member could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The header cannot be encoded.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The content is not as long as the header says.
    #[error("`{path}` has {actual} bytes where its header says {stated}")]
    Size {
        /// The member's path.
        path: String,
        /// The size in its header.
        stated: u64,
        /// The number of bytes there were.
        actual: u64,
    },
    /// The output failed.
    #[error("writing `{path}` to a tar archive: {source}")]
    Io {
        /// The member's path, empty at the end of the archive.
        path: String,
        /// What the output said.
        source: io::Error,
    },
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(4 * BLOCK),
        }
    }

    /// Writes one member whose content is in memory.
    pub fn append(&mut self, header: &Header, content: &[u8]) -> Result<(), WriteError> {
        self.append_from(header, &mut { content })
    }

    /// Writes one member whose content comes out of a reader, which must give exactly `header.size` bytes.
    pub fn append_from(&mut self, header: &Header, content: &mut impl io::Read) -> Result<(), WriteError> {
        let failed = |source| WriteError::Io {
            path: header.path.clone(),
            source,
        };
        self.buffer.clear();
        header.encode(&mut self.buffer)?;
        self.out.write_all(&self.buffer).map_err(failed)?;
        // One byte more than stated shows a content that is too long.
        let mut limited = io::Read::take(content, header.size);
        let mut actual = io::copy(&mut limited, &mut self.out).map_err(failed)?;
        actual += io::copy(&mut io::Read::take(limited.into_inner(), 1), &mut io::sink()).map_err(failed)?;
        if actual != header.size {
            return Err(WriteError::Size {
                path: header.path.clone(),
                stated: header.size,
                actual,
            });
        }
        self.buffer.clear();
        pad(&mut self.buffer, header.size);
        self.out.write_all(&self.buffer).map_err(failed)
    }

    /// Writes the two zero blocks that end an archive and gives the output back.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.out
            .write_all(&[0; 2 * BLOCK])
            .map_err(|source| WriteError::Io {
                path: String::new(),
                source,
            })?;
        Ok(self.out)
    }

    /// Gives the output back without ending the archive, as the sections of a package before its last one have it.
    pub fn into_inner(self) -> W {
        self.out
    }
}
