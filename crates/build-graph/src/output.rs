//! What a node comes to.

use serde::{Deserialize, Serialize};

use crate::Hash;

/// A file in a store: the SHA-256 of its content, and its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// The SHA-256 of the content.
    pub hash: Hash,
    /// The size in bytes.
    pub size: u64,
}

/// A file of a result, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResultFile {
    /// Its name, such as `libgreet-dev-1.4-r0.apk`.
    pub name: String,
    /// Its content.
    pub blob: Blob,
}

/// A part of a result that can be used without the others: of a package build, each subpackage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name among the parts.
    pub name: String,
    /// A hash of what matters to those who use it: the content without the date and the commit of the build. Those who
    /// use it put this among their inputs, and nothing else of it.
    pub identity: Hash,
    /// Whatever its users need to know of it without reading its files, in a form of the caller's: a package's record in
    /// the index. At most [`Output::MAX_METADATA`] bytes.
    pub metadata: Vec<u8>,
    /// Its files.
    pub files: Vec<ResultFile>,
}

/// The result of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The parts, in the order of their names.
    pub parts: Vec<Part>,
    /// Files that go with the result and that nobody's result depends on: logs, provenance.
    pub extras: Vec<ResultFile>,
}

impl Output {
    /// The most bytes of metadata that a part may have.
    pub const MAX_METADATA: usize = 1 << 20;

    /// Parts in any order, and no other files.
    pub fn of(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut parts: Vec<Part> = parts.into_iter().collect();
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            parts,
            extras: Vec::new(),
        }
    }

    /// The part of a name.
    pub fn part(&self, name: &str) -> Option<&Part> {
        let at = self.parts.binary_search_by(|part| part.name.as_str().cmp(name));
        at.ok().map(|at| &self.parts[at])
    }

    /// The identity of the whole: a hash of the names of all parts and of their identities.
    pub fn identity(&self) -> Hash {
        Hash::of(
            self.parts
                .iter()
                .flat_map(|part| [part.name.as_bytes(), part.identity.as_bytes()]),
        )
    }

    /// All files, those of the parts first.
    pub fn files(&self) -> impl Iterator<Item = &ResultFile> {
        let of_parts = self.parts.iter().flat_map(|part| &part.files);
        of_parts.chain(&self.extras)
    }
}
