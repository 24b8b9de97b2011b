//! The file tree of an apk installation, in memory.
//!
//! It has the [`Tree`], whose file contents are references into package data and are never copied or unpacked, the
//! rules by which packages go into it ([`Installation`]), the database of what is installed ([`installed_db`]), and
//! what an image needs beyond packages: [`accounts`], [`paths`], [`busybox`] links, [`ldso`], [`certificates`],
//! [`keyring`], [`services`], [`devices`]. [`Tree::walk`] gives the members of a layer, [`layers`] those of several.
//! The members are, byte for byte once encoded by the `tarball` crate, those that the Go apko writes for the same
//! packages.
//!
//! It does not read package files, verify anything, choose packages, or know of configuration files. It does no
//! I/O: members of packages go in, members of layers come out, and no path leads out of the tree.
//!
//! ```
//! use apk_rootfs::{Installation, Package, Tree};
//! use apk_types::{Arch, PackageRecord};
//! use tarball::{Entry, Header, Kind};
//!
//! let mut tree = Tree::new();
//! apk_rootfs::initialize(&mut tree, Arch::X86_64)?;
//! apk_rootfs::write_world(&mut tree, &["motd"])?;
//!
//! let directory = Header { path: "etc/".into(), mode: 0o755, ..Header::new(Kind::Directory) };
//! let file = Header { path: "etc/motd".into(), mode: 0o644, size: 6, ..Header::new(Kind::Regular) };
//! let data = [
//!     Entry { header: directory, content: "".into() },
//!     Entry { header: file, content: "hello\n".into() },
//! ];
//! let record = PackageRecord { name: "motd".into(), version: "1.0-r0".into(), ..Default::default() };
//!
//! let mut installation = Installation::new(tree);
//! installation.install(&Package { record: &record, control: &[], data: &data, triggers: &[] }, 0)?;
//! let (mut tree, installed) = installation.finish(&[])?;
//! apk_rootfs::link_database(&mut tree, false)?;
//! apk_rootfs::accounts::add(&mut tree, &[], &[])?;
//!
//! assert!(installed[0].entry.contains("F:etc\nR:motd\n"));
//! let members: Vec<String> = tree.walk().map(|member| member.entry.header.path).collect();
//! assert!(members.contains(&"etc/motd".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The order in which an image is made: [`initialize`], [`keyring::write`], [`write_world`],
//! [`write_repositories`], [`Installation`], [`link_database`], [`accounts::add`], files of the caller's,
//! [`paths::mutate`], [`certificates::add`], [`certificates::write_checksums`], [`keyring::add`], [`services::add`],
//! [`busybox::link`], [`devices::add`], [`ldso::update`].

mod go_sort;
mod initialize;
mod install;
mod pem;
mod tree;
mod truststore;
mod walk;

pub mod accounts;
pub mod busybox;
pub mod certificates;
pub mod devices;
pub mod installed_db;
pub mod keyring;
pub mod layers;
pub mod ldso;
pub mod paths;
pub mod services;

pub use initialize::{initialize, link_database, write_repositories, write_world};
pub use install::{InstallError, Installation, Installed, Package};
pub use tree::{Content, Fault, Node, NodeId, PackageIndex, Tree, TreeError};
pub use walk::{Member, Walk};
