//! Builds apk packages: runs a configuration's steps in a guest, and makes signed packages and an index of what they
//! leave behind.
//!
//! [`build`] takes a compiled configuration of `melange-config`; [`build_plan`] takes a [`Plan`], the same in plain
//! values. Both fill a workspace, have the caller lay the guest down ([`BuildEnvironment`], [`Guest`]), run the
//! steps of the main package and of each subpackage in a session of any `Runner`, and then take each package's files
//! ([`DiskTree`]), lint and analyse them, add the SBOM, pack and sign. Packages appear at their place whole, and only
//! when all of the build are complete; then the index is updated ([`update_index`]).
//!
//! [`test`](test()) runs the tests of a configuration, each package's in a guest of its own.
//!
//! It neither solves nor fetches, prints nothing (a build tells what it does through [`Events`]), and reads no
//! environment variable or home directory; no clock has a part in what is in a package. What steps leave behind is not trusted: no file is opened through
//! a link that leaves the workspace, and nothing is written through one.
//!
//! ```
//! use melange::{BuildRequest, Event, GuestTree, PackagePlan, Plan, build_plan};
//! use melange_pipeline::runner::{
//!     Command, ExitStatus, GuestPath, HostPath, OutputSink, Runner, RunnerError, Session, SessionSpec, Unavailable,
//! };
//!
//! /// A sandbox for a build without steps: it runs nothing.
//! struct Nothing;
//!
//! impl Runner for Nothing {
//!     fn name(&self) -> &'static str { "nothing" }
//!     fn check(&self) -> Result<(), Unavailable> { Ok(()) }
//!     fn start(&self, _: SessionSpec) -> Result<Box<dyn Session>, RunnerError> { Ok(Box::new(Nothing)) }
//! }
//!
//! impl Session for Nothing {
//!     fn exec(&mut self, _: &Command, _: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError> {
//!         Ok(ExitStatus::Code(0))
//!     }
//!     fn attach(&mut self, _: &Command) -> Result<ExitStatus, RunnerError> { Ok(ExitStatus::Code(0)) }
//!     fn copy_in(&mut self, _: &HostPath, _: &GuestPath) -> Result<(), RunnerError> { Ok(()) }
//!     fn copy_out(&mut self, _: &GuestPath, _: &HostPath) -> Result<(), RunnerError> { Ok(()) }
//! }
//!
//! let plan = Plan {
//!     version: "1.0-r0".to_owned(),
//!     packages: vec![PackagePlan { name: "hello".to_owned(), ..PackagePlan::default() }],
//!     ..Plan::default()
//! };
//! let dir = tempfile::tempdir()?;
//! let request = BuildRequest::new("x86_64".parse()?, dir.path().join("packages"), dir.path().join("scratch"));
//! let record = "package:\n  name: hello\n".to_owned();
//! let mut guest = |_: &std::path::Path, _: bool| Ok(GuestTree { record: record.clone(), ..GuestTree::default() });
//! let report = build_plan(&plan, &request, &mut guest, &Nothing, &mut |_: Event<'_>| {})?;
//! assert!(report.packages[0].0.ends_with("packages/x86_64/hello-1.0-r0.apk"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
mod compiled;
mod emit;
mod environment;
mod error;
mod ignore;
mod index;
mod kept;
mod key;
mod linting;
mod parallel;
mod plan;
mod records;
mod removal;
mod roots;
mod sandbox;
mod sbom;
mod scratch;
mod sources;
mod test;
mod toolchain;
mod tree;
mod workspace;

pub use build::{BuildReport, BuildRequest, Event, Events, build_plan};
pub use compiled::{BuildEnvironment, Laid, build};
pub use environment::{ApkoEnvironment, ChosenPackages};
pub use error::{BuildError, SbomError, SigningKeyError};
pub use index::update_index;
pub use kept::{KeptGuest, KeptGuestError};
pub use key::SigningKey;
pub use linting::Linters;
pub use plan::{Copyright, FileCapability, PackagePlan, Plan};
pub use records::Records;
pub use roots::{CachedRoot, RootCache};
pub use sandbox::{Guest, GuestOptions, GuestTree, StopAfter};
pub use sources::SourceTools;
pub use test::{TestReport, TestRequest, test};
pub use tree::{DiskTree, OUTPUT, TreeError};
pub use workspace::{Source, source_files};
