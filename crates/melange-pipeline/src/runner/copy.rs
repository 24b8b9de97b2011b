//! Files on their way into a guest and out of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{GuestPath, HostPath, RunnerError, SessionSpec};

impl SessionSpec {
    /// Copies a file or a directory of the host into the guest.
    pub(super) fn copy_in(&self, from: &HostPath, to: &GuestPath) -> Result<(), RunnerError> {
        let failed = |source| RunnerError::Copy {
            path: to.clone(),
            direction: "into",
            source,
        };
        copy_tree(from.as_path(), &self.on_host(to, true)?).map_err(failed)
    }

    /// Copies a file or a directory of the guest to the host.
    pub(super) fn copy_out(&self, from: &GuestPath, to: &HostPath) -> Result<(), RunnerError> {
        let failed = |source| RunnerError::Copy {
            path: from.clone(),
            direction: "out of",
            source,
        };
        copy_tree(&self.on_host(from, false)?, to.as_path()).map_err(failed)
    }

    /// The host's path of a path in the guest, through the innermost mount; no symbolic link is followed. Under an
    /// overlay that is the changed file or, unless it is to be written, the original.
    fn on_host(&self, path: &GuestPath, write: bool) -> Result<PathBuf, RunnerError> {
        let mounts = self.mounts.iter();
        let mounts = mounts.filter_map(|mount| Some((&mount.source, path.below(&mount.target)?)));
        if let Some((base, rest)) = mounts.min_by_key(|(_, rest)| rest.len()) {
            return below(base, rest, path);
        }
        let Some(overlay) = &self.overlay else {
            return below(&self.root, path.as_str(), path);
        };
        let changed = below(&overlay.upper, path.as_str(), path)?;
        if write || changed.exists() {
            return Ok(changed);
        }
        let mut original = changed;
        for tree in &overlay.lower {
            original = below(tree, path.as_str(), path)?;
            if original.exists() {
                break;
            }
        }
        Ok(original)
    }
}

fn below(base: &HostPath, rest: &str, path: &GuestPath) -> Result<PathBuf, RunnerError> {
    let mut host = base.as_path().to_owned();
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        host.push(part);
        if host.is_symlink() {
            return Err(RunnerError::SymlinkInPath {
                path: path.clone(),
                link: HostPath(host),
            });
        }
    }
    Ok(host)
}

/// Copies a file, a symbolic link as such, or a directory with all below it.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
        Ok(())
    } else if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)
    } else {
        fs::copy(from, to).map(drop)
    }
}
