//! Directories that are held open, so that nothing done in them happens elsewhere.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::Trouble;

/// An open directory. Names in it are followed through no symbolic link, whoever puts one there at whatever moment.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Directory {
    /// Opens a directory, by way of symbolic links too; `None` if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Trouble> {
        let opened = rustix::fs::open(path, OPEN, Mode::empty());
        found(opened, path).map(|fd| Self::of(fd, path.to_owned()))
    }

    /// Opens a directory, which is made if it is not there.
    pub(crate) fn make(path: &Path) -> Result<Self, Trouble> {
        fs::create_dir_all(path).map_err(|source| Trouble::new(path, source))?;
        let opened = rustix::fs::open(path, OPEN, Mode::empty());
        let fd = opened.map_err(|errno| Trouble::new(path, errno.into()))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    fn of(fd: Option<OwnedFd>, path: PathBuf) -> Option<Self> {
        fd.map(|fd| Self { fd, path })
    }

    /// Opens a directory in this one; `None` if it is not there.
    pub(crate) fn sub(&self, name: &str) -> Result<Option<Self>, Trouble> {
        let path = self.path.join(name);
        let opened = rustix::fs::openat(&self.fd, name, OPEN | OFlags::NOFOLLOW, Mode::empty());
        found(opened, &path).map(|fd| Self::of(fd, path))
    }

    /// Opens a directory in this one, which is made if it is not there.
    pub(crate) fn make_sub(&self, name: &str) -> Result<Self, Trouble> {
        if let Some(directory) = self.sub(name)? {
            return Ok(directory);
        }
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.trouble(name, errno)),
        }
        self.sub(name)?.ok_or_else(|| self.trouble(name, Errno::NOENT))
    }

    /// Opens a regular file for reading; `None` if it is not there.
    pub(crate) fn file(&self, name: &str) -> Result<Option<File>, Trouble> {
        match self.open_file(name, OFlags::RDONLY) {
            Err(trouble) if trouble.source.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Opens a regular file for reading and writing, which is made if it is not there.
    pub(crate) fn make_file(&self, name: &str) -> Result<File, Trouble> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE)
    }

    /// Makes a regular file for reading and writing; `None` if something of that name is there.
    pub(crate) fn new_file(&self, name: &str) -> Result<Option<File>, Trouble> {
        match self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Err(trouble) if trouble.source.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn open_file(&self, name: &str, flags: OFlags) -> Result<File, Trouble> {
        // Opening a pipe would wait for its other end.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644));
        let file = File::from(opened.map_err(|errno| self.trouble(name, errno))?);
        let metadata = file.metadata();
        match metadata.map_err(|source| Trouble::new(&self.path.join(name), source))? {
            metadata if metadata.is_file() => Ok(file),
            _ => Err(Trouble::new(
                &self.path.join(name),
                io::Error::new(io::ErrorKind::InvalidData, "is no regular file"),
            )),
        }
    }

    /// What is known of something in the directory; `None` if it is not there.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>, Trouble> {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        found(stat, &self.path.join(name))
    }

    /// Whether an open file is the one with this name.
    pub(crate) fn has(&self, name: &str, file: &File) -> Result<bool, Trouble> {
        let open = rustix::fs::fstat(file).map_err(|errno| self.trouble(name, errno))?;
        let named = self.stat(name)?;
        Ok(named.is_some_and(|named| (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)))
    }

    /// Removes what has this name and is no directory, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Trouble> {
        let removed = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
        found(removed, &self.path.join(name)).map(drop)
    }

    /// Moves a file to another directory, in place of what is there.
    pub(crate) fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<(), Trouble> {
        let renamed = rustix::fs::renameat(&self.fd, name, &to.fd, new_name);
        renamed.map_err(|errno| to.trouble(new_name, errno))
    }

    /// The names in the directory. Those that are no UTF-8 are left out: they are none of ours.
    pub(crate) fn names(&self) -> Result<Vec<String>, Trouble> {
        let trouble = |errno: Errno| Trouble::new(&self.path, errno.into());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(trouble)? {
            let entry = entry.map_err(trouble)?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    /// Waits until the names in the directory are on the disk.
    pub(crate) fn sync(&self) -> Result<(), Trouble> {
        rustix::fs::fsync(&self.fd).map_err(|errno| Trouble::new(&self.path, errno.into()))
    }

    /// The path of something in the directory.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn trouble(&self, name: &str, errno: Errno) -> Trouble {
        Trouble::new(&self.path.join(name), errno.into())
    }
}

/// Whether a file is a directory.
pub(crate) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn found<T>(result: rustix::io::Result<T>, path: &Path) -> Result<Option<T>, Trouble> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Trouble::new(path, errno.into())),
    }
}
