//! Files in the making.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::directory::Directory;
use crate::error::{CacheError, Trouble};

/// A file in the making. It may hold the beginning that somebody left who made the same entry and failed, or was
/// killed. What is written goes behind that.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    /// Where it is by name; nowhere if the cache cannot be written, or if it has become an entry.
    place: Option<(Directory, String)>,
    /// Why writing failed.
    failure: Option<io::Error>,
}

impl Partial {
    /// Opens the file in which an entry is made, as an earlier process left it.
    pub(crate) fn open(directory: Directory, name: String) -> Result<Self, Trouble> {
        let path = directory.path_of(&name);
        let mut file = directory.make_file(&name)?;
        file.seek(SeekFrom::End(0))
            .map_err(|source| Trouble::new(&path, source))?;
        Ok(Self {
            file,
            path,
            place: Some((directory, name)),
            failure: None,
        })
    }

    /// Makes a file of its own, whose name begins with `name`, for who neither goes on with what others began nor
    /// waits for them.
    pub(crate) fn unshared(directory: Directory, name: &str) -> Result<Self, Trouble> {
        loop {
            // Processes that share a cache need not see each other's numbers.
            let suffix = RandomState::new().hash_one(std::process::id());
            let name = format!("{name}-{suffix:016x}");
            if let Some(file) = directory.new_file(&name)? {
                return Ok(Self {
                    file,
                    path: directory.path_of(&name),
                    place: Some((directory, name)),
                    failure: None,
                });
            }
        }
    }

    /// Makes one in memory that is nowhere by name.
    pub(crate) fn unnamed() -> io::Result<Self> {
        let file = in_memory()?;
        Ok(Self {
            path: format!("/proc/self/fd/{}", file.as_raw_fd()).into(),
            file,
            place: None,
            failure: None,
        })
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, its position at its end.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The length in bytes of what is there.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn restart(&mut self) -> io::Result<()> {
        // A file that is cut is written to the disk by some file systems when it is closed.
        if self.length()? > 0 {
            self.file.set_len(0)?;
        }
        self.file.rewind()
    }

    /// What is there.
    pub(crate) fn bytes(&mut self) -> io::Result<Bytes> {
        self.file.rewind()?;
        read(&self.file)
    }

    /// What `make` ended with: its own error, unless the reason is that this file could not be written.
    pub(crate) fn after<E>(&mut self, made: Result<(), E>) -> Result<(), CacheError<E>> {
        let Some(source) = self.failure.take() else {
            return made.map_err(CacheError::Make);
        };
        // On a full disk the space is needed, and elsewhere nothing sensible can be gone on with.
        let _ = self.restart();
        let path = self.path.clone();
        Err(CacheError::Io { path, source })
    }

    /// Gives it its name as an entry, if it has a place. With `durable`, it is on the disk before.
    pub(crate) fn publish(mut self, to: &Directory, name: &str, durable: bool) -> Result<(), Trouble> {
        let Some((directory, partial)) = &self.place else {
            return Ok(());
        };
        if durable {
            // Its maker may have put another file in its place.
            let file = directory.file(partial)?;
            let synced = file.as_ref().unwrap_or(&self.file).sync_all();
            synced.map_err(|source| Trouble::new(&self.path, source))?;
        }
        directory.rename(partial, to, name)?;
        self.place = None;
        match durable {
            true => to.sync(),
            false => Ok(()),
        }
    }
}

impl Drop for Partial {
    /// Leaves what can be gone on with.
    fn drop(&mut self) {
        if let Some((directory, name)) = &self.place
            && self.length().is_ok_and(|length| length == 0)
        {
            let _ = directory.remove(name);
        }
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failure = Some(copy(error));
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(target_os = "linux")]
fn in_memory() -> io::Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    Ok(rustix::fs::memfd_create("content-cache", flags)?.into())
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> io::Result<File> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// The rest of a file, however long it is said to be.
pub(crate) fn read(mut file: &File) -> io::Result<Bytes> {
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    let room = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(room)?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_whatever_the_maker_says() {
        let mut partial = Partial {
            file: File::options().read(true).write(true).open("/dev/full").unwrap(),
            path: "/dev/full".into(),
            place: None,
            failure: None,
        };
        let made = partial
            .write_all(b"text")
            .map_err(|_| "the download was interrupted");
        let text = "the cache: /dev/full: No space left on device (os error 28)";
        assert_eq!(partial.after(made).unwrap_err().to_string(), text);
        assert!(matches!(
            partial.after(Err("not found")),
            Err(CacheError::Make("not found"))
        ));
    }

    #[test]
    fn what_lies_in_memory_reads_as_it_was_written() {
        let mut partial = Partial::unnamed().unwrap();
        partial.write_all(b"some").unwrap();
        partial.write_all(b"thing").unwrap();
        assert_eq!(partial.length().unwrap(), 9);
        assert_eq!(std::fs::read(partial.path()).unwrap(), b"something");
        assert_eq!(partial.bytes().unwrap(), "something");
    }
}
