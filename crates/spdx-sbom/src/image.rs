//! Documents of images and of indexes.

use crate::document::{
    Checksum, CreationInfo, DOCUMENT_ID, Document, ExternalRef, NOASSERTION, Package, Relationship,
};
use crate::{OsRelease, Purl};
use std::collections::{BTreeSet, HashSet};

/// The supplier in documents of indexes, as the reference names it.
pub const DEFAULT_SUPPLIER: &str = "Chainguard, Inc.";

/// The SPDX licence list that the reference refers to.
const LICENSE_LIST: &str = "3.27";

const CONTAINER: &str = "CONTAINER";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What all documents say about themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Creation {
    /// An RFC 3339 time.
    pub created: String,
    /// Tools, organizations and persons: `Tool: apko (1.0)`.
    pub creators: Vec<String>,
}

impl Creation {
    pub(crate) fn info(&self, license_list: &str) -> CreationInfo {
        CreationInfo {
            created: self.created.clone(),
            creators: self.creators.clone(),
            license_list_version: license_list.to_owned(),
        }
    }
}

/// An image for one platform: what its document is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageSbom {
    /// Time and author of the document.
    pub creation: Creation,
    /// The image's repository, for example `library/alpine`, where the image has a name.
    pub repository: Option<String>,
    /// The machine in OCI's terms: `amd64`.
    pub architecture: String,
    /// The digest of the manifest, `sha256:...`.
    pub digest: String,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// What the image says about its system.
    pub os: OsRelease,
    /// Where the configuration is kept: `https://github.com/org/repo@commit`.
    pub vcs_url: Option<String>,
    /// The installed packages that carry a document of their own.
    pub packages: Vec<EmbeddedSbom>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of the compressed blob, `sha256:...`.
    pub digest: String,
    /// The OCI media type.
    pub media_type: String,
}

/// The document that a package brought along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedSbom {
    /// The package's name.
    pub package: String,
    /// The document's bytes.
    pub json: Vec<u8>,
}

/// Returns where an installed package may have its document, the first match counts: with the full
/// version, without the revision, without a version.
pub fn embedded_sbom_paths(name: &str, version: &str) -> [String; 3] {
    const DIR: &str = "var/lib/db/sbom";
    let upstream = match version.rsplit_once("-r") {
        Some((upstream, r)) if !r.is_empty() && r.bytes().all(|c| c.is_ascii_digit()) => upstream,
        _ => version,
    };
    [
        format!("{DIR}/{name}-{version}.spdx.json"),
        format!("{DIR}/{name}-{upstream}.spdx.json"),
        format!("{DIR}/{name}.spdx.json"),
    ]
}

/// Says why an image has no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageSbomError {
    /// The image has no layers.
    #[error("the image {digest} has no layers")]
    NoLayers {
        /// The image.
        digest: String,
    },
    /// The index has no images.
    #[error("the index {digest} has no images")]
    NoImages {
        /// The index.
        digest: String,
    },
    /// A package's document relates to elements that it does not have.
    #[error("the SBOM in package {package} lacks elements that it refers to: {}", elements.join(", "))]
    Dangling {
        /// The package.
        package: String,
        /// The missing identifiers.
        elements: Vec<String>,
    },
}

/// Something in a package's document that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SbomWarning {
    /// The document cannot be understood; the image's document does without it.
    #[error("the SBOM in package {package} cannot be understood: {reason}")]
    Unreadable {
        /// The package.
        package: String,
        /// What is wrong.
        reason: String,
    },
    /// Two packages give different texts for one licence; the first counts.
    #[error("the SBOM in package {package} has another text for licence {license}")]
    LicenseText {
        /// The package.
        package: String,
        /// The licence.
        license: String,
    },
}

impl ImageSbom {
    /// Returns the image's document, with those of its packages merged in, and what was passed over.
    ///
    /// # Errors
    /// When there is no layer, or a package's document refers to elements that it lacks.
    pub fn document(&self) -> Result<(Document, Vec<SbomWarning>), ImageSbomError> {
        let Some(first) = self.layers.first() else {
            return Err(ImageSbomError::NoLayers {
                digest: self.digest.clone(),
            });
        };
        let mut doc = empty(&self.creation, &first.digest);
        let image = self.image_package();
        doc.document_describes = vec![image.id.clone()];
        for layer in &self.layers {
            let layer = self.layer_package(layer);
            doc.relationships
                .push(Relationship::new(&image.id, "CONTAINS", &layer.id));
            doc.packages.push(layer);
        }
        doc.packages.push(self.os_package());
        if let Some(url) = self.vcs_url.as_deref().filter(|url| !url.is_empty()) {
            add_source(&mut doc, url, &image.id, &supplier(&self.os.name));
        }
        doc.packages.insert(0, image);
        let mut warnings = Vec::new();
        for package in &self.packages {
            self.merge(package, &mut doc, &mut warnings)?;
        }
        let mut seen = HashSet::new();
        doc.packages.retain(|package| seen.insert(package.id.clone()));
        Ok((doc, warnings))
    }

    fn image_package(&self) -> Package {
        Package {
            id: identifier(&format!("SPDXRef-Package-Image-{}", self.digest)),
            name: self.digest.clone(),
            version: self.digest.clone(),
            supplier: supplier(&self.os.name),
            download_location: NOASSERTION.to_owned(),
            primary_purpose: CONTAINER.to_owned(),
            description: "apko container image".to_owned(),
            checksums: vec![sha256(&self.digest)],
            external_refs: vec![self.purl(&self.digest, MANIFEST_TYPE)],
            ..Package::default()
        }
    }

    fn layer_package(&self, layer: &Layer) -> Package {
        Package {
            id: format!("SPDXRef-Package-ImageLayer-{}", identifier(&layer.digest)),
            name: layer.digest.clone(),
            version: self.os.version_id.clone(),
            description: "apko operating system layer".to_owned(),
            download_location: NOASSERTION.to_owned(),
            primary_purpose: CONTAINER.to_owned(),
            supplier: supplier(&self.os.name),
            external_refs: vec![self.purl(&layer.digest, &layer.media_type)],
            ..Package::default()
        }
    }

    fn purl(&self, digest: &str, media_type: &str) -> ExternalRef {
        let purl = oci_purl(self.repository.as_deref(), "image", digest, media_type);
        ExternalRef::purl(&on_platform(purl, &self.architecture))
    }

    fn os_package(&self) -> Package {
        Package {
            id: format!("SPDXRef-OperatingSystem-{}", identifier(&self.os.id)),
            name: self.os.id.clone(),
            version: self.os.version_id.clone(),
            supplier: supplier(&self.os.name),
            description: "Operating System".to_owned(),
            download_location: NOASSERTION.to_owned(),
            primary_purpose: "OPERATING_SYSTEM".to_owned(),
            ..Package::default()
        }
    }

    /// Copies what a package's document describes, and what that relates to, except files.
    fn merge(
        &self,
        embedded: &EmbeddedSbom,
        doc: &mut Document,
        warnings: &mut Vec<SbomWarning>,
    ) -> Result<(), ImageSbomError> {
        let source = match serde_json::from_slice(&embedded.json) {
            Ok(source) => complete(source, &supplier(&self.os.name)),
            Err(error) => {
                warnings.push(SbomWarning::Unreadable {
                    package: embedded.package.clone(),
                    reason: error.to_string(),
                });
                return Ok(());
            }
        };
        let described = described_packages(&source);
        let wanted = reachable(&source, &described);
        let found: BTreeSet<&str> = source.packages.iter().map(|p| p.id.as_str()).collect();
        let missing: Vec<_> = wanted.difference(&found).map(|&id| id.to_owned()).collect();
        if !missing.is_empty() {
            return Err(ImageSbomError::Dangling {
                package: embedded.package.clone(),
                elements: missing,
            });
        }
        let root = doc.document_describes[0].clone();
        let packages = source.packages.iter().filter(|p| wanted.contains(p.id.as_str()));
        doc.packages.extend(packages.cloned());
        let relationships = source
            .relationships
            .iter()
            .filter(|r| wanted.contains(r.element.as_str()) && !to_file(r));
        doc.relationships.extend(relationships.cloned());
        for info in &source.licensing_infos {
            match doc
                .licensing_infos
                .iter()
                .find(|known| known.license_id == info.license_id)
            {
                None => doc.licensing_infos.push(info.clone()),
                Some(known) if known.extracted_text != info.extracted_text => {
                    warnings.push(SbomWarning::LicenseText {
                        package: embedded.package.clone(),
                        license: info.license_id.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        for id in described {
            doc.relationships.push(Relationship::new(&root, "CONTAINS", id));
        }
        Ok(())
    }
}

/// Returns the identifiers of the packages that the document describes, in the document's order.
fn described_packages(doc: &Document) -> Vec<&str> {
    let mut described: HashSet<&str> = doc.document_describes.iter().map(String::as_str).collect();
    let describes = |r: &&Relationship| r.element == DOCUMENT_ID && r.kind == "DESCRIBES";
    described.extend(
        doc.relationships
            .iter()
            .filter(describes)
            .map(|r| r.related.as_str()),
    );
    let mut ids = Vec::new();
    for package in &doc.packages {
        if described.remove(package.id.as_str()) {
            ids.push(package.id.as_str());
        }
    }
    ids
}

/// Returns all elements that relationships lead to from `start`, files aside.
fn reachable<'a>(doc: &'a Document, start: &[&'a str]) -> BTreeSet<&'a str> {
    let mut found: BTreeSet<&str> = start.iter().copied().collect();
    loop {
        let before = found.len();
        for relationship in doc.relationships.iter().filter(|r| !to_file(r)) {
            if found.contains(relationship.element.as_str()) {
                found.insert(&relationship.related);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

fn to_file(relationship: &Relationship) -> bool {
    relationship.related.starts_with("SPDXRef-File-")
}

/// Fills in originator and supplier, which older packages lack, and takes back what is said about files.
fn complete(mut doc: Document, supplier: &str) -> Document {
    for package in &mut doc.packages {
        if package.originator.is_empty() {
            supplier.clone_into(&mut package.originator);
        }
        if package.supplier.is_empty() {
            package.supplier.clone_from(&package.originator);
        }
        package.files_analyzed = false;
        package.verification_code = None;
    }
    doc
}

/// An index of images: what its document is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexSbom {
    /// Time and author of the document.
    pub creation: Creation,
    /// The image's repository, for example `library/alpine`, where the image has a name.
    pub repository: Option<String>,
    /// The digest of the index, `sha256:...`.
    pub digest: String,
    /// Who supplies the images; see [`DEFAULT_SUPPLIER`].
    pub supplier: String,
    /// The images in the index's order.
    pub images: Vec<IndexedImage>,
    /// Where the configuration is kept: `https://github.com/org/repo@commit`.
    pub vcs_url: Option<String>,
}

/// An image in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedImage {
    /// The digest of the manifest, `sha256:...`.
    pub digest: String,
    /// The machine in OCI's terms: `amd64`.
    pub architecture: String,
}

impl IndexSbom {
    /// Returns the index's document.
    ///
    /// # Errors
    /// When there is no image.
    pub fn document(&self) -> Result<Document, ImageSbomError> {
        if self.images.is_empty() {
            return Err(ImageSbomError::NoImages {
                digest: self.digest.clone(),
            });
        }
        let repository = self.repository.as_deref();
        let mut doc = empty(&self.creation, &self.digest);
        let index = Package {
            description: "Multi-arch image index".to_owned(),
            source_info: "Generated at image build time by apko".to_owned(),
            external_refs: vec![ExternalRef::purl(&oci_purl(
                repository,
                "index",
                &self.digest,
                INDEX_TYPE,
            ))],
            ..self.package(&self.digest)
        };
        let index_id = index.id.clone();
        doc.document_describes = vec![index_id.clone()];
        doc.packages.push(index);
        for image in &self.images {
            let purl = oci_purl(repository, "image", &image.digest, MANIFEST_TYPE);
            let package = Package {
                external_refs: vec![ExternalRef::purl(&on_platform(purl, &image.architecture))],
                ..self.package(&image.digest)
            };
            doc.relationships
                .push(Relationship::new(&index_id, "VARIANT_OF", &package.id));
            doc.packages.push(package);
        }
        if let Some(url) = self.vcs_url.as_deref().filter(|url| !url.is_empty()) {
            add_source(&mut doc, url, &index_id, &supplier(&self.supplier));
        }
        Ok(doc)
    }

    fn package(&self, digest: &str) -> Package {
        Package {
            id: format!("SPDXRef-Package-{}", identifier(digest)),
            name: digest.to_owned(),
            version: digest.to_owned(),
            supplier: supplier(&self.supplier),
            download_location: NOASSERTION.to_owned(),
            primary_purpose: CONTAINER.to_owned(),
            checksums: vec![sha256(digest)],
            ..Package::default()
        }
    }
}

fn empty(creation: &Creation, digest: &str) -> Document {
    Document {
        id: DOCUMENT_ID.to_owned(),
        name: format!("sbom-{digest}"),
        spdx_version: "SPDX-2.3".to_owned(),
        creation_info: creation.info(LICENSE_LIST),
        data_license: "CC0-1.0".to_owned(),
        document_namespace: "https://spdx.org/spdxdocs/apko/".to_owned(),
        ..Document::default()
    }
}

fn supplier(name: &str) -> String {
    match name {
        "" => NOASSERTION.to_owned(),
        name => format!("Organization: {name}"),
    }
}

fn sha256(digest: &str) -> Checksum {
    Checksum::new("SHA256", digest.strip_prefix("sha256:").unwrap_or(digest))
}

fn oci_purl(repository: Option<&str>, fallback: &str, digest: &str, media_type: &str) -> Purl {
    let name = repository
        .and_then(|r| r.rsplit('/').next())
        .filter(|name| !name.is_empty());
    // An index whose repository is called `image` is taken for one without a name.
    let name = name.filter(|name| *name != "image").unwrap_or(fallback);
    Purl::new("oci", "", name, digest).qualify("mediaType", media_type)
}

fn on_platform(purl: Purl, architecture: &str) -> Purl {
    purl.qualify("arch", architecture).qualify("os", "linux")
}

/// Adds the package for the sources of the image's configuration.
fn add_source(doc: &mut Document, url: &str, parent: &str, supplier: &str) {
    let (location, commit) = url.split_once('@').map_or((url, None), |(u, c)| (u, Some(c)));
    let mut name = location;
    for scheme in ["git+ssh://", "git://", "https://"] {
        name = name.strip_prefix(scheme).unwrap_or(name);
    }
    let version = commit.unwrap_or_default();
    let github = name
        .strip_prefix("github.com/")
        .and_then(|slug| slug.split_once('/'));
    let purl = github
        .map(|(org, repo)| Purl::new("github", org, repo.strip_suffix(".git").unwrap_or(repo), version));
    let source = Package {
        id: format!("SPDXRef-Package-{}", identifier(url)),
        name: name.to_owned(),
        version: version.to_owned(),
        supplier: supplier.to_owned(),
        primary_purpose: "SOURCE".to_owned(),
        description: "Image configuration source".to_owned(),
        download_location: url.to_owned(),
        checksums: commit
            .iter()
            .map(|commit| Checksum::new("SHA1", commit))
            .collect(),
        external_refs: purl.iter().map(ExternalRef::purl).collect(),
        ..Package::default()
    };
    doc.relationships
        .push(Relationship::new(parent, "GENERATED_FROM", &source.id));
    doc.packages.push(source);
}

/// Makes an SPDX identifier: a colon becomes `-`, and every other byte that may not stand in one becomes `C` and
/// its value.
fn identifier(text: &str) -> String {
    let mut id = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b':' => id.push('-'),
            b'-' | b'.' => id.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => id.push(char::from(byte)),
            _ => id.push_str(&format!("C{byte}")),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_no_other_characters_than_allowed() {
        assert_eq!(identifier("sha256:ab"), "sha256-ab");
        assert_eq!(
            identifier("https://a.b/c_d@é"),
            "https-C47C47a.bC47cC95dC64C195C169"
        );
    }

    #[test]
    fn embedded_documents_are_looked_for_in_order() {
        assert_eq!(
            embedded_sbom_paths("a", "1.2-r3"),
            [
                "var/lib/db/sbom/a-1.2-r3.spdx.json",
                "var/lib/db/sbom/a-1.2.spdx.json",
                "var/lib/db/sbom/a.spdx.json"
            ]
        );
        assert_eq!(
            embedded_sbom_paths("a", "1-rc")[1],
            "var/lib/db/sbom/a-1-rc.spdx.json"
        );
    }
}
