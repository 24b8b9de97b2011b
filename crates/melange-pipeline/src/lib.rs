//! Built-in pipelines and the sandboxes that steps run in.
//!
//! ```
//! use melange_config::{CompileOptions, compile, parse};
//! use melange_pipeline::PipelineDirectories;
//!
//! let configuration = parse(
//!     "package: {name: a, version: 1, epoch: 0}\npipeline: [{uses: strip}]",
//!     "a.yaml",
//! )?;
//! let options = CompileOptions::new("x86_64".parse()?);
//! let compiled = compile(&configuration, &options, &PipelineDirectories::default())?;
//! assert!(compiled.environment.contents.packages.contains(&"binutils".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builtin;
pub mod runner;

pub use builtin::{BUILTIN, PipelineDirectories, builtin};
