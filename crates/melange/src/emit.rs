//! A package's tree becomes a package file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use apk_package::{ControlMember, DataWriter, PkgInfo, control_section, sign_control, write_package};
use apk_types::{Arch, Checksum, Dependency, PackageRecord};
use melange_analyze::{Dependencies, EntryKind, PackageTree as _, TreeEntry};
use melange_pipeline::runner::User;
use sha1::{Digest as _, Sha1};
use tarball::{Header, Kind};
use tempfile::NamedTempFile;

use crate::error::BuildError;
use crate::key::SigningKey;
use crate::plan::{PackagePlan, Plan};
use crate::sandbox::in_trees;
use crate::scratch::io_error;
use crate::tree::{Device, DiskTree, Extra};

/// What a directory counts in a package's installed size, in bytes.
const DIRECTORY_SIZE: u64 = 4096;

/// Names of users and groups by their numbers, as the guest's `/etc/passwd` and `/etc/group` give them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Reads the guest's files; one that is missing gives no names.
    pub(crate) fn read(guest: &[PathBuf]) -> Self {
        let parse = |name: &str| {
            let text = fs::read_to_string(in_trees(guest, &format!("etc/{name}"))).unwrap_or_default();
            let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let entries = fields
                .filter_map(|fields| Some((fields.get(2)?.parse().ok()?, (*fields.first()?).to_owned())));
            entries.collect()
        };
        Self {
            users: parse("passwd"),
            groups: parse("group"),
        }
    }
}

/// What all packages of a build are packed with.
pub(crate) struct Packer<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) arch: Arch,
    pub(crate) origin: &'a str,
    pub(crate) namespace: &'a str,
    /// Seconds since 1970: the time of every member.
    pub(crate) epoch: i64,
    pub(crate) melange_yaml: &'a str,
    pub(crate) names: &'a Names,
    pub(crate) key: Option<&'a SigningKey>,
    /// Where finished packages will lie.
    pub(crate) directory: &'a Path,
}

/// A package file that is complete but has not its name yet.
pub(crate) struct Packed {
    pub(crate) file: NamedTempFile,
    pub(crate) path: PathBuf,
    pub(crate) record: PackageRecord,
}

impl Packer<'_> {
    /// Packs one package into a temporary file beside its final place.
    pub(crate) fn pack(
        &self,
        package: &PackagePlan,
        tree: &DiskTree,
        dependencies: Dependencies,
    ) -> Result<Packed, BuildError> {
        let failed = |source| BuildError::Package {
            package: package.name.clone(),
            source: Box::new(source),
        };
        let here = || io_error("writing a package in", self.directory);
        let data_file = tempfile::tempfile_in(self.directory).map_err(here())?;
        let mut data = DataWriter::new(BufWriter::new(data_file));
        for (entry, extra) in tree.members() {
            data.append(self.header(entry, extra), || tree.open(&entry.path))
                .map_err(failed)?;
        }
        let data = data.finish().map_err(failed)?;
        let info = self.info(package, tree, dependencies, data.hash);
        let control = control_section(&info, &self.control_members(package), self.epoch).map_err(failed)?;
        let signature = self
            .key
            .map(|key| sign_control(&control, key.private_key(), key.name(), self.epoch));
        let signature = signature.transpose().map_err(failed)?;

        let mut data_file = data
            .out
            .into_inner()
            .map_err(|error| here()(error.into_error()))?;
        data_file.rewind().map_err(here())?;
        let file = tempfile::Builder::new()
            .prefix(".package-")
            .tempfile_in(self.directory)
            .map_err(here())?;
        let mut out = BufWriter::new(file.as_file());
        write_package(
            &mut out,
            signature.as_deref(),
            &control,
            &mut BufReader::new(data_file),
        )
        .map_err(failed)?;
        out.flush().map_err(here())?;
        drop(out);
        finish(file.as_file()).map_err(here())?;
        let size = file.as_file().metadata().map_err(here())?.len();
        let checksum = Checksum::Sha1(Sha1::digest(&control).into());
        Ok(Packed {
            path: self.directory.join(format!("{}.apk", info.identity())),
            record: info.to_record(checksum, size),
            file,
        })
    }

    fn header(&self, entry: &TreeEntry, extra: &Extra) -> Header {
        let mut link = String::new();
        let mut device = (0, 0);
        let kind = match (&entry.kind, extra.device) {
            (EntryKind::Directory, _) => Kind::Directory,
            (EntryKind::Symlink(target), _) => {
                link.clone_from(target);
                Kind::Symlink
            }
            (_, Some(Device::Character(major, minor))) => {
                device = (major, minor);
                Kind::CharDevice
            }
            (_, Some(Device::Block(major, minor))) => {
                device = (major, minor);
                Kind::BlockDevice
            }
            (_, Some(Device::Fifo)) => Kind::Fifo,
            (EntryKind::File | EntryKind::Other, None) => Kind::Regular,
        };
        let (uid, gid) = self.owner(extra);
        let name = |names: &HashMap<u32, String>, id| names.get(&id).cloned().unwrap_or_default();
        let attributes = extra.attributes.iter();
        Header {
            path: entry.path.clone(),
            kind,
            link,
            mode: entry.mode,
            uid,
            gid,
            uname: name(&self.names.users, uid),
            gname: name(&self.names.groups, gid),
            mtime: self.epoch,
            size: entry.size,
            device,
            pax: attributes
                .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.clone()))
                .collect(),
        }
    }

    /// The build user stands for root; so does whoever runs this program, as whom the build user writes on disk
    /// where the guest has a user namespace.
    fn owner(&self, extra: &Extra) -> (u32, u32) {
        let build = self.plan.build_user.unwrap_or(User { uid: 0, gid: 0 });
        let own_uid = rustix::process::geteuid().as_raw();
        let own_gid = rustix::process::getegid().as_raw();
        let uid = if [build.uid, own_uid].contains(&extra.uid) {
            0
        } else {
            extra.uid
        };
        let gid = if [build.gid, own_gid].contains(&extra.gid) {
            0
        } else {
            extra.gid
        };
        (uid, gid)
    }

    fn info(
        &self,
        package: &PackagePlan,
        tree: &DiskTree,
        found: Dependencies,
        data_hash: String,
    ) -> PkgInfo {
        let expressions = |texts: &[String]| texts.iter().map(|text| Dependency::lenient(text)).collect();
        PkgInfo {
            name: package.name.clone(),
            version: self.plan.version.clone(),
            arch: self.arch.apk_name().to_owned(),
            installed_size: installed_size(tree),
            origin: self.origin_of(package),
            description: package.description.clone(),
            url: package.url.clone(),
            commit: package.commit.clone(),
            maintainer: self.namespace.to_owned(),
            build_date: Some(self.epoch).filter(|epoch| *epoch != 0),
            licenses: self
                .plan
                .copyright
                .iter()
                .map(|copyright| copyright.license.clone())
                .collect(),
            depends: expressions(&found.runtime),
            provides: expressions(&found.provides),
            replaces: expressions(&package.replaces),
            install_if: Vec::new(),
            vendored: found.vendored,
            provider_priority: package.provider_priority.filter(|priority| *priority != 0),
            replaces_priority: package.replaces_priority.filter(|priority| *priority != 0),
            triggers: package.triggers.clone(),
            data_hash,
        }
    }

    fn origin_of(&self, package: &PackagePlan) -> String {
        match self.origin {
            "" => package.name.clone(),
            origin => origin.to_owned(),
        }
    }

    fn control_members(&self, package: &PackagePlan) -> Vec<ControlMember> {
        let scripts = package.scripts.iter().filter(|(_, script)| !script.is_empty());
        let scripts = scripts.map(|(name, script)| ControlMember::script(name, script.as_bytes()));
        scripts
            .chain([ControlMember::melange_yaml(self.melange_yaml)])
            .collect()
    }
}

/// The space of all files, links and directories, the root among them.
///
/// The Go melange adds what the build machine's file system says of directories; on most that is [`DIRECTORY_SIZE`],
/// which here is the rule everywhere, so that no package depends on where it was built.
fn installed_size(tree: &DiskTree) -> u64 {
    let size = |entry: &TreeEntry| match &entry.kind {
        EntryKind::Directory => DIRECTORY_SIZE,
        EntryKind::Symlink(target) => target.len() as u64,
        EntryKind::File | EntryKind::Other => entry.size,
    };
    DIRECTORY_SIZE + tree.entries().iter().map(size).sum::<u64>()
}

/// Gives a new file the mode of other files before it gets its name.
pub(crate) fn finish(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}
