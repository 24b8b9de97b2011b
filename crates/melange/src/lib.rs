//! Builds apk packages: guest, steps, split, analysis, SBOM, signature, index.
mod build;
mod compiled;
mod emit;
mod environment;
mod error;
mod ignore;
mod index;
mod key;
mod plan;
mod sbom;
mod toolchain;
mod tree;
mod workspace;

pub use build::{BuildReport, BuildRequest, Event, Events, Guest, Linters, build_plan};
pub use compiled::{BuildEnvironment, build};
pub use environment::ApkoEnvironment;
pub use error::{BuildError, SbomError, SigningKeyError};
pub use index::update_index;
pub use key::SigningKey;
pub use plan::{Copyright, FileCapability, PackagePlan, Plan};
pub use tree::{DiskTree, OUTPUT, TreeError};
pub use workspace::Source;
