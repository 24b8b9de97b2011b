//! What can go wrong with repositories.

use std::io;

use apk_index::IndexError;
use apk_package::{KeyError, PackageError};
use http_exchange::{HttpError, UrlError};

/// Why a part of a repository could not be had. `at` is a file or a URL, without user name and password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// A repository or a key is not where anything can be fetched from.
    #[error("{at}: {source}")]
    Url {
        /// The URL.
        at: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// What should be a text is not UTF-8.
    #[error("{at}: it is not UTF-8")]
    NotText {
        /// The URL.
        at: String,
    },
    /// A file could not be read.
    #[error("{at}: {source}")]
    Read {
        /// The file.
        at: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something could not be fetched.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The cache cannot be used.
    #[error("{reason}")]
    Cache {
        /// What is wrong with it.
        reason: String,
    },
    /// What should be a key is none.
    #[error("{at}: {source}")]
    Key {
        /// The file or URL.
        at: String,
        /// What is wrong.
        source: KeyError,
    },
    /// A repository announces its keys in a way that cannot be read.
    #[error("{at}: {reason}")]
    Announcement {
        /// The document.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// An index is malformed, or no trusted key signed it.
    #[error("{at}: {source}")]
    Index {
        /// The file or URL.
        at: String,
        /// What is wrong.
        source: IndexError,
    },
    /// The index states no checksum for a package, so that nothing ties its file to the index.
    #[error("the index of {location} has no checksum for {package}")]
    NoChecksum {
        /// The repository.
        location: String,
        /// The package, `NAME-VERSION`.
        package: String,
    },
    /// A package has more bytes than the index says.
    #[error("{at}: it has more than the {expected} bytes that the index says")]
    Size {
        /// The file or URL.
        at: String,
        /// The size in the index, in bytes.
        expected: u64,
    },
    /// A package is not what the index says, or malformed.
    #[error("{at}: {source}")]
    Package {
        /// The file or URL.
        at: String,
        /// What is wrong.
        source: PackageError,
    },
    /// A source file is not what its checksum says.
    #[error("{at}: its checksum is {found}, expected was {expected}")]
    Hash {
        /// The URL.
        at: String,
        /// What it should be, `sha256:` or `sha512:` and the digits.
        expected: String,
        /// What it is.
        found: String,
    },
    /// None of several places gives a source file.
    #[error("no place gives it:{}", one_a_line(.errors))]
    NoMirror {
        /// What went wrong at each.
        errors: Vec<RepositoryError>,
    },
}

fn one_a_line(errors: &[RepositoryError]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}
