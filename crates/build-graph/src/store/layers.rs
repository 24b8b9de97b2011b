//! Stores one behind the other, and what of them is trusted.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use apk_package::{Keyring, PrivateKey};

use super::Store;
use super::directory::{DirectoryStore, at, copy_hashed};
use crate::{Blob, Failure, Key, Output, Problem, Record, StoreError};

/// How often a shared store may fail in a row before it is left alone.
const PATIENCE: u32 = 3;

/// The stores of a machine: its own, then those that are shared, each with who is trusted there.
pub struct Stores {
    local: DirectoryStore,
    shared: Vec<Layer>,
}

/// A shared store, and how often reading from it and writing to it has failed in a row.
struct Layer {
    shared: Shared,
    reads: AtomicU32,
    writes: AtomicU32,
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
        self.shared.push(Layer {
            shared,
            reads: AtomicU32::new(0),
            writes: AtomicU32::new(0),
        });
        self
    }

    /// The store of one's own.
    pub fn local(&self) -> &DirectoryStore {
        &self.local
    }

    /// The record of a key and the name of the store that had it, verified; `None` if no store has one that can be used.
    /// One that a shared store had is in the local store then. Its files may be anywhere, or nowhere.
    pub fn find(&self, key: &Key, tell: Tell<'_>) -> Option<(Record, String)> {
        let local = self
            .find_local(key, tell)
            .map(|record| (record, self.local.name()));
        local.or_else(|| self.find_shared(key, tell))
    }

    /// The record of a key that the local store has, verified.
    pub(crate) fn find_local(&self, key: &Key, tell: Tell<'_>) -> Option<Record> {
        let bytes = report(self.local.record(key), &self.local, tell).flatten()?;
        match Record::decode(&bytes, key, None) {
            Ok(record) => Some(record),
            Err(error) => {
                tell(entry(&self.local, format!("ac/{key}"), &error));
                self.local.drop_record(key);
                None
            }
        }
    }

    fn find_shared(&self, key: &Key, tell: Tell<'_>) -> Option<(Record, String)> {
        self.readable().find_map(|(shared, failures)| {
            let store = &*shared.store;
            let bytes = counted(store.record(key), store, failures, tell).flatten()?;
            match Record::decode(&bytes, key, Some(&shared.trust)) {
                Ok(record) => {
                    report(self.local.put_record(key, &bytes), &self.local, tell);
                    Some((record, store.name()))
                }
                Err(error) => {
                    tell(entry(store, format!("ac/{key}"), &error));
                    None
                }
            }
        })
    }

    /// Whether the files of an output are, or can be expected to be, where they can be had from: in the local store, or
    /// anywhere in a shared one.
    pub(crate) fn may_have(&self, output: &Output, tell: Tell<'_>) -> bool {
        self.readable().next().is_some() || output.files().all(|file| self.is_local(&file.blob, tell))
    }

    fn is_local(&self, blob: &Blob, tell: Tell<'_>) -> bool {
        report(self.local.has_blob(blob), &self.local, tell) == Some(true)
    }

    /// Makes all files of an output local; whether that could be done.
    pub(crate) fn gather(&self, output: &Output, tell: Tell<'_>) -> bool {
        output.files().all(|file| {
            let is_here = self.is_local(&file.blob, tell) || self.pull(&file.blob, tell);
            if !is_here {
                let name = format!("cas/{}", file.blob.hash);
                tell(entry(
                    &self.local,
                    name,
                    &"a stored result names it, and no store has it",
                ));
            }
            is_here
        })
    }

    /// Brings a blob from a shared store into the local one, verified; whether it could be had.
    fn pull(&self, blob: &Blob, tell: Tell<'_>) -> bool {
        self.readable().any(|(shared, failures)| {
            let store = &*shared.store;
            let Some(mut arriving) = report(self.local.arriving(blob), &self.local, tell) else {
                return false;
            };
            let read = store.read_blob(blob, arriving.file());
            if counted(read, store, failures, tell) != Some(true) {
                return false;
            }
            let is_right = report(arriving.settle(blob), &self.local, tell);
            if is_right == Some(false) {
                tell(entry(
                    store,
                    format!("cas/{}", blob.hash),
                    &"it is not what its name says",
                ));
            }
            is_right == Some(true)
        })
    }

    /// Writes a blob to a file, verified. A file that is there is replaced.
    ///
    /// # Errors
    /// [`Failure::Lost`] when no store has it, and when the file cannot be written.
    pub fn fetch(&self, blob: &Blob, to: &Path, tell: Tell<'_>) -> Result<(), Failure> {
        // Once out of the local store, and once more when that had to be repaired.
        for _ in 0..2 {
            let opened = self.local.open(&self.local.blob_path(blob));
            if let Some(mut file) = report(opened, &self.local, tell).flatten() {
                if copy_to(&mut file, blob, to)? {
                    return Ok(());
                }
                tell(entry(
                    &self.local,
                    format!("cas/{}", blob.hash),
                    &"it is not what its name says",
                ));
                self.local.drop_blob(blob);
            }
            if !self.pull(blob, tell) {
                break;
            }
        }
        Err(Failure::Lost(blob.hash))
    }

    /// Puts a record, whose files are in the local store, into all stores.
    ///
    /// # Errors
    /// When the local store cannot be written.
    pub fn put(&self, record: &Record, tell: Tell<'_>) -> Result<(), StoreError> {
        let entry = format!("ac/{}", record.key);
        let unsigned = encode(record, None, &entry)?;
        self.local.put_record(&record.key, &unsigned)?;
        for (shared, failures) in self.writable() {
            if let Some((name, key)) = &shared.sign {
                let put = encode(record, Some((name, key)), &entry)
                    .and_then(|bytes| self.push(&*shared.store, record, &bytes));
                counted(put, &*shared.store, failures, tell);
            }
        }
        Ok(())
    }

    /// Puts a record behind its files into a shared store, so that whoever finds the record finds these too.
    fn push(&self, store: &dyn Store, record: &Record, bytes: &[u8]) -> Result<(), StoreError> {
        for file in record.output.files() {
            if store.has_blob(&file.blob)? {
                continue;
            }
            let path = self.local.blob_path(&file.blob);
            let mut content = File::open(&path).map_err(at(&path))?;
            store.put_blob(&file.blob, &mut content)?;
        }
        store.put_record(&record.key, bytes)
    }

    /// The shared stores that can be read, as far as is known.
    fn readable(&self) -> impl Iterator<Item = (&Shared, &AtomicU32)> {
        let layers = self.shared.iter().filter(|layer| works(&layer.reads));
        layers.map(|layer| (&layer.shared, &layer.reads))
    }

    /// Those that can be written too.
    fn writable(&self) -> impl Iterator<Item = (&Shared, &AtomicU32)> {
        let layers = self
            .shared
            .iter()
            .filter(|layer| works(&layer.reads) && works(&layer.writes));
        layers.map(|layer| (&layer.shared, &layer.writes))
    }
}

fn works(failures: &AtomicU32) -> bool {
    failures.load(Ordering::Relaxed) < PATIENCE
}

fn encode(record: &Record, sign: Option<(&str, &PrivateKey)>, entry: &str) -> Result<Vec<u8>, StoreError> {
    record.encode(sign).map_err(|error| StoreError::Entry {
        entry: entry.to_owned(),
        reason: error.to_string(),
    })
}

/// Copies a content to a file that takes its place when all of it is there and right; whether it is.
fn copy_to(from: &mut File, blob: &Blob, to: &Path) -> Result<bool, Failure> {
    let failed = |source| StoreError::Io {
        path: to.to_owned(),
        source,
    };
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let temporary = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(directory.unwrap_or(Path::new(".")));
    let mut temporary = temporary.map_err(failed)?;
    let is = copy_hashed(from, temporary.as_file_mut(), blob.size).map_err(failed)?;
    if is == *blob {
        temporary.persist(to).map_err(|error| failed(error.error))?;
    }
    Ok(is == *blob)
}

fn entry(store: &dyn Store, entry: String, reason: &dyn std::fmt::Display) -> Problem {
    Problem::Entry {
        store: store.name(),
        entry,
        reason: reason.to_string(),
    }
}

fn report<T>(result: Result<T, StoreError>, store: &dyn Store, tell: Tell<'_>) -> Option<T> {
    let never = AtomicU32::new(0);
    counted(result, store, &never, tell)
}

/// Takes what a store gave. If it failed, that is told and counted.
fn counted<T>(
    result: Result<T, StoreError>,
    store: &dyn Store,
    failures: &AtomicU32,
    tell: Tell<'_>,
) -> Option<T> {
    match result {
        Ok(value) => {
            // Who has given up does not begin anew because another thread was still at it.
            if works(failures) {
                failures.store(0, Ordering::Relaxed);
            }
            Some(value)
        }
        Err(StoreError::Entry { entry, reason }) => {
            tell(Problem::Entry {
                store: store.name(),
                entry,
                reason,
            });
            None
        }
        Err(error) => {
            let given_up = failures.fetch_add(1, Ordering::Relaxed) + 1 == PATIENCE;
            tell(Problem::Store {
                store: store.name(),
                reason: error.to_string(),
                given_up,
            });
            None
        }
    }
}
