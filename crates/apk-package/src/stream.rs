//! Packages as they come: one member at a time, nothing unpacked to disk, no section but the small ones in memory.

use std::borrow::Cow;
use std::io::{self, BufReader, Chain, Cursor, Read, Seek, SeekFrom};

use apk_types::Checksum;
use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tarball::{Entry, Header, Member, Members, ReadError};

use crate::open::{Control, LinkCheck, check_path, named, normal, read_head};
use crate::split::DATA;
use crate::{Expected, FileCheck, Limits, PackageError, PkgInfo, Problem, Signature};

/// How many inflated bytes are kept at once.
const BUFFER: usize = 64 << 10;

/// Reads a package in one pass, without trusting it: what comes out is only as good as where it came from.
///
/// The control section is read at the beginning. Members of the data section come one at a time; the end is reached
/// only if the whole data section is what `.PKGINFO` says, so that a caller who can take back what it did until then
/// has verified the package too. [`VerifiedReader`] verifies before it gives anything out.
///
/// It holds the control section, a buffer of 64 KiB and the paths of the members: not more, whatever is packed.
pub struct PackageReader<R> {
    name: String,
    control: Control,
    members: Members<DataReader<R>>,
    links: LinkCheck<'static>,
    /// After an error there is no end to come to.
    failed: bool,
}

/// Inflated data, with a limit; the compressed bytes are summed up on their way.
type DataReader<R> = BufReader<Inflated<Hashing<Chain<Cursor<Vec<u8>>, R>>>>;

/// A member of a data section; reading from it gives its content, which is compared with the SHA-1 in the header when
/// its end is read.
pub struct DataMember<'m, R: Read> {
    member: Member<'m, DataReader<R>>,
    check: Option<FileCheck<'m>>,
}

impl<R: Read> PackageReader<R> {
    /// Reads the control section. `name` is what errors call the package.
    pub fn new(name: &str, mut package: R, limits: &Limits) -> Result<Self, PackageError> {
        let (control, mut head) = read_head(&mut package, limits).map_err(|problem| problem.of(name))?;
        head.drain(..control.sections.data.start);
        Ok(Self::behind(
            name,
            control,
            Cursor::new(head).chain(package),
            limits,
        ))
    }

    /// Goes on behind the control section.
    fn behind(name: &str, control: Control, data: Chain<Cursor<Vec<u8>>, R>, limits: &Limits) -> Self {
        let inflated = Inflated {
            gzip: MultiGzDecoder::new(Hashing {
                inner: data,
                hash: Sha256::new(),
            }),
            left: limits.data,
            limit: limits.data,
        };
        Self {
            name: name.to_owned(),
            control,
            members: Members::new(BufReader::with_capacity(BUFFER, inflated), &limits.tar),
            links: LinkCheck::default(),
            failed: false,
        }
    }

    /// Its `.PKGINFO`.
    pub fn info(&self) -> &PkgInfo {
        &self.control.info
    }

    /// The members of the control section: `.PKGINFO`, scripts and others.
    pub fn control(&self) -> &[Entry] {
        &self.control.entries
    }

    /// The checksum of the compressed control section, as indexes have it.
    pub fn control_checksum(&self) -> Checksum {
        self.control.checksum
    }

    /// Its signatures.
    pub fn signatures(&self) -> &[Signature] {
        &self.control.signatures
    }

    /// The next member of the data section. `None` comes after the last one, and only if the compressed data section
    /// is the one that `.PKGINFO` has the hash of.
    ///
    /// Members that leave the root, repeat or lie inside a symbolic link of the package are errors, as for
    /// [`open`](crate::open).
    pub fn next_member(&mut self) -> Result<Option<DataMember<'_, R>>, PackageError> {
        let Self {
            name,
            control,
            members,
            links,
            failed,
        } = self;
        if *failed {
            return Err(Problem::Io(io::Error::other("it was read on after an error")).of(name));
        }
        next(control, members, links).map_err(|problem| {
            *failed = true;
            problem.of(name)
        })
    }
}

fn next<'m, R: Read>(
    control: &Control,
    members: &'m mut Members<DataReader<R>>,
    links: &mut LinkCheck<'static>,
) -> Result<Option<DataMember<'m, R>>, Problem> {
    if !members.advance().map_err(data_problem)? {
        let reader = members.reader_mut();
        io::copy(reader, &mut io::sink())?;
        let compressed = reader.get_mut().gzip.get_mut();
        control.verify_data(&compressed.hash.clone().finalize().into())?;
        return Ok(None);
    }
    let member = members.current();
    let header = member.header();
    check_path(header)?;
    links.member(header, Cow::Owned(normal(&header.path).into_owned()))?;
    Ok(Some(DataMember {
        check: FileCheck::of(header),
        member,
    }))
}

fn data_problem(error: ReadError) -> Problem {
    match error {
        ReadError::Malformed {
            source,
            members,
            last,
        } => match source.downcast() {
            Ok(problem) => problem,
            Err(source) => Problem::Tar {
                section: DATA,
                source: ReadError::Malformed {
                    source,
                    members,
                    last,
                },
            },
        },
        source => Problem::Tar {
            section: DATA,
            source,
        },
    }
}

impl<'m, R: Read> DataMember<'m, R> {
    /// What the member says of itself.
    pub fn header(&self) -> &'m Header {
        self.member.header()
    }
}

impl<R: Read> Read for DataMember<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.member.read(buffer)?;
        if let Some(check) = &mut self.check {
            check.update(&buffer[..count]);
        }
        if count == 0
            && !buffer.is_empty()
            && let Some(check) = self.check.take()
        {
            check.finish()?;
        }
        Ok(count)
    }
}

/// Reads a package that was verified before anything of it came out.
///
/// The whole file is read twice: once to compare the control section with the index's checksum and the signature, and
/// the compressed data section with its `datahash`, and a second time for the members. Both passes take a constant
/// amount of memory. The data is summed up again in the second pass: should the file have changed between the two, the
/// last [`next_member`](Self::next_member) says so, but what it gave before was the other content; open a file that
/// nobody else can write to. Packages that come from a place without [`Seek`] are copied into such a file first.
///
/// ```no_run
/// use std::fs::File;
/// use std::io;
///
/// use apk_package::{Expected, Keyring, Limits, VerifiedReader};
///
/// # fn keys() -> Keyring { Keyring::default() }
/// let keyring = keys();
/// let file = File::open("hello-1.0-r0.apk")?;
/// let expected = Expected::signed("hello-1.0-r0", &keyring);
/// let mut package = VerifiedReader::open(file, &expected, &Limits::default())?;
/// println!("{} {}", package.info().name, package.info().version);
/// while let Some(mut member) = package.next_member()? {
///     println!("{}", member.header().path);
///     io::copy(&mut member, &mut io::sink())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VerifiedReader<R> {
    reader: PackageReader<R>,
}

impl<R: Read + Seek> VerifiedReader<R> {
    /// Verifies a package, which begins where `package` stands, and goes back to its first member.
    pub fn open(mut package: R, expected: &Expected<'_>, limits: &Limits) -> Result<Self, PackageError> {
        let mut length = 0;
        let control = verified_control(&mut package, expected, limits, &mut length)
            .map_err(|problem| named(problem, expected, length))?;
        let data = Cursor::new(Vec::new()).chain(package);
        Ok(Self {
            reader: PackageReader::behind(expected.package, control, data, limits),
        })
    }
}

impl<R: Read> VerifiedReader<R> {
    /// Its `.PKGINFO`.
    pub fn info(&self) -> &PkgInfo {
        self.reader.info()
    }

    /// The members of the control section: `.PKGINFO`, scripts and others.
    pub fn control(&self) -> &[Entry] {
        self.reader.control()
    }

    /// The checksum of the compressed control section, as indexes have it.
    pub fn control_checksum(&self) -> Checksum {
        self.reader.control_checksum()
    }

    /// Its signatures, verified only if [`Expected::keyring`] asked for that.
    pub fn signatures(&self) -> &[Signature] {
        self.reader.signatures()
    }

    /// The next member of the data section, as [`PackageReader::next_member`] has it.
    pub fn next_member(&mut self) -> Result<Option<DataMember<'_, R>>, PackageError> {
        self.reader.next_member()
    }
}

/// Verifies a package, which `length` becomes the size of as far as it was read, and leaves it standing behind its
/// control section.
fn verified_control(
    package: &mut (impl Read + Seek),
    expected: &Expected<'_>,
    limits: &Limits,
    length: &mut u64,
) -> Result<Control, Problem> {
    let start = package.stream_position()?;
    let (control, head) = read_head(package, limits)?;
    *length = head.len() as u64;
    control.verify(&head, expected)?;
    let data_start = control.sections.data.start;
    let mut rest = Hashing {
        inner: package,
        hash: Sha256::new_with_prefix(&head[data_start..]),
    };
    *length += io::copy(&mut rest, &mut io::sink())?;
    control.verify_data(&rest.hash.finalize().into())?;
    rest.inner.seek(SeekFrom::Start(start + data_start as u64))?;
    Ok(control)
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// Inflates, up to a limit, and says what is wrong in the words of [`Problem`].
struct Inflated<R> {
    gzip: MultiGzDecoder<R>,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.gzip.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Problem::Truncated { section: DATA }.into(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Problem::Corrupt { section: DATA }.into()
            }
            _ => error,
        })?;
        self.left = self.left.checked_sub(count as u64).ok_or(Problem::TooLarge {
            section: DATA,
            limit: self.limit,
        })?;
        Ok(count)
    }
}
