//! Making a lock file.

use std::collections::BTreeMap;

use apk_repository::{Client, Location};
use apk_types::{Arch, Checksum};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::{
    LockError, LockedConfig, LockedContents, LockedKey, LockedPackage, LockedRepository, LockedSection,
    Lockfile, config_checksum,
};
use crate::base::Base;
use crate::build::BuildError;
use crate::config::{ImageConfiguration, Loaded};
use crate::install::{FetchedPackage, fetch};
use crate::plan::resolve_with_base;
use crate::resolve::{Additions, Policy, Repositories, ResolveError, sorted};
use crate::store::Store;

/// What to lock.
#[derive(Clone, Copy, Debug)]
pub struct LockRequest<'a> {
    /// The configuration's path as the lock file shall name it.
    pub name: &'a str,
    /// The configuration.
    pub loaded: &'a Loaded,
    /// What the command line adds.
    pub additions: &'a Additions,
    /// The architectures to lock for.
    pub archs: &'a [Arch],
    /// How careful to be.
    pub policy: &'a Policy,
    /// Where verified packages are kept.
    pub store: &'a Store,
    /// Versions to keep; without it all packages are chosen anew.
    pub keep: Option<Keep<'a>>,
}

/// An earlier lock file whose versions stay.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// The lock file.
    pub lockfile: &'a Lockfile,
    /// The packages whose versions do not stay.
    pub except: &'a [String],
}

impl Keep<'_> {
    fn version(&self, arch: Arch, name: &str) -> Option<String> {
        let locked = self.lockfile.packages(arch).find(|package| package.name == name);
        let locked = locked.filter(|package| !self.except.contains(&package.name));
        locked.map(|package| package.version.clone())
    }

    /// The first package to be moved that is not locked at all.
    fn unknown(&self) -> Option<&String> {
        let packages = &self.lockfile.contents.packages;
        let is_locked = |name: &&String| packages.iter().any(|one| one.name == **name);
        self.except.iter().find(|name| !is_locked(name))
    }
}

/// Resolves a configuration for each architecture on its own, fetches and verifies the packages, and writes down
/// what they are; what a base image has is left out.
pub fn lock(request: &LockRequest<'_>) -> Result<Lockfile, BuildError> {
    let (loaded, additions, archs) = (request.loaded, request.additions, request.archs);
    if let Some(unknown) = request.keep.as_ref().and_then(Keep::unknown) {
        return Err(LockError::NotLocked(unknown.clone()).into());
    }
    let keep = |arch: Arch, name: &str| request.keep.and_then(|keep| keep.version(arch, name));
    let configuration = &loaded.configuration;
    let mut contents = LockedContents {
        keys: keys(configuration, archs, &request.policy.client)?,
        ..LockedContents::default()
    };
    let configured = &configuration.contents;
    let mut repositories = Repositories::open(configuration, additions, archs, request.policy)?;
    let bases = Base::read_all(configuration, &loaded.include_paths, archs)?;
    for resolution in resolve_with_base(configuration, additions, archs, &mut repositories, &bases, &keep)? {
        let arch = resolution.arch;
        let fetched = fetch(&resolution, request.policy, request.store)?;
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
                let location = text.parse().map_err(ResolveError::from)?;
                locked.push(repository(&location, arch));
            }
        }
    }
    Ok(Lockfile {
        version: "v1".to_owned(),
        config: Some(LockedConfig {
            name: request.name.to_owned(),
            checksum: config_checksum(&loaded.checksum),
        }),
        contents,
    })
}

/// The keys of the configuration, and those that its repositories announce; the command line's are left to it.
fn keys(
    configuration: &ImageConfiguration,
    archs: &[Arch],
    client: &Client,
) -> Result<Vec<LockedKey>, ResolveError> {
    let contents = &configuration.contents;
    let locked = |url: &str, content: String| LockedKey {
        name: without_scheme(url).to_owned(),
        url: url.to_owned(),
        content,
    };
    let mut keys = Vec::new();
    for path in &contents.keyring {
        keys.push(locked(path, client.read_key(path)?.1));
    }
    let texts = sorted([
        &contents.build_repositories,
        &contents.runtime_repositories,
        &contents.repositories,
    ]);
    let locations: Vec<Location> = texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let announced = client.announced_keys_of(&locations, archs)?;
    // Most of them are for all architectures.
    let by_url: BTreeMap<String, String> = announced
        .into_values()
        .flatten()
        .map(|key| (key.url, key.pem))
        .collect();
    keys.extend(by_url.into_iter().map(|(url, pem)| locked(&url, pem)));
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
    let sections = &contents.sections;
    let signature = sections.signature.as_ref();
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
                .map(|place| sha1(&Sha1::digest(&contents.prefix[place.clone()])))
                .unwrap_or_default(),
        ),
        control: section(
            Some(&sections.control),
            match contents.control_checksum {
                Checksum::Sha1(digest) => sha1(&digest),
                Checksum::Sha256(digest) => format!("sha256-{}", STANDARD.encode(digest)),
            },
        ),
        data: section(
            Some(&sections.data),
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
