//! Where things lie until they are complete.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs, io};

use tempfile::TempDir;

use crate::failure::{Failure, Outcome};

/// Makes a directory in another one.
type Make = dyn Fn(&Path) -> io::Result<TempDir>;

/// A directory for layers until they are moved into the output. It goes when the build ends, with Ctrl-C too.
pub(crate) struct Spool(TempDir);

impl Spool {
    /// Lies beside the output, so that moving costs nothing; in it where beside it nothing can be written, or where it is
    /// another file system.
    pub(crate) fn beside(output: &Path) -> Outcome<Self> {
        // A link is followed: what it leads to is what is written.
        let absolute = fs::canonicalize(output)
            .or_else(|_| std::path::absolute(output))
            .map_err(|error| Failure::at(output, &error))?;
        let parent = absolute.parent().unwrap_or(&absolute);
        Self::making(output, |make| match fs::metadata(&absolute) {
            Ok(meta) if meta.is_dir() => match same_device(&absolute, parent) {
                Ok(true) => make(parent).or_else(|_| make(&absolute)),
                _ => make(&absolute),
            },
            // A pipe or device takes what is written at once.
            Ok(meta) if !meta.is_file() => make(&env::temp_dir()),
            _ => make(parent),
        })
    }

    /// Lies where temporary files lie.
    pub(crate) fn temporary() -> Outcome<Self> {
        let directory = env::temp_dir();
        Self::making(&directory, |make| make(&directory))
    }

    /// Makes a directory where `choose` has it made. Errors name `place`.
    fn making(place: &Path, choose: impl FnOnce(&Make) -> io::Result<TempDir>) -> Outcome<Self> {
        // An interrupt finds the directory from the moment it is there: it waits for this lock.
        let made = Arc::new(Mutex::new(None::<PathBuf>));
        let mut held = made.lock().unwrap_or_else(PoisonError::into_inner);
        let interrupted = Arc::clone(&made);
        cli_support::on_interrupt(move || {
            if let Some(path) = &*interrupted.lock().unwrap_or_else(PoisonError::into_inner) {
                remove(path);
            }
        })
        .map_err(|error| Failure::work(&error))?;
        let make = |directory: &Path| tempfile::Builder::new().prefix(".apko-").tempdir_in(directory);
        let spool = choose(&make).map_err(|error| Failure::at(place, &error))?;
        *held = Some(spool.path().to_owned());
        Ok(Self(spool))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Removes a directory in which others may still make files.
fn remove(path: &Path) {
    const ATTEMPTS: usize = 100;
    let _ = (0..ATTEMPTS).any(|_| fs::remove_dir_all(path).is_ok());
}

fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(fs::metadata(a)?.dev() == fs::metadata(b)?.dev())
}
