//! Building from a lock file: whether it fits, and what it asks for.

use std::collections::BTreeSet;

use apk_types::{Arch, Dependency, PackageRecord, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{LockError, LockedPackage, LockedRepository, Lockfile, config_checksum};
use crate::config::Loaded;
use crate::install::FetchedPackage;
use crate::resolve::{Additions, Resolution, ResolvedPackage, world};

/// How a lock file does not fit what is to be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Its format is not known.
    #[error("its version is `{0}`, but `v1` is the one that is known")]
    Version(String),
    /// It was made of other configuration files.
    #[error("it was made when {name} or what it includes had other content")]
    Configuration {
        /// The configuration that it names.
        name: String,
    },
    /// It locks nothing for an architecture.
    #[error("it has no packages for {arch}, but for {}", .locked.join(", "))]
    Architecture {
        /// The architecture asked for.
        arch: Arch,
        /// Those it has packages for.
        locked: Vec<String>,
    },
    /// It locks no package that meets what is asked for.
    #[error("`{wanted}` is asked for, but no package locked for {arch} is that")]
    Package {
        /// The entry of the configuration or command line.
        wanted: String,
        /// The architecture.
        arch: Arch,
    },
    /// A repository or key of the configuration is not in it.
    #[error("the {what} `{text}` is in the configuration, but not in the lock file")]
    Added {
        /// `repository` or `key`.
        what: &'static str,
        /// How the configuration writes it.
        text: String,
    },
    /// It has a repository or key that the configuration has not.
    #[error("the {what} `{text}` is in the lock file, but not in the configuration")]
    Removed {
        /// `repository` or `key`.
        what: &'static str,
        /// How the lock file writes it.
        text: String,
    },
}

impl Lockfile {
    /// Tests whether it was made of these very configuration files, for all architectures asked for. The error lists
    /// all that is seen to differ.
    pub fn check(&self, loaded: &Loaded, additions: &Additions, archs: &[Arch]) -> Result<(), LockError> {
        let mut misfits = Vec::new();
        if !matches!(self.version.as_str(), "" | "v1") {
            misfits.push(Misfit::Version(self.version.clone()));
        }
        let made_of = self.config.as_ref();
        if let Some(made_of) = made_of.filter(|one| one.checksum != config_checksum(&loaded.checksum)) {
            misfits.push(Misfit::Configuration {
                name: made_of.name.clone(),
            });
            misfits.extend(self.world_misfits(loaded, additions, archs));
            misfits.extend(self.source_misfits(loaded));
        }
        misfits.extend(self.arch_misfits(archs));
        refuse(misfits)
    }

    fn arch_misfits(&self, archs: &[Arch]) -> Vec<Misfit> {
        let contents = &self.contents;
        let packages = contents.packages.iter().map(|package| &package.architecture);
        let repositories = [
            &contents.build_repositories,
            &contents.runtime_repositories,
            &contents.repositories,
        ];
        let repositories = repositories.into_iter().flatten().map(|one| &one.architecture);
        let locked: BTreeSet<&str> = packages.chain(repositories).map(String::as_str).collect();
        let is_missing = |arch: &&Arch| !locked.is_empty() && !locked.contains(arch.apk_name());
        let misfit = |arch: &Arch| Misfit::Architecture {
            arch: *arch,
            locked: locked.iter().map(|arch| (*arch).to_owned()).collect(),
        };
        archs.iter().filter(is_missing).map(misfit).collect()
    }

    /// What is asked for by a name that nothing locked has. Names such as `so:` and `cmd:` are passed over: only the
    /// packages know what they provide.
    fn world_misfits(&self, loaded: &Loaded, additions: &Additions, archs: &[Arch]) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        let world = world(&loaded.configuration.clone().with_service_bundle(), additions);
        for arch in archs {
            let has = |wanted: &Dependency| {
                self.packages(*arch)
                    .any(|package| wanted.name() == package.name && accepts(wanted, &package.version))
            };
            let missing = |text: &&String| {
                let wanted = Dependency::lenient(text);
                !wanted.name().contains(':') && has(&wanted) == wanted.is_conflict()
            };
            misfits.extend(world.iter().filter(missing).map(|wanted| Misfit::Package {
                wanted: wanted.clone(),
                arch: *arch,
            }));
        }
        misfits
    }

    fn source_misfits(&self, loaded: &Loaded) -> Vec<Misfit> {
        let (configured, locked) = (&loaded.configuration.contents, &self.contents);
        let directory = |one: &LockedRepository| {
            let index = format!("/{}/APKINDEX.tar.gz", one.architecture);
            one.url.strip_suffix(&index).unwrap_or(&one.url).to_owned()
        };
        let without_tag = |text: &String| match text.strip_prefix('@') {
            Some(rest) => rest
                .split_once(' ')
                .map_or(rest, |(_, url)| url.trim())
                .to_owned(),
            None => text.clone(),
        };
        let mut misfits = Vec::new();
        for (configured, locked) in [
            (&configured.build_repositories, &locked.build_repositories),
            (&configured.runtime_repositories, &locked.runtime_repositories),
            (&configured.repositories, &locked.repositories),
        ] {
            let configured: Vec<String> = configured.iter().map(without_tag).collect();
            let locked: Vec<String> = locked.iter().map(directory).collect();
            compare("repository", &configured, &locked, &mut misfits);
        }
        // Keys that were found by themselves are in the lock file alone.
        let locked: Vec<String> = locked.keys.iter().map(|key| key.url.clone()).collect();
        let is_added = |key: &&String| !locked.contains(key);
        misfits.extend(
            configured
                .keyring
                .iter()
                .filter(is_added)
                .map(|key| Misfit::Added {
                    what: "key",
                    text: key.clone(),
                }),
        );
        misfits
    }

    /// The packages of an architecture as something to fetch.
    pub(crate) fn resolution(&self, arch: Arch) -> Result<Resolution, LockError> {
        refuse(self.arch_misfits(&[arch]))?;
        let packages = self.packages(arch).map(|package| resolved(package, arch));
        Ok(Resolution {
            arch,
            packages: packages.collect::<Result<_, _>>()?,
            unmet: Vec::new(),
            instead_of: None,
        })
    }

    /// Compares the data of fetched packages, in the order of [`Self::resolution`], with what is locked.
    pub(crate) fn verify(&self, arch: Arch, packages: &[FetchedPackage]) -> Result<(), LockError> {
        for (package, locked) in packages.iter().zip(self.packages(arch)) {
            let actual = format!("sha256-{}", STANDARD.encode(package.contents.data_hash));
            if !locked.data.checksum.is_empty() && locked.data.checksum != actual {
                return Err(LockError::Data {
                    url: locked.url.clone(),
                    locked: locked.data.checksum.clone(),
                    actual,
                });
            }
        }
        Ok(())
    }
}

/// Tests that packages meet all that is asked for.
pub(crate) fn check_world<'a>(
    world: &[String],
    arch: Arch,
    packages: impl Iterator<Item = &'a PackageRecord> + Clone,
) -> Result<(), LockError> {
    let meets = |package: &PackageRecord, wanted: &Dependency| {
        let provides = |one: &Dependency| {
            one.name() == wanted.name()
                && match one.version() {
                    Some(version) => accepts(wanted, version),
                    None => wanted.constraint().is_none(),
                }
        };
        package.name == wanted.name() && accepts(wanted, &package.version)
            || package.provides.iter().any(provides)
    };
    let is_missing = |text: &&String| {
        let wanted = Dependency::lenient(text);
        packages.clone().any(|package| meets(package, &wanted)) == wanted.is_conflict()
    };
    let misfit = |wanted: &String| Misfit::Package {
        wanted: wanted.clone(),
        arch,
    };
    refuse(world.iter().filter(is_missing).map(misfit).collect())
}

fn refuse(misfits: Vec<Misfit>) -> Result<(), LockError> {
    match misfits.is_empty() {
        true => Ok(()),
        false => Err(LockError::Misfit(misfits)),
    }
}

fn compare(what: &'static str, configured: &[String], locked: &[String], misfits: &mut Vec<Misfit>) {
    for text in configured.iter().filter(|text| !locked.contains(text)) {
        let text = text.clone();
        misfits.push(Misfit::Added { what, text });
    }
    let mut removed: Vec<&String> = locked.iter().filter(|text| !configured.contains(text)).collect();
    removed.dedup();
    for text in removed {
        let text = text.clone();
        misfits.push(Misfit::Removed { what, text });
    }
}

fn accepts(wanted: &Dependency, version: &str) -> bool {
    match version.parse::<Version>() {
        Ok(version) => wanted.accepts(&version),
        Err(_) => wanted.version().is_none_or(|wanted| wanted == version),
    }
}

fn resolved(package: &LockedPackage, arch: Arch) -> Result<ResolvedPackage, LockError> {
    let entry = |reason: String| LockError::Entry {
        package: format!("{}-{}", package.name, package.version),
        reason,
    };
    if package.checksum.is_empty() {
        return Err(entry("it has no checksum; make the lock file anew".to_owned()));
    }
    let checksum = package.checksum.parse();
    let checksum = checksum.map_err(|_| entry(format!("`{}` is not a checksum", package.checksum)))?;
    let last = package.data.range.rsplit('-').next().unwrap_or_default();
    let last: u64 = last
        .parse()
        .map_err(|_| entry(format!("`{}` is not a range of bytes", package.data.range)))?;
    let record = PackageRecord {
        name: package.name.clone(),
        version: package.version.clone(),
        arch: package.architecture.clone(),
        checksum: Some(checksum),
        size: last.saturating_add(1),
        ..PackageRecord::default()
    };
    let suffix = format!("/{arch}/{}", record.file_name());
    let location = package
        .url
        .strip_suffix(&suffix)
        .and_then(|base| base.parse().ok())
        .ok_or_else(|| entry(format!("its URL `{}` does not end in `{suffix}`", package.url)))?;
    Ok(ResolvedPackage { record, location })
}
