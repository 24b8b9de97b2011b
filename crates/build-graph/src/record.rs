//! Results as stores keep them.
//!
//! A record is written so: the eight bytes of [`MAGIC`], the BLAKE3 hash of all that follows, then an envelope in postcard's
//! encoding: the signatures, and the payload they are over, which is a [`Record`] in the same encoding. The hash tells
//! accidents, the signatures tell strangers.

use std::time::{Duration, SystemTime};

use apk_package::{Digest, KeyError, Keyring, PrivateKey, Signature};
use serde::{Deserialize, Serialize};

use crate::{Key, NodeId, Output};

/// The most bytes that a record may have, signatures included.
pub const MAX_RECORD: u64 = 64 << 20;

/// What records begin with: their format and its version.
const MAGIC: &[u8; 8] = b"bgraph\x00\x01";

/// What stands before a payload where it is signed, so that a signature over something else is none over a record.
const SIGNED: &[u8] = b"build-graph record v1\n";

/// A result as stores keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The key it belongs to.
    pub key: Key,
    /// The node it was made for first.
    pub node: NodeId,
    /// The result.
    pub output: Output,
    /// When it was made.
    pub made: SystemTime,
    /// How long that took.
    pub took: Duration,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    /// The key's file name and its signature over SHA-256.
    #[serde(borrow)]
    signatures: Vec<(&'a str, &'a [u8])>,
    #[serde(borrow)]
    payload: &'a [u8],
}

/// Why bytes are no record that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is something else, or of another version of the format.
    #[error("it is no record of this version")]
    Format,
    /// It was cut off or changed.
    #[error("it is damaged")]
    Damaged,
    /// It is larger than any record may be.
    #[error("it has {0} bytes, more than a record may have")]
    TooLarge(u64),
    /// Nobody who is trusted signed it.
    #[error("{0}")]
    Signature(#[from] apk_package::SignatureError),
    /// It belongs to another key.
    #[error("it is the record of another key, {0}")]
    OtherKey(Key),
    /// A name in it could lead elsewhere, or stands there twice.
    #[error("the name `{0}` in it is not one that a part or a file may have")]
    Name(String),
}

impl Record {
    /// The bytes to store, signed by a key if there is one. The key comes with the file name of its public half.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn encode(&self, sign: Option<(&str, &PrivateKey)>) -> Result<Vec<u8>, KeyError> {
        let encoded = |error: postcard::Error| KeyError::Rsa(error.to_string());
        let payload = postcard::to_stdvec(self).map_err(encoded)?;
        let signature = sign
            .map(|(name, key)| {
                let bytes = key.sign(Digest::Sha256, &signed(&payload))?;
                Ok::<_, KeyError>((name, bytes))
            })
            .transpose()?;
        let envelope = Envelope {
            signatures: signature
                .iter()
                .map(|(name, bytes)| (*name, &bytes[..]))
                .collect(),
            payload: &payload,
        };
        let envelope = postcard::to_stdvec(&envelope).map_err(encoded)?;
        Ok([&MAGIC[..], blake3::hash(&envelope).as_bytes(), &envelope].concat())
    }

    /// Reads what a store has under a key. With a keyring the record must be signed by one of its keys.
    ///
    /// # Errors
    /// When it is not what it should be.
    pub fn decode(bytes: &[u8], key: &Key, trust: Option<&Keyring>) -> Result<Self, RecordError> {
        if bytes.len() as u64 > MAX_RECORD {
            return Err(RecordError::TooLarge(bytes.len() as u64));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(RecordError::Format)?;
        let (hash, envelope) = rest.split_first_chunk::<32>().ok_or(RecordError::Damaged)?;
        if blake3::hash(envelope) != *hash {
            return Err(RecordError::Damaged);
        }
        let envelope: Envelope<'_> = postcard::from_bytes(envelope).map_err(|_| RecordError::Damaged)?;
        if let Some(keyring) = trust {
            let signature = |(name, bytes): &(&str, &[u8])| Signature {
                digest: Digest::Sha256,
                key: (*name).to_owned(),
                bytes: bytes.to_vec(),
            };
            let signatures: Vec<_> = envelope.signatures.iter().map(signature).collect();
            keyring.verify(&signatures, &signed(envelope.payload))?;
        }
        let record: Self = postcard::from_bytes(envelope.payload).map_err(|_| RecordError::Damaged)?;
        if record.key != *key {
            return Err(RecordError::OtherKey(record.key));
        }
        record.output.check()?;
        Ok(record)
    }
}

fn signed(payload: &[u8]) -> Vec<u8> {
    [SIGNED, payload].concat()
}

impl Output {
    /// Whether the names in it can be used as names of files, and the parts are in their order.
    pub(crate) fn check(&self) -> Result<(), RecordError> {
        let wrong = |name: &str| RecordError::Name(name.to_owned());
        if let Some(pair) = self.parts.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            return Err(wrong(&pair[1].name));
        }
        if let Some(part) = self
            .parts
            .iter()
            .find(|part| part.metadata.len() > Self::MAX_METADATA)
        {
            return Err(wrong(&part.name));
        }
        let is_wrong =
            |name: &str| name.is_empty() || matches!(name, "." | "..") || name.contains(['/', '\0']);
        match self.files().find(|file| is_wrong(&file.name)) {
            Some(file) => Err(wrong(&file.name)),
            None => Ok(()),
        }
    }
}
