//! The SBOMs of an image.

use apk_rootfs::{Installed, TreeError};
use apk_types::Arch;
use oci_image::{Image, ImageIndex, Tag, Timestamp};
use spdx_sbom::{
    Creation, DEFAULT_SUPPLIER, EmbeddedSbom, ImageSbom, ImageSbomError, IndexSbom, IndexedImage, Layer,
    OsRelease, OsReleaseError, embedded_sbom_paths,
};

use crate::config::ImageConfiguration;
use crate::install::Root;

/// A document to be written to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SbomFile {
    /// The file's name, such as `sbom-x86_64.spdx.json`.
    pub name: String,
    /// Its content.
    pub json: Vec<u8>,
}

/// Why an SBOM could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SbomError {
    /// The image's own description of its system is malformed.
    #[error(transparent)]
    OsRelease(#[from] OsReleaseError),
    /// The image's own description of its system cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// What there is does not make a document.
    #[error(transparent)]
    Document(#[from] ImageSbomError),
    /// The document cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The document of one architecture's image, and what had to be passed over in its packages' own documents.
pub(crate) fn image(
    root: &Root,
    arch: Arch,
    image: &Image,
    tag: &Tag,
    created: &Timestamp,
    configuration: &ImageConfiguration,
) -> Result<(SbomFile, Vec<String>), SbomError> {
    let os = match root.tree.read("etc/os-release") {
        Ok(text) => OsRelease::parse(&String::from_utf8_lossy(&text))?,
        Err(_) => OsRelease::default(),
    };
    let embedded = |installed: &Installed| {
        let record = &installed.package.record;
        let paths = embedded_sbom_paths(&record.name, &record.version);
        let json = paths.iter().find_map(|path| root.tree.read(path).ok())?;
        Some(EmbeddedSbom {
            package: record.name.clone(),
            json: json.to_vec(),
        })
    };
    let layers = image.manifest.layers.iter();
    let sbom = ImageSbom {
        creation: creation(created),
        repository: Some(tag.repository().to_owned()),
        architecture: arch.platform().architecture.to_owned(),
        digest: image.digest().to_string(),
        layers: layers
            .map(|layer| Layer {
                digest: layer.digest.to_string(),
                media_type: layer.media_type.clone(),
            })
            .collect(),
        os,
        vcs_url: vcs_url(configuration),
        packages: root.packages.iter().filter_map(embedded).collect(),
    };
    let (document, warnings) = sbom.document()?;
    let file = SbomFile {
        name: format!("sbom-{arch}.spdx.json"),
        json: document.to_json()?,
    };
    Ok((file, warnings.iter().map(ToString::to_string).collect()))
}

/// The document of the index.
pub(crate) fn index(
    index: &ImageIndex,
    tag: &Tag,
    created: &Timestamp,
    configuration: &ImageConfiguration,
) -> Result<SbomFile, SbomError> {
    let image = |image: &Image| IndexedImage {
        digest: image.digest().to_string(),
        architecture: image.config.architecture.clone(),
    };
    let sbom = IndexSbom {
        creation: creation(created),
        repository: Some(tag.repository().to_owned()),
        digest: index.digest().to_string(),
        supplier: DEFAULT_SUPPLIER.to_owned(),
        images: index.images.iter().map(image).collect(),
        vcs_url: vcs_url(configuration),
    };
    Ok(SbomFile {
        name: "sbom-index.spdx.json".to_owned(),
        json: sbom.document()?.to_json()?,
    })
}

fn creation(created: &Timestamp) -> Creation {
    let tool = format!("Tool: apko ({})", env!("CARGO_PKG_VERSION"));
    Creation {
        created: created.to_string(),
        creators: vec![tool],
    }
}

fn vcs_url(configuration: &ImageConfiguration) -> Option<String> {
    Some(configuration.vcs_url.clone()).filter(|url| !url.is_empty())
}
