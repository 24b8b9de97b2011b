//! A store in a directory.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::Store;
use crate::error::StoreError;
use crate::{Blob, Hash, Key, MAX_RECORD};

/// The directory of records.
pub(super) const RECORDS: &str = "ac";

/// The directory of blobs.
pub(super) const BLOBS: &str = "cas";

/// The directory of what is being written.
pub(super) const TEMPORARY: &str = "tmp";

/// The directory of the files that locks are held on.
pub(super) const LOCKS: &str = "lock";

/// How old the note of an entry's last use may become.
const USE_RESOLUTION: Duration = Duration::from_secs(600);

/// How long a process waits before it tries to take a lock again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A store in a directory: records are the files `ac/KEY`, blobs the files `cas/HASH`, so that any HTTP server that serves
/// the directory is a store too. Many processes may use it at the same time, and a kill at any moment leaves it whole.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    root: PathBuf,
}

/// Being the only one that builds what belongs to a key, of all processes that use the store. It ends with its process.
#[derive(Debug)]
pub struct KeyLock(#[allow(dead_code)] File);

/// A blob that arrives, on its way to its place.
#[derive(Debug)]
pub(super) struct Arriving {
    file: NamedTempFile,
    to: PathBuf,
}

impl DirectoryStore {
    /// A store in a directory, which is made when the first entry is.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn record_path(&self, key: &Key) -> PathBuf {
        self.root.join(RECORDS).join(key.to_string())
    }

    pub(super) fn blob_path(&self, blob: &Blob) -> PathBuf {
        self.root.join(BLOBS).join(blob.hash.to_string())
    }

    /// Puts the content of a file into the store. Returns its hash and size.
    ///
    /// # Errors
    /// When it cannot be read, or the store cannot be written.
    pub fn keep(&self, path: &Path) -> Result<Blob, StoreError> {
        let mut from = File::open(path).map_err(at(path))?;
        let mut temporary = self.temporary()?;
        let copied = copy_hashed(&mut from, temporary.as_file_mut(), u64::MAX);
        let blob = copied.map_err(at(path))?;
        if !self.has_blob(&blob)? {
            place(temporary, &self.blob_path(&blob))?;
        }
        Ok(blob)
    }

    /// Waits until this process alone builds what belongs to a key. Returns `None` when `give_up` says so before.
    ///
    /// # Errors
    /// When the file of the lock cannot be made or locked.
    pub fn lock(&self, key: &Key, give_up: impl Fn() -> bool) -> Result<Option<KeyLock>, StoreError> {
        let directory = self.root.join(LOCKS);
        let path = directory.join(key.to_string());
        loop {
            fs::create_dir_all(&directory).map_err(at(&directory))?;
            let opened = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path);
            let file = opened.map_err(at(&path))?;
            match file.try_lock() {
                Ok(()) => return Ok(Some(KeyLock(file))),
                Err(fs::TryLockError::WouldBlock) if give_up() => return Ok(None),
                Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(fs::TryLockError::Error(source)) => return Err(at(&path)(source)),
            }
        }
    }

    /// A file in which a blob can arrive.
    pub(super) fn arriving(&self, blob: &Blob) -> Result<Arriving, StoreError> {
        Ok(Arriving {
            file: self.temporary()?,
            to: self.blob_path(blob),
        })
    }

    fn temporary(&self) -> Result<NamedTempFile, StoreError> {
        let directory = self.root.join(TEMPORARY);
        fs::create_dir_all(&directory).map_err(at(&directory))?;
        let readable_by_all = fs::Permissions::from_mode(0o644);
        let made = tempfile::Builder::new()
            .permissions(readable_by_all)
            .tempfile_in(&directory);
        made.map_err(at(&directory))
    }

    /// The bytes of a record, no more than one too many, and its file.
    pub(super) fn read_record(&self, key: &Key) -> Result<Option<(Vec<u8>, File)>, StoreError> {
        let path = self.record_path(key);
        let Some(file) = self.open(&path)? else {
            return Ok(None);
        };
        let size = file.metadata().map_err(at(&path))?.len().min(MAX_RECORD);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
        let read = (&file).take(MAX_RECORD + 1).read_to_end(&mut bytes);
        read.map_err(at(&path))?;
        Ok(Some((bytes, file)))
    }

    /// Opens a file of the store for reading; `None` if it is not there. Nothing is followed, nothing waited for.
    pub(super) fn open(&self, path: &Path) -> Result<Option<File>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(at(path)(errno.into())),
        };
        match file.metadata().map_err(at(path))?.is_file() {
            true => Ok(Some(file)),
            false => Err(at(path)(io::Error::other("it is no regular file"))),
        }
    }
}

impl Arriving {
    pub(super) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives it its place if it is what it should be; whether it is.
    pub(super) fn settle(mut self, blob: &Blob) -> Result<bool, StoreError> {
        let path = self.file.path().to_owned();
        self.file().rewind().map_err(at(&path))?;
        let is = copy_hashed(self.file(), &mut io::sink(), blob.size).map_err(at(&path))?;
        if is != *blob {
            return Ok(false);
        }
        place(self.file, &self.to)?;
        Ok(true)
    }
}

impl Store for DirectoryStore {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn record(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read_record(key)?.map(|(bytes, file)| {
            note_use(&file);
            bytes
        }))
    }

    fn has_record(&self, key: &Key) -> Result<bool, StoreError> {
        let path = self.record_path(key);
        Ok(size(&path)?.is_some())
    }

    fn put_record(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        let mut temporary = self.temporary()?;
        let written = temporary.write_all(bytes);
        written.map_err(at(temporary.path()))?;
        place(temporary, &self.record_path(key))
    }

    fn has_blob(&self, blob: &Blob) -> Result<bool, StoreError> {
        Ok(size(&self.blob_path(blob))? == Some(blob.size))
    }

    fn read_blob(&self, blob: &Blob, out: &mut File) -> Result<bool, StoreError> {
        let path = self.blob_path(blob);
        let Some(file) = self.open(&path)? else {
            return Ok(false);
        };
        note_use(&file);
        io::copy(&mut (&file).take(blob.size.saturating_add(1)), out).map_err(at(&path))?;
        Ok(true)
    }

    fn put_blob(&self, blob: &Blob, content: &mut File) -> Result<(), StoreError> {
        let mut arriving = self.arriving(blob)?;
        let path = arriving.to.clone();
        content.rewind().map_err(at(&path))?;
        io::copy(content, arriving.file()).map_err(at(&path))?;
        place(arriving.file, &path)
    }

    fn drop_record(&self, key: &Key) {
        // What cannot be removed will be found wrong again.
        let _ = fs::remove_file(self.record_path(key));
    }

    fn drop_blob(&self, blob: &Blob) {
        let _ = fs::remove_file(self.blob_path(blob));
    }
}

/// Copies no more than so many bytes and one, and gives the hash and the size of what was copied.
pub(super) fn copy_hashed(from: &mut File, to: &mut dyn io::Write, most: u64) -> io::Result<Blob> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut from = from.take(most.saturating_add(1));
    let mut size = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        size += count as u64;
    }
    let hash: [u8; 32] = hasher.finalize().into();
    Ok(Blob {
        hash: Hash::from(hash),
        size,
    })
}

/// Gives a file its place, over what is there.
fn place(temporary: NamedTempFile, to: &Path) -> Result<(), StoreError> {
    let temporary = match temporary.persist(to) {
        Ok(_) => return Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::NotFound => error.file,
        Err(error) => return Err(at(to)(error.error)),
    };
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).map_err(at(directory))?;
    }
    temporary.persist(to).map_err(|error| at(to)(error.error))?;
    Ok(())
}

/// The size of a regular file, `None` if there is none.
fn size(path: &Path) -> Result<Option<u64>, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(at(path)(source)),
    }
}

/// Notes that an entry was used, unless that was noted a short time ago. The time of the last change says so: that of the
/// last access is not kept everywhere, and changes with whatever reads the file.
fn note_use(file: &File) {
    let now = SystemTime::now();
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    if modified.is_ok_and(|time| now.duration_since(time).unwrap_or_default() >= USE_RESOLUTION) {
        // In a store that may only be read nobody needs to know.
        let _ = file.set_modified(now);
    }
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> StoreError + '_ {
    move |source| StoreError::Io {
        path: path.to_owned(),
        source,
    }
}
