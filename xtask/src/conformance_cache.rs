//! The image set with caches that stay from run to run, one for each case: empty, full, damaged, and of an older release.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::tools::At as _;

/// One file in so many is damaged.
const DAMAGED: usize = 3;

/// A cache for each case that stays, by way of a script that stands for apko: the checker gives each an empty one. It is not
/// one for all, since a package that one case has may be damaged in the repository of another.
pub(crate) struct KeptCaches {
    directory: tempfile::TempDir,
}

impl KeptCaches {
    /// Empty ones for an apko.
    pub(crate) fn new(apko: &Path) -> Outcome<Self> {
        let kept = Self {
            directory: tempfile::tempdir()?,
        };
        let script = format!(
            "#!/bin/sh\n\
             # The arguments, with the directory of the case behind --cache-dir.\n\
             for argument; do\n\
             \tcase $argument in cases/*/apko.yaml) home='{home}'/${{argument%/apko.yaml}} ;; esac\n\
             done\n\
             for argument; do\n\
             \tshift\n\
             \t[ \"$previous\" != --cache-dir ] || argument=$home/apko\n\
             \tset -- \"$@\" \"$argument\"\n\
             \tprevious=$argument\n\
             done\n\
             said=$(mktemp)\n\
             XDG_CACHE_HOME=$home '{apko}' \"$@\" 2>\"$said\"\n\
             status=$?\n\
             tee -a '{log}' <\"$said\" >&2\n\
             rm \"$said\"\n\
             exit $status\n",
            home = kept.directory.path().display(),
            apko = apko.display(),
            log = kept.log().display(),
        );
        let path = kept.script();
        fs::write(&path, script).at(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).at(&path)?;
        Ok(kept)
    }

    /// What stands for apko.
    pub(crate) fn script(&self) -> PathBuf {
        self.directory.path().join("apko-with-kept-cache")
    }

    /// The layouts of all caches.
    fn layouts(&self) -> Outcome<Vec<PathBuf>> {
        let cases = self.directory.path().join("cases");
        let mut layouts = Vec::new();
        for case in fs::read_dir(&cases).at(&cases)? {
            let layout = case?.path().join("apko/v2");
            if layout.is_dir() {
                layouts.push(layout);
            }
        }
        Ok(layouts)
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("said")
    }

    /// Changes a byte in the middle of every third file; how many that was.
    pub(crate) fn damage(&self) -> Outcome<usize> {
        let mut files = self.files()?;
        files.sort();
        let damaged = files.iter().step_by(DAMAGED);
        for path in damaged.clone() {
            let mut bytes = fs::read(path).at(path)?;
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0x10;
            }
            // A file of its own: blobs share theirs with layouts.
            fs::remove_file(path).at(path)?;
            fs::write(path, bytes).at(path)?;
        }
        Ok(damaged.len())
    }

    /// Leaves the caches as an earlier release would have: their layouts under another name, and packages that end with the mark
    /// of another format.
    pub(crate) fn make_older(&self) -> Outcome {
        for path in self.files()? {
            if path.components().any(|part| part.as_os_str() == "packages") {
                let mut bytes = fs::read(&path).at(&path)?;
                if let Some(last) = bytes.last_mut() {
                    *last = b'0';
                }
                fs::write(&path, bytes).at(&path)?;
            }
        }
        for layout in self.layouts()? {
            let earlier = layout.with_file_name("v1");
            fs::create_dir(&earlier).at(&earlier)?;
            for kind in fs::read_dir(&layout).at(&layout)? {
                let kind = kind?.path();
                // The packages stay where they are looked for.
                if !kind.ends_with("packages") {
                    let name = kind.file_name().unwrap_or_default();
                    fs::rename(&kind, earlier.join(name)).at(&kind)?;
                }
            }
        }
        Ok(())
    }

    /// How often damage was told since the last call.
    pub(crate) fn told(&self) -> Outcome<usize> {
        let path = self.log();
        let said = fs::read_to_string(&path).at(&path)?;
        fs::write(&path, "").at(&path)?;
        let is_told = |line: &&str| line.contains("damaged") && line.contains("made anew");
        Ok(said.lines().filter(is_told).count())
    }

    fn files(&self) -> Outcome<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut pending = self.layouts()?;
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(&directory).at(&directory)? {
                let entry = entry?;
                match entry.file_type()?.is_dir() {
                    true => pending.push(entry.path()),
                    false => found.push(entry.path()),
                }
            }
        }
        Ok(found)
    }
}
