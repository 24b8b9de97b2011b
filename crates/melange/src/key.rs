//! The key that packages and indexes are signed with.

use std::fs;
use std::path::Path;

use apk_package::PrivateKey;

use crate::error::SigningKeyError;

/// A private key and the name that readers know its public half by.
#[derive(Clone, Debug)]
pub struct SigningKey {
    key: PrivateKey,
    name: String,
}

impl SigningKey {
    /// Takes a key; `name` is the file name of the public key, such as `melange.rsa.pub`.
    pub fn new(key: PrivateKey, name: impl Into<String>) -> Self {
        Self {
            key,
            name: name.into(),
        }
    }

    /// Reads an unencrypted PEM file; the public key is taken to lie beside it with `.pub` at its end.
    pub fn load(path: &Path) -> Result<Self, SigningKeyError> {
        let own = || path.to_owned();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| SigningKeyError::Name { path: own() })?;
        let pem = fs::read_to_string(path).map_err(|reason| SigningKeyError::Read { path: own(), reason })?;
        let key =
            PrivateKey::from_pem(&pem).map_err(|reason| SigningKeyError::Key { path: own(), reason })?;
        Ok(Self::new(key, format!("{name}.pub")))
    }

    /// The private key.
    pub fn private_key(&self) -> &PrivateKey {
        &self.key
    }

    /// The file name of the public key.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_missing_or_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.rsa");
        let message = |path: &Path| SigningKey::load(path).unwrap_err().to_string();
        assert!(message(&path).contains("my.rsa"));
        fs::write(&path, "not a key").unwrap();
        assert!(message(&path).contains("my.rsa"));
    }
}
