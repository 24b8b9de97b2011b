//! The sections of a package as melange writes them.
//!
//! The bytes before compression are melange's. Compressed, they differ from melange's (another deflate), but are the
//! same for the same content everywhere and always.

use std::fmt::Write as _;
use std::io::{self, Cursor, Read, Write};

use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use tarball::{Header, Kind, Writer};

use crate::gzip::deflate;
use crate::open::{FILE_CHECKSUM_RECORD, read_head};
use crate::parallel::ParallelGzip;
use crate::{Digest, KeyError, Limits, PkgInfo, PrivateKey, Problem, Signature};

/// A package that could not be written or signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum WriteError {
    #[error(transparent)]
    Tar(#[from] tarball::WriteError),
    #[error("reading `{member}`: {source}")]
    Content { member: String, source: io::Error },
    #[error("`{member}` changed while it was packed")]
    Changed { member: String },
    #[error("`.PKGINFO` cannot hold a line break in the value `{value}`")]
    LineBreak { value: String },
    #[error("the control section has two members of the name `{0}`")]
    Repeated(String),
    #[error("the package cannot be read: {0}")]
    Package(Problem),
    #[error("the package cannot be signed: {0}")]
    Key(#[from] KeyError),
    #[error("writing the package: {0}")]
    Io(#[from] io::Error),
}

/// A data section while it is written: tar, gzip and the running SHA-256 over the compressed bytes.
pub struct DataWriter<W: Write> {
    tar: Writer<ParallelGzip<Hashing<W>>>,
}

/// A data section that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSection<W> {
    /// Where it was written to.
    pub out: W,
    /// The `datahash`: the SHA-256 of the compressed bytes in hexadecimal digits.
    pub hash: String,
    /// The number of compressed bytes.
    pub size: u64,
}

/// Files up to this size are read once and kept while they are hashed and written; larger ones are read twice.
const KEEP: u64 = 1 << 20;

impl<W: Write> DataWriter<W> {
    /// Begins a data section. It is compressed on as many threads as the machine has processors, once it is larger
    /// than a mebibyte; their number has no part in the bytes.
    pub fn new(out: W) -> Self {
        let out = Hashing {
            out,
            hash: Sha256::new(),
            size: 0,
        };
        Self {
            tar: Writer::new(ParallelGzip::new(out)),
        }
    }

    /// Appends a member, whose header needs neither a checksum nor, if it is not a regular file, a size.
    ///
    /// The checksum record is added: for a regular or hard-linked file the SHA-1 of its content, for a symbolic link
    /// that of its target. `open` opens the content of a file; large files are opened twice, so that they need not be
    /// in memory. A file that is longer or shorter than `header.size`, or changes between, is an error.
    pub fn append<R: Read>(
        &mut self,
        mut header: Header,
        mut open: impl FnMut() -> io::Result<R>,
    ) -> Result<(), WriteError> {
        let member = header.path.clone();
        let failed = |source| WriteError::Content {
            member: member.clone(),
            source,
        };
        match header.kind {
            Kind::Regular if header.size <= KEEP => {
                let mut content = Vec::with_capacity(header.size as usize);
                // One byte more than stated shows a file that grew.
                let mut limited = open().map_err(failed)?.take(header.size + 1);
                limited.read_to_end(&mut content).map_err(failed)?;
                state_checksum(&mut header, Sha1::digest(&content).as_slice());
                self.tar.append(&header, &content)?;
            }
            Kind::Regular => {
                let before = sha1(open().map_err(failed)?).map_err(failed)?;
                state_checksum(&mut header, &before);
                let mut content = Tee {
                    inner: open().map_err(failed)?,
                    hash: Sha1::new(),
                };
                self.tar.append_from(&header, &mut content)?;
                if content.hash.finalize().as_slice() != before {
                    return Err(WriteError::Changed { member });
                }
            }
            kind => {
                if kind == Kind::Hardlink {
                    let sum = sha1(open().map_err(failed)?).map_err(failed)?;
                    state_checksum(&mut header, &sum);
                } else if kind == Kind::Symlink {
                    let sum = Sha1::digest(header.link.as_bytes());
                    state_checksum(&mut header, sum.as_slice());
                }
                header.size = 0;
                self.tar.append(&header, b"")?;
            }
        }
        Ok(())
    }

    /// Ends the section.
    pub fn finish(self) -> Result<DataSection<W>, WriteError> {
        let Hashing { out, hash, size } = self.tar.finish()?.finish()?;
        let hash = crate::open::hex(&hash.finalize().into());
        Ok(DataSection { out, hash, size })
    }
}

fn state_checksum(header: &mut Header, sum: &[u8]) {
    let hex = sum.iter().fold(String::with_capacity(40), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    header
        .pax
        .insert(FILE_CHECKSUM_RECORD.to_owned(), hex.into_bytes());
}

fn sha1(content: impl Read) -> io::Result<[u8; 20]> {
    let mut content = Tee {
        inner: content,
        hash: Sha1::new(),
    };
    io::copy(&mut content, &mut io::sink())?;
    Ok(content.hash.finalize().into())
}

/// Hashes what is read through it.
struct Tee<R> {
    inner: R,
    hash: Sha1,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// Hashes what is written through it.
struct Hashing<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A member of the control section beside `.PKGINFO`: a script, or `.melange.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMember {
    /// Its name, such as `.post-install`.
    pub name: String,
    /// `0o755` for scripts, `0o644` for others.
    pub mode: u32,
    /// Its content.
    pub content: Vec<u8>,
}

impl ControlMember {
    /// A script such as `.pre-install`, `.post-upgrade` or `.trigger`.
    pub fn script(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            mode: 0o755,
            content: content.into(),
        }
    }

    /// The configuration that a package was built from.
    pub fn melange_yaml(content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: ".melange.yaml".to_owned(),
            mode: 0o644,
            content: content.into(),
        }
    }
}

/// Makes a compressed control section: `.PKGINFO` and the members, sorted by name, owned by root, all of the same
/// time in seconds since 1970, without the blocks that end an archive.
pub fn control_section(info: &PkgInfo, members: &[ControlMember], mtime: i64) -> Result<Vec<u8>, WriteError> {
    if let Some(value) = info.value_with_line_break() {
        let value = value.to_owned();
        return Err(WriteError::LineBreak { value });
    }
    let info = ControlMember {
        name: ".PKGINFO".to_owned(),
        mode: 0o644,
        content: info.to_string().into_bytes(),
    };
    let mut sorted: Vec<&ControlMember> = members.iter().chain([&info]).collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(WriteError::Repeated(pair[0].name.clone()));
    }
    let mut tar = Writer::new(Vec::new());
    for member in sorted {
        tar.append(
            &root_header(&member.name, member.mode, &member.content, mtime),
            &member.content,
        )?;
    }
    Ok(deflate(&tar.into_inner()))
}

/// Makes a compressed signature section, which is put before the bytes that were signed.
pub fn signature_section(signature: &Signature, mtime: i64) -> Result<Vec<u8>, WriteError> {
    signatures_section(std::slice::from_ref(signature), mtime)
}

/// Makes a signature section with several signatures, of which a reader needs one by a key it trusts.
pub fn signatures_section(signatures: &[Signature], mtime: i64) -> Result<Vec<u8>, WriteError> {
    let mut tar = Writer::new(Vec::new());
    for signature in signatures {
        let header = root_header(&signature.member_name(), 0o644, &signature.bytes, mtime);
        tar.append(&header, &signature.bytes)?;
    }
    Ok(deflate(&tar.into_inner()))
}

fn root_header(name: &str, mode: u32, content: &[u8], mtime: i64) -> Header {
    Header {
        path: name.to_owned(),
        mode,
        uname: "root".to_owned(),
        gname: "root".to_owned(),
        mtime,
        size: content.len() as u64,
        ..Header::new(Kind::Regular)
    }
}

/// Writes a package file: the signature section if there is one, the control section, the data section.
pub fn write_package(
    out: &mut impl Write,
    signature: Option<&[u8]>,
    control: &[u8],
    data: &mut impl Read,
) -> Result<(), WriteError> {
    out.write_all(signature.unwrap_or_default())?;
    out.write_all(control)?;
    io::copy(data, out)?;
    Ok(())
}

/// Signs a control section over SHA-256 and makes the signature section. `key_name` is the file name of the public
/// key, such as `melange.rsa.pub`: the reader looks the key up by it.
pub fn sign_control(
    control: &[u8],
    key: &PrivateKey,
    key_name: &str,
    mtime: i64,
) -> Result<Vec<u8>, WriteError> {
    let signature = Signature {
        digest: Digest::Sha256,
        key: key_name.to_owned(),
        bytes: key.sign(Digest::Sha256, control)?,
    };
    signature_section(&signature, mtime)
}

/// Signs a package over SHA-256, in the place of the signatures it has: gives the package to write, of which only the
/// small sections were read yet. The signature has the time of `.PKGINFO`.
pub fn sign<R: Read>(
    mut package: R,
    key: &PrivateKey,
    key_name: &str,
    limits: &Limits,
) -> Result<impl Read + use<R>, WriteError> {
    let (control, mut head) = read_head(&mut package, limits).map_err(WriteError::Package)?;
    let sections = &control.sections;
    let signature = sign_control(&head[sections.control.clone()], key, key_name, control.mtime())?;
    head.splice(..sections.control.start, signature);
    Ok(Cursor::new(head).chain(package))
}
