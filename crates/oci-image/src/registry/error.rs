//! What can go wrong with a registry.

use std::io;

use http_exchange::{HttpError, UrlError};

use super::credentials::CredentialsError;
use crate::Digest;

/// Why something could not be read from, or written to, a registry. Nothing here has a password in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A registry has a name that makes no URL.
    #[error("{registry}: {source}")]
    Name {
        /// The registry.
        registry: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// A request failed.
    #[error("cannot {action} {source}")]
    Http {
        /// The registry.
        registry: String,
        /// The repository in it.
        repository: String,
        /// The blob or manifest that it was about.
        digest: Option<Digest>,
        /// The status that the registry answered with, if it did.
        status: Option<u16>,
        /// What was tried, as a verb.
        action: &'static str,
        /// What went wrong; it names the blob, manifest or tag.
        source: HttpError,
    },
    /// The registry does not know the user, or does not let the user do this.
    #[error("{registry} does not allow to {action} {repository} ({status}{}){detail}", match .with_login {
        true => ", with the credentials that were sent",
        false => "; no credentials for it were found",
    })]
    Denied {
        /// The registry.
        registry: String,
        /// The repository in it.
        repository: String,
        /// The status, 401 or 403.
        status: u16,
        /// What was tried, as a verb.
        action: &'static str,
        /// Whether a user name and password, or a token, were sent.
        with_login: bool,
        /// What the registry says of it, behind `: `.
        detail: String,
    },
    /// What the registry keeps is not what was sent.
    #[error("{registry}/{repository}: the registry has {found} where {digest} was sent")]
    WrongDigest {
        /// The registry.
        registry: String,
        /// The repository in it.
        repository: String,
        /// What was sent.
        digest: Digest,
        /// What the registry says it has.
        found: String,
    },
    /// The registry lost an upload each time it was begun.
    #[error("{registry}/{repository}@{digest}: the registry lost the upload {times} times")]
    UploadLost {
        /// The registry.
        registry: String,
        /// The repository in it.
        repository: String,
        /// The blob.
        digest: Digest,
        /// How often.
        times: u32,
    },
    /// What the registry answers is not what registries answer.
    #[error("{registry}/{repository}: the answer cannot be understood: {reason}")]
    Protocol {
        /// The registry.
        registry: String,
        /// The repository in it.
        repository: String,
        /// What is wrong.
        reason: String,
    },
    /// A registry over https:// wants credentials to go over http://.
    #[error("{registry} wants credentials to be sent to {realm}, which is not encrypted")]
    UnsafeRealm {
        /// The registry.
        registry: String,
        /// Where they should go.
        realm: String,
    },
    /// The user's credentials for a registry cannot be had.
    #[error("the credentials for {registry}: {source}")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why.
        source: CredentialsError,
    },
    /// A blob that the registry does not have is not here either.
    #[error(
        "{registry}/{repository}@{digest}: the registry had this blob when the image was built, and has it no more"
    )]
    Gone {
        /// The registry.
        registry: String,
        /// The repository in it.
        repository: String,
        /// The blob.
        digest: Digest,
    },
    /// A blob cannot be read here.
    #[error("cannot read {digest}, which is to be uploaded: {source}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody ended the work, or something else failed.
    #[error("cancelled")]
    Cancelled,
}

impl RegistryError {
    /// The status code, if the registry gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http { status, .. } => *status,
            Self::Denied { status, .. } => Some(*status),
            _ => None,
        }
    }
}
