//! SPDX 2.3 documents (SBOMs) of packages and of the images made of them.
//!
//! [`PackageSbom`] is what a build knows about a package and becomes the document inside the package, as
//! melange writes it. [`ImageSbom`] is what is known about an image, the documents inside its packages
//! included, and becomes the document beside the image, as apko writes it; [`IndexSbom`] does the same for a
//! multi-platform image. [`Bom`] is what an installed database knows, as CycloneDX 1.6, and [`PackageBom`] the same of one package. The crate takes plain data and
//! has no clock, files or network; it does not detect licences and does not list the files of packages.
//!
//! ```
//! use spdx_sbom::{Creation, ImageSbom, EmbeddedSbom, Layer, PackageSbom};
//!
//! let creation = Creation { created: "2024-06-10T07:11:47Z".into(), creators: vec!["Tool: example (1)".into()] };
//! let package = PackageSbom {
//!     creation: creation.clone(),
//!     name: "hello".into(),
//!     version: "1.0-r0".into(),
//!     arch: "x86_64".into(),
//!     namespace: "example".into(),
//!     license: "MIT".into(),
//!     ..PackageSbom::default()
//! };
//! assert_eq!(package.path(), "var/lib/db/sbom/hello-1.0-r0.spdx.json");
//! let json = package.document()?.to_json()?;
//!
//! let digest = format!("sha256:{}", "0".repeat(64));
//! let media_type = "application/vnd.oci.image.layer.v1.tar+gzip".into();
//! let image = ImageSbom {
//!     creation,
//!     architecture: "amd64".into(),
//!     digest: digest.clone(),
//!     layers: vec![Layer { digest, media_type }],
//!     packages: vec![EmbeddedSbom { package: "hello".into(), json }],
//!     ..ImageSbom::default()
//! };
//! let (document, warnings) = image.document()?;
//! assert!(warnings.is_empty());
//! assert!(document.packages.iter().any(|p| p.id == "SPDXRef-Package-apk-hello-1.0-r0"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An SBOM from an installed database:
//!
//! ```
//! use spdx_sbom::{Bom, Component};
//!
//! // What `usr/lib/apk/db/installed` says.
//! let database = "\
//! P:hello\nV:1.0-r0\nA:x86_64\nL:MIT\nD:so:libc.so\n\n\
//! P:libc\nV:1.2-r3\nA:x86_64\nL:MIT\np:so:libc.so=1\nF:lib\nR:libc.so\n\n";
//! let installed = apk_rootfs::installed_db::parse(database)?;
//! let records: Vec<_> = installed.iter().map(|package| &package.record).collect();
//! let bom = Bom {
//!     created: "2024-06-10T07:11:47Z".into(),
//!     tool: ("example".into(), "1".into()),
//!     name: "hello".into(),
//!     architecture: "amd64".into(),
//!     components: Component::of_packages(&records),
//!     ..Bom::default()
//! };
//!
//! let document: serde_json::Value = serde_json::from_slice(&bom.to_json())?;
//! // The operating system comes first.
//! let [hello, libc] = [1, 2].map(|place| &document["components"][place]);
//! assert_eq!((&hello["name"], &libc["version"]), (&"hello".into(), &"1.2-r3".into()));
//! // It depends on what provides the library.
//! assert_eq!(bom.components[0].depends, [1]);
//! let depends = document["dependencies"].as_array().into_iter().flatten();
//! let mut of_hello = depends.filter(|entry| entry["ref"] == hello["bom-ref"]);
//! assert_eq!(of_hello.next().map(|entry| &entry["dependsOn"][0]), Some(&libc["bom-ref"]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cyclonedx;
mod document;
mod image;
mod os_release;
mod package;
mod purl;
mod source;

pub use cyclonedx::{Bom, Component, PackageBom};
pub use document::{
    Checksum, CreationInfo, Document, ExternalDocumentRef, ExternalRef, LicensingInfo, NOASSERTION, Package,
    Relationship, VerificationCode,
};
pub use image::{
    Creation, DEFAULT_SUPPLIER, EmbeddedSbom, ImageSbom, ImageSbomError, IndexSbom, IndexedImage, Layer,
    SbomWarning, embedded_sbom_paths,
};
pub use os_release::{OsRelease, OsReleaseError};
pub use package::{Configuration, PackageSbom, PackageSbomError, UNKNOWN_NAMESPACE};
pub use purl::{Purl, PurlError};
pub use source::{Source, SourceError};
