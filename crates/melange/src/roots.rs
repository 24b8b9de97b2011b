//! Guest trees that are laid down once and used by many guests, each with its own overlay.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;

use crate::removal::remove;

/// The file in a tree's directory that its users lock, and whose time tells when it was last used.
const LOCK: &str = "lock";

/// The tree itself.
const TREE: &str = "tree";

/// How often a tree is put into its place or looked for there, where others remove it again and again.
const ATTEMPTS: usize = 100;

/// A directory of guest trees, each under the hash of all that it was made of.
///
/// Many processes may use it at once. A tree is there whole or not at all; one that nobody uses may be removed.
#[derive(Clone, Debug)]
pub struct RootCache {
    directory: PathBuf,
    capacity: usize,
}

/// A tree of the cache. It stays as long as this does.
#[derive(Debug)]
pub struct CachedRoot {
    path: PathBuf,
    _lock: File,
}

impl CachedRoot {
    /// Takes hold of the tree at a path that [`CachedRoot::path`] gave once; nothing if it is not there any more.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        open(path.parent()?, FlockOperation::NonBlockingLockShared)
    }

    /// Where the tree lies. Nothing may be written there.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl RootCache {
    /// Keeps at most `capacity` trees in a directory, which is made when it is needed.
    pub fn new(directory: impl Into<PathBuf>, capacity: usize) -> Self {
        Self {
            directory: directory.into(),
            capacity,
        }
    }

    /// The tree of a key, if it is there.
    pub fn find(&self, key: &str) -> Option<CachedRoot> {
        open(&self.directory.join(key), FlockOperation::NonBlockingLockShared)
    }

    /// The tree of a key: the one that is there, or else what `make` puts into an empty directory.
    ///
    /// # Errors
    /// Those of `make`, and those of the file system.
    pub fn get<E: From<io::Error>>(
        &self,
        key: &str,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<CachedRoot, E> {
        let home = self.directory.join(key);
        if let Some(found) = self.find(key) {
            return Ok(found);
        }
        fs::create_dir_all(&self.directory)?;
        self.evict();
        let made = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&self.directory)?;
        let lock = new_lock(made.path())?;
        let tree = made.path().join(TREE);
        fs::create_dir(&tree)?;
        make(&tree)?;
        let made = made.keep();
        for _ in 0..ATTEMPTS {
            if fs::rename(&made, &home).is_ok() {
                return Ok(CachedRoot {
                    path: home.join(TREE),
                    _lock: lock,
                });
            }
            // Another one was faster, or removes what was there just now.
            if let Some(found) = open(&home, FlockOperation::LockShared) {
                remove(&made);
                return Ok(found);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        remove(&made);
        Err(io::Error::other(format!("the tree in {} cannot be used", home.display())).into())
    }

    /// Removes what killed processes left, and the trees that were not used for the longest time, but for those in
    /// use.
    fn evict(&self) {
        let mut trees: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let used = fs::metadata(path.join(LOCK)).and_then(|found| found.modified());
            match used {
                Ok(used) if !entry.file_name().to_string_lossy().starts_with('.') => trees.push((used, path)),
                Ok(_) => drop(remove_unused(&path)),
                Err(_) => {}
            }
        }
        trees.sort();
        let surplus = (trees.len() + 1).saturating_sub(self.capacity);
        trees
            .iter()
            .filter(|(_, path)| remove_unused(path))
            .take(surplus)
            .for_each(drop);
    }
}

fn open(home: &Path, operation: FlockOperation) -> Option<CachedRoot> {
    let lock = lock(home, operation).ok()?;
    let path = home.join(TREE);
    path.is_dir().then_some(())?;
    let _ = lock.set_modified(SystemTime::now());
    Some(CachedRoot { path, _lock: lock })
}

/// The lock of a directory that is being made, held as a user holds it.
///
/// It gets its name when it is locked already: at no time do others see one that nobody holds, and take it for left over.
fn new_lock(home: &Path) -> io::Result<File> {
    let unseen = home.join(".lock");
    let file = File::create(&unseen)?;
    rustix::fs::flock(&file, FlockOperation::LockShared)?;
    fs::rename(&unseen, home.join(LOCK))?;
    Ok(file)
}

fn lock(home: &Path, operation: FlockOperation) -> io::Result<File> {
    let file = File::options().write(true).open(home.join(LOCK))?;
    rustix::fs::flock(&file, operation)?;
    // Since it was opened, the tree may have been removed, and another one put there.
    let (locked, there) = (file.metadata()?, fs::metadata(home.join(LOCK))?);
    match (locked.dev(), locked.ino()) == (there.dev(), there.ino()) {
        true => Ok(file),
        false => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

/// Removes a tree unless somebody uses it; tells whether it did.
fn remove_unused(home: &Path) -> bool {
    let Ok(_lock) = lock(home, FlockOperation::NonBlockingLockExclusive) else {
        return false;
    };
    // It goes as a whole, so that nobody opens what is half there or puts another tree where this one is being removed.
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    let gone = home.with_file_name(format!(".gone-{}-{name}", std::process::id()));
    let is_gone = fs::rename(home, &gone).is_ok();
    if is_gone {
        remove(&gone);
    }
    is_gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(cache: &RootCache, key: &str, content: &str) -> CachedRoot {
        let make = |tree: &Path| fs::write(tree.join("file"), content);
        cache.get::<io::Error>(key, make).unwrap()
    }

    #[test]
    fn a_tree_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let cache = RootCache::new(directory.path(), 4);
        assert_eq!(
            fs::read_to_string(get(&cache, "a", "first").path().join("file")).unwrap(),
            "first"
        );
        assert_eq!(
            fs::read_to_string(get(&cache, "a", "second").path().join("file")).unwrap(),
            "first"
        );
    }

    #[test]
    fn many_make_the_same_tree_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let cache = RootCache::new(directory.path(), 2);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..40 {
                        let key = format!("{}", (round + thread % 2) % 3);
                        let root = get(cache, &key, &key);
                        assert_eq!(fs::read_to_string(root.path().join("file")).unwrap(), key);
                    }
                });
            }
        });
    }

    #[test]
    fn a_tree_that_could_not_be_made_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let cache = RootCache::new(directory.path(), 4);
        let failed = cache.get("a", |_| Err(io::Error::other("no")));
        assert!(failed.is_err());
        assert_eq!(
            fs::read_to_string(get(&cache, "a", "second").path().join("file")).unwrap(),
            "second"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_tree_that_was_not_used_for_longest_goes_but_never_one_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let cache = RootCache::new(directory.path(), 2);
        let held = get(&cache, "a", "a");
        drop(get(&cache, "b", "b"));
        drop(get(&cache, "c", "c"));
        drop(get(&cache, "d", "d"));
        assert!(held.path().exists());
        assert!(!directory.path().join("c").exists());
        assert!(directory.path().join("d").exists());
    }
}
