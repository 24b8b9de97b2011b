//! Why sources cannot be had.

use std::io;
use std::path::PathBuf;

use apk_repository::{RepositoryError, SourceHashError};
use melange_pipeline::runner::{ExitStatus, RunnerError};

/// Why sources cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourcesError {
    #[error("{0}")]
    Ended(RunnerError),
    #[error(transparent)]
    Fetch(#[from] RepositoryError),
    #[error(transparent)]
    Hash(#[from] SourceHashError),
    #[error("expected-sha256 or expected-sha512 must be given")]
    NoHash,
    #[error("`{file}` in the workspace has the checksum {found}, expected was {expected}")]
    Other {
        file: String,
        expected: String,
        found: String,
    },
    #[error("{input}: `{value}` is not {wanted}")]
    Input {
        input: &'static str,
        value: String,
        wanted: &'static str,
    },
    #[error("{action} `{}`: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the archive `{archive}` cannot be read: {source}")]
    Archive { archive: String, source: io::Error },
    #[error("the archive `{archive}` is refused: its member `{member}` {reason}")]
    Member {
        archive: String,
        member: String,
        reason: &'static str,
    },
    #[error("unpacking `{member}` of `{archive}`: {source}")]
    Unpack {
        archive: String,
        member: String,
        source: io::Error,
    },
    #[error("{reason}")]
    Refused { reason: String },
    #[error("`git {command}` ended with {status}")]
    Git { command: String, status: ExitStatus },
}

impl SourcesError {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
        }
    }
}
