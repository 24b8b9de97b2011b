//! Indexes, and the form in which they are kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use apk_index::{Index, IndexError, IndexText, Prepared, Text};
use apk_types::{Arch, PackageRecord};
use bytes::Bytes;
use content_cache::{Cache, Key, Kind, Partial};
use http_exchange::each;

use crate::client::{Client, Place, Trust};
use crate::error::RepositoryError;
use crate::location::Location;

/// Indexes as [`Prepared`], by the archive and by whom was trusted to sign it.
const INDEXES: Kind = Kind::new("indexes");
/// Their texts, by the same keys.
const TEXTS: Kind = Kind::new("index-texts");

/// What a key is of; to be changed with what is kept.
const CONTEXT: &[u8] = b"prepared index v1";

/// An index that was verified.
#[derive(Clone, Debug)]
pub enum OpenIndex {
    /// All of its packages.
    Parsed(Vec<PackageRecord>),
    /// As it is kept: a part of it can be had without the rest.
    Kept(Box<KeptIndex>),
}

/// An index as it is kept in the cache.
#[derive(Clone, Debug)]
pub struct KeptIndex {
    /// The index.
    pub prepared: Prepared,
    archive: Bytes,
    trust: Trust,
    at: String,
    cache: Cache,
    key: Key,
}

impl OpenIndex {
    /// What tells the index from every other, where it is kept: the name under which it is.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Parsed(_) => None,
            Self::Kept(kept) => Some(&kept.key),
        }
    }

    /// All of its packages.
    ///
    /// # Errors
    /// As [`KeptIndex::packages`].
    pub fn packages(&self) -> Result<Vec<PackageRecord>, RepositoryError> {
        match self {
            Self::Parsed(packages) => Ok(packages.clone()),
            Self::Kept(kept) => kept.packages(),
        }
    }
}

impl KeptIndex {
    /// All of its packages, out of the archive again.
    ///
    /// # Errors
    /// When the archive is malformed or no trusted key signed it.
    pub fn packages(&self) -> Result<Vec<PackageRecord>, RepositoryError> {
        let packages = text(&self.archive, &self.trust).and_then(|text| parse(&text));
        packages.map_err(|source| RepositoryError::Index {
            at: self.at.clone(),
            source,
        })
    }

    /// Removes it from the cache, where it turned out to be damaged.
    pub fn forget(&self) {
        self.cache.remove(INDEXES, &self.key);
        self.cache.remove(TEXTS, &self.key);
    }
}

/// The text of an index in a file.
struct TextFile(File);

impl Text for TextFile {
    fn part(&self, range: Range<usize>) -> Option<Vec<u8>> {
        let mut bytes = vec![0; range.end.checked_sub(range.start)?];
        self.0.read_exact_at(&mut bytes, range.start as u64).ok()?;
        Some(bytes)
    }
}

impl Client {
    /// Reads and verifies the index of a repository for an architecture; `None` where the repository has none.
    ///
    /// # Errors
    /// When it cannot be had, is malformed, or no trusted key signed it.
    pub fn read_index(
        &self,
        location: &Location,
        arch: Arch,
        trust: &Trust,
    ) -> Result<Option<Index>, RepositoryError> {
        self.index(location, arch, |archive, _| match &trust.keyring {
            Some(keyring) => Index::open(archive, keyring, trust.index_limit),
            None => Index::open_unverified(archive, trust.index_limit),
        })
    }

    /// Reads and verifies several indexes, as many at a time as requests may be under way. They come in the order they were
    /// asked for; of several errors the first is returned. With a cache, each is prepared the first time, so that the next
    /// time it is neither inflated nor parsed.
    ///
    /// # Errors
    /// As [`Client::read_index`].
    pub fn open_indexes(
        &self,
        wanted: &[(Location, Arch)],
        trust: &Trust,
    ) -> Result<Vec<Option<OpenIndex>>, RepositoryError> {
        let open = |(location, arch): &(Location, Arch)| {
            self.index(location, *arch, |archive, at| match &self.options().cache {
                Some(cache) => kept(cache, archive, trust, at),
                None => Ok(OpenIndex::Parsed(parse(&text(archive, trust)?)?)),
            })
        };
        each(wanted, self.options().http.parallel, open)
            .into_iter()
            .collect()
    }

    /// What `read` makes of an index and of the text for where it is.
    fn index<T>(
        &self,
        location: &Location,
        arch: Arch,
        read: impl Fn(&Bytes, &str) -> Result<T, IndexError>,
    ) -> Result<Option<T>, RepositoryError> {
        let read = |archive: &Bytes, at: String| {
            read(archive, &at).map_err(|source| RepositoryError::Index { at, source })
        };
        match location.place()? {
            Place::File(path) => {
                let path = path.join(arch.apk_name()).join(Location::INDEX);
                let at = path.display().to_string();
                match fs::read(&path) {
                    Ok(archive) => read(&archive.into(), at).map(Some),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(RepositoryError::Read { at, source }),
                }
            }
            Place::Url(url) => {
                let url = url.child(&[arch.apk_name(), Location::INDEX]);
                self.document(&url, |archive| read(archive, url.to_string()))
            }
        }
    }
}

fn text(archive: &[u8], trust: &Trust) -> Result<IndexText, IndexError> {
    IndexText::open(archive, trust.keyring.as_ref(), trust.index_limit)
}

fn parse(index: &IndexText) -> Result<Vec<PackageRecord>, IndexError> {
    Ok(apk_index::parse(&index.text)?)
}

/// The index as it is kept. It is kept under what was verified and by which keys, so that it is found only by those who would
/// accept the archive.
fn kept(cache: &Cache, archive: &Bytes, trust: &Trust, at: &str) -> Result<OpenIndex, IndexError> {
    let trusted = match &trust.keyring {
        Some(keyring) => [b"signed".to_vec(), keyring.identity()?].concat(),
        None => b"anything".to_vec(),
    };
    let key = Key::of(&[CONTEXT, &trust.index_limit.to_le_bytes(), &trusted, archive]);
    let as_kept = |prepared: Prepared| {
        OpenIndex::Kept(Box::new(KeptIndex {
            prepared,
            archive: archive.clone(),
            trust: trust.clone(),
            at: at.to_owned(),
            cache: cache.clone(),
            key: key.clone(),
        }))
    };
    if let Some(file) = cache.open(TEXTS, &key)
        && let Some(bytes) = cache.get(INDEXES, &key)
        && let Some(prepared) = Prepared::open(bytes, Arc::new(TextFile(file)))
    {
        return Ok(as_kept(prepared));
    }
    let index = text(archive, trust)?;
    let prepared = Prepared::encode(&index.text)?.map(Bytes::from);
    let Some(prepared) = prepared else {
        return Ok(OpenIndex::Parsed(parse(&index)?));
    };
    // Not to be able to keep it costs time, and nothing else.
    let write = |partial: &mut Partial| partial.file().write_all(index.text.as_bytes());
    if cache
        .file(TEXTS, &key, |path| path.is_file().then_some(()), write)
        .is_ok()
    {
        let _ = cache.put(INDEXES, &key, &prepared);
    }
    match Prepared::open(prepared, Arc::new(Bytes::from(index.text.clone()))) {
        Some(prepared) => Ok(as_kept(prepared)),
        None => Ok(OpenIndex::Parsed(parse(&index)?)),
    }
}
