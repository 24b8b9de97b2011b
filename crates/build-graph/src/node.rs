//! Nodes, and why they need one another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A node of the graph: its kind and its name, such as `package:libgreet@x86_64`. Cloning it is cheap.
///
/// The engine counts by the kind and gives names back; it reads neither.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A node of a kind. The kind has no colon in it: what stands before the first one is the kind.
    pub fn new(kind: &str, name: &str) -> Self {
        debug_assert!(!kind.contains(':'), "the kind `{kind}` has a colon in it");
        Self(format!("{kind}:{name}").into())
    }

    /// What kind of node it is, such as `package`.
    pub fn kind(&self) -> &str {
        self.0.split_once(':').map_or("", |(kind, _)| kind)
    }

    /// Its name among those of its kind, such as `libgreet@x86_64`.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(_, name)| name)
    }

    /// Kind and name, `KIND:NAME`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for NodeId {
    /// Takes `KIND:NAME` as it is.
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// Where something is written: a file, and the line if it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The file, as the user names it.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<u32>,
}

impl Origin {
    /// A line of a file.
    pub fn new(file: impl Into<String>, line: impl Into<Option<u32>>) -> Self {
        Self {
            file: file.into(),
            line: line.into(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A node that another one waits for, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Need {
    /// The node that is waited for.
    pub node: NodeId,
    /// Why, as a person reads it: `environment installs libgreet-dev`.
    pub reason: String,
    /// Where that is written.
    pub origin: Option<Origin>,
}

impl Need {
    /// A need that is written nowhere.
    pub fn new(node: NodeId, reason: impl Into<String>) -> Self {
        Self {
            node,
            reason: reason.into(),
            origin: None,
        }
    }

    /// The same with the place where it is written.
    #[must_use]
    pub fn at(self, origin: impl Into<Option<Origin>>) -> Self {
        Self {
            origin: origin.into(),
            ..self
        }
    }
}
