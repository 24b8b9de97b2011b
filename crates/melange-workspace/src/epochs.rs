//! Versions that are published already, and of which the content is another one now.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use apk_repository::Location;
use apk_types::Arch;
use build_graph::{Failure, Hash};
use spanned_yaml::{Document, EmitValue, NodePath};

use crate::definition::Definition;
use crate::error::Place;
use crate::identity::identify;
use crate::session::Session;
use crate::snapshot::write_whole;

/// A configuration with packages whose content is not that which is published under the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The configuration, relative to the root.
    pub file: String,
    /// The version with its release.
    pub version: String,
    /// The packages.
    pub packages: Vec<String>,
    /// Where the epoch, or else the name, is written.
    pub place: Place,
}

impl Session<'_> {
    /// Finds the configurations with packages whose content is another one than that of the packages which a repository
    /// has under the same version. Only what was built is compared.
    ///
    /// # Errors
    /// When the repository or a package of it cannot be had.
    pub fn stale(&self, repository: &str) -> Result<Vec<Stale>, Failure> {
        let mut stale: Vec<Stale> = Vec::new();
        for arch in &self.workspace.archs {
            let spec = crate::EnvironmentSpec {
                repositories: vec![repository.to_owned()],
                ..Default::default()
            };
            let remotes = self.resolver.remotes.of(&spec, *arch, false)?;
            // The one that was asked for comes last, or is one of those that are there anyhow.
            let absolute = self.resolver.remotes.absolute(repository);
            let wanted: Option<Location> = absolute.map(|text| text.parse()).transpose()?;
            let Some(remote) = remotes
                .into_iter()
                .find(|remote| Some(&remote.location) == wanted.as_ref())
            else {
                continue;
            };
            let published = remote.records()?;
            for definition in self
                .workspace
                .definitions
                .iter()
                .filter(|one| one.arch == arch.apk_name())
            {
                let Some(result) = self.last_result(&definition.node()) else {
                    continue;
                };
                let mut packages = Vec::new();
                for (name, identity) in &result.identities {
                    let own = result.built.records.iter().find(|record| record.name == *name);
                    let theirs = published
                        .iter()
                        .find(|record| record.name == *name && record.version == definition.version);
                    let (Some(own), Some(theirs)) = (own, theirs) else {
                        continue;
                    };
                    if own.checksum != theirs.checksum
                        && self.identity_of(&remote.location, *arch, theirs)? != *identity
                    {
                        packages.push(name.clone());
                    }
                }
                let known = stale.iter_mut().find(|one| one.file == definition.file);
                match known {
                    _ if packages.is_empty() => {}
                    Some(known) => {
                        known.packages.extend(packages);
                        known.packages.sort();
                        known.packages.dedup();
                    }
                    None => stale.push(Stale {
                        place: self.epoch_place(definition),
                        file: definition.file.clone(),
                        version: definition.version.clone(),
                        packages,
                    }),
                }
            }
        }
        stale.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(stale)
    }

    fn identity_of(
        &self,
        location: &Location,
        arch: Arch,
        record: &apk_types::PackageRecord,
    ) -> Result<Hash, Failure> {
        let trust = apk_repository::Trust {
            keyring: None,
            ..apk_repository::Trust::default()
        };
        // The index that has its checksum was verified.
        let (bytes, _) = self
            .resolver
            .remotes
            .policy
            .client
            .read_package(location, arch, record, &trust)?;
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(&bytes)?;
        Ok(identify(file.path())?.identity)
    }

    fn epoch_place(&self, definition: &Definition) -> Place {
        let epoch = definition
            .inputs
            .iter()
            .find(|input| input.name == "package/epoch");
        let line = epoch
            .and_then(|input| input.origin.as_ref())
            .and_then(|origin| origin.line);
        Place {
            file: definition.file.clone(),
            line: line
                .or_else(|| definition.packages.first().map(|package| package.line))
                .unwrap_or(1),
        }
    }

    /// Makes the epoch of a configuration one more. All else in the file stays as it is.
    ///
    /// # Errors
    /// When the file cannot be read, changed or written.
    pub fn bump_epoch(&self, stale: &Stale) -> Result<u64, Failure> {
        let path: PathBuf = self.workspace.root.join(&stale.file);
        let text = fs::read_to_string(&path)?;
        let (text, epoch) = with_next_epoch(&text)?;
        write_whole(&path, &[text.as_bytes()])?;
        Ok(epoch)
    }
}

fn with_next_epoch(text: &str) -> Result<(String, u64), Failure> {
    let mut document = Document::parse(text)?;
    let package = NodePath::root().key("package");
    let path = package.clone().key("epoch");
    let epoch = match path.of(document.root()) {
        Some(node) => {
            let before = node
                .as_int()
                .and_then(|epoch| u64::try_from(epoch).ok())
                .unwrap_or_default();
            document.set(&path, EmitValue::Int((before + 1).into()))?;
            before + 1
        }
        // Without one it is 0.
        None => {
            document.insert(&package, "epoch", EmitValue::Int(1))?;
            1
        }
    };
    Ok((document.text().to_owned(), epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_epoch_changes() {
        let text = "# hello\npackage:\n  name: hello # the name\n  version: 1.0\n  epoch: 4   # rebuilt\n";
        let (changed, epoch) = with_next_epoch(text).unwrap();
        assert_eq!(
            (changed.as_str(), epoch),
            (text.replace("epoch: 4", "epoch: 5").as_str(), 5)
        );
        let (changed, epoch) = with_next_epoch("package:\n  name: hello\n  version: 1.0\n").unwrap();
        assert_eq!(epoch, 1);
        assert!(changed.contains("epoch: 1"), "{changed}");
    }
}
