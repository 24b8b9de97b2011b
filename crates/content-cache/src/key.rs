//! What an entry is called.

use std::fmt;
use std::str::FromStr;

/// What entries of a kind have in common: how they are made and read. The name is a directory's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    name: &'static str,
    durable: bool,
}

impl Kind {
    /// A kind whose entries whoever reads them verifies, so that they need not survive a power cut: nothing waits for
    /// the disk. `name` is of lower-case letters, digits and `-`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, durable: false }
    }

    /// A kind whose entries are written to the disk before they get their name.
    pub const fn durable(name: &'static str) -> Self {
        Self { name, durable: true }
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.name
    }

    pub(crate) fn is_durable(self) -> bool {
        self.durable
    }
}

/// A hash in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key: 32 to 128 lower-case hexadecimal digits")]
pub struct ParseKeyError(String);

impl Key {
    /// The BLAKE3 hash of parts, each with its length, so that no two lists of parts are taken for each other.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self(hasher.finalize().to_hex().to_string())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the directory it is in.
    pub(crate) fn prefix(&self) -> &str {
        self.0.split_at(1).0
    }
}

impl From<[u8; 32]> for Key {
    /// Takes a hash that is there already.
    fn from(hash: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(hash).to_hex().to_string())
    }
}

impl FromStr for Key {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match (32..=128).contains(&text.len()) && text.bytes().all(is_digit) {
            true => Ok(Self(text.to_owned())),
            false => Err(ParseKeyError(text.to_owned())),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
