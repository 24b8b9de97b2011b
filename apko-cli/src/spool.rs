//! Where things lie until they are complete.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{env, fs, io};

use tempfile::TempDir;

use crate::failure::{Failure, Outcome};

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
        let make = |directory: &Path| tempfile::Builder::new().prefix(".apko-").tempdir_in(directory);
        let spool = match fs::metadata(&absolute) {
            Ok(meta) if meta.is_dir() => match same_device(&absolute, parent) {
                Ok(true) => make(parent).or_else(|_| make(&absolute)),
                _ => make(&absolute),
            },
            // A pipe or device takes what is written at once.
            Ok(meta) if !meta.is_file() => make(&env::temp_dir()),
            _ => make(parent),
        };
        let spool = spool.map_err(|error| Failure::at(output, &error))?;
        let path = spool.path().to_owned();
        cli_support::on_interrupt(move || drop(fs::remove_dir_all(&path)))
            .map_err(|error| Failure::work(&error))?;
        Ok(Self(spool))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(fs::metadata(a)?.dev() == fs::metadata(b)?.dev())
}
