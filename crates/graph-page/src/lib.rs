//! A graph for people to look at: in the language of Mermaid, and as a page with search that needs nothing but itself.
//!
//! It knows neither packages nor builds: nodes have labels, and numbers by which edges name them. What a label or a
//! tooltip contains cannot become part of the page.
//!
//! ```
//! use graph_page::{Graph, Node};
//!
//! let node = |label: &str| Node { label: label.to_owned(), ..Node::default() };
//! let graph = Graph { nodes: vec![node("app"), node("lib")], edges: vec![(0, 1)] };
//! assert_eq!(graph.to_mermaid(), "flowchart LR\n  n0[\"app\"]\n  n1[\"lib\"]\n  n0 --> n1\n");
//! assert!(graph.to_html("My graph").contains("<title>My graph</title>"));
//! ```

use std::fmt::Write as _;

use serde::Serialize;

/// A graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The nodes. What no edge leads to stands on the left of the page.
    pub nodes: Vec<Node>,
    /// The edges, each from the number of a node to that of another.
    pub edges: Vec<(usize, usize)>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is called. The search finds it by this.
    pub label: String,
    /// What is told when the pointer stands on it; may be empty.
    pub tooltip: String,
    /// It is drawn with a broken line: it stands for something that is not there itself.
    #[serde(rename = "virtual")]
    pub is_virtual: bool,
}

impl Graph {
    /// The graph in the language of Mermaid, as Markdown pages show it.
    pub fn to_mermaid(&self) -> String {
        let mut out = "flowchart LR\n".to_owned();
        for (number, node) in self.nodes.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = writeln!(out, "  n{number}[\"{}\"]", mermaid_text(&node.label));
        }
        for (from, to) in &self.edges {
            let _ = writeln!(out, "  n{from} --> n{to}");
        }
        out
    }

    /// A page that shows the graph in a browser. It needs nothing but itself, and fetches nothing.
    pub fn to_html(&self, title: &str) -> String {
        let title = title.replace('&', "&amp;").replace('<', "&lt;");
        // `</script>` in a label must not end the script.
        let data = serde_json::json!(self).to_string().replace('<', "\\u003c");
        let page = include_str!("page.html").replace("TITLE", &title);
        page.replace("\"DATA\"", &data)
    }
}

fn mermaid_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ':' | '=' | '+' | '/' | ' ' | '~' => {
                out.push(c)
            }
            _ => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_else_and_no_text_ends_its_script() {
        let node = Node {
            label: "a".to_owned(),
            tooltip: "</script><script>alert(1)</script>".to_owned(),
            is_virtual: false,
        };
        let graph = Graph {
            nodes: vec![node],
            edges: Vec::new(),
        };
        let page = graph.to_html("<b>&");
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(!page.contains("src=") && !page.contains("href="), "{page}");
        assert!(page.contains("<title>&lt;b>&amp;</title>"), "{page}");
        assert!(page.contains(r#""label":"a""#), "{page}");
    }
}
