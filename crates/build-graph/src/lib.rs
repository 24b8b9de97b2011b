//! An incremental build graph: what is built once is not built again until something that it depends on is another.
//!
//! A [node](NodeId) is something that can be built: a package for an architecture, its tests, an image. Whoever uses the
//! crate supplies [`Recipes`]: what a node needs, what its result depends on, and how it is built. From that the [`Engine`]
//! makes a [`Plan`], a build with its [`Summary`], or an [`Explanation`] of why a node would be built.
//!
//! - **Keys.** All that a result depends on is a list of named [`Inputs`]; the [`Key`] is a hash over these and nothing
//!   else. No time stamp is ever looked at.
//! - **Early cut-off.** What comes out has [parts](Part), each with an identity. A node that needs another puts the identities
//!   of those parts that it uses among its inputs. So a node that comes out the same, or whose other parts have changed, ends
//!   the rebuild there.
//! - **Dynamic needs.** A node may find what else it needs when it sees what came out of what it asked for. It is set aside until
//!   that is there: a *suspending* scheduler over *constructive traces*, in the terms of Mokhov, Mitchell and Peyton Jones,
//!   "Build Systems à la Carte" (2018).
//! - **Stores.** Results lie in a [directory](DirectoryStore) and behind [HTTP(S)](HttpStore), by key, signed, and verified
//!   whenever they are read ([`Stores`]). What is wrong is told ([`Problem`]) and built again.
//! - **History.** What each node was built from when it was built last, so that it can be told what has changed since
//!   ([`History`]).
//!
//! The engine knows no packages, no configurations and no images; it runs no process, sees no terminal and reads no
//! environment. That nothing but its inputs goes into a result is for the recipes to see to.
//!
//! ```
//! use build_graph::*;
//!
//! /// Two nodes: `upper` is `text` in capitals. A remark after `#` is an input of `text`, but not seen in what comes out.
//! struct Letters(&'static str);
//!
//! fn node(name: &str) -> NodeId {
//!     NodeId::new("letters", name)
//! }
//!
//! impl Recipes for Letters {
//!     fn inputs(&self, id: &NodeId, finished: &dyn Finished) -> Result<Demand, Failure> {
//!         let mut inputs = Inputs::new("letters/1");
//!         if id.name() == "text" {
//!             inputs.add("source", self.0, Origin::new("letters.txt", 1));
//!         } else {
//!             let Some(text) = finished.output(&node("text")) else {
//!                 return Ok(Demand::Needs(vec![Need::new(node("text"), "is made of it")]));
//!             };
//!             inputs.add("text", text.identity(), None);
//!         }
//!         Ok(Demand::Ready(inputs))
//!     }
//!
//!     fn build(&self, job: &Job<'_>) -> Result<Output, Failure> {
//!         let scratch = tempfile::tempdir()?;
//!         let path = scratch.path().join("letters");
//!         let letters = if job.node().name() == "text" {
//!             self.0.split('#').next().unwrap_or_default().to_owned()
//!         } else {
//!             let text = job.finished().output(&node("text")).ok_or_else(|| Failure::new("no text"))?;
//!             job.fetch(&text.parts[0].files[0], &path)?;
//!             std::fs::read_to_string(&path)?.to_uppercase()
//!         };
//!         std::fs::write(&path, &letters)?;
//!         Ok(Output::of([Part {
//!             name: "letters".to_owned(),
//!             identity: Hash::of([letters]),
//!             metadata: Vec::new(),
//!             files: vec![job.keep("letters", &path)?],
//!         }]))
//!     }
//! }
//!
//! let directory = tempfile::tempdir()?;
//! let stores = Stores::new(DirectoryStore::at(directory.path().join("store")));
//! let history = History::open(directory.path().join("history"))?;
//! let build = |source| {
//!     let letters = Letters(source);
//!     let engine = Engine::new(&letters, &stores, &history);
//!     engine.build(&[node("upper")], &Options::default(), &())
//! };
//!
//! assert_eq!(build("hello")?.counts().built, 2);
//! assert_eq!(build("hello")?.counts().reused, 2);
//! // What comes out is the same, so that `upper` is cut off.
//! let counts = build("hello# a remark")?.counts();
//! assert_eq!((counts.built, counts.cut_off), (1, 1));
//!
//! let letters = Letters("hello, world");
//! let engine = Engine::new(&letters, &stores, &history);
//! let explanation = engine.explain(&node("text"), &Options::default())?;
//! assert_eq!(explanation.changes[0].old.as_deref(), Some("hello# a remark"));
//! assert_eq!(explanation.changes[0].origin, Some(Origin::new("letters.txt", 1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod engine;
mod error;
mod event;
mod explain;
mod graph;
mod hash;
mod history;
mod input;
mod node;
mod output;
mod plan;
mod recipe;
mod record;
mod store;

pub use engine::{Cancel, Engine, Options};
pub use error::{Cycle, CycleStep, GraphError, StoreError};
pub use event::{Counts, Ending, Events, Problem, Progress, Summary};
pub use explain::{Explanation, InputChange, changes};
pub use graph::{Affected, Graph};
pub use hash::{Hash, Key, ParseHashError};
pub use history::{Entry, History};
pub use input::{Input, Inputs};
pub use node::{Need, NodeId, Origin};
pub use output::{Blob, Output, Part, ResultFile};
pub use plan::{Build, Certainty, Plan, Step};
pub use recipe::{Demand, Failure, Finished, Job, Recipes};
pub use record::{MAX_RECORD, Record, RecordError};
pub use store::{DirectoryStore, Gc, GcReport, HttpStore, KeyLock, Shared, Store, Stores, Tell};
