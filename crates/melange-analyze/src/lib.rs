//! What a built package provides and depends on, and what is wrong with it.
//!
//! It looks at a package's files and finds the commands and libraries it provides, the libraries, interpreters and
//! pkg-config modules it needs, and the findings of the linters. It decides as the Go melange does, since the
//! `.PKGINFO` of a package is made of it. It reads through [`PackageTree`], so a package may lie on disk, in an
//! archive or in memory; it changes nothing and prints nothing.
//!
//! ```
//! use melange_analyze::{Declared, MemoryTree, Options, Package, analyze};
//!
//! let mut tree = MemoryTree::default();
//! tree.file("usr/bin/hello", 0o755, "#!/usr/bin/perl\nprint 'hello'\n");
//! let packages = [("hello", &tree as _)];
//! let package = Package {
//!     name: "hello",
//!     version: "1.2-r0",
//!     options: Options::default(),
//!     declared: &Declared::default(),
//!     packages: &packages,
//! };
//! let found = analyze(&package)?;
//! assert_eq!(found.provides, ["cmd:hello=1.2-r0"]);
//! assert_eq!(found.runtime, ["cmd:perl"]);
//!
//! let findings = melange_analyze::lint::lint(
//!     &melange_analyze::lint::Subject { name: "hello", tree: &tree, test_pipelines: &[] },
//!     &["setuidgid", "usrmerge"],
//! )?;
//! assert!(findings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dependencies;
mod elf;
pub mod license;
pub mod lint;
mod tree;

pub use dependencies::pkgconfig::{PkgConfig, PkgConfigError};
pub use dependencies::{Declared, Dependencies, Options, Package, Reason, analyze, merge};
pub use tree::{EntryKind, MemoryTree, PackageTree, ReadSeek, TreeEntry};

/// Why a package could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("reading `{path}` of the package `{package}`")]
pub struct AnalyzeError {
    /// The package's name.
    pub package: String,
    /// The file's path in it.
    pub path: String,
    /// What the tree said.
    pub source: std::io::Error,
}
