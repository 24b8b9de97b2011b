//! What is remembered from one run to the next, so that what did not change is not done again.
//!
//! Nothing depends on it: a snapshot that is missing, damaged or of another version costs time alone.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::definition::CompiledFile;
use crate::solution::{Packed, Solution};
use crate::stamps::{Content, Stamps};

/// To be changed with what is kept.
const VERSION: &str = concat!("melange-workspace snapshot 1 ", env!("CARGO_PKG_VERSION"));

/// The directory of snapshots.
#[derive(Debug)]
pub(crate) struct Snapshot {
    directory: PathBuf,
}

impl Snapshot {
    pub(crate) fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    pub(crate) fn stamps(&self) -> Stamps {
        Stamps::load(&self.read("stamps").unwrap_or_default())
    }

    /// What was compiled with the same settings.
    pub(crate) fn compiled(&self, settings: &Content) -> Vec<CompiledFile> {
        let (of, files): (Content, Vec<CompiledFile>) = self.load("compiled").unwrap_or_default();
        if of == *settings { files } else { Vec::new() }
    }

    pub(crate) fn solutions(&self) -> HashMap<Content, Solution> {
        let packed: Packed = self.load("solutions").unwrap_or_default();
        packed.unpack().collect()
    }

    pub(crate) fn save_stamps(&self, stamps: &Stamps) -> io::Result<()> {
        let (bytes, is_new) = stamps.save();
        if is_new {
            self.write("stamps", &bytes)
        } else {
            Ok(())
        }
    }

    pub(crate) fn save_compiled(&self, settings: &Content, files: &[CompiledFile]) -> io::Result<()> {
        self.store("compiled", &(settings, files))
    }

    pub(crate) fn save_solutions<'a>(
        &self,
        solutions: impl Iterator<Item = (&'a Content, &'a Solution)>,
    ) -> io::Result<()> {
        self.store("solutions", &Packed::pack(solutions))
    }

    fn load<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        postcard::from_bytes(&self.read(name)?).ok()
    }

    fn store(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.write(name, &postcard::to_stdvec(value).map_err(io::Error::other)?)
    }

    /// The bytes of a file without what says that they are whole.
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.directory.join(name)).ok()?;
        let rest = bytes.strip_prefix(VERSION.as_bytes())?;
        let (hash, content) = rest.split_at_checked(32)?;
        (blake3::hash(content).as_bytes() == hash).then_some(())?;
        bytes.drain(..VERSION.len() + 32);
        Some(bytes)
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let hash = blake3::hash(content);
        write_whole(
            &self.directory.join(name),
            &[VERSION.as_bytes(), hash.as_bytes(), content],
        )
    }
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_or_of_another_version_counts_as_missing() {
        let directory = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::at(directory.path());
        snapshot.write("x", b"content").unwrap();
        assert_eq!(snapshot.read("x").unwrap(), b"content");
        let path = directory.path().join("x");
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(snapshot.read("x"), None, "{at}");
        }
        fs::write(&path, &bytes[..VERSION.len() + 3]).unwrap();
        assert_eq!(snapshot.read("x"), None);
    }
}
