//! From a package to its file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufWriter, Read, Take, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use apk_package::{Expected, FileCheck, Limits, Problem, check_members, verify};
use bytes::Bytes;
use deflate_pieces::{BlockReader, InflateError, MIN_SPLICE, splice};
use tarball::{Entry, Header, ReadError, read_stream};

use crate::StoreError;
use crate::format::{DeflatedPlace, Footer, Head, Member, Place};

/// At what level the edges of spliced files are deflated.
const LEVEL: u32 = 2;

/// Smaller files are little else than edges: these are deflated better.
const MOSTLY_EDGES: u64 = 256 << 10;
const EDGES_LEVEL: u32 = 3;

const SECTION: &str = "data section";

/// How much is gathered before it is written; what comes in larger parts is not.
const BUFFER: usize = 64 << 10;

/// Verifies a package, inflates it and writes its file, in place of any that is there. When it fails, what was written until
/// then is of no use.
///
/// Memory is bounded by the package as it is, compressed, and its table of members.
///
/// # Errors
/// When the package is not what is expected, and when writing fails.
pub fn write(
    package: Bytes,
    expected: &Expected<'_>,
    limits: &Limits,
    path: &Path,
) -> Result<(), StoreError> {
    let io = |source| StoreError::Io {
        path: path.to_owned(),
        source,
    };
    let size = package.len() as u64;
    let prefix = package.clone();
    let verified = verify(package, expected, limits)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = file.map_err(io)?;
    // A file that is cut is written to the disk by some file systems when it is closed.
    if file.metadata().map_err(io)?.len() > 0 {
        file.set_len(0).map_err(io)?;
    }
    let contents = Contents::write(verified.data(), limits, &file);
    let contents = contents.map_err(|fault| match fault {
        Fault::Problem(problem) => problem.of(expected.package).into(),
        Fault::Io(source) => io(source),
    })?;
    let head = Head {
        size,
        prefix: &prefix[..verified.sections.data.start],
        data_hash: verified.data_hash,
    };
    contents.finish(verified.data(), &head, &file).map_err(io)
}

/// What went wrong: the package's fault, or that of the file.
enum Fault {
    Problem(Problem),
    Io(io::Error),
}

/// A file's content in the uncompressed data section, and where it was written.
#[derive(Default)]
struct Written {
    range: Range<u64>,
    place: Place,
    crc: u32,
}

struct Contents {
    members: Vec<Entry<Written>>,
    blocks: Vec<deflate_pieces::Block>,
    length: u64,
}

impl Contents {
    /// Inflates a data section and writes the contents of its files one after the other.
    fn write(data: &[u8], limits: &Limits, file: &File) -> Result<Self, Fault> {
        let mut reader = Limited {
            reader: BlockReader::new(data),
            limit: limits.data,
        };
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let mut length = 0;
        let copy = |header: &Header, content: &mut Take<&mut &mut Limited<'_>>| {
            let start = content.get_ref().reader.position();
            let place = Place {
                offset: length,
                ..Place::default()
            };
            length += header.size;
            copy_content(header, content, &mut out).map(|(hash, crc)| Written {
                range: start..start + header.size,
                place: Place { hash, ..place },
                crc,
            })
        };
        let members = read_stream(&mut reader, &limits.tar, copy).map_err(tar_fault)?;
        // What is behind the end of the archive counts too: the stream must be whole.
        io::copy(&mut reader, &mut io::sink()).map_err(fault)?;
        check_members(&members).map_err(Fault::Problem)?;
        out.flush().map_err(Fault::Io)?;
        drop(out);
        Ok(Self {
            members,
            blocks: reader.reader.blocks().to_vec(),
            length,
        })
    }

    /// Writes the deflated form of the large files, the table and the footer.
    fn finish(self, data: &[u8], head: &Head<'_>, file: &File) -> io::Result<()> {
        let mut members = Vec::with_capacity(self.members.len());
        let mut out = Counting {
            out: BufWriter::with_capacity(BUFFER, file),
            at: self.length,
            hasher: blake3::Hasher::new(),
        };
        for Entry { header, content } in self.members {
            let Written {
                range,
                mut place,
                crc,
            } = content;
            if header.size >= MIN_SPLICE {
                let read = |at: u64, buffer: &mut [u8]| {
                    file.read_exact_at(buffer, place.offset + (at - range.start))
                };
                let offset = out.at;
                let level = match header.size {
                    ..MOSTLY_EDGES => EDGES_LEVEL,
                    _ => LEVEL,
                };
                splice(data, &self.blocks, range.clone(), &read, level, &mut out)?;
                place.deflated = Some(DeflatedPlace {
                    offset,
                    length: out.at - offset,
                    hash: out.hasher.finalize().into(),
                    crc,
                });
                out.hasher.reset();
            }
            members.push(Member { header, place });
        }
        let footer_offset = out.at;
        let table = postcard::to_stdvec(head).map_err(io::Error::other)?;
        let table = postcard::to_extend(&members, table).map_err(io::Error::other)?;
        out.write_all(&table)?;
        let footer = Footer {
            offset: footer_offset,
            hash: blake3::hash(&table).into(),
        };
        out.write_all(&footer.encode())?;
        out.flush()
    }
}

/// Copies a content and gives its hash, and its CRC-32 if it is large.
fn copy_content(
    header: &Header,
    content: &mut Take<&mut &mut Limited<'_>>,
    out: &mut impl Write,
) -> io::Result<([u8; 32], u32)> {
    let mut check = FileCheck::of(header);
    let (mut hasher, mut crc) = (blake3::Hasher::new(), crc32fast::Hasher::new());
    loop {
        let part = content.fill_buf()?;
        if part.is_empty() {
            break;
        }
        hasher.update(part);
        if header.size >= MIN_SPLICE {
            crc.update(part);
        }
        if let Some(check) = &mut check {
            check.update(part);
        }
        out.write_all(part)
            .map_err(|error| io::Error::new(error.kind(), WriteFailed(error)))?;
        let length = part.len();
        content.consume(length);
    }
    if content.limit() == 0
        && let Some(check) = check
    {
        check
            .finish()
            .map_err(|problem| io::Error::other(Box::new(Wrong(problem))))?;
    }
    Ok((hasher.finalize().into(), crc.finalize()))
}

/// A failure of the file, in the guise of one of the archive.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WriteFailed(io::Error);

/// A problem of the package on its way through the reader of archives.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(Problem);

fn tar_fault(error: ReadError) -> Fault {
    match error {
        ReadError::Malformed {
            members,
            last,
            source,
        } => match known(source) {
            Ok(fault) => fault,
            Err(source) => Fault::Problem(Problem::Tar {
                section: SECTION,
                source: ReadError::Malformed {
                    members,
                    last,
                    source,
                },
            }),
        },
        source => Fault::Problem(Problem::Tar {
            section: SECTION,
            source,
        }),
    }
}

fn fault(error: io::Error) -> Fault {
    known(error).unwrap_or_else(|error| Fault::Problem(Problem::Io(error)))
}

/// Tells what is behind an error that came through the reader.
fn known(error: io::Error) -> Result<Fault, io::Error> {
    let error = match error.downcast::<WriteFailed>() {
        Ok(WriteFailed(error)) => return Ok(Fault::Io(error)),
        Err(error) => error,
    };
    let error = match error.downcast::<Wrong>() {
        Ok(Wrong(problem)) => return Ok(Fault::Problem(problem)),
        Err(error) => error,
    };
    let section = SECTION;
    error.downcast::<InflateError>().map(|error| {
        Fault::Problem(match error {
            InflateError::NotGzip(0) => Problem::NotGzip { section },
            InflateError::Truncated(_) => Problem::Truncated { section },
            _ => Problem::Corrupt { section },
        })
    })
}

/// A reader that stops with an error when too much was inflated.
struct Limited<'d> {
    reader: BlockReader<'d>,
    limit: u64,
}

impl BufRead for Limited<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let position = self.reader.position();
        let part = self.reader.fill_buf()?;
        if position + part.len() as u64 > self.limit {
            let (section, limit) = (SECTION, self.limit);
            return Err(io::Error::other(Wrong(Problem::TooLarge { section, limit })));
        }
        Ok(part)
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = self.fill_buf()?;
        let length = part.len().min(buffer.len());
        buffer[..length].copy_from_slice(&part[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// Hashes what it writes and knows where it is.
struct Counting<W> {
    out: W,
    at: u64,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
