//! The keys in `etc/apk/keys`, which apk-tools verifies indexes with.

use crate::certificates::is_file_name;
use crate::pem;
use crate::tree::{Tree, TreeError};

const DIRECTORY: &str = "etc/apk/keys";

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name of its file, such as `alice-5f0e.rsa.pub`.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// Why a key could not be added.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A name cannot be that of a file.
    #[error(
        "key `{name}`: a name consists of letters, digits, `_`, `-` and `.`, and does not begin with `.`"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// A key is none, or more than one.
    #[error("key `{name}`: {reason}")]
    Malformed {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A key of that name is there already.
    #[error("key `{name}`: there is another key of that name in /{DIRECTORY}")]
    Exists {
        /// Its name.
        name: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Writes the keys that the image was built with, as they are, with time 0, before packages are installed.
pub fn write(tree: &mut Tree, keys: &[Key]) -> Result<(), KeyringError> {
    tree.mkdir_all(DIRECTORY, 0o755)?;
    for Key { name, content } in keys {
        // What names a file on disk may be unusual; it must only stay in its directory.
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(KeyringError::BadName { name: name.clone() });
        }
        tree.write_file(&format!("{DIRECTORY}/{name}"), content.clone(), 0o644)?;
    }
    Ok(())
}

/// Adds keys for use at run time, after packages are installed: one RSA public key in PEM each, never in place of
/// a key that is there. `time` becomes their time.
pub fn add(tree: &mut Tree, keys: &[Key], time: i64) -> Result<(), KeyringError> {
    if keys.is_empty() {
        return Ok(());
    }
    tree.mkdir_all(DIRECTORY, 0o755)?;
    let mut keys: Vec<&Key> = keys.iter().collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    for Key { name, content } in keys {
        if !is_file_name(name) {
            return Err(KeyringError::BadName { name: name.clone() });
        }
        let path = format!("{DIRECTORY}/{name}");
        if tree.lookup_no_follow(&path).is_ok() {
            return Err(KeyringError::Exists { name: name.clone() });
        }
        let encoded = public_key(&String::from_utf8_lossy(content)).map_err(|reason| {
            let name = name.clone();
            KeyringError::Malformed { name, reason }
        })?;
        let id = tree.write_file(&path, encoded, 0o644)?;
        tree.node_mut(id).mtime = time;
    }
    Ok(())
}

fn public_key(text: &str) -> Result<String, &'static str> {
    let mut blocks = pem::decode(text).into_iter();
    match (blocks.next(), blocks.next()) {
        (None, _) => Err("there is no PEM block in it"),
        (_, Some(_)) => Err("there is more than one PEM block in it"),
        (Some(block), None) if block.label != "PUBLIC KEY" => Err("its PEM block is no `PUBLIC KEY`"),
        (Some(block), None) if !pem::is_rsa_public_key(&block.der) => Err("it is not an RSA public key"),
        (Some(block), None) => Ok(block.encode()),
    }
}
