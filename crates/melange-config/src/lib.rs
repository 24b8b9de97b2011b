//! The build configuration of melange, as written and compiled.
//!
//! [`parse`] reads a `melange.yaml` into a [`Configuration`] that keeps what was written and
//! where; [`compile`] makes a [`Compiled`] of it for one architecture: variables and transforms
//! replaced, ranges expanded, named pipelines resolved, inputs checked, scripts cleaned, and
//! everything the steps need merged into the environment. [`Compiled::to_yaml`] is what packages
//! record as `.melange.yaml`, [`Compiled::to_json`] what `melange compile` prints. Behaviour is
//! that of the Go melange unless the documentation of an item says otherwise.
//!
//! It reads no files, no environment variables and no clock: named pipelines come from a
//! [`PipelineSource`], the values of other files through [`CompileOptions`]. It neither solves
//! nor builds; conditions are the one thing it evaluates.
//!
//! ```
//! use std::collections::BTreeMap;
//! use melange_config::{CompileOptions, compile, parse};
//!
//! let configuration = parse("
//! package: {name: hello, version: 1.2.3, epoch: 0}
//! pipeline:
//!   - uses: greet
//!     with: {who: world}
//! ", "hello.yaml")?;
//! let greet = "
//! inputs: {who: {required: true}}
//! needs: {packages: [busybox]}
//! runs: |
//!   ## to the package
//!   echo 'hello ${{inputs.who}}' > ${{targets.destdir}}/greeting
//! ";
//! let pipelines = BTreeMap::from([("greet".to_owned(), greet.to_owned())]);
//! let options = CompileOptions::new("x86_64".parse()?);
//! let compiled = compile(&configuration, &options, &pipelines)?;
//!
//! assert_eq!(compiled.environment.contents.packages, ["busybox"]);
//! assert_eq!(
//!     compiled.pipeline[0].runs,
//!     "echo 'hello world' >/home/build/melange-out/hello/greeting\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bump;
mod compile;
mod compiled;
mod condition;
mod dotenv;
mod duration;
mod error;
mod lint;
mod output;
mod prepared;
mod query;
mod read;
mod shell;
mod source;
mod substitute;
pub mod types;
pub mod update;
mod validate;
pub mod written;

pub use bump::{BumpError, BumpRequest, Bumped, Change, Fetch, bump};
pub use compile::{CompileOptions, Libc, PipelineCache, PipelineSource, PipelineText, compile, compile_with};
pub use compiled::{Compiled, Step, Subpackage, Test};
pub use condition::{ConditionError, evaluate};
pub use dotenv::{EnvironmentFileError, parse_environment_file};
pub use error::{ConfigError, Fault};
pub use lint::{Finding, Rule, lint};
pub use prepared::prepare_pipeline;
pub use query::{QueryError, query, query_json};
pub use source::{Location, SourceText};
pub use validate::FILE_CAPABILITIES;
pub use written::{Configuration, parse, parse_vars};

/// The JSON schema of configurations, for editors.
pub const SCHEMA: &str = include_str!("../schema/melange.schema.json");
