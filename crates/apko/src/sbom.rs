//! The SBOMs of an image.

use std::io;

use apk_rootfs::{Installed, Tree, TreeError};
use apk_types::{Arch, PackageRecord};
use oci_image::{BaseImage, Descriptor, Image, ImageIndex, Tag, Timestamp};
use spdx_sbom::{
    Bom, Component, Creation, DEFAULT_SUPPLIER, EmbeddedSbom, ImageSbom, ImageSbomError, IndexSbom,
    IndexedImage, Layer, OsRelease, OsReleaseError, embedded_sbom_paths,
};

use crate::config::ImageConfiguration;
use crate::diff::Contents;
use crate::install::Root;

/// A format of SBOMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SbomFormat {
    /// SPDX 2.3 in JSON, as the Go apko writes it.
    Spdx,
    /// CycloneDX 1.6 in JSON, made of the installed database.
    CycloneDx,
}

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
    /// A file by which an image describes itself cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file in the image.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] io::Error),
    /// What there is does not make a document.
    #[error(transparent)]
    Document(#[from] ImageSbomError),
    /// The document cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

const OS_RELEASE: &str = "etc/os-release";

/// What a document says of an image beside what is installed in it.
struct Subject<'a> {
    arch: Arch,
    name: String,
    created: String,
    manifest: &'a Descriptor,
    layers: &'a mut dyn Iterator<Item = &'a Descriptor>,
    vcs_url: Option<String>,
}

/// Where an image's own files are read from: by path, `None` where there is no such file.
type ReadFile<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// The document of one architecture's image, and what had to be passed over in its packages' own documents.
pub(crate) fn image(
    format: SbomFormat,
    (root, arch): (&Root, Arch),
    image: &Image,
    tag: &Tag,
    created: &Timestamp,
    configuration: &ImageConfiguration,
) -> Result<(SbomFile, Vec<String>), SbomError> {
    let records: Vec<&PackageRecord> = root.packages.iter().map(record).collect();
    let mut layers = image.manifest.layers.iter();
    let subject = Subject {
        arch,
        name: tag.repository().to_owned(),
        created: created.to_string(),
        manifest: &image.descriptor,
        layers: &mut layers,
        vcs_url: vcs_url(configuration),
    };
    document(format, subject, &records, &|path| in_tree(&root.tree, path))
}

/// The document of an image that exists, by what lies in its layers.
///
/// `name` is the image's repository, such as `library/web`. Warnings are as with a build.
pub fn sbom_of_image(
    format: SbomFormat,
    base: &BaseImage,
    arch: Arch,
    name: &str,
) -> Result<(SbomFile, Vec<String>), SbomError> {
    let contents = Contents::of_image(base)?;
    let installed = contents.installed()?;
    let records: Vec<&PackageRecord> = installed.iter().map(|package| &package.record).collect();
    let missing = || io::Error::other("the image has no manifest");
    let mut layers = base.layers.iter().map(|(descriptor, _)| descriptor);
    let subject = Subject {
        arch,
        name: name.to_owned(),
        created: base.config.created.to_string(),
        manifest: base.manifest.as_ref().ok_or_else(missing)?,
        layers: &mut layers,
        vcs_url: None,
    };
    document(format, subject, &records, &|path| {
        // Mostly a link, which leads there.
        let linked = (path == OS_RELEASE).then_some("usr/lib/os-release");
        let document = contents.documents.get(path);
        document.or_else(|| contents.documents.get(linked?)).cloned()
    })
}

fn record(installed: &Installed) -> &PackageRecord {
    &installed.package.record
}

fn in_tree(tree: &Tree, path: &str) -> Option<Vec<u8>> {
    tree.read(path).ok().map(|content| content.to_vec())
}

fn document(
    format: SbomFormat,
    subject: Subject<'_>,
    records: &[&PackageRecord],
    read: ReadFile<'_>,
) -> Result<(SbomFile, Vec<String>), SbomError> {
    let os = match read(OS_RELEASE) {
        Some(text) => OsRelease::parse(&String::from_utf8_lossy(&text))?,
        None => OsRelease::default(),
    };
    let arch = subject.arch;
    match format {
        SbomFormat::Spdx => {
            let (json, warnings) = spdx(subject, os, records, read)?;
            let name = format!("sbom-{arch}.spdx.json");
            Ok((SbomFile { name, json }, warnings))
        }
        SbomFormat::CycloneDx => {
            let json = cyclonedx(&subject, os, records);
            let name = format!("sbom-{arch}.cdx.json");
            Ok((SbomFile { name, json }, Vec::new()))
        }
    }
}

fn spdx(
    subject: Subject<'_>,
    os: OsRelease,
    records: &[&PackageRecord],
    read: ReadFile<'_>,
) -> Result<(Vec<u8>, Vec<String>), SbomError> {
    let embedded = |record: &&PackageRecord| {
        let paths = embedded_sbom_paths(&record.name, &record.version);
        Some(EmbeddedSbom {
            package: record.name.clone(),
            json: paths.iter().find_map(|path| read(path))?,
        })
    };
    let layer = |layer: &Descriptor| Layer {
        digest: layer.digest.to_string(),
        media_type: layer.media_type.clone(),
    };
    let sbom = ImageSbom {
        creation: creation(subject.created),
        repository: Some(subject.name),
        architecture: subject.arch.platform().architecture.to_owned(),
        digest: subject.manifest.digest.to_string(),
        layers: subject.layers.map(layer).collect(),
        os,
        vcs_url: subject.vcs_url,
        packages: records.iter().filter_map(embedded).collect(),
    };
    let (document, warnings) = sbom.document()?;
    Ok((
        document.to_json()?,
        warnings.iter().map(ToString::to_string).collect(),
    ))
}

fn cyclonedx(subject: &Subject<'_>, os: OsRelease, records: &[&PackageRecord]) -> Vec<u8> {
    let bom = Bom {
        created: subject.created.clone(),
        tool: ("apko".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        name: subject.name.clone(),
        digest: subject.manifest.digest.to_string(),
        architecture: subject.arch.platform().architecture.to_owned(),
        os,
        components: Component::of_packages(records),
    };
    bom.to_json()
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
        creation: creation(created.to_string()),
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

pub(crate) fn creation(created: String) -> Creation {
    let tool = format!("Tool: apko ({})", env!("CARGO_PKG_VERSION"));
    Creation {
        created,
        creators: vec![tool],
    }
}

fn vcs_url(configuration: &ImageConfiguration) -> Option<String> {
    Some(configuration.vcs_url.clone()).filter(|url| !url.is_empty())
}
