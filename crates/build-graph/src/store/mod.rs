//! Where results are kept.

use std::fs::File;

use crate::error::StoreError;
use crate::{Blob, Key};

/// A place for results: records by the keys of nodes, and blobs by the hashes of their contents.
///
/// A store is not trusted. What it gives is verified by [`Stores`](crate::Stores), which it is used through; so an
/// implementation need only bring bytes. It leaves room for a registry or a remote-execution service.
pub trait Store: Send + Sync {
    /// How it is called where it is spoken of, such as its directory or URL without a password.
    fn name(&self) -> String;

    /// The bytes of a record as they were put, `None` if there is none. More than
    /// [`MAX_RECORD`](crate::MAX_RECORD) bytes are an error.
    ///
    /// # Errors
    /// When the store does not work.
    fn record(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether there is a record.
    ///
    /// # Errors
    /// When the store does not work.
    fn has_record(&self, key: &Key) -> Result<bool, StoreError>;

    /// Puts a record in place of what is there.
    ///
    /// # Errors
    /// When the store does not work.
    fn put_record(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError>;

    /// Whether there is a blob of that hash and size; its content is not looked at.
    ///
    /// # Errors
    /// When the store does not work.
    fn has_blob(&self, blob: &Blob) -> Result<bool, StoreError>;

    /// Writes the content of a blob, as it is there, to an empty file; false if it is not there. No more than its size and
    /// one byte are written.
    ///
    /// # Errors
    /// When the store does not work, and when `out` does not.
    fn read_blob(&self, blob: &Blob, out: &mut File) -> Result<bool, StoreError>;

    /// Puts a blob, whose content is in a file from its start.
    ///
    /// # Errors
    /// When the store does not work.
    fn put_blob(&self, blob: &Blob, content: &mut File) -> Result<(), StoreError>;

    /// Removes a record that is damaged, where that can be done.
    fn drop_record(&self, _key: &Key) {}

    /// Removes a blob that is damaged, where that can be done.
    fn drop_blob(&self, _blob: &Blob) {}
}

mod directory;
mod gc;
mod http;
mod layers;

pub use directory::{DirectoryStore, KeyLock};
pub use gc::{Gc, GcReport};
pub use http::HttpStore;
pub use layers::{Shared, Stores, Tell};
