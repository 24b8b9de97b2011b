//! Changes to a document that leave everything else as it was written.

mod layout;

use crate::diagnostic::Diagnostic;
use crate::emit::{EmitValue, double_quoted, emit};
use crate::node::{Node, Scalar, Span, Style, Value};
use crate::parse::{Limits, parse_with};
use crate::path::{NodePath, Segment};
use layout::Layout;

/// Says why a change was not made; the document is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no such value.
    #[error("there is no `{path}`")]
    Missing {
        /// The path asked for.
        path: NodePath,
    },
    /// The change is for another kind of value.
    #[error("`{path}` is {found}, not {wanted}")]
    Kind {
        /// The path asked for.
        path: NodePath,
        /// What is there.
        found: &'static str,
        /// What can be changed so.
        wanted: &'static str,
    },
    /// The key is there already.
    #[error("`{path}` has a value already")]
    Exists {
        /// The path asked for.
        path: NodePath,
    },
    /// The value is written in a way that cannot be changed alone, as with an anchor that is used elsewhere.
    #[error("`{path}` cannot be changed without changing more than it")]
    NotAlone {
        /// The path asked for.
        path: NodePath,
    },
}

/// A document whose values can be changed one by one: comments, order, quotes and layout stay.
///
/// Each change is checked: the text is read again and must differ in that value and in nothing else, or the change is
/// refused. An unchanged document is the text it was read from, byte for byte.
///
/// ```
/// use spanned_yaml::{Document, NodePath};
///
/// let mut document = Document::parse("package:\n  version: 1.2.3   # upstream's\n  epoch: 4\n")?;
/// let package = NodePath::root().key("package");
/// document.set(&package.clone().key("version"), "1.10")?;
/// document.set(&package.key("epoch"), 0_u64)?;
/// assert_eq!(document.text(), "package:\n  version: \"1.10\"   # upstream's\n  epoch: 0\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    text: String,
    root: Node,
    limits: Limits,
}

impl Document {
    /// Reads a text within the default [`Limits`].
    ///
    /// # Errors
    /// As [`crate::parse`].
    pub fn parse(text: impl Into<String>) -> Result<Self, Diagnostic> {
        let (text, limits) = (text.into(), Limits::default());
        let root = parse_with(&text, limits)?;
        Ok(Self { text, root, limits })
    }

    /// The text as it is now.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The tree as it is now.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Gives a scalar another value. It keeps its quotes or its form as a block; text that would read as something
    /// else without quotes gets them.
    ///
    /// # Errors
    /// For a missing value, for lists and mappings, and for a value that others are made from.
    pub fn set(&mut self, path: &NodePath, value: impl Into<EmitValue>) -> Result<(), EditError> {
        let value = value.into();
        let node = self.node(path)?;
        let is_scalar = matches!(node.value, Value::Scalar(_) | Value::Null);
        if !is_scalar || matches!(value, EmitValue::Seq(_) | EmitValue::Map(_)) {
            return Err(self.kind(path, "a scalar"));
        }
        let span = self.layout().content(node);
        let candidates = self.forms(node, span, &value);
        let mut expected = self.root.clone();
        if let Some(target) = find_mut(&mut expected, &path.segments) {
            target.value = tree(&value);
        }
        let edits = candidates
            .into_iter()
            .map(|(span, text)| (span.start, span.end, text));
        self.first_that_fits(path, &expected, edits)
    }

    /// Adds a key at the end of a mapping that has others.
    ///
    /// # Errors
    /// For a missing or empty mapping, and where the key is there already.
    pub fn insert(
        &mut self,
        mapping: &NodePath,
        key: &str,
        value: impl Into<EmitValue>,
    ) -> Result<(), EditError> {
        let value = value.into();
        let node = self.node(mapping)?;
        let Some(((first, _), (_, last))) = node.as_map().and_then(|map| map.first().zip(map.last())) else {
            return Err(self.kind(mapping, "a mapping with keys"));
        };
        if node.get(key).is_some() {
            return Err(EditError::Exists {
                path: mapping.clone().key(key),
            });
        }
        let layout = self.layout();
        let entry = EmitValue::Map(vec![(key.to_owned(), value.clone())]);
        let edit = match layout.is_flow(node) {
            true => layout.before_bracket(node, &flow_entry(key, &value)),
            false => layout.after(last, &emit(&entry, 2), layout.column(first.span.start)),
        };
        let mut expected = self.root.clone();
        if let Some(Value::Mapping(entries)) =
            find_mut(&mut expected, &mapping.segments).map(|node| &mut node.value)
        {
            entries.push((plain_node(key), node_of(&value)));
        }
        self.first_that_fits(mapping, &expected, [edit])
    }

    /// Adds an item at the end of a list that has others.
    ///
    /// # Errors
    /// For a missing or empty list.
    pub fn push(&mut self, list: &NodePath, value: impl Into<EmitValue>) -> Result<(), EditError> {
        let value = value.into();
        let node = self.node(list)?;
        let Some((first, last)) = node.as_seq().and_then(|items| items.first().zip(items.last())) else {
            return Err(self.kind(list, "a list with items"));
        };
        let layout = self.layout();
        let edit = match layout.is_flow(node) {
            true => layout.before_bracket(node, &flow(&value)),
            false => {
                let dash = layout.dash(first.span.start);
                let text = emit(&EmitValue::Seq(vec![value.clone()]), 2);
                layout.after(last, &text, layout.column(dash.unwrap_or(first.span.start)))
            }
        };
        let mut expected = self.root.clone();
        if let Some(Value::Sequence(items)) =
            find_mut(&mut expected, &list.segments).map(|node| &mut node.value)
        {
            items.push(node_of(&value));
        }
        self.first_that_fits(list, &expected, [edit])
    }

    /// Removes a key with its value, or an item, where it has lines of its own and is not the only one.
    ///
    /// # Errors
    /// For a missing value and for one that shares its lines with others.
    pub fn remove(&mut self, path: &NodePath) -> Result<(), EditError> {
        let node = self.node(path)?;
        let Some((parent, last)) = path.split_last() else {
            return Err(EditError::NotAlone { path: path.clone() });
        };
        let layout = self.layout();
        let mut expected = self.root.clone();
        let siblings = find_mut(&mut expected, &parent.segments).map(|node| &mut node.value);
        let start = match (siblings, last) {
            (Some(Value::Mapping(entries)), Segment::Key(key)) => {
                let place = entries.iter().position(|(k, _)| k.as_str() == Some(key));
                place.map(|place| entries.remove(place).0.span.start)
            }
            (Some(Value::Sequence(items)), Segment::Index(index)) => {
                items.remove(*index);
                layout.dash(node.span.start)
            }
            _ => None,
        };
        let Some(start) = start else {
            return Err(EditError::NotAlone { path: path.clone() });
        };
        let lines = (layout.line_start(start), layout.lines_end(node), String::new());
        self.first_that_fits(path, &expected, [lines])
    }

    fn layout(&self) -> Layout<'_> {
        Layout { text: &self.text }
    }

    fn node(&self, path: &NodePath) -> Result<&Node, EditError> {
        path.of(&self.root)
            .ok_or_else(|| EditError::Missing { path: path.clone() })
    }

    fn kind(&self, path: &NodePath, wanted: &'static str) -> EditError {
        EditError::Kind {
            path: path.clone(),
            found: path.of(&self.root).map_or("nothing", Node::kind_name),
            wanted,
        }
    }

    /// Makes the first of some edits after which the text reads as expected.
    fn first_that_fits(
        &mut self,
        path: &NodePath,
        expected: &Node,
        edits: impl IntoIterator<Item = (usize, usize, String)>,
    ) -> Result<(), EditError> {
        for (start, end, replacement) in edits {
            let mut text = String::with_capacity(self.text.len() + replacement.len());
            text.push_str(&self.text[..start]);
            text.push_str(&replacement);
            text.push_str(&self.text[end..]);
            match parse_with(&text, self.limits) {
                Ok(root) if same(&root, expected) => {
                    (self.text, self.root) = (text, root);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(EditError::NotAlone { path: path.clone() })
    }

    /// The ways to write a scalar in the place of another one, the best first.
    fn forms(&self, node: &Node, span: Span, value: &EmitValue) -> Vec<(Span, String)> {
        let EmitValue::String(text) = value else {
            return vec![(span, self.spaced(span, emit(value, 2).trim_end()))];
        };
        let double = double_quoted(text);
        let single = format!("'{}'", text.replace('\'', "''"));
        let style = match &node.value {
            Value::Scalar(scalar) => scalar.style,
            _ => Style::Plain,
        };
        match style {
            Style::SingleQuoted => vec![(span, single), (span, double)],
            Style::DoubleQuoted => vec![(span, double)],
            Style::Literal | Style::Folded => {
                let block = self.layout().block(node, text);
                let whole = self.layout().block_with_header(node);
                block
                    .into_iter()
                    .chain(whole.map(|span| (span, format!("{double}\n"))))
                    .collect()
            }
            Style::Plain => {
                let emitted = emit(value, 2);
                let plain = emitted.trim_end_matches('\n');
                let plain = Some(plain).filter(|plain| !plain.contains('\n'));
                let forms = plain.map(str::to_owned).into_iter().chain([double]);
                forms.map(|form| (span, self.spaced(span, &form))).collect()
            }
        }
    }

    /// Puts a blank before a value that follows its key directly.
    fn spaced(&self, span: Span, text: &str) -> String {
        match self.text[..span.start].ends_with([':', '-', '?']) && span.start == span.end {
            true => format!(" {text}"),
            false => text.to_owned(),
        }
    }
}

/// Writes a value in one line.
fn flow(value: &EmitValue) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        EmitValue::Seq(items) => format!("[{}]", join(items.iter().map(flow).collect())),
        EmitValue::Map(entries) => {
            let pairs = entries.iter().map(|(key, value)| flow_entry(key, value));
            format!("{{{}}}", join(pairs.collect()))
        }
        EmitValue::String(text) if text.contains([',', '[', ']', '{', '}', '\n']) => double_quoted(text),
        scalar => emit(scalar, 2).trim_end().to_owned(),
    }
}

fn flow_entry(key: &str, value: &EmitValue) -> String {
    format!("{}: {}", flow(&key.into()), flow(value))
}

fn find_mut<'a>(node: &'a mut Node, segments: &[Segment]) -> Option<&'a mut Node> {
    segments
        .iter()
        .try_fold(node, |node, segment| match (&mut node.value, segment) {
            (Value::Mapping(entries), Segment::Key(key)) => entries
                .iter_mut()
                .find_map(|(k, v)| (k.as_str() == Some(key)).then_some(v)),
            (Value::Sequence(items), Segment::Index(index)) => items.get_mut(*index),
            _ => None,
        })
}

fn plain_node(text: &str) -> Node {
    node_of(&EmitValue::from(text))
}

fn node_of(value: &EmitValue) -> Node {
    Node {
        span: Span::default(),
        value: tree(value),
    }
}

/// The tree that a written value reads back as.
fn tree(value: &EmitValue) -> Value {
    let scalar = |text: String, style| {
        Value::Scalar(Scalar {
            text,
            style,
            tag: None,
        })
    };
    match value {
        EmitValue::Null => Value::Null,
        EmitValue::Bool(value) => scalar(value.to_string(), Style::Plain),
        EmitValue::Int(value) => scalar(value.to_string(), Style::Plain),
        EmitValue::String(text) => scalar(text.clone(), Style::DoubleQuoted),
        EmitValue::Seq(items) => Value::Sequence(items.iter().map(node_of).collect()),
        EmitValue::Map(entries) => {
            let entries = entries.iter();
            Value::Mapping(
                entries
                    .map(|(key, value)| (plain_node(key), node_of(value)))
                    .collect(),
            )
        }
    }
}

/// Compares what two trees mean: places and quotes do not count where the text and its type are the same.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(a), Value::Scalar(b)) => a.text == b.text && a.resolved() == b.resolved(),
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
        }
        _ => false,
    }
}
