//! SPDX 2.3 documents as far as packages and images need them.
//!
//! Fields are in the order, and are left out under the conditions, of the reference's documents: an
//! SBOM inside a package is covered by the package's hash.

use serde::{Deserialize, Deserializer, Serialize};

/// What SPDX writes where nothing is claimed.
pub const NOASSERTION: &str = "NOASSERTION";

/// The identifier of every document.
pub(crate) const DOCUMENT_ID: &str = "SPDXRef-DOCUMENT";

/// An SPDX document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Document {
    /// Always `SPDXRef-DOCUMENT`.
    #[serde(rename = "SPDXID", deserialize_with = "or_default")]
    pub id: String,
    /// The document's name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// `SPDX-2.3`.
    #[serde(deserialize_with = "or_default")]
    pub spdx_version: String,
    /// When the document was made, and by whom.
    #[serde(deserialize_with = "or_default")]
    pub creation_info: CreationInfo,
    /// The licence of the document itself, `CC0-1.0`.
    #[serde(deserialize_with = "or_default")]
    pub data_license: String,
    /// A URI for the document.
    #[serde(deserialize_with = "or_default")]
    pub document_namespace: String,
    /// The identifiers of the elements that the document is about.
    #[serde(deserialize_with = "or_default")]
    pub document_describes: Vec<String>,
    /// The packages; an image and its layers are packages too.
    #[serde(deserialize_with = "or_default")]
    pub packages: Vec<Package>,
    /// How elements relate to each other.
    #[serde(deserialize_with = "or_default")]
    pub relationships: Vec<Relationship>,
    /// Documents that this one refers to.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub external_document_refs: Vec<ExternalDocumentRef>,
    /// The texts of licences that are not in SPDX's list.
    #[serde(
        rename = "hasExtractedLicensingInfos",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub licensing_infos: Vec<LicensingInfo>,
}

impl Document {
    /// Returns the document as JSON, indented by two spaces, with a newline at the end.
    ///
    /// # Errors
    /// None that input can cause: when JSON cannot be written.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = go_json::to_vec_indent(self, "  ")?;
        json.push(b'\n');
        Ok(json)
    }
}

/// When a document was made, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CreationInfo {
    /// An RFC 3339 time.
    #[serde(deserialize_with = "or_default")]
    pub created: String,
    /// Tools, organizations and persons: `Tool: apko (1.0)`.
    #[serde(deserialize_with = "or_default")]
    pub creators: Vec<String>,
    /// The version of SPDX's licence list.
    #[serde(deserialize_with = "or_default")]
    pub license_list_version: String,
}

/// A package in the wide sense of SPDX.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Package {
    /// The identifier, `SPDXRef-...`, unique in the document.
    #[serde(rename = "SPDXID", deserialize_with = "or_default")]
    pub id: String,
    /// The name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The version.
    #[serde(
        rename = "versionInfo",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub version: String,
    /// Whether the document lists the package's files.
    #[serde(deserialize_with = "or_default")]
    pub files_analyzed: bool,
    /// The licence that an auditor found.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub license_concluded: String,
    /// The licence that the authors declare.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub license_declared: String,
    /// A description for people.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A URL, or `NOASSERTION`.
    #[serde(deserialize_with = "or_default")]
    pub download_location: String,
    /// Who made it: `Organization: name`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub originator: String,
    /// Who distributes it: `Organization: name`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub supplier: String,
    /// How the package came about.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub source_info: String,
    /// Copyright notices.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub copyright_text: String,
    /// Acknowledgements.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub attribution_text: String,
    /// `APPLICATION`, `CONTAINER`, `SOURCE` ...
    #[serde(
        rename = "primaryPackagePurpose",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub primary_purpose: String,
    /// Checksums of the package's file.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub checksums: Vec<Checksum>,
    /// Package URLs and CPEs.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub external_refs: Vec<ExternalRef>,
    /// A checksum over all files' checksums.
    #[serde(rename = "packageVerificationCode", skip_serializing_if = "Option::is_none")]
    pub verification_code: Option<VerificationCode>,
}

/// A checksum over all files of a package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VerificationCode {
    /// SHA-1, hexadecimal.
    #[serde(
        rename = "packageVerificationCodeValue",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub value: String,
}

/// A checksum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Checksum {
    /// `SHA1`, `SHA256`, `SHA512`.
    #[serde(deserialize_with = "or_default")]
    pub algorithm: String,
    /// The value, hexadecimal.
    #[serde(rename = "checksumValue", deserialize_with = "or_default")]
    pub value: String,
}

impl Checksum {
    pub(crate) fn new(algorithm: &str, value: &str) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            value: value.to_owned(),
        }
    }
}

/// A name for the package in another scheme.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalRef {
    /// `PACKAGE-MANAGER` or `SECURITY`.
    #[serde(rename = "referenceCategory", deserialize_with = "or_default")]
    pub category: String,
    /// The name itself.
    #[serde(rename = "referenceLocator", deserialize_with = "or_default")]
    pub locator: String,
    /// `purl` or `cpe23Type`.
    #[serde(rename = "referenceType", deserialize_with = "or_default")]
    pub kind: String,
}

impl ExternalRef {
    pub(crate) fn purl(purl: &crate::Purl) -> Self {
        Self {
            category: "PACKAGE-MANAGER".to_owned(),
            locator: purl.to_string(),
            kind: "purl".to_owned(),
        }
    }

    pub(crate) fn cpe(cpe: &str) -> Self {
        Self {
            category: "SECURITY".to_owned(),
            locator: cpe.to_owned(),
            kind: "cpe23Type".to_owned(),
        }
    }
}

/// That one element has to do with another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Relationship {
    /// The identifier of the first.
    #[serde(rename = "spdxElementId", deserialize_with = "or_default")]
    pub element: String,
    /// `CONTAINS`, `GENERATED_FROM`, `DESCRIBED_BY`, `VARIANT_OF` ...
    #[serde(rename = "relationshipType", deserialize_with = "or_default")]
    pub kind: String,
    /// The identifier of the second.
    #[serde(rename = "relatedSpdxElement", deserialize_with = "or_default")]
    pub related: String,
}

impl Relationship {
    pub(crate) fn new(element: &str, kind: &str, related: &str) -> Self {
        Self {
            element: element.to_owned(),
            kind: kind.to_owned(),
            related: related.to_owned(),
        }
    }
}

/// A document that this one refers to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExternalDocumentRef {
    /// The checksum of the document's file.
    #[serde(deserialize_with = "or_default")]
    pub checksum: Checksum,
    /// The name by which this document refers to it.
    #[serde(deserialize_with = "or_default")]
    pub external_document_id: String,
    /// Its namespace.
    #[serde(deserialize_with = "or_default")]
    pub spdx_document: String,
}

/// The text of a licence that is not in SPDX's list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LicensingInfo {
    /// `LicenseRef-...`.
    #[serde(deserialize_with = "or_default")]
    pub license_id: String,
    /// The text.
    #[serde(deserialize_with = "or_default")]
    pub extracted_text: String,
}

/// Reads `null` as the default value, as Go does.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
