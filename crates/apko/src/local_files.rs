//! The files of an image that are the configuration's own, as a package like any other.

use std::collections::BTreeSet;

use apk_rootfs::{Installation, Package, Tree};
use apk_types::{Arch, Checksum, Dependency, PackageRecord};
use bytes::Bytes;
use oci_image::Timestamp;
use sha1::{Digest as _, Sha1};
use spdx_sbom::{PackageSbom, UNKNOWN_NAMESPACE};
use tarball::{Entry, Header, Kind};

use crate::config::ImageConfiguration;
use crate::guest::ancestors;
use crate::install::InstallationError;
use crate::sbom::creation;

/// The package's name.
pub(crate) const NAME: &str = "apko-local-files";

/// Its version stays; its checksum changes with the files.
const VERSION: &str = "0-r0";

/// The permission bits of a file that the configuration gives none.
pub(crate) const MODE: u32 = 0o644;

/// When the image and its files are made.
pub(crate) struct Times {
    /// The time of the image, in seconds since 1970.
    pub(crate) created: i64,
    /// The time of what no package brings, in seconds since 1970.
    pub(crate) files: i64,
}

struct File<'a> {
    path: &'a str,
    mode: u32,
    owner: (u32, u32),
    content: Bytes,
}

/// Installs the configuration's files, if it has any, as a package that replaces files of those installed before it.
pub(crate) fn install(
    installation: &mut Installation,
    (configuration, arch): (&ImageConfiguration, Arch),
    times: &Times,
) -> Result<(), InstallationError> {
    let mut files: Vec<File<'_>> = configuration
        .paths
        .iter()
        .filter_map(|mutation| {
            Some(File {
                path: mutation.path.trim_start_matches('/'),
                mode: mode(mutation.permissions),
                owner: (mutation.uid.unwrap_or(0), mutation.gid.unwrap_or(0)),
                content: mutation.file.as_ref()?.bytes().clone(),
            })
        })
        .collect();
    if files.is_empty() {
        return Ok(());
    }
    let record = PackageRecord {
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        arch: arch.to_string(),
        description: "Files of the image's configuration".to_owned(),
        origin: NAME.to_owned(),
        installed_size: files.iter().map(|file| file.content.len() as u64).sum(),
        checksum: Some(checksum(&files)),
        replaces: owners(installation, &files),
        ..PackageRecord::default()
    };
    let created = Timestamp::from_unix(times.created).ok_or(InstallationError::Time(times.created))?;
    let sbom = PackageSbom {
        creation: creation(created.to_string()),
        name: record.name.clone(),
        version: record.version.clone(),
        arch: record.arch.clone(),
        namespace: UNKNOWN_NAMESPACE.to_owned(),
        ..PackageSbom::default()
    };
    let document = sbom.path();
    files.push(File {
        path: &document,
        mode: MODE,
        owner: (0, 0),
        content: sbom.document()?.to_json()?.into(),
    });
    let package = Package {
        record: &record,
        control: &[],
        data: &members(installation.tree(), files, times.files),
        triggers: &[],
    };
    Ok(installation.install(&package, times.files)?)
}

/// The permission bits of a file, by what the configuration says.
pub(crate) fn mode(permissions: u32) -> u32 {
    if permissions == 0 { MODE } else { permissions }
}

/// A checksum over all that the files are.
fn checksum(files: &[File<'_>]) -> Checksum {
    let mut hasher = Sha1::new();
    for file in files {
        let content = oci_image::Digest::of(&file.content);
        hasher.update(format!("{content} {:o} {}\n", file.mode, file.path));
    }
    Checksum::Sha1(hasher.finalize().into())
}

/// The packages whose files are in the place of some of these.
fn owners(installation: &Installation, files: &[File<'_>]) -> Vec<Dependency> {
    let tree = installation.tree();
    let owner = |file: &File<'_>| {
        let node = tree.node(tree.lookup_no_follow(file.path).ok()?);
        installation.records().nth(node.package()?)
    };
    let names: BTreeSet<&str> = files
        .iter()
        .filter_map(owner)
        .map(|record| record.name.as_str())
        .collect();
    names.into_iter().filter_map(|name| name.parse().ok()).collect()
}

/// The files, and before them the directories that they are in. Those that are there stay as they are.
fn members(tree: &Tree, files: Vec<File<'_>>, time: i64) -> Vec<Entry<file_content::Content>> {
    let mut directories = BTreeSet::new();
    for file in &files {
        directories.extend(ancestors(file.path));
    }
    let directory = |path: &&str| {
        let (mode, mtime) = tree
            .get(path)
            .map_or((0o755, time), |node| (node.mode, node.mtime));
        let header = Header {
            path: format!("{path}/"),
            mode,
            mtime,
            ..Header::new(Kind::Directory)
        };
        Entry {
            header,
            content: Bytes::new().into(),
        }
    };
    let mut members: Vec<_> = directories.iter().map(directory).collect();
    members.extend(files.into_iter().map(|file| Entry {
        header: Header {
            path: file.path.to_owned(),
            mode: file.mode,
            uid: file.owner.0,
            gid: file.owner.1,
            mtime: time,
            size: file.content.len() as u64,
            ..Header::new(Kind::Regular)
        },
        content: file.content.into(),
    }));
    members
}
