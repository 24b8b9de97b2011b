//! Making room.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::directory::{BLOBS, DirectoryStore, LOCKS, RECORDS, TEMPORARY, at};
use crate::error::StoreError;
use crate::{Hash, Key, Record};

/// Whoever writes a file that nobody refers to yet is done with that, or gone, after this long.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Which results are to go. By default none: only files that no result refers to, and what killed processes left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gc {
    /// Results that stay whatever else is said: those that the present graph needs.
    pub keep: BTreeSet<Key>,
    /// Results that were not used for so long go.
    pub older_than: Option<Duration>,
    /// Results go, those used longest ago first, until the store has no more bytes than this.
    pub max_size: Option<u64>,
    /// Only tells what would go.
    pub dry_run: bool,
}

/// What has gone and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// How many results have gone.
    pub removed: usize,
    /// How many bytes have gone, files that nobody referred to among them.
    pub removed_size: u64,
    /// How many results are left.
    pub kept: usize,
    /// How many bytes they have with their files.
    pub kept_size: u64,
    /// What should have gone and could not, and why.
    pub failed: Vec<(PathBuf, String)>,
}

/// A result: its files by hash and size.
struct Found {
    key: Key,
    path: PathBuf,
    size: u64,
    used: SystemTime,
    blobs: Vec<(Hash, u64)>,
}

/// How often each blob is referred to, and what that comes to.
#[derive(Default)]
struct Size {
    references: HashMap<Hash, u32>,
    bytes: u64,
}

impl DirectoryStore {
    /// Removes results, and files that no result refers to. Another process may build at the same time: what it loses it
    /// builds again.
    ///
    /// # Errors
    /// When a directory cannot be read. What cannot be removed is in the report.
    pub fn gc(&self, gc: &Gc) -> Result<GcReport, StoreError> {
        let mut report = GcReport::default();
        let mut found = self.results(gc, &mut report)?;
        let mut size = Size::default();
        found.iter().for_each(|one| size.add(one));
        found.sort_by_key(|one| (one.used, one.key));
        let now = SystemTime::now();
        for one in &found {
            let age = now.duration_since(one.used).unwrap_or_default();
            let is_old = gc.older_than.is_some_and(|limit| age >= limit);
            let is_too_much = gc.max_size.is_some_and(|limit| size.bytes > limit);
            if (is_old || is_too_much) && !gc.keep.contains(&one.key) {
                size.take(one);
                report.removed += 1;
                report.remove(gc, &one.path, one.size);
            } else {
                report.kept += 1;
            }
        }
        report.kept_size = size.bytes;
        self.sweep_blobs(gc, &found, &size, &mut report)?;
        self.sweep_leftovers(gc, &mut report)?;
        Ok(report)
    }

    /// All results. What is none goes.
    fn results(&self, gc: &Gc, report: &mut GcReport) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        for (path, metadata) in files(&self.root().join(RECORDS))? {
            let key = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.parse().ok());
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let record = key.and_then(|key: Key| {
                let (bytes, _) = self.read_record(&key).ok()??;
                Some((key, Record::decode(&bytes, &key, None).ok()?))
            });
            match record {
                Some((key, record)) => found.push(Found {
                    key,
                    path,
                    size: metadata.len(),
                    used,
                    blobs: record
                        .output
                        .files()
                        .map(|file| (file.blob.hash, file.blob.size))
                        .collect(),
                }),
                None => report.remove(gc, &path, metadata.len()),
            }
        }
        Ok(found)
    }

    /// Removes the blobs of results that have gone, and old ones that belong to none. A young one may belong to a result
    /// that is about to be written.
    fn sweep_blobs(
        &self,
        gc: &Gc,
        found: &[Found],
        size: &Size,
        report: &mut GcReport,
    ) -> Result<(), StoreError> {
        let known: BTreeSet<Hash> = found
            .iter()
            .flat_map(|one| &one.blobs)
            .map(|(hash, _)| *hash)
            .collect();
        for (path, metadata) in files(&self.root().join(BLOBS))? {
            let hash = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.parse().ok());
            let goes = match hash {
                Some(hash) if size.references.contains_key(&hash) => false,
                Some(hash) if known.contains(&hash) => true,
                _ => is_abandoned(&metadata),
            };
            if goes {
                report.remove(gc, &path, metadata.len());
            }
        }
        Ok(())
    }

    /// Removes what killed processes left, and the files of locks that nobody holds.
    fn sweep_leftovers(&self, gc: &Gc, report: &mut GcReport) -> Result<(), StoreError> {
        for (path, metadata) in files(&self.root().join(TEMPORARY))? {
            if is_abandoned(&metadata) {
                report.remove(gc, &path, metadata.len());
            }
        }
        for (path, _) in files(&self.root().join(LOCKS))? {
            // Whoever opens it at this moment builds what another process may be building too, which costs time alone.
            let is_free = fs::File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if is_free {
                report.remove(gc, &path, 0);
            }
        }
        Ok(())
    }
}

impl Size {
    fn add(&mut self, found: &Found) {
        self.bytes = self.bytes.saturating_add(found.size);
        for (hash, size) in &found.blobs {
            let count = self.references.entry(*hash).or_default();
            *count += 1;
            if *count == 1 {
                self.bytes = self.bytes.saturating_add(*size);
            }
        }
    }

    fn take(&mut self, found: &Found) {
        self.bytes = self.bytes.saturating_sub(found.size);
        for (hash, size) in &found.blobs {
            if let Some(count) = self.references.get_mut(hash) {
                *count -= 1;
                if *count == 0 {
                    self.references.remove(hash);
                    self.bytes = self.bytes.saturating_sub(*size);
                }
            }
        }
    }
}

impl GcReport {
    fn remove(&mut self, gc: &Gc, path: &Path, size: u64) {
        let removed = match gc.dry_run {
            true => Ok(()),
            false => fs::remove_file(path),
        };
        match removed {
            Ok(()) => self.removed_size += size,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.failed.push((path.to_owned(), error.to_string())),
        }
    }
}

/// The files of a directory; what else is there is not ours.
fn files(directory: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(at(directory)(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(at(directory))?;
        // What was removed meanwhile is not there any more.
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            files.push((entry.path(), metadata));
        }
    }
    Ok(files)
}

fn is_abandoned(metadata: &fs::Metadata) -> bool {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::now().duration_since(modified).unwrap_or_default() >= ABANDONED
}
