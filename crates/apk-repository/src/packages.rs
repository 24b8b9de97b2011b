//! Package files: fetched once, and verified whenever they are read.

use apk_package::{Expected, Limits, PackageError, VerifiedPackage};
use apk_types::{Arch, Checksum, PackageRecord};
use bytes::Bytes;
use content_cache::{CacheError, Key, Kind, Partial};
use http_exchange::{HttpError, HttpUrl};

use crate::client::{Client, Place, Trust, read_file};
use crate::error::RepositoryError;
use crate::location::Location;
use crate::transfer::{Sink, Wanted};

/// Package files as they were downloaded, by the checksum in the index.
const FILES: Kind = Kind::new("package-files");

/// A package, where it is, and who it should be.
struct Package<'a> {
    record: &'a PackageRecord,
    name: String,
    checksum: Checksum,
    url: HttpUrl,
}

/// The checksum that the index has for a package.
///
/// # Errors
/// When it has none.
pub fn checksum(location: &Location, record: &PackageRecord) -> Result<Checksum, RepositoryError> {
    record.checksum.ok_or_else(|| RepositoryError::NoChecksum {
        location: location.to_string(),
        package: format!("{}-{}", record.name, record.version),
    })
}

impl Client {
    /// Reads a package and verifies that it is the one that the index speaks of. Returns its bytes beside what they
    /// hold.
    ///
    /// # Errors
    /// When it cannot be had or is another one.
    pub fn read_package(
        &self,
        location: &Location,
        arch: Arch,
        record: &PackageRecord,
        trust: &Trust,
    ) -> Result<(Bytes, VerifiedPackage), RepositoryError> {
        let limits = &trust.package_limits;
        let (at, bytes, verified) = self.package(location, arch, record, |bytes, expected| {
            apk_package::open(bytes, expected, limits)
        })?;
        match verified {
            Some(verified) => Ok((bytes, verified)),
            None => {
                let name = format!("{}-{}", record.name, record.version);
                let expected = expected(&name, record, checksum(location, record)?);
                let verified = apk_package::open(bytes.clone(), &expected, limits)
                    .map_err(|source| RepositoryError::Package { at, source })?;
                Ok((bytes, verified))
            }
        }
    }

    /// Reads the file of a package for somebody who verifies it while inflating it: that it is the one that the index speaks
    /// of, by its [`checksum`]. Returns where it is too.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn read_package_file(
        &self,
        location: &Location,
        arch: Arch,
        record: &PackageRecord,
        limits: &Limits,
    ) -> Result<(String, Bytes), RepositoryError> {
        let verify = |bytes, expected: &Expected<'_>| apk_package::verify(bytes, expected, limits).map(drop);
        let (at, bytes, _) = self.package(location, arch, record, verify)?;
        Ok((at, bytes))
    }

    /// Forgets the file of a package that is kept in another form now.
    pub fn forget_package_file(&self, record: &PackageRecord) {
        if let (Some(cache), Some(checksum)) = (&self.options().cache, record.checksum) {
            cache.remove(FILES, &key(checksum));
        }
    }

    /// A package's file, and what `open` makes of it if it had to be opened.
    fn package<T>(
        &self,
        location: &Location,
        arch: Arch,
        record: &PackageRecord,
        open: impl Fn(Bytes, &Expected<'_>) -> Result<T, PackageError>,
    ) -> Result<(String, Bytes, Option<T>), RepositoryError> {
        let name = record.file_name();
        let url = match location.place()? {
            Place::File(directory) => {
                let path = directory.join(arch.apk_name()).join(name);
                let bytes = read_file(&path)?;
                let at = path.display().to_string();
                check_size(bytes.len() as u64, record, &at)?;
                return Ok((at, bytes, None));
            }
            Place::Url(url) => url.child(&[arch.apk_name(), &name]),
        };
        let package = Package {
            record,
            name: format!("{}-{}", record.name, record.version),
            checksum: checksum(location, record)?,
            url,
        };
        let at = package.url.to_string();
        let Some(cache) = &self.options().cache else {
            let mut bytes = Vec::new();
            self.download_package(&package, &mut bytes)?;
            return Ok((at, bytes.into(), None));
        };
        let verify = |bytes: &Bytes| {
            let opened = open(bytes.clone(), &expected(&package.name, record, package.checksum));
            opened.map_err(|source| RepositoryError::Package {
                at: at.clone(),
                source,
            })
        };
        let make = |partial: &mut Partial| self.download_package(&package, partial);
        match cache.fetch(FILES, &key(package.checksum), verify, make) {
            Ok((bytes, opened)) => Ok((at, bytes, Some(opened))),
            Err(CacheError::Make(error)) => Err(error),
            Err(error) => Err(RepositoryError::Cache {
                reason: error.to_string(),
            }),
        }
    }

    fn download_package(&self, package: &Package<'_>, sink: &mut dyn Sink) -> Result<(), RepositoryError> {
        let stated = Some(package.record.size).filter(|size| *size > 0);
        let most = self.options().max_response_size;
        let wanted = Wanted {
            url: &package.url,
            limit: (
                stated.map_or(most, |size| size.min(most)),
                "--max-http-response-size",
            ),
            size: stated,
            known: None,
            is_checked: true,
        };
        match self.download(&wanted, sink) {
            Ok(_) => Ok(()),
            Err(HttpError::TooLarge { url, limit, .. }) if stated == Some(limit) => {
                // What is here of it is of no use to anybody.
                let _ = sink.restart();
                Err(RepositoryError::Size {
                    at: url,
                    expected: limit,
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn key(checksum: Checksum) -> Key {
    Key::of(&[checksum.to_string().as_bytes()])
}

fn expected<'a>(name: &'a str, record: &PackageRecord, checksum: Checksum) -> Expected<'a> {
    Expected {
        size: Some(record.size),
        ..Expected::checksum(name, checksum)
    }
}

fn check_size(actual: u64, record: &PackageRecord, at: &str) -> Result<(), RepositoryError> {
    match record.size > 0 && actual > record.size {
        true => Err(RepositoryError::Size {
            at: at.to_owned(),
            expected: record.size,
        }),
        false => Ok(()),
    }
}
