//! The value types of the apk package format.
//!
//! It has [`Version`] with apk's order, [`Dependency`] expressions, [`Arch`] with every alias in use,
//! [`Checksum`] and [`PackageRecord`]: what an index or an installed database says of one package.
//! It does no I/O, reads no clock, and knows nothing of archives, repositories or solving.
//!
//! ```
//! use apk_types::{Comparator, Dependency, Version};
//!
//! let newest: Version = "1.36.1-r29".parse()?;
//! let older: Version = "1.36.1_rc2-r0".parse()?;
//! assert!(older < newest);
//!
//! let wanted: Dependency = "busybox>=1.36@edge".parse()?;
//! assert_eq!((wanted.name(), wanted.pin()), ("busybox", Some("edge")));
//! assert_eq!(wanted.constraint(), Some((Comparator::GreaterOrEqual, "1.36")));
//! assert!(wanted.accepts(&newest));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arch;
mod checksum;
mod dependency;
mod record;
mod version;

pub use arch::{Arch, Platform, UnknownArch};
pub use checksum::{Checksum, ChecksumError};
pub use dependency::{Comparator, Dependency, DependencyError};
pub use record::PackageRecord;
pub use version::{Version, VersionError};
