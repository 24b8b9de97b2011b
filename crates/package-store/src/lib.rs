//! Verified packages in the form in which images need them.
//!
//! [`write()`] verifies a package, inflates it once, and leaves one file: the contents of all members one after the other,
//! the deflated form of the large ones, cut out of the package's own stream, and a table of members. [`open`] reads
//! the table and gives the members, whose contents refer to the file and are verified whenever they are read. Where
//! such files lie and for how long is the caller's matter.
//!
//! ```
//! use apk_package::{Expected, Limits};
//! # let repository = testkit::Repository::new("x86_64");
//! # repository.publish(&[testkit::Package::new("hello", "1.0-r0").file("usr/bin/hello", 0o755, "#!/bin/sh\n")]);
//! # let package = std::fs::read(repository.file("hello-1.0-r0.apk"))?;
//! let path = tempfile::NamedTempFile::new()?.into_temp_path();
//! let expected = Expected::anything("hello-1.0-r0");
//! package_store::write(package.into(), &expected, &Limits::default(), &path)?;
//!
//! let stored = package_store::open(&path, &Limits::default())?;
//! let data = stored.data()?;
//! let hello = data.iter().find(|entry| entry.header.path == "usr/bin/hello").unwrap();
//! assert_eq!(hello.content.read()?, "#!/bin/sh\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod format;
mod read;
mod write;

use std::io;
use std::path::PathBuf;

use apk_package::PackageError;

pub use format::VERSION;
pub use read::{StoredPackage, open, open_written};
pub use write::write;

/// Why a package could not be stored or read again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The package is not what it should be.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The file could not be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not one of this version, or was damaged.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}
