//! The identity of a package: all of it but when and from which commit it was built.
//!
//! It is a BLAKE3 hash over
//!
//! - `.PKGINFO` without `builddate`, `commit`, `datahash` and `size` (which follow from the others),
//! - the names and contents of the control section's other members but `.melange.yaml`, which records the environment and
//!   the commit of one build,
//! - each member of the data section: path, kind, mode, owner's and group's numbers and names, link target, device, extended
//!   attributes, and content. Modification times are left out, and so are in the package's own SBOM the time of its creation
//!   and the commit.
//!
//! The signature is no part of it either: two keys sign one package.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use apk_package::{Limits, PackageError, PackageReader, PkgInfo};
use apk_types::Checksum;
use build_graph::Hash;
use tarball::Kind;

/// Where packages keep their SBOMs.
const SBOMS: &str = "var/lib/db/sbom/";

/// The largest SBOM whose time and commit are left out, in bytes.
const MAX_SBOM: u64 = 64 << 20;

/// What is known of a package file.
pub(crate) struct Identified {
    pub(crate) identity: Hash,
    pub(crate) info: PkgInfo,
    pub(crate) checksum: Checksum,
}

/// Why a package file has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It is no package, or damaged.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a package file and tells its identity.
///
/// # Errors
/// When the file cannot be read or is no package.
pub fn identity(path: &Path) -> Result<Hash, IdentityError> {
    Ok(identify(path)?.identity)
}

pub(crate) fn identify(path: &Path) -> Result<Identified, IdentityError> {
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut reader = PackageReader::new(&name, file, &Limits::default())?;
    let info = reader.info().clone();
    let checksum = reader.control_checksum();
    let mut hasher = Parts::default();
    let bare = PkgInfo {
        build_date: None,
        commit: String::new(),
        data_hash: String::new(),
        installed_size: 0,
        ..info.clone()
    };
    hasher.put(bare.to_string().as_bytes());
    for entry in reader.control() {
        if !matches!(entry.header.path.as_str(), ".PKGINFO" | ".melange.yaml") {
            hasher.put(entry.header.path.as_bytes());
            hasher.put(&entry.content);
        }
    }
    let mut buffer = vec![0; 1 << 16];
    while let Some(mut member) = reader.next_member()? {
        let header = member.header().clone();
        let owner = (header.uid, header.gid, &header.uname, &header.gname);
        // The checksum of a file follows from its content, which has its own place.
        let attributes = header
            .pax
            .iter()
            .filter(|(name, _)| !name.starts_with("APK-TOOLS."));
        let attributes: Vec<_> = attributes.collect();
        let text = format!(
            "{} {:?} {:o} {owner:?} {} {:?} {attributes:?}",
            header.path, header.kind, header.mode, header.link, header.device
        );
        hasher.put(text.as_bytes());
        if header.kind != Kind::Regular {
            continue;
        }
        let is_sbom = header.path.starts_with(SBOMS) && header.size <= MAX_SBOM;
        let mut content = blake3::Hasher::new();
        match is_sbom {
            true => {
                let mut sbom = String::new();
                member.read_to_string(&mut sbom)?;
                content.update(without_date_and_commit(&sbom, &info.commit).as_bytes());
            }
            false => loop {
                match member.read(&mut buffer)? {
                    0 => break,
                    length => content.update(&buffer[..length]),
                };
            },
        }
        hasher.put(content.finalize().as_bytes());
    }
    Ok(Identified {
        identity: Hash::from(*hasher.0.finalize().as_bytes()),
        info,
        checksum,
    })
}

fn without_date_and_commit(sbom: &str, commit: &str) -> String {
    let is_date = |line: &&str| line.trim_start().starts_with("\"created\":");
    let lines: Vec<&str> = sbom.lines().filter(|line| !is_date(line)).collect();
    let text = lines.join("\n");
    match commit.len() < 7 {
        true => text,
        false => text.replace(commit, ""),
    }
}

/// Hashes parts, each with its length.
#[derive(Default)]
struct Parts(blake3::Hasher);

impl Parts {
    fn put(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }
}

#[cfg(test)]
mod tests {
    use testkit::{Package, Repository};

    use super::*;

    fn identity_of(package: Package) -> Hash {
        let repository = Repository::new("x86_64");
        repository.publish(&[package]);
        let directory = repository.path().join("x86_64");
        let files = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let path = files
            .into_iter()
            .find(|path| path.extension().is_some_and(|ending| ending == "apk"));
        identity(&path.unwrap()).unwrap()
    }

    fn package() -> Package {
        let sbom = "{\n \"creationInfo\": {\n  \"created\": \"2020-01-01T00:00:00Z\"\n },\n \"version\": \"0123456789abcdef\"\n}\n";
        Package::new("hello", "1.0-r0")
            .file("usr/bin/hello", 0o755, "hello")
            .file("var/lib/db/sbom/hello-1.0-r0.spdx.json", 0o644, sbom)
            .info(|info| info.commit = "0123456789abcdef".to_owned())
    }

    #[test]
    fn date_and_commit_do_not_matter() {
        let sbom = "{\n \"creationInfo\": {\n  \"created\": \"2024-01-01T00:00:00Z\"\n },\n \"version\": \"fedcba9876543210\"\n}\n";
        let other = Package::new("hello", "1.0-r0")
            .file("usr/bin/hello", 0o755, "hello")
            .file("var/lib/db/sbom/hello-1.0-r0.spdx.json", 0o644, sbom)
            .info(|info| {
                info.commit = "fedcba9876543210".to_owned();
                info.build_date = Some(1);
            });
        assert_eq!(identity_of(other), identity_of(package()));
    }

    #[test]
    fn all_else_does() {
        let before = identity_of(package());
        let others = [
            package().file("usr/share/new", 0o644, ""),
            package().depends(&["musl"]),
            package().info(|info| info.description = "says hello".to_owned()),
            package().info(|info| info.version = "1.0-r1".to_owned()),
            package().info(|info| info.triggers = vec!["/usr".to_owned()]),
            Package::new("hello", "1.0-r0").file("usr/bin/hello", 0o755, "hello!"),
            Package::new("hello", "1.0-r0").file("usr/bin/hello", 0o700, "hello"),
        ];
        let mut seen = vec![before];
        for other in others {
            let identity = identity_of(other);
            assert!(!seen.contains(&identity));
            seen.push(identity);
        }
    }
}
