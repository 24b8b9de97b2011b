//! CycloneDX 1.6 documents of what is installed in an image, and of single packages.

use std::collections::HashMap;

use apk_types::PackageRecord;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::source::Upstream;
use crate::{OsRelease, Purl, Source, SourceError};

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version with the revision.
    pub version: String,
    /// Its architecture as apk names it.
    pub arch: String,
    /// Its licence, an SPDX expression if all is well.
    pub license: String,
    /// What it is, in a line.
    pub description: String,
    /// Its home page.
    pub url: String,
    /// The package that its source is named after.
    pub origin: String,
    /// Who looks after it: `NAME <ADDRESS>`.
    pub maintainer: String,
    /// The commit that its build configuration is from.
    pub commit: String,
    /// The places of the components that it depends on.
    pub depends: Vec<usize>,
}

impl Component {
    /// The components of installed packages, in the same order. A package depends on the one that has the name which it
    /// wants, else on the first that provides it; what nobody provides is left out.
    pub fn of_packages(records: &[&PackageRecord]) -> Vec<Self> {
        let mut providers: HashMap<&str, usize> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            for provided in &record.provides {
                providers.entry(provided.name()).or_insert(index);
            }
        }
        let named = records.iter().enumerate();
        providers.extend(named.map(|(index, record)| (record.name.as_str(), index)));
        let component = |(index, record): (usize, &&PackageRecord)| {
            let wanted = record
                .depends
                .iter()
                .filter(|dependency| !dependency.is_conflict());
            let depends = wanted.filter_map(|dependency| providers.get(dependency.name()).copied());
            Self {
                name: record.name.clone(),
                version: record.version.clone(),
                arch: record.arch.clone(),
                license: record.license.clone(),
                description: record.description.clone(),
                url: record.url.clone(),
                origin: record.origin.clone(),
                maintainer: record.maintainer.clone(),
                commit: record.commit.clone(),
                depends: depends.filter(|other| *other != index).collect(),
            }
        };
        records.iter().enumerate().map(component).collect()
    }
}

/// An image and what is installed in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bom {
    /// An RFC 3339 time.
    pub created: String,
    /// The tool that makes the document: its name and version.
    pub tool: (String, String),
    /// The image's name, such as `library/web`.
    pub name: String,
    /// The digest of its manifest, `sha256:...`, where it has one.
    pub digest: String,
    /// The machine in OCI's terms: `amd64`.
    pub architecture: String,
    /// What it says about its system.
    pub os: OsRelease,
    /// The installed packages.
    pub components: Vec<Component>,
}

impl Bom {
    /// The document as JSON, indented by two. The same input gives the same bytes, the serial number included, which is
    /// made from the rest.
    pub fn to_json(&self) -> Vec<u8> {
        let mut document = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": "",
            "version": 1,
            "metadata": self.metadata(),
            "components": self.components(),
            "dependencies": self.dependencies(),
        });
        document["serialNumber"] = json!(serial(&document.to_string()));
        // A value without maps that have other keys than texts can always be written.
        let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
        text.push(b'\n');
        text
    }

    fn metadata(&self) -> Value {
        let (tool, version) = &self.tool;
        json!({
            "timestamp": self.created,
            "tools": { "components": [{ "type": "application", "name": tool, "version": version }] },
            "component": without_empty(json!({
                "bom-ref": self.image_reference(),
                "type": "container",
                "name": self.name,
                "version": self.digest,
                "purl": self.image_purl(),
            })),
        })
    }

    fn image_reference(&self) -> String {
        format!(
            "image:{}",
            if self.digest.is_empty() {
                &self.name
            } else {
                &self.digest
            }
        )
    }

    fn image_purl(&self) -> String {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        let purl = Purl::new("oci", "", name, &self.digest).qualify("arch", &self.architecture);
        match purl.qualify("repository_url", &self.name).normalize() {
            Ok(purl) if !self.digest.is_empty() => purl.to_string(),
            _ => String::new(),
        }
    }

    fn components(&self) -> Vec<Value> {
        let os = without_empty(json!({
            "bom-ref": OS,
            "type": "operating-system",
            "name": self.os.id,
            "version": self.os.version_id,
            "description": self.os.pretty_name,
        }));
        let packages = self.components.iter().map(|component| self.component(component));
        std::iter::once(os).chain(packages).collect()
    }

    fn component(&self, component: &Component) -> Value {
        described(component, &self.purl(component))
    }

    fn purl(&self, component: &Component) -> String {
        let version = &self.os.version_id;
        let distribution = format!("{}-{version}", self.os.id);
        let purl = Purl::new("apk", &self.os.id, &component.name, &component.version)
            .qualify("arch", &component.arch)
            .qualify(
                "distro",
                if version.is_empty() {
                    &self.os.id
                } else {
                    &distribution
                },
            );
        match purl.normalize() {
            Ok(purl) => purl.to_string(),
            Err(_) => format!("{}@{}", component.name, component.version),
        }
    }

    fn dependencies(&self) -> Vec<Value> {
        let reference = |index: &usize| self.components.get(*index).map(|component| self.purl(component));
        let all: Vec<String> = self
            .components
            .iter()
            .map(|component| self.purl(component))
            .collect();
        let image = json!({ "ref": self.image_reference(), "dependsOn": all });
        let package = |component: &Component| {
            let mut depends: Vec<String> = component.depends.iter().filter_map(reference).collect();
            depends.sort();
            depends.dedup();
            json!({ "ref": self.purl(component), "dependsOn": depends })
        };
        std::iter::once(image)
            .chain(self.components.iter().map(package))
            .collect()
    }
}

/// A package and the sources that it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageBom {
    /// An RFC 3339 time.
    pub created: String,
    /// The tool that makes the document: its name and version.
    pub tool: (String, String),
    /// The distribution, for package URLs.
    pub namespace: String,
    /// The package.
    pub component: Component,
    /// The SHA-256 of the package file in hexadecimal digits.
    pub sha256: String,
    /// What it needs, as `.PKGINFO` says.
    pub depends: Vec<String>,
    /// The sources it was built from.
    pub sources: Vec<Source>,
}

impl PackageBom {
    /// The document as JSON, indented by two. The same input gives the same bytes.
    ///
    /// # Errors
    /// When nothing can be said about a source.
    pub fn to_json(&self) -> Result<Vec<u8>, SourceError> {
        let Component {
            name, version, arch, ..
        } = &self.component;
        let purl = Purl::new("apk", &self.namespace, name, version).qualify("arch", arch);
        let purl = match purl.normalize() {
            Ok(purl) => purl.to_string(),
            Err(_) => format!("{name}@{version}"),
        };
        let mut component = described(&self.component, &purl);
        component["hashes"] = json!([{ "alg": "SHA-256", "content": self.sha256 }]);
        let mut sources = Vec::new();
        for source in &self.sources {
            sources.extend(
                source
                    .describe(&self.namespace, "")?
                    .map(|upstream| ancestor(&upstream)),
            );
        }
        if !sources.is_empty() {
            component["pedigree"] = json!({ "ancestors": sources });
        }
        let needs = |need: &String| json!({ "name": "apk:depends", "value": need });
        let mut properties = component["properties"].as_array().cloned().unwrap_or_default();
        properties.extend(self.depends.iter().map(needs));
        component["properties"] = json!(properties);
        let (tool, tool_version) = &self.tool;
        let mut document = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": "",
            "version": 1,
            "metadata": {
                "timestamp": self.created,
                "tools": { "components": [{ "type": "application", "name": tool, "version": tool_version }] },
                "component": without_empty(component),
            },
            "components": [],
            "dependencies": [{ "ref": purl, "dependsOn": [] }],
        });
        document["serialNumber"] = json!(serial(&document.to_string()));
        let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
        text.push(b'\n');
        Ok(text)
    }
}

/// A source as CycloneDX has what something was made of.
fn ancestor(upstream: &Upstream) -> Value {
    let hash = |(kind, digits): (&&str, &String)| json!({ "alg": kind.replace("SHA", "SHA-"), "content": digits.to_lowercase() });
    let hashes: Vec<Value> = upstream.checksums.iter().map(hash).collect();
    let location = &upstream.download_location;
    let mut references = Vec::new();
    if location.starts_with("https://") || location.starts_with("http://") {
        references.push(json!({ "type": "distribution", "url": location.replace(' ', "%20") }));
    }
    without_empty(json!({
        "type": "library",
        "name": upstream.name,
        "version": upstream.version,
        "purl": upstream.purl.to_string(),
        "hashes": hashes,
        "externalReferences": references,
    }))
}

/// A component with all that is known of it.
fn described(component: &Component, purl: &str) -> Value {
    let mut properties = Vec::new();
    for (name, value) in [
        ("apk:origin", &component.origin),
        ("apk:commit", &component.commit),
    ] {
        if !value.is_empty() {
            properties.push(json!({ "name": name, "value": value }));
        }
    }
    let mut references = Vec::new();
    // A reference must be an IRI, which not every package has here.
    if component.url.starts_with("https://") || component.url.starts_with("http://") {
        references.push(json!({ "type": "website", "url": component.url.replace(' ', "%20") }));
    }
    let (author, address) = component
        .maintainer
        .split_once('<')
        .unwrap_or((&component.maintainer, ""));
    let author = without_empty(json!({
        "name": author.trim(),
        "email": address.trim_end_matches('>').trim(),
    }));
    without_empty(json!({
        "bom-ref": purl,
        "type": "library",
        "name": component.name,
        "version": component.version,
        "description": component.description,
        "licenses": license(&component.license),
        "authors": if author == json!({}) { json!([]) } else { json!([author]) },
        "purl": purl,
        "externalReferences": references,
        "properties": properties,
    }))
}

/// How documents refer to the operating system.
const OS: &str = "os";

/// A licence as CycloneDX has it: an SPDX expression, else a name.
fn license(text: &str) -> Value {
    match text {
        "" => json!([]),
        _ if spdx::Expression::parse(text).is_ok() => json!([{ "expression": text }]),
        _ => json!([{ "license": { "name": text } }]),
    }
}

/// An object without empty texts and lists.
fn without_empty(object: Value) -> Value {
    let is_empty = |value: &Value| value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
    match object {
        Value::Object(entries) => {
            let kept: Map<String, Value> = entries
                .into_iter()
                .filter(|(_, value)| !is_empty(value))
                .collect();
            Value::Object(kept)
        }
        other => other,
    }
}

/// A UUID made of a text: version 8, which leaves its bits to whoever makes it.
fn serial(text: &str) -> String {
    let digest = Sha256::digest(text);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "urn:uuid:{}-{}-8{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bom() -> Bom {
        Bom {
            created: "2024-06-10T07:11:47Z".to_owned(),
            tool: ("apko".to_owned(), "1".to_owned()),
            name: "library/web".to_owned(),
            digest: format!("sha256:{}", "0".repeat(64)),
            architecture: "amd64".to_owned(),
            components: vec![
                Component {
                    name: "app".to_owned(),
                    version: "1-r0".to_owned(),
                    license: "MIT AND custom words".to_owned(),
                    maintainer: "Me <me@example.org>".to_owned(),
                    depends: vec![1, 1, 7],
                    ..Component::default()
                },
                Component {
                    name: "lib".to_owned(),
                    version: "2-r0".to_owned(),
                    license: "MIT OR Apache-2.0".to_owned(),
                    ..Component::default()
                },
            ],
            ..Bom::default()
        }
    }

    #[test]
    fn components_refer_to_what_they_depend_on() {
        let document: Value = serde_json::from_slice(&bom().to_json()).unwrap();
        let (app, lib) = (&document["components"][1], &document["components"][2]);
        assert_eq!(document["dependencies"][1]["ref"], app["bom-ref"]);
        assert_eq!(document["dependencies"][1]["dependsOn"], json!([lib["bom-ref"]]));
        assert_eq!(lib["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(app["licenses"][0]["license"]["name"], "MIT AND custom words");
        assert_eq!(app["authors"][0]["email"], "me@example.org");
    }

    #[test]
    fn a_package_names_its_file_its_needs_and_its_sources() {
        let bom = PackageBom {
            created: "2024-06-10T07:11:47Z".to_owned(),
            namespace: "wolfi".to_owned(),
            component: Component {
                arch: "x86_64".to_owned(),
                origin: "app".to_owned(),
                ..self::bom().components[0].clone()
            },
            sha256: "0".repeat(64),
            depends: vec!["so:libc.so.6".to_owned()],
            sources: vec![Source::Fetch {
                step: 0,
                uri: "https://example.org/app-1.tar.gz".to_owned(),
                sha256: "AB".repeat(32),
                sha512: String::new(),
                name: "app".to_owned(),
                version: "1".to_owned(),
            }],
            ..PackageBom::default()
        };
        let json = bom.to_json().unwrap();
        let document: Value = serde_json::from_slice(&json).unwrap();
        let component = &document["metadata"]["component"];
        assert_eq!(component["purl"], "pkg:apk/wolfi/app@1-r0?arch=x86_64");
        assert_eq!(component["hashes"][0]["content"], "0".repeat(64));
        assert_eq!(
            component["properties"][1],
            json!({ "name": "apk:depends", "value": "so:libc.so.6" })
        );
        let source = &component["pedigree"]["ancestors"][0];
        assert_eq!(
            source["hashes"][0],
            json!({ "alg": "SHA-256", "content": "ab".repeat(32) })
        );
        assert_eq!(
            source["externalReferences"][0]["url"],
            "https://example.org/app-1.tar.gz"
        );
        assert_eq!(json, bom.to_json().unwrap());
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_and_other_input_another_serial_number() {
        assert_eq!(bom().to_json(), bom().to_json());
        let serial =
            |bom: &Bom| serde_json::from_slice::<Value>(&bom.to_json()).unwrap()["serialNumber"].clone();
        let other = Bom {
            name: "other".to_owned(),
            ..bom()
        };
        assert_ne!(serial(&bom()), serial(&other));
    }
}
