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
//! An image from packages in memory, by way of `apk-package` and `oci-image`:
//!
//! ```
//! use apk_package::{Expected, Limits};
//! use apk_rootfs::{Installation, Package, Tree};
//! use oci_image::{Annotations, BlobSource, Compression, Image, ImageIndex, ImageSpec, Platform, Timestamp};
//! # use apk_types::Arch;
//! # let made = |name: &str| testkit::Package::new(name, "1.0-r0").file(&format!("usr/bin/{name}"), 0o755, "#!/bin/sh\n").build();
//!
//! let files: [Vec<u8>; 2] = [made("hello"), made("world")];
//! let mut tree = Tree::new();
//! apk_rootfs::initialize(&mut tree, Arch::X86_64)?;
//! let mut installation = Installation::new(tree);
//! for file in files {
//!     let size = file.len() as u64;
//!     let package = apk_package::open(file.into(), &Expected::anything("a package"), &Limits::default())?;
//!     let record = package.info.to_record(package.control_checksum, size);
//!     let data: Vec<_> = package.data.into_iter().map(|entry| entry.map(Into::into)).collect();
//!     let package = Package { record: &record, control: &package.control, data: &data, triggers: &[] };
//!     installation.install(&package, 0)?;
//! }
//! let (tree, _) = installation.finish(&[])?;
//!
//! let members = tree.walk().map(|member| member.entry);
//! let (layer, blob) = oci_image::write_layer(members, Vec::new(), Compression::default())?;
//! let created: Timestamp = "2024-06-10T07:11:47Z".parse()?;
//! let mut spec = ImageSpec::new(Platform::linux("amd64"), created.clone());
//! spec.entrypoint = vec!["/usr/bin/hello".into()];
//! let image = Image::new(&spec, vec![(layer, BlobSource::Memory(blob.into()))], None)?;
//! let index = ImageIndex::new(vec![image], &Annotations::default(), &created)?;
//!
//! let layout = tempfile::tempdir()?;
//! oci_image::write_layout(layout.path(), &index)?;
//! let read = oci_image::read_layout(layout.path(), "amd64")?;
//! assert_eq!(read.config.config.entrypoint, ["/usr/bin/hello"]);
//! assert_eq!(tree.read("usr/bin/world")?, "#!/bin/sh\n");
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
