//! The archive around the text, and its signatures.

use std::collections::HashMap;
use std::io::Read;

use apk_package::{
    Digest, KeyError, Keyring, Limits, PackageError, PrivateKey, Problem, Signature, SignatureError, deflate,
    inflate, read_info, read_signatures, signatures_section,
};
use apk_types::PackageRecord;
use bytes::Bytes;
use tarball::{Header, Kind};

use crate::text::{self, LineError, WriteError};

const SECTION: &str = "index";
const APKINDEX: &str = "APKINDEX";
const DESCRIPTION: &str = "DESCRIPTION";

/// A repository's index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// What the repository says of itself, often empty.
    pub description: String,
    /// Its packages, in the order of the index.
    pub packages: Vec<PackageRecord>,
    /// The signatures it came with, verified or not; they are not written.
    pub signatures: Vec<Signature>,
}

/// An index that could not be read, written or signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum IndexError {
    #[error("the index: {0}")]
    Signature(SignatureError),
    #[error("{0}")]
    Archive(Problem),
    #[error("the index contains `{0}`, which does not belong there")]
    UnexpectedMember(String),
    #[error("the index contains no `APKINDEX`")]
    NoText,
    #[error("APKINDEX: {0}")]
    Line(#[from] LineError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("the index cannot be packed: {0}")]
    Tar(#[from] tarball::WriteError),
    #[error(transparent)]
    Section(#[from] apk_package::WriteError),
    #[error("the index cannot be signed: {0}")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// An index whose text is not parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexText {
    /// As in [`Index`].
    pub description: String,
    /// The text, which [`parse`](crate::parse) reads.
    pub text: String,
    /// As in [`Index`].
    pub signatures: Vec<Signature>,
}

impl IndexText {
    /// Reads the text of an index after verifying that a key of the keyring signed it; without asking who did, where there is no
    /// keyring. `limit` is the size in bytes that the index may inflate to.
    ///
    /// # Errors
    /// As [`Index::open`], but for what is wrong with a line.
    pub fn open(archive: &[u8], keyring: Option<&Keyring>, limit: u64) -> Result<Self, IndexError> {
        let (signatures, signed) = signed_part(archive)?;
        if let Some(keyring) = keyring {
            keyring
                .verify(&signatures, signed)
                .map_err(IndexError::Signature)?;
        }
        let tar = Bytes::from(inflate(SECTION, signed, limit).map_err(IndexError::Archive)?);
        let entries = tarball::read(tar, &tarball::Limits::default()).map_err(|source| {
            let section = SECTION;
            IndexError::Archive(Problem::Tar { section, source })
        })?;
        let mut description = String::new();
        let mut index = None;
        for entry in entries {
            let text = String::from_utf8_lossy(&entry.content);
            match entry.header.path.as_str() {
                APKINDEX => index = Some(text.into_owned()),
                DESCRIPTION => description = text.into_owned(),
                name if name.starts_with(".SIGN.") => {}
                name => return Err(IndexError::UnexpectedMember(name.to_owned())),
            }
        }
        Ok(Self {
            description,
            text: index.ok_or(IndexError::NoText)?,
            signatures,
        })
    }

    /// Parses the text.
    fn parse(self) -> Result<Index, IndexError> {
        Ok(Index {
            packages: text::parse(&self.text)?,
            description: self.description,
            signatures: self.signatures,
        })
    }
}

impl Index {
    /// The size in bytes that an index may inflate to, unless said otherwise: the Go apko's 300 MiB.
    pub const MAX_SIZE: u64 = 300 << 20;

    /// Reads an index after verifying that a key of the keyring signed it. `limit` is the size in bytes that it
    /// may inflate to.
    pub fn open(archive: &[u8], keyring: &Keyring, limit: u64) -> Result<Self, IndexError> {
        IndexText::open(archive, Some(keyring), limit)?.parse()
    }

    /// Reads an index without asking who signed it.
    pub fn open_unverified(archive: &[u8], limit: u64) -> Result<Self, IndexError> {
        IndexText::open(archive, None, limit)?.parse()
    }

    /// Takes records in: one in the place of the record with the same name and version, or at the end.
    pub fn merge(&mut self, records: impl IntoIterator<Item = PackageRecord>) {
        let identity = |record: &PackageRecord| (record.name.clone(), record.version.clone());
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        for (place, record) in self.packages.iter().enumerate() {
            // The first of several is the one that is replaced, as melange replaces it.
            places.entry(identity(record)).or_insert(place);
        }
        for record in records {
            let place = *places.entry(identity(&record)).or_insert(self.packages.len());
            match self.packages.get_mut(place) {
                Some(old) => *old = record,
                None => self.packages.push(record),
            }
        }
    }

    /// The index as an unsigned archive: the bytes before compression are those of melange.
    pub fn to_archive(&self) -> Result<Vec<u8>, IndexError> {
        let text = text::write(&self.packages)?;
        let mut tar = tarball::Writer::new(Vec::with_capacity(text.len() + 4096));
        for (name, content) in [(APKINDEX, &text), (DESCRIPTION, &self.description)] {
            let header = Header {
                path: name.to_owned(),
                mode: 0o644,
                size: content.len() as u64,
                ..Header::new(Kind::Regular)
            };
            tar.append(&header, content.as_bytes())?;
        }
        Ok(deflate(&tar.finish()?))
    }
}

/// What an index says of one package, read from the package's file without verifying it. `name` is what errors
/// call the package, `size` the size of the file in bytes.
pub fn record(
    name: &str,
    package: &mut impl Read,
    size: u64,
    limits: &Limits,
) -> Result<PackageRecord, PackageError> {
    let (info, checksum) = read_info(name, package, limits)?;
    Ok(info.to_record(checksum, size))
}

fn signed_part(archive: &[u8]) -> Result<(Vec<Signature>, &[u8]), IndexError> {
    let (signatures, end) =
        read_signatures(SECTION, archive, &Limits::default()).map_err(IndexError::Archive)?;
    Ok((signatures, &archive[end..]))
}

/// The archive without its signatures: what a signature signs.
pub fn unsigned(archive: &[u8]) -> Result<&[u8], IndexError> {
    signed_part(archive).map(|(_, signed)| signed)
}

/// Signs an archive over SHA-256, in the place of the signatures it has. `key_name` is the file name of the
/// public key, such as `melange.rsa.pub`.
pub fn sign(archive: &[u8], key: &PrivateKey, key_name: &str) -> Result<Vec<u8>, IndexError> {
    let signed = unsigned(archive)?;
    with_signatures(signed, &[signature(signed, key, key_name, Digest::Sha256)?])
}

/// Signs an archive beside the signatures it has, but in the place of one with the same digest and key name. Old
/// clients know SHA-1 alone, so that an index for old and new ones is signed over both.
pub fn add_signature(
    archive: &[u8],
    key: &PrivateKey,
    key_name: &str,
    digest: Digest,
) -> Result<Vec<u8>, IndexError> {
    let (mut signatures, signed) = signed_part(archive)?;
    signatures.retain(|signature| (signature.digest, &*signature.key) != (digest, key_name));
    signatures.push(signature(signed, key, key_name, digest)?);
    with_signatures(signed, &signatures)
}

fn signature(
    signed: &[u8],
    key: &PrivateKey,
    key_name: &str,
    digest: Digest,
) -> Result<Signature, IndexError> {
    Ok(Signature {
        digest,
        key: key_name.to_owned(),
        bytes: key.sign(digest, signed)?,
    })
}

fn with_signatures(signed: &[u8], signatures: &[Signature]) -> Result<Vec<u8>, IndexError> {
    let mut file = signatures_section(signatures, 0)?;
    file.extend_from_slice(signed);
    Ok(file)
}
