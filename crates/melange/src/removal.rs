//! Removing trees of many files.

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Removing waits for the disk more than for a processor: some file systems tell it of each file's blocks at once.
const THREADS: usize = 8;

/// Removes a directory with all in it, whatever its modes are, and never through a link.
pub(crate) fn remove(path: &Path) {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(root) = rustix::fs::open(path, flags, Mode::empty()) {
        Emptying::default().run(root.as_fd());
    }
    if fs::remove_dir_all(path).is_err() {
        // Go's module cache, for one, is made of directories that nobody may write.
        make_writable(path);
        let _ = fs::remove_dir_all(path);
    }
}

fn make_writable(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        make_writable(&entry.path());
    }
}

/// Directories below the one that is emptied, and how far the work is. What cannot be removed stays.
#[derive(Default)]
struct Emptying {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    /// Every directory found so far, each after the one that holds it; those from `next` on are still full of files.
    found: Vec<PathBuf>,
    next: usize,
    /// How many threads may yet find directories.
    busy: usize,
}

impl Emptying {
    fn run(self, root: BorrowedFd<'_>) {
        self.lock().found.push(PathBuf::from("."));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| self.work(root));
            }
        });
        let found = self
            .progress
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .found;
        for directory in found.iter().skip(1).rev() {
            let _ = parent_of(root, directory)
                .and_then(|(parent, name)| rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, root: BorrowedFd<'_>) {
        let mut progress = self.lock();
        loop {
            if let Some(directory) = progress.found.get(progress.next).cloned() {
                progress.next += 1;
                progress.busy += 1;
                drop(progress);
                let below = remove_files(root, &directory).unwrap_or_default();
                progress = self.lock();
                progress.found.extend(below);
                progress.busy -= 1;
                self.changed.notify_all();
            } else if progress.busy == 0 {
                return;
            } else {
                progress = self
                    .changed
                    .wait(progress)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

fn open(root: BorrowedFd<'_>, directory: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(root, directory, flags, Mode::empty(), inside)
}

fn parent_of<'a>(root: BorrowedFd<'_>, directory: &'a Path) -> Result<(OwnedFd, &'a Path), Errno> {
    let parent = directory.parent().ok_or(Errno::INVAL)?;
    let name = directory.file_name().ok_or(Errno::INVAL)?;
    Ok((open(root, parent)?, Path::new(name)))
}

/// Removes all that a directory holds but directories, and tells these.
fn remove_files(root: BorrowedFd<'_>, directory: &Path) -> Result<Vec<PathBuf>, Errno> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let handle = open(root, directory)?;
    let mut directories = Vec::new();
    for entry in Dir::read_from(&handle)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Directory => true,
            // A file system that does not tell says so when the entry cannot be unlinked.
            _ => rustix::fs::unlinkat(&handle, name, AtFlags::empty()) == Err(Errno::ISDIR),
        };
        if is_directory {
            directories.push(directory.join(OsStr::from_bytes(name.to_bytes())));
        }
    }
    Ok(directories)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_goes_whole_and_nothing_that_its_links_name() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        for number in 0..300 {
            let directory = tree.join(format!("{}/{}/{number}", number % 7, number % 3));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("file"), "x").unwrap();
            symlink(&outside, directory.join("link")).unwrap();
        }
        let mut deep = tree.clone();
        for _ in 0..200 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        remove(&tree);
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn directories_that_nobody_may_write_go_too() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("tree/a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o500)).unwrap();
        remove(&dir.path().join("tree"));
        assert!(!dir.path().join("tree").exists());
    }

    #[test]
    fn a_link_in_the_place_of_the_tree_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        symlink(&outside, dir.path().join("tree")).unwrap();
        remove(&dir.path().join("tree"));
        assert!(outside.join("kept").exists());
    }
}
