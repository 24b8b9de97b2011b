//! Results as stores keep them.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Key, NodeId, Output};

/// The most bytes that a record may have, signatures included.
pub const MAX_RECORD: u64 = 64 << 20;

/// A result as stores keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The key it belongs to.
    pub key: Key,
    /// The node it was made for first.
    pub node: NodeId,
    /// The result.
    pub output: Output,
    /// When it was made.
    pub made: SystemTime,
    /// How long that took.
    pub took: Duration,
}
