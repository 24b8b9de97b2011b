//! Making room.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::lock::Lock;
use crate::{Cache, LOCKS, PARTIAL};

/// What is to be removed. By default all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clean {
    /// Entries that were not used for so long.
    pub older_than: Option<Duration>,
    /// The entries used longest ago, until the others have no more bytes than this.
    pub max_size: Option<u64>,
    /// Only tells what would be removed.
    pub dry_run: bool,
}

/// An entry that was removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// What was removed and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was removed, longest unused first.
    pub removed: Vec<Removed>,
    /// How many entries are left.
    pub kept: usize,
    /// Their size in bytes.
    pub kept_size: u64,
}

impl Report {
    /// The size in bytes of what was removed.
    pub fn removed_size(&self) -> u64 {
        self.removed.iter().map(|one| one.size).sum()
    }
}

/// After this long nobody goes on with what somebody began.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

struct Found {
    used: SystemTime,
    path: PathBuf,
    size: u64,
}

impl Cache {
    /// Removes entries, and what killed processes left. Entries that other processes read at this moment stay readable
    /// for them; what others are making is not touched. Files that are not of the cache's layout are left alone.
    ///
    /// # Errors
    /// When a directory cannot be read or an entry cannot be removed.
    pub fn clean(&self, clean: &Clean) -> io::Result<Report> {
        let mut entries = Vec::new();
        for kind in list(&self.layout())? {
            let is_kind = ![PARTIAL, LOCKS].iter().any(|name| kind.file_name() == *name);
            if is_kind && kind.file_type()?.is_dir() {
                for prefix in list(&kind.path())? {
                    entries.extend(files(&prefix)?);
                }
            }
        }
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let mut report = self.choose(entries, clean);
        report.removed.extend(self.abandoned(clean)?);
        if !clean.dry_run {
            for removed in &report.removed {
                remove(&removed.path)?;
            }
            self.remove_locks()?;
        }
        Ok(report)
    }

    fn choose(&self, entries: Vec<Found>, clean: &Clean) -> Report {
        let now = SystemTime::now();
        let mut left: u64 = entries.iter().map(|entry| entry.size).sum();
        let mut report = Report::default();
        let all = clean.older_than.is_none() && clean.max_size.is_none();
        for entry in entries {
            let age = now.duration_since(entry.used).unwrap_or_default();
            let is_old = clean.older_than.is_some_and(|limit| age >= limit);
            if all || is_old || clean.max_size.is_some_and(|limit| left > limit) {
                left -= entry.size;
                report.removed.push(Removed {
                    path: entry.path,
                    size: entry.size,
                });
            } else {
                report.kept += 1;
                report.kept_size += entry.size;
            }
        }
        report
    }

    /// What processes that are gone began to make: all of it if the whole cache is to go.
    fn abandoned(&self, clean: &Clean) -> io::Result<Vec<Removed>> {
        let all = clean.older_than.is_none() && clean.max_size.is_none();
        let limit = match all {
            true => Duration::ZERO,
            false => clean.older_than.unwrap_or(ABANDONED).min(ABANDONED),
        };
        let mut abandoned = Vec::new();
        for file in list(&self.layout().join(PARTIAL))? {
            let Some(metadata) = metadata(&file)? else {
                continue;
            };
            let age = metadata.modified()?.elapsed().unwrap_or_default();
            let lock = self.layout().join(LOCKS).join(file.file_name());
            let is_locked = || -> io::Result<bool> { Ok(lock.exists() && Lock::try_take(&lock)?.is_none()) };
            if age >= limit && !is_locked()? {
                abandoned.push(Removed {
                    path: file.path(),
                    size: metadata.len(),
                });
            }
        }
        Ok(abandoned)
    }

    /// Removes the files of locks that nobody holds.
    fn remove_locks(&self) -> io::Result<()> {
        for file in list(&self.layout().join(LOCKS))? {
            drop(Lock::try_take(&file.path())?);
        }
        Ok(())
    }
}

/// What is in a directory, nothing if it is not there.
fn list(directory: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The entries in a directory, nothing if it is something else than a directory.
fn files(directory: &DirEntry) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    if !directory.file_type()?.is_dir() {
        return Ok(found);
    }
    for file in list(&directory.path())? {
        if let Some(metadata) = metadata(&file)?.filter(fs::Metadata::is_file) {
            found.push(Found {
                used: metadata.accessed()?.max(metadata.modified()?),
                path: file.path(),
                size: metadata.len(),
            });
        }
    }
    Ok(found)
}

/// What is known of a file, links not followed; `None` if somebody removed it meanwhile.
fn metadata(file: &DirEntry) -> io::Result<Option<fs::Metadata>> {
    match file.metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
