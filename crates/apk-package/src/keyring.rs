//! Signatures and the keys that are trusted.

use std::collections::BTreeMap;

use crate::{KeyError, PublicKey};

/// The digest under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    /// What stands between `.SIGN.` and the key's name.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Sha1 => "RSA",
            Self::Sha256 => "RSA256",
            Self::Sha512 => "RSA512",
        }
    }
}

/// One signature as it stands in a package or an index: the member `.SIGN.TAG.KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The digest that was signed.
    pub digest: Digest,
    /// The file name of the public key, such as `melange.rsa.pub`.
    pub key: String,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Reads the member's name; `None` for kinds that are not known, as the obsolete `.SIGN.DSA.`.
    pub fn from_member(name: &str, bytes: &[u8]) -> Option<Self> {
        let (tag, key) = name.strip_prefix(".SIGN.")?.split_once('.')?;
        let digests = [Digest::Sha1, Digest::Sha256, Digest::Sha512];
        Some(Self {
            digest: digests.into_iter().find(|digest| digest.tag() == tag)?,
            key: key.to_owned(),
            bytes: bytes.to_vec(),
        })
    }

    /// The name of the member that holds it.
    pub fn member_name(&self) -> String {
        format!(".SIGN.{}.{}", self.digest.tag(), self.key)
    }
}

/// Which signatures count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignaturePolicy {
    /// Those over any known digest: what the Go apko accepts, and what old repositories of Alpine have.
    #[default]
    AnyDigest,
    /// SHA-1 signatures do not count.
    NoSha1,
}

/// Trusted public keys by file name.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: BTreeMap<String, PublicKey>,
    policy: SignaturePolicy,
}

/// Why no signature was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum SignatureError {
    #[error("there is no key to verify its signature with; add the repository's public key to the keyring")]
    NoKeys,
    #[error("it has no signature")]
    Unsigned,
    #[error(
        "its signature cannot be verified: it is by the key {}, and the keyring has {}",
        names(.signed_by), names(.trusted)
    )]
    UnknownKey {
        signed_by: Vec<String>,
        trusted: Vec<String>,
    },
    #[error(
        "its signature by the key `{key}` is wrong: it was changed, or signed with another key of that name"
    )]
    Wrong { key: String },
    #[error("its signature by the key `{key}` is over SHA-1, which is not accepted")]
    Sha1Refused { key: String },
}

fn names(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

impl Keyring {
    /// An empty keyring with a policy.
    pub fn new(policy: SignaturePolicy) -> Self {
        Self {
            keys: BTreeMap::new(),
            policy,
        }
    }

    /// Adds a key under its file name, in the place of one with the same name.
    pub fn insert(&mut self, file_name: impl Into<String>, key: PublicKey) {
        self.keys.insert(file_name.into(), key);
    }

    /// Adds a key as it stands in its PEM file.
    pub fn insert_pem(&mut self, file_name: impl Into<String>, pem: &str) -> Result<(), KeyError> {
        self.insert(file_name, PublicKey::from_pem(pem)?);
        Ok(())
    }

    /// Bytes that are the same for keyrings that accept the same signatures.
    ///
    /// # Errors
    /// When a key cannot be written.
    pub fn identity(&self) -> Result<Vec<u8>, KeyError> {
        let mut identity = format!("{:?}", self.policy).into_bytes();
        for (name, key) in &self.keys {
            let pem = key.to_pem()?;
            for part in [name.as_bytes(), pem.as_bytes()] {
                identity.extend((part.len() as u64).to_le_bytes());
                identity.extend(part);
            }
        }
        Ok(identity)
    }

    /// True where it has no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The file names of its keys in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The key of that file name. A key that was fetched under a name without `.rsa.pub` is found too, as the
    /// Go apko finds it.
    pub fn get(&self, file_name: &str) -> Option<&PublicKey> {
        self.keys
            .get(file_name)
            .or_else(|| self.keys.get(file_name.strip_suffix(".rsa.pub")?))
    }

    /// Verifies that one of the signatures over `data` is by a key of this keyring, found by its name, and
    /// gives the name of that key.
    pub fn verify<'a>(&self, signatures: &'a [Signature], data: &[u8]) -> Result<&'a str, SignatureError> {
        if self.is_empty() {
            return Err(SignatureError::NoKeys);
        }
        if signatures.is_empty() {
            return Err(SignatureError::Unsigned);
        }
        let mut failure = None;
        for signature in signatures {
            let key = || signature.key.clone();
            let Some(public) = self.get(&signature.key) else {
                continue;
            };
            if signature.digest == Digest::Sha1 && self.policy == SignaturePolicy::NoSha1 {
                failure = failure.or(Some(SignatureError::Sha1Refused { key: key() }));
            } else if public.verifies(signature.digest, data, &signature.bytes) {
                return Ok(&signature.key);
            } else {
                failure = Some(SignatureError::Wrong { key: key() });
            }
        }
        Err(failure.unwrap_or_else(|| SignatureError::UnknownKey {
            signed_by: signatures.iter().map(|signature| signature.key.clone()).collect(),
            trusted: self.names().map(str::to_owned).collect(),
        }))
    }
}
