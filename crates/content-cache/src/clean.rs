//! Making room.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, SystemTime};
use std::{io, path::PathBuf};

use rustix::fs::Stat;

use crate::directory::{Directory, is_directory};
use crate::error::Trouble;
use crate::{Cache, EARLIER, LOCKS, Lock, PARTIAL};

/// What is to be removed. By default all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clean {
    /// Entries that were not used for so long.
    pub older_than: Option<Duration>,
    /// The entries used longest ago, until the others have no more bytes than this. Entries that are larger than this
    /// alone go first.
    pub max_size: Option<u64>,
    /// Only tells what would be removed.
    pub dry_run: bool,
}

/// An entry that was removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// The file.
    pub path: PathBuf,
    /// The name of its kind; `partial` for what was never completed.
    pub kind: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// What was removed and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What was removed, longest unused first.
    pub removed: Vec<Removed>,
    /// How many entries are left.
    pub kept: usize,
    /// Their size in bytes.
    pub kept_size: u64,
    /// What should have been removed and could not, and why.
    pub failed: Vec<(PathBuf, String)>,
}

impl Report {
    /// The size in bytes of what was removed.
    pub fn removed_size(&self) -> u64 {
        self.removed.iter().map(|one| one.size).sum()
    }
}

/// After this long nobody goes on with what somebody began.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// What a cache with a limit knows of its size, and whether it looked for what was abandoned.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// What entries may have together in bytes.
    limit: Option<u64>,
    /// What they had when they were counted last.
    counted: Mutex<Option<u64>>,
    /// What came since then by way of this cache.
    added: AtomicU64,
    swept: AtomicBool,
}

impl Room {
    pub(crate) fn limited(bytes: u64) -> Self {
        Self {
            limit: Some(bytes),
            ..Self::default()
        }
    }
}

/// An entry: its layout and directory by name, its name, and what the system knows.
struct Found {
    layout: &'static str,
    kind: String,
    prefix: String,
    removed: Removed,
}

impl Cache {
    /// Removes entries, those in layouts of earlier releases too, and what killed processes left. Entries that other
    /// processes read at this moment stay readable for them; what others are making is not touched. Files that are of no
    /// layout are left alone, and so is what symbolic links lead to.
    ///
    /// # Errors
    /// When a directory cannot be read. What cannot be removed is in the report.
    pub fn clean(&self, clean: &Clean) -> io::Result<Report> {
        let mut report = Report::default();
        self.evict(self.entries_of_all()?, clean, &mut report);
        let all = clean.older_than.is_none() && clean.max_size.is_none();
        let age = match all {
            true => Duration::ZERO,
            false => clean.older_than.unwrap_or(ABANDONED).min(ABANDONED),
        };
        for layout in self.layouts() {
            layout.sweep(age, clean.dry_run, &mut report)?;
            if !clean.dry_run {
                layout.remove_locks()?;
            }
        }
        Ok(report)
    }

    /// The same cache in this layout and in those of earlier releases.
    fn layouts(&self) -> impl Iterator<Item = Self> {
        let all = [self.layout].into_iter().chain(EARLIER);
        all.map(|layout| Self {
            layout,
            ..self.clone()
        })
    }

    fn entries_of_all(&self) -> Result<Vec<Found>, Trouble> {
        let mut all = Vec::new();
        for layout in self.layouts() {
            all.extend(layout.entries()?);
        }
        Ok(all)
    }

    fn entries(&self) -> Result<Vec<Found>, Trouble> {
        let mut entries = Vec::new();
        let Some(layout) = self.descend(&[])? else {
            return Ok(entries);
        };
        for kind in layout.names()? {
            if [PARTIAL, LOCKS].contains(&kind.as_str()) || !is_real_directory(&layout, &kind)? {
                continue;
            }
            let Some(prefixes) = layout.sub(&kind)? else {
                continue;
            };
            for prefix in prefixes.names()? {
                if !is_real_directory(&prefixes, &prefix)? {
                    continue;
                }
                let Some(directory) = prefixes.sub(&prefix)? else {
                    continue;
                };
                for name in directory.names()? {
                    // What was removed meanwhile, and directories, which are not ours.
                    let Some(stat) = directory.stat(&name)?.filter(|stat| !is_directory(stat)) else {
                        continue;
                    };
                    entries.push(Found {
                        removed: removed(&directory, &name, &kind, &stat),
                        layout: self.layout,
                        kind: kind.clone(),
                        prefix: prefix.clone(),
                    });
                }
            }
        }
        Ok(entries)
    }

    fn evict(&self, mut entries: Vec<Found>, clean: &Clean, report: &mut Report) {
        let now = SystemTime::now();
        let all = clean.older_than.is_none() && clean.max_size.is_none();
        let is_too_large = |size: u64| clean.max_size.is_some_and(|limit| size > limit);
        let mut left: u64 = entries.iter().map(|entry| entry.removed.size).sum();
        entries.sort_by(|Found { removed: a, .. }, Found { removed: b, .. }| {
            let order = is_too_large(b.size).cmp(&is_too_large(a.size));
            order.then_with(|| (a.used, &a.path).cmp(&(b.used, &b.path)))
        });
        for Found {
            layout,
            kind,
            prefix,
            removed,
        } in entries
        {
            let age = now.duration_since(removed.used).unwrap_or_default();
            let is_old = clean.older_than.is_some_and(|limit| age >= limit);
            let mut goes = all || is_old || is_too_large(left);
            if goes && !clean.dry_run {
                let gone = self.remove_file([layout, &kind, &prefix], &removed);
                if let Err(trouble) = gone {
                    goes = false;
                    report.failed.push((trouble.path, trouble.source.to_string()));
                }
            }
            if goes {
                left -= removed.size;
                report.removed.push(removed);
            } else {
                report.kept += 1;
                report.kept_size += removed.size;
            }
        }
    }

    fn remove_file(&self, directory: [&str; 3], removed: &Removed) -> Result<(), Trouble> {
        let name = removed.path.file_name().and_then(|name| name.to_str());
        match (self.descend_from_root(&directory)?, name) {
            (Some(directory), Some(name)) => directory.remove(name),
            _ => Ok(()),
        }
    }

    /// Removes what processes that are gone began to make so long ago.
    fn sweep(&self, age: Duration, dry_run: bool, report: &mut Report) -> Result<(), Trouble> {
        let Some(partials) = self.descend(&[PARTIAL])? else {
            return Ok(());
        };
        let now = SystemTime::now();
        for name in partials.names()? {
            let Some(stat) = partials.stat(&name)?.filter(|stat| !is_directory(stat)) else {
                continue;
            };
            let removed = removed(&partials, &name, PARTIAL, &stat);
            if now.duration_since(removed.used).unwrap_or_default() < age {
                continue;
            }
            let swept = self.sweep_one(&partials, &name, dry_run);
            match swept {
                Ok(true) => report.removed.push(removed),
                Ok(false) => {}
                Err(trouble) => report.failed.push((trouble.path, trouble.source.to_string())),
            }
        }
        Ok(())
    }

    /// Removes the files of locks that nobody holds.
    fn remove_locks(&self) -> Result<(), Trouble> {
        if let Some(locks) = self.descend(&[LOCKS])? {
            for name in locks.names()? {
                // Taking a lock and dropping it removes its file.
                drop(self.try_lock(&name));
            }
        }
        Ok(())
    }

    /// Removes one, or tells that it would be; not if somebody works on it.
    fn sweep_one(&self, partials: &Directory, name: &str, dry_run: bool) -> Result<bool, Trouble> {
        let is_free = || match self.descend(&[LOCKS])? {
            Some(locks) => Ok(locks.stat(name)?.is_none()),
            None => Ok(true),
        };
        if dry_run && is_free()? {
            return Ok(true);
        }
        let Some(_lock) = self.try_lock(name)? else {
            return Ok(false);
        };
        if !dry_run {
            partials.remove(name)?;
        }
        Ok(true)
    }

    fn try_lock(&self, name: &str) -> Result<Option<Lock>, Trouble> {
        match self.descend(&[])? {
            Some(layout) => Lock::try_take(layout.make_sub(LOCKS)?, name.to_owned()),
            None => Ok(None),
        }
    }

    /// Notes that an entry came, and makes room if there is a limit and it was reached. What is abandoned is looked for
    /// once.
    pub(crate) fn added(&self, size: u64) {
        let Room {
            limit,
            counted,
            added,
            swept,
        } = &*self.room;
        // That no room can be made does no harm to what was made: the next one to clean is told why.
        if !swept.swap(true, Ordering::Relaxed) {
            let _ = self.sweep(ABANDONED, false, &mut Report::default());
        }
        let Some(limit) = *limit else { return };
        let new = added.fetch_add(size, Ordering::Relaxed) + size;
        let mut counted = match counted.try_lock() {
            Ok(counted) => counted,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody else is at it.
            Err(TryLockError::WouldBlock) => return,
        };
        // Other processes add too, so that it is counted again from time to time.
        if counted.is_some_and(|counted| counted + new <= limit && new <= limit / 16) {
            return;
        }
        added.store(0, Ordering::Relaxed);
        *counted = self.make_room(limit).ok();
    }

    /// Removes entries down to nine tenths of a limit if it is passed; what is left in bytes.
    fn make_room(&self, limit: u64) -> Result<u64, Trouble> {
        let entries = self.entries_of_all()?;
        let size = entries.iter().map(|entry| entry.removed.size).sum();
        if size <= limit {
            return Ok(size);
        }
        let clean = Clean {
            max_size: Some(limit - limit / 10),
            ..Clean::default()
        };
        let mut report = Report::default();
        self.evict(entries, &clean, &mut report);
        Ok(report.kept_size)
    }
}

fn is_real_directory(parent: &Directory, name: &str) -> Result<bool, Trouble> {
    Ok(parent.stat(name)?.is_some_and(|stat| is_directory(&stat)))
}

fn removed(directory: &Directory, name: &str, kind: &str, stat: &Stat) -> Removed {
    let used = time(stat.st_atime, stat.st_atime_nsec).max(time(stat.st_mtime, stat.st_mtime_nsec));
    Removed {
        path: directory.path_of(name),
        kind: kind.to_owned(),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        used,
    }
}

/// A time of the system; what lies before 1970 is 1970.
fn time(seconds: i64, nanoseconds: impl TryInto<u32>) -> SystemTime {
    let since = Duration::new(
        u64::try_from(seconds).unwrap_or_default(),
        nanoseconds.try_into().unwrap_or_default(),
    );
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
