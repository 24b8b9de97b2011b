//! The apk v2 package: reading, verifying, signing and writing.
//!
//! A package is a file of concatenated gzip members: a signature section (absent when unsigned), a control section
//! with `.PKGINFO` and scripts, and a data section with the files. The signature and the index's checksum cover
//! the compressed control section, whose `datahash` covers the compressed data section.
//!
//! [`open`] gives a package's contents only after that chain was verified; [`VerifiedReader`] does the same for a file
//! on disk, member by member, in little memory. [`PackageReader`], [`split`] and [`read_info`] look at a
//! package without trusting it, [`compare`] tells what two differ in. [`PkgInfo`] reads and writes `.PKGINFO`; [`PrivateKey`], [`PublicKey`] and
//! [`Keyring`] make and verify signatures. The crate does no I/O of its own, lays nothing down on disk, and
//! resolves no symbolic links: what a path means in a tree is for the tree to say.
//!
//! What is read is never trusted to be small. [`Limits`] bound what each section inflates to, and nothing is allocated
//! ahead of what was inflated but for the size that the last gzip member states, up to 1032 times the section, which is
//! what deflate can make of it. [`open`] holds the file and what it inflates to; the readers hold 64 KiB, the control
//! section and the paths of the members.
//!
//! RSA is RustCrypto's `rsa`: it alone makes keys, signs over SHA-1 and needs no C compiler, while verification
//! is never the slow part of reading a package; `ring` can neither make RSA keys nor sign over SHA-1.
//!
//! ```
//! use apk_package::{DataWriter, Expected, Keyring, Limits, PkgInfo, PrivateKey};
//! use tarball::{Header, Kind};
//!
//! let mut data = DataWriter::new(Vec::new());
//! let header = Header { path: "hello".into(), mode: 0o644, size: 3, ..Header::new(Kind::Regular) };
//! data.append(header, || Ok(&b"hi\n"[..]))?;
//! let data = data.finish()?;
//!
//! let info = PkgInfo { name: "hello".into(), version: "1.0-r0".into(), data_hash: data.hash, ..PkgInfo::default() };
//! let control = apk_package::control_section(&info, &[], 0)?;
//! let key = PrivateKey::generate(2048)?;
//! let signature = apk_package::sign_control(&control, &key, "mine.rsa.pub", 0)?;
//! let mut file = Vec::new();
//! apk_package::write_package(&mut file, Some(&signature), &control, &mut &data.out[..])?;
//!
//! let mut keyring = Keyring::default();
//! keyring.insert("mine.rsa.pub", key.public_key());
//! let expected = Expected::signed("hello-1.0-r0", &keyring);
//! let package = apk_package::open(file.into(), &expected, &Limits::default())?;
//! assert_eq!(package.info, info);
//! assert_eq!(&package.data[0].content[..], b"hi\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compare;
mod error;
mod gzip;
mod ini;
mod keyring;
mod keys;
mod open;
mod parallel;
mod pkginfo;
mod split;
mod stream;
mod write;

pub use compare::{Change, ContentDifference, Difference, Meaning, Side, compare};
pub use error::{PackageError, Problem};
pub use gzip::{deflate, inflate};
pub use keyring::{Digest, Keyring, Signature, SignatureError, SignaturePolicy};
pub use keys::{KeyError, PrivateKey, PublicKey};
pub use open::{
    Expected, FILE_CHECKSUM_RECORD, FileCheck, Limits, VerifiedPackage, VerifiedSections, check_members,
    open, read_info, verify,
};
pub use pkginfo::{PkgInfo, PkgInfoError};
pub use split::{Sections, read_signatures, split};
pub use stream::{DataMember, PackageReader, VerifiedReader};
pub use write::{
    ControlMember, DataSection, DataWriter, WriteError, control_section, sign, sign_control,
    signature_section, signatures_section, write_package,
};
