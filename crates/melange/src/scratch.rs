//! Directories that last as long as a build.
//!
//! Each is locked by the process that made it. The lock goes when the process does, however it ends, so that the next
//! one that makes a directory beside it finds what a killed process left behind, and removes it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::error::BuildError;
use crate::removal::remove;

/// What the names of these directories begin with.
const PREFIX: &str = "melange-scratch-";

/// What they begin with until they are locked.
const UNLOCKED: &str = "melange-new-";

/// What they begin with once they are meant to stay.
const KEPT: &str = "melange-kept-";

/// How long a process may take from making a directory to locking it.
const LOCKING: Duration = Duration::from_secs(60);

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::Io { action, path, source }
}

/// A directory that is removed with all in it when this is dropped, read-only directories, too.
pub(crate) struct Scratch {
    path: PathBuf,
    /// It holds the lock.
    _lock: File,
}

impl Scratch {
    /// Makes a directory with a new name below `parent`, and removes those beside it whose processes are gone.
    pub(crate) fn new(parent: &Path) -> Result<Self, BuildError> {
        fs::create_dir_all(parent)
            .and_then(|()| Self::make(parent))
            .map_err(io_error("making a directory in", parent))
    }

    fn make(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        let made = tempfile::Builder::new()
            .prefix(UNLOCKED)
            .tempdir_in(parent)?
            .keep();
        let lock = File::open(&made)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let path = renamed(&made, UNLOCKED, PREFIX);
        fs::rename(&made, &path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in this one.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, BuildError> {
        let path = self.path.join(name);
        fs::create_dir(&path).map_err(io_error("making", &path))?;
        Ok(path)
    }

    /// Leaves the directory where it is, under a name that nobody removes; tells the name.
    pub(crate) fn keep(mut self) -> PathBuf {
        let kept = renamed(&self.path, PREFIX, KEPT);
        if fs::rename(&self.path, &kept).is_ok() {
            // Nothing is left to remove.
            self.path = PathBuf::new();
        }
        kept
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            remove(&self.path);
        }
    }
}

fn renamed(path: &Path, from: &str, to: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(name.replacen(from, to, 1))
}

/// Removes what killed processes left behind. Nothing that goes wrong here is worth a word.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_old = || {
            let modified = entry.metadata().and_then(|found| found.modified());
            modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LOCKING))
        };
        let is_ours = name.starts_with(PREFIX) || name.starts_with(UNLOCKED) && is_old();
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let lock = |file: &File| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if File::open(entry.path()).is_ok_and(|file| lock(&file)) {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_scratch_directory_goes_away_with_read_only_ones_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(parent.path()).unwrap();
        let inner = scratch.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("f"), "x").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o500)).unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_dead_processes_left_goes_and_what_is_in_use_or_kept_stays() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = parent.path().join("melange-scratch-old");
        fs::create_dir_all(abandoned.join("guest")).unwrap();
        let others = parent.path().join("somebody-elses");
        fs::create_dir(&others).unwrap();
        let used = Scratch::new(parent.path()).unwrap();
        let kept = Scratch::new(parent.path()).unwrap().keep();
        let _new = Scratch::new(parent.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(used.path().exists() && kept.exists() && others.exists());
    }
}
