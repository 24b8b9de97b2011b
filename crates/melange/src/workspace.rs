//! The sources that a workspace begins with.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::BuildError;
use crate::ignore::Rules;
use crate::parallel::in_parallel;
use crate::scratch::io_error;

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

/// Copies the regular files of a source directory with their permissions; links and special files stay behind.
///
/// Their owner may write all copies, even of files that nobody may write: steps patch them, and what is built must not
/// depend on how the sources were checked out.
pub(crate) fn copy_sources(from: &Path, ignore_file: &str, to: &Path) -> Result<(), BuildError> {
    // All is listed before the first copy, for the workspace may lie below the sources.
    let files = source_files(from, ignore_file)?;
    let mut made = None;
    for parent in files.iter().filter_map(|file| file.parent()) {
        if made.replace(parent) != Some(parent) {
            let directory = to.join(parent);
            fs::create_dir_all(&directory).map_err(io_error("making", &directory))?;
        }
    }
    // Threads that make files in the same directory would wait for each other.
    let directories: Vec<_> = files.chunk_by(|a, b| a.parent() == b.parent()).collect();
    let copied = in_parallel(&directories, |files| {
        files.iter().try_for_each(|file| {
            let source = from.join(file);
            copy_file(&source, &to.join(file)).map_err(io_error("copying into the workspace", &source))
        })
    });
    copied.map(drop)
}

/// The regular files of a source directory that a build begins with, relative to it: all but those that its ignore file names.
///
/// # Errors
/// When the directory or the ignore file cannot be read.
pub fn source_files(from: &Path, ignore_file: &str) -> Result<Vec<PathBuf>, BuildError> {
    let ignore_path = from.join(ignore_file);
    let rules = match fs::read_to_string(&ignore_path) {
        Ok(text) => Rules::parse(&text).map_err(|error| BuildError::Configuration {
            reason: format!("`{}`: {error}", ignore_path.display()),
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Rules::default(),
        Err(error) => return Err(io_error("reading", &ignore_path)(error)),
    };
    let mut files = Vec::new();
    list(from, Path::new(""), &rules, &mut files)?;
    Ok(files)
}

fn copy_file(source: &Path, target: &Path) -> io::Result<()> {
    fs::copy(source, target)?;
    let mode = target.metadata()?.permissions().mode();
    match mode & 0o200 {
        0 => fs::set_permissions(target, fs::Permissions::from_mode(mode | 0o200)),
        _ => Ok(()),
    }
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
        fs::write(source.join("read-only"), "x").unwrap();
        fs::set_permissions(source.join("read-only"), fs::Permissions::from_mode(0o444)).unwrap();
        fs::write(source.join("skip.o"), "x").unwrap();
        fs::write(source.join(".melangeignore"), "*.o\n").unwrap();
        std::os::unix::fs::symlink("run", source.join("sub/link")).unwrap();
        copy_sources(source, ".melangeignore", to.path()).unwrap();
        let mode = |name| fs::metadata(to.path().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("sub/run"), 0o750);
        assert_eq!(mode("read-only"), 0o644);
        assert!(!to.path().join("skip.o").exists());
        assert!(!to.path().join("sub/link").exists());
    }
}
