//! The file tree of an apk installation, in memory.

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
