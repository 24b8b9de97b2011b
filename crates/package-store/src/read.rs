//! From a file to a package.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use apk_package::{Limits, PkgInfo, Sections, inflate, split};
use apk_types::Checksum;
use bytes::Bytes;
use file_content::{Content, Deflated, FileRange, Stored};
use sha1::{Digest as _, Sha1};
use tarball::{Entry, Kind};

use crate::StoreError;
use crate::format::{Footer, Head, Member};

/// A package out of its file.
#[derive(Clone, Debug)]
pub struct StoredPackage {
    /// Its `.PKGINFO`.
    pub info: PkgInfo,
    /// The members of the control section: `.PKGINFO`, scripts and others.
    pub control: Vec<Entry>,
    /// The SHA-1 of the compressed control section, as indexes have it.
    pub control_checksum: Checksum,
    /// The SHA-256 of the compressed data section.
    pub data_hash: [u8; 32],
    /// Where the sections lie in the package.
    pub sections: Sections,
    /// The signature and control sections as they are in the package.
    pub prefix: Bytes,
    /// The size of the package file in bytes.
    pub size: u64,
    /// The members of the data section as the table has them, a sixth of what they take as entries.
    members: Bytes,
    file: Arc<File>,
    path: Arc<Path>,
    is_own: bool,
}

impl StoredPackage {
    /// The members of the data section in their order; contents refer to the file. They are made anew by each call: a
    /// package that waits to be installed takes little memory.
    ///
    /// # Errors
    /// When the table is one of another version.
    pub fn data(&self) -> Result<Vec<Entry<Content>>, StoreError> {
        let members: Vec<Member> = postcard::from_bytes(&self.members).map_err(|_| StoreError::Damaged {
            path: self.path.to_path_buf(),
            what: TABLE,
        })?;
        let entry = |member| entry(member, &self.file, &self.path, self.is_own);
        Ok(members.into_iter().map(entry).collect())
    }
}

/// What is said of a damaged table.
const TABLE: &str = "its table is not what was written";

/// Reads the table of a file that [`write`](crate::write) has written. The table is verified, the contents are
/// when they are read.
///
/// # Errors
/// When the file is unreadable, damaged, or of another version.
pub fn open(path: &Path, limits: &Limits) -> Result<StoredPackage, StoreError> {
    open_file(path, limits, false)
}

/// The same for who has written the file a moment ago and kept others from it: the table is verified, but the contents
/// are not [hashed once more](FileRange::just_written) when they are read in chunks.
///
/// # Errors
/// As [`open`].
pub fn open_written(path: &Path, limits: &Limits) -> Result<StoredPackage, StoreError> {
    open_file(path, limits, true)
}

fn open_file(path: &Path, limits: &Limits, is_own: bool) -> Result<StoredPackage, StoreError> {
    let io = |source| StoreError::Io {
        path: path.to_owned(),
        source,
    };
    let damaged = |what| StoreError::Damaged {
        path: path.to_owned(),
        what,
    };
    let file = File::open(path).map_err(io)?;
    let table = read_table(&file).map_err(io)?;
    let table = table.ok_or_else(|| damaged(TABLE))?;
    let (head, members) = postcard::take_from_bytes::<Head<'_>>(&table).map_err(|_| damaged(TABLE))?;
    let (prefix, members) = (table.slice_ref(head.prefix), table.slice_ref(members));
    let parse = || {
        let mut sections = split(&prefix, limits).ok()?;
        sections.data.end = usize::try_from(head.size).ok()?;
        let control = &prefix[sections.control.clone()];
        let checksum = Checksum::Sha1(Sha1::digest(control).into());
        let archive = inflate("control section", control, limits.control).ok()?;
        let mut members = tarball::read(archive.into(), &limits.tar).ok()?;
        // The archive is mostly padding: it is not kept for the sake of them.
        for entry in &mut members {
            entry.content = Bytes::copy_from_slice(&entry.content);
        }
        let info = members.iter().find(|entry| entry.header.path == ".PKGINFO")?;
        let info = PkgInfo::parse(&String::from_utf8_lossy(&info.content)).ok()?;
        Some((sections, checksum, info, members))
    };
    let parsed = parse().ok_or_else(|| damaged("its control section cannot be read"))?;
    let (sections, control_checksum, info, control) = parsed;
    Ok(StoredPackage {
        info,
        control,
        control_checksum,
        data_hash: head.data_hash,
        sections,
        prefix,
        size: head.size,
        members,
        file: Arc::new(file),
        path: path.into(),
        is_own,
    })
}

fn read_table(file: &File) -> io::Result<Option<Bytes>> {
    let end = file.metadata()?.len();
    let Some(table_end) = end.checked_sub(Footer::SIZE as u64) else {
        return Ok(None);
    };
    let mut footer = [0; Footer::SIZE];
    file.read_exact_at(&mut footer, table_end)?;
    let Some(footer) = Footer::decode(&footer).filter(|footer| footer.offset <= table_end) else {
        return Ok(None);
    };
    let mut table = vec![0; (table_end - footer.offset) as usize];
    file.read_exact_at(&mut table, footer.offset)?;
    let is_whole = blake3::hash(&table) == footer.hash;
    Ok(is_whole.then(|| table.into()))
}

fn entry(member: Member, file: &Arc<File>, path: &Arc<Path>, is_own: bool) -> Entry<Content> {
    let Member { header, place } = member;
    if header.kind != Kind::Regular || header.size == 0 {
        let content = Content::default();
        return Entry { header, content };
    }
    let range = |at: u64, length: u64| -> FileRange {
        let range: Range<u64> = at..at.saturating_add(length);
        let range = FileRange::new(Arc::clone(file), Arc::clone(path), range);
        if is_own { range.just_written() } else { range }
    };
    let deflated = place.deflated.map(|deflated| Deflated {
        range: range(deflated.offset, deflated.length),
        hash: deflated.hash,
        crc: deflated.crc,
    });
    let content = Stored::new(range(place.offset, header.size), place.hash, deflated).into();
    Entry { header, content }
}
