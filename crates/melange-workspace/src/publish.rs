//! Results put where people look for them: the repository of packages and the layouts of images.
//!
//! A directory is made beside the one that is there and takes its place in one step, so that at every moment it is whole: that
//! of before, or that of after.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use build_graph::{Blob, Failure, Problem, ResultFile, Stores};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use crate::snapshot::write_whole;

/// What was put into a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    /// Files by their path below the directory.
    files: BTreeMap<String, Blob>,
}

impl Manifest {
    /// What may be there when it is not known which of two is. A file that not both have, and the same, is of a size that no
    /// file can have.
    fn or(&self, other: &Self) -> Self {
        let unsure = |blob: &Blob| Blob {
            size: u64::MAX,
            ..*blob
        };
        let all = self.files.iter().chain(&other.files);
        let files = all.map(|(path, blob)| {
            let is_sure = self.files.get(path) == other.files.get(path);
            (path.clone(), if is_sure { *blob } else { unsure(blob) })
        });
        Self {
            files: files.collect(),
        }
    }
}

fn to_bytes(manifest: &Manifest) -> io::Result<Vec<u8>> {
    serde_json::to_vec(manifest).map_err(io::Error::other)
}

/// How the names of directories begin that are on their way to their places.
const STAGE: &str = ".melange-new-";

/// Removes what killed builds left among the directories of results. No other build publishes in the workspace now.
fn clear_up(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(STAGE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Puts results into directories.
pub(crate) struct Publisher<'a> {
    pub(crate) stores: &'a Stores,
    /// Where it is remembered what was put where.
    pub(crate) manifests: PathBuf,
    pub(crate) tell: &'a (dyn Fn(Problem) + Sync),
}

impl Publisher<'_> {
    /// Makes `directory` have these files and those of others, and no more of those that were put there before. `name` tells it from other
    /// directories. Says whether anything changed.
    pub(crate) fn publish(
        &self,
        name: &str,
        directory: &Path,
        files: &[ResultFile],
    ) -> Result<bool, Failure> {
        let manifest_path = self.manifests.join(name);
        let before: Manifest = fs::read(&manifest_path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let wanted = Manifest {
            files: files.iter().map(|file| (file.name.clone(), file.blob)).collect(),
        };
        let is_there = |(path, blob): (&String, &Blob)| {
            let found = fs::symlink_metadata(directory.join(path));
            found.is_ok_and(|found| found.is_file() && found.len() == blob.size)
        };
        if before == wanted && wanted.files.iter().all(is_there) {
            return Ok(false);
        }
        let parent = directory.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        fs::create_dir_all(&self.manifests)?;
        clear_up(parent);
        let stage = tempfile::Builder::new().prefix(STAGE).tempdir_in(parent)?;
        for (path, blob) in &wanted.files {
            let to = stage.path().join(path);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            let from = directory.join(path);
            let is_same = before.files.get(path) == Some(blob) && is_there((path, blob));
            if !is_same || fs::hard_link(&from, &to).is_err() {
                self.stores.fetch(blob, &to, self.tell)?;
            }
        }
        keep_others(directory, stage.path(), Path::new(""), &before)?;
        set_mode(stage.path())?;
        // Whichever of the two is there after a kill: what both may have put there is not taken for that of others.
        write_whole(&manifest_path, &[&to_bytes(&before.or(&wanted))?])?;
        exchange(stage.path(), directory)?;
        write_whole(&manifest_path, &[&to_bytes(&wanted)?])?;
        Ok(true)
    }

    /// Removes a directory that has nothing in it but what was put there, and forgets it.
    pub(crate) fn withdraw(&self, name: &str, directory: &Path) -> io::Result<()> {
        let manifest_path = self.manifests.join(name);
        let Ok(bytes) = fs::read(&manifest_path) else {
            return Ok(());
        };
        let before: Manifest = serde_json::from_slice(&bytes).unwrap_or_default();
        for path in before.files.keys() {
            let _ = fs::remove_file(directory.join(path));
        }
        remove_empty(directory);
        fs::remove_file(&manifest_path)
    }

    /// The names of the directories that something was put into.
    pub(crate) fn published(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.manifests).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

/// Removes directories as far as nothing is in them.
fn remove_empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

/// Takes over the files that others put into a directory.
fn keep_others(from: &Path, to: &Path, below: &Path, before: &Manifest) -> io::Result<()> {
    let entries = match fs::read_dir(from.join(below)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let target = to.join(&path);
        if entry.file_type()?.is_dir() {
            if path.to_string_lossy().starts_with(STAGE) {
                continue;
            }
            keep_others(from, to, &path, before)?;
        } else if !before.files.contains_key(&path.to_string_lossy().into_owned()) && !target.exists() {
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::hard_link(from.join(&path), &target)?;
        }
    }
    Ok(())
}

/// Gives a temporary directory the mode of other directories.
fn set_mode(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
}

/// Puts a directory in the place of another one; what was there is in its place then.
fn exchange(new: &Path, place: &Path) -> io::Result<()> {
    if !place.exists() {
        return fs::rename(new, place);
    }
    match renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Not every file system can. Then there is nothing in the place for a moment.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            let aside = place.with_file_name(format!(".old-{}", std::process::id()));
            fs::rename(place, &aside)?;
            fs::rename(new, place)?;
            fs::rename(&aside, new)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use build_graph::DirectoryStore;

    use super::*;

    struct Case {
        directory: tempfile::TempDir,
        stores: Stores,
    }

    impl Case {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let stores = Stores::new(DirectoryStore::at(directory.path().join("store")));
            Self { directory, stores }
        }

        fn file(&self, name: &str, content: &str) -> ResultFile {
            let path = self.directory.path().join("content");
            fs::write(&path, content).unwrap();
            ResultFile {
                name: name.to_owned(),
                blob: self.stores.local().keep(&path).unwrap(),
            }
        }

        fn out(&self) -> PathBuf {
            self.directory.path().join("out/x86_64")
        }

        fn publish(&self, files: &[ResultFile]) -> bool {
            let publisher = Publisher {
                stores: &self.stores,
                manifests: self.directory.path().join("manifests"),
                tell: &|_| {},
            };
            publisher.publish("x86_64", &self.out(), files).unwrap()
        }

        fn listed(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(self.out())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn what_a_killed_build_left_is_removed_and_what_it_may_have_put_there_is_known() {
        let case = Case::new();
        let [old, stays, new] =
            [("a", "old"), ("b", "b"), ("a", "new")].map(|(name, text)| case.file(name, text));
        let gone = case.file("gone", "");
        case.publish(&[old.clone(), stays.clone(), gone.clone()]);
        let manifest = |files: &[ResultFile]| Manifest {
            files: files.iter().map(|file| (file.name.clone(), file.blob)).collect(),
        };
        let (before, wanted) = (
            manifest(&[old, stays.clone(), gone]),
            manifest(&[new.clone(), stays.clone()]),
        );
        // A build was killed before the one took the place of the other, and one after that.
        let path = case.directory.path().join("manifests/x86_64");
        let left = case.directory.path().join("out/.melange-new-1");
        for text in ["old", "new"] {
            fs::write(&path, to_bytes(&before.or(&wanted)).unwrap()).unwrap();
            fs::remove_file(case.out().join("a")).unwrap();
            fs::write(case.out().join("a"), text).unwrap();
            fs::create_dir_all(&left).unwrap();
            fs::write(left.join("a"), "").unwrap();
            assert!(case.publish(&[new.clone(), stays.clone()]));
            assert_eq!(fs::read_to_string(case.out().join("a")).unwrap(), "new");
            assert_eq!(case.listed(), ["a", "b"]);
            assert!(!left.exists());
        }
    }

    #[test]
    fn what_is_published_is_there_and_what_no_longer_is_goes_and_others_files_stay() {
        let case = Case::new();
        let (a, b) = (case.file("a.apk", "a"), case.file("blobs/b", "b"));
        assert!(case.publish(&[a.clone(), b]));
        assert_eq!(case.listed(), ["a.apk", "blobs"]);
        fs::write(case.out().join("mine"), "mine").unwrap();
        let new = case.file("a.apk", "new");
        assert!(case.publish(std::slice::from_ref(&new)));
        assert_eq!(case.listed(), ["a.apk", "mine"]);
        assert_eq!(fs::read_to_string(case.out().join("a.apk")).unwrap(), "new");
        assert!(!case.publish(std::slice::from_ref(&new)));
        assert_eq!(fs::read_dir(case.out().parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_somebody_removed_is_put_there_again() {
        let case = Case::new();
        let a = case.file("a.apk", "a");
        case.publish(std::slice::from_ref(&a));
        fs::remove_file(case.out().join("a.apk")).unwrap();
        assert!(case.publish(&[a]));
        assert_eq!(case.listed(), ["a.apk"]);
    }
}
