//! `APKINDEX.tar.gz`: what a repository says of its packages.
//!
//! An index is a gzip member with one or more signatures, followed by the gzip member they sign: a tar archive with
//! `APKINDEX`, a text of one-letter fields, and `DESCRIPTION`. [`Index::open`] gives an index's contents only after a
//! signature was verified; [`parse`] reads the text alone, and [`Prepared`] is a form of which a part can be read. Indexes are written as melange writes them, merged and
//! signed. The crate fetches nothing, reads no files, and does not say which package is the best.
//!
//! ```
//! use apk_index::Index;
//! use apk_package::{Keyring, PrivateKey};
//!
//! let packages = apk_index::parse("P:hello\nV:1.0-r0\nT:says hello\nD:so:libc.musl-x86_64.so.1\n\n")?;
//! let index = Index { description: "mine".into(), packages, ..Index::default() };
//!
//! let key = PrivateKey::generate(2048)?;
//! let archive = apk_index::sign(&index.to_archive()?, &key, "mine.rsa.pub")?;
//!
//! let mut keyring = Keyring::default();
//! keyring.insert("mine.rsa.pub", key.public_key());
//! let read = Index::open(&archive, &keyring, Index::MAX_SIZE)?;
//! assert_eq!(read.packages, index.packages);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod prepared;
mod text;

pub use archive::{Index, IndexError, IndexText, add_signature, record, sign, unsigned};
pub use prepared::{OtherText, Prepared, Text, reachable};
pub use text::{Layout, LineError, MAX_PACKAGES, WriteError, parse, write, write_as};
