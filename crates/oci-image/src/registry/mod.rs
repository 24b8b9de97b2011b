//! Registries (OCI distribution 1.1): what is asked of them, and what is sent.
//!
//! A [`RegistryClient`] speaks with registries by the [options](RegistryOptions) it was given: over HTTPS, or HTTP where
//! that is allowed or the registry is on this machine; with the user's [credentials](DockerConfig), for which it gets
//! tokens; again, where that can help. [`publish`] sends images: only what a registry has not got, in parallel, large
//! blobs in parts that are gone on with where a connection broke, and tags last of all. It blocks its thread.
//!
//! ```
//! use oci_image::registry::{RegistryClient, RegistryOptions, publish};
//! use oci_image::{Annotations, BlobSource, Compression, Image, ImageIndex, ImageSpec, LayerWriter, Platform, Timestamp};
//!
//! # let server = testkit::RegistryServer::start();
//! # let registry = server.authority();
//! let (layer, blob) = LayerWriter::new(Vec::new(), Compression::default())?.finish()?;
//! let spec = ImageSpec::new(Platform::linux("amd64"), Timestamp::default());
//! let image = Image::new(&spec, vec![(layer, BlobSource::Memory(blob.into()))], None)?;
//! let index = ImageIndex::new(vec![image], &Annotations::default(), &Timestamp::default())?;
//!
//! // `registry` is such as ghcr.io
//! let client = RegistryClient::new(RegistryOptions::default());
//! let tags = [format!("{registry}/team/web:1.0").parse()?, format!("{registry}/team/web:latest").parse()?];
//! let published = publish(&client, &index, &tags, &[])?;
//! assert_eq!(published.reference, format!("{registry}/team/web@{}", index.digest()));
//!
//! // All of it is there by now.
//! assert_eq!(publish(&client, &index, &tags, &[])?.sent_bytes, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
mod call;
mod client;
mod credentials;
mod error;
mod publish;
mod token;
mod upload;

use std::fmt;
use std::sync::Arc;

use crate::Digest;

#[doc(hidden)]
pub use auth::parse_challenge;
pub use client::{Access, RegistryClient, Repository};
pub use credentials::{CredentialsError, DockerConfig, RegistryLogin, helper_store, with_login};
pub use error::RegistryError;
pub use publish::{Published, publish};

/// Is told what happens, by several threads.
pub type RegistryWatch = dyn Fn(&RegistryEvent<'_>) + Send + Sync;

/// How registries are spoken with: plain data, nothing of it out of the environment.
#[derive(Clone)]
pub struct RegistryOptions {
    /// How requests are made. Its credentials are not for registries.
    pub http: http_exchange::Options,
    /// The user's credentials; none by default.
    pub credentials: DockerConfig,
    /// Speaks HTTP with registries that do not speak HTTPS. With one on this machine that is always allowed.
    pub allow_http: bool,
    /// The size in bytes of the parts in which large blobs are sent; 64 MiB by default, which proxies let through.
    pub part_size: u64,
    /// Who is told what happens.
    pub watch: Option<Arc<RegistryWatch>>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            http: http_exchange::Options {
                user_agent: concat!("oci-image/", env!("CARGO_PKG_VERSION")).to_owned(),
                ..http_exchange::Options::default()
            },
            credentials: DockerConfig::default(),
            allow_http: false,
            part_size: 64 << 20,
            watch: None,
        }
    }
}

impl RegistryOptions {
    fn tell(&self, event: &RegistryEvent<'_>) {
        if let Some(watch) = &self.watch {
            watch(event);
        }
    }
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryOptions")
            .field("http", &self.http)
            .field("credentials", &self.credentials)
            .field("allow_http", &self.allow_http)
            .field("part_size", &self.part_size)
            .finish_non_exhaustive()
    }
}

/// What happens while an image is published. Attempts that failed are told by the events of `http_exchange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryEvent<'a> {
    /// The registry has a blob or manifest already.
    Exists {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// The registry took a blob over from another repository of its own.
    Mounted {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The other repository.
        from: &'a str,
    },
    /// A part of a blob was sent.
    Sending {
        /// The blob.
        digest: Digest,
        /// How many bytes were sent so far; less than before where some must be sent again.
        sent: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// The registry has a blob or manifest now.
    Sent {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A tag names the image now.
    Tagged {
        /// The tag, complete.
        tag: &'a str,
        /// Whether it did so before.
        is_unchanged: bool,
    },
}
