//! Who needs whom.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;

use serde_json::json;

use crate::{Need, NodeId};

/// Who needs whom, as data.
///
/// ```
/// use build_graph::{Graph, Need, NodeId};
///
/// let node = |name: &str| NodeId::new("package", name);
/// let graph = Graph::of(vec![
///     (node("tool"), vec![Need::new(node("lib"), "environment installs lib-dev")]),
///     (node("lib"), Vec::new()),
/// ]);
/// let affected: Vec<_> = graph.affected(&[node("lib")]).into_iter().map(|one| one.node).collect();
/// assert_eq!(affected, [node("lib"), node("tool")]);
/// ```
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

    /// What a node needs; `None` if it is not part of the graph.
    pub fn needs(&self, node: &NodeId) -> Option<&[Need]> {
        let at = self.nodes.binary_search_by(|(other, _)| other.cmp(node)).ok()?;
        Some(&self.nodes[at].1)
    }

    /// The nodes that a change of some nodes can reach, these first, the nearer ones before those further away. It is the
    /// most that can be rebuilt: early cut-off may end it sooner.
    pub fn affected(&self, changed: &[NodeId]) -> Vec<Affected> {
        let mut dependents: HashMap<&NodeId, Vec<(&NodeId, &Need)>> = HashMap::new();
        for (node, needs) in &self.nodes {
            for need in needs {
                dependents.entry(&need.node).or_default().push((node, need));
            }
        }
        let mut seen = HashSet::new();
        let is_changed = self
            .nodes
            .iter()
            .map(|(node, _)| node)
            .filter(|node| changed.contains(node));
        let mut queue: VecDeque<Affected> = is_changed
            .map(|node| Affected {
                node: node.clone(),
                because: None,
                distance: 0,
            })
            .collect();
        seen.extend(queue.iter().map(|one| one.node.clone()));
        let mut affected = Vec::new();
        while let Some(one) = queue.pop_front() {
            for (node, need) in dependents.get(&one.node).into_iter().flatten() {
                if seen.insert((*node).clone()) {
                    queue.push_back(Affected {
                        node: (*node).clone(),
                        because: Some((*need).clone()),
                        distance: one.distance + 1,
                    });
                }
            }
            affected.push(one);
        }
        affected
    }

    /// The graph in the DOT language: each node an arrow to what it needs.
    pub fn to_dot(&self) -> String {
        let mut out = "digraph workspace {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (node, _) in &self.nodes {
            // Writing to a string does not fail.
            let _ = writeln!(out, "  {};", quoted(node.as_str()));
        }
        for (node, needs) in &self.nodes {
            for need in needs {
                let (from, to) = (quoted(node.as_str()), quoted(need.node.as_str()));
                let _ = writeln!(out, "  {from} -> {to} [tooltip={}];", quoted(&told(need)));
            }
        }
        out.push_str("}\n");
        out
    }

    /// The graph in the language of Mermaid, as Markdown pages show it.
    pub fn to_mermaid(&self) -> String {
        self.drawn().to_mermaid()
    }

    /// The graph as JSON: `{"nodes": [{"id", "kind", "name", "needs": [{"node", "reason", "origin"}]}]}`, where an origin is
    /// `FILE:LINE` or null.
    pub fn to_json(&self) -> serde_json::Value {
        let need = |need: &Need| {
            let origin = need.origin.as_ref().map(ToString::to_string);
            json!({ "node": need.node, "reason": need.reason, "origin": origin })
        };
        let node = |(node, needs): &(NodeId, Vec<Need>)| {
            let needs: Vec<_> = needs.iter().map(need).collect();
            json!({ "id": node, "kind": node.kind(), "name": node.name(), "needs": needs })
        };
        json!({ "nodes": self.nodes.iter().map(node).collect::<Vec<_>>() })
    }

    /// A page that shows the graph in a browser, with search. It needs nothing but itself.
    pub fn to_html(&self, title: &str) -> String {
        self.drawn().to_html(title)
    }

    fn drawn(&self) -> graph_page::Graph {
        let numbers: HashMap<&NodeId, usize> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(number, (node, _))| (node, number))
            .collect();
        let node = |(node, needs): &(NodeId, Vec<Need>)| graph_page::Node {
            label: node.to_string(),
            tooltip: needs.iter().map(told).collect::<Vec<_>>().join("\n"),
            is_virtual: false,
        };
        let edges = self.nodes.iter().enumerate().flat_map(|(from, (_, needs))| {
            let to = needs.iter().filter_map(|need| numbers.get(&need.node));
            to.map(move |to| (from, *to))
        });
        graph_page::Graph {
            edges: edges.collect(),
            nodes: self.nodes.iter().map(node).collect(),
        }
    }
}

fn told(need: &Need) -> String {
    match &need.origin {
        Some(origin) => format!("{} ({origin})", need.reason),
        None => need.reason.clone(),
    }
}

fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    fn graph() -> Graph {
        let node = |text: &str| NodeId::from(text);
        let need = |text: &str, reason: &str| Need::new(node(text), reason).at(Origin::new("tool.yaml", 3));
        Graph::of(vec![
            (node("image:web"), vec![need("package:tool", "contains tool")]),
            (
                node("package:tool"),
                vec![need("package:lib", "installs \"lib\"")],
            ),
            (node("package:lib"), vec![]),
            (node("package:other"), vec![]),
        ])
    }

    #[test]
    fn what_a_change_can_reach_comes_nearest_first_with_the_way_there() {
        let affected = graph().affected(&["package:lib".into(), "package:gone".into()]);
        let shown: Vec<_> = affected
            .iter()
            .map(|one| {
                let because = one.because.as_ref().map_or("", |need| need.node.as_str());
                (one.distance, one.node.as_str(), because)
            })
            .collect();
        let want = [
            (0, "package:lib", ""),
            (1, "package:tool", "package:lib"),
            (2, "image:web", "package:tool"),
        ];
        assert_eq!(shown, want);
        assert_eq!(graph().affected(&[]), []);
    }

    #[test]
    fn it_is_drawn_in_each_language() {
        let want = r#"digraph workspace {
  rankdir=LR;
  node [shape=box];
  "image:web";
  "package:lib";
  "package:other";
  "package:tool";
  "image:web" -> "package:tool" [tooltip="contains tool (tool.yaml:3)"];
  "package:tool" -> "package:lib" [tooltip="installs \"lib\" (tool.yaml:3)"];
}
"#;
        assert_eq!(graph().to_dot(), want);
        let want = "flowchart LR\n  n0[\"image:web\"]\n  n1[\"package:lib\"]\n  n2[\"package:other\"]\n  n3[\"package:tool\"]\n  n0 --> n3\n  n3 --> n1\n";
        assert_eq!(graph().to_mermaid(), want);
        let json = graph().to_json();
        let want = json!({
            "id": "image:web", "kind": "image", "name": "web",
            "needs": [{ "node": "package:tool", "reason": "contains tool", "origin": "tool.yaml:3" }],
        });
        assert_eq!(json["nodes"][0], want);
        assert!(graph().to_html("ws").contains(r#""edges":[[0,3],[3,1]]"#));
        assert_eq!(graph().needs(&"package:lib".into()), Some(&[][..]));
        assert_eq!(graph().needs(&"package:gone".into()), None);
    }
}
