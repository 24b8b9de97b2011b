//! Repositories of apk packages: where they are, what they hold, and their files.
//!
//! A [`Location`] names a repository; [`read_key`], [`read_index`] and [`read_package`] fetch its parts, and
//! verify indexes and packages before they give anything out. Repositories are directories on disk for now; a URL
//! is refused by name. It chooses no packages (`apk-solver`) and lays nothing down (`apk-rootfs`).
//!
//! ```
//! use apk_repository::{Location, RepositoryError, read_index, Trust};
//! use apk_types::Arch;
//!
//! let directory = tempfile::tempdir()?;
//! let location: Location = format!("@local {}", directory.path().display()).parse()?;
//! assert_eq!(location.tag(), Some("local"));
//!
//! // A repository without an index for an architecture is told apart from one that cannot be read.
//! let index = read_index(&location, Arch::X86_64, &Trust::default())?;
//! assert!(index.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod location;
mod read;

pub use location::{Location, LocationError};
pub use read::{RepositoryError, Trust, checksum, read_index, read_key, read_package, read_package_file};
