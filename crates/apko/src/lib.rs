//! Builds OCI images out of apk packages.
mod build;
pub mod config;
mod dot;
mod install;
mod lockfile;
mod resolve;
mod sbom;
mod unify;
mod vcs;
pub use build::*;
pub use dot::dot;
pub use install::*;
pub use lockfile::*;
pub use resolve::*;
pub use sbom::*;
pub use unify::*;
pub use vcs::vcs_url;
