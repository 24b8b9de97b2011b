//! What can be wrong with a package.

use std::io;

use apk_types::Checksum;
use tarball::ReadError;

use crate::split::{CONTROL, DATA, SIGNATURE};
use crate::{PkgInfoError, SignatureError};

/// A package that could not be read or is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("package `{package}`: {problem}")]
pub struct PackageError {
    /// The package, as the caller named it.
    pub package: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Problem {
    #[error("it is an apk v3 (ADB) {what}, which is not supported yet; only apk v2 is")]
    ApkV3 { what: &'static str },
    #[error("the {section} is not gzip")]
    NotGzip { section: &'static str },
    #[error("the {section} is truncated")]
    Truncated { section: &'static str },
    #[error("it is truncated: it has {actual} bytes, but the index says {expected}")]
    Short { actual: u64, expected: u64 },
    #[error("the {section} is corrupt: it does not inflate to what its checksum says")]
    Corrupt { section: &'static str },
    #[error("the {section} is followed by {bytes} bytes that do not belong to the package")]
    TrailingGarbage { section: &'static str, bytes: usize },
    #[error(
        "the {section} inflates to more than the limit of {limit} bytes{}",
        flag(section)
    )]
    TooLarge { section: &'static str, limit: u64 },
    #[error("there is not enough memory to inflate the {section}")]
    OutOfMemory { section: &'static str },
    #[error("the {section} is not a tar archive that can be read: {source}")]
    Tar {
        section: &'static str,
        source: ReadError,
    },
    #[error("the control section has no `.PKGINFO`")]
    NoPkgInfo,
    #[error(".PKGINFO: {0}")]
    PkgInfo(PkgInfoError),
    #[error("the control section's checksum is {actual}, but the index says {expected}")]
    ControlChecksum { expected: Checksum, actual: Checksum },
    #[error("the control section: {0}")]
    Signature(SignatureError),
    #[error("`.PKGINFO` states no `datahash`, so the data section cannot be trusted")]
    NoDataHash,
    #[error("the data section's SHA-256 is {actual}, but `.PKGINFO` says {expected}")]
    DataHash { expected: String, actual: String },
    #[error("`{member}` {reason}")]
    UnsafeMember { member: String, reason: &'static str },
    #[error("`{member}` has the SHA-1 {actual}, but its tar header says {expected}")]
    FileChecksum {
        member: String,
        expected: String,
        actual: String,
    },
    #[error("reading it: {0}")]
    Io(io::Error),
}

/// Gives back a problem that came out of a reader, and takes any other error as it is.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.downcast() {
            Ok(problem) => problem,
            Err(error) => Self::Io(error),
        }
    }
}

/// As readers tell it.
impl From<Problem> for io::Error {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Io(error) => error,
            problem => Self::new(io::ErrorKind::InvalidData, problem),
        }
    }
}

/// The option of apko that raises the limit of a section.
fn flag(section: &str) -> &'static str {
    match section {
        SIGNATURE | CONTROL => " (apko: --max-apk-control-size)",
        DATA => " (apko: --max-apk-data-size)",
        "index" => " (apko: --max-apkindex-decompressed-size)",
        _ => "",
    }
}

impl Problem {
    /// Names the package that has the problem.
    pub fn of(self, package: &str) -> PackageError {
        PackageError {
            package: package.to_owned(),
            problem: self,
        }
    }
}
