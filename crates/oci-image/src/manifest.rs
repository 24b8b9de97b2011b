//! Manifests, indexes and descriptors: what points at blobs.
//!
//! Fields are in the order in which go-containerregistry writes them, since digests cover it.

use crate::Digest;
use crate::config::or_default;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The media types that this crate writes or reads.
pub mod media_type {
    /// An image index: one manifest per platform.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An image config.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer: a tar compressed with gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A tar layer compressed with Zstandard (RFC 8878).
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// A layer: an EROFS file system, not compressed.
    pub const LAYER_EROFS: &str = "application/vnd.erofs";
    /// Docker's equivalent of [`INDEX`].
    pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's equivalent of [`MANIFEST`].
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
}

/// Points at a blob and says what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The kind of the blob; see [`media_type`].
    pub media_type: String,
    /// The blob's size in bytes.
    pub size: u64,
    /// The blob's digest.
    pub digest: Digest,
    /// The blob itself, base64, where it is embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Other places to fetch the blob from.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// Free-form annotations.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Where the image runs; in an index only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The media type of the image's config, in the entries of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Returns a descriptor of `data`, without annotations.
    pub fn of(media_type: &str, data: &[u8]) -> Self {
        Self::new(media_type, Digest::of(data), data.len() as u64)
    }

    /// Returns a descriptor with nothing but the three fields that every descriptor has.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            size,
            digest,
            data: None,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

/// The system and machine that an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name of the machine: `amd64`, `arm64`, `arm`, `386` ...
    pub architecture: String,
    /// The system, `linux` here.
    pub os: String,
    /// The version of the system, in images for Windows.
    #[serde(default, rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// What the system must be able to do, for example `erofs`.
    #[serde(
        default,
        rename = "os.features",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The version of the machine, `v6` or `v7` for `arm`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Reserved by the specification.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub features: Vec<String>,
}

impl Platform {
    /// Returns the Linux platform `architecture`, with a variant after a slash where there is one:
    /// `amd64`, `arm/v7`.
    pub fn linux(architecture: &str) -> Self {
        let (architecture, variant) = architecture.split_once('/').unwrap_or((architecture, ""));
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            os_version: String::new(),
            os_features: Vec::new(),
            variant: variant.to_owned(),
            features: Vec::new(),
        }
    }

    /// Returns the architecture, followed by a slash and the variant where there is one.
    pub fn architecture_and_variant(&self) -> String {
        match self.variant.as_str() {
            "" => self.architecture.clone(),
            variant => format!("{}/{variant}", self.architecture),
        }
    }
}

/// An image manifest: a config and its layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u64,
    /// [`media_type::MANIFEST`], or Docker's in base images.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// The config blob.
    pub config: Descriptor,
    /// The layer blobs, lowest first.
    pub layers: Vec<Descriptor>,
    /// Free-form annotations.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What the artifact is about; not used by images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    /// The kind of an artifact; not used by images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// An image index: the images for several platforms, or the entry point of an image layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u64,
    /// [`media_type::INDEX`].
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// The manifests, one per platform.
    #[serde(default, deserialize_with = "or_default")]
    pub manifests: Vec<Descriptor>,
    /// Free-form annotations.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What the artifact is about; not used by images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    /// The kind of an artifact; not used by images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}
