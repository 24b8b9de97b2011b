//! The graph of a solution: in the DOT language, for Mermaid, as a page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use apk_types::PackageRecord;

/// Who asked for what, and which packages that brings.
#[derive(Clone, Debug, Default)]
pub struct DependencyGraph {
    spanning_tree: bool,
    statements: Vec<Statement>,
    /// The attributes of each node.
    nodes: BTreeMap<String, BTreeMap<&'static str, String>>,
    wanted: BTreeSet<String>,
    reached: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Statement {
    Node(String),
    Edge(String, String),
}

impl DependencyGraph {
    /// Gathers who asked for what, which package needs what, and which package provides that, as `apko dot` does.
    ///
    /// `file` names the configuration and `world` is what it asks for. With `spanning_tree` a node is drawn with the
    /// first edge that leads to it alone.
    pub fn new(file: &str, world: &[String], packages: &[&PackageRecord], spanning_tree: bool) -> Self {
        let mut graph = Self {
            spanning_tree,
            ..Self::default()
        };
        graph.node(file);
        for asked in world {
            graph.node(asked);
            graph.edge(file, asked);
            let bare = without_version(asked);
            if bare != asked {
                graph.node(bare);
                graph.edge(asked, bare);
            }
            graph.wanted.insert(bare.to_owned());
        }
        for package in packages {
            graph.dependencies(package);
        }
        for package in packages {
            graph.providers(package);
        }
        graph
    }

    /// The graph in the DOT language, with the statements in the order in which the Go apko writes them.
    pub fn to_dot(&self) -> String {
        let mut out = "digraph images {\ngraph [\n  rankdir=LR;\n];\n".to_owned();
        for statement in &self.statements {
            // Writing to a string does not fail.
            let _ = match statement {
                Statement::Edge(from, to) => writeln!(out, "{} -> {}", quoted(from), quoted(to)),
                Statement::Node(name) => match &self.nodes[name] {
                    attributes if attributes.is_empty() => writeln!(out, "{};", quoted(name)),
                    attributes => {
                        let list: Vec<String> = attributes
                            .iter()
                            .map(|(key, value)| format!("{key}={}", quoted(value)))
                            .collect();
                        writeln!(out, "{} [{}];", quoted(name), list.join(", "))
                    }
                },
            };
        }
        out.push_str("}\n");
        out
    }

    /// The graph in the language of Mermaid, as Markdown pages show it.
    pub fn to_mermaid(&self) -> String {
        self.drawn().to_mermaid()
    }

    /// A page that shows the graph in a browser. It needs nothing but itself.
    pub fn to_html(&self) -> String {
        self.drawn().to_html("apko dot")
    }

    fn drawn(&self) -> graph_page::Graph {
        let (names, edges) = self.numbered();
        let node = |name: &&str| graph_page::Node {
            label: self.label(name).to_owned(),
            tooltip: self.nodes[*name].get("tooltip").cloned().unwrap_or_default(),
            is_virtual: self.label(name) == *name,
        };
        graph_page::Graph {
            nodes: names.iter().map(node).collect(),
            edges,
        }
    }

    fn label<'a>(&'a self, name: &'a str) -> &'a str {
        self.nodes[name].get("label").map_or(name, String::as_str)
    }

    /// The nodes in the order of their statements, and the edges between their numbers.
    fn numbered(&self) -> (Vec<&str>, Vec<(usize, usize)>) {
        let (mut names, mut numbers, mut edges) = (Vec::new(), BTreeMap::new(), Vec::new());
        for statement in &self.statements {
            if let Statement::Node(name) = statement {
                numbers.insert(name.as_str(), names.len());
                names.push(name.as_str());
            }
        }
        for statement in &self.statements {
            if let Statement::Edge(from, to) = statement
                && let (Some(from), Some(to)) = (numbers.get(from.as_str()), numbers.get(to.as_str()))
            {
                edges.push((*from, *to));
            }
        }
        (names, edges)
    }
}

impl DependencyGraph {
    fn node(&mut self, name: &str) -> &mut BTreeMap<&'static str, String> {
        if !self.nodes.contains_key(name) {
            self.statements.push(Statement::Node(name.to_owned()));
        }
        self.nodes.entry(name.to_owned()).or_default()
    }

    fn edge(&mut self, from: &str, to: &str) {
        self.statements
            .push(Statement::Edge(from.to_owned(), to.to_owned()));
    }

    /// Draws an edge unless this is a spanning tree that has one to `reached` already.
    fn spanning_edge(&mut self, from: &str, to: &str, reached: &str) {
        if !self.spanning_tree || !self.reached.contains(reached) {
            self.edge(from, to);
            self.reached.insert(reached.to_owned());
        }
    }

    fn dependencies(&mut self, package: &PackageRecord) {
        let attributes = self.node(&package.name);
        attributes.insert("label", format!("{}-{}", package.name, package.version));
        attributes.insert("tooltip", package.description.clone());
        for dependency in &package.depends {
            let dependency = without_version(dependency.as_str());
            self.node(dependency);
            if dependency != package.name {
                self.spanning_edge(&package.name, dependency, dependency);
            }
            self.wanted.insert(dependency.to_owned());
        }
    }

    fn providers(&mut self, package: &PackageRecord) {
        for provided in &package.provides {
            let bare = without_version(provided.as_str());
            if self.wanted.contains(provided.as_str()) {
                self.node(provided.as_str());
                self.spanning_edge(provided.as_str(), &package.name, &package.name);
            } else if bare != provided.as_str() && self.wanted.contains(bare) {
                self.node(bare).insert("shape", "rect".to_owned());
                self.edge(bare, &package.name);
            }
        }
    }
}

/// Cuts an expression at `=`, or at `~` where it has no `=`; other operators stay, as in the Go apko.
fn without_version(text: &str) -> &str {
    text.split_once('=')
        .or_else(|| text.split_once('~'))
        .map_or(text, |(name, _)| name)
}

/// Quotes what the Go apko quotes: `cmd:name` is left bare, though DOT takes its second half for a port.
fn quoted(text: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ':');
    let is_bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(inside)
        && !text.ends_with(':');
    if is_bare {
        return text.to_owned();
    }
    format!(
        "\"{}\"",
        text.replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace('\r', "\\r")
    )
}

#[cfg(test)]
mod tests {
    use apk_types::Dependency;

    use super::*;

    fn record(name: &str, depends: &[&str], provides: &[&str]) -> PackageRecord {
        let expressions = |texts: &[&str]| texts.iter().map(|text| Dependency::lenient(text)).collect();
        PackageRecord {
            name: name.to_owned(),
            version: "1-r0".to_owned(),
            description: "d".to_owned(),
            depends: expressions(depends),
            provides: expressions(provides),
            ..PackageRecord::default()
        }
    }

    #[test]
    fn nodes_edges_and_providers_are_drawn_in_order() {
        let packages = [
            record("app", &["so:l.so", "x>1"], &["cmd:app=1"]),
            record("lib", &[], &["so:l.so=1"]),
        ];
        let packages: Vec<_> = packages.iter().collect();
        let graph = DependencyGraph::new("a.yaml", &["app=1".to_owned()], &packages, false);
        let want = r#"digraph images {
graph [
  rankdir=LR;
];
"a.yaml";
"app=1";
"a.yaml" -> "app=1"
app [label="app-1-r0", tooltip=d];
"app=1" -> app
"so:l.so" [shape=rect];
app -> "so:l.so"
"x>1";
app -> "x>1"
lib [label="lib-1-r0", tooltip=d];
"so:l.so" -> lib
}
"#;
        assert_eq!(graph.to_dot(), want);
        let want = "\
flowchart LR
  n0[\"a.yaml\"]
  n1[\"app=1\"]
  n2[\"app-1-r0\"]
  n3[\"so:l.so\"]
  n4[\"x#62;1\"]
  n5[\"lib-1-r0\"]
  n0 --> n1
  n1 --> n2
  n2 --> n3
  n2 --> n4
  n3 --> n5
";
        assert_eq!(graph.to_mermaid(), want);
    }

    #[test]
    fn a_spanning_tree_reaches_each_dependency_once() {
        let packages = [
            record("a", &["c"], &[]),
            record("b", &["c"], &[]),
            record("c", &[], &[]),
        ];
        let draw = |tree| {
            DependencyGraph::new("f", &[], &packages.iter().collect::<Vec<_>>(), tree)
                .to_dot()
                .matches("-> c")
                .count()
        };
        assert_eq!((draw(false), draw(true)), (2, 1));
    }
}
