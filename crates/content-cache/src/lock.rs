//! Locks that die with their process.

use std::fs::{File, TryLockError};
use std::io;

use crate::directory::Directory;
use crate::error::Trouble;

/// A lock that is held until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Lock {
    directory: Directory,
    name: String,
    _file: File,
}

impl Drop for Lock {
    /// Removes the file. Who waits for the lock sees that, and makes another one.
    fn drop(&mut self) {
        // One that stays is removed when the cache is cleaned.
        let _ = self.directory.remove(&self.name);
    }
}

impl Lock {
    /// Waits for the lock on a file, which is made if it is not there. `waiting` is called once if there is need to wait.
    pub(crate) fn take(
        directory: Directory,
        name: String,
        mut waiting: impl FnMut(),
    ) -> Result<Self, Trouble> {
        let mut waits = false;
        loop {
            let file = directory.make_file(&name)?;
            let locked = match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    if !waits {
                        waiting();
                    }
                    waits = true;
                    lock(&file)
                }
                Err(TryLockError::Error(error)) => Err(error),
                Ok(()) => Ok(()),
            };
            locked.map_err(|source| Trouble::new(&directory.path_of(&name), source))?;
            // A lock on a file that was removed meanwhile holds nobody off.
            if directory.has(&name, &file)? {
                return Ok(Self {
                    directory,
                    name,
                    _file: file,
                });
            }
        }
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn try_take(directory: Directory, name: String) -> Result<Option<Self>, Trouble> {
        let file = directory.make_file(&name)?;
        match file.try_lock() {
            Ok(()) if directory.has(&name, &file)? => Ok(Some(Self {
                directory,
                name,
                _file: file,
            })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Trouble::new(&directory.path_of(&name), source)),
        }
    }
}

fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
