//! Writing below a directory that others may have put links into: nothing that is written lands outside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

/// The mode of directories that are made on the way to something.
const DIRECTORY_MODE: u32 = 0o755;

/// A directory, and the way to everything in it.
pub(super) struct Beneath {
    root: OwnedFd,
    /// The directory that was used last: members of archives come directory by directory.
    last: Option<(String, OwnedFd)>,
}

/// When something was changed: seconds since 1970, and nanoseconds.
pub(super) type Time = (i64, u32);

impl Beneath {
    /// Opens the directory at a host path, which nobody else may have a hand in.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, last: None })
    }

    /// Goes to a directory below this one, which is made where it is missing.
    pub(super) fn descend(mut self, path: &str) -> io::Result<Self> {
        if !path.is_empty() {
            self.root = self.make_directories(path)?;
        }
        self.last = None;
        Ok(self)
    }

    fn open_directory(&self, path: &str) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::BENEATH)
    }

    fn make_directories(&self, path: &str) -> io::Result<OwnedFd> {
        match self.open_directory(path) {
            Err(Errno::NOENT) => {}
            opened => return Ok(opened?),
        }
        let (parent, name) = split(path);
        let above = match parent {
            "" => self.open_directory("")?,
            parent => self.make_directories(parent)?,
        };
        match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => Ok(self.open_directory(path)?),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory that holds `path`, made where it is missing, and the name in it.
    fn parent<'a, 'p>(&'a mut self, path: &'p str) -> io::Result<(&'a OwnedFd, &'p str)> {
        let (parent, name) = split(path);
        if self.last.as_ref().is_none_or(|(last, _)| last != parent) {
            self.last = Some((parent.to_owned(), self.make_directories(parent)?));
        }
        let directory = self.last.as_ref().map_or(&self.root, |(_, directory)| directory);
        Ok((directory, name))
    }

    /// Makes a directory, or takes the one that is there.
    pub(super) fn directory(&self, path: &str) -> io::Result<()> {
        self.make_directories(path).map(drop)
    }

    /// Makes an empty file with a mode, in place of any file or link that is there.
    pub(super) fn file(&mut self, path: &str, mode: u32) -> io::Result<File> {
        let (parent, name) = self.parent(path)?;
        clear(parent, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(file.into())
    }

    /// Opens a regular file for reading, `None` if there is nothing.
    pub(super) fn read(&self, path: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::BENEATH) {
            Err(Errno::NOENT) => Ok(None),
            Ok(file) => {
                let file = File::from(file);
                match file.metadata()?.is_file() {
                    true => Ok(Some(file)),
                    false => Err(io::Error::other("it is not a regular file")),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a symbolic link, whatever it names.
    pub(super) fn symlink(&mut self, path: &str, target: &[u8]) -> io::Result<()> {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let (parent, name) = self.parent(path)?;
        clear(parent, name)?;
        Ok(rustix::fs::symlinkat(OsStr::from_bytes(target), parent, name)?)
    }

    /// Makes another name of a file below this directory.
    pub(super) fn hard_link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let (target_parent, target_name) = split(target);
        let from = self.open_directory(target_parent)?;
        let (parent, name) = self.parent(path)?;
        clear(parent, name)?;
        Ok(rustix::fs::linkat(
            from,
            target_name,
            parent,
            name,
            AtFlags::empty(),
        )?)
    }

    /// Moves what lies in another directory here, in place of any file or link that is there.
    pub(super) fn take(&mut self, path: &str, from: &OwnedFd, name: &str) -> io::Result<()> {
        let (parent, own) = self.parent(path)?;
        clear(parent, own)?;
        match rustix::fs::renameat(from, name, parent, own) {
            Err(Errno::XDEV) => copy(from, name, parent, own),
            done => Ok(done?),
        }
    }

    /// Removes a file or a link.
    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        clear(parent, name)
    }

    /// Sets when something was changed; a link itself, not what it names.
    pub(super) fn set_time(&mut self, path: &str, time: Time) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        Ok(rustix::fs::utimensat(
            parent,
            name,
            &times(time),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Sets a directory's mode and when it was changed.
    pub(super) fn finish_directory(&self, path: &str, mode: u32, time: Time) -> io::Result<()> {
        let directory = self.open_directory(path)?;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))?;
        Ok(rustix::fs::futimens(&directory, &times(time))?)
    }
}

/// What lies on another file system cannot be moved.
fn copy(from: &OwnedFd, name: &str, to: &OwnedFd, own: &str) -> io::Result<()> {
    if let Ok(target) = rustix::fs::readlinkat(from, name, Vec::new()) {
        return Ok(rustix::fs::symlinkat(&target, to, own)?);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut source = File::from(rustix::fs::openat(from, name, flags, Mode::empty())?);
    let mode = rustix::fs::fstat(&source)?.st_mode & 0o777;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(rustix::fs::openat(to, own, flags, Mode::from_raw_mode(0o600))?);
    io::copy(&mut source, &mut target)?;
    Ok(rustix::fs::fchmod(&target, Mode::from_raw_mode(mode))?)
}

fn times((seconds, nanoseconds): Time) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// The path of the directory above, empty for none, and the last name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Makes room for a new file.
fn clear(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(parent.as_fd(), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_written_through_a_link_that_leads_out() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), inside.path().join("out")).unwrap();
        symlink("..", inside.path().join("up")).unwrap();
        symlink(outside.path().join("file"), inside.path().join("file")).unwrap();
        let mut tree = Beneath::open(inside.path()).unwrap();
        for path in ["out/x", "up/x", "out/a/b/x"] {
            tree.file(path, 0o644).unwrap_err();
            tree.symlink(path, b"x").unwrap_err();
            tree.directory(path).unwrap_err();
        }
        // A link in the place of the file itself makes room.
        tree.file("file", 0o644).unwrap();
        assert!(inside.path().join("file").symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_that_stays_inside_is_followed() {
        let inside = tempfile::tempdir().unwrap();
        fs::create_dir(inside.path().join("real")).unwrap();
        symlink("real", inside.path().join("link")).unwrap();
        let mut tree = Beneath::open(inside.path()).unwrap().descend("link").unwrap();
        tree.file("a/b/x", 0o600).unwrap();
        assert!(inside.path().join("real/a/b/x").exists());
    }
}
