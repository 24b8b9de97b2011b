//! What stands in a file: contents, deflated contents, the table, and a footer that says where the table is.

use serde::{Deserialize, Serialize};
use tarball::Header;

/// The version of the format; it changes with the format and with what the same package would be written as.
pub const VERSION: u32 = 2;

/// The end of every file.
const MAGIC: [u8; 8] = *b"apkstor1";

/// What is known of a package, after its contents: the beginning of its table, and behind that its members.
#[derive(Serialize, Deserialize)]
pub(crate) struct Head<'t> {
    /// The size of the package file in bytes.
    pub(crate) size: u64,
    /// The signature and control sections as they are in the package.
    pub(crate) prefix: &'t [u8],
    pub(crate) data_hash: [u8; 32],
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) header: Header,
    /// Of regular files.
    pub(crate) place: Place,
}

/// Where a content is.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) hash: [u8; 32],
    pub(crate) deflated: Option<DeflatedPlace>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DeflatedPlace {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) hash: [u8; 32],
    pub(crate) crc: u32,
}

/// The last bytes of a file.
pub(crate) struct Footer {
    pub(crate) offset: u64,
    pub(crate) hash: [u8; 32],
}

impl Footer {
    pub(crate) const SIZE: usize = 48;

    pub(crate) fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.hash);
        bytes[40..].copy_from_slice(&MAGIC);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        if bytes[40..] != MAGIC {
            return None;
        }
        Some(Self {
            offset: u64::from_le_bytes(*bytes.first_chunk()?),
            hash: *bytes[8..].first_chunk()?,
        })
    }
}
