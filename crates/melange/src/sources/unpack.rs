//! Source archives, unpacked into the workspace.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use melange_pipeline::runner::{Cancel, RunnerError};
use tar::{Archive, Entry, EntryType};

use super::beneath::{Beneath, Time};
use super::error::SourcesError;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    /// Looks at the beginning of a file; `None` if it is no archive that can be read.
    pub(super) fn of(file: &mut File) -> io::Result<Option<Self>> {
        let mut start = Vec::new();
        file.take(512).read_to_end(&mut start)?;
        file.rewind()?;
        let begins = |magic: &[u8]| start.starts_with(magic);
        Ok(match () {
            () if begins(&[0x1f, 0x8b]) => Some(Self::Gzip),
            () if begins(b"BZh") => Some(Self::Bzip2),
            () if begins(b"\xfd7zXZ\0") => Some(Self::Xz),
            () if begins(&[0x28, 0xb5, 0x2f, 0xfd]) => Some(Self::Zstd),
            () if start.get(257..262) == Some(b"ustar") => Some(Self::None),
            () => None,
        })
    }

    fn reader(self, file: File) -> io::Result<Box<dyn Read>> {
        let file = BufReader::with_capacity(128 << 10, file);
        Ok(match self {
            Self::None => Box::new(file),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new(file, true)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
        })
    }
}

/// What is unpacked, and for how long.
pub(super) struct Unpacking<'a> {
    /// The archive's name, for messages.
    pub(super) name: &'a str,
    /// How many leading directories of the members' paths are left out.
    pub(super) strip: usize,
    pub(super) cancel: &'a Cancel,
}

impl Unpacking<'_> {
    /// Unpacks an archive below a directory, with the members' modes and times, and owned by who runs this.
    pub(super) fn run(
        &self,
        archive: File,
        compression: Compression,
        to: &mut Beneath,
    ) -> Result<(), SourcesError> {
        let damaged = |source| SourcesError::Archive {
            archive: self.name.to_owned(),
            source,
        };
        let mut archive = Archive::new(compression.reader(archive).map_err(damaged)?);
        // The deepest come first: a directory's time changes with what is written into it.
        let mut directories: BTreeMap<String, (u32, Time)> = BTreeMap::new();
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            if self.cancel.is_cancelled() {
                return Err(SourcesError::Ended(RunnerError::Cancelled));
            }
            let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(path) = self.place(&member, &member)? else {
                continue;
            };
            let time = time(&mut entry).map_err(damaged)?;
            let mode = entry.header().mode().map_err(damaged)? & 0o777;
            if entry.header().entry_type() == EntryType::Directory {
                to.directory(&path).map_err(self.failed(&member))?;
                directories.insert(path, (mode, time));
                continue;
            }
            self.member(&mut entry, &member, &path, mode, time, to)?;
        }
        for (path, (mode, time)) in directories.iter().rev() {
            // Its owner must be able to go on working in it.
            to.finish_directory(path, mode | 0o700, *time)
                .map_err(self.failed(path))?;
        }
        Ok(())
    }

    fn member(
        &self,
        entry: &mut Entry<'_, impl Read>,
        member: &str,
        path: &str,
        mode: u32,
        time: Time,
        to: &mut Beneath,
    ) -> Result<(), SourcesError> {
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let done = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => to
                .file(path, mode)
                .and_then(|mut file| io::copy(entry, &mut file).map(drop)),
            EntryType::Symlink => to.symlink(path, &target),
            EntryType::Link => {
                let target = String::from_utf8_lossy(&target).into_owned();
                let Some(target) = self.place(&target, member)? else {
                    return Err(self.refused(member, "is a hard link to what is left out"));
                };
                return to.hard_link(path, &target).map_err(self.failed(member));
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                return Err(self.refused(member, "is a device or a pipe"));
            }
            // Notes to the program that unpacks it, such as the commit of an archive that git made.
            _ => return Ok(()),
        };
        done.and_then(|()| to.set_time(path, time))
            .map_err(self.failed(member))
    }

    /// Where a member goes: `None` for what is left out.
    fn place(&self, path: &str, member: &str) -> Result<Option<String>, SourcesError> {
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(self.refused(member, "leads out of the directory"));
        }
        let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
        let parts: Vec<&str> = parts.skip(self.strip).collect();
        Ok(Some(parts.join("/")).filter(|path| !path.is_empty()))
    }

    fn refused(&self, member: &str, reason: &'static str) -> SourcesError {
        SourcesError::Member {
            archive: self.name.to_owned(),
            member: member.to_owned(),
            reason,
        }
    }

    fn failed(&self, member: &str) -> impl FnOnce(io::Error) -> SourcesError {
        let (archive, member) = (self.name.to_owned(), member.to_owned());
        move |source| SourcesError::Unpack {
            archive,
            member,
            source,
        }
    }
}

/// When a member was changed, with the fraction of a second that PAX records have.
fn time(entry: &mut Entry<'_, impl Read>) -> io::Result<Time> {
    let plain = i64::try_from(entry.header().mtime()?).unwrap_or_default();
    let Some(records) = entry.pax_extensions()? else {
        return Ok((plain, 0));
    };
    let text = records
        .flatten()
        .find(|record| record.key_bytes() == b"mtime")
        .and_then(|record| record.value().ok())
        .unwrap_or_default();
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Ok((seconds.parse().unwrap_or(plain), digits.parse().unwrap_or(0)))
}
