//! Lock files: the exact packages of a configuration, in the JSON of the Go apko.

use apk_package::split;
use apk_repository::Location;
use apk_types::{Arch, Checksum};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha1::{Digest as _, Sha1};

use crate::config::{ImageConfiguration, Loaded};
use crate::install::{FetchedPackage, fetch};
use crate::resolve::{Additions, Policy, Repositories, ResolveError, world};

/// A lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lockfile {
    /// The version of the format: `v1`.
    pub version: String,
    /// What it was made of.
    pub config: LockedConfig,
    /// What it locks.
    pub contents: LockedContents,
}

/// The configuration that a lock file was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockedConfig {
    /// Its path as it was given.
    pub name: String,
    /// `sha256-` and the base64 of the digest over it and all it includes.
    pub checksum: String,
}

/// What a lock file locks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LockedContents {
    /// The keys.
    #[serde(rename = "keyring")]
    pub keys: Vec<LockedKey>,
    /// The repositories for the build alone, once for each architecture.
    pub build_repositories: Vec<LockedRepository>,
    /// The repositories for the image alone.
    pub runtime_repositories: Vec<LockedRepository>,
    /// The repositories for both.
    pub repositories: Vec<LockedRepository>,
    /// The packages in the order of installation, one architecture after the other.
    pub packages: Vec<LockedPackage>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockedKey {
    /// Its path or URL without the scheme.
    pub name: String,
    /// Its path or URL.
    pub url: String,
    /// Its content in PEM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// A repository for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockedRepository {
    /// Its directory without the scheme.
    pub name: String,
    /// Its index.
    pub url: String,
    /// The architecture as apk names it.
    pub architecture: String,
}

/// A package and where its sections lie in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its file.
    pub url: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// The signature section; both texts are empty where there is none.
    pub signature: LockedSection,
    /// The control section.
    pub control: LockedSection,
    /// The data section.
    pub data: LockedSection,
    /// The checksum of the control section as indexes have it.
    pub checksum: String,
}

/// A section of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LockedSection {
    /// `bytes=FIRST-LAST`.
    pub range: String,
    /// `sha1-` or `sha256-` and the base64 of the digest over the compressed bytes.
    pub checksum: String,
}

impl Lockfile {
    /// The bytes of the file: indented by two, with a line feed at the end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = go_json::to_vec_indent(self, "  ")?;
        json.push(b'\n');
        Ok(json)
    }
}

/// Resolves a configuration for each architecture on its own, fetches and verifies the packages, and writes down
/// what they are. `name` is the configuration's path as the lock file shall name it.
pub fn lock(
    name: &str,
    loaded: &Loaded,
    additions: &Additions,
    archs: &[Arch],
    policy: &Policy,
) -> Result<Lockfile, ResolveError> {
    let configuration = &loaded.configuration;
    let repositories = Repositories::open(configuration, additions, archs, policy)?;
    let world = world(&configuration.clone().with_service_bundle(), additions);
    let mut contents = LockedContents {
        keys: keys(configuration)?,
        ..LockedContents::default()
    };
    let configured = &configuration.contents;
    for resolution in repositories.resolve(&world, archs, false)? {
        let arch = resolution.arch;
        let fetched = fetch(&resolution, repositories.trust())?;
        for (package, chosen) in fetched.iter().zip(&resolution.packages) {
            contents
                .packages
                .push(locked(package, chosen.location.package(arch, &chosen.record)));
        }
        for (texts, locked) in [
            (&configured.build_repositories, &mut contents.build_repositories),
            (
                &configured.runtime_repositories,
                &mut contents.runtime_repositories,
            ),
            (&configured.repositories, &mut contents.repositories),
        ] {
            for text in texts {
                locked.push(repository(&text.parse()?, arch));
            }
        }
    }
    Ok(Lockfile {
        version: "v1".to_owned(),
        config: LockedConfig {
            name: name.to_owned(),
            checksum: format!("sha256-{}", STANDARD.encode(loaded.checksum)),
        },
        contents,
    })
}

fn keys(configuration: &ImageConfiguration) -> Result<Vec<LockedKey>, ResolveError> {
    let key = |path: &String| {
        let (_, content) = apk_repository::read_key(path)?;
        Ok(LockedKey {
            name: without_scheme(path).to_owned(),
            url: path.clone(),
            content,
        })
    };
    let mut keys: Vec<LockedKey> = configuration
        .contents
        .keyring
        .iter()
        .map(key)
        .collect::<Result<_, ResolveError>>()?;
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(keys)
}

fn repository(location: &Location, arch: Arch) -> LockedRepository {
    LockedRepository {
        name: without_scheme(&location.directory(arch)).to_owned(),
        url: location.index(arch),
        architecture: arch.to_string(),
    }
}

fn locked(package: &FetchedPackage, url: String) -> LockedPackage {
    let sha1 = |digest: &[u8]| format!("sha1-{}", STANDARD.encode(digest));
    let range =
        |range: &std::ops::Range<usize>| format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
    let contents = &package.contents;
    // The package was verified a moment ago, so that its sections are to be found.
    let sections = split(&package.file, &apk_package::Limits::default()).ok();
    let signature = sections.as_ref().and_then(|sections| sections.signature.as_ref());
    let section = |place: Option<&std::ops::Range<usize>>, checksum: String| LockedSection {
        range: place.map(range).unwrap_or_default(),
        checksum,
    };
    LockedPackage {
        name: package.record.name.clone(),
        url,
        version: package.record.version.clone(),
        architecture: package.record.arch.clone(),
        signature: section(
            signature,
            signature
                .map(|place| sha1(&Sha1::digest(&package.file[place.clone()])))
                .unwrap_or_default(),
        ),
        control: section(
            sections.as_ref().map(|sections| &sections.control),
            match contents.control_checksum {
                Checksum::Sha1(digest) => sha1(&digest),
                Checksum::Sha256(digest) => format!("sha256-{}", STANDARD.encode(digest)),
            },
        ),
        data: section(
            sections.as_ref().map(|sections| &sections.data),
            format!("sha256-{}", STANDARD.encode(contents.data_hash)),
        ),
        checksum: contents.control_checksum.to_string(),
    }
}

fn without_scheme(url: &str) -> &str {
    url.strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .unwrap_or(url)
}
