//! RSA keys in PEM files.

use std::fmt;

use rsa::pkcs1::{DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::Digest;

/// A key that could not be read, made or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum KeyError {
    #[error("it is not a PEM file")]
    NotPem,
    #[error("it is encrypted; only unencrypted private keys are supported")]
    Encrypted,
    #[error("its PEM block is `{label}`, not an RSA {wanted} key")]
    WrongKind { label: String, wanted: &'static str },
    #[error("its RSA {wanted} key cannot be read: {reason}")]
    Malformed { wanted: &'static str, reason: String },
    #[error("a key of {bits} bits is not safe: {least} bits are the least")]
    TooShort { bits: usize, least: usize },
    #[error("RSA failed: {0}")]
    Rsa(String),
}

/// A private key, with which packages and indexes are signed. It never shows itself in debug output.
#[derive(Clone)]
pub struct PrivateKey(rsa::PrivateKey);

/// A public key, with which signatures are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(rsa::PublicKey);

impl PrivateKey {
    /// The size of keys that `melange keygen` makes when no other is asked for.
    pub const DEFAULT_BITS: usize = 4096;

    /// The least size of a new key.
    pub const MIN_BITS: usize = 2048;

    /// Makes a new key of a size in bits, out of the operating system's randomness.
    pub fn generate(bits: usize) -> Result<Self, KeyError> {
        if bits < Self::MIN_BITS {
            let least = Self::MIN_BITS;
            return Err(KeyError::TooShort { bits, least });
        }
        rsa::PrivateKey::new(&mut rand::rng(), bits)
            .map(Self)
            .map_err(|error| KeyError::Rsa(error.to_string()))
    }

    /// Reads a PEM file: PKCS#1 (`RSA PRIVATE KEY`, as melange and abuild write it) or PKCS#8 (`PRIVATE KEY`).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        const WANTED: &str = "private";
        let malformed = |reason: String| KeyError::Malformed {
            wanted: WANTED,
            reason,
        };
        let (label, pem) = pem_block(pem)?;
        match label {
            _ if label.starts_with("ENCRYPTED") || pem.contains("Proc-Type: 4,ENCRYPTED") => {
                Err(KeyError::Encrypted)
            }
            "RSA PRIVATE KEY" => {
                rsa::PrivateKey::from_pkcs1_pem(pem).map_err(|error| malformed(error.to_string()))
            }
            "PRIVATE KEY" => {
                rsa::PrivateKey::from_pkcs8_pem(pem).map_err(|error| malformed(error.to_string()))
            }
            _ => Err(KeyError::WrongKind {
                label: label.to_owned(),
                wanted: WANTED,
            }),
        }
        .map(Self)
    }

    /// The key as `melange keygen` writes it: PKCS#1.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let pem = self.0.to_pkcs1_pem(LineEnding::LF);
        pem.map(|pem| pem.to_string())
            .map_err(|error| KeyError::Rsa(error.to_string()))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.to_public_key())
    }

    /// Signs data (PKCS#1 v1.5): the signature is as long as the key.
    pub fn sign(&self, digest: Digest, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        match digest {
            Digest::Sha1 => self.0.pkcs1v15_sign::<Sha1>(data),
            Digest::Sha256 => self.0.pkcs1v15_sign::<Sha256>(data),
            Digest::Sha512 => self.0.pkcs1v15_sign::<Sha512>(data),
        }
        .map_err(|error| KeyError::Rsa(error.to_string()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} bits)", self.0.size() * 8)
    }
}

impl PublicKey {
    /// Reads a PEM file: PKIX (`PUBLIC KEY`, as melange and abuild write it) or PKCS#1 (`RSA PUBLIC KEY`).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        const WANTED: &str = "public";
        let malformed = |reason: String| KeyError::Malformed {
            wanted: WANTED,
            reason,
        };
        let (label, pem) = pem_block(pem)?;
        match label {
            "PUBLIC KEY" => {
                rsa::PublicKey::from_public_key_pem(pem).map_err(|error| malformed(error.to_string()))
            }
            "RSA PUBLIC KEY" => {
                rsa::PublicKey::from_pkcs1_pem(pem).map_err(|error| malformed(error.to_string()))
            }
            _ => Err(KeyError::WrongKind {
                label: label.to_owned(),
                wanted: WANTED,
            }),
        }
        .map(Self)
    }

    /// The key as `melange keygen` writes it: PKIX.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| KeyError::Rsa(error.to_string()))
    }

    /// True where `signature` is this key's over `data`.
    pub fn verifies(&self, digest: Digest, data: &[u8], signature: &[u8]) -> bool {
        match digest {
            Digest::Sha1 => self.0.pkcs1v15_verify::<Sha1>(data, signature),
            Digest::Sha256 => self.0.pkcs1v15_verify::<Sha256>(data, signature),
            Digest::Sha512 => self.0.pkcs1v15_verify::<Sha512>(data, signature),
        }
        .is_ok()
    }
}

/// The label and the text of the first PEM block; text before and after it is left out, as Go leaves it out.
fn pem_block(text: &str) -> Result<(&str, &str), KeyError> {
    const BEGIN: &str = "-----BEGIN ";
    const DASHES: &str = "-----";
    let block = &text[text.find(BEGIN).ok_or(KeyError::NotPem)?..];
    let label = block[BEGIN.len()..].split_once(DASHES).ok_or(KeyError::NotPem)?.0;
    let end = format!("-----END {label}{DASHES}");
    let length = block.find(&end).ok_or(KeyError::NotPem)? + end.len();
    Ok((label, &block[..length]))
}
