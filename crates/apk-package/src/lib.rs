//! The apk v2 package: reading, verifying, signing and writing.
//!
//! A package is a file of concatenated gzip members: a signature section (absent when unsigned), a control section
//! with `.PKGINFO` and scripts, and a data section with the files. The signature and the index's checksum cover
//! the compressed control section, whose `datahash` covers the compressed data section.
//!
//! [`open`] gives a package's contents only after that chain was verified. [`split`] and [`read_info`] look at a
//! package without trusting it. [`PkgInfo`] reads and writes `.PKGINFO`; [`PrivateKey`], [`PublicKey`] and
//! [`Keyring`] make and verify signatures. The crate does no I/O of its own, lays nothing down on disk, and
//! resolves no symbolic links: what a path means in a tree is for the tree to say.
//!
//! RSA is RustCrypto's `rsa`: it alone makes keys, signs over SHA-1 and needs no C compiler, while verification
//! is never the slow part of reading a package; `ring` can neither make RSA keys nor sign over SHA-1.
//!
//! ```
//! use apk_package::{Expected, Limits, Problem, open};
//!
//! let error = open(b"ADB.v3".as_slice().into(), &Expected::anything("new-1-r0"), &Limits::default()).unwrap_err();
//! assert!(matches!(error.problem, Problem::ApkV3));
//! ```

mod error;
mod gzip;
mod ini;
mod keyring;
mod keys;
mod open;
mod pkginfo;
mod split;
mod write;

pub use error::{PackageError, Problem};
pub use gzip::{deflate, inflate};
pub use keyring::{Digest, Keyring, Signature, SignatureError, SignaturePolicy};
pub use keys::{KeyError, PrivateKey, PublicKey};
pub use open::{Expected, FILE_CHECKSUM_RECORD, Limits, VerifiedPackage, open, read_info};
pub use pkginfo::{PkgInfo, PkgInfoError};
pub use split::{Sections, read_signatures, split};
pub use write::{
    ControlMember, DataSection, DataWriter, WriteError, control_section, sign, sign_control,
    signature_section, write_package,
};
