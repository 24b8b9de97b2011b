//! Documents of built packages.

use crate::document::{
    Checksum, DOCUMENT_ID, Document, ExternalRef, LicensingInfo, NOASSERTION, Package, Relationship,
};
use crate::source::{Source, SourceError};
use crate::{Creation, Purl, PurlError};
use std::collections::BTreeMap;

/// The SPDX licence list that the reference refers to.
const LICENSE_LIST: &str = "3.22";

/// The namespace of packages that are given none.
pub const UNKNOWN_NAMESPACE: &str = "unknown";

/// A package built from a configuration: what its document is made from.
///
/// A subpackage has a document of its own, with its own name and [`own_sources`](Self::own_sources); all else is the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageSbom {
    /// Time and author of the document.
    pub creation: Creation,
    /// The package's name.
    pub name: String,
    /// The version with its revision: `1.2.3-r0`.
    pub version: String,
    /// apk's name of the machine: `x86_64`.
    pub arch: String,
    /// The distribution, for example `wolfi`, or [`UNKNOWN_NAMESPACE`].
    pub namespace: String,
    /// The licence expression.
    pub license: String,
    /// The copyright notices, each with a newline after it, or empty.
    pub copyright: String,
    /// The CPE of what is packaged.
    pub cpe: Option<String>,
    /// The configuration that the package was built from.
    pub configuration: Option<Configuration>,
    /// The sources that the main pipeline fetches.
    pub sources: Vec<Source>,
    /// The sources that the subpackage's own pipeline fetches.
    pub own_sources: Vec<Source>,
    /// Texts of licences by their identifiers.
    pub license_texts: BTreeMap<String, String>,
}

/// The configuration that a package was built from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The file's path in its repository.
    pub path: String,
    /// The repository's URL.
    pub repository_url: String,
    /// The commit.
    pub commit: String,
    /// The licence of the file, or empty.
    pub license: String,
}

/// Says why a package has no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageSbomError {
    /// The configuration's repository has no name.
    #[error("{url:?} is not the URL of a repository")]
    Repository {
        /// The URL.
        url: String,
    },
    /// The configuration's path cannot be part of a package URL.
    #[error("cannot make a package URL for {path:?}")]
    ConfigurationPurl {
        /// The configuration.
        path: String,
        /// What is wrong.
        source: PurlError,
    },
    /// A source cannot be described.
    #[error("cannot describe what {package} is made from")]
    Source {
        /// The package.
        package: String,
        /// What is wrong.
        source: SourceError,
    },
}

impl PackageSbom {
    /// Returns where the document lies in the package.
    pub fn path(&self) -> String {
        format!("var/lib/db/sbom/{}-{}.spdx.json", self.name, self.version)
    }

    /// Returns the package's document.
    ///
    /// # Errors
    /// When the configuration or a source has a URL that nothing can be made of.
    pub fn document(&self) -> Result<Document, PackageSbomError> {
        let apk = self.apk();
        let mut doc = Document {
            id: DOCUMENT_ID.to_owned(),
            name: format!("apk-{}-{}", self.name, self.version),
            spdx_version: "SPDX-2.3".to_owned(),
            creation_info: self.creation.info(LICENSE_LIST),
            data_license: "CC0-1.0".to_owned(),
            document_namespace: self.document_namespace(),
            document_describes: vec![apk.id.clone()],
            ..Document::default()
        };
        doc.packages.push(self.os());
        let describe = |doc: &mut Document, package: Package, relation: &str| {
            doc.relationships.push(Relationship::new(
                &doc.document_describes[0],
                relation,
                &package.id,
            ));
            doc.packages.push(package);
        };
        doc.packages.push(apk);
        for source in &self.own_sources {
            if let Some(package) = self.source(source)? {
                describe(&mut doc, package, "GENERATED_FROM");
            }
        }
        if let Some(configuration) = &self.configuration {
            describe(&mut doc, self.configuration(configuration)?, "DESCRIBED_BY");
        }
        for source in &self.sources {
            if let Some(package) = self.source(source)? {
                describe(&mut doc, package, "GENERATED_FROM");
            }
        }
        let info = |(id, text): (&String, &String)| LicensingInfo {
            license_id: id.clone(),
            extracted_text: text.clone(),
        };
        doc.licensing_infos = self.license_texts.iter().map(info).collect();
        Ok(doc)
    }

    fn document_namespace(&self) -> String {
        let hash = fnv1a_128(format!("apk-{}-{}", self.namespace, self.version).as_bytes());
        format!("https://spdx.org/spdxdocs/chainguard/melange/{hash:032x}")
    }

    fn os(&self) -> Package {
        Package {
            id: "SPDXRef-OperatingSystem".to_owned(),
            name: self.namespace.clone(),
            description: "Operating System".to_owned(),
            primary_purpose: "OPERATING-SYSTEM".to_owned(),
            ..supplied(&self.namespace)
        }
    }

    fn apk(&self) -> Package {
        let mut purl = Purl::new("apk", &self.namespace, &self.name, &self.version);
        if self.namespace != UNKNOWN_NAMESPACE {
            purl = purl.qualify("distro", &self.namespace);
        }
        if !self.arch.is_empty() {
            purl = purl.qualify("arch", &self.arch);
        }
        let cpe = self.cpe.as_deref().filter(|cpe| !cpe.is_empty());
        Package {
            id: identifier(&format!("SPDXRef-Package-apk-{}-{}", self.name, self.version)),
            name: self.name.clone(),
            version: self.version.clone(),
            license_declared: or_noassertion(&self.license),
            copyright_text: or_noassertion(&self.copyright),
            primary_purpose: "APPLICATION".to_owned(),
            external_refs: std::iter::once(ExternalRef::purl(&purl))
                .chain(cpe.map(ExternalRef::cpe))
                .collect(),
            ..supplied(&self.namespace)
        }
    }

    fn configuration(&self, configuration: &Configuration) -> Result<Package, PackageSbomError> {
        let Configuration {
            path,
            repository_url: url,
            commit,
            license,
        } = configuration;
        let slug = url.strip_prefix("https://github.com/").unwrap_or(url);
        let Some((org, repository)) = slug.split_once('/') else {
            return Err(PackageSbomError::Repository { url: url.clone() });
        };
        let mut purl = Purl::new("github", org, repository, commit);
        purl.subpath.clone_from(path);
        let purl = purl
            .normalize()
            .map_err(|source| PackageSbomError::ConfigurationPurl {
                path: path.clone(),
                source,
            })?;
        Ok(Package {
            id: identifier(&format!("SPDXRef-Package-Melange-{path}-{commit}")),
            name: path.clone(),
            version: commit.clone(),
            license_declared: or_noassertion(license),
            primary_purpose: "INSTALL".to_owned(),
            external_refs: vec![ExternalRef::purl(&purl)],
            ..supplied(&self.namespace)
        })
    }

    fn source(&self, source: &Source) -> Result<Option<Package>, PackageSbomError> {
        let described = source.describe(&self.namespace, &self.license);
        let upstream = described.map_err(|source| PackageSbomError::Source {
            package: self.name.clone(),
            source,
        })?;
        Ok(upstream.map(|upstream| Package {
            id: identifier(&upstream.id),
            name: upstream.name,
            version: upstream.version,
            license_declared: or_noassertion(&upstream.license),
            download_location: or_noassertion(&upstream.download_location),
            primary_purpose: "SOURCE".to_owned(),
            checksums: upstream
                .checksums
                .iter()
                .map(|(kind, value)| Checksum::new(kind, value))
                .collect(),
            external_refs: vec![ExternalRef::purl(&upstream.purl)],
            ..supplied(&upstream.namespace)
        }))
    }
}

/// Returns a package that says nothing but who supplies it.
fn supplied(namespace: &str) -> Package {
    let supplier = format!("Organization: {}", title_case(namespace));
    Package {
        license_concluded: NOASSERTION.to_owned(),
        license_declared: NOASSERTION.to_owned(),
        download_location: NOASSERTION.to_owned(),
        originator: supplier.clone(),
        supplier,
        ..Package::default()
    }
}

fn or_noassertion(text: &str) -> String {
    if text.is_empty() { NOASSERTION } else { text }.to_owned()
}

/// Makes an SPDX identifier: `:` and `/` become `-`, and every other character that may not stand in one becomes
/// `C` and its number.
fn identifier(text: &str) -> String {
    let mut id = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ':' | '/' => id.push('-'),
            '-' | '.' => id.push(c),
            _ if c.is_ascii_alphanumeric() => id.push(c),
            _ => id.push_str(&format!("C{}", u32::from(c))),
        }
    }
    id
}

/// Writes each word with a capital first letter and the rest in lower case. `.`, `'` and `:` between letters and
/// `_` and digits are parts of a word (UAX #29, as golang.org/x/text/cases applies it).
fn title_case(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let letter = |i: Option<usize>| i.and_then(|i| chars.get(i)).is_some_and(|c| c.is_alphanumeric());
    let mut title = String::with_capacity(text.len());
    let mut capital = true;
    for (i, &c) in chars.iter().enumerate() {
        if c.is_uppercase() || c.is_lowercase() {
            if capital {
                title.extend(c.to_uppercase());
            } else {
                title.extend(c.to_lowercase());
            }
            capital = false;
            continue;
        }
        let joins = matches!(c, '.' | '\'' | ':') && letter(i.checked_sub(1)) && letter(Some(i + 1));
        capital = capital || !(joins || c == '_' || c.is_alphanumeric());
        title.push(c);
    }
    title
}

/// The hash that names documents: FNV-1a with 128 bits.
fn fnv1a_128(data: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    data.iter().fold(OFFSET, |hash, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_those_of_go() {
        for (text, want) in [
            ("unknown", "Unknown"),
            ("test-ns", "Test-Ns"),
            ("foo_bar", "Foo_bar"),
            ("o'neil", "O'neil"),
            ("chainguard.dev", "Chainguard.dev"),
            ("foo1bar", "Foo1bar"),
            ("ABC", "Abc"),
            ("1foo", "1Foo"),
            ("1.a", "1.A"),
            ("a:b", "A:b"),
            ("a..b", "A..B"),
            ("x/y", "X/Y"),
            ("", ""),
        ] {
            assert_eq!(title_case(text), want);
        }
    }

    #[test]
    fn identifiers_have_no_other_characters_than_allowed() {
        assert_eq!(identifier("a:b/c d_é.1-2"), "a-b-cC32dC95C233.1-2");
    }

    #[test]
    fn documents_are_named_by_namespace_and_version() {
        let sbom = PackageSbom {
            namespace: "test-ns".to_owned(),
            version: "1.2.3-r2".to_owned(),
            ..PackageSbom::default()
        };
        assert_eq!(
            sbom.document_namespace(),
            "https://spdx.org/spdxdocs/chainguard/melange/e43c05eed89f57b011808279db234a08"
        );
    }
}
