//! Packages whose bytes come out only after they were verified.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Read};

use apk_types::Checksum;
use bytes::Bytes;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use tarball::{Entry, Header, Kind};

use crate::gzip::inflate;
use crate::split::{CONTROL, DATA, Sections, signatures, split_and_inflate};
use crate::{Keyring, PackageError, PkgInfo, Problem, Signature};

/// The PAX record with the SHA-1 of a file or of a link's target.
pub const FILE_CHECKSUM_RECORD: &str = "APK-TOOLS.checksum.SHA1";

/// What a package may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The signature and the control section, each, in bytes after inflating.
    pub control: u64,
    /// The data section in bytes after inflating.
    pub data: u64,
    /// The tar archives inside.
    pub tar: tarball::Limits,
}

impl Default for Limits {
    /// The Go apko's: 10 MiB of control section, 16 GiB of data section.
    fn default() -> Self {
        Self {
            control: 10 << 20,
            data: 16 << 30,
            tar: tarball::Limits::default(),
        }
    }
}

/// Who a package should be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// What errors call the package, such as its name and version.
    pub package: &'a str,
    /// The checksum of the control section in the (verified) index.
    pub control_checksum: Option<Checksum>,
    /// The keys, one of which must have signed the control section.
    pub keyring: Option<&'a Keyring>,
    /// The size of the file in the index, in bytes; it only tells a truncated package from a changed one.
    pub size: Option<u64>,
}

impl<'a> Expected<'a> {
    /// Any package whose parts fit together. Who made it stays unknown.
    pub fn anything(package: &'a str) -> Self {
        Self {
            package,
            control_checksum: None,
            keyring: None,
            size: None,
        }
    }

    /// The package that a verified index speaks of.
    pub fn checksum(package: &'a str, checksum: Checksum) -> Self {
        Self {
            control_checksum: Some(checksum),
            ..Self::anything(package)
        }
    }

    /// A package signed with one of the keys.
    pub fn signed(package: &'a str, keyring: &'a Keyring) -> Self {
        Self {
            keyring: Some(keyring),
            ..Self::anything(package)
        }
    }
}

/// A package that is what was expected; its data is what its control section says.
#[derive(Clone, Debug)]
pub struct VerifiedPackage {
    /// Its `.PKGINFO`.
    pub info: PkgInfo,
    /// The members of the control section: `.PKGINFO`, scripts and others.
    pub control: Vec<Entry>,
    /// The members of the data section in their order. No path or hard link target leaves the root; contents are
    /// slices of one buffer.
    pub data: Vec<Entry>,
    /// The checksum of the compressed control section, as indexes have it.
    pub control_checksum: Checksum,
    /// The SHA-256 of the compressed data section.
    pub data_hash: [u8; 32],
    /// Its signatures, verified only if [`Expected::keyring`] asked for that.
    pub signatures: Vec<Signature>,
    /// The size of the package file in bytes.
    pub size: u64,
}

/// A package that is what was expected, its data section compressed as it is.
#[derive(Clone, Debug)]
pub struct VerifiedSections {
    /// Its `.PKGINFO`.
    pub info: PkgInfo,
    /// The members of the control section.
    pub control: Vec<Entry>,
    /// The checksum of the compressed control section, as indexes have it.
    pub control_checksum: Checksum,
    /// The SHA-256 of the compressed data section.
    pub data_hash: [u8; 32],
    /// Its signatures, verified only if [`Expected::keyring`] asked for that.
    pub signatures: Vec<Signature>,
    /// Where its sections lie.
    pub sections: Sections,
    package: Bytes,
}

impl VerifiedSections {
    /// The compressed data section: gzip members.
    pub fn data(&self) -> &[u8] {
        &self.package[self.sections.data.clone()]
    }
}

/// Verifies a package and gives its contents.
///
/// The order is: the control section is compared with the index's checksum and the signature, where `expected`
/// has them; the `datahash` in it is compared with the compressed data section; only then is the data inflated.
/// Regular files are compared with the SHA-1 in their headers, as the Go apko compares them.
pub fn open(
    package: Bytes,
    expected: &Expected<'_>,
    limits: &Limits,
) -> Result<VerifiedPackage, PackageError> {
    let sections = verify(package, expected, limits)?;
    let data = read_data(sections.data(), limits).map_err(|problem| problem.of(expected.package))?;
    Ok(VerifiedPackage {
        size: sections.package.len() as u64,
        info: sections.info,
        control: sections.control,
        data,
        control_checksum: sections.control_checksum,
        data_hash: sections.data_hash,
        signatures: sections.signatures,
    })
}

/// Verifies a package as [`open`] does, without inflating its data section. Whoever inflates it is to call
/// [`check_members`] and [`FileCheck`] for what [`open`] looks at in it.
pub fn verify(
    package: Bytes,
    expected: &Expected<'_>,
    limits: &Limits,
) -> Result<VerifiedSections, PackageError> {
    let actual = package.len() as u64;
    verify_named(package, expected, limits).map_err(|problem| named(problem, expected, actual))
}

/// Names the package, and tells a truncated file of `actual` bytes from a changed one.
pub(crate) fn named(problem: Problem, expected: &Expected<'_>, actual: u64) -> PackageError {
    let problem = match (problem, expected.size) {
        (Problem::DataHash { .. } | Problem::Truncated { .. }, Some(size)) if actual < size => {
            Problem::Short {
                actual,
                expected: size,
            }
        }
        (problem, _) => problem,
    };
    problem.of(expected.package)
}

fn verify_named(
    package: Bytes,
    expected: &Expected<'_>,
    limits: &Limits,
) -> Result<VerifiedSections, Problem> {
    let control = Control::read(&package, limits)?;
    control.verify(&package, expected)?;
    let data_hash: [u8; 32] = Sha256::digest(&package[control.sections.data.clone()]).into();
    control.verify_data(&data_hash)?;
    Ok(VerifiedSections {
        info: control.info,
        control: control.entries,
        control_checksum: control.checksum,
        data_hash,
        signatures: control.signatures,
        sections: control.sections,
        package,
    })
}

/// What the small sections hold.
pub(crate) struct Control {
    pub(crate) info: PkgInfo,
    pub(crate) entries: Vec<Entry>,
    pub(crate) checksum: Checksum,
    pub(crate) signatures: Vec<Signature>,
    pub(crate) sections: Sections,
}

impl Control {
    pub(crate) fn read(package: &[u8], limits: &Limits) -> Result<Self, Problem> {
        let split = split_and_inflate(package, limits)?;
        let range = split.sections.control.clone();
        let entries = read_tar(CONTROL, split.control, limits)?;
        let info = entries.iter().find(|entry| entry.header.path == ".PKGINFO");
        let text = String::from_utf8_lossy(&info.ok_or(Problem::NoPkgInfo)?.content);
        Ok(Self {
            info: PkgInfo::parse(&text).map_err(Problem::PkgInfo)?,
            entries,
            checksum: Checksum::Sha1(Sha1::digest(&package[range.clone()]).into()),
            signatures: signatures(split.signature, limits)?,
            sections: split.sections,
        })
    }

    /// Compares what `.PKGINFO` states with the SHA-256 of the compressed data section.
    pub(crate) fn verify_data(&self, hash: &[u8; 32]) -> Result<(), Problem> {
        match self.info.data_hash.as_str() {
            "" => Err(Problem::NoDataHash),
            stated if !stated.eq_ignore_ascii_case(&hex(hash)) => Err(Problem::DataHash {
                expected: stated.to_owned(),
                actual: hex(hash),
            }),
            _ => Ok(()),
        }
    }

    /// The time of `.PKGINFO`.
    pub(crate) fn mtime(&self) -> i64 {
        let mut entries = self.entries.iter();
        entries
            .find(|entry| entry.header.path == ".PKGINFO")
            .map_or(0, |entry| entry.header.mtime)
    }

    pub(crate) fn verify(&self, package: &[u8], expected: &Expected<'_>) -> Result<(), Problem> {
        let compressed = &package[self.sections.control.clone()];
        if let Some(wanted) = expected.control_checksum {
            let actual = match wanted {
                Checksum::Sha1(_) => self.checksum,
                Checksum::Sha256(_) => Checksum::Sha256(Sha256::digest(compressed).into()),
            };
            if actual != wanted {
                return Err(Problem::ControlChecksum {
                    expected: wanted,
                    actual,
                });
            }
        }
        if let Some(keyring) = expected.keyring {
            keyring
                .verify(&self.signatures, compressed)
                .map_err(Problem::Signature)?;
        }
        Ok(())
    }
}

fn read_tar(section: &'static str, tar: Vec<u8>, limits: &Limits) -> Result<Vec<Entry>, Problem> {
    tarball::read(Bytes::from(tar), &limits.tar).map_err(|source| Problem::Tar { section, source })
}

/// Reads a compressed data section: inflated, taken apart, with safe paths and true file checksums. That it
/// belongs to its package is not looked at.
fn read_data(compressed: &[u8], limits: &Limits) -> Result<Vec<Entry>, Problem> {
    let entries = read_tar(DATA, inflate(DATA, compressed, limits.data)?, limits)?;
    for entry in &entries {
        if let Some(mut check) = FileCheck::of(&entry.header) {
            check.update(&entry.content);
            check.finish()?;
        }
    }
    check_members(&entries)?;
    Ok(entries)
}

/// Refuses members of a data section that no honest package has: paths and hard links that leave the root, paths that
/// occur twice, and members inside of a symbolic link that the same package brings.
pub fn check_members<C>(entries: &[Entry<C>]) -> Result<(), Problem> {
    entries.iter().try_for_each(|entry| check_path(&entry.header))?;
    let mut check = LinkCheck::default();
    entries
        .iter()
        .try_for_each(|entry| check.member(&entry.header, normal(&entry.header.path)))
}

/// Refuses a member outside the root and a hard link to something outside. Where symbolic links lead is for the
/// tree to say that the package is installed into.
pub(crate) fn check_path(header: &Header) -> Result<(), Problem> {
    let unsafe_member = |reason| {
        Err(Problem::UnsafeMember {
            member: header.path.clone(),
            reason,
        })
    };
    let is_empty = header.path.is_empty() && header.kind != Kind::Directory;
    match (is_empty, escape(&header.path)) {
        (true, _) => return unsafe_member("has no path"),
        (_, Some(Escape::Absolute)) => return unsafe_member("has an absolute path"),
        (_, Some(Escape::Parent)) => return unsafe_member("leaves the root by `..`"),
        (_, None) => {}
    }
    if header.kind == Kind::Hardlink && (header.link.is_empty() || escape(&header.link).is_some()) {
        return unsafe_member("is a hard link to a path outside the root");
    }
    Ok(())
}

enum Escape {
    Absolute,
    Parent,
}

fn escape(path: &str) -> Option<Escape> {
    if path.starts_with('/') {
        Some(Escape::Absolute)
    } else if path.split('/').any(|part| part == "..") {
        Some(Escape::Parent)
    } else {
        None
    }
}

/// What the members so far were, as far as the ones after them are judged by it.
#[derive(Default)]
pub(crate) struct LinkCheck<'a> {
    files: HashSet<Cow<'a, str>>,
    symlinks: HashSet<Cow<'a, str>>,
}

impl<'a> LinkCheck<'a> {
    /// Refuses a path that occurs twice, unless both are directories, and a member inside a symbolic link that the same
    /// package brings. `path` is the header's, cleaned by [`normal`].
    pub(crate) fn member(&mut self, header: &Header, path: Cow<'a, str>) -> Result<(), Problem> {
        let unsafe_member = |reason| {
            Err(Problem::UnsafeMember {
                member: header.path.clone(),
                reason,
            })
        };
        let mut parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        if !self.symlinks.is_empty() && parents.any(|parent| self.symlinks.contains(parent)) {
            return unsafe_member("lies inside a symbolic link of the same package");
        }
        if header.kind == Kind::Symlink {
            self.symlinks.insert(path.clone());
        }
        if header.kind != Kind::Directory && !self.files.insert(path) {
            return unsafe_member("occurs twice");
        }
        Ok(())
    }
}

/// The path without `.`, empty parts and slashes at its ends.
pub(crate) fn normal(path: &str) -> Cow<'_, str> {
    if !path.split('/').any(|part| matches!(part, "" | ".")) {
        return Cow::Borrowed(path);
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    Cow::Owned(parts.join("/"))
}

/// Compares a regular file with the SHA-1 in its header: hexadecimal digits, or `Q1` and base64.
pub struct FileCheck<'h> {
    header: &'h Header,
    stated: &'h [u8],
    hasher: Sha1,
}

impl<'h> FileCheck<'h> {
    /// Starts with a member's header; `None` if it states no checksum.
    pub fn of(header: &'h Header) -> Option<Self> {
        let stated = header.pax.get(FILE_CHECKSUM_RECORD)?;
        (header.kind == Kind::Regular).then(|| Self {
            header,
            stated,
            hasher: Sha1::new(),
        })
    }

    /// Takes a part of the content.
    pub fn update(&mut self, part: &[u8]) {
        self.hasher.update(part);
    }

    /// Compares, after the whole content.
    pub fn finish(self) -> Result<(), Problem> {
        let stated = String::from_utf8_lossy(self.stated);
        let actual = Checksum::Sha1(self.hasher.finalize().into());
        let is_right = match stated.starts_with("Q1") {
            true => stated.parse() == Ok(actual),
            false => stated.eq_ignore_ascii_case(&actual.to_hex()),
        };
        match is_right {
            true => Ok(()),
            false => Err(Problem::FileChecksum {
                member: self.header.path.clone(),
                expected: stated.into_owned(),
                actual: actual.to_hex(),
            }),
        }
    }
}

pub(crate) fn hex(digest: &[u8; 32]) -> String {
    Checksum::Sha256(*digest).to_hex()
}

/// Reads what an index needs of a package, its `.PKGINFO` and the checksum of its control section, and not more of
/// `package` than that takes. Nothing is verified. `name` is what errors call the package.
pub fn read_info(
    name: &str,
    package: &mut impl Read,
    limits: &Limits,
) -> Result<(PkgInfo, Checksum), PackageError> {
    let (control, _) = read_head(package, limits).map_err(|problem| problem.of(name))?;
    Ok((control.info, control.checksum))
}

/// Reads the small sections at the front of a package, and gives them with the bytes that were read: up to twice as
/// many as the sections have, and 64 KiB.
pub(crate) fn read_head(package: &mut impl Read, limits: &Limits) -> Result<(Control, Vec<u8>), Problem> {
    let most = limits.control.saturating_mul(2).saturating_add(1 << 20);
    let mut head = Vec::new();
    let mut wanted = 64 << 10;
    loop {
        let read = io::copy(&mut package.by_ref().take(wanted), &mut head)?;
        match Control::read(&head, limits) {
            Ok(control) => return Ok((control, head)),
            Err(Problem::Truncated { .. }) if read == wanted && (head.len() as u64) < most => {
                wanted = head.len() as u64;
            }
            Err(problem) => return Err(problem),
        }
    }
}
