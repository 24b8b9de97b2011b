//! The directory that steps work in: made, filled with sources, and taken away.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::BuildError;
use crate::ignore::Rules;

/// What the workspace begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nothing.
    #[default]
    Empty,
    /// A copy of a directory's regular files.
    Directory {
        /// The directory.
        path: PathBuf,
        /// The name of the file in it that says what is left out, usually `.melangeignore`.
        ignore_file: String,
    },
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::Io { action, path, source }
}

/// A directory that is removed with all in it when this is dropped, read-only directories, too.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a directory with a new name below `parent`.
    pub(crate) fn new(parent: &Path, prefix: &str) -> Result<Self, BuildError> {
        let failed = io_error("making a directory in", parent);
        let made = fs::create_dir_all(parent)
            .and_then(|()| tempfile::Builder::new().prefix(prefix).tempdir_in(parent));
        Ok(Self(made.map_err(failed)?.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.0).is_err() {
            // Go's module cache, for one, is made of directories that nobody may write.
            make_writable(&self.0);
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

fn make_writable(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        make_writable(&entry.path());
    }
}

/// Copies the regular files of a source directory with their permissions; links and special files stay behind.
pub(crate) fn copy_sources(from: &Path, ignore_file: &str, to: &Path) -> Result<(), BuildError> {
    let ignore_path = from.join(ignore_file);
    let rules = match fs::read_to_string(&ignore_path) {
        Ok(text) => Rules::parse(&text).map_err(|error| BuildError::Configuration {
            reason: format!("`{}`: {error}", ignore_path.display()),
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Rules::default(),
        Err(error) => return Err(io_error("reading", &ignore_path)(error)),
    };
    // All is listed before the first copy, for the workspace may lie below the sources.
    let mut files = Vec::new();
    list(from, Path::new(""), &rules, &mut files)?;
    for file in files {
        let (source, target) = (from.join(&file), to.join(&file));
        let parent = target.parent().unwrap_or(to);
        fs::create_dir_all(parent).map_err(io_error("making", parent))?;
        fs::copy(&source, &target).map_err(io_error("copying into the workspace", &source))?;
    }
    Ok(())
}

fn list(root: &Path, below: &Path, rules: &Rules, files: &mut Vec<PathBuf>) -> Result<(), BuildError> {
    let directory = root.join(below);
    let failed = || io_error("listing the sources in", &directory);
    let entries = fs::read_dir(&directory).map_err(failed())?;
    for entry in entries {
        let entry = entry.map_err(failed())?;
        let path = below.join(entry.file_name());
        if rules.ignore(&path.to_string_lossy()) {
            continue;
        }
        let kind = entry.file_type().map_err(failed())?;
        if kind.is_dir() {
            list(root, &path, rules, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_are_copied_with_their_modes_but_for_ignored_ones() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let source = from.path();
        fs::create_dir(source.join("sub")).unwrap();
        fs::write(source.join("sub/run"), "x").unwrap();
        fs::set_permissions(source.join("sub/run"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::write(source.join("skip.o"), "x").unwrap();
        fs::write(source.join(".melangeignore"), "*.o\n").unwrap();
        std::os::unix::fs::symlink("run", source.join("sub/link")).unwrap();
        copy_sources(source, ".melangeignore", to.path()).unwrap();
        let mode = fs::metadata(to.path().join("sub/run"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o750);
        assert!(!to.path().join("skip.o").exists());
        assert!(!to.path().join("sub/link").exists());
    }

    #[test]
    fn a_scratch_directory_goes_away_with_read_only_ones_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(parent.path(), "x-").unwrap();
        let inner = scratch.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("f"), "x").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o500)).unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
