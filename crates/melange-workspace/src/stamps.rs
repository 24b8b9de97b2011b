//! What files contain, without reading those that did not change.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A hash of a content.
pub(crate) type Content = [u8; 32];

/// A file that is written within this time before it is looked at may change again without its time telling, in
/// nanoseconds: the times of file systems are coarse.
const RACY: i128 = 2_000_000_000;

/// What tells that a file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified: i128,
    changed: i128,
    inode: u64,
    content: Content,
}

/// The stamps of files by their paths, which start where the caller has them start.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    known: HashMap<String, Stamp>,
    seen: Mutex<HashMap<String, Stamp>>,
}

impl Stamps {
    /// Those of an earlier run.
    pub(crate) fn load(bytes: &[u8]) -> Self {
        let known: Vec<(String, Stamp)> = postcard::from_bytes(bytes).unwrap_or_default();
        Self {
            known: known.into_iter().collect(),
            seen: Mutex::default(),
        }
    }

    /// Those of this run, for a later one; and whether they are others than those that were loaded.
    pub(crate) fn save(&self) -> (Vec<u8>, bool) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = seen.iter().collect();
        list.sort_by_key(|(path, _)| path.as_str());
        let is_new = *seen != self.known;
        (postcard::to_stdvec(&list).unwrap_or_default(), is_new)
    }

    /// The hash of a file's content.
    pub(crate) fn content(&self, name: &str, path: &Path) -> io::Result<Content> {
        self.content_with(name, path, || {
            fs::read(path).map(|bytes| (*blake3::hash(&bytes).as_bytes(), ()))
        })
        .map(|(content, _)| content)
    }

    /// The hash of a file's content and, where that had to be read, what `read` made of it.
    pub(crate) fn content_with<T>(
        &self,
        name: &str,
        path: &Path,
        read: impl FnOnce() -> io::Result<(Content, T)>,
    ) -> io::Result<(Content, Option<T>)> {
        let metadata = fs::metadata(path)?;
        let time =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        let mut stamp = Stamp {
            size: metadata.size(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            content: [0; 32],
        };
        let known = self.known.get(name);
        let is_known = |known: &&Stamp| {
            Stamp {
                content: known.content,
                ..stamp
            } == **known
        };
        let (content, made) = match known.filter(is_known) {
            Some(known) => (known.content, None),
            None => read().map(|(content, made)| (content, Some(made)))?,
        };
        stamp.content = content;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_settled =
            i128::try_from(now.as_nanos()).unwrap_or_default() - stamp.changed.max(stamp.modified) > RACY;
        if is_settled {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(name.to_owned(), stamp);
        }
        Ok((content, made))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settle(path: &Path) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60))
            .unwrap();
    }

    #[test]
    fn a_file_that_was_just_written_is_read_again_and_a_changed_one_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "one").unwrap();
        settle(&path);
        let stamps = Stamps::default();
        let first = stamps.content("file", &path).unwrap();
        // Its status changed just now, so that nothing can be said by its times.
        let (bytes, _) = stamps.save();
        assert!(Stamps::load(&bytes).known.is_empty());

        fs::write(&path, "two").unwrap();
        let stamps = Stamps::load(&bytes);
        assert_ne!(stamps.content("file", &path).unwrap(), first);
        assert!(stamps.content("none", &directory.path().join("none")).is_err());
    }

    #[test]
    fn a_file_that_is_known_is_not_read() {
        let path = Path::new("/proc/self/exe");
        let stamps = Stamps::default();
        let read = |content: u8| move || Ok(([content; 32], ()));
        assert_eq!(
            stamps.content_with("exe", path, read(1)).unwrap(),
            ([1; 32], Some(()))
        );
        let (bytes, is_new) = stamps.save();
        let stamps = Stamps::load(&bytes);
        let again = stamps.content_with("exe", path, read(2)).unwrap();
        // The test program may have been linked within the last seconds.
        match is_new {
            true => assert_eq!(again, ([1; 32], None)),
            false => assert_eq!(again, ([2; 32], Some(()))),
        }
    }
}
