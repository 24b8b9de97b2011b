//! Entries that are made once.

use std::fmt;
use std::fs::{self, File, FileTimes};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::directory::Directory;
use crate::error::{CacheError, Trouble};
use crate::partial::read;
use crate::{Cache, Event, Key, Kind, LOCKS, Lock, PARTIAL, Partial, TAG};

/// How old the note of an entry's last use may become.
const USE_RESOLUTION: Duration = Duration::from_secs(600);

impl Cache {
    /// Gives the bytes of an entry and what `verify` makes of them. If it is not there, or does not verify, `make` makes
    /// it. Of all processes that want an entry at the same time, one makes it.
    ///
    /// When `make` fails, what it wrote stays for the next one to go on with. If what was made upon such a beginning
    /// does not verify, `make` is called once more with nothing there. A cache that cannot be written gives out what
    /// it has, and what was made without keeping it.
    ///
    /// # Errors
    /// The error of `make`, that of `verify` on what was made, and when the file could not be written.
    pub fn fetch<T, E: fmt::Display>(
        &self,
        kind: Kind,
        key: &Key,
        verify: impl Fn(&Bytes) -> Result<T, E>,
        mut make: impl FnMut(&mut Partial) -> Result<(), E>,
    ) -> Result<(Bytes, T), CacheError<E>> {
        if let Some(found) = self.find(kind, key, &verify) {
            return Ok(found);
        }
        let lock = self.lock_or_nothing(kind, key)?;
        let mut partial = match &lock {
            Some(_) => {
                // Another process may have made it while this one waited.
                if let Some(found) = self.find(kind, key, &verify) {
                    return Ok(found);
                }
                self.partial(kind, key)?
            }
            None => Partial::unnamed().map_err(|source| Trouble::new(self.root(), source))?,
        };
        loop {
            let io = |partial: &Partial, source| Trouble::new(partial.path(), source);
            let goes_on = partial.length().map_err(|error| io(&partial, error))? > 0;
            let made = make(&mut partial);
            partial.after(made)?;
            let bytes = partial.bytes().map_err(|error| io(&partial, error))?;
            match verify(&bytes) {
                Ok(value) => {
                    if lock.is_some()
                        && let Err(trouble) = self.publish(kind, key, partial)
                    {
                        self.not_kept(&trouble);
                    }
                    return Ok((bytes, value));
                }
                Err(error) => {
                    partial.restart().map_err(|error| io(&partial, error))?;
                    if !goes_on {
                        return Err(CacheError::Make(error));
                    }
                }
            }
        }
    }

    /// The bytes of an entry and what `verify` makes of them; `None` if it is not there. One that does not verify is
    /// removed.
    pub fn find<T, E: fmt::Display>(
        &self,
        kind: Kind,
        key: &Key,
        verify: impl Fn(&Bytes) -> Result<T, E>,
    ) -> Option<(Bytes, T)> {
        let file = self.open_unnoted(kind, key)?;
        let verified = match read(&file) {
            Ok(bytes) => match verify(&bytes) {
                Ok(value) => Ok((bytes, value)),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        match verified {
            Ok(found) => {
                note_use(&file);
                Some(found)
            }
            Err(reason) => {
                self.damaged(kind, key, &file, Some(&reason));
                None
            }
        }
    }

    /// Gives an entry that is read as a file. `read` opens and verifies it, `None` if it is not what it should be; `make`
    /// makes it. Of all processes that want an entry at the same time, one makes it.
    ///
    /// When `make` fails, what it wrote stays for the next one to go on with; it is removed when it is old. If what was
    /// made upon such a beginning does not verify, `make` is called once more with nothing there.
    ///
    /// # Errors
    /// The error of `make`, and when the cache cannot be written. An entry that is there is given out of a cache that
    /// cannot be written too.
    pub fn file<T, E>(
        &self,
        kind: Kind,
        key: &Key,
        read: impl Fn(&Path) -> Option<T>,
        mut make: impl FnMut(&mut Partial) -> Result<(), E>,
    ) -> Result<T, CacheError<E>> {
        let path = self.path(kind, key);
        let find = || {
            let file = self.open_unnoted(kind, key)?;
            let entry = read(&path);
            match entry {
                Some(_) => note_use(&file),
                None => self.damaged(kind, key, &file, None),
            }
            entry
        };
        if let Some(entry) = find() {
            return Ok(entry);
        }
        let _lock = self.lock_entry(kind, key)?;
        if let Some(entry) = find() {
            return Ok(entry);
        }
        loop {
            let mut partial = self.partial(kind, key)?;
            let length = partial.length();
            let goes_on = length.map_err(|source| Trouble::new(partial.path(), source))? > 0;
            let made = make(&mut partial);
            partial.after(made)?;
            self.publish(kind, key, partial)?;
            match read(&path) {
                Some(entry) => return Ok(entry),
                None => self.remove(kind, key),
            }
            if !goes_on {
                return Err(CacheError::Unverified(path));
            }
        }
    }

    /// A small content that [`Cache::put`] has put there; `None` if there is none, or if it is not what was put.
    pub fn get(&self, kind: Kind, key: &Key) -> Option<Bytes> {
        let verify = |bytes: &Bytes| match bytes.split_first_chunk::<32>() {
            Some((hash, content)) if blake3::hash(content) == *hash => Ok(()),
            _ => Err("it is not what was put there"),
        };
        let (bytes, ()) = self.find(kind, key, verify)?;
        Some(bytes.slice(32..))
    }

    /// Puts a small content into the cache, in place of what is there. Who puts another one at the same time is not
    /// waited for: one of the two stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, kind: Kind, key: &Key, content: &[u8]) -> io::Result<()> {
        let name = format!("{}-{key}", kind.name());
        let partial = Partial::unshared(self.prepare(&[PARTIAL])?, &name)?;
        Ok(self.write_into(partial, kind, key, content)?)
    }

    /// Writes a small content under a lock that is held already.
    pub(crate) fn write(&self, kind: Kind, key: &Key, content: &[u8]) -> Result<(), Trouble> {
        let mut partial = self.partial(kind, key)?;
        let emptied = partial.restart();
        emptied.map_err(|source| Trouble::new(partial.path(), source))?;
        self.write_into(partial, kind, key, content)
    }

    fn write_into(&self, mut partial: Partial, kind: Kind, key: &Key, content: &[u8]) -> Result<(), Trouble> {
        let written = partial
            .write_all(blake3::hash(content).as_bytes())
            .and_then(|()| partial.write_all(content));
        if let Err(source) = written {
            let _ = partial.restart();
            return Err(Trouble::new(partial.path(), source));
        }
        self.publish(kind, key, partial)
    }

    /// Takes a complete file over as an entry, in place of what is there: by a hard link where both are on one file
    /// system, else by a copy. A file that has both names must not be changed any more.
    ///
    /// # Errors
    /// When it cannot be linked or copied.
    pub fn adopt(&self, kind: Kind, key: &Key, file: &Path) -> io::Result<()> {
        let _lock = self.lock_entry(kind, key)?;
        let partial = self.partial(kind, key)?;
        fs::remove_file(partial.path())?;
        if fs::hard_link(file, partial.path()).is_err() {
            fs::copy(file, partial.path())?;
        }
        self.publish(kind, key, partial)?;
        // The file may be old; the entry is not.
        self.open(kind, key);
        Ok(())
    }

    /// Forgets an entry.
    pub fn remove(&self, kind: Kind, key: &Key) {
        // What cannot be removed will be found wrong again.
        if let Ok(Some(directory)) = self.directory_of(kind, key) {
            let _ = directory.remove(key.as_str());
        }
    }

    /// Waits until this process alone works on an entry, and holds others off until the lock is dropped.
    ///
    /// # Errors
    /// When the file of the lock cannot be made or locked.
    pub fn lock(&self, kind: Kind, key: &Key) -> io::Result<Lock> {
        Ok(self.lock_entry(kind, key)?)
    }

    pub(crate) fn lock_entry(&self, kind: Kind, key: &Key) -> Result<Lock, Trouble> {
        let name = format!("{}-{key}", kind.name());
        let directory = self.prepare(&[LOCKS])?;
        let path = directory.path_of(&name);
        Lock::take(directory, name, || {
            self.listener.tell(Event::Waiting { path: &path });
        })
    }

    /// The same; nothing in a cache that may be read, but not written.
    pub(crate) fn lock_or_nothing(&self, kind: Kind, key: &Key) -> Result<Option<Lock>, Trouble> {
        match self.lock_entry(kind, key) {
            Err(trouble) if trouble.is_read_only() => {
                self.not_kept(&trouble);
                Ok(None)
            }
            locked => locked.map(Some),
        }
    }

    /// Opens the file of an entry for who reads it in another way, copies or clones it; `None` if it is not there. What
    /// it holds is not verified.
    pub fn open(&self, kind: Kind, key: &Key) -> Option<File> {
        self.open_unnoted(kind, key).inspect(note_use)
    }

    /// What cannot be read is as good as not there: it will be replaced, or the reason why not be told.
    fn open_unnoted(&self, kind: Kind, key: &Key) -> Option<File> {
        self.directory_of(kind, key).ok()??.file(key.as_str()).ok()?
    }

    fn damaged(&self, kind: Kind, key: &Key, file: &File, reason: Option<&str>) {
        let path = self.path(kind, key);
        self.listener.tell(Event::Damaged { path: &path, reason });
        // Somebody may have replaced it in the meantime.
        if let Ok(Some(directory)) = self.directory_of(kind, key)
            && directory.has(key.as_str(), file).is_ok_and(|has| has)
        {
            let _ = directory.remove(key.as_str());
        }
    }

    pub(crate) fn not_kept(&self, Trouble { path, source }: &Trouble) {
        let reason = &source.to_string();
        self.listener.tell(Event::NotKept { path, reason });
    }

    /// The file in which an entry is made, as an earlier process left it.
    fn partial(&self, kind: Kind, key: &Key) -> Result<Partial, Trouble> {
        Partial::open(self.prepare(&[PARTIAL])?, format!("{}-{key}", kind.name()))
    }

    fn publish(&self, kind: Kind, key: &Key, partial: Partial) -> Result<(), Trouble> {
        let directory = self.prepare(&[kind.name(), key.prefix()])?;
        partial.publish(&directory, key.as_str(), kind.is_durable())?;
        if let Some(stat) = directory.stat(key.as_str())? {
            self.added(u64::try_from(stat.st_size).unwrap_or_default());
        }
        Ok(())
    }

    /// The directory in which an entry is, `None` if it is not there.
    fn directory_of(&self, kind: Kind, key: &Key) -> Result<Option<Directory>, Trouble> {
        self.descend(&[kind.name(), key.prefix()])
    }

    /// Opens a directory of the layout, `None` if it is not there.
    pub(crate) fn descend(&self, names: &[&str]) -> Result<Option<Directory>, Trouble> {
        self.descend_from_root(&[&[self.layout], names].concat())
    }

    pub(crate) fn descend_from_root(&self, names: &[&str]) -> Result<Option<Directory>, Trouble> {
        let mut directory = Directory::open(self.root())?;
        for name in names {
            directory = match directory {
                Some(directory) => directory.sub(name)?,
                None => return Ok(None),
            };
        }
        Ok(directory)
    }

    /// Makes one of the directories of the layout, and marks the cache as one.
    fn prepare(&self, names: &[&str]) -> Result<Directory, Trouble> {
        let root = Directory::make(self.root())?;
        if root.sub(self.layout)?.is_none() {
            // The tag is a courtesy; that it cannot be written is no reason to do without the cache.
            let _ = root.make_file(TAG.0).map(|mut tag| match tag.metadata()?.len() {
                0 => tag.write_all(TAG.1.as_bytes()),
                _ => Ok(()),
            });
        }
        let mut directory = root.make_sub(self.layout)?;
        for name in names {
            directory = directory.make_sub(name)?;
        }
        Ok(directory)
    }

    /// Where an entry is, if it is there.
    pub fn path(&self, kind: Kind, key: &Key) -> PathBuf {
        let directory = self.root().join(self.layout).join(kind.name());
        directory.join(key.prefix()).join(key.as_str())
    }
}

/// Notes that an entry was used now, in its access time. Reading alone does not change that on every file system.
fn note_use(file: &File) {
    let note = || -> io::Result<()> {
        let used = file.metadata()?.accessed()?;
        let now = SystemTime::now();
        if now.duration_since(used).is_ok_and(|age| age < USE_RESOLUTION) {
            return Ok(());
        }
        file.set_times(FileTimes::new().set_accessed(now))
    };
    // In a cache that cannot be written nothing is evicted either.
    let _ = note();
}
