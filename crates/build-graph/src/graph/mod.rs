//! Who needs whom.

use crate::{Need, NodeId};

/// Who needs whom, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Graph {
    /// The nodes in their order, each with what it needs in the order of the needs.
    pub nodes: Vec<(NodeId, Vec<Need>)>,
}

/// A node that a change reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// The node.
    pub node: NodeId,
    /// What it needs of those that are affected, and why; `None` for one that is changed itself.
    pub because: Option<Need>,
    /// By how many needs it is away from a node that is changed.
    pub distance: usize,
}

impl Graph {
    /// The graph of nodes and their needs, in any order.
    pub fn of(mut nodes: Vec<(NodeId, Vec<Need>)>) -> Self {
        nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { nodes }
    }

    /// The nodes that a change of some nodes can reach, these first, the nearest before those further away.
    pub fn affected(&self, _changed: &[NodeId]) -> Vec<Affected> {
        Vec::new()
    }

    /// The graph in the DOT language.
    pub fn to_dot(&self) -> String {
        String::new()
    }

    /// The graph in the language of Mermaid, as Markdown pages show it.
    pub fn to_mermaid(&self) -> String {
        String::new()
    }

    /// The graph as JSON: `{"nodes": [{"id", "kind", "name", "needs": [{"node", "reason", "origin"}]}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// A page that shows the graph in a browser, with search. It needs nothing but itself.
    pub fn to_html(&self, _title: &str) -> String {
        String::new()
    }
}
