//! An incremental build graph: keys, early cut-off, shared stores, plans and explanations.

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
pub use error::{Cycle, GraphError, StoreError};
pub use event::{Counts, Ending, Events, Problem, Progress, Summary};
pub use explain::{Explanation, InputChange, changes};
pub use graph::{Affected, Graph};
pub use hash::{Hash, Key, ParseHashError};
pub use history::{Entry, History};
pub use input::{Input, Inputs};
pub use node::{Need, NodeId, Origin};
pub use output::{Blob, Output, Part, ResultFile};
pub use plan::{Build, Certainty, Plan, Step};
pub use recipe::{CycleStep, Demand, Failure, Finished, Job, Recipes};
pub use record::{MAX_RECORD, Record, RecordError};
pub use store::{DirectoryStore, Gc, GcReport, HttpStore, KeyLock, Shared, Store, Stores, Tell};
