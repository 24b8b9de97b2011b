//! A workspace of packages, tests and images: what a change affects, and nothing else, is built anew.
//!
//! [`Workspace::open`] reads a directory of melange and apko configurations, with a `workspace.yaml` or without one, and compiles
//! those that changed. A [`Session`] solves the environments and hands the nodes to `build-graph`: it plans, explains and
//! builds, and puts results into a repository and into image layouts. Who does the work is a [`Builder`]: [`MelangeBuilder`] is the
//! melange and apko crates.
//!
//! It is for those crates to build; here it is decided what, and what the results depend on. The crate reads no environment variable, knows no terminal, and starts
//! no process but `git`, to ask what changed. How keys are made is told in `docs/workspace/keys.md`.
//!
//! ```
//! use apko::Policy;
//! use build_graph::{Options, Step};
//! use melange_workspace::{Session, Workspace, settings::RunnerKind};
//!
//! let directory = tempfile::tempdir()?;
//! std::fs::write(
//!     directory.path().join("hello.yaml"),
//!     "package: {name: hello, version: 1.0, epoch: 0}\npipeline: [{runs: echo hello}]\n",
//! )?;
//! let workspace = Workspace::open(directory.path())?;
//! let policy = Policy::default();
//! let session = Session::open(&workspace, &policy, RunnerKind::Native)?;
//!
//! let plan = session.plan(&workspace.find_nodes("hello")?, &Options::default())?;
//! assert!(plan.nodes.iter().all(|(_, step)| matches!(step, Step::Build(_))), "nothing was built yet");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod affected;
mod builder;
mod circles;
mod definition;
mod epochs;
mod error;
mod identity;
mod image;
mod inputs;
mod melange_builder;
mod metadata;
mod pool;
mod publish;
mod recipes;
mod repositories;
mod resolver;
mod session;
pub mod settings;
mod snapshot;
mod solution;
mod sources;
mod stamps;
mod workspace;

pub use affected::Changed;
pub use builder::{Builder, ImageTask, Installed, Task};
pub use definition::{Definition, EnvironmentSpec, StatedPackage, TestSpec};
pub use epochs::Stale;
pub use error::{Cycle, CycleStep, Duplicate, Fault, Place, WorkspaceError};
pub use identity::{IdentityError, identity};
pub use image::Image;
pub use melange_builder::{LimitsOf, MelangeBuilder};
pub use resolver::EnvironmentError;
pub use session::{Report, Session};
pub use workspace::{Opened, STATE, Workspace};
