//! One list of exact versions out of what each architecture resolved to.

use std::collections::{BTreeMap, BTreeSet};

use apk_types::{Arch, Dependency, PackageRecord};

/// What one architecture resolved to.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The architecture.
    pub arch: Arch,
    versions: BTreeMap<String, String>,
    provided: BTreeMap<String, BTreeSet<String>>,
}

/// The world with every package at its exact version, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locked {
    /// What all architectures agree on, and what was asked for and is at different versions.
    pub index: Vec<String>,
    /// Each architecture's own list.
    pub by_arch: BTreeMap<Arch, Vec<String>>,
}

/// Packages that were asked for but that the architectures do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the architectures do not agree on: {}", disagreements(.packages))]
pub struct Disagreement {
    /// Each package, and which architectures take which version of it (empty where they have none).
    pub packages: BTreeMap<String, BTreeMap<String, Vec<Arch>>>,
}

fn disagreements(packages: &BTreeMap<String, BTreeMap<String, Vec<Arch>>>) -> String {
    let package = |(name, versions): (&String, &BTreeMap<String, Vec<Arch>>)| {
        let version = |(version, archs): (&String, &Vec<Arch>)| {
            let archs: Vec<&str> = archs.iter().map(|arch| arch.apk_name()).collect();
            let version = if version.is_empty() { "none" } else { version };
            format!("{version} ({})", archs.join(", "))
        };
        format!(
            "{name}: {}",
            versions.iter().map(version).collect::<Vec<_>>().join(", ")
        )
    };
    packages.iter().map(package).collect::<Vec<_>>().join("; ")
}

impl Resolved {
    /// Takes from a solution what matters here.
    pub fn new<'a>(arch: Arch, packages: impl IntoIterator<Item = &'a PackageRecord>) -> Self {
        let mut resolved = Self {
            arch,
            versions: BTreeMap::new(),
            provided: BTreeMap::new(),
        };
        for package in packages {
            resolved
                .versions
                .insert(package.name.clone(), package.version.clone());
            let provided: BTreeSet<String> = package
                .provides
                .iter()
                .map(|name| name.name().to_owned())
                .collect();
            if !provided.is_empty() {
                resolved.provided.insert(package.name.clone(), provided);
            }
        }
        resolved
    }
}

/// Locks the packages asked for, and all that they brought in, to exact versions, as the Go apko does: pins stay,
/// and a package that was asked for must be the same on every architecture, or be provided by one that is.
pub fn unify(asked: &[String], resolved: &[Resolved]) -> Result<Locked, Disagreement> {
    let Some((first, others)) = resolved.split_first().filter(|_| !asked.is_empty()) else {
        return Ok(Locked::default());
    };
    let pins: BTreeMap<String, String> = asked
        .iter()
        .map(|text| Dependency::lenient(text))
        .map(|asked| {
            (
                asked.name().to_owned(),
                asked.pin().map_or_else(String::new, |pin| format!("@{pin}")),
            )
        })
        .collect();
    let common = common(first.clone(), others);

    let mut missing: BTreeSet<&str> = pins
        .keys()
        .map(String::as_str)
        .filter(|name| !common.versions.contains_key(*name))
        .collect();
    for provided in common.provided.values() {
        missing.retain(|name| !provided.contains(*name));
    }
    if !missing.is_empty() {
        let versions = |name: &str| {
            let mut versions: BTreeMap<String, Vec<Arch>> = BTreeMap::new();
            for one in resolved {
                versions
                    .entry(one.versions.get(name).cloned().unwrap_or_default())
                    .or_default()
                    .push(one.arch);
            }
            versions
        };
        let packages = missing
            .into_iter()
            .map(|name| (name.to_owned(), versions(name)))
            .collect();
        return Err(Disagreement { packages });
    }
    let exact = |versions: &BTreeMap<String, String>| -> Vec<String> {
        let pin = |name| pins.get(name).map_or("", String::as_str);
        let mut list: Vec<String> = versions
            .iter()
            .map(|(name, version)| format!("{name}={version}{}", pin(name)))
            .collect();
        list.sort();
        list
    };
    Ok(Locked {
        index: exact(&common.versions),
        by_arch: resolved
            .iter()
            .map(|one| (one.arch, exact(&one.versions)))
            .collect(),
    })
}

/// Keeps of `common` what the others have at the same version, and of what it provides what theirs provide too.
fn common(mut common: Resolved, others: &[Resolved]) -> Resolved {
    for other in others {
        for (name, version) in &common.versions {
            if other.versions.get(name).is_some_and(|theirs| theirs != version) {
                common.provided.remove(name);
            }
        }
        common
            .versions
            .retain(|name, version| other.versions.get(name) == Some(version));
        for (name, provided) in &mut common.provided {
            if common.versions.contains_key(name) {
                let theirs = other.provided.get(name);
                provided.retain(|name| theirs.is_some_and(|theirs| theirs.contains(name)));
            }
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(arch: Arch, packages: &[(&str, &str, &[&str])]) -> Resolved {
        let records: Vec<PackageRecord> = packages
            .iter()
            .map(|(name, version, provides)| PackageRecord {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                provides: provides.iter().map(|text| Dependency::lenient(text)).collect(),
                ..PackageRecord::default()
            })
            .collect();
        Resolved::new(arch, &records)
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn one_architecture_is_locked_as_it_is_with_pins() {
        let one = resolved(
            Arch::X86_64,
            &[
                ("foo", "1-r0", &[]),
                ("foo-bar", "2-r0", &[]),
                ("lib", "3-r0", &[]),
            ],
        );
        let locked = unify(&texts(&["foo@edge", "foo-bar>1"]), &[one]).unwrap();
        assert_eq!(
            locked.index,
            texts(&["foo-bar=2-r0", "foo=1-r0@edge", "lib=3-r0"])
        );
        assert_eq!(locked.by_arch[&Arch::X86_64], locked.index);
    }

    #[test]
    fn what_differs_between_architectures_is_left_out_of_the_index() {
        let a = resolved(
            Arch::X86_64,
            &[("app", "1", &[]), ("only-x86", "1", &[]), ("lib", "1", &[])],
        );
        let b = resolved(Arch::Aarch64, &[("app", "1", &[]), ("lib", "2", &[])]);
        let locked = unify(&texts(&["app"]), &[a, b]).unwrap();
        assert_eq!(locked.index, texts(&["app=1"]));
        assert_eq!(locked.by_arch[&Arch::Aarch64], texts(&["app=1", "lib=2"]));
    }

    #[test]
    fn what_was_asked_for_must_agree_or_be_provided() {
        let a = resolved(Arch::X86_64, &[("app", "1", &["cmd:app"])]);
        let b = resolved(Arch::Aarch64, &[("app", "2", &["cmd:app"])]);
        let error = unify(&texts(&["app"]), &[a.clone(), b]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the architectures do not agree on: app: 1 (x86_64), 2 (aarch64)"
        );
        let same = resolved(Arch::Aarch64, &[("app", "1", &["cmd:app"])]);
        assert!(unify(&texts(&["cmd:app"]), &[a, same]).is_ok());
    }

    #[test]
    fn nothing_asked_for_locks_nothing() {
        assert_eq!(unify(&[], &[resolved(Arch::X86_64, &[])]), Ok(Locked::default()));
    }
}
