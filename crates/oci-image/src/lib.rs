//! Writes OCI images, reproducibly: the same input gives the same bytes on any machine.
//!
//! The way of the data: tar members → [`LayerWriter`] or [`write_erofs_layer`], or a directory →
//! [`write_directory_layer`] → layer blob and its digests; layers and an
//! [`ImageSpec`] → [`Image`] (config and manifest); images for several platforms → [`ImageIndex`] →
//! an image layout ([`write_layout`]) or an archive for `docker load` ([`write_archive`]). A base image
//! comes from [`read_layout`]. With the feature `registry`, [`registry`] sends images to registries.
//!
//! Configs, manifests and indexes have the bytes that apko (by way of go-containerregistry) writes for
//! the same input. The crate does not know packages, does not choose what is in an image, and has no clock
//! or environment, and without that feature no network.
//!
//! ```
//! use oci_image::{Annotations, BlobSource, Compression, Image, ImageIndex, ImageSpec, LayerWriter, Platform, Timestamp};
//! use tarball::{Header, Kind};
//!
//! // One file makes a layer.
//! let mut layer = LayerWriter::new(Vec::new(), Compression::default())?;
//! let header = Header { path: "hello".into(), mode: 0o755, size: 17, ..Header::new(Kind::Regular) };
//! layer.append(&header, &"#!/bin/sh\necho hi".into())?;
//! let (layer, blob) = layer.finish()?;
//!
//! // One layer makes an image for one platform.
//! let created: Timestamp = "2024-06-10T07:11:47Z".parse()?;
//! let mut spec = ImageSpec::new(Platform::linux("amd64"), created.clone());
//! spec.entrypoint = vec!["/hello".into()];
//! let image = Image::new(&spec, vec![(layer, BlobSource::Memory(blob.into()))], None)?;
//!
//! // One image makes an index, and the index a directory.
//! let index = ImageIndex::new(vec![image], &Annotations::default(), &created)?;
//! let dir = tempfile::tempdir()?;
//! oci_image::write_layout(&dir.path().join("layout"), &index)?;
//!
//! let again = oci_image::read_layout(&dir.path().join("layout"), "amd64")?;
//! assert_eq!(again.config.config.entrypoint, ["/hello"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A layer from a directory:
//!
//! ```
//! use std::fs;
//! use oci_image::{Compression, write_directory_layer};
//!
//! let directory = tempfile::tempdir()?;
//! fs::create_dir(directory.path().join("etc"))?;
//! fs::write(directory.path().join("etc/motd"), "welcome\n")?;
//!
//! let blob = tempfile::tempfile()?;
//! let (layer, _) = write_directory_layer(directory.path(), 0, blob, Compression::default())?;
//! // Two headers, the block with the file, and two that end the archive.
//! assert_eq!(layer.uncompressed_size, 5 * 512);
//!
//! // The same files give the same layer wherever they lie and whenever they were written.
//! let copy = tempfile::tempdir()?;
//! fs::create_dir(copy.path().join("etc"))?;
//! fs::copy(directory.path().join("etc/motd"), copy.path().join("etc/motd"))?;
//! let (again, _) = write_directory_layer(copy.path(), 0, Vec::new(), Compression::default())?;
//! assert_eq!(again, layer);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod blob;
mod config;
mod digest;
mod directory;
mod erofs;
mod image;
mod layer;
mod layout;
mod manifest;
mod pieces;
mod reference;
#[cfg(feature = "registry")]
pub mod registry;
mod time;

pub use archive::{write_archive, write_archive_by_way_of};
pub use blob::BlobSource;
pub use config::{Healthcheck, History, ImageConfig, Present, RootFs, RuntimeConfig};
pub use digest::{Digest, ParseDigestError};
pub use directory::write_directory_layer;
pub use erofs::{ErofsError, ErofsFile, ErofsFileKind, ErofsImage, write_erofs_layer};
pub use image::{Annotations, DEFAULT_ENVIRONMENT, Image, ImageIndex, ImageSpec, shell_entrypoint};
pub use layer::{Algorithm, Compression, Layer, LayerError, LayerWriter, write_layer};
pub use layout::{
    BaseImage, LayoutError, read_layout, read_layout_tag, write_layout, write_layout_by_way_of,
    write_layout_unsynced,
};
pub use manifest::{Descriptor, Index, Manifest, Platform, media_type};
pub use pieces::PieceCache;
pub use reference::{ParseTagError, Tag};
pub use time::{ParseTimestampError, Timestamp};
